// What `eval` says of the sample quarter, its names and themes, reckoned again from the tables; and that it changes nothing.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Evaluation, FirmMeasures, NamesAndThemes } from '../../commands/eval.ts'
import { query } from '../../commands/sql.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import { readSettings } from '../../lib/settings.ts'
import { coherence, diversity, topWords } from '../../lib/text/coherence.ts'
import { addWords, isTalk, plainWords, type WordTally } from '../../lib/text/plain-words.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { fingerprints, quarterdeck, stepWords, succeed } from '../run.ts'
import { countWords } from '../text/count-words.ts'

const QUARTER = '2024Q3'
const { home, remove } = await readyHome()
const settings = { ...readSettings({}), home }

const rows = (statement: string) => withDatabase(settings, sql => query(sql, statement))
const prints = () => withDatabase(settings, sql => fingerprints(sql))
const figures = async (words: readonly string[], env: Record<string, string> = {}): Promise<Evaluation> =>
  JSON.parse(await here(['eval', '--quarter', QUARTER, '--json', ...words], { home, env }))
const withoutTime = ({ seconds: _, ...rest }: Evaluation) => rest
const meanOf = (values: (number | null)[]) => {
  const defined = values.filter(value => value !== null)
  return defined.reduce((sum, value) => sum + value, 0) / defined.length
}

let quarter: Evaluation
beforeAll(async () => {
  for (const verb of ['ingest', 'embed', 'cluster-firm']) await here(stepWords(verb, QUARTER), { home })
  quarter = await figures([])
}, 200_000)
afterAll(remove)

describe('eval of a quarter', () => {
  it('counts firms, sentences, topics and noise as the tables have them', async () => {
    const stored = await rows(`
      select firm_id, count(*)::int as sentences, count(distinct topic_id)::int as topics,
        count(*) filter (where topic_id is null)::int as noise
      from topic_sentences where quarter = '${QUARTER}' group by 1 order by 1`)
    expect(quarter).toMatchObject({ quarter: QUARTER, firm: null, firms: 14, firmsTooSmall: 0 })
    expect(
      quarter.firmsMeasured.map(one => [one.firm, one.sentences, one.topics, Math.round(one.noise * one.sentences)]),
    ).toEqual(stored.map(row => [row.firm_id, row.sentences, row.topics, row.noise]))
    const sentences = quarter.firmsMeasured.reduce((sum, one) => sum + one.sentences, 0)
    const noise = stored.reduce((sum, row) => sum + Number(row.noise), 0)
    expect(quarter.sentences).toBe(sentences)
    expect(quarter.noise).toBeCloseTo(noise / sentences, 12)
    const [{ largest }] = await rows("select max(size)::int as largest from topics where firm_id = 'HLPW'")
    const one = measuresOf(quarter, 'HLPW')
    expect(one.largestTopic).toBeCloseTo(Number(largest) / one.sentences, 12)
  })

  it("measures keywords over the quarter's sentences without talk", async () => {
    const topics = await rows(`select firm_id, keywords from topics where quarter = '${QUARTER}'`)
    const texts = await rows(`select text from sentences where quarter = '${QUARTER}' and talk is null`)
    const wordsOf = (row: Record<string, unknown>) => topWords(row.keywords as string[])
    const counts = countWords(
      texts.map(row => String(row.text)),
      topics.map(wordsOf),
    )
    const all = topics.map(row => coherence(wordsOf(row), counts) ?? null)
    expect(quarter.npmi).toBeCloseTo(meanOf(all), 10)
    const own = topics.filter(row => row.firm_id === 'HLPW').map(wordsOf)
    const one = measuresOf(quarter, 'HLPW')
    expect(one.npmi).toBeCloseTo(meanOf(own.map(topic => coherence(topic, counts) ?? null)), 10)
    expect(one.diversity).toBe(diversity(own))
  })

  it('gives means over firms', () => {
    const firms = quarter.firmsMeasured
    for (const figure of ['silhouette', 'diversity', 'seedAri', 'tenthAri', 'largestTopic'] as const)
      expect(quarter[figure], figure).toBeCloseTo(meanOf(firms.map(one => one[figure])), 12)
    expect(quarter.topicsAFirm).toBeCloseTo(quarter.topics / 14, 12)
    const sorted = firms.map(one => one.topics).sort((a, b) => a - b)
    expect(quarter.medianTopics).toBe((sorted[6] + sorted[7]) / 2)
  })

  it('finds planted stories more stable than chance', () => {
    expect(quarter.seedAri).toBeGreaterThan(0.3)
    expect(quarter.tenthAri).toBeGreaterThan(0.2)
    expect(quarter.silhouette).toBeGreaterThan(0)
  })

  it('gives the same again on another number of threads, and changes nothing but runs', async () => {
    const before = await prints()
    const work = await rows('select * from work order by 1, 2, 3')
    expect(withoutTime(await figures([], { QUARTERDECK_THREADS: '1' }))).toEqual(withoutTime(quarter))
    expect(await prints()).toEqual(before)
    expect(await rows('select * from work order by 1, 2, 3')).toEqual(work)
    const [run] = await rows('select command, quarter, outcome, counts, seed from runs order by run_id desc limit 1')
    // The topics were made with 42.
    expect(run).toMatchObject({ command: 'eval', quarter: QUARTER, outcome: 'done', counts: { firms: 14 }, seed: 43 })
    expect(quarter.otherSeed).toBe(43)
  })

  it('measures a sample evenly by name, each firm as in the whole quarter', async () => {
    const four = await figures(['--sample', '4'])
    expect(four.firmsMeasured).toEqual([0, 3, 7, 10].map(i => quarter.firmsMeasured[i]))
    expect(four.firms).toBe(4)
  })

  it('prints a table of measures, and nothing of names and themes where there are none', async () => {
    const table = await succeed(['eval', '--quarter', QUARTER], { home })
    expect(table).toMatch(/^2024Q3 +value +meaning/)
    for (const measure of ['firms', 'noise', 'topics a firm', 'silhouette', 'NPMI', 'diversity', 'other seed', 'tenth'])
      expect(table).toContain(measure)
    expect(table).toContain(`${(100 * (quarter.noise ?? 0)).toFixed(1)} %`)
    expect(table).not.toMatch(/names|theme/)
    expect(quarter.namesAndThemes).toBe(null)
  })
})

describe('eval of a firm', () => {
  it('gives what the quarter says of it', async () => {
    const firm = await figures(['--firm', 'hlpw'])
    expect(firm).toMatchObject({ firm: 'HLPW', firms: 1 })
    expect(firm.firmsMeasured).toEqual([measuresOf(quarter, 'HLPW')])
    const table = await here(['eval', '--quarter', QUARTER, '--firm', 'HLPW'], { home })
    expect(table).toMatch(/^HLPW 2024Q3 +value +meaning/)
  })

  it('agrees with the topics that cluster-firm itself makes with the other seed, and judges those by their own recipe', async () => {
    const topicsOf = async () =>
      (
        await rows(
          `select topic_id from topic_sentences where quarter = '${QUARTER}' and firm_id = 'ORVX' order by sentence_id`,
        )
      ).map(row => (row.topic_id === null ? -1 : Number(String(row.topic_id).split('/')[2])))
    const first = await topicsOf()
    const again = ['cluster-firm', '--quarter', QUARTER, '--firm', 'ORVX']
    await here([...again, '--seed', '43'], { home })
    expect(measuresOf(quarter, 'ORVX').seedAri).toBeCloseTo(adjustedRandIndex(first, await topicsOf()), 12)
    // The other way round it is the same agreement, and the seed of the topics themselves says nothing.
    const back = await figures(['--firm', 'ORVX', '--seed', '42'])
    expect(await rows('select seed from runs order by run_id desc limit 1')).toEqual([{ seed: 42 }])
    expect(back.seedAri).toBeCloseTo(measuresOf(quarter, 'ORVX').seedAri ?? Number.NaN, 12)
    // Each firm is clustered with one more than its own seed: there is no one seed to record.
    expect((await figures(['--sample', '14'])).otherSeed).toBe(null)
    const same = await quarterdeck(['eval', '--quarter', QUARTER, '--firm', 'ORVX', '--seed', '43'], { home })
    expect(same.code).toBe(1)
    expect(same.stderr).toMatch(/--seed 43: the topics of ORVX were made with it/)
    await here(again, { home })
    expect(await topicsOf()).toEqual(first)
  })
})

describe('eval of names and themes', () => {
  let found: NamesAndThemes
  const measured = async (words: readonly string[] = []): Promise<NamesAndThemes> => {
    const { namesAndThemes } = await figures(['--sample', '1', ...words])
    if (namesAndThemes === null) throw new Error('names and themes were not measured')
    return namesAndThemes
  }
  const plainOf = async (column: string, owner: string) => {
    const said = await rows(`
      select ${owner} as owner, ${column} as id, s.text from topic_sentences ts
      join sentences s using (quarter, sentence_id) left join theme_topics m on m.topic_id = ts.topic_id
      where ts.quarter = '${QUARTER}' and (${owner}) is not null`)
    const tallies = new Map<string, Map<string, WordTally>>()
    for (const { owner: whose, id, text } of said) {
      const own = tallies.get(String(whose)) ?? new Map<string, WordTally>()
      const tally = own.get(String(id)) ?? new Map()
      addWords(tally, String(text))
      tallies.set(String(whose), own.set(String(id), tally))
    }
    const plain = new Map<string, string[]>()
    for (const { null: rest = new Map(), ...own } of [...tallies.values()].map(one => Object.fromEntries(one)))
      for (const [i, words] of plainWords(Object.values(own), rest).entries()) plain.set(Object.keys(own)[i], words)
    return plain
  }
  const talkOf = (plain: ReadonlyMap<string, string[]>) =>
    [...plain.keys()].filter(id => isTalk(plain.get(id) ?? [])).sort()

  beforeAll(async () => {
    for (const verb of ['name-topics', 'aggregate']) await here([verb, '--quarter', QUARTER], { home })
    found = await measured()
  }, 60_000)

  it('counts names and themes of the whole quarter, with --sample too', async () => {
    expect(found.names).toEqual({
      topics: quarter.topics,
      firms: 14,
      unique: 1,
      distinct: 1,
      byKeywords: 1,
      byModel: 0,
    })
    const [stored] = await rows(`
      select count(*)::int as themes, max(topics)::float / ${quarter.topics} as largest,
        1 - sum(topics)::float / ${quarter.topics} as "inNone",
        (select count(*) from theme_topics where given_to_nearest)::float / ${quarter.topics} as "givenToNearest",
        count(*) filter (where flags <> '{}')::int as flagged
      from themes`)
    const { npmi, diversity: _, flags, ...counted } = found.themes ?? { npmi: null, diversity: null, flags: {} }
    expect(Object.keys(counted).sort()).toEqual(Object.keys(stored).sort())
    for (const [figure, value] of Object.entries(counted)) expect(value, figure).toBeCloseTo(Number(stored[figure]), 12)
    const flagged = await rows('select flag, count(*)::int as n from themes, unnest(flags) as flag group by 1')
    expect(flags).toEqual(Object.fromEntries(flagged.map(row => [row.flag, row.n])))
    expect(npmi).toBeGreaterThan(-1)
    const whole = (await figures([])).namesAndThemes
    expect(whole).toEqual(found)
  })

  it('measures the words of themes as it does those of topics, over the same sentences', async () => {
    const themes = (await rows('select keywords from themes')).map(row => topWords(row.keywords as string[]))
    const texts = await rows(`select text from sentences where quarter = '${QUARTER}' and talk is null`)
    const counts = countWords(
      texts.map(row => String(row.text)),
      themes,
    )
    expect(found.themes?.npmi).toBeCloseTo(meanOf(themes.map(theme => coherence(theme, counts) ?? null)), 10)
    expect(found.themes?.diversity).toBe(diversity(themes))
  })

  it('judges talk by all sentences: a topic within its firm, a theme among all topics', async () => {
    const ofTopics = await plainOf('ts.topic_id', 'ts.firm_id')
    const ofThemes = await plainOf('m.theme_id', 'case when ts.topic_id is not null then 1 end')
    const themes = (await rows('select count(*)::int as n from themes'))[0].n
    expect([ofTopics.size, ofThemes.size]).toEqual([quarter.topics, themes])
    expect(found.talk).toEqual({
      topics: quarter.topics,
      themes,
      talkTopics: talkOf(ofTopics),
      talkThemes: talkOf(ofThemes),
    })
  })

  it('sees names that read alike, and who gave them', async () => {
    await withDatabase(
      settings,
      sql => sql`
        update topic_names set source = 'llm',
          name = (select upper(name) || '!' from topic_names where topic_id = ${`${QUARTER}/HLPW/01`})
        where topic_id = ${`${QUARTER}/HLPW/02`}`,
    )
    const { names } = await measured()
    expect(names.unique).toBeCloseTo(13 / 14, 12)
    expect(names.byModel).toBeCloseTo(1 / quarter.topics, 12)
    expect(names.byKeywords).toBeCloseTo(1 - 1 / quarter.topics, 12)
  })

  it('prints them as a table of their own, and not for a firm', async () => {
    const tables = (await here(['eval', '--quarter', QUARTER, '--sample', '1'], { home })).split('\n\n')
    expect(tables).toHaveLength(2)
    expect(tables[1]).toMatch(/^names and themes +value +meaning/)
    for (const measure of ['names unique', 'by keywords', 'by a model', 'largest theme', 'in no theme', 'talk, themes'])
      expect(tables[1]).toContain(measure)
    const firm = ['--firm', 'HLPW']
    expect((await figures(firm)).namesAndThemes).toBe(null)
    expect(await here(['eval', '--quarter', QUARTER, ...firm], { home })).not.toContain('names and themes')
  })

  it('leaves out themes of topics or names that have changed since, and says so', async () => {
    const setState = (state: string) =>
      withDatabase(settings, sql => sql`update work set state = ${state} where stage = 'aggregate'`)
    await setState('stale')
    const { stdout, stderr } = await quarterdeck(['eval', '--quarter', QUARTER, '--sample', '1', '--json'], { home })
    await setState('done')
    expect(JSON.parse(stdout).namesAndThemes).toMatchObject({ themes: null, talk: { themes: 0 } })
    expect(stderr).toMatch(/themes of 2024Q3 are of topics or names that have changed since/)
  })

  it('finds under a twentieth of the topics and themes to be talk, and many more where talk is left in', async () => {
    const shares = ({ talk }: NamesAndThemes) => [
      talk.talkTopics.length / talk.topics,
      talk.talkThemes.length / talk.themes,
    ]
    for (const share of shares(found)) expect(share).toBeLessThan(0.05)
    await here(['cluster-firm', '--quarter', QUARTER, '--with-talk'], { home })
    for (const verb of ['name-topics', 'aggregate']) await here([verb, '--quarter', QUARTER], { home })
    for (const share of shares(await measured())) expect(share).toBeGreaterThan(0.1)
    await here(['cluster-firm', '--quarter', QUARTER], { home })
  }, 120_000)
})

describe('eval of what cannot be measured', () => {
  it('refuses a firm that is not there, a quarter that is not there, and a sample of nothing', async () => {
    const failed = async (...words: string[]) => {
      const { code, stderr } = await quarterdeck(['eval', ...words], { home })
      return `${code} ${stderr}`
    }
    expect(await failed('--quarter', QUARTER, '--firm', 'NOBODY')).toMatch(/^1 .*no firm NOBODY in 2024Q3/)
    expect(await failed('--quarter', '2019Q1')).toMatch(/^1 .*no calls of 2019Q1; it has 2024Q3/)
    expect(await failed('--quarter', QUARTER, '--sample', '0')).toMatch(/^2 .*--sample is "0"/)
    expect(await failed('--quarter', QUARTER, '--seed', 'x')).toMatch(/^2 .*--seed is "x"/)
    expect(await failed()).toMatch(/^2 .*--quarter is missing/)
  })

  it('refuses topics that another version made, since the versions would be compared as well', async () => {
    const exchange = (from: string, to: string) =>
      withDatabase(
        settings,
        sql => sql`
          update work set recipe = regexp_replace(recipe, ${from}, ${to})
          where stage = 'cluster-firm' and quarter = ${QUARTER} and firm_id = 'HLPW'`,
      )
    await exchange('"method":', '"method":9')
    const { code, stderr } = await quarterdeck(['eval', '--quarter', QUARTER], { home })
    await exchange('"method":9', '"method":')
    expect(code).toBe(1)
    expect(stderr).toMatch(/topics of HLPW 2024Q3 were made by another version/)
    expect(stderr).toContain('→ quarterdeck cluster-firm --quarter 2024Q3')
    expect((await figures(['--firm', 'HLPW'])).firms).toBe(1)
  })

  it('asks for cluster-firm first, and says of a firm with too few sentences that there is nothing to measure', async () => {
    const few =
      'Our brewery sold eleven thousand barrels of stout. Hop prices doubled in Oregon. A bottling line broke.\n'
    await succeed(['ingest', '-', '--quarter', '2023Q1', '--firm', 'TINY'], { home, stdin: few })
    const early = await quarterdeck(['eval', '--quarter', '2023Q1'], { home })
    expect(early.code).toBe(1)
    expect(early.stderr).toMatch(/eval of 2023Q1 needs cluster-firm first: 1 of 1 left to do/)
    expect(early.stderr).toContain('→ quarterdeck cluster-firm --quarter 2023Q1')
    for (const verb of ['embed', 'cluster-firm']) await here([verb, '--quarter', '2023Q1'], { home })
    expect(await here(['eval', '--quarter', '2023Q1'], { home })).toMatch(/No firm of 2023Q1/)
    expect(await here(['eval', '--quarter', '2023Q1', '--firm', 'tiny'], { home })).toMatch(
      /TINY has too few different sentences in 2023Q1/,
    )
    const found = JSON.parse(await here(['eval', '--quarter', '2023Q1', '--json'], { home }))
    expect(found).toMatchObject({ firms: 0, firmsTooSmall: 1, noise: null, seedAri: null, firmsMeasured: [] })
  })
})

function measuresOf({ firmsMeasured }: Evaluation, firm: string): FirmMeasures {
  const found = firmsMeasured.find(one => one.firm === firm)
  if (found === undefined) throw new Error(`${firm} was not measured`)
  return found
}

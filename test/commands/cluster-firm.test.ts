// cluster-firm by its command line: small firms and copies, the second label, and a worker thread that really dies.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { fingerprints, quarterdeck, scratchHome, stepWords, succeed } from '../run.ts'

const SMALL = '2019Q1'
const { home, remove } = scratchHome()
afterAll(remove)

type Row = Record<string, string | number | null>
const rows = async (statement: string): Promise<Row[]> =>
  JSON.parse(await succeed(['sql', statement, '--json'], { home }))
const clustered = (quarter: string, ...more: string[]) =>
  quarterdeck(['cluster-firm', '--quarter', quarter, ...more], { home })

const SUBJECTS = [
  'drilling rigs in the shale basin cut the cost of each well',
  'cloud software renewals lifted the recurring revenue of our platform',
  'the phase three drug trial enrolled patients with asthma',
  'new stores and remodeled restaurants brought comparable sales up',
]
const WORDS = 'amber birch cedar delta ember flint grove haven inlet jetty knoll lagoon maple north ocean pearl'.split(
  ' ',
)

/** So many different sentences of a firm, about four subjects in turn; no other firm says the same. */
function sentences(firm: string, n: number): string[] {
  return Array.from(
    { length: n },
    (_, i) =>
      `At ${firm.toLowerCase()} ${WORDS[i % WORDS.length]} ${WORDS[(i + 3 + (i >> 4)) % 16]} ${SUBJECTS[i % 4]}.`,
  )
}

const repeated = 'The copper smelter in Arizona melted scrap from old telephone cables.'
const FIRMS: Record<string, string[]> = {
  NONE: ['Thank you.', 'Good morning.'],
  ONE: sentences('ONE', 1),
  TWO: sentences('TWO', 2),
  ELEVEN: sentences('ELEVEN', 11),
  TWELVE: sentences('TWELVE', 12),
  TWENTY: sentences('TWENTY', 20),
  EQUAL: Array.from({ length: 30 }, () => repeated),
  COPIES: [...sentences('COPIES', 40), ...Array.from({ length: 50 }, () => repeated)],
}

describe('small firms', () => {
  beforeAll(async () => {
    const folder = join(home, 'small')
    mkdirSync(folder, { recursive: true })
    for (const [firm, lines] of Object.entries(FIRMS))
      writeFileSync(join(folder, `${firm}_q1_2019.txt`), `${lines.join('\n')}\n`)
    await succeed(['ingest', folder, '--quarter', SMALL], { home })
    await succeed(['embed', '--quarter', SMALL], { home })
    await succeed(['cluster-firm', '--quarter', SMALL, '--reassign-over', '0'], { home })
  }, 120_000)

  const countsOf = async (firm: string) => {
    const [counts] = await rows(`
      select count(*)::int as sentences, count(distinct embedding::text)::int as different,
        count(topic_id)::int as placed, count(reassigned_topic_id)::int as given,
        (select count(*)::int from topics where quarter = '${SMALL}' and firm_id = '${firm}') as topics,
        (select state from work where stage = 'cluster-firm' and quarter = '${SMALL}' and firm_id = '${firm}') as state
      from topic_sentences join sentence_vectors using (quarter, sentence_id)
      where quarter = '${SMALL}' and topic_sentences.firm_id = '${firm}'`)
    return counts
  }

  it.each([
    ['NONE', 0],
    ['ONE', 1],
    ['TWO', 2],
    ['ELEVEN', 11],
  ])('under twelve different sentences there is no topic, and all is noise: %s', async (firm, n) => {
    expect(await countsOf(firm)).toEqual({
      ...{ sentences: n, different: n, placed: 0, given: 0, topics: 0, state: 'done' },
    })
  })

  it.each([
    ['TWELVE', 12],
    ['TWENTY', 20],
  ])('from twelve on there are two topics or more, of six sentences or more, or none: %s', async (firm, n) => {
    const counts = await countsOf(firm)
    expect(counts).toMatchObject({ sentences: n, different: n, state: 'done' })
    const topics = await rows(`select size from topics where quarter = '${SMALL}' and firm_id = '${firm}'`)
    expect(topics.length).not.toBe(1)
    expect(topics.every(topic => Number(topic.size) >= 6)).toBe(true)
    expect(counts.placed).toBe(topics.reduce((sum, topic) => sum + Number(topic.size), 0))
    // Without a topic there is nothing to be given to.
    const most = topics.length === 0 ? 0 : n - Number(counts.placed)
    expect(counts.given).toBeLessThanOrEqual(most)
  })

  it('the same sentence thirty times is one sentence: no topic', async () => {
    expect(await countsOf('EQUAL')).toMatchObject({ sentences: 30, different: 1, placed: 0, topics: 0 })
  })

  it('fifty copies get one answer, first and second label and probability', async () => {
    const answers = await rows(`
      select topic_id, reassigned_topic_id, probability, count(*)::int as copies
      from topic_sentences join sentences using (quarter, sentence_id)
      where quarter = '${SMALL}' and sentences.firm_id = 'COPIES' and text like 'The copper smelter%'
      group by 1, 2, 3`)
    expect(answers).toMatchObject([{ copies: 50 }])
    expect((await countsOf('COPIES')).topics).toBeGreaterThan(1)
  })

  it('an embedding that cannot be read fails its firm alone, with a clear error', async () => {
    const change = (statement: string) =>
      withDatabase({ ...readSettings({}), home }, async sql => {
        await sql.unsafe(statement)
      })
    // The column refuses vectors of another dimension, as long as it names its own.
    await change(`
      create table sound as select * from sentence_vectors where firm_id = 'TWENTY';
      alter table sentence_vectors alter column embedding type vector;
      update sentence_vectors set embedding = '[1,2]'
        where sentence_id = (select max(sentence_id) from sentence_vectors where firm_id = 'TWENTY')`)
    const { code, stderr } = await clustered(SMALL, '--force')
    await change(`
      update sentence_vectors v set embedding = sound.embedding from sound where v.sentence_id = sound.sentence_id;
      alter table sentence_vectors alter column embedding type vector(256);
      drop table sound`)
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /could not do TWENTY 2019Q1: the embedding of sentence \d+ of TWENTY has 12 bytes, wanted 1028/,
    )
    expect(stderr).toMatch(/7 firms in/)
    expect((await clustered(SMALL)).stderr).toMatch(/1 firm in/)
  })
})

describe('a quarter', () => {
  const QUARTER = '2024Q3'
  const where = `quarter = '${QUARTER}'`
  const firstLabels = () =>
    rows(`select sentence_id::text, topic_id, probability from topic_sentences where ${where} order by 1`)
  const topics = () => rows(`select topic_id, label, size from topics where ${where} order by 1`)
  const prints = () => withDatabase({ ...readSettings({}), home }, sql => fingerprints(sql))
  let labels: Row[]

  beforeAll(async () => {
    for (const verb of ['ingest', 'embed', 'cluster-firm']) await succeed(stepWords(verb, QUARTER), { home })
    labels = await firstLabels()
  }, 120_000)

  describe('with --reassign-noise', () => {
    it('gives some noise a second label, a topic of the same firm, and leaves the first as it was', async () => {
      const before = await topics()
      const { code, stderr } = await clustered(QUARTER, '--reassign-noise')
      expect(code).toBe(0)
      expect(stderr).toMatch(/14 firms had been clustered with another recipe/)
      const [{ given, wrong, noise }] = await rows(`
        select count(*)::int as given,
          count(*) filter (where m.topic_id is not null or t.firm_id <> m.firm_id or t.quarter <> m.quarter)::int as wrong,
          (select count(*)::int from topic_sentences where ${where} and topic_id is null) as noise
        from topic_sentences m join topics t on t.topic_id = m.reassigned_topic_id where m.${where}`)
      expect(wrong).toBe(0)
      expect(given).toBeGreaterThan(0)
      expect(given).toBeLessThan(Number(noise))
      expect(stderr).toContain(`${given} of them given to the nearest topic`)
      expect(await firstLabels()).toEqual(labels)
      expect(await topics()).toEqual(before)
    })

    it('shows with --firm what was given to each topic, and says it in JSON', async () => {
      const [{ firm_id: firm, given }] = await rows(`
        select firm_id, count(*)::int as given from topic_sentences
        where ${where} and reassigned_topic_id is not null group by 1 order by 2 desc, 1 limit 1`)
      const words = ['cluster-firm', '--quarter', QUARTER, '--firm', String(firm), '--reassign-noise']
      expect(await succeed(words, { home })).toMatch(/^topic +size +given +keywords/)
      const { reassigned, itsTopics } = JSON.parse(await succeed([...words, '--json'], { home }))
      expect(reassigned).toBe(given)
      const sum = itsTopics.reduce((sum: number, topic: { reassigned: number }) => sum + topic.reassigned, 0)
      expect(sum).toBe(given)
    })

    it('takes a cosine instead, which makes it another recipe; and without it there is no second label again', async () => {
      await succeed(['cluster-firm', '--quarter', QUARTER, '--reassign-over', '0.999'], { home })
      expect(
        await rows(`select 1 as one from topic_sentences where ${where} and reassigned_topic_id is not null`),
      ).toEqual([])
      expect((await clustered(QUARTER, '--reassign-over', '1.2')).code).toBe(2)
      const { stderr } = await clustered(QUARTER)
      expect(stderr).toMatch(/14 firms had been clustered with another recipe/)
      expect(await firstLabels()).toEqual(labels)
    })
  })

  it('comes out the same with one thread and with three', async () => {
    const before = await prints()
    for (const QUARTERDECK_THREADS of ['1', '3']) {
      await succeed(['cluster-firm', '--quarter', QUARTER, '--force'], { home, env: { QUARTERDECK_THREADS } })
      expect(await prints()).toEqual(before)
    }
  })

  describe('where the thread of a firm dies', () => {
    const log = join(home, 'deaths')
    const deaths = () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0)
    const fault = (mark: string, more: Record<string, string> = {}) => {
      rmSync(log, { force: true })
      const preload = new URL('../dying-thread.mjs', import.meta.url).href
      return { home, env: { NODE_OPTIONS: `--import ${preload}`, DIE_OF: mark, DIE_LOG: log, ...more } }
    }
    /** A firm in the middle of the order, and a sentence that only it says. */
    const victim = async (): Promise<{ firm: string; text: string }> => {
      const [{ firm_id, text }] = await rows(`
        select firm_id, text from sentences s
        where ${where} and talk is null and position('''' in text) = 0
          and firm_id = (select firm_id from work where stage = 'cluster-firm' and ${where} order by units desc, firm_id offset 6 limit 1)
          and (select count(*) from sentences t where t.${where} and t.text = s.text) = 1
        order by sentence_id limit 1`)
      return { firm: String(firm_id), text: String(text) }
    }

    it('once: it is tried again, and the rows are those of an undisturbed run', async () => {
      const before = await prints()
      const { text } = await victim()
      await succeed(['cluster-firm', '--quarter', QUARTER, '--force'], fault(text, { DIE_ONCE: '1' }))
      expect(deaths()).toBe(1)
      expect(await prints()).toEqual(before)
    })

    it('twice: that firm alone fails, with a clear error, and is done by the next run', async () => {
      const before = await prints()
      const { firm, text } = await victim()
      const { code, stderr } = await quarterdeck(['cluster-firm', '--quarter', QUARTER, '--force'], fault(text))
      expect(deaths()).toBe(2)
      expect(code).toBe(0)
      expect(stderr).toMatch(new RegExp(`could not do ${firm} ${QUARTER}: its worker thread died 2 times`))
      expect(stderr).toMatch(/13 firms in/)
      const states = await rows(`
        select state, count(*)::int as firms from work where stage = 'cluster-firm' and ${where} group by 1 order by 1`)
      expect(states).toEqual([
        { state: 'done', firms: 13 },
        { state: 'failed', firms: 1 },
      ])
      expect(await succeed(['status', '--quarter', QUARTER], { home })).toMatch(
        new RegExp(`cluster-firm failed for ${firm}`),
      )
      expect((await clustered(QUARTER)).stderr).toMatch(/1 firm in/)
      expect(await prints()).toEqual(before)
    })
  })
})

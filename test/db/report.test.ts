// What the report reads, on both databases, from rows that are made so that the truth of every number is known: three quarters of
// two firms with novelty and lineage, the states in which one of them is missing, and a quarter that is read in several portions.

import { beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../lib/db/connect.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { readReport } from '../../lib/db/report.ts'
import { onBothDatabases } from './both-databases.ts'

const [OLD, BEFORE, NOW] = ['2023Q4', '2024Q1', '2024Q2']
const LARGE = '2030Q1'
// The embedding type has no fixed dimension until the first `embed`; the model says how many numbers there are.
const MODEL = { name: 'made', revision: 'r1', dimension: 2, source: 'made' }

/** A firm's call in a quarter: `texts` by position, null where the clustering left the sentence out, else its topic or noise. */
type Said = { text: string; topic: number | 'noise' | null }
const noise = 'noise' as const

async function writeCall(sql: Database, quarter: string, firm: string, callId: number, said: Said[]): Promise<void> {
  await sql`insert into firms (firm_id, ticker, name, identifiers) values (${firm}, ${firm}, ${`${firm} Corp`}, ${sql.json({ cik: '0001' })})
    on conflict do nothing`
  await sql`
    insert into calls (call_id, firm_id, quarter, call_date, source, format, content_hash, sentences)
    values (${callId}, ${firm}, ${quarter}, ${callId % 2 ? '2024-05-01' : null}, ${`/data/anna/calls/${quarter}/${firm}.txt`}, 'made', 'x', ${said.length})`
  const topics = [...new Set(said.flatMap(one => (typeof one.topic === 'number' ? one.topic : [])))]
  for (const topic of topics) {
    const own = said.flatMap((one, position) => (one.topic === topic ? callId * 65536 + position : []))
    const id = `${quarter}/${firm}/${topic}`
    await sql`
      insert into topics (topic_id, firm_id, quarter, label, size, keywords, keyword_weights, representative_sentences, centroid)
      values (${id}, ${firm}, ${quarter}, ${`label ${topic}`}, ${own.length}, '{oil,gas}', '{2,1}', ${own}::bigint[], '[1,0]')`
    if (topic !== 9)
      await sql`insert into topic_names values (${id}, ${`name ${topic}`}, ${`summary ${topic}`}, 'keywords')`
    await sql`insert into topic_vectors values (${id}, ${quarter}, ${`[${topic},1]`})`
  }
  for (const [position, { text, topic }] of said.entries()) {
    const id = callId * 65536 + position
    await sql`
      insert into sentences (quarter, sentence_id, call_id, firm_id, position, speaker, role, section, talk, text)
      values (${quarter}, ${id}, ${callId}, ${firm}, ${position}, 'Ann', 'CEO', 'answer', ${topic === null ? 'short' : null}, ${text})`
    if (topic !== null)
      await sql`
        insert into topic_sentences (quarter, sentence_id, firm_id, topic_id, probability)
        values (${quarter}, ${id}, ${firm}, ${topic === noise ? null : `${quarter}/${firm}/${topic}`}, 1)`
  }
  for (const stage of ['embed', 'cluster-firm', 'name-topics', 'novelty'])
    await sql`insert into work (stage, quarter, firm_id, state) values (${stage}, ${quarter}, ${firm}, 'done')`
}

async function writeTheme(sql: Database, id: string, name: string, topics: string[], firms: number): Promise<void> {
  const quarter = id.slice(0, 6)
  await sql`
    insert into themes (theme_id, quarter, name, summary, source, keywords, topics, firms, sentences, largest_firm_share, flags,
      representative_sentences, centroid)
    select ${id}, ${quarter}, ${name}, 'said', 'keywords', '{oil}', ${topics.length}, ${firms}, coalesce(sum(size), 0), .5, '{}',
      coalesce(array_agg(representative_sentences[1] order by topic_id), '{}'), '[1,0]'
    from topics where topic_id = any(${topics})`
  for (const topic of topics) await sql`insert into theme_topics values (${topic}, ${id}, .75, false)`
}

async function quarterDone(sql: Database, quarter: string): Promise<void> {
  for (const stage of ['ingest', 'aggregate', 'index', 'lineage'])
    await sql`insert into work (stage, quarter, firm_id, state) values (${stage}, ${quarter}, '*', 'done')`
}

const lineage = (sql: Database, theme: string, id: string, event: string) =>
  sql`insert into theme_lineage values (${theme}, ${theme.slice(0, 6)}, ${id}, ${event})`
const link = (sql: Database, from: string, to: string, event: string, forward = 0.5) =>
  sql`insert into theme_links values (${to.slice(0, 6)}, ${from.slice(0, 6)}, ${from}, ${to}, ${event}, .93, ${forward}, .25, 2, .5)`

onBothDatabases('the report of a quarter', open => {
  let sql: Database
  const read = (sentences = 3, quarter = NOW) => readReport(sql, quarter, sentences)

  beforeAll(async () => {
    ;({ sql } = await open())
    await sql`insert into settings (key, value) values ('embedding model', ${sql.json(MODEL)})`
    for (const quarter of [OLD, BEFORE, NOW, LARGE]) await ensureQuarter(sql, quarter)
    const same = (topic: Said['topic'], ...texts: string[]) => texts.map(text => ({ text, topic }))
    await writeCall(sql, OLD, 'A', 11, same(1, 'oil of old'))
    await writeCall(sql, BEFORE, 'A', 21, same(1, 'oil before'))
    await writeCall(sql, BEFORE, 'B', 22, same(1, 'gas before'))
    // A: one of talk, three of topic 1, one of topic 9, two of noise. B: two of topic 1, two of topic 2.
    await writeCall(sql, NOW, 'A', 31, [
      { text: 'Hello.', topic: null },
      ...same(1, 'oil a', 'oil b', 'oil c'),
      ...same(9, 'nameless'),
      ...same(noise, 'noise a', 'noise b'),
    ])
    await writeCall(sql, NOW, 'B', 32, [...same(1, 'gas a', 'gas b'), ...same(2, 'loans a', 'loans b')])
    await writeTheme(sql, `${OLD}/01`, 'Old oil', [`${OLD}/A/1`], 1)
    await writeTheme(sql, `${BEFORE}/01`, 'Oil', [`${BEFORE}/A/1`], 1)
    await writeTheme(sql, `${BEFORE}/02`, 'Gas', [`${BEFORE}/B/1`], 1)
    await writeTheme(sql, `${BEFORE}/03`, 'Weather', [], 3)
    await writeTheme(sql, `${NOW}/01`, 'Loans', [`${NOW}/B/2`], 1)
    await writeTheme(sql, `${NOW}/02`, 'Oil and gas', [`${NOW}/A/1`, `${NOW}/B/1`], 2)
    for (const quarter of [OLD, BEFORE, NOW]) await quarterDone(sql, quarter)
    await lineage(sql, `${OLD}/01`, `${OLD}/01`, 'first')
    await lineage(sql, `${BEFORE}/01`, `${OLD}/01`, 'continued')
    await lineage(sql, `${NOW}/01`, `${NOW}/01`, 'new')
    await lineage(sql, `${NOW}/02`, `${OLD}/01`, 'merged')
    await link(sql, `${OLD}/01`, `${BEFORE}/01`, 'continued')
    await link(sql, `${BEFORE}/02`, `${NOW}/02`, 'merged', 0.25)
    await link(sql, `${BEFORE}/01`, `${NOW}/02`, 'merged', 0.75)
    await link(sql, `${BEFORE}/01`, `${NOW}/01`, 'new')
    await link(sql, `${BEFORE}/03`, `${NOW}/02`, 'gone')
    // Of A two sentences of topic 1 are as they were, the third is new to it; B was not there before, as far as anybody knows.
    for (const [position, similarity, repeated] of [
      [1, 1, true],
      [2, 0.9, true],
      [3, 0.5, false],
      [4, 0.2, false],
    ] as const)
      await sql`
        insert into sentence_novelty values (${NOW}, ${31 * 65536 + position}, 'A', ${BEFORE}, ${21 * 65536}, ${similarity}, ${repeated})`
    // What it says as talk again is no part of it.
    await sql`insert into sentence_novelty values (${NOW}, ${31 * 65536}, 'A', ${BEFORE}, ${21 * 65536}, 1, true)`
    await sql`insert into topic_novelty values (${`${NOW}/A/1`}, ${NOW}, ${BEFORE}, ${`${BEFORE}/A/1`}, .875, .8, false)`
    await sql`insert into topic_novelty values (${`${NOW}/A/9`}, ${NOW}, ${BEFORE}, null, null, .2, true)`
  }, 60_000)

  it('counts what is there: talk aside, every sentence is in a topic or in none', async () => {
    const { counts, firms, quarter, earlierQuarter } = await read()
    expect({ quarter, earlierQuarter }).toEqual({ quarter: NOW, earlierQuarter: BEFORE })
    expect(counts).toEqual({
      ...{ firms: 2, calls: 2, sentences: 11, talk: 1, inTopics: 8, topics: 4, topicsInThemes: 3, themes: 2 },
    })
    expect(firms[0]).toEqual({
      ...{ id: 'A', ticker: 'A', name: 'A Corp', identifiers: { cik: '0001' }, callDates: ['2024-05-01'] },
      ...{ sentences: 7, talk: 1, shareInNoTopic: 0.3333, earlierQuarter: BEFORE, novelty: 0.35, repeated: 0.5 },
    })
    expect(firms[1]).toMatchObject({ id: 'B', callDates: [], shareInNoTopic: 0, novelty: null, earlierQuarter: null })
  })

  it('gives themes with most firms first, their topics by size, what they came from and how new they are', async () => {
    const { themes, topics, sentences } = await read()
    expect(themes.map(theme => theme.name)).toEqual(['Oil and gas', 'Loans'])
    const [oil, loans] = themes
    expect(oil).toMatchObject({
      ...{ id: `${NOW}/02`, lineageId: `${OLD}/01`, event: 'merged', firms: 2, shareOfFirms: 1, sentences: 5 },
      // Strongest first; of its five sentences three were compared, 1 - .8 on the mean.
      cameFrom: [
        `${BEFORE} Oil (similarity .93, 2 firms in common)`,
        `${BEFORE} Gas (similarity .93, 2 firms in common)`,
      ],
      ...{ shareOfSentences: 0.5, novelty: 0.2, newTopics: 0 },
    })
    expect(oil.topics.map(place => topics[place].id)).toEqual([`${NOW}/A/1`, `${NOW}/B/1`])
    expect(oil.representatives.map(place => sentences[place].text)).toEqual(['oil a', 'gas a'])
    expect(loans).toMatchObject({ event: 'new', cameFrom: [], novelty: null, newTopics: null, shareOfFirms: 0.5 })
  })

  it('gives each topic with its firm, theme, sentences and what it is to the quarter before', async () => {
    const { topics, sentences, vectors, d } = await read()
    expect(topics.map(topic => topic.id)).toEqual([`${NOW}/A/1`, `${NOW}/A/9`, `${NOW}/B/1`, `${NOW}/B/2`])
    expect(topics[0]).toEqual({
      ...{
        id: `${NOW}/A/1`,
        firm: 0,
        theme: 0,
        name: 'name 1',
        summary: 'summary 1',
        keywords: ['oil', 'gas'],
        size: 3,
      },
      ...{
        shareOfCall: 0.5,
        probability: 0.75,
        givenToNearest: false,
        isNew: false,
        similarity: 0.875,
        earlier: 'name 1',
      },
      sentences: topics[0].sentences,
    })
    expect(topics[0].sentences.map(place => sentences[place].text)).toEqual(['oil a', 'oil b', 'oil c'])
    // Without a name it is called by its label; new, with nothing before it.
    expect(topics[1]).toMatchObject({
      theme: null,
      name: 'label 9',
      summary: '',
      isNew: true,
      earlier: null,
      probability: null,
    })
    expect(topics[2]).toMatchObject({ firm: 1, isNew: null, similarity: null })
    expect([d, ...vectors]).toEqual([2, 1, 1, 9, 1, 1, 1, 2, 1])
  })

  it('gives sentences as they were said, with where, by whom, and how near they are to earlier ones', async () => {
    const { sentences } = await read()
    expect(sentences.find(one => one.text === 'oil b')).toEqual({
      ...{
        id: String(31 * 65536 + 2),
        firm: 0,
        topic: 0,
        date: '2024-05-01',
        position: 2,
        speaker: 'Ann',
        role: 'CEO',
      },
      ...{ section: 'answer', text: 'oil b', similarity: 0.9, repeated: true },
    })
    expect(sentences.find(one => one.text === 'gas a')).toMatchObject({
      firm: 1,
      date: null,
      similarity: null,
      repeated: null,
    })
    expect(sentences).toHaveLength(8)
  })

  it('brings as many sentences of a topic as are asked for, and those of themes with none', async () => {
    const one = await read(1)
    expect(one.topics.map(topic => topic.sentences.length)).toEqual([1, 1, 1, 1])
    const none = await read(0)
    expect(none.topics.every(topic => topic.sentences.length === 0)).toBe(true)
    expect(none.themes[0].representatives.map(place => none.sentences[place].text)).toEqual(['oil a', 'gas a'])
  })

  it('names what is gone, and shows how the themes of all quarters follow from one another', async () => {
    const { gone, flow, themes } = await read()
    const weather = { id: `${BEFORE}/03`, name: 'Weather', firms: 3, sentences: 0, topicsLinked: 0.5 }
    expect(gone).toEqual([{ ...weather, nearest: themes.findIndex(theme => theme.name === 'Oil and gas') }])
    expect(flow.quarters).toEqual([OLD, BEFORE, NOW])
    const [nodes, links] = [flow.nodes.map(node => node.id), flow.links]
    expect(links.map(({ source, target, event }) => `${nodes[source]} ${event} ${nodes[target]}`)).toEqual([
      `${OLD}/01 continued ${BEFORE}/01`,
      `${BEFORE}/01 merged ${NOW}/02`,
      `${BEFORE}/02 merged ${NOW}/02`,
    ])
    expect(links[1]).toMatchObject({
      similarity: 0.93,
      firmsInCommon: 2,
      firmsByChance: 0.5,
      topicsForward: 0.75,
      topicsBack: 0.25,
    })
    expect(flow.nodes.find(node => node.id === `${NOW}/02`)).toMatchObject({ lineageId: `${OLD}/01`, shareOfFirms: 1 })
  })

  it('says nothing of the future: an earlier quarter is shown as if it were the last', async () => {
    const { flow, gone, earlierQuarter, themes } = await read(3, OLD)
    expect({ earlierQuarter, gone, quarters: flow.quarters, links: flow.links }).toEqual({
      ...{ earlierQuarter: null, gone: [], quarters: [OLD], links: [] },
    })
    expect(themes[0]).toMatchObject({ event: 'first', cameFrom: [] })
  })

  it('takes the last run of each step that did something, in pipeline order, without the folders of its machine', async () => {
    const run = (
      command: string,
      version: string,
      counts: object,
      outcome = 'done',
      quarter: string | null = NOW,
    ) => sql`
      insert into runs (command, quarter, options, code_version, model, seed, worker, started_at, finished_at, outcome, counts)
      values (${command}, ${quarter}, ${sql.json({ paths: '/data/anna', threads: 2, epochs: 60 })}, ${version}, 'made r1', 42, 'w',
        '2024-07-01 10:00:00Z', '2024-07-01 10:00:05Z', ${outcome}, ${sql.json(JSON.parse(JSON.stringify(counts)))})`
    await run('aggregate', '1', { clustered: 4 })
    await run('embed', '1', { firms: 2, batchSecondsP50: 0.1, tokensPerSecond: 9 })
    await run('embed', '2', { firms: 0 }) // nothing left to do
    await run('embed', '3', { firms: 1 }, 'failed')
    await run('embed', '4', { firms: 1 }, 'done', BEFORE)
    await run('cluster-firm', '1', { firms: 2 })
    await run('cluster-firm', '2', { firms: 1 })
    await run('lineage', '5', { quarters: 3 }, 'done', null)
    const { provenance } = await read()
    expect(provenance.embeddingModel).toBe('made r1')
    expect(provenance.runs.map(one => `${one.command} ${one.codeVersion}`)).toEqual([
      'embed 1',
      'cluster-firm 2',
      'aggregate 1',
      'lineage 5',
    ])
    expect(provenance.runs[0]).toMatchObject({
      ...{
        finished: '2024-07-01T10:00:05Z',
        options: { epochs: 60 },
        counts: { firms: 2 },
        seed: 42,
        model: 'made r1',
      },
    })
    expect(provenance.sources).toEqual([{ format: 'made', calls: 2, example: `…/calls/${NOW}/…` }])
  })

  describe('where something is still to be done', () => {
    const set = (stage: string, state: string, firm: string) =>
      sql`update work set state = ${state} where stage = ${stage} and quarter = ${NOW} and firm_id = ${firm}`

    it('leaves out what novelty says of a firm that has changed since', async () => {
      await set('novelty', 'stale', 'A')
      const { firms, topics, sentences, themes, left } = await read()
      await set('novelty', 'done', 'A')
      expect(left).toEqual({ novelty: 1, lineage: false })
      expect(firms[0]).toMatchObject({ novelty: null, repeated: null, earlierQuarter: null })
      expect(topics.every(topic => topic.isNew === null && topic.similarity === null && topic.earlier === null)).toBe(
        true,
      )
      expect(sentences.every(one => one.similarity === null && one.repeated === null)).toBe(true)
      expect(themes.every(theme => theme.novelty === null && theme.newTopics === null)).toBe(true)
    })

    it('leaves out lineage, what is gone and the flow of a quarter whose themes have changed since', async () => {
      await set('lineage', 'pending', '*')
      const { themes, gone, flow, left } = await read()
      await set('lineage', 'done', '*')
      expect(left).toEqual({ novelty: 0, lineage: true })
      expect(themes.every(one => one.lineageId === null && one.event === null && one.cameFrom.length === 0)).toBe(true)
      expect(gone).toEqual([])
      // What went before it stands.
      expect(flow.quarters).toEqual([OLD, BEFORE, NOW])
      expect(flow.links).toHaveLength(1)
    })

    it('refuses a quarter without themes, with the step that comes next', async () => {
      await set('aggregate', 'stale', '*')
      await set('name-topics', 'pending', 'B')
      await expect(read()).rejects.toMatchObject({
        message: `the report of ${NOW} needs name-topics first: 1 of 2 left to do`,
        hint: expect.stringContaining(`quarterdeck name-topics --quarter ${NOW}`),
      })
      await set('aggregate', 'done', '*')
      await set('name-topics', 'done', 'B')
      await read()
    })
  })

  it('reads many topics in portions and misses none of them', async () => {
    const [firms, each] = [5, 900]
    await sql`insert into firms (firm_id) select 'F' || i from generate_series(1, ${firms}) i`
    await sql`
      insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences)
      select 1000 + i, 'F' || i, ${LARGE}, 'x', 'made', 'x', ${each} from generate_series(1, ${firms}) i`
    await sql`
      insert into sentences (quarter, sentence_id, call_id, firm_id, position, text)
      select ${LARGE}, (1000 + i) * 65536::bigint + j, 1000 + i, 'F' || i, j, 'said ' || i || ' ' || j
      from generate_series(1, ${firms}) i, generate_series(1, ${each}) j`
    await sql`
      insert into topics (topic_id, firm_id, quarter, label, size, keywords, keyword_weights, representative_sentences, centroid)
      select ${LARGE} || '/F' || i || '/' || j, 'F' || i, ${LARGE}, 'about ' || i || ' ' || j, 1, '{}', '{}',
        array[(1000 + i) * 65536::bigint + j], '[1,0]'
      from generate_series(1, ${firms}) i, generate_series(1, ${each}) j`
    await quarterDone(sql, LARGE)
    const heard: [number, number][] = []
    const { topics, sentences } = await readReport(sql, LARGE, 1, (more, all) => heard.push([more, all]))
    expect(heard).toEqual([0, 1800, 1800, 900].map(more => [more, firms * each]))
    expect(new Set(topics.map(topic => topic.id)).size).toBe(firms * each)
    for (const topic of topics) expect(`about ${sentences[topic.sentences[0]].text.slice(5)}`).toBe(topic.name)
  })
})

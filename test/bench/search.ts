// What `search` misses and how long it takes: as it decides itself, through the vector index, and comparing with all, with each
// filter; and what the index of words takes and gives. On the embedded database, since the larger costs are there.
// What is searched for are the names of topics, as in database-search.ts.

import { loadavg } from 'node:os'
import type { Database } from '../../lib/db/connect.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { findSentences, type How, sentencesWithWords, type Wanted, wordsOf } from '../../lib/db/search.ts'
import type { Filter } from '../../lib/db/search-filter.ts'
import { textIndexName } from '../../lib/db/text-index.ts'
import { say, thousands } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { succeed } from '../run.ts'
import { queriesOf } from './database-search.ts'
import { quantile } from './figures.ts'
import { describeMachine, table } from './markdown.ts'
import type { Data } from './quarter.ts'

const NEAREST = 10
// Ways in the order of the table.
const WAYS = [undefined, 'index', 'all'] as const
// Some seconds on the embedded database, where every sentence is read for each word.
const WITHOUT_INDEX = 10

type Way = { recall: number; milliseconds: number }
type FilterRow = { title: string; sentences: number; ways: Way[] }
export type SearchBench = {
  source: string
  sentences: number
  queries: number
  filters: FilterRow[]
  words: { seconds: number; bytes: number; milliseconds: number; without: number; hybrid: number }
  loadAtStart: number
  loadAtEnd: number
}

/** `home`: where the quarter is in the embedded database, with its themes. */
export async function measureFinding(data: Data, home: string, threads: number): Promise<SearchBench> {
  const { quarter, source } = data
  const [loadAtStart] = loadavg()
  const dropWords = (sql: Database) => sql`drop index if exists ${sql(textIndexName(quarter))}`
  const build = async () => JSON.parse(await succeed(['index', '--quarter', quarter, '--json'], { home }))
  await build()
  return await withDatabase(readSettings({ QUARTERDECK_HOME: home }), async sql => {
    const vectors = await queriesOf(sql, quarter, threads)
    const filters: FilterRow[] = []
    for (const [title, filter] of await filtersOf(sql, quarter))
      filters.push(await measureFilter(sql, title, filter, vectors))
    await dropWords(sql)
    const labels = await sql<{ label: string }[]>`
      select label from topics where quarter = ${quarter} order by topic_id`
    const step = Math.max(1, Math.floor(labels.length / vectors.length))
    const texts: string[][] = []
    for (const { label } of labels.filter((_, i) => i % step === 0).slice(0, vectors.length))
      texts.push(await wordsOf(sql, label))
    const byWords = (words: readonly string[]) => sentencesWithWords(sql, words, { quarter }, NEAREST)
    const without = await medianOf(texts.slice(0, WITHOUT_INDEX), byWords)
    const built: { seconds: number; wordBytes: number } = await build()
    const milliseconds = await medianOf(texts, byWords)
    const wanted: Wanted[] = vectors.map((vector, i) => ({ vector, words: texts[i] }))
    const hybrid = await medianOf(wanted, one => findSentences(sql, one, { quarter }, { limit: NEAREST }))
    const sentences = filters[0].sentences
    const words = { seconds: built.seconds, bytes: built.wordBytes, milliseconds, without, hybrid }
    return { source, sentences, queries: vectors.length, filters, words, loadAtStart, loadAtEnd: loadavg()[0] }
  })
}

/** The largest firm and theme, and a theme of middling size; MAEC tells no sections, so halves of the calls stand for them. */
async function filtersOf(sql: Database, quarter: string): Promise<[string, Filter][]> {
  await sql`
    update sentences set section = case when position * 2 < c.sentences then 'prepared' else 'answer' end
    from calls c where c.call_id = sentences.call_id and sentences.quarter = ${quarter} and section is null`
  const [{ firmId }] = await sql<{ firmId: string }[]>`
    select firm_id as "firmId" from calls where quarter = ${quarter} order by sentences desc, 1 limit 1`
  const themes = await sql<{ themeId: string }[]>`
    select theme_id as "themeId" from themes where quarter = ${quarter} order by sentences desc, theme_id`
  return [
    ['none but the quarter', { quarter }],
    ['the largest firm', { quarter, firmId }],
    ['the largest theme', { quarter, themeIds: [themes[0].themeId] }],
    ['a middling theme', { quarter, themeIds: [themes[themes.length >> 1].themeId] }],
    ['a section (half of each call)', { quarter, section: 'answer' }],
  ]
}

async function measureFilter(
  sql: Database,
  title: string,
  filter: Filter,
  vectors: readonly Float32Array[],
): Promise<FilterRow> {
  const nearest: Record<string, number[][]> = {}
  const milliseconds: number[] = []
  for (const through of WAYS) {
    const how: How = { limit: NEAREST, through }
    const answers: number[][] = []
    milliseconds.push(
      await medianOf(vectors, async vector => {
        const hits = await findSentences(sql, { vector }, filter, how)
        answers.push(hits.map(hit => hit.similarity ?? 0))
      }),
    )
    nearest[String(through)] = answers.slice(-vectors.length)
  }
  const ways = WAYS.map((through, i) => ({
    recall: recallOf(nearest[String(through)], nearest.all),
    milliseconds: milliseconds[i],
  }))
  const all = await findSentences(sql, { vector: vectors[0] }, filter, { limit: 1_000_000, through: 'all' })
  say(`bench: ${title}, ${all.length} sentences: recall ${ways.map(way => way.recall.toFixed(4)).join(', ')}`)
  return { title, sentences: all.length, ways }
}

/** By nearness, not by sentence: of two that are equally near either is right. */
function recallOf(found: readonly number[][], exact: readonly number[][]): number {
  let right = 0
  let all = 0
  for (const [i, truth] of exact.entries()) {
    right += found[i].filter(similarity => similarity >= truth[truth.length - 1]).length
    all += truth.length
  }
  return right / all
}

/** After a round of ten that brings rows and index into memory. */
async function medianOf<Item>(items: readonly Item[], ask: (item: Item) => Promise<unknown>): Promise<number> {
  for (const item of items.slice(0, NEAREST)) await ask(item)
  const times: number[] = []
  for (const item of items) {
    const start = performance.now()
    await ask(item)
    times.push(performance.now() - start)
  }
  return quantile(times, 0.5)
}

export function reportFinding(bench: SearchBench): string {
  const { source, sentences, queries, filters, words, loadAtStart, loadAtEnd } = bench
  const milliseconds = (value: number) => (value < 100 ? value.toPrecision(3) : value.toFixed(0))
  return [
    `- Data: ${source}; ${thousands(sentences)} sentences that are no talk, on the embedded database.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    table(
      ['Filter', 'sentences', 'recall@10', 'ms', 'through the index', 'ms', 'comparing all, ms'],
      filters.map(({ title, sentences, ways: [asIs, index, all] }) => [
        title,
        thousands(sentences),
        asIs.recall.toFixed(4),
        milliseconds(asIs.milliseconds),
        index.recall.toFixed(4),
        milliseconds(index.milliseconds),
        milliseconds(all.milliseconds),
      ]),
    ),
    `${queries} searches for the first keywords of topics; medians; the text of every hit is in the times, the embedding of the query is not.`,
    table(
      ['Words', 'ms'],
      [
        ['by words, with their index', milliseconds(words.milliseconds)],
        ['by words, without it', milliseconds(words.without)],
        ['hybrid, both indexes', milliseconds(words.hybrid)],
      ],
    ),
    `The index of the words: ${(words.bytes / 2 ** 20).toFixed(1)} MB, built in ${words.seconds.toFixed(1)} s.`,
  ].join('\n\n')
}

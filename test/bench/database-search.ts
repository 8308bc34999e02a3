// The vector index: how long `index` builds it, and how near and how quick the product's search is through it, beside comparing
// with all of the same rows. On the real sentences of a quarter; what is searched for are topics' keywords.
// Which databases there are is database.ts's.

import type { Database } from '../../lib/db/connect.ts'
import { findSentences, type How } from '../../lib/db/search.ts'
import { dropIndex } from '../../lib/db/vector-index.ts'
import { say } from '../../lib/log.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { SHIPPED_MODEL } from '../../lib/settings.ts'
import { succeed } from '../run.ts'
import { quantile } from './figures.ts'

export type Latency = { p50: number; p95: number }

export type IndexRow = {
  /** Parallel workers that the server may take for a build; null for the embedded database, which has none. */
  workers: number | null
  buildSeconds: number
  bytes: number
  /** Share of the ten truly nearest sentences that search finds. */
  recall: number
  /** In milliseconds. */
  search: Latency
}

export type SearchReport = {
  model: string
  sentences: number
  queries: number
  exact: Latency
  rows: IndexRow[]
}

const QUERIES = 200
const NEAREST = 10

/** Texts such as a person searches for: the first keywords of topics, spread evenly over the quarter. */
export async function queriesOf(sql: Database, quarter: string, threads: number): Promise<Float32Array[]> {
  const labels = await sql<{ label: string }[]>`select label from topics where quarter = ${quarter} order by topic_id`
  const step = Math.max(1, Math.floor(labels.length / QUERIES))
  const texts = labels.filter((_, i) => i % step === 0).slice(0, QUERIES)
  const embedder = await openEmbedder({ model: SHIPPED_MODEL, threads })
  const { vectors } = await embedder.embed(
    texts.map(({ label }) => label),
    { as: 'query' },
  )
  await embedder.close()
  const d = embedder.dimension
  return texts.map((_, i) => vectors.subarray(i * d, (i + 1) * d))
}

/** A quarter that is embedded; a server is asked to build alone and with two workers. */
export async function measureSearch(
  sql: Database,
  { home, databaseUrl }: { home: string; databaseUrl: string | undefined },
  quarter: string,
  queries: readonly Float32Array[],
): Promise<SearchReport> {
  await dropIndex(sql, quarter)
  const exact = await ask(sql, quarter, queries, 'all')
  const rows: IndexRow[] = []
  const env: Record<string, string> = databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }
  for (const workers of databaseUrl === undefined ? [null] : [0, 2]) {
    // For the connection to come: the command has one of its own, and takes as many as it is allowed.
    if (workers !== null) await sql`alter database postgres set max_parallel_workers = ${sql.unsafe(String(workers))}`
    const done = await succeed(['index', '--quarter', quarter, '--force', '--json'], { home, env })
    const { seconds, bytes }: { seconds: number; bytes: number } = JSON.parse(done)
    const found = await ask(sql, quarter, queries, 'index')
    const recall = recallOf(found.similarities, exact.similarities)
    rows.push({ workers, buildSeconds: seconds, bytes, recall, search: found.latency })
    say(
      `bench: index with ${workers ?? 'no'} workers in ${seconds.toFixed(1)} s, recall ${recall.toFixed(3)}, ` +
        `${found.latency.p50.toFixed(2)} ms; exact ${exact.latency.p50.toFixed(1)} ms`,
    )
  }
  const [{ sentences }] = await sql<{ sentences: number }[]>`
    select count(*)::int as sentences from sentence_vectors where quarter = ${quarter}`
  return { model: SHIPPED_MODEL, sentences, queries: queries.length, exact: exact.latency, rows }
}

type Answers = { latency: Latency; similarities: number[][] }

async function ask(
  sql: Database,
  quarter: string,
  queries: readonly Float32Array[],
  through: How['through'],
): Promise<Answers> {
  const find = (vector: Float32Array) => findSentences(sql, { vector }, { quarter }, { limit: NEAREST, through })
  // Rows and index into memory: a first search after a build reads what the build has written.
  for (const vector of queries.slice(0, NEAREST)) await find(vector)
  const milliseconds: number[] = []
  const similarities: number[][] = []
  for (const vector of queries) {
    const start = performance.now()
    const hits = await find(vector)
    milliseconds.push(performance.now() - start)
    similarities.push(hits.map(hit => hit.similarity ?? 0))
  }
  return { latency: { p50: quantile(milliseconds, 0.5), p95: quantile(milliseconds, 0.95) }, similarities }
}

/** By nearness, not by sentence: of two that are equally near either is right. */
function recallOf(found: readonly number[][], exact: readonly number[][]): number {
  let right = 0
  let all = 0
  for (const [i, truth] of exact.entries()) {
    const least = truth[truth.length - 1]
    right += found[i].filter(similarity => similarity >= least).length
    all += truth.length
  }
  return right / all
}

// What the bench measured of the two databases, as Markdown: vectors in and out, the vector index, work shared by processes.
// Nothing is measured here.

import { availableParallelism } from 'node:os'
import { thousands } from '../../lib/log.ts'
import type { DatabaseReport, DatabaseRun } from './database.ts'
import { type ClaimRow, SENTENCES, WORK_MILLISECONDS } from './database-claims.ts'
import type { Rate } from './database-load.ts'
import type { SearchReport } from './database-search.ts'
import { describeMachine, megabytes, percent, seconds, table } from './markdown.ts'

export function reportDatabase(report: DatabaseReport): string {
  const { source, rows, versions, embedded, server, loadAtStart, loadAtEnd } = report
  const runs = server === undefined ? [embedded] : [embedded, server]
  return [
    `- Data: ${thousands(rows)} made vectors; search on ${source}.\n- The server: ${versions ?? 'none in this run (npm run test:setup)'}.\n` +
      describeMachine(loadAtStart, loadAtEnd),
    ...embedded.vectors.flatMap(({ dimension }, i) => [
      `### ${dimension} numbers a vector`,
      describeRates('Loading, rows a second', embedded.vectors[i].loading, server?.vectors[i].loading),
      describeRates('Reading, rows a second', embedded.vectors[i].reading, server?.vectors[i].reading),
    ]),
    describeRounds(embedded),
    '### The vector index',
    describeSearch(embedded.search, server?.search),
    `${thousands(embedded.search.sentences)} sentences, ${embedded.search.model}; ${embedded.search.queries} searches for the first ` +
      'keywords of topics, the ten nearest sentences of each, as `search` asks for them: the text of every hit, its call, topic ' +
      'and theme are in the times, the embedding of the query is not.',
    '### Processes that share a quarter',
    describeClaims(embedded.claims, server?.claims),
    `Each process claims a firm-quarter, waits ${WORK_MILLISECONDS} ms in place of computing, and finishes it with ${SENTENCES} vectors in one ` +
      `transaction, on ${availableParallelism()} cores for all of them and the database. In every run each of the ` +
      `${runs[0].claims[0].firms} firm-quarters was done once, at its first attempt.`,
  ].join('\n\n')
}

/** Beside psql's binary \copy of the same kind, where there is a server. */
function describeRates(title: string, embedded: readonly Rate[], server: readonly Rate[] | undefined): string {
  const rows = (server ?? embedded).map(({ name, rowsPerSecond, limit }) => {
    const psql = server?.find(rate => rate.name === limit)
    const inEmbedded = embedded.find(rate => rate.name === name)
    return [
      name,
      server === undefined ? '–' : thousands(rowsPerSecond),
      psql === undefined ? '–' : percent(rowsPerSecond / psql.rowsPerSecond),
      inEmbedded === undefined ? '–' : thousands(inEmbedded.rowsPerSecond),
    ]
  })
  return table([title, 'a Postgres server', "of psql's binary", 'the embedded database'], rows)
}

function describeRounds({ vectors }: DatabaseRun): string {
  const [{ loading }] = vectors
  const few = Math.min(...loading.map(rate => rate.rows))
  return (
    `Medians of ${loading[0].rounds} rounds after one that warms up, in turn, into the same empty table with its two indexes. Ways ` +
    `that write text through our client load ${thousands(few)} rows a round. psql reads a file that was written before, and its time is its ` +
    'own (`\\timing`), without its start. After the first round all vectors were read back and compared bit by bit.'
  )
}

function describeSearch(embedded: SearchReport, server: SearchReport | undefined): string {
  const milliseconds = (value: number) => value.toPrecision(3)
  const side = (name: string, { exact, rows }: SearchReport) => [
    [`${name}, exact`, '–', '–', '1', milliseconds(exact.p50), milliseconds(exact.p95)],
    ...rows.map(({ workers, buildSeconds, bytes, recall, search }) => [
      `${name}, indexed${workers === null ? '' : workers === 0 ? ' alone' : ` with ${workers} workers`}`,
      seconds(buildSeconds),
      megabytes(bytes),
      recall.toFixed(3),
      milliseconds(search.p50),
      milliseconds(search.p95),
    ]),
  ]
  return table(
    ['Search', 'building, seconds', 'index MB', 'recall@10', 'ms, median', 'ms, 95 of 100'],
    [...side('the embedded database', embedded), ...(server === undefined ? [] : side('a Postgres server', server))],
  )
}

function describeClaims(embedded: readonly ClaimRow[], server: readonly ClaimRow[] | undefined): string {
  const rate = ({ firms, seconds }: ClaimRow) => firms / seconds
  const cells = (rows: readonly ClaimRow[] | undefined, i: number) =>
    rows === undefined ? ['–', '–'] : [rate(rows[i]).toFixed(1), `${(rate(rows[i]) / rate(rows[0])).toFixed(1)} ×`]
  return table(
    ['Processes', 'firm-quarters a second, embedded', 'of one', 'firm-quarters a second, server', 'of one'],
    embedded.map(({ processes }, i) => [String(processes), ...cells(embedded, i), ...cells(server, i)]),
  )
}

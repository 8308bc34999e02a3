// sql: one read-only statement of the person's own, as a table, JSON or CSV; so that nobody needs psql.

import type { Command } from '../lib/command.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { type QueryResult, readOnlyQuery } from '../lib/db/query.ts'
import { UsageError } from '../lib/errors.ts'
import { JSON_OUTPUT, switchFlag } from '../lib/flags.ts'
import { csvOf, renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'sql',
  summary: 'Run one read-only SQL statement and print the result',
  about:
    'The tables and columns stand in docs/data-dictionary.md. It cannot write, on whatever database and as whatever user: ' +
    'one statement that reads, in a read-only transaction that is rolled back, and no function that can act. It reads what ' +
    'the user of DATABASE_URL may read, and computes as long as the statement takes: Ctrl-C ends it on a server; the ' +
    'embedded database finishes it, and other commands wait meanwhile.',
  words: 'STATEMENT',
  flags: [
    { ...JSON_OUTPUT, summary: 'Print an array of row objects' },
    { name: 'csv', summary: 'Print CSV with a header line' },
  ],
  examples: [
    'sql "select name, firms from themes where quarter = \'2024Q3\' order by firms desc"',
    'sql "select * from topics" --csv > topics.csv',
  ],
  async run({ words, flags, settings, print, columns }) {
    if (words.length !== 1)
      throw new UsageError(
        `sql takes one statement in quotes, and got ${words.length} words`,
        'quarterdeck sql "select * from themes"',
      )
    const asJson = switchFlag(flags, 'json')
    const asCsv = switchFlag(flags, 'csv')
    if (asJson && asCsv) throw new UsageError('--json and --csv exclude each other', 'give one of them')
    const result = await withDatabase(settings, sql => readOnlyQuery(sql, words[0]))
    if (asJson) return print(JSON.stringify(rowObjects(result)))
    const cells = result.rows.map(row => row.map(textOf))
    const titles = result.columns.map((title, i) => ({ title, align: alignment(result, i) }))
    print(asCsv ? csvOf(titles, cells) : renderTable(titles, cells, columns))
  },
}

/** The rows of one reading statement as objects; a number too large for JavaScript (sentence_id) comes as text. */
export async function query(sql: Database, statement: string): Promise<Record<string, unknown>[]> {
  return rowObjects(await readOnlyQuery(sql, statement))
}

function rowObjects({ columns, rows }: QueryResult): Record<string, unknown>[] {
  // Two columns of one name are two all the same: x, x_2.
  const names = columns.map((column, i) => {
    const earlier = columns.slice(0, i).filter(other => other === column).length
    return earlier === 0 ? column : `${column}_${earlier + 1}`
  })
  return rows.map(row => Object.fromEntries(names.map((name, i) => [name, plain(row[i])])))
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  return value
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  const simple = plain(value)
  if (simple instanceof Date) return simple.toISOString()
  return typeof simple === 'object' ? JSON.stringify(simple) : String(simple)
}

function alignment({ rows }: QueryResult, column: number): 'left' | 'right' {
  const first = rows.find(row => row[column] !== null)?.[column]
  return typeof first === 'number' || typeof first === 'bigint' ? 'right' : 'left'
}

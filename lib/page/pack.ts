// The report's data as one string and back: lists of alike objects become columns, since their keys, said 180,000 times,
// are most of the bytes. Pure, because Node packs and the browser unpacks. Leaves compression to both.

import type { ReportData } from './report-data.ts'

/** The long lists; all else is packed as it is. */
type List = 'topics' | 'firms' | 'sentences'
// Shares and similarities are shown with two digits, places on the map with three; four leave room to sort by.
const DIGITS = 1e4

/** JSON in pieces of bounded size, so that no string of a large report stands in memory whole. */
export function* packed(data: ReportData): Generator<string> {
  const { topics, firms, sentences, ...rest } = data
  yield `{"rest":${JSON.stringify(rest, rounded)}`
  for (const [name, rows] of Object.entries({ topics, firms, sentences } satisfies Record<List, readonly object[]>)) {
    yield `,"${name}":{`
    yield* columnsOf(rows)
    yield '}'
  }
  yield '}'
}

const PIECE = 4096 // rows: some 500 KB of sentences

function* columnsOf(rows: readonly object[]): Generator<string> {
  const keys = rows.length > 0 ? Object.keys(rows[0]) : []
  for (const [place, key] of keys.entries()) {
    yield `${place > 0 ? ',' : ''}${JSON.stringify(key)}:[`
    for (let from = 0; from < rows.length; from += PIECE) {
      const values = rows.slice(from, from + PIECE).map(row => (row as Record<string, unknown>)[key] ?? null)
      yield `${from > 0 ? ',' : ''}${JSON.stringify(values, rounded).slice(1, -1)}`
    }
    yield ']'
  }
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Math.round(value * DIGITS) / DIGITS : value
}

type Columns = Record<string, unknown[]>
type Packed = { rest: Omit<ReportData, List> } & Record<List, Columns>

export function unpacked(text: string): ReportData {
  const { rest, topics, firms, sentences } = JSON.parse(text) as Packed
  return { ...rest, topics: rowsOf(topics), firms: rowsOf(firms), sentences: rowsOf(sentences) }
}

function rowsOf<T>(columns: Columns): T[] {
  const keys = Object.keys(columns)
  return (columns[keys[0]] ?? []).map((_, i) => Object.fromEntries(keys.map(key => [key, columns[key][i]])) as T)
}

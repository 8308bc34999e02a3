// Rows as text: CSV by RFC 4180, and JSON Lines. Both are written as rows come, and hold nothing back.

import type { Row, Sink, Table, TableWriter, Value } from './table.ts'

const CRLF = '\r\n' // RFC 4180, 2.1; pandas, R, Stata, DuckDB and Excel read it as they read a line feed

/** UTF-8 without a mark. A missing value is an empty field, an empty text is "", which DuckDB and readr can tell apart. */
export function csvWriter({ columns }: Table, write: Sink): TableWriter {
  let isBegun = false
  function head(): string {
    if (isBegun) return ''
    isBegun = true
    return columns.map(column => csvField(column.name)).join(',') + CRLF
  }
  return {
    async rows(rows) {
      await write(head() + rows.map(row => row.map(csvField).join(',') + CRLF).join(''))
    },
    finish: () => write(head()),
    async close() {},
  }
}

function csvField(value: Value): string {
  if (value === null) return ''
  const text = String(value)
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** One object a line; a missing value is null. */
export function jsonlWriter({ columns }: Table, write: Sink): TableWriter {
  const keys = columns.map(column => `${JSON.stringify(column.name)}:`)
  const line = (row: Row) => `{${row.map((value, i) => keys[i] + JSON.stringify(value)).join(',')}}\n`
  return {
    rows: rows => write(rows.map(line).join('')),
    async finish() {},
    async close() {},
  }
}

// The formats a table can be taken home in, and who writes each.

import { dtaWriter } from './dta.ts'
import { parquetWriter } from './parquet.ts'
import { checkTable, type Facts, type Sink, type Table, type TableWriter } from './table.ts'
import { csvWriter, jsonlWriter } from './text-formats.ts'

export const FORMATS = ['parquet', 'csv', 'dta', 'jsonl'] as const
export type Format = (typeof FORMATS)[number]

/** `file` is where the bytes go in the end: Stata's format needs a scratch file beside it. */
export async function openWriter(
  format: Format,
  table: Table,
  facts: Facts,
  write: Sink,
  { file, made }: { file: string; made: Date },
): Promise<TableWriter> {
  checkTable(table)
  switch (format) {
    case 'csv':
      return csvWriter(table, write)
    case 'jsonl':
      return jsonlWriter(table, write)
    case 'parquet':
      return parquetWriter(table, facts, write)
    case 'dta':
      return await dtaWriter(table, facts, write, { scratch: `${file}.rows.part`, made })
  }
}

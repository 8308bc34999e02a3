// Rows as Parquet, by hyparquet-writer: a row group at a time, so that memory holds one of them. Here is which type a column
// becomes, how large a group is, and that what the columns mean travels in the file.

import { gzipSync } from 'node:zlib'
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import {
  type Column,
  daysSince1970,
  type Facts,
  type Row,
  type Sink,
  type Table,
  type TableWriter,
  type Value,
} from './table.ts'

// Larger groups compress no better (m, 95,064 real sentences: 5.40 MB in groups of 10,000, 5.38 in groups of 100,000) and take
// memory (m, 200,000 made ones: 207 MB and 624).
const GROUP_ROWS = 10_000
// Every reader of Parquet knows gzip. Node 20 has no zstd, and its zlib is compiled where the library's snappy is not.
const GZIP_LEVEL = 1

const TYPES: Record<Column['type'], Omit<SchemaElement, 'name'>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  integer: { type: 'INT32' },
  number: { type: 'DOUBLE' },
  date: { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } },
  flag: { type: 'BOOLEAN' },
}

export function parquetWriter(table: Table, facts: Facts, write: Sink): TableWriter {
  const { columns } = table
  const about = JSON.stringify({
    title: table.title,
    ...facts,
    columns: Object.fromEntries(
      columns.map(({ name, label, unit, meaning, missing, source }) => [
        name,
        { label, unit, meaning, missing, source },
      ]),
    ),
  })
  const bytes = new FlushedBytes(write)
  const parquet = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: 'root', num_children: columns.length },
      ...columns.map(({ name, type }): SchemaElement => ({ name, repetition_type: 'OPTIONAL', ...TYPES[type] })),
    ],
    codec: 'GZIP',
    compressors: { GZIP: data => gzipSync(data, { level: GZIP_LEVEL }) },
    // What pyarrow shows as schema.metadata. pandas makes df.attrs of its own key.
    kvMetadata: [
      { key: 'quarterdeck', value: about },
      { key: 'PANDAS_ATTRS', value: about },
    ],
    createdBy: `quarterdeck ${facts.code ?? ''}`.trim(),
  })
  let waiting: Row[] = []

  async function writeGroup(): Promise<void> {
    const group = waiting
    waiting = []
    if (group.length === 0) return
    const columnData = columns.map(({ name, type }, i) => ({ name, data: group.map(row => stored(type, row[i])) }))
    await parquet.write({ columnData, rowGroupSize: group.length })
  }

  return {
    async rows(rows) {
      for (let from = 0; from < rows.length; ) {
        const taken = rows.slice(from, from + GROUP_ROWS - waiting.length)
        waiting = waiting.concat(taken)
        from += taken.length
        if (waiting.length === GROUP_ROWS) await writeGroup()
      }
    },
    async finish() {
      await writeGroup()
      await parquet.finish()
    },
    async close() {},
  }
}

function stored(type: Column['type'], value: Value): Value {
  return type === 'date' && typeof value === 'string' ? daysSince1970(value) : value
}

/** Hands on what a row group has made, and begins again at the front of the same memory. */
class FlushedBytes extends ByteWriter {
  readonly #write: Sink
  constructor(write: Sink) {
    super()
    this.#write = write
  }
  async flush(): Promise<void> {
    await this.#write(this.getBytes())
    this.index = 0
  }
  override async finish(): Promise<void> {
    await this.flush()
  }
}

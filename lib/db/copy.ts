// Bulk load: rows → Postgres' binary COPY format → `copy … from stdin (format binary)`.
// Binary because it loads 46,000 to 97,000 vectors a second where multi-row inserts load 1,500 to 5,000 (docs/benchmarks.md).
// Transactions around it belong to the caller; what the tables mean belongs to the files of those tables.

import type { Writable } from 'node:stream'
import type { Database, Queries } from './connect.ts'
import { encodeVector, vectorBytes } from './vector-format.ts'

export type ColumnType =
  | 'bool'
  | 'bytea'
  | 'date'
  | 'float4'
  | 'float4[]'
  | 'float8'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'int8[]'
  | 'jsonb'
  | 'text'
  | 'text[]'
  | 'vector'

export type Column = Readonly<{ name: string; type: ColumnType }>

/**
 * Appends rows to a table, each an array of values in the order of `columns`; null is NULL. Returns the number of rows.
 * All rows are written or none. The rows should be ready: while one is awaited, the embedded database serves nobody else.
 */
export async function copyRows(
  sql: Queries,
  table: string,
  columns: readonly Column[],
  rows: Iterable<readonly unknown[]> | AsyncIterable<readonly unknown[]>,
): Promise<number> {
  const names = columns.map(column => column.name)
  return await copyIn(sql, table, names, encodeRows(table, columns, rows))
}

// COPY keeps memory in the embedded database: 80 MB in one COPY took its process to 0.9 to 1.7 GB, 16 MB leaves no trace.
// 1 MB below that, because a piece is closed by the buffer that crosses the line.
const PIECE_BYTES = 15 * 2 ** 20

/** As `copyRows`, for rows that are encoded already: each buffer holds whole rows. */
export async function copyIn(
  sql: Queries,
  table: string,
  columns: readonly string[],
  rows: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<number> {
  // Several COPYs are one change: outside a transaction they get their own.
  if (isDatabase(sql)) return await sql.begin(transaction => copyIn(transaction, table, columns, rows))
  const source = Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]()
  let count = 0
  try {
    let next = await source.next()
    while (!next.done) {
      const copy = await beginCopy(sql, table, columns)
      for (let bytes = 0; !next.done && bytes < PIECE_BYTES && !copy.failed(); ) {
        await copy.write(next.value)
        bytes += next.value.length
        next = await copy.abortUnless(() => source.next())
      }
      count += await copy.end()
    }
  } finally {
    await source.return?.()
  }
  return count
}

function isDatabase(sql: Queries): sql is Database {
  return 'begin' in sql
}

const FILE_HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
const FILE_TRAILER = Buffer.from([0xff, 0xff])

/** What postgres.js keeps on a query besides the promise; its types leave it out. */
type Settlement = { resolve(result: { count: number }): void; reject(error: unknown): void }

/**
 * One COPY whose end is really awaited. postgres.js 3.4.9 settles the query with the stream as soon as the server asks for
 * data, so a row that the server refuses hangs the pipeline or passes for success. Here the query's resolve and reject are
 * taken over once the stream is there.
 */
async function beginCopy(sql: Queries, table: string, columns: readonly string[]) {
  const query = sql`copy ${sql(table)} (${sql(columns)}) from stdin (format binary)`
  const stream: Writable = await query.writable()
  const settlement = query as unknown as Settlement
  const outcome = new Promise<{ count: number }>((resolve, reject) => {
    settlement.resolve = resolve
    settlement.reject = reject
  })
  let refused = false
  const settled = outcome.then(
    () => {},
    () => {
      refused = true
    },
  )
  stream.on('error', () => {}) // the same error arrives through `outcome`
  // A finished stream destroys itself, and postgres.js answers every destroy with CopyFail, which would land in the next
  // exchange: only a real abort may send it.
  const sendFailure = stream._destroy
  stream._destroy = (error, done) => (error ? sendFailure.call(stream, error, done) : done(null))

  async function write(bytes: Buffer): Promise<void> {
    if (refused || stream.write(bytes)) return
    await Promise.race([new Promise(resolve => stream.once('drain', resolve)), settled])
  }
  await write(FILE_HEADER)
  return {
    write,
    failed: () => refused,
    /** Runs `read`; when it throws, tells the server to forget the rows, and passes the error on. */
    async abortUnless<T>(read: () => T | Promise<T>): Promise<T> {
      try {
        return await read()
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)))
        await settled
        throw error
      }
    },
    async end(): Promise<number> {
      await write(FILE_TRAILER)
      if (!refused) stream.end()
      return (await outcome).count
    },
  }
}

// Encoded rows leave in buffers of a quarter megabyte: large enough that a buffer's overhead disappears, small enough that
// a piece ends close to its limit.
const BUFFER_BYTES = 2 ** 18
const FULL_BYTES = BUFFER_BYTES - 2 ** 14 // a row is seldom larger, so the buffer seldom has to grow

async function* encodeRows(
  table: string,
  columns: readonly Column[],
  rows: Iterable<readonly unknown[]> | AsyncIterable<readonly unknown[]>,
): AsyncGenerator<Buffer> {
  const encode = rowEncoder(table, columns)
  let output: Output = { buffer: Buffer.allocUnsafe(BUFFER_BYTES), end: 0 }
  let row = 0
  /** Adds a row; returns the buffer when it is full enough to leave. */
  function add(values: readonly unknown[]): Buffer | undefined {
    encode(values, row++, output)
    if (output.end < FULL_BYTES) return undefined
    const full = output.buffer.subarray(0, output.end)
    output = { buffer: Buffer.allocUnsafe(BUFFER_BYTES), end: 0 }
    return full
  }
  if (Symbol.asyncIterator in rows) {
    for await (const values of rows) {
      const full = add(values)
      if (full) yield full
    }
  } else {
    // Apart, because to await every row costs more than to encode it.
    for (const values of rows) {
      const full = add(values)
      if (full) yield full
    }
  }
  if (output.end > 0) yield output.buffer.subarray(0, output.end)
}

/** Bytes written so far; the buffer is replaced by a larger one when a value needs it. */
type Output = { buffer: Buffer; end: number }

function reserve(output: Output, bytes: number): void {
  const wanted = output.end + bytes
  if (wanted <= output.buffer.length) return
  const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * output.buffer.length))
  output.buffer.copy(larger, 0, 0, output.end)
  output.buffer = larger
}

/** A function that appends one row: field count, then for each field its length (-1 for NULL) and its bytes. */
function rowEncoder(table: string, columns: readonly Column[]) {
  const fields = columns.map(column => ({ ...column, encode: ENCODERS[column.type] }))
  return (values: readonly unknown[], row: number, output: Output): void => {
    if (values.length !== fields.length)
      throw new TypeError(`${table}, row ${row + 1}: ${values.length} values for ${fields.length} columns`)
    reserve(output, 2)
    output.end = output.buffer.writeInt16BE(fields.length, output.end)
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]
      try {
        appendField(field.encode, values[i], output)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new TypeError(`${table}.${field.name}, row ${row + 1}: ${reason}`, { cause: error })
      }
    }
  }
}

/** Appends the value's bytes; the length before them is written by `appendField`. */
type Encoder = (value: unknown, output: Output) => void

function appendField(encode: Encoder, value: unknown, output: Output): void {
  reserve(output, 4)
  const lengthAt = output.end
  output.end += 4
  if (value === null) {
    output.buffer.writeInt32BE(-1, lengthAt)
    return
  }
  encode(value, output)
  output.buffer.writeInt32BE(output.end - lengthAt - 4, lengthAt)
}

// Type numbers of array elements, from pg_type.dat; they never change.
const INT8_TYPE = 20
const TEXT_TYPE = 25
const FLOAT4_TYPE = 700

const ENCODERS: Readonly<Record<ColumnType, Encoder>> = {
  bool: appendBoolean,
  bytea: appendBytes,
  date: appendDate,
  float4: appendFloat4,
  'float4[]': arrayEncoder(FLOAT4_TYPE, appendFloat4),
  float8: appendFloat8,
  int2: appendInt2,
  int4: appendInt4,
  int8: appendInt8,
  'int8[]': arrayEncoder(INT8_TYPE, appendInt8),
  jsonb: appendJson,
  text: appendText,
  'text[]': arrayEncoder(TEXT_TYPE, appendText),
  vector: appendVector,
}

function wanted(what: string, value: unknown): TypeError {
  const isText = typeof value === 'string'
  const found = isText
    ? JSON.stringify(value.slice(0, 40))
    : value === undefined
      ? 'undefined'
      : `${typeof value} ${value}`
  return new TypeError(`found ${found}, wanted ${what}`)
}

function appendBoolean(value: unknown, output: Output): void {
  if (typeof value !== 'boolean') throw wanted('true or false', value)
  reserve(output, 1)
  output.end = output.buffer.writeUInt8(value ? 1 : 0, output.end)
}

function appendInt2(value: unknown, output: Output): void {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wanted('a whole number', value)
  reserve(output, 2)
  output.end = output.buffer.writeInt16BE(value, output.end)
}

function appendInt4(value: unknown, output: Output): void {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wanted('a whole number', value)
  reserve(output, 4)
  output.end = output.buffer.writeInt32BE(value, output.end)
}

function appendInt8(value: unknown, output: Output): void {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) throw wanted('a bigint or a safe whole number', value)
  reserve(output, 8)
  output.end = output.buffer.writeBigInt64BE(BigInt(value as bigint | number), output.end)
}

function appendFloat4(value: unknown, output: Output): void {
  if (typeof value !== 'number') throw wanted('a number', value)
  reserve(output, 4)
  output.end = output.buffer.writeFloatBE(value, output.end)
}

function appendFloat8(value: unknown, output: Output): void {
  if (typeof value !== 'number') throw wanted('a number', value)
  reserve(output, 8)
  output.end = output.buffer.writeDoubleBE(value, output.end)
}

function appendText(value: unknown, output: Output): void {
  if (typeof value !== 'string') throw wanted('a string', value)
  // Postgres cannot hold the zero character; its own words ('invalid byte sequence') name neither column nor row.
  if (value.includes('\0')) throw wanted('text without the zero character', value)
  reserve(output, 3 * value.length) // a UTF-16 unit takes at most three bytes
  output.end += output.buffer.write(value, output.end, 'utf8')
}

function appendBytes(value: unknown, output: Output): void {
  if (!(value instanceof Uint8Array)) throw wanted('bytes', value)
  reserve(output, value.length)
  output.buffer.set(value, output.end)
  output.end += value.length
}

function appendJson(value: unknown, output: Output): void {
  const text = JSON.stringify(value)
  if (text === undefined) throw wanted('something that JSON can say', value)
  reserve(output, 1)
  output.end = output.buffer.writeUInt8(1, output.end) // version of jsonb's binary format
  appendText(text, output)
}

const DAY_MILLISECONDS = 86_400_000
const POSTGRES_EPOCH_DAY = 10_957 // 2000-01-01, counted from 1970-01-01

function appendDate(value: unknown, output: Output): void {
  const isDay = typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)
  const milliseconds = isDay ? Date.parse(value) : Number.NaN
  // Date.parse takes 2024-02-30 for 1 March, so the day has to come back as it went in.
  if (!isDay || Number.isNaN(milliseconds) || new Date(milliseconds).toISOString().slice(0, 10) !== value)
    throw wanted('a day such as "2024-10-25"', value)
  reserve(output, 4)
  output.end = output.buffer.writeInt32BE(milliseconds / DAY_MILLISECONDS - POSTGRES_EPOCH_DAY, output.end)
}

function appendVector(value: unknown, output: Output): void {
  if (!(value instanceof Float32Array)) throw wanted('a Float32Array', value)
  reserve(output, vectorBytes(value.length))
  output.end = encodeVector(value, output.buffer, output.end)
}

/** One-dimensional arrays: number of dimensions, whether NULLs occur, element type, length, lower bound, then the fields. */
function arrayEncoder(elementType: number, encode: Encoder): Encoder {
  return (value, output) => {
    if (!Array.isArray(value) && !(value instanceof Float32Array)) throw wanted('an array', value)
    reserve(output, 20)
    const header =
      value.length === 0
        ? [0, 0, elementType]
        : [1, value.some((element: unknown) => element === null) ? 1 : 0, elementType, value.length, 1]
    for (const word of header) output.end = output.buffer.writeInt32BE(word, output.end)
    for (const element of value) appendField(encode, element, output)
  }
}

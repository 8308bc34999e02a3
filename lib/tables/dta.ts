// Rows as a data set of Stata, format 118 (Stata 14 and later; https://www.stata.com/help.cgi?dta), with labels and notes.
// Our own: no package writes it, and the format is a page of fixed fields. It begins with the number of rows and the width
// of each text, so rows go to a scratch file first, which has no name any more and is gone with the process.

import { type FileHandle, open, rm } from 'node:fs/promises'
import { refuseToWrite } from '../new-file.ts'
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

// Types of variables: a text of so many bytes is its width, all else a number of its own.
const STR_MOST = 2045
const STRL = 32_768
const DOUBLE = 65_526
const LONG = 65_528
const BYTE = 65_530
const BYTES: Readonly<Record<number, number>> = { [STRL]: 8, [DOUBLE]: 8, [LONG]: 4, [BYTE]: 1 }
// What Stata shows as a dot lies above the largest value of a type.
const LONG_MOST = 2_147_483_620
const DOUBLE_MOST = 8.988465674311579e307
const NO_LONG = 2_147_483_621
const NO_DOUBLE = 2 ** 1023
const NO_BYTE = 101
/** Stata counts days from 1960-01-01. */
const DAYS_1960_TO_1970 = 3653
// Fields of fixed width, with room for a zero at the end: 32, 56 and 80 characters, of up to four bytes but for formats.
const NAME_BYTES = 129
const FORMAT_BYTES = 57
const LABEL_BYTES = 321
// A text aside: "GSO", variable, row, 130 for a text that ends in a zero, and its length.
const ASIDE_HEAD_BYTES = 3 + 4 + 8 + 1 + 4
const ASIDE_TEXT = 130
/** Places in the file that its map tells. */
const PLACES = 14

/** `scratch`: a name that is free, on a disk with room for the rows once more. `made`: what the data set says of its age. */
export async function dtaWriter(
  table: Table,
  facts: Facts,
  write: Sink,
  { scratch, made }: { scratch: string; made: Date },
): Promise<TableWriter> {
  const { columns } = table
  const spool = await openSpool(scratch)
  // Of each column of text: the longest, and what all would take aside. A width of nothing is none.
  const widths = columns.map(() => 1)
  const aside = columns.map(() => 0)
  let rowCount = 0

  /** Rows as they lie in the scratch file: numbers as Stata has them, texts behind their length. */
  function encoded(rows: readonly Row[]): Buffer {
    // Eight bytes hold a number, or the length of a text, of which a character takes three at most.
    let most = 0
    for (const row of rows) for (const value of row) most += 8 + (typeof value === 'string' ? 3 * value.length : 0)
    const bytes = Buffer.allocUnsafe(most)
    let at = 0
    for (const row of rows)
      for (let i = 0; i < columns.length; i++) {
        const { type } = columns[i]
        if (type !== 'text') {
          at = writeNumber(bytes, at, type, row[i])
          continue
        }
        const length = writeText(bytes, at + 4, String(row[i] ?? ''))
        at = bytes.writeUInt32LE(length, at) + length
        if (length > widths[i]) widths[i] = length
        if (length > 0) aside[i] += ASIDE_HEAD_BYTES + length + 1
      }
    return bytes.subarray(0, at)
  }

  /** The rows as the file has them, and the texts that lie aside, a row after another. */
  async function writeRows(types: readonly number[], rowBytes: number): Promise<void> {
    for await (const { rows, bytes } of spool.blocks()) {
      const out = Buffer.alloc(rows.count * rowBytes) // texts end in zeros
      let at = 0
      let to = 0
      for (let row = rows.first; row < rows.first + rows.count; row++)
        for (let v = 0; v < types.length; v++) {
          const isText = columns[v].type === 'text'
          const length = isText ? bytes.readUInt32LE(at) : BYTES[types[v]]
          if (isText) at += 4
          if (types[v] !== STRL) copyShort(bytes, at, out, to, length)
          else if (length > 0) {
            // Which text is meant is said by its variable and row; an empty one has none.
            out.writeUInt16LE(v + 1, to)
            out.writeUIntLE(row, to + 2, 6)
          }
          at += length
          to += bytesOf(types[v])
        }
      await write(out)
    }
  }
  async function writeAside(types: readonly number[]): Promise<void> {
    for await (const { rows, bytes } of spool.blocks()) {
      // A row has as many texts aside as columns at most, each at most as long as it lies in the block.
      const out = Buffer.allocUnsafe(bytes.length + rows.count * types.length * (ASIDE_HEAD_BYTES + 1))
      let at = 0
      let to = 0
      for (let row = rows.first; row < rows.first + rows.count; row++)
        for (let v = 0; v < types.length; v++) {
          const isText = columns[v].type === 'text'
          const length = isText ? bytes.readUInt32LE(at) : BYTES[types[v]]
          if (isText) at += 4
          if (types[v] === STRL && length > 0) to = writeOneAside(out, to, v + 1, row, bytes.subarray(at, at + length))
          at += length
        }
      await write(out.subarray(0, to))
    }
  }

  return {
    async rows(rows) {
      rowCount += rows.length
      await spool.add(rows.length, encoded(rows))
    },
    async finish() {
      const types = columns.map((column, i) => typeOf(column, widths[i]))
      const rowBytes = types.reduce((sum, type) => sum + bytesOf(type), 0)
      const asideBytes = aside.reduce((sum, bytes, i) => sum + (types[i] === STRL ? bytes : 0), 0)
      const head = headOf(table, rowCount, made)
      const described = descriptionOf(table, types, facts)
      await write(head)
      await write(mapOf(head.length, [...described.map(one => one.length), rowBytes * rowCount, asideBytes]))
      for (const section of described) await write(section)
      await write('<data>')
      await writeRows(types, rowBytes)
      await write('</data><strls>')
      if (asideBytes > 0) await writeAside(types)
      await write('</strls><value_labels></value_labels></stata_dta>')
    },
    close: () => spool.close(),
  }
}

function writeNumber(bytes: Buffer, at: number, type: Column['type'], value: Value): number {
  if (type === 'flag') return bytes.writeInt8(value === null ? NO_BYTE : Number(value), at)
  if (type === 'number') {
    const isThere = typeof value === 'number' && Math.abs(value) <= DOUBLE_MOST
    return bytes.writeDoubleLE(isThere ? value : NO_DOUBLE, at)
  }
  if (value === null) return bytes.writeInt32LE(NO_LONG, at)
  const whole = type === 'date' ? daysSince1970(String(value)) + DAYS_1960_TO_1970 : Number(value)
  if (whole > LONG_MOST) throw new Error(`${whole} is no long of Stata`)
  return bytes.writeInt32LE(whole, at)
}

function typeOf({ type, isLong }: Column, width: number): number {
  if (type === 'text') return isLong || width > STR_MOST ? STRL : width
  return type === 'number' ? DOUBLE : type === 'flag' ? BYTE : LONG
}

function bytesOf(type: number): number {
  return BYTES[type] ?? type
}

function formatOf({ type }: Column, stored: number): string {
  if (type === 'text') return stored === STRL ? '%9s' : `%${Math.max(stored, 9)}s`
  return { number: '%10.0g', integer: '%12.0g', date: '%tdCCYY-NN-DD', flag: '%8.0g' }[type]
}

function headOf({ title, columns }: Table, rows: number, made: Date): Buffer {
  const label = Buffer.from(title)
  const time = Buffer.from(timeOf(made))
  return Buffer.concat([
    Buffer.from('<stata_dta><header><release>118</release><byteorder>LSF</byteorder><K>'),
    number(2, columns.length),
    Buffer.from('</K><N>'),
    number(8, rows),
    Buffer.from('</N><label>'),
    number(2, label.length),
    label,
    Buffer.from('</label><timestamp>'),
    number(1, time.length),
    time,
    Buffer.from('</timestamp></header>'),
  ])
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `26 Nov 2026 13:05`, in UTC. */
function timeOf(made: Date): string {
  const [year, month, day] = made.toISOString().slice(0, 10).split('-')
  return `${day} ${MONTHS[Number(month) - 1]} ${year} ${made.toISOString().slice(11, 16)}`
}

/** The sections between the map and the data. */
function descriptionOf(table: Table, types: readonly number[], facts: Facts): Buffer[] {
  const { columns } = table
  return [
    section(
      'variable_types',
      types.map(type => number(2, type)),
    ),
    section(
      'varnames',
      columns.map(column => padded(column.name, NAME_BYTES)),
    ),
    section('sortlist', [Buffer.alloc(2 * (columns.length + 1))]),
    section(
      'formats',
      columns.map((column, i) => padded(formatOf(column, types[i]), FORMAT_BYTES)),
    ),
    section('value_label_names', [Buffer.alloc(NAME_BYTES * columns.length)]),
    section(
      'variable_labels',
      columns.map(column => padded(column.label, LABEL_BYTES)),
    ),
    section('characteristics', notesOf(table, facts)),
  ]
}

/** Notes, which `notes` lists in Stata: of the data set what is known of it, of a variable what its label leaves out. */
function notesOf({ columns }: Table, facts: Facts): Buffer[] {
  const notes: [variable: string, texts: string[]][] = [
    ['_dta', Object.entries(facts).map(([name, value]) => `${name}: ${value}`)],
    ...columns.map(({ name, unit, meaning, missing, source }): [string, string[]] => [
      name,
      [unit && `Unit: ${unit}.`, meaning, missing && `Missing: ${missing}`, source && `From ${source}.`].filter(
        Boolean,
      ),
    ]),
  ]
  return notes.flatMap(([variable, texts]) =>
    [String(texts.length), ...texts].map((text, i) => {
      const content = [padded(variable, NAME_BYTES), padded(`note${i}`, NAME_BYTES), Buffer.from(`${text}\0`)]
      return Buffer.concat([
        Buffer.from('<ch>'),
        number(
          4,
          content.reduce((sum, part) => sum + part.length, 0),
        ),
        ...content,
        Buffer.from('</ch>'),
      ])
    }),
  )
}

/** Where each part begins: the head, the map, the sections, data, texts aside, value labels, the last mark, and the end. */
function mapOf(headBytes: number, sizes: readonly number[]): Buffer {
  const described = sizes.slice(0, -2)
  const [dataBytes, asideBytes] = sizes.slice(-2)
  const parts = [
    headBytes,
    '<map></map>'.length + 8 * PLACES,
    ...described,
    dataBytes + '<data></data>'.length,
    asideBytes + '<strls></strls>'.length,
    '<value_labels></value_labels>'.length,
    '</stata_dta>'.length,
  ]
  const places = [0]
  for (const bytes of parts) places.push(places[places.length - 1] + bytes)
  return section(
    'map',
    places.map(place => number(8, place)),
  )
}

function writeOneAside(out: Buffer, at: number, variable: number, row: number, text: Buffer): number {
  out.write('GSO', at, 'latin1')
  out.writeUInt32LE(variable, at + 3)
  out.writeBigUInt64LE(BigInt(row), at + 7)
  out[at + 15] = ASIDE_TEXT
  out.writeUInt32LE(text.length + 1, at + 16)
  const end = at + ASIDE_HEAD_BYTES + text.copy(out, at + ASIDE_HEAD_BYTES)
  out[end] = 0
  return end + 1
}

// To call what Node has for it costs more than so many characters by hand.
const BY_HAND = 40

/** Returns the bytes of the text, without its zeros: one would end it. */
function writeText(bytes: Buffer, at: number, text: string): number {
  if (text.length <= BY_HAND) {
    let i = 0
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === 0 || code > 127) break
      bytes[at + i] = code
    }
    if (i === text.length) return i
  }
  return bytes.write(text.includes('\0') ? text.replaceAll('\0', '') : text, at)
}

function copyShort(from: Buffer, at: number, to: Buffer, place: number, length: number): void {
  if (length > BY_HAND) from.copy(to, place, at, at + length)
  else for (let i = 0; i < length; i++) to[place + i] = from[at + i]
}

function section(name: string, content: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`<${name}>`), ...content, Buffer.from(`</${name}>`)])
}

/** A whole number in so many bytes, the lowest first. */
function number(bytes: 1 | 2 | 4 | 8, value: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value))
  else buffer.writeUIntLE(value, 0, bytes)
  return buffer
}

function padded(text: string, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  if (buffer.write(text) >= bytes) throw new Error(`longer than ${bytes - 1} bytes: ${text}`)
  return buffer
}

type Spool = {
  add(rows: number, bytes: Buffer): Promise<void>
  /** As they came: the number of the first row, from 1, and how many there are. */
  blocks(): AsyncGenerator<{ rows: { first: number; count: number }; bytes: Buffer }>
  close(): Promise<void>
}

/** A scratch file of blocks, read as often as needed. */
async function openSpool(name: string): Promise<Spool> {
  await rm(name, { force: true }).catch(() => {}) // of one that was killed before it could do what follows
  const file: FileHandle = await open(name, 'wx+', 0o600).catch(error => refuseToWrite(name, error))
  await rm(name)
  const blocks: { rows: number; at: number; length: number }[] = []
  let end = 0
  return {
    async add(rows, bytes) {
      blocks.push({ rows, at: end, length: bytes.length })
      for (let done = 0; done < bytes.length; )
        done += (
          await file.write(bytes, done, bytes.length - done, end + done).catch(error => refuseToWrite(name, error))
        ).bytesWritten
      end += bytes.length
    },
    async *blocks() {
      let first = 1
      for (const { rows, at, length } of blocks) {
        const bytes = Buffer.allocUnsafe(length)
        for (let done = 0; done < length; ) {
          const { bytesRead } = await file.read(bytes, done, length - done, at + done)
          if (bytesRead === 0) throw new Error('the scratch file is shorter than what was written to it')
          done += bytesRead
        }
        yield { rows: { first, count: rows }, bytes }
        first += rows
      }
    },
    close: () => file.close(),
  }
}

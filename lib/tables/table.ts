// What a table to take home is: columns that say what they mean, and rows of plain values. The formats beside this file make
// bytes of it (csv, jsonl, parquet, dta), and the codebook its text. Where the rows come from is the business of others.

/** Dates are ISO days as text; integers have 32 bits; a flag is true or false. */
export type ColumnType = 'text' | 'integer' | 'number' | 'date' | 'flag'

export type Column = {
  /** At most 32 letters, digits and underscores, which Stata, R, SQL and Python take as a name without quotes. */
  name: string
  type: ColumnType
  /** Of text: as long as it likes, and never a key. Stata keeps such texts aside (strL), and cannot merge by them. */
  isLong?: boolean
  /** At most 80 characters: a variable label of Stata. */
  label: string
  unit: string
  /** What the label leaves out; empty when it says all. */
  meaning: string
  /** What it means that the value is missing; empty where it never is. */
  missing: string
  /** Where the value comes from: `table.column`, or what is computed from it. */
  source: string
}

export type Table = {
  /** At most 80 characters, as the label of a data set in Stata. */
  title: string
  /** What one row is. */
  row: string
  /** Columns that tell rows apart, together. */
  key: readonly string[]
  columns: readonly Column[]
}

export type Value = string | number | boolean | null
/** One value a column, in their order. */
export type Row = readonly Value[]

/** What stands beside the numbers, in the file where its format has a place for it: title, quarters, versions. */
export type Facts = Readonly<Record<string, string>>

/** Where bytes go. Waits where the receiver is slow. */
export type Sink = (bytes: Uint8Array | string) => Promise<void>

export type TableWriter = {
  rows(rows: readonly Row[]): Promise<void>
  /** Writes what belongs at the end. */
  finish(): Promise<void>
  /** In the end, whatever happened. */
  close(): Promise<void>
}

const DAY_MILLISECONDS = 86_400_000

/** Days from 1970-01-01 to an ISO day. Postgres writes dates before Christ and infinity in other ways: no call has one. */
export function daysSince1970(day: string): number {
  const days = Date.parse(`${day}T00:00:00Z`) / DAY_MILLISECONDS
  if (!Number.isInteger(days)) throw new Error(`not a day: ${day}`)
  return days
}

// Words that Stata keeps for itself (help reserved), and the pattern of its types of text.
const RESERVED =
  /^(_.*|byte|double|float|if|in|int|long|using|with|strL|str\d+|alias_.*|and|or|not|select|from|where|null|true|false)$/i

/** A name that all formats take, from any text; told apart from those that are taken. */
export function columnName(text: string, taken: readonly string[]): string {
  const plain = text.toLowerCase().replace(/[^a-z0-9_]+/g, '_')
  const isSound = /^[a-z]/.test(plain) && !RESERVED.test(plain) && !taken.includes(plain)
  const stem = isSound ? plain : `id_${plain}`
  const stays = (name: string) => name.length <= NAME_LENGTH && !taken.includes(name)
  if (stays(stem)) return stem
  for (let n = 2; ; n++) {
    const name = `${stem.slice(0, NAME_LENGTH - `_${n}`.length)}_${n}`
    if (stays(name)) return name
  }
}

/** Stata's: a variable has at most 32 characters, a label 80. */
const NAME_LENGTH = 32
const LABEL_LENGTH = 80

/** Refuses a table that some format could not take: a mistake of ours, and not of a person. */
export function checkTable({ title, columns, key }: Table): void {
  const names = columns.map(column => column.name)
  const wrong = [
    ...names.filter(name => !/^[a-z][a-z0-9_]*$/.test(name) || name.length > NAME_LENGTH || RESERVED.test(name)),
    ...names.filter((name, i) => names.indexOf(name) !== i),
    ...columns.filter(column => [...column.label].length > LABEL_LENGTH).map(column => `label of ${column.name}`),
    ...key.filter(name => columns.find(column => column.name === name)?.isLong !== undefined || !names.includes(name)),
    ...([...title].length > LABEL_LENGTH ? ['title'] : []),
  ]
  if (wrong.length > 0) throw new Error(`no sound table: ${wrong.join(', ')}`)
}

// JSON with calls in it, one record at a time: a single object, an array of objects, or JSONL, told apart as they come.
// Here because vendors' files reach gigabytes, more than a JavaScript string holds. Leaves the fields to each format.

import { messageOf, UserError } from '../../errors.ts'
import type { TextFile } from '../../files.ts'
import { readDate } from '../quarters.ts'

export type JsonObject = Readonly<Record<string, unknown>>
/** `place` names the record in messages: `line 12`. */
export type JsonRecord = { value: JsonObject; place: string }

// The longest calls with word times come to a few million characters; ten times that is no call.
const LONGEST_RECORD = 50_000_000

const [QUOTE, BACKSLASH, NEWLINE] = [0x22, 0x5c, 0x0a]
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]
const BETWEEN = new Set([0x20, 0x09, 0x0d, NEWLINE, 0x2c]) // white space and commas

/** The objects of a file, parsed one by one as soon as each is complete. */
export async function* jsonRecords(file: TextFile): AsyncGenerator<JsonRecord> {
  let insideArray = false
  let depth = 0 // of braces and brackets inside the record
  let insideString = false
  let escaped = false
  let line = 1
  let firstLine = 1
  let record = 0
  let kept = '' // what earlier pieces hold of the record
  for await (const chunk of file.chunks()) {
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const code = chunk.charCodeAt(i)
      if (code === NEWLINE) line++
      if (insideString) {
        if (escaped) escaped = false
        else if (code === BACKSLASH) escaped = true
        else if (code === QUOTE) insideString = false
        continue
      }
      if (depth === 0) {
        if (code === OPEN_OBJECT) {
          depth = 1
          start = i
          firstLine = line
          record++
        } else if (code === OPEN_ARRAY && !insideArray) insideArray = true
        else if (code === CLOSE_ARRAY && insideArray) insideArray = false
        else if (!BETWEEN.has(code)) refuseBetween(file, line, chunk.slice(i, i + 20))
        continue
      }
      if (code === QUOTE) insideString = true
      else if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth++
      else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth--
      if (depth > 0) continue
      yield parsed(file, kept + chunk.slice(start, i + 1), firstLine, record)
      kept = ''
    }
    if (depth > 0) kept += chunk.slice(start)
    if (kept.length > LONGEST_RECORD) refuseLength(file, record, firstLine)
  }
  if (depth > 0) {
    throw new UserError(
      `${file.name} is cut short: it ends at line ${line}, inside record ${record}, which begins at line ${firstLine} ` +
        `and has ${kept.length.toLocaleString('en-US')} characters by then`,
      'fetch the file again',
    )
  }
  if (insideArray) {
    throw new UserError(
      `${file.name} is cut short: its array is not closed after record ${record}, at line ${line}`,
      'fetch the file again',
    )
  }
}

/** Whether a field of one of these names stands in the head; inside a text its quotation marks would be escaped. */
export function mentions(head: string, ...names: readonly string[]): boolean {
  return names.some(name => new RegExp(`(?<!\\\\)"${name}"\\s*:`).test(head))
}

export function isJson(head: string): boolean {
  return /^\s*(?:\{|\[\s*\{)/.test(head)
}

/** The first of the fields that holds text or a number, as text; empty where none does. Identifiers keep their zeros. */
export function textField(value: JsonObject, ...names: readonly string[]): string {
  for (const name of names) {
    const field = value[name]
    if (typeof field === 'string' && field.trim() !== '') return field.trim()
    if (typeof field === 'number') return String(field)
  }
  return ''
}

export function objectField(value: JsonObject, name: string): JsonObject {
  const field = value[name]
  return typeof field === 'object' && field !== null && !Array.isArray(field) ? (field as JsonObject) : {}
}

/** The objects of a list; undefined where the field is no list. */
export function listField(value: JsonObject, name: string): readonly JsonObject[] | undefined {
  const field = value[name]
  if (!Array.isArray(field)) return undefined
  return field.filter(item => typeof item === 'object' && item !== null)
}

/** 2024Q3 from 2024 and 3, `3` or `Q3`; null where either is missing. */
export function quarterField(year: string, quarter: string): string | null {
  const number = /^(?:Q|q)?([1-4])$/.exec(quarter)?.[1]
  return number !== undefined && /^(?:19|20)\d\d$/.test(year) ? `${year}Q${number}` : null
}

/** The date of a field, null where it is empty; a date that cannot be read is an error, not an absent date. */
export function dateField(text: string, where: string): string | null {
  if (text === '') return null
  const date = readDate(text)
  if (date !== null) return date
  throw new UserError(`${where}: ${JSON.stringify(text)} is not a date`, 'write dates as 2024-08-12')
}

export function identifiersOf(value: JsonObject, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, textField(value, name)]).filter(([, text]) => text !== ''))
}

function parsed(file: TextFile, text: string, firstLine: number, record: number): JsonRecord {
  try {
    return { value: JSON.parse(text) as JsonObject, place: `line ${firstLine}` }
  } catch (error) {
    const message = messageOf(error)
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? 0)
    const line = firstLine + text.slice(0, position).split('\n').length - 1
    throw new UserError(
      `${file.name} is not JSON at line ${line}, in record ${record}: ${message}`,
      'fetch the file again, or take that record out',
      { cause: error },
    )
  }
}

function refuseBetween(file: TextFile, line: number, text: string): never {
  throw new UserError(
    `${file.name}, line ${line}: ${JSON.stringify(text)} stands where a record should begin with {`,
    'a file holds one object, an array of objects, or one object a line',
  )
}

function refuseLength(file: TextFile, record: number, line: number): never {
  throw new UserError(
    `${file.name}: record ${record}, which begins at line ${line}, has over ` +
      `${LONGEST_RECORD.toLocaleString('en-US')} characters, too many for one call`,
    'put each call into an object of its own',
  )
}

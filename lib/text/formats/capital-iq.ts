// S&P Capital IQ transcripts as WRDS hands them out: a CSV with a row for each component of each transcript.
// Here because it is what researchers have. Read twice: the first time says which transcript of an event is the latest
// and how many rows it has, so that the second keeps no more than the calls not yet complete, in any order of rows.

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type CsvError, type Info, parse } from 'csv-parse'
import { UserError } from '../../errors.ts'
import type { TextFile } from '../../files.ts'
import { readDate } from '../quarters.ts'
import { callKey, type Format, type Section, type Transcript, type Turn, tickerFrom } from '../transcript.ts'

const REQUIRED = [
  'companyid',
  'companyname',
  'transcriptid',
  'componenttext',
  'componentorder',
  'mostimportantdateutc',
  'speakertypename',
] as const
const IDENTIFIERS = ['companyid', 'cik', 'gvkey', 'permno', 'isin', 'cusip']
const SECTIONS: Readonly<Record<string, Section>> = {
  'presenter speech': 'prepared',
  question: 'question',
  answer: 'answer',
}
// The longest components come to 100,000 characters; beyond a hundred times that a quotation mark was never closed.
const LONGEST_ROW = 10_000_000

type Row = { line: number; field(name: string): string }
/** One transcript, as the first reading finds it. */
type Version = { id: string; event: string; companyId: string; created: string; rows: number }
type Component = Turn & { order: number; type: string }
type OpenCall = { transcript: Transcript; components: Component[]; rows: number }

export const capitalIq: Format = {
  name: 'capital-iq',
  about: 'CSV of S&P Capital IQ by WRDS: companyid, transcriptid, componenttext, componentorder …',

  recognises(path, head) {
    const header = (head.split(/[\r\n]/, 1)[0] ?? '').toLowerCase()
    return /\.csv(?:\.gz)?$/i.test(path) || (header.includes('transcriptid') && header.includes('componenttext'))
  },

  async *read(file) {
    const { versions, tickers } = await survey(file)
    const open = new Map<string, OpenCall>()
    for await (const row of rowsOf(file)) {
      const id = row.field('transcriptid')
      const version = versions.get(id)
      if (version === undefined) continue // an earlier transcript of its event
      const call = open.get(id) ?? { transcript: transcriptOf(file, row, tickers), components: [], rows: 0 }
      open.set(id, call)
      call.rows++
      call.components.push(componentOf(file, row))
      if (call.rows < version.rows) continue
      open.delete(id)
      yield { ...call.transcript, turns: turnsOf(call.components) }
    }
  },
}

/** First reading: the latest transcript of each event, with its number of rows, and one ticker for each company. */
async function survey(file: TextFile): Promise<{ versions: Map<string, Version>; tickers: Map<string, string> }> {
  const all = new Map<string, Version>()
  const tickers = new Map<string, string>()
  for await (const row of rowsOf(file)) {
    const id = row.field('transcriptid')
    const companyId = row.field('companyid')
    if (id === '' || companyId === '') {
      throw new UserError(
        `${file.name}, line ${row.line}: the ${id === '' ? 'transcriptid' : 'companyid'} is empty`,
        'leave such rows out of the query',
      )
    }
    const known = all.get(id)
    if (known) known.rows++
    else {
      const event = row.field('keydevid') || `${companyId} ${dateOf(file, row)}`
      const created = row.field('transcriptcreationdate_utc')
      all.set(id, { id, event, companyId, created: readDate(created) ?? created, rows: 1 })
    }
    // A company with two kinds of shares comes with two tickers; the first by the alphabet, whatever the order of rows.
    const ticker = tickerFrom(row.field('ticker') || row.field('tickersymbol'))
    const other = tickers.get(companyId)
    if (ticker !== '' && (other === undefined || ticker < other)) tickers.set(companyId, ticker)
  }
  if (all.size === 0) throw new UserError(`${file.name} has a header and 0 rows`, 'fetch it again')
  const latest = new Map<string, Version>()
  for (const version of all.values()) {
    const other = latest.get(version.event)
    if (other === undefined || isLater(version, other)) latest.set(version.event, version)
  }
  return { versions: new Map([...latest.values()].map(version => [version.id, version])), tickers }
}

/** By day of creation, then by transcriptid, which Capital IQ gives out in order. */
function isLater(a: Version, b: Version): boolean {
  if (a.created !== b.created) return a.created > b.created
  return a.id.length === b.id.length ? a.id > b.id : a.id.length > b.id.length
}

function transcriptOf(file: TextFile, row: Row, tickers: ReadonlyMap<string, string>): Transcript {
  const companyId = row.field('companyid')
  const ticker = tickers.get(companyId) ?? null
  const firmKey = ticker ?? `ciq-${companyId}`
  const callDate = dateOf(file, row)
  // "Tesla, Inc., Q1 2022 Earnings Call, Apr 20, 2022"
  const [, quarter, year] = /\bQ([1-4]) ((?:19|20)\d\d)\b/.exec(row.field('headline')) ?? []
  return {
    firmKey,
    ticker,
    name: row.field('companyname') || null,
    identifiers: Object.fromEntries(IDENTIFIERS.map(name => [name, row.field(name)]).filter(([, id]) => id !== '')),
    callDate,
    fiscalQuarter: quarter && year ? `${year}Q${quarter}` : null,
    // A firm may speak twice on a day, at two events; without their numbers two transcripts of a day are one event.
    key: callKey(firmKey, callDate, null, row.field('keydevid')),
    sourceName: `${file.name}, transcript ${row.field('transcriptid')}`,
    turns: [],
  }
}

function componentOf(file: TextFile, row: Row): Component {
  const order = Number(row.field('componentorder') || Number.NaN)
  if (Number.isNaN(order)) {
    throw new UserError(
      `${file.name}, line ${row.line}: componentorder is ${JSON.stringify(row.field('componentorder'))}, not a number`,
      'check the quotation marks of the rows before it',
    )
  }
  const role = row.field('speakertypename')
  const type = row.field('transcriptcomponenttypename').toLowerCase()
  return {
    speaker: row.field('transcriptpersonname') || null,
    role: role || null,
    section: SECTIONS[type] ?? null,
    operator: /^operator$/i.test(role) || type.includes('operator message'),
    text: row.field('componenttext'),
    isSentence: false,
    place: `line ${row.line}`,
    order,
    type,
  }
}

/**
 * In order, each once: a join with a table of tickers repeats rows. Without component types this rule gives the parts:
 * analysts ask; executives present before the first analyst and answer after.
 */
function turnsOf(components: readonly Component[]): Turn[] {
  const sorted = [...components].sort((a, b) => a.order - b.order)
  const untyped = sorted.every(component => component.type === '')
  let questions = false
  const seen = new Set<string>()
  const turns: Turn[] = []
  for (const { order, type: _type, ...turn } of sorted) {
    const once = `${order} ${turn.text}`
    if (seen.has(once) || turn.text === '') continue
    seen.add(once)
    const asks = /^analysts?$/i.test(turn.role ?? '')
    questions ||= asks
    const section: Section = asks ? 'question' : questions ? 'answer' : 'prepared'
    turns.push(untyped && !turn.operator ? { ...turn, section } : turn)
  }
  return turns
}

function dateOf(file: TextFile, row: Row): string {
  const text = row.field('mostimportantdateutc')
  const date = readDate(text)
  if (date !== null) return date
  throw new UserError(
    `${file.name}, line ${row.line}: mostimportantdateutc is ${JSON.stringify(text)}, not a date`,
    'ask WRDS for dates as YYYY-MM-DD',
  )
}

async function* rowsOf(file: TextFile): AsyncGenerator<Row> {
  const parser = parse({
    bom: true,
    columns: (header: string[]) => checkedHeader(file, header),
    info: true,
    max_record_size: LONGEST_ROW,
    skip_empty_lines: true,
  })
  // A failure reaches the loop below too, by way of the destroyed parser.
  const feeding = pipeline(Readable.from(file.chunks()), parser).catch(() => undefined)
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Record<string, string>; info: Info }>) {
      yield { line: info.lines, field: name => fieldOf(record, name) }
    }
  } catch (error) {
    throw isCsvError(error) ? refused(file, error) : error
  } finally {
    parser.destroy()
    await feeding
  }
}

/** Small letters; says which of the required columns are missing. */
function checkedHeader(file: TextFile, header: readonly string[]): string[] {
  const found = header.map(name => name.trim().toLowerCase())
  const missing = REQUIRED.filter(name => !found.includes(name))
  if (missing.length === 0) return found
  throw new UserError(
    `${file.name} lacks ${missing.length} of the ${REQUIRED.length} columns a Capital IQ file needs: ` +
      `${missing.join(', ')}; it has ${found.length}: ${found.slice(0, 30).join(', ')}`,
    header.length === 1 && header[0].includes(';')
      ? 'its columns are parted by semicolons: save it with commas'
      : 'add the missing columns to the WRDS query',
  )
}

/** pandas writes whole numbers as 222.0 where a column has gaps; no identifier ends so. */
function fieldOf(record: Record<string, string>, name: string): string {
  const text = (record[name] ?? '').trim()
  return name === 'componenttext' ? text : text.replace(/^(\d+)\.0$/, '$1')
}

function isCsvError(error: unknown): error is CsvError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('CSV_')
}

function refused(file: TextFile, error: CsvError): UserError {
  return new UserError(
    `${file.name} is not a sound CSV: ${error.message}`,
    'check the quotation marks around that line; a field with commas or line ends needs them, and "" inside',
    { cause: error },
  )
}

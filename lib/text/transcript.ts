// What an earnings call is made of, whichever vendor it came from, and what identifies it.
// Every format in formats/ ends here, so that the commands know one shape only.
// Leaves reading files to lib/files.ts and the judging of sentences to talk.ts.

import { createHash } from 'node:crypto'
import { UserError } from '../errors.ts'
import type { TextFile } from '../files.ts'
import { quarterOfDate } from './quarters.ts'
import { cleanText, splitSentences } from './sentences.ts'

export type Section = 'prepared' | 'question' | 'answer'

/** What one person said without being interrupted, or one sentence of it. */
export type Turn = {
  speaker: string | null
  role: string | null
  /** Null where the source does not say and no plain rule tells. */
  section: Section | null
  operator: boolean
  text: string
  /** The source has one sentence a line already: not to be split again. */
  isSentence: boolean
  /** Where it stands in its source, for messages: `line 12`, `turn 3`. */
  place: string
}

export type Transcript = {
  /** Upper-case ticker where the source has one, else the vendor's own number: `ciq-18711`. */
  firmKey: string
  ticker: string | null
  name: string | null
  /** The vendor's other identifiers as text, zeros kept: cik, gvkey, permno, companyid, isin … */
  identifiers: Record<string, string>
  callDate: string | null
  fiscalQuarter: string | null
  /** The call itself, whatever folder or host it was read from: firm and date, or firm and fiscal quarter. */
  key: string
  /** The file, and inside it the record. */
  sourceName: string
  /** Empty where the source has a record without text; the caller counts and passes over those. */
  turns: Turn[]
}

/** What the person said on the command line; it fills in only what the source itself leaves open. */
export type Given = { firm?: string; quarter?: string }

export type Format = {
  name: string
  about: string
  /** `path` with its folders, `head` the first 64 KB of the text. */
  recognises(path: string, head: string): boolean
  read(file: TextFile, given: Given): AsyncIterable<Transcript>
}

// A model reads about 512 tokens, 2,500 characters; the longest of 95,000 real sentences (MAEC) has 2,941.
// Seven times that is no speech any more but a file without sentence ends, and only its first words would be embedded.
const LONGEST_SENTENCE = 20_000

/** The quarter a call is counted in: the fiscal one where the source states it, else the calendar quarter of its date. */
export function quarterOf(transcript: Pick<Transcript, 'fiscalQuarter' | 'callDate' | 'sourceName'>): string {
  if (transcript.fiscalQuarter !== null) return transcript.fiscalQuarter
  if (transcript.callDate !== null) return quarterOfDate(transcript.callDate)
  throw new UserError(`${transcript.sourceName} states neither a date nor a quarter`, 'add --quarter 2024Q3')
}

/** `firm/date`, or `firm/quarter` where no date is known; `part` tells two events of one firm and day apart. */
export function callKey(firmKey: string, callDate: string | null, fiscalQuarter: string | null, part = ''): string {
  return [firmKey, callDate ?? fiscalQuarter ?? '', part].filter(word => word !== '').join('/')
}

/** BRK.B from ` brk.b ` and from `NYSE: BRK.B`. */
export function tickerFrom(text: string): string {
  return text
    .trim()
    .toUpperCase()
    .replace(/^[A-Z]+:\s*/, '')
}

/** The sentences of a call in the order they were spoken, cleaned; empty ones left out. */
export function* sentencesOf(transcript: Transcript): Generator<{ text: string; turn: Turn }> {
  for (const turn of transcript.turns) {
    const sentences = turn.isSentence ? [cleanText(turn.text)] : splitSentences(turn.text)
    for (const text of sentences) {
      if (text === '') continue
      if (text.length > LONGEST_SENTENCE) refuse(transcript, turn, text)
      yield { text, turn }
    }
  }
}

/** SHA-256 of what was said and by whom: the same however the file was named, compressed or laid out. */
export function contentHash(transcript: Transcript): string {
  const hash = createHash('sha256')
  for (const { speaker, role, section, operator, text, isSentence } of transcript.turns) {
    hash.update(`${JSON.stringify([speaker, role, section, operator, text, isSentence])}\n`)
  }
  return hash.digest('hex')
}

function refuse(transcript: Transcript, turn: Turn, sentence: string): never {
  throw new UserError(
    `${transcript.sourceName}, ${turn.place}: ${sentence.length.toLocaleString('en-US')} characters without a sentence ` +
      `end, and ${LONGEST_SENTENCE.toLocaleString('en-US')} is the most: "${sentence.slice(0, 40)}…"`,
    'check that this is a transcript; put a full stop at the end of each sentence, or one sentence on each line',
  )
}

// The Hugging Face data set kurry/sp500_earnings_transcripts as JSON or JSONL: structured_content[{speaker, text}].
// Here because it is the largest open set with speakers. Parts of the call come from the plain rule of speakers.ts.

import type { TextFile } from '../../files.ts'
import type { Format, Given, Transcript } from '../transcript.ts'
import { callKey } from '../transcript.ts'
import { tickerOf } from './firm.ts'
import type { JsonRecord } from './records.ts'
import {
  dateField,
  identifiersOf,
  isJson,
  jsonRecords,
  listField,
  mentions,
  quarterField,
  textField,
} from './records.ts'
import { turnOf, turnsOfLines, withSections } from './speakers.ts'

export const kurry: Format = {
  name: 'huggingface',
  about: 'JSON of kurry/sp500_earnings_transcripts: symbol, quarter, year, date, structured_content[]',

  recognises(_path, head) {
    // The long text in `content` may push `structured_content` out of sight; FMP has no company_name.
    const shown = mentions(head, 'symbol') && mentions(head, 'content') && mentions(head, 'company_name', 'company_id')
    return isJson(head) && (mentions(head, 'structured_content') || shown)
  },

  async *read(file, given) {
    for await (const record of jsonRecords(file)) yield transcriptOfSymbol(record, file, given)
  },
}

/** A record with symbol, year, quarter, date and a list of speakers or one text: FMP's records are of this kind too. */
export function transcriptOfSymbol({ value, place }: JsonRecord, file: TextFile, given: Given): Transcript {
  const ticker = tickerOf(textField(value, 'symbol'), file, given, place)
  const callDate = dateField(textField(value, 'date'), `${file.name}, ${place}, date`)
  const stated = quarterField(textField(value, 'year'), textField(value, 'quarter', 'period'))
  const fiscalQuarter = stated ?? (callDate === null ? (given.quarter ?? null) : null)
  const speakers = listField(value, 'structured_content')
  const turns = speakers
    ? speakers.map((item, i) => turnOf(textField(item, 'speaker'), null, textField(item, 'text'), `speaker ${i + 1}`))
    : turnsOfLines(textField(value, 'content'))
  return {
    firmKey: ticker,
    ticker,
    name: textField(value, 'company_name') || null,
    identifiers: identifiersOf(value, ['company_id', 'cik', 'isin']),
    callDate,
    fiscalQuarter,
    key: callKey(ticker, callDate, fiscalQuarter),
    sourceName: `${file.name}, ${place}`,
    turns: withSections(turns),
  }
}

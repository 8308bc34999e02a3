// The Motley Fool's calls as JSON: call_transcript[], each statement with section (pres, qa) and type (P, Q, A, O).
// Here because it is the most common source that can be had without a contract. The parts are stated, none is guessed.

import type { Format, Section, Turn } from '../transcript.ts'
import { callKey } from '../transcript.ts'
import { tickerOf } from './firm.ts'
import type { JsonObject } from './records.ts'
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
import { turnOf } from './speakers.ts'

const SECTIONS: Readonly<Record<string, Section>> = { P: 'prepared', Q: 'question', A: 'answer' }

export const motleyFool: Format = {
  name: 'motley-fool',
  about: 'JSON of the Motley Fool: ticker, fiscal_period_year, fiscal_period_qtr, call_transcript[]',

  recognises(_path, head) {
    return isJson(head) && mentions(head, 'call_transcript', 'fiscal_period_qtr')
  },

  async *read(file, given) {
    for await (const { value, place } of jsonRecords(file)) {
      const ticker = tickerOf(textField(value, 'ticker'), file, given, place)
      const callDate = dateField(textField(value, 'call_date'), `${file.name}, ${place}, call_date`)
      const stated = quarterField(textField(value, 'fiscal_period_year'), textField(value, 'fiscal_period_qtr'))
      const fiscalQuarter = stated ?? (callDate === null ? (given.quarter ?? null) : null)
      yield {
        firmKey: ticker,
        ticker,
        name: textField(value, 'company_name') || null,
        identifiers: identifiersOf(value, ['fool_company_id', 'cik', 'isin']),
        callDate,
        fiscalQuarter,
        key: callKey(ticker, callDate, fiscalQuarter),
        sourceName: `${file.name}, ${place}`,
        turns: (listField(value, 'call_transcript') ?? []).map(turnOfStatement),
      }
    }
  },
}

function turnOfStatement(statement: JsonObject, i: number): Turn {
  const turn = turnOf(
    textField(statement, 'speaker'),
    textField(statement, 'role'),
    textField(statement, 'text'),
    `statement ${i + 1}`,
  )
  const type = textField(statement, 'statement_type').toUpperCase()
  if (type === 'O' || turn.operator) return { ...turn, operator: true }
  const prepared = textField(statement, 'section') === 'pres' ? 'prepared' : null
  return { ...turn, section: SECTIONS[type] ?? prepared }
}

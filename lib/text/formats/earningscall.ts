// earningscall.biz as JSON: speakers[] with name and title, or prepared_remarks and questions_and_answers, or one text.
// Here because its free levels cover thousands of firms. A record names no firm itself: the file or --firm does.

import type { Format, Turn } from '../transcript.ts'
import { callKey } from '../transcript.ts'
import { firmAndQuarterOf } from './file-name.ts'
import { tickerOf } from './firm.ts'
import type { JsonObject } from './records.ts'
import { dateField, isJson, jsonRecords, listField, mentions, objectField, quarterField, textField } from './records.ts'
import { turnOf, withSections } from './speakers.ts'

export const earningsCall: Format = {
  name: 'earningscall',
  about: 'JSON of earningscall.biz: speakers[], or prepared_remarks and questions_and_answers',

  recognises(_path, head) {
    return isJson(head) && mentions(head, 'speakers', 'prepared_remarks', 'questions_and_answers')
  },

  async *read(file, given) {
    for await (const { value, place } of jsonRecords(file)) {
      const event = objectField(value, 'event')
      const company = objectField(value, 'company_info')
      const stated = textField(value, 'symbol', 'ticker') || textField(company, 'symbol')
      const ticker = tickerOf(stated, file, given, place)
      const callDate = dateField(
        textField(event, 'conference_date') || textField(value, 'conference_date'),
        `${file.name}, ${place}, conference_date`,
      )
      const year = textField(event, 'year') || textField(value, 'year')
      const quarter = textField(event, 'quarter') || textField(value, 'quarter')
      const otherwise = firmAndQuarterOf(file.path)?.quarter ?? (callDate === null ? given.quarter : undefined)
      const fiscalQuarter = quarterField(year, quarter) ?? otherwise ?? null
      yield {
        firmKey: ticker,
        ticker,
        name: textField(value, 'company_name') || textField(company, 'name') || null,
        identifiers: {},
        callDate,
        fiscalQuarter,
        key: callKey(ticker, callDate, fiscalQuarter),
        sourceName: `${file.name}, ${place}`,
        turns: turnsOf(value),
      }
    }
  },
}

function turnsOf(value: JsonObject): Turn[] {
  const prepared = textField(value, 'prepared_remarks')
  const speakers = listField(value, 'speakers')
  if (speakers !== undefined && speakers.length > 0) {
    const names = objectField(value, 'speaker_name_map_v2')
    const turns = withSections(speakers.map((speaker, i) => turnOfSpeaker(speaker, names, i)))
    // The list of speakers has more; the text of the prepared remarks says for certain where they end.
    return prepared === '' ? turns : turns.map(turn => withPrepared(turn, prepared))
  }
  const rest = textField(value, 'questions_and_answers')
  // Questions and answers come as one text without speakers: nobody can say which is which.
  if (prepared !== '' || rest !== '') {
    return [
      { ...turnOf(null, null, prepared, 'prepared_remarks'), section: 'prepared' as const },
      turnOf(null, null, rest, 'questions_and_answers'),
    ].filter(turn => turn.text !== '')
  }
  const text = textField(value, 'text')
  return text === '' ? [] : [turnOf(null, null, text, 'text')]
}

function turnOfSpeaker(speaker: JsonObject, names: JsonObject, i: number): Turn {
  const label = textField(speaker, 'speaker')
  const own = objectField(speaker, 'speaker_info')
  const info = textField(own, 'name') === '' ? objectField(names, label) : own
  const name = textField(info, 'name') || label
  return turnOf(name, textField(info, 'title'), textField(speaker, 'text'), `speaker ${i + 1}`)
}

function withPrepared(turn: Turn, prepared: string): Turn {
  if (turn.operator || turn.text === '' || !prepared.includes(turn.text.trim())) return turn
  return { ...turn, section: 'prepared' }
}

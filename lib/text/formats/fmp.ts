// Financial Modeling Prep as JSON: symbol, quarter, year, date, and the whole call in `content`, a `Name: ` each turn.
// Here because it is the cheapest paid source. Leaves the record to kurry.ts, which descends from this shape.

import type { Format } from '../transcript.ts'
import { transcriptOfSymbol } from './kurry.ts'
import { isJson, jsonRecords, mentions } from './records.ts'

export const fmp: Format = {
  name: 'fmp',
  about: 'JSON of Financial Modeling Prep: symbol, quarter, year, date, content',

  recognises(_path, head) {
    return isJson(head) && mentions(head, 'symbol') && mentions(head, 'content')
  },

  async *read(file, given) {
    for await (const record of jsonRecords(file)) yield transcriptOfSymbol(record, file, given)
  },
}

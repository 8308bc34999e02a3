// What the name of a file says about the call in it: AAPL_q3_2024.txt.
// Here because several vendors' files say firm and quarter nowhere else.
// Leaves MAEC's folder names to maec.ts.

import { basename } from 'node:path'
import { tickerFrom } from '../transcript.ts'

/** Ticker and quarter of `AAPL_q3_2024.txt`, `AAPL_2024Q3.json`, `brk.b-2024-q3.json.gz`; null for any other name. */
export function firmAndQuarterOf(path: string): { ticker: string; quarter: string } | null {
  const name = basename(path).replace(/(?:\.(?:txt|json|jsonl))?(?:\.gz)?$/i, '')
  const match =
    /^([A-Za-z0-9][A-Za-z0-9._-]*?)[_-](?:q([1-4])[_-]?((?:19|20)\d\d)|((?:19|20)\d\d)[_-]?q([1-4]))$/i.exec(name)
  if (match === null) return null
  const [, ticker = '', quarterFirst, yearLast, yearFirst, quarterLast] = match
  return { ticker: tickerFrom(ticker), quarter: `${yearLast ?? yearFirst}Q${quarterFirst ?? quarterLast}` }
}

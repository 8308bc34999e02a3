// MAEC (Li et al., CIKM 2020): a folder YYYYMMDD_TICKER for each call, in it text.txt, one sentence a line.
// Here because it is the open data set of real calls. Leaves other .txt files to plain-text.ts.

import { basename, dirname } from 'node:path'
import { UserError } from '../../errors.ts'
import { readDate } from '../quarters.ts'
import { callKey, type Format, tickerFrom } from '../transcript.ts'
import { numberedLines, wholeText } from './whole-text.ts'

const FOLDER = /^(\d{8})_([A-Za-z0-9][A-Za-z0-9._-]*)$/ // tickers such as BRK.B and UA_C among them

export const maec: Format = {
  name: 'maec',
  about: 'folders YYYYMMDD_TICKER with a text.txt, one sentence a line',

  recognises(path) {
    return /^text\.txt(?:\.gz)?$/.test(basename(path)) && FOLDER.test(basename(dirname(path)))
  },

  async *read(file) {
    const folder = basename(dirname(file.path))
    const [, digits = '', ticker = ''] = FOLDER.exec(folder) ?? []
    const callDate = readDate(digits)
    if (callDate === null) {
      throw new UserError(
        `${file.name}: its folder ${JSON.stringify(folder)} does not begin with a date and a ticker`,
        'MAEC names folders like 20160721_BBT',
      )
    }
    const firmKey = tickerFrom(ticker)
    yield {
      firmKey,
      ticker: firmKey,
      name: null,
      identifiers: {},
      callDate,
      fiscalQuarter: null,
      key: callKey(firmKey, callDate, null),
      sourceName: file.name,
      turns: numberedLines(await wholeText(file)).map(line => ({
        speaker: null,
        role: null,
        section: null,
        operator: false,
        text: line.text.trim(),
        isSentence: true,
        place: `line ${line.number}`,
      })),
    }
  },
}

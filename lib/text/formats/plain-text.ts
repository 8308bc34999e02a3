// A text file with one call: TICKER_q3_2024.txt, or any text whose firm and quarter are said on the command line.
// Here because everybody can make such a file. Leaves MAEC's folders to maec.ts.

import { UserError } from '../../errors.ts'
import { parseQuarter } from '../quarters.ts'
import { splitSentences } from '../sentences.ts'
import { callKey, type Format, type Turn, tickerFrom } from '../transcript.ts'
import { firmAndQuarterOf } from './file-name.ts'
import { hasSpeakerLines, turnOf, turnsOfLines, withSections } from './speakers.ts'
import { numberedLines, wholeText } from './whole-text.ts'

// One sentence a line holds some lines that break the rule (two sentences typed together, an "iPhone" in front), in
// prose most do. Of MAEC's 1,023 calls the worst has 17 % of the first kind and 7 % of the second.
const MOST_EXCEPTIONS = 0.25

export const plainText: Format = {
  name: 'plain-text',
  about: 'TICKER_q3_2024.txt, or any text with --firm and --quarter; one sentence a line, or prose',

  recognises(path, head) {
    const named = path === '' || /\.txt(?:\.gz)?$/i.test(path)
    return named && !/^\s*(?:\{|\[\s*[{\]])/.test(head) // JSON under another name is no prose
  },

  async *read(file, given) {
    const named = firmAndQuarterOf(file.path)
    const firm = named?.ticker ?? given.firm
    const quarter = named?.quarter ?? given.quarter
    if (firm === undefined || quarter === undefined) {
      const lacking = [firm === undefined && 'firm', quarter === undefined && 'quarter'].filter(Boolean).join(' and ')
      throw new UserError(
        `${file.name} does not say its ${lacking}`,
        'add --firm TICKER --quarter 2024Q3, or name the file TICKER_q3_2024.txt',
      )
    }
    const firmKey = tickerFrom(firm)
    const fiscalQuarter = parseQuarter(quarter)
    yield {
      firmKey,
      ticker: firmKey,
      name: null,
      identifiers: {},
      callDate: null,
      fiscalQuarter,
      key: callKey(firmKey, null, fiscalQuarter),
      sourceName: file.name,
      turns: turnsOf(await wholeText(file)),
    }
  },
}

/**
 * With speakers' names before the lines: a turn each. Else, by the lines: more than a quarter begin with a small letter:
 * wrapped prose, joined until a blank line; more than a quarter hold several sentences: a paragraph a line; else one
 * sentence a line.
 */
function turnsOf(text: string): Turn[] {
  if (hasSpeakerLines(text)) return withSections(turnsOfLines(text))
  const lines = numberedLines(text)
  const share = (test: (line: string) => boolean) => lines.filter(line => test(line.text)).length / lines.length
  if (share(line => /^\s*\p{Ll}/u.test(line)) > MOST_EXCEPTIONS) return paragraphsOf(lines)
  const isProse = share(line => splitSentences(line).length > 1) > MOST_EXCEPTIONS
  return lines.map(line => ({ ...turnOf(null, null, line.text.trim(), `line ${line.number}`), isSentence: !isProse }))
}

function paragraphsOf(lines: readonly { text: string; number: number }[]): Turn[] {
  const turns: Turn[] = []
  let previous = 0
  for (const line of lines) {
    const last = turns.at(-1)
    if (last !== undefined && line.number === previous + 1) last.text += ` ${line.text.trim()}`
    else turns.push(turnOf(null, null, line.text.trim(), `line ${line.number}`))
    previous = line.number
  }
  return turns
}

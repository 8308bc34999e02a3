// Which names a reader would take for the same, and which have too little to do with what they name.
// Both are judged by words and not by letters, so that no name differs from another by an "other" alone, and no topic is
// called by words that stand nowhere in it. Asking for better ones is naming.ts.

import { sameStem } from './keywords.ts'
import { readAlike } from './names.ts'
import { DISCOURSE_WORDS, STOP_WORDS, words } from './words.ts'

// Words that language models put into names to tell them apart without telling anything.
const FILLERS = new Set(
  'additional aspects broader commentary considerations details developments discussion dynamics factors further general issues matters miscellaneous other overview related remarks review summary topics trend trends update updates various'.split(
    ' ',
  ),
)

// "Gross margin expansion" and "Gross margin expansion drivers" are one name to a reader, "Memory pricing" and "Memory
// pricing recovery" are two: of the longer name's words, three quarters are the other's.
const SHARED = 3 / 4

/** Whether a reader would take two names for the same. */
export function tooAlike(a: string, b: string): boolean {
  if (readAlike(a) === readAlike(b)) return true
  const [ours, theirs] = [tellingWords(a), tellingWords(b)]
  if (ours.length === 0 || theirs.length === 0) return false
  const shared = ours.filter(word => theirs.some(other => sameStem(word, other))).length
  return shared >= SHARED * Math.max(ours.length, theirs.length)
}

/** Of the words of a text that carry content, the share that stands in the evidence, too; 0 where it has none. */
export function shareIn(text: string, evidence: readonly string[]): number {
  const known = [...new Set(evidence.flatMap(contentWords))]
  const own = contentWords(text)
  if (own.length === 0) return 0
  return own.filter(word => known.some(other => sameStem(word, other))).length / own.length
}

/** Each once, without grammar and fillers; the number that tells "Memory pricing (2)" from the first is none of them. */
function tellingWords(name: string): string[] {
  const all = words(name.replace(/\s*[(#]+\d+\)?\s*$/, ''))
  return [...new Set(all.filter(word => !STOP_WORDS.has(word) && !FILLERS.has(word)))]
}

function contentWords(text: string): string[] {
  return tellingWords(text).filter(word => !DISCOURSE_WORDS.has(word))
}

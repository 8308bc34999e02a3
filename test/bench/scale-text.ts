// A made quarter of as many firms as one likes, whose text reads as real calls do: a few real calls one after the other, with
// other words in the place of some, so that firms speak of the same things and yet no sentence is said by three of them, which
// would make it talk. All by seed, firm by firm: the first firms of a large quarter are those of a small one.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRandom, type Random, seedFrom } from '../../lib/math/random.ts'
import { tells, vocabularyOf } from './themes-made.ts'

/** Of no real call at hand. */
export const MADE_QUARTER = '1999Q3'

// Sizes as real calls have them: the logarithm is normal, the mean 400, one firm in twenty over 950.
const MEDIAN_SENTENCES = 325
const SPREAD = 0.65
const [FEWEST, MOST] = [50, 2000]
// Of the words that tell something, the share that a firm has another word for, wherever it says it: a firm's own words.
const OWN_WORDS = 0.1
// Another word that is about as frequent, so that words that half of the firms use stay as many as they are.
const NEAR_IN_RANK = 200
// Shorter words hold a sentence together; what has none longer is talk anyway.
const LEAST_LETTERS = 4
const WORD = /\p{L}+/gu

/** Writes calls as the MAEC archives have them: one folder a call, one sentence a line. Returns the sentences written. */
export function writeMadeFirms(folder: string, real: readonly (readonly string[])[], firms: number): number {
  const vocabulary = vocabularyOf(real.flat())
  const rankOf = new Map(vocabulary.map((word, rank) => [word, rank]))
  let sentences = 0
  for (let firm = 0; firm < firms; firm++) {
    const random = createRandom(seedFrom('made firm', firm))
    const lines = madeCall(real, { vocabulary, rankOf }, random)
    const place = join(folder, `19990815_M${String(firm).padStart(5, '0')}`)
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'text.txt'), `${lines.join('\n')}\n`)
    sentences += lines.length
  }
  return sentences
}

type Words = { vocabulary: readonly string[]; rankOf: ReadonlyMap<string, number> }

/** The sentences of one firm. */
function madeCall(real: readonly (readonly string[])[], words: Words, random: Random): string[] {
  const size = Math.round(Math.min(MOST, Math.max(FEWEST, MEDIAN_SENTENCES * Math.exp(SPREAD * normal(random)))))
  const own = new Map<string, string>()
  const lines: string[] = []
  while (lines.length < size) {
    const call = real[random.int(real.length)]
    for (const sentence of call.slice(0, size - lines.length)) lines.push(spokenBy(sentence, own, words, random))
  }
  return lines
}

/** Box and Muller 1958. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

/** With the firm's own words, and one more changed: the same sentence comes in dozens of firms and is hardly ever the same. */
function spokenBy(sentence: string, own: Map<string, string>, words: Words, random: Random): string {
  const all = sentence.match(WORD) ?? []
  const telling = all.filter(tells)
  const changeable = telling.length > 0 ? telling : all.filter(word => word.length >= LEAST_LETTERS)
  const changed = changeable[random.int(Math.max(1, changeable.length))]
  return sentence.replace(WORD, word => {
    if (word === changed) return nearInRank(word, words, random)
    if (!tells(word)) return word
    const mine = own.get(word) ?? (random.next() < OWN_WORDS ? nearInRank(word, words, random) : word)
    own.set(word, mine)
    return mine
  })
}

/** Any word of the vocabulary for one that is not in it. */
function nearInRank(word: string, { vocabulary, rankOf }: Words, random: Random): string {
  const rank = rankOf.get(word)
  if (rank === undefined) return vocabulary[random.int(vocabulary.length)]
  const near = Math.abs(rank + random.int(2 * NEAR_IN_RANK + 1) - NEAR_IN_RANK)
  return vocabulary[Math.min(vocabulary.length - 1, near)]
}

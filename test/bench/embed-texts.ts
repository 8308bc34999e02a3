// The texts that the embedding bench runs on: real sentences of a quarter, real calls joined to longer texts, and as many
// sentences as one likes that are made of real ones and differ. All by seed. Nothing is measured here.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sentencesByFirm } from '../../lib/db/calls.ts'
import type { Database } from '../../lib/db/connect.ts'
import { createRandom } from '../../lib/math/random.ts'

/** The sentences of each firm of a quarter, in the order they were spoken. */
export async function readCalls(sql: Database, quarter: string): Promise<string[][]> {
  const calls: string[][] = []
  for await (const { sentences } of sentencesByFirm(sql, quarter)) calls.push(sentences.map(({ text }) => text))
  return calls
}

/**
 * About n sentences in their real order: whole calls, evenly spread over the quarter. Each text once, because ours runs a
 * repeated one once, which the others do not, and that is not what is compared.
 */
export function sampleOf(calls: readonly string[][], n: number): string[] {
  const all = calls.reduce((sum, call) => sum + call.length, 0)
  const step = Math.max(1, Math.floor(all / n))
  return [...new Set(calls.filter((_, i) => i % step === 0).flat())].slice(0, n)
}

export type Joined = { texts: string[]; tokens: number }

/**
 * Consecutive sentences of the quarter joined to texts whose lengths are spread evenly from `least` to `most` tokens; as
 * many as have `wanted` tokens together. `lengths`: tokens of each sentence without special ones.
 */
export function joinedTexts(
  sentences: readonly string[],
  lengths: readonly number[],
  { least, most, wanted }: { least: number; most: number; wanted: number },
): Joined {
  const random = createRandom(1)
  const joined: Joined = { texts: [], tokens: 0 }
  let parts: string[] = []
  let tokens = 0
  let target = least + random.int(most - least)
  for (const [i, sentence] of sentences.entries()) {
    if (joined.tokens >= wanted) break
    // One that would reach over the end begins the next text, so that no text is longer than its kind.
    if (tokens >= least && tokens + lengths[i] > target) {
      joined.texts.push(parts.join(' '))
      joined.tokens += tokens
      parts = []
      tokens = 0
      target = least + random.int(most - least)
    }
    parts.push(sentence)
    tokens += lengths[i]
  }
  return joined
}

/** The beginning of one real sentence and the end of another, for ever; few are twice the same. */
export function* madeSentences(real: readonly string[], seed: number): Generator<string> {
  const random = createRandom(seed)
  const words = real.map(sentence => sentence.split(' '))
  while (true) {
    const [one, other] = [words[random.int(words.length)], words[random.int(words.length)]]
    yield [...one.slice(0, Math.ceil(one.length / 2)), ...other.slice(Math.ceil(other.length / 2))].join(' ')
  }
}

// As many sentences as a call of the real quarters has.
const SENTENCES_OF_A_CALL = 100

/** Writes calls of made sentences as the MAEC archives have them: one folder a call, one sentence a line. */
export function writeMadeQuarter(folder: string, real: readonly string[], sentences: number): void {
  const made = madeSentences(real, 1)
  for (let call = 0; call * SENTENCES_OF_A_CALL < sentences; call++) {
    const place = join(folder, `19990815_${tickerOf(call)}`)
    mkdirSync(place, { recursive: true })
    const lines = Array.from({ length: SENTENCES_OF_A_CALL }, () => made.next().value)
    writeFileSync(join(place, 'text.txt'), `${lines.join('\n')}\n`)
  }
}

/** AAAA, AAAB, … */
function tickerOf(call: number): string {
  const letters = [26 ** 3, 26 ** 2, 26, 1].map(place => Math.floor(call / place) % 26)
  return String.fromCharCode(...letters.map(letter => 65 + letter))
}

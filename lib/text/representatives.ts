// The sentences that show a person, and a language model, what a topic is about: central, readable, and not all the same.
// Plain numbers in, row indices out; finding the topic and its centroid is lib/math.

import { isTelling } from './terms.ts'
import { words as wordsOf } from './words.ts'

export type TopicMembers = {
  /** n × d, row by row. */
  vectors: Float32Array
  d: number
  /** Rows that belong to the topic. */
  members: Int32Array
  centroid: Float32Array
  /** Text of every row. */
  texts: readonly string[]
  /** Of every row, how surely it belongs where it is, from 0 to 1. */
  probabilities: Float32Array | Float64Array
  howMany: number
}

// Under eight words a sentence needs the one before it to be understood; over forty it says several things.
const FEWEST_WORDS = 8
const MOST_WORDS = 40
// Central counts more than different, as for keywords: the fringe of a topic is where the wrong sentences are.
const RELEVANCE = 0.7
// "I think that again, track record has been good" is typical of any topic and says nothing. Two telling words count
// half of what many would, so that length alone does not win; on topics of 2016Q4, 1 and 4 choose nearly the same.
const HALF_TELLING = 2
// Comparing a large topic's every sentence with those taken costs more than it finds beyond the fifty most central.
const CANDIDATES = 50

/** Rows of the sentences that stand for a topic, best first; fewer when it does not have that many different ones. */
export function representativeSentences(topic: TopicMembers): number[] {
  const { vectors, d, members, centroid, texts, probabilities, howMany } = topic
  const seen = new Set<string>()
  const candidates: { row: number; relevance: number; readable: boolean; likeTaken: number }[] = []
  for (const row of [...members].sort((a, b) => a - b)) {
    const words = wordsOf(texts[row])
    const plain = words.join(' ')
    if (seen.has(plain)) continue
    seen.add(plain)
    const readable = words.length >= FEWEST_WORDS && words.length <= MOST_WORDS
    const telling = new Set(words.filter(isTelling)).size
    // The centroid says how typical, the probability how deep inside the cluster, the words whether it says anything.
    const relevance =
      cosine(vectors, row * d, centroid, 0, d) * probabilities[row] * (telling / (telling + HALF_TELLING))
    candidates.push({ row, relevance, readable, likeTaken: 0 })
  }
  candidates.sort((a, b) => Number(b.readable) - Number(a.readable) || b.relevance - a.relevance || a.row - b.row)
  const readable = candidates.filter(candidate => candidate.readable).length
  // Sentences too short or too long only fill up.
  const left = candidates.slice(0, readable >= howMany ? Math.min(readable, CANDIDATES) : Math.max(howMany, readable))

  const taken: number[] = []
  while (taken.length < howMany && left.length > 0) {
    let best = 0
    const score = (i: number) =>
      RELEVANCE * left[i].relevance - (1 - RELEVANCE) * left[i].likeTaken + (left[i].readable ? 2 : 0)
    for (let i = 1; i < left.length; i++) if (score(i) > score(best)) best = i
    const [{ row }] = left.splice(best, 1)
    taken.push(row)
    for (const other of left)
      other.likeTaken = Math.max(other.likeTaken, cosine(vectors, row * d, vectors, other.row * d, d))
  }
  return taken
}

/** Cosine of the d numbers at `at` in a and at `bt` in b; 0 where one of them is all zeros. */
function cosine(a: Float32Array, at: number, b: Float32Array, bt: number, d: number): number {
  let dot = 0
  let lengthA = 0
  let lengthB = 0
  for (let i = 0; i < d; i++) {
    dot += a[at + i] * b[bt + i]
    lengthA += a[at + i] ** 2
    lengthB += b[bt + i] ** 2
  }
  return lengthA === 0 || lengthB === 0 ? 0 : dot / Math.sqrt(lengthA * lengthB)
}

// Whether a topic's keywords belong together (NPMI coherence) and whether a firm's topics differ (diversity).
// The unit is the word, so that keywords of one, two and three words compare fairly, and BERTopic's with ours.
// Left to others: how keywords are chosen.

import { STOP_WORDS, words } from './words.ts'

// Ten is what the literature measures (Röder, Both, Hinneburg 2015; Dieng, Ruiz, Blei 2020), and all we keep a topic.
const TOP_WORDS = 10

/**
 * The first ten different words of a topic's keywords, in small letters. Grammar inside a keyword is passed over (cost
 * of capital): it would stand beside anything.
 */
export function topWords(keywords: readonly string[]): string[] {
  const found = new Set<string>()
  for (const keyword of keywords) {
    const all = words(keyword).map(word => formsOf(word)[0])
    const telling = all.filter(word => !STOP_WORDS.has(word))
    for (const word of telling.length > 0 ? telling : all) found.add(word)
  }
  return [...found].slice(0, TOP_WORDS)
}

/** How many sentences have each word that was asked for, and each pair of words that stand in one topic. */
export type WordCounts = {
  sentences: number
  numberOfWord: Map<string, number>
  sentencesOfWord: number[]
  /** For each word the words of higher number that it was asked for with, and the sentences that have both. */
  sentencesOfPair: Map<number, number>[]
}

/** Counts of nothing yet, for the words of these topics (each as `topWords` gives them). */
export function countsFor(topics: Iterable<readonly string[]>): WordCounts {
  const counts: WordCounts = { sentences: 0, numberOfWord: new Map(), sentencesOfWord: [], sentencesOfPair: [] }
  for (const topic of topics) {
    const numbers = topic.map(word => {
      const number = counts.numberOfWord.get(word) ?? counts.numberOfWord.size
      if (number === counts.numberOfWord.size) {
        counts.numberOfWord.set(word, number)
        counts.sentencesOfWord.push(0)
        counts.sentencesOfPair.push(new Map())
      }
      return number
    })
    for (const one of numbers) for (const other of numbers) if (one < other) counts.sentencesOfPair[one].set(other, 0)
  }
  return counts
}

/**
 * Counts more sentences in. Pairs are counted as the sentences go by, so that time grows with the sentences and memory
 * with the topics: lists of the sentences of each word would have to be cut with one another for every pair.
 */
export function addSentences(counts: WordCounts, sentences: Iterable<string>): void {
  for (const sentence of sentences) {
    counts.sentences++
    const here = new Set<number>()
    for (const word of words(sentence)) {
      for (const form of formsOf(word)) {
        const number = counts.numberOfWord.get(form)
        if (number !== undefined) here.add(number)
      }
    }
    for (const one of here) {
      counts.sentencesOfWord[one]++
      const pairs = counts.sentencesOfPair[one]
      for (const other of here) {
        const together = one < other ? pairs.get(other) : undefined
        if (together !== undefined) pairs.set(other, together + 1)
      }
    }
  }
}

/**
 * Mean over the pairs of a topic's words of the normalized pointwise mutual information (Bouma 2009), a sentence being
 * the window: -1 never together, 0 as chance has it, 1 only together. Undefined with fewer than two words. The topic
 * must be among those counted.
 */
export function coherence(topic: readonly string[], counts: WordCounts): number | undefined {
  const numbers = topic.map(word => counts.numberOfWord.get(word) ?? -1)
  let total = 0
  let pairs = 0
  for (const [i, one] of numbers.entries()) {
    for (const other of numbers.slice(i + 1)) {
      const together = counts.sentencesOfPair[Math.min(one, other)]?.get(Math.max(one, other))
      if (together === undefined) throw new Error(`words were not counted together: ${topic.join(', ')}`)
      total += mutualInformation(counts.sentencesOfWord[one], counts.sentencesOfWord[other], together, counts.sentences)
      pairs++
    }
  }
  return pairs === 0 ? undefined : total / pairs
}

/** Share of different words among the words of all topics of a firm: 1 where no word stands in two of them. */
export function diversity(topics: readonly (readonly string[])[]): number | undefined {
  const all = topics.flat()
  return all.length === 0 ? undefined : new Set(all).size / all.length
}

function mutualInformation(one: number, other: number, together: number, sentences: number): number {
  if (together === 0) return -1
  // In every sentence: always together, though chance would have it so too.
  if (together === sentences) return 1
  return Math.log((together * sentences) / (one * other)) / Math.log(sentences / together)
}

/** A word without the possessive (company's), and as BERTopic writes it, which drops the marks inside: rd for R&D. */
function formsOf(word: string): string[] {
  if (!/[^\p{L}\p{N}]/u.test(word)) return [word]
  return [word.replace(/'s$/, ''), word.replace(/[^\p{L}\p{N}]/gu, '')]
}

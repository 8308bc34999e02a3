// The words of a few sentences counted in one go, where the product counts a quarter firm by firm.

import { addSentences, countsFor, type WordCounts } from '../../lib/text/coherence.ts'

export function countWords(sentences: Iterable<string>, topics: Iterable<readonly string[]>): WordCounts {
  const counts = countsFor(topics)
  addSentences(counts, sentences)
  return counts
}

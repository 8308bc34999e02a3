// Coherence and diversity on sentences that can be counted by hand, and against the definition.

import { describe, expect, it } from 'vitest'
import { createRandom } from '../../lib/math/random.ts'
import { addSentences, coherence, countsFor, diversity, topWords } from '../../lib/text/coherence.ts'
import { countWords } from './count-words.ts'

describe('topWords', () => {
  it('takes keywords apart into different words, in their order, in small letters', () => {
    expect(topWords(['Gross Margin', 'margin', 'mix', 'gross margin expansion'])).toEqual([
      'gross',
      'margin',
      'mix',
      'expansion',
    ])
  })

  it('passes over grammar inside a keyword, but not a keyword that is nothing else', () => {
    expect(topWords(['cost of capital', 'the'])).toEqual(['cost', 'capital', 'the'])
  })

  it('keeps ten', () => {
    const many = Array.from({ length: 14 }, (_, i) => `word${i}a word${i}b`)
    expect(topWords(many)).toEqual(['0a', '0b', '1a', '1b', '2a', '2b', '3a', '3b', '4a', '4b'].map(x => `word${x}`))
  })
})

describe('coherence', () => {
  const sentences = [
    'Store traffic rose.',
    'Traffic in the store was flat; store managers said so.',
    'Rates rose.',
    'Nothing here.',
  ]

  it('is -1 for words that never meet, 1 for words that only meet, and by the formula between', () => {
    const topics = [
      ['store', 'rates'],
      ['store', 'traffic'],
      ['store', 'rose'],
    ]
    const counts = countWords(sentences, topics)
    expect(coherence(topics[0], counts)).toBe(-1)
    expect(coherence(topics[1], counts)).toBeCloseTo(1, 12)
    // Two of four sentences have either word, one has both: as chance would have it.
    expect(coherence(topics[2], counts)).toBeCloseTo(0, 12)
  })

  it('is the mean over the pairs of a topic', () => {
    const topic = ['store', 'traffic', 'rates']
    expect(coherence(topic, countWords(sentences, [topic]))).toBeCloseTo((1 - 1 - 1) / 3, 12)
  })

  it('is 1 for words that are in every sentence', () => {
    expect(coherence(['a', 'b'], countWords(['a b', 'b a c'], [['a', 'b']]))).toBe(1)
  })

  it('counts a word that no sentence has as one that never meets another', () => {
    expect(coherence(['store', 'zebra'], countWords(sentences, [['store', 'zebra']]))).toBe(-1)
  })

  it('is not defined for fewer than two words', () => {
    const counts = countWords(sentences, [['store'], []])
    expect(coherence(['store'], counts)).toBeUndefined()
    expect(coherence([], counts)).toBeUndefined()
  })

  it('finds a word in its possessive, and as BERTopic writes what has a mark inside', () => {
    const counts = countWords(
      ["The company's R&D is long-term.", 'The company’s cash.'],
      [['company', 'rd', 'longterm', 'r&d', 'long-term', 'companys']],
    )
    const found = [...counts.numberOfWord].map(([word, number]) => [word, counts.sentencesOfWord[number]])
    expect(Object.fromEntries(found)).toEqual({ company: 2, rd: 1, longterm: 1, 'r&d': 1, 'long-term': 1, companys: 2 })
  })

  it('refuses a topic whose words were not counted together', () => {
    const counts = countWords(sentences, [
      ['store', 'rates'],
      ['traffic', 'rose'],
    ])
    expect(() => coherence(['store', 'rose'], counts)).toThrow(/not counted together: store, rose/)
    expect(() => coherence(['store', 'tiger'], counts)).toThrow(/not counted together/)
  })

  it('is what the definition says, whatever the order, and whether counted at once or in parts', () => {
    const random = createRandom(5)
    const vocabulary = Array.from({ length: 30 }, (_, i) => `w${i}`)
    // Squared, so that some words are common and some rare.
    const draw = () => vocabulary[Math.floor(30 * random.next() ** 2)]
    const texts = Array.from({ length: 300 }, () => Array.from({ length: 6 }, draw).join(' '))
    const topics = Array.from({ length: 12 }, () => [...new Set(Array.from({ length: 8 }, draw))])
    const parts = countsFor(topics)
    for (let i = 0; i < texts.length; i += 70) addSentences(parts, texts.slice(i, i + 70))
    const whole = countWords(
      texts.toReversed(),
      topics.map(topic => topic.toReversed()),
    )
    for (const topic of topics) {
      const slow = slowTwin(topic, texts)
      expect(coherence(topic, parts)).toBeCloseTo(slow, 12)
      expect(coherence(topic, whole)).toBeCloseTo(slow, 12)
    }
  })
})

/** Bouma 2009, sentence by sentence. */
function slowTwin(topic: readonly string[], texts: readonly string[]): number {
  const share = (...wanted: string[]) =>
    texts.filter(text => wanted.every(word => text.split(' ').includes(word))).length / texts.length
  const values = topic.flatMap((one, i) =>
    topic.slice(i + 1).map(other => {
      const both = share(one, other)
      return both === 0 ? -1 : Math.log(both / (share(one) * share(other))) / -Math.log(both)
    }),
  )
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

describe('diversity', () => {
  it('is 1 where no word stands twice, and less for every one that does', () => {
    expect(
      diversity([
        ['a', 'b'],
        ['c', 'd'],
      ]),
    ).toBe(1)
    expect(
      diversity([
        ['a', 'b'],
        ['a', 'c'],
      ]),
    ).toBe(3 / 4)
    expect(diversity([['a'], ['a'], ['a'], ['a']])).toBe(1 / 4)
  })

  it('is not defined without words', () => {
    expect(diversity([])).toBeUndefined()
    expect(diversity([[]])).toBeUndefined()
  })
})

// The plain words of a topic, against the formula written out, and what counts as talk by them.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../lib/math/random.ts'
import { topicKeywords } from '../../lib/text/keywords.ts'
import { addTally, addWords, isTalk, plainWords, TALK_WORDS, type WordTally } from '../../lib/text/plain-words.ts'
import { STOP_WORDS, words } from '../../lib/text/words.ts'

const tally = (...sentences: string[]): WordTally => {
  const counts: WordTally = new Map()
  for (const sentence of sentences) addWords(counts, sentence)
  return counts
}
const NONE: WordTally = new Map()

const CLOSING = ['Thank you all for joining us.', 'Operator, next question.', 'Thanks, good morning everyone.']
const BREWING = ['Hop prices doubled in Oregon.', 'The brewery sold stout and lager.', 'Bottling lines broke in Leeds.']

describe('plain words', () => {
  it('are every word but grammar and single letters, counted as often as it is said', () => {
    expect([...tally('I think the margin, the gross margin of <UNK>, was 12.5 % in plan B.')]).toEqual([
      ['think', 1],
      ['margin', 2],
      ['gross', 1],
      ['12.5', 1],
      ['plan', 1],
    ])
  })

  it('are those of class-based TF-IDF as it is written down, the rest being a class', () => {
    const random = createRandom(7)
    const vocabulary = Array.from({ length: 40 }, (_, i) => `word${i}`)
    const texts = Array.from({ length: 6 }, () =>
      Array.from({ length: 60 }, () => vocabulary[random.int(1 + random.int(40))]),
    )
    const tallies = texts.map(text => tally(text.join(' ')))
    const all = texts.flat()
    const times = (word: string, text: readonly string[]) => text.filter(other => other === word).length
    const weight = (word: string, text: readonly string[]) =>
      times(word, text) * Math.log(1 + all.length / texts.length / times(word, all))
    const expected = texts.map(text =>
      [...new Set(text)].sort((a, b) => weight(b, text) - weight(a, text) || (a < b ? -1 : 1)).slice(0, 10),
    )
    expect(plainWords(tallies.slice(0, 5), tallies[5])).toEqual(expected.slice(0, 5))
  })

  it('do not depend on the order of sentences or of groups', () => {
    const groups = [tally(...CLOSING), tally(...BREWING)]
    const turned = [tally(...BREWING.toReversed()), tally(...CLOSING.toReversed())]
    expect(plainWords(turned, NONE).toReversed()).toEqual(plainWords(groups, NONE))
  })

  it('of sentences counted apart and put together are those of the sentences counted together', () => {
    const together = tally(CLOSING[0])
    addTally(together, tally(...CLOSING.slice(1)))
    expect(together).toEqual(tally(...CLOSING))
  })

  it('of no groups are none', () => {
    expect(plainWords([], tally(...BREWING))).toEqual([])
  })
})

describe('talk', () => {
  it('is a topic of thanks and questions, and not one of brewing', () => {
    expect(plainWords([tally(...CLOSING), tally(...BREWING)], NONE).map(isTalk)).toEqual([true, false])
  })

  it('is what has at least half of its ten words from the list, words it lacks counted as such', () => {
    const content = ['hop', 'stout', 'lager', 'brewery', 'oregon', 'bottling']
    const discourse = ['thank', 'question', 'morning', 'sure', 'operator']
    expect(isTalk([...content.slice(0, 5), ...discourse])).toBe(true)
    expect(isTalk([...content, ...discourse.slice(1)])).toBe(false)
    expect(isTalk(content)).toBe(false)
    expect(isTalk([])).toBe(true)
  })

  it('shows in plain words where the keywords of the same topic name something else', () => {
    const sentences = [...CLOSING, 'Good question, thank you.', 'Thanks for the question on hops.', ...BREWING]
    const topicOfSentence = Int32Array.from(sentences, (_, i) => (i < sentences.length - BREWING.length ? 0 : 1))
    const question = { sentences, topicOfSentence, topicCount: 2, howMany: 10, firmsUsingWord: new Map(), firmCount: 0 }
    const [keywords] = topicKeywords(question)
    expect(keywords.flatMap(({ term }) => words(term)).filter(word => TALK_WORDS.has(word))).toEqual([])
    const groups = [0, 1].map(topic => tally(...sentences.filter((_, i) => topicOfSentence[i] === topic)))
    expect(plainWords(groups, NONE).map(isTalk)).toEqual([true, false])
  })

  it('has no word in its list that could never be counted', () => {
    const never = [...TALK_WORDS].filter(word => STOP_WORDS.has(word) || word.length < 2 || words(word)[0] !== word)
    expect(never).toEqual([])
  })

  it('has the list that the method states', () => {
    const method = readFileSync(new URL('../../docs/method.md', import.meta.url), 'utf8')
    const stated = /The list \(`TALK_WORDS`[^\n]*\n\n```\n([^`]+)\n```/.exec(method)?.[1] ?? ''
    expect(stated.split(/\s+/)).toEqual([...TALK_WORDS])
  })
})

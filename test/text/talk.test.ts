// Marking talk: news is never marked, talk is, and the rules of the quarter count firms, not sentences.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createQuarterCounts, localReason } from '../../lib/text/talk.ts'
import { DISCOURSE_WORDS, isFigure, STOP_WORDS, words } from '../../lib/text/words.ts'

const NEWS = [
  'Gross margin was 43 %.',
  'Revenue grew 12 %.',
  'Orders grew in every region.',
  'In Q2, shareholders sold 5,000 shares.',
  'The wallboard price increase of January is holding.',
  'Good morning, on margins, what do freight costs do in the second half.',
  'That is a good question, because the steel tariffs raise our input costs this year.',
  'We turned the plant in Ohio over to our joint venture partner.',
  'Customers can order online and pick up in the store through our website.',
  'No, tariffs.  We see no tariffs on copper.',
  'Thanks to the new warehouses freight costs fell.',
  'We opened up the line of credit for questions of liquidity and drew $40 million.',
  'The next question comes from regulators: will the merger be cleared, and we expect synergies of 5 %.',
  'Our adjusted tax rate fell because the plant in Ireland now owns the patents.',
  'The chief executive of our largest customer will review the supply contract in the spring.',
  'We filed our new drug application for the knee implant with the regulator.',
]

const TALK: [string, string][] = [
  ['Thank you, <UNK>.', 'short'],
  ['<UNK>, this is <UNK>.', 'short'],
  ['Yes.', 'short'],
  ['Thanks, <UNK>, and good morning, everyone.', 'procedure'],
  ['With that, I will turn the call over to <UNK> to review our financial results.', 'procedure'],
  ["We'll now open the line for your questions.", 'procedure'],
  ['Our next question comes from the line of Max Berg with Big Bank.', 'procedure'],
  ['This concludes our conference call, and we appreciate your interest in Acme Corporation.', 'procedure'],
  ['We look forward to speaking with you next quarter.', 'procedure'],
  ['Actual results could differ materially from those projected.', 'procedure'],
  ['A replay of this call will be available on our website for seven days.', 'procedure'],
  ["That's a great question, <UNK>.", 'procedure'],
  ['My name is <UNK>, and I am the Chief Financial Officer of Acme.', 'procedure'],
  ['<UNK> will now provide more details on the financial results for the quarter.', 'procedure'],
  ['During the call we will also discuss non-GAAP financial measures.', 'procedure'],
  ['Non-GAAP measures should not be considered a substitute for measures in accordance with GAAP.', 'procedure'],
  ['Earlier today, we issued a news release on our results.', 'procedure'],
  ['This call is the property of Acme, and contains time-sensitive information.', 'procedure'],
  ['If you are a reporter with questions, please call our media office at 856-342-3737.', 'procedure'],
  ['So I think that is kind of where we are.', 'no content word'],
]

describe('a sentence by itself', () => {
  it.each(NEWS)('leaves news alone: %s', sentence => {
    expect(localReason(sentence, false)).toBeNull()
  })

  it.each(TALK)('marks %s as %s', (sentence, reason) => {
    expect(localReason(sentence, false)).toBe(reason)
  })

  it('marks whatever the operator says', () => {
    for (const sentence of NEWS) expect(localReason(sentence, true)).toBe('operator')
  })

  it('has an answer for the empty sentence', () => {
    expect(localReason('', false)).toBe('short')
  })
})

describe('a quarter', () => {
  const formula = (quarter: string) => `Copper miners of ${quarter} salute their brave shareholders.`

  function counted(firms: [string, string[]][]) {
    const counts = createQuarterCounts()
    for (const [firm, sentences] of firms) for (const sentence of sentences) counts.count(firm, sentence)
    return counts
  }

  it('marks what three firms say word for word, figures aside', () => {
    const counts = counted([
      ['A', [formula('Q1 2016')]],
      ['B', [formula('Q2 2017').toUpperCase()]],
      ['C', [formula('Q3 2018')]],
    ])
    expect(counts.reason(formula('Q4 2024'), false)).toBe('shared')
  })

  it('does not mark what two firms say, however often', () => {
    const often = Array.from({ length: 10 }, () => formula('Q1 2016'))
    expect(
      counted([
        ['A', often],
        ['B', often],
      ]).reason(formula('Q1 2016'), false),
    ).toBeNull()
  })

  it('gives the same answers whatever the order of the firms', () => {
    const firms: [string, string[]][] = Array.from({ length: 30 }, (_, i) => [
      `F${i}`,
      [
        `Market customers look strong in region ${i % 7}.`,
        ...(i % 3 === 0 ? ['Copper miners salute shareholders daily.'] : []),
      ],
    ])
    const forth = counted(firms)
    const back = counted([...firms].reverse())
    expect(new Map([...back.commonWords()].sort())).toEqual(new Map([...forth.commonWords()].sort()))
    for (const sentence of firms.flatMap(([, sentences]) => sentences))
      expect(back.reason(sentence, false)).toBe(forth.reason(sentence, false))
  })

  it('calls a word common when more than half of at least twenty firms use it', () => {
    const firms = (n: number, users: number): [string, string[]][] =>
      Array.from({ length: n }, (_, i) => [
        `F${i}`,
        [i < users ? 'Customers demand copper, copper, copper.' : 'Nothing new.'],
      ])
    expect(counted(firms(20, 11)).commonWords().get('copper')).toBe(11)
    expect(counted(firms(20, 10)).commonWords().has('copper')).toBe(false)
    expect(counted(firms(19, 19)).commonWords().size).toBe(0)
    // The sentence itself is shared by eleven firms; another of the same words is not.
    expect(counted(firms(20, 11)).reason('Copper customers demand customers.', false)).toBe('common words')
    expect(counted(firms(20, 11)).reason('Copper customers demand bronze.', false)).toBeNull()
  })

  it('counts no figure as a common word', () => {
    const firms: [string, string[]][] = Array.from({ length: 20 }, (_, i) => [`F${i}`, ['Copper reached 43 dollars.']])
    expect(counted(firms).commonWords().has('43')).toBe(false)
  })

  it('refuses sentences that do not come firm by firm, whose firms it would count twice', () => {
    const counts = counted([
      ['A', ['Copper.']],
      ['B', ['Copper.']],
    ])
    expect(() => counts.count('A', 'Copper.')).toThrow(/A came back/)
  })

  it('marks between a tenth and a fifth of real calls, and none of their sentences with money in it', () => {
    const folder = new URL('../../data/samples/2016Q4/', import.meta.url)
    const firms = new Map<string, string[]>()
    for (const name of readdirSync(folder).filter(entry => /^\d{8}_/.test(entry))) {
      const lines = readFileSync(new URL(`${name}/text.txt`, folder), 'utf8').split(/\r?\n/)
      const firm = name.slice(9)
      firms.set(firm, [...(firms.get(firm) ?? []), ...lines.filter(line => line.trim() !== '')])
    }
    const counts = counted([...firms])
    const sentences = [...firms.values()].flat()
    const marked = sentences.filter(sentence => counts.reason(sentence, false) !== null)
    expect(marked.length / sentences.length).toBeGreaterThan(0.1)
    expect(marked.length / sentences.length).toBeLessThan(0.2)
    expect(marked.filter(sentence => /\$\d/.test(sentence) && words(sentence).length > 5)).toEqual([])
  })
})

describe('words', () => {
  it('keeps contractions, hyphens and ampersands together and leaves names taken out', () => {
    expect(words('We’re up year-over-year at AT&T, <UNK>: 1,250.5 units!')).toEqual([
      "we're",
      'up',
      'year-over-year',
      'at',
      'at&t',
      '1,250.5',
      'units',
    ])
  })

  it('tells figures from words', () => {
    expect(['43', '1,250.5', '10-15', '5g', 'q3'].map(isFigure)).toEqual([true, true, true, false, false])
  })

  it('lists words as the tokeniser gives them', () => {
    for (const word of [...STOP_WORDS, ...DISCOURSE_WORDS]) expect(words(word)).toEqual([word])
  })

  it('lists no word of business', () => {
    for (const word of [
      'margin',
      'guidance',
      'demand',
      'inventory',
      'pricing',
      'tariffs',
      'customers',
      'backlog',
      'flavor',
    ])
      expect(STOP_WORDS.has(word) || DISCOURSE_WORDS.has(word)).toBe(false)
  })
})

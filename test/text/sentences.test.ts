// Sentence splitting: the known faults of Unicode's rules are mended, and three laws hold for any text.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { cleanText, splitSentences } from '../../lib/text/sentences.ts'
import { callKey, sentencesOf, type Transcript } from '../../lib/text/transcript.ts'

/** Each line is one sentence; the lines of a group, joined by blanks, must come apart again. */
const GROUPS = [
  ['Mr. Smith, Dr. Jones and Ms. Roe of Apple Inc. spoke.', 'We listened.'],
  ['We sold the U.S. Treasury bonds.', 'We kept the rest in the U.S.', 'The yield was 3.5 % vs. 4.1 % before.'],
  ['Robert B. Smith of J. P. Morgan asked first.', 'J. R. Doe followed.'],
  ['Shares trade as NYSE: BRK.B and NASDAQ: GOOG.', 'Nothing else does.'],
  ['No.', 'No. 1 is price.', 'St. Louis is No. 2.'],
  ['The plant in St. Paul opens at 8 a.m. Eastern Time.', 'It closes at 5 p.m.', 'We are ready.'],
  ['It grew, e.g. in Asia, by approx. 12 %.', 'Costs, i.e. freight, fell.'],
  ['He said "We are done."', 'Then he left.', '"Why?" he was asked.'],
  ['(See the note.)', 'Next slide.'],
  ['We thought… well, we hoped... and it came.', 'Good.'],
  ['Demand grew.', 'iPhone sales did not.', 'eBay was flat.'],
  ['New loans were small.', '22 % of them were over $5 million.', '2016 was a good year.'],
  ['We own Acme Corp. and Nadir Ltd.', 'We sold neither.'],
  ['We closed our Series B.', 'Investors liked it.'],
  ['1. Revenue grew.', '2. Costs fell.'],
  ['Is that right?', 'Yes!', 'It is.'],
  ['Thanks, <UNK>.', 'This is J. <UNK> from Big Bank.'],
  ['Gross margin was 43 %.', 'EPS was $1.05.', 'Guidance is $4.10 to $4.20.'],
]

describe('tricky sentences', () => {
  it.each(GROUPS.map(group => [group.join(' '), group] as const))('%s', (text, group) => {
    expect(splitSentences(text)).toEqual([...group])
  })

  it('ends a sentence at a blank line and joins wrapped lines', () => {
    expect(splitSentences('Our outlook\r\n\r\nWe expect\r\nthe same.')).toEqual(['Our outlook', 'We expect the same.'])
  })

  it('drops control characters and soft hyphens', () => {
    expect(splitSentences('\uFEFFOr\u00ADders\u0007  grew.\u0000\tWell.')).toEqual(['Orders grew.', 'Well.'])
  })

  it('gives nothing for nothing', () => {
    for (const text of ['', ' \n\t ', '\u0000\u200B']) expect(splitSentences(text)).toEqual([])
  })
})

describe('laws', () => {
  // A hundred texts from pieces that meet in unkind ways, by a small generator of fixed seed.
  const pieces = [
    'Mr.',
    'We',
    'grew',
    '3.5',
    '%',
    '?',
    '!',
    '...',
    '…',
    '"',
    '”',
    '(',
    ')',
    'U.S.',
    'Inc.',
    'No.',
    'J.',
    'iPad',
    '12',
    'and',
    '<UNK>',
    'vs.',
    '\n\n',
    '\r\n',
    '\uD800',
    '\uDC00x',
    '中文。',
    '1.',
    '.',
    'É.',
    '\u0000',
    'a.m.',
    'The',
    '[laughter]',
  ]
  let state = 12345
  const next = (n: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >> 8) % n
  }
  const texts = Array.from({ length: 300 }, () =>
    Array.from({ length: 1 + next(60) }, () => pieces[next(pieces.length)] + (next(5) > 0 ? ' ' : '')).join(''),
  )
  const bare = (text: string) => cleanText(text).replaceAll(' ', '')

  it('loses and adds nothing but white space', () => {
    for (const text of texts) expect(splitSentences(text).join('').replaceAll(' ', '')).toBe(bare(text))
  })

  it('leaves a sentence as it is when it is split again', () => {
    for (const sentence of texts.flatMap(splitSentences)) expect(splitSentences(sentence)).toEqual([sentence])
  })

  it('makes whole Unicode of lone surrogates', () => {
    for (const sentence of texts.flatMap(splitSentences)) expect(sentence).not.toMatch(/\p{Cs}/u)
  })

  it('cuts a text of any length where it cuts a short one', () => {
    const group = ['We sold U.S. bonds to Mr. Smith.', 'The yield was 3.5 %.', '22 % of it was new.']
    const many = Array.from({ length: 12_000 }, () => group).flat()
    expect(splitSentences(many.join(' '))).toEqual(many)
  })

  it('comes to an end on a megabyte of anything', () => {
    for (const text of ['.', 'A. ', '? 1 ', 'x? a ', 'a.( ', 'words ', '\uD800']) {
      const long = text.repeat(Math.ceil(1_000_000 / text.length))
      expect(splitSentences(long).join('').replaceAll(' ', '')).toBe(bare(long))
    }
  })
})

describe('the sentences of a call', () => {
  const call = (text: string, isSentence: boolean): Transcript => ({
    firmKey: 'ACME',
    ticker: 'ACME',
    name: null,
    identifiers: {},
    callDate: '2024-08-12',
    fiscalQuarter: null,
    key: callKey('ACME', '2024-08-12', null),
    sourceName: 'acme.txt',
    turns: [{ speaker: null, role: null, section: null, operator: false, text, isSentence, place: 'line 7' }],
  })

  it('are not split where the source has one a line', () => {
    expect([...sentencesOf(call('Yes. No.', true))].map(({ text }) => text)).toEqual(['Yes. No.'])
    expect([...sentencesOf(call('Yes. No.', false))].map(({ text }) => text)).toEqual(['Yes.', 'No.'])
  })

  it('refuses a megabyte without a sentence end, by file and line', () => {
    for (const isSentence of [true, false])
      expect(() => [...sentencesOf(call('and so on '.repeat(100_000), isSentence))]).toThrow(
        /acme\.txt, line 7: [\d,]+ characters .* 20,000/,
      )
  })

  it('splits a megabyte of ordinary prose', () => {
    expect([...sentencesOf(call('We grew by 5 % in the U.S. market. '.repeat(30_000), false))]).toHaveLength(30_000)
  })
})

it('finds the lines of real calls again when they are joined', () => {
  const folder = new URL('../../data/samples/2016Q4/', import.meta.url)
  // The first fifty calls whose lines end as sentences do: MAEC cut some others in the middle.
  const lines = readdirSync(folder)
    .filter(name => /^\d{8}_/.test(name))
    .sort()
    .slice(0, 50)
    .flatMap(name => readFileSync(new URL(`${name}/text.txt`, folder), 'utf8').split(/\r?\n/))
    .filter(line => /^[A-Z].*[.?!]$/.test(line))
  expect(lines.length).toBeGreaterThan(2000)
  const found = new Set(splitSentences(lines.join('\n')))
  expect(lines.filter(line => found.has(cleanText(line))).length / lines.length).toBeGreaterThan(0.985)
})

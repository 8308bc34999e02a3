// What a person searches for, read as a web search reads it.

import { expect, it } from 'vitest'
import { readSearchText } from '../../lib/text/search-text.ts'

it('reads phrases that have to be there and words that must not, and leaves the marks out of the text', () => {
  expect(readSearchText('"free cash flow" guidance -dividend -"stock split"')).toEqual({
    text: 'free cash flow guidance',
    phrases: ['free cash flow'],
    without: ['dividend', 'stock split'],
  })
  expect(readSearchText('“gross margin” growth').phrases).toEqual(['gross margin'])
})

it('leaves words, figures and signs that are no marks as they are', () => {
  for (const text of [
    'year-over-year growth',
    'down -5 % to $4.2 million',
    'cost - price',
    "R&D at AT&T's labs",
    '10-K',
  ])
    expect(readSearchText(text)).toEqual({ text, phrases: [], without: [] })
})

it('takes a quotation mark without a partner for none', () => {
  expect(readSearchText('a 12" wafer')).toEqual({ text: 'a 12 wafer', phrases: [], without: [] })
})

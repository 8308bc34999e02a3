// Names made of keywords: how they read, and that no two of one firm are alike.

import { describe, expect, it } from 'vitest'
import { keywordName, keywordSummary, readAlike, uniqueNames } from '../../lib/text/names.ts'

describe('a name made of keywords', () => {
  it('reads as a person would write it', () => {
    expect(keywordName(['memory pricing', 'inventory', 'NAND'])).toBe('Memory pricing, inventory and NAND')
    expect(keywordName(['memory pricing', 'inventory'])).toBe('Memory pricing and inventory')
    expect(keywordName(['memory pricing'])).toBe('Memory pricing')
  })

  it('keeps capitals where they belong', () => {
    expect(keywordName(['EBITDA', 'China', 'R&D'])).toBe('EBITDA, China and R&D')
    expect(keywordName(['iPhone', 'eBay'])).toBe('iPhone and eBay')
    expect(keywordName(['éclairs', '3D NAND'])).toBe('Éclairs and 3D NAND')
  })

  it('says no word twice, in whatever form', () => {
    expect(keywordName(['memory pricing', 'prices', 'price pressure', 'inventory'])).toBe(
      'Memory pricing and inventory',
    )
    expect(keywordName(['North America', 'South America', 'tissue'])).toBe('North America and tissue')
  })

  it('sets a comma before the last "and" where a term has one itself', () => {
    expect(keywordName(['currency', 'corn and soybeans', 'segments'])).toBe('Currency, corn and soybeans, and segments')
  })

  it('has at most sixty characters', () => {
    const long = ['stock-based compensation expense', 'positive operating leverage', 'distributable cash flow', 'tax']
    expect(keywordName(long)).toBe('Stock-based compensation expense and distributable cash flow')
    expect(keywordName(['x'.repeat(200)])).toHaveLength(60)
    expect(keywordName(['x'.repeat(200), 'tax'])).toBe('Tax')
  })

  it('says so when there are no keywords', () => {
    expect(keywordName([])).toBe('Various remarks')
  })
})

describe('names of the topics of one firm', () => {
  const topic = (...keywords: string[]) => ({ name: keywordName(keywords), keywords })

  it('stay as they are when they differ', () => {
    expect(uniqueNames([topic('loan'), topic('deposits')])).toEqual(['Loan', 'Deposits'])
  })

  it('take the next keyword when they read alike', () => {
    const first = { name: 'Loan growth', keywords: ['loan growth', 'deposits'] }
    const second = { name: 'Loan Growth.', keywords: ['loan growth', 'loans', 'mortgage'] }
    expect(uniqueNames([first, second])).toEqual(['Loan growth', 'Loan Growth. (mortgage)'])
  })

  it('take a number only when the keywords are used up', () => {
    const same = topic('tax')
    expect(uniqueNames([same, same, same])).toEqual(['Tax', 'Tax (2)', 'Tax (3)'])
  })

  it('never run into a name that another topic has already', () => {
    const names = uniqueNames([topic('tax'), { name: 'Tax', keywords: ['rate'] }, { name: 'Tax (rate)', keywords: [] }])
    expect(names).toEqual(['Tax', 'Tax (2)', 'Tax (rate)'])
    expect(new Set(names.map(readAlike)).size).toBe(3)
  })
})

describe('the text that stands for a topic named by its keywords', () => {
  it('is the keywords and nothing around them', () => {
    expect(keywordSummary(['memory pricing', 'NAND', 'inventory'])).toBe('Memory pricing, NAND, inventory.')
    expect(keywordSummary([])).toBe('')
  })
})

// Names made of keywords: how they read, and that no two of one firm are alike.

import { describe, expect, it } from 'vitest'
import { topicKeywords } from '../../lib/text/keywords.ts'
import { keywordName, keywordSummary, readAlike, uniqueNames } from '../../lib/text/names.ts'

describe('a name made of keywords', () => {
  it('is a phrase, or two terms with an "and"', () => {
    expect(keywordName(['memory pricing', 'inventory', 'NAND'])).toBe('Memory pricing and inventory')
    expect(keywordName(['rent', 'lease', 'occupancy'])).toBe('Rent and lease')
    expect(keywordName(['memory pricing'])).toBe('Memory pricing')
    expect(keywordName(['tax rate', 'income', 'earnings'])).toBe('Tax rate')
  })

  it('keeps capitals where they belong', () => {
    expect(keywordName(['EBITDA', 'China', 'R&D'])).toBe('EBITDA and China')
    expect(keywordName(['iPhone', 'eBay'])).toBe('iPhone and eBay')
    expect(keywordName(['éclairs', '3D NAND'])).toBe('3D NAND and éclairs')
    expect(keywordName(['éclairs'])).toBe('Éclairs')
  })

  it('puts a phrase before a word, unless one of its words is vague, and a word that any firm says last', () => {
    expect(keywordName(['debt', 'interest expense', 'leverage'])).toBe('Interest expense and debt')
    expect(keywordName(['comp', 'new restaurants', 'traffic'])).toBe('Comp and new restaurants')
    expect(keywordName(['customers', 'sales', 'robot', 'toy'])).toBe('Robot and customers')
    expect(keywordName(['share', 'buyback', 'dividend'])).toBe('Buyback and dividend')
    expect(keywordName(['market', 'margin', 'sales', 'trucks', 'accidents'])).toBe('Market and trucks')
  })

  it('leaves out what names nothing by itself: verbs, number words, adjectives, first names', () => {
    for (const word of ['rose', 'broke', 'fourteen', 'sixty-one', 'Three', 'commercial', 'higher', 'Dave', 'range'])
      expect(keywordName([word, 'leasing'])).toBe('Leasing')
    expect(keywordName(['range', 'half', 'Dave'])).toBe('Various remarks')
  })

  it('says nothing twice, in whatever form', () => {
    expect(keywordName(['memory pricing', 'prices', 'price pressure', 'inventory'])).toBe(
      'Memory pricing and inventory',
    )
    expect(keywordName(['North America', 'South America', 'tissue'])).toBe('North America and tissue')
    expect(keywordName(['buyback', 'share repurchase', 'dividend'])).toBe('Share repurchase and dividend')
    expect(keywordName(['M&A', 'acquisitions', 'synergies'])).toBe('M&A and synergies')
  })

  it('sets a comma before the "and" where a term has one itself', () => {
    expect(keywordName(['corn and soybeans', 'currency'])).toBe('Corn and soybeans, and currency')
  })

  it('has at most sixty characters', () => {
    const long = ['stock-based compensation expense', 'pharmaceutical distribution agreements', 'operating leverage']
    expect(keywordName(long)).toBe('Stock-based compensation expense and operating leverage')
    expect(keywordName(['x'.repeat(200)])).toHaveLength(60)
    expect(keywordName(['x'.repeat(200), 'tax'])).toBe('Tax')
  })

  it('says nothing that the sentences do not say', () => {
    const sentences = [
      'Memory pricing improved as NAND supply stayed tight in China.',
      'Higher memory pricing, fourteen percent, because inventories are low.',
      'Loan growth rose, Dave, and commercial deposits of the bank grew.',
      'The loan pipeline and commercial deposits, like loan growth, are strong.',
    ]
    const keywords = topicKeywords({
      sentences,
      topicOfSentence: Int32Array.from([0, 0, 1, 1]),
      topicCount: 2,
      firmsUsingWord: new Map(),
      firmCount: 2,
      howMany: 10,
    })
    const said = readAlike(sentences.join(' ')).split(' ')
    for (const topic of keywords) {
      const name = readAlike(keywordName(topic.map(({ term }) => term))).split(' ')
      expect(name.length).toBeGreaterThan(1)
      for (const word of name) expect(said).toContain(word)
    }
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

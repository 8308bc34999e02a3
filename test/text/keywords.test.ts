// Keywords of topics and themes: laws that hold for any text, and short topics whose keywords a reader would pick.

import { describe, expect, it } from 'vitest'
import { groupKeywords, sameStem, topicKeywords } from '../../lib/text/keywords.ts'

const NOBODY: ReadonlyMap<string, number> = new Map()

/** Keywords of topics given as lists of sentences; the last list may be noise. */
function keywordsOf(
  topics: string[][],
  options: { noise?: string[]; common?: [string, number][]; own?: string[] } = {},
) {
  const sentences = [...topics.flat(), ...(options.noise ?? [])]
  const topicOfSentence = Int32Array.from([
    ...topics.flatMap((t, i) => t.map(() => i)),
    ...(options.noise ?? []).map(() => -1),
  ])
  return topicKeywords({
    sentences,
    topicOfSentence,
    topicCount: topics.length,
    firmsUsingWord: new Map(options.common),
    firmCount: 100,
    ownWords: options.own,
    howMany: 10,
  })
}

const terms = (keywords: readonly { term: string }[]) => keywords.map(({ term }) => term)

const MEMORY = [
  'Memory pricing improved as NAND supply stayed tight in China.',
  'We expect memory pricing to hold because inventories are low.',
  'Inventory at customers is lean, so memory pricing can rise.',
  'Our inventory of NAND is down and demand from China is up.',
]
const BANK = [
  'Net interest margin fell because deposit costs rose.',
  'Loan growth offset the pressure on net interest margin.',
  'Deposits grew, and the loan pipeline is strong.',
  'Commercial real estate loans were stable, like deposits.',
]

describe('keywords of a topic', () => {
  it('are its own words and not those of the other topics', () => {
    const [memory, bank] = keywordsOf([MEMORY, BANK]).map(terms)
    expect(memory).toContain('memory pricing')
    expect(memory).toContain('NAND')
    expect(bank).toContain('net interest margin')
    expect(memory.filter(term => bank.includes(term))).toEqual([])
  })

  it('come with falling weights', () => {
    for (const topic of keywordsOf([MEMORY, BANK])) {
      const weights = topic.map(({ weight }) => weight)
      expect(weights.every(weight => weight > 0)).toBe(true)
      expect([...weights].sort((a, b) => b - a)).toEqual(weights)
    }
  })

  it('do not depend on the order of the sentences', () => {
    const forwards = keywordsOf([MEMORY, BANK])
    const backwards = keywordsOf([[...MEMORY].reverse(), [...BANK].reverse()])
    expect(backwards).toEqual(forwards)
  })

  it('do not depend on the numbers of the topics', () => {
    expect(keywordsOf([BANK, MEMORY]).reverse()).toEqual(keywordsOf([MEMORY, BANK]))
  })

  it('hold a phrase instead of the words that only occur inside it', () => {
    const [memory, bank] = keywordsOf([MEMORY, BANK]).map(terms)
    expect(memory).not.toContain('memory')
    expect(memory).not.toContain('pricing')
    expect(bank).not.toContain('net interest')
    expect(bank).not.toContain('interest margin')
  })

  it('keep the word where the phrase carries the lesser part of it', () => {
    const [topic] = keywordsOf([
      [
        'Memory pricing is up.',
        'Memory pricing holds.',
        'Pricing in DRAM fell.',
        'Pricing for tools rose.',
        'Pricing in pumps fell.',
      ],
      BANK,
    ]).map(terms)
    expect(topic[0]).toBe('pricing')
  })

  it('count a plural with its singular, under the commoner form', () => {
    const [topic] = keywordsOf([
      ['Inventories are lean.', 'Inventories fell.', 'The inventory of steel.', 'Inventories of copper.'],
      BANK,
    ]).map(terms)
    expect(topic).toContain('inventories')
    expect(topic).not.toContain('inventory')
  })

  it('leave words alone that only look like plurals', () => {
    const [topic] = keywordsOf([
      ['Gas prices and news.', 'Gas analysis, Texas.', 'News of gas in Texas.', 'Analysis of news.'],
      BANK,
    ])
    expect(terms(topic)).toEqual(expect.arrayContaining(['gas', 'news', 'Texas', 'analysis']))
  })

  it('write a word as it is written inside sentences', () => {
    const [topic] = keywordsOf([
      [
        'In China, R&D, EBITDA, SG&A, e-commerce, 3D NAND.',
        'The e-commerce, SG&A, EBITDA, China, R&D, 3D NAND.',
        'China grows.',
        'E-commerce grows.',
        'E-commerce ramps.',
      ],
      BANK,
    ]).map(terms)
    expect(topic).toEqual(expect.arrayContaining(['China', 'R&D', 'EBITDA', 'SG&A', 'e-commerce', '3D NAND']))
  })

  it('keep fixed expressions with a vague word whole', () => {
    const [topic] = keywordsOf([
      ['Commercial real estate is sound.', 'Real estate in Ohio.', 'Lending on real estate.', 'Lending in Ohio.'],
      MEMORY,
    ]).map(terms)
    expect(topic).toContain('real estate')
    expect(topic).not.toContain('estate')
  })

  it('keep a name whole whose words say nothing apart', () => {
    const [topic] = keywordsOf([
      ['Rooms in the Middle East fell.', 'The Middle East is weak.', 'Rooms in New York.'],
      BANK,
    ])
    expect(terms(topic)).toEqual(expect.arrayContaining(['Middle East', 'New York', 'rooms']))
  })

  it('join words over "of", "on", "and" and "per"', () => {
    const [topic] = keywordsOf([
      ['Our cost of capital fell.', 'The cost of capital, again.', 'Oil and gas.', 'Oil and gas wells.'],
      BANK,
    ])
    expect(terms(topic)).toEqual(expect.arrayContaining(['cost of capital', 'oil and gas']))
    const [shares] = keywordsOf([['Earnings per share fell.', 'The earnings per share.'], BANK])
    expect(terms(shares)).toEqual(['earnings per share'])
  })

  it('never cut a name in two at such a word', () => {
    const [topic] = keywordsOf([['Homes in Austin and San Antonio.', 'Land in Austin and San Antonio.'], BANK])
    expect(terms(topic)).toEqual(expect.arrayContaining(['Austin', 'San Antonio']))
    expect(terms(topic)).not.toContain('Austin and San')
  })

  it('hold no grammar, manners of speaking, figures, periods, single letters or removed names', () => {
    const sentences = [
      '<UNK>, I think we really see 43 things in Q3, FY17, 4Q16 and 2016, and A or B is 10x copper.',
      '<UNK>e, obviously we think 43 things in Q3 of FY17 and 4Q16, the 20th, 2016, A or B, 10x copper.',
    ]
    expect(terms(keywordsOf([sentences, BANK])[0])).toEqual(['copper'])
  })

  it("hold none of the firm's own names", () => {
    const sentences = ['Verizon Wireless grows in Ohio.', 'Verizon Wireless and Ohio.', "Verizon's towers in Ohio."]
    const [topic] = keywordsOf([sentences, BANK], { own: ['Verizon Communications', 'VZ'] })
    expect(terms(topic).join(' ')).not.toMatch(/verizon/i)
    expect(terms(topic)).toContain('Ohio')
  })

  it('weigh less what most firms of the quarter say, and drop what all of them say', () => {
    const sentences = ['Copper growth.', 'Growth in copper.', 'Copper market.', 'Growth in the market.']
    const weightOf = (common: [string, number][]) =>
      new Map(keywordsOf([sentences, BANK], { common })[0].map(({ term, weight }) => [term, weight]))
    const [rare, some, all] = [weightOf([]), weightOf([['growth', 75]]), weightOf([['growth', 100]])]
    expect(some.get('growth')).toBeCloseTo(Math.log2(100 / 75) * (rare.get('growth') ?? Number.NaN), 10)
    expect(some.get('copper')).toBe(rare.get('copper'))
    expect(all.has('growth')).toBe(false)
  })

  it('do not say the same word twice', () => {
    for (const topic of keywordsOf([MEMORY, BANK])) {
      const single = terms(topic).filter(term => !term.includes(' '))
      for (const a of single) for (const b of single) if (a !== b) expect(sameStem(a, b)).toBe(false)
    }
  })

  it('leave a word to the topic that says it a third as often again, unless half of the sentences have it', () => {
    const copper = (inflation: number, of: number) =>
      Array.from({ length: of }, (_, i) => (i < inflation ? 'Copper, zinc, tin, inflation.' : 'Copper, zinc, tin.'))
    const [lesser, greater] = keywordsOf([copper(3, 12), copper(6, 12)]).map(terms)
    expect(lesser).not.toContain('inflation')
    expect(greater).toContain('inflation')
    const [half] = keywordsOf([copper(6, 12), copper(12, 12)]).map(terms)
    expect(half).toContain('inflation')
  })

  it('are said together: a word that meets none of the others gives way', () => {
    const together = 'Wells, pipelines, drilling, permits, flaring.'
    const [topic] = keywordsOf([[together, together, together, 'Umbrellas.', 'Umbrellas again.'], BANK]).map(terms)
    expect(topic).toEqual(expect.arrayContaining(['wells', 'pipelines', 'drilling', 'permits', 'flaring']))
    expect(topic).not.toContain('umbrellas')
  })

  it('hold a word said once where its sentence holds most of the others, and not elsewhere', () => {
    const [topic] = keywordsOf([
      [
        'Wells, drilling, pipelines.',
        'Drilling, wells, permits, pipelines.',
        'Permits, drilling, flaring.',
        'Whistles.',
      ],
      BANK,
    ]).map(terms)
    expect(topic).toEqual(expect.arrayContaining(['drilling', 'wells', 'pipelines', 'permits']))
    expect(topic).not.toContain('whistles')
    const [central] = keywordsOf([
      [
        'Wells, drilling, pipelines.',
        'Drilling, wells, permits, pipelines, flaring.',
        'Permits, drilling.',
        'Whistles.',
      ],
      BANK,
    ]).map(terms)
    expect(central.at(-1)).toBe('flaring')
    expect(central).not.toContain('whistles')
  })

  it('fall back on vague nouns rather than on nothing', () => {
    const [topic] = keywordsOf([['We hope for a better environment.', 'A better environment would be nice.'], BANK])
    expect(terms(topic)).toEqual(['environment'])
  })

  it('are no verbs, number words, adjectives or first names, alone or at the end of a phrase', () => {
    const sentences = [
      'Sales rose to fourteen, Dave, in commercial copper and raw ore.',
      'As sales rose, commercial copper, Dave, and fourteen of raw ore.',
      'When sales rose, fourteen, commercial copper, raw ore, Dave.',
    ]
    const [topic] = keywordsOf([sentences, BANK]).map(terms)
    expect([...topic].sort()).toEqual(['commercial copper', 'raw ore', 'sales'])
  })

  it('write a word as it is written alone, though names hold it', () => {
    const [topic] = keywordsOf([['In every city.', 'New York City.', 'Kansas City.', 'A city.', 'The city.'], BANK])
    expect(terms(topic)).toContain('city')
  })

  it('are empty where there is nothing to say', () => {
    expect(keywordsOf([['Yes.', '43.', '']])).toEqual([[]])
    expect(keywordsOf([])).toEqual([])
  })

  it('are weighed against the noise, which gets none', () => {
    const alone = keywordsOf([MEMORY, BANK])
    const withNoise = keywordsOf([MEMORY, BANK], { noise: ['NAND again.', 'More NAND.', 'NAND, NAND, NAND.'] })
    expect(withNoise).toHaveLength(2)
    const share = (topics: typeof alone) => {
      const [topic] = topics
      const of = (wanted: string) => topic.find(({ term }) => term === wanted)?.weight ?? Number.NaN
      return of('NAND') / of('memory pricing')
    }
    expect(share(withNoise)).toBeLessThan(share(alone))
  })
})

describe('keywords of groups of weighted texts', () => {
  const texts = ['opioid pricing', 'opioid lawsuits', 'drilling rigs', 'drilling permits']
  const question = {
    texts,
    groupOfText: Int32Array.from([0, 0, 1, 1]),
    groupCount: 2,
    firmsUsingWord: NOBODY,
    firmCount: 100,
    howMany: 10,
  }

  it('count a text as heavy as its weight', () => {
    const light = groupKeywords({ ...question, weightOfText: Float64Array.from([1, 1, 1, 1]) })
    const heavy = groupKeywords({ ...question, weightOfText: Float64Array.from([2, 2, 2, 2]) })
    expect(heavy.map(terms)).toEqual(light.map(terms))
    expect(heavy[0][0].weight).toBeCloseTo(2 * light[0][0].weight, 10)
  })

  it('are said by as many texts of the group as was asked for', () => {
    const towns = ['plants in Millbrook and Ohio', 'plants in Cartago, Millbrook', 'plants in Ostrava', 'drilling rigs']
    const ask = (leastTexts: number) =>
      groupKeywords({
        ...question,
        texts: towns,
        groupOfText: Int32Array.from([0, 0, 0, 1]),
        weightOfText: new Float64Array(4).fill(1),
        leastTexts,
      }).map(terms)
    expect(ask(1)[0]).toContain('Ostrava')
    expect([...ask(2)[0]].sort()).toEqual(['Millbrook', 'plants'])
    // A group of fewer texts than that has words all the same.
    expect(ask(2)[1]).not.toEqual([])
  })

  it('equal those of a topic when every text weighs one', () => {
    const weightOfText = new Float64Array(texts.length).fill(1)
    expect(groupKeywords({ ...question, weightOfText })).toEqual(
      topicKeywords({ ...question, sentences: texts, topicOfSentence: question.groupOfText, topicCount: 2 }),
    )
  })
})

describe('words that read as the same', () => {
  it('share most of their letters from the front', () => {
    for (const [a, b] of [
      ['price', 'pricing'],
      ['grow', 'growth'],
      ['market', 'marketing'],
      ['rate', 'rate'],
    ]) {
      expect(sameStem(a, b)).toBe(true)
    }
    for (const [a, b] of [
      ['car', 'card'],
      ['contract', 'contribution'],
      ['margin', 'market'],
      ['oil', 'coal'],
    ]) {
      expect(sameStem(a, b)).toBe(false)
    }
  })
})

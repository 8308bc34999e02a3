// What a theme is described by: words that run across its firms, as the theme does; its size; and what makes it doubtful.

import { describe, expect, it } from 'vitest'
import { NOISE } from '../../lib/math/hdbscan.ts'
import { describeThemes } from '../../lib/text/theme-drafts.ts'

/** One topic a firm, three firms a theme; all topics stand at the same place, since only the words are asked for. */
function keywordsOf(themes: readonly (readonly string[])[], firmOf: (theme: number, topic: number) => string) {
  const topics = themes.flatMap((sentences, theme) =>
    sentences.map((sentence, i) => ({ firmId: firmOf(theme, i), size: 5, sentences: [sentence] })),
  )
  const drafts = describeThemes({
    topics,
    vectors: new Float32Array(topics.length).fill(1),
    d: 1,
    themeOfTopic: Int32Array.from(themes.flatMap((sentences, theme) => sentences.map(() => theme))),
    themeCount: themes.length,
    largestShare: 1,
    firmsUsingWord: new Map(),
    firmCount: 6,
  })
  return drafts.sort((a, b) => a.members[0] - b.members[0]).map(draft => draft.keywords)
}

const FREIGHT = [
  'Ocean freight, containers to Millbrook, Millbrook, Millbrook.',
  'Containers, ocean freight, Goldfinch.',
  'Ocean freight, containers, says Ledgerline.',
]
const LABOR = ['Overtime and turnover.', 'Turnover and overtime.', 'Overtime, turnover, apprentices.']

it('names a theme by what several of its firms say, and by no town, product or person of one firm', () => {
  const [freight, labor] = keywordsOf([FREIGHT, LABOR], (_, i) => `firm ${i}`)
  expect([...freight].sort()).toEqual(['containers', 'ocean freight'])
  expect([...labor].sort()).toEqual(['overtime', 'turnover'])
})

it('counts a word of one firm once, however many of its topics have it', () => {
  const [freight] = keywordsOf(
    [[...FREIGHT, 'Millbrook again, containers.', 'Millbrook and ocean freight.'], LABOR],
    (_, i) => (i < 3 ? `firm ${i}` : 'firm 0'),
  )
  expect(freight).not.toContain('Millbrook')
})

it('has words for a theme of one firm all the same', () => {
  const [own] = keywordsOf([FREIGHT.slice(0, 1), LABOR], (theme, i) => `firm ${theme} ${i}`)
  expect(own).toContain('Millbrook')
})

describe('the parts of a theme', () => {
  const SIDES = [
    ['Ocean freight, containers, tariffs.', 'Containers, tariffs, ocean freight.'],
    ['Containers, ocean freight, ports.', 'Ports, ocean freight, containers.', 'Ports of ocean freight, containers.'],
  ]
  const topics = [...SIDES.flat(), 'Ocean freight and containers.', ...LABOR].map((sentence, i) => ({
    firmId: `firm ${i % 6}`,
    size: 5,
    sentences: [sentence],
  }))
  const question = {
    topics,
    vectors: new Float32Array(topics.length).fill(1),
    d: 1,
    themeOfTopic: Int32Array.of(0, 0, 0, 0, 0, 0, 1, 1, 1),
    themeCount: 2,
    largestShare: 1,
    firmsUsingWord: new Map(),
    firmCount: 6,
  }
  const partOfTopic = Int32Array.of(4, 4, 2, 2, 2, NOISE, NOISE, NOISE, NOISE)

  it('are told apart by what the other parts of the theme do not say, those of most firms first', () => {
    const [freight, labor] = describeThemes({ ...question, partOfTopic })
    expect(labor.parts).toEqual([])
    expect(freight.parts).toEqual([
      { members: [2, 3, 4], firms: 3, keywords: expect.arrayContaining(['ports']) },
      { members: [0, 1], firms: 2, keywords: expect.arrayContaining(['tariffs']) },
    ])
    expect(freight.parts[0].keywords).not.toContain('tariffs')
    expect(freight.keywords[0]).toMatch(/containers|ocean freight/)
  })

  it('change nothing else of the theme, and are none by a method that knows no parts', () => {
    const without = describeThemes(question)
    expect(without.every(theme => theme.parts.length === 0)).toBe(true)
    expect(describeThemes({ ...question, partOfTopic }).map(theme => ({ ...theme, parts: [] }))).toEqual(without)
  })
})

describe('flags', () => {
  /** The one theme of some topics, given as firm and number of sentences, among so many others that are in none. */
  function themeOf(topics: readonly [firmId: string, size: number][], others: number, largestShare = 0.15) {
    const all = [
      ...topics.map(([firmId, size]) => ({ firmId, size, sentences: ['Ocean freight.'] })),
      ...Array.from({ length: others }, (_, i) => ({ firmId: `other ${i}`, size: 5, sentences: ['Overtime.'] })),
    ]
    const [theme] = describeThemes({
      topics: all,
      vectors: new Float32Array(all.length).fill(1),
      d: 1,
      themeOfTopic: Int32Array.from(all, (_, i) => (i < topics.length ? 0 : NOISE)),
      themeCount: 1,
      largestShare,
      firmsUsingWord: new Map(),
      firmCount: 6,
    })
    return theme
  }

  it('has none where several firms share a theme that is no giant', () => {
    const theme = themeOf(
      [...'ABC'].map(firmId => [firmId, 10]),
      40,
    )
    expect(theme).toMatchObject({ firms: 3, sentences: 30, flags: [] })
    expect(theme.largestFirmShare).toBeCloseTo(1 / 3)
  })

  it('says few firms under two, and nothing of the one that then holds all of it', () => {
    const many = Array.from({ length: 4 }, (): [string, number] => ['A', 10])
    expect(themeOf(many, 40)).toMatchObject({ firms: 1, largestFirmShare: 1, flags: ['few firms'] })
    expect(themeOf([...many, ['B', 40]], 40).flags).toEqual(['one firm dominates'])
  })

  it('says that one firm dominates where it holds more than two fifths of the sentences, over all its topics', () => {
    const others: [string, number][] = [...'CDE'].map(firmId => [firmId, 20])
    expect(themeOf([['A', 20], ['A', 20], ...others], 60).flags).toEqual([])
    expect(themeOf([['A', 20], ['A', 21], ...others], 60).flags).toEqual(['one firm dominates'])
  })

  it('says large where the theme has more than its share of the topics, however long they are', () => {
    const three: [string, number][] = [...'ABC'].map(firmId => [firmId, 1000])
    expect(themeOf(three, 17).flags).toEqual([])
    expect(themeOf(three, 16).flags).toEqual(['large'])
    expect(themeOf(three, 3, 0.5).flags).toEqual([])
    expect(
      themeOf(
        [
          ['A', 5],
          ['A', 5],
          ['A', 5],
        ],
        2,
      ).flags,
    ).toEqual(['few firms', 'large'])
  })
})

// Figures of names and themes on a few topics, where the answer can be counted by hand.

import { describe, expect, it } from 'vitest'
import { createTalkCounts, nameFigures, themeFigures } from '../../lib/text/names-and-themes.ts'
import { countWords } from './count-words.ts'

describe('figures of names', () => {
  const named = (firmId: string, name: string, source = 'keywords') => ({ firmId, name, source })

  it('are shares of firms and of topics, names that read alike counted as the same, or that a reader would take for the same', () => {
    const names = [
      named('A', 'Hop prices'),
      named('A', 'Stout'),
      named('B', 'Hop prices'),
      named('B', 'HOP-prices.', 'llm'),
      named('C', 'Lager'),
      named('C', 'Other lagers'),
    ]
    expect(nameFigures(names)).toEqual({
      topics: 6,
      firms: 3,
      unique: 2 / 3,
      distinct: 1 / 3,
      byKeywords: 5 / 6,
      byModel: 1 / 6,
    })
  })

  it('are none where nothing has a name', () => {
    expect(nameFigures([])).toBeUndefined()
  })
})

describe('figures of themes', () => {
  const themes = [
    { themeId: 'one', flags: [], topWords: ['hop', 'price'] },
    { themeId: 'two', flags: ['few firms', 'large'], topWords: ['stout', 'price'] },
    { themeId: 'three', flags: ['large'], topWords: ['lager'] },
  ]
  const wordCounts = countWords(
    ['The hop price', 'Stout', 'Lager', 'A price'],
    themes.map(theme => theme.topWords),
  )

  it('are shares of all topics, and counts by flag', () => {
    const members = [
      { themeId: 'one', givenToNearest: false },
      { themeId: 'one', givenToNearest: true },
      { themeId: 'one', givenToNearest: false },
      { themeId: 'two', givenToNearest: false },
      { themeId: 'three', givenToNearest: false },
    ]
    const { npmi, diversity, ...counted } = themeFigures({ topics: 8, themes, members, wordCounts })
    expect(counted).toEqual({
      themes: 3,
      largest: 3 / 8,
      inNone: 3 / 8,
      givenToNearest: 1 / 8,
      flagged: 2,
      flags: { 'few firms': 1, large: 2 },
    })
    // hop and price: ln(1·4 / (1·2)) / ln(4 / 1) = 1/2; stout and price never meet; a single word has no pair.
    expect(npmi).toBeCloseTo((0.5 - 1) / 2, 12)
    expect(diversity).toBe(4 / 5)
  })

  it('are not defined in words where no theme has two', () => {
    const alone = themes.slice(2)
    expect(themeFigures({ topics: 8, themes: alone, members: [], wordCounts })).toMatchObject({
      npmi: null,
      largest: 0,
    })
  })
})

describe('talk among topics and themes', () => {
  const greeting = ['Good morning, thank you.', 'Thanks, great question.', 'Operator, next question please.']
  const brewing = ['Hop prices doubled in Oregon.', 'The brewery sold stout, lager, porter.', 'Bottles broke in Leeds.']
  const firm = (firmId: string) => [
    ...greeting.map(text => ({ text, topicId: `${firmId}/01` })),
    ...brewing.map(text => ({ text, topicId: `${firmId}/02` })),
    { text: 'Barley came late.', topicId: null },
  ]
  const counted = (themeOfTopic: Map<string, string>) => {
    const counts = createTalkCounts(themeOfTopic)
    for (const firmId of ['B', 'A']) counts.addFirm(firm(firmId))
    return counts.figures()
  }

  it('is judged in a topic within its firm, in a theme by all it holds', () => {
    const themes = new Map(['A', 'B'].flatMap(id => [[`${id}/01`, 'manners'] as const, [`${id}/02`, 'beer'] as const]))
    const found = { topics: 4, themes: 2, talkTopics: ['A/01', 'B/01'], talkThemes: ['manners'] }
    expect(counted(themes)).toEqual(found)
  })

  it('counts no theme where there is none', () => {
    expect(counted(new Map())).toEqual({ topics: 4, themes: 0, talkTopics: ['A/01', 'B/01'], talkThemes: [] })
  })
})

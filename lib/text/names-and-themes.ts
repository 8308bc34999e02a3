// The figures that a reader of names and themes asks for: are they unique, who gave them, how large, how doubtful, talk.
// Plain data in, plain data out; what the figures mean is docs/method.md.
// Left to others: coherence and diversity (coherence.ts), which words are talk (plain-words.ts).

import { tooAlike } from './alike.ts'
import { coherence, diversity, type WordCounts } from './coherence.ts'
import { readAlike } from './names.ts'
import { addTally, addWords, isTalk, plainWords, type WordTally } from './plain-words.ts'

export type NameFigures = {
  /** Topics that have a name, and the firms they belong to. */
  topics: number
  firms: number
  /** Share of the firms whose names all read differently. */
  unique: number
  /** Share of the firms of whose names a reader would take no two for the same, which is more (alike.ts). */
  distinct: number
  /** Shares of the topics. */
  byKeywords: number
  byModel: number
}

/** Undefined where no topic has a name. */
export function nameFigures(
  named: readonly { firmId: string; name: string; source: string }[],
): NameFigures | undefined {
  if (named.length === 0) return undefined
  const namesOfFirm = new Map<string, string[]>()
  for (const { firmId, name } of named) {
    const names = namesOfFirm.get(firmId)
    if (names === undefined) namesOfFirm.set(firmId, [name])
    else names.push(name)
  }
  const firms = [...namesOfFirm.values()]
  const unique = firms.filter(names => new Set(names.map(readAlike)).size === names.length).length
  const distinct = firms.filter(names => !names.some((a, i) => names.some((b, j) => j > i && tooAlike(a, b)))).length
  const shareOf = (source: string) => named.filter(one => one.source === source).length / named.length
  return {
    topics: named.length,
    firms: namesOfFirm.size,
    unique: unique / namesOfFirm.size,
    distinct: distinct / namesOfFirm.size,
    byKeywords: shareOf('keywords'),
    byModel: shareOf('llm'),
  }
}

export type ThemeFigures = {
  themes: number
  /** Shares of all topics of the quarter. */
  largest: number
  inNone: number
  givenToNearest: number
  /** Themes with a flag, and how many have each: a theme may have several. */
  flagged: number
  flags: Record<string, number>
  /** Mean over themes; over all themes together. Null where it is not defined. */
  npmi: number | null
  diversity: number | null
}

export type ThemesToMeasure = {
  /** All topics of the quarter, those in none included. */
  topics: number
  /** `topWords` of the keywords of each, counted in `wordCounts`. */
  themes: readonly { themeId: string; flags: readonly string[]; topWords: readonly string[] }[]
  members: readonly { themeId: string; givenToNearest: boolean }[]
  wordCounts: WordCounts
}

export function themeFigures({ topics, themes, members, wordCounts }: ThemesToMeasure): ThemeFigures {
  const sizes = new Map<string, number>()
  for (const { themeId } of members) sizes.set(themeId, (sizes.get(themeId) ?? 0) + 1)
  const flags: Record<string, number> = {}
  for (const flag of themes.flatMap(theme => theme.flags)) flags[flag] = (flags[flag] ?? 0) + 1
  const words = themes.map(theme => theme.topWords)
  const coherences = words.map(one => coherence(one, wordCounts)).filter(value => value !== undefined)
  return {
    themes: themes.length,
    largest: Math.max(0, ...sizes.values()) / topics,
    inNone: (topics - members.length) / topics,
    givenToNearest: members.filter(one => one.givenToNearest).length / topics,
    flagged: themes.filter(theme => theme.flags.length > 0).length,
    flags,
    npmi: coherences.length === 0 ? null : coherences.reduce((sum, value) => sum + value, 0) / coherences.length,
    diversity: diversity(words) ?? null,
  }
}

export type TalkFigures = {
  topics: number
  themes: number
  /** Ids of the topics and themes that are talk. */
  talkTopics: string[]
  talkThemes: string[]
}

export type TalkCounts = {
  /** The sentences of one firm, with their topic, or null for noise. */
  addFirm(sentences: Iterable<{ text: string; topicId: string | null }>): void
  figures(): TalkFigures
}

/** Which topics and themes of a quarter are talk, firm by firm: of a firm only the words of its themes are kept. */
export function createTalkCounts(themeOfTopic: ReadonlyMap<string, string>): TalkCounts {
  const talkTopics: string[] = []
  let topics = 0
  const themes = new Map<string, WordTally>()
  const topicsInNone: WordTally = new Map()

  function addFirm(sentences: Iterable<{ text: string; topicId: string | null }>): void {
    const ofTopic = new Map<string, WordTally>()
    const noise: WordTally = new Map()
    for (const { text, topicId } of sentences) addWords(topicId === null ? noise : tallyOf(ofTopic, topicId), text)
    const ids = [...ofTopic.keys()]
    for (const [i, plain] of plainWords([...ofTopic.values()], noise).entries())
      if (isTalk(plain)) talkTopics.push(ids[i])
    topics += ids.length
    for (const [topicId, tally] of ofTopic) {
      const themeId = themeOfTopic.get(topicId)
      addTally(themeId === undefined ? topicsInNone : tallyOf(themes, themeId), tally)
    }
  }

  function figures(): TalkFigures {
    const ids = [...themes.keys()]
    const plain = plainWords([...themes.values()], topicsInNone)
    return {
      topics,
      themes: ids.length,
      talkTopics: talkTopics.toSorted(),
      talkThemes: ids.filter((_, i) => isTalk(plain[i])).toSorted(),
    }
  }

  return { addFirm, figures }
}

function tallyOf(tallies: Map<string, WordTally>, id: string): WordTally {
  const known = tallies.get(id)
  if (known !== undefined) return known
  const fresh: WordTally = new Map()
  tallies.set(id, fresh)
  return fresh
}

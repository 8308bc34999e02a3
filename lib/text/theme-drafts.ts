// From clustered topics to what a theme shows: its size, keywords, the topics that stand for it, and what makes it doubtful.
// Plain data in, plain data out. Which topics belong together is lib/math/themes.ts; the name is given afterwards.

import { dot } from '../math/distance.ts'
import { NOISE } from '../math/hdbscan.ts'
import { centroid, normalizeRows } from '../math/matrix.ts'
import { groupKeywords } from './keywords.ts'

export type ThemeTopics = {
  topics: readonly {
    firmId: string
    size: number /** Its representative ones, best first. */
    sentences: readonly string[]
  }[]
  /** n × d, unit length: what stands for each topic. */
  vectors: Float32Array
  d: number
  /** Theme of each topic, from 0, or NOISE. */
  themeOfTopic: Int32Array
  themeCount: number
  /** Part of its theme that each topic is in, numbered over all themes, or NOISE; absent by a method that knows no parts. */
  partOfTopic?: Int32Array | undefined
  /** A theme of more than this share of all topics is flagged. */
  largestShare: number
  firmsUsingWord: ReadonlyMap<string, number>
  firmCount: number
}

export type ThemeDraft = {
  /** Rows of its topics. */
  members: number[]
  /** Rows of those that stand for it: the nearest to its middle, one a firm. */
  nearest: number[]
  firms: number
  sentences: number
  /** Share of its sentences that one firm holds. */
  largestFirmShare: number
  keywords: string[]
  flags: string[]
  /** d numbers, unit length. */
  centroid: Float32Array
  /** Those of most firms first. */
  parts: ThemePart[]
}

export type ThemePart = {
  /** Rows of its topics; some of the theme's may be in no part. */
  members: number[]
  firms: number
  /** What it says and the other parts of the theme do not. */
  keywords: string[]
}

// Where one firm holds more than this share of the sentences, the theme is that firm's story (design).
const DOMINANT_SHARE = 0.4
// Five firms show what a theme is and still read at a glance.
const NEAREST = 5
const KEYWORDS = 10
// A theme runs across firms, and so do its words.
const FIRMS_OF_KEYWORD = 2

/** The themes, those of most firms first, then of most sentences, then by their first topic: the order people want. */
export function describeThemes(question: ThemeTopics): ThemeDraft[] {
  const { topics, vectors, d, themeOfTopic, themeCount, largestShare } = question
  const membersOf: number[][] = Array.from({ length: themeCount }, () => [])
  for (let row = 0; row < topics.length; row++) if (themeOfTopic[row] !== NOISE) membersOf[themeOfTopic[row]].push(row)
  const keywords = acrossFirms(question, [...topics.keys()], themeOfTopic, themeCount)
  const drafts = membersOf.map((members, theme): ThemeDraft => {
    const middle = Float32Array.from(normalizeRows(centroid(vectors, d, members), 1, d))
    const size = sizeOf(members, topics)
    const flags: string[] = []
    if (size.firms < 2) flags.push('few firms')
    else if (size.largestFirmShare > DOMINANT_SHARE) flags.push('one firm dominates')
    if (members.length > largestShare * topics.length) flags.push('large')
    return {
      members,
      nearest: nearestOf(members, question, middle),
      ...size,
      keywords: keywords[theme],
      flags,
      centroid: middle,
      parts: partsOf(question, members),
    }
  })
  return drafts.sort((a, b) => b.firms - a.firms || b.sentences - a.sentences || a.members[0] - b.members[0])
}

function sizeOf(members: readonly number[], topics: ThemeTopics['topics']) {
  const sentencesOfFirm = new Map<string, number>()
  for (const row of members)
    sentencesOfFirm.set(topics[row].firmId, (sentencesOfFirm.get(topics[row].firmId) ?? 0) + topics[row].size)
  const sentences = [...sentencesOfFirm.values()].reduce((sum, n) => sum + n, 0)
  return { firms: sentencesOfFirm.size, sentences, largestFirmShare: Math.max(...sentencesOfFirm.values()) / sentences }
}

/** Rows of the topics nearest to the centroid that have a sentence to show, one a firm, nearest first. */
function nearestOf(members: readonly number[], { topics, vectors, d }: ThemeTopics, middle: Float32Array): number[] {
  const nearness = new Map(members.map(row => [row, dot(vectors, row, middle, 0, d)]))
  const nearestFirst = [...members].sort((a, b) => (nearness.get(b) ?? 0) - (nearness.get(a) ?? 0) || a - b)
  const rowOfFirm = new Map<string, number>()
  for (const row of nearestFirst) {
    const { firmId, sentences } = topics[row]
    if (sentences.length > 0 && !rowOfFirm.has(firmId)) rowOfFirm.set(firmId, row)
  }
  return [...rowOfFirm.values()].slice(0, NEAREST)
}

/** The parts of a theme, with what tells them from one another: by what tells the theme from others they would all be called alike. */
function partsOf(question: ThemeTopics, members: readonly number[]): ThemePart[] {
  const { topics, partOfTopic } = question
  if (partOfTopic === undefined) return []
  const numbers = new Map([[NOISE, NOISE]])
  const partOfMember = Int32Array.from(members, row => {
    const number = numbers.get(partOfTopic[row]) ?? numbers.size - 1
    numbers.set(partOfTopic[row], number)
    return number
  })
  return acrossFirms(question, members, partOfMember, numbers.size - 1)
    .map((keywords, part) => {
      const rows = members.filter((_, place) => partOfMember[place] === part)
      return { members: rows, firms: new Set(rows.map(row => topics[row].firmId)).size, keywords }
    })
    .sort((a, b) => b.firms - a.firms || b.members.length - a.members.length || a.members[0] - b.members[0])
}

/**
 * Keywords of each group of these topics against the others. A text is what one firm says in one group, so that a word counts
 * by the firms that use it and not by how long one of them talks, and what one firm alone says (its towns, products and people)
 * does not count at all; topics in none are background.
 */
function acrossFirms(
  { topics, firmsUsingWord, firmCount }: ThemeTopics,
  rows: readonly number[],
  groupOfRow: Int32Array,
  groupCount: number,
): string[][] {
  const texts = new Map<string, { group: number; text: string }>()
  for (const [place, row] of rows.entries()) {
    const { firmId, sentences } = topics[row]
    const group = groupOfRow[place]
    const key = group === NOISE ? `none ${row}` : `${group} ${firmId}`
    texts.set(key, { group, text: `${texts.get(key)?.text ?? ''}\n${sentences.join('\n')}` })
  }
  const all = [...texts.values()]
  const keywords = groupKeywords({
    texts: all.map(one => one.text),
    groupOfText: Int32Array.from(all, one => one.group),
    groupCount,
    weightOfText: new Float64Array(all.length).fill(1),
    firmsUsingWord,
    firmCount,
    howMany: KEYWORDS,
    leastTexts: FIRMS_OF_KEYWORD,
  })
  return keywords.map(ofGroup => ofGroup.map(keyword => keyword.term))
}

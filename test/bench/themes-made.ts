// A quarter of made topics, as many as one likes, whose themes are known, in a database where every step before `aggregate`
// is done. Words are those of real calls, so that a model knows them; everything comes by seed. Nothing is measured here.

import { callIdOf, type StoredCall, sentenceId, writeCall } from '../../lib/db/calls.ts'
import type { Database } from '../../lib/db/connect.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { replaceTopicNames, replaceTopics, type Topic, type TopicName, topicIdOf } from '../../lib/db/topics.ts'
import { transaction } from '../../lib/db/transaction.ts'
import { NOISE } from '../../lib/math/hdbscan.ts'
import { createRandom, type Random } from '../../lib/math/random.ts'
import { keywordName, keywordSummary } from '../../lib/text/names.ts'
import { isTelling } from '../../lib/text/terms.ts'
import { words } from '../../lib/text/words.ts'

export type MadeTopic = { topicId: string; firmId: string; keywords: string[]; sentences: string[]; theme: number }

// 75,000 topics of 5,000 firms are what the design counts with; 2016Q3 has six a firm, as its calls are short.
const TOPICS_A_FIRM = 13
// As 2016Q3 has them in none before any are given to the nearest.
const IN_NONE = 0.4
// Two topics of a theme have three of eight keywords in common; another two are everybody's, as revenue and growth are.
const WORDS_OF_THEME = 12
const OWN_KEYWORDS = 6
const GENERAL_KEYWORDS = 2
const GENERAL_WORDS = 300
const SENTENCES = 5
// Rarer, and it may be a slip of the transcript that no model knows.
const LEAST_SENTENCES = 5

/** Words that say what a sentence is about, the most frequent first. */
export function vocabularyOf(sentences: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const sentence of sentences)
    for (const word of new Set(words(sentence).filter(tells))) counts.set(word, (counts.get(word) ?? 0) + 1)
  const known = [...counts].filter(([, count]) => count >= LEAST_SENTENCES)
  return known.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([word]) => word)
}

/**
 * n topics of n / 13 firms, of which three in five belong to one of so many themes, the largest some thirty times as large
 * as the smallest; the rest are of chance words. The most frequent words are everybody's; each theme has twelve of the others, some of which other
 * themes have too.
 */
export function makeTopics(real: readonly string[], n: number, themes: number, quarter: string): MadeTopic[] {
  const random = createRandom(1)
  const vocabulary = vocabularyOf(real)
  const general = vocabulary.slice(0, GENERAL_WORDS)
  const rare = vocabulary.slice(GENERAL_WORDS)
  const wordsOf = Array.from({ length: themes }, () => chosen(rare, WORDS_OF_THEME, random))
  return Array.from({ length: n }, (_, i) => {
    // The square makes small themes many and large ones few.
    const theme = random.next() < IN_NONE ? NOISE : Math.floor(themes * random.next() ** 2)
    const own = theme === NOISE ? rare : wordsOf[theme]
    const keywords = [...chosen(own, OWN_KEYWORDS, random), ...chosen(general, GENERAL_KEYWORDS, random)]
    const firmId = `M${String(Math.floor(i / TOPICS_A_FIRM)).padStart(6, '0')}`
    return {
      topicId: topicIdOf(quarter, firmId, (i % TOPICS_A_FIRM) + 1),
      firmId,
      keywords,
      sentences: Array.from({ length: SENTENCES }, () => sentenceOf(real[random.int(real.length)], keywords, random)),
      theme,
    }
  })
}

function chosen(from: readonly string[], howMany: number, random: Random): string[] {
  const taken = new Set<string>()
  while (taken.size < howMany) taken.add(from[random.int(from.length)])
  return [...taken]
}

// Names and figures of the real calls stay where they are.
export function tells(word: string): boolean {
  return /^[a-z]{4,}$/.test(word) && isTelling(word)
}

/** A real sentence whose telling words are the topic's. */
function sentenceOf(real: string, keywords: readonly string[], random: Random): string {
  return real.replace(/[\p{L}\p{N}]+/gu, word => (tells(word) ? keywords[random.int(keywords.length)] : word))
}

/** Writes firms, calls, topics and names as the steps do, and that all steps before `aggregate` are done. */
export async function writeMadeTopics(sql: Database, quarter: string, topics: readonly MadeTopic[]): Promise<void> {
  await ensureQuarter(sql, quarter)
  const topicsOf = new Map<string, MadeTopic[]>()
  for (const topic of topics) topicsOf.set(topic.firmId, [...(topicsOf.get(topic.firmId) ?? []), topic])
  for (const [firmId, its] of topicsOf) await writeCall(sql, callOf(quarter, firmId, its))
  await transaction(sql, async tx => {
    const firms = [...topicsOf].map(([firmId, its]) => ({
      firmId,
      topics: its.map((topic, number) => topicRow(topic, sentenceIdsOf(quarter, firmId, number))),
      memberships: [],
    }))
    await replaceTopics(tx, quarter, firms)
    for (const [firmId, its] of topicsOf) await replaceTopicNames(tx, quarter, firmId, its.map(nameRow))
  })
  await sql`update work set state = 'done' where quarter = ${quarter} and stage not in ('aggregate', 'index')`
}

function callOf(quarter: string, firmId: string, topics: readonly MadeTopic[]): StoredCall {
  return {
    ...{ callId: callIdOf(`${quarter}/${firmId}`), firmId, ticker: null, name: null, identifiers: {}, quarter },
    ...{ calendarQuarter: null, fiscalQuarter: null, callDate: null, source: 'made', format: 'made', contentHash: '' },
    sentences: topics
      .flatMap(topic => topic.sentences)
      .map(text => ({ speaker: null, role: null, section: null, talk: null, text })),
  }
}

/** Of the firm's topic of that number, from 0. */
function sentenceIdsOf(quarter: string, firmId: string, number: number): bigint[] {
  const callId = callIdOf(`${quarter}/${firmId}`)
  return Array.from({ length: SENTENCES }, (_, place) => sentenceId(callId, number * SENTENCES + place))
}

function topicRow({ topicId, keywords }: MadeTopic, sentenceIds: readonly bigint[]): Topic {
  return {
    ...{ topicId, label: keywords[0], size: SENTENCES, keywords, keywordWeights: keywords.map(() => 1) },
    ...{ representativeSentences: sentenceIds, centroid: new Float32Array(1) },
  }
}

function nameRow({ topicId, keywords }: MadeTopic): TopicName {
  const [name, summary] = [keywordName(keywords), keywordSummary(keywords)]
  return { topicId, name, summary, source: 'keywords', model: null, promptHash: null }
}

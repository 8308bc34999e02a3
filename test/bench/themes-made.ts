// A quarter of made topics, as many as one likes, whose themes are known, in a database where every step before `aggregate`
// is done. Words are those of real calls, so that a model knows them; everything comes by seed. Nothing is measured here.

import type { Database } from '../../lib/db/connect.ts'
import { copyRows } from '../../lib/db/copy.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { topicIdOf } from '../../lib/db/topics.ts'
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
function vocabularyOf(sentences: readonly string[]): string[] {
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
function tells(word: string): boolean {
  return /^[a-z]{4,}$/.test(word) && isTelling(word)
}

/** A real sentence whose telling words are the topic's. */
function sentenceOf(real: string, keywords: readonly string[], random: Random): string {
  return real.replace(/[\p{L}\p{N}]+/gu, word => (tells(word) ? keywords[random.int(keywords.length)] : word))
}

/** Writes the topics with their names and sentences, and that all steps before `aggregate` are done. */
export async function writeMadeTopics(sql: Database, quarter: string, topics: readonly MadeTopic[]): Promise<void> {
  await ensureQuarter(sql, quarter)
  const firmIds = [...new Set(topics.map(topic => topic.firmId))]
  const callOf = new Map(firmIds.map((firmId, call) => [firmId, BigInt(call + 1)]))
  const sentenceIds = topics.map((topic, i) => topic.sentences.map((_, place) => BigInt(i * SENTENCES + place)))
  await copyRows(
    sql,
    'firms',
    [{ name: 'firm_id', type: 'text' }],
    firmIds.map(firmId => [firmId]),
  )
  await sql`
    insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences)
    select call, firm_id, ${quarter}, 'made', 'made', '', ${TOPICS_A_FIRM * SENTENCES}
    from unnest(${firmIds}::text[]) with ordinality as firm (firm_id, call)`
  await copyRows(
    sql,
    'sentences',
    [
      { name: 'quarter', type: 'text' },
      { name: 'sentence_id', type: 'int8' },
      { name: 'call_id', type: 'int8' },
      { name: 'firm_id', type: 'text' },
      { name: 'position', type: 'int4' },
      { name: 'text', type: 'text' },
    ],
    rowsOf(topics, ({ firmId, sentences }, i) =>
      sentences.map((text, place) => [quarter, sentenceIds[i][place], callOf.get(firmId), firmId, place, text]),
    ),
  )
  const noCentroid = new Float32Array(1)
  await copyRows(
    sql,
    'topics',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'firm_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'label', type: 'text' },
      { name: 'size', type: 'int4' },
      { name: 'keywords', type: 'text[]' },
      { name: 'keyword_weights', type: 'float4[]' },
      { name: 'representative_sentences', type: 'int8[]' },
      { name: 'centroid', type: 'vector' },
    ],
    rowsOf(topics, ({ topicId, firmId, keywords }, i) => [
      [topicId, firmId, quarter, keywords[0], SENTENCES, keywords, keywords.map(() => 1), sentenceIds[i], noCentroid],
    ]),
  )
  await copyRows(
    sql,
    'topic_names',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'name', type: 'text' },
      { name: 'summary', type: 'text' },
      { name: 'source', type: 'text' },
    ],
    rowsOf(topics, ({ topicId, keywords }) => [[topicId, keywordName(keywords), keywordSummary(keywords), 'keywords']]),
  )
  await sql`insert into work (stage, quarter, firm_id) values ('aggregate', ${quarter}, '*')`
}

function* rowsOf(topics: readonly MadeTopic[], rows: (topic: MadeTopic, i: number) => unknown[][]) {
  for (const [i, topic] of topics.entries()) yield* rows(topic, i)
}

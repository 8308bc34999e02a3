// From one firm's sentences and their embeddings to its topics: clusters, keywords, representative sentences, centroids.
// Plain data in, plain data out, no chance of its own: it runs in a worker thread, and the same firm gives the same
// topics in any thread, in any order. How points become clusters is lib/math.

import type { MethodName } from '../flags.ts'
import { type CommunityRecipe, coreOf } from '../math/community-topics.ts'
import {
  type Clustered,
  type ClusterRecipe,
  engineOf,
  FIRM_COMMUNITIES,
  FIRM_RECIPE,
  type Method,
  NOISE,
} from '../math/engine.ts'
import { centroid, normalizeRows } from '../math/matrix.ts'
import { seedFrom } from '../math/random.ts'
import { type NearEnough, reassignNoise } from '../math/reassign.ts'
import { topicKeywords } from './keywords.ts'
import { representativeSentences } from './representatives.ts'

/** What decides the outcome, and so is kept with it: another recipe makes the firms stale. */
export type FirmClusterRecipe = UmapRecipe | CommunitiesRecipe
export type UmapRecipe = ClusterRecipe & { engine: 'exact' | 'libraries' } & WhateverMethod
export type CommunitiesRecipe = CommunityRecipe & { engine: 'communities' } & WhateverMethod
type WhateverMethod = {
  withTalk: boolean
  seed: number
  reassignNoise: NearEnough | 'no'
  method: number
}

/** Raised whenever a change of the code changes topics or keywords: what older code made then counts as stale. */
const METHOD = 3

const WHATEVER_METHOD: WhateverMethod = { withTalk: false, seed: 42, reassignNoise: 'no', method: METHOD }
export const STANDARD_RECIPE: UmapRecipe = { ...FIRM_RECIPE, engine: 'exact', ...WHATEVER_METHOD }
export const COMMUNITIES_RECIPE: CommunitiesRecipe = {
  ...FIRM_COMMUNITIES,
  engine: 'communities',
  ...WHATEVER_METHOD,
}

export type FirmJob = Method & {
  seed: number
  /** Whether noise gets a second label; absent is no. */
  reassignNoise?: NearEnough | 'no'
  /** n sentences and their embeddings, n × d. */
  texts: readonly string[]
  vectors: Float32Array
  d: number
  firmsUsingWord: ReadonlyMap<string, number>
  firmCount: number
  /** Words of the firm's name: they tell none of its topics apart. */
  ownWords: readonly string[]
}

export type FoundTopic = {
  /** Rows of its sentences. */
  members: number[]
  keywords: { term: string; weight: number }[]
  representatives: number[]
  /** d numbers, unit length. */
  centroid: Float32Array
  /** Largest first; none by a method that knows no parts, and where it found no two. */
  parts: FoundPart[]
}

export type FoundPart = {
  /** Rows of its sentences; some of the topic's may be in no part. */
  members: number[]
  /** What it says and the other parts of the topic do not. */
  keywords: { term: string; weight: number }[]
  representative: number
}

export type FirmTopics = {
  /** Largest first. */
  topics: FoundTopic[]
  /** Topic of each sentence, or NOISE. */
  topicOfSentence: Int32Array
  /** The topic that a sentence in none was given to, or NOISE: also for those that have a topic. */
  reassignedTopicOfSentence: Int32Array
  probabilities: Float32Array
}

// Ten keywords are what coherence is measured on and what BERTopic shows.
const KEYWORDS = 10
// Five sentences are enough evidence for a name and still read at a glance.
const REPRESENTATIVES = 5

/** A firm as the database knows it, and what it knows of the whole quarter (lib/db/firm-input). */
type Firm = { firmId: string; name: string; sentences: readonly { text: string }[]; vectors: Float32Array }
type QuarterBackground = { d: number; firmCount: number; firmsUsingWord: ReadonlyMap<string, number> }

/** The job of a firm's quarter; its seed is the recipe's, mixed with both. */
export function firmJobOf(
  quarter: string,
  { firmId, name, sentences, vectors }: Firm,
  recipe: FirmClusterRecipe,
  background: QuarterBackground,
): FirmJob {
  return {
    ...methodOf(recipe),
    seed: seedFrom(recipe.seed, firmId, quarter),
    reassignNoise: recipe.reassignNoise,
    texts: sentences.map(sentence => sentence.text),
    vectors,
    ...background,
    ownWords: [firmId, ...name.split(/\s+/)],
  }
}

export function methodOf({
  engine,
  withTalk: _,
  seed: __,
  reassignNoise: ___,
  method: ____,
  ...recipe
}: FirmClusterRecipe) {
  return { engine, recipe } as Method // they came together, which the rest of a union forgets
}

export type MethodOfFirms = { method: MethodName; firms: number }

/** The methods of recipes, as JSON, of firms or of themes; that of most firms first. */
export function methodsOf(recipes: readonly { recipe: string; firms: number }[]): MethodOfFirms[] {
  const firmsOf = new Map<MethodName, number>()
  for (const { recipe, firms } of recipes) {
    const method = JSON.parse(recipe).engine === 'communities' ? 'communities' : 'umap-hdbscan'
    firmsOf.set(method, (firmsOf.get(method) ?? 0) + firms)
  }
  return [...firmsOf].map(([method, firms]) => ({ method, firms })).sort((a, b) => b.firms - a.firms)
}

/** What a worker thread is called with. */
export async function topicsOfFirm(job: FirmJob): Promise<FirmTopics> {
  return topicsOf(job, (await engineOf(job))(job.vectors, job.texts.length, job.d, job.seed))
}

/** The topics, once it is known which sentences belong together. */
export function topicsOf(job: FirmJob, { labels, probabilities, parts }: Clustered): FirmTopics {
  const { texts, vectors, d, reassignNoise: reassign = 'no' } = job
  const { groupOfRow: topicOfSentence, members } = numberBySize(labels)
  const keywords = topicKeywords({
    sentences: texts,
    topicOfSentence: job.engine === 'communities' ? cores(members, probabilities) : topicOfSentence,
    topicCount: members.length,
    firmsUsingWord: job.firmsUsingWord,
    firmCount: job.firmCount,
    ownWords: job.ownWords,
    howMany: KEYWORDS,
  })
  const topics = members.map((rows, topic) => {
    const middle = Float32Array.from(normalizeRows(centroid(vectors, d, rows), 1, d))
    return {
      members: rows,
      keywords: keywords[topic],
      representatives: representativeSentences({
        vectors,
        d,
        members: Int32Array.from(rows),
        centroid: middle,
        texts,
        probabilities,
        howMany: REPRESENTATIVES,
      }),
      centroid: middle,
      parts: parts === undefined ? [] : partsOf(job, rows, parts, probabilities),
    }
  })
  const reassignedTopicOfSentence =
    reassign === 'no'
      ? new Int32Array(texts.length).fill(NOISE)
      : reassignNoise(vectors, texts.length, d, topicOfSentence, topics.length, reassign)
  return { topics, topicOfSentence, reassignedTopicOfSentence, probabilities }
}

/**
 * The parts of a topic, with what tells them from one another: against the rest of the firm their first words are the same, and
 * then come such as are said once here and again anywhere (progress, organization: rest, digits).
 */
function partsOf(
  { texts, vectors, d, firmsUsingWord, firmCount, ownWords }: FirmJob,
  rows: readonly number[],
  partOfSentence: Int32Array,
  probabilities: Float32Array,
): FoundPart[] {
  const { groupOfRow, members } = numberBySize(Int32Array.from(rows, row => partOfSentence[row]))
  const keywords = topicKeywords({
    sentences: rows.map(row => texts[row]),
    topicOfSentence: groupOfRow,
    topicCount: members.length,
    firmsUsingWord,
    firmCount,
    ownWords,
    howMany: KEYWORDS,
  })
  return members.map((places, part) => {
    const own = places.map(place => rows[place])
    const [representative] = representativeSentences({
      vectors,
      d,
      members: Int32Array.from(own),
      centroid: Float32Array.from(centroid(vectors, d, own)),
      texts,
      probabilities,
      howMany: 1,
    })
    return { members: own, keywords: keywords[part], representative }
  })
}

/** Topic of each sentence of its core; the others are background to its words, as noise is. */
function cores(members: readonly (readonly number[])[], probabilities: Float32Array): Int32Array {
  const topicOfSentence = new Int32Array(probabilities.length).fill(NOISE)
  for (const [topic, rows] of members.entries())
    for (const row of coreOf(rows, probabilities)) topicOfSentence[row] = topic
  return topicOfSentence
}

/** Groups get numbers from the largest to the smallest, equals by their first row: what a reader expects. */
function numberBySize(labels: Int32Array): { groupOfRow: Int32Array; members: number[][] } {
  const rowsOfLabel = new Map<number, number[]>()
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === NOISE) continue
    const rows = rowsOfLabel.get(labels[i])
    if (rows === undefined) rowsOfLabel.set(labels[i], [i])
    else rows.push(i)
  }
  const members = [...rowsOfLabel.values()].sort((a, b) => b.length - a.length || a[0] - b[0])
  const groupOfRow = new Int32Array(labels.length).fill(NOISE)
  for (const [group, rows] of members.entries()) for (const row of rows) groupOfRow[row] = group
  return { groupOfRow, members }
}

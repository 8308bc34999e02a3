// From one firm's sentences and their embeddings to its topics: clusters, keywords, representative sentences, centroids.
// Plain data in, plain data out, no chance of its own: it runs in a worker thread, and the same firm gives the same
// topics in any thread, in any order. How points become clusters is lib/math.

import {
  type ClusterEngine,
  type ClusterRecipe,
  type EngineName,
  engineNamed,
  FIRM_RECIPE,
  NOISE,
} from '../math/engine.ts'
import { centroid, normalizeRows } from '../math/matrix.ts'
import { seedFrom } from '../math/random.ts'
import { type NearEnough, reassignNoise } from '../math/reassign.ts'
import { topicKeywords } from './keywords.ts'
import { representativeSentences } from './representatives.ts'

/** What decides the outcome, and so is kept with it: another recipe makes the firms stale. */
export type FirmClusterRecipe = ClusterRecipe & {
  engine: EngineName
  withTalk: boolean
  seed: number
  reassignNoise: NearEnough | 'no'
  method: number
}

/** Raised whenever a change of the code changes topics or keywords: what older code made then counts as stale. */
const METHOD = 3

export const STANDARD_RECIPE: FirmClusterRecipe = {
  ...FIRM_RECIPE,
  engine: 'exact',
  withTalk: false,
  seed: 42,
  reassignNoise: 'no',
  method: METHOD,
}

export type FirmJob = {
  engine: EngineName
  recipe: ClusterRecipe
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
  { engine, seed, reassignNoise, withTalk: _, method: __, ...recipe }: FirmClusterRecipe,
  background: QuarterBackground,
): FirmJob {
  return {
    engine,
    recipe,
    seed: seedFrom(seed, firmId, quarter),
    reassignNoise,
    texts: sentences.map(sentence => sentence.text),
    vectors,
    ...background,
    ownWords: [firmId, ...name.split(/\s+/)],
  }
}

/** What a worker thread is called with. */
export async function topicsOfFirm(job: FirmJob): Promise<FirmTopics> {
  return topicsBy(await engineNamed(job.engine), job)
}

export function topicsBy(cluster: ClusterEngine, job: FirmJob): FirmTopics {
  const { texts, vectors, d, reassignNoise: reassign = 'no' } = job
  const { labels, probabilities } = cluster(vectors, texts.length, d, job.recipe, job.seed)
  const { topicOfSentence, members } = numberBySize(labels)
  const keywords = topicKeywords({
    sentences: texts,
    topicOfSentence,
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
    }
  })
  const reassignedTopicOfSentence =
    reassign === 'no'
      ? new Int32Array(texts.length).fill(NOISE)
      : reassignNoise(vectors, texts.length, d, topicOfSentence, topics.length, reassign)
  return { topics, topicOfSentence, reassignedTopicOfSentence, probabilities }
}

/** Topics get numbers from the largest to the smallest, equals by their first sentence: what a reader expects. */
function numberBySize(labels: Int32Array): { topicOfSentence: Int32Array; members: number[][] } {
  const rowsOfLabel = new Map<number, number[]>()
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === NOISE) continue
    const rows = rowsOfLabel.get(labels[i])
    if (rows === undefined) rowsOfLabel.set(labels[i], [i])
    else rows.push(i)
  }
  const members = [...rowsOfLabel.values()].sort((a, b) => b.length - a.length || a[0] - b[0])
  const topicOfSentence = new Int32Array(labels.length).fill(NOISE)
  for (const [topic, rows] of members.entries()) for (const row of rows) topicOfSentence[row] = topic
  return { topicOfSentence, members }
}

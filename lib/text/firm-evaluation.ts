// How far one firm's topics hold: are they apart, and do they come again with another seed or with a tenth less to go by.
// Clusters the firm twice more by the recipe its topics were made with, in a worker thread; writes nothing.
// Left to others: keywords (coherence.ts), means over firms.

import { adjustedRandIndex, withoutTenth } from '../math/agreement.ts'
import { clusterDistinct, engineOf, type Method, NOISE } from '../math/engine.ts'
import { silhouette } from '../math/silhouette.ts'

export type EvaluationJob = Method & {
  /** The seed the topics were made with, and another. */
  seed: number
  otherSeed: number
  /** n × d, in the order in which they were clustered. */
  vectors: Float32Array
  d: number
  /** Topic of each of n sentences, or NOISE. */
  topicOfSentence: Int32Array
}

export type FirmEvaluation = {
  silhouette: number | undefined
  /** Adjusted Rand index with the topics of the other seed, and, on the sentences kept, with those of nine tenths. */
  seedAgreement: number | undefined
  tenthAgreement: number | undefined
}

/** Undefined for a firm with too few different sentences for two topics: there is nothing to judge. */
export async function evaluateFirm(job: EvaluationJob): Promise<FirmEvaluation | undefined> {
  const { recipe, vectors, d, topicOfSentence } = job
  const n = topicOfSentence.length
  if (!isEnough(vectors, n, d, recipe)) return undefined
  const cluster = await engineOf(job)
  const other = cluster(vectors, n, d, job.otherSeed).labels
  const kept = withoutTenth(n, job.otherSeed)
  const rows = new Float32Array(kept.length * d)
  for (const [place, row] of kept.entries()) rows.set(vectors.subarray(row * d, (row + 1) * d), place * d)
  // With the seed it had: what changes here is the sentences.
  const ofKept = cluster(rows, kept.length, d, job.seed).labels
  return {
    silhouette: silhouette(vectors, n, d, topicOfSentence),
    seedAgreement: agreement(topicOfSentence, other),
    tenthAgreement: agreement(
      kept.map(row => topicOfSentence[row]),
      ofKept,
    ),
  }
}

/** Asks the rule for small firms itself, which lets an engine see only what it may cluster. */
function isEnough(vectors: Float32Array, n: number, d: number, recipe: Method['recipe']): boolean {
  let enough = false
  clusterDistinct(vectors, n, d, recipe, (_, count) => {
    enough = true
    return { labels: new Int32Array(count), probabilities: new Float32Array(count) }
  })
  return enough
}

/**
 * Adjusted Rand index of two answers for the same sentences, noise counted as a group. Undefined where neither has a
 * topic: they are the same, but hold nothing that could have differed.
 */
export function agreement(left: Int32Array, right: Int32Array): number | undefined {
  const empty = left.every(topic => topic === NOISE) && right.every(topic => topic === NOISE)
  return empty ? undefined : adjustedRandIndex(left, right)
}

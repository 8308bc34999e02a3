// A second label for noise: the topic whose middle is nearest, where it is near enough.
// Left to others: what the first label is (hdbscan.ts), and whether anybody wants a second one.

import { NOISE } from './hdbscan.ts'
import type { Table } from './matrix.ts'

/** How near is near enough: as the topic's own rows are, or a cosine of one's own. */
export type NearEnough = 'as near as its own' | number

// A row that lies as near as the outer quarter of a topic's own rows would not stand out among them. Their farthest would
// be too easy (one stray row in the topic, and all come in), their median would refuse half of the topic itself.
const OUTER_SHARE = 0.25

/**
 * vectors: n × d, unit length or zeros; topics from 0. For each row that is NOISE the topic whose centroid is nearest by
 * cosine, the first of equals, if it is near enough; NOISE for the others, for rows of zeros, which have no direction,
 * and for rows that have a topic already. Equal rows get equal answers.
 *
 * A topic's own row is measured against the centroid of the others: in a topic of eight, a row that has nothing to do
 * with the rest lies at a cosine of .35 from a centroid that it is a part of, and a stranger at 0.
 */
export function reassignNoise(
  vectors: Table,
  n: number,
  d: number,
  topicOfRow: Int32Array,
  topicCount: number,
  nearEnough: NearEnough,
): Int32Array {
  const sums = new Float64Array(topicCount * d)
  for (let i = 0; i < n; i++) {
    if (topicOfRow[i] === NOISE) continue
    for (let t = 0, s = topicOfRow[i] * d; t < d; t++) sums[s + t] += vectors[i * d + t]
  }
  const cosinesOf: number[][] = Array.from({ length: topicCount }, () => [])
  for (let i = 0; i < n; i++) {
    if (topicOfRow[i] !== NOISE) cosinesOf[topicOfRow[i]].push(cosineToSum(vectors, i, sums, topicOfRow[i], d, 1))
  }
  const least = cosinesOf.map(cosines => (nearEnough === 'as near as its own' ? lowerQuartile(cosines) : nearEnough))
  const given = new Int32Array(n).fill(NOISE)
  for (let i = 0; i < n; i++) {
    if (topicOfRow[i] !== NOISE) continue
    let nearest = NOISE
    let nearestCosine = Number.NEGATIVE_INFINITY
    for (let topic = 0; topic < topicCount; topic++) {
      const cosine = cosineToSum(vectors, i, sums, topic, d, 0)
      if (cosine > nearestCosine) {
        nearest = topic
        nearestCosine = cosine
      }
    }
    if (nearest !== NOISE && nearestCosine >= least[nearest]) given[i] = nearest
  }
  return given
}

/**
 * Cosine of row i to a topic's sum of rows, from which the row itself is taken `times` times. A row or a sum of zeros
 * has no direction: minus infinity, which is near to nothing.
 */
function cosineToSum(vectors: Table, i: number, sums: Float64Array, topic: number, d: number, times: number): number {
  let product = 0
  let rowSquared = 0
  let sumSquared = 0
  for (let t = 0, r = i * d, s = topic * d; t < d; t++) {
    const value = vectors[r + t]
    const sum = sums[s + t] - times * value
    product += value * sum
    rowSquared += value * value
    sumSquared += sum * sum
  }
  return rowSquared > 0 && sumSquared > 0 ? product / Math.sqrt(rowSquared * sumSquared) : Number.NEGATIVE_INFINITY
}

function lowerQuartile(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(OUTER_SHARE * values.length)]
}

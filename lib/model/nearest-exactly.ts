// From float32 scores of a device to the exact nearest neighbours: bit for bit those of lib/math/neighbors.ts.
// The device proposes a few more rows than wanted; their distances are computed again as doubles; and what the device
// left out is proved to be farther, or the row is done again the slow way. Leaves to others: the device itself.

import { cosineFromDot, dot, type Metric, squaredDistance } from '../math/distance.ts'
import { normalizeRows, requireFinite } from '../math/matrix.ts'
import { insertNeighbor, type Neighbors, nearestNeighbors } from '../math/neighbors.ts'

export type Question = {
  /** n × d */
  data: Float32Array
  n: number
  d: number
  k: number
  metric: Exclude<Metric, 'squared'>
}

/**
 * What the device compares: the score of rows i and j is the product of row i and row j plus bias j, and the highest
 * score is the nearest.
 */
export type Compared = { rows: Float32Array; bias: Float32Array }

/** For each of `count` rows its `kept` best scores, best first, and whose they are; a row scores itself too. */
export type Proposal = { scores: Float32Array; indices: Int32Array }

/** The proposal for rows `first` to `first + count - 1` against all rows. */
export type Propose = (first: number, count: number, kept: number) => Promise<Proposal>

// Candidates beyond the k wanted. m, 20,000 × 256, k 29: with 1 more 5 % of the rows had to be done again, with 2 1.3 %,
// with 4 7 rows, with 16 none, and none of 60,000. They cost little: 46 distances a row instead of 30.
const MORE = 16
// Rows a block. m, 20,000 × 384 on one core: 64 rows 4.4 s, 128 3.2 s, 256 3.6 s, 512 4.5 s; 60,000: 128 22 s, 256 19 s.
const BLOCK_ROWS = 256
// Scores a block, 64 MB, so that a million rows need no gigabyte.
const BLOCK_SCORES = 2 ** 24
// Beyond this share of the rows the plain kernel does all of them sooner, as it compares four rows at a time and each pair
// once. m, 5,000 × 384: 2.5 ms a row again; .24 ms a row of the kernel's by cosine, .52 Euclidean.
const TOO_MANY = 1 / 8

/**
 * The k nearest others of each row, as `nearestNeighbors` gives them, and how many rows had to be done again.
 * `open` makes the device ready to compare; `onRows` hears how many more rows are done.
 */
export async function nearestByDevice(
  { data, n, d, k, metric }: Question,
  open: (compared: Compared) => Promise<Propose>,
  onRows: (more: number) => void = () => {},
): Promise<{ neighbors: Neighbors; again: number }> {
  requireFinite(data, n, d)
  const wanted = Math.max(0, Math.min(k, n - 1))
  const indices = new Int32Array(n * wanted)
  const distances = new Float64Array(n * wanted).fill(Infinity)
  const neighbors = { indices, distances, k: wanted }
  if (wanted === 0) return { neighbors, again: 0 }
  const { compared, distance, atLeast, scoresTell } = metric === 'cosine' ? byAngle(data, n, d) : byLine(data, n, d)
  const propose = await open(compared)
  const kept = Math.min(n, wanted + 1 + MORE) // a row is among its own candidates
  const again: number[] = []

  const block = Math.max(1, Math.min(BLOCK_ROWS, Math.floor(BLOCK_SCORES / n)))
  for (let first = 0; first < n; first += block) {
    const count = Math.min(block, n - first)
    const proposal = await propose(first, count, kept)
    for (let i = first; i < first + count; i++) {
      const start = (i - first) * kept
      const telling = scoresTell(i)
      for (let p = start; p < start + kept; p++) {
        const j = proposal.indices[p]
        if (j === i) continue
        const found = distance(i, j)
        if (telling && found < atLeast(i, proposal.scores[p])) throw tooCoarse(i, j, found, proposal.scores[p])
        insertNeighbor(indices, distances, i * wanted, wanted, j, found)
      }
      const farthest = distances[(i + 1) * wanted - 1]
      const proved = kept === n || (telling && farthest < atLeast(i, proposal.scores[start + kept - 1]))
      if (!proved) again.push(i)
    }
    onRows(count)
  }

  if (again.length > TOO_MANY * n) return { neighbors: nearestNeighbors(data, n, d, k, metric), again: n }
  for (const i of again) {
    distances.fill(Infinity, i * wanted, (i + 1) * wanted)
    for (let j = 0; j < n; j++) if (j !== i) insertNeighbor(indices, distances, i * wanted, wanted, j, distance(i, j))
  }
  return { neighbors, again: again.length }
}

/** How one metric is put to the device, and what its answer proves. */
type Way = {
  compared: Compared
  /** The distance of two rows: the bits of the blocked kernel. */
  distance(i: number, j: number): number
  /** No row whose score for row i is this or less is nearer than that. */
  atLeast(i: number, score: number): number
  /** Whether scores say anything about row i. */
  scoresTell(i: number): boolean
}

// How far a float32 number may lie from the one it stands for, as a share of it: half a unit in the last place.
const ROUNDING = 2 ** -24

/**
 * A sum of this many float32 products is at most this far from the true one, as a share of the sum of their absolute
 * values, whatever the order of adding, with fused multiply-add or without (Higham 2002, Accuracy and Stability of
 * Numerical Algorithms, section 3.1: γ of n).
 */
function sumError(terms: number): number {
  return (terms * ROUNDING) / (1 - terms * ROUNDING)
}

/**
 * Cosine: unit rows, no bias. The score of a pair is off by at most γ(d + 4): by γ(d + 1) for the sum of d products and
 * the bias, as the absolute products of two unit rows add up to 1 at most (Cauchy and Schwarz); by two roundings for the
 * rows, which are doubles rounded to float32; and the fourth covers what is 1e-9 and less, the rounding of the doubles
 * and what underflows.
 */
function byAngle(data: Float32Array, n: number, d: number): Way {
  const unit = normalizeRows(data, n, d)
  const error = sumError(d + 4)
  function hasDirection(i: number): boolean {
    for (let p = i * d; p < (i + 1) * d; p++) if (unit[p] !== 0) return true
    return false
  }
  return {
    compared: { rows: new Float32Array(unit), bias: new Float32Array(n) },
    distance: (i, j) => (hasDirection(i) || hasDirection(j) ? cosineFromDot(dot(unit, i, unit, j, d)) : 0),
    // What turns products into distances never rises with the product, so that a bound stays one through it.
    atLeast: (_i, score) => cosineFromDot(score + error),
    // Two rows of zeros are at distance 0, which no product shows.
    scoresTell: hasDirection,
  }
}

/**
 * Euclidean: rows around their mean, the longest of length 1, because ½|a|² + ½|b|² - ab loses what they have in
 * common; bias -½|b|², so that the score is ½|a|² - ½|a - b|². Its products and bias add up to 3/2 at most, so it is
 * off by γ(d + 1) of that for the sum and half a rounding for the bias: under 3/2 γ(d + 4). The float32 rows themselves
 * are each off by a rounding (of a length up to 1) from where they should be, so their distance by two at most: 2^-22
 * is twice that. The distance as a double is right to d + 2 roundings of 2^-53.
 */
function byLine(data: Float32Array, n: number, d: number): Way {
  const points = new Float64Array(data.subarray(0, n * d))
  const mean = new Float64Array(d)
  for (let p = 0; p < n * d; p++) mean[p % d] += points[p] / n
  let longest = 0
  for (let i = 0; i < n; i++) longest = Math.max(longest, squaredDistance(points, i, mean, 0, d))
  const scale = Math.sqrt(longest) || 1 // all rows equal: nothing to scale
  const rows = new Float32Array(n * d)
  for (let p = 0; p < n * d; p++) rows[p] = (points[p] - mean[p % d]) / scale
  const squaredLength = new Float64Array(n)
  for (let i = 0; i < n; i++) squaredLength[i] = dot(rows, i, rows, i, d)
  const error = 1.5 * sumError(d + 4)
  const share = 1 - (d + 8) * 2 ** -52
  return {
    compared: { rows, bias: Float32Array.from(squaredLength, squared => -squared / 2) },
    distance: (i, j) => Math.sqrt(squaredDistance(points, i, points, j, d)),
    atLeast(i, score) {
      const squared = squaredLength[i] - 2 * (score + error)
      return squared > 0 ? scale * Math.max(0, Math.sqrt(squared) - 2 ** -22) * share : 0
    },
    scoresTell: () => true,
  }
}

/** Sums of float16 or of ten bits, as graphics processors like to make them, would void the proof. */
function tooCoarse(i: number, j: number, distance: number, score: number): Error {
  return new Error(
    `the device computes less exactly than float32: rows ${i} and ${j}, ${distance} apart, have score ${score}`,
  )
}

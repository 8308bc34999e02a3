// The exact k nearest neighbours of every row: the ground that UMAP and HDBSCAN stand on.
// Blocked, so that rows are compared while they lie in the cache.
// Left to others: many thousand rows, where an ONNX graph on all cores is several times faster (lib/model/nearest.ts).

import { cosineFromDot, type Metric } from './distance.ts'
import { kernels, takeRoom } from './kernels.ts'
import { normalizeRows, requireFinite, type Table } from './matrix.ts'

/**
 * For each of n rows its k nearest others, nearest first, equal distances by lower index: indices and distances are n
 * × k.
 */
export type Neighbors = { indices: Int32Array; distances: Float64Array; k: number }

// Four rows at a time against one: each number that is read serves four sums, which run beside one another in the
// processor.
const ROWS = 4
// Two blocks of 64 KB: half of the smallest second-level cache on today's servers (256 KB).
const BLOCK_BYTES = 65_536

/**
 * data: n × d. A row is not its own neighbour, so k is cut to n - 1 where there are not so many others.
 * Cosine: a row of zeros has no direction and is at distance 1 from all others, but at 0 from another row of zeros.
 */
export function nearestNeighbors(data: Table, n: number, d: number, k: number, metric: Metric): Neighbors {
  requireFinite(data, n, d)
  const wanted = Math.max(0, Math.min(k, n - 1))
  const indices = new Int32Array(n * wanted)
  const distances = new Float64Array(n * wanted).fill(Infinity)
  if (wanted === 0) return { indices, distances, k: 0 }
  if (metric === 'cosine') fillByAngle(data, n, d, indices, distances, wanted)
  else fillByDistance(data, n, d, metric, indices, distances, wanted)
  return { indices, distances, k: wanted }
}

/** Rows of a block: a whole number of groups of four, the last of which may reach beyond the table. */
function rowsOfBlock(d: number): number {
  return Math.max(ROWS, Math.floor(BLOCK_BYTES / 8 / Math.max(1, d) / ROWS) * ROWS)
}

/** Cosine: dot products of unit rows, by the compiled kernel. m, 500 × 256: 8 ms against 26 in plain TypeScript. */
function fillByAngle(data: Table, n: number, d: number, indices: Int32Array, distances: Float64Array, k: number): void {
  const block = rowsOfBlock(d)
  const at = takeRoom({ plain: 8 * (n + ROWS) * d, four: 8 * ROWS * d, dots: 8 * ROWS * block })
  const { dotsOfFour, memory } = kernels()
  const plain = new Float64Array(memory.buffer, at.plain, (n + ROWS) * d)
  plain.set(normalizeRows(data, n, d))
  const isZero = zeroRows(plain, n, d)
  const four = new Float64Array(memory.buffer, at.four, ROWS * d)
  const dots = new Float64Array(memory.buffer, at.dots, ROWS * block)
  for (let blockI = 0; blockI < n; blockI += block) {
    for (let blockJ = blockI; blockJ < n; blockJ += block) {
      const endJ = Math.min(n, blockJ + block)
      for (let i = blockI; i < Math.min(n, blockI + block); i += ROWS) {
        for (let t = 0; t < d; t++) for (let r = 0; r < ROWS; r++) four[t * ROWS + r] = plain[(i + r) * d + t]
        const first = Math.max(blockJ, i + 1)
        if (first >= endJ) continue
        dotsOfFour(at.four, at.plain, first, endJ, d, at.dots)
        for (let j = first; j < endJ; j++) {
          for (let r = 0; r < ROWS && i + r < j; r++) {
            const distance = isZero[i + r] && isZero[j] ? 0 : cosineFromDot(dots[(j - first) * ROWS + r])
            insertNeighbor(indices, distances, (i + r) * k, k, j, distance)
            insertNeighbor(indices, distances, j * k, k, i + r, distance)
          }
        }
      }
    }
  }
}

/** Straight lines: few columns as a rule, where the kernel would gain little. */
function fillByDistance(
  data: Table,
  n: number,
  d: number,
  metric: Metric,
  indices: Int32Array,
  distances: Float64Array,
  k: number,
): void {
  // Rows of zeros fill up the last group of four.
  const rows = new Float64Array(Math.ceil(n / ROWS) * ROWS * d)
  rows.set(data.subarray(0, n * d))
  const block = rowsOfBlock(d)
  const four = new Float64Array(ROWS)
  for (let blockI = 0; blockI < n; blockI += block) {
    for (let blockJ = blockI; blockJ < n; blockJ += block) {
      const endJ = Math.min(n, blockJ + block)
      for (let i = blockI; i < Math.min(n, blockI + block); i += ROWS) {
        for (let j = Math.max(blockJ, i + 1); j < endJ; j++) {
          squaredDistanceOfFour(rows, i, j, d, four)
          for (let r = 0; r < ROWS && i + r < j; r++) {
            const distance = metric === 'squared' ? four[r] : Math.sqrt(four[r])
            insertNeighbor(indices, distances, (i + r) * k, k, j, distance)
            insertNeighbor(indices, distances, j * k, k, i + r, distance)
          }
        }
      }
    }
  }
}

function zeroRows(rows: Float64Array, n: number, d: number): Uint8Array {
  const isZero = new Uint8Array(n).fill(1)
  for (let p = 0; p < n * d; p++) if (rows[p] !== 0) isZero[Math.floor(p / d)] = 0
  return isZero
}

/** Squared distances of rows i to i + 3 from row j; each sum runs in the order of the columns. */
function squaredDistanceOfFour(rows: Float64Array, i: number, j: number, d: number, four: Float64Array): void {
  const a = i * d
  const b = a + d
  const c = b + d
  const e = c + d
  const q = j * d
  let sumA = 0
  let sumB = 0
  let sumC = 0
  let sumE = 0
  for (let t = 0; t < d; t++) {
    const x = rows[q + t]
    const fromA = rows[a + t] - x
    const fromB = rows[b + t] - x
    const fromC = rows[c + t] - x
    const fromE = rows[e + t] - x
    sumA += fromA * fromA
    sumB += fromB * fromB
    sumC += fromC * fromC
    sumE += fromE * fromE
  }
  four[0] = sumA
  four[1] = sumB
  four[2] = sumC
  four[3] = sumE
}

/** Keeps the k best of a list that starts at `start`, ordered by (distance, index), whatever the order of arrival. */
export function insertNeighbor(
  indices: Int32Array,
  distances: Float64Array,
  start: number,
  k: number,
  index: number,
  distance: number,
): void {
  let p = start + k - 1
  const last = distances[p]
  if (distance > last || (distance === last && index > indices[p])) return
  while (p > start) {
    const before = distances[p - 1]
    if (before < distance || (before === distance && indices[p - 1] < index)) break
    distances[p] = before
    indices[p] = indices[p - 1]
    p--
  }
  distances[p] = distance
  indices[p] = index
}

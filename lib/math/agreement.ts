// How much two answers agree: labels with labels, a layout with the data it came from.
// The measures by which tests and benches compare UMAP and HDBSCAN with their references.
// Left to others: what counts as good.

import type { Table } from './matrix.ts'
import { type Neighbors, nearestNeighbors } from './neighbors.ts'
import { createRandom } from './random.ts'

/**
 * Adjusted Rand index (Hubert, Arabie 1985): 1 for the same partition whatever its names, about 0 for chance. Noise
 * is a group like any other, as in scikit-learn. Two partitions of nothing, or of one, agree.
 */
export function adjustedRandIndex(left: ArrayLike<number>, right: ArrayLike<number>): number {
  const n = left.length
  if (right.length !== n)
    throw new RangeError(`two labellings of the same points wanted, found ${n} and ${right.length}`)
  const both = new Map<string, number>()
  const inLeft = new Map<number, number>()
  const inRight = new Map<number, number>()
  for (let i = 0; i < n; i++) {
    const a = left[i]
    const b = right[i]
    both.set(`${a},${b}`, (both.get(`${a},${b}`) ?? 0) + 1)
    inLeft.set(a, (inLeft.get(a) ?? 0) + 1)
    inRight.set(b, (inRight.get(b) ?? 0) + 1)
  }
  const together = pairs(both.values())
  const leftPairs = pairs(inLeft.values())
  const rightPairs = pairs(inRight.values())
  const expected = n > 1 ? (leftPairs * rightPairs) / ((n * (n - 1)) / 2) : 0
  const greatest = (leftPairs + rightPairs) / 2
  return greatest === expected ? 1 : (together - expected) / (greatest - expected)
}

function pairs(counts: Iterable<number>): number {
  let total = 0
  for (const count of counts) total += (count * (count - 1)) / 2
  return total
}

/** Rows that are left, in order, when a tenth (rounded) of n is taken away by chance. */
export function withoutTenth(n: number, seed: number): Int32Array {
  const random = createRandom(seed)
  const rows = Int32Array.from({ length: n }, (_, i) => i)
  const taken = Math.round(n / 10)
  // Fisher and Yates, stopped when the tenth is drawn.
  for (let i = 0; i < taken; i++) {
    const j = i + random.int(n - i)
    const row = rows[i]
    rows[i] = rows[j]
    rows[j] = row
  }
  return rows.slice(taken).sort()
}

/**
 * Trustworthiness (Venna, Kaski 2001): 1 when the k nearest in the layout (n × dLayout) were near in the data too,
 * less for each intruder by how far its rank was beyond k. `data` gives each row's other rows, nearest first (k = n -
 * 1). Needs k < n / 2.
 */
export function trustworthiness(data: Neighbors, layout: Table, n: number, dLayout: number, k: number): number {
  const near = nearestNeighbors(layout, n, dLayout, k, 'euclidean')
  const rank = new Int32Array(n)
  let beyond = 0
  for (let i = 0; i < n; i++) {
    for (let r = 0; r < data.k; r++) rank[data.indices[i * data.k + r]] = r + 1
    for (let r = 0; r < k; r++) beyond += Math.max(0, rank[near.indices[i * k + r]] - k)
  }
  return 1 - (2 / (n * k * (2 * n - 3 * k - 1))) * beyond
}

/**
 * Share of rows whose label (0 or higher) is the commonest among their k nearest, themselves counted, lower label
 * first where two are as common.
 */
export function knnAccuracy(points: Table, n: number, d: number, labels: ArrayLike<number>, k: number): number {
  const near = nearestNeighbors(points, n, d, k - 1, 'euclidean')
  let right = 0
  for (let i = 0; i < n; i++) {
    const votes: number[] = []
    const own = labels[i]
    votes[own] = 1
    for (let r = 0; r < near.k; r++) {
      const label = labels[near.indices[i * near.k + r]]
      votes[label] = (votes[label] ?? 0) + 1
    }
    let winner = 0
    for (let label = 1; label < votes.length; label++) {
      if ((votes[label] ?? 0) > (votes[winner] ?? 0)) winner = label
    }
    if (winner === own) right++
  }
  return right / n
}

// The fuzzy graph of UMAP: which rows belong together, and how strongly, from who is near whom.
// Section 3.1 of McInnes, Healy, Melville 2018, with umap-learn's conventions.
// Left to others: finding the neighbours, drawing the graph.

import { exponential, logarithm } from './elementary.ts'
import type { Neighbors } from './neighbors.ts'

/** Undirected edges over n points: from[e] < to[e], each pair once, strength in (0, 1]. */
export type FuzzyGraph = { from: Int32Array; to: Int32Array; strength: Float64Array }

/**
 * Each row's nearest neighbour has strength 1, and the strengths fall at a rate, its own, that makes their sum log2
 * of the size of the neighbourhood; an edge is the fuzzy union of its two directions, p + q - pq.
 */
export function fuzzyGraph(neighbors: Neighbors, n: number): FuzzyGraph {
  const { indices, distances, k } = neighbors
  const directed = new Float64Array(n * k)
  const target = logarithm(k + 1) / logarithm(2)
  let total = 0
  for (let p = 0; p < n * k; p++) total += distances[p]
  for (let i = 0; i < n; i++) fillStrengths(distances, directed, i * k, k, target, total / (n * (k + 1)))

  const from = new Int32Array(n * k)
  const to = new Int32Array(n * k)
  const strength = new Float64Array(n * k)
  let edges = 0
  for (let i = 0; i < n; i++) {
    for (let r = i * k; r < (i + 1) * k; r++) {
      const j = indices[r]
      let back = 0
      for (let q = j * k; q < (j + 1) * k; q++) {
        if (indices[q] !== i) continue
        back = directed[q]
        // Both rows know this edge: the lower one reports it.
        if (j < i) back = Number.NaN
        break
      }
      if (Number.isNaN(back)) continue
      const forth = directed[r]
      from[edges] = Math.min(i, j)
      to[edges] = Math.max(i, j)
      strength[edges] = forth + back - forth * back
      edges++
    }
  }
  return { from: from.slice(0, edges), to: to.slice(0, edges), strength: strength.slice(0, edges) }
}
/**
 * The k directed strengths of one row, whose neighbours start at `start`. `mean` is the mean distance over all rows.
 */
function fillStrengths(
  distances: Float64Array,
  directed: Float64Array,
  start: number,
  k: number,
  target: number,
  mean: number,
): void {
  let nearest = 0
  let own = 0
  for (let r = start; r < start + k; r++) {
    const distance = distances[r]
    own += distance / (k + 1)
    if (nearest === 0) nearest = distance
  }
  // Newton's steps, each kept between the bounds known so far; halving, as umap-learn does, takes five times as many.
  let scale = own
  let low = 0
  let high = Infinity
  for (let round = 0; round < 64; round++) {
    let sum = 0
    let slope = 0
    for (let r = start; r < start + k; r++) {
      const beyond = distances[r] - nearest
      const strength = beyond > 0 ? exponential(-beyond / scale) : 1
      sum += strength
      if (beyond > 0) slope += (strength * beyond) / (scale * scale)
    }
    // umap-learn's tolerance.
    if (Math.abs(sum - target) < 1e-5) break
    if (sum > target) high = scale
    else low = scale
    const step = scale + (target - sum) / slope
    if (step > low && step < high) scale = step
    else scale = high === Infinity ? scale * 2 : (low + high) / 2
  }
  // umap-learn's floor: a neighbourhood without spread must not make all else infinitely far.
  scale = Math.max(scale, 1e-3 * (nearest > 0 ? own : mean))
  for (let r = start; r < start + k; r++) {
    const beyond = distances[r] - nearest
    directed[r] = beyond > 0 ? exponential(-beyond / scale) : 1
  }
}

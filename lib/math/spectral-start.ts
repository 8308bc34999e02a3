// Where a UMAP layout begins: roughly at the slowest waves of its graph, so that connected groups begin side by side.
// The layout only needs the neighbourhood right, so a few rounds of subspace iteration replace an eigensolver.

import type { FuzzyGraph } from './fuzzy-graph.ts'
import { kernels, takeRoom } from './kernels.ts'
import type { Random } from './random.ts'

// m (86 firms): seeds agree to .89 with 5, .92 with 10, .95 with 20 and with 40.
const ROUNDS = 20
// Rounds between two orthonormalizations: in four the waves grow apart by 2^4 at most, nothing to a float32.
const ROUNDS_BETWEEN = 4
// How far out points start. Close together, all feel all others from the first step on. m (43 firms, 100 epochs): seeds
// agree to .77 from ±10, umap-learn's own, to .91 from ±3, .92 from ±1.
const REACH = 1
// Points at the same place feel no push from one another.
const JITTER = 1e-4

/** n × c positions, within ±1. Graphs with hardly more points than dimensions begin at random, as in umap-learn. */
export function startPositions(graph: FuzzyGraph, n: number, c: number, random: Random): Float32Array {
  const positions = new Float32Array(n * c)
  if (n <= c + 1) {
    for (let p = 0; p < n * c; p++) positions[p] = REACH * (2 * random.next() - 1)
    return positions
  }
  const { waves, stride } = slowestWaves(graph, n, c + 1, random)
  let farthest = 0
  for (let i = 0; i < n; i++) {
    for (let t = 1; t <= c; t++) farthest = Math.max(farthest, Math.abs(waves[i * stride + t]))
  }
  for (let i = 0; i < n; i++) {
    for (let t = 0; t < c; t++) {
      const wave = waves[i * stride + t + 1]
      positions[i * c + t] = (REACH * wave) / farthest + JITTER * (random.next() - 0.5)
    }
  }
  return positions
}

/**
 * n × count, rows `stride` apart: approximately the first eigenvectors of I + D^-½ W D^-½, orthonormal. The first is
 * known, the root of the degrees, and is kept only so that the others stay at right angles to it.
 */
function slowestWaves(
  graph: FuzzyGraph,
  n: number,
  count: number,
  random: Random,
): { waves: Float32Array; stride: number } {
  const { from, to, strength } = graph
  const edges = from.length
  const stride = Math.ceil(count / 4) * 4
  const at = takeRoom({
    waves: 4 * n * stride,
    next: 4 * n * stride,
    from: 4 * edges,
    to: 4 * edges,
    strength: 4 * edges,
  })
  const { spread, memory } = kernels()
  const singles = new Float32Array(memory.buffer)
  const wholes = new Int32Array(memory.buffer)
  const degree = new Float64Array(n)
  for (let e = 0; e < edges; e++) {
    degree[from[e]] += strength[e]
    degree[to[e]] += strength[e]
  }
  wholes.set(from, at.from / 4)
  wholes.set(to, at.to / 4)
  for (let e = 0; e < edges; e++) {
    singles[at.strength / 4 + e] = strength[e] / Math.sqrt(degree[from[e]] * degree[to[e]])
  }
  const waves = singles.subarray(at.waves / 4, at.waves / 4 + n * stride)
  const next = singles.subarray(at.next / 4, at.next / 4 + n * stride)
  for (let i = 0; i < n; i++) {
    waves[i * stride] = Math.sqrt(degree[i])
    for (let t = 1; t < count; t++) waves[i * stride + t] = random.next() - 0.5
  }
  orthonormalize(waves, n, count, stride)
  for (let round = 1; round <= ROUNDS; round++) {
    next.set(waves)
    spread(at.waves, at.next, stride, at.from, at.to, at.strength, edges)
    waves.set(next)
    if (round % ROUNDS_BETWEEN === 0) orthonormalize(waves, n, count, stride)
  }
  return { waves, stride }
}

/** Modified Gram-Schmidt over `count` columns of n rows, `stride` apart, in place. */
function orthonormalize(table: Float32Array, n: number, count: number, stride: number): void {
  const columns = Array.from({ length: count }, (_, v) => {
    return Float64Array.from({ length: n }, (_, i) => table[i * stride + v])
  })
  for (let v = 0; v < count; v++) {
    const own = columns[v]
    for (let u = 0; u < v; u++) {
      const along = product(columns[u], own)
      for (let i = 0; i < n; i++) own[i] -= along * columns[u][i]
    }
    const squared = product(own, own)
    const scale = squared > 0 ? 1 / Math.sqrt(squared) : 0
    for (let i = 0; i < n; i++) {
      own[i] *= scale
      table[i * stride + v] = own[i]
    }
  }
}

function product(left: Float64Array, right: Float64Array): number {
  let sum = 0
  for (let i = 0; i < left.length; i++) sum += left[i] * right[i]
  return sum
}

// The slow twins: each kernel once more as its definition reads, with whole matrices and sorts, to be checked by eye.
// The tests demand that kernel and twin agree; the product never calls them.

import type { CondensedTree } from './cluster-tree.ts'
import type { RowGraph } from './communities.ts'
import { cosineFromDot, dot, type Metric, squaredDistance } from './distance.ts'
import type { FuzzyGraph } from './fuzzy-graph.ts'
import { FIRST_RATE, type LayoutSettings, LONGEST_STEP, MOMENTUM, PUSHERS, shuffled } from './layout.ts'
import { normalizeRows, type Table } from './matrix.ts'
import type { Neighbors } from './neighbors.ts'

/** Distance of every row from every other, n lists of n. */
export function distanceMatrix(data: Table, n: number, d: number, metric: Metric): number[][] {
  const unit = normalizeRows(data, n, d)
  const places = Array.from({ length: n }, (_, i) => i)
  function isZero(i: number): boolean {
    return data.subarray(i * d, (i + 1) * d).every(x => x === 0)
  }
  return places.map(i =>
    places.map(j => {
      if (i === j) return 0
      if (metric === 'squared') return squaredDistance(data, i, data, j, d)
      if (metric === 'euclidean') return Math.sqrt(squaredDistance(data, i, data, j, d))
      return isZero(i) && isZero(j) ? 0 : cosineFromDot(dot(unit, i, unit, j, d))
    }),
  )
}

/** Twin of neighbors.ts: sort each row of the matrix by distance, then by index. */
export function nearestNeighborsStraight(data: Table, n: number, d: number, k: number, metric: Metric): Neighbors {
  const kept = Math.max(0, Math.min(k, n - 1))
  const rows = distanceMatrix(data, n, d, metric).map((distances, i) =>
    distances
      .map((distance, j) => ({ distance, j }))
      .filter(({ j }) => j !== i)
      .sort((a, b) => a.distance - b.distance || a.j - b.j)
      .slice(0, kept),
  )
  return {
    indices: Int32Array.from(rows.flat().map(({ j }) => j)),
    distances: Float64Array.from(rows.flat().map(({ distance }) => distance)),
    k: kept,
  }
}

/**
 * An edge of the full graph under mutual reachability: weight decides, then length. Both squared, because two squares
 * can differ where their roots are rounded to the same number.
 */
type Edge = { weight: number; length: number }

function compareEdges(a: Edge, b: Edge): number {
  return a.weight - b.weight || a.length - b.length
}

/** Mutual reachability of every pair, squared, n lists of n. */
export function mutualReachability(points: Table, n: number, d: number, minSamples: number): Edge[][] {
  const distances = distanceMatrix(points, n, d, 'squared')
  // The row's own 0 comes first in the sorted list.
  const core = distances.map(row => [...row].sort((a, b) => a - b)[Math.min(minSamples, n - 1)])
  return distances.map((row, i) => row.map((length, j) => ({ weight: Math.max(core[i], core[j], length), length })))
}

/**
 * Twin of spanning-tree.ts by a third method, Kruskal's (1956): all pairs from short to long; a pair that still hangs
 * apart is joined. edges: as mutualReachability gives them. Those it joins by, from short to long.
 */
export function spanningEdgesStraight(edges: Edge[][]): Edge[] {
  const pairs = edges.flatMap((row, i) => row.slice(0, i).map((edge, j) => ({ ...edge, i, j }))).sort(compareEdges)
  const groupOf = edges.map((_, i) => i)
  return pairs.filter(({ i, j }) => {
    const [kept, gone] = [groupOf[i], groupOf[j]]
    if (kept === gone) return false
    for (const [point, group] of groupOf.entries()) if (group === gone) groupOf[point] = kept
    return true
  })
}

/**
 * Twin of spanning-tree.ts, singleLinkage and condense: a cluster is a set of points that hangs together by edges
 * shorter than a limit; lower the limit, edge by edge, and watch it fall apart. Two points or more.
 */
export function condenseStraight(
  points: Table,
  n: number,
  d: number,
  minSamples: number,
  minClusterSize: number,
): CondensedTree {
  const edges = mutualReachability(points, n, d, minSamples)
  const tree: CondensedTree = {
    clusterOfPoint: new Int32Array(n),
    lambdaOfPoint: new Float64Array(n),
    parent: [0],
    birth: [0],
    size: [n],
  }
  function descend(members: number[], cluster: number): void {
    const { limit, pieces } = firstBreak(members, edges)
    const lambda = limit.weight > 0 ? 1 / Math.sqrt(limit.weight) : Infinity
    const large = pieces.filter(piece => piece.length >= minClusterSize)
    for (const point of pieces.filter(piece => piece.length < minClusterSize).flat()) {
      tree.clusterOfPoint[point] = cluster
      tree.lambdaOfPoint[point] = lambda
    }
    for (const piece of large) {
      if (large.length === 1) descend(piece, cluster)
      else {
        const child = tree.parent.length
        tree.parent.push(cluster)
        tree.birth.push(lambda)
        tree.size.push(piece.length)
        descend(piece, child)
      }
    }
  }
  descend(
    Array.from({ length: n }, (_, i) => i),
    0,
  )
  return tree
}

/**
 * The longest edge without which (and without its equals) the points no longer hang together, and the pieces that are
 * left then.
 */
function firstBreak(members: number[], edges: Edge[][]): { limit: Edge; pieces: number[][] } {
  const limits = members.flatMap(i => members.filter(j => j < i).map(j => edges[i][j])).sort(compareEdges)
  for (let q = limits.length - 1; q >= 0; q--) {
    const pieces = piecesUnder(members, edges, limits[q])
    if (pieces.length > 1) return { limit: limits[q], pieces }
  }
  throw new RangeError(`two points or more wanted, found ${members.length}`)
}

/** The sets of points that hang together by edges strictly under the limit. */
function piecesUnder(members: number[], edges: Edge[][], limit: Edge): number[][] {
  const left = new Set(members)
  const pieces: number[][] = []
  for (const seed of members) {
    if (!left.delete(seed)) continue
    const piece = [seed]
    for (const i of piece) {
      for (const j of left) {
        if (compareEdges(edges[i][j], limit) < 0) {
          left.delete(j)
          piece.push(j)
        }
      }
    }
    pieces.push(piece)
  }
  return pieces
}

/** Twin of fuzzy-graph.ts: the directed strengths as a matrix, their union p + q - pq, and the pairs that have any. */
export function fuzzyGraphStraight({ indices, distances, k }: Neighbors, n: number): FuzzyGraph {
  const mean = distances.reduce((sum, distance) => sum + distance, 0) / (n * (k + 1))
  const strengths = Array.from({ length: n }, (_, i) => {
    const row = new Array<number>(n).fill(0)
    const own = Array.from(distances.subarray(i * k, (i + 1) * k))
    const nearest = own.find(distance => distance > 0) ?? 0
    const beyond = own.map(distance => Math.max(0, distance - nearest))
    const floor = 1e-3 * (nearest > 0 ? own.reduce((sum, distance) => sum + distance, 0) / (k + 1) : mean)
    const scale = Math.max(floor, scaleFor(beyond, Math.log2(k + 1)))
    beyond.forEach((distance, r) => {
      row[indices[i * k + r]] = distance > 0 ? Math.exp(-distance / scale) : 1
    })
    return row
  })
  const pairs: { i: number; j: number; strength: number }[] = []
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const strength = strengths[i][j] + strengths[j][i] - strengths[i][j] * strengths[j][i]
      if (strength > 0) pairs.push({ i, j, strength })
    }
  }
  return {
    from: Int32Array.from(pairs.map(pair => pair.i)),
    to: Int32Array.from(pairs.map(pair => pair.j)),
    strength: Float64Array.from(pairs.map(pair => pair.strength)),
  }
}

/** The scale at which the strengths add up to the target: by halving a wide range in the logarithm. */
function scaleFor(beyond: number[], target: number): number {
  let low = -60
  let high = 60
  for (let round = 0; round < 100; round++) {
    const middle = (low + high) / 2
    const sum = beyond.reduce((total, distance) => total + Math.exp(-distance / Math.exp(middle)), 0)
    if (sum > target) high = middle
    else low = middle
  }
  return Math.exp((low + high) / 2)
}

/**
 * Twin of layout.ts and its kernels: the forces by their formulas, point by point, in doubles. Chance is spent alike,
 * so that both take the same points for pushers.
 */
export function layOutStraight(
  graph: FuzzyGraph,
  start: ArrayLike<number>,
  n: number,
  c: number,
  { epochs, negativeSampleRate, forces, random }: LayoutSettings,
): number[][] {
  const { a, b } = forces.curve
  const places = Array.from({ length: n }, (_, i) => Array.from({ length: c }, (_, t) => start[i * c + t]))
  const velocity = places.map(() => new Array<number>(c).fill(0))
  const order = shuffled(n, random)
  const pushers = Math.min(n, PUSHERS)
  const strongest = graph.strength.reduce((most, value) => Math.max(most, value), 0)
  const edges = Array.from(graph.strength, (value, e) => ({
    ends: [graph.from[e], graph.to[e]],
    share: value / strongest,
  }))
  const draws = places.map((_, i) => {
    return edges.filter(edge => edge.ends.includes(i)).reduce((sum, edge) => sum + edge.share, 0)
  })
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = FIRST_RATE * (1 - epoch / epochs) * (1 - MOMENTUM)
    const force = places.map(() => new Array<number>(c).fill(0))
    const stiffness = new Array<number>(n).fill(0)
    for (let i = 0; i < n; i++) {
      for (let q = 0; q < pushers; q++) {
        const other = places[order[(epoch * pushers + q) % n]]
        const squared = squaredLength(places[i], other)
        const push = (2 * b) / ((0.001 + squared) * (1 + a * squared ** b))
        addTimes(force[i], places[i], other, (push * negativeSampleRate * draws[i]) / pushers)
      }
    }
    for (const { ends, share } of edges) {
      const [i, j] = ends.map(end => places[end])
      const squared = Math.max(squaredLength(i, j), 2 ** -30)
      const pull = (2 * share * -2 * a * b * squared ** (b - 1)) / (1 + a * squared ** b)
      addTimes(force[ends[0]], i, j, pull)
      addTimes(force[ends[1]], j, i, pull)
      for (const end of ends) stiffness[end] -= pull
    }
    for (let i = 0; i < n; i++) {
      for (let t = 0; t < c; t++) {
        const speed = MOMENTUM * velocity[i][t] + (rate * force[i][t]) / (stiffness[i] + 1e-9)
        velocity[i][t] = Math.max(-LONGEST_STEP, Math.min(LONGEST_STEP, speed))
        places[i][t] += velocity[i][t]
      }
    }
  }
  return places
}

function squaredLength(left: number[], right: number[]): number {
  return left.reduce((sum, x, t) => sum + (x - right[t]) ** 2, 0)
}

function addTimes(sum: number[], left: number[], right: number[], factor: number): void {
  for (let t = 0; t < sum.length; t++) sum[t] += factor * (left[t] - right[t])
}

/** A graph's weights as a matrix: n lists of n, 0 where there is no edge. */
export function weightMatrix({ n, offsets, targets, weights }: RowGraph): number[][] {
  return Array.from({ length: n }, (_, i) => {
    const row = new Array<number>(n).fill(0)
    for (let p = offsets[i]; p < offsets[i + 1]; p++) row[targets[p]] += weights[p]
    return row
  })
}

/** Twin of communities.ts's modularity: over all pairs of one community, the weight less what chance would give it. */
export function modularityStraight(matrix: number[][], labels: ArrayLike<number>, resolution: number): number {
  const strength = matrix.map(row => row.reduce((sum, weight) => sum + weight, 0))
  const total = strength.reduce((sum, own) => sum + own, 0)
  if (total === 0) return 0
  let sum = 0
  for (let i = 0; i < matrix.length; i++)
    for (let j = 0; j < matrix.length; j++)
      if (labels[i] === labels[j]) sum += matrix[i][j] / total - (resolution * strength[i] * strength[j]) / total ** 2
  return sum
}

/** What leiden looks for, found by trying every partition: 4,140 of 8 nodes, 115,975 of 10. */
export function bestPartitionStraight(matrix: number[][], resolution: number): { labels: number[]; quality: number } {
  let best = { labels: [] as number[], quality: -Infinity }
  function tryAll(labels: number[], count: number): void {
    if (labels.length < matrix.length) {
      for (let label = 0; label <= count; label++) tryAll([...labels, label], Math.max(count, label + 1))
      return
    }
    const quality = modularityStraight(matrix, labels, resolution)
    if (quality > best.quality) best = { labels, quality }
  }
  tryAll([], 0)
  return best
}

// Graphs for the laws and benches of communities: seeded, so that a failure comes back. Edges each once, as fuzzyGraph gives them.

import type { FuzzyGraph } from '../../lib/math/fuzzy-graph.ts'
import { createRandom } from '../../lib/math/random.ts'

export type PlantedSize = {
  n: number
  groups: number
  /** Edges that a node has on average. */
  edgesOfNode: number
  /** Share of the edges that are drawn inside a group; the others go anywhere. */
  inside: number
}

/** Node i is of group i % groups; weights from .1 to 1. */
export function planted({ n, groups, edgesOfNode, inside }: PlantedSize, seed: number): FuzzyGraph {
  const random = createRandom(seed)
  const known = new Set<number>()
  const edges = Math.round((n * edgesOfNode) / 2)
  const from = new Int32Array(edges)
  const to = new Int32Array(edges)
  const strength = new Float64Array(edges)
  for (let e = 0; e < edges; ) {
    const i = random.int(n)
    const isInside = random.next() < inside
    const j = isInside ? (i % groups) + groups * random.int(Math.ceil((n - (i % groups)) / groups)) : random.int(n)
    const pair = Math.min(i, j) * n + Math.max(i, j)
    if (i === j || known.has(pair)) continue
    known.add(pair)
    from[e] = Math.min(i, j)
    to[e] = Math.max(i, j)
    strength[e++] = 0.1 + 0.9 * random.next()
  }
  return { from, to, strength }
}

/** Every pair of n nodes is an edge by this chance; weights from 0 to 1. */
export function randomGraph(n: number, chance: number, seed: number): FuzzyGraph {
  const random = createRandom(seed)
  const pairs: { i: number; j: number }[] = []
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) if (random.next() < chance) pairs.push({ i, j })
  return {
    from: Int32Array.from(pairs, ({ i }) => i),
    to: Int32Array.from(pairs, ({ j }) => j),
    strength: Float64Array.from(pairs, () => random.next()),
  }
}

/** The same graph, node i now called order[i]. */
export function renumbered({ from, to, strength }: FuzzyGraph, order: readonly number[]): FuzzyGraph {
  return { from: from.map(i => order[i]), to: to.map(j => order[j]), strength }
}

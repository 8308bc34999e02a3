// The reference cases of communities: graphs of real firms, which are stored, and planted ones, which are made anew each time;
// with them what leidenalg reached (test/fixtures/leiden/make.ts). Left to others: what may be worse (communities.test.ts).

import { readFileSync } from 'node:fs'
import type { FuzzyGraph } from '../../lib/math/fuzzy-graph.ts'
import { planted } from './made-graphs.ts'

export type LeidenCase = { name: string; n: number; edges: FuzzyGraph; resolution: number }

export const FOLDER = new URL('../fixtures/leiden/', import.meta.url)

const PLANTED = [
  { n: 200, groups: 8, edgesOfNode: 10, inside: 0.7 },
  { n: 200, groups: 8, edgesOfNode: 10, inside: 0.5 },
  { n: 400, groups: 16, edgesOfNode: 8, inside: 0.6 },
  { n: 1000, groups: 20, edgesOfNode: 8, inside: 0.6 },
]

export function leidenCases(): LeidenCase[] {
  const firms: StoredGraph[] = JSON.parse(readFileSync(new URL('firms.json', FOLDER), 'utf8'))
  return [
    ...firms.map(({ name, n, from, to, strength }) => ({
      name,
      n,
      edges: { from: Int32Array.from(from), to: Int32Array.from(to), strength: Float64Array.from(strength) },
      resolution: 1.4, // as for a firm's topics (lib/math/engine.ts)
    })),
    ...PLANTED.map((size, seed) => ({
      name: `${size.n} nodes in ${size.groups} planted groups, ${100 * size.inside} % of the edges inside`,
      n: size.n,
      edges: planted(size, seed + 1),
      resolution: 1,
    })),
  ]
}

export type StoredGraph = { name: string; n: number; from: number[]; to: number[]; strength: number[] }

/** By case, the mean objective of ten seeds: of its two rounds, and of rounds until one betters nothing. */
export type LeidenalgMeans = { versions: string; means: Record<string, { twoRounds: number; untilStable: number }> }

export function leidenalgMeans(): LeidenalgMeans {
  return JSON.parse(readFileSync(new URL('leidenalg.json', FOLDER), 'utf8'))
}

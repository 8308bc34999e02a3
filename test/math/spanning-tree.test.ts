// Laws of a minimum spanning tree, for both ways to it; then both against the slow twin and against each other, to the
// bit, on points that invite mistakes.

import { describe, expect, it } from 'vitest'
import { clustersOf, type HdbscanOptions, squaredCoreDistances } from '../../lib/math/hdbscan.ts'
import { createRandom } from '../../lib/math/random.ts'
import { type SpanningTree, spanningTree, spanningTreeOfMany } from '../../lib/math/spanning-tree.ts'
import { mutualReachability, spanningEdgesStraight } from '../../lib/math/straight.ts'
import { type PointSet, pointSets } from './point-sets.ts'

function byPrim({ points, n, d }: PointSet, minSamples: number): SpanningTree {
  return spanningTree(points, n, d, squaredCoreDistances(points, n, d, minSamples))
}

function byBoruvka({ points, n, d }: PointSet, minSamples: number): SpanningTree {
  return spanningTreeOfMany(points, n, d, minSamples)
}

const cuts: HdbscanOptions[] = [
  { minClusterSize: 2 },
  { minClusterSize: 5, clusterSelectionMethod: 'leaf' },
  { minClusterSize: 10, clusterSelectionEpsilon: 0.5, allowSingleCluster: true },
]

for (const set of pointSets(2)) {
  describe(set.name, () => {
    const { points, n, d } = set
    // Fewer neighbours than a point keeps, and more, which some of the sets do not have.
    for (const minSamples of [2, 20]) {
      const trees = { "Prim's": byPrim(set, minSamples), "Boruvka's": byBoruvka(set, minSamples) }
      const edges = mutualReachability(points, n, d, minSamples)
      const shortest = spanningEdgesStraight(edges)

      for (const [way, tree] of Object.entries(trees)) {
        it(`${way} joins all points by edges that are what they say: minSamples ${minSamples}`, () => {
          expect(isJoined(tree, n)).toBe(true)
          const said = Array.from(tree.from, (from, e) => edges[from][tree.to[e]])
          expect([...tree.weight]).toEqual(said.map(edge => Math.sqrt(edge.weight)))
          expect([...tree.length]).toEqual(said.map(edge => Math.sqrt(edge.length)))
        })

        it(`${way} goes from short to long, and no tree is shorter: minSamples ${minSamples}`, () => {
          expect([...tree.weight]).toEqual(shortest.map(edge => Math.sqrt(edge.weight)))
          expect([...tree.length]).toEqual(shortest.map(edge => Math.sqrt(edge.length)))
          const levels = shortest.map((edge, e) => {
            const before = shortest[Math.max(0, e - 1)]
            return edge.weight === before.weight && edge.length === before.length ? 0 : 1
          })
          expect(Array.from(tree.level, (level, e) => level - tree.level[Math.max(0, e - 1)])).toEqual(levels)
        })
      }

      it(`comes out the same both ways, to the bit: minSamples ${minSamples}`, () => {
        expectSame(trees["Boruvka's"], trees["Prim's"], n)
      })
    }
  })
}

// Where equal lengths are the rule the two ways find different edges, and only the answer is the same.
it('comes out the same both ways on a thousand small tables of whole numbers and their fractions', () => {
  const random = createRandom(5)
  let otherEdges = 0
  for (let round = 0; round < 1000; round++) {
    const [n, d, width] = [2 + random.int(120), 1 + random.int(3), [1, 0.1, Math.SQRT2][random.int(3)]]
    const numbers = 2 + random.int(12)
    const points = Float64Array.from({ length: n * d }, () => width * random.int(numbers))
    const set = { name: `table ${round}`, points, n, d }
    const minSamples = 1 + random.int(40)
    const [prim, boruvka] = [byPrim(set, minSamples), byBoruvka(set, minSamples)]
    expectSame(boruvka, prim, n)
    if (boruvka.from.some((from, e) => from !== prim.from[e])) otherEdges++
  }
  expect(otherEdges).toBeGreaterThan(500)
})

it('has no edges where there are no two points', () => {
  for (const n of [0, 1]) {
    const set = { name: 'few', points: new Float64Array(2 * n), n, d: 2 }
    for (const tree of [byPrim(set, 3), byBoruvka(set, 3)]) expect(tree.from).toHaveLength(0)
  }
})

// 30,000 equal points would be 450 million pairs, and as many levels of recursion, if either were counted in points.
it('is at home among tens of thousands of equal points, and in a chain of as many', () => {
  const n = 30_000
  const equal = clustersOf(spanningTreeOfMany(new Float64Array(2 * n).fill(3), n, 2, 5), n, { minClusterSize: 5 })
  expect(equal.spanningTreeWeight).toBe(0)
  expect(equal.persistence).toHaveLength(0)
  // Gaps that grow: each point joins the chain by itself, at a level of its own.
  const chain = Float64Array.from({ length: n }, (_, i) => i * i)
  const tree = spanningTreeOfMany(chain, n, 1, 1)
  expect(tree.level[n - 2]).toBeGreaterThan(n / 2)
  const cut = { minClusterSize: 2, clusterSelectionMethod: 'leaf', clusterSelectionEpsilon: 1e9 } as const
  expect(clustersOf(tree, n, cut).labels).toHaveLength(n)
})

function expectSame(found: SpanningTree, wanted: SpanningTree, n: number): void {
  expect(found.weight).toEqual(wanted.weight)
  expect(found.length).toEqual(wanted.length)
  expect(found.level).toEqual(wanted.level)
  for (const options of cuts) expect(clustersOf(found, n, options)).toEqual(clustersOf(wanted, n, options))
}

/** Whether the edges join all n points: there are n - 1, and none of them closes a ring. */
function isJoined({ from, to }: SpanningTree, n: number): boolean {
  const group = Array.from({ length: n }, (_, i) => [i])
  for (let e = 0; e < from.length; e++) {
    const [a, b] = [group[from[e]], group[to[e]]]
    if (a === b) return false
    a.push(...b)
    for (const i of b) group[i] = a
  }
  return from.length === n - 1 && group[0].length === n
}

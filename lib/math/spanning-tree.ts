// The minimum spanning tree under mutual reachability: the skeleton from which HDBSCAN reads every level of density.
// Two ways to the same tree, both exact and in memory O(n): Prim's for few points, Boruvka's in a space tree for many.
// Left to others: what the tree means (cluster-tree.ts).

import { squaredDistance } from './distance.ts'
import {
  type Nearby,
  nearby,
  parentOf,
  type SpaceTree,
  siblingOf,
  spaceTree,
  squaredDistanceFromBox,
} from './space-tree.ts'

/**
 * The n - 1 edges of a tree over n points, from short to long. Edge e joins from[e] and to[e]; weight[e] is their mutual
 * reachability and length[e] their plain distance, which decides between edges of equal weight. Edges equal in both
 * share a level; levels are numbered from 0 upward.
 */
export type SpanningTree = {
  from: Int32Array
  to: Int32Array
  weight: Float64Array
  length: Float64Array
  level: Int32Array
}

/**
 * points: n × d; squaredCore: the n squared core distances. The weight of a pair is max(core a, core b, distance a b)
 * (Campello, Moulavi, Sander 2013).
 *
 * Equal weights are the rule here, not the exception: all edges inside the neighbourhood of a point weigh its core
 * distance. Which of them come into the tree decides to which side a bridging point goes, so that implementations
 * disagree with themselves: hdbscan 0.8.43 gives different labels on machines with different sort instructions, and
 * after a shuffle. Here the shorter edge wins, so that a bridging point goes to its nearer side, and the answer
 * depends on the points alone.
 */
export function spanningTree(points: Float64Array, n: number, d: number, squaredCore: Float64Array): SpanningTree {
  const found = noEdges(n)
  const edges = found.from.length
  const outside = Int32Array.from({ length: n }, (_, i) => i)
  const bestWeight = new Float64Array(n).fill(Infinity)
  const bestLength = new Float64Array(n).fill(Infinity)
  const bestFrom = new Int32Array(n)
  let left = n
  let current = 0
  let place = 0
  for (let e = 0; e < edges; e++) {
    left--
    outside[place] = outside[left]
    const a = current * d
    const coreCurrent = squaredCore[current]
    let nextWeight = Infinity
    let nextLength = Infinity
    for (let q = 0; q < left; q++) {
      const i = outside[q]
      let best = bestWeight[i]
      const floor = Math.max(coreCurrent, squaredCore[i])
      if (floor <= best) {
        let squared = 0
        for (let t = 0, b = i * d; t < d; t++) {
          const difference = points[a + t] - points[b + t]
          squared += difference * difference
        }
        const mutual = Math.max(squared, floor)
        if (mutual < best || (mutual === best && squared < bestLength[i])) {
          best = mutual
          bestWeight[i] = mutual
          bestLength[i] = squared
          bestFrom[i] = current
        }
      }
      if (best < nextWeight || (best === nextWeight && bestLength[i] < nextLength)) {
        nextWeight = best
        nextLength = bestLength[i]
        place = q
      }
    }
    current = outside[place]
    found.from[e] = bestFrom[current]
    found.to[e] = current
    found.squaredWeight[e] = nextWeight
    found.squaredLength[e] = nextLength
  }
  return fromShortToLong(found)
}

/**
 * Edges as they are found: in any order and squared. Everything is compared squared: it saves the roots, and it must
 * stay so to the end, because two squares that differ in their last bit can have the same root. Where roots were
 * compared, points on a grid of width 0.1 came out in another way for another way to the same tree.
 */
type FoundEdges = { from: Int32Array; to: Int32Array; squaredWeight: Float64Array; squaredLength: Float64Array }

function noEdges(n: number): FoundEdges {
  const edges = Math.max(0, n - 1)
  return {
    from: new Int32Array(edges),
    to: new Int32Array(edges),
    squaredWeight: new Float64Array(edges),
    squaredLength: new Float64Array(edges),
  }
}

function fromShortToLong({ from, to, squaredWeight, squaredLength }: FoundEdges): SpanningTree {
  const order = Int32Array.from(from.keys()).sort(
    (e, f) => squaredWeight[e] - squaredWeight[f] || squaredLength[e] - squaredLength[f] || e - f,
  )
  const level = new Int32Array(order.length)
  for (let m = 1; m < order.length; m++) {
    const [e, f] = [order[m - 1], order[m]]
    const same = squaredWeight[e] === squaredWeight[f] && squaredLength[e] === squaredLength[f]
    level[m] = level[m - 1] + (same ? 0 : 1)
  }
  return {
    from: order.map(e => from[e]),
    to: order.map(e => to[e]),
    weight: Float64Array.from(order, e => Math.sqrt(squaredWeight[e])),
    length: Float64Array.from(order, e => Math.sqrt(squaredLength[e])),
    level,
  }
}

/**
 * The same tree by Boruvka's method (1926), from many trees to one. At first every point is a tree of its own. In each
 * round every tree finds the shortest edge that leads out of it, and all these edges are taken at once; so at least
 * half of the trees are gone after each round. What makes it fast is that the edge is not looked for everywhere:
 * a node of the space tree is passed over where all its points are in the tree that asks, or where its box lies
 * farther than the best edge found so far (Bentley and Friedman 1978; March, Ram and Gray 2010; one point at a time
 * as in Prokopenko, Sao and Lebrun-Grandie 2022).
 *
 * points: n × d; minSamples: which neighbour gives the core distance. The weights and lengths of the edges are those of
 * `spanningTree` to the bit, and so are the groups of points that hang together at each of them. Which one of several
 * edges of equal weight and length is taken may differ: it makes no difference to what hangs together.
 */
export function spanningTreeOfMany(points: Float64Array, n: number, d: number, minSamples: number): SpanningTree {
  const found = noEdges(n)
  const edges = found.from.length
  if (edges === 0) return fromShortToLong(found)
  const forest = plantForest(points, n, d, minSamples)
  for (let count = 0; count < edges; ) {
    labelTrees(forest)
    forest.bestWeight.fill(Infinity)
    forest.bestLength.fill(Infinity)
    askNearby(forest)
    askEverywhere(forest)
    count = joinTrees(forest, found, count)
  }
  return fromShortToLong(found)
}

// How many of its nearest neighbours a point keeps, at most as many as were looked for to measure its density. In the
// first round they give nearly all edges (100,000 × 5, minSamples 2: 99,031 of 100,000 trees need no other), later they
// tell where to stop. Four or 32 cost the same time.
const KEPT = 8

/** Stands for the tree of a node whose points are in several. */
const SEVERAL = -1

/**
 * The state of Boruvka's method. Points are known by their place in the space tree, trees by the place of one of their
 * points; all lengths are squared.
 */
type Forest = {
  space: SpaceTree
  near: Nearby
  /** Smallest core distance in each node. */
  coreOfNode: Float64Array
  /** Per place: another place of its tree, on the way to the one that names the tree, which points to itself. */
  above: Int32Array
  treeOfPlace: Int32Array
  treeOfNode: Int32Array
  /** Per tree: the best edge out of it that is known in this round. */
  bestWeight: Float64Array
  bestLength: Float64Array
  bestFrom: Int32Array
  bestTo: Int32Array
  /**
   * Per place: no edge to another tree is better than this, those to the kept neighbours aside. It stays true in later
   * rounds, when there are fewer others.
   */
  floorWeight: Float64Array
  floorLength: Float64Array
}

function plantForest(points: Float64Array, n: number, d: number, minSamples: number): Forest {
  const space = spaceTree(points, n, d)
  const k = Math.min(minSamples, n - 1)
  const near = nearby(space, k, Math.min(k, KEPT))
  return {
    space,
    near,
    coreOfNode: smallestOfNode(space, near.core),
    above: Int32Array.from({ length: n }, (_, place) => place),
    treeOfPlace: new Int32Array(n),
    treeOfNode: new Int32Array(space.nodes),
    bestWeight: new Float64Array(n),
    bestLength: new Float64Array(n),
    bestFrom: new Int32Array(n),
    bestTo: new Int32Array(n),
    // No edge weighs less than the core distance of its end, and none to a neighbour not kept is shorter than to the
    // last one kept.
    floorWeight: near.core.slice(),
    floorLength: near.reach.slice(),
  }
}

function smallestOfNode({ nodes, firstLeaf, start, end }: SpaceTree, values: Float64Array): Float64Array {
  const smallest = new Float64Array(nodes).fill(Infinity)
  for (let node = nodes - 1; node >= 0; node--) {
    if (node < firstLeaf) smallest[node] = Math.min(smallest[2 * node + 1], smallest[2 * node + 2])
    else for (let p = start[node]; p < end[node]; p++) smallest[node] = Math.min(smallest[node], values[p])
  }
  return smallest
}

/** Writes down for every place and node in which tree it is. */
function labelTrees({ space, above, treeOfPlace, treeOfNode }: Forest): void {
  const { n, nodes, firstLeaf, start, end } = space
  for (let place = 0; place < n; place++) treeOfPlace[place] = topOf(above, place)
  for (let node = nodes - 1; node >= 0; node--) {
    if (node < firstLeaf) {
      const [left, right] = [treeOfNode[2 * node + 1], treeOfNode[2 * node + 2]]
      treeOfNode[node] = left === right ? left : SEVERAL
    } else {
      treeOfNode[node] = treeOfPlace[start[node]]
      for (let p = start[node] + 1; p < end[node]; p++)
        if (treeOfPlace[p] !== treeOfNode[node]) treeOfNode[node] = SEVERAL
    }
  }
}

function topOf(above: Int32Array, place: number): number {
  let top = place
  while (above[top] !== top) {
    above[top] = above[above[top]]
    top = above[top]
  }
  return top
}

/** Offers every tree the edges to the kept neighbours of its points: in the first rounds hardly more is needed. */
function askNearby(forest: Forest): void {
  const { space, near, treeOfPlace, bestWeight } = forest
  const { points, n, d } = space
  const { places, kept, core } = near
  for (let i = 0; i < n; i++) {
    const own = treeOfPlace[i]
    for (let q = i * kept; q < (i + 1) * kept; q++) {
      const j = places[q]
      const other = treeOfPlace[j]
      const floor = Math.max(core[i], core[j])
      if (other === own || (floor > bestWeight[own] && floor > bestWeight[other])) continue
      const squared = squaredDistance(points, i, points, j, d)
      const weight = Math.max(floor, squared)
      offer(forest, own, i, j, weight, squared)
      offer(forest, other, j, i, weight, squared)
    }
  }
}

function offer(forest: Forest, tree: number, from: number, to: number, weight: number, squared: number): void {
  const { bestWeight, bestLength } = forest
  if (!isBetter(weight, squared, bestWeight[tree], bestLength[tree])) return
  bestWeight[tree] = weight
  bestLength[tree] = squared
  forest.bestFrom[tree] = from
  forest.bestTo[tree] = to
}

/** The order of edges: by weight, then by length. Equals are not better: so equal points are not all compared. */
function isBetter(weight: number, length: number, thanWeight: number, thanLength: number): boolean {
  return weight < thanWeight || (weight === thanWeight && length < thanLength)
}

/** Searches the space around each point that could still have a better edge than its tree knows. */
function askEverywhere(forest: Forest): void {
  const { space, treeOfPlace, treeOfNode, bestWeight, bestLength, floorWeight, floorLength } = forest
  for (let leaf = space.firstLeaf; leaf < space.nodes; leaf++) {
    for (let place = space.start[leaf]; place < space.end[leaf]; place++) {
      const tree = treeOfPlace[place]
      if (!isBetter(floorWeight[place], floorLength[place], bestWeight[tree], bestLength[tree])) continue
      // From the own leaf upward, because the nearest other tree is most often near.
      if (treeOfNode[leaf] === SEVERAL) scanLeaf(forest, tree, place, leaf)
      for (let node = leaf; node > 0; node = parentOf(node)) {
        const sibling = siblingOf(node)
        visitNode(forest, tree, place, sibling, distanceToOthers(forest, tree, place, sibling))
      }
      floorWeight[place] = bestWeight[tree]
      floorLength[place] = bestLength[tree]
    }
  }
}

function visitNode(forest: Forest, tree: number, place: number, node: number, squared: number): void {
  const weight = Math.max(squared, forest.near.core[place], forest.coreOfNode[node])
  if (!isBetter(weight, squared, forest.bestWeight[tree], forest.bestLength[tree])) return
  if (node >= forest.space.firstLeaf) {
    scanLeaf(forest, tree, place, node)
    return
  }
  const left = 2 * node + 1
  const toLeft = distanceToOthers(forest, tree, place, left)
  const toRight = distanceToOthers(forest, tree, place, left + 1)
  // The nearer side first: what it holds often makes the other one needless.
  if (toLeft <= toRight) {
    visitNode(forest, tree, place, left, toLeft)
    visitNode(forest, tree, place, left + 1, toRight)
  } else {
    visitNode(forest, tree, place, left + 1, toRight)
    visitNode(forest, tree, place, left, toLeft)
  }
}

/** Squared distance from a node's box, or infinity where all of the node is in the tree that asks. */
function distanceToOthers({ space, treeOfNode }: Forest, tree: number, place: number, node: number): number {
  return treeOfNode[node] === tree ? Infinity : squaredDistanceFromBox(space, place, node)
}

function scanLeaf(forest: Forest, tree: number, place: number, leaf: number): void {
  const { space, near, treeOfPlace, bestWeight } = forest
  const { points, start, end, d } = space
  const { core } = near
  const a = place * d
  for (let other = start[leaf], b = other * d; other < end[leaf]; other++, b += d) {
    if (treeOfPlace[other] === tree || core[other] > bestWeight[tree]) continue
    let squared = 0
    for (let t = 0; t < d; t++) {
      const difference = points[a + t] - points[b + t]
      squared += difference * difference
    }
    offer(forest, tree, place, other, Math.max(squared, core[place], core[other]), squared)
  }
}

/**
 * Takes the best edge of every tree, unless its ends have come together in this round already. Returns how many edges
 * there are now.
 *
 * With that check the tree is minimal even where edges are equal. Say tree C offers its best edge e, and its ends are
 * still apart. The others that have come together with C in this round each brought their best edge, and these lead from
 * one to the next and in the end to C. The one that leads to C is no better than e, as it is also a way out of C; the
 * one that leads to that neighbour is no better than the neighbour's own; and so on. So no edge out of all of them
 * together is better than e, and e belongs to a minimal tree. An order among equals, by number say, would do as well,
 * but to keep it all equal points would have to be compared with one another.
 */
function joinTrees(forest: Forest, found: FoundEdges, count: number): number {
  const { space, above, treeOfPlace, bestFrom, bestTo, bestWeight, bestLength } = forest
  for (let tree = 0; tree < space.n; tree++) {
    if (treeOfPlace[tree] !== tree) continue
    const here = topOf(above, tree)
    const there = topOf(above, bestTo[tree])
    if (here === there) continue
    above[here] = there
    found.from[count] = space.rowOfPlace[bestFrom[tree]]
    found.to[count] = space.rowOfPlace[bestTo[tree]]
    found.squaredWeight[count] = bestWeight[tree]
    found.squaredLength[count] = bestLength[tree]
    count++
  }
  return count
}

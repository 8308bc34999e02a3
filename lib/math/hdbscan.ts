// HDBSCAN: clusters of any density, and noise, from a table of points; the same for any order of the points.
// Campello, Moulavi, Sander 2013. Exact, in memory O(n): 100,000 points of 5 numbers in two seconds. Answers as
// scikit-learn-contrib/hdbscan 0.8.43 gives them, but for what equal distances leave open (spanning-tree.ts).

import { type Clustering, condense, NOISE, type Selection, selectClusters, singleLinkage } from './cluster-tree.ts'
import { requireFinite, requireWhole, type Table } from './matrix.ts'
import { nearestNeighbors } from './neighbors.ts'
import { type SpanningTree, spanningTree, spanningTreeOfMany } from './spanning-tree.ts'

export { NOISE }

export type HdbscanOptions = {
  /** Fewest points of a cluster, 2 or more. */
  minClusterSize: number
  /**
   * Which neighbour measures how dense it is around a point: the higher, the more is noise. As large as
   * minClusterSize unless given.
   */
  minSamples?: number
  clusterSelectionMethod?: Selection['method']
  clusterSelectionEpsilon?: number
  allowSingleCluster?: boolean
}

export type HdbscanResult = Clustering & { spanningTreeWeight: number }

/** points: n × d, Euclidean. Under two points there is nothing to compare: one point alone is noise. */
export function hdbscan(points: Table, n: number, d: number, options: HdbscanOptions): HdbscanResult {
  requireSense(options)
  requireFinite(points, n, d)
  const { minClusterSize, minSamples = minClusterSize } = options
  const rows = new Float64Array(points.subarray(0, n * d))
  const tree = areMany(n, d)
    ? spanningTreeOfMany(rows, n, d, minSamples)
    : spanningTree(rows, n, d, squaredCoreDistances(rows, n, d, minSamples))
  return clustersOf(tree, n, options)
}

// From how many points on the space tree pays, measured in milliseconds, core distances and spanning tree together, Prim
// and Boruvka. Layouts of UMAP, 10 dimensions: 500 points 3.4 and 3.1, 1,000 points 12 and 10, 5,000 points 280 and 64.
// Round heaps: 200 × 2 .3 and .15, 500 × 5 2.3 and 1.6, 1,000 × 10 11 and 17, 5,000 × 10 280 and 230.
const MANY_PER_DIMENSION = 100
// In many dimensions every box is near to everything: the space tree takes twice as long as Prim's method on sentence
// vectors of 64 dimensions or 256. Up to 50 it still gains fivefold where the points lie in a flatter shape (a layout
// turned into 50 dimensions, 8,000 points: 2.4 s and .45 s), and loses up to threefold where they do not.
const MOST_DIMENSIONS = 50

/** Whether so many points come faster to their spanning tree through a space tree. The answer is the same either way. */
function areMany(n: number, d: number): boolean {
  return n >= MANY_PER_DIMENSION * d && d <= MOST_DIMENSIONS
}

/** What HDBSCAN makes of a spanning tree over n points, however it was found. */
export function clustersOf(tree: SpanningTree, n: number, options: HdbscanOptions): HdbscanResult {
  if (n < 2) {
    return {
      labels: new Int32Array(n).fill(NOISE),
      probabilities: new Float64Array(n),
      outlierScores: new Float64Array(n),
      persistence: new Float64Array(0),
      spanningTreeWeight: 0,
    }
  }
  const linkage = singleLinkage(tree, n)
  const clustering = selectClusters(condense(linkage, n, options.minClusterSize), n, {
    method: options.clusterSelectionMethod ?? 'eom',
    epsilon: options.clusterSelectionEpsilon ?? 0,
    allowSingleCluster: options.allowSingleCluster ?? false,
  })
  // Added up from short to long, so that the sum does not depend on the order in which the edges were found.
  return { ...clustering, spanningTreeWeight: sum(linkage.weight) }
}

function requireSense({ minClusterSize, minSamples, clusterSelectionEpsilon = 0 }: HdbscanOptions): void {
  requireWhole('minClusterSize', minClusterSize, 2)
  if (minSamples !== undefined) requireWhole('minSamples', minSamples, 1)
  if (!(clusterSelectionEpsilon >= 0))
    throw new RangeError(`epsilon must be 0 or more, found ${clusterSelectionEpsilon}`)
}

/**
 * Squared distance of each of n points from its minSamples-th neighbour, itself not counted, or from its last one
 * where there are fewer.
 */
export function squaredCoreDistances(points: Table, n: number, d: number, minSamples: number): Float64Array {
  const { distances, k } = nearestNeighbors(points, n, d, minSamples, 'squared')
  return Float64Array.from({ length: n }, (_, i) => distances[i * k + k - 1])
}

function sum(values: Float64Array): number {
  let total = 0
  for (const value of values) total += value
  return total
}

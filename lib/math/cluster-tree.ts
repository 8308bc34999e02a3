// From a spanning tree to clusters: single linkage, the condensed tree, and the choice among its clusters.
// Campello, Moulavi, Sander 2013 (tree, excess of mass), Campello et al. 2015 (GLOSH), Malzer and Baum 2020 (epsilon),
// with the conventions of scikit-learn-contrib/hdbscan. Left to others: distances and the spanning tree.

import type { SpanningTree } from './spanning-tree.ts'

/** The label of what belongs to no cluster. */
export const NOISE = -1

/**
 * Binary merges over n points: merge m makes node n + m of nodes left[m] and right[m], `size` points at distance
 * `weight`, the first of them in the table `first`. Merges of the same level happened at once: their order means
 * nothing.
 */
export type Linkage = {
  left: Int32Array
  right: Int32Array
  size: Int32Array
  first: Int32Array
  weight: Float64Array
  level: Int32Array
}

/**
 * What is left of the linkage when pieces under the minimum size are taken for points that fall off. Density lambda
 * is 1 / distance. Per point: the cluster it falls off from, and at which lambda. Per cluster (0 is the root, parents
 * come before children): its parent, the lambda at which it is born, its size then.
 */
export type CondensedTree = {
  clusterOfPoint: Int32Array
  lambdaOfPoint: Float64Array
  parent: number[]
  birth: number[]
  size: number[]
}

export type Selection = {
  method: 'eom' | 'leaf'
  /** Clusters that split below this distance are kept whole; 0 for none. */
  epsilon: number
  /** Whether the whole may be one cluster. */
  allowSingleCluster: boolean
}

export type Clustering = {
  /** Cluster of each point, numbered from 0 in the order of each cluster's first point, or NOISE. */
  labels: Int32Array
  /** How far into its cluster's densest part each point stays, 0 to 1; 0 for noise. */
  probabilities: Float64Array
  /** GLOSH: 0 in the densest part of its surroundings, towards 1 far from it. */
  outlierScores: Float64Array
  /** One number a cluster, by label: how long it lives over the range of densities. */
  persistence: Float64Array
}

/** Merges along the edges from short to long. Edges equal in weight and length share a level. */
export function singleLinkage(tree: SpanningTree, n: number): Linkage {
  return linkageInOrder(tree, n, Int32Array.from(tree.level.keys()), tree.level)
}

/**
 * Merges along the edges in the given order (n - 1 edge numbers, weights not falling), with the given level of each
 * merge.
 */
export function linkageInOrder(
  tree: Pick<SpanningTree, 'from' | 'to' | 'weight'>,
  n: number,
  order: Int32Array,
  level: Int32Array,
): Linkage {
  const merges = order.length
  const linkage = {
    left: new Int32Array(merges),
    right: new Int32Array(merges),
    size: new Int32Array(merges),
    first: new Int32Array(merges),
    weight: new Float64Array(merges),
    level,
  }
  const above = Int32Array.from({ length: n + merges }, (_, node) => node)
  function top(node: number): number {
    let root = node
    while (above[root] !== root) root = above[root]
    for (let p = node; p !== root; ) {
      const next = above[p]
      above[p] = root
      p = next
    }
    return root
  }
  for (let m = 0; m < merges; m++) {
    const e = order[m]
    const left = top(tree.from[e])
    const right = top(tree.to[e])
    linkage.left[m] = left
    linkage.right[m] = right
    linkage.size[m] = sizeOf(linkage, n, left) + sizeOf(linkage, n, right)
    linkage.first[m] = Math.min(firstOf(linkage, n, left), firstOf(linkage, n, right))
    linkage.weight[m] = tree.weight[e]
    above[left] = n + m
    above[right] = n + m
  }
  return linkage
}

function sizeOf(linkage: Linkage, n: number, node: number): number {
  return node < n ? 1 : linkage.size[node - n]
}

function firstOf(linkage: Linkage, n: number, node: number): number {
  return node < n ? node : linkage.first[node - n]
}

/**
 * Walks down from the root, where all n points (two or more) are one, and keeps only the splits into pieces of the
 * minimum size.
 */
export function condense(linkage: Linkage, n: number, minClusterSize: number): CondensedTree {
  const condensed: CondensedTree = {
    clusterOfPoint: new Int32Array(n),
    lambdaOfPoint: new Float64Array(n),
    parent: [0],
    birth: [0],
    size: [n],
  }
  const pending: { node: number; cluster: number }[] = [{ node: 2 * n - 2, cluster: 0 }]
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const { node, cluster } = entry
    const distance = linkage.weight[node - n]
    // Equal points are at infinite density. The cap keeps infinity for them alone, so that every cluster's birth is
    // finite.
    const lambda = distance > 0 ? Math.min(1 / distance, Number.MAX_VALUE) : Infinity
    const large: number[] = []
    for (const piece of piecesOf(linkage, n, node)) {
      if (sizeOf(linkage, n, piece) >= minClusterSize) large.push(piece)
      else dropPoints(linkage, n, piece, cluster, lambda, condensed)
    }
    // In the order of their first points: clusters are numbered, and sums are added up, in an order that has nothing to
    // do with how the spanning tree was found. So two ways to it give the same answer to the last bit.
    large.sort((p, q) => firstOf(linkage, n, p) - firstOf(linkage, n, q))
    for (const piece of large) {
      let heir = cluster
      if (large.length > 1) {
        heir = condensed.parent.length
        condensed.parent.push(cluster)
        condensed.birth.push(lambda)
        condensed.size.push(sizeOf(linkage, n, piece))
      }
      pending.push({ node: piece, cluster: heir })
    }
  }
  return condensed
}

/** The nodes that the merges of one level joined: two, or more where edges are equal. */
function piecesOf(linkage: Linkage, n: number, node: number): number[] {
  const pieces: number[] = []
  const level = linkage.level[node - n]
  const pending = [node]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next >= n && linkage.level[next - n] === level) {
      pending.push(linkage.right[next - n], linkage.left[next - n])
    } else pieces.push(next)
  }
  return pieces
}

function dropPoints(
  linkage: Linkage,
  n: number,
  node: number,
  cluster: number,
  lambda: number,
  condensed: CondensedTree,
): void {
  const pending = [node]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next < n) {
      condensed.clusterOfPoint[next] = cluster
      condensed.lambdaOfPoint[next] = lambda
    } else pending.push(linkage.left[next - n], linkage.right[next - n])
  }
}

/** Labels and scores of the n points of a condensed tree. */
export function selectClusters(condensed: CondensedTree, n: number, selection: Selection): Clustering {
  const { clusterOfPoint, lambdaOfPoint, parent, birth } = condensed
  const clusters = parent.length
  const stability = stabilities(condensed, n)
  const chosen =
    selection.method === 'eom'
      ? chooseByExcessOfMass(parent, stability, selection.allowSingleCluster)
      : chooseLeaves(parent)
  if (selection.epsilon > 0) widenToEpsilon(parent, birth, chosen, selection)

  // The chosen cluster that each cluster lies in, or NOISE.
  const chosenAbove = new Int32Array(clusters).fill(NOISE)
  for (let c = 0; c < clusters; c++) {
    const inherited = c === 0 ? NOISE : chosenAbove[parent[c]]
    chosenAbove[c] = inherited !== NOISE ? inherited : chosen[c] ? c : NOISE
  }

  // Highest density at which each cluster still has something to lose: in it alone, and in it and all below it.
  const ownDeath = new Float64Array(clusters)
  for (let i = 0; i < n; i++) raise(ownDeath, clusterOfPoint[i], lambdaOfPoint[i])
  for (let c = 1; c < clusters; c++) raise(ownDeath, parent[c], birth[c])
  const lastDeath = ownDeath.slice()
  for (let c = clusters - 1; c > 0; c--) raise(lastDeath, parent[c], lastDeath[c])

  const labels = new Int32Array(n).fill(NOISE)
  const probabilities = new Float64Array(n)
  const outlierScores = new Float64Array(n)
  const labelOfCluster = new Map<number, number>()
  const members: number[] = []
  for (let i = 0; i < n; i++) {
    const lambda = lambdaOfPoint[i]
    outlierScores[i] = 1 - share(lambda, lastDeath[clusterOfPoint[i]])
    const cluster = chosenAbove[clusterOfPoint[i]]
    if (cluster === NOISE) continue
    // Where the whole is one cluster, only its core is: points that stay to the end, or beyond epsilon.
    const floor = selection.epsilon > 0 ? 1 / selection.epsilon : ownDeath[0]
    if (cluster === 0 && lambda < floor) continue
    const label = labelOfCluster.get(cluster) ?? labelOfCluster.size
    labelOfCluster.set(cluster, label)
    labels[i] = label
    members[label] = (members[label] ?? 0) + 1
    probabilities[i] = share(lambda, ownDeath[cluster])
  }

  const greatest = lastDeath[0]
  const persistence = new Float64Array(labelOfCluster.size)
  for (const [cluster, label] of labelOfCluster) {
    const whole = members[label] * greatest
    persistence[label] = Number.isFinite(whole) && whole > 0 ? stability[cluster] / whole : 1
  }
  return { labels, probabilities, outlierScores, persistence }
}

function raise(values: Float64Array, at: number, value: number): void {
  if (value > values[at]) values[at] = value
}

/** lambda as a share of the greatest, 0 to 1. Beside equal points, whose lambda is infinite, all others have none. */
function share(lambda: number, greatest: number): number {
  if (lambda >= greatest) return 1
  return Number.isFinite(greatest) ? lambda / greatest : 0
}

/** Sum over what leaves a cluster of how much density it lived through there. */
function stabilities(condensed: CondensedTree, n: number): Float64Array {
  const { clusterOfPoint, lambdaOfPoint, parent, birth, size } = condensed
  const stability = new Float64Array(parent.length)
  function add(cluster: number, lambda: number, points: number): void {
    stability[cluster] += (lambda - birth[cluster]) * points
  }
  for (let i = 0; i < n; i++) add(clusterOfPoint[i], lambdaOfPoint[i], 1)
  for (let c = 1; c < parent.length; c++) add(parent[c], birth[c], size[c])
  return stability
}

/**
 * From the leaves up: a cluster is chosen when it is at least as stable as the best choice below it. Raises
 * `stability` to the best.
 */
function chooseByExcessOfMass(parent: number[], stability: Float64Array, allowSingleCluster: boolean): Uint8Array {
  const clusters = parent.length
  const chosen = new Uint8Array(clusters)
  const below = new Float64Array(clusters)
  for (let c = clusters - 1; c >= (allowSingleCluster ? 0 : 1); c--) {
    if (below[c] > stability[c]) stability[c] = below[c]
    else chosen[c] = 1
    if (c > 0) below[parent[c]] = below[parent[c]] + stability[c]
  }
  // A choice ends the choices below it; parents come before children.
  const taken = chosen.slice()
  for (let c = 1; c < clusters; c++) {
    if (taken[parent[c]]) {
      chosen[c] = 0
      taken[c] = 1
    }
  }
  return chosen
}

/** The clusters that never split; the root is none of them, even alone. */
function chooseLeaves(parent: number[]): Uint8Array {
  const chosen = new Uint8Array(parent.length).fill(1)
  chosen[0] = 0
  for (let c = 1; c < parent.length; c++) chosen[parent[c]] = 0
  return chosen
}

/** A chosen cluster born at a distance under epsilon gives way to the first one above it that was born beyond. */
function widenToEpsilon(parent: number[], birth: number[], chosen: Uint8Array, selection: Selection): void {
  const { epsilon, allowSingleCluster } = selection
  // The root stands for itself: above it there is nothing to widen to.
  if (chosen[0]) return
  const wider = new Uint8Array(chosen.length)
  // What each cluster gives way to. Parents come before children, so one pass does it: climbing from every cluster by
  // itself would be quadratic where splits form a long chain.
  const widened = new Int32Array(chosen.length)
  for (let c = 1; c < chosen.length; c++) {
    const mayWiden = 1 / birth[c] < epsilon && (parent[c] !== 0 || allowSingleCluster)
    widened[c] = mayWiden ? widened[parent[c]] : c
    if (chosen[c]) wider[widened[c]] = 1
  }
  chosen.set(wider)
}

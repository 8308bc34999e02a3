// The second way from points to groups: communities of the fuzzy graph itself, without a layout, by Leiden.
// Here: who is left out, how surely the others belong, what a group's core and its parts are, and which resolution is steadiest.
// Left to others: the graph (fuzzy-graph.ts), the communities (communities.ts), what a group is called (lib/text).

import { adjustedRandIndex, withoutTenth } from './agreement.ts'
import { leiden, type RowGraph, rowsOfEdges } from './communities.ts'
import { fuzzyGraph } from './fuzzy-graph.ts'
import { NOISE } from './hdbscan.ts'
import type { Table } from './matrix.ts'
import { type Neighbors, nearestNeighbors } from './neighbors.ts'
import { seedFrom } from './random.ts'

export type CommunityRecipe = {
  /** Size of a neighbourhood in the fuzzy graph, the row itself counted. */
  nNeighbors: number
  /** The higher, the more and the smaller the groups (communities.ts); 'steadiest' chooses one of STEADIEST_OF by `steadiest`. */
  resolution: number | 'steadiest'
  /** Fewest rows of a group: the rows of smaller ones are noise. */
  minClusterSize: number
  /** A row with a smaller share than this of its edges' weight inside its own group is noise, unless the group would fall short. */
  leastMembership: number
  /** So many starts first, by whose agreement the edges are weighed: for large graphs, which part in many ways alike. 0 unless given. */
  ensemble?: number | undefined
}

/**
 * Begun so often, the best is kept. m, 411 firms of 2016Q3, ARI of seeds, after a tenth was taken away, milliseconds a firm:
 * 3 .90, .66, 11; 5 .93, .66, 12; 10 .94, .67, 19.
 */
export const STARTS = 5
// A topic's own graph is a tenth of the firm's, and has fewer ways to part.
const STARTS_OF_PARTS = 2
export const STEADIEST_OF = [1, 1.2, 1.4, 1.6, 1.8, 2] as const
// Five draws tell a difference of .05 in the index for a firm of 80 sentences; they are most of the time already.
const DRAWS = 5
// A row most of whose weight is inside belongs to its group by what Radicchi et al. (PNAS 2004) ask for; this asks for a little more.
const CORE_MEMBERSHIP = 0.6
const CORE_SHARE = 1 / 3
// As many as are shown of a topic.
const CORE_LEAST = 5
// The authors' own: what no start holds together keeps so much of its weight, so that the graph does not fall apart.
const LEAST_AGREEMENT = 0.05

export type CommunityGroups = {
  /** Group of each row, from 0 in the order of first rows, or NOISE. */
  labels: Int32Array
  /** Share of the weight of a row's edges that leads into its own group; 0 for noise. */
  probabilities: Float64Array
  /** Part of its group that a row is in, numbered over all groups, or NOISE: also for all rows of a group that has no parts. */
  parts: Int32Array
}

/** rows: n × d, compared by cosine. The same rows, recipe and seed give the same groups. */
export function communityGroups(
  rows: Table,
  n: number,
  d: number,
  recipe: CommunityRecipe,
  seed: number,
): CommunityGroups {
  const graph = communityGraph(neighborhood(rows, n, d, recipe), n)
  const resolution = recipe.resolution === 'steadiest' ? steadiest(rows, n, d, graph, recipe, seed) : recipe.resolution
  const groups = groupsOf(graph, resolution, recipe, seed)
  const parts = partsOf(graph, rowsByLabel(groups.labels, groups.count), resolution, recipe.minClusterSize, seed)
  return { labels: groups.labels, probabilities: groups.probabilities, parts }
}

/** The graph whose communities are looked for: UMAP's, before any layout. */
export function communityGraph(neighbors: Neighbors, n: number): RowGraph {
  return rowsOfEdges(fuzzyGraph(neighbors, n), n)
}

function neighborhood(rows: Table, n: number, d: number, { nNeighbors }: CommunityRecipe): Neighbors {
  return nearestNeighbors(rows, n, d, nNeighbors - 1, 'cosine')
}

/**
 * Communities, less those that are too small and the rows that hang on their own by too little. A group keeps its strongest
 * rows all the same, as many as the least size asks for. m, 137 firms of the sample 2016Q4: else one group in seventeen would
 * be left with fewer, and to give those up too takes 2 % more for noise.
 */
export function groupsOf(
  graph: RowGraph,
  resolution: number,
  { minClusterSize, leastMembership, ensemble = 0 }: Omit<CommunityRecipe, 'nNeighbors' | 'resolution'>,
  seed: number,
  onStart?: () => void,
): { labels: Int32Array; probabilities: Float64Array; count: number } {
  const { n } = graph
  const weighed = ensemble > 0 ? weighedByAgreement(graph, resolution, ensemble, seed, onStart) : graph
  const { labels: community, count } = leiden(weighed, { resolution, seed, starts: STARTS, onStart })
  const memberships = membershipsOf(graph, community)
  const labels = new Int32Array(n).fill(NOISE)
  const probabilities = new Float64Array(n)
  let groups = 0
  for (const rows of rowsByLabel(community, count)) {
    if (rows.length < minClusterSize) continue
    const strongest = rows.sort((a, b) => memberships[b] - memberships[a] || a - b)
    for (const [place, row] of strongest.entries()) {
      if (place >= minClusterSize && memberships[row] < leastMembership) break
      labels[row] = groups
      probabilities[row] = memberships[row]
    }
    groups++
  }
  return { labels: numbered(labels), probabilities, count: groups }
}

/**
 * Ensemble clustering (Poulin, Théberge, Applied Network Science 4, 2019, 51): each edge times the share of single starts that hold
 * its two ends together. m, themes of 2016Q3 and 2017Q1, two seeds agree without and with it: .72 and .74, .79 and .87; after a
 * tenth was taken away .55 and .58, .61 and .66. Not for firms, whose graphs are small: .91 and .94, .67 and .65.
 */
function weighedByAgreement(
  graph: RowGraph,
  resolution: number,
  ensemble: number,
  seed: number,
  onStart: (() => void) | undefined,
): RowGraph {
  const { n, offsets, targets } = graph
  const together = new Float64Array(targets.length)
  for (let round = 0; round < ensemble; round++) {
    const { labels } = leiden(graph, { resolution, seed: seedFrom(seed, 'ensemble', round), onStart })
    for (let i = 0; i < n; i++)
      for (let p = offsets[i]; p < offsets[i + 1]; p++) if (labels[targets[p]] === labels[i]) together[p]++
  }
  const weights = graph.weights.map(
    (weight, p) => weight * (LEAST_AGREEMENT + (1 - LEAST_AGREEMENT) * (together[p] / ensemble)),
  )
  return { ...graph, weights }
}

/** Share of the weight of each node's edges that leads into its own community; 0 for a node without edges. */
function membershipsOf({ n, offsets, targets, weights }: RowGraph, community: Int32Array): Float64Array {
  const memberships = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    let inside = 0
    let all = 0
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      all += weights[p]
      if (community[targets[p]] === community[i]) inside += weights[p]
    }
    if (all > 0) memberships[i] = inside / all
  }
  return memberships
}

/** Rows of each of `count` labels, ascending. */
export function rowsByLabel(labels: Int32Array, count: number): number[][] {
  const rows = Array.from({ length: count }, (): number[] => [])
  for (const [row, label] of labels.entries()) if (label !== NOISE) rows[label].push(row)
  return rows
}

/**
 * The next finer level: each group once more by itself, as a graph of its own rows. Parts under the least size are none, and
 * one part is no news: a group without two of them has none.
 */
export function partsOf(
  graph: RowGraph,
  rowsOfGroup: readonly number[][],
  resolution: number,
  least: number,
  seed: number,
): Int32Array {
  const parts = new Int32Array(graph.n).fill(NOISE)
  let total = 0
  for (const [label, rows] of rowsOfGroup.entries()) {
    if (rows.length < 2 * least) continue
    const own = leiden(restricted(graph, rows), { resolution, seed: seedFrom(seed, label), starts: STARTS_OF_PARTS })
    const large = rowsByLabel(own.labels, own.count).filter(places => places.length >= least)
    if (large.length < 2) continue
    for (const [part, places] of large.entries()) for (const place of places) parts[rows[place]] = total + part
    total += large.length
  }
  return parts
}

/** The graph of some of the nodes (ascending) and the edges among them. */
function restricted({ offsets, targets, weights, n }: RowGraph, rows: readonly number[]): RowGraph {
  const placeOf = new Int32Array(n).fill(-1)
  for (const [place, row] of rows.entries()) placeOf[row] = place
  const from: number[] = []
  const to: number[] = []
  const strength: number[] = []
  for (const row of rows)
    for (let p = offsets[row]; p < offsets[row + 1]; p++) {
      if (targets[p] < row || placeOf[targets[p]] < 0) continue
      from.push(placeOf[row])
      to.push(placeOf[targets[p]])
      strength.push(weights[p])
    }
  const edges = { from: Int32Array.from(from), to: Int32Array.from(to), strength: Float64Array.from(strength) }
  return rowsOfEdges(edges, rows.length)
}

/**
 * The resolution whose groups come again most nearly when a tenth of the rows is taken away: mean adjusted Rand index, noise
 * counted as a group, of the groups of all rows and those of the rows that are left, over five draws; the lowest of equals.
 * One that finds fewer than two groups does not compete, since one group, or none, comes again always; where none finds two,
 * it is the lowest.
 */
function steadiest(rows: Table, n: number, d: number, graph: RowGraph, recipe: CommunityRecipe, seed: number): number {
  const draws = Array.from({ length: DRAWS }, (_, draw) => {
    const kept = withoutTenth(n, seedFrom(seed, 'draw', draw))
    const table = new Float64Array(kept.length * d)
    for (const [place, row] of kept.entries()) table.set(rows.subarray(row * d, (row + 1) * d), place * d)
    const neighbors = neighborhood(table, kept.length, d, recipe)
    return { kept, graph: communityGraph(neighbors, kept.length) }
  })
  let best: number = STEADIEST_OF[0]
  let highest = -Infinity
  for (const resolution of STEADIEST_OF) {
    const { labels, count } = groupsOf(graph, resolution, recipe, seed)
    if (count < 2) continue
    let sum = 0
    for (const draw of draws) {
      const again = groupsOf(draw.graph, resolution, recipe, seed).labels
      sum += adjustedRandIndex(
        draw.kept.map(row => labels[row]),
        again,
      )
    }
    if (sum <= highest) continue
    highest = sum
    best = resolution
  }
  return best
}

/**
 * The rows of a group that tell what it is about: those with most of their weight inside, and in any case the third that has
 * most of it, five at least. The others stand at a border and use their neighbours' words. m, 105 firms of 2016Q3 and 93 of
 * 2017Q1, resolution 1.4, keywords from all rows and from these: NPMI -.07 and .02, -.04 and .03; diversity .93 and .95, .92 and .95.
 */
export function coreOf(rows: readonly number[], probabilities: ArrayLike<number>): number[] {
  const strongest = [...rows].sort((a, b) => probabilities[b] - probabilities[a] || a - b)
  const least = Math.max(CORE_LEAST, Math.ceil(CORE_SHARE * rows.length))
  const core = strongest.filter((row, place) => place < least || probabilities[row] >= CORE_MEMBERSHIP)
  return core.sort((a, b) => a - b)
}

function numbered(labels: Int32Array): Int32Array {
  const names = new Map([[NOISE, NOISE]])
  return labels.map(label => {
    const name = names.get(label) ?? names.size - 1
    names.set(label, name)
    return name
  })
}

// From sentence vectors to topics: the one function type that clusters a firm, and the engine that is ours.
// UMAP then HDBSCAN, or communities, with the rules for small firms and repeated sentences, which hold for every engine.
// Left to others: what a topic is called (lib/text), the engine from npm (engine-libraries.ts), the methods themselves.

import { type CommunityRecipe, communityGroups } from './community-topics.ts'
import { hdbscan, NOISE } from './hdbscan.ts'
import { requireFinite } from './matrix.ts'
import { umap } from './umap.ts'

export { NOISE }

export type ClusterRecipe = {
  /** Size of a neighbourhood in UMAP, the sentence itself counted. */
  nNeighbors: number
  /** Dimensions of the layout that is clustered. */
  nComponents: number
  minDist: number
  /** Steps of the layout for up to 125 sentences; `epochsFor` gives more to more. */
  epochs: number
  /** How strongly sentences push one another apart in UMAP: the more, the less noise and the looser the topics. */
  negativeSampleRate: number
  /** Fewest different sentences of a topic. */
  minClusterSize: number
  /** Which neighbour measures density: the higher, the more noise. */
  minSamples: number
  selection: 'leaf' | 'eom'
}

/**
 * Topic of each row, from 0 in the order of first rows, or NOISE; how surely, 0 to 1; and by a method that has them, the part
 * of its topic, numbered over all topics, or NOISE.
 */
export type Clustered = { labels: Int32Array; probabilities: Float32Array; parts?: Int32Array | undefined }

/**
 * vectors: n × d, unit length, compared by cosine. The same for the same rows in the same order with the same recipe and
 * seed, on any machine.
 */
export type ClusterEngine<Recipe = ClusterRecipe> = (
  vectors: Float32Array,
  n: number,
  d: number,
  recipe: Recipe,
  seed: number,
) => Clustered

/**
 * The settings of the Python pipeline that researchers have (BERTopic's shape), but for the two that belong to our
 * layout. m, 86 firms of 2016Q3, noise, silhouette, ARI of two seeds and after a tenth was taken away: these 17.5 %,
 * .093, .95, .57; umap-learn and hdbscan 18.3 %, .092, .58, .50. A rate of 5 gives 19.9 %, .094, .95, .57; one of 15
 * 15.3 %, .088, .92, .58.
 */
export const FIRM_RECIPE: ClusterRecipe = {
  nNeighbors: 15,
  nComponents: 10,
  minDist: 0,
  epochs: 60,
  negativeSampleRate: 8,
  minClusterSize: 6,
  minSamples: 2,
  selection: 'leaf',
}

/** Our engine: exact neighbours, our UMAP, our HDBSCAN. */
export const clusterExactly: ClusterEngine = (vectors, n, d, recipe, seed) =>
  clusterDistinct(vectors, n, d, recipe, (rows, count) => {
    const layout = layoutOfFirm(rows, count, d, recipe, seed)
    return hdbscan(layout, count, recipe.nComponents, { ...recipe, clusterSelectionMethod: recipe.selection })
  })

/** The first half of our engine: n different rows, laid out in recipe.nComponents dimensions. */
export function layoutOfFirm(
  rows: Float32Array,
  n: number,
  d: number,
  recipe: ClusterRecipe,
  seed: number,
): Float32Array {
  return umap(rows, n, d, { ...recipe, epochs: epochsFor(n, recipe.epochs), metric: 'cosine', seed })
}

// m (sentences of 2016Q3, firms mixed), seeds agree: 500 sentences .54 after 60 epochs, .69 after 200; 1,000 .33 and .49;
// 2,000 .20, .32, and .45 after 500, where umap-learn has .43.
const SETTLED_SOON = 125
const MOST_TIMES = 8

/**
 * A larger graph takes longer to settle, since what happens at one end is felt at the other only step by step: epochs
 * in proportion to the rows from 125 upward, at most eight times as many.
 */
export function epochsFor(rows: number, epochs: number): number {
  return Math.round(epochs * Math.min(MOST_TIMES, Math.max(1, rows / SETTLED_SOON)))
}

/**
 * The settings that beat BERTopic by every measure at once. m, all firms of 2016Q3 and 2017Q1 by the shipped model, then by MiniLM,
 * silhouette, ARI after a tenth was taken away, noise: these .094, .67, 10 %; .094, .67, 10 %; .117, .67, 9 %; .118, .69, 9 %.
 * BERTopic, on the 411 and 329 firms that it can do: .089, .46, 20 %; .091, .47, 19 %; .113, .45, 20 %; .114, .46, 20 %.
 * Resolution 1.4 and a least membership of .25: .095, .64, 9 %, the same, .120, .67, 9 %. Resolution 1 .08, .72, 2 % and a fifth
 * fewer topics; 2 .10, .58, 17 %. 15 neighbours do as well with the shipped model and fall under BERTopic's silhouette with MiniLM.
 */
export const FIRM_RESOLUTION = 1.3
export const FIRM_COMMUNITIES: CommunityRecipe = {
  nNeighbors: 20,
  resolution: FIRM_RESOLUTION,
  minClusterSize: 6,
  leastMembership: 0.3,
}

/** Our second engine: exact neighbours, the fuzzy graph, its communities. */
export const clusterByCommunities: ClusterEngine<CommunityRecipe> = (vectors, n, d, recipe, seed) =>
  clusterDistinct(vectors, n, d, recipe, (rows, count) => communityGroups(rows, count, d, recipe, seed))

/** A way to cluster, with its settings. */
export type Method =
  | { engine: 'exact' | 'libraries'; recipe: ClusterRecipe }
  | { engine: 'communities'; recipe: CommunityRecipe }

export type EngineName = Method['engine']

/** Clusters by the method. The packages from npm are loaded only for who asks: .1 s of each worker thread. */
export async function engineOf(
  method: Method,
): Promise<(vectors: Float32Array, n: number, d: number, seed: number) => Clustered> {
  if (method.engine === 'communities')
    return (vectors, n, d, seed) => clusterByCommunities(vectors, n, d, method.recipe, seed)
  const engine =
    method.engine === 'exact' ? clusterExactly : (await import('./engine-libraries.ts')).clusterWithLibraries
  return (vectors, n, d, seed) => engine(vectors, n, d, method.recipe, seed)
}

/** Labels, probabilities and parts of `count` different rows. */
type DistinctEngine = (
  rows: Float32Array,
  count: number,
) => { labels: ArrayLike<number>; probabilities: ArrayLike<number>; parts?: ArrayLike<number> }

/**
 * The rules every engine keeps.
 * Equal rows: only different rows are clustered, and every copy gets the answer of the first. So copies agree by
 * construction, and repetition alone makes no topic: "Thank you." said twenty times is one sentence, not a group of
 * twenty.
 * Rows of zeros (the model knows no word of the sentence) have no direction: noise.
 * Few rows: a group is known by what it is apart from, so under two groups of the minimum size (12 sentences with the usual
 * recipe) all is noise. HDBSCAN would find the same by itself; here it is said, and costs nothing.
 */
export function clusterDistinct(
  vectors: Float32Array,
  n: number,
  d: number,
  recipe: { minClusterSize: number },
  engine: DistinctEngine,
): Clustered {
  requireFinite(vectors, n, d)
  const labels = new Int32Array(n).fill(NOISE)
  const probabilities = new Float32Array(n)
  const { firstRows, distinctOfRow } = distinctRows(vectors, n, d)
  const count = firstRows.length
  if (count < 2 * recipe.minClusterSize) return { labels, probabilities }
  const rows = new Float32Array(count * d)
  firstRows.forEach((row, place) => {
    rows.set(vectors.subarray(row * d, (row + 1) * d), place * d)
  })
  const found = engine(rows, count)
  // hdbscan-ts names its clusters as it likes; here every engine's are numbered by first row.
  const names = new Map([[NOISE, NOISE]])
  for (let i = 0; i < n; i++) {
    if (distinctOfRow[i] === NOISE) continue
    const label = found.labels[distinctOfRow[i]]
    const name = names.get(label) ?? names.size - 1
    names.set(label, name)
    labels[i] = name
    probabilities[i] = found.probabilities[distinctOfRow[i]]
  }
  const { parts } = found
  return { labels, probabilities, parts: parts && distinctOfRow.map(row => (row === NOISE ? NOISE : parts[row])) }
}

/** The first row of each kind in their order, and for each of n rows the place of its kind in that list, or NOISE. */
function distinctRows(vectors: Float32Array, n: number, d: number) {
  const firstRows: number[] = []
  const distinctOfRow = new Int32Array(n)
  // By a hash of the bits, then by the numbers themselves.
  const bits = new Int32Array(vectors.buffer, vectors.byteOffset, n * d)
  const kinds = new Map<number, number[]>()
  for (let i = 0; i < n; i++) {
    if (isZero(vectors, i, d)) {
      distinctOfRow[i] = NOISE
      continue
    }
    let hash = 0
    for (let t = i * d; t < (i + 1) * d; t++) hash = (Math.imul(hash, 31) + bits[t]) | 0
    const alike = kinds.get(hash) ?? []
    let kind = alike.find(place => isSameRow(bits, firstRows[place], i, d))
    if (kind === undefined) {
      kind = firstRows.length
      firstRows.push(i)
      alike.push(kind)
      kinds.set(hash, alike)
    }
    distinctOfRow[i] = kind
  }
  return { firstRows, distinctOfRow }
}

function isZero(vectors: Float32Array, i: number, d: number): boolean {
  for (let t = i * d; t < (i + 1) * d; t++) if (vectors[t] !== 0) return false
  return true
}

function isSameRow(bits: Int32Array, i: number, j: number, d: number): boolean {
  for (let t = 0; t < d; t++) if (bits[i * d + t] !== bits[j * d + t]) return false
  return true
}

// Themes: topics of many firms clustered across firms. UMAP and HDBSCAN as for a firm, with three rules of its own:
// settings that follow the number of topics, no theme that swallows the rest, and a way out of "in none".
// Leaves to others what stands for a topic (the embedding of its name and summary) and what a theme is called.

import { dot } from './distance.ts'
import { hdbscan, NOISE } from './hdbscan.ts'
import { centroid, normalizeRows } from './matrix.ts'
import type { Neighbors } from './neighbors.ts'
import { seedFrom } from './random.ts'
import { umap, umapFromNeighbors } from './umap.ts'

export type ThemeRecipe = {
  /** Fewest topics of a theme where there are many topics; `scaledRecipe` lowers it for few. */
  minClusterSize: number
  minSamples: number
  nNeighbors: number
  nComponents: number
  minDist: number
  epochs: number
  /** How strongly topics push one another apart in UMAP: the more, the fewer are in none, and the less steady the themes. */
  negativeSampleRate: number
  /** A theme of more than this share of all topics is split again. */
  largestShare: number
  /** Give topics in none to the nearest theme where they lie as near to it as its own do. */
  giveToNearest: boolean
}

/**
 * The settings of the Python pipeline for a whole quarter (design: 3,178 topics of 438 firms), but for the two of our
 * layout. m, 2,696 topics of 2016Q3, share in none before any are given to the nearest, ARI of seeds and after a tenth was
 * taken away: rate 2 46 %, .96, .66; 3 42 %, .94, .58; 5 36 %, .87, .57; umap-learn's draws 39 to 45 %, .60, .43.
 */
export const THEME_RECIPE: ThemeRecipe = {
  minClusterSize: 20,
  minSamples: 6,
  nNeighbors: 30,
  nComponents: 15,
  minDist: 0.025,
  epochs: 500,
  negativeSampleRate: 3,
  largestShare: 0.15,
  giveToNearest: true,
}

// The number of topics the settings above were made for.
const MADE_FOR = 3178
// Two topics are a coincidence; three firms that say the same are the least anybody would call a theme.
const FEWEST_TOPICS = 3
// A theme's own topics nearer to its centroid than this share of them define "as near as its own".
const NEAR_QUANTILE = 0.25

/**
 * Settings for n topics. A theme's size grows with the square root of the number of topics (twice the firms bring more
 * themes as well as larger ones), so: minClusterSize · √(n / 3178), at least 3, at most as given; minSamples and
 * nNeighbors keep their ratio to it (.3 and 1.5), and the layout keeps fewer dimensions than there are topics.
 */
export function scaledRecipe(recipe: ThemeRecipe, n: number): ThemeRecipe {
  const size = Math.round(recipe.minClusterSize * Math.sqrt(n / MADE_FOR))
  const minClusterSize = Math.min(recipe.minClusterSize, Math.max(FEWEST_TOPICS, size))
  const share = minClusterSize / recipe.minClusterSize
  return {
    ...recipe,
    minClusterSize,
    minSamples: Math.max(1, Math.round(recipe.minSamples * share)),
    nNeighbors: Math.max(Math.min(5, n), Math.round(recipe.nNeighbors * share)),
    nComponents: Math.max(2, Math.min(recipe.nComponents, n - 2)),
  }
}

export type ThemeJob = {
  /** n × d, unit length. */
  vectors: Float32Array
  n: number
  d: number
  recipe: ThemeRecipe
  seed: number
  /** The answer to `firstNeighborhoods` where it is known already; otherwise it is found here. */
  neighbors?: Neighbors | undefined
}

export type Themes = {
  /** Theme of each topic, from 0, or NOISE. */
  labels: Int32Array
  /** HDBSCAN's probability, or the cosine to the centroid where given to the nearest. */
  probabilities: Float64Array
  givenToNearest: Uint8Array
  count: number
}

/**
 * The question that the first clustering begins with: the nearest k of each row of a table. It takes most of the time
 * where topics are many, and an accelerator can answer it sooner. Rows of zeros are not asked for, so the rows of the
 * table are others than those of `vectors`.
 */
export function firstNeighborhoods({ vectors, n, d, recipe }: ThemeJob) {
  const rows = rowsThatSaySomething(vectors, n, d)
  const k = scaledRecipe(recipe, rows.length).nNeighbors - 1 // UMAP counts the row itself
  return { data: tableOf(vectors, d, rows), n: rows.length, d, k, metric: 'cosine' as const }
}

/**
 * Under twice the fewest topics of a theme there is nothing to tell apart: no themes. Rows of zeros (no known word)
 * belong to none.
 */
export function clusterThemes({ vectors, n, d, recipe, seed, neighbors }: ThemeJob): Themes {
  const rows = rowsThatSaySomething(vectors, n, d)
  const scaled = scaledRecipe(recipe, rows.length)
  const found: Themes = {
    labels: new Int32Array(n).fill(NOISE),
    probabilities: new Float64Array(n),
    givenToNearest: new Uint8Array(n),
    count: 0,
  }
  if (rows.length < 2 * scaled.minClusterSize) return found
  const most = Math.max(scaled.minClusterSize, Math.floor(recipe.largestShare * n))
  for (const theme of split(vectors, d, rows, scaled, most, 'eom', seed, neighbors)) {
    for (const { row, probability } of theme) {
      found.labels[row] = found.count
      found.probabilities[row] = probability
    }
    found.count++
  }
  if (recipe.giveToNearest) giveToNearest(vectors, d, rows, found, most)
  return found
}

type Member = { row: number; probability: number }

/**
 * Clusters the rows; a cluster of more than `most` is clustered again by itself, first by excess of mass, then by
 * leaves. One that will not come apart stays as it is, for the caller to flag.
 */
function split(
  vectors: Float32Array,
  d: number,
  rows: readonly number[],
  recipe: ThemeRecipe,
  most: number,
  method: 'eom' | 'leaf',
  seed: number,
  neighbors?: Neighbors,
): Member[][] {
  const themes: Member[][] = []
  for (const theme of cluster(vectors, d, rows, recipe, method, seed, neighbors)) {
    if (theme.length <= most) {
      themes.push(theme)
      continue
    }
    const own = theme.map(member => member.row)
    // By leaves from the second time on: excess of mass chose the large cluster, and would again.
    const parts = split(vectors, d, own, scaledDown(recipe, own.length), most, 'leaf', seedFrom(seed, own.length))
    if (parts.length > 1) themes.push(...parts)
    else themes.push(theme)
  }
  return themes
}

// A part is placed by neighbours of its own, of which there are fewer.
function scaledDown(recipe: ThemeRecipe, n: number): ThemeRecipe {
  return { ...recipe, nNeighbors: Math.min(recipe.nNeighbors, Math.max(2, Math.floor(n / 3))) }
}

function cluster(
  vectors: Float32Array,
  d: number,
  rows: readonly number[],
  recipe: ThemeRecipe,
  method: 'eom' | 'leaf',
  seed: number,
  neighbors: Neighbors | undefined,
): Member[][] {
  const n = rows.length
  const { nNeighbors, nComponents, minDist, epochs, negativeSampleRate, minClusterSize, minSamples } = recipe
  const options = { nComponents, minDist, spread: 1, epochs, negativeSampleRate, seed }
  const layout = neighbors
    ? umapFromNeighbors(neighbors, n, options)
    : umap(tableOf(vectors, d, rows), n, d, { ...options, nNeighbors, metric: 'cosine' })
  const { labels, probabilities } = hdbscan(layout, n, nComponents, {
    minClusterSize,
    minSamples,
    clusterSelectionMethod: method,
  })
  const themes: Member[][] = []
  for (let i = 0; i < n; i++) {
    if (labels[i] === NOISE) continue
    themes[labels[i]] ??= []
    themes[labels[i]].push({ row: rows[i], probability: probabilities[i] })
  }
  return themes
}

/** Gives a topic in none to the nearest theme if it is as near to the centroid as the outer quarter of its own topics. */
function giveToNearest(vectors: Float32Array, d: number, rows: readonly number[], found: Themes, most: number): void {
  const membersOf: number[][] = Array.from({ length: found.count }, () => [])
  for (const row of rows) if (found.labels[row] !== NOISE) membersOf[found.labels[row]].push(row)
  const centroids = membersOf.map(members => normalizeRows(centroid(vectors, d, members), 1, d))
  const thresholds = membersOf.map((members, theme) => {
    const cosines = members.map(row => dot(vectors, row, centroids[theme], 0, d)).sort((a, b) => a - b)
    return cosines[Math.floor(NEAR_QUANTILE * cosines.length)]
  })
  for (const row of rows) {
    if (found.labels[row] !== NOISE) continue
    let nearest = NOISE
    let nearestCosine = -1
    for (let theme = 0; theme < found.count; theme++) {
      const cosine = dot(vectors, row, centroids[theme], 0, d)
      if (cosine > nearestCosine) {
        nearest = theme
        nearestCosine = cosine
      }
    }
    if (nearest === NOISE || nearestCosine < thresholds[nearest] || membersOf[nearest].length >= most) continue
    membersOf[nearest].push(row)
    found.labels[row] = nearest
    found.probabilities[row] = nearestCosine
    found.givenToNearest[row] = 1
  }
}

function tableOf(vectors: Float32Array, d: number, rows: readonly number[]): Float32Array {
  const table = new Float32Array(rows.length * d)
  for (const [i, row] of rows.entries()) table.set(vectors.subarray(row * d, (row + 1) * d), i * d)
  return table
}

function rowsThatSaySomething(vectors: Float32Array, n: number, d: number): number[] {
  const rows: number[] = []
  for (let i = 0; i < n; i++) if (dot(vectors, i, vectors, i, d) > 0) rows.push(i)
  return rows
}

// Themes: topics of many firms clustered across firms, by UMAP and HDBSCAN or by communities as for a firm, with three rules of
// its own: settings that follow the number of topics, no theme that swallows the rest, and a way out of a theme and of "in none".
// Leaves to others what stands for a topic (the embedding of its name and keywords) and what a theme is called.

import { communityGraph, groupsOf, partsOf, rowsByLabel, STARTS } from './community-topics.ts'
import { dot } from './distance.ts'
import { hdbscan, NOISE } from './hdbscan.ts'
import { centroid, normalizeRows } from './matrix.ts'
import { type Neighbors, nearestNeighbors } from './neighbors.ts'
import { seedFrom } from './random.ts'
import { reassignNoise } from './reassign.ts'
import { umapFromNeighbors } from './umap.ts'

export type ThemeRecipe = UmapThemes | CommunityThemes

type WhateverMethod = {
  /** Fewest topics of a theme in a quarter of 3,178 topics; `scaledRecipe` makes it that of n. */
  minClusterSize: number
  nNeighbors: number
  /** A theme of more than this share of all topics is split again. */
  largestShare: number
  /** Give topics in none to the nearest theme where they lie as near to it as the outer quarter of its own. */
  giveToNearest: boolean
}

export type UmapThemes = WhateverMethod & {
  minSamples: number
  nComponents: number
  minDist: number
  epochs: number
  /** How strongly topics push one another apart in UMAP: the more, the fewer are in none, and the less steady the themes. */
  negativeSampleRate: number
}

export type CommunityThemes = WhateverMethod & {
  engine: 'communities'
  /** The higher, the more and the smaller the themes. */
  resolution: number
  /** Starts by whose agreement the edges are weighed first. */
  ensemble: number
}

/**
 * The settings of the Python pipeline for a whole quarter (design: 3,178 topics of 438 firms), but for the two of our
 * layout. m, 2,696 topics of 2016Q3, share in none before any are given to the nearest, ARI of seeds and after a tenth was
 * taken away: rate 2 46 %, .96, .66; 3 42 %, .94, .58; 5 36 %, .87, .57; umap-learn's draws 39 to 45 %, .60, .43.
 */
export const THEME_RECIPE: UmapThemes = {
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

/**
 * m, on topics by communities: themes, share in none, ARI of seeds, after a tenth, 2016Q3 and 2017Q1; of the planted stories of 2024Q3
 * precision and recall of firms, six seeds. These 38, .20, .74, .58 and 36, .17, .87, .66; .83, .91. A resolution of 2.5 or 3 finds 44
 * or 53 themes that hold less (.53, .54 after a tenth). UMAP and HDBSCAN on topics of their own 33, .38, .76, .57 and 27, .36, .80, .51;
 * .85, .87. Without `withdraw` none are left out, and precision is .73. m, 15,000 made topics of 200 planted themes, ARI with these,
 * share of their topics in none, of topics of chance words: .87, .03, .44; UMAP and HDBSCAN .74, .08, .55.
 */
export const THEME_COMMUNITIES: CommunityThemes = {
  engine: 'communities',
  minClusterSize: 20,
  nNeighbors: 30,
  resolution: 2,
  ensemble: 10,
  largestShare: 0.15,
  giveToNearest: true,
}

// The number of topics the settings above were made for.
const MADE_FOR = 3178
// Two topics are a coincidence; three firms that say the same are the least anybody would call a theme.
const FEWEST_TOPICS = 3
// Chance brings one topic in twenty outside a theme as near to it as its own must be. m, 2016Q3 by keywords, six seeds, share in
// none and ARI after a tenth was taken away: no such rule .32 and .52, one in ten .34 and .55, one in twenty .38 and .57, one in
// 44 .42 and .59. Precision of the firms of the planted stories of 2024Q3, twelve seeds: .77, .80, .84, .86. A choice between them.
const NEARER_THAN = 0.95
const DEVIATIONS = 1.645
// The quartiles of a normal distribution lie so many standard deviations from its median.
const QUARTILE = 0.6745
// Cosines of float32 rows are right to this: where all topics are alike, none is nearer than another.
const ROUNDING = 1e-6
// Of so many outside the quartile is known to a hundredth; all of 60,000 and 400 themes take 25 seconds.
const OUTSIDE = 4000

/**
 * Settings for n topics. A theme's size grows with the square root of the number of topics (twice the firms bring more
 * themes as well as larger ones), so: minClusterSize · √(n / 3178), at least 3; minSamples keeps its ratio to it (.3), and
 * so does nNeighbors (1.5), but never beyond what was given, as time and memory go with it; the layout keeps fewer dimensions
 * than there are topics. m, 60,000 made topics of 200 planted themes: with 87 and 26 216 themes, ARI with the planted ones
 * .73; in an earlier version 20 and 6 found 671 (.40), 87 and 26 230 (.78).
 */
export function scaledRecipe<Recipe extends ThemeRecipe>(recipe: Recipe, n: number): Recipe {
  const size = Math.round(recipe.minClusterSize * Math.sqrt(n / MADE_FOR))
  const minClusterSize = Math.max(FEWEST_TOPICS, size)
  const share = minClusterSize / recipe.minClusterSize
  const nNeighbors = Math.max(Math.min(5, n), Math.round(recipe.nNeighbors * Math.min(1, share)))
  if ('resolution' in recipe) return { ...recipe, minClusterSize, nNeighbors }
  return {
    ...recipe,
    minClusterSize,
    minSamples: Math.max(1, Math.round(recipe.minSamples * share)),
    nNeighbors,
    nComponents: Math.max(2, Math.min(recipe.nComponents, n - 2)),
  }
}

/** How long the first clustering takes, in steps that `stepsDone` counts, and what they are. */
export function stepsOfThemes(recipe: ThemeRecipe): { steps: number; unit: string } {
  return 'resolution' in recipe
    ? { steps: recipe.ensemble + STARTS, unit: 'starts' }
    : { steps: recipe.epochs, unit: 'epochs' }
}

/** With fewer topics than this, at as many as n, there is nothing to tell apart: no themes. */
export function fewestForThemes(recipe: ThemeRecipe, n: number): number {
  return 2 * scaledRecipe(recipe, n).minClusterSize
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
  /** On shared memory: goes up by one with each of `stepsOfThemes`, the longest wait where topics are many. */
  stepsDone?: Int32Array | undefined
}

export type Themes = {
  /** Theme of each topic, from 0, or NOISE. */
  labels: Int32Array
  /** HDBSCAN's probability, or the cosine to the centroid where given to the nearest. */
  probabilities: Float64Array
  givenToNearest: Uint8Array
  count: number
  /** Part of its theme that a topic is in, numbered over all themes, or NOISE; undefined by a method that knows no parts. */
  parts: Int32Array | undefined
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

/** Rows of zeros (no known word) belong to none, and so do all where they are too few. */
export function clusterThemes({ vectors, n, d, recipe, seed, neighbors, stepsDone }: ThemeJob): Themes {
  const rows = rowsThatSaySomething(vectors, n, d)
  const scaled = scaledRecipe(recipe, rows.length)
  const found: Themes = {
    labels: new Int32Array(n).fill(NOISE),
    probabilities: new Float64Array(n),
    givenToNearest: new Uint8Array(n),
    count: 0,
    parts: undefined,
  }
  if (rows.length < fewestForThemes(recipe, rows.length)) return found
  const most = Math.max(scaled.minClusterSize, Math.floor(recipe.largestShare * n))
  const near = neighbors ?? neighborhoods(vectors, d, rows, scaled)
  for (const theme of split(vectors, d, rows, scaled, most, 'eom', seed, { neighbors: near, stepsDone })) {
    const kept = withdraw(vectors, d, rows, theme)
    if (kept.length < FEWEST_TOPICS) continue
    for (const { row, probability } of kept) {
      found.labels[row] = found.count
      found.probabilities[row] = probability
    }
    found.count++
  }
  if ('resolution' in scaled) found.parts = partsOfThemes(near, n, rows, found, scaled, seed)
  if (recipe.giveToNearest) giveToNearest(vectors, n, d, found, most)
  return found
}

// A part is a theme in small: a third of the least size keeps six topics in a quarter of 2,500.
const PART_OF_THEME = 1 / 3

/** Parts of the themes, each by its own graph; topics that are given to the nearest afterwards are in none. */
function partsOfThemes(
  neighbors: Neighbors,
  n: number,
  rows: readonly number[],
  { labels, count }: Themes,
  { resolution, minClusterSize }: CommunityThemes,
  seed: number,
): Int32Array {
  const graph = communityGraph(neighbors, rows.length)
  const ofTheme = rowsByLabel(
    Int32Array.from(rows, row => labels[row]),
    count,
  )
  const least = Math.max(FEWEST_TOPICS, Math.round(PART_OF_THEME * minClusterSize))
  const parts = new Int32Array(n).fill(NOISE)
  for (const [place, part] of partsOf(graph, ofTheme, resolution, least, seed).entries()) parts[rows[place]] = part
  return parts
}

type Member = { row: number; probability: number }
type FirstLayout = Pick<ThemeJob, 'neighbors' | 'stepsDone'>

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
  first: FirstLayout = {},
): Member[][] {
  const themes: Member[][] = []
  for (const theme of cluster(vectors, d, rows, recipe, method, seed, first)) {
    // A part that is one community is all that it was asked to part: HDBSCAN never gives that.
    if (theme.length <= most || (method === 'leaf' && theme.length === rows.length)) {
      themes.push(theme)
      continue
    }
    const own = theme.map(member => member.row)
    // By leaves from the second time on: excess of mass chose the large cluster, and would again.
    const parts = split(vectors, d, own, forPart(recipe, own.length), most, 'leaf', seedFrom(seed, own.length))
    if (parts.length > 1) themes.push(...parts)
    else themes.push(theme)
  }
  return themes
}

/**
 * A part is placed by neighbours of its own, of which there are fewer. Communities are parted by plain modularity: it is to come
 * apart and no more. m, a planted group of 16 among 102 topics: at a resolution of 2 it fell into pieces under the least size, and
 * up to half of it was in none; now of 42 planted in three groups 3 at most (eight seeds).
 */
function forPart(recipe: ThemeRecipe, n: number): ThemeRecipe {
  const nNeighbors = Math.min(recipe.nNeighbors, Math.max(2, Math.floor(n / 3)))
  if (!('resolution' in recipe)) return { ...recipe, nNeighbors }
  return { ...recipe, nNeighbors, resolution: 1 }
}

function cluster(
  vectors: Float32Array,
  d: number,
  rows: readonly number[],
  recipe: ThemeRecipe,
  method: 'eom' | 'leaf',
  seed: number,
  { neighbors, stepsDone }: FirstLayout,
): Member[][] {
  const n = rows.length
  const onStep = () => {
    if (stepsDone) Atomics.add(stepsDone, 0, 1)
  }
  const near = neighbors ?? neighborhoods(vectors, d, rows, recipe)
  const { labels, probabilities } =
    'resolution' in recipe
      ? // No least membership: at .4 of 2016Q3 .27 are in none, and seeds agree to .69, .55 after a tenth.
        groupsOf(communityGraph(near, n), recipe.resolution, { ...recipe, leastMembership: 0 }, seed, onStep)
      : byDensity(near, n, recipe, method, seed, onStep)
  const themes: Member[][] = []
  for (let i = 0; i < n; i++) {
    if (labels[i] === NOISE) continue
    themes[labels[i]] ??= []
    themes[labels[i]].push({ row: rows[i], probability: probabilities[i] })
  }
  return themes
}

function neighborhoods(vectors: Float32Array, d: number, rows: readonly number[], recipe: ThemeRecipe): Neighbors {
  return nearestNeighbors(tableOf(vectors, d, rows), rows.length, d, recipe.nNeighbors - 1, 'cosine')
}

function byDensity(
  neighbors: Neighbors,
  n: number,
  { nComponents, minDist, epochs, negativeSampleRate, minClusterSize, minSamples }: UmapThemes,
  method: 'eom' | 'leaf',
  seed: number,
  onEpoch: () => void,
) {
  const options = { nComponents, minDist, spread: 1, epochs, negativeSampleRate, seed, onEpoch }
  const layout = umapFromNeighbors(neighbors, n, options)
  return hdbscan(layout, n, nComponents, { minClusterSize, minSamples, clusterSelectionMethod: method })
}

/**
 * The members that lie nearer to the others of the theme than chance brings topics outside: those that do not leave it until
 * all that are left do. UMAP gives every topic its neighbours, however far they are, and in a layout that shows no distances
 * HDBSCAN takes a few topics that nothing resembles for a theme. m, without and with: of the firms in the themes of the planted
 * stories of 2024Q3 23 % and 16 % tell them not (twelve seeds); ARI after a tenth of the topics was taken away 2016Q3 .52 and .57,
 * 2016Q4 .40 and .52, between two seeds .80 and .81, .84 and .89 (six seeds).
 */
function withdraw(vectors: Float32Array, d: number, rows: readonly number[], theme: readonly Member[]): Member[] {
  for (let kept = [...theme]; ; ) {
    const near = nearerThanChance(vectors, d, rows, kept)
    if (near.length === kept.length || near.length < FEWEST_TOPICS) return near
    kept = near
  }
}

function nearerThanChance(vectors: Float32Array, d: number, rows: readonly number[], theme: Member[]): Member[] {
  const members = new Set(theme.map(member => member.row))
  const middle = centroid(vectors, d, [...members])
  const n = members.size
  const squared = dot(middle, 0, middle, 0, d)
  const step = Math.ceil(rows.length / OUTSIDE)
  const outside: number[] = []
  for (let i = 0; i < rows.length; i += step)
    if (!members.has(rows[i])) outside.push(dot(vectors, rows[i], middle, 0, d) / Math.sqrt(squared))
  if (outside.length === 0) return theme
  outside.sort((a, b) => a - b)
  const at = (share: number) => outside[Math.floor(share * outside.length)]
  // Where the theme is a part of a large group, the rest of the group is outside and near: then chance is what the lower half of
  // those outside says of it. It says too much where they are skewed: a transformer's cosines would leave 77 % in none, not 60.
  const least = Math.min(at(NEARER_THAN), at(0.5) + (DEVIATIONS / QUARTILE) * (at(0.5) - at(0.25)))
  return theme.filter(({ row }) => {
    // The centroid of the others, (n · middle - row) / (n - 1): its direction is all that counts.
    const along = n * dot(vectors, row, middle, 0, d)
    const others = n * n * squared - 2 * along + 1
    return others > 0 && (along - 1) / Math.sqrt(others) > least + ROUNDING
  })
}

/** Gives topics in none to the theme nearest to them (reassign.ts), in their order, until it is as large as may be. */
function giveToNearest(vectors: Float32Array, n: number, d: number, found: Themes, most: number): void {
  const membersOf: number[][] = Array.from({ length: found.count }, () => [])
  for (const [row, theme] of found.labels.entries()) if (theme !== NOISE) membersOf[theme].push(row)
  const centroids = membersOf.map(members => normalizeRows(centroid(vectors, d, members), 1, d))
  for (const [row, theme] of reassignNoise(vectors, n, d, found.labels, found.count, 'as near as its own').entries()) {
    if (theme === NOISE || membersOf[theme].length >= most) continue
    membersOf[theme].push(row)
    found.labels[row] = theme
    found.probabilities[row] = Math.min(1, dot(vectors, row, centroids[theme], 0, d)) // 1.0000001 for a copy of the others
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

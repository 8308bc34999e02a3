// How the themes of one quarter follow from those of an earlier one: which continued, split, merged, came and went.
// The transitions are MONIC's (Spiliopoulou, Ntoutsi, Theodoridis and Schult, KDD 2006), which counts the members that two
// clusterings share. Topics of two quarters are never the same ones, so here it is counted where they would belong.
// Leaves to others: how quarters are told apart and where they are kept (commands/lineage.ts).

import { dot } from './distance.ts'
import { centroid, normalizeRows } from './matrix.ts'

/** The themes of a quarter and the topics in them; topics in none say nothing about a theme. */
export type ThemesOfQuarter = {
  /** n × d, unit length: the embeddings of the topics in themes. */
  vectors: Float32Array
  n: number
  d: number
  /** Theme of each topic, from 0 to themes - 1. */
  themeOf: Int32Array
  themes: number
  /** Firm of each topic. */
  firmOf: readonly string[]
  /** All firms that have topics in the quarter, be they in no theme. */
  firms: ReadonlySet<string>
}

/** Two themes, one of each quarter, and what speaks for their being one. */
export type Evidence = {
  earlier: number
  later: number
  /** Cosine of the two centroids, -1 to 1. */
  similarity: number
  /** Share of the earlier theme's topics that would belong to the later one, 0 to 1. */
  topicsForward: number
  /** Share of the later theme's topics that would have belonged to the earlier one, 0 to 1. */
  topicsBack: number
  /** Topics of either that would belong to the other. */
  topicsInCommon: number
  /** Firms that have a topic in both. */
  firmsInCommon: number
  /** So many would have, if the firms with topics in both quarters were dealt out by chance. */
  firmsByChance: number
}

// A topic belongs to a theme whose centroid is the nearest, and no farther than nine tenths of the theme's own topics are. All of
// them would let one stray topic open the theme to everything; half would refuse half of the theme itself.
const OUTER_SHARE = 0.1
// Most of the topics: no number to be tuned, and no theme can send most of its topics to two others, nor get most from two.
const MOST = 0.5

/** Most of the topics of one of the two would be in the other. */
export function isLink({ topicsForward, topicsBack }: Evidence): boolean {
  return Math.max(topicsForward, topicsBack) > MOST
}

/**
 * Evidence for every pair of an earlier and a later theme, row by row: earlier × later. Looks at nothing but the two quarters,
 * so it gives the same on any day; shuffling topics or themes shuffles the answer with them.
 */
export function compareThemes(earlier: ThemesOfQuarter, later: ThemesOfQuarter): Evidence[][] {
  if (earlier.d !== later.d && earlier.n > 0 && later.n > 0)
    throw new RangeError(`topics of ${earlier.d} and of ${later.d} dimensions cannot be compared`)
  const [before, after] = [earlier, later].map(quarter => ({ ...quarter, ...rangesOf(quarter) }))
  const forward = countMoves(before, after)
  const back = countMoves(after, before)
  const inBoth = new Set([...earlier.firms].filter(firm => later.firms.has(firm)))
  const [firmsBefore, firmsAfter] = [earlier, later].map(quarter => firmsOfThemes(quarter, inBoth))
  return firmsBefore.map((ours, i) =>
    firmsAfter.map((theirs, j) => ({
      earlier: i,
      later: j,
      similarity: Math.max(-1, Math.min(1, dot(before.centroids, i, after.centroids, j, before.d))),
      topicsForward: before.sizes[i] === 0 ? 0 : forward[i][j] / before.sizes[i],
      topicsBack: after.sizes[j] === 0 ? 0 : back[j][i] / after.sizes[j],
      firmsInCommon: [...ours].filter(firm => theirs.has(firm)).length,
      topicsInCommon: forward[i][j] + back[j][i],
      // The mean of the hypergeometric distribution.
      firmsByChance: inBoth.size === 0 ? 0 : (ours.size * theirs.size) / inBoth.size,
    })),
  )
}

type Ranges = {
  /** themes × d, unit length. */
  centroids: Float64Array
  /** Cosine to its centroid that a topic must have to belong to a theme. */
  least: Float64Array
  /** Topics of each theme. */
  sizes: Int32Array
}

/** How far each theme reaches. */
function rangesOf({ vectors, n, d, themeOf, themes }: ThemesOfQuarter): Ranges {
  const rowsOf: number[][] = Array.from({ length: themes }, () => [])
  for (let i = 0; i < n; i++) rowsOf[themeOf[i]].push(i)
  const centroids = new Float64Array(themes * d)
  const least = new Float64Array(themes).fill(Number.POSITIVE_INFINITY)
  for (const [theme, rows] of rowsOf.entries()) {
    const middle = centroid(vectors, d, rows)
    centroids.set(normalizeRows(middle, 1, d), theme * d)
    const own = rows.map(row => cosineToOthers(vectors, d, row, middle, rows.length)).sort((a, b) => a - b)
    if (own.length > 0) least[theme] = own[Math.floor(OUTER_SHARE * own.length)]
  }
  return { centroids, least, sizes: Int32Array.from(rowsOf, rows => rows.length) }
}

/**
 * Cosine of a topic of n to the centroid of the others, n · middle - topic: as a topic of another quarter is measured, which is no
 * part of the centroid either. In a theme of ten, being a part of it is worth .05.
 */
function cosineToOthers(vectors: Float32Array, d: number, row: number, middle: Float64Array, n: number): number {
  const along = n * dot(vectors, row, middle, 0, d)
  const squared = n * n * dot(middle, 0, middle, 0, d) - 2 * along + 1
  return squared > 0 ? (along - 1) / Math.sqrt(squared) : 0
}

/** For each theme of `from` how many of its topics would belong to each theme of `to`. */
function countMoves(from: ThemesOfQuarter, to: ThemesOfQuarter & Ranges): number[][] {
  const moves = Array.from({ length: from.themes }, () => new Array<number>(to.themes).fill(0))
  for (let i = 0; i < from.n; i++) {
    let nearest = -1
    let nearestCosine = Number.NEGATIVE_INFINITY
    for (let theme = 0; theme < to.themes; theme++) {
      const cosine = dot(from.vectors, i, to.centroids, theme, from.d)
      if (cosine > nearestCosine) {
        nearest = theme
        nearestCosine = cosine
      }
    }
    if (nearest >= 0 && nearestCosine >= to.least[nearest]) moves[from.themeOf[i]][nearest]++
  }
  return moves
}

/** Of the wanted firms those that have a topic in each theme. */
function firmsOfThemes({ n, themeOf, themes, firmOf }: ThemesOfQuarter, wanted: ReadonlySet<string>): Set<string>[] {
  const firms = Array.from({ length: themes }, () => new Set<string>())
  for (let i = 0; i < n; i++) if (wanted.has(firmOf[i])) firms[themeOf[i]].add(firmOf[i])
  return firms
}

/** What became of a theme; `new` and `gone` show the nearest theme there was, which was not enough. */
export type LinkEvent = 'continued' | 'split' | 'merged' | 'new' | 'gone'
export type Link = Evidence & { event: LinkEvent }

export type Followed = {
  /** For each later theme the earlier one whose identity it carries on; undefined where it has one of its own. */
  heirOf: (number | undefined)[]
  links: Link[]
}

/**
 * What became of the themes of the earlier quarter, from the evidence of `compareThemes`. Several earlier ones that link to one
 * have merged; one that links to several has split; a link that is neither is a theme that continued. Where a theme splits and
 * its part merges with others the link says merged, and the other parts say split.
 * An identity passes along the links of most topics, each to one theme and from one, so that it is never there twice.
 */
export function followThemes(evidence: readonly (readonly Evidence[])[], laterThemes: number): Followed {
  const found = evidence.flat().filter(isLink)
  const children = countBy(found, link => link.earlier)
  const parents = countBy(found, link => link.later)
  const heirOf: Followed['heirOf'] = new Array(laterThemes).fill(undefined)
  const passedOn = new Set<number>()
  for (const { earlier, later } of found.toSorted(mostTopicsFirst)) {
    if (heirOf[later] !== undefined || passedOn.has(earlier)) continue
    heirOf[later] = earlier
    passedOn.add(earlier)
  }
  const links: Link[] = found.map(link => ({
    ...link,
    event: parents.has(link.later, 2) ? 'merged' : children.has(link.earlier, 2) ? 'split' : 'continued',
  }))
  for (let later = 0; later < laterThemes; later++) {
    const nearest = nearestOf(evidence.map(row => row[later]))
    if (!parents.has(later, 1) && nearest !== undefined) links.push({ ...nearest, event: 'new' })
  }
  for (const [earlier, row] of evidence.entries()) {
    const nearest = nearestOf(row)
    if (!children.has(earlier, 1) && nearest !== undefined) links.push({ ...nearest, event: 'gone' })
  }
  return { heirOf, links }
}

/**
 * Themes that were gone and are here again: of the pairs that are allowed the links of most topics, each theme once. It never takes
 * anything from a theme that follows from the quarter before.
 */
export function returnedThemes(allowed: readonly Evidence[]): Evidence[] {
  const taken = { earlier: new Set<number>(), later: new Set<number>() }
  return allowed
    .filter(isLink)
    .toSorted(mostTopicsFirst)
    .filter(({ earlier, later }) => {
      if (taken.earlier.has(earlier) || taken.later.has(later)) return false
      taken.earlier.add(earlier)
      taken.later.add(later)
      return true
    })
}

function mostTopicsFirst(a: Evidence, b: Evidence): number {
  return (
    b.topicsInCommon - a.topicsInCommon || b.similarity - a.similarity || a.earlier - b.earlier || a.later - b.later
  )
}

function nearestOf(pairs: readonly Evidence[]): Evidence | undefined {
  return pairs.toSorted((a, b) => b.similarity - a.similarity || a.earlier - b.earlier || a.later - b.later)[0]
}

function countBy(links: readonly Evidence[], key: (link: Evidence) => number) {
  const counts = new Map<number, number>()
  for (const link of links) counts.set(key(link), (counts.get(key(link)) ?? 0) + 1)
  return { has: (value: number, least: number) => (counts.get(value) ?? 0) >= least }
}

// Laws of themes: planted groups are found, none swallows the rest, what nothing resembles is in none, and the settings follow
// the number of topics.

import { describe, expect, it } from 'vitest'
import { NOISE } from '../../lib/math/hdbscan.ts'
import { normalizeRows } from '../../lib/math/matrix.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { createRandom } from '../../lib/math/random.ts'
import {
  clusterThemes,
  fewestForThemes,
  firstNeighborhoods,
  scaledRecipe,
  stepsOfThemes,
  THEME_COMMUNITIES,
  THEME_RECIPE,
  type ThemeRecipe,
} from '../../lib/math/themes.ts'

const D = 32

/** Unit rows around random directions, one group after the other; `spread` is the noise beside the direction. */
function planted(sizes: readonly number[], spread: number, seed = 1): { vectors: Float32Array; truth: number[] } {
  const random = createRandom(seed)
  const normal = () => Array.from({ length: 12 }, () => random.next()).reduce((sum, x) => sum + x, -6)
  const rows: number[] = []
  const truth: number[] = []
  for (const [group, size] of sizes.entries()) {
    const direction = Array.from({ length: D }, normal)
    for (let i = 0; i < size; i++) {
      rows.push(...direction.map(x => x + spread * normal()))
      truth.push(group)
    }
  }
  const n = truth.length
  return { vectors: Float32Array.from(normalizeRows(Float64Array.from(rows), n, D)), truth }
}

/** Cosine of a row to the mean of some rows. */
function cosineToMean(vectors: Float32Array, row: number, rows: readonly number[]): number {
  const mean = Array.from({ length: D }, (_, t) => rows.reduce((sum, i) => sum + vectors[i * D + t], 0) / rows.length)
  const product = mean.reduce((sum, x, t) => sum + x * vectors[row * D + t], 0)
  return product / Math.sqrt(mean.reduce((sum, x) => sum + x * x, 0))
}

describe.each<[string, ThemeRecipe]>([
  ['umap-hdbscan', THEME_RECIPE],
  ['communities', THEME_COMMUNITIES],
])('clusterThemes by %s', (_, recipe) => {
  function cluster(vectors: Float32Array, changes: Partial<ThemeRecipe> = {}, seed = 7) {
    return clusterThemes({
      vectors,
      n: vectors.length / D,
      d: D,
      recipe: { ...recipe, ...changes } as ThemeRecipe,
      seed,
    })
  }

  it('never mixes groups that lie apart, and finds each of them', () => {
    // It may see more than one theme in a group: with few topics three neighbours already make one.
    const { vectors, truth } = planted([6, 8, 10, 7, 9, 12, 30, 45], 0.3)
    const { labels, count } = cluster(vectors)
    const groupsOf = Array.from({ length: count }, () => new Set<number>())
    for (const [i, label] of labels.entries()) if (label !== NOISE) groupsOf[label].add(truth[i])
    expect(groupsOf.map(groups => groups.size)).toEqual(Array(count).fill(1))
    expect(new Set(groupsOf.flatMap(groups => [...groups])).size).toBe(8)
  })

  it('gives the same for the same seed', () => {
    const { vectors } = planted([20, 30, 25], 1)
    expect(cluster(vectors)).toEqual(cluster(vectors))
  })

  it('numbers themes from 0 without gaps, and none has under three topics of its own', () => {
    const { vectors } = planted([15, 15, 15, 15, 40], 1.2)
    const { labels, count, givenToNearest } = cluster(vectors)
    for (let theme = 0; theme < count; theme++) {
      const own = [...labels].filter((label, i) => label === theme && givenToNearest[i] === 0)
      expect(own.length).toBeGreaterThanOrEqual(3)
    }
  })

  it('keeps a topic only where it is nearer to the others of the theme than chance brings those outside', () => {
    // Three groups among sixty topics that nothing resembles, most of which UMAP and HDBSCAN alone put into themes.
    for (const seed of [1, 2, 3]) {
      const { vectors, truth } = planted([12, 14, 16, ...Array(60).fill(1)], 0.3, seed)
      const { labels, count } = cluster(vectors, { giveToNearest: false })
      expect(count).toBeGreaterThanOrEqual(3)
      for (let theme = 0; theme < count; theme++) {
        const all = [...labels.keys()]
        const members = all.filter(i => labels[i] === theme)
        const outside = all
          .filter(i => labels[i] !== theme)
          .map(i => cosineToMean(vectors, i, members))
          .sort((a, b) => a - b)
        const at = (share: number) => outside[Math.floor(share * outside.length)]
        // What one in twenty outside reaches, or would if they lay as their lower half does.
        const chance = Math.min(at(0.95), at(0.5) + (1.645 / 0.6745) * (at(0.5) - at(0.25)))
        for (const i of members) {
          const others = members.filter(other => other !== i)
          expect(cosineToMean(vectors, i, others)).toBeGreaterThan(chance)
        }
      }
      const shareIn = (from: number, to: number) => {
        const rows = [...labels.keys()].filter(i => truth[i] >= from && truth[i] < to)
        return rows.filter(i => labels[i] !== NOISE).length / rows.length
      }
      // A large group that is seen as several themes loses none for it. The group of 16 is more than 15 % of 102 topics: parted
      // again, communities may leave two or three of it over (eight seeds: 3 of the 42 at most).
      expect(shareIn(0, 3)).toBeGreaterThan('resolution' in recipe ? 0.9 : 0.95)
      // Communities leave fewer out: in 32 dimensions sixty topics are enough for some to lie near one another (eight seeds: .87 at most).
      expect(shareIn(3, 63)).toBeLessThan('resolution' in recipe ? 0.9 : 0.8)
    }
  })

  it('says of each topic how surely it belongs: 0 in none, up to 1 in a theme, the cosine where given to the nearest', () => {
    const { vectors } = planted([25, 25, 25], 1.5, 5)
    const { labels, probabilities, givenToNearest, count } = cluster(vectors)
    const all = [...labels.keys()]
    expect(givenToNearest.some(one => one === 1)).toBe(true)
    for (const i of all) {
      if (labels[i] === NOISE) expect(probabilities[i]).toBe(0)
      else expect(probabilities[i]).toBeGreaterThan(0)
      expect(probabilities[i]).toBeLessThanOrEqual(1)
    }
    for (let theme = 0; theme < count; theme++) {
      const own = all.filter(i => labels[i] === theme && givenToNearest[i] === 0)
      for (const i of all.filter(i => labels[i] === theme && givenToNearest[i] === 1))
        expect(probabilities[i]).toBeCloseTo(cosineToMean(vectors, i, own), 6)
      const middle = own.reduce((a, b) => (cosineToMean(vectors, a, own) > cosineToMean(vectors, b, own) ? a : b))
      // The heart of a theme has 1, by HDBSCAN; what it is by communities is said in community-topics.test.ts.
      if (!('resolution' in recipe)) expect(probabilities[middle]).toBeGreaterThan(0.9)
    }
  })

  it('has parts only with communities, which nest in themes, two or more to a theme and none of them of given topics', () => {
    const { vectors } = planted([60, 70, 80], 1.1, 9)
    const { labels, parts, givenToNearest } = cluster(vectors, { minClusterSize: 12 })
    expect(parts === undefined).toBe(!('resolution' in recipe))
    if (parts === undefined) return
    const themeOfPart = new Map<number, number>()
    for (const [i, part] of parts.entries()) {
      if (part === NOISE) continue
      expect(givenToNearest[i]).toBe(0)
      expect(themeOfPart.get(part) ?? labels[i]).toBe(labels[i])
      themeOfPart.set(part, labels[i])
    }
    const partsOfTheme = [...themeOfPart.values()].map(
      theme => [...themeOfPart.values()].filter(t => t === theme).length,
    )
    expect(partsOfTheme.length).toBeGreaterThan(0)
    expect(Math.min(...partsOfTheme)).toBeGreaterThanOrEqual(2)
  })

  it('gives a copy of what a theme says a probability of 1 and no more', () => {
    const { vectors } = planted([9, 9, 9, 9], 0)
    const { labels, probabilities } = cluster(vectors)
    expect(labels.some(label => label !== NOISE)).toBe(true)
    expect(Math.max(...probabilities)).toBeLessThanOrEqual(1)
  })

  it('splits a theme that holds more than the largest share, where it comes apart', () => {
    // Three groups that lie together, far from a fourth: excess of mass takes the three as one.
    const near = planted([40, 40, 40], 0.25, 3)
    const far = planted([30], 0.1, 4)
    const { vectors } = near
    for (let i = 0; i < vectors.length; i += D) vectors[i] += 3
    const all = new Float32Array(vectors.length + far.vectors.length)
    all.set(normalizeRows(vectors, 120, D))
    all.set(far.vectors, vectors.length)
    const whole = cluster(all, { largestShare: 1 })
    const split = cluster(all, { largestShare: 0.3 })
    const largest = ({ labels, count }: { labels: Int32Array; count: number }) =>
      Math.max(...Array.from({ length: count }, (_, theme) => labels.filter(label => label === theme).length))
    expect(largest(split)).toBeLessThanOrEqual(0.3 * 150)
    expect(split.count).toBeGreaterThanOrEqual(whole.count)
  })

  it('gives a topic in none to the nearest theme only where it lies as near as its own do, and says so', () => {
    const { vectors } = planted([25, 25, 25], 1.5, 5)
    const kept = cluster(vectors, { giveToNearest: false })
    const given = cluster(vectors)
    expect([...kept.givenToNearest].every(one => one === 0)).toBe(true)
    for (let i = 0; i < given.labels.length; i++) {
      if (kept.labels[i] !== NOISE) expect(given.labels[i]).toBe(kept.labels[i])
      else expect(given.givenToNearest[i]).toBe(given.labels[i] === NOISE ? 0 : 1)
    }
  })

  it('has no themes where there is too little to tell apart', () => {
    for (const n of [0, 1, 2, 5]) {
      const { labels, count } = cluster(planted([n], 0.1).vectors)
      expect(fewestForThemes(recipe, n)).toBe(6)
      expect(count).toBe(0)
      expect([...labels]).toEqual(Array(n).fill(NOISE))
    }
  })

  it('has no themes where all topics are alike: there is nothing to tell apart', () => {
    for (const n of [6, 12, 50, 200]) {
      const { labels, count } = cluster(planted([n], 0).vectors)
      expect(count).toBe(0)
      expect([...labels]).toEqual(Array(n).fill(NOISE))
    }
  })

  it('counts the epochs of the first layout, or the starts, as they go by, for who waits in another thread', () => {
    const { vectors } = planted([20, 30, 25], 1)
    const stepsDone = new Int32Array(new SharedArrayBuffer(4))
    const watched = clusterThemes({ vectors, n: 75, d: D, recipe, seed: 7, stepsDone })
    expect(stepsDone[0]).toBe(stepsOfThemes(recipe).steps)
    expect(watched).toEqual(cluster(vectors))
  })

  it('leaves topics whose text the model knows no word of in none', () => {
    const { vectors } = planted([12, 12, 12], 0.2)
    vectors.fill(0, 0, D)
    const { labels, count } = cluster(vectors)
    expect(labels[0]).toBe(NOISE)
    expect(count).toBeGreaterThanOrEqual(3)
  })

  it('is the same from neighbours that somebody else found, which are asked of the rows that say something', () => {
    // Groups wide enough that which neighbours a row has matters, so large that they are split, and rows of zeros between.
    const { vectors } = planted([60, 70, 80], 1.1, 9)
    for (const row of [0, 63, 64, 209]) vectors.fill(0, row * D, (row + 1) * D)
    const job = { vectors, n: 210, d: D, recipe: { ...recipe, largestShare: 0.3 }, seed: 7 }
    const { data, n, d, k, metric } = firstNeighborhoods(job)
    expect(n).toBe(206)
    const neighbors = nearestNeighbors(data, n, d, k, metric)
    const alone = clusterThemes(job)
    expect(clusterThemes({ ...job, neighbors })).toEqual(alone)
    // And they are used, not found again: others give other themes.
    const wrong = { ...neighbors, indices: neighbors.indices.map(index => (index + 77) % n) }
    expect(clusterThemes({ ...job, neighbors: wrong })).not.toEqual(alone)
  })
})

it('communities keep whole what is too large and does not come apart, such as copies, at any resolution', () => {
  const { vectors, truth } = planted([9, 9, 9, 9], 0)
  for (const resolution of [0.01, 1, 2]) {
    const recipe = { ...THEME_COMMUNITIES, largestShare: 0.05, resolution }
    expect([...clusterThemes({ vectors, n: 36, d: D, recipe, seed: 7 }).labels]).toEqual(truth)
  }
})

describe('scaledRecipe', () => {
  it('is the recipe itself at the size it was made for', () => {
    expect(scaledRecipe(THEME_RECIPE, 3178)).toEqual(THEME_RECIPE)
  })

  it('asks for larger themes of more topics, but for no more neighbours, which cost time', () => {
    const { minClusterSize, minSamples, nNeighbors } = THEME_RECIPE
    expect(scaledRecipe(THEME_RECIPE, 4 * 3178)).toEqual({
      ...THEME_RECIPE,
      minClusterSize: 2 * minClusterSize,
      minSamples: 2 * minSamples,
    })
    expect(scaledRecipe(THEME_RECIPE, 60_000)).toMatchObject({ minClusterSize: 87, minSamples: 26, nNeighbors })
  })

  it('goes with the square root of the number of topics, down to three', () => {
    expect(scaledRecipe(THEME_RECIPE, 3178 / 4).minClusterSize).toBe(10)
    expect(scaledRecipe(THEME_RECIPE, 98)).toMatchObject({ minClusterSize: 4, minSamples: 1, nNeighbors: 6 })
    expect(scaledRecipe(THEME_RECIPE, 10)).toMatchObject({ minClusterSize: 3, nComponents: 8 })
  })
})

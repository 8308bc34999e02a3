// What a firm's clustering promises, for every engine: few rows, equal rows, seeds; and what it finds.

import { describe, expect, it } from 'vitest'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import {
  type ClusterRecipe,
  clusterByCommunities,
  clusterExactly,
  engineOf,
  FIRM_COMMUNITIES,
  FIRM_RECIPE,
  type Method,
  NOISE,
} from '../../lib/math/engine.ts'
import { hdbscan } from '../../lib/math/hdbscan.ts'
import { umap } from '../../lib/math/umap.ts'
import { renamed } from './reference-cases.ts'
import { directions } from './tables.ts'

const quick: ClusterRecipe = { ...FIRM_RECIPE, epochs: 100 }
const methods: Method[] = [
  { engine: 'exact', recipe: quick },
  { engine: 'libraries', recipe: quick },
  { engine: 'communities', recipe: FIRM_COMMUNITIES },
]

for (const method of methods) {
  describe(`engine ${method.engine}`, async () => {
    const cluster = await engineOf(method)

    it('has an outcome for 0 to 20 rows, and calls all noise under twice the minimum size', () => {
      for (let n = 0; n <= 20; n++) {
        const { labels, probabilities } = cluster(directions(n, 8, 2, n + 1), n, 8, 1)
        expect(labels).toHaveLength(n)
        expect(probabilities).toHaveLength(n)
        if (n < 12) expect([...labels]).toEqual(new Array(n).fill(NOISE))
        for (let i = 0; i < n; i++) {
          expect(labels[i]).toBeGreaterThanOrEqual(NOISE)
          expect(probabilities[i]).toBeGreaterThanOrEqual(0)
          expect(probabilities[i]).toBeLessThanOrEqual(1)
          if (labels[i] === NOISE) expect(probabilities[i]).toBe(0)
        }
      }
    })

    it('gives equal rows equal answers, the ones they have without copies', () => {
      const rows = directions(60, 16, 4, 3)
      const single = cluster(rows, 60, 16, 5)
      // Every third row three times more, after the others.
      const copied = Array.from({ length: 60 }, (_, p) => 3 * (p % 20))
      const table = new Float32Array(120 * 16)
      table.set(rows)
      copied.forEach((row, place) => {
        table.set(rows.subarray(row * 16, (row + 1) * 16), (60 + place) * 16)
      })
      const found = cluster(table, 120, 16, 5)
      expect([...found.labels]).toEqual([...single.labels, ...copied.map(row => single.labels[row])])
      expect([...found.probabilities]).toEqual([
        ...single.probabilities,
        ...copied.map(row => single.probabilities[row]),
      ])
    })

    it('makes no topic of one sentence said fifty times', () => {
      const table = new Float32Array(50 * 4).fill(0.5)
      expect([...cluster(table, 50, 4, 1).labels]).toEqual(new Array(50).fill(NOISE))
    })

    it('gives the same for the same seed, topics numbered by their first row', () => {
      const rows = directions(80, 16, 5, 9)
      const { labels } = cluster(rows, 80, 16, 7)
      expect([...labels]).toEqual(renamed(labels))
      expect(cluster(rows, 80, 16, 7)).toEqual(cluster(rows, 80, 16, 7))
    })

    it('calls rows of zeros noise, sentences without a known word, and the others what they are without them', () => {
      const rows = directions(40, 8, 2, 2)
      rows.fill(0, 0, 8)
      rows.fill(0, 80, 88)
      rows.fill(0, 160, 168)
      const { labels, probabilities } = cluster(rows, 40, 8, 1)
      for (const i of [0, 10, 20]) expect([labels[i], probabilities[i]]).toEqual([NOISE, 0])
      const others = Array.from({ length: 40 }, (_, i) => i).filter(i => i % 10 !== 0 || i === 30)
      const table = Float32Array.from(others.flatMap(i => [...rows.subarray(8 * i, 8 * i + 8)]))
      const without = cluster(table, 37, 8, 1)
      expect(others.map(i => labels[i])).toEqual([...without.labels])
      expect(others.map(i => probabilities[i])).toEqual([...without.probabilities])
      expect(Math.max(...labels)).toBeGreaterThan(0)
    })

    it('gives copies the parts of the first, and zeros and noise none, where it has parts', () => {
      const rows = directions(90, 8, 3, 4, 0.9)
      rows.fill(0, 0, 8)
      rows.copyWithin(8 * 89, 8, 16)
      const { labels, parts } = cluster(rows, 90, 8, 1)
      expect(parts !== undefined).toBe(method.engine === 'communities')
      if (parts === undefined) return
      expect(parts).toHaveLength(90)
      expect(parts[0]).toBe(NOISE)
      expect(parts[89]).toBe(parts[1])
      expect(Math.max(...parts)).toBeGreaterThan(0)
      for (let i = 0; i < 90; i++) if (labels[i] === NOISE) expect(parts[i]).toBe(NOISE)
    })

    it('refuses what is no number', () => {
      const rows = directions(40, 8, 2, 2)
      rows[33] = Number.NaN
      expect(() => cluster(rows, 40, 8, 1)).toThrow(/index 33 \(row 4\)/)
    })
  })
}

describe('our engines', () => {
  it('find the groups that are there, whatever the seed', () => {
    const truth = Array.from({ length: 120 }, (_, i) => i % 6)
    const rows = directions(120, 64, 6, 8, 0.7)
    for (let seed = 1; seed <= 5; seed++) {
      const { labels } = clusterExactly(rows, 120, 64, { ...FIRM_RECIPE, selection: 'eom' }, seed)
      expect(adjustedRandIndex(truth, labels)).toBe(1)
      const byCommunities = clusterByCommunities(rows, 120, 64, { ...FIRM_COMMUNITIES, resolution: 1 }, seed)
      expect(adjustedRandIndex(truth, byCommunities.labels)).toBe(1)
    }
  })

  it('let HDBSCAN decide from twice the minimum size upward, and under it say what HDBSCAN would say', () => {
    for (let n = 2; n < 12; n++) {
      const layout = umap(directions(n, 8, 2, n), n, 8, { ...quick, metric: 'cosine', seed: 1 })
      const { labels } = hdbscan(layout, n, 10, { ...quick, clusterSelectionMethod: 'leaf' })
      expect([...labels]).toEqual(new Array(n).fill(NOISE))
    }
    const found = clusterExactly(directions(12, 8, 2, 1, 0.05), 12, 8, FIRM_RECIPE, 1)
    expect([...found.labels]).toEqual(Array.from({ length: 12 }, (_, i) => i % 2))
  })
})

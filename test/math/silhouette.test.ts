// The silhouette against scikit-learn's numbers, against its definition, and by its laws.

import { describe, expect, it } from 'vitest'
import { NOISE } from '../../lib/math/hdbscan.ts'
import { silhouette } from '../../lib/math/silhouette.ts'
import { directions, reordered, shuffled } from './tables.ts'

/** A table that Python can write down as well: eighths are exact in 32 bits. `pull` moves a row's group its own way. */
function table(n: number, d: number, labels: ArrayLike<number>, pull: number): Float32Array {
  const rows = Float32Array.from(
    { length: n * d },
    (_, p) => (((Math.floor(p / d) * 37 + (p % d) * 101 + Math.floor(p / d) * (p % d) * 17) % 23) - 11) / 8,
  )
  for (let i = 0; i < n; i++) if (labels[i] !== NOISE) rows[i * d + (labels[i] % d)] += pull
  return rows
}

function labelsOf(n: number, groups: number): number[] {
  return Array.from({ length: n }, (_, i) => (i % 9 === 4 ? NOISE : (i * 5 + Math.floor(i / 7)) % groups))
}

/** By the definition, pair by pair. */
function slowTwin(vectors: Float32Array, d: number, labels: ArrayLike<number>): number {
  const row = (i: number) => Array.from(vectors.subarray(i * d, (i + 1) * d))
  const product = (a: number[], b: number[]) => a.reduce((sum, x, t) => sum + x * b[t], 0)
  const distance = (i: number, j: number) => {
    const lengths = Math.sqrt(product(row(i), row(i)) * product(row(j), row(j)))
    return lengths === 0 ? 1 : 1 - product(row(i), row(j)) / lengths
  }
  const inside = Array.from(labels, (_, i) => i).filter(i => labels[i] !== NOISE)
  const mean = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length
  const toGroup = (i: number, group: number) =>
    mean(inside.filter(j => j !== i && labels[j] === group).map(j => distance(i, j)))
  return mean(
    inside.map(i => {
      if (inside.filter(j => labels[j] === labels[i]).length === 1) return 0
      const others = new Set(inside.map(j => labels[j]).filter(group => group !== labels[i]))
      const a = toGroup(i, labels[i])
      const b = Math.min(...[...others].map(group => toGroup(i, group)))
      return (b - a) / Math.max(a, b)
    }),
  )
}

describe('silhouette', () => {
  // silhouette_score(X[labels >= 0].astype(float64), labels[labels >= 0], metric='cosine') of scikit-learn 1.9.1.
  it.each([
    [40, 5, 4, 1.5, 0.14285543634975292],
    [60, 8, 7, 3, 0.49479299647517516],
    [30, 3, 2, 0, -0.04460044375905127],
  ])("is scikit-learn's for %i rows, %i columns, %i groups", (n, d, groups, pull, expected) => {
    const labels = labelsOf(n, groups)
    expect(silhouette(table(n, d, labels, pull), n, d, labels)).toBeCloseTo(expected, 9)
  })

  it("is scikit-learn's with a row alone in its group, a row of zeros, and gaps in the names of the groups", () => {
    const labels = labelsOf(20, 3)
    const rows = table(20, 4, labels, 2)
    labels[5] = 77
    rows.fill(0, 8 * 4, 9 * 4)
    expect(silhouette(rows, 20, 4, labels)).toBeCloseTo(0.18129645195915525, 9)
  })

  const n = 150
  const d = 16
  const rows = directions(n, d, 6, 3)
  const labels = Array.from({ length: n }, (_, i) => (i % 10 === 9 ? NOISE : i % 6))
  const value = silhouette(rows, n, d, labels) ?? Number.NaN

  it('is what the definition says, pair by pair', () => {
    expect(value).toBeCloseTo(slowTwin(rows, d, labels), 10)
    const random = labels.map((_, i) => (i * 7) % 5)
    expect(silhouette(rows, n, d, random)).toBeCloseTo(slowTwin(rows, d, random), 10)
  })

  it('knows no order of rows, no names of groups and no lengths of vectors', () => {
    const order = shuffled(n, 8)
    const other = silhouette(
      reordered(rows, d, order),
      n,
      d,
      order.map(i => labels[i]),
    )
    expect(other).toBeCloseTo(value, 10)
    const renamed = labels.map(label => (label === NOISE ? NOISE : 100 - label * 3))
    expect(silhouette(rows, n, d, renamed)).toBeCloseTo(value, 12)
    const longer = rows.map((x, p) => x * (1 + (Math.floor(p / d) % 4)))
    expect(silhouette(longer, n, d, labels)).toBeCloseTo(value, 6)
  })

  it('takes no notice of the vectors of noise', () => {
    const noisy = rows.slice()
    for (let i = 0; i < n; i++) if (labels[i] === NOISE) noisy.fill(i, i * d, (i + 1) * d)
    expect(silhouette(noisy, n, d, labels)).toBe(value)
  })

  it('is 1 for groups of equal rows apart, and 0 for the same row in two groups', () => {
    const corners = Float32Array.from([1, 0, 1, 0, 0, 1, 0, 1])
    expect(silhouette(corners, 4, 2, [0, 0, 1, 1])).toBe(1)
    const same = Float32Array.from({ length: 8 }, (_, p) => (p % 2 === 0 ? 0.3 : 0.7))
    expect(silhouette(same, 4, 2, [0, 0, 1, 1])).toBe(0)
  })

  it('is not defined for fewer than two groups', () => {
    expect(silhouette(rows, n, d, new Int32Array(n))).toBeUndefined()
    expect(silhouette(rows, n, d, new Int32Array(n).fill(NOISE))).toBeUndefined()
    expect(silhouette(new Float32Array(0), 0, d, [])).toBeUndefined()
  })

  it('refuses labels of other rows', () => {
    expect(() => silhouette(rows, n, d, [0, 1])).toThrow(/150 rows wanted, found 2/)
  })
})

// Tables: refusals that say where, unit rows, centroids.

import { describe, expect, it } from 'vitest'
import { dot, squaredDistance } from '../../lib/math/distance.ts'
import { centroid, normalizeRows, requireFinite, requireWhole } from '../../lib/math/matrix.ts'
import { directions } from './tables.ts'

describe('requireFinite', () => {
  it('names the place of what is no number, infinite, or too large to be squared', () => {
    for (const bad of [Number.NaN, Infinity, -Infinity, 1e200]) {
      const table = Float64Array.from([1, 2, 3, 4, bad, 6])
      expect(() => requireFinite(table, 3, 2)).toThrow(/index 4 \(row 2\)/)
      expect(() => requireFinite(table, 2, 2)).not.toThrow()
    }
  })

  it('refuses a table that is too short', () => {
    expect(() => requireFinite(new Float32Array(5), 3, 2)).toThrow(/3 × 2 wanted, but only 5/)
  })
})

it('requireWhole takes whole numbers from the least upward and nothing else', () => {
  expect(() => requireWhole('k', 2, 2)).not.toThrow()
  for (const bad of [1, 2.5, Number.NaN, Infinity]) expect(() => requireWhole('k', bad, 2)).toThrow(/k must be/)
})

it('normalizeRows gives length 1 and the same direction, and leaves zeros alone', () => {
  const unit = normalizeRows(Float32Array.from([3, 4, 0, 0, -1e-20, 0]), 3, 2)
  expect([...unit]).toEqual([expect.closeTo(0.6, 15), expect.closeTo(0.8, 15), 0, 0, -1, 0])
})

it('centroid is the mean of the chosen rows, and zeros for none', () => {
  const table = Float32Array.from([1, 2, 3, 4, 100, 100])
  expect([...centroid(table, 2, [0, 1])]).toEqual([2, 3])
  expect([...centroid(table, 2, [])]).toEqual([0, 0])
})

it('for unit rows the squared distance is twice one minus the dot product', () => {
  const rows = directions(20, 30, 3, 5)
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 20; j++) {
      expect(squaredDistance(rows, i, rows, j, 30)).toBeCloseTo(2 - 2 * dot(rows, i, rows, j, 30), 6)
    }
  }
})

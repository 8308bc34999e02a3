// The measures themselves, on cases that can be reckoned by hand and by definition.

import { describe, expect, it } from 'vitest'
import { adjustedRandIndex, knnAccuracy, trustworthiness, withoutTenth } from '../../lib/math/agreement.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { createRandom } from '../../lib/math/random.ts'
import { blobs } from './tables.ts'

describe('adjustedRandIndex', () => {
  it('is 1 for the same groups under other names, noise counted as a group', () => {
    expect(adjustedRandIndex([0, 0, 1, 1, -1], [5, 5, 2, 2, 0])).toBe(1)
    expect(adjustedRandIndex([], [])).toBe(1)
    expect(adjustedRandIndex([3, 3, 3], [1, 1, 1])).toBe(1)
  })

  it('is what Hubert and Arabie reckon', () => {
    // Pairs together in both: 2; in each: 4; of 15 pairs, so that chance gives 16/15.
    expect(adjustedRandIndex([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2])).toBeCloseTo((2 - 16 / 15) / (4 - 16 / 15), 12)
    expect(adjustedRandIndex([0, 0, 1, 1], [0, 1, 0, 1])).toBeCloseTo(-0.5, 12)
  })

  it('is near 0 for chance', () => {
    const random = createRandom(4)
    const draw = () => Array.from({ length: 5000 }, () => random.int(8))
    expect(Math.abs(adjustedRandIndex(draw(), draw()))).toBeLessThan(0.01)
  })

  it('refuses labellings of different lengths', () => {
    expect(() => adjustedRandIndex([1], [1, 2])).toThrow(/found 1 and 2/)
  })
})

describe('withoutTenth', () => {
  it('takes a tenth away and keeps the others in their order, each once', () => {
    for (const n of [0, 1, 4, 5, 10, 99, 250]) {
      const kept = [...withoutTenth(n, 7)]
      expect(kept).toHaveLength(n - Math.round(n / 10))
      expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b))
      expect(kept.every(row => row >= 0 && row < n)).toBe(true)
    }
  })

  it('takes the same for a seed, and others for another', () => {
    expect(withoutTenth(200, 1)).toEqual(withoutTenth(200, 1))
    expect(withoutTenth(200, 1)).not.toEqual(withoutTenth(200, 2))
  })

  it('takes every row equally often', () => {
    const n = 20
    const rounds = 4000
    const times = new Float64Array(n)
    for (let seed = 0; seed < rounds; seed++) for (const row of withoutTenth(n, seed)) times[row]++
    // Nine tenths of 4,000 is 3,600, give or take 19; six of these is chance no more.
    for (const count of times) expect(Math.abs(count - 0.9 * rounds)).toBeLessThan(6 * 19)
  })
})

describe('trustworthiness', () => {
  const points = blobs(60, 4, 3, 1)
  const all = nearestNeighbors(points, 60, 4, 59, 'euclidean')

  it('is 1 for a layout that is the data, or the data made larger', () => {
    expect(trustworthiness(all, points, 60, 4, 7)).toBe(1)
    expect(
      trustworthiness(
        all,
        points.map(x => 4 * x),
        60,
        4,
        7,
      ),
    ).toBe(1)
  })

  it('is 0 where the nearest in the layout are the farthest in the data', () => {
    // A ring of eight, k = 1: the neighbour in the layout has rank 7 of 7 everywhere, the worst that can be.
    const indices = Int32Array.from({ length: 56 }, (_, p) => (Math.floor(p / 7) + 7 - (p % 7)) % 8)
    const data = { indices, distances: new Float64Array(56), k: 7 }
    const line = Float64Array.from([0, 1, 10, 11, 20, 21, 30, 31])
    const worst = trustworthiness(data, line, 8, 1, 1)
    // Rows 0, 2, 4, 6 have the next row nearest, at rank 7; rows 1, 3, 5, 7 the row before, at rank 1.
    expect(worst).toBeCloseTo(1 - (2 / (8 * 1 * 12)) * 4 * 6, 12)
  })
})

it('knnAccuracy counts the rows that agree with most of their neighbours, themselves among them', () => {
  const line = Float64Array.from([0, 1, 2, 10, 11, 12, 100])
  expect(knnAccuracy(line, 7, 1, [0, 0, 0, 1, 1, 1, 1], 3)).toBe(1)
  // The fifth row's neighbours outvote it; the others keep a majority.
  expect(knnAccuracy(line, 7, 1, [0, 0, 0, 1, 0, 1, 1], 3)).toBeCloseTo(6 / 7, 12)
})

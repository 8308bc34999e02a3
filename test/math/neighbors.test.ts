// The blocked kernel against its twin, bit for bit; then ties, zeros and tables with hardly any rows.

import { describe, expect, it } from 'vitest'
import type { Metric } from '../../lib/math/distance.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { nearestNeighborsStraight } from '../../lib/math/straight.ts'
import { blobs, directions } from './tables.ts'

const metrics: Metric[] = ['cosine', 'euclidean', 'squared']

describe('nearestNeighbors', () => {
  for (const metric of metrics) {
    // Sizes around the group of four and the block: 256 columns make blocks of 32 rows, 3 columns blocks of thousands.
    for (const [n, d, k] of [
      [1, 5, 3],
      [2, 5, 3],
      [5, 3, 9],
      [63, 256, 7],
      [64, 256, 63],
      [65, 256, 15],
      [131, 3, 14],
    ]) {
      it(`gives for ${n} × ${d}, k = ${k}, ${metric}, the very bits of a full sort`, () => {
        for (const table of [blobs(n, d, 3, n), directions(n, d, 4, n)]) {
          const found = nearestNeighbors(table, n, d, k, metric)
          const wanted = nearestNeighborsStraight(table, n, d, k, metric)
          expect(found.k).toBe(wanted.k)
          expect(found.indices).toEqual(wanted.indices)
          expect(found.distances).toEqual(wanted.distances)
        }
      })
    }

    it(`breaks ties by the lower index, ${metric}`, () => {
      // Forty rows of four kinds: every distance occurs ten times.
      const table = Float32Array.from({ length: 80 }, (_, p) => [1, 1, 1, -1, 2, 0, 0, 3][p % 8])
      const found = nearestNeighbors(table, 40, 2, 12, metric)
      const wanted = nearestNeighborsStraight(table, 40, 2, 12, metric)
      expect(found).toEqual(wanted)
      expect([...found.indices.subarray(0, 9)]).toEqual([4, 8, 12, 16, 20, 24, 28, 32, 36])
      expect([...found.distances.subarray(0, 9)]).toEqual(new Array(9).fill(0))
    })
  }

  it('puts rows of zeros at cosine distance 1 from all but one another', () => {
    const { indices, distances } = nearestNeighbors(Float32Array.from([0, 0, 1, 0, 0, 0, -1, 0]), 4, 2, 3, 'cosine')
    expect([...indices.subarray(0, 3)]).toEqual([2, 1, 3])
    expect([...distances.subarray(0, 3)]).toEqual([0, 1, 1])
    expect([...distances.subarray(3, 6)]).toEqual([1, 1, 2])
  })

  it('gives nothing for no rows, for one row, and for no neighbours', () => {
    expect(nearestNeighbors(new Float32Array(0), 0, 4, 3, 'cosine').indices).toHaveLength(0)
    expect(nearestNeighbors(new Float32Array(4), 1, 4, 3, 'euclidean').indices).toHaveLength(0)
    expect(nearestNeighbors(new Float32Array(8), 2, 4, 0, 'squared').indices).toHaveLength(0)
  })

  it('refuses NaN and says where', () => {
    const table = Float32Array.from([1, 2, Number.NaN, 4])
    expect(() => nearestNeighbors(table, 2, 2, 1, 'cosine')).toThrow(/index 2 \(row 1\)/)
  })
})

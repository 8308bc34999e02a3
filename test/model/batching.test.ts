// Batches: every text once, within the budget, and back to its own place.

import { describe, expect, it } from 'vitest'
import { cutBatches, layOut, scatterRows, tokenBudget } from '../../lib/model/batching.ts'

// 2,000 lengths from 0 to 59 in no order, by a linear congruence, and a few giants among them.
const lengths = Array.from({ length: 2000 }, (_, i) => (i % 500 === 499 ? 900 : (i * 7919 + 13) % 60))

describe('cutting batches', () => {
  const batches = cutBatches(lengths, 1024)

  it('puts every text with tokens into exactly one batch, and one without into none', () => {
    const places = batches.flat().sort((a, b) => a - b)
    expect(places).toEqual([...lengths.keys()].filter(i => lengths[i] > 0))
  })

  it('keeps every batch within the budget of padded tokens', () => {
    for (const batch of batches) {
      const width = Math.ceil(Math.max(...batch.map(i => lengths[i])) / 4) * 4
      expect(batch.length * width).toBeLessThanOrEqual(1024)
    }
  })

  it('wastes little on padding, because texts of one length go together', () => {
    const real = lengths.reduce((sum, length) => sum + length, 0)
    const padded = batches.reduce((sum, batch) => sum + batch.length * Math.max(...batch.map(i => lengths[i])), 0)
    expect(padded / real).toBeLessThan(1.05)
  })

  it('runs the longest text first, where memory is needed most', () => {
    expect(lengths[batches[0][0]]).toBe(900)
  })

  it('gives a text over the budget a batch of its own', () => {
    expect(cutBatches([5, 3000, 5], 1024)).toEqual([[1], [0, 2]])
  })

  it('cuts nothing out of nothing', () => {
    expect(cutBatches([], 1024)).toEqual([])
    expect(cutBatches([0, 0], 1024)).toEqual([])
  })

  it('grows the budget with the threads, up to what memory allows', () => {
    expect(tokenBudget(2)).toBe(2 * tokenBudget(1))
    expect(tokenBudget(1024)).toBe(16_384)
  })
})

describe('laying out and scattering', () => {
  const ids = Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const starts = Int32Array.of(0, 5, 5, 8)

  it('pads rows with 0 to a width that is a multiple of four', () => {
    const batch = layOut(ids, starts, [0, 2])
    expect(batch.columns).toBe(8)
    expect([...batch.lengths]).toEqual([5, 3])
    expect([...batch.ids]).toEqual([1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 8, 0, 0, 0, 0, 0])
  })

  it('writes each row to all its places, and says how many', () => {
    const all = new Float32Array(8)
    expect(scatterRows(Float32Array.of(1, 2, 3, 4), [[3], [0, 2]], 2, all)).toBe(3)
    expect([...all]).toEqual([3, 4, 0, 0, 3, 4, 1, 2])
  })
})

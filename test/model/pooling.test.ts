// Pooling: padding has no say, and every vector has length 1.

import { describe, expect, it } from 'vitest'
import { normalizeRows, pool } from '../../lib/model/pooling.ts'

// Two texts of 1 and 2 tokens in 3 columns, d = 2; the padding holds rubbish on purpose.
const hidden = Float32Array.of(3, 4, 99, 99, 99, 99, 1, 0, 0, 1, 99, 99)
const lengths = Int32Array.of(1, 2)

describe('pooling', () => {
  it('takes the direction of the mean of the real tokens', () => {
    const vectors = pool(hidden, lengths, 3, 'mean')
    const expected = [0.6, 0.8, Math.SQRT1_2, Math.SQRT1_2]
    expect(vectors).toHaveLength(4)
    for (const [i, value] of expected.entries()) expect(vectors[i]).toBeCloseTo(value, 6)
  })

  it('takes the direction of the first token under cls', () => {
    const vectors = pool(hidden, lengths, 3, 'cls')
    for (const [i, value] of [0.6, 0.8, 1, 0].entries()) expect(vectors[i]).toBeCloseTo(value, 6)
  })

  it('leaves a zero vector zero instead of dividing by nothing', () => {
    expect([...normalizeRows(Float32Array.of(0, 0, 0, 5), 2)]).toEqual([0, 0, 0, 1])
  })
})

// exp and log of our own must be the real ones, to the last digit or nearly.

import { expect, it } from 'vitest'
import { exponential, logarithm } from '../../lib/math/elementary.ts'
import { createRandom } from '../../lib/math/random.ts'

it('agrees with Math.exp to four units in the last place', () => {
  const random = createRandom(1)
  for (let draw = 0; draw < 20_000; draw++) {
    const x = 1400 * random.next() - 700
    expect(Math.abs(exponential(x) / Math.exp(x) - 1)).toBeLessThan(1e-15)
  }
})

it('knows the ends: 1 at 0, nothing far below, infinity far above', () => {
  expect(exponential(0)).toBe(1)
  expect(exponential(-1e5)).toBe(0)
  expect(exponential(-Infinity)).toBe(0)
  expect(exponential(1e5)).toBe(Infinity)
})

it('agrees with Math.log over sixty orders of magnitude', () => {
  const random = createRandom(2)
  for (let draw = 0; draw < 5_000; draw++) {
    const x = 10 ** (60 * random.next() - 30)
    expect(Math.abs(logarithm(x) - Math.log(x))).toBeLessThan(1e-14 + 2e-15 * Math.abs(Math.log(x)))
  }
  expect(logarithm(1)).toBe(0)
})

// The generator must be the published one, and a seed must say all there is to say.

import { describe, expect, it } from 'vitest'
import { createRandom, seedFrom } from '../../lib/math/random.ts'

describe('createRandom', () => {
  it('draws the same from the same seed, and otherwise from another', () => {
    const [one, same, other] = [7, 7, 8].map(seed => {
      const random = createRandom(seed)
      return Array.from({ length: 50 }, () => random.next())
    })
    expect(same).toEqual(one)
    expect(other).not.toEqual(one)
  })

  it('is sfc32: state (a, b, c, counter) by its recurrence in whole numbers', () => {
    const two32 = 2n ** 32n
    let [a, b, c, counter] = [0n, 42n, 0n, 1n]
    function step(): bigint {
      const sum = (a + b + counter) % two32
      counter = (counter + 1n) % two32
      a = b ^ (b >> 9n)
      b = (c + (c << 3n)) % two32
      c = ((((c << 21n) % two32) | (c >> 11n)) + sum) % two32
      return sum
    }
    for (let round = 0; round < 12; round++) step()
    const random = createRandom(42)
    for (let draw = 0; draw < 1000; draw++) expect(random.next()).toBe(Number(step()) / 2 ** 32)
  })

  it('fills a list with what single draws would give', () => {
    const list = new Int32Array(100)
    createRandom(3).fill(list, 17)
    const random = createRandom(3)
    expect([...list]).toEqual(Array.from({ length: 100 }, () => random.int(17)))
  })

  it('spreads evenly: each of ten tenths gets 10,000 of 100,000 draws, within five standard deviations', () => {
    const random = createRandom(1)
    const counts = new Array<number>(10).fill(0)
    for (let draw = 0; draw < 100_000; draw++) counts[random.int(10)]++
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(5 * Math.sqrt(9000))
  })
})

describe('seedFrom', () => {
  it('gives the same seed for the same parts, a whole number of 32 bits', () => {
    const seed = seedFrom(42, 'ACME', '2024Q3')
    expect(seed).toBe(seedFrom(42, 'ACME', '2024Q3'))
    expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true)
  })

  it('tells apart order, borders and neighbours', () => {
    const seeds = [
      seedFrom('ab', 'c'),
      seedFrom('a', 'bc'),
      seedFrom('c', 'ab'),
      seedFrom('abc'),
      seedFrom(),
      seedFrom(''),
      seedFrom('', ''),
      seedFrom(1, 'ACME', '2024Q3'),
      seedFrom(1, 'ACME', '2024Q4'),
      seedFrom(2, 'ACME', '2024Q3'),
    ]
    expect(new Set(seeds).size).toBe(seeds.length)
  })

  it('does not collide over the firms of a real quarter more than chance would', () => {
    // 10,000 seeds of 32 bits: .012 collisions to be expected.
    const seeds = new Set(Array.from({ length: 10_000 }, (_, firm) => seedFrom(42, firm, '2024Q3')))
    expect(seeds.size).toBeGreaterThanOrEqual(9_999)
  })
})

// Random tables for the laws: seeded, so that a failure comes back.

import { shuffled as inRandomOrder } from '../../lib/math/layout.ts'
import { createRandom, type Random } from '../../lib/math/random.ts'

/** A number from the bell curve of width 1 (Box and Muller 1958). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

/**
 * n × d: groups of equal density around random centres within ±reach, the last tenth of the points strewn between
 * them.
 */
export function blobs(n: number, d: number, groups: number, seed: number, reach = 8): Float64Array {
  const random = createRandom(seed)
  const centres = Float64Array.from({ length: groups * d }, () => (2 * random.next() - 1) * reach)
  const points = new Float64Array(n * d)
  for (let i = 0; i < n; i++) {
    for (let t = 0; t < d; t++) {
      const strewn = (2 * random.next() - 1) * reach
      points[i * d + t] = i >= 0.9 * n ? strewn : centres[(i % groups) * d + t] + normal(random)
    }
  }
  return points
}

/** n × d unit rows around random directions: shaped like sentence vectors. */
export function directions(n: number, d: number, groups: number, seed: number, width = 0.5): Float32Array {
  const random = createRandom(seed)
  const centres = Float64Array.from({ length: groups * d }, () => normal(random))
  const rows = new Float32Array(n * d)
  for (let i = 0; i < n; i++) {
    const row = Array.from({ length: d }, (_, t) => centres[(i % groups) * d + t] + width * normal(random))
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0))
    for (let t = 0; t < d; t++) rows[i * d + t] = row[t] / length
  }
  return rows
}

/** The numbers 0 to n - 1 in random order (Fisher and Yates 1938). */
export function shuffled(n: number, seed: number): number[] {
  return [...inRandomOrder(n, createRandom(seed))]
}

/** The rows of an n × d table in another order. */
export function reordered<T extends Float32Array | Float64Array>(table: T, d: number, order: number[]): T {
  const copy = table.slice() as T
  order.forEach((row, place) => {
    copy.set(table.subarray(row * d, (row + 1) * d), place * d)
  })
  return copy
}

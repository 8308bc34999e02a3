// How far two rows are from one another; row a of a table starts at a * d.
// The sum runs in the order of the columns, here and in the blocked kernels: the same pair, the same bits.

import type { Table } from './matrix.ts'

/**
 * cosine: 1 - cosine of the angle. euclidean: straight line. squared: the square of that, for those who only compare.
 */
export type Metric = 'cosine' | 'euclidean' | 'squared'

/** Sum of the products of row i of one table and row j of another, d columns each. */
export function dot(left: Table, i: number, right: Table, j: number, d: number): number {
  let sum = 0
  for (let t = 0, a = i * d, b = j * d; t < d; t++) sum += left[a + t] * right[b + t]
  return sum
}

/** Sum of the squared differences of row i of one table and row j of another, d columns each. */
export function squaredDistance(left: Table, i: number, right: Table, j: number, d: number): number {
  let sum = 0
  for (let t = 0, a = i * d, b = j * d; t < d; t++) {
    const difference = left[a + t] - right[b + t]
    sum += difference * difference
  }
  return sum
}

/** Cosine distance from the dot product of two unit rows. */
export function cosineFromDot(product: number): number {
  const distance = 1 - product
  // Below 1e-12 it is the rounding of the products, not an angle: float32 rows cannot show angles under 1e-6, and
  // equal rows must be at 0.
  return distance < 1e-12 ? 0 : distance
}

// The few figures that several parts of the bench take of labels and of times.

import { NOISE } from '../../lib/math/engine.ts'

export function clustersIn(labels: ArrayLike<number>): number {
  return new Set(Array.from(labels).filter(label => label !== NOISE)).size
}

/** Share of the rows that are in no cluster. */
export function noiseIn(labels: ArrayLike<number>): number {
  return Array.from(labels).filter(label => label === NOISE).length / labels.length
}

/** Share of all rows that the largest cluster holds. */
export function largestIn(labels: ArrayLike<number>): number {
  const sizes = new Map<number, number>()
  for (const label of Array.from(labels)) if (label !== NOISE) sizes.set(label, (sizes.get(label) ?? 0) + 1)
  return Math.max(0, ...sizes.values()) / labels.length
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/** The value that so large a share of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

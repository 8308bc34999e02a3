// The map of topics: places in two dimensions for people to look at, such that topics about the same lie side by side.
// UMAP with the defaults of umap-learn, and nothing of the themes in it: where one looks like an island, it is one.
// Leaves to others what stands for a topic, and the drawing.

import { dot } from './distance.ts'
import type { Neighbors } from './neighbors.ts'
import { umap, umapFromNeighbors } from './umap.ts'

/**
 * umap-learn's defaults for 2 dimensions, but for its epochs: ours are steps of another kind (layout.ts). m, 2,673 topics of
 * 2016Q3, share of a topic's ten nearest on the map that are of its theme (among the vectors: .63): .66; a least distance of
 * 0 .69, where topics cover one another; 30 neighbours .66; a rate of 2 .56; 200 epochs .62.
 */
export const MAP_RECIPE = {
  nNeighbors: 15,
  nComponents: 2,
  minDist: 0.1,
  epochs: 500,
  negativeSampleRate: 5,
}

export type MapJob = {
  /** n × d */
  vectors: Float32Array
  n: number
  d: number
  seed: number
  /** The answer to `mapNeighborhoods` where it is known already; otherwise it is found here. */
  neighbors?: Neighbors | undefined
  /** On shared memory: goes up by one with each epoch. */
  epochsDone?: Int32Array | undefined
}

/** The question the map begins with, which an accelerator answers sooner; its rows are those that have a direction. */
export function mapNeighborhoods({ vectors, n, d }: Pick<MapJob, 'vectors' | 'n' | 'd'>) {
  const rows = rowsWithDirection(vectors, n, d)
  const data = new Float32Array(rows.length * d)
  for (const [i, row] of rows.entries()) data.set(vectors.subarray(row * d, (row + 1) * d), i * d)
  return { data, n: rows.length, d, k: MAP_RECIPE.nNeighbors - 1, metric: 'cosine' as const } // UMAP counts the row itself
}

/**
 * n × 2, from 0 to 1. Both axes have one scale, or the same distance would mean two things: the longer side of the map fills
 * its axis, the shorter one lies in the middle of its own. Rows of zeros (no known word) are near nothing, and wait in the
 * corner at 0, 0.
 */
export function placesOnMap({ vectors, n, d, seed, neighbors, epochsDone }: MapJob): Float32Array {
  const places = new Float32Array(2 * n)
  const rows = rowsWithDirection(vectors, n, d)
  const options = { ...MAP_RECIPE, seed, onEpoch: () => epochsDone && Atomics.add(epochsDone, 0, 1) }
  const layout = neighbors
    ? umapFromNeighbors(neighbors, rows.length, options)
    : umap(mapNeighborhoods({ vectors, n, d }).data, rows.length, d, { ...options, metric: 'cosine' })
  const low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  const high = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const [p, value] of layout.entries()) {
    low[p % 2] = Math.min(low[p % 2], value)
    high[p % 2] = Math.max(high[p % 2], value)
  }
  const longer = Math.max(high[0] - low[0], high[1] - low[1])
  for (const [i, row] of rows.entries())
    for (const axis of [0, 1]) {
      const fromMiddle = layout[2 * i + axis] - (low[axis] + high[axis]) / 2
      const place = longer > 0 ? 0.5 + fromMiddle / longer : 0.5 // a single topic
      places[2 * row + axis] = Math.min(1, Math.max(0, place)) // what rounding brings beyond
    }
  return places
}

function rowsWithDirection(vectors: Float32Array, n: number, d: number): number[] {
  const rows: number[] = []
  for (let i = 0; i < n; i++) if (dot(vectors, i, vectors, i, d) > 0) rows.push(i)
  return rows
}

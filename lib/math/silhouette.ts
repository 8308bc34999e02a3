// How well groups stand apart in the space of the vectors themselves (Rousseeuw 1987), by cosine distance.
// Here because a layout flatters the clustering that was made on it; the embeddings do not.
// Left to others: what counts as good.

import { cosineFromDot, dot } from './distance.ts'
import { NOISE } from './hdbscan.ts'
import { normalizeRows } from './matrix.ts'

/**
 * Mean over the rows that are in a group (label other than NOISE) of (b - a) / max(a, b): a is the mean distance to
 * the others of the row's own group, b the mean distance to the nearest other group. 1 is far apart, 0 is touching,
 * below 0 is nearer to another group than to its own. A row alone in its group counts 0 (Rousseeuw's convention).
 * Undefined with fewer than two groups. vectors: n × d, of any length; a row of zeros is at 1 from every other.
 */
export function silhouette(vectors: Float32Array, n: number, d: number, labels: ArrayLike<number>): number | undefined {
  if (labels.length !== n) throw new RangeError(`a label for each of ${n} rows wanted, found ${labels.length}`)
  const unit = normalizeRows(vectors, n, d)
  const { groupOfRow, sizes, rows } = groupsOf(labels)
  const groups = sizes.length
  if (groups < 2) return undefined
  // Cosine distance is linear in each of its rows once they have length 1, so the mean distance to a group needs only
  // the sum of its rows: n · groups · d steps where all pairs would be n · n · d.
  const sums = new Float64Array(groups * d)
  for (const i of rows) for (let t = 0; t < d; t++) sums[groupOfRow[i] * d + t] += unit[i * d + t]
  let total = 0
  for (const i of rows) {
    const own = groupOfRow[i]
    if (sizes[own] === 1) continue
    let nearest = Number.POSITIVE_INFINITY
    for (let group = 0; group < groups; group++) {
      if (group === own) continue
      nearest = Math.min(nearest, cosineFromDot(dot(unit, i, sums, group, d) / sizes[group]))
    }
    const others = dot(unit, i, sums, own, d) - dot(unit, i, unit, i, d)
    const inside = cosineFromDot(others / (sizes[own] - 1))
    const larger = Math.max(inside, nearest)
    // Both are 0 where the same row is in two groups: neither near nor far.
    if (larger > 0) total += (nearest - inside) / larger
  }
  return total / rows.length
}

/** Groups numbered from 0 in the order of their first rows, their sizes, and the rows that are in one. */
function groupsOf(labels: ArrayLike<number>): { groupOfRow: Int32Array; sizes: number[]; rows: number[] } {
  const groupOfLabel = new Map<number, number>()
  const groupOfRow = new Int32Array(labels.length).fill(NOISE)
  const sizes: number[] = []
  const rows: number[] = []
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === NOISE) continue
    const group = groupOfLabel.get(labels[i]) ?? groupOfLabel.size
    groupOfLabel.set(labels[i], group)
    groupOfRow[i] = group
    sizes[group] = (sizes[group] ?? 0) + 1
    rows.push(i)
  }
  return { groupOfRow, sizes, rows }
}

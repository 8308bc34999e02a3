// A table of numbers is one flat typed array, row by row: row i of an n × d table is [i * d, (i + 1) * d).
// Here: the few things every kernel does with one. Left to others: what the rows mean.

export type Table = Float32Array | Float64Array

/**
 * Throws a RangeError that names the first place of an n × d table that is NaN, infinite, or too large to be squared.
 */
export function requireFinite(data: Table, n: number, d: number): void {
  if (data.length < n * d) throw new RangeError(`table of ${n} × ${d} wanted, but only ${data.length} numbers given`)
  for (let p = 0; p < n * d; p++) {
    // The square of 1e150 still leaves room to add 1e8 of them; NaN fails every comparison.
    if (!(Math.abs(data[p]) <= 1e150)) {
      throw new RangeError(`finite number wanted at index ${p} (row ${Math.floor(p / d)}), found ${data[p]}`)
    }
  }
}

/** Throws a RangeError unless the value, which the caller knows by this name, is a whole number from `least` upward. */
export function requireWhole(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number from ${least} upward, found ${value}`)
  }
}

/** The rows of an n × d table at length 1, as doubles; a row of zeros has no direction and stays as it is. */
export function normalizeRows(data: Table, n: number, d: number): Float64Array {
  const unit = new Float64Array(n * d)
  for (let i = 0; i < n; i++) {
    let squared = 0
    for (let t = i * d; t < (i + 1) * d; t++) squared += data[t] ** 2
    const scale = squared > 0 ? 1 / Math.sqrt(squared) : 0
    for (let t = i * d; t < (i + 1) * d; t++) unit[t] = data[t] * scale
  }
  return unit
}

/** Mean of the chosen rows of a table with d columns, d numbers; of no rows, zeros. */
export function centroid(data: Table, d: number, rows: ArrayLike<number>): Float64Array {
  const mean = new Float64Array(d)
  for (let r = 0; r < rows.length; r++) {
    const start = rows[r] * d
    for (let t = 0; t < d; t++) mean[t] += data[start + t] / rows.length
  }
  return mean
}

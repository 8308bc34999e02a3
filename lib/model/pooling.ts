// From one vector a token to one vector a text, always of length 1.
// For the graphs that graph-pooling.ts leaves alone; costs up to 4 % of the time on a CPU.
// Sums are float64 in a fixed order, so that a text's vector does not depend on the texts beside it.

/** mean: every token counts the same; cls: the first token stands for the text. */
export type Pooling = 'mean' | 'cls'

/**
 * hidden: rows × columns × d, row-major; lengths: how many leading columns of each row are real.
 * Returns rows × d. The mean's division by the length is left out: scaling to length 1 takes it away again.
 */
export function pool(hidden: Float32Array, lengths: Int32Array, columns: number, pooling: Pooling): Float32Array {
  const rows = lengths.length
  const d = hidden.length / (rows * columns)
  const vectors = new Float32Array(rows * d)
  const sum = new Float64Array(d)
  for (let row = 0; row < rows; row++) {
    const count = pooling === 'cls' ? 1 : lengths[row]
    sum.fill(0)
    for (let column = 0; column < count; column++) {
      const start = (row * columns + column) * d
      for (let j = 0; j < d; j++) sum[j] += hidden[start + j]
    }
    writeUnit(sum, vectors, row * d)
  }
  return vectors
}

/** Scales every row of `vectors` (rows × d) to length 1; a zero row stays zero. */
export function normalizeRows(vectors: Float32Array, d: number): Float32Array {
  const unit = new Float32Array(vectors.length)
  for (let start = 0; start < vectors.length; start += d) writeUnit(vectors.subarray(start, start + d), unit, start)
  return unit
}

function writeUnit(vector: Float32Array | Float64Array, out: Float32Array, start: number): void {
  let squares = 0
  for (let j = 0; j < vector.length; j++) squares += vector[j] * vector[j]
  if (squares === 0) return
  const scale = 1 / Math.sqrt(squares)
  for (let j = 0; j < vector.length; j++) out[start + j] = vector[j] * scale
}

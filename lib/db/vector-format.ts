// pgvector's wire formats: binary for COPY and for reading back, text for parameters.
// Written here because the pgvector package refuses a Float32Array, and because text costs five times the bytes (8.2 KB
// against 1.5 KB a row of 384) and, read back, four times the time.
// Binary layout (vector_recv and vector_send in pgvector's vector.c): int16 dimension, int16 unused, then float4 in network order.
// Every machine that Node runs on here (x64, arm64) is little-endian, so values are copied whole and then swapped.

const HEADER_BYTES = 4

/** Bytes of a vector with d values in pgvector's binary format. */
export function vectorBytes(d: number): number {
  return HEADER_BYTES + 4 * d
}

/** Writes the vector's binary format into `target` from `offset` on; returns the offset behind it. */
export function encodeVector(vector: Float32Array, target: Buffer, offset: number): number {
  refuseUnstorable(vector)
  const d = vector.length
  const end = offset + vectorBytes(d)
  target.writeInt16BE(d, offset)
  target.writeInt16BE(0, offset + 2)
  const values = target.subarray(offset + HEADER_BYTES, end)
  values.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
  values.swap32()
  return end
}

/** Reads what `vector_send(embedding)` returned into `matrix` from `offset` on; returns the number of values read. */
export function decodeVectorInto(bytes: Buffer, matrix: Float32Array, offset: number): number {
  const d = bytes.length < HEADER_BYTES ? 0 : bytes.readInt16BE(0)
  if (bytes.length !== vectorBytes(d))
    throw new RangeError(`not a vector: ${bytes.length} bytes for ${d} values, wanted ${vectorBytes(d)}`)
  if (offset + d > matrix.length)
    throw new RangeError(`a vector of ${d} values does not fit at ${offset} of a matrix of ${matrix.length}`)
  const values = Buffer.from(matrix.buffer, matrix.byteOffset + 4 * offset, 4 * d)
  values.set(bytes.subarray(HEADER_BYTES))
  values.swap32()
  return d
}

/** The vector as a parameter, `[0.1,-0.25]`: each number in the fewest digits that give the same float back. */
export function vectorText(vector: Float32Array): string {
  refuseUnstorable(vector)
  return `[${Array.from(vector, shortestFloat).join(',')}]`
}

const FLOAT_DIGITS = 9 // nine significant digits tell any two floats apart (IEEE 754, 24 bits of mantissa)

function shortestFloat(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  for (let digits = 1; digits < FLOAT_DIGITS; digits++) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return String(rounded)
  }
  return String(Number(value.toPrecision(FLOAT_DIGITS)))
}

function refuseUnstorable(vector: Float32Array): void {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += vector[i] * 0 // NaN as soon as one value is NaN or infinite
  if (sum === 0) return
  const at = vector.findIndex(value => !Number.isFinite(value))
  throw new RangeError(
    `value ${at + 1} of ${vector.length} in a vector is ${vector[at]}; pgvector stores finite numbers only`,
  )
}

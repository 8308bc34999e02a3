// pgvector's binary and text forms: there and back, and what is refused.

import { describe, expect, it } from 'vitest'
import { decodeVectorInto, encodeVector, vectorBytes, vectorText } from '../../lib/db/vector-format.ts'

/** Finite floats from all over the range: every exponent, both signs, the smallest, the largest, both zeros. */
function allSortsOfFloats(): Float32Array {
  const bits = Uint32Array.from({ length: 4000 }, (_, i) => Math.imul(i, 2654435761) >>> 0)
  const edges = [
    0,
    -0,
    1,
    -1,
    0.1,
    1 / 3,
    16777217,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1.401298464324817e-45,
  ]
  return Float32Array.from([...new Float32Array(bits.buffer), ...edges].filter(Number.isFinite))
}

function bitsOf(vector: Float32Array): Uint32Array {
  return new Uint32Array(vector.slice().buffer)
}

describe('the binary format', () => {
  it('gives back every finite float bit for bit, the denormal ones and -0 too', () => {
    const vector = allSortsOfFloats()
    const bytes = Buffer.alloc(vectorBytes(vector.length))
    expect(encodeVector(vector, bytes, 0)).toBe(bytes.length)
    const back = new Float32Array(vector.length)
    expect(decodeVectorInto(bytes, back, 0)).toBe(vector.length)
    expect(bitsOf(back)).toEqual(bitsOf(vector))
  })

  it('is dimension, an unused word, and floats in network order', () => {
    const bytes = Buffer.alloc(vectorBytes(2))
    encodeVector(Float32Array.of(1, -2), bytes, 0)
    expect(bytes.toString('hex')).toBe('00020000' + '3f800000' + 'c0000000')
  })

  it('reads and writes at any offset and leaves what is around alone', () => {
    const whole = Float32Array.of(9, 1, 2, 3, 9)
    const bytes = Buffer.alloc(3 + vectorBytes(3) + 2, 7)
    expect(encodeVector(whole.subarray(1, 4), bytes, 3)).toBe(3 + vectorBytes(3))
    expect([bytes.subarray(0, 3), bytes.subarray(-2)].flatMap(part => [...part])).toEqual([7, 7, 7, 7, 7])
    const matrix = Float32Array.of(5, 5, 5, 5, 5, 5)
    decodeVectorInto(bytes.subarray(3, -2), matrix.subarray(1), 1)
    expect([...matrix]).toEqual([5, 5, 1, 2, 3, 5])
  })

  it.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ])('refuses %s and says where it is', value => {
    const vector = Float32Array.of(1, 2, value, 4)
    expect(() => encodeVector(vector, Buffer.alloc(100), 0)).toThrow(`value 3 of 4 in a vector is ${value}`)
    expect(() => vectorText(vector)).toThrow(`value 3 of 4 in a vector is ${value}`)
  })

  it('refuses bytes that are no vector, and a vector that does not fit', () => {
    const bytes = Buffer.alloc(vectorBytes(3))
    encodeVector(Float32Array.of(1, 2, 3), bytes, 0)
    expect(() => decodeVectorInto(bytes.subarray(1), new Float32Array(3), 0)).toThrow(RangeError)
    expect(() => decodeVectorInto(Buffer.alloc(0), new Float32Array(3), 0)).toThrow(RangeError)
    expect(() => decodeVectorInto(bytes, new Float32Array(5), 3)).toThrow(RangeError)
  })
})

describe('the text format', () => {
  it('gives back every finite float, -0 too', () => {
    const vector = allSortsOfFloats()
    const back = Float32Array.from(vectorText(vector).slice(1, -1).split(','), Number)
    expect(bitsOf(back)).toEqual(bitsOf(vector))
  })

  it('writes no digit that is not needed', () => {
    expect(vectorText(Float32Array.of(0.1, -0.25, 1e10, 1.401298464324817e-45, -0, 1 / 3))).toBe(
      '[0.1,-0.25,10000000000,1e-45,-0,0.33333334]',
    )
  })
})

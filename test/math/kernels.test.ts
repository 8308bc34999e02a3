// The compiled kernels: that they are the compiled source, the room they work in, and the one that no other test has a twin for.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { compileKernels } from '../../bin/compile-kernels.ts'
import { kernels, takeRoom } from '../../lib/math/kernels.ts'
import { createRandom } from '../../lib/math/random.ts'

it('compiling kernels.as.ts again gives the committed bytes', async () => {
  const committed = readFileSync(new URL('../../lib/math/kernels-compiled.ts', import.meta.url), 'utf8')
  expect(await compileKernels()).toBe(committed)
})

it('room beyond what addresses reach is refused in words, and the room that is there stays', () => {
  const { memory } = kernels()
  const before = memory.buffer.byteLength
  expect(() => takeRoom({ table: 5 * 2 ** 30 })).toThrow(/needs 5121 MB .* 4096 MB at most: take fewer rows/)
  expect(memory.buffer.byteLength).toBe(before)
  expect(takeRoom({ one: 5 }).one).toBe(16)
})

it('room is zero and in whole vectors, also where it was used before, and grows as it is asked for', () => {
  const { memory } = kernels()
  const first = takeRoom({ one: 5, other: 40 })
  new Uint8Array(memory.buffer, first.one, 5).fill(7)
  const again = takeRoom({ one: 5, other: 40, large: 300_000 })
  expect(again.one).toBe(first.one)
  for (const address of Object.values(again)) expect(address % 16).toBe(0)
  expect(again.other - again.one).toBe(16)
  expect(memory.buffer.byteLength).toBeGreaterThanOrEqual(again.large + 300_000)
  expect(new Uint8Array(memory.buffer, again.one, 5)).toEqual(new Uint8Array(5))
})

it('spread multiplies with a symmetric matrix of which the edges are one half, as its definition reads', () => {
  const [n, stride] = [50, 12]
  const random = createRandom(3)
  const edges = Array.from({ length: 200 }, () => ({ i: random.int(n), j: random.int(n), strength: random.next() }))
  const at = takeRoom({ values: 4 * n * stride, next: 4 * n * stride, from: 800, to: 800, strength: 800 })
  const { memory, spread } = kernels()
  const values = new Float32Array(memory.buffer, at.values, n * stride).map(() => random.next() - 0.5)
  new Float32Array(memory.buffer, at.values).set(values)
  new Int32Array(memory.buffer, at.from).set(edges.map(edge => edge.i))
  new Int32Array(memory.buffer, at.to).set(edges.map(edge => edge.j))
  new Float32Array(memory.buffer, at.strength).set(edges.map(edge => edge.strength))
  spread(at.values, at.next, stride, at.from, at.to, at.strength, edges.length)
  const wanted = new Float64Array(n * stride)
  for (const { i, j, strength } of edges) {
    for (let t = 0; t < stride; t++) {
      wanted[i * stride + t] += strength * values[j * stride + t]
      wanted[j * stride + t] += strength * values[i * stride + t]
    }
  }
  const found = new Float32Array(memory.buffer, at.next, n * stride)
  for (const [p, value] of wanted.entries()) expect(Math.abs(found[p] - value)).toBeLessThan(1e-5)
})

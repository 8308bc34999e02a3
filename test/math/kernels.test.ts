// The compiled kernels: that they are the compiled source, and that the room they work in is zeroed and grows.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { compileKernels } from '../../bin/compile-kernels.ts'
import { kernels, takeRoom } from '../../lib/math/kernels.ts'

it('compiling kernels.as.ts again gives the committed bytes', async () => {
  const committed = readFileSync(new URL('../../lib/math/kernels-compiled.ts', import.meta.url), 'utf8')
  expect(await compileKernels()).toBe(committed)
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

// Where the neighbours of many topics come from: the device, or the plain kernel where it fails or would not pay.

import { expect, it, vi } from 'vitest'
import { neighborsFor } from '../../commands/aggregate.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { firstNeighborhoods, THEME_RECIPE, type ThemeJob } from '../../lib/math/themes.ts'
import { DEVICE_PAYS, nearestNeighborsOnDevice } from '../../lib/model/nearest.ts'
import { directions } from '../math/tables.ts'

const d = 8
const jobOf = (n: number): ThemeJob => ({ vectors: directions(n, d, 5, 1), n, d, recipe: THEME_RECIPE, seed: 1 })

/** What was said on stderr meanwhile. */
async function saidDuring<Result>(work: () => Promise<Result>): Promise<{ result: Result; said: string }> {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    const result = await work()
    return { result, said: stderr.mock.calls.map(([text]) => String(text)).join('') }
  } finally {
    stderr.mockRestore()
  }
}

it('a device that fails costs one warning that says why, and leaves the neighbours to the plain kernel', async () => {
  // No such number of threads: what fails is the device itself.
  const { result, said } = await saidDuring(() =>
    neighborsFor(jobOf(DEVICE_PAYS), 2, (question, options) =>
      nearestNeighborsOnDevice(question, { ...options, threads: -1 }),
    ),
  )
  expect(result).toBe(undefined)
  expect(said).toMatch(/^warning: the device failed to find neighbours, the slower plain kernel finds them: .+\n$/)
  expect(said).toMatch(/thread/i)
})

it('a device that works is believed, and is asked only where it pays', async () => {
  const { data, n, k } = firstNeighborhoods(jobOf(DEVICE_PAYS))
  const { result, said } = await saidDuring(() => neighborsFor(jobOf(DEVICE_PAYS), 2))
  expect(result?.indices.join()).toBe(nearestNeighbors(data, n, d, k, 'cosine').indices.join())
  expect(said).toBe('')
  const few = neighborsFor(jobOf(DEVICE_PAYS - 1), 2, async () => {
    throw new Error('asked')
  })
  expect((await saidDuring(() => few)).result).toBe(undefined)
})

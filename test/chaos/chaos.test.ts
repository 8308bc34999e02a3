// Nothing is lost, computed twice or left behind, whatever happens to the processes, the database, the line between them and
// the disk: twenty disturbances a database, drawn from a seed; `npm run chaos` does as many as one likes.
// Not covered: power loss (the kernel keeps what was written, fsync is off), a network that drops packets without a word, and
// disks that lie; full ones only where a disk can be mounted. The language model has tests of its own for being killed (test/model/ask-once.test.ts).

import { expect, it } from 'vitest'
import { hasRealServer } from '../db/servers.ts'
import { leftOver, storm } from './storm.ts'
import { embeddedWorld, serverWorld, type World } from './worlds.ts'

const DISTURBANCES = 20
const SEED = 20240930

async function weather(open: () => Promise<World>): Promise<void> {
  const world = await open()
  try {
    const { hits, lives } = await storm(world, { disturbances: DISTURBANCES, seed: SEED, say: () => {} })
    expect(lives).toBeGreaterThan(0)
    expect(Object.keys(hits).sort()).toEqual(Object.keys(world.disturbances).sort())
  } finally {
    await world.close()
  }
  expect(await leftOver(world)).toEqual([])
}

it('the embedded database ends with the rows of an undisturbed run, however it was disturbed', async () => {
  await weather(embeddedWorld)
}, 600_000)

it.skipIf(!hasRealServer)(
  'a server ends with the rows of an undisturbed run, however it was disturbed',
  async () => {
    await weather(serverWorld)
  },
  600_000,
)

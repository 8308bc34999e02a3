// Nothing is lost, computed twice or left behind on the embedded database, whatever happens to the processes, the daemon and
// the disk: ten kills and as many other disturbances, drawn from a seed; `npm run chaos` does as many as one likes.
// Not covered: power loss (the kernel keeps what was written) and disks that lie; full ones only where a disk can be mounted.

import { expect, it } from 'vitest'
import { IN_CI, storm } from './storm.ts'
import { embeddedWorld } from './worlds.ts'

it('the embedded database ends with the rows of an undisturbed run, however it was disturbed', async () => {
  const { kills, cutShort } = await storm(embeddedWorld, IN_CI)
  expect(kills).toBeGreaterThanOrEqual(IN_CI.kills)
  expect(cutShort).toBeGreaterThanOrEqual(kills / 2)
}, 900_000)

// Nothing is lost, computed twice or left behind on a server, whatever happens to the processes, the server, the line to it
// and its disk: ten kills and as many other disturbances, drawn from a seed; `npm run chaos` does as many as one likes.
// Not covered: power loss (fsync is off) and full disks where none can be mounted. The language model is killed in ask-once.test.ts.

import { expect, it } from 'vitest'
import { hasRealServer } from '../db/servers.ts'
import { IN_CI, storm } from './storm.ts'
import { serverWorld } from './worlds.ts'

it.skipIf(!hasRealServer)(
  'a server ends with the rows of an undisturbed run, however it was disturbed',
  async () => {
    const { kills, cutShort } = await storm(serverWorld, IN_CI)
    expect(kills).toBeGreaterThanOrEqual(IN_CI.kills)
    expect(cutShort).toBeGreaterThanOrEqual(kills / 2)
  },
  900_000,
)

// Spot instances vanish. The run is killed with -9 at ten random moments, some of them together with the database, and
// run again each time: in the end every table holds the rows of a run that nobody disturbed.

import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, it } from 'vitest'
import { startDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { createRandom } from '../../lib/math/random.ts'
import { readSettings } from '../../lib/settings.ts'
import { fingerprints, root, scratchHome } from '../run.ts'

const disturbed = scratchHome()
const undisturbed = scratchHome()
afterAll(async () => {
  await disturbed.remove()
  await undisturbed.remove()
})

/** Make, as a newcomer calls it, in a process group of its own so that all of it can be killed. */
function make(home: string, ...words: string[]) {
  const child = spawn('make', ['--no-print-directory', '-C', root, 'Q=2024Q3', ...words], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: tmpdir(), QUARTERDECK_HOME: home },
  })
  let said = ''
  child.stderr.on('data', data => {
    said += data
  })
  const ended = new Promise<{ code: number | null; said: string }>(resolve =>
    child.on('close', code => resolve({ code, said })),
  )
  return { ended, kill: () => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL') }
}

const rowsOf = (home: string) => withDatabase({ ...readSettings({}), home }, sql => fingerprints(sql))

it('ends with the rows of an undisturbed run after ten kills', async () => {
  const whole = await make(undisturbed.home, 'quarter').ended
  expect(`${whole.code} ${whole.said}`).toMatch(/^0 /)

  // The seed makes the waits the same each time; what they hit differs with the machine, and must not matter.
  const random = createRandom(20240930)
  let kills = 0
  let goals = ['quarter']
  while (kills < 10) {
    const run = make(disturbed.home, ...goals)
    // From the very start of the program to some steps further; each run begins where the one before was cut off.
    const cut = await Promise.race([run.ended.then(() => false), sleep(100 + 2900 * random.next()).then(() => true)])
    // Done before its time: then there is a step to do again, and it is disturbed instead.
    goals = cut ? ['quarter'] : ['embed', 'quarter', 'FORCE=1']
    if (!cut) continue
    run.kill()
    kills++
    await run.ended
    // The database as well, each third time; started first where the run was killed before it could.
    if (kills % 3 === 0) process.kill((await startDatabase(disturbed.home)).pid, 'SIGKILL')
  }

  const last = await make(disturbed.home, 'quarter').ended
  expect(`${last.code} ${last.said}`).toMatch(/^0 /)
  expect(await rowsOf(disturbed.home)).toEqual(await rowsOf(undisturbed.home))
}, 400_000)

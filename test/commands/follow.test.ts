// embed, cluster-firm and name-topics at the same time: they end with the rows of the steps one after the other, on both
// databases, also when they are killed at random, and whoever begins too early waits.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { createRandom } from '../../lib/math/random.ts'
import { readSettings } from '../../lib/settings.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { processesBelow } from '../processes.ts'
import { fingerprints, type Options, quarterdeck, stepWords } from '../run.ts'
import { sideBySide, stepsSideBySide } from '../side-by-side.ts'

const QUARTER = '2024Q3'
const inTurn = await readyHome()
afterAll(() => inTurn.remove())

const settingsOf = ({ home, env = {} }: Options) => readSettings({ QUARTERDECK_HOME: home, ...env })
const rowsOf = (options: Options) => withDatabase(settingsOf(options), sql => fingerprints(sql))
const step = (verb: string, ...more: string[]) => stepWords(verb, QUARTER, ...more)

const threeSteps = (options: Options) => sideBySide(stepsSideBySide(QUARTER), options)

let rowsInTurn: Record<string, string>
beforeAll(async () => {
  for (const verb of ['ingest', 'embed', 'cluster-firm', 'name-topics']) await here(step(verb), inTurn)
  rowsInTurn = await rowsOf(inTurn)
}, 100_000)

onBothServers('steps side by side', startServer => {
  let options: Options
  beforeAll(async () => {
    options = optionsFor(await startServer())
  })
  const ask = <Row>(text: string) =>
    withDatabase(settingsOf(options), async sql => (await sql.unsafe(text)) as unknown as Row[])

  it('begin before anything is embedded, and wait for it', async () => {
    await here(step('ingest'), options)
    const followers = [step('cluster-firm', '--follow'), step('name-topics', '--follow', '--json')].map(words =>
      quarterdeck(words, options),
    )
    const running = async () => (await ask(`select from runs where outcome = 'running'`)).length
    while ((await running()) < 2) await sleep(50)
    expect(await ask('select from settings')).toEqual([]) // bound to no model yet
    await here(step('embed'), options)
    const [clustered, named] = await Promise.all(followers)
    expect(`${clustered.code} ${clustered.stderr}`).toMatch(/^0 [\s\S]*waiting for embed[\s\S]*14 firms in/)
    expect(`${named.code} ${named.stderr}`).toMatch(/^0 [\s\S]*waiting for cluster-firm/)
    expect(await rowsOf(options)).toEqual(rowsInTurn)
    // The run says by which model, though that was not known when it began.
    const [{ model }] = await ask<{ model: string }>(`select model from runs where command = 'cluster-firm'`)
    expect(model).toMatch(/^earnings-static-256 /)
  }, 100_000)

  it('follow a quarter that is embedded anew, to the same rows', async () => {
    // Side by side, since one that begins before the embedding, when all is done, has nothing to follow yet.
    const [embed, ...followers] = stepsSideBySide(QUARTER)
    const { code, stderr } = await sideBySide([[...embed, '--force'], ...followers], options).ended
    expect(`${code} ${stderr}`).toMatch(
      /^0 [\s\S]*cluster-firm 2024Q3: 14 firms in[\s\S]*name-topics 2024Q3: 14 firms in/,
    )
    expect(
      await ask(`select stage from work where state <> 'done' and stage in ('embed', 'cluster-firm', 'name-topics')`),
    ).toEqual([])
    expect(await rowsOf(options)).toEqual(rowsInTurn)
  }, 100_000)

  it('end with the same rows after six kills of one or all of them', async () => {
    // The seed makes the choices the same each time; what they hit differs with the machine, and must not matter.
    const random = createRandom(20240930)
    let kills = 0
    while (kills < 6) {
      await ask(`update work set state = 'stale' where stage in ('embed', 'cluster-firm', 'name-topics')`)
      const run = threeSteps(options)
      const cut = await Promise.race([run.ended.then(() => false), sleep(500 + 2500 * random.next()).then(() => true)])
      if (!cut) continue
      const steps = processesBelow(run.child.pid ?? 0).filter(one => one.command.includes('quarterdeck.mjs'))
      if (steps.length === 0) {
        await run.ended // its steps ended just now: there was nobody to kill
        continue
      }
      const one = Math.floor(random.next() * (steps.length + 1)) // the last of these means all
      for (const { pid } of one === steps.length ? steps : [steps[one]]) process.kill(pid, 'SIGKILL')
      kills++
      await run.ended
    }
    const last = await threeSteps(options).ended
    expect(`${last.code} ${last.stderr}`).toMatch(/^0 /)
    expect(await rowsOf(options)).toEqual(rowsInTurn)
  }, 200_000)
})

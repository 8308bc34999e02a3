// The long chaos, by hand: npm run chaos -- --kills 200 [--database embedded|server|both] [--seed N]
// So many kill -9 a database that hit a living process, and all other disturbances in between as often. Prints what was hit
// and how the runs ended; exit code 1 and the evidence when something came out that must not. What it does is storm.ts.

import { parseArgs } from 'node:util'
import { storm } from './storm.ts'
import { embeddedWorld, serverWorld } from './worlds.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    database: { type: 'string', default: 'both' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seed = Number(values.seed)
const start = performance.now()
const say = (line: string) => process.stdout.write(`${seconds(performance.now() - start)} ${line}\n`)
say(`seed ${seed}`)
for (const [name, open] of [
  ['embedded', embeddedWorld],
  ['server', serverWorld],
] as const) {
  if (values.database !== 'both' && values.database !== name) continue
  const { hits, misses, lives, kills, cutShort, endings } = await storm(open, {
    kills: Number(values.kills),
    seed,
    say,
  })
  for (const kind of Object.keys({ ...hits, ...misses }).sort())
    say(`${kind}: ${hits[kind] ?? 0} hit, ${misses[kind] ?? 0} found nobody`)
  const others = Object.values(hits).reduce((total, count) => total + count, 0) - kills
  say(`${name}: equal to an undisturbed run after each of ${lives} lives; ${kills} kills, ${others} other disturbances`)
  say(`${cutShort} of ${kills} kills ended a run in the middle of its work`)
  say(`runs by exit code or signal: ${JSON.stringify(endings)}`)
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1).padStart(6)
}

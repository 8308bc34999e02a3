// The long chaos, by hand: npm run chaos -- --kills 200 [--database embedded|server|both] [--seed N]
// Prints what was hit and how the runs ended; exit code 1 and the evidence when something came out that must not.
// The short one in CI is chaos.test.ts, and what both do is storm.ts.

import { parseArgs } from 'node:util'
import { leftOver, storm } from './storm.ts'
import { embeddedWorld, serverWorld } from './worlds.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    database: { type: 'string', default: 'both' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seed = Number(values.seed)
const disturbances = Number(values.kills)
const start = performance.now()
const say = (line: string) => process.stdout.write(`${seconds(performance.now() - start)} ${line}\n`)
say(`seed ${seed}`)
for (const [name, open] of [
  ['embedded', embeddedWorld],
  ['server', serverWorld],
] as const) {
  if (values.database !== 'both' && values.database !== name) continue
  const world = await open()
  try {
    const { hits, misses, lives, cutShort, endings } = await storm(world, { disturbances, seed, say })
    say(`${world.name}: equal to an undisturbed run after each of ${lives} lives`)
    for (const kind of Object.keys(world.disturbances))
      say(`${kind}: ${hits[kind] ?? 0} hit, ${misses[kind] ?? 0} found nobody`)
    say(`runs by exit code or signal: ${JSON.stringify(endings)}; cut short in the middle of their work: ${cutShort}`)
  } finally {
    await world.close()
  }
  const left = await leftOver(world)
  if (left.length > 0) throw new Error(`processes are left:\n${left.join('\n')}`)
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1).padStart(6)
}

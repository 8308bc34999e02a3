// The chaos itself: the sample quarter is computed again and again under disturbances, and whatever ended badly is run again.
// A life is one database: the quarter from nothing, then some steps anew, then what is left in peace; after each life every
// table has to hold what an undisturbed run gives. What the disturbances are is worlds.ts, how an end is judged supervisor.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { connect, disconnect, type Queries } from '../../lib/db/connect.ts'
import { STAGES, standingOf, workInHand } from '../../lib/db/work.ts'
import { createRandom, type Random, seedFrom } from '../../lib/math/random.ts'
import { fingerprints, STEPS, sample } from '../run.ts'
import { openSupervisor, type Supervisor } from './supervisor.ts'
import { processesOf, type World } from './worlds.ts'

const QUARTER = '2024Q3'

export type Storm = {
  /** How often each disturbance hit somebody, and how often nobody was there. */
  hits: Record<string, number>
  misses: Record<string, number>
  lives: number
  /** Runs that came to their end in the middle of their work, without a word in the database. */
  cutShort: number
  /** Exit codes and signals of all runs. */
  endings: Record<string, number>
}

/** Disturbs until so many disturbances have hit somebody; throws at the first thing that must not happen. */
export async function storm(
  world: World,
  { disturbances, seed, say }: { disturbances: number; seed: number; say(line: string): void },
): Promise<Storm> {
  const supervisor = openSupervisor(world.options, world.secrets, say)
  const random = createRandom(seedFrom(seed, world.name, 'rounds'))
  const result: Storm = { hits: {}, misses: {}, lives: 0, cutShort: 0, endings: {} }

  await world.newLife()
  const start = performance.now()
  await inPeace(supervisor)
  const longestPause = (performance.now() - start) * LONGEST_PAUSE
  const striker = openStriker(world, supervisor, { seed, wanted: disturbances, longestPause, result, say })
  const undisturbed = await inspect(world, sql => fingerprints(sql))
  while (!striker.isDone()) {
    await world.newLife()
    result.lives++
    const striking = striker.strike()
    try {
      await aRound(supervisor, random)
      for (let again = 0; again < 2 && !striker.isDone(); again++)
        await aRound(supervisor, random, STEPS[random.int(STEPS.length)])
    } finally {
      await striking.stop()
    }
    await inPeace(supervisor)
    result.cutShort += await inspect(world, sql => judge(sql, undisturbed, supervisor.faults))
    supervisor.faults.push(...world.faults())
    if (supervisor.faults.length > 0)
      throw new Error(`seed ${seed}, life ${result.lives}, after ${striker.last()}:\n${supervisor.faults.join('\n')}`)
    say(`${world.name}: ${sum(result.hits)} of ${disturbances} disturbances in ${result.lives} lives`)
  }
  result.endings = Object.fromEntries(supervisor.endings)
  return result
}

// In parts of an undisturbed quarter, which takes 8 s on a quiet machine and 40 s on a busy one. A step is a sixth of it, so
// about every other one comes to its end, and what is hit is hit anywhere from its start to its last row.
const LONGEST_PAUSE = 1 / 4
// Half of a short step is its start, which has nothing to lose: three of four disturbances wait until somebody has work in
// hand, and then some part of the second in which he has it.
const IN_THE_MIDDLE = 3 / 4
const WORK_MILLISECONDS = 400
const LOOK_MILLISECONDS = 20

type StrikerPlan = { seed: number; wanted: number; longestPause: number; result: Storm; say(line: string): void }

/** Draws disturbances from a pile in which each kind lies once, so that all of them come; then from the next pile. */
function openStriker(world: World, supervisor: Supervisor, plan: StrikerPlan) {
  const { seed, wanted, longestPause, result, say } = plan
  const random = createRandom(seedFrom(seed, world.name, 'strikes'))
  const kinds = Object.keys(world.disturbances)
  let pile: string[] = []
  let last = 'nothing'

  async function strikeOnce(over: AbortSignal): Promise<void> {
    if (pile.length === 0) pile = [...kinds]
    const [kind] = pile.splice(random.int(pile.length), 1)
    last = kind
    const hit = await world.disturbances[kind](supervisor, random, over)
    const counts = hit > 0 ? result.hits : result.misses
    counts[kind] = (counts[kind] ?? 0) + 1
    if (hit === 0) pile.push(kind)
    say(`  ${kind}: ${hit === 0 ? 'nobody' : hit}`)
  }
  const isDone = () => sum(result.hits) >= wanted
  return {
    isDone,
    last: () => last,
    strike() {
      const stopping = new AbortController()
      const striking = (async () => {
        while (!stopping.signal.aborted && !isDone()) {
          const inTheMiddle = random.next() < IN_THE_MIDDLE
          if (inTheMiddle) await untilWorkIsInHand(world, stopping.signal)
          const longest = inTheMiddle ? WORK_MILLISECONDS : longestPause
          await sleep(longest * random.next(), undefined, { signal: stopping.signal }).catch(() => {})
          if (!stopping.signal.aborted) await strikeOnce(stopping.signal)
        }
      })()
      striking.catch(() => {}) // seen by whoever stops it
      return {
        async stop() {
          stopping.abort()
          await striking
        },
      }
    },
  }
}

async function untilWorkIsInHand(world: World, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    // A database that is away, or full, says nothing of anybody.
    const hands = await inspect(world, sql => workInHand(sql, QUARTER)).catch(() => [])
    if (hands.length > 0) return
    await sleep(LOOK_MILLISECONDS, undefined, { signal: over }).catch(() => {})
  }
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function wordsOf(step: string): string[] {
  return [step, ...(step === 'ingest' ? [sample(QUARTER)] : []), '--quarter', QUARTER]
}

/** The whole quarter in one of the three ways in which it may be run; `anew` is a step that takes back what is done. */
async function aRound(supervisor: Supervisor, random: Random, anew?: string): Promise<void> {
  const supervise = (step: string, ...more: string[]) => {
    const words = [...wordsOf(step), ...more]
    return supervisor.supervise(words, step === anew ? [...words, '--force'] : words)
  }
  const way = random.int(3)
  if (way === 0) for (const step of STEPS) await supervise(step)
  else if (way === 1) for (const step of STEPS) await together([supervise(step), supervise(step)])
  else {
    await supervise('ingest')
    const follower = ['cluster-firm', 'name-topics'].map(step => supervise(step, '--follow'))
    await together([supervise('embed'), ...follower])
    // A follower may have ended before whom it follows, and is run again for what came later.
    for (const step of STEPS.slice(2)) await supervisor.supervise(wordsOf(step))
  }
}

/** All of them, to their end, whichever fails. */
async function together(running: Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(running)) if (one.status === 'rejected') throw one.reason
}

/** What is left, with nobody to disturb it: nothing may fail any more. */
async function inPeace(supervisor: Supervisor): Promise<void> {
  for (const step of STEPS) {
    const { code, stderr } = await supervisor.run(wordsOf(step))
    if (code !== 0) supervisor.faults.push(`${step} ended with ${code} though nothing disturbed it:\n${stderr}`)
  }
}

async function inspect<Result>(world: World, look: (sql: Queries) => Promise<Result>): Promise<Result> {
  const sql = await connect(world.settings())
  try {
    return await look(sql)
  } finally {
    await disconnect(sql)
  }
}

/** Adds what is wrong with a life; returns how many runs were cut short in it. */
async function judge(sql: Queries, undisturbed: Record<string, string>, faults: string[]): Promise<number> {
  const found = await fingerprints(sql)
  for (const [table, print] of Object.entries(undisturbed))
    if (found[table] !== print) faults.push(`${table} has ${found[table]}, an undisturbed run gives ${print}`)
  const standing = await standingOf(sql, QUARTER)
  for (const { stage, firms, done } of standing)
    if (done !== firms) faults.push(`${stage} has done ${done} of ${firms}`)
  if (standing.length !== STAGES.length) faults.push(`work knows ${standing.length} of ${STAGES.length} steps`)
  const [{ held }] = await sql<{ held: number }[]>`select count(*)::int as held from work where lease_by is not null`
  if (held > 0) faults.push(`${held} leases are left`)
  const [{ cut }] = await sql<{ cut: number }[]>`select count(*)::int as cut from runs where outcome = 'running'`
  return cut
}

// A model's process notices by the end of a pipe that whom it works for is gone.
const LEAVE_MILLISECONDS = 20_000

/** Processes of a world that are still there some time after its end. */
export async function leftOver(world: World): Promise<string[]> {
  const deadline = Date.now() + LEAVE_MILLISECONDS
  for (;;) {
    const left = processesOf(world.home())
    if (left.length === 0 || Date.now() > deadline) return left
    await sleep(100)
  }
}

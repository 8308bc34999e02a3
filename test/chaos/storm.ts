// The chaos itself: the sample quarter is computed again and again under disturbances, and whatever ended badly is run again.
// A life is one database: the quarter from nothing, then some steps anew, then what is left in peace; after each life every
// table has to hold what an undisturbed run gives. What the disturbances are is worlds.ts, how an end is judged supervisor.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Queries } from '../../lib/db/connect.ts'
import { STAGES, standingOf } from '../../lib/db/work.ts'
import { messageOf } from '../../lib/errors.ts'
import { createRandom, type Random, seedFrom } from '../../lib/math/random.ts'
import { tried } from '../here.ts'
import { fingerprints, STEPS, sample, stepWords } from '../run.ts'
import { openSupervisor, type Supervisor } from './supervisor.ts'
import { inspect, processesOf, QUARTER, untilWorkIsInHand, type World } from './worlds.ts'

/** Ends when so many kills and each other kind of disturbance have hit somebody. */
export type Plan = { kills: number; seed: number; say(line: string): void }

/** What is done each time, a database: about a minute on two cores with nothing else to do. */
export const IN_CI: Plan = { kills: 10, seed: 20240930, say: () => {} }

export type Storm = {
  /** How often each disturbance hit somebody, and how often nobody was there. */
  hits: Record<string, number>
  misses: Record<string, number>
  lives: number
  /** Kills with -9 that hit a living process. */
  kills: number
  /** Those of them that ended a run in the middle of its work: in the database it is still running. */
  cutShort: number
  /** Exit codes and signals of all runs. */
  endings: Record<string, number>
}

/** Disturbs as planned; throws at the first thing that must not happen. */
export async function storm(open: () => Promise<World>, plan: Plan): Promise<Storm> {
  const world = await open()
  let result: Storm
  try {
    result = await disturb(world, plan)
  } finally {
    await world.close()
  }
  const left = await leftOver(world)
  if (left.length > 0) throw new Error(`processes are left:\n${left.join('\n')}`)
  return result
}

async function disturb(world: World, { kills, seed, say }: Plan): Promise<Storm> {
  const supervisor = openSupervisor(world.options, world.secrets, say)
  const random = createRandom(seedFrom(seed, world.name, 'rounds'))
  const ways: Way[] = []
  const result: Storm = { hits: {}, misses: {}, lives: 0, kills: 0, cutShort: 0, endings: {} }

  await world.newLife()
  const start = performance.now()
  await inPeace(supervisor)
  const undisturbedTime = performance.now() - start
  const undisturbed = await inspect(world.settings(), sql => fingerprints(sql))
  const striker = openStriker(world, supervisor, { seed, kills, undisturbedTime, result, say })
  while (!striker.isDone()) {
    await world.newLife()
    result.lives++
    const killed: number[][] = []
    for (let round = 0; round < ROUNDS && !striker.isDone(); round++) {
      const striking = striker.strike(killed)
      try {
        const anew = round === 0 ? undefined : STEPS[random.int(STEPS.length)]
        await aRound(supervisor, drawn(ways, random, WAYS), anew)
      } finally {
        await striking.stop()
      }
    }
    await finish(world, supervisor.faults)
    result.cutShort += await inspect(world.settings(), async sql => {
      await judge(sql, undisturbed, supervisor.faults)
      return await countCutShort(sql, killed)
    })
    supervisor.faults.push(...world.faults())
    if (supervisor.faults.length > 0)
      throw new Error(`seed ${seed}, life ${result.lives}, after ${striker.last()}:\n${supervisor.faults.join('\n')}`)
    say(`${world.name}: ${result.kills} of ${kills} kills, ${sum(result.hits)} disturbances in ${result.lives} lives`)
  }
  result.endings = Object.fromEntries(supervisor.endings)
  return result
}

// A life's: the quarter from nothing, and twice some step anew with what follows from it.
const ROUNDS = 3
// A step that takes a second would be struck again and again, and all of a storm pass in one life and one way to run it.
const MOST_HITS_A_ROUND = 5
// In parts of an undisturbed quarter, which takes 8 s on a quiet machine and 40 s on a busy one. A step is a sixth of it, so
// about every other one comes to its end, and what is hit is hit anywhere from its start to its last row.
const LONGEST_PAUSE = 1 / 4
// Half of a short step is its start, which has nothing to lose: three of four disturbances of a kind wait until somebody has
// work in hand, and then some part of the time in which he has it. Which three is not left to chance: by chance half of ten
// kills may find nobody at work. The third is one that ten kills come to.
const IN_THE_MIDDLE = [true, true, false, true]
const LONGEST_WORK = 1 / 20

type StrikerPlan = Plan & { undisturbedTime: number; result: Storm }

function openStriker(world: World, supervisor: Supervisor, plan: StrikerPlan) {
  const { seed, kills, undisturbedTime, result, say } = plan
  const random = createRandom(seedFrom(seed, world.name, 'strikes'))
  const pile: string[] = []
  const kinds = kindsOf(world)
  let last = 'nothing'

  async function strikeOnce(killed: number[][], over: AbortSignal): Promise<boolean> {
    const kind = drawn(pile, random, kinds)
    const inTheMiddle = IN_THE_MIDDLE[(result.hits[kind] ?? 0) % IN_THE_MIDDLE.length]
    if (inTheMiddle) await untilWorkIsInHand(world.settings(), over)
    const longest = undisturbedTime * (inTheMiddle ? LONGEST_WORK : LONGEST_PAUSE)
    await sleep(longest * random.next(), undefined, { signal: over }).catch(() => {})
    // It may be done by now.
    if (inTheMiddle) await untilWorkIsInHand(world.settings(), over)
    if (over.aborted) {
      pile.push(kind)
      return false
    }
    last = kind
    const processes = await world.kills[kind]?.(supervisor, random)
    const hit = processes?.length ?? (await world.disturbances[kind](supervisor, random, over))
    const counts = hit > 0 ? result.hits : result.misses
    counts[kind] = (counts[kind] ?? 0) + 1
    say(`  ${kind}: ${hit === 0 ? 'nobody' : hit}`)
    if (hit === 0) pile.push(kind)
    else if (processes !== undefined) {
      result.kills++
      killed.push(processes)
    }
    return hit > 0
  }
  const isDone = () => result.kills >= kills && kinds.every(kind => kind in result.hits)
  return {
    isDone,
    last: () => last,
    /** Disturbs a round until it is stopped; adds what each kill has ended. */
    strike(killed: number[][]) {
      const stopping = new AbortController()
      const striking = (async () => {
        for (let hits = 0; hits < MOST_HITS_A_ROUND && !stopping.signal.aborted && !isDone(); ) {
          if (await strikeOnce(killed, stopping.signal)) hits++
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

/** What is drawn from: each kind once, so that all of them come, and kills as often as all others together. */
function kindsOf(world: World): string[] {
  const kills = Object.keys(world.kills)
  const others = Object.keys(world.disturbances)
  const count = Math.max(kills.length, others.length)
  return [...others, ...Array.from({ length: count }, (_, i) => kills[i % kills.length])]
}

/** One of a pile, which begins anew with all of them when it is at its end. */
function drawn<One>(pile: One[], random: Random, all: readonly One[]): One {
  if (pile.length === 0) pile.push(...all)
  return pile.splice(random.int(pile.length), 1)[0]
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

const WAYS = ['step by step', 'each step twice', 'make', 'followed'] as const
type Way = (typeof WAYS)[number]

/** The whole quarter in one of the ways in which it may be run; `anew` is a step that takes back what is done. */
async function aRound(supervisor: Supervisor, way: Way, anew?: string): Promise<void> {
  const supervise = (step: string, ...more: string[]) => {
    const words = stepWords(step, QUARTER, ...more)
    return supervisor.supervise(words, step === anew ? [...words, '--force'] : words)
  }
  if (way === 'step by step') for (const step of STEPS) await supervise(step)
  else if (way === 'each step twice') for (const step of STEPS) await together([supervise(step), supervise(step)])
  else if (way === 'make') {
    // Its own folder of the sample is a relative one, and `calls` keeps the path as it was given.
    const make = ['make', `Q=${QUARTER}`, `TRANSCRIPTS=${sample(QUARTER)}`]
    await supervisor.supervise([...make, 'quarter'], anew ? [...make, anew, 'quarter', 'FORCE=1'] : undefined)
  } else {
    await supervise('ingest')
    const follower = ['cluster-firm', 'name-topics'].map(step => supervise(step, '--follow'))
    await together([supervise('embed'), ...follower])
    // A follower may have ended before whom it follows, and is run again for what came later.
    for (const step of STEPS.slice(2)) await supervisor.supervise(stepWords(step, QUARTER))
  }
}

/** All of them, to their end, whichever fails. */
async function together(running: Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(running)) if (one.status === 'rejected') throw one.reason
}

/** What a life has left, with nobody to disturb it: nothing may fail any more. In this process, since no signal is to come. */
async function finish({ options }: World, faults: string[]): Promise<void> {
  for (const step of STEPS) {
    const { error } = await tried(stepWords(step, QUARTER), options())
    if (error !== undefined) faults.push(`${step} failed though nothing disturbed it: ${messageOf(error)}`)
  }
}

/** The whole quarter, undisturbed. */
async function inPeace(supervisor: Supervisor): Promise<void> {
  for (const step of STEPS) {
    const { code, stderr } = await supervisor.run(stepWords(step, QUARTER))
    if (code !== 0) supervisor.faults.push(`${step} ended with ${code} though nothing disturbed it:\n${stderr}`)
  }
}

/** Adds what is wrong with a life. */
async function judge(sql: Queries, undisturbed: Record<string, string>, faults: string[]): Promise<void> {
  const found = await fingerprints(sql)
  for (const [table, print] of Object.entries(undisturbed))
    if (found[table] !== print) faults.push(`${table} has ${found[table]}, an undisturbed run gives ${print}`)
  const standing = await standingOf(sql, QUARTER)
  for (const { stage, firms, done } of standing)
    if (done !== firms) faults.push(`${stage} has done ${done} of ${firms}`)
  if (standing.length !== STAGES.length) faults.push(`work knows ${standing.length} of ${STAGES.length} steps`)
  const [{ held }] = await sql<{ held: number }[]>`select count(*)::int as held from work where lease_by is not null`
  if (held > 0) faults.push(`${held} leases are left`)
}

/** How many kills of a life ended a run that the database still takes for running. */
async function countCutShort(sql: Queries, killed: readonly number[][]): Promise<number> {
  // The third part of a worker's name is its process; a number is not given twice within a minute.
  const cut = await sql<{ pid: number }[]>`
    select split_part(worker, '/', 3)::int as pid from runs where outcome = 'running'`
  const left = new Set(cut.map(({ pid }) => pid))
  return killed.filter(processes => processes.filter(pid => left.delete(pid)).length > 0).length
}

// A model's process notices by the end of a pipe that whom it works for is gone.
const LEAVE_MILLISECONDS = 20_000

/** Processes of a world that are still there some time after its end. */
async function leftOver(world: World): Promise<string[]> {
  const deadline = Date.now() + LEAVE_MILLISECONDS
  for (;;) {
    const left = processesOf(world.home())
    if (left.length === 0 || Date.now() > deadline) return left
    await sleep(100)
  }
}

// The two databases as the chaos test needs them: with a fresh database for each life, on a disk that can be filled, and each
// with the ways to disturb it. A disturbance says how much it hit; where it hit nobody it does not count.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { placesOf } from '../../lib/db/embedded/places.ts'
import { databaseStatus, stopDatabase } from '../../lib/db/embedded/start.ts'
import { workInHand } from '../../lib/db/work.ts'
import type { Random } from '../../lib/math/random.ts'
import type { Settings } from '../../lib/settings.ts'
import { embeddedHome, realServer } from '../db/servers.ts'
import type { Options } from '../run.ts'
import { openProxy } from './proxy.ts'
import { canMount, onDisk, type SmallDisk, smallDisk } from './small-disk.ts'
import type { Running, Supervisor } from './supervisor.ts'

/** What all lives compute. */
export const QUARTER = '2024Q3'

/** Kills with -9, and says which processes ended by it. */
export type Kill = (supervisor: Supervisor, random: Random) => Promise<number[]>

/** Says how many it hit. `over` aborts when nobody is left to hit. */
export type Disturbance = (supervisor: Supervisor, random: Random, over: AbortSignal) => Promise<number>

type Way = Pick<Settings, 'home' | 'databaseUrl'>

export type World = {
  name: string
  /** Its data folder in this life: every process of it has this in its environment or command line. */
  home(): string
  /** What no message may show. */
  secrets: readonly string[]
  /** How the commands reach the database of this life. */
  options(): Options
  /** The way there that nothing disturbs. */
  settings(): Way
  newLife(): Promise<void>
  kills: Readonly<Record<string, Kill>>
  /** All others. */
  disturbances: Readonly<Record<string, Disturbance>>
  /** What is wrong with what the database itself wrote down in this life. */
  faults(): string[]
  close(): Promise<void>
}

// An empty embedded database has 39 MB and a sample quarter adds 5; Postgres' log may grow to 256 MB, and does not.
const EMBEDDED_MEGABYTES = 400
// The server's files have 80 MB with a database of ours; its log is kept under 96 MB (below).
const SERVER_MEGABYTES = 500

// A step is a process, or a make with all the steps that it runs.
const KILLS_OF_STEPS: Readonly<Record<string, Kill>> = {
  'kill -9 of a step': (supervisor, random) => kill(supervisor, oneOf(supervisor.living(), random)),
  'kill -9 of all steps': supervisor => kill(supervisor, supervisor.living()),
}
const SIGNALS: Readonly<Record<string, Disturbance>> = {
  'SIGTERM to a step': async (supervisor, random) =>
    send(supervisor, oneOf(supervisor.living(), random), 'SIGTERM').length,
  'SIGINT to all steps': async supervisor => send(supervisor, supervisor.living(), 'SIGINT').length,
}

function oneOf(living: readonly Running[], random: Random): Running[] {
  return living.length > 0 ? [living[random.int(living.length)]] : []
}

function send(supervisor: Supervisor, runs: readonly Running[], signal: NodeJS.Signals): Running[] {
  return runs.filter(running => supervisor.send(running, signal))
}

async function kill(supervisor: Supervisor, victims: readonly Running[]): Promise<number[]> {
  const found = victims.map(running => ({ running, processes: processesIn(running) }))
  send(supervisor, victims, 'SIGKILL')
  const killed: number[] = []
  for (const { running, processes } of found) {
    const [, signal] = await running.ended
    if (signal === 'SIGKILL') killed.push(...processes) // and did not come to its own end in the same moment
  }
  return killed
}

/** One process, or all of a group. */
function processesIn({ address }: Running): number[] {
  if (address > 0) return [address]
  return readdirSync('/proc').flatMap(name => {
    try {
      // State, parent and group come after the program's name in brackets, which may hold anything.
      const [, group] = /^\d+ \(.*\) \S \d+ (\d+) /s.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? []
      return Number(group) === -address ? [Number(name)] : []
    } catch {
      return [] // it ended meanwhile, or is no process
    }
  })
}

const LOOK_MILLISECONDS = 20

/** Until somebody has work in hand, or nobody is left who could. */
export async function untilWorkIsInHand(settings: Way, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    // A database that is away, or full, says nothing of anybody.
    const hands = await inspect(settings, sql => workInHand(sql, QUARTER)).catch(() => [])
    if (hands.length > 0) return
    await sleep(LOOK_MILLISECONDS, undefined, { signal: over }).catch(() => {})
  }
}

export async function inspect<Result>(settings: Way, look: (sql: Database) => Promise<Result>): Promise<Result> {
  const sql = await connect(settings)
  try {
    return await look(sql)
  } finally {
    await disconnect(sql)
  }
}

// Nothing; less than a page of a table (8 KB); a table's worth, but less than a file of Postgres' log (16 MB).
const FREE_BYTES = [0, 4096, 2 ** 18, 2 ** 20]
// What is given back meanwhile, an index that is dropped or a file of the log, is filled as well; and half of what was left,
// or the last steps, which write little, would find room.
const REFILL_MILLISECONDS = 200
// So long a trap waits for somebody to step into it. Who has work in hand writes it within half a second on a quiet machine;
// some of what is written finds room in pages that are there, and then the trap is set again later.
const NOTICE_MILLISECONDS = 5000
// The COPYs of a firm of the sample hold some hundred kilobytes, those of the themes some ten.
const MOST_COPY_BYTES = 20_000
// A step may notice that nothing gets through any more, and wait.
const LONGEST_SILENCE_MILLISECONDS = 3000

async function trapTime(over: AbortSignal): Promise<0> {
  await sleep(NOTICE_MILLISECONDS, undefined, { signal: over }).catch(() => {})
  return 0
}

/** Fills the disk under somebody who works, disturbs further, and frees it when somebody has failed by it; says how many. */
function fullDisk(disk: SmallDisk, settings: () => Way, then: () => Promise<unknown> = async () => {}): Disturbance {
  return async (supervisor, random, over) => {
    await untilWorkIsInHand(settings(), over)
    const failed = Promise.race([supervisor.nextFailure().then(() => 1), trapTime(over)])
    let free = FREE_BYTES[random.int(FREE_BYTES.length)]
    const fill = () => {
      disk.fill(free)
      free = Math.floor(free / 2)
    }
    fill()
    const filling = setInterval(fill, REFILL_MILLISECONDS)
    try {
      await then()
      return await failed
    } finally {
      clearInterval(filling)
      disk.free()
    }
  }
}

export async function embeddedWorld(): Promise<World> {
  const disk = canMount() ? smallDisk(EMBEDDED_MEGABYTES) : undefined
  let home = await onDisk(disk, embeddedHome)

  const settings = () => ({ home, databaseUrl: undefined })

  async function killDaemon(): Promise<number[]> {
    const { pid } = await databaseStatus(home)
    return pid !== undefined && isAlive(pid) && process.kill(pid, 'SIGKILL') ? [pid] : []
  }

  return {
    name: 'the embedded database',
    home: () => home,
    secrets: [],
    options: () => ({ home }),
    settings,
    async newLife() {
      await stopDatabase(home)
      rmSync(home, { recursive: true, force: true })
      home = await onDisk(disk, embeddedHome)
    },
    kills: {
      ...KILLS_OF_STEPS,
      async 'kill -9 of the daemon'(supervisor) {
        const working = supervisor.living().flatMap(processesIn)
        const daemon = await killDaemon()
        return daemon.length > 0 ? [...daemon, ...working] : []
      },
      async 'kill -9 of the daemon and all steps'(supervisor) {
        const [daemon, steps] = await Promise.all([killDaemon(), kill(supervisor, supervisor.living())])
        return daemon.length > 0 && steps.length > 0 ? [...daemon, ...steps] : []
      },
    },
    disturbances: {
      ...SIGNALS,
      ...(disk && {
        'full disk': fullDisk(disk, settings),
        'full disk, and kill -9 of the daemon': fullDisk(disk, settings, killDaemon),
      }),
    },
    faults() {
      const log = readFileSync(placesOf(home).log, 'utf8')
      // Each death takes several lines, up to the next line of the daemon's own.
      const deaths = log.split(/^(?=\d{4}-\d\d-\d\dT)/m).filter(entry => entry.includes('the database died'))
      return deaths.filter(entry => !/No space left|errno: 51|ENOSPC/.test(entry))
    },
    async close() {
      await stopDatabase(home)
      rmSync(home, { recursive: true, force: true })
      disk?.unmount()
    },
  }
}

export async function serverWorld(): Promise<World> {
  const disk = canMount() ? smallDisk(SERVER_MEGABYTES) : undefined
  const server = await onDisk(disk, realServer)
  const { home, databaseUrl = '' } = server.settings
  const data = join(home, 'server')
  const proxy = await openProxy(server.port)
  let pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1)
  const program = readlinkSync(`/proc/${pid}/exe`)
  let life = 0

  /** The server's address with another database or port in it. */
  function at(database: string, port = server.port): string {
    const url = new URL(databaseUrl)
    url.port = String(port)
    url.pathname = database
    return url.href
  }
  const settings = () => ({ home, databaseUrl: at(`life_${life}`) })
  async function asking<Result>(ask: (sql: Database) => Promise<Result>): Promise<Result> {
    return await inspect({ home, databaseUrl: `${at('postgres')}?application_name=chaos` }, ask)
  }
  async function stopServer(signal: NodeJS.Signals): Promise<void> {
    if (isAlive(pid)) process.kill(pid, signal)
    while (isAlive(pid)) await sleep(10)
  }
  /** By the same command line and user as before. */
  function startServer(): void {
    const { uid, gid } = userOf(data)
    const child = spawn(program, command, { cwd: data, uid, gid, stdio: 'ignore' })
    if (child.pid === undefined) throw new Error(`cannot start ${program}`)
    pid = child.pid
  }
  async function startUntilReady(): Promise<void> {
    for (;;) {
      if (!isAlive(pid)) startServer()
      try {
        return await asking(async () => {})
      } catch {
        await sleep(50)
      }
    }
  }
  async function restart(signal: NodeJS.Signals): Promise<number> {
    const open = proxy.open()
    await stopServer(signal)
    startServer()
    return open
  }

  // Or its log grows to a gigabyte, and the disk is full without us.
  await asking(sql => sql`alter system set max_wal_size = '96MB'`)
  await asking(sql => sql`select pg_reload_conf()`)
  return {
    name: 'a server',
    home: () => home,
    secrets: [server.password, encodeURIComponent(server.password)],
    options: () => ({ home, env: { DATABASE_URL: at(`life_${life}`, proxy.port) } }),
    settings,
    async newLife() {
      await startUntilReady()
      await asking(sql => sql`drop database if exists ${sql(`life_${life}`)} with (force)`)
      life++
      await asking(sql => sql`create database ${sql(`life_${life}`)}`)
    },
    kills: KILLS_OF_STEPS,
    disturbances: {
      ...SIGNALS,
      'connections cut': async () => proxy.cut(),
      'connections cut inside a COPY': (_, random, over) => cutInsideCopy(random, over),
      'connections silent, then cut': async (_, random) => {
        proxy.stall()
        await sleep(LONGEST_SILENCE_MILLISECONDS * random.next())
        return proxy.cut()
      },
      // Nothing that it has in hand can be saved or given back, and it must leave all the same.
      'connections silent, then SIGTERM to all steps': async (supervisor, random) => {
        proxy.stall()
        await sleep(LONGEST_SILENCE_MILLISECONDS * random.next())
        const told = send(supervisor, supervisor.living(), 'SIGTERM')
        await Promise.all(told.map(running => running.ended))
        proxy.cut()
        return told.length
      },
      pg_terminate_backend: async () =>
        (
          await asking(
            sql => sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'quarterdeck'`,
          )
        ).length,
      'server stopped at once and started again': () => restart('SIGQUIT'),
      'server stopped in order and started again': () => restart('SIGINT'),
      ...(disk && {
        async 'full disk'(supervisor, random, over) {
          const hit = await fullDisk(disk, settings)(supervisor, random, over)
          await startUntilReady() // where its log can grow no more a server ends
          return hit
        },
      }),
    },
    faults: () => [],
    async close() {
      await proxy.close()
      await stopServer('SIGQUIT')
      if (disk) disk.unmount()
      else rmSync(home, { recursive: true, force: true })
    },
  }

  /** Waits for the next COPY, but not for ever: some steps may have none left. */
  async function cutInsideCopy(random: Random, over: AbortSignal): Promise<number> {
    const bytes = random.int(MOST_COPY_BYTES)
    const cut = new Promise<number>(resolve => proxy.watchCopy(bytes, () => resolve(proxy.cut())))
    const hit = await Promise.race([cut, trapTime(over)])
    proxy.watchCopy(0, undefined)
    return hit
  }
}

function userOf(folder: string): { uid: number; gid: number } {
  const { uid, gid } = statSync(folder)
  return { uid, gid }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // One that has ended and that nobody has asked how keeps its number.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Processes that have a folder in their command line or environment, this one left out. */
export function processesOf(folder: string): string[] {
  return readdirSync('/proc').flatMap(name => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid || !isAlive(Number(name))) return []
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      const environment = readFileSync(`/proc/${name}/environ`, 'utf8')
      return command.includes(folder) || environment.includes(folder) ? [command.replaceAll('\0', ' ')] : []
    } catch {
      return [] // it ended meanwhile
    }
  })
}

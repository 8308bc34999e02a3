// The processes that the supervisor starts, and all that these start: each carries a mark in its environment, so that a supervisor
// that was killed leaves nobody behind whom the next one would not find. The embedded database and the machine's own Postgres
// run without it, and so outlive everybody. Linux: what runs is read from /proc.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { isLeaving, leaving } from '../../lib/leaving.ts'
import { environmentOfPrograms } from '../../lib/settings.ts'

// A name of its own: no setting, nobody reads it but `marked`.
const MARK = 'QUARTERDECK_SUPERVISED_IN'
// A step that is told to leave does so within nine seconds (bin/quarterdeck.ts); what is there after twelve hangs.
const LEAVE_MILLISECONDS = 12_000
const LOOK_MILLISECONDS = 50
// What a failure says stands in its last lines.
const TAIL_LINES = 40

export type Ended = {
  code: number
  stdout: string[]
  /** The last lines of both streams. */
  tail: string[]
}

export type How = {
  /** Folder of the supervisor: the mark. */
  folder: string
  hear(line: string): void
  environment?: Record<string, string>
  /** Its standard output is for us, and not for the log. */
  isQuiet?: boolean
  /** It is not told to leave when we are: it is how we leave. */
  isLast?: boolean
}

/** Runs a program to its end, and to the end of everybody it has started. */
export async function run([program, ...words]: string[], how: How): Promise<Ended> {
  const ended: Ended = { code: 75, stdout: [], tail: [] }
  if (isLeaving() && !how.isLast) return ended
  const inherited = environmentOfPrograms()
  const child = spawn(program, words, {
    detached: true, // a Ctrl-C in our terminal is ours to pass on, once
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      PATH: `${dirname(process.execPath)}:${inherited.PATH ?? ''}`, // the Node that runs us, before any other
      LC_ALL: 'C.UTF-8', // make says how a step ended in the language of whoever reads
      ...how.environment,
      [MARK]: how.folder,
    },
  })
  const hear = (line: string) => {
    ended.tail = [...ended.tail, line].slice(-TAIL_LINES)
    how.hear(line)
  }
  createInterface({ input: child.stdout }).on('line', line => {
    ended.stdout.push(line)
    if (!how.isQuiet) hear(line)
  })
  createInterface({ input: child.stderr }).on('line', hear)
  let told: Promise<unknown> = Promise.resolve()
  const tell = () => {
    told = endEverybody(how.folder)
  }
  if (!how.isLast) leaving.addEventListener('abort', tell)
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  ended.code = await new Promise<number>(resolve => {
    child.once('error', error => {
      hear(error.message)
      resolve(127)
    })
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
  })
  // Who is killed leaves behind whom it has started: they leave in order, before anybody begins again.
  await endEverybody(how.folder)
  leaving.removeEventListener('abort', tell)
  await told // it may still be looking, and would take who comes next for one of these
  if (child.pid !== undefined) await closed
  return ended
}

/** Tells everybody with the mark to leave, and waits until nobody is there; returns how many there were. */
export async function endEverybody(folder: string): Promise<number> {
  const told = new Set<number>()
  const deadline = performance.now() + LEAVE_MILLISECONDS
  for (;;) {
    const there = marked(folder)
    if (there.length === 0) return told.size
    const isLate = performance.now() > deadline
    for (const pid of there) {
      if (told.has(pid) && !isLate) continue
      told.add(pid)
      kill(pid, isLate ? 'SIGKILL' : 'SIGTERM')
    }
    await sleep(LOOK_MILLISECONDS)
  }
}

/** Living processes with the mark; one that has ended and whose parent has not asked how has no environment any more. */
function marked(folder: string): number[] {
  const mark = `${MARK}=${folder}`
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => environmentOf(pid).includes(mark))
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return [] // it has ended, or is another user's
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {} // it has just ended
}

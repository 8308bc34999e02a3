// Runs commands again until they end well, as whoever looks after them would, and judges how each run of them ended.
// Whoever kills them says so here first: an end that nobody asked for is a fault.

import { type ChildProcess, spawn } from 'node:child_process'
import { constants, tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, type Options, root, start } from '../run.ts'

export type Running = {
  words: readonly string[]
  child: ChildProcess
  /** Whom a signal is sent to: the process, or with a minus its group. */
  address: number
  stderr: string
  /** What we have sent it; it may end by it, or with an exit code when it was faster. */
  sent: NodeJS.Signals[]
  ended: Promise<[number | null, NodeJS.Signals | null]>
}

export type Ending = Running & { code: number | null; signal: NodeJS.Signals | null }

export type Supervisor = {
  /** Commands that run now. */
  living(): Running[]
  /** How many ended with each exit code or signal. */
  endings: Map<string, number>
  faults: string[]
  /** Resolves with the next run that does not end well though it was sent nothing. */
  nextFailure(): Promise<Ending>
  /** Signals a run; false when it had ended already. */
  send(running: Running, signal: NodeJS.Signals): boolean
  /** Runs a command once; the word `make` begins one of make. */
  run(words: readonly string[]): Promise<Ending>
  /** Runs `first`, and where it ends badly `words` until they end well. */
  supervise(words: readonly string[], first?: readonly string[]): Promise<void>
}

// A step of the sample takes two seconds on a quiet machine; what takes two minutes on a busy one waits for something that
// will not come. A lease of 60 s that has to run out is within it.
const HANGS_MILLISECONDS = 150_000
// A database that starts again takes some seconds, a disk that fills and is emptied as long: far more than are ever needed.
const MOST_RUNS = 200
const PAUSE_MILLISECONDS = 200

// What an exit code of 1 may say: who looks after the machine has to act, and did not lose anything.
const EXCUSES = [
  /^quarterdeck: the disk (that holds the data folder|of the) .* is full/m,
  /^quarterdeck: cannot reach the database server at /m,
  // Its daemon was killed before it had the database open.
  /^quarterdeck: the embedded database in .* did not start:/m,
]

/** Make in a process group of its own, so that all of it can be told and killed, as a terminal or a scheduler does. */
function startMake(words: readonly string[], { home, env }: Options): ChildProcess {
  // A lock file newer than the packages would make it install them, and take them from under the other tests.
  const more = ['--no-print-directory', '--old-file=node_modules', '-C', root]
  return spawn('make', [...more, ...words], {
    detached: true,
    env: { PATH: process.env.PATH, HOME: tmpdir(), QUARTERDECK_HOME: home, ...env },
  })
}

/** The exit code of the step by which make failed; make's own is 2 whatever happened. */
function codeOfStep(code: number | null, stderr: string): number | null {
  const [, step] = (code === 2 && /^make: \*\*\* \[.*\] Error (\d+)$/m.exec(stderr)) || []
  return step === undefined ? code : Number(step)
}

/** Why an end must not happen, or undefined. */
export function faultOf(ending: Ending, secrets: readonly string[]): string | undefined {
  const { words, code, signal, stderr, sent } = ending
  if (stderr.includes('this should not have happened')) return 'calls its own error unexpected'
  if (/^\s+at .+:\d+:\d+\)?$/m.test(stderr)) return 'shows a stack trace'
  if (secrets.some(secret => stderr.includes(secret))) return 'shows the password'
  if (signal !== null) return sent.includes(signal) ? undefined : `was ended by ${signal}, which nobody sent`
  if (code === 0 || code === 75) return undefined
  // Make that is told at the same time as its steps may lose count of them ("wait: No child processes"), and not wait.
  if (words[0] === 'make' && sent.length > 0 && code === 2) return undefined
  // Told before it had anything to put away.
  if (sent.some(signal => code === 128 + constants.signals[signal])) return undefined
  if (code === 1 && EXCUSES.some(excuse => excuse.test(stderr))) return undefined
  return `ended with ${code}`
}

export function openSupervisor(
  options: () => Options,
  secrets: readonly string[],
  say: (line: string) => void,
): Supervisor {
  const living = new Set<Running>()
  const endings = new Map<string, number>()
  const faults: string[] = []
  let waiting: ((ending: Ending) => void)[] = []

  async function run(words: readonly string[]): Promise<Ending> {
    const isMake = words[0] === 'make'
    const child = isMake ? startMake(words.slice(1), options()) : start(words, options())
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve([codeOfStep(code, running.stderr), signal]))
    })
    const pid = child.pid ?? Number.NaN
    const running: Running = { words, child, address: isMake ? -pid : pid, stderr: '', sent: [], ended }
    living.add(running)
    child.stdin?.on('error', () => {}) // it may be gone already
    child.stdin?.end()
    child.stdout?.resume()
    child.stderr?.on('data', data => {
      running.stderr += data
    })
    const hung = setTimeout(() => {
      faults.push(`${words.join(' ')} hangs:\n${running.stderr}`)
      send(running, 'SIGKILL')
    }, HANGS_MILLISECONDS)
    const [code, signal] = await ended
    clearTimeout(hung)
    living.delete(running)
    const ending: Ending = { ...running, code, signal }
    const [why = ''] = ending.stderr.match(/^quarterdeck: .*$/m) ?? []
    if (code !== 0) say(`${words[0]} ended with ${signal ?? code} ${why}`.trimEnd())
    const kind = signal ?? String(code)
    endings.set(kind, (endings.get(kind) ?? 0) + 1)
    const fault = faultOf(ending, secrets)
    if (fault !== undefined) faults.push(`${words.join(' ')} ${fault}:\n${ending.stderr}`)
    if (code !== 0 && ending.sent.length === 0) {
      for (const resolve of waiting) resolve(ending)
      waiting = []
    }
    return ending
  }

  function send(running: Running, signal: NodeJS.Signals): boolean {
    if (!isRunning(running.child)) return false
    running.sent.push(signal)
    return process.kill(running.address, signal)
  }

  return {
    living: () => [...living],
    endings,
    faults,
    nextFailure: () => new Promise(resolve => waiting.push(resolve)),
    send,
    run,
    async supervise(words, first = words) {
      let { code } = await run(first)
      for (let runs = 1; code !== 0; runs++) {
        if (faults.length > 0) throw new Error(faults.join('\n'))
        if (runs === MOST_RUNS) throw new Error(`${words.join(' ')} does not end well`)
        await sleep(PAUSE_MILLISECONDS)
        code = (await run(words)).code
      }
    },
  }
}

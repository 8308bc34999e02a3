// Processes that the bench measures: each does one kind of work and answers every line of JSON with one.
// So what is measured is warm, and its memory is its own. Python is optional: without it there is no peer, and a reason.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { messageOf } from '../../lib/errors.ts'
import { say } from '../../lib/log.ts'
import { root } from '../run.ts'

// numba compiles for a minute before the first large table where other work is going on; five times that is a hang.
const ANSWER_MILLISECONDS = 300_000

export type Peer = {
  versions: string
  /** From its start to its first word: what importing takes. */
  startSeconds: number
  ask<Answer>(request: object): Promise<Answer>
  stop(): void
}

export type PythonKind = 'bertopic' | 'engine' | 'hdbscan'

/** Makes the Python environment where it is not there yet; a text says why it could not be made. */
export function setUpPython(): string | undefined {
  say('bench: setting up the Python peers in .venv-bench (once)')
  try {
    execFileSync('sh', [join(root, 'test/bench/setup-python.sh')], { stdio: ['ignore', 'ignore', 'pipe'] })
    return undefined
  } catch (error) {
    return `The Python peers could not be set up (no Python, or no network): ${messageOf(error).trim().split('\n').at(-1)}`
  }
}

/** What they print goes into a file in `scratch`. Without a number of threads they take as many as they like. */
export function startPython(kind: PythonKind, scratch: string, threads: 1 | undefined, ...more: string[]) {
  const { NUMBA_NUM_THREADS: _, OMP_NUM_THREADS: __, OPENBLAS_NUM_THREADS: ___, ...environment } = process.env
  const one = { NUMBA_NUM_THREADS: '1', OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' }
  return startPeer(join(root, '.venv-bench/bin/python'), [join(root, 'test/bench/peer.py'), kind, ...more], {
    log: join(scratch, `${kind}-${threads ?? 'all'}.log`),
    env: threads === 1 ? { ...environment, ...one } : environment,
  })
}

/** Our own HDBSCAN in a process of its own. */
export function startOurHdbscan(scratch: string): Promise<Peer> {
  const program = join(root, 'test/bench/hdbscan-alone.ts')
  return startPeer(process.execPath, ['--import', import.meta.resolve('tsx'), program], {
    log: join(scratch, 'hdbscan-ours.log'),
    env: process.env,
  })
}

async function startPeer(
  program: string,
  words: readonly string[],
  { log, env }: { log: string; env: NodeJS.ProcessEnv },
): Promise<Peer> {
  const start = performance.now()
  const logFile = openSync(log, 'w')
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', logFile], env })
  closeSync(logFile)
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error(`${program} has no pipes`)
  child.on('error', () => {}) // a peer that died is noticed at its output
  stdin.on('error', () => {})
  const lines = createInterface({ input: stdout })
  const closed = once(lines, 'close').then(() => {
    throw new Error(`${words.at(-1)} ended: ${readFileSync(log, 'utf8').slice(-2000)}`)
  })
  closed.catch(() => {})
  async function nextLine(): Promise<string> {
    const line = once(lines, 'line', { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) })
    try {
      return (await Promise.race([line, closed]))[0]
    } catch (error) {
      child.kill()
      throw error
    }
  }
  const { versions } = JSON.parse(await nextLine())
  return {
    versions,
    startSeconds: (performance.now() - start) / 1000,
    async ask(request) {
      stdin.write(`${JSON.stringify(request)}\n`)
      return JSON.parse(await nextLine())
    },
    stop: () => void child.kill(),
  }
}

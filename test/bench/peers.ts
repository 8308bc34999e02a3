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
// Closing a model takes a tenth of a second.
const ENDING_MILLISECONDS = 5_000

export type Peer = {
  versions: string
  pid: number
  /** From its start to its first word: what importing takes. */
  startSeconds: number
  ask<Answer>(request: object): Promise<Answer>
  /** Ends its input, at which it ends by itself and takes along what it started. */
  stop(): void
}

export type PythonKind = 'bertopic' | 'engine' | 'hdbscan'

/** Makes the Python environment where it is not there yet; a text says why it could not be made. */
export function setUpPython(): string | undefined {
  return setUp('setup-python.sh', 'the Python peers', '.venv-bench')
}

/** sentence-transformers, in an environment of its own: torch is large. */
export function setUpTorch(): string | undefined {
  return setUp('setup-torch.sh', 'sentence-transformers', '.venv-bench-torch')
}

export function setUpTransformersJs(): string | undefined {
  return setUp('setup-transformers-js.sh', 'transformers.js', '.venv-bench-node')
}

function setUp(script: string, what: string, folder: string): string | undefined {
  say(`bench: setting up ${what} in ${folder} (once)`)
  try {
    execFileSync('sh', [join(root, 'test/bench', script)], { stdio: ['ignore', 'ignore', 'pipe'] })
    return undefined
  } catch (error) {
    const reason = messageOf(error).trim().split('\n').at(-1)
    return `${what[0].toUpperCase()}${what.slice(1)} could not be set up (no Python or npm, or no network): ${reason}`
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

/** leidenalg, which has one thread. */
export function startLeidenalg(scratch: string): Promise<Peer> {
  const words = [join(root, 'test/bench/leiden_peer.py')]
  return startPeer(join(root, '.venv-bench/bin/python'), words, { log: join(scratch, 'leiden.log'), env: process.env })
}

/** sentence-transformers; `copy`: a folder to put the model in as torch wants it. */
export function startTorch(settings: object, scratch: string, copy: string): Promise<Peer> {
  const words = [join(root, 'test/bench/embed_peer.py'), JSON.stringify(settings), copy]
  // Nothing is to be fetched, and nothing asked of the hub.
  const env = { ...process.env, HF_HUB_OFFLINE: '1' }
  return startPeer(join(root, '.venv-bench-torch/bin/python'), words, { log: join(scratch, 'torch.log'), env })
}

/** A program of this folder, in TypeScript, in a process of its own. */
export function startOwn(program: string, scratch: string, ...more: string[]): Promise<Peer> {
  const words = ['--import', import.meta.resolve('tsx'), join(root, 'test/bench', program), ...more]
  return startPeer(process.execPath, words, { log: join(scratch, `${program}-${started++}.log`), env: process.env })
}

// So that two of the same program do not write into one log.
let started = 0

async function startPeer(
  program: string,
  words: readonly string[],
  { log, env }: { log: string; env: NodeJS.ProcessEnv },
): Promise<Peer> {
  const start = performance.now()
  const logFile = openSync(log, 'w')
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', logFile], env })
  closeSync(logFile)
  child.on('error', () => {}) // a peer that died is noticed at its output
  const { stdin, stdout } = child
  const { pid } = child
  if (stdin === null || stdout === null || pid === undefined) throw new Error(`${program} could not be started`)
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
    pid,
    startSeconds: (performance.now() - start) / 1000,
    async ask(request) {
      stdin.write(`${JSON.stringify(request)}\n`)
      return JSON.parse(await nextLine())
    },
    stop() {
      stdin.end()
      setTimeout(() => child.kill(), ENDING_MILLISECONDS).unref()
    },
  }
}

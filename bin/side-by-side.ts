// Runs steps of a quarter side by side, in pipeline order: side-by-side embed --quarter Q -- cluster-firm --quarter Q --follow
// Each is a process of its own, and what they say comes line by line. Who waits for whom is theirs (lib/db/follow.ts).
// A step that fails stops those after it, which could get nothing more, and none before it: what costs a card's hours goes on.

import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../lib/errors.ts'
import { say } from '../lib/log.ts'

// As bin/quarterdeck.ts ends when the database went away, or the cloud has announced that the instance goes.
const RUN_AGAIN = 75

const DOOR = fileURLToPath(new URL('./quarterdeck.mjs', import.meta.url))

const children: ChildProcess[] = []
let wasTold = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    wasTold = true
    stop(children, signal)
  })
// Who reads no further misses what the steps print, and not the work: one of them would have gone on as well.
process.stdout.on('error', () => {})
process.on('exit', () => stop(children, 'SIGTERM')) // whatever ends us, an error of our own included
type Step = { words: readonly string[]; child: ChildProcess; ended: Promise<number> }
const steps: Step[] = []
for (const words of commandLines(process.argv.slice(2))) {
  const before = steps.at(-1)?.ended
  const step: Step = { words, child: start(words), ended: Promise.resolve(0) }
  step.ended = endOf(step, before)
  steps.push(step)
}

const codes = await Promise.all(
  steps.map(async ({ words: [verb], ended }, i) => {
    const code = await ended
    const later = steps.slice(i + 1).filter(step => isRunning(step.child))
    if (code === 0 || later.length === 0 || wasTold) return code // who was told is on his way
    const names = later.map(step => step.words[0]).join(' and ')
    say(`${verb} has ${code === RUN_AGAIN ? 'stopped' : 'failed'}: stopping ${names}`)
    stop(
      later.map(step => step.child),
      'SIGTERM',
    )
    return code
  }),
)
// The first in pipeline order: those after it may have failed because they were stopped.
process.exitCode = codes.find(code => code !== 0) ?? 0

/** The exit code of a step; a follower that ended well before whom it follows is run again, for what came after its end. */
async function endOf(step: Step, before: Promise<number> | undefined): Promise<number> {
  let isBeforeOver = before === undefined
  before?.then(() => {
    isBeforeOver = true
  })
  const code = await exitCode(step.child)
  // All was done, and on a busy machine it saw nobody begin who would take it back.
  if (code !== 0 || isBeforeOver || !step.words.includes('--follow') || (await before) !== 0) return code
  step.child = start(step.words)
  return await exitCode(step.child)
}

/** What stands between `--` and `--`. */
function commandLines(words: readonly string[]): string[][] {
  const lines: string[][] = [[]]
  for (const word of words) {
    if (word === '--') lines.push([])
    else lines[lines.length - 1].push(word)
  }
  return lines
}

function start(words: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [DOOR, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  // Both line by line: a pipe that processes share takes what is longer than a page in pieces, each between those of the others.
  createInterface({ input: child.stdout }).on('line', line => process.stdout.write(`${line}\n`))
  createInterface({ input: child.stderr }).on('line', say)
  return child
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

function stop(children: readonly ChildProcess[], signal: NodeJS.Signals): void {
  for (const child of children) if (isRunning(child)) child.kill(signal)
}

/** When it has ended and all that it said was passed on; as a shell counts where a signal ended it. */
async function exitCode(child: ChildProcess): Promise<number> {
  return await new Promise(resolve => {
    child.on('error', error => {
      say(messageOf(error))
      resolve(1)
    })
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
  })
}

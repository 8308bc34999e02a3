// Starts the process that runs the model and speaks with it: ids go over, vectors come back, in order; calls may overlap.
// A process of its own, because onnxruntime-node blocks the thread it runs on, because a container that runs out of memory
// kills a process without a word, and because only the end of a process gives all memory back.

import { fork } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { messageOf, UserError } from '../errors.ts'
import { environmentOfModel } from '../settings.ts'
import type { Batch } from './batching.ts'
import { libraryFolders } from './cuda.ts'
import type { SessionOptions } from './onnx.ts'
import { saysOutOfMemory } from './out-of-memory.ts'

export type Request = { open: SessionOptions } | { call: number; batch: Batch }
export type Opened = { dimension: number; residentBytes: number }
/** A hint makes it a UserError. */
export type Refused = { error: string; hint: string | undefined; outOfMemory: boolean }
export type Answer = { vectors: Float32Array; seconds: number; residentBytes: number }
export type Reply = Opened | Refused | ({ call: number } & (Answer | Refused))

/** The model's process ran out of memory: it said so, or it was killed, which is how a container says it. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory'
}

/** The model's process is gone for another reason, such as a fault in a driver. */
export class ModelDied extends Error {
  override readonly name = 'ModelDied'
}

export type ModelProcess = {
  dimension: number
  /** Resident memory after loading. */
  loadedBytes: number
  /** After OutOfMemory the process is of no more use: close it, and open another. */
  run(batch: Batch): Promise<Answer>
  close(): Promise<void>
}

type Waiting = { resolve(answer: Answer): void; reject(error: Error): void }

const PROGRAM = fileURLToPath(new URL('./onnx-child.ts', import.meta.url))
// What a driver prints before it takes the process down is worth showing; a page of it is not.
const LAST_WORDS = 2000

/** Loads a model in a process of its own. `program` is another one only in the test that lets one die. */
export function openModelProcess(options: SessionOptions, program = PROGRAM): Promise<ModelProcess> {
  // By absolute path: `--import tsx` alone is looked up from the current folder, which may be any.
  const typescript = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const child = fork(program, [], {
    execArgv: ['--import', typescript, '--expose-gc'],
    env: environmentOfModel(libraryFolders()),
    serialization: 'advanced', // typed arrays as they are; m: 1.7 µs of CPU a vector of 256 numbers on either side
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const waiting = new Map<number, Waiting>()
  let calls = 0
  let dead: Error | undefined
  let lastWords = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-LAST_WORDS)
  })
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()))

  return new Promise<ModelProcess>((resolveOpen, rejectOpen) => {
    function die(reason: Error): void {
      dead ??= reason
      rejectOpen(dead)
      for (const call of waiting.values()) call.reject(dead)
      waiting.clear()
    }

    function run(batch: Batch): Promise<Answer> {
      if (dead) return Promise.reject(dead)
      const call = calls++
      return new Promise((resolve, reject) => {
        waiting.set(call, { resolve, reject })
        send({ call, batch })
      })
    }

    function send(request: Request): void {
      // A process that cannot be reached is gone or about to go; how it went is told when it has.
      child.send(request, error => {
        if (error) child.kill('SIGKILL')
      })
    }

    async function close(): Promise<void> {
      die(new Error('the model was closed'))
      child.kill('SIGKILL') // it holds nothing that has to be put away
      await gone
    }

    child.on('message', (reply: Reply) => {
      if ('call' in reply) {
        const call = waiting.get(reply.call)
        waiting.delete(reply.call)
        if ('vectors' in reply) call?.resolve(reply)
        else call?.reject(thrown(reply))
      } else if ('dimension' in reply) {
        resolveOpen({ dimension: reply.dimension, loadedBytes: reply.residentBytes, run, close })
      } else {
        die(thrown(reply))
        child.kill('SIGKILL')
      }
    })
    child.on('error', error => die(new ModelDied(`the model's process failed: ${messageOf(error)}`, { cause: error })))
    child.on('close', (code, signal) => die(deathOf(code, signal, lastWords)))
    send({ open: options })
  })
}

/** How a process ends that was not asked to. 137 is what a shell makes of SIGKILL. */
function deathOf(code: number | null, signal: NodeJS.Signals | null, lastWords: string): Error {
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
  const words = lastWords.trim()
  const text = `the model's process ${how} before it had answered${words && `; its last words: ${words}`}`
  const killed = signal === 'SIGKILL' || code === 137 || saysOutOfMemory(words)
  return killed ? new OutOfMemory(text) : new ModelDied(text)
}

function thrown({ error, hint, outOfMemory }: Refused): Error {
  if (outOfMemory) return new OutOfMemory(error)
  return hint === undefined ? new Error(error) : new UserError(error, hint)
}

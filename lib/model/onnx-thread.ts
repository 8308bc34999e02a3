// Starts the thread that runs the model and speaks with it: ids go over and vectors come back, moved and not copied.
// Calls may overlap; they are answered in order. A thread that dies fails the calls that wait, with a reason.
// Knows nothing of onnxruntime, so that the main thread never loads it.

import { Worker } from 'node:worker_threads'
import { messageOf, UserError } from '../errors.ts'
import type { Batch } from './batching.ts'
import type { Session, SessionOptions } from './onnx.ts'

export type Request = { call: number; batch: Batch }
export type Opened = { dimension: number }
/** A hint makes it a UserError. */
export type Refused = { error: string; hint: string | undefined }
export type Reply = { call: number } & ({ vectors: Float32Array } | Refused)

export type Thread = Session & { close(): Promise<void> }

type Waiting = { resolve(vectors: Float32Array): void; reject(error: Error): void }

const SCRIPT = new URL('../thread.mjs', import.meta.url)

/** `script` is another thread's program only in the test that lets one die. */
export function openThread(options: SessionOptions, script = SCRIPT): Promise<Thread> {
  const worker = new Worker(script, {
    workerData: { ...options, file: new URL('./onnx-worker.ts', import.meta.url).href },
  })
  const waiting = new Map<number, Waiting>()
  let calls = 0
  let dead: Error | undefined

  return new Promise<Thread>((resolveOpen, rejectOpen) => {
    function die(reason: Error): void {
      dead ??= reason
      rejectOpen(dead)
      for (const call of waiting.values()) call.reject(dead)
      waiting.clear()
    }

    function run(batch: Batch): Promise<Float32Array> {
      if (dead) return Promise.reject(dead)
      const call = calls++
      return new Promise((resolve, reject) => {
        waiting.set(call, { resolve, reject })
        const buffers = [batch.ids.buffer, batch.lengths.buffer] as ArrayBuffer[]
        worker.postMessage({ call, batch } satisfies Request, buffers)
      })
    }

    async function close(): Promise<void> {
      die(new Error('the model was closed'))
      await worker.terminate()
    }

    worker.on('message', (message: Opened | Refused | Reply) => {
      if ('call' in message) {
        const call = waiting.get(message.call)
        waiting.delete(message.call)
        if ('vectors' in message) call?.resolve(message.vectors)
        else call?.reject(thrown(message))
      } else if ('dimension' in message) resolveOpen({ dimension: message.dimension, run, close })
      else {
        die(thrown(message))
        worker.terminate()
      }
    })
    worker.on('error', error => die(new Error(`the model's thread failed: ${messageOf(error)}`, { cause: error })))
    worker.on('exit', code => die(new Error(`the model's thread ended with code ${code} before it had answered`)))
  })
}

function thrown({ error, hint }: Refused): Error {
  return hint === undefined ? new Error(error) : new UserError(error, hint)
}

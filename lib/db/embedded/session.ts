// Starts the thread with PGlite, and turns the talk with it into functions.
// Requests go one at a time: the gateway's turnstile sees to that.

import { Worker } from 'node:worker_threads'
import type { Session } from './gateway.ts'
import type { Answer, Request } from './worker.ts'

export type EmbeddedSession = Session & {
  checkpoint(overBytes: number): Promise<void>
  /** Writes a checkpoint and ends Postgres and the thread. */
  close(): Promise<void>
}

/** Opens the database in a folder, making it where there is none. The caller holds the folder's lock. */
export async function openSession(folder: string, onDeath: (reason: string) => void): Promise<EmbeddedSession> {
  const thread = new Worker(new URL('../../thread.mjs', import.meta.url), {
    workerData: { file: new URL('./worker.ts', import.meta.url).href, folder },
    execArgv: [],
  })
  let closing = false
  /** Whoever waits for the thread: rejected when it dies. */
  let waiting: { onAnswer(answer: Answer): void; reject(error: Error): void } | undefined

  function died(reason: string): void {
    if (closing) return
    closing = true
    waiting?.reject(new Error(reason))
    onDeath(reason)
  }
  thread.on('message', (answer: Answer) => {
    if (answer.kind === 'dead') died(answer.reason)
    else waiting?.onAnswer(answer)
  })
  thread.on('error', error => died(error.stack ?? error.message))
  thread.on('exit', code => died(`the thread of the embedded database ended with code ${code}`))

  /** Resolves with the first answer that is not data. */
  function nextAnswer(onData: (bytes: Buffer) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      waiting = {
        reject,
        onAnswer(answer) {
          if (answer.kind !== 'data') return resolve(answer)
          onData(Buffer.from(answer.bytes.buffer, answer.bytes.byteOffset, answer.bytes.byteLength))
        },
      }
    })
  }
  async function ask(request: Request, onData: (bytes: Buffer) => void = () => {}): Promise<void> {
    const answered = nextAnswer(onData)
    thread.postMessage(request)
    await answered
  }

  const ready = await nextAnswer(() => {})
  return {
    parameters: ready.kind === 'ready' ? ready.parameters : {},
    execute: (messages, onData) => ask({ kind: 'execute', messages }, onData),
    checkpoint: overBytes => ask({ kind: 'checkpoint', overBytes }),
    async close() {
      await ask({ kind: 'close' })
      closing = true
      await thread.terminate()
    },
  }
}

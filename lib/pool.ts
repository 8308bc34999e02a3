// Worker threads for work that is pure computation: the pool is piscina's, pool-thread.mjs is what runs in its threads.
// Here: what a thread that dies costs. One more try on another thread, then an error for that job alone; piscina puts a
// new thread in its place. Typed arrays on shared memory are read where they are; others are copied on the way there,
// and moved on the way back.

import { totalmem } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { Piscina } from 'piscina'
import { messageOf } from './errors.ts'

export type Pool<Job, Result> = { run(job: Job): Promise<Result>; close(): Promise<void> }

/** What a thread answers: the function's result, or what it threw. A thread that dies answers nothing. */
type Answer<Result> = { result: Result } | { thrown: unknown }

// A thread dies of memory, or of a fault below JavaScript: another try may find more room, a third would not.
const TRIES = 2

/** A pool that calls the named export of a module, one job a thread at a time, in the order they come. */
export function openPool<Job, Result>(
  module: URL,
  name: string,
  threads: number,
  heapMegabytes = shareOfMemory(threads),
): Pool<Job, Result> {
  // Node 20 may abort the whole process when a thread ends while V8 still compiles for it in the background (assertion in
  // NodePlatform::ForIsolate; seen once in about 25 runs of `eval` on 2024Q3). Compiling in the thread itself costs no
  // more: 6.2 s of CPU against 6.3 for 437 firms twice. V8 reads it when a thread starts; this thread keeps what it has.
  setFlagsFromString('--no-concurrent-recompilation')
  const pool = new Piscina({
    filename: new URL('./pool-thread.mjs', import.meta.url).href,
    name: 'call',
    minThreads: threads,
    maxThreads: threads,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
  })
  pool.on('error', () => {}) // a thread that dies with nothing in hand costs nobody anything
  async function ask(job: Job): Promise<Answer<Result>> {
    for (let tries = 1; ; tries++) {
      try {
        return (await pool.run({ module: module.href, name, job })) as Answer<Result>
      } catch (error) {
        if (!isDeath(error)) throw error
        if (tries === TRIES)
          throw new Error(`its worker thread died ${TRIES} times: ${messageOf(error)}`, { cause: error })
      }
    }
  }
  return {
    async run(job) {
      const answer = await ask(job)
      // The same job throws the same again: no second try.
      if ('thrown' in answer) throw answer.thrown
      return answer.result
    },
    close: () => pool.close({ force: true }),
  }
}

/**
 * Whether the thread ended under the job: piscina 5 knows an exit by these words only, and hands on Node's own error where
 * there is one (ERR_WORKER_OUT_OF_MEMORY). All else, such as a job that cannot be cloned (DataCloneError) or
 * a module that cannot be loaded, would come again with every try.
 */
function isDeath(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : '' // a number, 25, in a DataCloneError
  return code.startsWith('ERR_WORKER_') || error.message.startsWith('worker exited with code')
}

/**
 * Half of the memory for the heaps of all threads together; what lies outside of heaps (embeddings, the database) has the
 * rest. Without a limit of its own each thread may take gigabytes: then the kernel kills the process, and with it every
 * firm in hand, where a thread at its limit costs one firm. Never under 256 MB: a firm of 15,000 sentences needs 64.
 */
function shareOfMemory(threads: number): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  return Math.max(256, Math.floor(memory / 2 / threads / 2 ** 20))
}

// Worker threads for work that is pure computation: the pool is piscina's, thread.mjs lets it run TypeScript.

import { Piscina } from 'piscina'

export type Pool<Job, Result> = { run(job: Job): Promise<Result>; close(): Promise<void> }

/** A pool that calls the named export of a module, one job a thread at a time. */
export function openPool<Job, Result>(module: URL, name: string, threads: number): Pool<Job, Result> {
  const pool = new Piscina({
    filename: new URL('./thread.mjs', import.meta.url).href,
    name: 'call',
    minThreads: threads,
    maxThreads: threads,
  })
  return {
    run: job => pool.run({ module: module.href, name, job }) as Promise<Result>,
    close: () => pool.close({ force: true }),
  }
}

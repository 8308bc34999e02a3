// Worker threads for work that is pure computation: the pool is piscina's, this knows how to load TypeScript in it.

import { Piscina } from 'piscina'

export type Pool<Job, Result> = { run(job: Job): Promise<Result>; close(): Promise<void> }

/** A pool that calls the named export of a module, one job a thread at a time. */
export function openPool<Job, Result>(module: URL, name: string, threads: number): Pool<Job, Result> {
  const pool = new Piscina({
    filename: module.href,
    name,
    minThreads: threads,
    maxThreads: threads,
    // By address and not by name: a worker resolves names from the current folder, which is the caller's, not ours.
    execArgv: ['--import', import.meta.resolve('tsx')],
  })
  return {
    run: job => pool.run(job) as Promise<Result>,
    close: () => pool.close({ force: true }),
  }
}

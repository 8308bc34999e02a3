// Jobs for the tests of the pool, as a thread runs them: some wait, some throw, some take their thread down with them.

import { appendFileSync, existsSync } from 'node:fs'

export type Job = { log: string; name: string; gate?: Int32Array; values?: Float32Array; once?: boolean }

function note({ log, name }: Job): void {
  appendFileSync(log, `${name}\n`)
}

/** Ends when it is told to, and not before. */
export function waits(job: Job): string {
  note(job)
  const { gate } = job
  if (gate !== undefined) while (Atomics.load(gate, 0) === 0) Atomics.wait(gate, 0, 0, 20)
  return job.name
}

export function throws(job: Job): never {
  note(job)
  throw new RangeError(`${job.name} is no number`)
}

/** The thread ends in the middle of it, as by a fault below JavaScript: nobody can catch it. */
export function dies(job: Job): string {
  const again = existsSync(`${job.log}.${job.name}`)
  note(job)
  if (job.name.startsWith('sound') || (job.once && again)) return job.name
  appendFileSync(`${job.log}.${job.name}`, '')
  process.exit(9)
}

/** Takes all the memory it can get. */
export function eats(job: Job): number {
  note(job)
  const eaten: string[][] = []
  for (let i = 0; job.name !== 'sound'; i++) eaten.push(Array.from({ length: 1000 }, (_, k) => `${i} ${k}`))
  return eaten.length
}

/** Writes into what it was given. */
export function doubles({ values }: Job): Float32Array | undefined {
  values?.forEach((value, i) => {
    values[i] = 2 * value
  })
  return values?.slice()
}

let last: { list: { numbers: Float64Array }[] } | undefined

/** How many bytes of what it returned the last time it still has; returns something new. */
export function keepsWhatItGave(): { kept: number; list: { numbers: Float64Array }[] } {
  const kept = last?.list[0].numbers.byteLength ?? Number.NaN
  last = { list: [{ numbers: Float64Array.of(1, 2, 3) }] }
  return { kept, ...last }
}

// What a piece of work takes: seconds, CPU seconds, and the most memory a process has held. Imports nothing of ours, so
// that a process that measures its own memory does not measure the bench's.

import { readFileSync } from 'node:fs'

export type Timed<Result> = { result: Result; seconds: number; cpuSeconds: number }

/** Seconds and CPU seconds of something done in this process. */
export function timed<Result>(work: () => Result): Timed<Result> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = work()
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { result, seconds, cpuSeconds: (user + system) / 1e6 }
}

/** Undefined where there is no /proc to read it from. */
export function peakBytes(pid: number | 'self'): number | undefined {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
  } catch {
    return undefined
  }
}

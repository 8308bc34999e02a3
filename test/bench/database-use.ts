// What a database server uses, seen from outside: CPU seconds and the most memory its processes have held together, of a
// Postgres server or of the embedded database's daemon. So that the two can stand beside one another in a table.
// Undefined where there is no /proc.

import { readFileSync } from 'node:fs'
import { processesBelow } from '../processes.ts'
import { kilobytes, readOrNothing } from './processes.ts'
import type { Used } from './steps.ts'

// A backend lives as long as a command does; a worker of an index build for seconds.
const SAMPLE_MILLISECONDS = 500
const TICKS_PER_SECOND = 100 // USER_HZ, see processes.ts

/** Watches a server by the number of its first process, until it is asked what was used since. */
export function watchDatabase(pid: number): { end(): Used | undefined } {
  const before = useOf(pid)
  let peak = before?.bytes ?? 0
  const timer = setInterval(() => {
    peak = Math.max(peak, useOf(pid)?.bytes ?? 0)
  }, SAMPLE_MILLISECONDS).unref()
  return {
    end() {
      clearInterval(timer)
      const after = useOf(pid)
      if (before === undefined || after === undefined) return undefined
      return { cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakBytes: Math.max(peak, after.bytes) }
    },
  }
}

function useOf(pid: number): { cpuSeconds: number; bytes: number } | undefined {
  let ticks = 0
  let own = 0
  let shared = 0
  try {
    for (const one of [pid, ...processesBelow(pid).map(process => process.pid)]) {
      const read = (file: string) => readFileSync(`/proc/${one}/${file}`, 'utf8')
      // The fields after the name, which may hold spaces itself: own time and that of children which have ended.
      const fields = (one === pid ? read('stat') : readOrNothing(one, 'stat')).split(') ').at(-1)?.split(' ') ?? []
      ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
      const status = readOrNothing(one, 'status')
      own += kilobytes(status, 'RssAnon')
      // All processes of a server map the same buffers: once, and the part that the busiest has touched.
      shared = Math.max(shared, kilobytes(status, 'RssShmem'))
    }
  } catch {
    return undefined
  }
  return { cpuSeconds: ticks / TICKS_PER_SECOND, bytes: 1024 * (own + shared) }
}

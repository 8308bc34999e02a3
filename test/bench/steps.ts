// Runs the steps of a quarter as a person does, one process each, and measures them: wall, CPU, memory, and the database's share.
// Left to others: which steps, on what data (quarter.ts), and how it is shown (quarter-report.ts).

import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { databaseStatus } from '../../lib/db/embedded/start.ts'
import { succeed } from '../run.ts'
import { peakBytes } from './clocks.ts'
import { sampleMemory } from './processes.ts'

export type Used = { cpuSeconds: number; peakBytes: number }

export type MeasuredStep = {
  verb: string
  seconds: number
  /** The command and the processes that it started; the sum of what each has held at most. */
  command: Used
  /** The part of it that was in processes it started, such as the model's; CPU alone. */
  childSeconds: number
  /** Of the daemon of the embedded database during this step; undefined where there is no /proc to read it from. */
  database: Used | undefined
  stdout: string
}

// A process that is killed at the end says nothing of its own peak; five looks a second cost half a hundredth of a core.
const SAMPLE_MILLISECONDS = 200

/** Runs one command on a scratch home; `words` begins with the verb. `more`: of the environment, such as another database. */
export async function measureStep(
  home: string,
  words: readonly string[],
  more: Record<string, string> = {},
): Promise<MeasuredStep> {
  const usageFile = join(home, 'usage.json')
  const before = await databaseUse(home)
  if (before !== undefined) forgetPeak(before.pid)
  const start = performance.now()
  let memory: ReturnType<typeof sampleMemory> | undefined
  const stdout = await succeed(words, {
    home,
    onStart(pid) {
      memory = sampleMemory(pid, SAMPLE_MILLISECONDS)
    },
    env: {
      QUARTERDECK_THREADS: String(availableParallelism()),
      NODE_OPTIONS: `--import ${new URL('./usage.mjs', import.meta.url).href}`,
      BENCH_USAGE: usageFile,
      ...more,
    },
  })
  const seconds = (performance.now() - start) / 1000
  memory?.end()
  const after = await databaseUse(home)
  const database = after && { ...after, cpuSeconds: after.cpuSeconds - (before?.cpuSeconds ?? 0) }
  const { cpuSeconds, childSeconds, peakBytes } = JSON.parse(readFileSync(usageFile, 'utf8'))
  const command = { cpuSeconds: cpuSeconds + childSeconds, peakBytes: Math.max(peakBytes, memory?.peak() ?? 0) }
  return { verb: words[0], seconds, command, childSeconds, database, stdout }
}

// Linux counts a process's time in USER_HZ, which is 100 wherever Node runs (`getconf CLK_TCK`).
const TICKS_PER_SECOND = 100

async function databaseUse(home: string): Promise<(Used & { pid: number }) | undefined> {
  const { pid } = await databaseStatus(home)
  if (pid === undefined) return undefined
  try {
    // The fields after the name, which may hold spaces itself: user and system time are the 14th and 15th of all.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
    return { pid, cpuSeconds, peakBytes: peakBytes(pid) ?? 0 }
  } catch {
    return undefined
  }
}

/** Begins the daemon's peak anew, so that it is the next step's; where that is refused, it stays the peak since the start. */
function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {}
}

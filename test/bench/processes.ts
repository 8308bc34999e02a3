// What a process and all that it started use, seen from outside: CPU seconds and memory, from /proc.
// So that a program whose model runs in a process of its own is not measured by half. Undefined where there is no /proc.
// A daemon that it left behind has a session of its own and does not count.

import { readdirSync, readFileSync } from 'node:fs'

export type TreeUse = {
  /** Of the living, and of those that ended and were waited for. */
  cpuSeconds: number
  /** In memory now, and the sum of what each has held at most; pages that several share count for each. */
  bytes: number
  peakBytes: number
  processes: number
}

// Linux counts a process's time in USER_HZ, which is 100 wherever Node runs (`getconf CLK_TCK`).
const TICKS_PER_SECOND = 100

export function treeUse(pid: number): TreeUse | undefined {
  const parents = parentsOfAll()
  const session = fieldsOfStat(pid)?.[3]
  if (session === undefined) return undefined
  const use: TreeUse = { cpuSeconds: 0, bytes: 0, peakBytes: 0, processes: 0 }
  for (const own of parents.keys()) {
    const fields = isUnder(own, pid, parents) ? fieldsOfStat(own) : undefined
    if (fields === undefined || fields[3] !== session) continue
    const status = readOrNothing(own, 'status')
    const ticks = fields.slice(11, 15).map(Number)
    use.cpuSeconds += ticks.reduce((total, one) => total + one, 0) / TICKS_PER_SECOND
    use.bytes += kilobytes(status, 'VmRSS') * 1024
    use.peakBytes += kilobytes(status, 'VmHWM') * 1024
    use.processes++
  }
  return use
}

export type MemorySamples = {
  /** Bytes in memory, one after the other. */
  samples: number[]
  /** The most of the sums of what each had held. */
  peak(): number
  end(): void
}

/** Looks at the tree's memory now and every so many milliseconds, until it is ended. */
export function sampleMemory(pid: number, milliseconds: number): MemorySamples {
  const samples: number[] = []
  let peak = 0
  const sample = () => {
    const use = treeUse(pid)
    if (use === undefined) return
    samples.push(use.bytes)
    peak = Math.max(peak, use.peakBytes)
  }
  sample()
  const timer = setInterval(sample, milliseconds).unref()
  return { samples, peak: () => peak, end: () => clearInterval(timer) }
}

function isUnder(pid: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at: number | undefined = pid; at !== undefined; at = parents.get(at)) if (at === root) return true
  return false
}

function parentsOfAll(): Map<number, number> {
  const parents = new Map<number, number>()
  for (const name of namesIn('/proc')) {
    const pid = Number(name)
    const parent = Number.isInteger(pid) ? fieldsOfStat(pid)?.[1] : undefined
    if (parent !== undefined) parents.set(pid, Number(parent))
  }
  return parents
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The fields after the name, which may hold spaces itself: the first is the state, the second the parent. */
function fieldsOfStat(pid: number): string[] | undefined {
  const stat = readOrNothing(pid, 'stat')
  return stat === '' ? undefined : stat.slice(stat.lastIndexOf(') ') + 2).split(' ')
}

export function readOrNothing(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return '' // it has ended meanwhile
  }
}

export function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}

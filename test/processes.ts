// The processes that a process has started, and those that these have started: for tests that kill them.

import { readdirSync, readFileSync } from 'node:fs'

export type Process = { pid: number; parent: number; command: string }

/** Read from /proc: Linux only. */
export function processesBelow(pid: number): Process[] {
  const all = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => read(Number(name)) ?? [])
  const below: Process[] = []
  for (let parents = [pid]; parents.length > 0; ) {
    const children = all.filter(one => parents.includes(one.parent))
    below.push(...children)
    parents = children.map(one => one.pid)
  }
  return below
}

function read(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold spaces: count from behind it.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return undefined // gone, but nobody has asked how
    return { pid, parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }
  } catch {
    return undefined // it ended meanwhile
  }
}

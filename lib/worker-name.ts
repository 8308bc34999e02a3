// Which process this is, in a form that tells later whether it is still alive: host/pid namespace/pid/start.
// Leases in the database carry it, so that the work of a killed process on this machine is free at once.

import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

export const workerName = nameOf(process.pid)

function nameOf(pid: number): string {
  return `${hostname()}/${pidNamespace()}/${pid}/${startOf(pid)}`
}

/** False only when the process ran on this machine, in this container, and is gone: elsewhere nobody can know. */
export function mayBeAlive(worker: string): boolean {
  if (!ranHere(worker)) return true
  const [, , pid, start] = worker.split('/')
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  // The number may have been given to another process since: then the start differs.
  return startOf(Number(pid)) === start
}

/** Whether the process ran on this machine, in this container: only of such a one can be known whether it lives. */
export function ranHere(worker: string): boolean {
  const [host, namespace] = worker.split('/')
  return host === hostname() && namespace === pidNamespace()
}

// Containers share the host's name at times but count their processes apart.
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  } catch {
    return '0' // not Linux: no namespaces
  }
}

/**
 * Clock ticks from boot to the start of the process, field 22 of /proc/PID/stat; '0' where there is no /proc. Empty for one
 * that has ended and whose parent has not asked how: it keeps its number, and does nothing any more.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold spaces: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? '' : fields[19]
  } catch {
    return '0'
  }
}

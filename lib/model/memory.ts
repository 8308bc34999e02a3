// How much memory there is for a model that runs on the CPU: what the container allows, or else the machine has.
// A container's limit kills without a word, so it has to be known beforehand. Cards are card.ts's.

import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import type { Memory } from './batch-budget.ts'

/** `ours`: resident bytes of the model's process. */
export function memoryOfMachine(ours: number): Memory {
  // 0 or more than the machine has: no limit. Both of Node's figures know control groups, versions 1 and 2.
  const limit = process.constrainedMemory()
  const limited = limit > 0 && limit < totalmem()
  const total = limited ? limit : totalmem()
  // In a container Node counts the cache of files as used, which a database beside us fills to the brim and which the kernel
  // gives back when it is wanted. For the whole machine it does not.
  const cache = limited ? cachedFileBytes() : 0
  return { total, used: Math.max(0, total - process.availableMemory() - cache), ours }
}

/** Bytes of files that this process's control group has in memory and has not used of late; 0 where that is not told. */
export function cachedFileBytes(read: (path: string) => string = path => readFileSync(path, 'utf8')): number {
  const readOr = (path: string) => {
    try {
      return read(path)
    } catch {
      return ''
    }
  }
  const groups = readOr('/proc/self/cgroup')
  // Version 2 has one line, `0::/path`; version 1 one for each controller, `4:memory:/path`. Inside a container the path may
  // be one of the host's, and the group is then found at the root.
  const [, second = ''] = /^0::(.*)$/m.exec(groups) ?? []
  const [, first = ''] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups) ?? []
  const places = [
    ...(first ? [`/sys/fs/cgroup/memory${first}`, '/sys/fs/cgroup/memory'] : []),
    `/sys/fs/cgroup${second}`,
    '/sys/fs/cgroup',
  ]
  for (const place of places) {
    const stat = readOr(`${place}/memory.stat`)
    // Version 1 has both, its own first; the one with all groups below it is what the limit goes by.
    const [, bytes] = /^total_inactive_file (\d+)$/m.exec(stat) ?? /^inactive_file (\d+)$/m.exec(stat) ?? []
    if (bytes !== undefined) return Number(bytes)
  }
  return 0
}

// Memory of the machine or of the container: what files take of it for a while is free.

import { totalmem } from 'node:os'
import { describe, expect, it } from 'vitest'
import { cachedFileBytes, memoryOfMachine } from '../../lib/model/memory.ts'

describe('memory', () => {
  it('is in use in part, and not by more than there is', () => {
    const { total, used, ours } = memoryOfMachine(5)
    expect(total).toBeGreaterThan(0)
    expect(total).toBeLessThanOrEqual(totalmem())
    expect(used).toBeGreaterThan(0)
    expect(used).toBeLessThan(total)
    expect(ours).toBe(5)
  })
})

describe('files in memory', () => {
  const from = (files: Record<string, string>) =>
    cachedFileBytes(path => {
      if (files[path] === undefined) throw new Error(`ENOENT ${path}`)
      return files[path]
    })

  it('are those of the own control group, version 2', () => {
    const files = {
      '/proc/self/cgroup': '0::/system.slice/job\n',
      '/sys/fs/cgroup/system.slice/job/memory.stat': 'anon 7\nfile 9000\ninactive_file 4096\nactive_file 4904\n',
    }
    expect(from(files)).toBe(4096)
  })

  it('are found at the root where a container shows the path of its host', () => {
    const files = {
      '/proc/self/cgroup': '0::/kubepods/pod1/x\n',
      '/sys/fs/cgroup/memory.stat': 'anon 7\ninactive_file 12288\n',
    }
    expect(from(files)).toBe(12288)
  })

  it('are those of all groups below, version 1', () => {
    const files = {
      '/proc/self/cgroup': '12:pids:/a\n4:memory:/docker/x\n1:cpu,cpuacct:/b\n0::/\n',
      '/sys/fs/cgroup/memory/docker/x/memory.stat':
        'cache 1\ninactive_file 5\ntotal_cache 2\ntotal_inactive_file 8192\n',
    }
    expect(from(files)).toBe(8192)
  })

  it('are none where nobody tells', () => {
    expect(from({})).toBe(0)
  })
})

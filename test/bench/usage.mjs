// Loaded into a measured command (`--import`): as it ends, it writes what the process has used into the file BENCH_USAGE names.
// So the product need not know that it is measured, and worker threads are counted, which a look from outside would miss at the end.

import { readFileSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

if (isMainThread)
  process.on('exit', () => {
    const { user, system } = process.cpuUsage()
    writeFileSync(
      process.env.BENCH_USAGE,
      JSON.stringify({ cpuSeconds: (user + system) / 1e6, peakBytes: peakBytes() }),
    )
  })

// The kernel's maxRSS survives exec: a child starts with the peak of the process that started it. VmHWM does not.
function peakBytes() {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

// Loaded into a measured command (`--import`): as it ends, it writes what it has used into the file BENCH_USAGE names.
// So the product need not know that it is measured, and worker threads are counted, which a look from outside would miss at
// the end. Processes that it starts do not write; those it waited for, such as the model's, are in `childSeconds`.

import { readFileSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const file = process.env.BENCH_USAGE
if (isMainThread && file !== undefined) {
  delete process.env.BENCH_USAGE
  process.on('exit', () => {
    const { user, system } = process.cpuUsage()
    const used = { cpuSeconds: (user + system) / 1e6, childSeconds: childSeconds(), peakBytes: peakBytes() }
    writeFileSync(file, JSON.stringify(used))
  })
}

// In ticks of a hundredth of a second; theirs are the 14th and 15th field after the bracket of the name.
function childSeconds() {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')
    return (Number(fields[13]) + Number(fields[14])) / 100
  } catch {
    return 0
  }
}

// The kernel's maxRSS survives exec: a child starts with the peak of the process that started it. VmHWM does not.
function peakBytes() {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

// A clock that jumps to whoever wakes next, so that hours of waiting take no time and none of it depends on the machine.

import type { Clock } from '../../lib/model/pace.ts'

export type MadeUpClock = Clock & { slept: number[] }

/** Starts at 1000 ms. Sleepers wake in the order of their hours, and of their calls where those are equal. */
export function madeUpClock(): MadeUpClock {
  let now = 1000
  const sleepers: { at: number; wake: () => void }[] = []
  const slept: number[] = []
  function wakeNext(): void {
    if (sleepers.length === 0) return
    let first = 0
    for (let i = 1; i < sleepers.length; i++) if (sleepers[i].at < sleepers[first].at) first = i
    const [sleeper] = sleepers.splice(first, 1)
    now = Math.max(now, sleeper.at)
    sleeper.wake()
  }
  return {
    slept,
    now: () => now,
    async sleep(ms) {
      slept.push(ms)
      const woken = new Promise<void>(wake => sleepers.push({ at: now + ms, wake }))
      // Whoever else can run, runs first. An answer on its way over the network is not waited for.
      setImmediate(wakeNext)
      await woken
    },
  }
}

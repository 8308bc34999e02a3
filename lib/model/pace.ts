// The pace at which requests may start: so many a second, and none while a server has asked for silence.
// Knows nothing of what is requested; its clock can be given to it, so that its rule is tested without waiting for it.

import { setTimeout as sleep } from 'node:timers/promises'

export type Clock = {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /** Resolves `ms` milliseconds later; rejects with an AbortError as soon as `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export type Pace = {
  /** Resolves when the caller may start one request: in the order of the calls, unless somebody is held back. */
  turn(signal?: AbortSignal): Promise<void>
  /** Nobody starts for `ms` milliseconds from now, those who wait already included. */
  holdBack(ms: number): void
}

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
}

/** Gives out turns at least `spacing` ms apart. */
export function openPace(spacing: number, clock: Clock): Pace {
  let next = 0
  let heldUntil = 0
  return {
    async turn(signal) {
      do {
        const now = clock.now()
        const mine = Math.max(now, next, heldUntil)
        next = mine + spacing
        await clock.sleep(mine - now, signal)
      } while (clock.now() < heldUntil)
    },
    holdBack(ms) {
      heldUntil = Math.max(heldUntil, clock.now() + ms)
    },
  }
}

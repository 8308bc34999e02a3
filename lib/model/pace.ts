// The pace at which requests may start: so many a second, so many tokens a minute, and none while a server has asked for
// silence. Knows nothing of what is requested; its clock can be given to it, so that its rule is tested without waiting.

import { setTimeout as sleep } from 'node:timers/promises'

export type Clock = {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /** Resolves `ms` milliseconds later. */
  sleep(ms: number): Promise<void>
}

export type Limits = { requestsPerSecond: number; tokensPerMinute: number }

export type Pace = {
  /** Resolves when the caller may start a request of so many tokens: in the order of the calls, unless somebody is held back. */
  turn(tokens: number): Promise<void>
  /** A request took so many tokens more than its turn was for, or fewer where negative: those who come next wait as much longer. */
  putRight(tokens: number): void
  /** Nobody starts for `ms` milliseconds from now, those who wait already included. */
  holdBack(ms: number): void
}

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: ms => sleep(ms),
}

/**
 * Each request takes its share of the second and of the minute, and the next one starts when both are over. Never a burst,
 * not even after a pause: servers count by windows of their own, and xAI's requests by the second.
 */
export function openPace({ requestsPerSecond, tokensPerMinute }: Limits, clock: Clock): Pace {
  const millisecondsOf = (tokens: number): number => (tokens * 60_000) / tokensPerMinute
  let nextByRequests = 0
  let nextByTokens = 0
  let heldUntil = 0
  return {
    async turn(tokens) {
      do {
        const now = clock.now()
        const mine = Math.max(now, nextByRequests, nextByTokens, heldUntil)
        nextByRequests = mine + 1000 / requestsPerSecond
        nextByTokens = mine + millisecondsOf(tokens)
        await clock.sleep(mine - now)
      } while (clock.now() < heldUntil)
    },
    putRight(tokens) {
      nextByTokens += millisecondsOf(tokens)
    },
    holdBack(ms) {
      heldUntil = Math.max(heldUntil, clock.now() + ms)
    },
  }
}

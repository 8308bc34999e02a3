// Trying again what may succeed in a moment. How long a moment is, and what is worth it, is the callers' knowledge.

import { isLeaving, pause } from '../leaving.ts'

/** How often something is tried, or looked at, and how long the waits between are; shorter in tests. */
export type Patience = { attempts: number; milliseconds: number }

/** Does it until it succeeds, fails for good, the patience is over, or the process leaves. */
export async function tried<Result>(
  { attempts, milliseconds }: Patience,
  isWorthIt: (error: unknown) => boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt >= attempts || isLeaving() || !isWorthIt(error)) throw error
    }
    await pause(milliseconds)
  }
}

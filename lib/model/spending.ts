// What answers have cost, and the limit on it: what a request is expected to cost is set aside before it is sent, by the
// worst that answers were underestimated so far. Knows neither the server nor the database; what is spent is told to it, and
// of other processes only what they have kept: together they may pass the limit by what they have in flight.

import type { Tokens } from './chat-prices.ts'

export type Spending = Tokens & {
  /** Answered ones; what a server says of a request that it did not answer, nobody hears. */
  requests: number
  /** Null where there was an answer of unknown price. */
  dollars: number | null
}

export type Purse = {
  /** Does what is expected to cost so much, or tells that the limit forbids it. */
  within<Result>(expected: number | null, work: () => Promise<Result>): Promise<Result | { overLimit: true }>
  /** An answer that has been paid for, and what it was expected to cost. */
  add(answer: Tokens & { dollars: number | null }, expected: number | null): void
  spending(): Spending
}

// Sums of binary fractions are off by less; a billionth of a dollar is no money.
const NO_MONEY = 1e-9

/** `spent` says what all answers so far have cost, those of this process included as soon as they are kept. */
export function openPurse(limit: number | undefined, spent: () => Promise<number>): Purse {
  const total: Spending = { requests: 0, promptTokens: 0, completionTokens: 0, dollars: 0 }
  let setAside = 0
  // The most that an answer has cost of what was expected, at least 1: a model that thinks may take ten times as much. Until
  // one answer has shown it, requests go one at a time, so that a wrong expectation passes the limit by one answer only.
  let worst: number | undefined
  let trial: Promise<void> | undefined

  async function spend<Result>(most: number, mine: number, work: () => Promise<Result>) {
    setAside += mine
    try {
      // Before the question to the database: an answer that is kept while it is under way would count in neither.
      // In both it counts at worst, and a request too few is what a limit allows.
      const before = setAside * (worst ?? 1)
      if ((await spent()) + before > most + NO_MONEY) return { overLimit: true as const }
      return await work()
    } finally {
      setAside -= mine
    }
  }

  return {
    async within(expected, work) {
      if (limit === undefined) return await work()
      while (trial !== undefined) await trial
      const result = spend(limit, expected ?? 0, work)
      if (worst === undefined) {
        const over = (): void => {
          trial = undefined
        }
        trial = result.then(over, over)
      }
      return await result
    },
    add({ promptTokens, completionTokens, dollars }, expected) {
      total.requests++
      total.promptTokens += promptTokens
      total.completionTokens += completionTokens
      total.dollars = total.dollars === null || dollars === null ? null : total.dollars + dollars
      // Where nothing was expected and something is billed, no factor helps: it stays at one request at a time.
      if (dollars === 0 || (dollars !== null && expected)) worst = Math.max(worst ?? 1, dollars / (expected || 1))
    },
    spending: () => ({ ...total }),
  }
}

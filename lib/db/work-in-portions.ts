// Works through a step whose firms take milliseconds: claims, reads and saves several firm-quarters at a time, where
// work.ts would ask the database a dozen times for each. Who may write, and what is saved, stay firm by firm.
// What is read, computed and written is the command's.

import { finishedBeforeLeaving, isLeaving } from '../leaving.ts'
import type { Database } from './connect.ts'
import {
  type Claim,
  claimPortion,
  followerOf,
  keepLeases,
  nextPortion,
  orSoon,
  type Portion,
  type Stage,
  type Target,
} from './work.ts'

// For 437 firms of 2016Q3 the embedded database spends 4.2 s of CPU one by one, 1.1 s in portions of 8, 1.0 of 32, 0.9 of
// 128. A portion is half a second's work of two cores, so that several processes still share a quarter to its end; 4,000
// embeddings of 256 numbers are 4 MB, and there are two portions in memory: one computed, one read.
const PORTION: Portion = { firms: 32, units: 4000 }
// What was finished within a tenth of a second is saved in one transaction: a kill then loses that beside what is being
// computed, and a transaction costs little a firm. Who is slow is not waited for.
const TOGETHER_MILLISECONDS = 100

export type PortionSteps<Item, Result> = {
  read(claims: readonly Claim[]): Promise<Item[]>
  compute(item: Item): Promise<Result | undefined>
  save(results: Result[]): Promise<void>
}

/**
 * Until nothing is left: `read` gets what the claims need, `compute` runs for at most `atOnce` of them at a time (firms, and
 * units unless there is only one; asked each time, since it may change), largest first, and `save` writes what was finished
 * meanwhile; `compute` returns undefined where there is nothing to save. The next portion is read while this one is computed.
 * With `follow` until the steps before have nothing left either.
 */
export async function workInPortions<Item extends { units: number }, Result>(
  sql: Database,
  stage: Stage,
  target: Target,
  atOnce: () => Portion,
  steps: PortionSteps<Item, Result>,
  follow = false,
): Promise<void> {
  const leases = keepLeases(sql, stage)
  const follower = follow ? followerOf(sql, stage, target) : undefined
  const saver = saveTogether(steps.save)
  const computing = new Set<Promise<void>>()
  let units = 0
  let next: Promise<Item[]> = Promise.resolve([])
  function start(item: Item): void {
    units += item.units
    const one = steps.compute(item).then(result => {
      units -= item.units
      if (result !== undefined) saver.add(result)
      computing.delete(one) // one that failed stays, for the race to find
      if (computing.size === 0) saver.flush() // nothing else to wait for
    })
    one.catch(() => {}) // seen where it is raced
    computing.add(one)
  }
  function isFull(next: Item, limit: Portion): boolean {
    return computing.size >= limit.firms || units + next.units > limit.units
  }
  async function readAll(claims: readonly Claim[]): Promise<Item[]> {
    return claims.length === 0 ? [] : await steps.read(claims)
  }
  async function portionByPortion(): Promise<void> {
    for (;;) {
      // With nothing in hand: what other processes hold may come free, and more come from the step before.
      let items = await readAll(await nextPortion(sql, stage, target, PORTION, follower))
      if (items.length === 0) return
      while (items.length > 0) {
        next = claimPortion(sql, stage, target, PORTION).then(readAll)
        next.catch(() => {}) // seen where it is awaited
        for (const item of items) {
          while (computing.size > 0 && isFull(item, atOnce())) await Promise.race(computing)
          if (isLeaving()) break // what was claimed and not begun is given back with the leases
          start(item)
        }
        items = await next
        while (follow && items.length === 0 && computing.size > 0) {
          // Not at each that ends: a portion would be a firm or two, and ask the database as often as one by one.
          await orSoon(Promise.all(computing))
          next = claimPortion(sql, stage, target, PORTION).then(readAll)
          items = await next
        }
      }
      await Promise.all(computing)
      await saver.end()
    }
  }
  await finishedBeforeLeaving(async () => {
    try {
      await portionByPortion()
    } finally {
      // One that failed must not tear the others out of their work: they finish, then the failure goes on. So does the next
      // portion, because a claim that commits after the release, on another connection, would hold its firms until it runs out.
      await Promise.allSettled([...computing, next])
      await saver.end().catch(() => {})
      await leases.release()
    }
  })
}

/** Collects results and saves what came within a moment in one go; one save at a time, in the order they came. */
function saveTogether<Result>(save: (results: Result[]) => Promise<void>) {
  let waiting: Result[] = []
  let timer: NodeJS.Timeout | undefined
  let saving = Promise.resolve()
  let failure: { error: unknown } | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    saving = saving.then(async () => {
      const results = waiting
      waiting = []
      if (results.length > 0) await save(results)
    })
    saving.catch(error => {
      failure = { error }
    })
  }
  return {
    flush,
    /** Throws where an earlier save failed: then there is no point in going on. */
    add(result: Result): void {
      if (failure !== undefined) throw failure.error
      waiting.push(result)
      timer ??= setTimeout(flush, TOGETHER_MILLISECONDS)
    },
    async end(): Promise<void> {
      flush()
      await saving
    },
  }
}

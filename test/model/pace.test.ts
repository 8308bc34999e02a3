// The pace of requests by a made-up clock: spacing, tokens, holding back.

import { describe, expect, it } from 'vitest'
import { openPace, type Pace } from '../../lib/model/pace.ts'
import { type MadeUpClock, madeUpClock } from './made-up-clock.ts'

// As good as no limit on tokens: a thousand of them take a millionth of a millisecond.
const TOKENS_FREE = { tokensPerMinute: 6e13 }
const REQUESTS_FREE = { requestsPerSecond: 1e12 }

/** When requests of so many tokens start that come all at once. */
async function startsOf({ turn }: Pace, clock: MadeUpClock, tokens: readonly number[]): Promise<number[]> {
  const starts: number[] = []
  await Promise.all(
    tokens.map(async some => {
      await turn(some)
      starts.push(Math.round(clock.now()))
    }),
  )
  return starts
}

describe('a pace of requests', () => {
  it('lets the first start at once and each further one no sooner than the spacing allows', async () => {
    const clock = madeUpClock()
    const pace = openPace({ requestsPerSecond: 20, ...TOKENS_FREE }, clock)
    expect(await startsOf(pace, clock, [0, 0, 0, 0])).toEqual([1000, 1050, 1100, 1150])
  })

  it('owes nothing for a time in which nobody asked', async () => {
    const clock = madeUpClock()
    const { turn } = openPace({ requestsPerSecond: 20, ...TOKENS_FREE }, clock)
    await turn(0)
    await clock.sleep(500)
    await turn(0)
    expect(clock.now()).toBe(1500)
    await turn(0)
    expect(clock.now()).toBe(1550)
  })

  it('holds back those who come and those who wait already', async () => {
    const clock = madeUpClock()
    const pace = openPace({ requestsPerSecond: 20, ...TOKENS_FREE }, clock)
    await pace.turn(0)
    const waiting = pace.turn(0).then(() => clock.now())
    pace.holdBack(300)
    pace.holdBack(200) // the longer one stands
    const coming = pace.turn(0).then(() => clock.now())
    const [first, second] = [await waiting, await coming].sort((a, b) => a - b)
    expect(first).toBeGreaterThanOrEqual(1300)
    expect(second - first).toBeGreaterThanOrEqual(50)
  })
})

describe('a pace of tokens', () => {
  // A thousand a second.
  const limits = { tokensPerMinute: 60_000, ...REQUESTS_FREE }

  it('lets the next start when the share of the one before is over, and never in a burst', async () => {
    const clock = madeUpClock()
    expect(await startsOf(openPace(limits, clock), clock, [200, 5000, 300, 1])).toEqual([1000, 1200, 6200, 6500])
  })

  it('gives no credit for a time in which nobody asked', async () => {
    const clock = madeUpClock()
    const pace = openPace(limits, clock)
    await clock.sleep(59_000)
    expect(await startsOf(pace, clock, [1000, 1000])).toEqual([60_000, 61_000])
  })

  it('keeps whichever limit is the narrower', async () => {
    const clock = madeUpClock()
    const pace = openPace({ tokensPerMinute: 60_000, requestsPerSecond: 2 }, clock)
    expect(await startsOf(pace, clock, [100, 2000, 100, 100])).toEqual([1000, 1500, 3500, 4000])
  })

  it('puts right what was expected as soon as it is known, up and down', async () => {
    const clock = madeUpClock()
    const pace = openPace(limits, clock)
    await pace.turn(1000)
    pace.putRight(500)
    await pace.turn(1000)
    expect(clock.now()).toBe(2500)
    pace.putRight(-900)
    await pace.turn(1000)
    expect(clock.now()).toBe(2600)
  })

  it('gives no credit for what was not used when that is long past', async () => {
    const clock = madeUpClock()
    const pace = openPace(limits, clock)
    await pace.turn(5000)
    await clock.sleep(20_000)
    pace.putRight(-5000)
    expect(await startsOf(pace, clock, [1000, 1000])).toEqual([21_000, 22_000])
  })

  it('never lets more through in a minute than it may, once all is put right', async () => {
    const clock = madeUpClock()
    const pace = openPace(limits, clock)
    const used: { at: number; tokens: number }[] = []
    // Expectations that are off by up to a half, put right while others wait.
    for (let i = 0; i < 300; i++) {
      const tokens = 500 + ((i * 7919) % 1000)
      await pace.turn(1000)
      used.push({ at: clock.now(), tokens })
      pace.putRight(tokens - 1000)
    }
    for (const { at } of used) {
      const inMinute = used
        .filter(one => one.at >= at && one.at < at + 60_000)
        .reduce((sum, one) => sum + one.tokens, 0)
      expect(inMinute).toBeLessThanOrEqual(60_000 + 1500) // the one that starts last may end later
    }
    // And not much less: the limit is there to be used.
    const all = used.reduce((sum, one) => sum + one.tokens, 0)
    expect((used[299].at - used[0].at) / 1000).toBeLessThanOrEqual(all / 1000)
  })
})

// The pace of requests by a made-up clock: spacing, holding back, calling off.

import { describe, expect, it } from 'vitest'
import { openPace, REAL_CLOCK } from '../../lib/model/pace.ts'
import { madeUpClock } from './made-up-clock.ts'

describe('a pace', () => {
  it('lets the first start at once and each further one no sooner than the spacing allows', async () => {
    const clock = madeUpClock()
    const { turn } = openPace(50, clock)
    const starts: number[] = []
    await Promise.all(
      [0, 1, 2, 3].map(async () => {
        await turn()
        starts.push(clock.now())
      }),
    )
    expect(starts).toEqual([1000, 1050, 1100, 1150])
  })

  it('owes nothing for a time in which nobody asked', async () => {
    const clock = madeUpClock()
    const { turn } = openPace(50, clock)
    await turn()
    await clock.sleep(500)
    await turn()
    expect(clock.now()).toBe(1500)
    await turn()
    expect(clock.now()).toBe(1550)
  })

  it('holds back those who come and those who wait already', async () => {
    const clock = madeUpClock()
    const pace = openPace(50, clock)
    await pace.turn()
    const waiting = pace.turn().then(() => clock.now())
    pace.holdBack(300)
    pace.holdBack(200) // the longer one stands
    const coming = pace.turn().then(() => clock.now())
    const [first, second] = [await waiting, await coming].sort((a, b) => a - b)
    expect(first).toBeGreaterThanOrEqual(1300)
    expect(second - first).toBeGreaterThanOrEqual(50)
  })

  it('ends the wait of one who is called off', async () => {
    const { turn } = openPace(3_600_000, REAL_CLOCK)
    await turn()
    const aborter = new AbortController()
    const waiting = turn(aborter.signal)
    aborter.abort()
    await expect(waiting).rejects.toThrow('aborted')
  })
})

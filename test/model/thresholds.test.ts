// Warnings: each when its limit has been passed for long enough, once a run, with what to do; and none otherwise.

import { describe, expect, it } from 'vitest'
import { openMeter } from '../../lib/model/meter.ts'
import { costOf, type Dollars, LIMITS, openThresholds, type Warning } from '../../lib/model/thresholds.ts'

const FREE: Dollars = { perHour: undefined, perDay: undefined, soFarToday: 0 }

type Second = { utilization?: number | null; memory?: number; batch?: number; outOfMemory?: boolean; card?: boolean }
type Heard = Warning & { second: number }

/** A run of so many seconds, in which the card is read once a second and the thresholds look every `every` seconds. */
function run(
  seconds: number,
  at: (second: number) => Second,
  { dollars = FREE, every = 5, start = 1e6 } = {},
): Heard[] {
  const meter = openMeter(start)
  const thresholds = openThresholds(dollars)
  const heard: Heard[] = []
  for (let second = 0; second <= seconds; second++) {
    const now = start + second * 1000
    const { utilization = 0.7, memory = 0.5, batch = 0.1, outOfMemory = false, card = true } = at(second)
    if (card)
      meter.card(
        {
          index: 0,
          name: 'Tesla T4',
          driver: '535',
          utilization,
          memoryUsed: memory * 16e9,
          memoryTotal: 16e9,
          temperature: null,
          power: null,
        },
        now,
      )
    meter.batch({ rows: 32, columns: 32, tokens: 1000, seconds: batch }, now)
    if (outOfMemory) meter.outOfMemory()
    if (second % every === 0)
      heard.push(...thresholds.see(meter.figures(now), now).map(warning => ({ ...warning, second })))
  }
  return heard
}

describe('an ordinary run', () => {
  it('is not worth a word', () => {
    expect(run(1800, () => ({}))).toEqual([])
  })

  it('without a card, or with one that tells nothing, is not worth a word either', () => {
    expect(run(1800, () => ({ card: false }))).toEqual([])
    expect(run(1800, () => ({ utilization: null }))).toEqual([])
  })
})

describe('a card that is full of work', () => {
  it('is a good sign, said once, after ten minutes', () => {
    const heard = run(3600, () => ({ utilization: 0.95 }))
    expect(heard.map(({ about, good, second }) => [about, good, second])).toEqual([['card full', true, 600]])
    expect(heard[0].text).toContain('95 % busy over the last 10 min')
  })

  it('is judged by ten minutes, not by a moment', () => {
    expect(run(3600, second => ({ utilization: second % 2 }))).toEqual([])
    expect(run(599, () => ({ utilization: 1 }))).toEqual([])
  })

  it('may start slowly: the first minutes leave the window again', () => {
    const heard = run(3600, second => ({ utilization: second < 240 ? 0.45 : 1 }))
    // Over 90 % when no more than 109 of the 600 seconds are slow ones: from second 131 to 239.
    expect(heard.map(({ second }) => second)).toEqual([730])
  })
})

describe('a card that starves', () => {
  it('is a warning, once, after five minutes', () => {
    const heard = run(3600, () => ({ utilization: 0.2 }))
    expect(heard.map(({ about, good, second }) => [about, good, second])).toEqual([['card starved', false, 300]])
  })

  it('is seen though it works at times, and though the run began well', () => {
    const heard = run(3600, second => ({ utilization: second < 1800 ? 0.8 : second % 5 === 0 ? 1 : 0 }))
    expect(heard.map(({ about }) => about)).toEqual(['card starved'])
    // .8 until then: the mean of 300 s falls under .4 when 200 of them are at .2.
    expect(heard[0].second).toBeGreaterThanOrEqual(1995)
    expect(heard[0].second).toBeLessThanOrEqual(2010)
  })

  it('is not seen in the pauses between batches, however the moments of looking fall', () => {
    // Idle in every fifth second, which is when the thresholds look.
    expect(run(3600, second => ({ utilization: second % 5 === 0 ? 0 : 0.8 }), { every: 5 })).toEqual([])
  })

  it('is not seen in readings that stopped', () => {
    expect(run(3600, second => ({ utilization: 0.1, card: second < 120 }))).toEqual([])
  })

  it('is advised by whether the model ran: larger batches, or a faster supply', () => {
    expect(run(300, () => ({ utilization: 0.2, batch: 0.9 }))[0].text).toMatch(/ran 90 % .* QUARTERDECK_BATCH_START=64/)
    expect(run(300, () => ({ utilization: 0.2, batch: 0.2 }))[0].text).toMatch(/ran 20 % .* the database/)
  })
})

describe('the memory of the card', () => {
  it('is a warning when it is nearly full for five minutes on end', () => {
    const heard = run(1200, second => ({ memory: second < 100 ? 0.5 : 0.9 }))
    expect(heard.map(({ about, second }) => [about, second])).toEqual([['card memory', 400]])
    expect(heard[0].text).toContain('14.4 of 16.0 GB')
  })

  it('may be nearly full for a while', () => {
    expect(run(3600, second => ({ memory: second % 300 < 290 ? 0.9 : 0.5 }))).toEqual([])
  })
})

describe('batches', () => {
  it('that take too long are a warning, when they are more than one in twenty', () => {
    expect(run(600, second => ({ batch: second % 10 === 0 ? 2 : 0.1 })).map(({ about }) => about)).toEqual([
      'slow batches',
    ])
    expect(run(600, second => ({ batch: second % 25 === 0 ? 2 : 0.1 }))).toEqual([])
  })

  it('are not judged by the first few', () => {
    expect(run(LIMITS.slowBatches.batches - 2, () => ({ batch: 5 }), { every: 1 })).toEqual([])
    expect(run(LIMITS.slowBatches.batches, () => ({ batch: 5 }), { every: 1 })).toHaveLength(1)
  })

  it('that run out of memory are a warning at once, and once', () => {
    const heard = run(600, second => ({ outOfMemory: second === 50 || second === 200 }))
    expect(heard.map(({ about, second }) => [about, second])).toEqual([['out of memory', 50]])
  })
})

describe('money', () => {
  it('is a warning when today costs more than it may, earlier runs counted', () => {
    const dollars = { perHour: 1, perDay: 5, soFarToday: 4.5 }
    const heard = run(3600, () => ({}), { dollars })
    expect(heard.map(({ about, second }) => [about, second])).toEqual([['cost', 1805]])
    expect(heard[0].text).toMatch(/\$5\.00 today, over the limit of \$5\.00/)
  })

  it('is not mentioned without a price, or without a limit', () => {
    expect(run(3600, () => ({}), { dollars: { perHour: undefined, perDay: 0, soFarToday: 0 } })).toEqual([])
    expect(run(3600, () => ({}), { dollars: { perHour: 1000, perDay: undefined, soFarToday: 0 } })).toEqual([])
  })

  it('of a run over several days counts a day for today and all for the run', () => {
    expect(costOf({ perHour: 2, perDay: 50, soFarToday: 0 }, 72 * 3600)).toEqual({ run: 144, today: 48, limit: 50 })
    expect(costOf(FREE, 3600)).toBeUndefined()
  })
})

describe('all of it at once', () => {
  it('is said once each, with something to do', () => {
    const heard = run(7200, () => ({ utilization: 0.1, memory: 0.95, batch: 3, outOfMemory: true }), {
      dollars: { perHour: 10, perDay: 1, soFarToday: 0 },
    })
    expect(heard.map(({ about }) => about).sort()).toEqual(
      ['card memory', 'card starved', 'cost', 'out of memory', 'slow batches'].sort(),
    )
    for (const { text } of heard) expect(text).toMatch(/export QUARTERDECK_|nvidia-smi|Ctrl-C|top;/)
  })
})

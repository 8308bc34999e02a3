// The figures of a run: sums that add up, rates over the right time, quantiles as near as promised, nothing made up.

import { describe, expect, it } from 'vitest'
import { createRandom } from '../../lib/math/random.ts'
import type { CardReading } from '../../lib/model/card.ts'
import { countsOf, noteOf, openMeter } from '../../lib/model/meter.ts'

const GIB = 2 ** 30

function reading(more: Partial<CardReading> = {}): CardReading {
  return {
    index: 0,
    name: 'Tesla T4',
    driver: '535.183.01',
    utilization: 0.9,
    memoryUsed: 6 * GIB,
    memoryTotal: 15 * GIB,
    temperature: 64,
    power: 68,
    ...more,
  }
}

describe('a run', () => {
  it('that has done nothing has figures, all of them nothing', () => {
    const meter = openMeter(5000)
    for (const now of [5000, 6000]) {
      const { card, lately, ...figures } = meter.figures(now)
      expect(card).toBeUndefined()
      expect(lately).toEqual({ sentencesPerSecond: 0, tokensPerSecond: 0 })
      expect(Object.values({ ...figures, seconds: 0 })).toEqual(Object.values(figures).map(() => 0))
    }
  })

  it('adds up batches, padding, time in the model, and what went wrong', () => {
    const meter = openMeter(0)
    meter.batch({ rows: 10, columns: 8, tokens: 60, seconds: 0.5 }, 1000)
    meter.batch({ rows: 5, columns: 24, tokens: 100, seconds: 1.5 }, 4000)
    meter.sentences(11) // one of them twice the same
    meter.sentences(5)
    meter.outOfMemory()
    meter.tooLong(2)
    meter.tooLong(1)
    expect(meter.figures(4000)).toMatchObject({
      seconds: 4,
      sentences: 16,
      sentencesPerSecond: 4,
      tokens: 160,
      tokensPerSecond: 40,
      paddingShare: 40 / 200,
      batches: 2,
      batchSentencesMost: 10,
      batchTokensMost: 120,
      batchSecondsSum: 2,
      modelBusyShare: 0.5,
      outOfMemory: 1,
      tooLong: 3,
    })
  })
})

describe('the speed of late', () => {
  const batch = (rows: number) => ({ rows, columns: 8, tokens: 4 * rows, seconds: 0.1 })

  it('is that of the last ten seconds, whatever came before', () => {
    const meter = openMeter(0)
    for (let second = 1; second <= 60; second++) meter.batch(batch(second > 40 ? 500 : 100), second * 1000)
    expect(meter.figures(60_000).lately).toEqual({ sentencesPerSecond: 500, tokensPerSecond: 2000 })
    expect(meter.figures(60_000).tokensPerSecond).toBeCloseTo((4 * (40 * 100 + 20 * 500)) / 60)
  })

  it('is even though sentences are done in bursts', () => {
    const meter = openMeter(0)
    for (let second = 1; second <= 59; second++) {
      meter.batch(batch(100), second * 1000)
      if (second % 30 === 0) meter.sentences(3000)
    }
    expect(meter.figures(59_000).lately.sentencesPerSecond).toBe(100)
    expect(meter.figures(59_000).sentences).toBe(3000)
  })

  it('falls to nothing when nothing is done, and does not depend on how often it is asked', () => {
    const [often, seldom] = [openMeter(0), openMeter(0)]
    for (const meter of [often, seldom]) meter.batch(batch(1000), 500)
    for (let now = 500; now <= 20_000; now += 50) often.figures(now)
    expect(often.figures(20_000).lately.sentencesPerSecond).toBe(0)
    expect(seldom.figures(20_000).lately.sentencesPerSecond).toBe(50) // all it can know
    expect(seldom.figures(31_000).lately.sentencesPerSecond).toBe(0)
  })

  it('is the speed since the start in the first ten seconds', () => {
    const meter = openMeter(0)
    meter.batch(batch(300), 1500)
    expect(meter.figures(3000).lately).toEqual({ sentencesPerSecond: 100, tokensPerSecond: 400 })
  })
})

describe('quantiles', () => {
  const { next, int } = createRandom(7)

  it('are within 1 % of the true ones, for times of all lengths', () => {
    for (const [least, decades] of [
      [1e-4, 1],
      [1e-3, 4],
      [0.2, 0.5],
    ]) {
      const meter = openMeter(0)
      const times = Array.from({ length: 5001 }, () => least * 10 ** (decades * next()))
      for (const seconds of times) meter.batch({ rows: 1, columns: 4, tokens: 4, seconds }, 0)
      times.sort((a, b) => a - b)
      const { batchSecondsP50, batchSecondsP95 } = meter.figures(1)
      expect(Math.abs(batchSecondsP50 / times[2500] - 1)).toBeLessThan(0.01)
      expect(Math.abs(batchSecondsP95 / times[Math.ceil(0.95 * 5001) - 1] - 1)).toBeLessThan(0.01)
    }
  })

  it('are exact for whole numbers to 50, and do not depend on the order', () => {
    for (const largest of [1, 2, 3, 7, 32, 50]) {
      const sizes = Array.from({ length: 999 }, () => 1 + int(largest))
      const median = [...sizes].sort((a, b) => a - b)[499]
      for (const rows of [sizes, [...sizes].reverse()]) {
        const meter = openMeter(0)
        for (const one of rows) meter.batch({ rows: one, columns: 1, tokens: one, seconds: 0.1 }, 0)
        expect(meter.figures(1).batchSentencesMedian).toBe(median)
        expect(meter.figures(1).batchTokensMedian).toBe(median)
      }
    }
  })

  it('are never above the largest value, and take values beyond all bounds', () => {
    const meter = openMeter(0)
    meter.batch({ rows: 1, columns: 1, tokens: 1, seconds: 0 }, 0)
    meter.batch({ rows: 65_536, columns: 4096, tokens: 1, seconds: 1e6 }, 0)
    const figures = meter.figures(1)
    expect(figures.batchSecondsP95).toBeLessThanOrEqual(1e6)
    expect(figures.batchSecondsP50).toBeLessThanOrEqual(1e-5)
    expect(figures.batchTokensMost).toBe(65_536 * 4096)
  })
})

describe('the card', () => {
  it('is averaged over time, not over readings', () => {
    const meter = openMeter(0)
    meter.card(reading({ utilization: 0, power: 0 }), 0)
    meter.card(reading({ utilization: 1, power: 100 }), 9000) // stands for the nine seconds before it
    meter.card(reading({ utilization: 0, power: 20 }), 10_000)
    const { card } = meter.figures(10_000)
    expect(card?.utilizationMean).toBeCloseTo(0.9)
    expect(card?.utilizationSeconds).toBe(10)
    expect(card?.utilizationNow).toBe(0)
    expect(card?.powerMean).toBeCloseTo(92)
    expect(card?.energyWattHours).toBeCloseTo(920 / 3600)
  })

  it('remembers the most of memory and temperature', () => {
    const meter = openMeter(0)
    meter.card(reading({ memoryUsed: 9 * GIB, temperature: 80 }), 0)
    meter.card(reading({ memoryUsed: 2 * GIB, temperature: 50 }), 1000)
    expect(meter.figures(1000).card).toMatchObject({
      memoryMost: 9 * GIB,
      memoryNow: 2 * GIB,
      temperatureMost: 80,
      temperatureNow: 50,
    })
  })

  it('has no present when readings stop, and no opinion on the time between', () => {
    const meter = openMeter(0)
    meter.card(reading(), 0)
    meter.card(reading(), 10_000)
    expect(meter.figures(60_000).card).toMatchObject({ utilizationNow: null, memoryNow: null, memoryMost: 6 * GIB })
    meter.card(reading({ utilization: 0 }), 600_000)
    expect(meter.figures(600_000).card).toMatchObject({ utilizationMean: 0.9, utilizationSeconds: 10 })
  })

  it('that does not tell everything has gaps, not zeros', () => {
    const meter = openMeter(0)
    for (const now of [0, 1000]) meter.card(reading({ utilization: null, temperature: null, power: null }), now)
    const figures = meter.figures(1000)
    expect(figures.card).toMatchObject({
      utilizationMean: null,
      utilizationNow: null,
      temperatureMost: null,
      powerMean: null,
      energyWattHours: null,
      memoryNow: 6 * GIB,
    })
    expect(noteOf(figures)).toBe('0 sentences/s, 0 tokens/s, 6.4 of 16.1 GB')
    const told = Object.keys(countsOf(figures)).filter(name => name.startsWith('card'))
    expect(told).toEqual(['card', 'cardDriver', 'cardMemoryMost', 'cardMemoryTotal'])
  })
})

describe('what is said of it', () => {
  const meter = openMeter(0)
  meter.sentences(12_400)
  meter.batch({ rows: 12_400, columns: 28, tokens: 340_000, seconds: 8 }, 9000)
  meter.card(reading({ utilization: 0.914, memoryUsed: 6.6e9, memoryTotal: 16.1e9 }), 9000)

  it('is short on the progress line', () => {
    expect(noteOf(meter.figures(10_000))).toBe(
      '1,240 sentences/s, 34k tokens/s, padding 2 %, card 91 %, 6.6 of 16.1 GB, 64 °C',
    )
  })

  it('leaves the card out of the line where there is none, and adds what went wrong', () => {
    const plain = openMeter(0)
    plain.sentences(20)
    plain.batch({ rows: 20, columns: 4, tokens: 80, seconds: 1 }, 1000)
    plain.outOfMemory()
    expect(noteOf(plain.figures(2000))).toBe('10 sentences/s, 40 tokens/s, padding 0 %, out of memory 1 time')
  })

  it('is plain numbers and words in the table of runs', () => {
    const counts = countsOf(meter.figures(10_000))
    expect(counts).toMatchObject({ sentences: 12_400, tokensPerSecond: 34_000, paddingShare: 0.0207, card: 'Tesla T4' })
    for (const value of Object.values(counts)) expect(['number', 'string']).toContain(typeof value)
    expect(JSON.parse(JSON.stringify(counts))).toEqual(counts)
  })
})

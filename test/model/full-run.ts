// A run in which everything happens, for tests of what is written about it.

import type { RunState } from '../../lib/model/embed-metrics.ts'
import { type Meter, openMeter } from '../../lib/model/meter.ts'

export const STATE: RunState = {
  outcome: 'running',
  updatedAt: 1_700_000_000_000,
  wanted: 20_000,
  cost: { run: 0.1, today: 0.2, limit: 5 },
}

/** A minute with a card that tells all, long texts, and memory that runs out. */
export function fullRun(): Meter {
  const meter = openMeter(0)
  for (let second = 0; second <= 60; second++) {
    const now = second * 1000
    const [utilization, memoryUsed, temperature, power] = [0.9, 6e9 + second * 1e8, 50 + second / 4, 60]
    const reading = { index: 0, name: 'Tesla T4', driver: '535.183.01', memoryTotal: 16e9 }
    meter.card({ ...reading, utilization, memoryUsed, temperature, power }, now)
    meter.batch({ rows: 64, columns: 32, tokens: 2000, seconds: 0.3 + second / 100 }, now)
    meter.sentences(70)
  }
  meter.outOfMemory()
  meter.tooLong(3)
  return meter
}

/** The metrics of a text, in its order. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+)/gm)].map(match => match[1])
}

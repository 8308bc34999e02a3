// Watches a run of the embedding step: every few seconds its figures go into the metrics file, and what has become worth a
// word is said. Measures nothing itself (meter.ts) and decides nothing (thresholds.ts).

import { say, warn } from '../log.ts'
import { openMetricsFile } from '../metrics-file.ts'
import type { Labels } from '../openmetrics.ts'
import { embedMetrics, type RunState } from './embed-metrics.ts'
import type { Figures } from './meter.ts'
import { costOf, type Dollars, openThresholds } from './thresholds.ts'

// Prometheus asks every 15 to 60 seconds; a person at a dashboard should not see older figures than those.
const SECONDS = 5

export type Monitor = {
  /** Work begins, or more is known of it: `wanted` sentences, on this device. */
  start(run: { figures: () => Figures; wanted: number; device: string }): void
  end(outcome: 'done' | 'failed'): Promise<void>
}

export type MonitorOptions = {
  /** Without one only what is worth a word is said. Refused at once where it cannot be written. */
  file: string | undefined
  labels: Labels
  dollars: Dollars
}

export async function openMonitor({ file, labels, dollars }: MonitorOptions): Promise<Monitor> {
  const metricsFile = file === undefined ? undefined : await openMetricsFile(file)
  const thresholds = openThresholds(dollars)
  let look: ((outcome: RunState['outcome']) => Promise<void>) | undefined
  let timer: NodeJS.Timeout | undefined
  return {
    start({ figures, wanted, device }) {
      look = async outcome => {
        const now = figures()
        for (const { good, text } of thresholds.see(now, performance.now())) (good ? say : warn)(text)
        const state = { outcome, updatedAt: Date.now(), wanted, cost: costOf(dollars, now.seconds) }
        await metricsFile?.write(embedMetrics(now, state, { ...labels, device }))
      }
      clearInterval(timer)
      void look('running')
      timer = setInterval(() => void look?.('running'), SECONDS * 1000)
      timer.unref() // a run that is over is not kept alive for its figures
    },
    async end(outcome) {
      clearInterval(timer)
      await look?.(outcome)
    },
  }
}

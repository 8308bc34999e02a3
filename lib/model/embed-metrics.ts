// The figures of a run under the names that Prometheus knows them by; docs/monitoring has the alerts and the dashboard.
// How they are written is lib/openmetrics.ts; where to, lib/metrics-file.ts.

import { type Labels, type Metric, openMetricsText, type Sample } from '../openmetrics.ts'
import type { Figures } from './meter.ts'
import type { Cost } from './thresholds.ts'

export type RunState = {
  outcome: 'running' | 'done' | 'failed'
  /** Milliseconds since 1970. */
  updatedAt: number
  /** Sentences that this run set out to embed. */
  wanted: number
  cost: Cost | undefined
}

/** labels: of this run, such as its quarter, model and device. */
export function embedMetrics(figures: Figures, state: RunState, labels: Labels): string {
  return openMetricsText(
    [...ofRun(figures, state), ...ofBatches(figures), ...ofCard(figures), ...ofCost(state)],
    labels,
  )
}

function ofRun(figures: Figures, { outcome, updatedAt, wanted }: RunState): Metric[] {
  return [
    gauge(
      'last_update_timestamp_seconds',
      'When this file was written; standing still means the run died',
      updatedAt / 1000,
    ),
    gauge('running', '1 until the run has ended', Number(outcome === 'running')),
    gauge('failed', '1 when the run ended in an error', Number(outcome === 'failed')),
    gauge('elapsed_seconds', 'Time since the start of the run', figures.seconds),
    gauge('wanted_sentences', 'Sentences that the run set out to embed', wanted),
    gauge('sentences', 'Sentences embedded by the run', figures.sentences),
    gauge(
      'sentences_per_second',
      'Sentences through the model, over the last ten seconds',
      figures.lately.sentencesPerSecond,
    ),
    gauge('tokens', 'Tokens that the model read', figures.tokens),
    gauge('tokens_per_second', 'Tokens through the model, over the last ten seconds', figures.lately.tokensPerSecond),
    gauge('padding_ratio', 'Share of the places in batches that hold no token', figures.paddingShare),
    gauge('model_busy_ratio', 'Share of the time in which the model ran', figures.modelBusyShare),
    gauge('out_of_memory_events', 'Times that a batch ran out of memory and was cut in two', figures.outOfMemory),
    gauge('too_long_texts', 'Texts longer than the model reads', figures.tooLong),
  ]
}

function ofBatches(figures: Figures): Metric[] {
  if (figures.batches === 0) return []
  const seconds: Metric = {
    name: 'quarterdeck_embed_batch_seconds',
    help: 'Time of a batch inside the model, over the run so far, to 1 percent',
    type: 'summary',
    samples: [
      { value: figures.batchSecondsP50, labels: { quantile: '0.5' } },
      { value: figures.batchSecondsP95, labels: { quantile: '0.95' } },
      { value: figures.batchSecondsSum, part: '_sum' },
      { value: figures.batches, part: '_count' },
    ],
  }
  return [
    seconds,
    gauge('batch_sentences_median', 'Sentences in a batch', figures.batchSentencesMedian),
    gauge('batch_sentences_max', 'Sentences in the largest batch', figures.batchSentencesMost),
    gauge('batch_tokens_median', 'Tokens in a batch, padding among them', figures.batchTokensMedian),
    gauge('batch_tokens_max', 'Tokens in the largest batch, padding among them', figures.batchTokensMost),
  ]
}

function ofCard({ card }: Figures): Metric[] {
  if (card === undefined) return []
  const energy = card.energyWattHours === null ? null : card.energyWattHours * 3600
  return [
    gauge('card_info', 'The graphics card and its driver', 1, { card: card.name, driver: card.driver }),
    gauge('card_utilization_ratio', 'Share of the last second in which the card worked', card.utilizationNow),
    gauge('card_memory_used_bytes', 'Memory of the card in use, by all programs', card.memoryNow),
    gauge('card_memory_total_bytes', 'Memory of the card', card.memoryTotal),
    gauge('card_temperature_celsius', 'Temperature of the card', card.temperatureNow),
    gauge('card_power_watts', 'Power that the card draws', card.powerNow),
    gauge('card_energy_joules', 'Energy that the card drew during the run', energy),
  ]
}

function ofCost({ cost }: RunState): Metric[] {
  return [
    gauge('cost_dollars', 'What the run has cost', cost?.run),
    gauge('cost_today_dollars', 'What embedding has cost today, earlier runs among it', cost?.today),
    gauge('cost_limit_dollars', 'What embedding may cost in a day', cost?.limit),
  ]
}

function gauge(name: string, help: string, value: Sample['value'], labels?: Labels): Metric {
  return { name: `quarterdeck_embed_${name}`, help, type: 'gauge', samples: [{ value, ...(labels && { labels }) }] }
}

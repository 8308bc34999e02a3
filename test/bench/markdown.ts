// How the bench writes figures into Markdown. Nothing is measured here.

import { availableParallelism, cpus, totalmem } from 'node:os'
import { thousands } from '../../lib/log.ts'

/** Three significant figures under ten seconds: 0.0213, 1.28, 12.3. */
export function seconds(value: number): string {
  return value < 10 ? value.toPrecision(3) : value.toFixed(1)
}

export function megabytes(bytes: number): string {
  return thousands(bytes / 2 ** 20)
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

/** How many times as long as ours: ours itself is 1.0 ×. */
export function ratio(value: number, ours: number | undefined): string {
  return ours === undefined ? '–' : `${(value / ours).toFixed(1)} ×`
}

/** First column to the left, numbers to the right. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = titles.map((_, i) => (i === 0 ? '---' : '---:'))
  return [titles, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

export function describeMachine(loadAtStart: number, loadAtEnd: number): string {
  return [
    `- Machine: ${availableParallelism()} cores of ${cpus()[0].model.trim()}, ${megabytes(totalmem() / 1024)} GB of memory, ` +
      `${process.platform}, Node ${process.versions.node}.`,
    `- Load average of the last minute: ${loadAtStart.toFixed(1)} at the start, ${loadAtEnd.toFixed(1)} at the end.`,
  ].join('\n')
}

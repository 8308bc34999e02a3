// What the bench measured, as Markdown: ratios first, then quality, then the steps. Nothing is measured here.

import { availableParallelism, cpus, totalmem } from 'node:os'
import { thousands } from '../../lib/log.ts'
import type { Comparison, Quality } from './firms.ts'
import type { MeasuredStep } from './steps.ts'

export type QuarterReport = {
  quarter: string
  /** Where the transcripts came from, in words. */
  source: string
  first: MeasuredStep[]
  again: MeasuredStep[]
  counts: {
    firms: number
    sentences: number
    clustered: number
    topics: number
    themes: number
    databaseBytes: number
    folderBytes: number
  }
  /** A text where there is no peer: the reason. */
  comparison: Comparison | string
  loadAtStart: number[]
  loadAtEnd: number[]
}

export function report(measured: QuarterReport): string {
  return [describeRun(measured), ...describePeer(measured), describeSteps(measured)].join('\n\n')
}

function describeRun({ source, counts, loadAtStart, loadAtEnd }: QuarterReport): string {
  const load = (average: number[]) => average[0].toFixed(1)
  return [
    `- Data: ${source}; ${thousands(counts.firms)} firms, ${thousands(counts.sentences)} sentences, ` +
      `${thousands(counts.clustered)} of them clustered, ${thousands(counts.topics)} topics, ${counts.themes} themes.`,
    `- Machine: ${availableParallelism()} cores of ${cpus()[0].model.trim()}, ${megabytes(totalmem() / 1024)} GB of memory, ` +
      `${process.platform}, Node ${process.versions.node}.`,
    `- Load average of the last minute: ${load(loadAtStart)} at the start, ${load(loadAtEnd)} at the end.`,
  ].join('\n')
}

function describePeer({ comparison, counts, first }: QuarterReport): string[] {
  if (typeof comparison === 'string') return [`No peer in this run. ${comparison.trim()}`]
  const { ours, peer, firms, sentences, refused, versions } = comparison
  const clusterSeconds = first.find(step => step.verb === 'cluster-firm')?.seconds ?? Number.NaN
  // A firm that the peer refuses costs it nothing.
  const peerQuarter = mean(peer.seconds) * counts.firms * (firms / (firms + refused.length))
  const speed = [
    speedRow('one firm, one fit, seconds (median)', median(ours.seconds), median(peer.seconds)),
    speedRow('the same in CPU seconds (median)', median(ours.cpuSeconds), median(peer.cpuSeconds)),
    speedRow(`all ${thousands(counts.firms)} firms, seconds`, clusterSeconds, peerQuarter),
    speedRow('the same, seconds a firm', clusterSeconds / counts.firms, peerQuarter / counts.firms),
  ]
  const figures: [string, (quality: Quality) => string][] = [
    ['topics a firm', quality => quality.topics.toFixed(1)],
    ['sentences in no topic', quality => `${(100 * quality.noise).toFixed(1)} %`],
    ['silhouette', quality => quality.silhouette.toFixed(3)],
    ['keywords a topic', quality => quality.keywords.toFixed(1)],
    ['NPMI of the keywords', quality => quality.coherence.toFixed(3)],
    ['keyword diversity', quality => quality.diversity.toFixed(3)],
    ['seed ARI', quality => quality.seedAgreement.toFixed(3)],
  ]
  return [
    table(['Speed', 'quarterdeck', 'BERTopic', 'ratio'], speed),
    `The first two rows are fits of ${firms} firms (${thousands(sentences)} sentences), one in ` +
      `${Math.round(counts.firms / (firms + refused.length))} by name, with two seeds each, ours and BERTopic's in turn, on one ` +
      'thread of ours; the first firm warms both up and is left out of the times. The last two are the whole of `cluster-firm` on ' +
      `${availableParallelism()} threads, database and process start included, beside BERTopic's mean fit times the firms that it can do.` +
      (refused.length > 0 ? ` Left out on both sides, because BERTopic refused them: ${refused.join('; ')}.` : ''),
    table(
      ['Quality, the same firms', 'quarterdeck', 'BERTopic'],
      figures.map(([name, show]) => [name, show(ours.quality), show(peer.quality)]),
    ),
    `BERTopic: ${versions}.`,
  ]
}

function describeSteps({ first, again, counts }: QuarterReport): string {
  const rows = first.map((step, i) => [
    `\`${step.verb}\``,
    seconds(step.seconds),
    seconds(step.command.cpuSeconds),
    megabytes(step.command.peakBytes),
    step.database ? seconds(step.database.cpuSeconds) : '–',
    step.database ? megabytes(step.database.peakBytes) : '–',
    seconds(again[i].seconds),
  ])
  const sum = (of: (step: MeasuredStep) => number, steps = first) => steps.reduce((total, step) => total + of(step), 0)
  const most = (of: (step: MeasuredStep) => number) => Math.max(...first.map(of))
  const total = [
    sum(step => step.seconds).toFixed(1),
    sum(step => step.command.cpuSeconds).toFixed(1),
    megabytes(most(step => step.command.peakBytes)),
    sum(step => step.database?.cpuSeconds ?? 0).toFixed(1),
    megabytes(most(step => step.database?.peakBytes ?? 0)),
    sum(step => step.seconds, again).toFixed(1),
  ]
  const titles = [
    'Step',
    'seconds',
    'CPU seconds',
    'peak MB',
    'database CPU seconds',
    'database peak MB',
    'again, seconds',
  ]
  return [
    table(titles, [...rows, ['whole quarter', ...total]]),
    `The database is ${megabytes(counts.databaseBytes)} MB; its folder, log included, ${megabytes(counts.folderBytes)} MB.`,
  ].join('\n\n')
}

function speedRow(name: string, ours: number, peer: number): string[] {
  return [name, seconds(ours), seconds(peer), `${(peer / ours).toFixed(1)} ×`]
}

/** Three significant figures under ten seconds: 0.0213, 1.28, 12.3. */
function seconds(value: number): string {
  return value < 10 ? value.toPrecision(3) : value.toFixed(1)
}

function megabytes(bytes: number): string {
  return thousands(bytes / 2 ** 20)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/** First column to the left, numbers to the right. */
function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = titles.map((_, i) => (i === 0 ? '---' : '---:'))
  return [titles, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

// What the bench measured of a whole quarter, as Markdown: BERTopic beside it, the quality of both, then the steps.
// Nothing is measured here.

import { availableParallelism } from 'node:os'
import { count, thousands } from '../../lib/log.ts'
import { mean, median } from './figures.ts'
import { type Comparison, type Quality, WAYS } from './firms.ts'
import { describeMachine, megabytes, percent, ratio, seconds, table } from './markdown.ts'
import type { MeasuredStep } from './steps.ts'

export type QuarterReport = {
  /** Where the transcripts came from, in words. */
  source: string
  first: MeasuredStep[]
  again: MeasuredStep[]
  counts: {
    firms: number
    /** Those that BERTopic can do; the others cost it nothing. */
    firmsForPeer: number
    sentences: number
    clustered: number
    topics: number
    themes: number
    databaseBytes: number
    folderBytes: number
  }
  /** A text where there is no peer: the reason. */
  comparison: Comparison | string
  /** Load averages of the last minute. */
  loadAtStart: number
  loadAtEnd: number
}

export function reportQuarter(measured: QuarterReport): string {
  return [describeRun(measured), ...describePeer(measured), describeSteps(measured)].join('\n\n')
}

function describeRun({ source, counts, loadAtStart, loadAtEnd }: QuarterReport): string {
  const data =
    `- Data: ${source}; ${thousands(counts.firms)} firms, ${thousands(counts.sentences)} sentences, ` +
    `${thousands(counts.clustered)} of them clustered, ${thousands(counts.topics)} topics, ${counts.themes} themes.`
  return `${data}\n${describeMachine(loadAtStart, loadAtEnd)}`
}

function describePeer(measured: QuarterReport): string[] {
  const { comparison, counts } = measured
  if (typeof comparison === 'string') return ['### Beside BERTopic', `No peer in this run. ${comparison.trim()}`]
  const { firms, sentences, refused } = comparison
  return [
    '### All firms of the quarter',
    describeAllFirms(measured, comparison),
    '### One firm',
    describeOneFirm(comparison),
    `Fits of ${firms} firms (${thousands(sentences)} sentences, ${(sentences / firms).toFixed(0)} a firm; in the whole quarter it is ` +
      `${(counts.clustered / counts.firms).toFixed(0)}), one in ${Math.round(counts.firms / (firms + refused.length))} by name, two ` +
      "fits each, ours on one thread and BERTopic's in turn; the first firm warms all up and is left out of the times." +
      (refused.length > 0 ? ` Left out on both sides, because BERTopic refused them: ${refused.join('; ')}.` : ''),
    '### How good the topics are',
    describeQuality(comparison),
    `BERTopic: ${comparison.versions}.`,
  ]
}

function describeAllFirms({ first, counts }: QuarterReport, comparison: Comparison): string {
  const { ways, importSeconds, firstFitSeconds } = comparison
  const { firmsForPeer } = counts
  const step = first.find(one => one.verb === 'cluster-firm')
  const ours = step?.seconds ?? Number.NaN
  const oursCpu = (step?.command.cpuSeconds ?? Number.NaN) + (step?.database?.cpuSeconds ?? 0)
  const row = (name: string, wall: number, cpu: number) => [
    name,
    seconds(wall),
    ratio(wall, ours),
    seconds(cpu),
    ratio(cpu, oursCpu),
    seconds(wall / counts.firms),
  ]
  return [
    table(
      [`All ${thousands(counts.firms)} firms`, 'seconds', 'ratio', 'CPU seconds', 'ratio', 'seconds a firm'],
      [
        row(`quarterdeck: the whole of \`cluster-firm\`, ${availableParallelism()} threads`, ours, oursCpu),
        ...WAYS.map(({ name }, i) =>
          row(`BERTopic, ${name}`, mean(ways[i].seconds) * firmsForPeer, mean(ways[i].cpuSeconds) * firmsForPeer),
        ),
      ],
    ),
    `Ours is the command with the start of its process, the database, keywords and representative sentences. BERTopic's is its mean fit ` +
      `of the sample below times the ${count(firmsForPeer, 'firm')} that it can do (12 sentences and more); what each process pays once is not in it: ` +
      `${seconds(importSeconds)} s of importing and ${seconds(firstFitSeconds)} s for the first fit, in which numba compiles.`,
  ].join('\n\n')
}

function describeOneFirm({ ours, ways }: Comparison): string {
  const wall = median(ours.seconds)
  const cpu = median(ours.cpuSeconds)
  const sides = [
    { name: 'quarterdeck', times: ours },
    ...WAYS.map(({ name }, i) => ({ name: `BERTopic, ${name}`, times: ways[i] })),
  ]
  return table(
    ['One firm, one fit', 'seconds (median)', 'ratio', 'CPU seconds (median)', 'ratio', 'longest'],
    sides.map(({ name, times }) => [
      name,
      seconds(median(times.seconds)),
      ratio(median(times.seconds), wall),
      seconds(median(times.cpuSeconds)),
      ratio(median(times.cpuSeconds), cpu),
      seconds(Math.max(...times.seconds)),
    ]),
  )
}

function describeQuality({ quality }: Comparison): string {
  const share = (value: number | null) => (value === null ? '–' : percent(value))
  const figure = (value: number | null) => value?.toFixed(3) ?? '–'
  const figures: [string, (quality: Quality) => string][] = [
    ['topics a firm', one => one.topicsAFirm?.toFixed(1) ?? '–'],
    ['sentences in no topic', one => share(one.noise)],
    ['silhouette', one => figure(one.silhouette)],
    ['NPMI coherence', one => figure(one.npmi)],
    ['diversity', one => figure(one.diversity)],
    ['keywords a topic', one => one.keywordsATopic.toFixed(1)],
    ['ARI, other seed', one => figure(one.seedAri)],
    ['ARI, tenth away', one => figure(one.tenthAri)],
  ]
  return table(
    ['The same firms, by the code of `eval`', 'quarterdeck', 'BERTopic'],
    figures.map(([name, show]) => [name, show(quality.ours), show(quality.peer)]),
  )
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
    '### The steps',
    table(titles, [...rows, ['whole quarter', ...total]]),
    `The database is ${megabytes(counts.databaseBytes)} MB; its folder, log included, ${megabytes(counts.folderBytes)} MB.`,
  ].join('\n\n')
}

// What the bench measured of the engine alone, as Markdown: sentences by three engines, then HDBSCAN alone.
// Nothing is measured here.

import { count, thousands } from '../../lib/log.ts'
import { type ClusterReport, type EngineRow, LIBRARIES, OURS, PYTHON } from './cluster.ts'
import type { HdbscanRow } from './hdbscan.ts'
import { describeMachine, megabytes, percent, ratio, seconds, table } from './markdown.ts'

export function reportCluster(measured: ClusterReport): string {
  const { source, engines, hdbscans, versions, absent, loadAtStart, loadAtEnd } = measured
  return [
    `- Data: the first different sentences of ${source}, talk left out, firm after firm.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    '### Sentences to topics: neighbours, UMAP, HDBSCAN',
    describeEngines(engines),
    whatItIs(engines),
    '### HDBSCAN alone',
    describeHdbscans(hdbscans),
    absent === undefined ? `The Python side: ${versions}.` : `No Python in this run. ${absent.trim()}`,
  ].join('\n\n')
}

function describeEngines(rows: readonly EngineRow[]): string {
  const ours = (n: number) => rows.find(row => row.n === n && row.whose === OURS)
  return table(
    [
      'Sentences',
      '',
      'seconds',
      'ratio',
      'CPU seconds',
      'ratio',
      'of which UMAP',
      'topics',
      'noise',
      'silhouette',
      'seed ARI',
    ],
    rows.map(row => [
      thousands(row.n),
      row.whose,
      seconds(row.seconds),
      ratio(row.seconds, ours(row.n)?.seconds),
      seconds(row.cpuSeconds),
      ratio(row.cpuSeconds, ours(row.n)?.cpuSeconds),
      row.layoutSeconds === undefined ? '–' : seconds(row.layoutSeconds),
      row.topics.toFixed(row.samples > 1 ? 1 : 0),
      percent(row.noise),
      row.silhouette?.toFixed(3) ?? '–',
      row.seedAgreement?.toFixed(3) ?? '–',
    ]),
  )
}

function whatItIs(rows: readonly EngineRow[]): string {
  const sizes = [...new Map(rows.map(({ n, samples }) => [n, samples]))]
  const samples = sizes.map(([n, howMany]) => `${count(howMany, 'sample')} of ${thousands(n)}`).join(', ')
  return (
    `One thread each, in turn, after a warm-up; times are medians, the rest means: ${samples}, with two seeds each up to 2,000. ` +
    `${LIBRARIES} is not asked above 1,000, where hdbscan-ts alone takes seconds and then minutes. ${PYTHON} finds neighbours by approximation from 4,096 sentences ` +
    'on; ours are exact throughout.'
  )
}

function describeHdbscans(rows: readonly HdbscanRow[]): string {
  const ours = (points: string) => rows.find(row => row.points === points && row.whose === OURS)
  return table(
    ['Points', '', 'seconds', 'ratio', 'CPU seconds', 'ratio', 'peak MB', 'clusters', 'noise', 'ARI'],
    rows.map(row => [
      row.points,
      row.whose,
      seconds(row.seconds),
      ratio(row.seconds, ours(row.points)?.seconds),
      seconds(row.cpuSeconds),
      ratio(row.cpuSeconds, ours(row.points)?.cpuSeconds),
      row.peakBytes === undefined || row.peakBytes === null ? '–' : megabytes(row.peakBytes),
      thousands(row.clusters),
      percent(row.noise),
      row.agreement?.toFixed(3) ?? '–',
    ]),
  )
}

// HDBSCAN alone, ours beside the reference from PyPI, on one thread, each in a process of its own so that its memory is
// its own: layouts of real sentences, which is what it sees in the product, and groups that were put in.
// Left to others: UMAP (cluster.ts).

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HDBSCAN } from 'hdbscan-ts'
import { say, thousands } from '../../lib/log.ts'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import { FIRM_RECIPE } from '../../lib/math/engine.ts'
import { createRandom } from '../../lib/math/random.ts'
import { blobs, normal } from '../math/tables.ts'
import { timed } from './clocks.ts'
import { clustersIn, median, noiseIn } from './figures.ts'
import { type Peer, startOwn, startPython } from './peers.ts'

/** One side on one table of points. */
export type HdbscanRow = {
  points: string
  whose: string
  seconds: number
  cpuSeconds: number
  /** Undefined where there is no /proc to read it from, and for what runs in the bench's own process. */
  peakBytes: number | undefined
  clusters: number
  noise: number
  /** With the groups that were put in, where they are known, else with the reference; undefined without either. */
  agreement: number | undefined
}

/** A layout of sentences, as cluster.ts made it: n rows of 10 numbers. */
export type Layout = { n: number; points: Float32Array }

type Settings = { minClusterSize: number; minSamples: number; selection: 'leaf' | 'eom' }
type Case = { points: string; settings: Settings; table: Float32Array; d: number; truth?: Int32Array; runs: number }
type Answer = { seconds: number; cpuSeconds: number; peakBytes?: number; labels: ArrayLike<number> }

const REFERENCE = 'hdbscan (PyPI)'

export async function compareHdbscans(
  layouts: readonly Layout[],
  scratch: string,
  hasPython: boolean,
): Promise<HdbscanRow[]> {
  const peers: { whose: string; peer: Peer }[] = []
  try {
    peers.push({ whose: 'quarterdeck', peer: await startOwn('hdbscan-alone.ts', scratch) })
    if (hasPython) peers.push({ whose: REFERENCE, peer: await startPython('hdbscan', scratch, 1) })
    const rows: HdbscanRow[] = []
    for (const one of casesOf(layouts)) {
      const found = await askInTurn(one, peers, join(scratch, 'hdbscan.f32'))
      if (one.truth !== undefined) found.push({ whose: 'hdbscan-ts', answers: [fitLibrary(one)] })
      const right = one.truth ?? found.find(({ whose }) => whose === REFERENCE)?.answers[0].labels
      const added = found.map(({ whose, answers }) => rowOf(one.points, whose, answers, right))
      rows.push(...added)
      const words = added.map(({ whose, seconds }) => `${whose} ${seconds.toPrecision(3)} s`)
      say(`bench: HDBSCAN of ${one.points}: ${words.join(', ')}`)
    }
    return rows
  } finally {
    for (const { peer } of peers) peer.stop()
  }
}

/** Smallest first, so that a process's peak is that of the table it stands beside. */
function casesOf(layouts: readonly Layout[]): Case[] {
  const { nComponents, minClusterSize, minSamples, selection } = FIRM_RECIPE
  return [
    {
      points: '500 × 10, 15 clean groups',
      settings: { minClusterSize, minSamples, selection: 'eom' }, // hdbscan-ts has no other
      d: 10,
      runs: 5,
      ...cleanGroups(500, 10, 15),
    },
    ...layouts.map(({ n, points }) => ({
      points: `${thousands(n)} × ${nComponents}, a layout of sentences`,
      settings: { minClusterSize, minSamples, selection },
      table: points,
      d: nComponents,
      runs: n > 10_000 ? 1 : 5,
    })),
    {
      points: '100,000 × 5, 100 groups, a tenth strewn',
      settings: { minClusterSize: 15, minSamples: 5, selection: 'eom' }, // as the reference cases in test/fixtures
      table: Float32Array.from(blobs(100_000, 5, 100, 1)),
      d: 5,
      runs: 1,
    },
  ]
}

/** Groups of equal size, each a bell curve of width 1, eight widths and more from any other: nobody should miss one. */
function cleanGroups(n: number, d: number, groups: number): { table: Float32Array; truth: Int32Array } {
  const random = createRandom(1)
  const centres: number[][] = []
  while (centres.length < groups) {
    const centre = Array.from({ length: d }, () => (2 * random.next() - 1) * 10)
    const isApart = centres.every(other => Math.hypot(...other.map((x, t) => x - centre[t])) > 8)
    if (isApart) centres.push(centre)
  }
  const truth = Int32Array.from({ length: n }, (_, i) => i % groups)
  const table = Float32Array.from(
    { length: n * d },
    (_, p) => centres[truth[Math.floor(p / d)]][p % d] + normal(random),
  )
  return { table, truth }
}

async function askInTurn(
  { table, d, settings, runs }: Case,
  peers: readonly { whose: string; peer: Peer }[],
  file: string,
): Promise<{ whose: string; answers: Answer[] }[]> {
  writeFileSync(file, table)
  const found = peers.map(({ whose }) => ({ whose, answers: [] as Answer[] }))
  for (let run = 0; run < runs; run++)
    for (const [i, { peer }] of peers.entries()) found[i].answers.push(await peer.ask<Answer>({ file, d, settings }))
  // The first of several only warms up.
  if (runs > 1) for (const { answers } of found) answers.shift()
  return found
}

function fitLibrary({ table, d, settings }: Case): Answer {
  const points = Array.from({ length: table.length / d }, (_, i) => Array.from(table.subarray(i * d, (i + 1) * d)))
  const library = new HDBSCAN(settings)
  const { result, seconds, cpuSeconds } = timed(() => library.fit(points))
  return { seconds, cpuSeconds, labels: result }
}

function rowOf(
  points: string,
  whose: string,
  answers: readonly Answer[],
  right: ArrayLike<number> | undefined,
): HdbscanRow {
  const { labels } = answers[0]
  return {
    points,
    whose,
    seconds: median(answers.map(answer => answer.seconds)),
    cpuSeconds: median(answers.map(answer => answer.cpuSeconds)),
    peakBytes: answers.at(-1)?.peakBytes,
    clusters: clustersIn(labels),
    noise: noiseIn(labels),
    agreement: right && adjustedRandIndex(labels, right),
  }
}

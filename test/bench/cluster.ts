// The engine alone, beside those it is to beat: real sentences of a quarter by ours, by umap-js + hdbscan-ts, and by
// umap-learn + hdbscan (PyPI), one thread each, in turn, from the same bytes. Left to others: HDBSCAN alone (hdbscan.ts),
// how it is shown (cluster-report.ts), the whole of `cluster-firm` (quarter.ts, firms.ts).

import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { sentencesByFirm } from '../../lib/db/calls.ts'
import type { Database } from '../../lib/db/connect.ts'
import { boundModel } from '../../lib/db/model-binding.ts'
import { sentenceVectorsOf } from '../../lib/db/vectors.ts'
import { say, thousands } from '../../lib/log.ts'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import { clusterExactly, epochsFor, FIRM_RECIPE, layoutOfFirm } from '../../lib/math/engine.ts'
import { clusterWithLibraries } from '../../lib/math/engine-libraries.ts'
import { hdbscan } from '../../lib/math/hdbscan.ts'
import { silhouette } from '../../lib/math/silhouette.ts'
import { timed } from './clocks.ts'
import { clustersIn, mean, median, noiseIn } from './figures.ts'
import { compareHdbscans, type HdbscanRow, type Layout } from './hdbscan.ts'
import { type Peer, setUpPython, startPython } from './peers.ts'

const SEEDS = [42, 43]
// A firm-quarter has 100 to 500 sentences; what grows faster than its rows shows beyond. The more rows, the less one run
// differs from the next, and the longer it takes.
const SIZES = [
  { n: 100, samples: 5 },
  { n: 250, samples: 5 },
  { n: 500, samples: 5 },
  { n: 2_000, samples: 2 },
  { n: 20_000, samples: 1 },
]
// hdbscan-ts takes 4 s of CPU for 1,000 rows and 16 s for 2,000, twelve times over.
const MOST_ROWS_OF_LIBRARIES = 1_000
// Under this umap-learn compares all pairs, as we always do; above it searches by approximation.
const FEWEST_APPROXIMATE_ROWS = 4_096
// Above, one seed has to do: 20,000 take every side about ten seconds.
const MOST_ROWS_TWICE = 2_000
// umap-js's own choice, and umap-learn's, under 2,500 rows. An epoch of ours moves by means, theirs by random draws
// (lib/math/layout.ts), so numbers of epochs do not compare.
const LIBRARY_EPOCHS = 500

export const OURS = 'quarterdeck'
export const LIBRARIES = 'umap-js + hdbscan-ts'
export const PYTHON = 'umap-learn + hdbscan'
/** So that nobody can think that ours is faster for its smaller number of epochs. */
const PYTHON_IN_OUR_EPOCHS = `${PYTHON}, in as many epochs as ours`

type Run = {
  seconds: number
  cpuSeconds: number
  layoutSeconds?: number
  layout?: Float32Array
  labels: ArrayLike<number>
}
/** A sample, and what one engine made of it with one seed, or with each of two. */
type Pair = { table: Float32Array; runs: Run[] }

/** One side on all samples of one size: medians of the times, means of the rest. */
export type EngineRow = {
  n: number
  samples: number
  whose: string
  seconds: number
  cpuSeconds: number
  /** Neighbours and layout, the rest being HDBSCAN; undefined where a side does not say. */
  layoutSeconds: number | undefined
  topics: number
  noise: number
  silhouette: number | undefined
  /** Of two seeds; undefined where only one was run. */
  seedAgreement: number | undefined
}

export type ClusterReport = {
  /** Where the sentences came from, in words. */
  source: string
  engines: EngineRow[]
  hdbscans: HdbscanRow[]
  /** Of the Python side, or why there is none. */
  versions: string
  absent: string | undefined
  /** Load averages of the last minute. */
  loadAtStart: number
  loadAtEnd: number
}

/** Needs a database whose quarter has embeddings; `source` says in words where it came from. */
export async function measureClustering(
  sql: Database,
  { quarter, source }: { quarter: string; source: string },
  scratch: string,
): Promise<ClusterReport> {
  const [loadAtStart] = loadavg()
  const absent = setUpPython()
  const { rows, d, vectors } = await readDistinct(sql, quarter, SIZES[SIZES.length - 1].n)
  const python = absent === undefined ? await startPython('engine', scratch, 1) : undefined
  requireSame(vectors, Math.min(rows, 500), d)
  const layouts: Layout[] = []
  const engines = await compareEngines(vectors, rows, d, enginesFor(d, scratch, python), layouts).finally(() =>
    python?.stop(),
  )
  const hdbscans = await compareHdbscans(layouts, scratch, absent === undefined)
  const versions = python?.versions ?? ''
  return { source, engines, hdbscans, versions, absent, loadAtStart, loadAtEnd: loadavg()[0] }
}

/** The first `most` different vectors of the quarter's sentences, talk left out, firm after firm. */
async function readDistinct(
  sql: Database,
  quarter: string,
  most: number,
): Promise<{ rows: number; d: number; vectors: Float32Array }> {
  const d = (await boundModel(sql))?.dimension ?? 0
  const vectors = new Float32Array(most * d)
  const seen = new Set<string>()
  for await (const { firmId, sentences } of sentencesByFirm(sql, quarter)) {
    const ids = sentences.filter(sentence => sentence.talk === null).map(sentence => sentence.sentenceId)
    const own = await sentenceVectorsOf(sql, quarter, firmId, ids, d)
    for (let i = 0; i < ids.length && seen.size < most; i++) {
      const row = own.subarray(i * d, (i + 1) * d)
      const bytes = Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString('latin1')
      if (seen.has(bytes) || row.every(value => value === 0)) continue
      vectors.set(row, seen.size * d)
      seen.add(bytes)
    }
    if (seen.size === most) break
  }
  return { rows: seen.size, d, vectors: vectors.subarray(0, seen.size * d) }
}

type Engine = {
  whose: string
  /** Larger tables it is not asked for. */
  mostRows: number
  fit(table: Float32Array, n: number, seed: number): Promise<Run>
}

function enginesFor(d: number, scratch: string, python: Peer | undefined): Engine[] {
  const file = join(scratch, 'engine.f32')
  function askPython(table: Float32Array, seed: number, epochs: number | null): Promise<Run> {
    if (python === undefined) throw new Error('there is no Python to ask')
    writeFileSync(file, table)
    return python.ask<Run>({ file, d, settings: FIRM_RECIPE, seed, epochs })
  }
  const engines: Engine[] = [
    { whose: OURS, mostRows: Infinity, fit: async (table, n, seed) => fitOurs(table, n, d, seed) },
    {
      whose: LIBRARIES,
      mostRows: MOST_ROWS_OF_LIBRARIES,
      async fit(table, n, seed) {
        const recipe = { ...FIRM_RECIPE, epochs: LIBRARY_EPOCHS }
        const { result, seconds, cpuSeconds } = timed(() => clusterWithLibraries(table, n, d, recipe, seed))
        return { seconds, cpuSeconds, labels: result.labels }
      },
    },
  ]
  if (python !== undefined)
    engines.push(
      { whose: PYTHON, mostRows: Infinity, fit: (table, _, seed) => askPython(table, seed, null) },
      {
        whose: PYTHON_IN_OUR_EPOCHS,
        mostRows: MOST_ROWS_TWICE,
        fit: (table, n, seed) => askPython(table, seed, epochsFor(n, FIRM_RECIPE.epochs)),
      },
    )
  return engines
}

async function compareEngines(
  vectors: Float32Array,
  rows: number,
  d: number,
  engines: readonly Engine[],
  layouts: Layout[],
): Promise<EngineRow[]> {
  // All of them compile as they go, umap-learn its approximate search only on a table that is large enough for it.
  const warmUps = rows < Math.max(...SIZES.map(size => size.n)) ? [250] : [250, FEWEST_APPROXIMATE_ROWS + 1]
  for (const n of warmUps.map(n => Math.min(n, rows)))
    for (const engine of engines)
      if (n <= engine.mostRows || engine.whose === PYTHON) await engine.fit(vectors.slice(0, n * d), n, SEEDS[0])
  const found: EngineRow[] = []
  for (const { n, samples } of SIZES) {
    const asked = engines.filter(engine => n <= engine.mostRows)
    const pairs = asked.map((): Pair[] => [])
    for (let sample = 0; sample < samples && (sample + 1) * n <= rows; sample++) {
      const table = vectors.slice(sample * n * d, (sample + 1) * n * d)
      const runs = asked.map((): Run[] => [])
      for (const seed of n <= MOST_ROWS_TWICE ? SEEDS : [SEEDS[0]])
        for (const [i, engine] of asked.entries()) runs[i].push(await engine.fit(table, n, seed))
      for (const [i] of asked.entries()) pairs[i].push({ table, runs: runs[i] })
      const { layout } = runs[0][0]
      if (sample === 0 && layout !== undefined && n > MOST_ROWS_OF_LIBRARIES) layouts.push({ n, points: layout })
    }
    const added = pairs.flatMap((own, i) => (own.length === 0 ? [] : [engineRow(n, d, asked[i].whose, own)]))
    found.push(...added)
    const words = added.map(({ whose, seconds }) => `${whose} ${seconds.toPrecision(3)} s`)
    say(`bench: ${thousands(n)} sentences: ${words.join(', ') || 'the quarter has not as many'}`)
  }
  return found
}

/** clusterExactly in its two halves, so that each has its time. */
function fitOurs(table: Float32Array, n: number, d: number, seed: number): Run {
  const layout = timed(() => layoutOfFirm(table, n, d, FIRM_RECIPE, seed))
  const { nComponents, selection } = FIRM_RECIPE
  const found = timed(() =>
    hdbscan(layout.result, n, nComponents, { ...FIRM_RECIPE, clusterSelectionMethod: selection }),
  )
  return {
    seconds: layout.seconds + found.seconds,
    cpuSeconds: layout.cpuSeconds + found.cpuSeconds,
    layoutSeconds: layout.seconds,
    layout: layout.result,
    labels: found.result.labels,
  }
}

/** What is timed here must be what the product does. */
function requireSame(vectors: Float32Array, n: number, d: number): void {
  const { labels } = clusterExactly(vectors, n, d, FIRM_RECIPE, SEEDS[0])
  if (adjustedRandIndex(fitOurs(vectors, n, d, SEEDS[0]).labels, labels) !== 1)
    throw new Error('cluster.ts no longer takes the steps that clusterExactly takes: its labels are others')
}

function engineRow(n: number, d: number, whose: string, pairs: readonly Pair[]): EngineRow {
  const runs = pairs.flatMap(pair => pair.runs)
  const separation = pairs.map(({ table, runs }) => silhouette(table, n, d, runs[0].labels))
  const agreement = pairs.map(({ runs: [one, other] }) => other && adjustedRandIndex(one.labels, other.labels))
  const layouts = runs.map(run => run.layoutSeconds).filter(seconds => seconds !== undefined)
  return {
    n,
    samples: pairs.length,
    whose,
    seconds: median(runs.map(run => run.seconds)),
    cpuSeconds: median(runs.map(run => run.cpuSeconds)),
    layoutSeconds: layouts.length === 0 ? undefined : median(layouts),
    topics: mean(runs.map(run => clustersIn(run.labels))),
    noise: mean(runs.map(run => noiseIn(run.labels))),
    silhouette: meanOfKnown(separation),
    seedAgreement: meanOfKnown(agreement),
  }
}

function meanOfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter(value => value !== undefined)
  return known.length === 0 ? undefined : mean(known)
}

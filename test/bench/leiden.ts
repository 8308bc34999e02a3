// Communities alone, beside leidenalg (PyPI): objective and time on the graphs of a quarter's firms, of many of its sentences at
// once, and of planted groups, one thread each, in turn. Left to others: making the graphs (lib/math), how it is shown (leiden-report.ts).

import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { sentencesByFirm } from '../../lib/db/calls.ts'
import type { Database } from '../../lib/db/connect.ts'
import { boundModel } from '../../lib/db/model-binding.ts'
import { sentenceVectorsOf } from '../../lib/db/vectors.ts'
import { say, thousands } from '../../lib/log.ts'
import { leiden, modularity, rowsOfEdges } from '../../lib/math/communities.ts'
import { clusterDistinct, FIRM_COMMUNITIES } from '../../lib/math/engine.ts'
import { type FuzzyGraph, fuzzyGraph } from '../../lib/math/fuzzy-graph.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { planted } from '../math/made-graphs.ts'
import { timed } from './clocks.ts'
import { clustersIn, mean } from './figures.ts'
import { type Peer, setUpPython, startLeidenalg } from './peers.ts'

// A firm takes a hundredth of a second: a hundred firms and three seeds are a time that does not depend on the hour.
const FIRMS = 100
const SENTENCES = [2_000, 6_000]
// As many nodes as a large quarter has topics, and three times as many; ten edges a node as in a sparse fuzzy graph, groups of a hundred.
const PLANTED = [20_000, 60_000]
const SEEDS = [1, 2, 3]
// Above, one seed has to do: leidenalg takes a minute for 20,000 nodes until nothing changes, and for 60,000 more than the five that
// a peer is given.
const MOST_NODES_THRICE = 6_000
const MOST_NODES_UNTIL_STABLE = 20_000

export const OURS = 'quarterdeck'
export const TWO_ROUNDS = 'leidenalg, two rounds'
export const UNTIL_STABLE = 'leidenalg, until stable'

/** One side on all graphs of one kind. */
export type LeidenRow = {
  graph: string
  graphs: number
  nodes: number
  edges: number
  whose: string
  /** For all graphs once; mean of the seeds. */
  seconds: number
  cpuSeconds: number
  /** Means over graphs and seeds. */
  objective: number
  communities: number
}

export type LeidenReport = {
  source: string
  rows: LeidenRow[]
  versions: string
  absent: string | undefined
  loadAtStart: number
  loadAtEnd: number
}

type Graph = { n: number; edges: FuzzyGraph }
type Kind = { graph: string; graphs: Graph[]; resolution: number; seeds: readonly number[] }
type Run = { seconds: number; cpuSeconds: number; labels: ArrayLike<number> }

/** Needs a database whose quarter has embeddings; `source` says in words where it came from. */
export async function measureLeiden(
  sql: Database,
  { quarter, source }: { quarter: string; source: string },
  scratch: string,
): Promise<LeidenReport> {
  const [loadAtStart] = loadavg()
  const absent = setUpPython()
  const kinds = [...(await kindsOfQuarter(sql, quarter)), ...PLANTED.map(plantedKind)]
  const python = absent === undefined ? await startLeidenalg(scratch) : undefined
  const rows: LeidenRow[] = []
  try {
    for (const [i, kind] of kinds.entries()) {
      // The first graphs once more, unmeasured: both sides have to get going.
      if (i === 0) await compare({ ...kind, graphs: kind.graphs.slice(0, 10) }, python, scratch)
      const added = await compare(kind, python, scratch)
      rows.push(...added)
      const words = added.map(row => `${row.whose} ${row.seconds.toPrecision(3)} s, ${row.objective.toFixed(4)}`)
      say(`bench: communities of ${kind.graph}: ${words.join('; ')}`)
    }
  } finally {
    python?.stop()
  }
  return { source, rows, versions: python?.versions ?? '', absent, loadAtStart, loadAtEnd: loadavg()[0] }
}

/** The first firms that have enough sentences for topics, each by itself, and their sentences together. */
async function kindsOfQuarter(sql: Database, quarter: string): Promise<Kind[]> {
  const d = (await boundModel(sql))?.dimension ?? 0
  const { resolution } = FIRM_COMMUNITIES
  if (resolution === 'steadiest') throw new Error('the bench compares at one resolution; the recipe of firms has none')
  const tables: Float32Array[] = []
  let sentencesMet = 0
  for await (const { firmId, sentences } of sentencesByFirm(sql, quarter)) {
    const ids = sentences.filter(sentence => sentence.talk === null).map(sentence => sentence.sentenceId)
    const table = distinctRows(await sentenceVectorsOf(sql, quarter, firmId, ids, d), d)
    if (table.length === 0) continue
    tables.push(table)
    sentencesMet += table.length / d
    if (tables.length >= FIRMS && sentencesMet >= Math.max(...SENTENCES)) break
  }
  const mixed = new Float32Array(sentencesMet * d)
  let end = 0
  for (const table of tables) {
    mixed.set(table, end)
    end += table.length
  }
  const firms = tables.slice(0, FIRMS)
  return [
    { graph: `${firms.length} firms`, graphs: firms.map(table => graphOf(table, d)), resolution, seeds: SEEDS },
    ...SENTENCES.filter(n => n <= sentencesMet).map(n => ({
      graph: `${thousands(n)} sentences of several firms`,
      graphs: [graphOf(mixed.slice(0, n * d), d)],
      resolution,
      seeds: SEEDS,
    })),
  ]
}

/** The rows that an engine would be given: different ones, none where they are too few. */
function distinctRows(vectors: Float32Array, d: number): Float32Array {
  let distinct = new Float32Array(0)
  clusterDistinct(vectors, vectors.length / d, d, FIRM_COMMUNITIES, (rows, count) => {
    distinct = rows.slice()
    return { labels: new Int32Array(count), probabilities: new Float32Array(count) }
  })
  return distinct
}

function graphOf(table: Float32Array, d: number): Graph {
  const n = table.length / d
  return { n, edges: fuzzyGraph(nearestNeighbors(table, n, d, FIRM_COMMUNITIES.nNeighbors - 1, 'cosine'), n) }
}

function plantedKind(n: number): Kind {
  const edges = planted({ n, groups: n / 100, edgesOfNode: 10, inside: 0.6 }, 1)
  const seeds = n > MOST_NODES_THRICE ? SEEDS.slice(0, 1) : SEEDS
  return { graph: `${thousands(n)} nodes in ${n / 100} planted groups`, graphs: [{ n, edges }], resolution: 1, seeds }
}

async function compare(
  { graph, graphs, resolution, seeds }: Kind,
  python: Peer | undefined,
  scratch: string,
): Promise<LeidenRow[]> {
  const peers = graphs.every(({ n }) => n <= MOST_NODES_UNTIL_STABLE) ? [TWO_ROUNDS, UNTIL_STABLE] : [TWO_ROUNDS]
  const whose = python === undefined ? [OURS] : [OURS, ...peers]
  const runs = whose.map((): (Run & { objective: number })[] => [])
  for (const { n, edges } of graphs) {
    const rows = rowsOfEdges(edges, n)
    const file = writeGraph(edges, join(scratch, 'graph'))
    for (const seed of seeds)
      for (const [i, who] of whose.entries()) {
        const iterations = who === TWO_ROUNDS ? 2 : -1
        const run =
          who === OURS || python === undefined
            ? fitOurs(() => leiden(rows, { resolution, seed }).labels)
            : await askLeidenalg(python, { file, n, resolution, iterations, seed })
        runs[i].push({ ...run, objective: modularity(rows, run.labels, resolution) })
      }
  }
  return whose.map((who, i) => ({
    graph,
    graphs: graphs.length,
    nodes: graphs.reduce((sum, { n }) => sum + n, 0),
    edges: graphs.reduce((sum, { edges }) => sum + edges.from.length, 0),
    whose: who,
    seconds: graphs.length * mean(runs[i].map(run => run.seconds)),
    cpuSeconds: graphs.length * mean(runs[i].map(run => run.cpuSeconds)),
    objective: mean(runs[i].map(run => run.objective)),
    communities: mean(runs[i].map(run => clustersIn(run.labels))),
  }))
}

function fitOurs(work: () => Int32Array): Run {
  const { result, ...times } = timed(work)
  return { ...times, labels: result }
}

export type LeidenalgRequest = { file: string; n: number; resolution: number; iterations: number; seed: number }

/** As many rounds as `iterations` says, at -1 until one betters nothing. */
export function askLeidenalg(peer: Peer, request: LeidenalgRequest): Promise<Run> {
  return peer.ask<Run>(request)
}

/** The files that leiden_peer.py reads; what their names begin with. */
export function writeGraph({ from, to, strength }: FuzzyGraph, file: string): string {
  const ends = new Int32Array(2 * from.length)
  for (let e = 0; e < from.length; e++) {
    ends[2 * e] = from[e]
    ends[2 * e + 1] = to[e]
  }
  writeFileSync(`${file}.ends`, ends)
  writeFileSync(`${file}.weights`, strength)
  return file
}

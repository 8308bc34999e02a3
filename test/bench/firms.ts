// A sample of the quarter's firms, clustered by us and by BERTopic in turn, from the same sentences and vectors.
// In turn, so that whatever else the machine does meets both; BERTopic in the four ways it is run: seeded or not, one
// thread or all. How good the topics of both are is measured by one code, that of `quarterdeck eval`.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { measuresOf, summary } from '../../commands/eval.ts'
import { sentencesByFirm } from '../../lib/db/calls.ts'
import type { Database } from '../../lib/db/connect.ts'
import { readBackground, readFirmInputs } from '../../lib/db/firm-input.ts'
import { type TopicCounts, topicCounts } from '../../lib/db/topics.ts'
import { messageOf } from '../../lib/errors.ts'
import { count, say } from '../../lib/log.ts'
import { withoutTenth } from '../../lib/math/agreement.ts'
import { engineOf, NOISE } from '../../lib/math/engine.ts'
import { seedFrom } from '../../lib/math/random.ts'
import { silhouette } from '../../lib/math/silhouette.ts'
import { addSentences, countsFor, topWords, type WordCounts } from '../../lib/text/coherence.ts'
import { agreement } from '../../lib/text/firm-evaluation.ts'
import { type FirmJob, firmJobOf, STANDARD_RECIPE, topicsOf } from '../../lib/text/firm-topics.ts'
import { timed } from './clocks.ts'
import { mean } from './figures.ts'
import { type Peer, setUpPython, startPython } from './peers.ts'

export const SEEDS = [STANDARD_RECIPE.seed, STANDARD_RECIPE.seed + 1] as const

/** How BERTopic is run. Notebooks seldom set a seed: umap-learn then takes all cores, and every answer is another. */
export const WAYS = [
  { name: 'random_state set, one thread', seeded: true, threads: 1 },
  { name: 'no random_state, one thread', seeded: false, threads: 1 },
  { name: 'random_state set, all threads', seeded: true, threads: undefined },
  { name: 'no random_state, all threads', seeded: false, threads: undefined },
] as const

export type Fit = { seconds: number; cpuSeconds: number; labels: number[]; keywords: string[][] }
/** One firm by one side: with each seed, and the first seed without a tenth of the sentences. */
export type Fits = { first: Fit; second: Fit; ofKept: Fit }

export type Times = { seconds: number[]; cpuSeconds: number[] }

/** As `eval` has them. */
export type Quality = ReturnType<typeof summary> & { keywordsATopic: number }

export type Comparison = {
  firms: number
  sentences: number
  /** Firms that BERTopic could not do; left out on both sides. */
  refused: string[]
  versions: string
  /** What a process of BERTopic pays once: importing, and the first fit, in which numba compiles. */
  importSeconds: number
  firstFitSeconds: number
  ours: Times
  /** In the order of WAYS. */
  ways: Times[]
  quality: { ours: Quality; peer: Quality }
}

export type SampleFirm = { firmId: string; job: FirmJob; otherSeed: number; kept: Int32Array }

/** Every nth firm by name, with all that a fit needs in memory. */
export async function readSample(sql: Database, quarter: string, wanted: number): Promise<SampleFirm[]> {
  const names: string[] = []
  for await (const { firmId } of sentencesByFirm(sql, quarter)) names.push(firmId)
  const taken = Math.min(wanted, names.length)
  const chosen = Array.from({ length: taken }, (_, i) => names[Math.floor((i * names.length) / taken)])
  const background = await readBackground(sql, quarter)
  const inputs = await readFirmInputs(sql, quarter, chosen, background.d, STANDARD_RECIPE.withTalk)
  return inputs.map(input => {
    if (input.problem !== undefined) throw new Error(input.problem)
    const job = firmJobOf(quarter, input, STANDARD_RECIPE, background)
    const otherSeed = seedFrom(SEEDS[1], input.firmId, quarter)
    return { firmId: input.firmId, job, otherSeed, kept: withoutTenth(job.texts.length, otherSeed) }
  })
}

/** Fits every firm of the sample, ours and BERTopic's in turn; a text says why there is no peer. */
export async function compare(
  sql: Database,
  quarter: string,
  sample: readonly SampleFirm[],
  scratch: string,
): Promise<Comparison | string> {
  const absent = setUpPython()
  if (absent !== undefined) return absent
  const folder = join(scratch, 'peer')
  mkdirSync(folder)
  writeSample(sample, folder)
  const peers: Peer[] = []
  try {
    const oneThread = await startPython('bertopic', scratch, 1, folder)
    peers.push(oneThread)
    const allThreads = await startPython('bertopic', scratch, undefined, folder)
    peers.push(allThreads)
    const ours: Times = { seconds: [], cpuSeconds: [] }
    const ways = WAYS.map((): Times => ({ seconds: [], cpuSeconds: [] }))
    const done: { firm: SampleFirm; ours: Fits; peer: Fits }[] = []
    const refused: string[] = []
    let firstFitSeconds = 0
    for (const [i, firm] of sample.entries()) {
      const fits = await fitInTurn(firm, i, oneThread, allThreads)
      requireSame(await topicCounts(sql, quarter, firm.firmId), firm.firmId, fits.ours.first)
      say(`bench: ${i + 1} of ${sample.length} firms fitted by both`)
      if (fits.refusal !== undefined) {
        refused.push(`${firm.firmId} (${count(firm.job.texts.length, 'sentence')}: ${fits.refusal})`)
        continue
      }
      done.push({ firm, ours: fits.ours, peer: fits.peer })
      // The first firm warms all up: numba compiles in it, and so does V8.
      if (done.length === 1) {
        firstFitSeconds = fits.peer.first.seconds
        continue
      }
      addTimes(ours, [fits.ours.first, fits.ours.second])
      for (const [number, way] of fits.ways.entries()) addTimes(ways[number], way)
    }
    const firms = done.map(one => one.firm)
    const own = done.map(one => one.ours)
    const theirs = done.map(one => one.peer)
    const words = await countWordsOfQuarter(sql, quarter, [...own, ...theirs])
    return {
      firms: done.length,
      sentences: done.reduce((sum, one) => sum + one.firm.job.texts.length, 0),
      refused,
      versions: oneThread.versions,
      importSeconds: oneThread.startSeconds,
      firstFitSeconds,
      ours,
      ways,
      quality: {
        ours: qualityOf(firms, own, words),
        peer: qualityOf(firms, theirs, words),
      },
    }
  } catch (error) {
    return `BERTopic broke off: ${messageOf(error)}`
  } finally {
    for (const peer of peers) peer.stop()
  }
}

/** What the Python side reads: texts, and vectors as raw 32-bit floats. */
export function writeSample(sample: readonly SampleFirm[], folder: string): void {
  for (const [i, { job }] of sample.entries()) writeFileSync(join(folder, `${i}.f32`), job.vectors)
  const firms = sample.map(({ firmId, job }) => ({ firm: firmId, d: job.d, texts: job.texts }))
  writeFileSync(join(folder, 'firms.json'), JSON.stringify(firms))
}

/** Two fits each; a third, without a tenth of the sentences, only in the first of the ways: it is for quality alone. */
async function fitInTurn(
  firm: SampleFirm,
  i: number,
  oneThread: Peer,
  allThreads: Peer,
): Promise<{ ours: Fits; peer: Fits; ways: Fit[][]; refusal: string | undefined }> {
  const { job, otherSeed, kept } = firm
  let refusal: string | undefined
  async function ask({ seeded, threads }: (typeof WAYS)[number], seed: number, rows: number[] | null): Promise<Fit> {
    const answer = await askPeer(threads === 1 ? oneThread : allThreads, i, seeded ? seed : null, rows)
    if (!('error' in answer)) return answer
    refusal ??= answer.error
    return { seconds: 0, cpuSeconds: 0, labels: [], keywords: [] }
  }
  const ways = WAYS.map((): Fit[] => [])
  async function askAll(seed: number): Promise<void> {
    for (const [number, way] of WAYS.entries()) ways[number].push(await ask(way, seed, null))
  }
  const first = await fitOurs(job)
  await askAll(SEEDS[0])
  const second = await fitOurs({ ...job, seed: otherSeed })
  await askAll(SEEDS[1])
  const ofKept = await fitOurs(withRows(job, kept))
  const peerOfKept = await ask(WAYS[0], SEEDS[0], [...kept])
  const peer = { first: ways[0][0], second: ways[0][1], ofKept: peerOfKept }
  return { ours: { first, second, ofKept }, peer, ways, refusal }
}

/** A fit of the firm of this number in the sample, by the settings of our UMAP and HDBSCAN; or why it refused. */
export function askPeer(
  peer: Peer,
  firm: number,
  seed: number | null,
  rows: number[] | null,
): Promise<Fit | { error: string }> {
  return peer.ask({ firm, rows, seed, settings: STANDARD_RECIPE })
}

export function withRows(job: FirmJob, rows: Int32Array): FirmJob {
  const vectors = new Float32Array(rows.length * job.d)
  for (const [place, row] of rows.entries())
    vectors.set(job.vectors.subarray(row * job.d, (row + 1) * job.d), place * job.d)
  return { ...job, texts: Array.from(rows, row => job.texts[row]), vectors }
}

export async function fitOurs(job: FirmJob): Promise<Fit> {
  const cluster = await engineOf(job)
  const { result, seconds, cpuSeconds } = timed(() =>
    topicsOf(job, cluster(job.vectors, job.texts.length, job.d, job.seed)),
  )
  const keywords = result.topics.map(topic => topic.keywords.map(keyword => keyword.term))
  return { seconds, cpuSeconds, labels: [...result.topicOfSentence], keywords }
}

function addTimes(times: Times, fits: readonly Fit[]): void {
  times.seconds.push(...fits.map(fit => fit.seconds))
  times.cpuSeconds.push(...fits.map(fit => fit.cpuSeconds))
}

/** What is timed here must be what the product does: the database has the same topics and the same noise. */
export function requireSame({ topics, noise }: TopicCounts, firmId: string, fit: Fit): void {
  const found = fit.labels.filter(label => label === NOISE).length
  if (topics !== fit.keywords.length || noise !== found)
    throw new Error(
      `${firmId} has ${topics} topics and ${noise} sentences of noise in the database, ${fit.keywords.length} and ${found} in the bench: ` +
        'firms.ts no longer prepares a firm as cluster-firm does',
    )
}

/** In all clustered sentences of the quarter: what stands together by chance is known only there. */
export async function countWordsOfQuarter(sql: Database, quarter: string, fits: readonly Fits[]): Promise<WordCounts> {
  const counts = countsFor(fits.flatMap(fit => fit.first.keywords).map(topWords))
  for await (const { sentences } of sentencesByFirm(sql, quarter)) {
    const clustered = sentences.filter(sentence => sentence.talk === null)
    addSentences(
      counts,
      clustered.map(sentence => sentence.text),
    )
  }
  return counts
}

export function qualityOf(firms: readonly SampleFirm[], fits: readonly Fits[], words: WordCounts): Quality {
  const measured = fits.map(({ first, second, ofKept }, i) => {
    const { firmId, job, kept } = firms[i]
    const labels = Int32Array.from(first.labels)
    const found = {
      silhouette: silhouette(job.vectors, labels.length, job.d, labels),
      seedAgreement: agreement(labels, Int32Array.from(second.labels)),
      tenthAgreement: agreement(
        kept.map(row => labels[row]),
        Int32Array.from(ofKept.labels),
      ),
    }
    return measuresOf(firmId, labels, found, first.keywords.map(topWords), words)
  })
  return {
    ...summary(measured),
    keywordsATopic: mean(fits.flatMap(fit => fit.first.keywords).map(topic => topic.length)),
  }
}

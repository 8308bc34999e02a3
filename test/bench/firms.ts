// A sample of the quarter's firms, clustered by us and by BERTopic in turn, from the same sentences and vectors.
// In turn, so that whatever else the machine does meets both. Python is optional: without it there is no peer, and a reason.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { STANDARD_RECIPE } from '../../commands/cluster-firm.ts'
import { commonWordsOf, firmNames, sentencesByFirm, sentencesOfFirm, sizeOfQuarter } from '../../lib/db/calls.ts'
import type { Database } from '../../lib/db/connect.ts'
import { boundModel } from '../../lib/db/model-binding.ts'
import { topicCounts } from '../../lib/db/topics.ts'
import { sentenceVectorsOf } from '../../lib/db/vectors.ts'
import { messageOf } from '../../lib/errors.ts'
import { count, say } from '../../lib/log.ts'
import { NOISE } from '../../lib/math/engine.ts'
import { seedFrom } from '../../lib/math/random.ts'
import { type FirmJob, topicsOfFirm } from '../../lib/text/firm-topics.ts'
import { root } from '../run.ts'

const SEEDS = [42, 43] as const
// Importing numba and the rest takes 10 s, and a first fit as long again to compile; ten times that is a hang.
const PEER_MILLISECONDS = 200_000

export type Fit = { seconds: number; cpuSeconds: number; labels: number[]; keywords: string[][] }
type Fits = { ours: Fit[]; peer: Fit[] }

export type Quality = {
  topics: number
  noise: number
  silhouette: number
  keywords: number
  coherence: number
  diversity: number
  seedAgreement: number
}

export type Comparison = {
  firms: number
  sentences: number
  /** Firms that the peer could not do; left out on both sides. */
  refused: string[]
  versions: string
  ours: { seconds: number[]; cpuSeconds: number[]; quality: Quality }
  peer: { seconds: number[]; cpuSeconds: number[]; quality: Quality }
}

export type SampleFirm = { firmId: string; job: FirmJob }

/** Every nth firm by name, with all that a fit needs in memory. */
export async function readSample(sql: Database, quarter: string, wanted: number): Promise<SampleFirm[]> {
  const names: string[] = []
  for await (const { firmId } of sentencesByFirm(sql, quarter)) names.push(firmId)
  const taken = Math.min(wanted, names.length)
  const chosen = Array.from({ length: taken }, (_, i) => names[Math.floor((i * names.length) / taken)])
  const { firms } = await sizeOfQuarter(sql, quarter)
  const firmsUsingWord = await commonWordsOf(sql, quarter)
  const d = (await boundModel(sql))?.dimension ?? 0
  const { engine, withTalk: _, seed: __, ...recipe } = STANDARD_RECIPE
  const sample: SampleFirm[] = []
  for (const firmId of chosen) {
    const sentences = (await sentencesOfFirm(sql, quarter, firmId)).filter(sentence => sentence.talk === null)
    const ids = sentences.map(sentence => sentence.sentenceId)
    const job: FirmJob = {
      engine,
      recipe,
      seed: 0,
      texts: sentences.map(sentence => sentence.text),
      vectors: await sentenceVectorsOf(sql, quarter, firmId, ids, d),
      d,
      firmsUsingWord,
      firmCount: firms,
      ownWords: [firmId, ...((await firmNames(sql, [firmId])).get(firmId) ?? '').split(/\s+/)],
    }
    sample.push({ firmId, job })
  }
  return sample
}

/** Fits every firm of the sample with every seed, ours and the peer's in turn; a text says why there is no peer. */
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
  await writeSample(sql, quarter, sample, folder)
  const log = join(folder, 'peer.log')
  const peer = await startPeer(folder, log)
  try {
    const fits: Fits[] = []
    const refused: string[] = []
    for (const [i, { firmId, job }] of sample.entries()) {
      const one: Fits = { ours: [], peer: [] }
      let failure: string | undefined
      for (const seed of SEEDS) {
        one.ours.push(fitOurs({ ...job, seed: seedFrom(seed, firmId, quarter) }))
        const answer = await peer.fit(i, seed)
        if ('error' in answer) failure = answer.error
        else one.peer.push(answer)
      }
      await requireSame(sql, quarter, firmId, one.ours[0])
      if (failure !== undefined) refused.push(`${firmId} (${count(job.texts.length, 'sentence')}: ${failure})`)
      fits.push(one)
      say(`bench: ${i + 1} of ${sample.length} firms fitted by both`)
    }
    const kept = fits.flatMap((one, i) => (one.peer.length === SEEDS.length ? [{ firm: i, ...one }] : []))
    writeFileSync(join(folder, 'fits.json'), JSON.stringify(kept))
    const quality = JSON.parse(python('quality.py', folder)) as { ours: Quality; peer: Quality }
    // The first firm warms both up: numba compiles in it, and so does V8.
    const timed = kept.filter(one => one.firm !== 0)
    const timesOf = (whose: 'ours' | 'peer') => ({
      seconds: timed.flatMap(one => one[whose].map(fit => fit.seconds)),
      cpuSeconds: timed.flatMap(one => one[whose].map(fit => fit.cpuSeconds)),
      quality: quality[whose],
    })
    const sentences = kept.reduce((sum, one) => sum + one.ours[0].labels.length, 0)
    const { versions } = peer
    return { firms: kept.length, sentences, refused, versions, ours: timesOf('ours'), peer: timesOf('peer') }
  } catch (error) {
    return `BERTopic broke off: ${messageOf(error)}\n${readFileSync(log, 'utf8').slice(-2000)}`
  } finally {
    peer.stop()
  }
}

function fitOurs(job: FirmJob): Fit {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { topics, topicOfSentence } = topicsOfFirm(job)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    labels: [...topicOfSentence],
    keywords: topics.map(topic => topic.keywords.map(keyword => keyword.term)),
  }
}

/** What is timed here must be what the product does: the database has the same topics and the same noise. */
async function requireSame(sql: Database, quarter: string, firmId: string, fit: Fit): Promise<void> {
  const { topics, noise } = await topicCounts(sql, quarter, firmId)
  const found = fit.labels.filter(label => label === NOISE).length
  if (topics !== fit.keywords.length || noise !== found)
    throw new Error(
      `${firmId} has ${topics} topics and ${noise} sentences of noise in the database, ${fit.keywords.length} and ${found} in the bench: ` +
        'firms.ts no longer prepares a firm as cluster-firm does',
    )
}

/** What the Python side reads: texts, vectors as raw 32-bit floats, and the quarter's sentences to measure coherence on. */
async function writeSample(
  sql: Database,
  quarter: string,
  sample: readonly SampleFirm[],
  folder: string,
): Promise<void> {
  for (const [i, { job }] of sample.entries()) writeFileSync(join(folder, `${i}.f32`), job.vectors)
  writeFileSync(
    join(folder, 'firms.json'),
    JSON.stringify(sample.map(({ firmId, job }) => ({ firm: firmId, d: job.d, texts: job.texts }))),
  )
  const texts: string[] = []
  for await (const { sentences } of sentencesByFirm(sql, quarter))
    for (const sentence of sentences) if (sentence.talk === null) texts.push(sentence.text)
  writeFileSync(join(folder, 'sentences.json'), JSON.stringify(texts))
}

const pythonProgram = join(root, '.venv-bench/bin/python')

function setUpPython(): string | undefined {
  say('bench: setting up BERTopic in .venv-bench (once)')
  try {
    execFileSync('sh', [join(root, 'test/bench/setup-python.sh')], { stdio: ['ignore', 'ignore', 'pipe'] })
    return undefined
  } catch (error) {
    return `BERTopic could not be set up (no Python, or no network): ${messageOf(error).trim().split('\n').at(-1)}`
  }
}

function script(name: string): string {
  return join(root, 'test/bench', name)
}

function python(name: string, folder: string): string {
  return execFileSync(pythonProgram, [script(name), folder], { encoding: 'utf8' })
}

type Peer = {
  versions: string
  fit(firm: number, seed: number): Promise<Fit | { error: string }>
  stop(): void
}

/** A Python process that fits a firm for every line it gets, and answers with a line of JSON. */
async function startPeer(folder: string, log: string): Promise<Peer> {
  const logFile = openSync(log, 'w')
  const child: ChildProcess = spawn(pythonProgram, [script('peer.py'), folder], { stdio: ['pipe', 'pipe', logFile] })
  closeSync(logFile)
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error('the peer has no pipes')
  stdin.on('error', () => {}) // a peer that died is noticed at its output
  const lines = createInterface({ input: stdout })
  const closed = once(lines, 'close').then(() => {
    throw new Error('its process ended')
  })
  closed.catch(() => {})
  async function nextLine(): Promise<string> {
    const line = once(lines, 'line', { signal: AbortSignal.timeout(PEER_MILLISECONDS) })
    return (await Promise.race([line, closed]))[0]
  }
  const { versions } = JSON.parse(await nextLine())
  return {
    versions,
    async fit(firm, seed) {
      stdin.write(`${firm} ${seed}\n`)
      return JSON.parse(await nextLine())
    },
    stop: () => void child.kill(),
  }
}

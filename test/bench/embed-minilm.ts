// MiniLM with its real weights on real sentences, by ours and by those it is to be compared with: the bare session on the
// best batches, transformers.js, and sentence-transformers. Each in a process of its own, all warm, in turn, round after
// round. Beside them the machine's limit. How texts come about is in embed-texts.ts, how it is shown in embed-report.ts.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { say } from '../../lib/log.ts'
import { openTokenizer } from '../../lib/model/tokenizer.ts'
import { timed } from './clocks.ts'
import type { BareSettings } from './embed-bare.ts'
import { lengthsOf, operationsOf, type Shape, sum } from './embed-lengths.ts'
import { median } from './figures.ts'
import { type Peer, setUpTorch, setUpTransformersJs, startOwn, startTorch } from './peers.ts'
import { treeUse } from './processes.ts'

export const OURS = 'quarterdeck'
export const BARE = 'bare session'
export const BARE_POOLED = 'bare session, pooling in the graph'
export const TRANSFORMERS_JS = 'transformers.js'
export const SENTENCE_TRANSFORMERS = 'sentence-transformers'
export type Precision = 'fp32' | 'int8'

const ROUNDS = 3
// Enough for every side to have allocated and compiled.
const WARM_UP_SENTENCES = 256
// transformers.js takes several times as long as the others; its batches are alike, so one in three says as much.
const EVERY = 3

/** One side with one precision: medians over the rounds. */
export type MiniLmRow = {
  whose: string
  precision: Precision
  /** For one sentence. */
  seconds: number
  /** How many times as long as ours of the same precision takes: the median of the rounds' ratios. */
  ratio: number
  /** Of the process and all that it started; undefined where there is no /proc. */
  cpuSeconds: number | undefined
  peakBytes: number | undefined
  /** The largest of any number of any vector, from those of sentence-transformers, or of ours where there is none. */
  difference: number | undefined
}

/** Operations a second of matrix products alone. */
export type Limit = {
  threads: number
  /** Those of the model's layers, one after the other. */
  model: number
  /** 2,048 × 2,048 by 2,048 × 2,048. */
  square: number
}

export type MiniLmReport = {
  sentences: number
  tokens: number
  longest: number
  threads: number
  /** For all sentences, without padding. */
  operations: number
  limits: Limit[]
  rows: MiniLmRow[]
  /** Tokenizing the same sentences and nothing else, on one thread. */
  tokenizerSeconds: number
  versions: string[]
  /** Why a peer is not there. */
  absent: string[]
}

type Side = { whose: string; precision: Precision; peer: Peer }
type Answer = { seconds: number; embedded?: number; places?: number[] }
type Run = { seconds: number; cpuSeconds: number | undefined }

export async function measureMiniLm(
  model: string,
  sentences: readonly string[],
  threads: number,
  scratch: string,
): Promise<MiniLmReport> {
  const facts = readFacts(model)
  const lengths = await lengthsOf(sentences, facts.tokenizerFile, facts.maxTokens)
  const before = await measureLimits(facts.shape, threads, scratch)
  const absent: string[] = []
  const sides: Side[] = []
  try {
    await startSides(model, threads, scratch, sides, absent)
    const rows = await runInTurn(sides, sentences, scratch)
    const after = await measureLimits(facts.shape, threads, scratch)
    return {
      sentences: sentences.length,
      tokens: sum(lengths),
      longest: Math.max(...lengths),
      threads,
      operations: operationsOf(lengths, facts.shape),
      limits: before.map((limit, i) => higher(limit, after[i])),
      rows,
      tokenizerSeconds: await tokenizerSeconds(sentences, facts),
      versions: [...new Set(sides.map(({ peer }) => peer.versions))],
      absent,
    }
  } finally {
    for (const { peer } of sides) peer.stop()
  }
}

export type ModelFacts = { tokenizerFile: string; maxTokens: number; shape: Shape }

/** What the bench needs to know of a folder of BERT's kind, read without the product's code. */
export function readFacts(model: string): ModelFacts {
  const json = (file: string) => JSON.parse(readFileSync(join(model, file), 'utf8'))
  const config = json('config.json')
  return {
    tokenizerFile: join(model, 'tokenizer.json'),
    maxTokens: json('sentence_bert_config.json').max_seq_length,
    shape: {
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      intermediate: config.intermediate_size,
    },
  }
}

async function measureLimits(shape: Shape, most: number, scratch: string): Promise<Limit[]> {
  const limits: Limit[] = []
  for (const threads of new Set([1, most])) {
    const peer = await startOwn('embed-limit.ts', scratch, JSON.stringify({ shape, threads }))
    const texts = join(scratch, 'no-texts.json')
    writeFileSync(texts, '[]')
    await peer.ask({ texts })
    const { model, square } = await peer.ask<Omit<Limit, 'threads'>>({ out: null }).finally(() => peer.stop())
    limits.push({ threads, model, square })
    say(`bench: matrix products, ${threads} threads: ${(Math.max(model, square) / 1e9).toFixed(0)} GFLOP/s`)
  }
  return limits
}

/** A limit is what was possible once. */
function higher(one: Limit, other: Limit): Limit {
  const { threads } = one
  return { threads, model: Math.max(one.model, other.model), square: Math.max(one.square, other.square) }
}

async function startSides(model: string, threads: number, scratch: string, sides: Side[], absent: string[]) {
  const { tokenizerFile, maxTokens } = readFacts(model)
  const noTransformersJs = setUpTransformersJs()
  const noTorch = setUpTorch()
  absent.push(...[noTransformersJs, noTorch].filter(reason => reason !== undefined))
  const own = (program: string, settings: object) => startOwn(program, scratch, JSON.stringify(settings))
  for (const precision of ['fp32', 'int8'] as const) {
    const add = async (whose: string, peer: Promise<Peer>) => {
      sides.push({ whose, precision, peer: await peer })
    }
    const plain = precision === 'fp32'
    await add(OURS, own('embed-ours.ts', { model: plain ? model : `${model}:int8`, threads }))
    const modelFile = join(model, plain ? 'onnx/model.onnx' : 'onnx/model_quantized.onnx')
    const bare: BareSettings = { modelFile, tokenizerFile, maxTokens, threads, pooled: false }
    await add(BARE, own('embed-bare.ts', bare))
    await add(BARE_POOLED, own('embed-bare.ts', { ...bare, pooled: true }))
    if (noTransformersJs === undefined)
      await add(TRANSFORMERS_JS, own('embed-transformers.ts', { model, dtype: plain ? 'fp32' : 'q8', every: EVERY }))
    if (plain && noTorch === undefined)
      await add(SENTENCE_TRANSFORMERS, startTorch({ model, threads }, scratch, join(scratch, 'torch-model')))
  }
}

async function runInTurn(sides: readonly Side[], sentences: readonly string[], scratch: string): Promise<MiniLmRow[]> {
  const [few, all] = [join(scratch, 'few.json'), join(scratch, 'all.json')]
  writeFileSync(few, JSON.stringify(sentences.slice(0, WARM_UP_SENTENCES)))
  writeFileSync(all, JSON.stringify(sentences))
  for (const { peer } of sides) {
    await peer.ask({ texts: few })
    await peer.ask({ out: null })
    await peer.ask({ texts: all })
  }
  const runs = sides.map((): Run[] => [])
  const vectors: (Vectors | undefined)[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, side] of sides.entries()) {
      const out = round === 0 ? join(scratch, `vectors-${i}.f32`) : null
      const before = treeUse(side.peer.pid)
      const { seconds, embedded = sentences.length, places } = await side.peer.ask<Answer>({ out })
      const after = treeUse(side.peer.pid)
      const cpuSeconds = before && after && (after.cpuSeconds - before.cpuSeconds) / embedded
      runs[i].push({ seconds: seconds / embedded, cpuSeconds })
      if (out !== null) vectors.push(readVectors(out, places))
      const words = `${side.whose}, ${side.precision}: ${(embedded / seconds).toFixed(0)} sentences/s`
      say(`bench: round ${round + 1}: ${words}`)
    }
  }
  const right = vectors[sides.findIndex(side => side.whose === SENTENCE_TRANSFORMERS)] ?? vectors[0]
  return sides.map(({ whose, precision, peer }, i) => {
    const ours = runs[sides.findIndex(side => side.whose === OURS && side.precision === precision)]
    const cpu = runs[i].map(run => run.cpuSeconds).filter(seconds => seconds !== undefined)
    return {
      whose,
      precision,
      seconds: median(runs[i].map(run => run.seconds)),
      ratio: median(runs[i].map((run, round) => run.seconds / ours[round].seconds)),
      cpuSeconds: cpu.length === 0 ? undefined : median(cpu),
      peakBytes: treeUse(peer.pid)?.peakBytes,
      difference: vectors[i] && right && largestDifference(vectors[i], right, sentences.length),
    }
  })
}

/** places: which texts they are of, where not of all. */
type Vectors = { table: Float32Array; places: number[] | undefined }

function readVectors(file: string, places: number[] | undefined): Vectors | undefined {
  try {
    const bytes = readFileSync(file)
    return { table: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), places }
  } catch {
    return undefined // it gives vectors of tokens
  }
}

function largestDifference(own: Vectors, right: Vectors, n: number): number {
  const d = right.table.length / n
  let most = 0
  for (let row = 0; row < own.table.length / d; row++) {
    const place = own.places?.[row] ?? row
    for (let j = 0; j < d; j++) most = Math.max(most, Math.abs(own.table[row * d + j] - right.table[place * d + j]))
  }
  return most
}

async function tokenizerSeconds(texts: readonly string[], { tokenizerFile, maxTokens }: ModelFacts): Promise<number> {
  const tokenizer = await openTokenizer(tokenizerFile, maxTokens)
  tokenizer.tokenize(texts)
  return median(Array.from({ length: ROUNDS }, () => timed(() => tokenizer.tokenize(texts)).seconds))
}

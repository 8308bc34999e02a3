// Texts in, unit vectors out: the one door to the embedding model for commands.
// Tokenizes here while the model runs in a process of its own; rows of all calls go through it together, so that the
// texts of many small firms fill its batches. Keeps nothing between calls and writes nowhere.

import { setImmediate as breathe } from 'node:timers/promises'
import type { BatchSettings, DeviceChoice, HubSettings, LongText } from '../settings.ts'
import { type Budget, type Learned, openBudget } from './batch-budget.ts'
import { openLine, openPlainLine, type Waiting } from './batching.ts'
import { watchCard } from './card.ts'
import { type Chosen, openOnDevice } from './devices.ts'
import { memoryOfMachine } from './memory.ts'
import type { Meter } from './meter.ts'
import { type ModelFolder, readModelFolder } from './model-folder.ts'
import { openModelProcess } from './onnx-process.ts'
import { openRunner } from './runner.ts'
import { openTokenizer, type Tokens } from './tokenizer.ts'

export type Embedded = {
  /** n × dimension, row-major, in the order of the texts; every row has length 1, or is zero (see `empty`). */
  vectors: Float32Array
  /**
   * Places of texts the model can make nothing of (blank, or no known word): their vector is zero, which has no cosine.
   * Leave them out of clustering and search. A transformer reads at least its special tokens and gives even a blank text
   * a vector, as sentence-transformers does, so only static models report any.
   */
  empty: number[]
  /** Tokens the model read; a repeated text counts once. */
  tokens: number
  /** Texts longer than the model reads: only their beginning counted, or all of it in windows (`longText`). */
  tooLong: number
}

export type EmbedderSettings = {
  /** A name or a folder: see model-folder.ts. */
  model: string
  threads: number
  /** Where models are fetched from; without it only those that ship and folders are found. */
  hub?: HubSettings
  /** `auto` measures; the CPU unless given. */
  device?: DeviceChoice
  /** About how many texts will come, from which `auto` sees whether a card pays. */
  expectedTexts?: number
  batches?: BatchSettings
  longText?: LongText
  /** What earlier runs learned of batches, by the key that this returns with what it learned itself. */
  recall?: (key: LearnedKey) => Promise<Learned | undefined>
  /** Hears of every batch. */
  meter?: Meter
}

/** What a learned size of batches holds for. */
export type LearnedKey = { model: string; device: string; deviceName: string; driver: string; threads: number }

export type EmbedOptions = {
  /** What the texts are, for models that want another prefix before a query than before what is searched. */
  as?: 'document' | 'query'
  /** Hears how many more texts have their vector; those in `empty` may never be heard of. */
  onProgress?: (more: number) => void
}

export type Embedder = {
  name: string
  /** What opens it again: the name of a shipped or fetched model, the path of any other. */
  source: string
  revision: string
  dimension: number
  maxTokens: number
  device: string
  /** Why it runs there, where `auto` chose. */
  reasons: readonly string[]
  /** Calls may overlap, and should: batches are filled from all of them. */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Embedded>
  /** What this run learned of batches, for the next one; nothing where their size was fixed. */
  learned(): { key: LearnedKey; learned: Learned } | undefined
  close(): Promise<void>
}

/** Fixed for who gives no settings; the reasons stand in settings.ts. */
const USUAL_BATCHES: BatchSettings = {
  dynamic: true,
  size: 32,
  least: undefined,
  start: undefined,
  most: undefined,
  growBelow: 0.7,
  memoryTarget: 0.85,
}

// Texts tokenized in one go: 20 ms for sentences, in which nothing else of this process runs.
const CHUNK = 4096
// Rows in line above which no more texts are tokenized: enough to fill batches of every width, few enough to stay small.
const MOST_WAITING = 16_384
// Asking for the memory of the machine reads two files; ten times a second is often enough to see it fill.
const MEMORY_MILLISECONDS = 100
// A model that does not say how it is built is taken for one like BERT: four times as wide in the middle, twelve heads.
const USUAL_HEADS = 12
const USUAL_WIDENING = 4

/** One call of `embed`. */
type Job = {
  /** One of its chunks: rows are those of this table. */
  tokens: Tokens
  /** Places of each text of the chunk in the answer. */
  placesOf: readonly (readonly number[])[]
  whole: Whole
}

type Whole = {
  vectors: Float32Array
  /** Vectors of the windows of texts that were cut up, until the last of a text is in. */
  windows: Map<readonly number[], { vectors: Float32Array; missing: number }>
  rowsLeft: number
  onProgress: ((more: number) => void) | undefined
  done(): void
  fail(error: unknown): void
}

/**
 * Opens a model by name or path. On the CPU a vector of a float32 model depends on its text alone, bit for bit, whatever
 * the texts beside it, the size of the batches and the number of threads.
 */
export async function openEmbedder(settings: EmbedderSettings): Promise<Embedder> {
  const { threads, device = 'cpu', batches = USUAL_BATCHES, longText, meter } = settings
  const folder = await readModelFolder(settings.model, settings.hub)
  const tokenizer = await openTokenizer(folder.tokenizerFile, folder.maxTokens, longText)
  const { modelFile, pooling, maxTokens } = folder
  const opening = { modelFile, pooling, threads, maxTokens, largestId: tokenizer.largestId }
  const chosen = await openOnDevice(device, opening, settings.expectedTexts ?? 0)
  const key = keyOf(folder, chosen, threads)
  const d = chosen.model.dimension
  const learned = await (batches.dynamic ? settings.recall?.(key) : undefined)?.catch(async (error: unknown) => {
    await chosen.model.close()
    throw error
  })
  const budget = openBudget({
    settings: batches,
    kind: chosen.device === 'cpu' ? 'cpu' : 'card',
    threads,
    shape: folder.shape ?? { heads: USUAL_HEADS, hidden: d, intermediate: USUAL_WIDENING * d },
    loaded: chosen.model.loadedBytes,
    learned,
  })
  const watch = watchMemory(chosen, budget, meter)
  const line = batches.dynamic ? openLine<Job>(chosen.device === 'cpu', folder.maxTokens) : openPlainLine<Job>()
  const open = new Set<Whole>()
  let failure: { error: unknown } | undefined
  let wakeUp: (() => void) | undefined

  const runner = openRunner<Job>({
    model: chosen.model,
    reopen: () => openModelProcess({ ...opening, device: chosen.device }),
    line,
    budget,
    idsOf: ({ job: { tokens }, row }) => tokens.ids.subarray(tokens.starts[row], tokens.starts[row + 1]),
    onBatch(batch, answer) {
      watch.batch(answer.residentBytes)
      const tokens = batch.lengths.reduce((sum, length) => sum + length, 0)
      meter?.batch(
        { rows: batch.lengths.length, columns: batch.columns, tokens, seconds: answer.seconds },
        performance.now(),
      )
    },
    onVectors(rows, vectors) {
      for (const [i, row] of rows.entries()) settle(row, vectors.subarray(i * d, (i + 1) * d))
      if (line.size() < MOST_WAITING) wakeUp?.()
    },
    onOutOfMemory: () => meter?.outOfMemory(),
    onFailure(error) {
      failure = { error }
      for (const whole of open) whole.fail(error)
      open.clear()
      wakeUp?.()
    },
  })

  /** Takes in the vector of one row; a text's, or one of its windows'. */
  function settle({ job, row }: Waiting<Job>, vector: Float32Array): void {
    const { tokens, placesOf, whole } = job
    const text = textOf(tokens, row)
    const places = placesOf[text]
    const [first, windows] = [tokens.firstRow[text], tokens.firstRow[text + 1] - tokens.firstRow[text]]
    if (windows === 1) write(whole, places, vector)
    else {
      const parts = whole.windows.get(places) ?? { vectors: new Float32Array(windows * d), missing: windows }
      whole.windows.set(places, parts)
      parts.vectors.set(vector, (row - first) * d)
      if (--parts.missing === 0) {
        whole.windows.delete(places)
        write(whole, places, averageOf(parts.vectors, tokens.content.subarray(first, first + windows), d))
      }
    }
    if (--whole.rowsLeft === 0) whole.done()
  }

  function write(whole: Whole, places: readonly number[], vector: Float32Array): void {
    for (const place of places) whole.vectors.set(vector, place * d)
    whole.onProgress?.(places.length)
  }

  async function embed(
    texts: readonly string[],
    { as = 'document', onProgress }: EmbedOptions = {},
  ): Promise<Embedded> {
    if (failure) throw failure.error
    const { different, placesOf } = groupEqual(texts)
    const vectors = new Float32Array(texts.length * d)
    let tokensRead = 0
    let tooLong = 0
    // One row too many until all are in line, so that it cannot be done before.
    const whole: Whole = { vectors, windows: new Map(), rowsLeft: 1, onProgress, done: () => {}, fail: () => {} }
    const finished = new Promise<void>((resolve, reject) => {
      whole.done = resolve
      whole.fail = reject
    })
    open.add(whole)
    async function fill(): Promise<void> {
      for (let first = 0; first < different.length; first += CHUNK) {
        while (line.size() >= MOST_WAITING && !failure) await roomInLine()
        if (failure) throw failure.error
        const tokens = tokenizer.tokenize(different.slice(first, first + CHUNK), folder.prompts[as])
        const job: Job = { tokens, placesOf: placesOf.slice(first, first + CHUNK), whole }
        tokensRead += tokens.ids.length
        for (const [text, places] of job.placesOf.entries()) tooLong += tokens.tooLong[text] * places.length
        for (let row = 0; row + 1 < tokens.starts.length; row++) {
          const length = tokens.starts[row + 1] - tokens.starts[row]
          if (length === 0) continue // nothing to run: its vector stays zero
          whole.rowsLeft++
          line.add(job, row, length)
        }
        runner.go()
        if (first + CHUNK < different.length) await breathe()
      }
      if (--whole.rowsLeft === 0) whole.done()
    }
    fill().catch(whole.fail)
    try {
      await finished
    } finally {
      open.delete(whole)
    }
    meter?.tooLong(tooLong)
    return { vectors, empty: zeroRows(vectors, d), tokens: tokensRead, tooLong }
  }

  function roomInLine(): Promise<void> {
    return new Promise(resolve => {
      const others = wakeUp
      wakeUp = () => {
        wakeUp = undefined
        others?.()
        resolve()
      }
    })
  }

  return {
    name: folder.name,
    source: folder.source,
    revision: folder.revision,
    dimension: d,
    maxTokens: folder.maxTokens,
    device: chosen.device,
    reasons: chosen.reasons,
    embed,
    learned: () => (batches.dynamic ? { key, learned: budget.learned() } : undefined),
    async close() {
      watch.close()
      await runner.close()
    },
  }
}

function keyOf(folder: ModelFolder, { device, deviceName, driver }: Chosen, threads: number): LearnedKey {
  return { model: `${folder.name} ${folder.revision}`, device, deviceName, driver, threads }
}

/** Tells the budget how much memory is left: the machine's, or the card's, as nvidia-smi has it. */
function watchMemory({ device, card, model }: Chosen, budget: Budget, meter: Meter | undefined) {
  if (device === 'cpu') {
    budget.memory(memoryOfMachine(model.loadedBytes))
    let looked = performance.now()
    return {
      batch(residentBytes: number): void {
        if (performance.now() - looked < MEMORY_MILLISECONDS) return
        looked = performance.now()
        budget.memory(memoryOfMachine(residentBytes))
      },
      close: () => {},
    }
  }
  const watched =
    card &&
    watchCard(
      reading => {
        meter?.card(reading, performance.now())
        // What was there before is others'; what came since is ours, and stays ours: onnxruntime gives nothing back.
        const ours = Math.max(0, reading.memoryUsed - card.memoryUsed)
        budget.memory({ total: reading.memoryTotal, used: reading.memoryUsed, ours })
      },
      { index: card.index },
    )
  return { batch: () => {}, close: () => watched?.close() }
}

/** The text that a row belongs to: the row itself, unless texts before it were cut into windows. */
function textOf({ firstRow }: Tokens, row: number): number {
  let [low, high] = [0, Math.min(row, firstRow.length - 2)]
  if (firstRow[high] === row) return high
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (firstRow[middle] <= row) low = middle
    else high = middle - 1
  }
  return low
}

/**
 * Unit vectors of the windows of a text (windows × d), averaged by how many tokens each has, and scaled to length 1
 * again. In the order of the text, so that the bits do not depend on which came back first.
 */
function averageOf(windows: Float32Array, tokensOf: Int32Array, d: number): Float32Array {
  const sum = new Float64Array(d)
  for (const [window, tokens] of tokensOf.entries()) {
    for (let j = 0; j < d; j++) sum[j] += tokens * windows[window * d + j]
  }
  const length = Math.sqrt(sum.reduce((squares, value) => squares + value * value, 0))
  return Float32Array.from(sum, value => (length > 0 ? value / length : 0))
}

/** 7 % of the sentences of real calls are word for word another one ("Good morning."), so each is run once. */
function groupEqual(texts: readonly string[]): { different: string[]; placesOf: number[][] } {
  const groups = new Map<string, number[]>()
  for (const [i, text] of texts.entries()) {
    const places = groups.get(text)
    if (places) places.push(i)
    else groups.set(text, [i])
  }
  return { different: [...groups.keys()], placesOf: [...groups.values()] }
}

function zeroRows(vectors: Float32Array, d: number): number[] {
  const rows: number[] = []
  for (let start = 0; start < vectors.length; start += d) {
    if (vectors.subarray(start, start + d).every(value => value === 0)) rows.push(start / d)
  }
  return rows
}

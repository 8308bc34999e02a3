// Texts in, unit vectors out: the one door to the embedding model for commands.
// Tokenizes here while the model runs in a process of its own; rows of all calls go through it together, so that the
// texts of many small firms fill its batches. Keeps nothing between calls and writes nowhere.

import { availableParallelism } from 'node:os'
import { setImmediate as breathe } from 'node:timers/promises'
import { type BatchSettings, type DeviceChoice, type HubSettings, type LongText, readSettings } from '../settings.ts'
import { type Budget, type Learned, openBudget } from './batch-budget.ts'
import { openLine, openPlainLine } from './batching.ts'
import { watchCard } from './card.ts'
import { type Chosen, openOnDevice } from './devices.ts'
import { type Call, gather, type Job, openCall } from './gather.ts'
import { memoryOfMachine } from './memory.ts'
import type { Meter } from './meter.ts'
import { type ModelFolder, readModelFolder } from './model-folder.ts'
import { openModelProcess } from './onnx-process.ts'
import { openRunner } from './runner.ts'
import { openTokenizer } from './tokenizer.ts'

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

/** For who gives no settings: those of an empty environment. */
const USUAL_BATCHES = readSettings({}).batches

// Texts tokenized in one go: 20 ms for sentences, in which nothing else of this process runs.
const CHUNK = 4096
// Rows in line above which no more texts are tokenized: enough to fill batches of every width, few enough to stay small.
const MOST_WAITING = 16_384
// Asking for the memory of the machine reads two files; ten times a second is often enough to see it fill.
const MEMORY_MILLISECONDS = 100
// A model that does not say how it is built is taken for one like BERT: four times as wide in the middle, twelve heads.
const USUAL_HEADS = 12
const USUAL_WIDENING = 4

/**
 * Opens a model by name or path. On the CPU a vector of a float32 model depends on its text alone, bit for bit, whatever
 * the texts beside it, the size of the batches and the number of threads.
 */
export async function openEmbedder(settings: EmbedderSettings): Promise<Embedder> {
  const { device = 'cpu', batches = USUAL_BATCHES, longText, meter } = settings
  // m, MiniLM, 64 threads on two cores: 11 sentences a second instead of 410.
  const threads = Math.min(settings.threads, availableParallelism())
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
  const open = new Set<Call>()
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
      for (const [i, row] of rows.entries()) gather(row, vectors.subarray(i * d, (i + 1) * d))
      if (line.size() < MOST_WAITING) wakeUp?.()
    },
    onOutOfMemory: () => meter?.outOfMemory(),
    onFailure(error) {
      failure = { error }
      for (const call of open) call.fail(error)
      open.clear()
      wakeUp?.()
    },
  })

  async function embed(
    texts: readonly string[],
    { as = 'document', onProgress }: EmbedOptions = {},
  ): Promise<Embedded> {
    if (failure) throw failure.error
    const { different, placesOf } = groupEqual(texts)
    const call = openCall(texts.length, d, onProgress)
    const read = { tokens: 0, tooLong: 0 }
    open.add(call)
    fillLine(call, different, placesOf, folder.prompts[as], read).catch(call.fail)
    try {
      await call.finished
    } finally {
      open.delete(call)
    }
    meter?.tooLong(read.tooLong)
    return { vectors: call.vectors, empty: zeroRows(call.vectors, d), ...read }
  }

  /** Tokenizes the texts of a call chunk by chunk, no faster than the model takes them, and puts their rows in line. */
  async function fillLine(
    call: Call,
    texts: readonly string[],
    placesOf: readonly (readonly number[])[],
    prefix: string,
    read: { tokens: number; tooLong: number },
  ): Promise<void> {
    call.expect(1) // so that it cannot be finished before all are in line
    for (let first = 0; first < texts.length; first += CHUNK) {
      while (line.size() >= MOST_WAITING && !failure) await roomInLine()
      if (failure) throw failure.error
      const tokens = tokenizer.tokenize(texts.slice(first, first + CHUNK), prefix)
      const job: Job = { tokens, placesOf: placesOf.slice(first, first + CHUNK), call }
      read.tokens += tokens.ids.length
      for (const [text, places] of job.placesOf.entries()) read.tooLong += tokens.tooLong[text] * places.length
      for (let row = 0; row + 1 < tokens.starts.length; row++) {
        const length = tokens.starts[row + 1] - tokens.starts[row]
        if (length === 0) continue // nothing to run: its vector stays zero
        call.expect(1)
        line.add(job, row, length)
      }
      runner.go()
      if (first + CHUNK < texts.length) await breathe()
    }
    call.arrived()
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
  // Until the first reading, a second from now.
  const { loadedBytes } = model
  if (card) budget.memory({ total: card.memoryTotal, used: card.memoryUsed + loadedBytes, ours: loadedBytes })
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

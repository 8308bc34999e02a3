// Texts in, unit vectors out: the one door to the embedding model for commands.
// Tokenizes on the main thread while the model runs in its own; each different text is run once a call.
// Keeps nothing between calls and writes nowhere.

import { cutBatches, layOut, scatterRows, tokenBudget, WINDOW } from './batching.ts'
import { readModelFolder } from './model-folder.ts'
import { openThread } from './onnx-thread.ts'
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
  /** Texts longer than the model reads, of which only the beginning counted. */
  truncated: number
}

export type Embedder = {
  name: string
  /** What opens it again: the name of a shipped model, the path of any other. */
  source: string
  revision: string
  dimension: number
  maxTokens: number
  /** Calls may overlap. `onProgress` hears how many more texts have their vector; those in `empty` may never be heard of. */
  embed(texts: readonly string[], onProgress?: (more: number) => void): Promise<Embedded>
  close(): Promise<void>
}

/** Opens a model by name or path. A vector depends on its text alone, bit for bit, for float32 models on one machine. */
export async function openEmbedder(settings: { model: string; threads: number }): Promise<Embedder> {
  const folder = await readModelFolder(settings.model)
  const tokenizer = await openTokenizer(folder.tokenizerFile, folder.maxTokens)
  const thread = await openThread({
    modelFile: folder.modelFile,
    pooling: folder.pooling,
    threads: settings.threads,
  })
  const budget = tokenBudget(settings.threads)
  const d = thread.dimension

  async function embed(texts: readonly string[], onProgress?: (more: number) => void): Promise<Embedded> {
    const { different, placesOf } = groupEqual(texts)
    const vectors = new Float32Array(texts.length * d)
    let tokens = 0
    let truncated = 0
    let running: Promise<unknown> = Promise.resolve()
    for (let first = 0; first < different.length; first += WINDOW) {
      const window = tokenizer.tokenize(different.slice(first, first + WINDOW))
      const placesInWindow = placesOf.slice(first, first + WINDOW)
      tokens += window.ids.length
      truncated += placesInWindow.reduce((sum, places, i) => sum + window.truncated[i] * places.length, 0)
      // One window is tokenized while the one before runs, and no more, so that memory stays flat.
      await running
      const lengths = placesInWindow.map((_, i) => window.starts[i + 1] - window.starts[i])
      running = Promise.all(
        cutBatches(lengths, budget).map(async batch => {
          const rows = await thread.run(layOut(window.ids, window.starts, batch))
          const targets = batch.map(i => placesInWindow[i])
          const written = scatterRows(rows, targets, d, vectors)
          onProgress?.(written)
        }),
      )
    }
    await running
    return { vectors, empty: zeroRows(vectors, d), tokens, truncated }
  }

  return {
    name: folder.name,
    source: folder.source,
    revision: folder.revision,
    dimension: d,
    maxTokens: folder.maxTokens,
    embed,
    close: thread.close,
  }
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

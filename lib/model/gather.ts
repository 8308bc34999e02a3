// Vectors come back row by row, in any order and from many calls at once: here they become the vectors of texts again, each
// written to all places where its text stood, and a text that was cut into windows when the last of them is in.
// Which rows go through the model, and when, is runner.ts.

import type { Waiting } from './batching.ts'
import type { Tokens } from './tokenizer.ts'

/** Texts of one call that were tokenized together: rows are those of `tokens`. */
export type Job = {
  tokens: Tokens
  /** Places of each text in the answer. */
  placesOf: readonly (readonly number[])[]
  call: Call
}

/** One call of `embed`, until all its rows are back. */
export type Call = {
  /** texts × d: the answer, filled as vectors come. */
  vectors: Float32Array
  /** Resolves when nothing is missing any more. */
  finished: Promise<void>
  /** So many more rows are on their way. */
  expect(rows: number): void
  /** One row less is. */
  arrived(): void
  fail(error: unknown): void
  /** Vectors of the windows of texts that were cut up, until the last of a text is in. */
  windows: Map<readonly number[], { vectors: Float32Array; missing: number }>
  onProgress: ((more: number) => void) | undefined
}

export function openCall(texts: number, d: number, onProgress: ((more: number) => void) | undefined): Call {
  let missing = 0
  let done: () => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const finished = new Promise<void>((resolve, reject) => {
    done = resolve
    fail = reject
  })
  finished.catch(() => {}) // seen where it is awaited
  return {
    vectors: new Float32Array(texts * d),
    finished,
    expect(rows) {
      missing += rows
    },
    arrived() {
      if (--missing === 0) done()
    },
    fail,
    windows: new Map(),
    onProgress,
  }
}

/** Takes in the vector of one row (d numbers): a text's, or that of one of its windows. */
export function gather({ job, row }: Waiting<Job>, vector: Float32Array): void {
  const { tokens, placesOf, call } = job
  const d = vector.length
  const text = textOf(tokens, row)
  const places = placesOf[text]
  const first = tokens.firstRow[text]
  const windows = tokens.firstRow[text + 1] - first
  if (windows === 1) write(call, places, vector)
  else {
    const parts = call.windows.get(places) ?? { vectors: new Float32Array(windows * d), missing: windows }
    call.windows.set(places, parts)
    parts.vectors.set(vector, (row - first) * d)
    if (--parts.missing === 0) {
      call.windows.delete(places)
      write(call, places, averageOf(parts.vectors, tokens.content.subarray(first, first + windows), d))
    }
  }
  call.arrived()
}

function write({ vectors, onProgress }: Call, places: readonly number[], vector: Float32Array): void {
  for (const place of places) vectors.set(vector, place * vector.length)
  onProgress?.(places.length)
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

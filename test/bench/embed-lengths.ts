// What the lengths of texts decide: the batches that a session runs fastest, and how many operations a transformer needs.
// Of the bench alone, so that what ours is compared with does not change with ours.

import { openTokenizer } from '../../lib/model/tokenizer.ts'

/** ids and mask: rows × columns, row-major; places: where the rows stood among the texts. */
export type LaidOut = { ids: BigInt64Array; mask: BigInt64Array; rows: number; columns: number; places: number[] }

// The fastest on a CPU is 512 to 1,500 padded tokens a thread; larger batches leave the core's cache.
const TOKENS_A_THREAD = 1024

/** Longest first, and no batch larger than is good for a CPU. */
export async function bestBatches(
  texts: readonly string[],
  tokenizerFile: string,
  maxTokens: number,
  threads: number,
): Promise<LaidOut[]> {
  const { ids, starts } = (await openTokenizer(tokenizerFile, maxTokens)).tokenize(texts)
  const length = (place: number) => starts[place + 1] - starts[place]
  const order = texts.map((_, place) => place).sort((a, b) => length(b) - length(a))
  const batches: LaidOut[] = []
  for (let first = 0; first < order.length; ) {
    const columns = length(order[first])
    const rows = Math.max(1, Math.floor((TOKENS_A_THREAD * threads) / columns))
    const places = order.slice(first, first + rows)
    first += rows
    const batch = { ids: table(places.length, columns), mask: table(places.length, columns) }
    for (const [row, place] of places.entries())
      for (let column = 0; column < length(place); column++) {
        batch.ids[row * columns + column] = BigInt(ids[starts[place] + column])
        batch.mask[row * columns + column] = 1n
      }
    batches.push({ ...batch, rows: places.length, columns, places })
  }
  return batches
}

function table(rows: number, columns: number): BigInt64Array {
  return new BigInt64Array(rows * columns)
}

/** Tokens of each text, special tokens included, cut at what the model takes. */
export async function lengthsOf(texts: readonly string[], tokenizerFile: string, maxTokens: number): Promise<number[]> {
  const { starts } = (await openTokenizer(tokenizerFile, maxTokens)).tokenize(texts)
  return texts.map((_, i) => starts[i + 1] - starts[i])
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

export type Shape = { layers: number; hidden: number; intermediate: number }

/**
 * Multiplications and additions of a BERT for texts of these lengths, without padding: four matrices of hidden × hidden
 * and two of hidden × intermediate a token and layer, and attention: each token with each, once to weigh and once to mix.
 * What is not a matrix product (normalising, GELU, softmax) is left out, as everywhere where peaks are compared.
 */
export function operationsOf(lengths: readonly number[], { layers, hidden, intermediate }: Shape): number {
  const aToken = 2 * (4 * hidden ** 2 + 2 * hidden * intermediate)
  return layers * sum(lengths.map(length => length * aToken + 4 * length ** 2 * hidden))
}

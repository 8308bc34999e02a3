// Which texts go through the model together: sorted by length and cut by padded tokens, not by a number of texts.
// Sorting is worth more than anything else here: in order of arrival a batch of 32 is 2.5 times padding and runs at 0.41
// of the speed. Pure functions over lengths; the ids are laid out here too.

/** ids: rows × columns, row-major, padded with 0; lengths: the real tokens of each row. */
export type Batch = { ids: Int32Array; lengths: Int32Array; columns: number }

// Texts tokenized and sorted together. Padding is 1.5 % in a window of 4,096 and 0.4 % in 16,384 (measured on 394,276
// sentences), and 4,096 take about 100 ms to tokenize, so that the first batch starts soon and memory stays flat.
export const WINDOW = 4096

// The fastest batch on a CPU is 512 to 1,500 padded tokens a thread; larger ones leave the core's cache and are slower.
const TOKENS_A_THREAD = 1024
// Attention of a batch needs about 2 × rows × heads × columns² × 4 bytes: 0.8 GB for 16,384 tokens in texts of 512.
const MOST_TOKENS = 16_384

// onnxruntime's kernel for one row times a matrix takes four numbers at a time and adds the rest of a sum in another
// order: with free widths 23 % of the shipped model's vectors changed in the last bit with the texts beside them; at
// multiples of four none of 95,063 did (1, 2, 4 threads; batches of 1, 2, 5, 32, 128). So a resumed run repeats itself.
const WIDTH_STEP = 4

/** Padded tokens of one batch on a CPU. */
export function tokenBudget(threads: number): number {
  return Math.min(TOKENS_A_THREAD * threads, MOST_TOKENS)
}

/**
 * Cuts texts into batches of at most `budget` padded tokens, or of one text where that one alone is over it.
 * lengths: tokens of each text. Returns places in `lengths`, the longest texts first, so that the batch that needs the most
 * memory comes first. A text without tokens is in no batch: there is nothing to run.
 */
export function cutBatches(lengths: ArrayLike<number>, budget: number): number[][] {
  const order: number[] = []
  for (let i = 0; i < lengths.length; i++) if (lengths[i] > 0) order.push(i)
  order.sort((a, b) => lengths[b] - lengths[a] || a - b)
  const batches: number[][] = []
  let columns = 0
  for (const place of order) {
    const batch = batches.at(-1)
    if (batch && (batch.length + 1) * columns <= budget) batch.push(place)
    else {
      columns = widthOf(lengths[place])
      batches.push([place])
    }
  }
  return batches
}

function widthOf(length: number): number {
  return Math.ceil(length / WIDTH_STEP) * WIDTH_STEP
}

/**
 * Lays the ids of some texts side by side. flatIds: all texts' ids, text i is starts[i] to starts[i + 1].
 * Padding is id 0: it is in every vocabulary, and the attention mask keeps it out of the vectors.
 */
export function layOut(flatIds: Int32Array, starts: Int32Array, places: readonly number[]): Batch {
  const lengths = Int32Array.from(places, place => starts[place + 1] - starts[place])
  const columns = widthOf(lengths.reduce((most, length) => Math.max(most, length), 0))
  const ids = new Int32Array(places.length * columns)
  for (const [row, place] of places.entries()) {
    ids.set(flatIds.subarray(starts[place], starts[place + 1]), row * columns)
  }
  return { ids, lengths, columns }
}

/** Writes row r of `rows` (targets.length × d) to every row targets[r] of `all` (n × d); returns how many it wrote. */
export function scatterRows(
  rows: Float32Array,
  targets: readonly (readonly number[])[],
  d: number,
  all: Float32Array,
): number {
  let written = 0
  for (const [row, places] of targets.entries()) {
    for (const place of places) all.set(rows.subarray(row * d, (row + 1) * d), place * d)
    written += places.length
  }
  return written
}

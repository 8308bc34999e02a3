// How large a batch may be: grows while that pays and memory allows, halves when memory runs out, and remembers.
// Sizes are padded tokens, not texts: 128 texts of 26 tokens take 60 MB in MiniLM, 128 of 512 tokens 4.2 GB.
// A state machine over what the embedder tells it; knows no device, no clock and no database.

import type { BatchSettings } from '../settings.ts'
import type { Limits } from './batching.ts'
import type { Shape } from './model-config.ts'

/** What a budget has learned on one device with one model, for the next run to begin with. */
export type Learned = {
  /** Padded tokens of the best batch so far. */
  tokens: number
  /** Padded tokens of a batch that ran out of memory, or null. */
  ceiling: number | null
  tokensPerSecond: number | null
}

/** Memory where the model runs, in bytes. */
export type Memory = {
  total: number
  /** All that is in use, by whomever. */
  used: number
  /** The part of it that the model's process holds, which it uses again for the next batch. */
  ours: number
}

export type Budget = {
  /** For the next batch. */
  limits(): Limits
  /** A batch is back: padded tokens, and seconds inside the model. */
  done(padded: number, seconds: number): void
  memory(now: Memory): void
  /** A batch of so many rows and padded tokens did not fit. */
  outOfMemory(rows: number, padded: number): void
  learned(): Learned
}

/** Settings count in documents of this many tokens: 32 of them are the 1,024 tokens at which a CPU thread is fastest. */
export const DOCUMENT_TOKENS = 32

/**
 * On a CPU, for each thread, the dynamic-batch design's own: speed of MiniLM by documents (m, one thread, 32 is 1): .77 with
 * 1, .97 with 8, .93 with 128, .80 with 512. On a card, on reasoning alone, as none was at hand: thousands of lanes want to be
 * filled, and its own memory is the limit. Rows: so that a batch of short texts is not laid out for longer than it runs.
 */
const STANDARD = {
  cpu: { least: 8, start: 32, most: 128 },
  card: { least: 8, start: 256, most: 4096 },
} as const
const MOST_ROWS = 4096

// Half as much again, as the dynamic-batch design asks.
const GROWTH = 1.5
// Less is within the noise of a shared machine, and a larger batch is no end in itself.
const WORTH = 1.03
// Batches of each of two sizes, in turn, before they are compared: turns cancel what the machine does meanwhile.
const EVIDENCE = 8
// A ceiling from an earlier run may have been another program's doing: it is tried again from a little above.
const FORGIVING = 1.25
// A batch of at least this share of its size counts as full: rows of one width seldom come out even.
const FULL = 0.8
// What did not fit at some size may not fit just below it either.
const BELOW_CEILING = 0.8

type Trial = { size: number; turns: number; sides: [Side, Side] }
type Side = { batches: number; tokens: number; seconds: number }

export type BudgetOptions = {
  settings: BatchSettings
  kind: 'cpu' | 'card'
  threads: number
  shape: Shape
  /** Bytes of the model's process, or on the card, with the model loaded and nothing run. */
  loaded: number
  learned?: Learned | undefined
}

export function openBudget({ settings, kind, threads, shape, loaded, learned }: BudgetOptions): Budget {
  const unit = DOCUMENT_TOKENS * (kind === 'cpu' ? threads : 1)
  const standard = STANDARD[kind]
  let least = (settings.least ?? Math.min(standard.least, settings.most ?? standard.least)) * unit
  const most = Math.max(least, (settings.most ?? Math.max(standard.most, settings.start ?? 0)) * unit)
  const clamp = (size: number) => Math.round(Math.min(most, Math.max(least, size)))
  /** What did not fit, in this run or an earlier one; forgotten when as much has fitted since. */
  let seen = learned?.ceiling ?? null
  let ceiling = seen === null ? Infinity : seen * FORGIVING
  // Who says where to begin knows better than what was learned.
  const begin = settings.start === undefined ? (learned?.tokens ?? standard.start * unit) : settings.start * unit
  let size = clamp(Math.min(begin, ceiling * BELOW_CEILING))
  let tokensPerSecond = learned?.tokensPerSecond ?? null
  let rows = settings.size // of a fixed batch
  let growing = settings.dynamic
  let trial: Trial | undefined
  let now: Memory = { total: Infinity, used: 0, ours: loaded }

  /** What a batch is expected to bring the memory to, as a share of it. */
  function expected(rows: number, columns: number): number {
    const others = Math.max(0, now.used - now.ours)
    return (others + loaded + bytesOfBatch(shape, rows, columns)) / now.total
  }

  function tryLarger(): void {
    const larger = clamp(Math.min(size * GROWTH, ceiling * BELOW_CEILING))
    const room = now.used / now.total < settings.growBelow
    if (!growing || !room || larger <= size) return
    trial = { size: larger, turns: 0, sides: [newSide(), newSide()] }
  }

  function judge({ size: larger, sides: [plain, tried] }: Trial): void {
    const [before, after] = [plain.tokens / plain.seconds, tried.tokens / tried.seconds]
    trial = undefined
    if (after > before * WORTH) size = larger
    else growing = false
    tokensPerSecond = Math.max(before, after)
  }

  return {
    limits() {
      if (!settings.dynamic) return { rows, places: Infinity, fits: () => true }
      if (trial === undefined) tryLarger()
      const places = trial !== undefined && trial.turns++ % 2 === 1 ? trial.size : size
      return {
        rows: MOST_ROWS,
        places,
        // The least is run in any case: what others hold may be given back, and batches of one row help nobody.
        fits: (rows, columns) => rows * columns <= least || expected(rows, columns) <= settings.memoryTarget,
      }
    },
    done(padded, seconds) {
      if (seen !== null && padded >= seen) seen = null
      if (trial === undefined || !(seconds > 0)) return
      // Batches that the line could not fill say nothing about a size.
      const [wanted, side] = padded > size ? [trial.size, trial.sides[1]] : [size, trial.sides[0]]
      if (padded < wanted * FULL) return
      side.batches++
      side.tokens += padded
      side.seconds += seconds
      if (trial.sides.every(one => one.batches >= EVIDENCE)) judge(trial)
    },
    memory(found) {
      now = found
    },
    outOfMemory(rowsOfBatch, padded) {
      // Of batches that fly together each fails for itself: what counts is the smallest that failed, not how many.
      rows = Math.max(1, Math.min(rows, Math.floor(rowsOfBatch / 2)))
      seen = Math.min(seen ?? Infinity, padded)
      ceiling = Math.min(ceiling, padded)
      // Our own idea of the least gives way; a person's does not.
      if (settings.least === undefined) least = Math.max(1, Math.min(least, Math.floor(padded / 2)))
      size = clamp(Math.min(size, padded / 2))
      trial = undefined
    },
    learned: () => ({ tokens: size, ceiling: seen, tokensPerSecond }),
  }
}

function newSide(): Side {
  return { batches: 0, tokens: 0, seconds: 0 }
}

/**
 * Bytes that a batch takes inside a transformer in float32: two tables of attention weights, and about six rows of hidden
 * values and one of the feed-forward layer a token. m, MiniLM: 16 × 512 take .50 to .57 GB (.53 by this), 48 × 512 1.3 to 1.7
 * (1.6), 256 × 512 9 (8.5).
 */
export function bytesOfBatch({ heads, hidden, intermediate }: Shape, rows: number, columns: number): number {
  return 4 * (2 * rows * heads * columns ** 2 + rows * columns * (intermediate + 6 * hidden))
}

// What one call says against an earlier one of the same firm: for each sentence the nearest earlier one, for each topic
// whether the earlier call had it. Runs in a worker thread; plain typed arrays in and out, no chance.
// Left to others: which two calls are compared, and from which similarity on a sentence counts as repeated.

import { cosineFromDot } from './distance.ts'
import { NOISE } from './hdbscan.ts'
import { kernels, takeRoom } from './kernels.ts'
import { normalizeRows, requireFinite, type Table } from './matrix.ts'

/** For each of n rows the nearest of the others, or -1 where there was none to choose from, and the cosine to it. */
export type Nearest = { indices: Int32Array; similarities: Float32Array }

type Groups = { rows: Int32Array; others: Int32Array }

// As many as the compiled kernel takes at a time.
const ROWS = 4
// As in neighbors.ts: half of the smallest second-level cache, so that a block is read from memory once for all rows.
const BLOCK_BYTES = 65_536

/**
 * rows: n × d; others: m × d, of any length. The nearest by cosine, of equals the one with the lower index. A row of zeros
 * has no direction: it is at 0 from all others, and at 1 from another row of zeros, as in neighbors.ts. With `groups`
 * (one number a row) those of a row's own group are no choice.
 */
export function nearestOf(rows: Table, n: number, others: Table, m: number, d: number, groups?: Groups): Nearest {
  requireFinite(rows, n, d)
  requireFinite(others, m, d)
  const indices = new Int32Array(n).fill(-1)
  const best = new Float64Array(n).fill(Infinity) // distances: what is equal up to rounding is at 0, and the first wins
  const block = Math.max(ROWS, Math.floor(BLOCK_BYTES / 8 / d))
  const at = takeRoom({ plain: 8 * m * d, four: 8 * ROWS * d, dots: 8 * ROWS * Math.min(m, block) })
  const { dotsOfFour, memory } = kernels()
  const unit = normalizeRows(rows, n, d)
  const plain = new Float64Array(memory.buffer, at.plain, m * d)
  plain.set(normalizeRows(others, m, d))
  const [rowIsZero, otherIsZero] = [zeroRows(unit, n, d), zeroRows(plain, m, d)]
  const four = new Float64Array(memory.buffer, at.four, ROWS * d)
  const dots = new Float64Array(memory.buffer, at.dots, ROWS * Math.min(m, block))
  for (let start = 0; start < m; start += block) {
    const end = Math.min(m, start + block)
    for (let i = 0; i < n; i += ROWS) {
      const count = Math.min(ROWS, n - i)
      for (let r = 0; r < count; r++) for (let t = 0; t < d; t++) four[t * ROWS + r] = unit[(i + r) * d + t]
      dotsOfFour(at.four, at.plain, start, end, d, at.dots)
      for (let j = start; j < end; j++) {
        for (let r = 0; r < count; r++) {
          if (groups !== undefined && groups.rows[i + r] === groups.others[j]) continue
          const bothZero = rowIsZero[i + r] && otherIsZero[j]
          const distance = bothZero ? 0 : cosineFromDot(dots[(j - start) * ROWS + r])
          if (distance >= best[i + r]) continue // in the order of the others, so that of equals the first stays
          best[i + r] = distance
          indices[i + r] = j
        }
      }
    }
  }
  // 0 where there was nothing to choose from.
  const similarities = Float32Array.from(best, distance => (distance === Infinity ? 0 : 1 - distance))
  return { indices, similarities }
}

function zeroRows(rows: Table, n: number, d: number): Uint8Array {
  const isZero = new Uint8Array(n).fill(1)
  for (let p = 0; p < n * d; p++) if (rows[p] !== 0) isZero[Math.floor(p / d)] = 0
  return isZero
}

/** One call: its sentences (n × d), the topic of each or NOISE, and the topics' centroids (topics × d). */
export type CallVectors = { n: number; vectors: Float32Array; topics: number; centroids: Float32Array }

export type NoveltyJob = { d: number; call: CallVectors & { topicOfSentence: Int32Array }; earlier: CallVectors }

export type TopicNovelty = {
  /** Of the earlier call's topics; null where it had none. */
  nearest: number | null
  similarity: number | null
  sentenceSimilarity: number
  isNew: boolean
}

export type Novelty = { sentences: Nearest; topics: TopicNovelty[] }

// Different topics of one call are by definition different. So near to one another, and no nearer, comes nine in ten of
// them: a topic that lies within that reach of no earlier one is none of them. The nearest of all would let one pair of
// like topics decide for the whole firm; the median would call half of the really new ones old (docs/method.md).
const USUAL_SHARE = 0.9
// Standard errors by which the earlier call has to be nearer to a topic's sentences than the rest of their own call is.
// Two: one chance in forty of calling a topic old that is new, and topics have a dozen sentences.
const CLEARLY = 2

/** What a worker thread is called with. Both calls have sentences. */
export function noveltyOfCall({ d, call, earlier }: NoveltyJob): Novelty {
  const { n, vectors, topicOfSentence, topics, centroids } = call
  const sentences = nearestOf(vectors, n, earlier.vectors, earlier.n, d)
  const before = nearestOf(centroids, topics, earlier.centroids, earlier.topics, d)
  const reach = usualReach(call, earlier, d)
  const members: number[][] = Array.from({ length: topics }, () => [])
  for (let i = 0; i < n; i++) if (topicOfSentence[i] !== NOISE) members[topicOfSentence[i]].push(i)
  const inTopics = members.flat()
  const elsewhere = new Float32Array(n) // of the sentences in topics
  const found = nearestOf(rowsOf(vectors, inTopics, d), inTopics.length, vectors, n, d, {
    rows: Int32Array.from(inTopics, i => topicOfSentence[i]),
    others: topicOfSentence,
  })
  for (const [place, i] of inTopics.entries()) elsewhere[i] = found.similarities[place]
  return {
    sentences,
    topics: members.map((rows, topic) => {
      const nearest = before.indices[topic]
      const noTopicNear = nearest < 0 || reach === undefined || before.similarities[topic] < reach
      const gains = rows.map(i => sentences.similarities[i] - elsewhere[i])
      return {
        nearest: nearest < 0 ? null : nearest,
        similarity: nearest < 0 ? null : before.similarities[topic],
        sentenceSimilarity: mean(rows.map(i => sentences.similarities[i])),
        isNew: noTopicNear && !isClearlyPositive(gains),
      }
    }),
  }
}

function rowsOf(table: Float32Array, rows: readonly number[], d: number): Float32Array {
  const chosen = new Float32Array(rows.length * d)
  for (const [place, i] of rows.entries()) chosen.set(table.subarray(i * d, (i + 1) * d), place * d)
  return chosen
}

/** The cosine over which one topic in ten comes to another one of the same call; undefined where no call has two. */
function usualReach(call: CallVectors, earlier: CallVectors, d: number): number | undefined {
  const reaches = [call, earlier].flatMap(({ topics, centroids }) => {
    if (topics < 2) return []
    const itself = Int32Array.from({ length: topics }, (_, i) => i)
    const groups = { rows: itself, others: itself }
    return [...nearestOf(centroids, topics, centroids, topics, d, groups).similarities]
  })
  return reaches.sort((a, b) => a - b).at(Math.ceil(USUAL_SHARE * reaches.length) - 1)
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / Math.max(1, numbers.length)
}

/** Whether the mean lies more than two standard errors over 0. */
function isClearlyPositive(numbers: readonly number[]): boolean {
  const middle = mean(numbers)
  const variance = numbers.reduce((sum, one) => sum + (one - middle) ** 2, 0) / Math.max(1, numbers.length - 1)
  return middle > CLEARLY * Math.sqrt(variance / Math.max(1, numbers.length))
}

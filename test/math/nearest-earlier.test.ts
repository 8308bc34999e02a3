// The nearest rows of another table against their definition, bit for bit, then ties, zeros and permutations; and whether a
// topic is new on calls whose topics are made: the same one, another one, one without any topic to compare with.

import { describe, expect, it } from 'vitest'
import { cosineFromDot, dot } from '../../lib/math/distance.ts'
import { normalizeRows, type Table } from '../../lib/math/matrix.ts'
import { type CallVectors, type NoveltyJob, nearestOf, noveltyOfCall } from '../../lib/math/nearest-earlier.ts'
import { createRandom } from '../../lib/math/random.ts'
import { directions } from './tables.ts'

/** The definition: all cosines, the largest, the first of equals. */
function nearestStraight(rows: Table, n: number, others: Table, m: number, d: number, groups?: Int32Array) {
  const [unit, otherUnit] = [normalizeRows(rows, n, d), normalizeRows(others, m, d)]
  const isZero = (table: Table, i: number) => table.subarray(i * d, (i + 1) * d).every(x => x === 0)
  const indices: number[] = []
  const similarities: number[] = []
  for (let i = 0; i < n; i++) {
    const choices = Array.from({ length: m }, (_, j) => j)
      .filter(j => groups === undefined || groups[i] !== groups[j])
      .map(j => ({
        j,
        distance: isZero(rows, i) && isZero(others, j) ? 0 : cosineFromDot(dot(unit, i, otherUnit, j, d)),
      }))
      .sort((a, b) => a.distance - b.distance || a.j - b.j)
    indices.push(choices[0]?.j ?? -1)
    similarities.push(choices.length === 0 ? 0 : Math.fround(1 - choices[0].distance))
  }
  return { indices: Int32Array.from(indices), similarities: Float32Array.from(similarities) }
}

describe('nearestOf', () => {
  // Sizes around the group of four and the block: 256 columns make blocks of 32 rows.
  for (const [n, m, d] of [
    [1, 1, 5],
    [3, 7, 5],
    [5, 31, 256],
    [64, 33, 256],
    [65, 97, 256],
    [9, 2, 384],
  ])
    it(`gives for ${n} against ${m} rows of ${d} the very bits of the definition`, () => {
      const [rows, others] = [directions(n, d, 4, n), directions(m, d, 4, m + 1)]
      expect(nearestOf(rows, n, others, m, d)).toEqual(nearestStraight(rows, n, others, m, d))
    })

  it('leaves out rows of the same group', () => {
    const rows = directions(41, 16, 4, 3)
    const groups = Int32Array.from({ length: 41 }, (_, i) => i % 5)
    const found = nearestOf(rows, 41, rows, 41, 16, { rows: groups, others: groups })
    expect(found).toEqual(nearestStraight(rows, 41, rows, 41, 16, groups))
    for (const [i, j] of found.indices.entries()) expect(groups[j]).not.toBe(groups[i])
  })

  it('finds every row of a table in the table itself, at exactly 1', () => {
    const rows = Float32Array.from(directions(50, 256, 50, 8))
    const { indices, similarities } = nearestOf(rows, 50, rows, 50, 256)
    expect([...indices]).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect([...similarities]).toEqual(new Array(50).fill(1))
  })

  it('takes the first of equals, and a row of zeros for near to zeros only', () => {
    const others = Float64Array.from([0, 2, 3, 0, 0, 0, 1, 0, 0, 0])
    const { indices, similarities } = nearestOf(Float64Array.from([5, 0, 0, 0, -1, -1]), 3, others, 5, 2)
    expect([...indices]).toEqual([1, 2, 2])
    expect([...similarities]).toEqual([1, 1, 0])
  })

  it('gives the same cosines and the same rows whatever their order, and whatever their length', () => {
    const [n, m, d] = [30, 70, 48]
    const [rows, others] = [directions(n, d, 9, 1), directions(m, d, 9, 2)]
    const order = Array.from({ length: m }, (_, j) => (j * 29 + 11) % m)
    const shuffled = Float64Array.from(order.flatMap(j => [...others.subarray(j * d, (j + 1) * d)]))
    const [before, after] = [nearestOf(rows, n, others, m, d), nearestOf(rows, n, shuffled, m, d)]
    expect(after.similarities).toEqual(before.similarities)
    expect([...after.indices].map(j => order[j])).toEqual([...before.indices])
    // A power of two leaves every bit of the directions.
    expect(
      nearestOf(
        rows.map(x => 4 * x),
        n,
        others.map(x => x / 8),
        m,
        d,
      ),
    ).toEqual(before)
  })

  it('says that there was nothing to choose from', () => {
    const { indices, similarities } = nearestOf(Float64Array.from([1, 0]), 1, new Float64Array(0), 0, 2)
    expect([indices[0], similarities[0]]).toEqual([-1, 0])
  })

  it('refuses NaN and says where', () => {
    expect(() => nearestOf(Float64Array.from([1, 0]), 1, Float64Array.from([1, Number.NaN]), 1, 2)).toThrow(/index 1/)
  })
})

const D = 32
const PER_TOPIC = 10

/**
 * A call with ten sentences about each subject, scattered around a direction of its own, but for 1, which lies half way to
 * 0, so that the call says how near different topics may be. The seed is what is said of the subjects.
 */
function callAbout(subjects: readonly number[], seed: number): NoveltyJob['call'] {
  const random = createRandom(seed)
  const n = subjects.length * PER_TOPIC
  const vectors = new Float32Array(n * D)
  const centroids = new Float32Array(subjects.length * D)
  for (const [topic, subject] of subjects.entries())
    for (let i = topic * PER_TOPIC; i < (topic + 1) * PER_TOPIC; i++)
      for (let t = 0; t < D; t++) {
        vectors[i * D + t] = (t === subject ? 1 : 0) + (t === 0 && subject === 1 ? 1 : 0) + (random.next() - 0.5) / 2
        centroids[topic * D + t] += vectors[i * D + t] / PER_TOPIC
      }
  const topicOfSentence = Int32Array.from({ length: n }, (_, i) => Math.floor(i / PER_TOPIC))
  return { n, vectors, topics: subjects.length, centroids, topicOfSentence }
}

function newOnes(call: NoveltyJob['call'], earlier: CallVectors): boolean[] {
  return noveltyOfCall({ d: D, call, earlier }).topics.map(topic => topic.isNew)
}

describe('noveltyOfCall', () => {
  it('calls no topic new that the earlier call had, and of those it had not at least three in four', () => {
    let found = 0
    for (let seed = 1; seed <= 50; seed++) {
      const isNew = newOnes(callAbout([0, 1, 2, 3, 4, 5], seed), callAbout([5, 9, 3, 0, 8, 1], seed + 1000))
      expect([0, 1, 3, 5].filter(topic => isNew[topic])).toEqual([])
      found += Number(isNew[2]) + Number(isNew[4])
    }
    expect(found).toBeGreaterThanOrEqual(75)
  })

  it('calls no topic new of a call that is compared with itself, and finds each at exactly 1', () => {
    const call = callAbout([0, 1, 2, 3], 7)
    const { sentences, topics } = noveltyOfCall({ d: D, call, earlier: call })
    expect([...sentences.similarities]).toEqual(new Array(call.n).fill(1))
    expect(topics).toEqual(
      [0, 1, 2, 3].map(nearest => ({ nearest, similarity: 1, sentenceSimilarity: 1, isNew: false })),
    )
  })

  it('goes by the sentences where the earlier call has no topics, or lost the one in question to noise', () => {
    const call = callAbout([0, 1, 2], 3)
    const earlier = callAbout([0, 1, 6], 4)
    expect(newOnes(call, { ...earlier, topics: 0, centroids: new Float32Array() })).toEqual([false, false, true])
    const without = { ...earlier, topics: 2, centroids: earlier.centroids.subarray(D) }
    expect(newOnes(call, without)).toEqual([false, false, true])
  })

  it('gives each topic the mean of its sentences, and none to noise', () => {
    const call = callAbout([0, 1], 5)
    call.topicOfSentence.fill(-1, 0, 4)
    const { sentences, topics } = noveltyOfCall({ d: D, call, earlier: callAbout([0, 4], 6) })
    const own = [...sentences.similarities.subarray(4, PER_TOPIC)]
    expect(topics[0].sentenceSimilarity).toBeCloseTo(own.reduce((sum, x) => sum + x, 0) / own.length, 12)
    expect(topics).toHaveLength(2)
  })
})

// Laws of the second label: who may get one, which one it is, and what does not change it.

import { describe, expect, it } from 'vitest'
import { NOISE } from '../../lib/math/hdbscan.ts'
import { normalizeRows } from '../../lib/math/matrix.ts'
import { createRandom } from '../../lib/math/random.ts'
import { type NearEnough, reassignNoise } from '../../lib/math/reassign.ts'

const OWN: NearEnough = 'as near as its own'

/** Groups of unit rows around the first axes, 10 each, then strangers near them, between them, and anywhere. */
function firm(seed: number, groups = 3, d = 8) {
  const random = createRandom(seed)
  const rows: number[][] = []
  const labels: number[] = []
  const near = (axis: number, width: number) =>
    Array.from({ length: d }, (_, t) => (t === axis ? 1 : 0) + width * (random.next() - 0.5))
  for (let group = 0; group < groups; group++) {
    for (let i = 0; i < 10; i++) {
      rows.push(near(group, 0.6))
      labels.push(group)
    }
  }
  for (let i = 0; i < 30; i++) {
    rows.push(near(i % groups, 0.2 + 0.1 * (i % 12)))
    labels.push(NOISE)
  }
  const n = rows.length
  return { vectors: normalizeRows(Float64Array.from(rows.flat()), n, d), n, d, labels: Int32Array.from(labels), groups }
}

type Firm = ReturnType<typeof firm>
const reassign = ({ vectors, n, d, labels, groups }: Firm, nearEnough: NearEnough) =>
  reassignNoise(vectors, n, d, labels, groups, nearEnough)

function cosine({ vectors, d }: Firm, i: number, middle: readonly number[]): number {
  let product = 0
  for (let t = 0; t < d; t++) product += vectors[i * d + t] * middle[t]
  return product / Math.hypot(...middle)
}

/** Sum of a topic's rows, without one of them. */
function middleOf({ vectors, n, d, labels }: Firm, topic: number, without = -1): number[] {
  const sum = new Array<number>(d).fill(0)
  for (let i = 0; i < n; i++)
    if (labels[i] === topic && i !== without) for (let t = 0; t < d; t++) sum[t] += vectors[i * d + t]
  return sum
}

describe('reassigning noise', () => {
  it.each([
    1, 2, 3, 4, 5,
  ])('gives noise to the nearest topic, where it is near enough, and nothing else (seed %i)', seed => {
    const all = firm(seed)
    for (const nearEnough of [OWN, 0.9, 0.5] as const) {
      const given = reassign(all, nearEnough)
      for (let i = 0; i < all.n; i++) {
        if (all.labels[i] !== NOISE) {
          expect(given[i]).toBe(NOISE)
          continue
        }
        const cosines = [0, 1, 2].map(topic => cosine(all, i, middleOf(all, topic)))
        const nearest = cosines.indexOf(Math.max(...cosines))
        const own = [...all.labels.keys()].filter(row => all.labels[row] === nearest)
        const least =
          nearEnough === OWN
            ? own.map(row => cosine(all, row, middleOf(all, nearest, row))).sort((a, b) => a - b)[2] // 10 rows: the third
            : nearEnough
        expect(given[i]).toBe(cosines[nearest] >= least ? nearest : NOISE)
      }
    }
  })

  it('gives some and not all by its own rule, more where the threshold is lower, and all where everything is near', () => {
    const all = firm(7)
    const counted = (nearEnough: NearEnough) => reassign(all, nearEnough).filter(topic => topic !== NOISE).length
    expect(counted(OWN)).toBeGreaterThan(5)
    expect(counted(OWN)).toBeLessThan(25)
    const thresholds = [-1, 0, 0.5, 0.7, 0.8, 0.9, 0.95, 1]
    const counts = thresholds.map(counted)
    expect(counts).toEqual([...counts].sort((a, b) => b - a))
    expect(counts[0]).toBe(30)
    expect(counts.at(-1)).toBe(0)
  })

  it('measures the rows of a topic by the others, so that a loose topic does not look tight', () => {
    // Eight rows that have nothing in common, and a ninth that has as little with them.
    const d = 9
    const vectors = new Float32Array(d * d)
    for (let i = 0; i < d; i++) vectors[i * d + i] = 1
    vectors[8 * d] = 0.3
    vectors[8 * d + 8] = Math.sqrt(1 - 0.09)
    const labels = Int32Array.from([0, 0, 0, 0, 0, 0, 0, 0, NOISE])
    // A cosine of .11 from the middle: nearer than any of the eight is to the other seven, which is 0. Measured from a
    // middle that they are a part of, the eight would be at .35.
    expect([...reassignNoise(vectors, 9, d, labels, 1, OWN)].at(-1)).toBe(0)
  })

  it('gives equal rows equal answers, and the same answers in any order of the rows', () => {
    const all = firm(11)
    const { vectors, n, d, labels, groups } = all
    const given = reassign(all, OWN)
    const twice = Float64Array.from([...vectors, ...vectors.subarray(30 * d)])
    const withCopies = reassignNoise(
      twice,
      n + 30,
      d,
      Int32Array.from([...labels, ...labels.subarray(30)]),
      groups,
      OWN,
    )
    expect([...withCopies.subarray(n)]).toEqual([...given.subarray(30)])
    const backwards = new Float64Array(n * d)
    for (let i = 0; i < n; i++) backwards.set(vectors.subarray(i * d, (i + 1) * d), (n - 1 - i) * d)
    expect([...reassignNoise(backwards, n, d, labels.toReversed(), groups, OWN)].reverse()).toEqual([...given])
  })

  it('leaves rows without a direction, firms without topics and firms without sentences as they are', () => {
    const labels = Int32Array.from([0, 0, NOISE])
    expect([...reassignNoise(Float32Array.of(1, 0, 1, 0, 0, 0), 3, 2, labels, 1, -1)]).toEqual([NOISE, NOISE, NOISE])
    expect([...reassignNoise(Float32Array.of(1, 0, 0, 1), 2, 2, new Int32Array(2).fill(NOISE), 0, OWN)]).toEqual([
      NOISE,
      NOISE,
    ])
    expect(reassignNoise(new Float32Array(0), 0, 2, new Int32Array(0), 0, OWN)).toHaveLength(0)
  })

  it('takes the first of two topics that are as near', () => {
    const vectors = Float64Array.of(1, 0, 1, 0, 0, 1, 0, 1, Math.SQRT1_2, Math.SQRT1_2)
    expect([...reassignNoise(vectors, 5, 2, Int32Array.of(0, 0, 1, 1, NOISE), 2, 0.5)].at(-1)).toBe(0)
  })
})

// Neighbours from a float32 device are those of the plain kernel to the last bit, whatever float32 cannot tell apart;
// also from the worst device that float32 allows, and one that is worse is refused.

import { describe, expect, it } from 'vitest'
import type { Metric } from '../../lib/math/distance.ts'
import { type Neighbors, nearestNeighbors } from '../../lib/math/neighbors.ts'
import { nearestNeighborsOnDevice } from '../../lib/model/nearest.ts'
import { type Compared, nearestByDevice, type Propose } from '../../lib/model/nearest-exactly.ts'
import { blobs, directions } from '../math/tables.ts'

type DeviceMetric = Exclude<Metric, 'squared'>
const metrics: DeviceMetric[] = ['cosine', 'euclidean']

/** Equal bits, and which numbers differ where they are not (expect's own comparison of 10,000 numbers takes seconds). */
function expectSame(found: Neighbors, wanted: Neighbors): void {
  expect(found.k).toBe(wanted.k)
  const differing = [...wanted.indices.keys()].filter(
    p => found.indices[p] !== wanted.indices[p] || found.distances[p] !== wanted.distances[p],
  )
  expect(differing.slice(0, 5)).toEqual([])
  expect(found.indices).toHaveLength(wanted.indices.length)
}

async function expectPlain(data: Float32Array, n: number, d: number, k: number, metric: DeviceMetric): Promise<void> {
  const found = await nearestNeighborsOnDevice({ data, n, d, k, metric }, { threads: 2 })
  expectSame(found, nearestNeighbors(data, n, d, k, metric))
}

describe('nearestNeighborsOnDevice', () => {
  for (const metric of metrics) {
    // Around the block of 256 rows, with fewer rows than candidates, with a column too few for any vector register.
    for (const [n, d, k] of [
      [0, 4, 3],
      [1, 4, 3],
      [2, 5, 3],
      [30, 7, 29],
      [256, 1, 5],
      [257, 64, 1],
      [1100, 96, 30],
    ]) {
      it(`gives for ${n} × ${d}, k = ${k}, ${metric}, the very bits of the plain kernel`, async () => {
        await expectPlain(Float32Array.from(blobs(n, d, 3, n)), n, d, k, metric)
        await expectPlain(directions(n, d, 4, n), n, d, k, metric)
      })
    }

    it(`tells rows apart that are one to float32 scores, ${metric}`, async () => {
      // Three hundred rows around one direction, each a last bit or two of a few numbers away from the others.
      const [base, noise] = [directions(1, 48, 1, 1), directions(300, 48, 300, 2)]
      const rows = noise.map((x, p) => base[p % 48] * (1 + 1e-6 * x))
      await expectPlain(rows, 300, 48, 10, metric)
    })

    it(`breaks ties by the lower index where more rows are equal than there are candidates, ${metric}`, async () => {
      const kinds = directions(3, 16, 3, 3)
      const rows = Float32Array.from({ length: 400 * 16 }, (_, p) => kinds[(Math.floor(p / 16) % 3) * 16 + (p % 16)])
      await expectPlain(rows, 400, 16, 12, metric)
    })

    it(`keeps to the rule for rows of zeros, ${metric}`, async () => {
      const rows = directions(500, 24, 5, 4)
      for (let i = 0; i < 500; i += 20) rows.fill(0, i * 24, (i + 1) * 24)
      await expectPlain(rows, 500, 24, 30, metric)
      await expectPlain(new Float32Array(300 * 8), 300, 8, 4, metric)
    })

    it(`is not led astray by size: far from the origin, tiny, huge, and beside a row far out, ${metric}`, async () => {
      const rows = Float32Array.from(blobs(300, 12, 4, 5))
      await expectPlain(
        rows.map(x => x + 5000),
        300,
        12,
        8,
        metric,
      )
      await expectPlain(
        rows.map(x => x * 1e-30),
        300,
        12,
        8,
        metric,
      )
      await expectPlain(
        rows.map(x => x * 1e30),
        300,
        12,
        8,
        metric,
      )
      rows.fill(1e6, 0, 12)
      await expectPlain(rows, 300, 12, 8, metric)
    })
  }

  it('says how many rows are done, until all are', async () => {
    const steps: number[] = []
    const question = { data: directions(600, 8, 3, 6), n: 600, d: 8, k: 5, metric: 'cosine' } as const
    await nearestNeighborsOnDevice(question, { threads: 1, onRows: more => steps.push(more) })
    expect(steps).toEqual([256, 256, 88])
  })

  it('refuses NaN and says where', async () => {
    const question = { data: Float32Array.from([1, 2, Number.NaN, 4]), n: 2, d: 2, k: 1, metric: 'cosine' } as const
    await expect(nearestNeighborsOnDevice(question, { threads: 1 })).rejects.toThrow(/index 2 \(row 1\)/)
  })
})

/** A device that computes as exactly as doubles do, then changes its scores. */
function device(n: number, d: number, change: (score: number, i: number, j: number) => number) {
  return async ({ rows, bias }: Compared): Promise<Propose> =>
    async (first, count, kept) => {
      const scores = new Float32Array(count * kept)
      const indices = new Int32Array(count * kept)
      for (let i = first; i < first + count; i++) {
        const all = Array.from({ length: n }, (_, j) => {
          let score = bias[j]
          for (let t = 0; t < d; t++) score += rows[i * d + t] * rows[j * d + t]
          return { score: Math.fround(change(score, i, j)), j }
        })
        const best = all.sort((a, b) => b.score - a.score).slice(0, kept)
        for (const [p, { score, j }] of best.entries()) {
          scores[(i - first) * kept + p] = score
          indices[(i - first) * kept + p] = j
        }
      }
      return { scores, indices }
    }
}

describe('nearestByDevice', () => {
  const [n, d, k] = [400, 32, 6]

  it('does no row again where the device is as good as float32 mostly is', async () => {
    const question = { data: directions(n, d, 4, 7), n, d, k }
    for (const metric of metrics) {
      expect(
        (
          await nearestByDevice(
            { ...question, metric },
            device(n, d, score => score),
          )
        ).again,
      ).toBe(0)
    }
  })

  it('gives the same from the worst device that float32 allows', async () => {
    // Forty rows on an arc so short that scores cannot order them, among others that lie apart. The scores of the true
    // neighbours are too low by nine tenths of all that float32 allows, those of the others too high.
    const data = directions(n, d, n, 10)
    for (let i = 0; i < 40; i++) data.fill(0, i * d, (i + 1) * d).set([1, i / 1e5], i * d)
    for (const metric of metrics) {
      const wanted = nearestNeighbors(data, n, d, k, metric)
      const worst = ((metric === 'cosine' ? 1 : 1.5) * 0.9 * (d + 1)) / 2 ** 24
      const isNear = (i: number, j: number) => wanted.indices.subarray(i * k, (i + 1) * k).includes(j)
      const misled = device(n, d, (score, i, j) => score + (isNear(i, j) ? -worst : worst))
      const { neighbors, again } = await nearestByDevice({ data, n, d, k, metric }, misled)
      expectSame(neighbors, wanted)
      // The proof must have failed for the forty and for few others: otherwise this tested nothing, or the plain kernel.
      expect(again).toBeGreaterThanOrEqual(40)
      expect(again).toBeLessThan(n / 8)
    }
  })

  it('misses no neighbour whose score alone is as wrong as float32 allows', async () => {
    // Row 1 is the nearest of row 0, rows 2 to 30 follow in steps of a twenty-fifth of the error: just enough of them push
    // row 1 out of the candidates, and the sixth of these is nearer than the last by two thirds of the error.
    const wide = 512
    for (const metric of metrics) {
      const worst = ((metric === 'cosine' ? 1 : 1.5) * 0.95 * (wide + 1)) / 2 ** 24
      const data = directions(n, wide, n, 11)
      for (let i = 0; i <= 30; i++) {
        const product = i === 0 ? 1 : 0.5 - (i * worst) / 25
        data.fill(0, i * wide, (i + 1) * wide)
        data[i * wide] = product
        if (i > 0) data[i * wide + i] = Math.sqrt(1 - product ** 2)
      }
      const wrong = device(n, wide, (score, i, j) => (i === 0 && j === 1 ? score - worst : score))
      const { neighbors, again } = await nearestByDevice({ data, n, d: wide, k, metric }, wrong)
      expect(again).toBeLessThan(n / 8)
      expectSame(neighbors, nearestNeighbors(data, n, wide, k, metric))
    }
  })

  it('does a few doubtful rows again by themselves, and many with all others', async () => {
    // Rows 0 to 29 are equal, more than k and the candidates beyond it; the others lie apart, few of them near these.
    const data = directions(n, d, n, 8)
    for (let i = 1; i < 30; i++) data.copyWithin(i * d, 0, d)
    const question = { data, n, d, k, metric: 'cosine' } as const
    const few = await nearestByDevice(
      question,
      device(n, d, score => score),
    )
    expect(few.again).toBeGreaterThanOrEqual(30)
    expect(few.again).toBeLessThan(n / 8)
    expectSame(few.neighbors, nearestNeighbors(data, n, d, k, 'cosine'))
    for (let i = 1; i < n; i++) data.copyWithin(i * d, 0, d)
    const all = await nearestByDevice(
      question,
      device(n, d, score => score),
    )
    expect(all.again).toBe(n)
    expectSame(all.neighbors, nearestNeighbors(data, n, d, k, 'cosine'))
  })

  it('refuses a device that computes less exactly than float32, as its proof would not hold', async () => {
    const tenBits = (score: number) => Math.floor(score * 1024) / 1024
    for (const metric of metrics) {
      const question = { data: directions(n, d, 4, 9), n, d, k, metric }
      await expect(nearestByDevice(question, device(n, d, tenBits))).rejects.toThrow(/less exactly than float32/)
    }
  })
})

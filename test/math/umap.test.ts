// UMAP in parts against its definition, then as a whole: same seed same bits, every n, the quality of umap-learn.

import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { adjustedRandIndex, knnAccuracy, trustworthiness } from '../../lib/math/agreement.ts'
import { epochsFor, FIRM_RECIPE } from '../../lib/math/engine.ts'
import { fuzzyGraph } from '../../lib/math/fuzzy-graph.ts'
import { hdbscan } from '../../lib/math/hdbscan.ts'
import { fitCurve, forcesFor, LOWEST, layOut } from '../../lib/math/layout.ts'
import { type Neighbors, nearestNeighbors } from '../../lib/math/neighbors.ts'
import { createRandom } from '../../lib/math/random.ts'
import { startPositions } from '../../lib/math/spectral-start.ts'
import { fuzzyGraphStraight, layOutStraight, nearestNeighborsStraight } from '../../lib/math/straight.ts'
import { type UmapOptions, umap } from '../../lib/math/umap.ts'
import { readUmapCase } from './reference-cases.ts'
import { blobs, directions } from './tables.ts'

const options: UmapOptions = {
  nNeighbors: 15,
  nComponents: 5,
  minDist: 0,
  metric: 'cosine',
  epochs: 200,
  seed: 1,
}

describe('the curve of nearness', () => {
  it('is the one that umap-learn fits', () => {
    // umap.umap_.find_ab_params(spread, min_dist) of umap-learn 0.5.12.
    for (const [spread, minDist, a, b] of [
      [1, 0, 1.93280839734315, 0.7904949732233831],
      [1, 0.1, 1.5769434602697652, 0.8950608778515733],
      [1, 0.025, 1.8404313394891951, 0.8160244037135995],
    ]) {
      const curve = fitCurve(minDist, spread)
      expect(curve.a).toBeCloseTo(a, 5)
      expect(curve.b).toBeCloseTo(b, 5)
    }
  })

  it('scales with the spread: what lies twice as far is as near', () => {
    const narrow = fitCurve(0.1, 1)
    const wide = fitCurve(0.2, 2)
    for (const x of [0.1, 0.5, 1, 2]) {
      const near = 1 / (1 + narrow.a * x ** (2 * narrow.b))
      expect(1 / (1 + wide.a * (2 * x) ** (2 * wide.b))).toBeCloseTo(near, 6)
    }
  })

  it('refuses what no curve can be', () => {
    expect(() => fitCurve(0, 0)).toThrow(RangeError)
    expect(() => fitCurve(-0.1, 1)).toThrow(RangeError)
    expect(() => fitCurve(4, 1)).toThrow(RangeError)
  })
})

it('the tables of forces agree with the formulas to 0.2 %, and their ends with what lies beyond', () => {
  const { a, b } = fitCurve(0.1, 1)
  const { attraction, repulsion } = forcesFor(0.1, 1)
  const bits = new Int32Array(1)
  const single = new Float32Array(bits.buffer)
  // As the kernels find the place: the bits of the number without the last fourteen.
  const placeOf = (squared: number) => {
    single[0] = squared
    return Math.max(0, Math.min(attraction.length - 1, (bits[0] >>> 14) - LOWEST))
  }
  const random = createRandom(1)
  for (let draw = 0; draw < 2000; draw++) {
    const squared = 10 ** (13 * random.next() - 8)
    const power = squared ** b
    const pull = (-2 * a * b * power) / (squared * (1 + a * power))
    const push = (2 * b) / ((0.001 + squared) * (1 + a * power))
    expect(Math.abs(attraction[placeOf(squared)] / pull - 1)).toBeLessThan(2e-3)
    expect(Math.abs(repulsion[placeOf(squared)] / push - 1)).toBeLessThan(2e-3)
  }
  for (const squared of [0, 1e-300, 1e-20, 1e30, 1e300]) {
    expect(attraction[placeOf(squared)]).toBeLessThan(0)
    expect(repulsion[placeOf(squared)]).toBeGreaterThan(0)
  }
})

describe('the compiled layout', () => {
  // 40 rows are fewer than the pushers of an epoch, 65 one more than they, 150 many more; 10 and 5 columns do not fill vectors.
  for (const [n, c] of [
    [2, 3],
    [3, 1],
    [40, 10],
    [65, 5],
    [150, 4],
  ]) {
    it(`moves ${n} points in ${c} dimensions as its twin does`, () => {
      const graph = fuzzyGraph(nearestNeighbors(directions(n, 20, 3, n), n, 20, 9, 'cosine'), n)
      const random = createRandom(n)
      const start = Float32Array.from({ length: n * c }, () => 2 * random.next() - 1)
      for (const epochs of [0, 1, 2, 5]) {
        const settings = { epochs, negativeSampleRate: 3, forces: forcesFor(0.1, 1) }
        const found = layOut(graph, start, n, c, { ...settings, random: createRandom(7) })
        const wanted = layOutStraight(graph, start, n, c, { ...settings, random: createRandom(7) }).flat()
        // The tables are right to .2 %, and steps are of the order of 1.
        for (let p = 0; p < n * c; p++) expect(Math.abs(found[p] - wanted[p])).toBeLessThan(5e-3)
      }
    })
  }

  it('stays finite however far or near the points start', () => {
    const graph = fuzzyGraph(nearestNeighbors(directions(30, 8, 3, 1), 30, 8, 9, 'cosine'), 30)
    const random = createRandom(1)
    const settings = { epochs: 50, negativeSampleRate: 5, forces: forcesFor(0, 1), random }
    for (const scale of [0, 1e-30, 1e-6, 1e6, 1e15]) {
      const start = Float32Array.from({ length: 90 }, () => scale * (random.next() - 0.5))
      expect(layOut(graph, start, 30, 3, settings).every(Number.isFinite)).toBe(true)
    }
  })
})

describe('the fuzzy graph', () => {
  const cases: [string, Neighbors, number][] = [
    ['directions', nearestNeighbors(directions(120, 20, 5, 1), 120, 20, 14, 'cosine'), 120],
    ['blobs', nearestNeighbors(blobs(90, 3, 4, 2), 90, 3, 9, 'euclidean'), 90],
    [
      'many equal rows',
      nearestNeighbors(
        Float32Array.from({ length: 60 }, (_, i) => i % 3),
        60,
        1,
        14,
        'euclidean',
      ),
      60,
    ],
    ['all rows equal', nearestNeighbors(new Float32Array(40).fill(1), 40, 1, 5, 'euclidean'), 40],
    ['two rows', nearestNeighbors(Float32Array.from([0, 5]), 2, 1, 14, 'euclidean'), 2],
  ]
  for (const [name, neighbors, n] of cases) {
    it(`agrees with its twin, pair by pair: ${name}`, () => {
      const byPair = ({ from, to, strength }: ReturnType<typeof fuzzyGraph>) =>
        new Map(Array.from(strength, (value, e) => [from[e] * n + to[e], value]))
      const found = byPair(fuzzyGraph(neighbors, n))
      const wanted = byPair(fuzzyGraphStraight(neighbors, n))
      expect(found.size).toBe(wanted.size)
      // Both searches for a scale end within 1e-5 of log2 of the neighbourhood.
      for (const [pair, value] of wanted) expect(Math.abs((found.get(pair) ?? 0) - value)).toBeLessThan(1e-4)
    })

    it(`ties every row to its nearest with strength 1: ${name}`, () => {
      const { from, to, strength } = fuzzyGraph(neighbors, n)
      const strongest = new Float64Array(n)
      strength.forEach((value, e) => {
        expect(from[e]).toBeLessThan(to[e])
        strongest[from[e]] = Math.max(strongest[from[e]], value)
        strongest[to[e]] = Math.max(strongest[to[e]], value)
      })
      for (const value of strongest) expect(value).toBeCloseTo(1, 12)
    })
  }
})

it('a start puts connected groups apart: the nearest rows there are of the same group', () => {
  const points = Float64Array.from({ length: 40 }, (_, i) => (i % 2) * 100 + i / 100)
  const graph = fuzzyGraph(nearestNeighbors(points, 40, 1, 8, 'euclidean'), 40)
  const near = nearestNeighbors(startPositions(graph, 40, 3, createRandom(5)), 40, 3, 5, 'euclidean')
  near.indices.forEach((j, p) => {
    expect(j % 2).toBe(Math.floor(p / 5) % 2)
  })
})

describe('a layout', () => {
  const rows = directions(150, 32, 6, 4)

  it('is the same to the bit for the same seed, and another for another', () => {
    const once = umap(rows, 150, 32, options)
    expect(umap(rows, 150, 32, options)).toEqual(once)
    expect(umap(rows, 150, 32, { ...options, seed: 2 })).not.toEqual(once)
  })

  it('is the same to the bit on every machine and every Node: the sum of its bits is written here', () => {
    const random = createRandom(1)
    const table = Float32Array.from({ length: 150 * 8 }, () => random.int(65) - 32)
    const bits = new Int32Array(umap(table, 150, 8, { ...options, minDist: 0.1 }).buffer)
    expect(bits.reduce((sum, word) => (Math.imul(sum, 31) + word) | 0, 0)).toBe(1571354433)
  })

  it('does not depend on what was laid out before', () => {
    const once = umap(rows, 150, 32, options)
    umap(rows, 150, 32, { ...options, minDist: 0.3 })
    expect(umap(rows, 150, 32, options)).toEqual(once)
  })

  it('does not care how long the rows are under cosine', () => {
    // Powers of two scale without rounding.
    const longer = rows.map((x, p) => x * 2 ** (Math.floor(p / 32) % 5))
    expect(umap(longer, 150, 32, options)).toEqual(umap(rows, 150, 32, options))
  })

  it('keeps six groups of directions apart', () => {
    const layout = umap(rows, 150, 32, options)
    const truth = Array.from({ length: 150 }, (_, i) => i % 6)
    expect(adjustedRandIndex(truth, hdbscan(layout, 150, 5, { minClusterSize: 8, minSamples: 4 }).labels)).toBe(1)
  })

  it('exists for every number of rows, equal or zero or not', () => {
    for (let n = 0; n < 25; n++) {
      for (const metric of ['cosine', 'euclidean'] as const) {
        for (const table of [directions(n, 4, 3, n + 1), new Float32Array(4 * n), new Float32Array(4 * n).fill(0.5)]) {
          const layout = umap(table, n, 4, { ...options, metric, nComponents: 10, epochs: 50 })
          expect(layout).toHaveLength(10 * n)
          expect(layout.every(Number.isFinite)).toBe(true)
        }
      }
    }
  })

  it('refuses what is no number, and options that make no sense', () => {
    expect(() => umap(rows.with(70, Number.NaN), 150, 32, options)).toThrow(/index 70 \(row 2\)/)
    expect(() => umap(rows, 150, 32, { ...options, nNeighbors: 1 })).toThrow(/nNeighbors/)
    expect(() => umap(rows, 150, 32, { ...options, nComponents: 0 })).toThrow(/nComponents/)
    expect(() => umap(rows, 150, 32, { ...options, epochs: -1 })).toThrow(/epochs/)
    expect(() => umap(rows, 150, 32, { ...options, negativeSampleRate: -1 })).toThrow(/negativeSampleRate/)
  })
})

describe('the quality of umap-learn 0.5.3 over five seeds, less two of its standard deviations', () => {
  for (const name of ['digits1500x64', 'firmlike450x384']) {
    const path = fileURLToPath(new URL(`../fixtures/umap/${name}.json`, import.meta.url))
    it(`is reached on ${name}`, () => expectQuality(path, 500))
  }

  it('is reached on rows shaped like the sentences of a firm with the steps and pushes of a firm, too', () => {
    const path = fileURLToPath(new URL('../fixtures/umap/firmlike450x384.json', import.meta.url))
    expectQuality(path, epochsFor(450, FIRM_RECIPE.epochs), FIRM_RECIPE.negativeSampleRate)
  })
})

function expectQuality(path: string, epochs: number, negativeSampleRate?: number): void {
  const { points, n, d, metric, nNeighbors, nComponents, minDist, minClusterSize, minSamples, labels, mean, sd } =
    readUmapCase(path)
  // All others in order: a full sort is the faster way.
  const everyOther = nearestNeighborsStraight(points, n, d, n - 1, metric)
  const seeds = [1, 2, 3, 4, 5]
  const found = { trustworthiness: 0, knn_label_accuracy: 0, ari: 0 }
  for (const seed of seeds) {
    const rate = negativeSampleRate === undefined ? {} : { negativeSampleRate }
    const layout = umap(points, n, d, { nNeighbors, nComponents, minDist, metric, epochs, seed, ...rate })
    const clusters = hdbscan(layout, n, nComponents, { minClusterSize, minSamples })
    found.trustworthiness += trustworthiness(everyOther, layout, n, nComponents, 15) / seeds.length
    found.knn_label_accuracy += knnAccuracy(layout, n, nComponents, labels, 10) / seeds.length
    found.ari += adjustedRandIndex(labels, clusters.labels) / seeds.length
  }
  for (const measure of ['trustworthiness', 'knn_label_accuracy', 'ari'] as const) {
    // Five fifths of 1 may fall short of 1 in the last digit.
    expect(found[measure] + 1e-12, measure).toBeGreaterThanOrEqual(mean[measure] - 2 * sd[measure])
  }
}

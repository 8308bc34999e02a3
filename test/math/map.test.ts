// Laws of the map of topics: planted groups are islands, the seed decides everything, and nobody lies outside of it.

import { describe, expect, it } from 'vitest'
import { mapNeighborhoods, placesOnMap } from '../../lib/math/map.ts'
import { normalizeRows } from '../../lib/math/matrix.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { createRandom } from '../../lib/math/random.ts'

const D = 32

/** Unit rows around `groups` random directions in turn: row i is of group i % groups. */
function planted(n: number, groups: number): Float32Array {
  const random = createRandom(1)
  const directions = Array.from({ length: groups * D }, () => random.next() - 0.5)
  const rows = Array.from({ length: n * D }, (_, p) => {
    const group = Math.floor(p / D) % groups
    return directions[group * D + (p % D)] + 0.3 * (random.next() - 0.5)
  })
  return Float32Array.from(normalizeRows(Float64Array.from(rows), n, D))
}

const mapOf = (vectors: Float32Array, seed = 7) => placesOnMap({ vectors, n: vectors.length / D, d: D, seed })

function sides(places: Float32Array): number[][] {
  return [0, 1].map(axis => {
    const values = [...places].filter((_, p) => p % 2 === axis)
    return [Math.min(...values), Math.max(...values)]
  })
}

describe('placesOnMap', () => {
  it('makes an island of each planted group: nearly all neighbours on the map are of the same one', () => {
    const [n, groups, k] = [300, 6, 10]
    const { indices } = nearestNeighbors(mapOf(planted(n, groups)), n, 2, k, 'euclidean')
    const own = [...indices].filter((j, p) => j % groups === Math.floor(p / k) % groups)
    expect(own.length / (n * k)).toBeGreaterThan(0.95)
  })

  it('fills one axis from 0 to 1 and lies in the middle of the other', () => {
    const [x, y] = sides(mapOf(planted(200, 5)))
    const [longer, shorter] = x[1] - x[0] > y[1] - y[0] ? [x, y] : [y, x]
    expect(longer[0]).toBeCloseTo(0, 6)
    expect(longer[1]).toBeCloseTo(1, 6)
    expect((shorter[0] + shorter[1]) / 2).toBeCloseTo(0.5, 6)
    expect(shorter[1] - shorter[0]).toBeGreaterThan(0)
  })

  it('is the same for the same seed, and for neighbours that are known already', () => {
    const vectors = planted(120, 4)
    vectors.fill(0, 5 * D, 6 * D)
    const { data, n, k, metric } = mapNeighborhoods({ vectors, n: 120, d: D })
    const neighbors = nearestNeighbors(data, n, D, k, metric)
    expect(n).toBe(119)
    expect(mapOf(vectors)).toEqual(mapOf(vectors))
    expect(placesOnMap({ vectors, n: 120, d: D, seed: 7, neighbors })).toEqual(mapOf(vectors))
    expect(mapOf(vectors, 8)).not.toEqual(mapOf(vectors))
  })

  it('is not moved by topics whose text has no known word: these wait in the corner', () => {
    const vectors = planted(60, 3)
    const withZeros = new Float32Array(63 * D)
    withZeros.set(vectors, D) // rows 0, 61 and 62 are zeros
    const places = mapOf(withZeros)
    expect(places.slice(2, 122)).toEqual(mapOf(vectors))
    expect([...places.slice(0, 2), ...places.slice(122)]).toEqual([0, 0, 0, 0, 0, 0])
  })

  it.each([0, 1, 2, 3, 4, 16])('has a place from 0 to 1 for each of %i topics', n => {
    const places = mapOf(planted(n, 2))
    expect(places).toHaveLength(2 * n)
    expect([...places].every(value => value >= 0 && value <= 1)).toBe(true)
    if (n === 1) expect([...places]).toEqual([0.5, 0.5])
    const all = new Set(Array.from({ length: n }, (_, i) => `${places[2 * i]} ${places[2 * i + 1]}`))
    expect(all.size).toBe(n)
  })

  it('has a place for a hundred equal topics', () => {
    const one = planted(1, 1)
    const places = mapOf(Float32Array.from({ length: 100 * D }, (_, p) => one[p % D]))
    expect([...places].every(value => value >= 0 && value <= 1)).toBe(true)
  })

  it('tells of every epoch', () => {
    const epochsDone = new Int32Array(new SharedArrayBuffer(4))
    placesOnMap({ vectors: planted(20, 2), n: 20, d: D, seed: 7, epochsDone })
    expect(epochsDone[0]).toBe(500)
  })
})

// The tree's own laws, then its neighbours against the slow twin, on points that invite mistakes.

import { describe, expect, it } from 'vitest'
import { squaredDistance } from '../../lib/math/distance.ts'
import { nearby, parentOf, siblingOf, spaceTree, squaredDistanceFromBox } from '../../lib/math/space-tree.ts'
import { nearestNeighborsStraight } from '../../lib/math/straight.ts'
import { pointSets } from './point-sets.ts'

for (const { name, points, n, d } of pointSets(1)) {
  describe(name, () => {
    const tree = spaceTree(points, n, d)

    it('holds every row once, under its place', () => {
      expect([...tree.rowOfPlace].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
      for (let place = 0; place < n; place++) {
        const row = tree.rowOfPlace[place]
        expect(tree.points.slice(place * d, (place + 1) * d)).toEqual(points.slice(row * d, (row + 1) * d))
      }
    })

    it('parts every node into two halves, and no leaf is empty', () => {
      for (let node = 0; node < tree.firstLeaf; node++) {
        const left = 2 * node + 1
        expect(siblingOf(left)).toBe(left + 1)
        expect(siblingOf(left + 1)).toBe(left)
        expect([parentOf(left), parentOf(left + 1)]).toEqual([node, node])
        expect([tree.start[left], tree.end[left + 1]]).toEqual([tree.start[node], tree.end[node]])
        expect(tree.end[left]).toBe(tree.start[left + 1])
        const sizes = [left, left + 1].map(child => tree.end[child] - tree.start[child])
        expect(Math.abs(sizes[0] - sizes[1])).toBeLessThanOrEqual(1)
        expect(Math.min(...sizes)).toBeGreaterThan(0)
      }
    })

    it('never puts a box farther away than a point in it, not by one bit', () => {
      for (let node = 0; node < tree.nodes; node++) {
        for (let place = 0; place < n; place += 7) {
          const toBox = squaredDistanceFromBox(tree, place, node)
          for (let other = tree.start[node]; other < tree.end[node]; other++) {
            // A plain comparison: a million calls of expect would take minutes.
            if (toBox <= squaredDistance(tree.points, place, tree.points, other, d)) continue
            expect.fail(`point ${other} of node ${node} is nearer to point ${place} than the node's box`)
          }
        }
      }
    })

    for (const k of [1, 5, 40]) {
      it(`finds the same distances as the slow twin, to the bit: k = ${k}`, () => {
        const wanted = nearestNeighborsStraight(points, n, d, k, 'squared')
        const kept = Math.min(3, wanted.k)
        const found = nearby(tree, wanted.k, kept)
        for (let place = 0; place < n; place++) {
          const row = tree.rowOfPlace[place]
          const distances = wanted.distances.subarray(row * wanted.k, (row + 1) * wanted.k)
          expect(found.core[place]).toBe(distances[wanted.k - 1])
          expect(found.reach[place]).toBe(distances[kept - 1])
          const others = [...found.places.subarray(place * kept, (place + 1) * kept)]
          expect(others).not.toContain(place)
          expect(new Set(others).size).toBe(kept)
          expect(others.map(other => squaredDistance(tree.points, place, tree.points, other, d))).toEqual([
            ...distances.subarray(0, kept),
          ])
        }
      })
    }
  })
}

// Points on which a search through space could stumble: clumped, equal, on grids, in a line, hardly apart, hardly any.
// For the tests that hold two ways to one answer against each other.

import { createRandom } from '../../lib/math/random.ts'
import { blobs } from './tables.ts'

export type PointSet = { name: string; points: Float64Array; n: number; d: number }

export function pointSets(seed: number): PointSet[] {
  const random = createRandom(seed)
  function table(name: string, n: number, d: number, number: (i: number, t: number) => number): PointSet {
    return { name, n, d, points: Float64Array.from({ length: n * d }, (_, p) => number(Math.floor(p / d), p % d)) }
  }
  const groups = blobs(250, 3, 7, seed)
  const centres = blobs(40, 10, 40, seed, 10)
  return [
    table('strewn in a plane', 200, 2, () => random.next()),
    table('strewn in twelve dimensions', 200, 12, () => random.next()),
    { name: 'groups', points: groups, n: 250, d: 3 },
    // As UMAP leaves them with min_dist 0: tight clumps, far apart.
    table('clumps', 300, 10, (i, t) => centres[(i % 40) * 10 + t] + 1e-3 * random.next()),
    table('every point three times', 240, 2, (i, t) => groups[(i % 80) * 3 + t]),
    table('a hundred equal points', 100, 3, () => 7),
    table('two piles and a straggler', 101, 1, i => (i === 100 ? 5 : i % 2)),
    table('a grid', 225, 2, (i, t) => (t === 0 ? i % 15 : Math.floor(i / 15))),
    // Lengths that are equal on paper differ in their last bit here, and their roots again do not.
    table('crossings of a grid of width 0.1', 300, 4, () => 0.1 * random.int(6)),
    table('a turned grid', 225, 2, (i, t) => {
      const [x, y] = [i % 15, Math.floor(i / 15)]
      return t === 0 ? Math.cos(1) * x - Math.sin(1) * y : Math.sin(1) * x + Math.cos(1) * y
    }),
    table('a line with growing gaps', 150, 1, i => i * i),
    // Squares of these are the smallest numbers there are, with hardly a digit left.
    table('as close together as numbers go', 100, 2, () => 1e-160 * random.next()),
    table('seventeen points', 17, 2, () => random.int(4)),
    table('three points', 3, 2, () => random.next()),
    table('two points', 2, 2, () => random.next()),
  ]
}

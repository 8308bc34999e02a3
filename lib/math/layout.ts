// The layout of UMAP: points that pull along the edges of the graph and push at random, by stochastic gradient descent.
// Section 4.2 of McInnes, Healy, Melville 2018, with umap-learn's conventions. m, 10 dimensions: 40 ns a pull or push.
// Left to others: the graph and the start; SIMD, which a sketch has at 8 ns.

import { exponential, logarithm } from './elementary.ts'
import type { FuzzyGraph } from './fuzzy-graph.ts'
import type { Random } from './random.ts'

/** The curve 1 / (1 + a x^2b) by which nearness falls with distance in the layout. */
export type Curve = { a: number; b: number }

/**
 * a and b such that the curve is nearest, by least squares at umap-learn's 300 places up to three times the spread,
 * to 1 up to minDist and an exponential fall with the spread after it. Damped Gauss-Newton (Levenberg 1944).
 */
export function fitCurve(minDist: number, spread: number): Curve {
  if (!(spread > 0) || !(minDist >= 0) || minDist > 3 * spread) {
    throw new RangeError(
      `spread over 0 and minDist from 0 to 3 × spread wanted, found spread ${spread}, minDist ${minDist}`,
    )
  }
  let curve: Curve = { a: 1, b: 1 }
  let damping = 1e-3
  let current = curveError(curve, minDist, spread)
  // It settles to 1e-12 in under 30 rounds for every minDist from 0 to 1.
  for (let round = 0; round < 200; round++) {
    const { aa, ab, bb, ae, be } = current
    const determinant = aa * (1 + damping) * bb * (1 + damping) - ab * ab
    const stepA = (bb * (1 + damping) * ae - ab * be) / determinant
    const stepB = (aa * (1 + damping) * be - ab * ae) / determinant
    const next = { a: curve.a + stepA, b: curve.b + stepB }
    const error = next.a > 0 && next.b > 0 ? curveError(next, minDist, spread) : current
    if (error.squared < current.squared) {
      curve = next
      current = error
      damping /= 10
    } else if (damping > 1e12) break
    else damping *= 10
  }
  return curve
}

/**
 * Squared error of a curve, and the normal equations of the step that lowers it: products of the slopes by a, by b,
 * and of the error.
 */
function curveError({ a, b }: Curve, minDist: number, spread: number) {
  const places = 300
  let squared = 0
  let aa = 0
  let ab = 0
  let bb = 0
  let ae = 0
  let be = 0
  for (let p = 0; p < places; p++) {
    const x = (3 * spread * p) / (places - 1)
    const wanted = x < minDist ? 1 : exponential(-(x - minDist) / spread)
    const power = x > 0 ? exponential(2 * b * logarithm(x)) : 0
    const found = 1 / (1 + a * power)
    const error = wanted - found
    const slopeA = -power * found * found
    const slopeB = x > 0 ? 2 * a * logarithm(x) * slopeA : 0
    squared += error * error
    aa += slopeA * slopeA
    ab += slopeA * slopeB
    bb += slopeB * slopeB
    ae += slopeA * error
    be += slopeB * error
  }
  return { squared, aa, ab, bb, ae, be }
}

// Random points that push the head of an edge away each time the edge is pulled: umap-learn's default.
const PUSHES = 5
// No coordinate moves further than this in one step: umap-learn's clip.
const LONGEST_STEP = 4

/**
 * Stochastic gradient descent (section 4.2 of the paper), in place. positions: n × c. Each edge is pulled from both
 * ends, as often as it is strong; the five pushes of a pull are reckoned from one position and added up, which costs
 * no quality (digits: trustworthiness .9899 either way).
 */
export function layOut(
  graph: FuzzyGraph,
  positions: Float64Array,
  n: number,
  c: number,
  epochs: number,
  forces: Forces,
  random: Random,
): void {
  const { head, tail, period } = schedule(graph, n, epochs)
  const { attraction, repulsion } = forces
  const due = period.slice()
  const pushers = new Int32Array(PUSHES * 1024)
  let used = pushers.length
  const step = new Float64Array(c)
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = 1 - epoch / epochs
    for (let e = 0; e < head.length; e++) {
      if (due[e] > epoch) continue
      due[e] += period[e]
      if (used === pushers.length) {
        random.fill(pushers, n)
        used = 0
      }
      const i = head[e] * c
      const j = tail[e] * c

      let squared = 0
      for (let t = 0; t < c; t++) {
        const difference = positions[i + t] - positions[j + t]
        squared += difference * difference
      }
      const pull = attraction[tableIndex(squared)]
      for (let t = 0; t < c; t++) {
        const move = clip(pull * (positions[i + t] - positions[j + t]))
        step[t] = move
        positions[j + t] -= move * rate
      }

      for (const end = used + PUSHES; used < end; used++) {
        const q = pushers[used] * c
        squared = 0
        for (let t = 0; t < c; t++) {
          const difference = positions[i + t] - positions[q + t]
          squared += difference * difference
        }
        const push = repulsion[tableIndex(squared)]
        for (let t = 0; t < c; t++) {
          const move = clip(push * (positions[i + t] - positions[q + t]))
          step[t] += move
        }
      }
      for (let t = 0; t < c; t++) positions[i + t] += step[t] * rate
    }
  }
}

function clip(move: number): number {
  return Math.max(-LONGEST_STEP, Math.min(LONGEST_STEP, move))
}

/**
 * Both directions of every edge that is pulled at all, by head, and the epochs between two pulls: 1 for the
 * strongest.
 */
function schedule(graph: FuzzyGraph, n: number, epochs: number) {
  const { from, to, strength } = graph
  let strongest = 0
  for (const value of strength) if (value > strongest) strongest = value
  const start = new Int32Array(n + 1)
  function isPulled(e: number): boolean {
    return strength[e] * epochs >= strongest
  }
  for (let e = 0; e < from.length; e++) {
    if (!isPulled(e)) continue
    for (const end of [from[e], to[e]]) start[end + 1] += 1
  }
  for (let i = 0; i < n; i++) start[i + 1] += start[i]
  const directed = start[n]
  const head = new Int32Array(directed)
  const tail = new Int32Array(directed)
  const period = new Float64Array(directed)
  function place(i: number, j: number, e: number): void {
    const p = start[i]
    start[i] = p + 1
    head[p] = i
    tail[p] = j
    period[p] = strongest / strength[e]
  }
  for (let e = 0; e < from.length; e++) {
    if (!isPulled(e)) continue
    place(from[e], to[e], e)
    place(to[e], from[e], e)
  }
  return { head, tail, period }
}

// The forces are read from tables over the bits of the squared distance as a float32: exponents from -30 to 20, 512
// steps in each, so that a force is right to 0.2 %, finer than the noise of the sampling by far. Powers would take
// most of the time otherwise.
const LOWEST = (127 - 30) << 9
const HIGHEST = (127 + 20) << 9
const single = new Float32Array(1)
const bits = new Int32Array(single.buffer)

/** Place of a squared distance in the tables; what lies beyond them counts as their ends. */
export function tableIndex(squared: number): number {
  single[0] = squared
  const index = (bits[0] >> 14) - LOWEST
  return Math.max(0, Math.min(HIGHEST - LOWEST, index))
}

/**
 * What a difference of positions is multiplied with when its ends pull and when they push, by the bits of the squared
 * distance.
 */
export type Forces = { attraction: Float64Array; repulsion: Float64Array }

let last: { minDist: number; spread: number; forces: Forces } | undefined

/**
 * The forces of a layout. The last ones are kept: a worker lays out hundreds of firms alike, and they take 10 ms, a
 * tenth of a firm.
 */
export function forcesFor(minDist: number, spread: number): Forces {
  if (last?.minDist !== minDist || last.spread !== spread) {
    last = { minDist, spread, forces: forcesOf(fitCurve(minDist, spread)) }
  }
  return last.forces
}

/** The gradients of the paper's attraction and repulsion. */
function forcesOf({ a, b }: Curve): Forces {
  const length = HIGHEST - LOWEST + 1
  const attraction = new Float64Array(length)
  const repulsion = new Float64Array(length)
  for (let index = 0; index < length; index++) {
    bits[0] = (index + LOWEST) << 14
    // The middle of the step, not its start.
    const squared = single[0] * (1 + 2 ** -10)
    const power = exponential(b * logarithm(squared))
    attraction[index] = (-2 * a * b * power) / (squared * (1 + a * power))
    // 0.001 keeps the push of a point that lies on another finite: umap-learn's.
    repulsion[index] = (2 * b) / ((0.001 + squared) * (1 + a * power))
  }
  return { attraction, repulsion }
}

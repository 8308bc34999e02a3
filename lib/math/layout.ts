// The layout of UMAP: points that pull one another along the edges of the graph and push all others away.
// The forces of McInnes, Healy, Melville 2018, section 4.2, but their means instead of random draws: fewer steps, and the
// same answer for nearly every seed. docs/why.md has the figures. Left to others: graph, start, inner loops (kernels.as.ts).

import { exponential, logarithm } from './elementary.ts'
import type { FuzzyGraph } from './fuzzy-graph.ts'
import { kernels, takeRoom } from './kernels.ts'
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

// Points that push another one in an epoch: a sample of all, another one each time, so that in a few epochs all have
// had their turn. m (86 firms): 32, 64, 128 and all give the same topics but for 1 to 2 %; digits: the same figures.
export const PUSHERS = 64
// What is left of a point's velocity from one epoch to the next. m (86 firms, a firm's recipe): seeds agree to .95 with
// .8, .93 with .5, .91 without.
export const MOMENTUM = 0.8
// The first step, in units of the distance to where the pulls alone would bring a point; the last is 0, in equal steps
// between. m (86 firms): seeds agree to .95 with 2, to .90 with 1.
export const FIRST_RATE = 2
// No coordinate moves further than this in one step: umap-learn's clip, which only points without a hold ever feel.
export const LONGEST_STEP = 4

export type LayoutSettings = {
  epochs: number
  negativeSampleRate: number
  forces: Forces
  random: Random
  /** Hears of every epoch as it ends. */
  onEpoch?: (() => void) | undefined
}

/**
 * Moves the points of `start`, n × c, until pulls and pushes balance; n × c. Each epoch every edge pulls both its ends,
 * as strongly as the mean of umap-learn's random pulls, and every point is pushed by a sample of the others, as
 * strongly as `negativeSampleRate` random pushes a pull would on average; then each point steps to where its pulls
 * would bring it, but for the pushes (a gradient divided by the diagonal of its stiffness: Jacobi's preconditioner),
 * with Polyak's momentum.
 */
export function layOut(
  graph: FuzzyGraph,
  start: Float32Array,
  n: number,
  c: number,
  options: LayoutSettings,
): Float32Array {
  const { epochs, negativeSampleRate, forces, random, onEpoch } = options
  const { push, pull, move, memory } = kernels()
  const edges = graph.from.length
  const stride = Math.ceil(c / 4) * 4
  const pushers = Math.min(n, PUSHERS)
  const at = takeRoom({
    positions: 4 * n * stride,
    velocity: 4 * n * stride,
    force: 4 * n * stride,
    stiffness: 4 * n,
    share: 4 * n,
    order: 4 * n,
    from: 4 * edges,
    to: 4 * edges,
    strength: 4 * edges,
    attraction: 4 * PLACES,
    repulsion: 4 * PLACES,
    // The kernel works on sixteen pushers at a time, and keeps a row of marks beside their c coordinates.
    column: 4 * (c + 1) * Math.ceil(pushers / 16) * 16,
    sums: 16 * c,
  })
  const singles = new Float32Array(memory.buffer)
  const wholes = new Int32Array(memory.buffer)
  for (let i = 0; i < n; i++) singles.set(start.subarray(i * c, (i + 1) * c), at.positions / 4 + i * stride)
  wholes.set(graph.from, at.from / 4)
  wholes.set(graph.to, at.to / 4)
  singles.set(forces.attraction, at.attraction / 4)
  singles.set(forces.repulsion, at.repulsion / 4)
  wholes.set(shuffled(n, random), at.order / 4)

  // umap-learn draws the strongest edge in every epoch, another as often as it is strong, from either end; each draw
  // pulls both ends and pushes one of them.
  let strongest = 0
  for (const value of graph.strength) if (value > strongest) strongest = value
  const draws = new Float64Array(n)
  for (let e = 0; e < edges; e++) {
    const share = graph.strength[e] / strongest
    singles[at.strength / 4 + e] = 2 * share
    draws[graph.from[e]] += share
    draws[graph.to[e]] += share
  }
  for (let i = 0; i < n; i++) singles[at.share / 4 + i] = (negativeSampleRate * draws[i]) / pushers

  let first = 0
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = FIRST_RATE * (1 - epoch / epochs) * (1 - MOMENTUM)
    singles.fill(0, at.stiffness / 4, at.stiffness / 4 + n)
    push(
      at.positions,
      n,
      c,
      stride,
      at.order,
      first,
      pushers,
      at.share,
      at.repulsion,
      LOWEST,
      PLACES - 1,
      at.column,
      at.sums,
      at.force,
    )
    pull(
      at.positions,
      stride,
      at.from,
      at.to,
      at.strength,
      edges,
      at.attraction,
      LOWEST,
      PLACES - 1,
      at.force,
      at.stiffness,
    )
    move(at.positions, at.velocity, at.force, at.stiffness, n, stride, MOMENTUM, rate, LONGEST_STEP)
    first = (first + pushers) % n
    onEpoch?.()
  }

  const positions = new Float32Array(n * c)
  for (let i = 0; i < n; i++) {
    const own = at.positions / 4 + i * stride
    positions.set(singles.subarray(own, own + c), i * c)
  }
  return positions
}

/** 0 to n - 1 in an order of chance (Fisher, Yates; Durstenfeld 1964). */
export function shuffled(n: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = random.int(i + 1)
    const other = order[j]
    order[j] = order[i]
    order[i] = other
  }
  return order
}

// The forces are read from tables over the bits of the squared distance as a float32: exponents from -30 to 20, 512
// steps in each, so that a force is right to 0.2 %. Powers would take most of the time otherwise. What lies beyond counts as the end.
export const LOWEST = (127 - 30) << 9
const PLACES = ((127 + 20) << 9) - LOWEST + 1
const single = new Float32Array(1)
const bits = new Int32Array(single.buffer)

/**
 * What a difference of positions is multiplied with when its ends pull and when they push, by the bits of the squared
 * distance.
 */
export type Forces = { attraction: Float32Array; repulsion: Float32Array; curve: Curve }

let last: { minDist: number; spread: number; forces: Forces } | undefined

/**
 * The forces of a layout. The last ones are kept: a worker lays out hundreds of firms alike, and the tables take 10 ms,
 * longer than a firm.
 */
export function forcesFor(minDist: number, spread: number): Forces {
  if (last?.minDist !== minDist || last.spread !== spread) {
    last = { minDist, spread, forces: forcesOf(fitCurve(minDist, spread)) }
  }
  return last.forces
}

/** The gradients of the paper's attraction and repulsion. */
function forcesOf({ a, b }: Curve): Forces {
  const attraction = new Float32Array(PLACES)
  const repulsion = new Float32Array(PLACES)
  for (let index = 0; index < PLACES; index++) {
    bits[0] = (index + LOWEST) << 14
    // The middle of the step, not its start.
    const squared = single[0] * (1 + 2 ** -10)
    const power = exponential(b * logarithm(squared))
    attraction[index] = (-2 * a * b * power) / (squared * (1 + a * power))
    // 0.001 keeps the push of a point that lies on another finite: umap-learn's.
    repulsion[index] = (2 * b) / ((0.001 + squared) * (1 + a * power))
  }
  return { attraction, repulsion, curve: { a, b } }
}

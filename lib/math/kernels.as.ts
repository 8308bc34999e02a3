// The inner loops that take nearly all of a firm's time, in AssemblyScript: TypeScript's syntax, compiled to WebAssembly
// with SIMD, four numbers at a time. kernels.ts calls them; their slow twins are in straight.ts; `npm run kernels`
// compiles them into kernels-compiled.ts. Only + - * / in a fixed order: the same bits on every machine.
//
// All arguments named as arrays are addresses in the module's memory, in bytes.

const LANES = 4
const FLOAT = 4
const VECTOR = 16
const DOUBLE = 8

/** Sum of the four lanes, (0 + 2) + (1 + 3). */
// @ts-ignore: decorators of functions are AssemblyScript's own
@inline
function sumOfLanes(a: v128): f32 {
  const half = f32x4.add(a, i8x16.shuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7))
  return f32x4.extract_lane(half, 0) + f32x4.extract_lane(half, 1)
}

/** Four forces from a table over the bits of the squared distance, as layout.ts makes it. */
// @ts-ignore
@inline
function forcesAt(squared: v128, table: usize, lowest: v128, last: v128): v128 {
  const place = i32x4.shl(
    i32x4.min_s(last, i32x4.max_s(i32x4.splat(0), i32x4.sub(i32x4.shr_u(squared, 14), lowest))),
    2,
  )
  let forces = v128.load32_zero(table + i32x4.extract_lane(place, 0))
  forces = v128.load_lane<f32>(table + i32x4.extract_lane(place, 1), forces, 1)
  forces = v128.load_lane<f32>(table + i32x4.extract_lane(place, 2), forces, 2)
  return v128.load_lane<f32>(table + i32x4.extract_lane(place, 3), forces, 3)
}

/**
 * The push on each of n points from `count` others, written into `force`. positions: n rows of c numbers, `stride`
 * apart. The others are order[start], order[start + 1] …, going on at order[0]. share: by how much the push on a point
 * counts. column and sums are room for (c + 1) × count rounded up to 16, and for c vectors.
 */
export function push(
  positions: usize,
  n: i32,
  c: i32,
  stride: i32,
  order: usize,
  start: i32,
  count: i32,
  share: usize,
  table: usize,
  lowest: i32,
  last: i32,
  column: usize,
  sums: usize,
  force: usize,
): void {
  const lowestPlace = i32x4.splat(lowest)
  const lastPlace = i32x4.splat(last)
  // The others turned by a quarter: all first coordinates, all second ones … so that four of them fill a vector. The
  // last row holds 1 for a real point and 0 for what only fills up the last group of sixteen.
  const width = (count + 15) & ~15
  const isReal = column + c * width * FLOAT
  memory.fill(column, 0, (c + 1) * width * FLOAT)
  for (let q = 0; q < count; q++) {
    let place = start + q
    if (place >= n) place -= n
    const from = positions + load<i32>(order + place * FLOAT) * stride * FLOAT
    for (let t = 0; t < c; t++) store<f32>(column + (t * width + q) * FLOAT, load<f32>(from + t * FLOAT))
    store<f32>(isReal + q * FLOAT, 1)
  }
  for (let i = 0; i < n; i++) {
    const own = positions + i * stride * FLOAT
    memory.fill(sums, 0, c * VECTOR)
    for (let q = 0; q < width; q += 4 * LANES) {
      let a = f32x4.splat(0)
      let b = a
      let e = a
      let f = a
      for (let t = 0; t < c; t++) {
        const x = v128.load32_splat(own + t * FLOAT)
        const others = column + (t * width + q) * FLOAT
        const za = f32x4.sub(x, v128.load(others))
        const zb = f32x4.sub(x, v128.load(others, VECTOR))
        const ze = f32x4.sub(x, v128.load(others, 2 * VECTOR))
        const zf = f32x4.sub(x, v128.load(others, 3 * VECTOR))
        a = f32x4.add(a, f32x4.mul(za, za))
        b = f32x4.add(b, f32x4.mul(zb, zb))
        e = f32x4.add(e, f32x4.mul(ze, ze))
        f = f32x4.add(f, f32x4.mul(zf, zf))
      }
      const real = isReal + q * FLOAT
      a = f32x4.mul(forcesAt(a, table, lowestPlace, lastPlace), v128.load(real))
      b = f32x4.mul(forcesAt(b, table, lowestPlace, lastPlace), v128.load(real, VECTOR))
      e = f32x4.mul(forcesAt(e, table, lowestPlace, lastPlace), v128.load(real, 2 * VECTOR))
      f = f32x4.mul(forcesAt(f, table, lowestPlace, lastPlace), v128.load(real, 3 * VECTOR))
      for (let t = 0; t < c; t++) {
        const x = v128.load32_splat(own + t * FLOAT)
        const others = column + (t * width + q) * FLOAT
        const sum = sums + t * VECTOR
        const near = f32x4.add(
          f32x4.mul(a, f32x4.sub(x, v128.load(others))),
          f32x4.mul(b, f32x4.sub(x, v128.load(others, VECTOR))),
        )
        const far = f32x4.add(
          f32x4.mul(e, f32x4.sub(x, v128.load(others, 2 * VECTOR))),
          f32x4.mul(f, f32x4.sub(x, v128.load(others, 3 * VECTOR))),
        )
        v128.store(sum, f32x4.add(v128.load(sum), f32x4.add(near, far)))
      }
    }
    const counts = load<f32>(share + i * FLOAT)
    for (let t = 0; t < c; t++) {
      store<f32>(force + (i * stride + t) * FLOAT, sumOfLanes(v128.load(sums + t * VECTOR)) * counts)
    }
  }
}

/**
 * The pull of every edge on both its ends, added to `force`, and its strength at each end, added to `stiffness`.
 * stride is a multiple of 4, and the numbers beyond c are 0.
 */
export function pull(
  positions: usize,
  stride: i32,
  from: usize,
  to: usize,
  strength: usize,
  edges: i32,
  table: usize,
  lowest: i32,
  last: i32,
  force: usize,
  stiffness: usize,
): void {
  for (let e = 0; e < edges; e++) {
    const i = load<i32>(from + e * FLOAT)
    const j = load<i32>(to + e * FLOAT)
    const a = positions + i * stride * FLOAT
    const b = positions + j * stride * FLOAT
    let sum = f32x4.splat(0)
    for (let t = 0; t < stride * FLOAT; t += VECTOR) {
      const z = f32x4.sub(v128.load(a + t), v128.load(b + t))
      sum = f32x4.add(sum, f32x4.mul(z, z))
    }
    let place = <i32>(reinterpret<u32>(sumOfLanes(sum)) >>> 14) - lowest
    place = place < 0 ? 0 : place > last ? last : place
    const pulled = load<f32>(table + place * FLOAT) * load<f32>(strength + e * FLOAT)
    const four = f32x4.splat(pulled)
    const forceA = force + i * stride * FLOAT
    const forceB = force + j * stride * FLOAT
    for (let t = 0; t < stride * FLOAT; t += VECTOR) {
      const z = f32x4.mul(four, f32x4.sub(v128.load(a + t), v128.load(b + t)))
      v128.store(forceA + t, f32x4.add(v128.load(forceA + t), z))
      v128.store(forceB + t, f32x4.sub(v128.load(forceB + t), z))
    }
    store<f32>(stiffness + i * FLOAT, load<f32>(stiffness + i * FLOAT) - pulled)
    store<f32>(stiffness + j * FLOAT, load<f32>(stiffness + j * FLOAT) - pulled)
  }
}

/**
 * Moves every point: its velocity keeps `momentum` of itself and gains `rate` times force over stiffness, and no
 * coordinate moves further than `longest`.
 */
export function move(
  positions: usize,
  velocity: usize,
  force: usize,
  stiffness: usize,
  n: i32,
  stride: i32,
  momentum: f32,
  rate: f32,
  longest: f32,
): void {
  const kept = f32x4.splat(momentum)
  const most = f32x4.splat(longest)
  const least = f32x4.splat(-longest)
  for (let i = 0; i < n; i++) {
    // A point without an edge has nothing to hold it: 1e-9 keeps its step a number, `longest` keeps it short.
    const step = f32x4.splat(rate / (load<f32>(stiffness + i * FLOAT) + 1e-9))
    const own = i * stride * FLOAT
    for (let t = own; t < own + stride * FLOAT; t += VECTOR) {
      const speed = f32x4.add(f32x4.mul(kept, v128.load(velocity + t)), f32x4.mul(step, v128.load(force + t)))
      const limited = f32x4.min(most, f32x4.max(least, speed))
      v128.store(velocity + t, limited)
      v128.store(positions + t, f32x4.add(v128.load(positions + t), limited))
    }
  }
}

/**
 * Adds to each row of `next` the rows of `values` that its edges lead to, times their strength: the product with a
 * symmetric matrix of which `from`, `to` and `strength` hold one half. stride is a multiple of 4.
 */
export function spread(
  values: usize,
  next: usize,
  stride: i32,
  from: usize,
  to: usize,
  strength: usize,
  edges: i32,
): void {
  for (let e = 0; e < edges; e++) {
    const a = load<i32>(from + e * FLOAT) * stride * FLOAT
    const b = load<i32>(to + e * FLOAT) * stride * FLOAT
    const four = v128.load32_splat(strength + e * FLOAT)
    for (let t = 0; t < stride * FLOAT; t += VECTOR) {
      const nextA = next + a + t
      const nextB = next + b + t
      v128.store(nextA, f32x4.add(v128.load(nextA), f32x4.mul(four, v128.load(values + b + t))))
      v128.store(nextB, f32x4.add(v128.load(nextB), f32x4.mul(four, v128.load(values + a + t))))
    }
  }
}

/**
 * Dot products of four rows with row j, and of the next rows after it up to `end`: four doubles each into `out`. rows
 * holds groups of four rows, their numbers in turn, so that two rows fill a vector and each sum still runs in the order
 * of the columns. plain holds the same rows one after another.
 */
export function dotsOfFour(four: usize, plain: usize, j: i32, end: i32, d: i32, out: usize): void {
  for (; j + 1 < end; j += 2) {
    const p = plain + j * d * DOUBLE
    const q = p + d * DOUBLE
    let a = f64x2.splat(0)
    let b = a
    let e = a
    let f = a
    for (let t = 0; t < d; t++) {
      const low = v128.load(four + t * 2 * VECTOR)
      const high = v128.load(four + t * 2 * VECTOR, VECTOR)
      const x = v128.load64_splat(p + t * DOUBLE)
      const y = v128.load64_splat(q + t * DOUBLE)
      a = f64x2.add(a, f64x2.mul(low, x))
      b = f64x2.add(b, f64x2.mul(high, x))
      e = f64x2.add(e, f64x2.mul(low, y))
      f = f64x2.add(f, f64x2.mul(high, y))
    }
    v128.store(out, a)
    v128.store(out, b, VECTOR)
    v128.store(out, e, 2 * VECTOR)
    v128.store(out, f, 3 * VECTOR)
    out += 4 * VECTOR
  }
  if (j >= end) return
  const p = plain + j * d * DOUBLE
  let a = f64x2.splat(0)
  let b = a
  for (let t = 0; t < d; t++) {
    const x = v128.load64_splat(p + t * DOUBLE)
    a = f64x2.add(a, f64x2.mul(v128.load(four + t * 2 * VECTOR), x))
    b = f64x2.add(b, f64x2.mul(v128.load(four + t * 2 * VECTOR, VECTOR), x))
  }
  v128.store(out, a)
  v128.store(out, b, VECTOR)
}

// The only chance in the product: a small seeded generator, so that the same seed gives the same answer everywhere.
// Only 32-bit integer arithmetic, which every engine computes alike. Left to others: what the numbers are used for.

/** Draws from one seeded stream; two with the same seed draw the same. */
export type Random = {
  /** A number in [0, 1) with 32 random bits. */
  next: () => number
  /** A whole number in [0, n). */
  int: (n: number) => number
  /** Fills a list with whole numbers in [0, n), as many calls of int would, but faster: for hot loops. */
  fill: (list: Int32Array, n: number) => void
}

/**
 * sfc32, "small fast counter", by Chris Doty-Humphrey (PractRand): 128 bits of state, period at least 2^32, passes
 * PractRand and BigCrush.
 */
export function createRandom(seed: number): Random {
  let a = 0
  let b = seed | 0
  let c = Math.floor(seed / 2 ** 32) | 0
  let counter = 1
  const one = new Float64Array(1)
  function fillFractions(list: Float64Array | Int32Array, scale: number): void {
    // State in local variables while the loop runs: that is where the speed comes from.
    let [x, y, z, count] = [a, b, c, counter]
    for (let p = 0; p < list.length; p++) {
      const sum = (((x + y) | 0) + count) | 0
      count = (count + 1) | 0
      x = y ^ (y >>> 9)
      y = (z + (z << 3)) | 0
      z = (((z << 21) | (z >>> 11)) + sum) | 0
      // Exact in a double, and cut to a whole number where the list holds whole numbers.
      list[p] = ((sum >>> 0) / 2 ** 32) * scale
    }
    a = x
    b = y
    c = z
    counter = count
  }
  // The author's own seeding: twelve rounds spread a small seed over the whole state.
  fillFractions(new Float64Array(12), 1)
  function next(): number {
    fillFractions(one, 1)
    return one[0]
  }
  return { next, int: n => Math.floor(next() * n), fill: fillFractions }
}

/**
 * One seed from several words and numbers, such as (seed, firm, quarter): order and borders count, so ('ab', 'c') is
 * not ('a', 'bc'). FNV-1a over UTF-16 code units (Fowler, Noll, Vo), then the finish of MurmurHash3 (Appleby), which
 * makes neighbours such as 2024Q3 and 2024Q4 unrelated.
 */
export function seedFrom(...parts: (string | number)[]): number {
  let hash = 0x811c9dc5
  for (const part of parts) {
    const text = String(part)
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    // 0x1f is ASCII's unit separator, which no name contains.
    hash = Math.imul(hash ^ 0x1f, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

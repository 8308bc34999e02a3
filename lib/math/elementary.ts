// exp and log made of + - * / alone, which the standard rounds alike everywhere; Math.exp, log and pow it leaves to the
// engine. This is why a UMAP run is equal bit for bit on any machine and any version of Node. Right to 1e-15.

const LN2 = Math.LN2
// ln 2 in two pieces: the first has 32 bits, so that a whole number below 2^20 times it is exact.
const LN2_HIGH = 0.6931471803691238
const LN2_LOW = 1.9082149292705877e-10
// 1 / i!, for i from 13 down to 0: |r| ≤ ln 2 / 2, so that the first term left out is below 5e-18.
const TAYLOR = inverseFactorials(13)
const TWO_TO = powersOfTwo()

function inverseFactorials(last: number): Float64Array {
  const terms = new Float64Array(last + 1)
  let factorial = 1
  for (let i = 0; i <= last; i++) {
    if (i > 0) factorial *= i
    terms[last - i] = 1 / factorial
  }
  return terms
}

/** 2^q at index q + 1074, for every power of two a double holds: doubling and halving are exact. */
function powersOfTwo(): Float64Array {
  const powers = new Float64Array(1074 + 1024)
  powers[1074] = 1
  for (let q = 1075; q < powers.length; q++) powers[q] = powers[q - 1] * 2
  for (let q = 1073; q >= 0; q--) powers[q] = powers[q + 1] / 2
  return powers
}

/** e to the power x. */
export function exponential(x: number): number {
  if (x < -708) return 0
  if (x > 709) return Infinity
  const q = Math.round(x / LN2)
  const r = x - q * LN2_HIGH - q * LN2_LOW
  let sum = 0
  for (let i = 0; i < TAYLOR.length; i++) sum = sum * r + TAYLOR[i]
  return sum * TWO_TO[q + 1074]
}

/** Natural logarithm of a positive number of ordinary size (1e-30 to 1e30, what the kernels need). */
export function logarithm(x: number): number {
  let y = 0
  for (let scaled = x; scaled > 1.5; scaled /= 2) y += LN2
  for (let scaled = x; scaled < 0.75; scaled *= 2) y -= LN2
  // Newton on e^y = x from within 0.41 of the root: the error squares and halves each time, 0.41 → 8e-2 → 3e-3 → 6e-6
  // → 2e-11 → 0.
  for (let round = 0; round < 6; round++) y += x * exponential(-y) - 1
  return y
}

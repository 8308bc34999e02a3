// The compiled inner loops (kernels.as.ts), loaded once a thread, and the memory they work in.
// Left to others: what is computed (layout.ts, neighbors.ts, spectral-start.ts), and how it is compiled (bin/make-kernels.ts).

import { COMPILED } from './kernels-compiled.ts'

/** Arrays are addresses in the memory of the kernels, in bytes; the rest are plain numbers. */
type Address = number

export type Kernels = {
  memory: { buffer: ArrayBuffer; grow(pages: number): void }
  push(
    positions: Address,
    n: number,
    c: number,
    stride: number,
    order: Address,
    start: number,
    count: number,
    share: Address,
    table: Address,
    lowest: number,
    last: number,
    column: Address,
    sums: Address,
    force: Address,
  ): void
  pull(
    positions: Address,
    stride: number,
    from: Address,
    to: Address,
    strength: Address,
    edges: number,
    table: Address,
    lowest: number,
    last: number,
    force: Address,
    stiffness: Address,
  ): void
  move(
    positions: Address,
    velocity: Address,
    force: Address,
    stiffness: Address,
    n: number,
    stride: number,
    momentum: number,
    rate: number,
    longest: number,
  ): void
  spread(
    values: Address,
    next: Address,
    stride: number,
    from: Address,
    to: Address,
    strength: Address,
    edges: number,
  ): void
  dotsOfFour(four: Address, plain: Address, j: number, end: number, d: number, out: Address): void
}

// Node has it; TypeScript knows it only together with all of the browser.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}

let loaded: Kernels | undefined

export function kernels(): Kernels {
  loaded ??= new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(COMPILED, 'base64'))).exports as Kernels
  return loaded
}

const PAGE = 65_536
const VECTOR = 16
// Addresses have 32 bits.
const MOST = 2 ** 32

/**
 * Room for arrays in the memory of the kernels: `sizes` are their lengths in bytes, the answer their addresses, each
 * at the start of a vector. All is zero. It is one room: the next call hands out the same bytes again. So a kernel's
 * caller takes all it needs at once, and copies out what it wants to keep. The room never shrinks, as such memory cannot:
 * a thread keeps what its largest table took, until it ends.
 */
export function takeRoom<Name extends string>(sizes: Record<Name, number>): Record<Name, Address> {
  const { memory } = kernels()
  const addresses = {} as Record<Name, Address>
  let end = VECTOR
  for (const name in sizes) {
    addresses[name] = end
    end += Math.ceil(sizes[name] / VECTOR) * VECTOR
  }
  const missing = end - memory.buffer.byteLength
  if (missing > 0) grow(memory, missing, end)
  new Uint8Array(memory.buffer, 0, end).fill(0)
  return addresses
}

function grow(memory: Kernels['memory'], missing: number, wanted: number): void {
  try {
    memory.grow(Math.ceil(missing / PAGE))
  } catch (cause) {
    const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`
    const limit = wanted > MOST ? 'at most' : 'at most, and this machine does not give as much'
    throw new RangeError(
      `a table needs ${megabytes(wanted)} in the memory of the kernels, which has ${megabytes(MOST)} ${limit}: take fewer rows`,
      { cause },
    )
  }
}

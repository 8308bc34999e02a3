// The machine's limit: matrix products by onnxruntime and nothing between them, in operations a second.
// Two graphs: the products of the model with weights, one after the other, as its layers have them, and one large square
// product. In a process of its own; settings come as JSON, and every request is one measurement. Started by peers.ts.

import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createRandom } from '../../lib/math/random.ts'
import { type GraphConstant, type GraphNode, graphBytes } from '../../lib/model/onnx-graph.ts'
import type { Shape } from './embed-lengths.ts'
import { serve } from './embed-serve.ts'

const { shape, threads }: { shape: Shape; threads: number } = JSON.parse(process.argv[2])
// As many tokens as the batches have that are fastest, and as many rows as the square has columns.
const ROWS = 1024 * threads
const SQUARE = 2048
// The best of so many counts: this is a limit, and whatever disturbs it makes it lower.
const RUNS = 10

const random = createRandom(1)
const { hidden, intermediate } = shape
const layer = [hidden, hidden, hidden, hidden, intermediate, hidden]
const chain = await open(hidden, Array.from({ length: shape.layers }, () => layer).flat())
const square = await open(SQUARE, [SQUARE])

await serve('', async () => async () => ({
  more: {
    model: await best(chain, ROWS, hidden, 2 * ROWS * shape.layers * (4 * hidden ** 2 + 2 * hidden * intermediate)),
    square: await best(square, SQUARE, SQUARE, 2 * SQUARE ** 3),
  },
}))

/** A graph of one product after the other, from so many columns to each of the given numbers of columns. */
async function open(columns: number, widths: readonly number[]): Promise<InferenceSession> {
  const nodes: GraphNode[] = []
  const constants: GraphConstant[] = []
  let last = { name: 'x', columns }
  for (const [i, width] of widths.entries()) {
    const [weights, output] = [`w${i}`, i === widths.length - 1 ? 'y' : `x${i}`]
    // Of such a size that the numbers neither grow nor shrink on their way: very small ones are slow on some processors.
    const scale = Math.sqrt(12 / last.columns)
    const data = Float32Array.from({ length: last.columns * width }, () => (random.next() - 0.5) * scale)
    constants.push({ name: weights, data, shape: [last.columns, width] })
    nodes.push({ operator: 'MatMul', inputs: [last.name, weights], outputs: [output] })
    last = { name: output, columns: width }
  }
  const value = (name: string, width: number) => ({ name, type: 'float32' as const, shape: ['rows', width] })
  const plan = { nodes, constants, inputs: [value('x', columns)], outputs: [value('y', last.columns)] }
  return InferenceSession.create(graphBytes(plan), { intraOpNumThreads: threads })
}

async function best(session: InferenceSession, rows: number, columns: number, operations: number): Promise<number> {
  const data = Float32Array.from({ length: rows * columns }, () => random.next() - 0.5)
  const x = new Tensor('float32', data, [rows, columns])
  await session.run({ x }) // the first run packs and allocates
  let fastest = 0
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now()
    await session.run({ x })
    fastest = Math.max(fastest, operations / ((performance.now() - start) / 1000))
  }
  return fastest
}

// The thread in which the device finds nearest neighbours: a graph that multiplies and keeps the best, block by block.
// Exists because onnxruntime-node blocks its thread. Its other half is nearest.ts; what is exact about it is
// nearest-exactly.ts.

import { parentPort, workerData } from 'node:worker_threads'
import type { Neighbors } from '../math/neighbors.ts'
import { nearestByDevice, type Question } from './nearest-exactly.ts'
import { openGraph, type Values } from './onnx.ts'
import { graphBytes } from './onnx-graph.ts'

export type Task = Question & { threads: number }
export type Told = { rows: number } | { neighbors: Neighbors; again: number }

// Gemm: the products of each row of the block with each row of all, and the bias. TopK: the best of each row of the block.
// Cast: indices come as int64, which JavaScript has only as BigInt.
const GRAPH = graphBytes({
  nodes: [
    { operator: 'Gemm', inputs: ['block', 'all', 'bias'], outputs: ['products'], attributes: { transB: 1 } },
    { operator: 'TopK', inputs: ['products', 'kept'], outputs: ['scores', 'places'] },
    { operator: 'Cast', inputs: ['places'], outputs: ['indices'], attributes: { to: 6 } },
  ],
  inputs: [
    { name: 'block', type: 'float32', shape: ['block rows', 'd'] },
    { name: 'all', type: 'float32', shape: ['n', 'd'] },
    { name: 'bias', type: 'float32', shape: ['n'] },
    { name: 'kept', type: 'int64', shape: [1] },
  ],
  outputs: [
    { name: 'scores', type: 'float32', shape: ['block rows', 'kept'] },
    { name: 'indices', type: 'int32', shape: ['block rows', 'kept'] },
  ],
})

async function serve({ threads, ...question }: Task): Promise<void> {
  if (parentPort === null) throw new Error('nearest-worker.ts runs as a worker thread only')
  const port = parentPort
  const { n, d } = question
  const graph = await openGraph(GRAPH, threads)
  const found = await nearestByDevice(
    question,
    async ({ rows, bias }) => {
      const all: Values = { data: rows, shape: [n, d] }
      return async (first, count, kept) => {
        const { scores, indices } = await graph.run({
          block: { data: rows.subarray(first * d, (first + count) * d), shape: [count, d] },
          all,
          bias: { data: bias, shape: [n] },
          kept: { data: BigInt64Array.of(BigInt(kept)), shape: [1] },
        })
        return { scores: scores.data as Float32Array, indices: indices.data as Int32Array }
      }
    },
    rows => port.postMessage({ rows } satisfies Told),
  )
  const { indices, distances } = found.neighbors
  port.postMessage(found satisfies Told, [indices.buffer, distances.buffer] as ArrayBuffer[])
}

await serve(workerData as Task)

// Graphs written by hand: onnxruntime runs them as they were meant, and the bytes are protobuf's.

import { describe, expect, it } from 'vitest'
import { openGraph } from '../../lib/model/onnx.ts'
import { type GraphPlan, graphBytes, graphPart } from '../../lib/model/onnx-graph.ts'

/** a bᵀ + c, of any number of rows. */
const products: GraphPlan = {
  nodes: [{ operator: 'Gemm', inputs: ['a', 'b', 'c'], outputs: ['y'], attributes: { transB: 1 } }],
  inputs: [
    { name: 'a', type: 'float32', shape: ['m', 2] },
    { name: 'b', type: 'float32', shape: ['n', 2] },
    { name: 'c', type: 'float32', shape: ['n'] },
  ],
  outputs: [{ name: 'y', type: 'float32', shape: ['m', 'n'] }],
}

describe('graphBytes', () => {
  it('writes a graph that onnxruntime runs, with its attributes, for any length of the named sides', async () => {
    const graph = await openGraph(graphBytes(products), 1)
    const b = { data: Float32Array.of(1, 0, 0, 1, 1, 1), shape: [3, 2] }
    const c = { data: Float32Array.of(100, 200, 300), shape: [3] }
    const one = await graph.run({ a: { data: Float32Array.of(5, 7), shape: [1, 2] }, b, c })
    expect(one.y.shape).toEqual([1, 3])
    expect([...one.y.data]).toEqual([105, 207, 312])
    const two = await graph.run({ a: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] }, b, c })
    expect(two.y.shape).toEqual([2, 3])
    expect([...two.y.data]).toEqual([101, 202, 303, 103, 204, 307])
    await graph.close()
  })

  it('hands on from node to node, with whole numbers in and out', async () => {
    const graph = await openGraph(
      graphBytes({
        nodes: [
          { operator: 'TopK', inputs: ['x', 'k'], outputs: ['best', 'places'], attributes: { largest: 0 } },
          { operator: 'Cast', inputs: ['places'], outputs: ['indices'], attributes: { to: 6 } },
        ],
        inputs: [
          { name: 'x', type: 'float32', shape: ['m', 'n'] },
          { name: 'k', type: 'int64', shape: [1] },
        ],
        outputs: [
          { name: 'best', type: 'float32', shape: ['m', 'k'] },
          { name: 'indices', type: 'int32', shape: ['m', 'k'] },
        ],
      }),
      1,
    )
    const x = { data: Float32Array.of(5, 3, 4, 1), shape: [1, 4] }
    const found = await graph.run({ x, k: { data: BigInt64Array.of(2n), shape: [1] } })
    expect([...found.best.data]).toEqual([1, 3])
    expect(found.indices.data).toEqual(Int32Array.of(3, 1))
    await graph.close()
  })

  it('writes fractions, lists, and numbers that the graph holds itself', async () => {
    const bytes = graphBytes({
      nodes: [
        { operator: 'LeakyRelu', inputs: ['x'], outputs: ['bent'], attributes: { alpha: { fraction: 0.25 } } },
        { operator: 'Transpose', inputs: ['bent'], outputs: ['turned'], attributes: { perm: [1, 0] } },
        { operator: 'Add', inputs: ['turned', 'tens'], outputs: ['sum'] },
        { operator: 'Reshape', inputs: ['sum', 'flat'], outputs: ['y'] },
      ],
      constants: [
        { name: 'tens', data: Float32Array.of(10, 20), shape: [1, 2] },
        { name: 'flat', data: BigInt64Array.of(-1n), shape: [1] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [2, 'n'] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['2 n'] }],
    })
    const graph = await openGraph(bytes, 1)
    const { y } = await graph.run({ x: { data: Float32Array.of(1, -2, 3, 4, 5, -6), shape: [2, 3] } })
    expect([...y.data]).toEqual([11, 24, 9.5, 25, 13, 18.5])
    await graph.close()
  })

  it('writes a part that makes another graph go on', async () => {
    const more = graphPart({
      nodes: [{ operator: 'Mul', inputs: ['y', 'two'], outputs: ['twice'] }],
      constants: [{ name: 'two', data: Float32Array.of(2), shape: [] }],
      outputs: [{ name: 'twice', type: 'float32', shape: ['m', 'n'] }],
    })
    const graph = await openGraph(Buffer.concat([graphBytes(products), more]), 1)
    const found = await graph.run({
      a: { data: Float32Array.of(5, 7), shape: [1, 2] },
      b: { data: Float32Array.of(1, 0, 1, 1), shape: [2, 2] },
      c: { data: Float32Array.of(0, 100), shape: [2] },
    })
    expect([...found.y.data]).toEqual([5, 112])
    expect([...found.twice.data]).toEqual([10, 224])
    await graph.close()
  })

  it('holds a table of millions', async () => {
    const data = Float32Array.from({ length: 2_000_000 }, (_, i) => i)
    const bytes = graphBytes({
      nodes: [{ operator: 'Gather', inputs: ['table', 'rows'], outputs: ['y'] }],
      constants: [{ name: 'table', data, shape: [1_000_000, 2] }],
      inputs: [{ name: 'rows', type: 'int64', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', 2] }],
    })
    const graph = await openGraph(bytes, 1)
    const { y } = await graph.run({ rows: { data: BigInt64Array.of(999_999n, 0n), shape: [2] } })
    expect([...y.data]).toEqual([1_999_998, 1_999_999, 0, 1])
    await graph.close()
  })

  it('is refused by onnxruntime, with its reason, where it makes no sense', async () => {
    const nonsense = { ...products, nodes: [{ ...products.nodes[0], operator: 'Frobnicate' }] }
    await expect(openGraph(graphBytes(nonsense), 1)).rejects.toThrow(/Frobnicate/)
  })

  it('writes lengths over 127 in as many bytes as they need', async () => {
    // A name of 300 letters: its length, and those of all that hold it, take two bytes.
    const name = 'x'.repeat(300)
    const bytes = graphBytes({
      nodes: [{ operator: 'Identity', inputs: [name], outputs: ['y'] }],
      inputs: [{ name, type: 'float32', shape: [70_000] }],
      outputs: [{ name: 'y', type: 'float32', shape: [70_000] }],
    })
    const graph = await openGraph(bytes, 1)
    const data = Float32Array.from({ length: 70_000 }, (_, i) => i)
    expect((await graph.run({ [name]: { data, shape: [70_000] } })).y.data).toEqual(data)
    await expect(graph.run({ [name]: { data: data.slice(1), shape: [69_999] } })).rejects.toThrow(/70000/)
    await graph.close()
  })

  it('refuses numbers that protobuf would write otherwise', () => {
    for (const to of [-1, 1.5]) {
      const plan = { ...products, nodes: [{ ...products.nodes[0], attributes: { to } }] }
      expect(() => graphBytes(plan)).toThrow(/whole number/)
    }
  })
})

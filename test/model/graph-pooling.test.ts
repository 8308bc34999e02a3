// Pooling in the graph: the same vectors as pooling.ts gives, for graphs of any age and kind, and never a wrong one.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../lib/math/random.ts'
import { appendPooling, POOLED_OUTPUT } from '../../lib/model/graph-pooling.ts'
import { openGraph, type Values } from '../../lib/model/onnx.ts'
import { type GraphPlan, type GraphValue, graphBytes } from '../../lib/model/onnx-graph.ts'
import { type Pooling, pool } from '../../lib/model/pooling.ts'
import { sharedFolder } from '../shared.ts'
import { PLAIN, smallGraph, VOCABULARY } from './small-transformer.ts'

const MINILM = sharedFolder('model', 'all-MiniLM-L6-v2', 'onnx', 'model.onnx')
const POOLINGS: Pooling[] = ['mean', 'cls']

const TABLE = { name: 'table', data: Float32Array.of(0, 0, 3, 4, -1, 2, 1e-15, 0, 3e4, -3e4), shape: [5, 2] }
const [IDS, MASK]: GraphValue[] = ['input_ids', 'attention_mask'].map(name => ({
  name,
  type: 'int64',
  shape: ['batch', 'columns'],
}))
const TOKENS: GraphValue = { name: 'last_hidden_state', type: 'float32', shape: ['batch', 'columns', 2] }

/** Row i of a table for token i: the least that gives one vector a token. */
const LOOKUP: GraphPlan = {
  nodes: [{ operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['last_hidden_state'] }],
  constants: [TABLE],
  inputs: [IDS, MASK],
  outputs: [TOKENS],
}

// Padding is token 4, the largest, so that it would show. The second text is zero; the third is short, 1e-15, and has a
// direction all the same, which the usual "divide by 1e-12 at least" would lose.
const LENGTHS = Int32Array.of(3, 2, 1, 4)
const TEXTS = feedsOf([1, 2, 0, 4, 0, 0, 4, 4, 3, 4, 4, 4, 4, 1, 2, 1], LENGTHS, 4)

function feedsOf(ids: readonly number[], lengths: Int32Array, columns: number): Record<string, Values> {
  const shape = [lengths.length, columns]
  const mask = ids.map((_, i) => (i % columns < lengths[Math.floor(i / columns)] ? 1 : 0))
  const words = (values: readonly number[]): Values => ({ data: BigInt64Array.from(values, BigInt), shape })
  return { input_ids: words(ids), attention_mask: words(mask) }
}

async function runOnce(model: Uint8Array | undefined, feeds: Record<string, Values>, threads = 1) {
  if (model === undefined) throw new Error('no pooling was added')
  const graph = await openGraph(model, threads)
  try {
    return await graph.run(feeds)
  } finally {
    await graph.close()
  }
}

function largestError(vectors: ArrayLike<number | bigint>, expected: Float32Array): number {
  expect(vectors).toHaveLength(expected.length)
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - Number(vectors[i]))), 0)
}

describe('pooling in the graph', () => {
  for (const version of [9, 11, 12, 13, 15, 17, 18, 20, 21, 23]) {
    it(`gives what pooling.ts gives, in a graph of operators ${version}`, async () => {
      const model = graphBytes(LOOKUP, version)
      for (const pooling of POOLINGS) {
        const found = await runOnce(appendPooling(model, pooling), TEXTS)
        const hidden = found.last_hidden_state.data as Float32Array
        expect(found[POOLED_OUTPUT].shape).toEqual([4, 2])
        expect(largestError(found[POOLED_OUTPUT].data, pool(hidden, LENGTHS, 4, pooling))).toBeLessThan(1e-6)
      }
    })
  }

  it('leaves a zero vector zero', async () => {
    for (const pooling of POOLINGS) {
      const found = await runOnce(appendPooling(graphBytes(LOOKUP), pooling), TEXTS)
      expect([...found[POOLED_OUTPUT].data.slice(2, 4)]).toEqual([0, 0])
    }
  })

  it('leaves the outputs that were there as they were', async () => {
    const before = await runOnce(graphBytes(LOOKUP), TEXTS)
    const after = await runOnce(appendPooling(graphBytes(LOOKUP), 'mean'), TEXTS)
    expect(Object.keys(after)).toEqual(['last_hidden_state', POOLED_OUTPUT])
    expect(after.last_hidden_state).toEqual(before.last_hidden_state)
  })

  it('takes half precision and answers in float32', async () => {
    const model = graphBytes({
      ...LOOKUP,
      nodes: [
        { operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['looked up'] },
        { operator: 'Cast', inputs: ['looked up'], outputs: ['last_hidden_state'], attributes: { to: 10 } },
      ],
      outputs: [{ ...TOKENS, type: 'float16' }],
    })
    const exact = await runOnce(graphBytes(LOOKUP), TEXTS)
    for (const pooling of POOLINGS) {
      const { data } = (await runOnce(appendPooling(model, pooling), TEXTS))[POOLED_OUTPUT]
      expect(data).toBeInstanceOf(Float32Array)
      const expected = pool(exact.last_hidden_state.data as Float32Array, LENGTHS, 4, pooling)
      // 1e-15 is nothing in half precision; the other numbers of the table are the same in it.
      expected.fill(0, 4, 6)
      expect(largestError(data, expected)).toBeLessThan(1e-6)
    }
  })

  it('takes the only output of three sides whatever its name, and of several the known one', async () => {
    const negate = { operator: 'Neg', inputs: ['last_hidden_state'], outputs: ['negative'] }
    const largest = {
      operator: 'ReduceMax',
      inputs: ['last_hidden_state'],
      outputs: ['largest'],
      attributes: { axes: [2], keepdims: 0 },
    }
    const nodes = [...LOOKUP.nodes, negate, largest]
    const negative: GraphValue = { ...TOKENS, name: 'negative' }
    const flat: GraphValue = { ...TOKENS, name: 'largest', shape: ['batch', 'columns'] }
    const only = await runOnce(appendPooling(graphBytes({ ...LOOKUP, nodes, outputs: [flat, negative] }), 'cls'), TEXTS)
    expect(only[POOLED_OUTPUT].data.slice(0, 2)).toEqual(Float32Array.of(-0.6, -0.8))
    const several = graphBytes({ ...LOOKUP, nodes, outputs: [flat, negative, TOKENS] })
    const known = await runOnce(appendPooling(several, 'cls'), TEXTS)
    expect(known[POOLED_OUTPUT].data.slice(0, 2)).toEqual(Float32Array.of(0.6, 0.8))
  })

  it('gives the vectors of pooling.ts for a transformer', async () => {
    const random = createRandom(3)
    const lengths = Int32Array.of(12, 9, 11, 10, 12)
    const ids = Array.from({ length: 5 * 12 }, () => random.int(VOCABULARY.length))
    const types: Values = { data: new BigInt64Array(60), shape: [5, 12] }
    for (const pooling of POOLINGS) {
      const model = appendPooling(smallGraph(PLAIN), pooling)
      const found = await runOnce(model, { ...feedsOf(ids, lengths, 12), token_type_ids: types })
      const expected = pool(found.last_hidden_state.data as Float32Array, lengths, 12, pooling)
      expect(largestError(found[POOLED_OUTPUT].data, expected)).toBeLessThan(1e-6)
    }
  })
})

describe('a graph is left alone', () => {
  const lengthened = (bytes: number[]) => Buffer.concat([graphBytes(LOOKUP), Uint8Array.from(bytes)])
  const named = (...outputs: GraphValue[]) => graphBytes({ ...LOOKUP, outputs })

  it('when it gives one vector a text itself, or none a token', () => {
    const sentence: GraphValue = { name: 'sentence_embedding', type: 'float32', shape: ['batch', 2] }
    const [a, b] = ['a', 'b'].map(name => ({ ...TOKENS, name }))
    for (const model of [
      named(TOKENS, sentence),
      named({ ...TOKENS, shape: ['batch', 2] }),
      named({ ...TOKENS, type: 'int64' }),
      named(a, b),
      named(),
    ]) {
      for (const pooling of POOLINGS) expect(appendPooling(model, pooling)).toBeUndefined()
    }
  })

  it('without attention_mask, but for the first token, which needs none', async () => {
    const model = graphBytes({ ...LOOKUP, inputs: [IDS] })
    expect(appendPooling(model, 'mean')).toBeUndefined()
    const found = await runOnce(appendPooling(model, 'cls'), { input_ids: TEXTS.input_ids })
    expect(found[POOLED_OUTPUT].data[0]).toBeCloseTo(0.6, 6)
  })

  it('when its operators or its format are too old', () => {
    expect(appendPooling(graphBytes(LOOKUP, 8), 'mean')).toBeUndefined()
    expect(appendPooling(lengthened([8, 3]), 'mean')).toBeUndefined() // ir_version 3
    expect(appendPooling(lengthened([8, 4]), 'mean')).toBeDefined()
    // Operators 1 of another domain say nothing about these: opset_import { domain: "x", version: 1 }.
    expect(appendPooling(lengthened([0x42, 5, 0x0a, 1, 0x78, 0x10, 1]), 'mean')).toBeDefined()
  })

  it('when its weights lie in a second file', () => {
    // graph { initializer { data_location: EXTERNAL } }
    expect(appendPooling(lengthened([0x3a, 4, 0x2a, 2, 0x70, 1]), 'mean')).toBeUndefined()
    expect(appendPooling(lengthened([0x3a, 4, 0x2a, 2, 0x70, 0]), 'mean')).toBeDefined()
  })

  it('when it is no graph', () => {
    for (const text of ['', 'this is no graph', '\xff\xff\xff\xff', 'version https://git-lfs.github.com/spec/v1']) {
      expect(appendPooling(Buffer.from(text, 'latin1'), 'mean')).toBeUndefined()
    }
    const whole = graphBytes(LOOKUP)
    for (let length = 0; length < whole.length; length++) {
      expect(appendPooling(whole.subarray(0, length), 'cls')).toBeUndefined()
    }
  })
})

describe.skipIf(MINILM === undefined)('all-MiniLM-L6-v2 with pooling in its graph', () => {
  const [columns, count] = [24, 16]
  const random = createRandom(11)
  const lengths = Int32Array.from({ length: count }, () => columns - random.int(4))
  const ids = Array.from({ length: count * columns }, () => 1000 + random.int(20_000))

  function rows(first: number, end: number): Record<string, Values> {
    const part = feedsOf(ids.slice(first * columns, end * columns), lengths.slice(first, end), columns)
    return {
      ...part,
      token_type_ids: { data: new BigInt64Array((end - first) * columns), shape: [end - first, columns] },
    }
  }

  it('gives what pooling.ts gives, and each text the same bits in any company, with one thread and with two', async () => {
    for (const pooling of POOLINGS) {
      const model = appendPooling(readFileSync(MINILM ?? ''), pooling) ?? new Uint8Array()
      let reference: Float32Array | undefined
      for (const threads of [1, 2]) {
        const graph = await openGraph(model, threads)
        for (const size of [16, 1, 2, 5]) {
          const parts: number[] = []
          for (let first = 0; first < count; first += size) {
            const end = Math.min(first + size, count)
            const found = await graph.run(rows(first, end))
            const vectors = found[POOLED_OUTPUT].data as Float32Array
            const hidden = found.last_hidden_state.data as Float32Array
            const expected = pool(hidden, lengths.slice(first, end), columns, pooling)
            expect(largestError(vectors, expected)).toBeLessThan(1e-6)
            parts.push(...vectors)
          }
          reference ??= Float32Array.from(parts)
          expect(Float32Array.from(parts)).toEqual(reference)
        }
        await graph.close()
      }
    }
  })
})

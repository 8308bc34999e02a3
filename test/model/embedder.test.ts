// Embedding: a vector depends on its text alone, has length 1, and means something; MiniLM's are those of Python.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Embedder, openEmbedder } from '../../lib/model/embedder.ts'
import { openThread } from '../../lib/model/onnx-thread.ts'
import { sharedFolder } from '../shared.ts'

const minilm = sharedFolder('model', 'all-MiniLM-L6-v2')
const minilmVectors = sharedFolder('reference', 'minilm', 'vectors.json')

const WORDS =
  `revenue grew in the quarter because of pricing and mix while foreign exchange took 150 basis points from margin we bought
  back shares for $84 million and paid a dividend hiring of engineers continues as planned guidance for 2016 is unchanged
  freight steel labor and energy cost us more than last year the backlog is strong customers delay orders capital spending
  will fall debt was refinanced at 3.5% tax rate inventory stores traffic clinical trial drilling rigs loans deposits`.split(
    /\s+/,
  )

/** `count` different texts of 1 to 80 words, the same in every run: word i of text t by a linear congruence. */
function manyTexts(count: number): string[] {
  let state = 1
  function next(below: number): number {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + next(80) }, () => WORDS[next(WORDS.length)]).join(' '),
  )
}

function row(vectors: Float32Array, d: number, i: number): Float32Array {
  return vectors.subarray(i * d, (i + 1) * d)
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, j) => sum + value * b[j], 0)
}

describe('the shipped model', () => {
  let embedder: Embedder
  beforeAll(async () => {
    embedder = await openEmbedder({ model: 'earnings-static-256', threads: 2 })
  })
  afterAll(() => embedder.close())

  it('says what it is', () => {
    expect(embedder).toMatchObject({ name: 'earnings-static-256', dimension: 256, maxTokens: 1024 })
  })

  it('gives every sentence a vector of length 1', async () => {
    const { vectors, empty } = await embedder.embed(manyTexts(500))
    expect(vectors).toHaveLength(500 * 256)
    expect(empty).toEqual([])
    for (let i = 0; i < 500; i++) expect(dot(row(vectors, 256, i), row(vectors, 256, i))).toBeCloseTo(1, 5)
  })

  it('gives a sentence the same vector to the last bit, in any order and company', async () => {
    const texts = manyTexts(6000)
    const together = (await embedder.embed(texts)).vectors
    // Every third text, from the end, in calls of 1, 2, 3 … texts: other windows, other batches, other neighbours.
    const order = [...texts.keys()].filter(i => i % 3 === 0).reverse()
    let different = 0
    for (let first = 0, size = 1; first < order.length; first += size++) {
      const places = order.slice(first, first + size)
      const { vectors } = await embedder.embed(places.map(i => texts[i]))
      for (const [k, i] of places.entries()) {
        if (Buffer.compare(bytes(row(vectors, 256, k)), bytes(row(together, 256, i))) !== 0) different++
      }
    }
    expect(different).toBe(0)
  })

  it('gives the same bits with one thread as with two', async () => {
    const texts = manyTexts(1000)
    const alone = await openEmbedder({ model: 'earnings-static-256', threads: 1 })
    const [one, two] = [await alone.embed(texts), await embedder.embed(texts)]
    await alone.close()
    expect(Buffer.compare(bytes(one.vectors), bytes(two.vectors))).toBe(0)
  })

  it('answers calls that overlap, each with its own vectors', async () => {
    const texts = manyTexts(40)
    const alone = await Promise.all(texts.map(text => embedder.embed([text])))
    const { vectors } = await embedder.embed(texts)
    for (const [i, { vectors: vector }] of alone.entries()) expect(vector).toEqual(row(vectors, 256, i))
  })

  it('puts sentences about the same thing nearer than others', async () => {
    const pairs = [
      [
        'Foreign exchange was a headwind of 150 basis points.',
        'Foreign currency translation reduced sales by two percent.',
      ],
      ['We repurchased 2 million shares in the quarter.', 'Our share buyback program has $500 million left.'],
      ['Gross margin improved because of lower material costs.', 'Margins expanded on better mix and pricing.'],
      ['We hired 300 engineers this year.', 'Headcount grew as we recruit more people.'],
      ['Rig counts fell as crude declined.', 'Fewer rigs are drilling at this oil price.'],
    ]
    const { vectors } = await embedder.embed(pairs.flat())
    for (let i = 0; i < pairs.length; i++) {
      const own = dot(row(vectors, 256, 2 * i), row(vectors, 256, 2 * i + 1))
      for (let j = 0; j < 2 * pairs.length; j++) {
        if (j >> 1 !== i) expect(own).toBeGreaterThan(dot(row(vectors, 256, 2 * i), row(vectors, 256, j)))
      }
    }
  })

  it('gives the zero vector to a text it can make nothing of, and names its place', async () => {
    const texts = ['Sales grew.', '', '  \n', '日本語', '<UNK>', 'Sales grew.']
    const { vectors, empty } = await embedder.embed(texts)
    expect(empty).toEqual([1, 2, 3, 4])
    expect(row(vectors, 256, 1).every(value => value === 0)).toBe(true)
    expect(row(vectors, 256, 5)).toEqual(row(vectors, 256, 0))
  })

  it('answers nothing for nothing', async () => {
    expect(await embedder.embed([])).toEqual({ vectors: new Float32Array(0), empty: [], tokens: 0, truncated: 0 })
    expect((await embedder.embed(['', ''])).empty).toEqual([0, 1])
  })

  it('cuts a text of a megabyte, counts it, and reads its beginning', async () => {
    const sentence = 'Foreign exchange took two percent from sales. '
    const long = sentence.repeat(Math.ceil(1e6 / sentence.length))
    const { vectors, tokens, truncated } = await embedder.embed([long, sentence])
    expect(truncated).toBe(1)
    expect(tokens).toBe(1024 + 8)
    expect(dot(row(vectors, 256, 0), row(vectors, 256, 1))).toBeGreaterThan(0.99)
  })

  it('reads a repeated sentence once', async () => {
    const once = await embedder.embed(['Good morning.'])
    const thrice = await embedder.embed(['Good morning.', 'Good morning.', 'Good morning.'])
    expect(thrice.tokens).toBe(once.tokens)
    expect(row(thrice.vectors, 256, 2)).toEqual(once.vectors)
  })

  it('tells how far it is, and comes to the end', async () => {
    const texts = [...manyTexts(5000), 'Good morning.', 'Good morning.']
    const steps: number[] = []
    await embedder.embed(texts, more => steps.push(more))
    expect(steps.length).toBeGreaterThan(2)
    expect(steps.reduce((sum, more) => sum + more, 0)).toBe(texts.length)
  })

  it('refuses work after it was closed, instead of waiting for ever', async () => {
    const closed = await openEmbedder({ model: 'earnings-static-256', threads: 1 })
    const pending = expect(closed.embed(manyTexts(5000))).rejects.toThrow('closed')
    await closed.close()
    await pending
    await expect(closed.embed(['Sales grew.'])).rejects.toThrow('closed')
  })
})

describe.skipIf(minilm === undefined || minilmVectors === undefined)('all-MiniLM-L6-v2', () => {
  let embedder: Embedder
  beforeAll(async () => {
    embedder = await openEmbedder({ model: minilm ?? '', threads: 2 })
  })
  afterAll(() => embedder?.close())

  it('gives the vectors of sentence-transformers to 1e-5', async () => {
    const reference = JSON.parse(readFileSync(minilmVectors ?? '', 'utf8'))
    const packed = Buffer.from(reference.vectors_f32le_base64, 'base64')
    const expected = new Float32Array(new Uint8Array(packed).buffer)
    const { vectors } = await embedder.embed(reference.texts)
    expect(vectors).toHaveLength(expected.length)
    let largest = 0
    for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(vectors[i] - expected[i]))
    expect(largest).toBeLessThan(1e-5)
  })

  it('gives a sentence the same vector whatever its company, to 1e-5', async () => {
    const texts = manyTexts(60)
    const together = (await embedder.embed(texts)).vectors
    let largest = 0
    for (let i = 0; i < texts.length; i += 6) {
      const { vectors } = await embedder.embed([texts[i]])
      for (const [j, value] of vectors.entries()) largest = Math.max(largest, Math.abs(value - together[i * 384 + j]))
    }
    expect(largest).toBeLessThan(1e-5)
  })
})

describe('a thread that dies', () => {
  it('fails the calls that wait with a reason', async () => {
    const program = `import { parentPort } from 'node:worker_threads'
      parentPort.on('message', () => process.exit(3))
      parentPort.postMessage({ dimension: 2 })`
    const dying = new URL(`data:text/javascript,${encodeURIComponent(program)}`)
    const thread = await openThread({ modelFile: '', pooling: 'mean', threads: 1 }, dying)
    const batch = { ids: new Int32Array(4), lengths: Int32Array.of(4), columns: 4 }
    await expect(thread.run(batch)).rejects.toThrow("the model's thread ended with code 3")
    await expect(thread.run({ ...batch })).rejects.toThrow('ended')
  })
})

function bytes(vectors: Float32Array): Uint8Array {
  return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength)
}

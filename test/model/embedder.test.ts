// Embedding: a vector depends on its text alone, has length 1, and means something; MiniLM's are those of Python.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Embedder, type EmbedderSettings, openEmbedder } from '../../lib/model/embedder.ts'
import { openMeter } from '../../lib/model/meter.ts'
import { openTokenizer } from '../../lib/model/tokenizer.ts'
import { readSettings } from '../../lib/settings.ts'
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

  it('gives the same bits with one thread as with two, and in small batches as in large ones', async () => {
    const texts = manyTexts(3000)
    const { vectors } = await embedder.embed(texts)
    for (const [threads, start] of [
      [1, 32],
      [2, 8],
      [2, 128],
    ])
      expect(Buffer.compare(bytes(await vectorsOf({ threads, batches: sized(start) }, texts)), bytes(vectors))).toBe(0)
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
    expect(await embedder.embed([])).toEqual({ vectors: new Float32Array(0), empty: [], tokens: 0, tooLong: 0 })
    expect((await embedder.embed(['', ''])).empty).toEqual([0, 1])
  })

  it('cuts a text of a megabyte, counts it, and reads its beginning', async () => {
    const sentence = 'Foreign exchange took two percent from sales. '
    const long = sentence.repeat(Math.ceil(1e6 / sentence.length))
    const { vectors, tokens, tooLong } = await embedder.embed([long, sentence])
    expect(tooLong).toBe(1)
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
    await embedder.embed(texts, { onProgress: more => steps.push(more) })
    expect(steps.length).toBeGreaterThan(2)
    expect(steps.reduce((sum, more) => sum + more, 0)).toBe(texts.length)
  })

  it('fills batches from all calls that overlap: many small ones take no more batches than a large one', async () => {
    const texts = manyTexts(2000)
    const batchesOf = async (size: number) => {
      const meter = openMeter(0)
      const own = await openEmbedder({ model: 'earnings-static-256', threads: 1, batches: sized(32, 32), meter })
      const calls = Array.from({ length: texts.length / size }, (_, i) => texts.slice(i * size, (i + 1) * size))
      await Promise.all(calls.map(call => own.embed(call)))
      await own.close()
      return meter.figures(1).batches
    }
    const [together, apart] = [await batchesOf(2000), await batchesOf(20)]
    expect(together).toBeGreaterThan(60) // 80,000 tokens and more in batches of 1,024
    expect(apart).toBeLessThan(together * 1.1)
  })

  it('can take a fixed number of texts at a time, with the same vectors to 1e-6', async () => {
    const texts = manyTexts(500)
    const meter = openMeter(0)
    const fixed = { ...readSettings({}).batches, dynamic: false, size: 32 }
    const vectors = await vectorsOf({ batches: fixed, meter }, texts)
    expect(meter.figures(1)).toMatchObject({ batches: Math.ceil(500 / 32), batchSentencesMost: 32 })
    expect(farthest(vectors, (await embedder.embed(texts)).vectors)).toBeLessThan(1e-6)
  })

  it('reads all of a long text where it is split: windows averaged by their tokens', async () => {
    const half = 'Foreign exchange took two percent from sales. '.repeat(128) // 8 tokens a sentence: 1,024
    const other = 'Rigs fell. '.repeat(100)
    const split = await openEmbedder({ model: 'earnings-static-256', threads: 1, longText: 'split' })
    const cut = await openEmbedder({ model: 'earnings-static-256', threads: 1 })
    const [whole, beginning] = [await split.embed([half + other, 'Rigs fell.']), await cut.embed([half + other, half])]
    expect(whole.tooLong).toBe(1)
    expect(beginning.tooLong).toBe(1)
    expect(row(beginning.vectors, 256, 0)).toEqual(row(beginning.vectors, 256, 1))
    expect(whole.tokens).toBeGreaterThan(1024 + 200)
    const nearRigs = (vectors: Float32Array) => dot(row(vectors, 256, 0), row(whole.vectors, 256, 1))
    expect(nearRigs(whole.vectors)).toBeGreaterThan(nearRigs(beginning.vectors) + 0.05)
    expect(dot(row(whole.vectors, 256, 0), row(whole.vectors, 256, 0))).toBeCloseTo(1, 5)
    // What is not long is not touched.
    expect(row(whole.vectors, 256, 1)).toEqual((await cut.embed(['Rigs fell.'])).vectors)
    await Promise.all([split.close(), cut.close()])
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
  const reference = minilmVectors ? JSON.parse(readFileSync(minilmVectors, 'utf8')) : {}
  const texts: string[] = reference.texts ?? []
  const expected = minilmVectors
    ? new Float32Array(new Uint8Array(Buffer.from(reference.vectors_f32le_base64, 'base64')).buffer)
    : new Float32Array()
  const model = minilm ?? ''
  let embedder: Embedder
  let vectors: Float32Array
  beforeAll(async () => {
    embedder = await openEmbedder({ model, threads: 2 })
    vectors = (await embedder.embed(texts)).vectors
  })
  afterAll(() => embedder?.close())

  it('gives the vectors of sentence-transformers to 1e-5', () => {
    expect(vectors).toHaveLength(expected.length)
    expect(farthest(vectors, expected)).toBeLessThan(1e-5)
  })

  it('reads the token ids of sentence-transformers', async () => {
    const tokenizer = await openTokenizer(join(model, 'tokenizer.json'), 256)
    const { ids, starts } = tokenizer.tokenize(texts)
    const found = texts.map((_, i) => [...ids.subarray(starts[i], starts[i + 1])])
    expect(found).toEqual(reference.token_ids)
  })

  it('gives the same bits in any order, company, size of batches and number of threads', async () => {
    const order = texts.map((_, i) => (i * 101) % texts.length)
    const shuffled = order.map(i => texts[i])
    for (const [threads, start, most] of [
      [1, 8, 8],
      [2, 128, 128],
    ]) {
      const found = await vectorsOf({ model, threads, batches: sized(start, most) }, shuffled)
      const back = new Float32Array(found.length)
      for (const [place, i] of order.entries()) back.set(row(found, 384, place), i * 384)
      expect(Buffer.compare(bytes(back), bytes(vectors))).toBe(0)
    }
    for (const i of [0, 40, 100, 245]) expect((await embedder.embed([texts[i]])).vectors).toEqual(row(vectors, 384, i))
  })

  it('gives them in fixed batches in the order of arrival too, to 1e-5', async () => {
    const fixed = { ...readSettings({}).batches, dynamic: false, size: 7 }
    expect(farthest(await vectorsOf({ model, batches: fixed }, texts.slice(0, 60)), expected)).toBeLessThan(1e-5)
  })

  it('has an int8 file whose vectors are near those of float32, and a revision of its own', async () => {
    const small = await openEmbedder({ model: `${model}:int8`, threads: 2 })
    const { vectors: near } = await small.embed(texts.slice(0, 60))
    expect(small.revision).not.toBe(embedder.revision)
    // Eight bits for a weight cost about two hundredths of cosine; another model's vectors would be at 0.
    for (let i = 0; i < 60; i++) expect(dot(row(near, 384, i), row(vectors, 384, i))).toBeGreaterThan(0.9)
    expect(farthest(near, vectors)).toBeGreaterThan(1e-4) // or it was the other file
    await small.close()
  })
})

/** The vectors that a model of these settings gives; the shipped one with one thread unless told. */
async function vectorsOf(settings: Partial<EmbedderSettings>, texts: readonly string[]): Promise<Float32Array> {
  const embedder = await openEmbedder({ model: 'earnings-static-256', threads: 1, ...settings })
  const { vectors } = await embedder.embed(texts)
  await embedder.close()
  return vectors
}

/** Batches that begin with so many documents, and do not grow over `most`. */
function sized(start: number, most = start) {
  return { ...readSettings({}).batches, start, most, least: Math.min(start, 8) }
}

/** The largest difference of two numbers in the same place, over the shorter of the two. */
function farthest(a: Float32Array, b: Float32Array): number {
  let largest = 0
  for (let i = 0; i < Math.min(a.length, b.length); i++) largest = Math.max(largest, Math.abs(a[i] - b[i]))
  return largest
}

function bytes(vectors: Float32Array): Uint8Array {
  return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength)
}

// Every kind of model through the public door: a small transformer as others publish theirs gives the vectors that the
// same sums in plain loops give.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { UserError } from '../../lib/errors.ts'
import { type Embedder, openEmbedder } from '../../lib/model/embedder.ts'
import { expectedVector, idsOf, MOST_TOKENS, PLAIN, type Variant, writeSmallTransformer } from './small-transformer.ts'

const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-small-transformer-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const PROMPTS = { query: 'query: ', document: 'passage: ' }

// Of 2 to 31 tokens: blank, words, pieces of words, an unknown word, figures, and one that is cut.
const TEXTS = [
  '',
  'Revenue.',
  'a',
  'margins',
  'We expect higher revenue growth in the quarter.',
  'Freight, steel and labor cost us 3.5% of sales.',
  'qwertz zzyzx 日本語 backlogs',
  'Customers ordered strongly; the backlog is up.',
  'We bought back shares for $84 and will continue to.',
  'Hiring of engineers continues as planned.',
  'The tax rate was lower than we had planned for the year.',
  'Drilling rigs: demand is weak, supply is strong, prices will be lower.',
  `${'the capital spending will be lower next year and we expect '.repeat(5)}profit`,
]

async function opened<T>(variant: Variant, use: (embedder: Embedder) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(scratch, 'model-'))
  writeSmallTransformer(folder, variant)
  const embedder = await openEmbedder({ model: folder, threads: 2 })
  try {
    return await use(embedder)
  } finally {
    await embedder.close()
  }
}

/** The largest difference of any number of `vectors` from what the plain sums give for these texts. */
function largestError(vectors: Float32Array, texts: readonly string[], variant: Variant): number {
  const expected = texts.flatMap(text => expectedVector(idsOf(text), variant))
  expect(vectors).toHaveLength(expected.length)
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - vectors[i])), 0)
}

// 1e-5 is float32 through a few hundred sums; a vector of length 1 in 32 numbers has numbers of about 0.2.
const EXACT = 1e-5
// Half precision keeps 11 binary digits of each token's numbers, of which the largest stand at about 0.5 here.
const HALF = 2 ** -11

const VARIANTS: Record<string, Variant & { within: number }> = {
  'a mean of its tokens': { ...PLAIN, within: EXACT },
  'its first token': { ...PLAIN, pooling: 'cls', within: EXACT },
  'a mean in the graph': { ...PLAIN, output: 'sentence_embedding', within: EXACT },
  'its first token in the graph': { ...PLAIN, output: 'sentence_embedding', pooling: 'cls', within: EXACT },
  'no token_type_ids': { ...PLAIN, tokenTypes: false, within: EXACT },
  'half precision': { ...PLAIN, output: 'float16', within: HALF },
  'half precision and its first token': { ...PLAIN, output: 'float16', pooling: 'cls', within: HALF },
}

describe('a transformer with', () => {
  for (const [name, { within, ...variant }] of Object.entries(VARIANTS)) {
    it(`${name} gives the vectors of the plain sums, in any order and company`, async () => {
      await opened(variant, async embedder => {
        const { vectors } = await embedder.embed(TEXTS)
        expect(largestError(vectors, TEXTS, variant)).toBeLessThan(within)
        const reversed = [...TEXTS].reverse()
        expect(largestError((await embedder.embed(reversed)).vectors, reversed, variant)).toBeLessThan(within)
        const alone = await Promise.all(TEXTS.map(async text => [...(await embedder.embed([text])).vectors]))
        expect(Float32Array.from(alone.flat())).toEqual(vectors)
      })
    })
  }

  it('prefixes puts the one for documents before what it is given, and the one for queries before a query', async () => {
    const variant = { ...PLAIN, prompts: PROMPTS }
    await opened(variant, async embedder => {
      const documents = await embedder.embed(TEXTS)
      const passages = TEXTS.map(text => PROMPTS.document + text)
      expect(largestError(documents.vectors, passages, variant)).toBeLessThan(EXACT)
      const queries = await embedder.embed(TEXTS, { as: 'query' })
      const questions = TEXTS.map(text => PROMPTS.query + text)
      expect(largestError(queries.vectors, questions, variant)).toBeLessThan(EXACT)
    })
  })

  it('no prefixes takes a query for what it is', async () => {
    await opened(PLAIN, async embedder => {
      const queries = await embedder.embed(TEXTS, { as: 'query' })
      expect(largestError(queries.vectors, TEXTS, PLAIN)).toBeLessThan(EXACT)
    })
  })
})

describe('the plain sums', () => {
  it('read every part of the model', () => {
    const ids = idsOf('We expect higher margins.')
    const plain = expectedVector(ids, PLAIN)
    const others = [
      expectedVector(ids, { ...PLAIN, pooling: 'cls' }),
      expectedVector(ids, { ...PLAIN, tokenTypes: false }),
      expectedVector([ids[0], ids[2], ids[1], ...ids.slice(3)], PLAIN), // other places
      expectedVector([...ids.slice(0, -1), 0, ids[ids.length - 1]], PLAIN), // one token more
    ]
    for (const other of others)
      expect(Math.max(...plain.map((value, j) => Math.abs(value - other[j])))).toBeGreaterThan(0.01)
  })

  it('know texts of every length that the model reads', () => {
    const lengths = TEXTS.map(text => idsOf(text).length)
    expect(Math.min(...lengths)).toBe(2)
    expect(Math.max(...lengths)).toBe(MOST_TOKENS)
    expect(new Set(lengths).size).toBeGreaterThan(7)
  })
})

describe('files that are not of one publication are refused when the model opens, not when a text meets the fault', () => {
  it('a vocabulary larger than the table of the graph', async () => {
    const folder = mkdtempSync(join(scratch, 'model-'))
    writeSmallTransformer(folder, PLAIN)
    const path = join(folder, 'tokenizer.json')
    const tokenizer = JSON.parse(readFileSync(path, 'utf8'))
    tokenizer.model.vocab.stranger = 5000
    writeFileSync(path, JSON.stringify(tokenizer))
    await expect(openEmbedder({ model: folder, threads: 1 })).rejects.toThrow(
      /cannot run a text of 31 tokens with ids up to 5000/,
    )
    await expect(openEmbedder({ model: folder, threads: 1 })).rejects.toBeInstanceOf(UserError)
  })

  it('a length that the graph has no places for', async () => {
    const folder = mkdtempSync(join(scratch, 'model-'))
    writeSmallTransformer(folder, PLAIN)
    writeFileSync(join(folder, 'sentence_bert_config.json'), '{ "max_seq_length": 500 }')
    await expect(openEmbedder({ model: folder, threads: 1 })).rejects.toThrow(/cannot run a text of 500 tokens/)
  })
})

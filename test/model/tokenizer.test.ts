// Tokens: the same ids as the Rust tokenizers that made the vectors everybody compares with, and cutting that keeps [SEP].

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openTokenizer, type Tokenizer } from '../../lib/model/tokenizer.ts'
import { sharedFolder } from '../shared.ts'

const SHIPPED = fileURLToPath(new URL('../../data/model/earnings-static-256/tokenizer.json', import.meta.url))
const minilm = sharedFolder('model', 'all-MiniLM-L6-v2')
const minilmVectors = sharedFolder('reference', 'minilm', 'vectors.json')

function idsOf(tokenizer: Tokenizer, texts: readonly string[]): number[][] {
  const { ids, starts } = tokenizer.tokenize(texts)
  return texts.map((_, i) => [...ids.subarray(starts[i], starts[i + 1])])
}

describe('the shipped vocabulary', () => {
  it('gives the ids of the Python tokenizers, on plain and on odd texts', async () => {
    const reference = JSON.parse(readFileSync(new URL('./earnings-static-token-ids.json', import.meta.url), 'utf8'))
    expect(idsOf(await openTokenizer(SHIPPED, 1024), reference.texts)).toEqual(reference.ids)
  })

  it('reads any figure as one token, any year as another, and skips names taken out', async () => {
    const tokenizer = await openTokenizer(SHIPPED, 1024)
    const [a, b] = idsOf(tokenizer, ['Sales of $1,234.5 in 2016', 'sales of $7 in <UNK> 1999'])
    expect(a).toEqual(b)
  })

  it('has no tokens for blank texts', async () => {
    const tokenizer = await openTokenizer(SHIPPED, 1024)
    expect(idsOf(tokenizer, ['', ' \t\n', '<UNK>'])).toEqual([[], [], []])
  })

  it('cuts a long text to its first tokens and says so', async () => {
    const whole = await openTokenizer(SHIPPED, 1024)
    const cut = await openTokenizer(SHIPPED, 5)
    const text = 'margins improved because freight and steel cost us less'
    expect(idsOf(cut, [text])[0]).toEqual(idsOf(whole, [text])[0].slice(0, 5))
    expect([...cut.tokenize(['margins', text]).truncated]).toEqual([0, 1])
  })
})

describe.skipIf(minilm === undefined || minilmVectors === undefined)('the vocabulary of MiniLM', () => {
  const file = join(minilm ?? '', 'tokenizer.json')

  it('gives the ids of sentence-transformers, although its file asks for 128 tokens and padding', async () => {
    const reference = JSON.parse(readFileSync(minilmVectors ?? '', 'utf8'))
    expect(idsOf(await openTokenizer(file, 256), reference.texts)).toEqual(reference.token_ids)
  })

  it('keeps [CLS] and [SEP] around a text it cuts', async () => {
    const tokenizer = await openTokenizer(file, 8)
    const [ids] = idsOf(tokenizer, ['one two three four five six seven eight nine ten'])
    expect(ids).toHaveLength(8)
    expect([ids[0], ids[7]]).toEqual([101, 102])
  })
})

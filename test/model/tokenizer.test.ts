// Tokens: the same ids as the library, which has those of the Rust tokenizers that made the vectors everybody compares
// with, whatever the cache of words remembers; and cutting and splitting that lose no token and keep [CLS] and [SEP].

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '../../lib/math/random.ts'
import { openTokenizer, type Tokenizer, type Tokens } from '../../lib/model/tokenizer.ts'
import { cacheWords, keepsWordsApart } from '../../lib/model/word-cache.ts'
import { sharedFolder } from '../shared.ts'

const SHIPPED = fileURLToPath(new URL('../../data/model/earnings-static-256/tokenizer.json', import.meta.url))
const SAMPLES = fileURLToPath(new URL('../../data/samples', import.meta.url))
const minilm = sharedFolder('model', 'all-MiniLM-L6-v2')
const minilmVectors = sharedFolder('reference', 'minilm', 'vectors.json')
const MINILM = join(minilm ?? '', 'tokenizer.json')
const NO_LIMIT = 1_000_000

let folder: string
let bert: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quarterdeck-tokenizer-'))
  bert = write('bert', { normalizer: BERT_NORMALIZER, post_processor: CLS_AND_SEP })
})
afterAll(() => rm(folder, { recursive: true }))

// A BERT as it is everywhere, out of the shipped vocabulary.
const BERT_NORMALIZER = { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true }
const CLS_AND_SEP = {
  type: 'TemplateProcessing',
  single: [
    { SpecialToken: { id: '[CLS]', type_id: 0 } },
    { Sequence: { id: 'A', type_id: 0 } },
    { SpecialToken: { id: '[SEP]', type_id: 0 } },
  ],
}
const [CLS, SEP] = [2, 3]

function read(file: string) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** The shipped tokenizer.json with some fields set to others. */
function write(name: string, change: Record<string, unknown>): string {
  const path = join(folder, `${name}.json`)
  writeFileSync(path, JSON.stringify({ ...read(SHIPPED), ...change }))
  return path
}

function rowsOf({ ids, starts }: Tokens): number[][] {
  return Array.from(starts.subarray(0, -1), (start, r) => [...ids.subarray(start, starts[r + 1])])
}

function idsOf(tokenizer: Tokenizer, texts: readonly string[]): number[][] {
  return rowsOf(tokenizer.tokenize(texts))
}

function library(file: string): (text: string, special?: boolean) => number[] {
  const tokenizer = new Library(read(file), {})
  return (text, special = true) => tokenizer.encode(text, { add_special_tokens: special }).ids
}

/** Every line of both samples, as they are. */
function sampleLines(): string[] {
  const calls = readdirSync(join(SAMPLES, '2016Q4'), { withFileTypes: true }).filter(entry => entry.isDirectory())
  const files = calls.map(call => join(SAMPLES, '2016Q4', call.name, 'text.txt'))
  files.push(join(SAMPLES, '2024Q3', 'transcripts.csv'))
  return files.flatMap(file => readFileSync(file, 'utf8').split('\n'))
}

// What tokenizers trip over, alone or side by side; the longest are just below and above the longest word of WordPiece.
const ODD = [
  ...['2016', '1950s', '19', '20', '199', '3', '0', '007', '2016.5', '1,950', '$2016', 'Q3-2016', '2016-2017', '1,2,3'],
  ...[
    ',',
    '.',
    '$',
    '%',
    '€',
    '-',
    '/',
    '(',
    ')',
    "'",
    '"',
    '#',
    '&',
    '@',
    '^',
    '`',
    '~',
    '<',
    '>',
    '[',
    ']',
    '{',
    '|',
  ],
  ...['<UNK>', '<unk>', '<UN', 'K>', '[UNK]', '[SEP]', '[CLS]', '[PAD]', '[MASK]', '[sep]', '[S', 'EP]', '##s', '##'],
  ...['the', 'Margins', 'BACKLOG', 'a', 'é', 'E\u0301', '\u0301', 'ñ', 'Ÿ', 'ß', 'İ', 'ı', 'Å', 'ﬁ', 'ΟΔΟΣ', 'Σ', 'ς'],
  ...[
    '日本',
    '한국어',
    'ไทย',
    'हिन्दी',
    'العربية',
    '🚀',
    '👩‍💻',
    '𝒳',
    '𠀀',
    '\ud83d',
    '\ude80',
    '≮',
    '≠',
    '；',
    '１２',
    '²',
    '½',
  ],
  ...['\0', '\u0001', '\u000b', '\f', '\u007f', '\u0085', '\u00ad', '\u00a0', '\u1680', '\u200b', '\u200d', '\u2028'],
  ...['\u202f', '\u2060', '\u3000', '\ufeff', '\ufffd', '\ue000', '’', '“', '”', '–', '—', '…', '•', '™'],
  ...[
    'x'.repeat(64),
    'y'.repeat(65),
    'z'.repeat(100),
    'w'.repeat(101),
    'é'.repeat(100),
    '1'.repeat(101),
    'a1'.repeat(51),
  ],
]
const SPACES = [' ', ' ', ' ', ' ', '  ', '\t', '\n', '\r\n', ' \t ']

function oddTexts(n: number, seed: number): string[] {
  const random = createRandom(seed)
  const one = (list: readonly string[]) => list[random.int(list.length)]
  return Array.from({ length: n }, () => {
    const space = random.next() // some texts are nearly all spaces, some have none
    return Array.from({ length: 1 + random.int(16) }, () => (random.next() < space ? one(SPACES) : one(ODD))).join('')
  })
}

describe.each([
  { name: 'the shipped vocabulary', file: () => SHIPPED, absent: false },
  { name: 'a BERT', file: () => bert, absent: false },
  { name: 'MiniLM', file: () => MINILM, absent: minilm === undefined },
])('the ids of $name', ({ file, absent }) => {
  it.skipIf(absent)('are those of the library on every line of the samples', async () => {
    const lines = sampleLines()
    expect(lines.length).toBeGreaterThan(18_000)
    const tokenizer = await openTokenizer(file(), NO_LIMIT)
    const encode = library(file())
    const rows = idsOf(tokenizer, lines)
    expect(lines.filter((line, i) => String(rows[i]) !== String(encode(line)))).toEqual([])
  })

  it.skipIf(absent)('are those of the library on thousands of odd texts, whole and cut', async () => {
    const texts = [...ODD, ...oddTexts(3000, 5)]
    const encode = library(file())
    const whole = idsOf(await openTokenizer(file(), NO_LIMIT), texts)
    expect(texts.filter((text, i) => String(whole[i]) !== String(encode(text)))).toEqual([])
    const around = encode('').length
    const cut = (await openTokenizer(file(), 5 + around)).tokenize(texts)
    const expected = texts.map(text => encode(text, false).slice(0, 5))
    const special = encode('')
    const rows = rowsOf(cut).map(row => (around === 0 ? row : row.slice(1, -1)))
    expect(texts.filter((_, i) => String(rows[i]) !== String(expected[i]))).toEqual([])
    for (const row of rowsOf(cut))
      expect([...row.slice(0, around / 2), ...row.slice(row.length - around / 2)]).toEqual(special)
    expect([...cut.tooLong]).toEqual(texts.map(text => (encode(text, false).length > 5 ? 1 : 0)))
  })

  it.skipIf(absent)('stay the same when the cache is full and has to forget', () => {
    expect(keepsWordsApart(read(file()))).toBe(true)
    const encode = library(file())
    const append = cacheWords(text => encode(text, false), 64)
    for (const text of oddTexts(2000, 6)) {
      const list = { ids: new Int32Array(1), length: 0 }
      append(list, text, Number.POSITIVE_INFINITY)
      expect([...list.ids.subarray(0, list.length)], JSON.stringify(text)).toEqual(encode(text, false))
    }
  })
})

describe('the shipped vocabulary', () => {
  it('gives the ids of the Python tokenizers, on plain and on odd texts', async () => {
    const reference = read(fileURLToPath(new URL('./earnings-static-token-ids.json', import.meta.url)))
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

  it('has a row for each text, and none for no text', async () => {
    const tokenizer = await openTokenizer(SHIPPED, 1024, 'split')
    const { starts, firstRow, content, ids } = tokenizer.tokenize(['margins', '', 'free cash flow'])
    expect([[...starts], [...firstRow], [...content]]).toEqual([
      [0, 1, 1, 4],
      [0, 1, 2, 3],
      [1, 0, 3],
    ])
    expect(ids).toHaveLength(4)
    const none = tokenizer.tokenize([])
    expect([[...none.starts], [...none.firstRow], none.content.length]).toEqual([[0], [0], 0])
  })
})

it.skipIf(minilm === undefined || minilmVectors === undefined)(
  'MiniLM has the ids of sentence-transformers, although its file asks for 128 tokens and padding',
  async () => {
    const reference = read(minilmVectors ?? '')
    expect(idsOf(await openTokenizer(MINILM, 256), reference.texts)).toEqual(reference.token_ids)
  },
)

describe('a tokenizer whose words are not independent', () => {
  it('is not one whose special tokens have capitals, for no character has one left after lower-casing', () => {
    const characters = Array.from({ length: 0x110000 }, (_, code) => String.fromCodePoint(code))
    const capital = (text: string) => /[A-Z]/.test(text)
    expect(characters.filter(one => capital(one.toLowerCase()))).toEqual([])
    expect(characters.filter(one => capital(one.toLowerCase().normalize('NFD')))).toEqual([])
  })

  const mask = { id: 5, content: '[MASK]', special: true, normalized: false }
  const model = read(SHIPPED).model
  it.each([
    ['looks for a special token with a space', { added_tokens: [{ ...mask, content: 'A b' }] }, 'x A b y'],
    ['takes a text for a special token in small letters', { added_tokens: [{ ...mask, content: '<s>' }] }, 'x <S> y'],
    ['keeps capitals', { normalizer: { ...BERT_NORMALIZER, lowercase: false } }, 'x [MA\0SK] y'],
    ['replaces across spaces', { normalizer: replaceAnd('[a-z] [a-z]') }, 'x y z'],
    ['looks across spaces', { normalizer: replaceAnd('[a-z](?= y)') }, 'x y z'],
    [
      'does not cut at spaces',
      { pre_tokenizer: { type: 'Split', pattern: { String: 'y' }, behavior: 'Removed' } },
      'x y',
    ],
    ['melts unknown words', { model: { ...model, fuse_unk: true } }, '\u2603 \u2603'],
  ])('because it %s gives the ids of the library', async (why, change, text) => {
    const file = write(why, change)
    expect(idsOf(await openTokenizer(file, NO_LIMIT), [text])).toEqual([library(file)(text)])
    // It is no vain caution: word by word the ids would be others.
    const encode = library(file)
    expect(text.split(' ').flatMap(word => encode(word))).not.toEqual(encode(text))
  })

  function replaceAnd(pattern: string) {
    const replace = { type: 'Replace', pattern: { Regex: pattern }, content: '0' }
    return { type: 'Sequence', normalizers: [BERT_NORMALIZER, replace] }
  }
})

describe('a text that is too long', () => {
  const texts = ['', 'margins', 'one two three four five six', 'and one two three four five six seven eight nine ten']
  const long = [...texts, ...oddTexts(300, 7), texts.join(' ').repeat(50)]

  it('is cut to its first tokens, inside [CLS] and [SEP]', async () => {
    const whole = await openTokenizer(bert, NO_LIMIT)
    const cut = (await openTokenizer(bert, 8)).tokenize(texts)
    const contents = idsOf(whole, texts).map(ids => ids.slice(1, -1).slice(0, 6))
    expect(rowsOf(cut)).toEqual(contents.map(ids => [CLS, ...ids, SEP]))
    expect([...cut.tooLong]).toEqual([0, 0, 0, 1])
    expect([...cut.content]).toEqual(contents.map(ids => ids.length))
  })

  it.each([3, 4, 7, 8, 50])('is split into windows of at most %i tokens that lose none and repeat none', async most => {
    const whole = rowsOf((await openTokenizer(bert, NO_LIMIT)).tokenize(long))
    const tokens = (await openTokenizer(bert, most, 'split')).tokenize(long)
    const rows = rowsOf(tokens)
    expect(tokens.firstRow).toHaveLength(long.length + 1)
    expect(tokens.firstRow[long.length]).toBe(rows.length)
    for (const [t, ids] of whole.entries()) {
      const windows = rows.slice(tokens.firstRow[t], tokens.firstRow[t + 1])
      expect(windows.flatMap(row => row.slice(1, -1))).toEqual(ids.slice(1, -1))
      for (const row of windows) expect([row[0], row.at(-1)]).toEqual([CLS, SEP])
      const lengths = windows.map(row => row.length)
      expect(Math.max(...lengths)).toBeLessThanOrEqual(most)
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1)
      expect(windows).toHaveLength(Math.max(1, Math.ceil((ids.length - 2) / (most - 2))))
      expect(tokens.tooLong[t]).toBe(ids.length > most ? 1 : 0)
    }
    expect([...tokens.content]).toEqual(rows.map(row => row.length - 2))
  })

  it('may be many megabytes, with spaces or without', async () => {
    const tokenizer = await openTokenizer(bert, 8)
    const [word] = idsOf(tokenizer, ['margins'])
    const tokens = tokenizer.tokenize(['margins '.repeat(2_000_000), 'm'.repeat(1_000_000), 'margins'])
    expect(rowsOf(tokens)).toEqual([[CLS, ...Array(6).fill(word[1]), SEP], [CLS, 1, SEP], word])
    expect([...tokens.tooLong]).toEqual([1, 0, 0])
    const all = (await openTokenizer(bert, 502, 'split')).tokenize(['margins '.repeat(200_000)])
    expect(all.content).toEqual(new Int32Array(400).fill(500))
  })
})

describe('a prefix', () => {
  const texts = ['', 'margins', 'one two three four five six', ...oddTexts(300, 8)]

  it.each([
    'query: ',
    'query:',
    'mar',
    '2016',
    '<UN',
    ' ',
  ])('%j is read as the beginning of every text', async prefix => {
    const tokenizer = await openTokenizer(bert, NO_LIMIT)
    const tokens = tokenizer.tokenize(texts, prefix)
    const joined = tokenizer.tokenize(texts.map(text => prefix + text))
    expect(rowsOf(tokens)).toEqual(rowsOf(joined))
  })

  it('stands before every window and has no weight', async () => {
    const [most, prefix] = [9, 'query: ']
    const head = idsOf(await openTokenizer(bert, NO_LIMIT), [prefix])[0].slice(0, -1)
    const whole = idsOf(await openTokenizer(bert, NO_LIMIT), texts)
    const tokens = (await openTokenizer(bert, most, 'split')).tokenize(texts, prefix)
    const rows = rowsOf(tokens)
    for (const [t, ids] of whole.entries()) {
      const windows = rows.slice(tokens.firstRow[t], tokens.firstRow[t + 1])
      for (const row of windows) expect([...row.slice(0, head.length), row.at(-1)]).toEqual([...head, SEP])
      expect(windows.flatMap(row => row.slice(head.length, -1))).toEqual(ids.slice(1, -1))
      expect(tokens.tooLong[t]).toBe(head.length + ids.length - 1 > most ? 1 : 0)
    }
    expect([...tokens.content]).toEqual(rows.map(row => row.length - head.length - 1))
    const cut = (await openTokenizer(bert, most)).tokenize(texts, prefix)
    expect(rowsOf(cut)).toEqual(whole.map(ids => [...head, ...ids.slice(1, -1).slice(0, most - head.length - 1), SEP]))
    expect([...cut.content]).toEqual(rowsOf(cut).map(row => row.length - head.length - 1))
  })

  it('belongs to the text where it melts into its first word', async () => {
    const tokenizer = await openTokenizer(bert, NO_LIMIT)
    const tokens = tokenizer.tokenize(['gins', ' gins'], 'mar')
    expect(rowsOf(tokens)[0]).toEqual(idsOf(tokenizer, ['margins'])[0])
    expect(tokens.content[0]).toBe(1)
  })

  it('that leaves no room for a text is refused, with both numbers', async () => {
    const tokenizer = await openTokenizer(bert, 5)
    expect(() => tokenizer.tokenize(['margins'], 'one two three')).toThrow(/take 5 tokens of 5/)
    expect(rowsOf(tokenizer.tokenize(['margins'], 'one two'))[0]).toHaveLength(5)
  })
})

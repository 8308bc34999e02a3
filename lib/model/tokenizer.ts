// Texts to token ids, by @huggingface/tokenizers (plain JavaScript, one thread) behind a small interface of our own.
// Why it: same ids as the Rust original on all of 95,064 real lines, with two vocabularies; word-cache.ts makes it quick.
// It ignores the truncation and padding of tokenizer.json, which is as well (they mislead); cutting is done here.

import { readFile } from 'node:fs/promises'
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { messageOf, UserError } from '../errors.ts'
import type { LongText } from '../settings.ts'
import { type AppendIds, appendAll, cacheWords, type IdList, keepsWordsApart } from './word-cache.ts'

/** Rows for the model, text after text: a text has one, or as many as it has windows. */
export type Tokens = {
  /** Row r has the ids from starts[r] to starts[r + 1], special tokens and prefix included. */
  ids: Int32Array
  starts: Int32Array
  /** Text t has the rows from firstRow[t] to firstRow[t + 1]. */
  firstRow: Int32Array
  /** Tokens of each row that are the text's own, without special tokens and prefix: what a window weighs. */
  content: Int32Array
  /** 1 for each text that is longer than the model takes. */
  tooLong: Uint8Array
}

export type Tokenizer = {
  /** The largest id of the vocabulary itself; tokens that were added to it may have larger ones. */
  largestId: number
  /** `prefix` is put before every text, letter by letter, as sentence-transformers does with its prompts. */
  tokenize(texts: readonly string[], prefix?: string): Tokens
}

type Encode = (text: string) => number[]

// A sentence of a call has 26 tokens; the list grows where texts have more.
const USUAL_TOKENS = 32

/**
 * A row has at most `maxTokens`, special tokens and prefix included. Of a longer text only the beginning is read, or it
 * is split into windows: as few as will do, of equal length up to a token, so that the last is no stump whose vector
 * means nothing, and without overlap, so that every token counts once. Every row has the special tokens and the prefix.
 */
export async function openTokenizer(
  tokenizerFile: string,
  maxTokens: number,
  longText: LongText = 'truncate',
): Promise<Tokenizer> {
  const { encode, append, before, after, largestId } = await load(tokenizerFile)
  const room = maxTokens - before.length - after.length
  // In windows all of a text is read, otherwise no more than shows that it is too long.
  const most = longText === 'split' ? Number.POSITIVE_INFINITY : room

  function tokenize(texts: readonly string[], prefix = ''): Tokens {
    const prefixIds = encode(prefix)
    if (prefixIds.length >= room) throw noRoom(tokenizerFile, maxTokens, maxTokens - room + prefixIds.length)
    const list: IdList = { ids: new Int32Array(texts.length * USUAL_TOKENS), length: 0 }
    const starts: number[] = []
    const content: number[] = []
    const firstRow = new Int32Array(texts.length + 1)
    const tooLong = new Uint8Array(texts.length)

    for (const [t, text] of texts.entries()) {
      const start = list.length
      appendAll(list, before)
      append(list, prefix + text, most)
      // A prefix that does not end in a space may have melted into the text's first token: then it is the text's.
      const head = before.length + equalIds(prefixIds, list, start + before.length)
      const own = list.length - start - head
      const fits = maxTokens - head - after.length
      tooLong[t] = own > fits ? 1 : 0
      const windows = tooLong[t] === 1 && longText === 'split' ? Math.ceil(own / fits) : 1
      if (windows === 1) {
        content.push(Math.min(own, fits))
        starts.push(start)
        list.length = start + head + Math.min(own, fits)
        appendAll(list, after)
      } else {
        const ids = list.ids.slice(start, list.length)
        list.length = start
        for (let w = 0; w < windows; w++) {
          const first = Math.floor((own * w) / windows)
          const end = Math.floor((own * (w + 1)) / windows)
          content.push(end - first)
          starts.push(list.length)
          appendAll(list, ids.subarray(0, head))
          appendAll(list, ids.subarray(head + first, head + end))
          appendAll(list, after)
        }
      }
      firstRow[t + 1] = starts.length
    }
    starts.push(list.length)
    return {
      ids: list.ids.slice(0, list.length),
      starts: Int32Array.from(starts),
      firstRow,
      content: Int32Array.from(content),
      tooLong,
    }
  }
  return { largestId, tokenize }
}

/** How many of `ids` stand in the list from `place` on. */
function equalIds(ids: readonly number[], list: IdList, place: number): number {
  let n = 0
  while (n < ids.length && place + n < list.length && list.ids[place + n] === ids[n]) n++
  return n
}

async function load(tokenizerFile: string) {
  try {
    const file = JSON.parse(await readFile(tokenizerFile, 'utf8'))
    const tokenizer: Library = new HuggingFaceTokenizer(file, {})
    const encode: Encode = text => tokenizer.encode(text, { add_special_tokens: false }).ids
    const append: AppendIds = keepsWordsApart(file) ? cacheWords(encode) : (list, text) => appendAll(list, encode(text))
    const largestId = largestOf(file.model?.vocab)
    return { encode, append, largestId, ...specialTokens(tokenizer) } // a half-written file often fails only at the first text
  } catch (error) {
    throw new UserError(
      `cannot use the tokenizer ${tokenizerFile}: ${messageOf(error)}`,
      'take tokenizer.json as the model was published; a file fetched by git may need: git lfs pull',
    )
  }
}

/** A vocabulary is a list of its tokens, or a table of their ids. */
function largestOf(vocabulary: unknown): number {
  if (Array.isArray(vocabulary)) return vocabulary.length - 1
  let largest = 0
  for (const id of Object.values(vocabulary ?? {})) largest = Math.max(largest, Number(id) || 0)
  return largest
}

// The package's own types do not resolve under nodenext (their imports lack extensions), so what is used is said here.
type Library = { encode(text: string, options?: { add_special_tokens: boolean }): { ids: number[] } }

/** What stands around every text, such as [CLS] and [SEP]: found out by trying, whatever the kind of tokenizer. */
function specialTokens(tokenizer: Library): { before: number[]; after: number[] } {
  const bare = tokenizer.encode('a', { add_special_tokens: false }).ids
  const whole = tokenizer.encode('a').ids
  const start = whole.findIndex((_, i) => bare.every((id, j) => whole[i + j] === id))
  return { before: whole.slice(0, start), after: whole.slice(start + bare.length) }
}

function noRoom(tokenizerFile: string, maxTokens: number, taken: number): UserError {
  return new UserError(
    `no text fits into the model: its special tokens and the prefix take ${taken} tokens of ${maxTokens} (${tokenizerFile})`,
    'take a shorter prefix, or a model that reads longer texts',
  )
}

// Finds a sentence-embedding model on disk and reads the facts that decide its vectors: graph, tokenizer, length, pooling.
// Real folders contradict themselves, so each fact comes from the file that sentence-transformers obeys, whose vectors
// people compare with. Loads nothing: the graph belongs to onnx.ts, the vocabulary to tokenizer.ts.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { messageOf, UserError } from '../errors.ts'
import type { Pooling } from './pooling.ts'

export type ModelFolder = Readonly<{
  /** The folder's own name, as people and the database see it. */
  name: string
  folder: string
  /** What opens it again, also elsewhere: the name of a shipped model, the path of any other. */
  source: string
  /** Twelve hex digits over everything that decides a vector: other digits, other vectors. */
  revision: string
  modelFile: string
  tokenizerFile: string
  /** Longest text that is read, in tokens, special tokens included. */
  maxTokens: number
  /** How the vectors of a text's tokens become one, where the graph does not do it itself. */
  pooling: Pooling
}>

const SHIPPED = fileURLToPath(new URL('../../data/model/', import.meta.url))
// BERT's own limit, and what most folders without any length are made from.
const USUAL_MAX_TOKENS = 512

/** Reads a shipped model by its name, or any sentence-transformers style ONNX folder by its path. */
export async function readModelFolder(nameOrPath: string): Promise<ModelFolder> {
  const folder = await findFolder(nameOrPath)
  const modelFile = await firstFile(folder, ['model.onnx', 'onnx/model.onnx'], 'the model as an ONNX graph')
  const tokenizerFile = await firstFile(folder, ['tokenizer.json'], 'the vocabulary')
  const maxTokens = await readMaxTokens(folder)
  const pooling = await readPooling(folder)
  const revision = await hashOf([modelFile, `${modelFile}_data`, tokenizerFile], JSON.stringify({ maxTokens, pooling }))
  const source = folder.startsWith(SHIPPED) ? basename(folder) : folder
  return Object.freeze({
    name: basename(folder),
    folder,
    source,
    revision,
    modelFile,
    tokenizerFile,
    maxTokens,
    pooling,
  })
}

async function findFolder(nameOrPath: string): Promise<string> {
  const shipped = await readdir(SHIPPED)
  if (shipped.includes(nameOrPath)) return join(SHIPPED, nameOrPath)
  const folder = resolve(nameOrPath)
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory()) return folder
  const hint =
    `export QUARTERDECK_MODEL=${shipped[0]}, or the path of a folder with tokenizer.json and model.onnx ` +
    `(shipped: ${shipped.join(', ')})`
  if (found) throw new UserError(`the model ${folder} is a file; a model is a folder`, hint)
  if (/[/\\]/.test(nameOrPath)) throw new UserError(`the model folder ${folder} does not exist`, hint)
  throw new UserError(`no model is named ${JSON.stringify(nameOrPath)}, and no folder here is called so`, hint)
}

async function firstFile(folder: string, names: readonly string[], what: string): Promise<string> {
  for (const name of names) {
    const path = join(folder, name)
    if ((await stat(path).catch(() => undefined))?.isFile()) return path
  }
  throw new UserError(
    `the model folder ${folder} has no ${names.join(' or ')}, which holds ${what}`,
    'give a folder as sentence-transformers writes it with backend="onnx"',
  )
}

/**
 * sentence_bert_config.json comes first: the tokenizer.json of all-MiniLM-L6-v2 cuts at 128 tokens, its
 * sentence_bert_config.json says 256, and sentence-transformers obeys the latter.
 */
async function readMaxTokens(folder: string): Promise<number> {
  const own = (await readJson(folder, 'sentence_bert_config.json'))?.max_seq_length
  if (own !== undefined && own !== null) {
    if (isLength(own)) return own
    throw new UserError(
      `max_seq_length in ${join(folder, 'sentence_bert_config.json')} is ${JSON.stringify(own)}, not a number of tokens`,
      'take the file as the model was published',
    )
  }
  // A tokenizer without a limit says 1e30 here, which is no length.
  const limits = [
    (await readJson(folder, 'tokenizer_config.json'))?.model_max_length,
    (await readJson(folder, 'config.json'))?.max_position_embeddings,
  ].filter(isLength)
  return limits.length > 0 ? Math.min(...limits) : USUAL_MAX_TOKENS
}

function isLength(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 3 && value <= 1_000_000
}

/** What modules.json and the pooling module's own config say; without modules.json the mean, as sentence-transformers. */
async function readPooling(folder: string): Promise<Pooling> {
  const modules = await readJson(folder, 'modules.json')
  if (modules === undefined) return 'mean'
  if (!Array.isArray(modules)) throw broken(join(folder, 'modules.json'), 'not a list')
  let pooling: Pooling = 'mean'
  for (const module of modules) {
    const kind = String(module?.type).split('.').at(-1)
    if (kind === 'Pooling') pooling = await readPoolingMode(folder, join(String(module.path), 'config.json'))
    // Normalize needs no reading: every vector of ours has length 1, because all that follows goes by the cosine.
    else if (kind !== 'Transformer' && kind !== 'Normalize') {
      throw new UserError(
        `the model folder ${folder} has a ${kind} module; its vectors would come out wrong without it`,
        'take a model that is made of Transformer, Pooling and Normalize only',
      )
    }
  }
  return pooling
}

async function readPoolingMode(folder: string, name: string): Promise<Pooling> {
  const config = await readJson(folder, name)
  if (config === undefined) throw broken(join(folder, name), 'absent, though modules.json names it')
  const flags = Object.keys(config).filter(key => key.startsWith('pooling_mode_') && config[key] === true)
  const modes = typeof config.pooling_mode === 'string' ? [config.pooling_mode] : flags
  if (modes.length === 1 && (modes[0] === 'pooling_mode_mean_tokens' || modes[0] === 'mean')) return 'mean'
  if (modes.length === 1 && (modes[0] === 'pooling_mode_cls_token' || modes[0] === 'cls')) return 'cls'
  throw new UserError(
    `the model folder ${folder} pools by ${modes.join(' and ') || 'nothing'}; this program can pool by mean or by cls`,
    'take a model that pools by mean or by cls',
  )
}

type Json = Record<string, unknown>

async function readJson(folder: string, name: string): Promise<Json | undefined> {
  const path = join(folder, name)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Json
  } catch (error) {
    throw broken(path, messageOf(error))
  }
  throw broken(path, 'not an object')
}

function broken(path: string, reason: string): UserError {
  return new UserError(`cannot read ${path}: ${reason}`, 'take the file as the model was published')
}

/** Streamed, because a model may be larger than memory should hold twice; `_data` is where large graphs keep weights. */
async function hashOf(files: readonly string[], facts: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    if (!(await stat(file).catch(() => undefined))) continue
    await pipeline(createReadStream(file), async chunks => {
      for await (const chunk of chunks) hash.update(chunk)
    })
  }
  return hash.update(facts).digest('hex').slice(0, 12)
}

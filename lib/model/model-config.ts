// The facts in a model folder's config files that decide its vectors: length, pooling, prompts; and the graph's size.
// Real folders contradict themselves, so each fact comes from the file that sentence-transformers obeys, whose vectors
// people compare with. Which folder, and whether its files are whole, is others' business.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '../errors.ts'
import type { Pooling } from './pooling.ts'

export type Prompts = Readonly<{ document: string; query: string }>
/** Heads of attention, numbers a token between the layers, and numbers a token within their middle. */
export type Shape = Readonly<{ heads: number; hidden: number; intermediate: number }>

export type ModelConfig = Readonly<{
  /** Longest text that is read, in tokens, special tokens included. */
  maxTokens: number
  /** How the vectors of a text's tokens become one, where the graph does not do it itself. */
  pooling: Pooling
  /** What the model wants in front of a text; empty for most. */
  prompts: Prompts
  /** From config.json, to foretell a batch's memory; undefined where it is not said. */
  shape: Shape | undefined
}>

// BERT's own limit, and what most folders without any length are made from.
const USUAL_MAX_TOKENS = 512

export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const maxTokens = await readMaxTokens(folder)
  const { pooling, includePrompt } = await readPooling(folder)
  const prompts = await readPrompts(folder)
  if (!includePrompt && (prompts.document !== '' || prompts.query !== ''))
    throw new UserError(
      `the model folder ${folder} puts a prompt in front of texts and leaves it out of the pooling (include_prompt is ` +
        'false); this program pools over all tokens',
      'take a model without prompts, or one that pools over them',
    )
  return { maxTokens, pooling, prompts, shape: await readShape(folder) }
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

type Module = { kind: string; path: string }

/** The parts that modules.json names, in order; undefined without that file. */
async function readModules(folder: string): Promise<Module[] | undefined> {
  const modules = await readJson(folder, 'modules.json')
  if (modules === undefined) return undefined
  if (!Array.isArray(modules)) throw broken(join(folder, 'modules.json'), 'not a list')
  return modules.map(module => ({ kind: String(module?.type).split('.').at(-1) ?? '', path: String(module?.path) }))
}

/** Names of the files that say how to pool, such as 1_Pooling/config.json: modules.json says where they are. */
export async function poolingFiles(folder: string): Promise<string[]> {
  const modules = (await readModules(folder)) ?? []
  return modules.filter(({ kind }) => kind === 'Pooling').map(({ path }) => join(path, 'config.json'))
}

type PoolingConfig = { pooling: Pooling; includePrompt: boolean }

/** What modules.json and the pooling module's own config say; without modules.json the mean, as sentence-transformers. */
async function readPooling(folder: string): Promise<PoolingConfig> {
  for (const { kind } of (await readModules(folder)) ?? []) {
    // Normalize needs no reading: every vector of ours has length 1, because all that follows goes by the cosine.
    if (kind === 'Pooling' || kind === 'Transformer' || kind === 'Normalize') continue
    throw new UserError(
      `the model folder ${folder} has a ${kind} module; its vectors would come out wrong without it`,
      'take a model that is made of Transformer, Pooling and Normalize only',
    )
  }
  let config: PoolingConfig = { pooling: 'mean', includePrompt: true }
  for (const file of await poolingFiles(folder)) config = await readPoolingFile(folder, file)
  return config
}

async function readPoolingFile(folder: string, name: string): Promise<PoolingConfig> {
  const config = await readJson(folder, name)
  if (config === undefined) throw broken(join(folder, name), 'absent, though modules.json names it')
  const includePrompt = config.include_prompt !== false
  const flags = Object.keys(config).filter(key => key.startsWith('pooling_mode_') && config[key] === true)
  const modes = typeof config.pooling_mode === 'string' ? [config.pooling_mode] : flags
  if (modes.length === 1 && (modes[0] === 'pooling_mode_mean_tokens' || modes[0] === 'mean'))
    return { pooling: 'mean', includePrompt }
  if (modes.length === 1 && (modes[0] === 'pooling_mode_cls_token' || modes[0] === 'cls'))
    return { pooling: 'cls', includePrompt }
  throw new UserError(
    `the model folder ${folder} pools by ${modes.join(' and ') || 'nothing'}; this program can pool by mean or by cls`,
    'take a model that pools by mean or by cls',
  )
}

/**
 * A document gets the prompt of that name, or else passage or corpus, a query the one named query, as encode_document and
 * encode_query of sentence-transformers choose; either falls back to the default prompt, which is what plain encode takes.
 */
async function readPrompts(folder: string): Promise<Prompts> {
  const file = 'config_sentence_transformers.json'
  const config = await readJson(folder, file)
  const prompts = new Map<string, string>()
  for (const [name, prompt] of Object.entries(config?.prompts ?? {})) {
    if (typeof prompt !== 'string' && prompt !== null) throw broken(join(folder, file), `the prompt ${name} is no text`)
    prompts.set(name, prompt ?? '')
  }
  const standard = config?.default_prompt_name ?? undefined
  if (standard !== undefined && !prompts.has(String(standard)))
    throw broken(join(folder, file), `default_prompt_name is ${JSON.stringify(standard)}, and no prompt has that name`)
  const first = (...names: string[]) => {
    const name = names.find(one => prompts.has(one)) ?? standard
    return (name === undefined ? undefined : prompts.get(String(name))) ?? ''
  }
  return { document: first('document', 'passage', 'corpus'), query: first('query') }
}

/** config.json as BERT and most others write it, or as DistilBERT does. */
async function readShape(folder: string): Promise<Shape | undefined> {
  const config = await readJson(folder, 'config.json')
  const heads = config?.num_attention_heads ?? config?.n_heads
  const hidden = config?.hidden_size ?? config?.dim
  const intermediate = config?.intermediate_size ?? config?.hidden_dim
  if (isSize(heads) && isSize(hidden) && isSize(intermediate)) return { heads, hidden, intermediate }
  return undefined
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 // a static model has no heads
}

type Json = Record<string, unknown>

async function readJson(folder: string, name: string): Promise<Json | undefined> {
  const path = join(folder, name)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    // Absent is an answer; a file that may not be read is none, and its facts decide the vectors.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw broken(path, messageOf(error))
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

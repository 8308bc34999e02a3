// The only file that knows onnxruntime: a model that turns token ids into one vector a text, or a graph of our own.
// run() of onnxruntime-node blocks the thread it is called on (measured: 5 batches, 2.6 s, a 1 ms timer fired 4 times),
// so this file is loaded by onnx-child.ts in a process and by nearest-worker.ts in a thread of its own, never by the main
// thread.

import { readFile, stat } from 'node:fs/promises'
import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import { messageOf, UserError } from '../errors.ts'
import type { Batch } from './batching.ts'
import { appendPooling, POOLED_OUTPUT } from './graph-pooling.ts'
import { saysOutOfMemory } from './out-of-memory.ts'
import { normalizeRows, type Pooling, pool } from './pooling.ts'

export type Session = {
  dimension: number
  /** rows × dimension, every row of length 1, or zero where the model knows none of the tokens. */
  run(batch: Batch): Promise<Float32Array>
}

/** Where a session runs, in onnxruntime's own words for its execution providers. */
export type Device = 'cpu' | 'cuda' | 'webgpu'

export type SessionOptions = {
  modelFile: string
  pooling: Pooling
  threads: number
  device: Device
  /** The longest text and the largest id that it will be given: tried when it opens. */
  maxTokens: number
  largestId: number
}

const KNOWN_INPUTS = ['input_ids', 'attention_mask', 'token_type_ids']

/** A table as onnxruntime takes and gives it: its numbers, row after row, and the lengths of its sides. */
export type Values = { data: Float32Array | Int32Array | BigInt64Array; shape: readonly number[] }

export type Graph = {
  run(inputs: Readonly<Record<string, Values>>): Promise<Record<string, Values>>
  close(): Promise<void>
}

/** Opens a graph that onnx-graph.ts wrote; its sums are float32, in an order of the library's choice. */
export async function openGraph(bytes: Uint8Array, threads: number): Promise<Graph> {
  const session = await createSession(bytes, threads)
  return {
    async run(inputs) {
      const feeds = Object.entries(inputs).map(([name, { data, shape }]) => [name, new Tensor(data, shape)] as const)
      const results = await session.run(Object.fromEntries(feeds))
      const values = Object.entries(results).map(
        ([name, { data, dims }]) => [name, { data: data as Values['data'], shape: dims }] as const,
      )
      return Object.fromEntries(values)
    },
    close: () => session.release(),
  }
}

export async function openSession(options: SessionOptions): Promise<Session> {
  const { modelFile, pooling, threads, device } = options
  const session = await load(modelFile, pooling, threads, device)
  checkInputs(session, modelFile)
  const output = chooseOutput(session, modelFile)
  const run = async (batch: Batch): Promise<Float32Array> => {
    const results = await session.run(feedsOf(batch, session.inputNames), [output])
    const { data, dims } = results[output]
    if (!(data instanceof Float32Array))
      throw new UserError(`${modelFile} answers in ${results[output].type}, not float32`)
    const rows = batch.lengths.length
    if (dims.length === 2 && dims[0] === rows) return normalizeRows(data, dims[1])
    if (dims.length === 3 && dims[0] === rows && dims[1] === batch.columns) {
      return pool(data, batch.lengths, batch.columns, pooling)
    }
    throw new UserError(
      `${output} of ${modelFile} has the shape ${dims.join(' × ')} for ${rows} texts of ${batch.columns} tokens`,
      'take a model whose output is one vector a text, or one a token',
    )
  }
  return { dimension: await trial(run, options), run }
}

/**
 * One run at the start, the longest there can be: a vocabulary or a length that does not fit the graph, like any shape or
 * operator, shows itself here and not an hour into a quarter. Returns the dimension.
 */
async function trial(run: Session['run'], { modelFile, maxTokens, largestId }: SessionOptions): Promise<number> {
  const ids = new Int32Array(maxTokens)
  ids[0] = largestId
  try {
    return (await run({ ids, lengths: Int32Array.of(maxTokens), columns: maxTokens })).length
  } catch (error) {
    if (error instanceof UserError || saysOutOfMemory(messageOf(error))) throw error
    throw new UserError(
      `${modelFile} cannot run a text of ${maxTokens} tokens with ids up to ${largestId}: ${messageOf(error)}`,
      'model.onnx, tokenizer.json and the config files have to be of one publication',
    )
  }
}

function createSession(model: string | Uint8Array, threads: number, device: Device = 'cpu'): Promise<InferenceSession> {
  env.logLevel = 'fatal' // what goes wrong is thrown as well, and stderr belongs to lib/log.ts
  const options = {
    // One alone, not a list to fall back on: a card that fails has to be heard of.
    executionProviders: [device],
    // Said explicitly: left alone, onnxruntime counts the host's cores, and more threads than cores halve the speed.
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: {
      // Threads wait awake while a batch runs and sleep between batches: the tokenizer, the clustering and the database want
      // the same cores. m, MiniLM, two threads: 170 ms a batch, as when they never sleep; 179 when they always do.
      session: { force_spinning_stop: '1' },
      // On a CPU the fused kernel is slower than the two it replaces: 12 to 15 % of an int8 MiniLM (m), nothing in float32.
      ...(device === 'cpu' && { optimization: { disable_specified_optimizers: 'SkipLayerNormFusion' } }),
    },
  }
  // Two calls, because the library's types know no argument that is either.
  return typeof model === 'string' ? InferenceSession.create(model, options) : InferenceSession.create(model, options)
}

// Above this a file is not read into memory beside the session: protobuf ends at 2 GiB, and so does a Buffer on some systems.
const LARGEST_IN_MEMORY = 2 ** 31 - 2 ** 20

async function load(modelFile: string, pooling: Pooling, threads: number, device: Device): Promise<InferenceSession> {
  try {
    // With the pooling in the graph only a vector a text comes out, not one a token: 1 to 4 % of the time on a CPU (m), and on
    // a card the way back over the bus.
    const small = (await stat(modelFile)).size < LARGEST_IN_MEMORY
    const pooled = small ? appendPooling(await readFile(modelFile), pooling) : undefined
    return await createSession(pooled ?? modelFile, threads, device)
  } catch (error) {
    throw new UserError(
      `onnxruntime cannot load ${modelFile}${device === 'cpu' ? '' : ` on ${device}`}: ${messageOf(error)}`,
      device === 'cpu'
        ? 'take the file as the model was published; a file fetched by git may need: git lfs pull'
        : 'use --device cpu, or see docs/operations.md for what a card needs',
    )
  }
}

function checkInputs(session: InferenceSession, modelFile: string): void {
  const unknown = session.inputNames.filter(name => !KNOWN_INPUTS.includes(name))
  if (unknown.length === 0 && session.inputNames.includes('input_ids')) return
  throw new UserError(
    `${modelFile} asks for ${session.inputNames.join(', ')}; this program can give ${KNOWN_INPUTS.join(', ')}`,
    'take a model exported for feature extraction, as BERT and its kin are',
  )
}

/** One vector a text where the graph has it, else one a token: by the names that exporters use, else the only output. */
function chooseOutput(session: InferenceSession, modelFile: string): string {
  const names = session.outputNames
  const wanted = ['sentence_embedding', POOLED_OUTPUT, 'last_hidden_state', 'token_embeddings'].find(name =>
    names.includes(name),
  )
  const output = wanted ?? (names.length === 1 ? names[0] : undefined)
  if (output !== undefined) return output
  throw new UserError(
    `${modelFile} answers ${names.join(', ')}; none is sentence_embedding or last_hidden_state`,
    'take a model exported for feature extraction',
  )
}

function feedsOf(batch: Batch, inputNames: readonly string[]): Record<string, Tensor> {
  const { ids, lengths, columns } = batch
  const shape = [lengths.length, columns]
  const idWords = new BigInt64Array(ids.length)
  const maskWords = new BigInt64Array(ids.length)
  // int64 without a BigInt for each number: the low words are every second int32 of the same memory (little-endian).
  const idLow = new Int32Array(idWords.buffer)
  const maskLow = new Int32Array(maskWords.buffer)
  for (let i = 0; i < ids.length; i++) idLow[2 * i] = ids[i]
  for (const [row, length] of lengths.entries()) {
    for (let column = 0; column < length; column++) maskLow[2 * (row * columns + column)] = 1
  }
  const feeds: Record<string, Tensor> = { input_ids: new Tensor('int64', idWords, shape) }
  if (inputNames.includes('attention_mask')) feeds.attention_mask = new Tensor('int64', maskWords, shape)
  // One text a row, so every token is of segment 0.
  if (inputNames.includes('token_type_ids')) {
    feeds.token_type_ids = new Tensor('int64', new BigInt64Array(ids.length), shape)
  }
  return feeds
}

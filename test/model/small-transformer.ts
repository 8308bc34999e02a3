// A real transformer, only small: two layers of attention in 32 numbers a token, drawn from a seed, as a folder in the
// layout of sentence-transformers. Beside it the same sums in plain loops of float64, which know nothing of ONNX: what
// the folder's vectors have to be.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRandom } from '../../lib/math/random.ts'
import {
  type GraphConstant,
  type GraphNode,
  type GraphPlan,
  type GraphValue,
  graphBytes,
} from '../../lib/model/onnx-graph.ts'

const D = 32
const HEADS = 4
const HEAD = D / HEADS
const INNER = 64
const LAYERS = 2
const EPSILON = 1e-12
// Odd on purpose: a batch that is padded to a rounder number has places the model knows nothing of, and fails.
export const MOST_TOKENS = 31

export type Variant = {
  pooling: 'mean' | 'cls'
  /** What the graph answers: one vector a token, the same in half precision, or one a text, longer or shorter than 1. */
  output: 'last_hidden_state' | 'float16' | 'sentence_embedding'
  tokenTypes: boolean
  prompts: { query: string; document: string } | undefined
}

export const PLAIN: Variant = { pooling: 'mean', output: 'last_hidden_state', tokenTypes: true, prompts: undefined }

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
const [UNKNOWN, FIRST, LAST] = [1, 2, 3]
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789']
const WORDS = `query passage the of and to in a we our is was that for on with this as it were by be from are will have up revenue growth
  quarter margin price mix cost currency share buy back dividend guidance year month order backlog customer capital spend
  debt tax rate inventory store traffic trial drill rig loan deposit steel labor freight energy hire engineer demand supply
  sale product service market segment cash flow earning profit loss volume higher lower strong weak expect continue plan`
const ENDINGS = ['##ed', '##ing', '##er', '##ly', '##ment']
/** Each once: a token is its place. */
export const VOCABULARY: readonly string[] = [
  ...SPECIAL,
  ...'.,:%$',
  ...LETTERS,
  ...LETTERS.map(letter => `##${letter}`),
  ...ENDINGS,
  ...new Set(WORDS.split(/\s+/).filter(word => word.length > 1)),
]

/** Everything that is learned in a real model; rows × columns, row-major, and as float32, which is what both sums read. */
type Weights = Readonly<Record<string, { data: Float32Array; shape: readonly number[] }>>

const WEIGHTS = drawWeights()

function drawWeights(): Weights {
  const random = createRandom(20240930)
  const draw = (middle: number, spread: number, ...shape: number[]) => ({
    data: Float32Array.from(
      { length: shape.reduce((product, side) => product * side, 1) },
      () => middle + spread * (2 * random.next() - 1),
    ),
    shape,
  })
  // Wide enough that attention prefers some tokens, and every part of the graph moves the result.
  const linear = (name: string, from: number, to: number) => ({
    [`${name} weight`]: draw(0, 3 / Math.sqrt(from), from, to),
    [`${name} bias`]: draw(0, 0.3, to),
  })
  const norm = (name: string) => ({ [`${name} scale`]: draw(1, 0.5, D), [`${name} bias`]: draw(0, 0.3, D) })
  return {
    words: draw(0, 1, VOCABULARY.length, D),
    places: draw(0, 0.5, MOST_TOKENS, D),
    types: draw(0, 0.5, 2, D),
    ...norm('first'),
    ...Object.assign(
      {},
      ...Array.from({ length: LAYERS }, (_, layer) => ({
        ...linear(`query ${layer}`, D, D),
        ...linear(`key ${layer}`, D, D),
        ...linear(`value ${layer}`, D, D),
        ...linear(`joined ${layer}`, D, D),
        ...norm(`attended ${layer}`),
        ...linear(`up ${layer}`, D, INNER),
        ...linear(`down ${layer}`, INNER, D),
        ...norm(`out ${layer}`),
      })),
    ),
  }
}

/** Writes the model into `folder`, which it makes; the folder's files contradict each other where MiniLM's do. */
export function writeSmallTransformer(folder: string, variant: Variant): void {
  const { pooling, prompts } = variant
  const files: Record<string, unknown> = {
    'tokenizer.json': tokenizerFile(),
    'tokenizer_config.json': { model_max_length: 512, tokenizer_class: 'BertTokenizer' },
    'config.json': {
      model_type: 'bert',
      hidden_size: D,
      num_attention_heads: HEADS,
      num_hidden_layers: LAYERS,
      intermediate_size: INNER,
      max_position_embeddings: MOST_TOKENS,
      vocab_size: VOCABULARY.length,
    },
    'sentence_bert_config.json': { max_seq_length: MOST_TOKENS, do_lower_case: false },
    'config_sentence_transformers.json': { prompts: prompts ?? {}, default_prompt_name: null },
    'modules.json': [
      { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
      { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
      { idx: 2, name: '2', path: '2_Normalize', type: 'sentence_transformers.models.Normalize' },
    ],
    '1_Pooling/config.json': {
      word_embedding_dimension: D,
      pooling_mode_cls_token: pooling === 'cls',
      pooling_mode_mean_tokens: pooling === 'mean',
      pooling_mode_max_tokens: false,
      pooling_mode_mean_sqrt_len_tokens: false,
    },
  }
  for (const part of ['1_Pooling', 'onnx']) mkdirSync(join(folder, part), { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content))
  writeFileSync(join(folder, 'onnx', 'model.onnx'), smallGraph(variant))
}

function tokenizerFile(): unknown {
  const special = (name: string) => ({ id: name, ids: [VOCABULARY.indexOf(name)], tokens: [name] })
  const piece = (name: string) => ({ SpecialToken: { id: name, type_id: 0 } })
  return {
    version: '1.0',
    // As in all-MiniLM-L6-v2: neither is obeyed by sentence-transformers, which has a length of its own.
    truncation: { max_length: 8, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 8 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: '[PAD]',
    },
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [piece('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, piece('[SEP]')],
      pair: [piece('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, piece('[SEP]')],
      special_tokens: { '[CLS]': special('[CLS]'), '[SEP]': special('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(VOCABULARY.map((token, id) => [token, id])),
    },
  }
}

/** The whole model as bytes; `operatorsVersion` from 17, which brought LayerNormalization. */
export function smallGraph({ pooling, output, tokenTypes }: Variant): Uint8Array {
  const nodes: GraphNode[] = []
  const constants: GraphConstant[] = Object.entries(WEIGHTS).map(([name, table]) => ({ name, ...table }))
  function node(operator: string, inputs: string[], result: string, attributes: GraphNode['attributes'] = {}): string {
    nodes.push({ operator, inputs, outputs: [result], attributes })
    return result
  }
  function whole(name: string, ...values: number[]): string {
    constants.push({ name, data: BigInt64Array.from(values, BigInt), shape: [values.length] })
    return name
  }
  function fraction(name: string, value: number): string {
    constants.push({ name, data: Float32Array.of(value), shape: [] })
    return name
  }
  const norm = (input: string, name: string) =>
    node('LayerNormalization', [input, `${name} scale`, `${name} bias`], `${name} normed`, {
      epsilon: { fraction: EPSILON },
    })
  const linear = (input: string, name: string) =>
    node('Add', [node('MatMul', [input, `${name} weight`], `${name} product`), `${name} bias`], `${name} result`)

  const [zero, one, headShape, joinedShape] = [
    whole('zero', 0),
    whole('one', 1),
    whole('head shape', 0, 0, HEADS, HEAD),
    whole('joined shape', 0, 0, D),
  ]
  const columns = node('Gather', [node('Shape', ['input_ids'], 'shape'), one], 'columns')
  const places = node('Slice', ['places', zero, columns, zero], 'places of text')
  let sum = node('Add', [node('Gather', ['words', 'input_ids'], 'words of text'), places], 'placed')
  if (tokenTypes) sum = node('Add', [sum, node('Gather', ['types', 'token_type_ids'], 'types of text')], 'typed')
  const mask = node('Cast', ['attention_mask'], 'mask', { to: 1 })
  const absent = node('Sub', [fraction('present', 1), mask], 'absent')
  const away = node('Mul', [absent, fraction('far', -1e9)], 'away')
  const bias = node('Reshape', [away, whole('bias shape', 0, 1, 1, -1)], 'bias')
  const scale = fraction('scale', Math.sqrt(HEAD))
  let hidden = norm(sum, 'first')
  for (let layer = 0; layer < LAYERS; layer++) {
    const [query, key, value] = ['query', 'key', 'value'].map(part => {
      const split = node('Reshape', [linear(hidden, `${part} ${layer}`), headShape], `${part} ${layer} split`)
      return node('Transpose', [split], `${part} ${layer} heads`, {
        perm: part === 'key' ? [0, 2, 3, 1] : [0, 2, 1, 3],
      })
    })
    const products = node('Div', [node('MatMul', [query, key], `products ${layer}`), scale], `scaled ${layer}`)
    const scores = node('Softmax', [node('Add', [products, bias], `masked ${layer}`)], `scores ${layer}`, { axis: 3 })
    const context = node('MatMul', [scores, value], `context ${layer}`)
    const turned = node('Transpose', [context], `turned ${layer}`, { perm: [0, 2, 1, 3] })
    const joined = linear(node('Reshape', [turned, joinedShape], `joined heads ${layer}`), `joined ${layer}`)
    const attended = norm(node('Add', [hidden, joined], `attended sum ${layer}`), `attended ${layer}`)
    const inner = node('Relu', [linear(attended, `up ${layer}`)], `inner ${layer}`)
    hidden = norm(node('Add', [attended, linear(inner, `down ${layer}`)], `out sum ${layer}`), `out ${layer}`)
  }
  const outputs = outputOf()

  function outputOf(): GraphValue[] {
    const perToken = ['batch', 'columns', D]
    if (output === 'float16') {
      node('Cast', [hidden], 'last_hidden_state', { to: 10 })
      return [{ name: 'last_hidden_state', type: 'float16', shape: perToken }]
    }
    if (output === 'last_hidden_state') {
      node('Identity', [hidden], 'last_hidden_state')
      return [{ name: 'last_hidden_state', type: 'float32', shape: perToken }]
    }
    node('Identity', [hidden], 'token_embeddings')
    if (pooling === 'cls') {
      constants.push({ name: 'first token', data: BigInt64Array.of(0n), shape: [] })
      node('Gather', [hidden, 'first token'], 'sentence_embedding', { axis: 1 })
    } else {
      const weighted = node(
        'Mul',
        [hidden, node('Reshape', [mask, whole('mask shape', 0, -1, 1)], 'as column')],
        'real',
      )
      const total = node('ReduceSum', [weighted, one], 'total', { keepdims: 0 })
      node('Div', [total, node('ReduceSum', [mask, one], 'count', { keepdims: 1 })], 'sentence_embedding')
    }
    return [
      { name: 'token_embeddings', type: 'float32', shape: perToken },
      { name: 'sentence_embedding', type: 'float32', shape: ['batch', D] },
    ]
  }

  const plan: GraphPlan = {
    nodes,
    constants,
    inputs: ['input_ids', 'attention_mask', ...(tokenTypes ? ['token_type_ids'] : [])].map(name => ({
      name,
      type: 'int64',
      shape: ['batch', 'columns'],
    })),
    outputs,
  }
  return graphBytes(plan, 17)
}

/** The ids of a text, special tokens included, cut to what the model reads: the longest piece first, word by word. */
export function idsOf(text: string): number[] {
  const ids = text
    .toLowerCase()
    .match(/[a-z0-9]+|[^\sa-z0-9]/g)
    ?.flatMap(wordPieces)
  return [FIRST, ...(ids ?? []).slice(0, MOST_TOKENS - 2), LAST]
}

function wordPieces(word: string): number[] {
  const ids: number[] = []
  for (let start = 0; start < word.length; ) {
    let end = word.length
    const piece = () => VOCABULARY.indexOf((start === 0 ? '' : '##') + word.slice(start, end))
    while (end > start && piece() === -1) end--
    if (end === start) return [UNKNOWN]
    ids.push(piece())
    start = end
  }
  return ids
}

/** The unit vector of a text's ids, in float64 and without padding, since there is no other text. */
export function expectedVector(ids: readonly number[], { pooling, tokenTypes }: Variant): number[] {
  let hidden = ids.map((id, place) =>
    layerNorm(
      rowOf('words', id).map((value, j) => value + rowOf('places', place)[j] + (tokenTypes ? rowOf('types', 0)[j] : 0)),
      'first',
    ),
  )
  for (let layer = 0; layer < LAYERS; layer++) {
    const [queries, keys, values] = ['query', 'key', 'value'].map(part =>
      hidden.map(token => affine(token, `${part} ${layer}`)),
    )
    const attended = hidden.map((token, i) => {
      const context = Array.from({ length: HEADS }, (_, head) => {
        const part = (vector: number[]) => vector.slice(head * HEAD, (head + 1) * HEAD)
        const powers = keys.map(key => Math.exp(dot(part(queries[i]), part(key)) / Math.sqrt(HEAD)))
        const total = powers.reduce((sum, power) => sum + power, 0)
        return weightedSum(
          values.map(part),
          powers.map(power => power / total),
        )
      }).flat()
      return layerNorm(add(token, affine(context, `joined ${layer}`)), `attended ${layer}`)
    })
    hidden = attended.map(token => {
      const inner = affine(token, `up ${layer}`).map(value => Math.max(0, value))
      return layerNorm(add(token, affine(inner, `down ${layer}`)), `out ${layer}`)
    })
  }
  const vector = pooling === 'cls' ? hidden[0] : hidden.reduce(add)
  const length = Math.sqrt(dot(vector, vector))
  return vector.map(value => value / length)
}

function rowOf(name: string, row: number): number[] {
  const { data, shape } = WEIGHTS[name]
  return [...data.subarray(row * shape[1], (row + 1) * shape[1])]
}

function affine(vector: number[], name: string): number[] {
  const rows = vector.map((_, i) => rowOf(`${name} weight`, i))
  return add(weightedSum(rows, vector), [...WEIGHTS[`${name} bias`].data])
}

function layerNorm(vector: number[], name: string): number[] {
  const mean = vector.reduce((sum, value) => sum + value, 0) / vector.length
  const variance = vector.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vector.length
  const [scale, bias] = [WEIGHTS[`${name} scale`].data, WEIGHTS[`${name} bias`].data]
  return vector.map((value, j) => ((value - mean) / Math.sqrt(variance + EPSILON)) * scale[j] + bias[j])
}

function weightedSum(vectors: number[][], weights: number[]): number[] {
  return vectors[0].map((_, j) => vectors.reduce((sum, vector, i) => sum + weights[i] * vector[j], 0))
}

function add(a: number[], b: number[]): number[] {
  return a.map((value, j) => value + b[j])
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, j) => sum + value * b[j], 0)
}

// Writes the pooling behind a model that ends at one vector a token, so that one vector a text leaves onnxruntime.
// Why: copying the tokens' vectors out and pooling them in JavaScript costs 1 to 4 % of the CPU with MiniLM, and on a GPU
// the way over the bus. pooling.ts stays for the graphs that this file leaves alone, and as the slow twin.

import { type GraphConstant, type GraphNode, type GraphPlan, graphPart, NUMBER_TYPES } from './onnx-graph.ts'
import type { Pooling } from './pooling.ts'

/** float32, texts × d, every row of length 1, or zero where the sum was. Also the start of all names that are added. */
export const POOLED_OUTPUT = 'quarterdeck_sentence_embedding'

// Below these a constant has to be an input as well, and the operators below are not all there. Nothing above: Gather,
// MatMul, Reshape and the others mean the same in every version since, which the sums' axes, for one, do not.
const LEAST_FORMAT_VERSION = 4
const LEAST_OPERATORS_VERSION = 9

/**
 * The same model with one output more, POOLED_OUTPUT; undefined where it cannot be had, and pooling.ts has to do it: the
 * graph gives no vector a token or gives a text's vector itself, has no attention_mask for the mean, is of a format
 * before 2019, or keeps its weights in a second file, which is found from a path and not from bytes.
 * Nothing of the model is rewritten: the addition is 2 kB behind its bytes (see graphPart).
 */
export function appendPooling(model: Uint8Array, pooling: Pooling): Uint8Array | undefined {
  const { formatVersion, operatorsVersion, inputs, outputs, external } = readFacts(model)
  if (formatVersion < LEAST_FORMAT_VERSION || operatorsVersion < LEAST_OPERATORS_VERSION || external) return undefined
  if (pooling === 'mean' && !inputs.some(({ name }) => name === 'attention_mask')) return undefined
  const tokens = tokensOutput(outputs)
  if (tokens === undefined) return undefined
  return Buffer.concat([model, graphPart(poolingPlan(tokens, pooling))])
}

/** The output that holds one vector a token, by the names that exporters use, else by its three sides. */
function tokensOutput(outputs: readonly Value[]): string | undefined {
  if (outputs.some(({ name }) => name === 'sentence_embedding')) return undefined
  // Not bfloat16: onnxruntime-node opens no model that has an output of it.
  const types = [NUMBER_TYPES.float32, NUMBER_TYPES.float16]
  const fitting = outputs.filter(({ type, sides }) => types.includes(type) && sides === 3)
  const named = ['last_hidden_state', 'token_embeddings'].flatMap(name => fitting.filter(value => value.name === name))
  return (named[0] ?? (fitting.length === 1 ? fitting[0] : undefined))?.name
}

/**
 * mean: the mask (rows × 1 × columns) times the tokens (rows × columns × d). The division by the number of tokens is
 * left out: scaling to length 1 takes it away again. One product a text, so that no text's sum knows of its neighbours:
 * 2,883 texts of MiniLM, of 4 to 256 tokens, had the same bits alone as in batches of 2 to 64 with 1, 2 and 4 threads;
 * with Mul and ReduceSum 88 % of the texts had others, for no gain in time.
 */
function poolingPlan(tokens: string, pooling: Pooling): GraphPlan {
  const own = (name: string) => `${POOLED_OUTPUT}/${name}`
  const node = (operator: string, inputs: string[], output: string, attributes: GraphNode['attributes'] = {}) => ({
    operator,
    inputs,
    outputs: [output],
    attributes,
  })
  // In a shape, 0 keeps that side and -1 takes what is left.
  const shape = (name: string, ...sides: bigint[]): GraphConstant => ({
    name: own(name),
    data: BigInt64Array.from(sides),
    shape: [sides.length],
  })
  const sum = own('sum')
  const floats = { to: NUMBER_TYPES.float32 }
  const mean = [
    node('Cast', [tokens], own('tokens'), floats),
    node('Cast', ['attention_mask'], own('mask'), floats),
    node('Reshape', [own('mask'), own('as row')], own('mask row')),
    node('MatMul', [own('mask row'), own('tokens')], sum),
  ]
  const cls = [
    node('Gather', [tokens, own('first')], own('first token'), { axis: 1 }),
    node('Cast', [own('first token')], sum, floats),
  ]
  const unit = [
    node('Reshape', [sum, own('as row')], own('row')),
    node('Reshape', [sum, own('as column')], own('column')),
    node('MatMul', [own('row'), own('column')], own('squares')),
    node('Sqrt', [own('squares')], own('length')),
    node('Max', [own('length'), own('least length')], own('divisor')),
    node('Div', [own('row'), own('divisor')], own('unit row')),
    node('Reshape', [own('unit row'), own('as vector')], POOLED_OUTPUT),
  ]
  return {
    nodes: [...(pooling === 'mean' ? mean : cls), ...unit],
    constants: [
      shape('as row', 0n, 1n, -1n),
      shape('as column', 0n, -1n, 1n),
      shape('as vector', 0n, -1n),
      { name: own('first'), data: BigInt64Array.of(0n), shape: [] },
      // Under the length of any vector whose squares float32 still tells from zero, so that only zero is divided by it.
      { name: own('least length'), data: Float32Array.of(1e-30), shape: [] },
    ],
    outputs: [{ name: POOLED_OUTPUT, type: 'float32', shape: [own('texts'), own('d')] }],
  }
}

/** type: TensorProto.DataType; sides: how many; each 0 where the graph does not say. */
type Value = { name: string; type: number; sides: number }

type Facts = { formatVersion: number; operatorsVersion: number; inputs: Value[]; outputs: Value[]; external: boolean }

/** What the decision needs, by walking over the heads of the fields: weights and nodes are not looked into. */
function readFacts(model: Uint8Array): Facts {
  const facts: Facts = { formatVersion: 0, operatorsVersion: 0, inputs: [], outputs: [], external: false }
  for (const { id, value, bytes } of fieldsOf(model)) {
    if (id === 1) facts.formatVersion = value
    else if (id === 7) readGraph(bytes, facts)
    // The operators without a domain, or with that of the format; other domains number theirs apart.
    else if (id === 8 && ['', 'ai.onnx'].includes(text(first(bytes, 1)))) facts.operatorsVersion = first(bytes, 2).value
  }
  return facts
}

function readGraph(graph: Uint8Array, facts: Facts): void {
  for (const { id, bytes } of fieldsOf(graph)) {
    if (id === 5)
      facts.external ||= first(bytes, 14).value === 1 // TensorProto.data_location is EXTERNAL
    else if (id === 11) facts.inputs.push(readValue(bytes))
    else if (id === 12) facts.outputs.push(readValue(bytes))
  }
}

function readValue(value: Uint8Array): Value {
  const tensor = first(first(value, 2).bytes, 1).bytes
  const sides = [...fieldsOf(first(tensor, 2).bytes)].filter(({ id }) => id === 1)
  return { name: text(first(value, 1)), type: first(tensor, 1).value, sides: sides.length }
}

/** value: of a whole number; bytes: of all else. */
type Field = { id: number; value: number; bytes: Uint8Array }

/** The first field of that number; one that is left out is 0, or empty. */
function first(message: Uint8Array, id: number): Field {
  for (const field of fieldsOf(message)) if (field.id === id) return field
  return { id, value: 0, bytes: new Uint8Array() }
}

/** The fields of a protobuf message in their order; ends where the bytes are none, which onnxruntime then says better. */
function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0
  function variable(): number {
    let value = 0
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at++]
      value += (byte % 128) * scale
      if (byte < 128) break
    }
    return value
  }
  while (at < message.length) {
    const head = variable()
    const kind = head % 8
    const value = kind === 0 ? variable() : 0
    const length = kind === 1 ? 8 : kind === 2 ? variable() : kind === 5 ? 4 : 0
    if (![0, 1, 2, 5].includes(kind)) return
    yield { id: Math.floor(head / 8), value, bytes: message.subarray(at, at + length) }
    at += length
  }
}

function text({ bytes }: Field): string {
  return new TextDecoder().decode(bytes)
}

// Writes an ONNX graph: the few fields of the format that a graph of a handful of operators needs, as protobuf bytes.
// Here because the libraries that build graphs are Python's, and a hundred lines are less than a protobuf package.
// Leaves the running to onnx.ts. The field numbers are those of onnx.proto (github.com/onnx/onnx).

/** Sides of a table: a number, or a name where each run may bring another size. */
export type GraphValue = {
  name: string
  type: 'float32' | 'int32' | 'int64' | 'float16'
  shape: readonly (number | string)[]
}

export type GraphNode = {
  operator: string
  inputs: readonly string[]
  outputs: readonly string[]
  /** A whole number from 0, a list of them, or a fraction, which has to be said: 1 may be either in JavaScript. */
  attributes?: Readonly<Record<string, number | readonly number[] | { fraction: number }>>
}

/** Numbers that the graph holds itself, such as weights: row after row, as many as the sides of `shape` say. */
export type GraphConstant = { name: string; data: Float32Array | BigInt64Array; shape: readonly number[] }

export type GraphPlan = {
  nodes: readonly GraphNode[]
  inputs?: readonly GraphValue[]
  outputs: readonly GraphValue[]
  constants?: readonly GraphConstant[]
}

/** TensorProto.DataType */
export const NUMBER_TYPES = { float32: 1, int32: 6, int64: 7, float16: 10 }
const ATTRIBUTE_TYPES = { fraction: 1, number: 2, numbers: 7 } // AttributeProto.AttributeType
// Version 8 of the format, and version 13 of the operators: what onnxruntime has read since 2021. Gemm, TopK and Cast
// have not changed their meaning since.
const FORMAT_VERSION = 8
const OPERATORS_VERSION = 13

/** The bytes of a model that is this graph alone. */
export function graphBytes(plan: GraphPlan, operatorsVersion = OPERATORS_VERSION): Uint8Array {
  const operators = [field(1, text('')), number(2, operatorsVersion)]
  return Buffer.concat([
    number(1, FORMAT_VERSION),
    field(7, field(2, text('graph'))),
    graphPart(plan),
    field(8, ...operators),
  ])
}

/**
 * The same nodes, constants, inputs and outputs as bytes to write behind those of another model, which then has both:
 * protobuf reads a message that comes a second time as more of the first one, and a list as the rest of the list.
 */
export function graphPart({ nodes, inputs = [], outputs, constants = [] }: GraphPlan): Uint8Array {
  return field(
    7,
    ...nodes.map(node => field(1, nodeBytes(node))),
    ...constants.map(constant => field(5, constantBytes(constant))),
    ...inputs.map(value => field(11, valueBytes(value))),
    ...outputs.map(value => field(12, valueBytes(value))),
  )
}

function nodeBytes({ operator, inputs, outputs, attributes = {} }: GraphNode): Uint8Array {
  return Buffer.concat([
    ...inputs.map(name => field(1, text(name))),
    ...outputs.map(name => field(2, text(name))),
    field(4, text(operator)),
    ...Object.entries(attributes).map(([name, value]) => field(5, field(1, text(name)), ...attributeFields(value))),
  ])
}

function attributeFields(value: number | readonly number[] | { fraction: number }): Uint8Array[] {
  if (typeof value === 'number') return [number(3, value), number(20, ATTRIBUTE_TYPES.number)]
  if ('fraction' in value) return [float(2, value.fraction), number(20, ATTRIBUTE_TYPES.fraction)]
  return [...value.map(each => number(8, each)), number(20, ATTRIBUTE_TYPES.numbers)]
}

function constantBytes({ name, data, shape }: GraphConstant): Uint8Array {
  const type = data instanceof Float32Array ? NUMBER_TYPES.float32 : NUMBER_TYPES.int64
  // The format's own order of bytes is that of every machine that onnxruntime has builds for: the lowest first.
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return Buffer.concat([...shape.map(side => number(1, side)), number(2, type), field(8, text(name)), field(9, raw)])
}

function valueBytes({ name, type, shape }: GraphValue): Uint8Array {
  const sides = shape.map(side => field(1, typeof side === 'string' ? field(2, text(side)) : number(1, side)))
  const tensor = [number(1, NUMBER_TYPES[type]), field(2, ...sides)]
  return Buffer.concat([field(1, text(name)), field(2, field(1, ...tensor))])
}

// Three of protobuf's kinds of field are enough: a whole number (kind 0), bytes that say how many they are (kind 2), and
// a float of four bytes (kind 5).
function number(id: number, value: number): Uint8Array {
  return Uint8Array.from([...variable(id * 8), ...variable(value)])
}

function field(id: number, ...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Uint8Array.from([...variable(id * 8 + 2), ...variable(length)]), ...parts])
}

function float(id: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return Buffer.concat([Uint8Array.from(variable(id * 8 + 5)), bytes])
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function variable(value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`whole number from 0 wanted, found ${value}`)
  return value < 128 ? [value] : [(value % 128) + 128, ...variable(Math.floor(value / 128))]
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

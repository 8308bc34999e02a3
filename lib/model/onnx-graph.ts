// Writes an ONNX graph: the few fields of the format that a graph of a handful of operators needs, as protobuf bytes.
// Here because the libraries that build graphs are Python's, and fifty lines are less than a protobuf package.
// Leaves the running to onnx.ts. The field numbers are those of onnx.proto (github.com/onnx/onnx).

/** Sides of a table: a number, or a name where each run may bring another size. */
export type GraphValue = { name: string; type: 'float32' | 'int32' | 'int64'; shape: readonly (number | string)[] }

export type GraphNode = {
  operator: string
  inputs: readonly string[]
  outputs: readonly string[]
  /** Whole numbers only: no operator here has others. */
  attributes?: Readonly<Record<string, number>>
}

export type GraphPlan = {
  nodes: readonly GraphNode[]
  inputs: readonly GraphValue[]
  outputs: readonly GraphValue[]
}

const TYPES = { float32: 1, int32: 6, int64: 7 } // TensorProto.DataType
const INTEGER_ATTRIBUTE = 2 // AttributeProto.AttributeType
// Version 8 of the format, and version 13 of the operators: what onnxruntime has read since 2021. Gemm, TopK and Cast
// have not changed their meaning since.
const FORMAT_VERSION = 8
const OPERATORS_VERSION = 13

/** The bytes of a model that is this graph and holds no weights: all numbers come in with a run. */
export function graphBytes({ nodes, inputs, outputs }: GraphPlan): Uint8Array {
  const graph = [
    ...nodes.flatMap(node => field(1, nodeBytes(node))),
    ...field(2, text('graph')),
    ...inputs.flatMap(value => field(11, valueBytes(value))),
    ...outputs.flatMap(value => field(12, valueBytes(value))),
  ]
  const operators = [...field(1, text('')), ...number(2, OPERATORS_VERSION)]
  return Uint8Array.from([...number(1, FORMAT_VERSION), ...field(7, graph), ...field(8, operators)])
}

function nodeBytes({ operator, inputs, outputs, attributes = {} }: GraphNode): number[] {
  return [
    ...inputs.flatMap(name => field(1, text(name))),
    ...outputs.flatMap(name => field(2, text(name))),
    ...field(4, text(operator)),
    ...Object.entries(attributes).flatMap(([name, value]) =>
      field(5, [...field(1, text(name)), ...number(3, value), ...number(20, INTEGER_ATTRIBUTE)]),
    ),
  ]
}

function valueBytes({ name, type, shape }: GraphValue): number[] {
  const sides = shape.flatMap(side => field(1, typeof side === 'string' ? field(2, text(side)) : number(1, side)))
  const tensor = [...number(1, TYPES[type]), ...field(2, sides)]
  return [...field(1, text(name)), ...field(2, field(1, tensor))]
}

// Two of protobuf's kinds of field are enough: a whole number (kind 0), and bytes that say how many they are (kind 2).
function number(id: number, value: number): number[] {
  return [...variable(id * 8), ...variable(value)]
}

function field(id: number, bytes: readonly number[]): number[] {
  return [...variable(id * 8 + 2), ...variable(bytes.length), ...bytes]
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function variable(value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`whole number from 0 wanted, found ${value}`)
  return value < 128 ? [value] : [(value % 128) + 128, ...variable(Math.floor(value / 128))]
}

function text(value: string): number[] {
  return [...new TextEncoder().encode(value)]
}

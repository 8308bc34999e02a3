// How large the known models are: layers, shape and weights, and so what a sentence costs in arithmetic and in memory traffic.
// For `plan`, which reckons before anything is fetched; a model that runs is asked for its own config.json (model-config.ts).

import { SHIPPED_MODEL } from '../settings.ts'
import { bytesOfBatch, DOCUMENT_TOKENS } from './batch-budget.ts'
import type { Shape } from './model-config.ts'
import { REGISTERED } from './registry.ts'

export type ModelSize = {
  name: string
  parameters: number
  /** Of the weights: float32, and int8 for the table that ships. */
  bytes: number
  dimension: number
  /** None: a table look-up, which multiplies nothing. */
  layers: number
  shape: Shape
}

// From each model's config.json at the commit of registry.ts.
const LAYERS: Readonly<Record<string, { layers: number; shape: Shape }>> = {
  'all-MiniLM-L6-v2': { layers: 6, shape: { heads: 12, hidden: 384, intermediate: 1536 } },
  'all-mpnet-base-v2': { layers: 12, shape: { heads: 12, hidden: 768, intermediate: 3072 } },
  'bge-small-en-v1.5': { layers: 12, shape: { heads: 12, hidden: 384, intermediate: 1536 } },
  'bge-base-en-v1.5': { layers: 12, shape: { heads: 12, hidden: 768, intermediate: 3072 } },
}
// 20,000 rows of 256 numbers, a byte each (data/model/earnings-static-256/README.md).
const SHIPPED: ModelSize = {
  name: SHIPPED_MODEL,
  parameters: 20_000 * 256,
  bytes: 5_200_573,
  dimension: 256,
  layers: 0,
  shape: { heads: 0, hidden: 256, intermediate: 0 },
}
const BYTES_A_NUMBER = 4

export const SIZED_MODELS: readonly string[] = [SHIPPED_MODEL, ...REGISTERED.map(({ name }) => name)]

/** Undefined for a model of which nothing is known here. */
export function sizeOfModel(name: string): ModelSize | undefined {
  if (name === SHIPPED_MODEL) return SHIPPED
  const registered = REGISTERED.find(one => one.name === name)
  const known = LAYERS[name]
  const bytes = registered?.graphs.fp32?.bytes
  if (registered === undefined || known === undefined || bytes === undefined) return undefined
  return { name, parameters: bytes / BYTES_A_NUMBER, bytes, dimension: registered.dimension, ...known }
}

/**
 * Operations of a text: two a weight of the layers and token, and four a number and token that it attends to. MiniLM at 26
 * tokens: .56 billion (docs/operations.md has .57, with pooling and normalising).
 */
export function operationsOf({ layers, shape: { hidden, intermediate } }: ModelSize, tokens: number): number {
  const weights = 4 * hidden ** 2 + 2 * hidden * intermediate
  return layers * tokens * (2 * weights + 4 * hidden * tokens)
}

/** Bytes that go through a card's memory for a text: what a layer keeps of it, written once and read once. */
export function trafficOf({ layers, shape }: ModelSize, tokens: number): number {
  return 2 * layers * bytesOfBatch(shape, 1, tokens)
}

// What batches begin with on a card (batch-budget.ts); they grow as long as there is room, so this is the least that does well.
const CARD_DOCUMENTS = 256

/** Memory that the model takes on a card: its weights, and a batch of texts of so many tokens. */
export function cardBytesOf({ bytes, shape }: ModelSize, tokens: number): number {
  return bytes + bytesOfBatch(shape, Math.ceil((CARD_DOCUMENTS * DOCUMENT_TOKENS) / tokens), tokens)
}

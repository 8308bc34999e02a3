// The tables `sentence_vectors` and `topic_vectors`: embeddings in and out, in binary both ways.

import type { Queries } from './connect.ts'
import { copyRows } from './copy.ts'
import { decodeVectorInto } from './vector-format.ts'

/** Embeddings of a firm's quarter: `vectors` is n × d, row i belongs to sentence i. */
export type FirmVectors = { firmId: string; sentenceIds: readonly bigint[]; vectors: Float32Array }

/**
 * Replaces the embeddings of some firms' quarter. What was made of the old ones goes: nothing may stand on vectors that are no
 * longer there.
 */
export async function replaceSentenceVectors(
  tx: Queries,
  quarter: string,
  firms: readonly FirmVectors[],
  d: number,
): Promise<void> {
  const firmIds = firms.map(firm => firm.firmId)
  await tx`delete from sentence_vectors where quarter = ${quarter} and firm_id = any(${firmIds})`
  await tx`delete from topic_sentences where quarter = ${quarter} and firm_id = any(${firmIds})`
  await tx`delete from topics where quarter = ${quarter} and firm_id = any(${firmIds})`
  await tx`delete from sentence_novelty where quarter = ${quarter} and firm_id = any(${firmIds})`
  await copyRows(
    tx,
    'sentence_vectors',
    [
      { name: 'quarter', type: 'text' },
      { name: 'sentence_id', type: 'int8' },
      { name: 'firm_id', type: 'text' },
      { name: 'embedding', type: 'vector' },
    ],
    rowsOf(quarter, firms, d),
  )
}

function* rowsOf(quarter: string, firms: readonly FirmVectors[], d: number): Generator<unknown[]> {
  for (const { firmId, sentenceIds, vectors } of firms) {
    for (const [i, id] of sentenceIds.entries()) yield [quarter, id, firmId, vectors.subarray(i * d, (i + 1) * d)]
  }
}

/** Embeddings of a firm's quarter as n × d, in the order of the given sentences. Every sentence must have one. */
export async function sentenceVectorsOf(
  sql: Queries,
  quarter: string,
  firmId: string,
  sentenceIds: readonly bigint[],
  d: number,
): Promise<Float32Array> {
  const rows = await sql<{ sentenceId: bigint; bytes: Buffer }[]>`
    select sentence_id as "sentenceId", vector_send(embedding) as bytes
    from sentence_vectors where quarter = ${quarter} and firm_id = ${firmId}`
  const bytesOf = new Map(rows.map(row => [row.sentenceId, row.bytes]))
  const vectors = new Float32Array(sentenceIds.length * d)
  for (const [i, id] of sentenceIds.entries()) {
    const bytes = bytesOf.get(id)
    if (bytes === undefined) throw new Error(`sentence ${id} of ${firmId} has no embedding`)
    decodeVectorInto(bytes, vectors, i * d)
  }
  return vectors
}

/** Replaces the embeddings of all topics of a quarter. */
export async function replaceTopicVectors(
  tx: Queries,
  quarter: string,
  topicIds: readonly string[],
  vectors: Float32Array,
  d: number,
): Promise<void> {
  await tx`delete from topic_vectors where quarter = ${quarter}`
  await copyRows(
    tx,
    'topic_vectors',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'embedding', type: 'vector' },
    ],
    topicIds.map((id, i) => [id, quarter, vectors.subarray(i * d, (i + 1) * d)]),
  )
}

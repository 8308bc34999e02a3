// What the clustering of a firm starts from: its name, its sentences and their embeddings, and what the quarter knows
// of words. Many firms in one go, because asking for each alone costs more than the answer.
// What is made of it is lib/text/firm-topics.

import { messageOf, UserError } from '../errors.ts'
import { commonWordsOf, firmNames, sizeOfQuarter } from './calls.ts'
import type { Queries } from './connect.ts'
import { boundModel } from './model-binding.ts'
import { decodeVectorInto, vectorBytes } from './vector-format.ts'

export type FirmInput = {
  firmId: string
  name: string
  /** In the order they were said. */
  sentences: { sentenceId: bigint; text: string }[]
  /** n × d, row i belongs to sentence i; in shared memory, so that a worker thread reads them where they are. */
  vectors: Float32Array
  /** Why nothing can be made of this firm, whose vectors are void then; the others in the same go are sound. */
  problem: string | undefined
}

/** The named firms of a quarter, in that order; without talk, or with it. `d` is the dimension of the embeddings. */
export async function readFirmInputs(
  sql: Queries,
  quarter: string,
  firmIds: readonly string[],
  d: number,
  withTalk: boolean,
): Promise<FirmInput[]> {
  // Two queries: sorting rows that carry their embedding takes the database twice as long.
  const [names, sentences, vectors] = await Promise.all([
    firmNames(sql, firmIds),
    sql<{ firmId: string; sentenceId: bigint; text: string }[]>`
      select s.firm_id as "firmId", s.sentence_id as "sentenceId", s.text
      from sentences s
      join calls c using (call_id)
      where s.quarter = ${quarter} and s.firm_id = any(${[...firmIds]}) and (${withTalk} or s.talk is null)
      order by c.call_date nulls first, s.sentence_id`,
    sql<{ sentenceId: bigint; bytes: Buffer }[]>`
      select sentence_id as "sentenceId", vector_send(embedding) as bytes
      from sentence_vectors where quarter = ${quarter} and firm_id = any(${[...firmIds]})`,
  ])
  const sentencesOf = new Map(firmIds.map(firmId => [firmId, [] as FirmInput['sentences']]))
  for (const { firmId, sentenceId, text } of sentences) sentencesOf.get(firmId)?.push({ sentenceId, text })
  const bytesOf = new Map(vectors.map(row => [row.sentenceId, row.bytes]))
  return firmIds.map(firmId => {
    const own = sentencesOf.get(firmId) ?? []
    const firm = { firmId, name: names.get(firmId) ?? '', sentences: own }
    try {
      return { ...firm, vectors: matrixOf(firmId, own, bytesOf, d), problem: undefined }
    } catch (error) {
      return { ...firm, vectors: new Float32Array(), problem: messageOf(error) }
    }
  })
}

function matrixOf(
  firmId: string,
  sentences: FirmInput['sentences'],
  bytesOf: ReadonlyMap<bigint, Buffer>,
  d: number,
): Float32Array {
  const matrix = new Float32Array(new SharedArrayBuffer(Float32Array.BYTES_PER_ELEMENT * sentences.length * d))
  for (const [i, { sentenceId }] of sentences.entries()) {
    const bytes = bytesOf.get(sentenceId)
    if (bytes === undefined) throw new Error(`sentence ${sentenceId} of ${firmId} has no embedding`)
    if (bytes.length !== vectorBytes(d))
      throw new Error(
        `the embedding of sentence ${sentenceId} of ${firmId} has ${bytes.length} bytes, wanted ${vectorBytes(d)}`,
      )
    decodeVectorInto(bytes, matrix, i * d)
  }
  return matrix
}

/** What holds for all firms of a quarter. */
export type QuarterBackground = { d: number; firmCount: number; firmsUsingWord: Map<string, number> }

export async function readBackground(sql: Queries, quarter: string): Promise<QuarterBackground> {
  const bound = await boundModel(sql)
  if (bound === undefined)
    throw new UserError('the database has no embeddings yet', `quarterdeck embed --quarter ${quarter}`)
  const { firms } = await sizeOfQuarter(sql, quarter)
  return { d: bound.dimension, firmCount: firms, firmsUsingWord: await commonWordsOf(sql, quarter) }
}

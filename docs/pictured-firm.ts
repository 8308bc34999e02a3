// A firm of the sample quarter as the pictures show it: its sentences, embeddings and topics as they stand in the database.
// Here for make-pictures.ts and community-pictures.ts, which draw the same firm.

import { query } from '../commands/sql.ts'
import { sentencesOfFirm } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel } from '../lib/db/model-binding.ts'
import { sentenceVectorsOf } from '../lib/db/vectors.ts'
import { FIRM_RECIPE, layoutOfFirm, NOISE } from '../lib/math/engine.ts'
import { seedFrom } from '../lib/math/random.ts'
import { STANDARD_RECIPE } from '../lib/text/firm-topics.ts'

export const QUARTER = '2016Q4'
export const HERNIA = 'So we look at it, ventral hernia'

/** One firm's sentences as the product clusters them: talk left out, each with its embedding and its topic from the database. */
export type Firm = {
  firmId: string
  n: number
  d: number
  texts: string[]
  positions: number[]
  vectors: Float32Array
  /** Number of the topic, from 1, or NOISE. */
  topics: number[]
  probabilities: number[]
}

export async function readFirm(sql: Database, firmId: string): Promise<Firm> {
  const d = (await boundModel(sql))?.dimension ?? 0
  const sentences = (await sentencesOfFirm(sql, QUARTER, firmId)).filter(sentence => sentence.talk === null)
  const ids = sentences.map(sentence => sentence.sentenceId)
  const rows = await query(
    sql,
    `select s.position, ts.topic_id, ts.probability from topic_sentences ts join sentences s using (quarter, sentence_id)
     where ts.quarter = '${QUARTER}' and ts.firm_id = '${firmId}' order by sentence_id`,
  )
  return {
    firmId,
    n: ids.length,
    d,
    texts: sentences.map(sentence => sentence.text),
    positions: rows.map(row => Number(row.position)),
    vectors: await sentenceVectorsOf(sql, QUARTER, firmId, ids, d),
    topics: rows.map(row => (row.topic_id === null ? NOISE : Number(String(row.topic_id).split('/')[2]))),
    probabilities: rows.map(row => Number(row.probability)),
  }
}

export function rowStarting(firm: Firm, beginning: string): number {
  const row = firm.texts.findIndex(text => text.startsWith(beginning))
  if (row < 0) throw new Error(`${firm.firmId} no longer says ${JSON.stringify(beginning)}`)
  return row
}

export function layoutOf(
  { vectors, n, d, firmId }: Firm,
  nComponents: number,
  epochs = FIRM_RECIPE.epochs,
): Float32Array {
  const seed = seedFrom(STANDARD_RECIPE.seed, firmId, QUARTER)
  return layoutOfFirm(vectors, n, d, { ...FIRM_RECIPE, nComponents, epochs }, seed)
}

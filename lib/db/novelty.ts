// The tables `sentence_novelty` and `topic_novelty`: which earlier quarter each firm is compared with, what the comparison
// reads, and its rows. A firm's row of `work` remembers in its recipe what it was compared with: when that changes, comes
// or goes, exactly such firms are to be done again.

import { NOISE } from '../math/engine.ts'
import type { CallVectors } from '../math/nearest-earlier.ts'
import type { Queries } from './connect.ts'
import { copyRows } from './copy.ts'
import { quartersInDatabase } from './quarters.ts'
import { decodeVectorInto, vectorBytes } from './vector-format.ts'
import type { Target } from './work.ts'

/**
 * The firm's call that another one is compared with. Attempts go up whenever its embeddings or topics are made anew; the
 * hash of its calls, because attempts begin again in a quarter that was dropped and loaded again.
 */
export type Earlier = { quarter: string; embed: number; clusterFirm: number; calls: string }

/** What a firm of the quarter is to be compared with now; null where the database has no earlier call of it. */
export async function comparisons(
  sql: Queries,
  { quarter, firmId }: Target,
  firmIds: readonly string[] | null = firmId === undefined ? null : [firmId],
): Promise<Map<string, Earlier | null>> {
  const rows = await sql<{ firmId: string; earlier: Earlier | null }[]>`
    select w.firm_id as "firmId", ${latestEarlier(sql, await quartersBefore(sql, quarter))} as earlier
    from work w
    where w.stage = 'novelty' and w.quarter = ${quarter}
      and (${firmIds && [...firmIds]}::text[] is null or w.firm_id = any(${firmIds && [...firmIds]}::text[]))`
  return new Map(rows.map(row => [row.firmId, row.earlier]))
}

async function quartersBefore(sql: Queries, quarter: string): Promise<string[]> {
  return (await quartersInDatabase(sql)).filter(one => one < quarter)
}

// Of firm w.firm_id; look-ups by key, one a quarter, where a join would read the work of all quarters for a few firms.
function latestEarlier(sql: Queries, quarters: readonly string[]) {
  return sql`(
    select jsonb_build_object('quarter', c.quarter, 'embed', e.attempt, 'clusterFirm', c.attempt, 'calls', (
      select md5(string_agg(content_hash, ' ' order by call_id)) from calls
      where calls.quarter = c.quarter and calls.firm_id = c.firm_id))
    from unnest(${[...quarters]}::text[]) as earlier (quarter)
    join work c on c.stage = 'cluster-firm' and c.quarter = earlier.quarter and c.firm_id = w.firm_id
    join work e on e.stage = 'embed' and e.quarter = earlier.quarter and e.firm_id = w.firm_id
    where c.state = 'done' and c.units > 0
    order by c.quarter desc limit 1)`
}

/**
 * Earlier quarters in which topics of these firms are still to be made: those firms are compared with their call before that,
 * and `work` says that they are stale as soon as the topics are there. A call that failed is nobody's to wait for.
 */
export async function earlierNotReady(
  sql: Queries,
  { quarter, firmId }: Target,
): Promise<{ quarter: string; firms: number }[]> {
  return await sql<{ quarter: string; firms: number }[]>`
    select latest.quarter, count(*)::int as firms
    from work w
    cross join lateral (
      select c.quarter, c.state
      from unnest(${await quartersBefore(sql, quarter)}::text[]) as earlier (quarter)
      join work c on c.stage = 'cluster-firm' and c.quarter = earlier.quarter and c.firm_id = w.firm_id
      where c.units > 0 and c.state <> 'failed' and not exists (
        select from work e
        where e.stage = 'embed' and e.quarter = c.quarter and e.firm_id = c.firm_id and e.state = 'failed')
      order by c.quarter desc limit 1
    ) as latest
    where w.stage = 'novelty' and w.quarter = ${quarter}
      and (${firmId ?? null}::text is null or w.firm_id = ${firmId ?? null})
      and latest.state <> 'done'
    group by latest.quarter order by latest.quarter`
}

/** Marks as stale what was done with another recipe than it would be done with now. */
export async function markOutdated(tx: Queries, target: Target, recipeOf: (earlier: Earlier | null) => string) {
  const now = [...(await comparisons(tx, target))]
  await tx`
    update work set state = 'stale'
    from unnest(${now.map(([firmId]) => firmId)}::text[], ${now.map(([, earlier]) => recipeOf(earlier))}::text[])
      as wanted (firm_id, recipe)
    where stage = 'novelty' and quarter = ${target.quarter} and state = 'done'
      and work.firm_id = wanted.firm_id and work.recipe <> wanted.recipe`
}

/** Later quarters of which firms are to be compared again, and how many; oldest first. */
export async function staleLater(sql: Queries, quarter: string): Promise<{ quarter: string; firms: number }[]> {
  return await sql<{ quarter: string; firms: number }[]>`
    select quarter, count(*)::int as firms from work
    where stage = 'novelty' and quarter > ${quarter} and state = 'stale'
    group by quarter order by quarter`
}

/** What the comparison reads of one firm's call. */
export type CallToCompare = {
  sentenceIds: bigint[]
  topicIds: string[]
  /** In shared memory, so that a worker thread reads them where they are. */
  vectors: CallVectors & { topicOfSentence: Int32Array }
}

/** The calls of firms in a quarter, in the order of sentence_id; a firm that has none there has an empty one. */
export async function callsToCompare(
  sql: Queries,
  quarter: string,
  firmIds: readonly string[],
  d: number,
): Promise<Map<string, CallToCompare>> {
  const firms = [...firmIds]
  // Not joined: sorting rows that carry their embedding takes the database twice as long. Firm by firm, since the embedded
  // database hands over an answer as a whole: what a portion is compared with may be many times as long as itself.
  const [perFirm, topics, topicOf] = await Promise.all([
    Promise.all(
      firms.map(
        firmId => sql<{ firmId: string; sentenceId: bigint; bytes: Buffer }[]>`
          select firm_id as "firmId", sentence_id as "sentenceId", vector_send(embedding) as bytes
          from sentence_vectors where quarter = ${quarter} and firm_id = ${firmId}`,
      ),
    ),
    sql<{ firmId: string; topicId: string; bytes: Buffer }[]>`
      select firm_id as "firmId", topic_id as "topicId", vector_send(centroid) as bytes
      from topics where quarter = ${quarter} and firm_id = any(${firms}) order by length(topic_id), topic_id`,
    sql<{ sentenceId: bigint; topicId: string }[]>`
      select sentence_id as "sentenceId", topic_id as "topicId"
      from topic_sentences where quarter = ${quarter} and firm_id = any(${firms}) and topic_id is not null`,
  ])
  const sentences = perFirm.flat().sort((a, b) => (a.sentenceId < b.sentenceId ? -1 : 1))
  const topicOfSentence = new Map(topicOf.map(row => [row.sentenceId, row.topicId]))
  const [sentencesOf, topicsOf] = [grouped(sentences), grouped(topics)]
  return new Map(
    firms.map(firmId => {
      const [own, ownTopics] = [sentencesOf.get(firmId) ?? [], topicsOf.get(firmId) ?? []]
      const placeOf = new Map(ownTopics.map((topic, place) => [topic.topicId, place]))
      const call: CallToCompare = {
        sentenceIds: own.map(row => row.sentenceId),
        topicIds: ownTopics.map(row => row.topicId),
        vectors: {
          n: own.length,
          vectors: matrixOf(own, d),
          topics: ownTopics.length,
          centroids: matrixOf(ownTopics, d),
          topicOfSentence: Int32Array.from(own, row => placeOf.get(topicOfSentence.get(row.sentenceId) ?? '') ?? NOISE),
        },
      }
      return [firmId, call]
    }),
  )
}

function grouped<Row extends { firmId: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(row.firmId)
    if (group === undefined) groups.set(row.firmId, [row])
    else group.push(row)
  }
  return groups
}

function matrixOf(rows: readonly { bytes: Buffer }[], d: number): Float32Array {
  const matrix = new Float32Array(new SharedArrayBuffer(Float32Array.BYTES_PER_ELEMENT * rows.length * d))
  for (const [i, { bytes }] of rows.entries()) {
    // Only while the database is bound to another model; the rows are stale by then, and this firm's fence falls.
    if (bytes.length !== vectorBytes(d))
      throw new Error(`an embedding has ${bytes.length} bytes, wanted ${vectorBytes(d)}`)
    decodeVectorInto(bytes, matrix, i * d)
  }
  return matrix
}

export type SentenceNovelty = {
  sentenceId: bigint
  nearestSentenceId: bigint
  similarity: number
  repeated: boolean
}

export type TopicNoveltyRow = {
  topicId: string
  nearestTopicId: string | null
  similarity: number | null
  sentenceSimilarity: number
  isNew: boolean
}

/** `earlierQuarter` null: there was none, and there are no rows. */
export type FirmNovelty = {
  firmId: string
  earlierQuarter: string | null
  sentences: readonly SentenceNovelty[]
  topics: readonly TopicNoveltyRow[]
}

/** Replaces what is said of firms of a quarter. */
export async function replaceNovelty(tx: Queries, quarter: string, firms: readonly FirmNovelty[]): Promise<void> {
  const firmIds = firms.map(firm => firm.firmId)
  // What is gone by now was made anew since it was read: its rows are left out, and the next look finds the firm outdated.
  // What goes from here on ends this transaction, which is begun again. A lock on the topics would be sooner, but asks for
  // the right to update them, which a worker has not.
  const wanted = new Set(firms.flatMap(firm => firm.topics.flatMap(topic => topic.nearestTopicId ?? [])))
  const there = await tx<{ topicId: string }[]>`
    select topic_id as "topicId" from topics where topic_id = any(${[...wanted]})`
  const known = new Set<string | null>([null, ...there.map(row => row.topicId)])
  await tx`delete from sentence_novelty where quarter = ${quarter} and firm_id = any(${firmIds})`
  await tx`
    delete from topic_novelty
    where topic_id = any(array(select topic_id from topics where quarter = ${quarter} and firm_id = any(${firmIds})))`
  await copyRows(
    tx,
    'sentence_novelty',
    [
      { name: 'quarter', type: 'text' },
      { name: 'sentence_id', type: 'int8' },
      { name: 'firm_id', type: 'text' },
      { name: 'earlier_quarter', type: 'text' },
      { name: 'nearest_sentence_id', type: 'int8' },
      { name: 'similarity', type: 'float4' },
      { name: 'repeated', type: 'bool' },
    ],
    firms.flatMap(({ firmId, earlierQuarter, sentences }) =>
      sentences.map(one => [
        quarter,
        one.sentenceId,
        firmId,
        earlierQuarter,
        one.nearestSentenceId,
        one.similarity,
        one.repeated,
      ]),
    ),
  )
  await copyRows(
    tx,
    'topic_novelty',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'earlier_quarter', type: 'text' },
      { name: 'nearest_topic_id', type: 'text' },
      { name: 'similarity', type: 'float4' },
      { name: 'sentence_similarity', type: 'float4' },
      { name: 'is_new', type: 'bool' },
    ],
    firms.flatMap(({ earlierQuarter, topics }) =>
      topics
        .filter(topic => known.has(topic.nearestTopicId))
        .map(one => [
          one.topicId,
          quarter,
          earlierQuarter,
          one.nearestTopicId,
          one.similarity,
          one.sentenceSimilarity,
          one.isNew,
        ]),
    ),
  )
}

export type NoveltyCounts = {
  /** Firms that have an earlier call, and those that have none. */
  compared: number
  alone: number
  earlierQuarters: string[]
  sentences: number
  repeated: number
  topics: number
  newTopics: number
}

/** Counts of a quarter, or of one firm in it, for the last line of a command. */
export async function noveltyCounts(sql: Queries, { quarter, firmId }: Target): Promise<NoveltyCounts> {
  const firm = firmId ?? null
  const [sentences] = await sql<Pick<NoveltyCounts, 'compared' | 'earlierQuarters' | 'sentences' | 'repeated'>[]>`
    select count(distinct firm_id)::int as compared,
      coalesce(array_agg(distinct earlier_quarter), '{}') as "earlierQuarters",
      count(*)::int as sentences,
      count(*) filter (where repeated)::int as repeated
    from sentence_novelty where quarter = ${quarter} and (${firm}::text is null or firm_id = ${firm})`
  const [topics] = await sql<{ topics: number; newTopics: number }[]>`
    select count(*)::int as topics, count(*) filter (where is_new)::int as "newTopics"
    from topic_novelty n join topics t using (topic_id)
    where n.quarter = ${quarter} and (${firm}::text is null or t.firm_id = ${firm})`
  const [{ firms }] = await sql<{ firms: number }[]>`
    select count(distinct firm_id)::int as firms from calls
    where quarter = ${quarter} and (${firm}::text is null or firm_id = ${firm})`
  return { ...sentences, ...topics, alone: firms - sentences.compared }
}

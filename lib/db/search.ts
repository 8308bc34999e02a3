// Nearest themes, topics and sentences to a vector, each with the path up to what it belongs to.

import type { Database } from './connect.ts'
import { vectorText } from './vector-format.ts'

export type ThemeHit = {
  quarter: string
  themeId: string
  theme: string
  firms: number
  sentences: number
  similarity: number
}
export type TopicHit = {
  quarter: string
  firmId: string
  topicId: string
  topic: string
  size: number
  theme: string | null
  similarity: number
}
export type SentenceHit = {
  quarter: string
  firmId: string
  callDate: string | null
  speaker: string | null
  sentenceId: bigint
  text: string
  topicId: string | null
  topic: string | null
  themeId: string | null
  theme: string | null
  similarity: number
}

export type Filter = { quarter?: string | undefined; firmId?: string | undefined; limit: number }

export async function nearestThemes(sql: Database, vector: Float32Array, filter: Filter): Promise<ThemeHit[]> {
  const query = vectorText(vector)
  const firm = filter.firmId ?? null
  return await sql<ThemeHit[]>`
    select quarter, theme_id as "themeId", name as theme, firms, sentences,
      (1 - (centroid <=> ${query}))::float4 as similarity
    from themes
    where (${filter.quarter ?? null}::text is null or quarter = ${filter.quarter ?? null})
      and (${firm}::text is null or exists (
        select from theme_topics m join topics t using (topic_id)
        where m.theme_id = themes.theme_id and t.firm_id = ${firm}))
    order by centroid <=> ${query}, theme_id
    limit ${filter.limit}`
}

export async function nearestTopics(sql: Database, vector: Float32Array, filter: Filter): Promise<TopicHit[]> {
  const query = vectorText(vector)
  return await sql<TopicHit[]>`
    select t.quarter, t.firm_id as "firmId", t.topic_id as "topicId", coalesce(n.name, t.label) as topic, t.size,
      th.name as theme, (1 - (t.centroid <=> ${query}))::float4 as similarity
    from topics t
    left join topic_names n using (topic_id)
    left join theme_topics m using (topic_id)
    left join themes th using (theme_id)
    where (${filter.quarter ?? null}::text is null or t.quarter = ${filter.quarter ?? null})
      and (${filter.firmId ?? null}::text is null or t.firm_id = ${filter.firmId ?? null})
    order by t.centroid <=> ${query}, t.topic_id
    limit ${filter.limit}`
}

/** Talk is left out: nobody looks for "thank you". Uses the vector index where a quarter has one. */
export async function nearestSentences(sql: Database, vector: Float32Array, filter: Filter): Promise<SentenceHit[]> {
  const query = vectorText(vector)
  // A plain equality lets the planner see one partition; `is null or` would not.
  const quarter = filter.quarter === undefined ? sql`` : sql`and v.quarter = ${filter.quarter}`
  const firm = filter.firmId === undefined ? sql`` : sql`and v.firm_id = ${filter.firmId}`
  // A firm has some hundreds of sentences in a quarter: all of them are compared, in milliseconds. The vector index would
  // wade through those of all firms and give up before it has found enough (67 of 100 among 100,000); a sum is not in it.
  const distance = filter.firmId === undefined ? sql`v.embedding <=> ${query}` : sql`0 + (v.embedding <=> ${query})`
  return await sql.begin('read only', async tx => {
    // Filtered rows (talk) must not use up the candidates: the scan goes on until enough are left, or
    // until it has seen a fifth of a million (pgvector's own limit is a tenth).
    await tx`
      select set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', '100', true),
        set_config('hnsw.max_scan_tuples', '200000', true)`
    return await tx<SentenceHit[]>`
      with nearest as (
        select v.quarter, v.sentence_id, ${distance} as distance
        from sentence_vectors v
        join sentences s on s.quarter = v.quarter and s.sentence_id = v.sentence_id
        where s.talk is null ${quarter} ${firm}
        order by distance
        limit ${filter.limit}
      )
      select s.quarter, s.firm_id as "firmId", c.call_date::text as "callDate", s.speaker,
        s.sentence_id as "sentenceId", s.text, ts.topic_id as "topicId", coalesce(n.name, t.label) as topic,
        m.theme_id as "themeId", th.name as theme, (1 - nearest.distance)::float4 as similarity
      from nearest
      join sentences s on s.quarter = nearest.quarter and s.sentence_id = nearest.sentence_id
      join calls c using (call_id)
      left join topic_sentences ts on ts.quarter = s.quarter and ts.sentence_id = s.sentence_id
      left join topics t on t.topic_id = ts.topic_id
      left join topic_names n on n.topic_id = ts.topic_id
      left join theme_topics m on m.topic_id = ts.topic_id
      left join themes th on th.theme_id = m.theme_id
      order by nearest.distance, s.sentence_id`
  })
}

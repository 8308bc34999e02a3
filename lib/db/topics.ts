// The tables `topics`, `subtopics`, `topic_sentences` and `topic_names`: what `cluster-firm` and `name-topics` write.

import { firmsOfQuarter } from './calls.ts'
import type { Queries } from './connect.ts'
import { copyRows } from './copy.ts'

export type Topic = {
  topicId: string
  label: string
  size: number
  keywords: readonly string[]
  keywordWeights: readonly number[]
  representativeSentences: readonly bigint[]
  centroid: Float32Array
  /** Its parts, by a method that has them. */
  subtopics?: readonly Subtopic[]
}

export type Subtopic = {
  subtopicId: string
  size: number
  keywords: readonly string[]
  keywordWeights: readonly number[]
  representativeSentence: bigint
}

export type Membership = {
  sentenceId: bigint
  topicId: string | null
  subtopicId?: string | null
  reassignedTopicId: string | null
  probability: number
}

export type FirmTopicRows = { firmId: string; topics: readonly Topic[]; memberships: readonly Membership[] }

/** `topicIdOf('2016Q4', 'MU', 3)` → 2016Q4/MU/03 */
export function topicIdOf(quarter: string, firmId: string, number: number): string {
  return `${quarter}/${firmId}/${String(number).padStart(2, '0')}`
}

/** `subtopicIdOf('2016Q4/MU/03', 2)` → 2016Q4/MU/03.2 */
export function subtopicIdOf(topicId: string, number: number): string {
  return `${topicId}.${number}`
}

/** Replaces the topics of firms in a quarter; parts, names, topic vectors and theme memberships of the old ones go with them. */
export async function replaceTopics(tx: Queries, quarter: string, firms: readonly FirmTopicRows[]): Promise<void> {
  const firmIds = firms.map(firm => firm.firmId)
  await tx`delete from topic_sentences where quarter = ${quarter} and firm_id = any(${firmIds})`
  await tx`delete from topics where quarter = ${quarter} and firm_id = any(${firmIds})`
  await copyRows(
    tx,
    'topics',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'firm_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'label', type: 'text' },
      { name: 'size', type: 'int4' },
      { name: 'keywords', type: 'text[]' },
      { name: 'keyword_weights', type: 'float4[]' },
      { name: 'representative_sentences', type: 'int8[]' },
      { name: 'centroid', type: 'vector' },
    ],
    firms.flatMap(({ firmId, topics }) =>
      topics.map(topic => [
        topic.topicId,
        firmId,
        quarter,
        topic.label,
        topic.size,
        topic.keywords,
        topic.keywordWeights,
        topic.representativeSentences,
        topic.centroid,
      ]),
    ),
  )
  await copyRows(
    tx,
    'subtopics',
    [
      { name: 'subtopic_id', type: 'text' },
      { name: 'topic_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'size', type: 'int4' },
      { name: 'keywords', type: 'text[]' },
      { name: 'keyword_weights', type: 'float4[]' },
      { name: 'representative_sentence', type: 'int8' },
    ],
    firms.flatMap(({ topics }) =>
      topics.flatMap(({ topicId, subtopics = [] }) =>
        subtopics.map(part => [
          part.subtopicId,
          topicId,
          quarter,
          part.size,
          part.keywords,
          part.keywordWeights,
          part.representativeSentence,
        ]),
      ),
    ),
  )
  await copyRows(
    tx,
    'topic_sentences',
    [
      { name: 'quarter', type: 'text' },
      { name: 'sentence_id', type: 'int8' },
      { name: 'firm_id', type: 'text' },
      { name: 'topic_id', type: 'text' },
      { name: 'probability', type: 'float4' },
      { name: 'reassigned_topic_id', type: 'text' },
      { name: 'subtopic_id', type: 'text' },
    ],
    firms.flatMap(({ firmId, memberships }) =>
      memberships.map(one => [
        quarter,
        one.sentenceId,
        firmId,
        one.topicId,
        one.probability,
        one.reassignedTopicId,
        one.subtopicId ?? null,
      ]),
    ),
  )
}

export type TopicToName = {
  topicId: string
  keywords: string[]
  sentences: string[]
  /** The name that a model gave it before; null where none did. */
  nameByModel: Omit<TopicName, 'topicId'> | null
}

/** The topics of a firm's quarter with the evidence to name them by. */
export async function topicsToName(sql: Queries, quarter: string, firmId: string): Promise<TopicToName[]> {
  return await sql<TopicToName[]>`
    select topic_id as "topicId", keywords,
      (
        select jsonb_build_object('name', name, 'summary', summary, 'source', source, 'model', model, 'promptHash', prompt_hash)
        from topic_names n where n.topic_id = t.topic_id and source = 'llm'
      ) as "nameByModel",
      array(
        select s.text
        from unnest(t.representative_sentences) with ordinality as r (sentence_id, place)
        join sentences s on s.quarter = t.quarter and s.sentence_id = r.sentence_id
        order by r.place
      ) as sentences
    from topics t
    where quarter = ${quarter} and firm_id = ${firmId}
    order by topic_id`
}

export type TopicName = {
  topicId: string
  name: string
  summary: string
  source: 'llm' | 'keywords'
  model: string | null
  promptHash: string | null
}

/** Replaces the names of a firm's topics. */
export async function replaceTopicNames(
  tx: Queries,
  quarter: string,
  firmId: string,
  names: readonly TopicName[],
): Promise<void> {
  // An array is looked up by key; a join reads all names for each firm, until the table has been analyzed.
  await tx`
    delete from topic_names
    where topic_id = any(array(select topic_id from topics where quarter = ${quarter} and firm_id = ${firmId}))`
  await copyRows(
    tx,
    'topic_names',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'name', type: 'text' },
      { name: 'summary', type: 'text' },
      { name: 'source', type: 'text' },
      { name: 'model', type: 'text' },
      { name: 'prompt_hash', type: 'text' },
    ],
    names.map(name => [name.topicId, name.name, name.summary, name.source, name.model, name.promptHash]),
  )
}

export type ShownTopic = {
  topicId: string
  name: string
  size: number
  /** Noise sentences given to it on top of its size. */
  reassigned: number
  keywords: string[]
  example: string
  /** Its parts, largest first. */
  parts: { subtopicId: string; size: number; keywords: string[]; example: string }[]
}

/** A firm's topics as a person reads them, largest first. */
export async function shownTopics(sql: Queries, quarter: string, firmId: string): Promise<ShownTopic[]> {
  return await sql<ShownTopic[]>`
    select t.topic_id as "topicId", coalesce(n.name, t.label) as name, t.size, t.keywords,
      (
        select count(*)::int from topic_sentences m
        where m.quarter = t.quarter and m.firm_id = t.firm_id and m.reassigned_topic_id = t.topic_id
      ) as reassigned,
      coalesce((
        select s.text from sentences s
        where s.quarter = t.quarter and s.sentence_id = t.representative_sentences[1]
      ), '') as example,
      coalesce((
        select json_agg(
          json_build_object(
            'subtopicId', subtopic_id, 'size', p.size, 'keywords', p.keywords, 'example', coalesce(s.text, ''))
          order by length(subtopic_id), subtopic_id)
        from subtopics p
        left join sentences s on s.quarter = ${quarter} and s.sentence_id = p.representative_sentence
        where p.topic_id = t.topic_id
      ), '[]') as parts
    from topics t
    left join topic_names n using (topic_id)
    where t.quarter = ${quarter} and t.firm_id = ${firmId}
    order by t.size desc, length(t.topic_id), t.topic_id`
}

/** `noise` is in no topic by the clustering; `reassigned` of it were given to one afterwards. */
export type TopicCounts = { topics: number; sentences: number; noise: number; reassigned: number }

/** Counts of a quarter's clustering, for the last line of a command. */
export async function topicCounts(sql: Queries, quarter: string, firmId: string | null): Promise<TopicCounts> {
  const [row] = await sql<TopicCounts[]>`
    select
      (select count(*)::int from topics where quarter = ${quarter} and (${firmId}::text is null or firm_id = ${firmId})) as topics,
      count(*)::int as sentences,
      count(*) filter (where topic_id is null)::int as noise,
      count(reassigned_topic_id)::int as reassigned
    from topic_sentences where quarter = ${quarter} and (${firmId}::text is null or firm_id = ${firmId})`
  return row
}

/** How each firm of a quarter, or one of them, stands with `cluster-firm`, and the recipe it was done with, by firm. */
export async function clusterings(
  sql: Queries,
  quarter: string,
  firmId: string | null,
): Promise<{ firmId: string; state: 'done' | 'stale' | 'pending' | 'failed'; recipe: string }[]> {
  return await sql<{ firmId: string; state: 'done' | 'stale' | 'pending' | 'failed'; recipe: string }[]>`
    select firm_id as "firmId", state, recipe from work
    where stage = 'cluster-firm' and quarter = ${quarter} and (${firmId}::text is null or firm_id = ${firmId})
    order by firm_id`
}

/** The sentences of a firm that were clustered, in the order they were said, with the topic that the clustering gave. */
export async function clusteredSentences(
  sql: Queries,
  quarter: string,
  firmId: string,
): Promise<{ sentenceId: bigint; topicId: string | null }[]> {
  return await sql<{ sentenceId: bigint; topicId: string | null }[]>`
    select t.sentence_id as "sentenceId", t.topic_id as "topicId"
    from topic_sentences t
    join sentences s using (quarter, sentence_id)
    join calls c using (call_id)
    where t.quarter = ${quarter} and t.firm_id = ${firmId}
    order by c.call_date nulls first, t.sentence_id`
}

/** Keywords of every topic of a quarter, or of one firm's, by firm. */
export async function keywordsOfTopics(
  sql: Queries,
  quarter: string,
  firmId: string | null,
): Promise<Map<string, string[][]>> {
  const rows = await sql<{ firmId: string; keywords: string[] }[]>`
    select firm_id as "firmId", keywords from topics
    where quarter = ${quarter} and (${firmId}::text is null or firm_id = ${firmId})
    order by topic_id`
  const keywordsOfFirm = new Map<string, string[][]>()
  for (const row of rows) {
    const known = keywordsOfFirm.get(row.firmId)
    if (known === undefined) keywordsOfFirm.set(row.firmId, [row.keywords])
    else known.push(row.keywords)
  }
  return keywordsOfFirm
}

/** `clustered`: with its topic, or null for noise; without, the sentence was left out of the clustering. */
export type SentenceWithTopic = { text: string; talk: string | null; clustered: boolean; topicId: string | null }

/** Every sentence of a quarter with its topic, firm by firm; one firm in memory at a time. */
export async function* sentencesWithTopics(
  sql: Queries,
  quarter: string,
): AsyncGenerator<{ firmId: string; sentences: SentenceWithTopic[] }> {
  for (const firmId of await firmsOfQuarter(sql, quarter)) {
    // Joined by the firm too: without it the database reads the topics of the whole quarter for each firm.
    const sentences = await sql<SentenceWithTopic[]>`
      select s.text, s.talk, t.sentence_id is not null as clustered, t.topic_id as "topicId"
      from sentences s
      left join topic_sentences t
        on t.quarter = s.quarter and t.firm_id = s.firm_id and t.sentence_id = s.sentence_id
      where s.quarter = ${quarter} and s.firm_id = ${firmId}
      order by s.sentence_id`
    yield { firmId, sentences }
  }
}

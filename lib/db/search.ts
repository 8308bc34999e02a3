// What a search finds among themes, topics and sentences, each with the path up to what it belongs to: by meaning (cosine), by
// words (full text), or by both, their two lists made one. What a filter is stands in search-filter.ts.
// Every order is total, so that the same search of the same rows gives the same answer.

import { fuse } from '../math/fusion.ts'
import type { Database, Queries } from './connect.ts'
import { type Filter, isContent, nameFits, sentenceFits, themeFits, topicFits } from './search-filter.ts'
import { vectorText } from './vector-format.ts'

/** How a hit was found: its places in the two lists, from 1, and what they come to; null where it is not in one. */
export type Found = { meaningRank: number | null; wordsRank: number | null; score: number }

/** `similarity`: the cosine; null in a search by words alone, and of a sentence that is not embedded yet or has no direction. */
export type ThemeHit = Found & {
  quarter: string
  themeId: string
  theme: string
  firms: number
  sentences: number
  similarity: number | null
}
export type TopicHit = Found & {
  quarter: string
  firmId: string
  topicId: string
  topic: string
  size: number
  themeId: string | null
  theme: string | null
  similarity: number | null
}
export type SentenceHit = Found & {
  quarter: string
  firmId: string
  firm: string | null
  callDate: string | null
  speaker: string | null
  role: string | null
  section: string | null
  sentenceId: bigint
  position: number
  text: string
  topicId: string | null
  topic: string | null
  themeId: string | null
  theme: string | null
  similarity: number | null
}

/** What is looked for: a vector, words (as `wordsOf` gives them), or both. */
export type Wanted = { vector?: Float32Array | undefined; words?: readonly string[] | undefined }

/** `through`: to compare with all, or to go by the vector index; undefined: whichever suits the number of sentences. */
export type How = { limit: number; through?: 'all' | 'index' | undefined }

// As deep as the lists are that Cormack and others fuse; what neither has among its first hundred is no answer to either.
const LEAST_DEPTH = 100

/**
 * The words of a text as the full text knows them, each ready to be asked for: stems, without those that say nothing ("the",
 * "at"). Empty where it knows none.
 */
export async function wordsOf(sql: Queries, text: string): Promise<string[]> {
  const rows = await sql<{ word: string }[]>`
    select lexeme as word from unnest(to_tsvector('english', ${text})) order by lexeme`
  return rows.map(row => `'${row.word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`)
}

export async function findThemes(sql: Database, wanted: Wanted, filter: Filter, how: How): Promise<ThemeHit[]> {
  const fits = sql`${themeFits(sql, filter)} and ${nameFits(sql, nameOfTheme(sql), filter)}`
  const found = await ranked(how, {
    meaning:
      wanted.vector && (depth => nearestOf(sql, sql`themes h`, sql`h.theme_id`, sql`h.centroid`, fits, wanted, depth)),
    words:
      wanted.words &&
      ((depth, first) => {
        const inQuarter = filter.quarter === undefined ? sql`true` : sql`h.quarter = ${filter.quarter}`
        const documents = sql`select h.theme_id as id, ${nameOfTheme(sql)} as text, ${fits} as fits from themes h where ${inQuarter}`
        return namesWithWords(sql, documents, wanted.words ?? [], depth, first)
      }),
  })
  const rows = await sql<Omit<ThemeHit, keyof Found>[]>`
    select h.quarter, h.theme_id as "themeId", h.name as theme, h.firms, h.sentences,
      ${similarity(sql, sql`h.centroid`, wanted)} as similarity
    from themes h where h.theme_id = any(${found.map(one => one.key)})`
  return inOrder(found, rows, row => row.themeId)
}

export async function findTopics(sql: Database, wanted: Wanted, filter: Filter, how: How): Promise<TopicHit[]> {
  const named = sql`topics t left join topic_names n using (topic_id)`
  const fits = sql`${topicFits(sql, filter)} and ${nameFits(sql, nameOfTopic(sql), filter)}`
  const found = await ranked(how, {
    meaning: wanted.vector && (depth => nearestOf(sql, named, sql`t.topic_id`, sql`t.centroid`, fits, wanted, depth)),
    words:
      wanted.words &&
      ((depth, first) => {
        const inQuarter = filter.quarter === undefined ? sql`true` : sql`t.quarter = ${filter.quarter}`
        const documents = sql`select t.topic_id as id, ${nameOfTopic(sql)} as text, ${fits} as fits from ${named} where ${inQuarter}`
        return namesWithWords(sql, documents, wanted.words ?? [], depth, first)
      }),
  })
  const rows = await sql<Omit<TopicHit, keyof Found>[]>`
    select t.quarter, t.firm_id as "firmId", t.topic_id as "topicId", coalesce(n.name, t.label) as topic, t.size,
      m.theme_id as "themeId", h.name as theme, ${similarity(sql, sql`t.centroid`, wanted)} as similarity
    from topics t
    left join topic_names n using (topic_id)
    left join theme_topics m using (topic_id)
    left join themes h using (theme_id)
    where t.topic_id = any(${found.map(one => one.key)})`
  return inOrder(found, rows, row => row.topicId)
}

export async function findSentences(sql: Database, wanted: Wanted, filter: Filter, how: How): Promise<SentenceHit[]> {
  const { vector, words } = wanted
  const found = await ranked(how, {
    meaning: vector && (depth => nearestSentences(sql, vector, filter, { ...how, limit: depth })),
    words: words && ((depth, first) => sentencesWithWords(sql, words, filter, depth, first)),
  })
  // The quarter of each, so that one partition is asked for it and not all of them.
  const ids = found.map(one => one.key)
  const rows = await sql<Omit<SentenceHit, keyof Found>[]>`
    select s.quarter, s.firm_id as "firmId", f.name as firm, c.call_date::text as "callDate", s.speaker, s.role, s.section,
      s.sentence_id as "sentenceId", s.position, s.text, ts.topic_id as "topicId", coalesce(n.name, t.label) as topic,
      m.theme_id as "themeId", h.name as theme, ${similarity(sql, sql`v.embedding`, wanted)} as similarity
    from unnest(${ids}::bigint[]) as found (sentence_id)
    join calls c on c.call_id = found.sentence_id >> 16
    join sentences s on s.quarter = c.quarter and s.sentence_id = found.sentence_id
    join firms f on f.firm_id = s.firm_id
    left join sentence_vectors v on v.quarter = c.quarter and v.sentence_id = found.sentence_id
    left join topic_sentences ts on ts.quarter = c.quarter and ts.sentence_id = found.sentence_id
    left join topics t on t.topic_id = ts.topic_id
    left join topic_names n on n.topic_id = ts.topic_id
    left join theme_topics m on m.topic_id = ts.topic_id
    left join themes h on h.theme_id = m.theme_id`
  return inOrder(found, rows, row => row.sentenceId.toString())
}

type FoundKey = Found & { key: string }
type Lists = {
  meaning?: ((depth: number) => Promise<string[]>) | undefined
  /** `first`: what meaning has found, which stands first among those with the same words. */
  words?: ((depth: number, first: readonly string[]) => Promise<string[]>) | undefined
}

async function ranked({ limit }: How, { meaning, words }: Lists): Promise<FoundKey[]> {
  const depth = meaning && words ? Math.max(limit, LEAST_DEPTH) : limit
  const byMeaning = await (meaning?.(depth) ?? [])
  return fuse([byMeaning, await (words?.(depth, byMeaning) ?? [])])
    .slice(0, limit)
    .map(({ key, score, ranks: [meaningRank, wordsRank] }) => ({ key, score, meaningRank, wordsRank }))
}

function inOrder<Row>(found: readonly FoundKey[], rows: readonly Row[], keyOf: (row: Row) => string): (Row & Found)[] {
  const rowOf = new Map(rows.map(row => [keyOf(row), row]))
  return found.flatMap(({ key, ...how }) => {
    const row = rowOf.get(key)
    return row === undefined ? [] : [{ ...row, ...how }]
  })
}

type Fragment = ReturnType<typeof nameOfTheme>

function nameOfTheme(sql: Queries) {
  return sql`concat_ws(' ', h.name, h.summary, array_to_string(h.keywords, ' '))`
}

function nameOfTopic(sql: Queries): Fragment {
  return sql`concat_ws(' ', n.name, n.summary, array_to_string(t.keywords, ' '))`
}

function similarity(sql: Queries, embedding: Fragment, { vector }: Wanted): Fragment {
  return vector === undefined
    ? sql`null::float4`
    : sql`nullif((1 - (${embedding} <=> ${vectorText(vector)}))::float4, 'NaN')`
}

async function nearestOf(
  sql: Queries,
  table: Fragment,
  id: Fragment,
  centroid: Fragment,
  fits: Fragment,
  { vector }: Wanted,
  depth: number,
): Promise<string[]> {
  if (vector === undefined) return []
  const rows = await sql<{ id: string }[]>`
    select ${id} as id from ${table} where ${fits} order by ${centroid} <=> ${vectorText(vector)}, ${id} limit ${depth}`
  return rows.map(row => row.id)
}

// All are compared where there are so many at most: 60 ms on either database, and nothing is missed. The vector index takes 13 ms
// there and misses up to six of a thousand, and forty where a theme is asked for (`npm run bench -- search`); its own time hardly
// grows with the sentences, and that of comparing all does.
const FEW = 50_000
// pgvector's most: recall@10 of .994 among 43,211 in 13 ms, where 100 gives .952 in 5 and 400 .980 in 8.
const EF_SEARCH = '1000'
// Filtered rows must not use up the candidates: the scan goes on until enough are left, or until it has seen a fifth of a
// million (pgvector's own limit is a tenth).
const MOST_SCANNED = '200000'

/** The sentence_ids nearest to a vector, nearest first. */
export async function nearestSentences(
  sql: Database,
  vector: Float32Array,
  filter: Filter,
  { limit, through }: How,
): Promise<string[]> {
  const query = vectorText(vector)
  const fits = sql`${isContent(sql, filter)} and ${sentenceFits(sql, filter)}`
  // Without the words that must not be there: they take few away, and looking for
  // them splits each sentence into words anew, 50,000 times.
  const counted = sql`${isContent(sql, filter)} and ${sentenceFits(sql, { ...filter, without: [] })}`
  const toAll = through === undefined ? await areFew(sql, counted) : through === 'all'
  // A sum is not in the index, so the planner cannot take it.
  const distance = toAll ? sql`0 + (v.embedding <=> ${query})` : sql`v.embedding <=> ${query}`
  const rows = await sql.begin('read only', async tx => {
    await tx`
      select set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', ${EF_SEARCH}, true),
        set_config('hnsw.max_scan_tuples', ${MOST_SCANNED}, true)`
    const [first, last] = toAll ? [sql`, v.sentence_id`, sql``] : [sql``, sql`order by distance, sentence_id`]
    return await tx<{ id: string }[]>`
      select sentence_id::text as id
      from (
        select v.sentence_id, ${distance} as distance
        from sentence_vectors v
        join sentences s on s.quarter = v.quarter and s.sentence_id = v.sentence_id
        where ${fits}
        order by distance ${first}
        limit ${limit}
      ) nearest ${last}`
  })
  return rows.map(row => row.id)
}

async function areFew(sql: Queries, fits: Fragment): Promise<boolean> {
  const [{ many }] = await sql<{ many: boolean }[]>`
    select count(*) > ${FEW} as many from (select from sentences s where ${fits} limit ${FEW + 1}) fitting`
  return !many
}

/**
 * The sentence_ids with most of the words, rare words counting for more. Filters only take away: what a word weighs hangs on the
 * quarter, or on all where none is named, and not on what else is asked.
 */
export async function sentencesWithWords(
  sql: Queries,
  words: readonly string[],
  filter: Filter,
  limit: number,
  first: readonly string[] = [],
): Promise<string[]> {
  const inQuarter = filter.quarter === undefined ? sql`true` : sql`quarter = ${filter.quarter}`
  // One look into the index for each word, and no sentence is read anew to see which words it has, as ts_rank would.
  const found = sql`
    select asked.word, s.sentence_id as id, length(s.text) as length, (${sentenceFits(sql, filter)}) as fits
    from asked
    join sentences s on to_tsvector('english', s.text) @@ asked.word::tsquery
    where ${isContent(sql, filter)}`
  return await byWords(
    sql,
    words,
    found,
    sql`select sum(sentences)::float8 from calls where ${inQuarter}`,
    limit,
    first,
  )
}

/** The same among names, of which there are few: `documents` selects id, text and fits. */
async function namesWithWords(
  sql: Queries,
  documents: Fragment,
  words: readonly string[],
  limit: number,
  first: readonly string[],
): Promise<string[]> {
  const found = sql`
    select asked.word, documents.id, length, fits
    from asked
    join (
      select id, to_tsvector('english', text) as words, length(text) as length, fits from (${documents}) named offset 0
    ) documents on words @@ asked.word::tsquery`
  return await byWords(sql, words, found, sql`select count(*)::float8 from (${documents}) named`, limit, first)
}

/**
 * The sum of the inverse frequencies of the words that are there (Spärck Jones 1972, in the form of BM25): BM25 for texts that say
 * a word once, without its reward for being short, which would put "Good memory." before a sentence on memory chips. ts_rank
 * knows no frequencies: to it "price" is worth as much as "DRAM". Rounded, so that no order of summing decides. Whoever asks for
 * one word gets nothing but ties: of those the ones in `first` come first, in its order, then the short.
 */
async function byWords(
  sql: Queries,
  words: readonly string[],
  found: Fragment,
  all: Fragment,
  limit: number,
  first: readonly string[],
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    with asked as (
      select word from unnest(${[...words]}::text[]) as word
    ), found as materialized (
      ${found}
    ), weights as (
      select word, round(ln(1 + (greatest((${all}), count(*)) - count(*) + 0.5) / (count(*) + 0.5))::numeric, 6) as weight
      from found group by word
    )
    select id::text as id
    from found join weights using (word)
    left join unnest(${[...first]}::text[]) with ordinality as nearer (key, place) on key = found.id::text
    group by found.id
    having bool_and(coalesce(fits, false))
    order by sum(weight) desc, min(place), min(length), found.id
    limit ${limit}`
  return rows.map(row => row.id)
}

export type Neighbors = Record<'before' | 'after', { speaker: string | null; text: string } | null>

/** What was said just before and after each of some sentences of calls, in their order; talk says nothing. */
export async function neighborsOf(
  sql: Queries,
  sentences: readonly { quarter: string; sentenceId: bigint }[],
): Promise<Neighbors[]> {
  // sentence_id = call_id * 65536 + position: the neighbours in the call are those in number.
  const rows = await sql<{ sentenceId: bigint; side: 'before' | 'after'; speaker: string | null; text: string }[]>`
    select found.sentence_id as "sentenceId", side, s.speaker, s.text
    from unnest(${sentences.map(one => one.quarter)}::text[],
      ${sentences.map(one => one.sentenceId.toString())}::bigint[]) as found (quarter, sentence_id)
    cross join (values (-1, 'before'), (1, 'after')) as sides (step, side)
    join sentences s on s.quarter = found.quarter and s.sentence_id = found.sentence_id + step
      and s.call_id = found.sentence_id >> 16
    where s.talk is null`
  const neighborOf = new Map(rows.map(({ sentenceId, side, ...said }) => [`${sentenceId} ${side}`, said]))
  return sentences.map(({ sentenceId }) => ({
    before: neighborOf.get(`${sentenceId} before`) ?? null,
    after: neighborOf.get(`${sentenceId} after`) ?? null,
  }))
}

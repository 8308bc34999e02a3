// The tables `theme_lineage` and `theme_links`, and what `lineage` reads to make them.

import type { Queries } from './connect.ts'
import { copyRows } from './copy.ts'
import { decodeVectorInto, vectorBytes } from './vector-format.ts'

export type StoredThemes = {
  quarter: string
  /** In their order; row i of everything else that is said of themes. */
  themeIds: string[]
  /** n × d: the embeddings of the topics in themes. */
  vectors: Float32Array
  n: number
  d: number
  /** For each topic the place of its theme in themeIds. */
  themeOf: Int32Array
  firmOf: string[]
  firms: Set<string>
}

// The embedded database hands over an answer as a whole, which should be 16 MB at most: two thirds of that for the embeddings.
const BYTES_AT_ONCE = 10_000_000

/** The themes of a quarter with the embeddings of their topics. */
export async function storedThemes(sql: Queries, quarter: string, d: number): Promise<StoredThemes> {
  const themes = await sql<{ themeId: string }[]>`
    select theme_id as "themeId" from themes where quarter = ${quarter} order by theme_id`
  const placeOf = new Map(themes.map(({ themeId }, place) => [themeId, place]))
  const firms = await sql<{ firmId: string }[]>`
    select distinct firm_id as "firmId" from topics where quarter = ${quarter}`
  const [{ n }] = await sql<{ n: number }[]>`
    select count(*)::int as n from theme_topics join topic_vectors using (topic_id) where quarter = ${quarter}`
  const vectors = new Float32Array(n * d)
  const atOnce = Math.ceil(BYTES_AT_ONCE / vectorBytes(d))
  const themeOf: number[] = []
  const firmOf: string[] = []
  for (let last = ''; ; ) {
    const rows = await sql<{ topicId: string; firmId: string; themeId: string; bytes: Buffer }[]>`
      select topic_id as "topicId", firm_id as "firmId", theme_id as "themeId", vector_send(v.embedding) as bytes
      from topic_vectors v join theme_topics using (topic_id) join topics using (topic_id)
      where v.quarter = ${quarter} and topic_id > ${last}
      order by topic_id limit ${atOnce}`
    for (const { firmId, themeId, bytes } of rows) {
      const place = placeOf.get(themeId)
      if (place === undefined) throw new Error(`a topic of ${quarter} is in theme ${themeId}, which is not there`)
      decodeVectorInto(bytes, vectors, themeOf.length * d)
      themeOf.push(place)
      firmOf.push(firmId)
    }
    if (rows.length < atOnce) break
    last = rows[rows.length - 1].topicId
  }
  return {
    quarter,
    themeIds: themes.map(row => row.themeId),
    vectors,
    n: themeOf.length,
    d,
    themeOf: Int32Array.from(themeOf),
    firmOf,
    firms: new Set(firms.map(row => row.firmId)),
  }
}

export type QuarterOfThemes = {
  quarter: string
  themes: number
  /** MD5 over all that its lineage follows from: themes, their topics with their embeddings, firms. */
  contents: string
  isDone: boolean
}

/**
 * All quarters that have calls, oldest first, and whether their themes are made. Reads every topic's embedding, and hands over none:
 * half a second for 60,000. A counter of changes would be sooner, and begins anew where a quarter is dropped and loaded again.
 */
export async function quartersOfThemes(sql: Queries): Promise<QuarterOfThemes[]> {
  return await sql<QuarterOfThemes[]>`
    select w.quarter, w.state = 'done' as "isDone",
      (select count(*)::int from themes th where th.quarter = w.quarter) as themes,
      md5(coalesce((
        select string_agg(md5(topic_id || ' ' || theme_id || ' ' || firm_id || ' ' || md5(vector_send(v.embedding))), '' order by topic_id)
        from topic_vectors v join theme_topics using (topic_id) join topics using (topic_id)
        where v.quarter = w.quarter), '') || coalesce((
        select string_agg(distinct firm_id, ' ') from topics t where t.quarter = w.quarter), '')) as contents
    from work w where w.stage = 'aggregate' order by w.quarter`
}

/** lineage_id of each theme of a quarter that has one. */
export async function lineageIdsOf(sql: Queries, quarter: string): Promise<Map<string, string>> {
  const rows = await sql<{ themeId: string; lineageId: string }[]>`
    select theme_id as "themeId", lineage_id as "lineageId" from theme_lineage where quarter = ${quarter}`
  return new Map(rows.map(row => [row.themeId, row.lineageId]))
}

export type ThemeIdentity = {
  themeId: string
  lineageId: string
  event: 'first' | 'new' | 'continued' | 'split' | 'merged' | 'returned'
}
export type ThemeLink = {
  earlierQuarter: string
  earlierThemeId: string
  themeId: string
  event: 'continued' | 'split' | 'merged' | 'returned' | 'new' | 'gone'
  similarity: number
  topicsForward: number
  topicsBack: number
  firmsInCommon: number
  firmsByChance: number
}

/** Replaces what is known of a quarter's themes and where they come from. */
export async function replaceLineage(
  tx: Queries,
  quarter: string,
  identities: readonly ThemeIdentity[],
  links: readonly ThemeLink[],
): Promise<void> {
  await tx`delete from theme_lineage where quarter = ${quarter}`
  await tx`delete from theme_links where quarter = ${quarter}`
  await copyRows(
    tx,
    'theme_lineage',
    [
      { name: 'theme_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'lineage_id', type: 'text' },
      { name: 'event', type: 'text' },
    ],
    identities.map(one => [one.themeId, quarter, one.lineageId, one.event]),
  )
  await copyRows(
    tx,
    'theme_links',
    [
      { name: 'quarter', type: 'text' },
      { name: 'earlier_quarter', type: 'text' },
      { name: 'earlier_theme_id', type: 'text' },
      { name: 'theme_id', type: 'text' },
      { name: 'event', type: 'text' },
      { name: 'similarity', type: 'float4' },
      { name: 'topics_forward', type: 'float4' },
      { name: 'topics_back', type: 'float4' },
      { name: 'firms_in_common', type: 'int4' },
      { name: 'firms_by_chance', type: 'float4' },
    ],
    links.map(one => [
      quarter,
      one.earlierQuarter,
      one.earlierThemeId,
      one.themeId,
      one.event,
      one.similarity,
      one.topicsForward,
      one.topicsBack,
      one.firmsInCommon,
      one.firmsByChance,
    ]),
  )
}

/** How many themes of a quarter came to it in which way, and how many of the quarter before are gone. */
export async function eventsOf(
  sql: Queries,
  quarter: string,
): Promise<Record<ThemeIdentity['event'] | ThemeLink['event'], number>> {
  const rows = await sql<{ event: ThemeIdentity['event'] | 'gone'; themes: number }[]>`
    select event, count(*)::int as themes from theme_lineage where quarter = ${quarter} group by event
    union all
    select event, count(*)::int from theme_links where quarter = ${quarter} and event = 'gone' group by event`
  const none = { first: 0, new: 0, continued: 0, split: 0, merged: 0, returned: 0, gone: 0 }
  return { ...none, ...Object.fromEntries(rows.map(row => [row.event, row.themes])) }
}

export type ShownLink = Omit<ThemeLink, 'themeId'> & {
  themeId: string
  earlierName: string
  name: string
  earlierFirms: number
  firms: number
  lineageId: string | null
}

/** A quarter's links with the names of both themes: what went on first, strongest first. */
export async function shownLinks(sql: Queries, quarter: string): Promise<ShownLink[]> {
  return await sql<ShownLink[]>`
    select l.earlier_quarter as "earlierQuarter", l.earlier_theme_id as "earlierThemeId", l.theme_id as "themeId", l.event,
      l.similarity, l.topics_forward as "topicsForward", l.topics_back as "topicsBack",
      l.firms_in_common as "firmsInCommon", l.firms_by_chance as "firmsByChance",
      earlier.name as "earlierName", here.name, earlier.firms as "earlierFirms", here.firms, i.lineage_id as "lineageId"
    from theme_links l
    join themes earlier on earlier.theme_id = l.earlier_theme_id
    join themes here on here.theme_id = l.theme_id
    left join theme_lineage i on i.theme_id = case l.event when 'gone' then l.earlier_theme_id else l.theme_id end
    where l.quarter = ${quarter}
    order by array_position('{continued,merged,split,returned,new,gone}', l.event),
      case l.event when 'gone' then l.earlier_theme_id else l.theme_id end, l.topics_forward + l.topics_back desc, l.earlier_theme_id`
}

export type TrendPoint = {
  lineageId: string
  quarter: string
  themeId: string
  theme: string
  event: ThemeIdentity['event']
  topics: number
  firms: number
  /** Of the firms that have a call in the quarter. */
  shareOfFirms: number
  sentences: number
  /** Of the sentences of the quarter that are no talk; null where there are none. */
  shareOfSentences: number | null
}

/** Every theme of the wanted quarters as a point of its lineage: by lineage, then quarter. Embedded sentences are not read. */
export async function trendPoints(sql: Queries, quarters: readonly string[]): Promise<TrendPoint[]> {
  return await sql<TrendPoint[]>`
    with sizes as (
      select quarter, count(distinct firm_id)::float8 as firms,
        (select count(*)::float8 from sentences s where s.quarter = calls.quarter and talk is null) as sentences
      from calls where quarter = any(${[...quarters]}) group by quarter
    )
    select i.lineage_id as "lineageId", th.quarter, th.theme_id as "themeId", th.name as theme, i.event, th.topics, th.firms,
      th.firms / sizes.firms as "shareOfFirms", th.sentences, th.sentences / nullif(sizes.sentences, 0) as "shareOfSentences"
    from theme_lineage i join themes th using (theme_id) join sizes on sizes.quarter = th.quarter
    order by i.lineage_id, th.quarter`
}

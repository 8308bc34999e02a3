// The tables `themes`, `subthemes` and `theme_topics`: what `aggregate` writes, and what people come to read.

import type { Queries } from './connect.ts'
import { copyRows } from './copy.ts'

export type TopicOfQuarter = {
  topicId: string
  firmId: string
  size: number
  name: string
  summary: string
  source: 'llm' | 'keywords' | 'inherited'
  keywords: string[]
  representativeSentences: bigint[]
}

/** All topics of a quarter with their names, in a fixed order. */
export async function topicsOfQuarter(sql: Queries, quarter: string): Promise<TopicOfQuarter[]> {
  return await sql<TopicOfQuarter[]>`
    select t.topic_id as "topicId", t.firm_id as "firmId", t.size, n.name, n.summary, n.source, t.keywords,
      t.representative_sentences as "representativeSentences"
    from topics t join topic_names n using (topic_id)
    where t.quarter = ${quarter}
    order by t.topic_id`
}

/** Texts of sentences, by id in decimal. */
export async function textsOf(
  sql: Queries,
  quarter: string,
  sentenceIds: readonly bigint[],
): Promise<Map<string, string>> {
  const rows = await sql<{ sentenceId: bigint; text: string }[]>`
    select sentence_id as "sentenceId", text from sentences
    where quarter = ${quarter} and sentence_id = any(${sentenceIds.map(String)}::bigint[])`
  return new Map(rows.map(row => [row.sentenceId.toString(), row.text]))
}

export type Theme = {
  themeId: string
  name: string
  summary: string
  source: 'llm' | 'keywords'
  keywords: readonly string[]
  topics: number
  firms: number
  sentences: number
  largestFirmShare: number
  flags: readonly string[]
  representativeSentences: readonly bigint[]
  centroid: Float32Array
  /** Its parts, by a method that has them. */
  subthemes?: readonly Subtheme[]
}

export type Subtheme = { subthemeId: string; topics: number; firms: number; keywords: readonly string[] }

export type ThemeTopic = {
  topicId: string
  themeId: string
  subthemeId?: string | null
  probability: number
  givenToNearest: boolean
}

/** `themeIdOf('2016Q4', 7)` → 2016Q4/07 */
export function themeIdOf(quarter: string, number: number): string {
  return `${quarter}/${String(number).padStart(2, '0')}`
}

/** `subthemeIdOf('2016Q4/07', 1)` → 2016Q4/07.1 */
export function subthemeIdOf(themeId: string, number: number): string {
  return `${themeId}.${number}`
}

/** Replaces the themes of a quarter. */
export async function replaceThemes(
  tx: Queries,
  quarter: string,
  themes: readonly Theme[],
  memberships: readonly ThemeTopic[],
): Promise<void> {
  await tx`delete from themes where quarter = ${quarter}`
  await copyRows(
    tx,
    'themes',
    [
      { name: 'theme_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'name', type: 'text' },
      { name: 'summary', type: 'text' },
      { name: 'source', type: 'text' },
      { name: 'keywords', type: 'text[]' },
      { name: 'topics', type: 'int4' },
      { name: 'firms', type: 'int4' },
      { name: 'sentences', type: 'int4' },
      { name: 'largest_firm_share', type: 'float4' },
      { name: 'flags', type: 'text[]' },
      { name: 'representative_sentences', type: 'int8[]' },
      { name: 'centroid', type: 'vector' },
    ],
    themes.map(theme => [
      theme.themeId,
      quarter,
      theme.name,
      theme.summary,
      theme.source,
      theme.keywords,
      theme.topics,
      theme.firms,
      theme.sentences,
      theme.largestFirmShare,
      theme.flags,
      theme.representativeSentences,
      theme.centroid,
    ]),
  )
  await copyRows(
    tx,
    'subthemes',
    [
      { name: 'subtheme_id', type: 'text' },
      { name: 'theme_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'topics', type: 'int4' },
      { name: 'firms', type: 'int4' },
      { name: 'keywords', type: 'text[]' },
    ],
    themes.flatMap(({ themeId, subthemes = [] }) =>
      subthemes.map(part => [part.subthemeId, themeId, quarter, part.topics, part.firms, part.keywords]),
    ),
  )
  await copyRows(
    tx,
    'theme_topics',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'theme_id', type: 'text' },
      { name: 'probability', type: 'float4' },
      { name: 'given_to_nearest', type: 'bool' },
      { name: 'subtheme_id', type: 'text' },
    ],
    memberships.map(one => [one.topicId, one.themeId, one.probability, one.givenToNearest, one.subthemeId ?? null]),
  )
}

export type ShownTheme = {
  themeId: string
  name: string
  firms: number
  topics: number
  sentences: number
  flags: string[]
  firmIds: string[]
  example: string
  /** Its parts, that of most firms first. */
  parts: { subthemeId: string; firms: number; topics: number; keywords: string[] }[]
}

/** A quarter's themes as a person reads them: most firms first. */
export async function shownThemes(sql: Queries, quarter: string): Promise<ShownTheme[]> {
  return await sql<ShownTheme[]>`
    select th.theme_id as "themeId", th.name, th.firms, th.topics, th.sentences, th.flags,
      array(
        select distinct t.firm_id from theme_topics m join topics t using (topic_id)
        where m.theme_id = th.theme_id order by 1
      ) as "firmIds",
      coalesce((
        select s.text from sentences s
        where s.quarter = th.quarter and s.sentence_id = th.representative_sentences[1]
      ), '') as example,
      coalesce((
        select json_agg(
          json_build_object('subthemeId', subtheme_id, 'firms', p.firms, 'topics', p.topics, 'keywords', p.keywords)
          order by length(subtheme_id), subtheme_id)
        from subthemes p where p.theme_id = th.theme_id
      ), '[]') as parts
    from themes th
    where th.quarter = ${quarter}
    order by split_part(th.theme_id, '/', 2)::int`
}

/** How many themes a quarter has, and how many of its topics they hold. */
export async function themeCoverage(
  sql: Queries,
  quarter: string,
): Promise<{ themes: number; topics: number; inThemes: number }> {
  const [row] = await sql<{ themes: number; topics: number; inThemes: number }[]>`
    select (select count(*)::int from themes where quarter = ${quarter}) as themes,
      count(*)::int as topics, count(m.topic_id)::int as "inThemes"
    from topics t left join theme_topics m using (topic_id)
    where t.quarter = ${quarter}`
  return row
}

export type ThemeOfQuarter = { themeId: string; keywords: string[]; flags: string[] }

export async function themesOfQuarter(sql: Queries, quarter: string): Promise<ThemeOfQuarter[]> {
  return await sql<ThemeOfQuarter[]>`
    select theme_id as "themeId", keywords, flags from themes where quarter = ${quarter} order by theme_id`
}

export type TopicInTheme = { topicId: string; themeId: string; givenToNearest: boolean }

export async function topicsInThemes(sql: Queries, quarter: string): Promise<TopicInTheme[]> {
  return await sql<TopicInTheme[]>`
    select m.topic_id as "topicId", m.theme_id as "themeId", m.given_to_nearest as "givenToNearest"
    from theme_topics m join topics t using (topic_id)
    where t.quarter = ${quarter}
    order by m.topic_id`
}

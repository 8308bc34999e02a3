// Which sentences, topics and themes a search is about: conditions in SQL, and refusals of what no quarter could answer.
// A topic or a theme fits where it has a sentence that fits. Talk never does: nobody looks for "thank you".

import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'
import { quartersInDatabase } from './quarters.ts'

export type Filter = {
  quarter?: string | undefined
  firmId?: string | undefined
  section?: string | undefined
  /** As the source says it; upper and lower case are the same. */
  role?: string | undefined
  /** Sentences of topics in one of these themes. */
  themeIds?: readonly string[] | undefined
  /** Each has to be there, word for word, and none of these words may. */
  phrases?: readonly string[] | undefined
  without?: readonly string[] | undefined
}

type Condition = ReturnType<typeof condition>

// A type for fragments, which the client names by a conditional type only.
function condition(sql: Queries) {
  return sql`true`
}

function all(sql: Queries, conditions: readonly (Condition | false | undefined)[]): Condition {
  return conditions.reduce<Condition>((sum, one) => (one ? sql`${sum} and ${one}` : sum), sql`true`)
}

/** Of `sentences s`: content of the quarter. A plain equality lets the planner see one partition; `is null or` would not. */
export function isContent(sql: Queries, { quarter }: Filter): Condition {
  return all(sql, [sql`s.talk is null`, quarter !== undefined && sql`s.quarter = ${quarter}`])
}

/** What filters `sentences s` beside the quarter. */
export function sentenceFits(sql: Queries, filter: Filter): Condition {
  const { firmId, themeIds, without = [] } = filter
  return all(sql, [
    firmId !== undefined && sql`s.firm_id = ${firmId}`,
    themeIds &&
      sql`(s.quarter, s.sentence_id) in (
        select ts.quarter, ts.sentence_id
        from topic_sentences ts join theme_topics m using (topic_id)
        where m.theme_id = any(${[...themeIds]}))`,
    said(sql, filter),
    ...without.map(words => sql`not to_tsvector('english', s.text) @@ phraseto_tsquery('english', ${words})`),
  ])
}

/** What only the sentence itself can say; undefined where nothing of that is asked. */
function said(sql: Queries, { section, role, phrases = [] }: Filter): Condition | undefined {
  if (section === undefined && role === undefined && phrases.length === 0) return undefined
  return all(sql, [
    section !== undefined && sql`s.section = ${section}`,
    role !== undefined && sql`lower(s.role) = lower(${role})`,
    ...phrases.map(phrase => sql`to_tsvector('english', s.text) @@ phraseto_tsquery('english', ${phrase})`),
  ])
}

/** Of `topics t`. */
export function topicFits(sql: Queries, filter: Filter): Condition {
  const { quarter, firmId, themeIds } = filter
  const saidSo = said(sql, filter)
  return all(sql, [
    quarter !== undefined && sql`t.quarter = ${quarter}`,
    firmId !== undefined && sql`t.firm_id = ${firmId}`,
    themeIds && sql`t.topic_id in (select topic_id from theme_topics where theme_id = any(${[...themeIds]}))`,
    saidSo &&
      sql`t.topic_id in (
        select ts.topic_id
        from topic_sentences ts join sentences s on s.quarter = ts.quarter and s.sentence_id = ts.sentence_id
        where ${isContent(sql, filter)} and ${firmId === undefined ? sql`true` : sql`s.firm_id = ${firmId}`} and ${saidSo})`,
  ])
}

/** Of `themes h`. */
export function themeFits(sql: Queries, filter: Filter): Condition {
  const { quarter, firmId, themeIds } = filter
  const ofTopics = firmId !== undefined || said(sql, filter) !== undefined
  return all(sql, [
    quarter !== undefined && sql`h.quarter = ${quarter}`,
    themeIds && sql`h.theme_id = any(${[...themeIds]})`,
    ofTopics &&
      sql`h.theme_id in (
        select m.theme_id from theme_topics m join topics t using (topic_id)
        where ${topicFits(sql, { ...filter, themeIds: undefined })})`,
  ])
}

/** Themes and topics are compared by what they are called: whether that has one of the words that may not be there. */
export function nameFits(sql: Queries, name: Condition, { without = [] }: Filter): Condition {
  return all(
    sql,
    without.map(words => sql`not to_tsvector('english', ${name}) @@ phraseto_tsquery('english', ${words})`),
  )
}

/**
 * The themes that a person means by an id, by that of a lineage (all themes that carry one on), or by a name. An id is both
 * where the lineage began with that theme: then it is the lineage, which --quarter narrows to the one.
 */
export async function themesCalled(sql: Queries, wanted: string, quarter: string | undefined): Promise<string[]> {
  const inQuarter = quarter === undefined ? sql`true` : sql`h.quarter = ${quarter}`
  const found = await sql<{ themeId: string }[]>`
    select h.theme_id as "themeId"
    from themes h left join theme_lineage l using (theme_id)
    where ${inQuarter} and (h.theme_id = ${wanted} or l.lineage_id = ${wanted} or lower(h.name) = lower(${wanted}))
    order by h.theme_id`
  if (found.length > 0) return found.map(row => row.themeId)
  const near = await sql<{ theme: string }[]>`
    select h.name || ' (' || h.theme_id || ')' as theme from themes h
    where ${inQuarter} and strpos(lower(h.name), lower(${wanted})) > 0
    order by firms desc, h.theme_id limit 5`
  throw new UserError(
    `no theme ${JSON.stringify(wanted)} in ${quarter ?? 'the database'}` +
      `${near.length > 0 ? `; near: ${near.map(row => row.theme).join(', ')}` : ''}`,
    `quarterdeck sql "select theme_id, name from themes${quarter === undefined ? '' : ` where quarter = '${quarter}'`}"`,
  )
}

/** Refuses a section or a role that no sentence has, with those there are; sources without speakers have none at all. */
export async function requireSaid(
  sql: Database,
  what: 'section' | 'role',
  wanted: string,
  quarter: string | undefined,
): Promise<void> {
  const column = sql(what)
  const content = isContent(sql, { quarter })
  const [{ there }] = await sql<{ there: boolean }[]>`
    select exists (select from sentences s where ${content} and lower(s.${column}) = lower(${wanted})) as there`
  if (there) return
  const known = await sql<{ value: string }[]>`
    select distinct s.${column} as value from sentences s where ${content} and s.${column} is not null order by 1`
  const where = quarter ?? 'the database'
  if (known.length > 0)
    throw new UserError(
      `nobody's sentences in ${where} have the ${what} ${JSON.stringify(wanted)}; there ${known.length === 1 ? 'is' : 'are'} ` +
        known.map(row => row.value).join(', '),
      `--${what} ${JSON.stringify(known[0].value)}`,
    )
  const others: string[] = []
  for (const other of quarter === undefined ? [] : await quartersInDatabase(sql)) {
    const [{ has }] = await sql<{ has: boolean }[]>`
      select exists (
        select from sentences s where ${isContent(sql, { quarter: other })} and s.${column} is not null) as has`
    if (has) others.push(other)
  }
  throw new UserError(
    `--${what} cannot apply to ${where}: its source does not say ${what === 'role' ? 'which role a speaker has' : 'in which section anything was said'}`,
    others.length > 0
      ? `leave --${what} out, or take a quarter that has it: ${others.join(', ')}`
      : `leave --${what} out`,
  )
}

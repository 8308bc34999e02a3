// What is taken home: the rows of an export, read firm by firm from one moment of the database, so that memory holds a few
// firms whatever the size of the quarter. How they become a file is the business of lib/tables; what a column means stands there.

import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'
import { quartersInDatabase } from './quarters.ts'
import { STAGES, type Stage } from './work.ts'

type Value = string | number | boolean | null
/** Its values in the order of the columns that were asked for. Days are text. */
export type ExportedRow = readonly Value[]

/** Rows, and how many firms of the quarter are done with them. */
export type ExportedRows = { rows: ExportedRow[]; firms: number }

export type ExportedTable = 'panel' | 'themes' | 'topics' | 'sentences'

/** A key of `firms.identifiers`, and what the column is called that it becomes. */
export type Identifier = { key: string; column: string }

export type QuarterState = {
  quarter: string
  firms: number
  themeSentences: number
  /** Steps that have something left to do, in pipeline order. */
  left: Stage[]
}

const READ = [
  ...['firms', 'calls', 'sentences', 'topics', 'topic_sentences', 'topic_names', 'themes', 'theme_topics'],
  ...['sentence_novelty', 'topic_novelty', 'theme_lineage', 'settings', 'work'],
]

/** All that is read within is of one moment, whatever others write meanwhile. */
export async function atOneMoment<Result>(sql: Database, read: (tx: Queries) => Promise<Result>): Promise<Result> {
  // As a backup does it (backup.ts): nobody waits for it on a server; on the embedded database, made for 200,000 sentences,
  // others wait for half a minute at most.
  return (await sql.begin('isolation level repeatable read read only', async tx => {
    // Who reads the rows from our output may take as long as he likes: `export --stdout | less`.
    await tx`set local idle_in_transaction_session_timeout = 0`
    // After five executions the server may plan for any quarter and any number of firms; planning anew costs a millisecond.
    await tx`set local plan_cache_mode = force_custom_plan`
    await tx.unsafe(`lock table ${READ.join(', ')} in access share mode`)
    return await read(tx)
  })) as Result
}

/** The state of these quarters, or of all that have calls; refuses one that has none. */
export async function quartersToExport(tx: Queries, wanted: readonly string[] | undefined): Promise<QuarterState[]> {
  const all = await quartersInDatabase(tx)
  if (all.length === 0)
    throw new UserError('the database is empty: there is nothing to export', 'make quarter Q=2024Q3')
  const absent = wanted?.find(quarter => !all.includes(quarter))
  if (absent !== undefined)
    throw new UserError(`the database has no calls of ${absent}; it has ${all.join(', ')}`, `--quarter ${all[0]}`)
  return await tx<QuarterState[]>`
    select quarter,
      (select count(distinct firm_id)::int from calls c where c.quarter = q.quarter) as firms,
      (select coalesce(sum(sentences), 0)::int from themes t where t.quarter = q.quarter) as "themeSentences",
      array(
        select stage from work w where w.quarter = q.quarter and state <> 'done'
        group by stage order by array_position(${[...STAGES]}::text[], stage)
      ) as left
    from unnest(${[...new Set(wanted ?? all)]}::text[]) as q (quarter)
    order by quarter`
}

/** Names of the identifiers that firms of these quarters have. */
export async function identifierKeys(tx: Queries, quarters: readonly string[]): Promise<string[]> {
  const rows = await tx<{ key: string }[]>`
    select distinct key collate "C" as key
    from firms f, jsonb_object_keys(identifiers) as key
    where exists (select from calls c where c.firm_id = f.firm_id and c.quarter = any(${[...quarters]}))
    order by key`
  return rows.map(row => row.key)
}

/** What is wanted of each row, and of the panel also rows of firms that say nothing of a theme. */
export type Wanted = { columns: readonly string[]; identifiers: readonly Identifier[]; zeros: boolean }

/** The rows of a quarter. */
export async function* rowsToExport(
  tx: Queries,
  what: ExportedTable,
  quarter: string,
  { columns, identifiers, zeros }: Wanted,
): AsyncGenerator<ExportedRows, void, undefined> {
  const firms = await firmsToExport(tx, quarter, identifiers)
  if (what === 'themes') {
    yield { rows: inOrder(columns, await themeRows(tx, quarter), new Map()), firms: firms.length }
    return
  }
  const ask = (batch: readonly Firm[]) => {
    const firmIds = batch.map(firm => firm.firmId)
    if (what === 'panel') return panelRows(tx, quarter, firmIds, zeros)
    return what === 'topics' ? topicRows(tx, quarter, firmIds) : sentenceRows(tx, quarter, firmIds)
  }
  for await (const [batch, found] of oneAhead(
    inBatches(firms, firm => firm.sentences, FIRMS_AT_ONCE),
    ask,
  )) {
    const ofFirms = new Map(batch.map(firm => [firm.firmId, { quarter, ...firm.columns }]))
    yield { rows: inOrder(columns, found, ofFirms), firms: batch.length }
  }
}

/** Answers in the order of what is asked; the database works on the next while the caller does on this one. */
async function* oneAhead<Asked, Found>(
  all: Iterable<Asked>,
  ask: (one: Asked) => Promise<Found>,
): AsyncGenerator<[Asked, Found], void, undefined> {
  let before: [Asked, Promise<Found>] | undefined
  for (const one of all) {
    const found = ask(one)
    found.catch(() => {}) // it is heard below, or nobody wants it any more
    if (before !== undefined) yield [before[0], await before[1]]
    before = [one, found]
  }
  if (before !== undefined) yield [before[0], await before[1]]
}

/** What a select brings: values without names, which cost as much again. */
type Found = Awaited<ReturnType<typeof valuesOf>>
const valuesOf = async (query: ReturnType<Queries['unsafe']>) => await query.values()

/** Each row with what is known of its firm, in the order of the columns. */
function inOrder(
  columns: readonly string[],
  found: Found,
  ofFirms: ReadonlyMap<string, Readonly<Record<string, Value>>>,
): ExportedRow[] {
  const names = found.columns.map(one => one.name)
  const places = names.map(name => columns.indexOf(name))
  const firmAt = names.indexOf('firm_id')
  const known = Object.keys(ofFirms.values().next().value ?? {})
  const missing = columns.filter(name => !names.includes(name) && !known.includes(name))
  if (missing.length > 0 || places.includes(-1)) throw new Error(`no values of ${missing}, or too many: ${names}`)
  const begun = new Map([...ofFirms].map(([firm, values]) => [firm, columns.map(name => values[name] ?? null)]))
  const empty = columns.map(() => null)
  return found.map(values => {
    const row: Value[] = (begun.get(values[firmAt]) ?? empty).slice()
    for (let i = 0; i < places.length; i++) row[places[i]] = values[i]
    return row
  })
}

// Rows of 5,000 sentences are 2 MB, of 3,000 characters each 16 MB, which is what the embedded database should bring at once.
const SENTENCES_AT_ONCE = 5000
// With zeros, a firm that says little has as many rows in the panel as one that says much.
const FIRMS_AT_ONCE = 50

/** Neighbours together, as long as their sentences do not become too many. */
function* inBatches<One>(
  all: readonly One[],
  sizeOf: (one: One) => number,
  most = Number.POSITIVE_INFINITY,
): Generator<One[]> {
  let batch: One[] = []
  let size = 0
  for (const one of all) {
    if (batch.length > 0 && (batch.length === most || size + sizeOf(one) > SENTENCES_AT_ONCE)) {
      yield batch
      batch = []
      size = 0
    }
    batch.push(one)
    size += sizeOf(one)
  }
  if (batch.length > 0) yield batch
}

type Firm = { firmId: string; sentences: number; columns: Record<string, Value> }

async function firmsToExport(tx: Queries, quarter: string, identifiers: readonly Identifier[]): Promise<Firm[]> {
  const rows = await tx<
    {
      firmId: string
      ticker: string | null
      name: string | null
      identifiers: Record<string, unknown>
      callDate: string | null
      calls: number
      sentences: number
    }[]
  >`
    select c.firm_id as "firmId", f.ticker, f.name, f.identifiers, max(c.call_date) as "callDate", count(*)::int as calls,
      sum(c.sentences)::int as sentences
    from calls c join firms f using (firm_id)
    where c.quarter = ${quarter}
    group by c.firm_id, f.ticker, f.name, f.identifiers
    order by c.firm_id`
  return rows.map(row => ({
    firmId: row.firmId,
    sentences: row.sentences,
    columns: {
      ticker: row.ticker,
      firm_name: row.name,
      ...Object.fromEntries(identifiers.map(({ key, column }) => [column, asText(row.identifiers[key])])),
      call_date: row.callDate,
      calls: row.calls,
    },
  }))
}

function asText(value: unknown): string | null {
  return value === undefined || value === null ? null : String(value)
}

/**
 * What is said of the sentences of these firms, to be joined by sentence_id. Read along the firm and put aside, so that they
 * are joined by hashing whatever the planner believes: sentence by sentence through two indexes took twice the processor time.
 */
function saidOfSentences(tx: Queries, quarter: string, firms: string[]) {
  return tx`
    membership as materialized (
      select sentence_id, topic_id, subtopic_id, probability, reassigned_topic_id
      from topic_sentences where quarter = ${quarter} and firm_id = any(${firms})
    ), novelty as materialized (
      select sentence_id, earlier_quarter, nearest_sentence_id, similarity, repeated
      from sentence_novelty where quarter = ${quarter} and firm_id = any(${firms})
    )`
}

/*
 * Means are taken of decimal numbers, those that the sentences are exported with: sums of those are the same in any order, so
 * that the same rows give the same file on any server, and the panel is what its sentences make, to the last digit. Sentences of talk are in topics only where `cluster-firm --with-talk` was asked for; shares leave them out above
 * as below the line, so that the shares of a firm's themes never exceed one.
 */
function panelRows(tx: Queries, quarter: string, firms: string[], zeros: boolean): Promise<Found> {
  return valuesOf(tx`
    with ${saidOfSentences(tx, quarter, firms)}, topic as materialized (
      select t.firm_id, t.topic_id, tt.theme_id, tn.is_new
      from topics t
      join theme_topics tt using (topic_id)
      left join topic_novelty tn using (topic_id)
      where t.quarter = ${quarter} and t.firm_id = any(${firms})
    ), own as materialized (
      select s.firm_id, s.talk is null as counts, s.section, m.probability, t.theme_id, n.similarity, n.repeated
      from sentences s
      left join membership m using (sentence_id)
      left join topic t using (topic_id)
      left join novelty n using (sentence_id)
      where s.quarter = ${quarter} and s.firm_id = any(${firms})
    ), firm as (
      select f.firm_id,
        count(*) filter (where counts)::int as call_sentences,
        count(*) filter (where counts and section = 'prepared')::int as prepared_sentences,
        count(*) filter (where counts and section = 'answer')::int as answer_sentences
      from unnest(${firms}::text[]) as f (firm_id) left join own using (firm_id)
      group by f.firm_id
    ), said as (
      select firm_id, theme_id,
        count(*)::int as sentences,
        count(*) filter (where counts)::float8 as in_call,
        count(*) filter (where counts and section = 'prepared')::float8 as in_prepared,
        count(*) filter (where counts and section = 'answer')::float8 as in_answers,
        avg(probability::text::numeric)::float8 as mean_membership,
        count(similarity)::int as compared,
        (1 - avg(similarity::text::numeric))::float8 as novelty,
        avg(repeated::int)::float8 as repeated_share
      from own where theme_id is not null
      group by firm_id, theme_id
    ), held as (
      select firm_id, theme_id, count(*)::int as topics, avg(is_new::int)::float8 as new_topics_share
      from topic group by firm_id, theme_id
    )
    select firm.firm_id, th.theme_id, th.name as theme_name, l.lineage_id, l.event,
      coalesce(said.sentences, 0) as sentences,
      coalesce(in_call, 0) / nullif(call_sentences, 0) as share_of_call,
      coalesce(in_prepared, 0) / nullif(prepared_sentences, 0) as share_of_prepared,
      coalesce(in_answers, 0) / nullif(answer_sentences, 0) as share_of_answers,
      mean_membership, coalesce(held.topics, 0) as topics, coalesce(compared, 0) as compared,
      novelty, repeated_share, new_topics_share, call_sentences, prepared_sentences, answer_sentences
    from firm
    cross join themes th
    left join theme_lineage l on l.theme_id = th.theme_id
    left join said on said.firm_id = firm.firm_id and said.theme_id = th.theme_id
    left join held on held.firm_id = firm.firm_id and held.theme_id = th.theme_id
    where th.quarter = ${quarter} and (${zeros} or held.theme_id is not null)
    order by firm.firm_id collate "C", th.theme_id`)
}

function topicRows(tx: Queries, quarter: string, firms: string[]): Promise<Found> {
  return valuesOf(tx`
    with ${saidOfSentences(tx, quarter, firms)}, own as materialized (
      select s.firm_id, s.talk is null as counts, s.section, m.topic_id, m.probability, n.similarity, n.repeated
      from sentences s
      left join membership m using (sentence_id)
      left join novelty n using (sentence_id)
      where s.quarter = ${quarter} and s.firm_id = any(${firms})
    ), firm as (
      select firm_id,
        count(*) filter (where counts) as call_sentences,
        count(*) filter (where counts and section = 'prepared') as prepared_sentences,
        count(*) filter (where counts and section = 'answer') as answer_sentences
      from own group by firm_id
    ), said as (
      select topic_id,
        count(*) filter (where counts)::float8 as in_call,
        count(*) filter (where counts and section = 'prepared')::float8 as in_prepared,
        count(*) filter (where counts and section = 'answer')::float8 as in_answers,
        avg(probability::text::numeric)::float8 as mean_membership,
        count(similarity)::int as compared,
        (1 - avg(similarity::text::numeric))::float8 as novelty,
        avg(repeated::int)::float8 as repeated_share
      from own where topic_id is not null
      group by topic_id
    )
    select t.firm_id, t.topic_id, coalesce(tn.name, t.label) as topic_name, tn.summary as topic_summary,
      tn.source as name_source, array_to_string(t.keywords, '; ') as keywords, t.size as sentences,
      in_call / nullif(call_sentences, 0) as share_of_call,
      in_prepared / nullif(prepared_sentences, 0) as share_of_prepared,
      in_answers / nullif(answer_sentences, 0) as share_of_answers,
      mean_membership, tt.theme_id, th.name as theme_name, l.lineage_id, tt.subtheme_id,
      tt.probability as theme_membership, tt.given_to_nearest, coalesce(compared, 0) as compared, novelty, repeated_share,
      nv.earlier_quarter, nv.nearest_topic_id, nv.similarity as nearest_similarity, nv.is_new,
      (select text from sentences s
        where s.quarter = t.quarter and s.sentence_id = t.representative_sentences[1]) as example
    from topics t
    join firm using (firm_id)
    left join said using (topic_id)
    left join topic_names tn using (topic_id)
    left join theme_topics tt using (topic_id)
    left join themes th on th.theme_id = tt.theme_id
    left join theme_lineage l on l.theme_id = tt.theme_id
    left join topic_novelty nv using (topic_id)
    where t.quarter = ${quarter} and t.firm_id = any(${firms})
    order by t.firm_id, t.topic_id`)
}

function sentenceRows(tx: Queries, quarter: string, firms: string[]): Promise<Found> {
  // Every sentence has its call; joined from the left all the same, for the planner takes `join` to lose nearly all of them.
  return valuesOf(tx`
    with ${saidOfSentences(tx, quarter, firms)}, topic as materialized (
      select t.topic_id, coalesce(tn.name, t.label) as topic_name, tt.theme_id, th.name as theme_name
      from topics t
      left join topic_names tn using (topic_id)
      left join theme_topics tt using (topic_id)
      left join themes th on th.theme_id = tt.theme_id
      where t.quarter = ${quarter} and t.firm_id = any(${firms})
    )
    select s.firm_id, s.sentence_id::text as sentence_id, c.call_date as sentence_date, s.position, s.speaker, s.role,
      s.section, s.talk, topic_id, t.topic_name, m.subtopic_id, m.probability as topic_membership, m.reassigned_topic_id, t.theme_id,
      t.theme_name, n.earlier_quarter, n.nearest_sentence_id::text as nearest_sentence_id,
      n.similarity as nearest_similarity, n.repeated, s.text
    from sentences s
    left join calls c on c.call_id = s.call_id and c.quarter = s.quarter and c.firm_id = any(${firms})
    left join membership m using (sentence_id)
    left join topic t using (topic_id)
    left join novelty n using (sentence_id)
    where s.quarter = ${quarter} and s.firm_id = any(${firms})
    order by s.firm_id, c.call_date, s.sentence_id`)
}

function themeRows(tx: Queries, quarter: string): Promise<Found> {
  return valuesOf(tx`
    with said as (
      select tt.theme_id,
        count(*) filter (where s.talk is null)::float8 as in_calls,
        avg(ts.probability::text::numeric)::float8 as mean_membership,
        count(n.similarity)::int as compared,
        (1 - avg(n.similarity::text::numeric))::float8 as novelty,
        avg(n.repeated::int)::float8 as repeated_share
      from topic_sentences ts
      join theme_topics tt using (topic_id)
      join sentences s on s.quarter = ts.quarter and s.sentence_id = ts.sentence_id
      left join sentence_novelty n on n.quarter = ts.quarter and n.sentence_id = ts.sentence_id
      where ts.quarter = ${quarter}
      group by tt.theme_id
    ), held as (
      select tt.theme_id, avg(nv.is_new::int)::float8 as new_topics_share
      from theme_topics tt join topic_novelty nv using (topic_id)
      where nv.quarter = ${quarter}
      group by tt.theme_id
    ), quarter_of as (
      select (select count(distinct firm_id)::int from calls where quarter = ${quarter}) as quarter_firms,
        (select count(*)::int from sentences where quarter = ${quarter} and talk is null) as quarter_sentences
    )
    select th.quarter, th.theme_id, th.name as theme_name, th.summary as theme_summary, th.source as name_source,
      l.lineage_id, l.event, array_to_string(th.keywords, '; ') as keywords, th.topics, th.firms, th.sentences,
      th.firms::float8 / nullif(quarter_firms, 0) as share_of_firms,
      coalesce(in_calls, 0) / nullif(quarter_sentences, 0) as share_of_sentences,
      th.largest_firm_share, array_to_string(th.flags, '; ') as flags, mean_membership,
      coalesce(compared, 0) as compared, novelty, repeated_share, new_topics_share, quarter_firms, quarter_sentences,
      (select text from sentences s
        where s.quarter = th.quarter and s.sentence_id = th.representative_sentences[1]) as example
    from themes th
    cross join quarter_of
    left join theme_lineage l using (theme_id)
    left join said using (theme_id)
    left join held using (theme_id)
    where th.quarter = ${quarter}
    order by th.theme_id`)
}

/** A sentence of a theme, with all that it is nested in. */
export type ThemeSentence = {
  themeId: string
  themeName: string
  firmId: string
  firmName: string | null
  permno: string | null
  callId: string
  callDate: string | null
  text: string
  speaker: string | null
}

/** Sentences of the themes of a quarter: theme by theme, firm by firm, call by call, as they were said. */
export async function* sentencesByTheme(
  tx: Queries,
  quarter: string,
): AsyncGenerator<ThemeSentence[], void, undefined> {
  const held = await tx<{ topicIds: string[]; sentences: number }[]>`
    select array_agg(t.topic_id) as "topicIds", sum(t.size)::int as sentences
    from topics t join theme_topics tt using (topic_id)
    where t.quarter = ${quarter}
    group by tt.theme_id, t.firm_id
    order by tt.theme_id, t.firm_id`
  for (const batch of inBatches(held, one => one.sentences, SENTENCES_AT_ONCE))
    yield await tx<ThemeSentence[]>`
      select tt.theme_id as "themeId", th.name as "themeName", s.firm_id as "firmId", f.name as "firmName",
        f.identifiers ->> 'permno' as permno, c.call_id::text as "callId", c.call_date as "callDate", s.text, s.speaker
      from topic_sentences ts
      join theme_topics tt using (topic_id)
      join themes th using (theme_id)
      join sentences s on s.quarter = ts.quarter and s.sentence_id = ts.sentence_id
      join calls c using (call_id)
      join firms f on f.firm_id = s.firm_id
      where ts.quarter = ${quarter} and ts.topic_id = any(${batch.flatMap(one => one.topicIds)})
      order by tt.theme_id, s.firm_id, c.call_date, s.sentence_id`
}

// What is taken home: the rows of an export, read firm by firm from one moment of the database, so that memory holds a few
// firms whatever the size of the quarter. How they become a file is the business of lib/tables; what a column means stands there.

import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'
import { quartersInDatabase } from './quarters.ts'

/** A row by the names of its columns. Days are text. */
export type ExportedRow = Record<string, string | number | boolean | null>

/** Rows, and how many firms of the quarter are done with them. */
export type ExportedRows = { rows: ExportedRow[]; firms: number }

export type ExportedTable = 'panel' | 'themes' | 'topics' | 'sentences'

/** A key of `firms.identifiers`, and what the column is called that it becomes. */
export type Identifier = { key: string; column: string }

export type QuarterState = {
  quarter: string
  firms: number
  topics: number
  themes: number
  themeSentences: number
  /** Of its themes, those that `lineage` has placed. */
  themesWithLineage: number
}

const READ = [
  ...['firms', 'calls', 'sentences', 'topics', 'topic_sentences', 'topic_names', 'themes', 'theme_topics'],
  ...['sentence_novelty', 'topic_novelty', 'theme_lineage', 'settings'],
]

/** All that is read within is of one moment, whatever others write meanwhile. */
export async function atOneMoment<Result>(sql: Database, read: (tx: Queries) => Promise<Result>): Promise<Result> {
  // As a backup does it (backup.ts): nobody waits for it on a server; on the embedded database, made for 200,000 sentences,
  // others wait for half a minute at most.
  return (await sql.begin('isolation level repeatable read read only', async tx => {
    // Who reads the rows from our output may take as long as he likes: `export --stdout | less`.
    await tx`set local idle_in_transaction_session_timeout = 0`
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
      (select count(*)::int from topics t where t.quarter = q.quarter) as topics,
      (select count(*)::int from themes t where t.quarter = q.quarter) as themes,
      (select coalesce(sum(sentences), 0)::int from themes t where t.quarter = q.quarter) as "themeSentences",
      (select count(*)::int from theme_lineage l where l.quarter = q.quarter) as "themesWithLineage"
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

/** The rows of a quarter. `zeros`: of the panel also firms that say nothing of a theme. */
export async function* rowsToExport(
  tx: Queries,
  what: ExportedTable,
  quarter: string,
  { identifiers, zeros }: { identifiers: readonly Identifier[]; zeros: boolean },
): AsyncGenerator<ExportedRows, void, undefined> {
  const firms = await firmsToExport(tx, quarter, identifiers)
  if (what === 'themes') {
    yield { rows: await themeRows(tx, quarter), firms: firms.length }
    return
  }
  for (const batch of inBatches(firms, firm => firm.sentences, FIRMS_AT_ONCE)) {
    const firmIds = batch.map(firm => firm.firmId)
    const found =
      what === 'panel'
        ? await panelRows(tx, quarter, firmIds, zeros)
        : what === 'topics'
          ? await topicRows(tx, quarter, firmIds)
          : await sentenceRows(tx, quarter, firmIds)
    const columnsOf = new Map(batch.map(firm => [firm.firmId, firm.columns]))
    yield {
      rows: found.map(row => ({ quarter, ...columnsOf.get(String(row.firm_id)), ...row })),
      firms: batch.length,
    }
  }
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

type Firm = { firmId: string; sentences: number; columns: ExportedRow }

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

/*
 * Means are taken of decimal numbers: sums of those are the same in any order, so that the same rows give the same file on
 * any server. Sentences of talk are in topics only where `cluster-firm --with-talk` was asked for; shares leave them out above
 * as below the line, so that the shares of a firm's themes never exceed one.
 */
async function panelRows(tx: Queries, quarter: string, firms: string[], zeros: boolean): Promise<ExportedRow[]> {
  return await tx<ExportedRow[]>`
    with own as materialized (
      select s.firm_id, s.talk is null as counts, s.section, ts.topic_id, ts.probability, tt.theme_id,
        n.similarity, n.repeated
      from sentences s
      left join topic_sentences ts on ts.quarter = s.quarter and ts.sentence_id = s.sentence_id
      left join theme_topics tt on tt.topic_id = ts.topic_id
      left join sentence_novelty n on n.quarter = s.quarter and n.sentence_id = s.sentence_id
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
        avg(probability::float8::numeric)::float8 as mean_membership,
        count(similarity)::int as compared,
        (1 - avg(similarity::float8::numeric))::float8 as novelty,
        avg(repeated::int)::float8 as repeated_share
      from own where theme_id is not null
      group by firm_id, theme_id
    ), held as (
      select t.firm_id, tt.theme_id, count(*)::int as topics, avg(tn.is_new::int)::float8 as new_topics_share
      from topics t
      join theme_topics tt using (topic_id)
      left join topic_novelty tn using (topic_id)
      where t.quarter = ${quarter} and t.firm_id = any(${firms})
      group by t.firm_id, tt.theme_id
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
    order by firm.firm_id collate "C", th.theme_id`
}

async function topicRows(tx: Queries, quarter: string, firms: string[]): Promise<ExportedRow[]> {
  return await tx<ExportedRow[]>`
    with own as materialized (
      select s.firm_id, s.talk is null as counts, s.section, ts.topic_id, ts.probability, n.similarity, n.repeated
      from sentences s
      left join topic_sentences ts on ts.quarter = s.quarter and ts.sentence_id = s.sentence_id
      left join sentence_novelty n on n.quarter = s.quarter and n.sentence_id = s.sentence_id
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
        avg(probability::float8::numeric)::float8 as mean_membership,
        count(similarity)::int as compared,
        (1 - avg(similarity::float8::numeric))::float8 as novelty,
        avg(repeated::int)::float8 as repeated_share
      from own where topic_id is not null
      group by topic_id
    )
    select t.firm_id, t.topic_id, coalesce(tn.name, t.label) as topic_name, tn.summary as topic_summary,
      tn.source as name_source, array_to_string(t.keywords, '; ') as keywords, t.size as sentences,
      in_call / nullif(call_sentences, 0) as share_of_call,
      in_prepared / nullif(prepared_sentences, 0) as share_of_prepared,
      in_answers / nullif(answer_sentences, 0) as share_of_answers,
      mean_membership, tt.theme_id, th.name as theme_name, l.lineage_id, tt.probability as theme_membership,
      tt.given_to_nearest, coalesce(compared, 0) as compared, novelty, repeated_share,
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
    order by t.firm_id, t.topic_id`
}

async function sentenceRows(tx: Queries, quarter: string, firms: string[]): Promise<ExportedRow[]> {
  return await tx<ExportedRow[]>`
    select s.firm_id, s.sentence_id::text as sentence_id, c.call_date as sentence_date, s.position, s.speaker, s.role,
      s.section, s.talk, ts.topic_id, coalesce(tn.name, t.label) as topic_name, ts.probability as topic_membership,
      ts.reassigned_topic_id, tt.theme_id, th.name as theme_name, n.earlier_quarter,
      n.nearest_sentence_id::text as nearest_sentence_id, n.similarity as nearest_similarity, n.repeated, s.text
    from sentences s
    join calls c using (call_id)
    left join topic_sentences ts on ts.quarter = s.quarter and ts.sentence_id = s.sentence_id
    left join topics t using (topic_id)
    left join topic_names tn using (topic_id)
    left join theme_topics tt using (topic_id)
    left join themes th on th.theme_id = tt.theme_id
    left join sentence_novelty n on n.quarter = s.quarter and n.sentence_id = s.sentence_id
    where s.quarter = ${quarter} and s.firm_id = any(${firms})
    order by s.firm_id, c.call_date, s.sentence_id`
}

async function themeRows(tx: Queries, quarter: string): Promise<ExportedRow[]> {
  return await tx<ExportedRow[]>`
    with said as (
      select tt.theme_id,
        count(*) filter (where s.talk is null)::float8 as in_calls,
        avg(ts.probability::float8::numeric)::float8 as mean_membership,
        count(n.similarity)::int as compared,
        (1 - avg(n.similarity::float8::numeric))::float8 as novelty,
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
    order by th.theme_id`
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

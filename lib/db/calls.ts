// The tables `firms`, `calls`, `sentences` and `common_words`: what `ingest` writes and everybody reads.

import { createHash } from 'node:crypto'
import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'
import { copyRows } from './copy.ts'
import { transaction } from './transaction.ts'
import { firmChanged, quarterChanged, talkChanged } from './work.ts'

export type StoredSentence = {
  speaker: string | null
  role: string | null
  section: string | null
  text: string
  /** Marks that need only the sentence itself; the quarter's own come later (`markTalk`). */
  talk: string | null
}

export type StoredCall = {
  callId: bigint
  firmId: string
  ticker: string | null
  name: string | null
  identifiers: Record<string, string>
  quarter: string
  calendarQuarter: string | null
  fiscalQuarter: string | null
  callDate: string | null
  source: string
  format: string
  contentHash: string
  sentences: readonly StoredSentence[]
}

// sentence_id = call_id * 65536 + position has to stay below 2^63: 16 bits for the position leave 47 for the call.
const POSITIONS = 65536n
export const MOST_SENTENCES_OF_A_CALL = Number(POSITIONS)

/** A stable id from what makes a call unique: the first 47 bits of SHA-256. */
export function callIdOf(key: string): bigint {
  return createHash('sha256').update(key).digest().readBigUInt64BE(0) >> 17n
}

export function sentenceId(callId: bigint, position: number): bigint {
  return callId * POSITIONS + BigInt(position)
}

/** Content hashes of the calls of a quarter, by call id in decimal: what needs no loading again. */
export async function knownCalls(sql: Queries, quarter: string): Promise<Map<string, string>> {
  const rows = await sql<{ callId: bigint; contentHash: string }[]>`
    select call_id as "callId", content_hash as "contentHash" from calls where quarter = ${quarter}`
  return new Map(rows.map(row => [row.callId.toString(), row.contentHash]))
}

/** Number of calls and sentences of a quarter. */
export async function sizeOfQuarter(
  sql: Queries,
  quarter: string,
): Promise<{ firms: number; calls: number; sentences: number }> {
  const [row] = await sql<{ firms: number; calls: number; sentences: number }[]>`
    select count(distinct firm_id)::int as firms, count(*)::int as calls, coalesce(sum(sentences), 0)::int as sentences
    from calls where quarter = ${quarter}`
  return row
}

/** Number of sentences of a quarter that are marked as talk. */
export async function talkOfQuarter(sql: Queries, quarter: string): Promise<number> {
  const [{ talk }] = await sql<{ talk: number }[]>`
    select count(*)::int as talk from sentences where quarter = ${quarter} and talk is not null`
  return talk
}

/**
 * Writes a call and its sentences, in place of an earlier version of it. What later steps made of the firm's quarter is
 * deleted with it: its sentences may stand at other positions now, and nothing may point at the wrong one.
 */
export async function writeCall(sql: Database, call: StoredCall): Promise<void> {
  const [other] = await sql<{ firmId: string; quarter: string; source: string }[]>`
    select firm_id as "firmId", quarter, source from calls where call_id = ${call.callId.toString()}`
  if (other && other.firmId !== call.firmId)
    throw new UserError(
      `${call.source} and ${other.source} get the same call id (${call.callId}), though they are calls of ${call.firmId} and ${other.firmId}`,
      'a chance of one in 140 trillion: rename one of the firms in its source',
    )
  await transaction(sql, async tx => {
    await writeFirm(tx, call)
    for (const quarter of new Set([call.quarter, other?.quarter ?? call.quarter])) {
      await tx`
        delete from sentences
        where quarter = ${quarter} and firm_id = ${call.firmId} and call_id = ${call.callId.toString()}`
      await tx`delete from sentence_vectors where quarter = ${quarter} and firm_id = ${call.firmId}`
      await tx`delete from topic_sentences where quarter = ${quarter} and firm_id = ${call.firmId}`
      await tx`delete from topics where quarter = ${quarter} and firm_id = ${call.firmId}`
      await tx`delete from sentence_novelty where quarter = ${quarter} and firm_id = ${call.firmId}`
    }
    await tx`
      insert into calls (call_id, firm_id, quarter, calendar_quarter, fiscal_quarter, call_date, source, format, content_hash, sentences)
      values (${call.callId.toString()}, ${call.firmId}, ${call.quarter}, ${call.calendarQuarter}, ${call.fiscalQuarter},
        ${call.callDate}::text::date, ${call.source}, ${call.format}, ${call.contentHash}, ${call.sentences.length})
      on conflict (call_id) do update
      set quarter = excluded.quarter, calendar_quarter = excluded.calendar_quarter, fiscal_quarter = excluded.fiscal_quarter,
          call_date = excluded.call_date, source = excluded.source, format = excluded.format,
          content_hash = excluded.content_hash, sentences = excluded.sentences`
    await copyRows(tx, 'sentences', SENTENCE_COLUMNS, sentenceRows(call))
    // A call that the source now puts into another quarter leaves its old one changed as well.
    for (const quarter of new Set([call.quarter, other?.quarter ?? call.quarter])) {
      const [{ units }] = await tx<{ units: number }[]>`
        select coalesce(sum(sentences), 0)::int as units from calls
        where quarter = ${quarter} and firm_id = ${call.firmId}`
      await firmChanged(tx, quarter, call.firmId, units)
      await quarterChanged(tx, quarter)
    }
    if (other && other.quarter !== call.quarter) await forgetIfEmpty(tx, other.quarter)
  })
}

/** Of a quarter without calls no step runs any more, so that what was said of it as a whole would stay for ever. */
async function forgetIfEmpty(tx: Queries, quarter: string): Promise<void> {
  const isEmpty = tx`not exists (select from calls where quarter = ${quarter})`
  await tx`delete from themes where quarter = ${quarter} and ${isEmpty}`
  await tx`delete from common_words where quarter = ${quarter} and ${isEmpty}`
}

/**
 * The firm is called what its latest call says, whatever the order in which calls are loaded. A new name changes which
 * words tell nothing about the firm, so its topics are made again.
 */
async function writeFirm(tx: Queries, call: StoredCall): Promise<void> {
  const [before] = await tx<{ name: string | null; latest: boolean }[]>`
    select name, not exists (
        select from calls where firm_id = ${call.firmId} and call_date > ${call.callDate}::text::date
      ) as latest
    from firms where firm_id = ${call.firmId}`
  const latest = before === undefined || before.latest
  const [first, second] = latest ? [tx('excluded'), tx('firms')] : [tx('firms'), tx('excluded')]
  await tx`
    insert into firms (firm_id, ticker, name, identifiers)
    values (${call.firmId}, ${call.ticker}, ${call.name}, ${tx.json(call.identifiers)})
    on conflict (firm_id) do update
    set ticker = coalesce(${first}.ticker, ${second}.ticker),
        name = coalesce(${first}.name, ${second}.name),
        identifiers = ${second}.identifiers || ${first}.identifiers`
  const [after] = await tx<{ name: string | null }[]>`select name from firms where firm_id = ${call.firmId}`
  if (before === undefined || before.name === after.name) return
  const quarters = await tx<{ quarter: string }[]>`
    select distinct quarter from calls where firm_id = ${call.firmId} order by quarter`
  for (const { quarter } of quarters) await talkChanged(tx, quarter, [call.firmId])
}

const SENTENCE_COLUMNS = [
  { name: 'quarter', type: 'text' },
  { name: 'sentence_id', type: 'int8' },
  { name: 'call_id', type: 'int8' },
  { name: 'firm_id', type: 'text' },
  { name: 'position', type: 'int4' },
  { name: 'speaker', type: 'text' },
  { name: 'role', type: 'text' },
  { name: 'section', type: 'text' },
  { name: 'talk', type: 'text' },
  { name: 'text', type: 'text' },
] as const

function* sentenceRows(call: StoredCall) {
  for (const [position, sentence] of call.sentences.entries())
    yield [
      call.quarter,
      sentenceId(call.callId, position),
      call.callId,
      call.firmId,
      position,
      sentence.speaker,
      sentence.role,
      sentence.section,
      sentence.talk,
      sentence.text,
    ]
}

export type FirmSentence = { sentenceId: bigint; text: string; talk: string | null }

/** The sentences of a firm's quarter, in the order they were said. */
export async function sentencesOfFirm(sql: Queries, quarter: string, firmId: string): Promise<FirmSentence[]> {
  return await sql<FirmSentence[]>`
    select s.sentence_id as "sentenceId", s.text, s.talk
    from sentences s
    join calls c using (call_id)
    where s.quarter = ${quarter} and s.firm_id = ${firmId}
    order by c.call_date nulls first, s.sentence_id`
}

/** The same for several firms at once, because asking for each alone costs more than the answer; no talk marks. */
export async function sentencesOfFirms(
  sql: Queries,
  quarter: string,
  firmIds: readonly string[],
): Promise<Map<string, { sentenceIds: bigint[]; texts: string[] }>> {
  // Without the order in which they were said: an embedding depends on its text alone.
  const rows = await sql<{ firmId: string; sentenceId: bigint; text: string }[]>`
    select firm_id as "firmId", sentence_id as "sentenceId", text
    from sentences
    where quarter = ${quarter} and firm_id = any(${[...firmIds]})
    order by sentence_id`
  const sentences = new Map(firmIds.map(firmId => [firmId, { sentenceIds: [] as bigint[], texts: [] as string[] }]))
  for (const { firmId, sentenceId, text } of rows) {
    sentences.get(firmId)?.sentenceIds.push(sentenceId)
    sentences.get(firmId)?.texts.push(text)
  }
  return sentences
}

/** The firms that have a call in a quarter, by name. */
export async function firmsOfQuarter(sql: Queries, quarter: string): Promise<string[]> {
  const firms = await sql<{ firmId: string }[]>`
    select distinct firm_id as "firmId" from calls where quarter = ${quarter} order by firm_id`
  return firms.map(({ firmId }) => firmId)
}

export type MarkedSentence = { sentenceId: bigint; text: string; role: string | null; talk: string | null }

/** Every sentence of a quarter, firm by firm; one firm in memory at a time. */
export async function* sentencesByFirm(
  sql: Queries,
  quarter: string,
): AsyncGenerator<{ firmId: string; sentences: MarkedSentence[] }> {
  for (const firmId of await firmsOfQuarter(sql, quarter)) {
    const sentences = await sql<MarkedSentence[]>`
      select sentence_id as "sentenceId", text, role, talk from sentences
      where quarter = ${quarter} and firm_id = ${firmId} order by sentence_id`
    yield { firmId, sentences }
  }
}

/** Sets the marks of one firm's sentences, given as pairs of id and reason (null: content). */
export async function setTalk(
  tx: Queries,
  quarter: string,
  marks: readonly (readonly [bigint, string | null])[],
): Promise<void> {
  await tx`
    update sentences set talk = mark.talk
    from unnest(${marks.map(mark => mark[0].toString())}::bigint[], ${marks.map(mark => mark[1])}::text[]) as mark (sentence_id, talk)
    where sentences.quarter = ${quarter} and sentences.sentence_id = mark.sentence_id`
}

/** Replaces the quarter's common words, word → number of firms that use it; says whether that changed anything. */
export async function setCommonWords(
  tx: Queries,
  quarter: string,
  words: ReadonlyMap<string, number>,
): Promise<boolean> {
  const before = await commonWordsOf(tx, quarter)
  if (before.size === words.size && [...words].every(([word, firms]) => before.get(word) === firms)) return false
  await tx`delete from common_words where quarter = ${quarter}`
  await tx`
    insert into common_words (quarter, word, firms)
    select ${quarter}, * from unnest(${[...words.keys()]}::text[], ${[...words.values()]}::int[])`
  return true
}

export async function commonWordsOf(sql: Queries, quarter: string): Promise<Map<string, number>> {
  const rows = await sql<{ word: string; firms: number }[]>`
    select word, firms from common_words where quarter = ${quarter} order by word`
  return new Map(rows.map(row => [row.word, row.firms]))
}

/** The firm meant by a person: its id, its ticker in any case, or its name. Says what is near when there is none. */
export async function findFirm(sql: Queries, quarter: string, wanted: string): Promise<string> {
  const found = await sql<{ firmId: string; rank: number }[]>`
    select f.firm_id as "firmId",
      case
        when f.firm_id = ${wanted} then 1
        when upper(f.firm_id) = upper(${wanted}) then 2
        when upper(f.ticker) = upper(${wanted}) then 3
        else 4
      end as rank
    from firms f
    where exists (select from calls c where c.firm_id = f.firm_id and c.quarter = ${quarter})
      and upper(${wanted}) in (upper(f.firm_id), upper(f.ticker), upper(f.name))
    order by rank, 1`
  // An id before a ticker before a name: otherwise a firm could not be named at all when another is called as its id is.
  const rows = found.filter(row => row.rank === found[0].rank)
  if (rows.length === 1) return rows[0].firmId
  if (rows.length > 1)
    throw new UserError(
      `${wanted} names ${rows.length} firms of ${quarter}: ${rows.map(row => row.firmId).join(', ')}`,
      `give one of them: --firm ${rows[0].firmId}`,
    )
  const near = await sql<{ firmId: string }[]>`
    select distinct f.firm_id as "firmId"
    from firms f join calls c using (firm_id)
    where c.quarter = ${quarter} and (f.firm_id ilike ${`${wanted.slice(0, 2)}%`} or f.name ilike ${`%${wanted}%`})
    order by 1 limit 5`
  throw new UserError(
    `no firm ${wanted} in ${quarter}${near.length > 0 ? `; near: ${near.map(row => row.firmId).join(', ')}` : ''}`,
    `quarterdeck sql "select firm_id, name from firms order by 1"`,
  )
}

/** Name of each firm, or its ticker or id where it has none. */
export async function firmNames(sql: Queries, firmIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await sql<{ firmId: string; name: string }[]>`
    select firm_id as "firmId", coalesce(name, ticker, firm_id) as name from firms where firm_id = any(${[...firmIds]})`
  return new Map(rows.map(row => [row.firmId, row.name]))
}

/** A quarter must have calls before any later step makes sense. */
export async function requireQuarter(sql: Queries, quarter: string): Promise<void> {
  const { calls } = await sizeOfQuarter(sql, quarter)
  if (calls > 0) return
  const rows = await sql<{ quarter: string }[]>`select distinct quarter from calls order by 1`
  const others = rows.map(row => row.quarter)
  throw new UserError(
    `the database has no calls of ${quarter}${others.length > 0 ? `; it has ${others.join(', ')}` : ''}`,
    `quarterdeck ingest PATH --quarter ${quarter}`,
  )
}

// Partitions: the large tables have one part a quarter, made when the quarter is first written, and dropped with it.

import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { count, duration } from '../log.ts'
import { mayBeAlive, ranHere, workerName } from '../worker-name.ts'
import type { Database, Queries } from './connect.ts'
import { callsChanged, themesChanged, workInHand } from './work.ts'

/** In the order in which the steps write them: who locks several does it in this order, and nobody waits in a circle. */
export const PARTITIONED = ['sentences', 'sentence_vectors', 'topic_sentences', 'sentence_novelty'] as const
type Partitioned = (typeof PARTITIONED)[number]

/** `partitionName('sentence_vectors', '2016Q4')` → sentence_vectors_2016q4 */
export function partitionName(table: Partitioned, quarter: string): string {
  return `${table}_${quarter.toLowerCase()}`
}

/** Makes the partitions of a quarter where they are missing. */
export async function ensureQuarter(sql: Database, quarter: string): Promise<void> {
  const [{ there }] = await sql<{ there: number }[]>`
    select count(*)::int as there
    from unnest(${PARTITIONED.map(table => partitionName(table, quarter))}::text[]) as name
    where to_regclass(name) is not null`
  if (there === PARTITIONED.length) return
  await sql.begin(async tx => {
    await lockQuarter(tx, quarter)
    for (const table of PARTITIONED) {
      await tx`
        create table if not exists ${tx(partitionName(table, quarter))}
        partition of ${tx(table)} for values in (${tx.unsafe(`'${checked(quarter)}'`)})`
    }
  })
}

// Two processes that make a quarter's partitions at once: `if not exists` alone still collides in the catalog.
async function lockQuarter(tx: Queries, quarter: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtext(${`quarter ${quarter}`}))`
}

// A partition bound must be a literal, so the quarter is checked here although its reader has checked it before.
function checked(quarter: string): string {
  if (!/^\d{4}Q[1-4]$/.test(quarter)) throw new Error(`not a quarter: ${quarter}`)
  return quarter
}

/** Tells the planner what has been loaded: autovacuum does so later on a server, and never on the embedded database. */
export async function analyzeQuarter(sql: Database, quarter: string): Promise<void> {
  await sql`analyze work`
  await sql`analyze ${sql(partitionName('sentences', quarter))}`
}

/** Quarters that have calls, oldest first. */
export async function quartersInDatabase(sql: Queries): Promise<string[]> {
  const rows = await sql<{ quarter: string }[]>`select distinct quarter from calls order by quarter`
  return rows.map(row => row.quarter)
}

/** Quarters that have left any trace, be it an empty partition, oldest first. */
export async function quartersKnown(sql: Queries): Promise<string[]> {
  const rows = await sql<{ quarter: string }[]>`
    select quarter from calls
    union select quarter from work
    union select quarter from topics
    union select quarter from themes
    union select quarter from common_words
    union select upper(right(relname, 6)) collate "C"
      from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = any(${[...PARTITIONED]}::text[]::regclass[]) and relname ~ '_[0-9]{4}q[1-4]$'
    order by quarter`
  return rows.map(row => row.quarter)
}

/** A quarter that has left a trace, or a word on what there is. */
export async function requireKnownQuarter(sql: Queries, quarter: string): Promise<void> {
  const known = await quartersKnown(sql)
  if (known.includes(quarter)) return
  throw new UserError(
    `the database has nothing of ${quarter}${known.length > 0 ? `; it has ${known.join(', ')}` : ''}`,
    'quarterdeck status',
  )
}

export type QuarterContents = {
  calls: number
  sentences: number
  firms: number
  /** Of those, firms that have calls in no other quarter. */
  firmsOnlyHere: number
  topics: number
  themes: number
  /** Of its partitions on disk, with their indexes. */
  bytes: number
}

/** What a quarter holds, without reading its large tables. */
export async function contentsOfQuarter(sql: Queries, quarter: string): Promise<QuarterContents> {
  const [row] = await sql<QuarterContents[]>`
    with own as (select firm_id, sentences from calls where quarter = ${quarter})
    select (select count(*)::int from own) as calls,
      (select coalesce(sum(sentences), 0)::int from own) as sentences,
      (select count(distinct firm_id)::int from own) as firms,
      (select count(distinct firm_id)::int from own where not exists (
        select from calls where calls.firm_id = own.firm_id and quarter <> ${quarter})) as "firmsOnlyHere",
      (select count(*)::int from topics where quarter = ${quarter}) as topics,
      (select count(*)::int from themes where quarter = ${quarter}) as themes,
      (select coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::float8
        from unnest(${PARTITIONED.map(table => partitionName(table, quarter))}::text[]) as name) as bytes`
  return row
}

// A partition is dropped under a lock that keeps everybody from the whole table, and who waits for such a lock keeps
// everybody waiting behind him. So it is asked for during half of the second after which Postgres looks for deadlocks
// (deadlock_timeout): nobody is held up for longer, and where two wait in a circle it is always this one that gives way.
const LOCK_MILLISECONDS = 500
// Ten tries with as long a pause between them: transactions of the steps take less than a second.
const TRIES = 10
// lock_not_available, deadlock_detected, and foreign_key_violation: a firm got a call in another quarter just now.
const TRY_AGAIN = ['55P03', '40P01', '23503']

/**
 * Removes a quarter from every table, in one transaction; its partitions go as files, whatever their size. Firms go that have
 * calls in no other quarter. Kept are `runs`, where numbers that were published came from, and `chat_answers`: they are paid
 * for, answer again when the quarter is loaded again, and what the quarter has cost counts against its limit all the same.
 * Refuses while somebody is at work on the quarter; who comes late writes nothing, because his fence finds no row.
 */
export async function dropQuarter(sql: Database, quarter: string, tries = TRIES): Promise<QuarterContents> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sql.begin(tx => drop(tx, quarter))
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (!TRY_AGAIN.includes(code)) throw error
      if (attempt >= tries) throw inUse(quarter, await whoIsAtTheTables(sql), error)
      await sleep(LOCK_MILLISECONDS)
    }
  }
}

async function drop(tx: Queries, quarter: string): Promise<QuarterContents> {
  await tx`select set_config('lock_timeout', ${`${LOCK_MILLISECONDS}ms`}, true)`
  await lockQuarter(tx, quarter)
  // Who loads its first calls holds no work yet: what they write goes into these, so they end before or fail.
  await holdPartitions(tx, quarter)
  // As the steps do it: from here on nobody finishes anything of this quarter, nor takes it in hand.
  await tx`select from work where quarter = ${quarter} order by stage, firm_id for update`
  await refuseIfAtWork(tx, quarter)
  const contents = await contentsOfQuarter(tx, quarter)
  const gone = await emptySmallTables(tx, quarter)
  await tx`
    delete from firms
    where firm_id = any(${gone})
      and not exists (select from calls where calls.firm_id = firms.firm_id)`
  // Last, so that the lock on the whole tables is held for the moment of the commit alone.
  for (const table of PARTITIONED) await tx`drop table if exists ${tx(partitionName(table, quarter))}`
  return contents
}

/** Deletes a quarter from the tables that have no parts; returns the firms that had calls in it, which stay. */
export async function emptySmallTables(tx: Queries, quarter: string): Promise<string[]> {
  // Names, embeddings and memberships of topics go with these.
  await tx`delete from themes where quarter = ${quarter}`
  await themesChanged(tx, quarter)
  await tx`delete from topics where quarter = ${quarter}`
  await tx`delete from common_words where quarter = ${quarter}`
  await tx`delete from work where quarter = ${quarter}`
  const gone = await tx<{ firmId: string }[]>`
    delete from calls where quarter = ${quarter} returning firm_id as "firmId"`
  const firmIds = gone.map(row => row.firmId)
  await callsChanged(tx, quarter, firmIds)
  return firmIds
}

/** Keeps everybody from the quarter's parts of the large tables until the transaction ends. */
export async function holdPartitions(tx: Queries, quarter: string): Promise<void> {
  const there = await tx<{ name: string }[]>`
    select name from unnest(${PARTITIONED.map(table => partitionName(table, quarter))}::text[]) as name
    where to_regclass(name) is not null`
  for (const { name } of there) await tx`lock table ${tx(name)} in access exclusive mode`
}

/**
 * A lease says who has work in hand, wherever he is. A run of this machine may be at it without one: `ingest` while it loads
 * calls, `embed` while it opens its model.
 */
async function refuseIfAtWork(tx: Queries, quarter: string): Promise<void> {
  const hands = await workInHand(tx, quarter)
  const runs = await tx<{ command: string; worker: string }[]>`
    select command, worker from runs
    where quarter = ${quarter} and outcome = 'running' and worker <> ${workerName} order by run_id`
  const running = runs.filter(run => ranHere(run.worker) && mayBeAlive(run.worker))
  const who = new Set([
    ...hands.map(hand => `${hand.stage} (${hand.worker})`),
    ...running.map(run => `${run.command} (${run.worker})`),
  ])
  if (who.size === 0) return
  const seconds = Math.max(0, ...hands.map(hand => hand.secondsLeft))
  throw new UserError(
    `cannot drop ${quarter}: ${[...who].join(', ')} ${who.size === 1 ? 'is' : 'are'} at work on it`,
    seconds === 0
      ? `stop ${who.size === 1 ? 'it' : 'them'}, or wait until that has ended, and run the same command again`
      : `stop ${who.size === 1 ? 'it' : 'them'}, or wait until that has ended; what a vanished machine has in hand is free in ${duration(seconds)}`,
  )
}

type AtTables = { process: number; name: string; from: string; seconds: number }

/** Who holds a lock on any of the tables at this moment, longest first; who may not see that sees nobody. */
async function whoIsAtTheTables(sql: Queries): Promise<AtTables[]> {
  return await sql<AtTables[]>`
    select a.pid as process, coalesce(nullif(a.application_name, ''), a.usename, 'somebody') as name,
      coalesce(host(a.client_addr), 'its own machine') as from,
      coalesce(extract(epoch from now() - min(a.xact_start)), 0)::float8 as seconds
    from pg_locks l
    join pg_stat_activity a on a.pid = l.pid and a.pid <> pg_backend_pid()
    join pg_class c on c.oid = l.relation
    where l.granted and a.datname = current_database() and c.relnamespace = (select relnamespace from pg_class where oid = 'sentences'::regclass)
    group by a.pid, a.application_name, a.usename, a.client_addr
    order by seconds desc`
}

function inUse(quarter: string, who: readonly AtTables[], cause: unknown): UserError {
  const names = who.map(one => `${one.name} (process ${one.process}, from ${one.from}, for ${duration(one.seconds)})`)
  return new UserError(
    `cannot drop ${quarter}: its tables are in use${names.length > 0 ? ` by ${names.join(', ')}` : ''}`,
    `run the same command again when ${names.length > 1 ? `the ${count(names.length, 'other')} have` : 'it has'} ended`,
    { cause },
  )
}

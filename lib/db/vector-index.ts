// The HNSW index of a quarter's embeddings, and beside it the one of its words: built after the load, one a partition.
// Malkov and Yashunin 2018; m and ef_construction are pgvector's defaults: recall@10 of .99 among the 43,211 sentences of 2016Q3,
// as search.ts asks (`npm run bench -- search`).

import postgres from 'postgres'
import { UserError } from '../errors.ts'
import { beforeLeaving, stopIfLeaving } from '../leaving.ts'
import { count, duration, progress, say, thousands, warn } from '../log.ts'
import type { Database, Queries } from './connect.ts'
import { PARTITIONED, partitionName } from './quarters.ts'
import { createTextIndex, textIndexName } from './text-index.ts'
import { transaction } from './transaction.ts'
import { indexDropped } from './work.ts'

export function indexName(quarter: string): string {
  return `${partitionName('sentence_vectors', quarter)}_hnsw`
}

/** Drops it, and says so to `index`, in one transaction. */
export async function dropIndex(sql: Database, quarter: string): Promise<void> {
  await transaction(sql, async tx => {
    await tx`drop index if exists ${tx(indexName(quarter))}`
    await indexDropped(tx, quarter)
  })
}

/**
 * An index that somebody dropped by hand, or whose build was cut off and left it invalid, is work to do, whatever `work` says.
 * One statement: between a look and what follows from it another process may have built the index.
 */
export async function noticeLostIndex(sql: Queries, quarter: string): Promise<void> {
  await sql`
    update work set state = 'stale'
    where stage = 'index' and quarter = ${quarter} and state = 'done'
      and not (${isThere(sql, indexName(quarter))} and ${isThere(sql, textIndexName(quarter))})`
}

function isThere(sql: Queries, name: string) {
  return sql`exists (select from pg_index where indexrelid = to_regclass(${name}) and indisvalid)`
}

export type Which = { vectors: boolean; words: boolean }

/**
 * Of the two indexes those to build: all with `force`, and otherwise those that are not there. Postgres keeps an index right when
 * its table changes, and `embed` drops that of the vectors before it loads many; so a database whose vectors were indexed
 * before there was an index of words gets that one in seconds.
 */
export async function indexesToBuild(sql: Queries, quarter: string, force: boolean): Promise<Which> {
  const [which] = await sql<Which[]>`
    select ${force} or not ${isThere(sql, indexName(quarter))} as vectors,
      ${force} or not ${isThere(sql, textIndexName(quarter))} as words`
  return which
}

/** What was built; 0 where nothing was. */
export type Built = { bytes: number; wordBytes: number }

/** What is to be built over, and what the database gives for it. */
type Plan = {
  embeddings: number
  dimensions: number
  /** Memory that the graph takes, and how much of it the build gets. */
  wantedMegabytes: number
  megabytes: number
  /** Processes beside the one of the connection. */
  workers: number
}

// The embedded database has 2 GB in all.
const EMBEDDED_MEGABYTES = 512
// A worker is given only where 32 MB are left for each process (Postgres, plan_create_index_workers); and what Postgres
// itself gives unless told otherwise.
const LEAST_MEGABYTES = 64
// pgvector 0.8.5 at m = 16, measured where it says that the graph no longer fits: 717, 716 and 715 bytes of a vector beside
// its numbers, at 64, 256 and 384 dimensions.
const BYTES_BESIDE_NUMBERS = 720

/** Memory that the graph of a build takes. */
export function graphBytes(embeddings: number, dimensions: number): number {
  return embeddings * (4 * dimensions + BYTES_BESIDE_NUMBERS)
}

// pgvector keeps 4 MB back where workers share the memory, and takes 1 MB at a time; and the rows are an estimate.
const MEGABYTES_TO_SPARE = 8
const SHARE_TO_SPARE = 1.02

/**
 * Memory: as much as the graph takes, bounded by what the server has for such work. Its shared buffers are a quarter of its
 * memory as a rule (its manual advises so), and that much is free for a build; or its own maintenance_work_mem, where that is
 * larger. Workers: as many as the server lets work at once, since nothing else of ours runs there meanwhile.
 */
async function planBuild(sql: Queries, quarter: string, embedded: boolean): Promise<Plan> {
  // Rows as `analyze` has just counted or sampled them: a count of two million would read gigabytes.
  const [row] = await sql<{ embeddings: number; dimensions: number; allowed: number; workers: number }[]>`
    select greatest(reltuples, 0)::float8 as embeddings, greatest(atttypmod, 1) as dimensions,
      (greatest(pg_size_bytes(current_setting('shared_buffers')),
        pg_size_bytes(current_setting('maintenance_work_mem'))) / 1048576)::int as allowed,
      least(current_setting('max_parallel_workers')::int, current_setting('max_worker_processes')::int) as workers
    from pg_class join pg_attribute on attrelid = pg_class.oid and attname = 'embedding'
    where pg_class.oid = ${partitionName('sentence_vectors', quarter)}::regclass`
  const { embeddings, dimensions, allowed, workers } = row
  const bytes = SHARE_TO_SPARE * graphBytes(embeddings, dimensions)
  const wantedMegabytes = Math.max(LEAST_MEGABYTES, Math.ceil(bytes / 2 ** 20) + MEGABYTES_TO_SPARE)
  const megabytes = Math.min(wantedMegabytes, embedded ? EMBEDDED_MEGABYTES : Math.max(LEAST_MEGABYTES, allowed))
  return { embeddings, dimensions, wantedMegabytes, megabytes, workers: embedded ? 0 : workers }
}

/** What searching and the later steps ask the planner about; where that is not allowed, Postgres leaves it out by itself. */
async function analyze(sql: Queries, quarter: string): Promise<void> {
  for (const table of PARTITIONED) await sql`analyze ${sql(partitionName(table, quarter))}`
}

async function create(tx: Queries, quarter: string, { megabytes, workers }: Plan): Promise<void> {
  await tx`
    select set_config('maintenance_work_mem', ${`${megabytes}MB`}, true),
      set_config('max_parallel_maintenance_workers', ${String(workers)}, true)`
  await tx`
    create index ${tx(indexName(quarter))} on ${tx(partitionName('sentence_vectors', quarter))}
    using hnsw (embedding vector_cosine_ops) with (m = 16, ef_construction = 64)`
}

async function bytesOf(sql: Queries, quarter: string, { vectors, words }: Which): Promise<Built> {
  const [built] = await sql<Built[]>`
    select case when ${vectors} then pg_relation_size(${indexName(quarter)}) else 0 end::float8 as bytes,
      case when ${words} then pg_relation_size(${textIndexName(quarter)}) else 0 end::float8 as "wordBytes"`
  return built
}

// Of the embedded database, times n · log2 n · d: 9.5 s for 17,795 vectors of 256 dimensions, 29 s for 43,211, 47 s for
// 50,000 of 384 on one core in a quiet hour give .15, .17 and .16 microseconds.
const SECONDS_A_STEP = 0.17e-6
// Measured on the embedded database: 50,000 vectors of 384 dimensions in 64 MB instead of the 107 they take.
const TIMES_AS_LONG_EMBEDDED = 2
// A shorter wait needs no word.
const WORTH_SAYING_SECONDS = 10

/**
 * Builds the indexes in the embedded database, inside the transaction that notes it as done: it serves nobody else meanwhile, so
 * nobody could take a lease that has run out, nor show how far it is.
 */
export async function buildEmbedded(tx: Queries, quarter: string, which: Which): Promise<Built> {
  if (which.words) {
    await tx`drop index if exists ${tx(textIndexName(quarter))}`
    await createTextIndex(tx, quarter)
  }
  if (which.vectors) await tx`drop index if exists ${tx(indexName(quarter))}`
  await analyze(tx, quarter)
  if (which.vectors) await buildVectorsEmbedded(tx, quarter)
  return await bytesOf(tx, quarter, which)
}

async function buildVectorsEmbedded(tx: Queries, quarter: string): Promise<void> {
  const plan = await planBuild(tx, quarter, true)
  const { embeddings, dimensions, megabytes, wantedMegabytes } = plan
  const fits = megabytes === wantedMegabytes
  const seconds =
    SECONDS_A_STEP * dimensions * embeddings * Math.log2(embeddings + 1) * (fits ? 1 : TIMES_AS_LONG_EMBEDDED)
  const wait =
    seconds < WORTH_SAYING_SECONDS
      ? ''
      : `; that takes some ${duration(seconds)} on a quiet machine, and meanwhile the embedded database serves nobody else`
  say(`index ${quarter}: building over ${count(embeddings, 'embedding')}${wait}`)
  const leaving = beforeLeaving(async () =>
    say(
      `index ${quarter}: the embedded database builds to the end and throws it away; until then it serves nobody else`,
    ),
  )
  try {
    await create(tx, quarter, plan)
  } finally {
    leaving.forget()
  }
}

/**
 * Builds the indexes on a server; searches go on meanwhile, exact and slower. The connection `sql` is busy with it for long, so
 * `second` looks how far it is, and cancels it when this process leaves.
 */
export async function buildOnServer(sql: Database, second: Database, quarter: string, which: Which): Promise<Built> {
  await requireOwner(sql, quarter)
  await endOrphans(second, quarter)
  // By themselves: inside the build's transaction they would keep every search waiting.
  if (which.words) await sql`drop index if exists ${sql(textIndexName(quarter))}`
  if (which.vectors) await sql`drop index if exists ${sql(indexName(quarter))}`
  if (which.words) await undisturbed(sql, second, tx => createTextIndex(tx, quarter))
  await analyze(sql, quarter)
  if (which.vectors) await buildVectorsOnServer(sql, second, quarter)
  return await bytesOf(sql, quarter, which)
}

async function buildVectorsOnServer(sql: Database, second: Database, quarter: string): Promise<void> {
  const plan = await planBuild(sql, quarter, false)
  const { embeddings, megabytes, wantedMegabytes } = plan
  say(
    `index ${quarter}: building over ${count(embeddings, 'embedding')} ` +
      `with ${thousands(megabytes)} MB and up to ${count(plan.workers, 'worker')}`,
  )
  if (megabytes < wantedMegabytes) warnOfMemory(quarter, plan)
  try {
    await build(sql, second, quarter, plan)
  } catch (error) {
    if (!isSharedMemoryShort(error)) throw error
    warn(
      `index ${quarter}: the server has no ${thousands(megabytes)} MB of shared memory for workers, so it builds without ` +
        `them and takes longer (in a container: docker run --shm-size=${megabytes + LEAST_MEGABYTES}m)`,
    )
    await build(sql, second, quarter, { ...plan, workers: 0 })
  }
}

function warnOfMemory(quarter: string, { megabytes, wantedMegabytes }: Plan): void {
  warn(
    // 13 s where it fits, 21, 33 and 49 where 80, 50 and 25 % of it do (30,000 vectors of 256 dimensions, one process).
    `index ${quarter}: the graph takes ${thousands(wantedMegabytes)} MB and the server gives ${thousands(megabytes)} MB ` +
      '(its shared_buffers, or its maintenance_work_mem where that is larger), so building takes two to four times as ' +
      'long, and more where the index does not fit into its buffers; where the server has the memory, let it be used, ' +
      'and run this again: ' +
      `psql "$DATABASE_URL" -c "alter role current_user set maintenance_work_mem = '${wantedMegabytes}MB'"`,
  )
}

/** Only the owner may build, whatever else has been granted; without this, Postgres would say so and not what to do. */
async function requireOwner(sql: Queries, quarter: string): Promise<void> {
  const [{ user, owner, mayBuild }] = await sql<{ user: string; owner: string; mayBuild: boolean }[]>`
    select current_user::text as user, pg_get_userbyid(relowner)::text as owner,
      pg_has_role(relowner, 'usage') as "mayBuild"
    from pg_class where oid = ${partitionName('sentence_vectors', quarter)}::regclass`
  if (mayBuild) return
  throw new UserError(
    `the role ${user} cannot build an index over ${quarter}: the table belongs to ${owner}`,
    `connect as ${owner} in DATABASE_URL, or let ${owner} say: grant ${owner} to ${user}`,
  )
}

/**
 * Ends builds of these indexes whose process is gone without the server's having noticed: the lease is ours by now, and ours would
 * wait for theirs. Whoever builds an index holds a share lock on the table.
 */
async function endOrphans(sql: Queries, quarter: string): Promise<void> {
  const ended = await sql<{ pid: number }[]>`
    select pg_terminate_backend(pid, 5000), pid
    from pg_locks join pg_stat_activity using (pid)
    where mode = 'ShareLock' and granted and backend_type = 'client backend' and usename = current_user
      and datname = current_database()
      and (
        (relation = ${partitionName('sentence_vectors', quarter)}::regclass and strpos(query, ${indexName(quarter)}) > 0)
        or (relation = ${partitionName('sentences', quarter)}::regclass and strpos(query, ${textIndexName(quarter)}) > 0)
      )`
  if (ended.length > 0) say(`index ${quarter}: ended a build that was left on the server`)
}

// For a process that was killed: the server looks this often whether anybody still waits for the build, one system call.
const LOOK_FOR_CLIENT = '1s'

async function build(sql: Database, second: Database, quarter: string, plan: Plan): Promise<void> {
  await undisturbed(sql, second, async (tx, pid) => {
    const watch = watchBuild(second, pid, quarter, plan)
    try {
      await create(tx, quarter, plan)
    } finally {
      watch.end()
    }
  })
}

/** A transaction that may take an hour, is cancelled when this process is told to leave, and ends when it was killed. */
async function undisturbed(
  sql: Database,
  second: Database,
  work: (tx: Queries, pid: number) => Promise<void>,
): Promise<void> {
  stopIfLeaving()
  await sql.begin(async tx => {
    // A server for web sites may end every statement after a minute or two.
    const [{ pid }] = await tx<{ pid: number }[]>`
      select pg_backend_pid() as pid,
        (select count(set_config(name, '0', true)) from pg_settings
          where name in ('statement_timeout', 'transaction_timeout'))`
    // Refused where the server's system cannot tell; then a killed build goes on to its end.
    await tx
      .savepoint(inner => inner`select set_config('client_connection_check_interval', ${LOOK_FOR_CLIENT}, true)`)
      .catch(() => {})
    const leaving = beforeLeaving(() => second`select pg_cancel_backend(${pid})`)
    try {
      await work(tx, pid)
    } catch (error) {
      stopIfLeaving() // it was cancelled by ourselves
      throw error
    } finally {
      leaving.forget()
    }
  })
}

// Often enough for a terminal; asking costs the server a tenth of a millisecond.
const LOOK_MILLISECONDS = 500

/** Shows how far a build is. pgvector counts what is in the graph; writing it down at the end is the smaller part. */
function watchBuild(second: Database, pid: number, quarter: string, { embeddings }: Plan): { end(): void } {
  const bar = progress(`index ${quarter}`, embeddings, 'embeddings')
  let shown = 0
  let ended = false
  async function look(): Promise<void> {
    const [row] = await second<{ done: number; workers: number }[]>`
      select tuples_done::float8 as done,
        (select count(*)::int from pg_stat_activity where leader_pid = ${pid}) as workers
      from pg_stat_progress_create_index where pid = ${pid}`
    if (row === undefined || ended) return
    const helpers = row.workers > 0 ? `with ${count(row.workers, 'worker')}` : ''
    bar.step(row.done - shown, row.done < embeddings ? helpers : 'writing it')
    shown = row.done
  }
  // A look that fails costs nothing: a lost connection is noticed elsewhere.
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MILLISECONDS)
  return {
    end() {
      ended = true
      clearInterval(timer)
      bar.end()
    },
  }
}

/** Workers share the graph in memory that must be had whole, and in a container there are 64 MB of that kind as a rule. */
function isSharedMemoryShort(error: unknown): boolean {
  // The name of the server's source file, since its words are in the language of the server.
  return error instanceof postgres.PostgresError && error.file === 'dsm_impl.c'
}

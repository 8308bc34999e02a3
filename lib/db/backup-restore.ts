// The way back: a backup into another database, or into the one it came from. Each quarter in one transaction: none is ever
// there in part, and a restore that was killed goes on where it stood when it is run again.
// What a backup is made of is backup.ts; that the file is whole, backup-file.ts has found out.

import { codeVersion } from '../code-version.ts'
import { UserError } from '../errors.ts'
import { finishedBeforeLeaving, stopIfLeaving } from '../leaving.ts'
import { count, type Progress, progress } from '../log.ts'
import { workerName } from '../worker-name.ts'
import { BACKED_UP, columnTypes, literal, rowsOf } from './backup.ts'
import type { Backup, BackupHeader, BackupSection } from './backup-file.ts'
import type { Database, Queries } from './connect.ts'
import { copyIn } from './copy.ts'
import { migrations } from './migrate.ts'
import { type BoundModel, bindModel, boundModel } from './model-binding.ts'
import {
  analyzeQuarter,
  emptySmallTables,
  ensureQuarter,
  holdPartitions,
  PARTITIONED,
  partitionName,
} from './quarters.ts'
import { recorded } from './runs.ts'
import { textIndexName } from './text-index.ts'
import { transaction } from './transaction.ts'
import { indexName } from './vector-index.ts'
import { comparisonsToDo, indexDropped, talkChanged } from './work.ts'

export type RestoreOptions = {
  /** Only this one of its quarters. */
  quarter?: string | undefined
  /** Quarters that are there already are replaced. */
  replace?: boolean
}

export type RestoreDone = {
  /** Those that were written now. */
  quarters: string[]
  /** Those that an earlier run had restored from this very backup: they were left as they are. */
  before: string[]
  /** Those written now that have embeddings, and no vector index over them. */
  withoutIndex: string[]
  rows: number
  bytes: number
  seconds: number
}

/** Written with each quarter and not before: no firm is there without a call. */
const FIRMS = 'firms'

type Restore = { sql: Database; backup: Backup; bar: Progress; replace: boolean }

/** Writes what a backup holds; before anything is written, refuses what does not go into this database. */
export async function restore(
  sql: Database,
  backup: Backup,
  { quarter, replace = false }: RestoreOptions = {},
): Promise<RestoreDone> {
  const start = performance.now()
  const { header, bytes } = backup
  const wanted = header.quarters.filter(one => quarter === undefined || one === quarter)
  if (quarter !== undefined && wanted.length === 0)
    throw new UserError(
      `the backup has nothing of ${quarter}; it has ${header.quarters.join(', ') || 'no quarter at all'}`,
      'leave --quarter out, or take another backup',
    )
  await refuseOtherSchema(sql, header)
  const before = replace ? [] : await restoredBefore(sql, backup, wanted)
  await bindOrRefuse(sql, header.model)
  const quarters = wanted.filter(one => !before.includes(one))
  const sections = header.sections.filter(({ table, quarter }) =>
    quarter === null ? table !== FIRMS || quarters.length > 0 : quarters.includes(quarter),
  )
  const rows = rowsOf({ sections })
  const bar = progress('db-restore', rows, 'rows')
  const work = { sql, backup, bar, replace }
  for (const section of sections.filter(one => one.quarter === null && one.table !== FIRMS))
    await transaction(sql, async tx => {
      await merge(work, tx, section)
      await tx`drop table staged`
    })
  const written: string[] = []
  for (const one of quarters) {
    if (await restoreQuarter(work, one)) written.push(one)
    else before.push(one)
  }
  bar.end()
  const embedded = sections.filter(one => one.table === 'sentence_vectors' && one.rows > 0).map(one => one.quarter)
  const withoutIndex = written.filter(one => embedded.includes(one))
  return { quarters: written, before, withoutIndex, rows, bytes, seconds: (performance.now() - start) / 1000 }
}

/** An older schema is fine: what its tables did not have yet gets what the migration gave to rows that were there. */
async function refuseOtherSchema(sql: Queries, { schema, tables, sections }: BackupHeader): Promise<void> {
  const known = migrations().at(-1)?.version ?? 0
  if (schema > known)
    throw new UserError(
      `the backup has schema version ${schema}; this quarterdeck knows versions up to ${known}`,
      'use the newer quarterdeck that made it',
    )
  // Names out of a file become part of SQL: only those that the database has itself.
  const strange = sections.find(one => !BACKED_UP.includes(one.table) || tables[one.table] === undefined)
  if (strange) throw new Error(`a backup with a table ${strange.table}`)
  for (const table of BACKED_UP) {
    const types = new Map(await columnTypes(sql, table))
    const other = tables[table]?.find(([name, type]) => types.get(name) !== type)
    if (other)
      throw new UserError(
        `the backup has a column ${table}.${other[0]} of type ${other[1]}; here it is ${types.get(other[0]) ?? 'none'}`,
        'restore it with the quarterdeck that made it, into another database, and migrate that',
      )
  }
}

/** The quarters that were restored from this backup already; refuses any other that is there. */
async function restoredBefore(sql: Queries, backup: Backup, quarters: readonly string[]): Promise<string[]> {
  const there = await quartersThere(sql, quarters)
  const last = await sql<{ quarter: string; hash: string }[]>`
    select distinct on (quarter) quarter, options ->> 'backup' as hash
    from runs
    where command = 'db-restore' and outcome = 'done' and quarter = any(${[...quarters]})
    order by quarter, run_id desc`
  const ours = last.filter(row => row.hash === backup.hash).map(row => row.quarter)
  refuseToReplace(there.filter(one => !ours.includes(one.quarter)))
  return there.map(one => one.quarter).filter(one => ours.includes(one))
}

type QuarterThere = { quarter: string; firms: number }

async function quartersThere(sql: Queries, quarters: readonly string[]): Promise<QuarterThere[]> {
  return await sql<QuarterThere[]>`
    select quarter, count(distinct firm_id)::int as firms
    from calls where quarter = any(${[...quarters]}) group by quarter order by quarter`
}

function refuseToReplace(there: readonly QuarterThere[]): void {
  if (there.length === 0) return
  const which = there.map(one => `${one.quarter} (${count(one.firms, 'firm')})`).join(', ')
  throw new UserError(
    `the database has ${which} already, and not from this backup`,
    `to put the backup in ${there.length === 1 ? 'its' : 'their'} place, add --replace`,
  )
}

/** Vectors of two models cannot be compared, so there is one a database. */
async function bindOrRefuse(sql: Database, model: BoundModel | null): Promise<void> {
  if (model === null) return
  const bound = await boundModel(sql)
  if (bound?.revision === model.revision && bound.dimension === model.dimension) return
  const [{ any }] = await sql<{ any: boolean }[]>`select exists (select from sentence_vectors) as any`
  if (bound !== undefined && any)
    throw new UserError(
      `the backup holds vectors of ${described(model)}; this database holds vectors of ${described(bound)}, ` +
        'which would not compare with them',
      'restore it into another database: QUARTERDECK_HOME=another-folder',
    )
  await bindModel(sql, model)
}

function described({ name, revision, dimension }: BoundModel): string {
  return `${name} (revision ${revision}, ${dimension} dimensions)`
}

// A firm is called what its latest call says, as when calls are loaded (calls.ts): the backup's word counts unless the database
// has a call from after all of the backup's. An answer that is there already was paid for as well; a run is told by who ran
// what and when.
const MERGES: Readonly<Record<string, (newest: string) => string>> = {
  firms: newest => {
    const isOlder = `exists (select from calls where calls.firm_id = firms.firm_id and quarter > ${newest})`
    const latest = (column: string) =>
      `${column} = case when ${isOlder} then coalesce(firms.${column}, excluded.${column}) else coalesce(excluded.${column}, firms.${column}) end`
    return `
      select * from staged
      on conflict (firm_id) do update set ${latest('ticker')}, ${latest('name')},
        identifiers = case when ${isOlder} then excluded.identifiers || firms.identifiers else firms.identifiers || excluded.identifiers end`
  },
  chat_answers: () => 'select * from staged on conflict (prompt_hash) do nothing',
  runs: () => `
    select * from staged
    where not exists (
      select from runs
      where (runs.worker, runs.command, runs.started_at) = (staged.worker, staged.command, staged.started_at))
    order by started_at`,
}

/** Adds the rows of a table that quarters share to those that are there; they stay in `staged` until it is dropped. */
async function merge(restore: Restore, tx: Queries, section: BackupSection): Promise<void> {
  const { table } = section
  const columns = columnsOf(restore, section).map(name => `"${name}"`)
  const list = columns.join(', ')
  // Not a temporary one, which a careful server forbids (sql/roles.sql); it is gone before anybody sees it.
  await tx.unsafe(`create unlogged table staged as select ${list} from ${table} with no data`)
  await copySection(restore, tx, section, 'staged')
  const newest = literal(restore.backup.header.quarters.toSorted().at(-1) ?? '')
  await tx.unsafe(`insert into ${table} (${list}) ${MERGES[table](newest)}`)
}

/**
 * Which words tell nothing about a firm depends on its name: topics that were made under another one are made again, those of the
 * backup where the database's name stays, and those of the other quarters where the backup's takes its place.
 */
async function renamed(tx: Queries, quarter: string, before: ReadonlyMap<string, string | null>): Promise<void> {
  const firms = await tx<{ firmId: string; name: string | null; inBackup: string | null; quarters: string[] }[]>`
    select firm_id as "firmId", firms.name, staged.name as "inBackup",
      array(select distinct quarter from calls where calls.firm_id = firms.firm_id and quarter <> ${quarter}) as quarters
    from firms join staged using (firm_id)`
  const stale = new Map<string, string[]>()
  for (const { firmId, name, inBackup, quarters } of firms) {
    const isNew = before.has(firmId) && before.get(firmId) !== name
    for (const one of [...(name === inBackup ? [] : [quarter]), ...(isNew ? quarters : [])])
      stale.set(one, [...(stale.get(one) ?? []), firmId])
  }
  for (const [one, firmIds] of stale) await talkChanged(tx, one, firmIds)
}

/** Writes a quarter in one transaction, and in its place where it is there; false: another process has restored it just now. */
async function restoreQuarter(restore: Restore, quarter: string): Promise<boolean> {
  const { sql, backup, replace } = restore
  const sections = backup.header.sections.filter(section => section.quarter === quarter)
  const firms = backup.header.sections.filter(section => section.table === FIRMS)
  const run = { command: 'db-restore', quarter, options: { backup: backup.hash, replace }, codeVersion: codeVersion() }
  await ensureQuarter(sql, quarter)
  const { written } = await recorded(sql, run, async () => {
    const counts = { rows: rowsOf({ sections }) }
    const written = await finishedBeforeLeaving(() =>
      transaction(sql, async tx => {
        // First, as the steps do it: from here on nobody finishes anything of this quarter.
        const [{ attempt }] = await tx<{ attempt: number }[]>`
          with old as (select attempt from work where quarter = ${quarter} for update)
          select coalesce(max(attempt), 0)::int as attempt from old`
        await holdPartitions(tx, quarter)
        // Asked again, now that nobody else can be at it: another process may have restored it.
        if (!replace && (await restoredBefore(tx, backup, [quarter])).length > 0) return false
        const gone = await clearQuarter(tx, quarter)
        const before = await tx<{ firmId: string; name: string | null }[]>`
          select firm_id as "firmId", name from firms`
        for (const section of firms) await merge(restore, tx, section)
        for (const section of sections) await copySection(restore, tx, section, placeOf(section.table, quarter))
        await comparisonsToDo(tx, quarter)
        // Higher than any that a worker still has in hand: by this his fence finds that the work is his no more.
        await tx`update work set attempt = attempt + ${attempt + 1} where quarter = ${quarter}`
        await indexDropped(tx, quarter)
        await renamed(tx, quarter, new Map(before.map(({ firmId, name }) => [firmId, name])))
        await tx`
          delete from firms
          where (firm_id = any(${gone}) or firm_id in (select firm_id from staged))
            and not exists (select from calls where calls.firm_id = firms.firm_id)`
        await tx`drop table staged`
        // With the rows themselves: a kill after this moment leaves a quarter that is known to be restored.
        await tx`
          update runs set outcome = 'done', finished_at = now(), counts = ${tx.json(counts)}
          where command = 'db-restore' and quarter = ${quarter} and worker = ${workerName} and outcome = 'running'`
        return true
      }),
    )
    return { written, counts: written ? counts : { rows: 0 } }
  })
  if (written) await analyzeQuarter(sql, quarter)
  return written
}

/**
 * Empties the quarter's parts of all tables; returns the firms that had calls in it. Large tables are truncated also where
 * they are empty: what is loaded in the same transaction then takes no place in the log of the embedded database.
 */
async function clearQuarter(tx: Queries, quarter: string): Promise<string[]> {
  // Loading into them costs six times what building them does.
  for (const index of [indexName(quarter), textIndexName(quarter)]) await tx`drop index if exists ${tx(index)}`
  for (const table of PARTITIONED) await tx`truncate ${tx(partitionName(table, quarter))}`
  return await emptySmallTables(tx, quarter)
}

function placeOf(table: string, quarter: string): string {
  const parted = PARTITIONED.find(one => one === table)
  return parted === undefined ? table : partitionName(parted, quarter)
}

function columnsOf({ backup }: Restore, { table }: BackupSection): string[] {
  return backup.header.tables[table].map(([name]) => name)
}

async function copySection(restore: Restore, tx: Queries, section: BackupSection, into: string): Promise<void> {
  const { backup, bar } = restore
  async function* rows() {
    for await (const piece of backup.pieces(section)) {
      stopIfLeaving()
      yield piece.bytes
      bar.step(piece.rows)
    }
  }
  await copyIn(tx, into, columnsOf(restore, section), rows())
}

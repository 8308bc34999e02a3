// Brings a database to the schema of this version: runs sql/NNN_*.sql that it has not seen, forward only.
// Safe when several processes start at once: one transaction holds a lock, the others wait and find nothing to do.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'

const folder = fileURLToPath(new URL('../../sql/', import.meta.url))

// Any number that no other program of the same server uses for a lock: the letters "qdck".
const MIGRATION_LOCK = 0x7164636b

type Migration = { version: number; file: string }

export function migrations(): Migration[] {
  return readdirSync(folder)
    .filter(file => /^\d{3}_.+\.sql$/.test(file))
    .sort()
    .map(file => ({ version: Number(file.slice(0, 3)), file }))
}

/** Applies what is missing; returns the files that were run. Refuses a database made by a newer quarterdeck. */
export async function migrate(sql: Database): Promise<string[]> {
  const known = migrations()
  const newest = known[known.length - 1].version
  // The common case costs one query, no lock, and no right but to read.
  const current = await schemaVersion(sql)
  refuseNewer(current, newest)
  if (current === newest) return []
  const work = sql.begin(async tx => {
    await tx`select pg_advisory_xact_lock(${MIGRATION_LOCK})`
    await tx`
      create table if not exists schema_versions (
        version integer primary key,
        file text not null
      )`
    const version = await schemaVersion(tx) // others may have been faster
    refuseNewer(version, newest)
    const missing = known.filter(migration => migration.version > version)
    for (const migration of missing) {
      await tx.unsafe(readFileSync(folder + migration.file, 'utf8'))
      await tx`insert into schema_versions ${tx(migration)}`
    }
    if (version < 1) {
      await tx`comment on table schema_versions is 'Which files of sql/ this database has seen.'`
      await tx`comment on column schema_versions.version is 'Number of the file.'`
      await tx`comment on column schema_versions.file is 'Name of the file.'`
    }
    return missing.map(migration => migration.file)
  })
  return await work.catch(error => {
    throw asUserError(error, current, newest)
  })
}

function refuseNewer(version: number, newest: number): void {
  if (version > newest)
    throw new UserError(
      `the database has schema version ${version}; this quarterdeck knows versions up to ${newest}`,
      'use the newer quarterdeck that made it, or another database',
    )
}

async function schemaVersion(sql: Queries): Promise<number> {
  const [{ there }] = await sql<{ there: boolean }[]>`select to_regclass('schema_versions') is not null as there`
  if (!there) return 0
  const [{ version }] = await sql<
    { version: number }[]
  >`select coalesce(max(version), 0)::int as version from schema_versions`
  return version
}

// 42501 is insufficient_privilege: many servers let only an owner make tables, or a superuser add the extension.
function asUserError(error: unknown, current: number, newest: number): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === '42501')) return error
  return current === 0
    ? new UserError(
        `this user of the database may not prepare it: ${error.message}`,
        'ask its owner once for: create extension vector; grant create on schema public to YOU',
        { cause: error },
      )
    : new UserError(
        `the database has schema version ${current}, and its user may not bring it to version ${newest}: ${error.message}`,
        'run this once with the DATABASE_URL of its owner: quarterdeck status',
        { cause: error },
      )
}

// What a database costs: vectors in and out (database-load.ts), the vector index and search (database-search.ts), and work
// shared by several processes (database-claims.ts), on the embedded database and on a real server, one after the other.
// How it is shown is in database-report.ts.

import { mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { Database } from '../../lib/db/connect.ts'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { say, thousands } from '../../lib/log.ts'
import { readSettings, type Settings } from '../../lib/settings.ts'
import { hasRealServer, realServer, type TestServer } from '../db/servers.ts'
import { succeed } from '../run.ts'
import { type ClaimRow, measureClaims } from './database-claims.ts'
import { measureLoading, measureReading, type Psql, psqlOf, type Rate } from './database-load.ts'
import { measureSearch, queriesOf, type SearchReport } from './database-search.ts'
import type { Data } from './quarter.ts'

export type Vectors = { dimension: number; loading: Rate[]; reading: Rate[] }

export type DatabaseRun = { vectors: Vectors[]; search: SearchReport; claims: ClaimRow[] }

export type DatabaseReport = {
  source: string
  rows: number
  /** What psql and the server say that they are; undefined without a server. */
  versions: string | undefined
  embedded: DatabaseRun
  server: DatabaseRun | undefined
  loadAtStart: number
  loadAtEnd: number
}

// Those of the shipped model and of MiniLM.
const DIMENSIONS = [256, 384]

type Where = TestServer['settings']

/** `home`: where the quarter is ingested, embedded and clustered in the embedded database. */
export async function measureDatabase(
  { quarter, transcripts, source }: Data,
  home: string,
  rows: number,
  { threads, scratch }: { threads: number; scratch: string },
): Promise<DatabaseReport> {
  const [loadAtStart] = loadavg()
  const queries = await withDatabase(at({ home }), sql => queriesOf(sql, quarter, threads))

  async function measureOn(loaded: Where, empty: Where, psql?: (sql: Database) => Promise<Psql>): Promise<DatabaseRun> {
    const search = await withDatabase(at(loaded), sql => measureSearch(sql, loaded, quarter, queries))
    return await withDatabase(at(empty), async sql => {
      const vectors = await measureVectors(sql, rows, psql && (await psql(sql)))
      return { vectors, search, claims: await measureClaims(sql, empty, DIMENSIONS[DIMENSIONS.length - 1], scratch) }
    })
  }

  // One of its own for the made vectors: a database holds vectors of one dimension.
  const empty = join(scratch, 'database')
  mkdirSync(empty)
  const embedded = await measureOn({ home, databaseUrl: undefined }, { home: empty, databaseUrl: undefined })
  await stopDatabase(empty)
  const report = { source, rows, embedded, loadAtStart }
  if (!hasRealServer) return { ...report, server: undefined, versions: undefined, loadAtEnd: loadavg()[0] }
  const server = await realServer()
  try {
    const { settings } = server
    const options = { home: settings.home, env: { DATABASE_URL: settings.databaseUrl ?? '' } }
    await succeed(['ingest', transcripts, '--quarter', quarter], options)
    await succeed(['embed', '--quarter', quarter], options)
    await withDatabase(at(settings), sql => sql`create database made`)
    const made = { ...settings, databaseUrl: settings.databaseUrl?.replace(/postgres$/, 'made') }
    const run = await measureOn(settings, made, sql => psqlOf(sql, server, scratch))
    const versions = await withDatabase(at(settings), versionsOf)
    return { ...report, server: run, versions, loadAtEnd: loadavg()[0] }
  } finally {
    await server.stop()
  }
}

function at({ home, databaseUrl }: Partial<Where>): Settings {
  return { ...readSettings({ QUARTERDECK_HOME: home }), databaseUrl }
}

async function measureVectors(sql: Database, rows: number, psql: Psql | undefined): Promise<Vectors[]> {
  const vectors: Vectors[] = []
  for (const dimension of DIMENSIONS) {
    say(`bench: ${thousands(rows)} vectors of ${dimension} numbers, ${psql ? 'a server' : 'the embedded database'}`)
    const loading = await measureLoading(sql, rows, dimension, psql)
    vectors.push({ dimension, loading, reading: await measureReading(sql, rows, dimension, psql) })
  }
  return vectors
}

async function versionsOf(sql: Database): Promise<string> {
  const [{ server, pgvector }] = await sql<{ server: string; pgvector: string }[]>`
    select current_setting('server_version') as server,
      (select extversion from pg_extension where extname = 'vector') as pgvector`
  return `Postgres ${server} with its own psql, pgvector ${pgvector}, fsync off`
}

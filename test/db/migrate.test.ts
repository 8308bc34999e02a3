// The schema of a database, on both: made once however many come at once, forward only, and left alone where it is newer or
// the user may not change it.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { query } from '../../commands/sql.ts'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate, migrations } from '../../lib/db/migrate.ts'
import { ensureQuarter, PARTITIONED, partitionName } from '../../lib/db/quarters.ts'
import { quarterdeck } from '../run.ts'
import { onBothServers, optionsFor } from './both-databases.ts'
import { hasRealServer, realServer, type TestServer } from './servers.ts'

const TYPESCRIPT = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const NEWCOMER = fileURLToPath(new URL('./newcomer.ts', import.meta.url))
const NEWEST = migrations().length

/** What a process sends next. */
async function said(child: ChildProcess): Promise<unknown> {
  const [message] = await once(child, 'message')
  return message
}

onBothServers('a new database', start => {
  let server: TestServer
  let sql: Database
  beforeAll(async () => {
    server = await start()
  })

  it('gets its tables, and the parts of a quarter, once from ten processes that come at the same time', async () => {
    const processes = Array.from({ length: 10 }, () => fork(NEWCOMER, { execArgv: ['--import', TYPESCRIPT] }))
    for (const each of ['ready', 'connected'])
      await Promise.all(
        processes.map(async child => {
          expect(await said(child)).toBe(each)
          if (each === 'ready') child.send(server.settings)
        }),
      )
    const results = processes.map(said)
    const ended = processes.map(child => once(child, 'exit'))
    for (const child of processes) child.send('go')
    const files = (await Promise.all(results)).map(result => (result as { files: string[] }).files)
    await Promise.all(ended)
    expect(files.filter(one => one.length > 0)).toEqual([migrations().map(({ file }) => file)])
    sql = await connect(server.settings)
    expect(await query(sql, 'select version, file from schema_versions order by version')).toEqual(migrations())
    const parts = await sql<{ name: string }[]>`
      select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid where relkind = 'r'`
    expect(parts.map(part => part.name).sort()).toEqual(PARTITIONED.map(table => partitionName(table, '2031Q1')).sort())
  }, 100_000)

  it('that is up to date is left as it is', async () => {
    expect(await migrate(sql)).toEqual([])
    await ensureQuarter(sql, '2031Q1')
  })

  it('that is a version behind gets what is missing, and nothing of it where that fails', async () => {
    await sql.unsafe('drop schema public cascade; create schema public')
    await sql`create table schema_versions (version integer primary key, file text not null)`
    for (const { version, file } of migrations().slice(0, -1)) {
      await sql.unsafe(readFileSync(new URL(`../../sql/${file}`, import.meta.url), 'utf8'))
      await sql`insert into schema_versions ${sql({ version, file })}`
    }
    const versions = async () => (await sql`select version from schema_versions`).map(row => row.version)
    const before = await versions()
    const everything = async () => [...(await sql`select oid, relname from pg_class order by oid`)]
    const relations = await everything()
    // At the last moment of whatever the newest one does.
    await sql.unsafe(`alter table schema_versions add constraint full_up check (version < ${NEWEST})`)
    await expect(migrate(sql)).rejects.toThrow(/full_up/)
    expect(await versions()).toEqual(before)
    expect(await everything()).toEqual(relations)
    await sql`alter table schema_versions drop constraint full_up`
    expect(await migrate(sql)).toEqual([migrations()[NEWEST - 1].file])
    expect(await versions()).toEqual([...before, NEWEST])
  })

  it('that a newer version has made is refused with a clear word, and left alone', async () => {
    await sql`insert into schema_versions (version, file) values (${NEWEST + 1}, 'of the future')`
    const { code, stdout, stderr } = await quarterdeck(['embed', '--quarter', '2031Q1'], optionsFor(server))
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain(
      `the database has schema version ${NEWEST + 1}; this quarterdeck knows versions up to ${NEWEST}`,
    )
    expect(stderr).toContain('→ use the newer quarterdeck that made it, or another database')
    expect(await sql`select from runs`).toHaveLength(0)
    await disconnect(sql)
  })
})

describe.skipIf(!hasRealServer)('a user who may not change the schema', () => {
  it('is told what to ask for, of a new database and of one that is behind', async () => {
    const server = await realServer()
    const sql = await connect(server.settings)
    await sql`create role guest login password 'guest'`
    const guestUrl = `postgres://guest:guest@127.0.0.1:${server.port}/postgres`
    const tryIt = () => quarterdeck(['status'], { home: server.settings.home, env: { DATABASE_URL: guestUrl } })
    const fresh = await tryIt()
    expect(fresh.stderr).toMatch(
      /this user of the database may not prepare it: permission denied[^\n]*\n *→ ask its owner/,
    )
    await migrate(sql)
    await sql`grant select on all tables in schema public to guest`
    expect((await tryIt()).code).toBe(0)
    await sql`delete from schema_versions where version = ${NEWEST}`
    const behind = await tryIt()
    expect(behind.stderr).toMatch(
      new RegExp(
        `schema version ${NEWEST - 1}, and its user may not bring it to version ${NEWEST}: .*\\n *→ run this once`,
      ),
    )
    expect([fresh.code, behind.code]).toEqual([1, 1])
    await disconnect(sql)
    await server.stop()
  })
})

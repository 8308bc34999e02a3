// A full disk below the embedded database, met on purpose: what a command says, and that what was committed is still there.
// That a whole quarter comes through it, on a server as well, is the chaos test's.

import { existsSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { placesOf } from '../../lib/db/embedded/places.ts'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { DatabaseLost } from '../../lib/errors.ts'
import { readSettings } from '../../lib/settings.ts'
import { embeddedHome } from '../db/servers.ts'
import { failureOf, refusalOf } from '../refusal.ts'
import { quarterdeck } from '../run.ts'
import { canMount, onDisk, type SmallDisk, smallDisk } from './small-disk.ts'

// Not demanded in CI either: whether root may mount is the decision of whoever runs the container.
describe.skipIf(!canMount())(canMount() ? 'a full disk' : 'a full disk (left out: no right to mount one here)', () => {
  let disk: SmallDisk
  let home: string
  beforeEach(async () => {
    disk = smallDisk(200)
    home = await onDisk(disk, embeddedHome)
  })
  afterEach(async () => {
    await stopDatabase(home)
    disk.unmount()
  })

  it('is named with what is free and what is needed before a new database is begun', async () => {
    home = join(disk.folder, 'new')
    disk.fill(3 * 2 ** 20)
    const { code, stderr } = await quarterdeck(['status'], { home })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /disk that holds the data folder .* is full: [23] MB are free, and a new database takes 40\n/,
    )
    expect(stderr).toContain(`df -h ${home}`)
    expect(existsSync(placesOf(home).making)).toBe(false)
  })

  /** Rows until it fails, each committed by itself; returns how many were, and the failure. */
  async function writeUntilFull(sql: Database): Promise<{ rows: number; error: Error }> {
    let rows = 0
    const writing = async () => {
      for (;;) {
        await sql`insert into kept select ${rows}::int, repeat(md5(${rows}::text), 4000)`
        rows++
      }
    }
    const error = await failureOf(writing())
    return { rows, error }
  }

  it('fails the statement with a clear word, and the same connection goes on when there is room again', async () => {
    const settings = { ...readSettings({}), home }
    await withDatabase(settings, sql => sql`create table kept (number int, text text)`)
    let rows = 0
    const error = await refusalOf(
      withDatabase(settings, async sql => {
        disk.fill(2 ** 20)
        const first = await writeUntilFull(sql)
        disk.free()
        await sql`insert into kept values (${first.rows}, 'there is room again')`
        rows = first.rows + 1
        throw first.error
      }),
    )
    expect(error).not.toBeInstanceOf(DatabaseLost)
    expect(error.message).toMatch(/^the disk of the embedded database in .* is full: could not extend file/)
    expect(error.hint).toMatch(/^make room there \(df -h .*\), then run the same command again/)
    const [{ there }] = await withDatabase(settings, sql => sql`select count(*)::int as there from kept`)
    expect(there).toBe(rows)
  })

  it('ends the database where its own log can grow no more, says so, and keeps what was committed', async () => {
    const sql = await connect({ home, databaseUrl: undefined })
    await sql`create table kept (number int)`
    await sql`insert into kept values (1)`
    disk.fill(2 ** 20)
    const death = async () => {
      for (;;) await sql`select pg_switch_wal(), txid_current()`
    }
    const error = await refusalOf(death())
    expect(error).toBeInstanceOf(DatabaseLost)
    expect(error.message).toBe(`the embedded database in ${home} has ended: its disk is full`)
    await disconnect(sql)
    // Nor can it start, and here not even its log can be written, which would say why.
    truncateSync(placesOf(home).log)
    disk.fill(0)
    const refused = await refusalOf(connect({ home, databaseUrl: undefined }))
    expect(refused.message).toBe(`the disk that holds the data folder ${home} is full`)
    disk.free()
    const again = await connect({ home, databaseUrl: undefined })
    expect(await again`select number from kept`).toEqual([{ number: 1 }])
    await disconnect(again)
  })
})

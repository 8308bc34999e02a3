// DATABASE_URL puts a real Postgres server in the place of the embedded database: the same commands, the same rows.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { fingerprints, quarterdeck, STEPS, sample, scratchHome, succeed } from '../run.ts'

const QUARTER = '2024Q3'

describe.skipIf(!hasRealServer)('a quarter on a real server', () => {
  const embedded = scratchHome()
  let server: RealServer
  let env: Record<string, string>

  beforeAll(async () => {
    server = await realServer()
    env = { DATABASE_URL: server.settings.databaseUrl ?? '' }
  })
  afterAll(async () => {
    await server.stop()
    await embedded.remove()
  })

  it('gives the rows that the embedded database gives', async () => {
    for (const verb of STEPS) {
      const words = [verb, ...(verb === 'ingest' ? [sample(QUARTER)] : []), '--quarter', QUARTER]
      await succeed(words, { home: embedded.home })
      await succeed(words, { home: embedded.home, env })
    }
    const settings = readSettings({})
    const rows = await withDatabase({ ...settings, home: embedded.home }, sql => fingerprints(sql))
    expect(await withDatabase({ ...settings, ...server.settings }, sql => fingerprints(sql))).toEqual(rows)
  }, 300_000)

  it('is searched, asked and shown as the embedded one is', async () => {
    const options = { home: embedded.home, env }
    expect(await succeed(['themes', '--quarter', QUARTER], options)).toMatch(/themes of 2024Q3/)
    expect(await succeed(['search', 'destocking', '--quarter', QUARTER, '--firm', 'VSTL'], options)).toMatch(/VSTL/)
    const [{ method }] = JSON.parse(
      await succeed(
        [
          'sql',
          "select amname as method from pg_class join pg_am on pg_am.oid = relam where relname = 'sentence_vectors_2024q3_hnsw'",
          '--json',
        ],
        options,
      ),
    )
    expect(method).toBe('hnsw')
  })

  it('is not started or stopped by us, and we say so', async () => {
    const stop = await quarterdeck(['db-stop'], { home: embedded.home, env })
    expect(stop.code).toBe(0)
    expect(stop.stderr).toMatch(/DATABASE_URL/)
    expect((await quarterdeck(['db-start'], { home: embedded.home, env })).stderr).toMatch(/reachable/)
    expect((await quarterdeck(['status'], { home: embedded.home, env })).code).toBe(0)
  })

  it('names a database that the server does not have, and not the password', async () => {
    const wrong = (server.settings.databaseUrl ?? '').replace(/\/[^/]*$/, '/nowhere')
    const { code, stderr } = await quarterdeck(['status'], { home: embedded.home, env: { DATABASE_URL: wrong } })
    expect(code).toBe(1)
    expect(stderr).toContain('nowhere')
    expect(stderr).not.toContain(server.password)
  })
})

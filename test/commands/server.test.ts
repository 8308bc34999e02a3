// What is said of a server that is not ours: DATABASE_URL names it, and nothing is started or stopped here.
// That the commands do the same on it as on the embedded database is the business of pipeline.test.ts.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { quarterdeck } from '../run.ts'

describe.skipIf(!hasRealServer)('a real server', () => {
  let server: RealServer
  let home: string
  let env: Record<string, string>

  beforeAll(async () => {
    server = await realServer()
    home = server.settings.home
    env = { DATABASE_URL: server.settings.databaseUrl ?? '' }
  })
  afterAll(async () => {
    await server.stop()
  })

  it('is not started or stopped by us, and we say so', async () => {
    const stop = await quarterdeck(['db-stop'], { home, env })
    expect(stop.code).toBe(0)
    expect(stop.stderr).toMatch(/DATABASE_URL/)
    expect((await quarterdeck(['db-start'], { home, env })).stderr).toMatch(/reachable/)
    expect((await quarterdeck(['status'], { home, env })).code).toBe(0)
  })

  it('names a database that the server does not have, and not the password', async () => {
    const wrong = (server.settings.databaseUrl ?? '').replace(/\/[^/]*$/, '/nowhere')
    const { code, stderr } = await quarterdeck(['status'], { home, env: { DATABASE_URL: wrong } })
    expect(code).toBe(1)
    expect(stderr).toContain('nowhere')
    expect(stderr).not.toContain(server.password)
  })
})

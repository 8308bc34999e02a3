// Runs the tests of a table or a contract on both databases, the embedded one and a real server, since the product promises
// that nobody sees a difference. The databases themselves come from servers.ts.

import { afterAll, describe } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import type { Settings } from '../../lib/settings.ts'
import { embeddedServer, hasRealServer, realServer, type TestServer } from './servers.ts'

/** Both databases, for a test that starts and stops them itself: `describe.skipIf(!isThere)`. */
export const BOTH: readonly { name: string; isThere: boolean; start: () => Promise<TestServer> }[] = [
  { name: 'the embedded database', isThere: true, start: embeddedServer },
  { name: 'a real server', isThere: hasRealServer, start: realServer },
]

/** `tests` gets what to call in its beforeAll or in a test: a new database without tables. It is stopped after the tests. */
export function onBothServers(what: string, tests: (start: () => Promise<TestServer>, name: string) => void): void {
  for (const { name, isThere, start } of BOTH)
    describe.skipIf(!isThere)(`${what} on ${name}`, () => {
      const started: TestServer[] = []
      // Last of all: vitest runs these hooks in the reverse order.
      afterAll(async () => {
        for (const server of started) await server.stop()
      })
      tests(async () => {
        const server = await start()
        started.push(server)
        return server
      }, name)
    })
}

/** How a command finds a database: the options of `quarterdeck` in run.ts. */
export function optionsFor({ settings }: TestServer): { home: string; env: Record<string, string> } {
  const { home, databaseUrl } = settings
  return { home, env: databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl } }
}

/** A database with the tables of this version and two connections to it, as two processes have them. */
export type OpenDatabase = { sql: Database; other: Database; settings: Pick<Settings, 'home' | 'databaseUrl'> }

/** `tests` gets what to call in its beforeAll; what that opens is closed after the tests. */
export function onBothDatabases(what: string, tests: (open: () => Promise<OpenDatabase>) => void): void {
  onBothServers(what, start => {
    const opened: Database[] = []
    afterAll(async () => {
      for (const sql of opened) await disconnect(sql)
    })
    tests(async () => {
      const { settings } = await start()
      const sql = await connect(settings)
      const other = await connect(settings)
      opened.push(sql, other)
      await migrate(sql)
      return { sql, other, settings }
    })
  })
}

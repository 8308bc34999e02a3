// Runs the tests of a table or a contract on both databases, the embedded one and a real server, since the product promises
// that nobody sees a difference. The databases themselves come from servers.ts.

import { afterAll, describe } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { embeddedServer, hasRealServer, realServer, type TestServer } from './servers.ts'

const BOTH: readonly { name: string; isThere: boolean; start: () => Promise<TestServer> }[] = [
  { name: 'the embedded database', isThere: true, start: embeddedServer },
  { name: 'a real server', isThere: hasRealServer, start: realServer },
]

/** A database with the tables of this version and two connections to it, as two processes have them. */
export type OpenDatabase = { sql: Database; other: Database }

/** `tests` gets what to call in its beforeAll; what that opens is closed after the tests. */
export function onBothDatabases(what: string, tests: (open: () => Promise<OpenDatabase>) => void): void {
  for (const { name, isThere, start } of BOTH)
    describe.skipIf(!isThere)(`${what} on ${name}`, () => {
      const closing: (() => Promise<void>)[] = []
      tests(async () => {
        const server = await start()
        closing.push(() => server.stop())
        const sql = await connect(server.settings)
        const other = await connect(server.settings)
        closing.push(async () => {
          await disconnect(sql)
          await disconnect(other)
        })
        await migrate(sql)
        return { sql, other }
      })
      afterAll(async () => {
        for (const close of closing.reverse()) await close()
      })
    })
}

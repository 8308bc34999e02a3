// A process that finds a new database, for migrate.test.ts: told where it is, it connects and says so; told to go, it brings the
// database to this version, makes the parts of a quarter, and sends what it did.

import { once } from 'node:events'
import { connect, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'

const [[settings]] = (await Promise.all([once(process, 'message'), process.send?.('ready')])) as [
  [{ home: string; databaseUrl?: string }],
  unknown,
]
const sql = await connect({ home: settings.home, databaseUrl: settings.databaseUrl })
const go = once(process, 'message')
process.send?.('connected')
await go
try {
  const files = await migrate(sql)
  await ensureQuarter(sql, '2031Q1')
  process.send?.({ files })
} catch (error) {
  process.send?.({ error: String(error) })
}
await disconnect(sql)
process.disconnect?.()

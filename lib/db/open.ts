// A database ready for use: connected, checked, with the schema of this version, and closed again afterwards.

import type { Settings } from '../settings.ts'
import { connect, type Database, disconnect, explained } from './connect.ts'
import { migrate } from './migrate.ts'

export async function withDatabase<Result>(
  settings: Settings,
  use: (sql: Database) => Promise<Result>,
): Promise<Result> {
  const sql = await connect(settings)
  try {
    await migrate(sql)
    return await use(sql)
  } catch (error) {
    throw explained(sql, error)
  } finally {
    await disconnect(sql)
  }
}

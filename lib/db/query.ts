// One read-only statement of a person's own: what the command `sql` runs.

import { UserError } from '../errors.ts'
import type { Database } from './connect.ts'

export type QueryResult = { columns: string[]; rows: unknown[][] }

// Copy, call, do, set and their like can act beyond a read-only transaction (copy … to a file or program).
const READING = /^\s*(select|with|values|table|explain|show)\b/i

/** Thrown to end the transaction without a trace, carrying nothing: the rows are already out. */
class Enough extends Error {}

/**
 * Runs one statement that only reads. Three fences: its first word, a read-only transaction that is rolled back, and
 * the extended protocol, which takes a single statement (so nothing can stand behind a semicolon).
 */
export async function readOnlyQuery(sql: Database, statement: string): Promise<QueryResult> {
  const text = withoutComments(statement).trim()
  if (text === '') throw new UserError('sql got an empty statement', 'quarterdeck sql "select * from themes"')
  if (!READING.test(text))
    throw new UserError(
      `sql runs one reading statement (select, with, values, table, explain, show), not ${JSON.stringify(text.split(/\s/)[0])}`,
      'to change data, connect with psql: quarterdeck db-start prints how',
    )
  let result: QueryResult = { columns: [], rows: [] }
  try {
    await sql.begin('read only', async tx => {
      // Without `simple: false` postgres.js sends a text without parameters by the protocol that takes many statements.
      const options = { prepare: true, simple: false }
      const rows = await tx.unsafe(statement.trim().replace(/;\s*$/, ''), [], options).values()
      result = { columns: rows.columns.map(column => column.name), rows: [...rows] }
      throw new Enough()
    })
  } catch (error) {
    if (error instanceof Enough) return result
    if (isPostgresError(error)) throw asUserError(error, statement)
    throw error
  }
  return result
}

function withoutComments(statement: string): string {
  return statement.replace(/--[^\n]*/g, ' ').replace(/\/\*[\s\S]*?\*\//g, ' ')
}

type PostgresError = Error & { code: string; position?: string; hint?: string }

function isPostgresError(error: unknown): error is PostgresError {
  return error instanceof Error && error.name === 'PostgresError'
}

function asUserError(error: PostgresError, statement: string): UserError {
  const at = error.position
    ? ` at ${JSON.stringify(statement.slice(Number(error.position) - 1, Number(error.position) + 19))}`
    : ''
  const message =
    error.code === '25006'
      ? `sql may only read: ${error.message}`
      : error.code === '42601' && /multiple commands/.test(error.message)
        ? 'sql runs one statement, and this is more than one'
        : `the database refused the statement${at}: ${error.message}`
  return new UserError(message, error.hint ?? 'the tables and columns stand in docs/data-dictionary.md', {
    cause: error,
  })
}

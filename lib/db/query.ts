// One read-only statement of a person's own: what the command `sql` runs.

import type { TransactionSql } from 'postgres'
import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'

export type QueryResult = { columns: string[]; rows: unknown[][] }

// Copy, call, do, set and their like can act beyond a read-only transaction (copy … to a file or program). What stands before
// the first word is read as Postgres reads it: its comments nest (one inside another is refused here), and a carriage return
// ends a line. Each comment is matched whole or not at all, so that no part of one can pass for the first word.
const READING =
  /^(?:\s|--[^\r\n]*(?:[\r\n]|$)|\/\*(?:(?!\/\*|\*\/)[\s\S])*\*\/)*(?:select|with|values|table|explain|show)\b/i

// Whatever Postgres can take for a name; it reads \u inside of U&"…", where a name would not be seen.
const NAME = /[A-Za-z_\u0080-\u{10ffff}][\w$\u0080-\u{10ffff}]*/gu
const ESCAPED_NAME = /u&"/i

// What Postgres calls volatile may act: on files, other sessions, sequences, settings, or by running a text as SQL. These
// only give another answer each time.
const HARMLESS =
  '^(random|random_normal|setseed|array_sample|array_shuffle|gen_random_uuid|uuidv4|uuidv7|clock_timestamp|timeofday|' +
  'current_query|pg_(relation|table|indexes|total_relation|database|tablespace)_size)$'
// Functions of the extensions tablefunc and xml2 that run a text as SQL although they are not called volatile.
const RUNS_TEXT = '^(crosstab|connectby|xpath_table)'

// How soon a server sees that we have gone away (Ctrl-C) and ends the statement; by itself it would compute to the end.
const CHECK_CLIENT_MILLISECONDS = '1000'

/** Thrown to end the transaction without a trace, carrying nothing: the rows are already out. */
class Enough extends Error {}

/**
 * Runs one statement that only reads, also for a superuser. Four fences: its first word, since copy writes files; the
 * functions it names, since some act from a read-only transaction; that transaction, rolled back; and the extended protocol,
 * which takes a single statement (so nothing can stand behind a semicolon). A role that may only read would not do instead:
 * a superuser's statement can put it off again (set_config). What the owner has hidden in a view or an operator is trusted.
 */
export async function readOnlyQuery(sql: Database, statement: string): Promise<QueryResult> {
  if (statement.trim() === '')
    throw new UserError('sql got an empty statement', 'quarterdeck sql "select * from themes"')
  if (!READING.test(statement))
    throw new UserError(
      `sql runs one reading statement (select, with, values, table, explain, show), not ${JSON.stringify(firstWord(statement))}`,
      'to change data, connect with psql: quarterdeck db-start prints how',
    )
  let result: QueryResult = { columns: [], rows: [] }
  try {
    await sql.begin('read only', async tx => {
      await requireReadingFunctions(tx, statement)
      await endWithUs(tx)
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

function firstWord(statement: string): string {
  return statement.trim().split(/\s/)[0]
}

/** Refuses a statement in which any word, in a text or comment too, is the name of a function that can act. */
async function requireReadingFunctions(tx: Queries, statement: string): Promise<void> {
  const words = (statement.match(NAME) ?? []).flatMap(word => [word, word.toLowerCase()])
  const [acting] = await tx<{ name: string }[]>`
    select proname as name from pg_proc
    where proname = any(${words}::text[])
      and (provolatile = 'v' or proname ~ ${RUNS_TEXT}) and proname !~ ${HARMLESS}
      and not 'internal'::regtype = any(proargtypes) -- these cannot be called
    order by position(proname in ${statement}) limit 1`
  const name = acting?.name ?? (ESCAPED_NAME.test(statement) ? 'U&"' : undefined)
  if (name === undefined) return
  throw new UserError(
    `sql may only read, and ${name} in the statement can do more`,
    'a function of your own that only reads: alter function NAME stable; all else with psql: quarterdeck db-start prints how',
  )
}

/** Has a server end the statement when this process does. The embedded database, and a server on Windows, go on to its end. */
async function endWithUs(tx: TransactionSql): Promise<void> {
  const set = tx.savepoint(
    inner => inner`select set_config('client_connection_check_interval', ${CHECK_CLIENT_MILLISECONDS}, true)`,
  )
  await set.catch(error => {
    if (!isPostgresError(error)) throw error
  })
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

// The one door to the database: a Postgres server where DATABASE_URL names one, the embedded database otherwise.
// Both are reached through the same client, so nobody behind this door needs to know which it is.
// Everything that can be wrong with a server is found and said here; tables are the business of migrate.ts and its neighbours.

import type { Socket } from 'node:net'
import postgres from 'postgres'
import { DatabaseLost, UserError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import { type Address, parseAddress } from './address.ts'
import { arrayTypes } from './arrays.ts'
import { placesOf } from './embedded/places.ts'
import { dialDatabase, isDiskFull, shellQuoted } from './embedded/start.ts'
import { dialServer, Line } from './line.ts'

/** An open database. int8 columns are bigint here; counts are cast to int in SQL. */
export type Database = postgres.Sql<{ bigint: bigint }>
/** The database or a transaction of it: whatever can be asked. */
export type Queries = postgres.ISql<{ bigint: bigint }>

let tellLost: (error: DatabaseLost) => void = () => {}

/**
 * Calls `onLost` at the moment a connection of this process is lost, also while nothing is asked of it: a command need not
 * compute for minutes what it cannot save. Without it, whatever is asked then or later rejects with the same error.
 */
export function installLostConnectionHandler(onLost: (error: DatabaseLost) => void): void {
  tellLost = onLost
}

export async function connect(settings: Pick<Settings, 'home' | 'databaseUrl'>): Promise<Database> {
  if (settings.databaseUrl === undefined) return await connectEmbedded(settings.home, DYING_DAEMONS)
  const address = parseAddress(settings.databaseUrl)
  const sql = open(toServer(address))
  try {
    await checkServer(sql, address.shown)
  } catch (error) {
    await sql.end({ timeout: 0 })
    throw refused(explained(sql, error), address)
  }
  inUse.add(sql)
  return sql
}

// A daemon that is killed or leaves may still take a connection in its last moment; the next dial starts another one.
// Twice in a row is bad luck, a third time is no luck any more.
const DYING_DAEMONS = 2

async function connectEmbedded(home: string, retries: number): Promise<Database> {
  const sql = open(toEmbedded(home))
  try {
    await sql`select 1` // what is wrong with the data folder is said now
  } catch (error) {
    await sql.end({ timeout: 0 })
    if (error instanceof DatabaseLost && retries > 0) return await connectEmbedded(home, retries - 1)
    throw explained(sql, error)
  }
  inUse.add(sql)
  return sql
}

// Until the server has admitted us, its hanging up is no loss: it has said why, and `refused` passes that on.
const inUse = new WeakSet<Database>()

// What is still running when a command ends is not waited for longer: its transaction is rolled back.
const GOODBYE_SECONDS = 5

export async function disconnect(sql: Database): Promise<void> {
  // On a lost connection postgres.js would wait for the answer to its last query.
  await sql.end({ timeout: inUse.delete(sql) ? GOODBYE_SECONDS : 0 })
}

type Route = {
  /** For messages. */
  name: string
  hint: string
  /** How to see how full the disk is. */
  lookAtDisk: string
  /** What was wrong, where that can be seen from here after a loss. */
  reasonOfLoss(): string | undefined
  options: postgres.Options<Record<string, never>>
  dial(): Promise<Socket>
}

const RERUN = 'run the same command again: what was saved stays, and it goes on from there'

function toEmbedded(home: string): Route {
  return {
    name: `the embedded database in ${home}`,
    hint: `${RERUN} (its log: ${placesOf(home).log})`,
    lookAtDisk: `df -h ${shellQuoted(home)}`,
    // Where its log can grow no more, Postgres gives up: nothing committed is lost, and the next start needs room first.
    reasonOfLoss: () => (isDiskFull(home) ? 'its disk is full' : undefined),
    options: { user: 'postgres', database: 'postgres' },
    dial: () => dialDatabase(home),
  }
}

function toServer(address: Address): Route {
  const { host, port, user, password, database, connectSeconds, keepaliveSeconds, parameters } = address
  return {
    name: `the database server at ${address.shown}`,
    hint: RERUN,
    lookAtDisk: 'df -h on the server',
    reasonOfLoss: () => undefined,
    options: {
      ...{ host, port, user, password, database },
      connect_timeout: connectSeconds,
      keep_alive: keepaliveSeconds,
      connection: { application_name: 'quarterdeck', ...NOTICED_BY_THE_SERVER, ...parameters },
    },
    dial: () => dialServer(address),
  }
}

// A machine that vanishes in the middle of a transaction would keep its locks until the server's system notices, after two
// hours as a rule. A lease's length: then its work is free for others anyway. No transaction of ours rests for as long.
const NOTICED_BY_THE_SERVER = {
  idle_in_transaction_session_timeout: 60_000, // milliseconds
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
}

function open(route: Route): Database {
  function lost(cause: unknown): DatabaseLost {
    const reason = route.reasonOfLoss()
    const error = reason
      ? new DatabaseLost(`${route.name} has ended: ${reason}`, makeRoom(route), { cause })
      : new DatabaseLost(`the connection to ${route.name} was lost`, route.hint, { cause })
    if (inUse.delete(sql)) tellLost(error)
    return error
  }
  const options = {
    ...route.options,
    socket: async () => new Line(await route.dial(), lost), // in the documentation of postgres 3.4.9, not in its types
    max: 1, // a process asks one thing at a time, and the embedded database answers one at a time
    ssl: false as const, // line.ts does it
    max_lifetime: null, // postgres.js would hang up after 30 to 60 minutes, in the middle of a long command
    onnotice: () => {}, // "relation already exists, skipping"
    fetch_types: false, // arrays.ts knows them
    types: { ...arrayTypes, bigint: postgres.BigInt, date: DATES_AS_TEXT },
  }
  const sql: Database = postgres(options)
  routes.set(sql, route)
  return sql
}

const routes = new WeakMap<Database, Route>()

function makeRoom({ lookAtDisk }: Route): string {
  return `make room there (${lookAtDisk}), then ${RERUN}`
}

/**
 * What went wrong with the database itself under a statement of ours, in words for the person; any other error as it is.
 * Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function explained(sql: Database, error: unknown): unknown {
  const route = routes.get(sql)
  if (!(error instanceof postgres.PostgresError) || route === undefined) return error
  const options = { cause: error }
  switch (error.code) {
    case '53100':
      return new UserError(`the disk of ${route.name} is full: ${error.message}`, makeRoom(route), options)
    case '42501':
      return new UserError(
        `${error.message}: the user of ${route.name} may not do that`,
        'use the DATABASE_URL of a role that may; sql/roles.sql says which that is',
        options,
      )
    // These pass by themselves, so the exit code says what it says of a lost connection: run it again.
    case '53300':
      return new DatabaseLost(`${route.name} has no connection left`, 'run it again when others have ended', options)
    case '57P01':
    case '57P02':
    case '57P03':
      return new DatabaseLost(
        `${route.name} is starting or stopping`,
        'run the same command again in a moment',
        options,
      )
  }
  // No resources (class 53), somebody stepped in (57), the machine below failed (58): not the statement is wrong.
  return /^5[378]/.test(error.code) ? new UserError(`${route.name} gave up: ${error.message}`, RERUN, options) : error
}

// date, timestamp, timestamptz: as Postgres writes them. A JavaScript date has neither infinity nor a day without an hour.
const DATES_AS_TEXT = { to: 25, from: [1082, 1114, 1184], serialize: String, parse: (text: string) => text }

// Partitions by list with what we need of them, and the oldest version that is still maintained.
const OLDEST_POSTGRES = 14
// Before it, parallel index builds overflow a buffer (pgvector's changelog, 0.8.2).
const OLDEST_PGVECTOR = '0.8.2'

/** Refuses a server that is too old or has no pgvector. The extension itself is created by the first migration. */
export async function checkServer(sql: Database, shown: string): Promise<void> {
  const [server] = await sql<{ version: number; installed: string | null; available: string | null }[]>`
    select
      current_setting('server_version_num')::int / 10000 as version,
      (select extversion from pg_extension where extname = 'vector') as installed,
      (select default_version from pg_available_extensions where name = 'vector') as available`
  requireServer(shown, server)
}

/** What a server says of itself; `available` is the pgvector among its files, `installed` the one in this database. */
export type ServerVersions = { version: number; installed: string | null; available: string | null }

export function requireServer(shown: string, server: ServerVersions): void {
  if (server.version < OLDEST_POSTGRES)
    throw new UserError(
      `the database server at ${shown} is Postgres ${server.version}; at least ${OLDEST_POSTGRES} is needed`,
      'use a newer server, or unset DATABASE_URL to use the embedded database',
    )
  const found = server.installed ?? server.available
  if (found === null)
    throw new UserError(
      `the database server at ${shown} has no pgvector; at least ${OLDEST_PGVECTOR} is needed`,
      `install it on the server (Debian: apt-get install postgresql-${server.version}-pgvector), or unset DATABASE_URL`,
    )
  if (isOlder(found, OLDEST_PGVECTOR))
    throw new UserError(
      `the database server at ${shown} has pgvector ${found}; at least ${OLDEST_PGVECTOR} is needed`,
      server.available !== null && !isOlder(server.available, OLDEST_PGVECTOR)
        ? 'psql "$DATABASE_URL" -c "alter extension vector update"'
        : 'install a newer pgvector on the server, then: psql "$DATABASE_URL" -c "alter extension vector update"',
    )
}

function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0
}

/** The server's refusal in words for the person; its own words are left out where they name the user. */
function refused(error: unknown, address: Address): unknown {
  const at = `the database server at ${address.shown}`
  const options = { cause: error }
  // It had said by one letter whether it speaks TLS, as only Postgres does, and then it went away.
  const hasGreeted = address.tls !== 'disable' && address.socket === undefined
  if (error instanceof DatabaseLost && (hasGreeted || error.cause instanceof postgres.PostgresError)) return error
  // The socket was there, and then no greeting came.
  if (error instanceof DatabaseLost || (error as NodeJS.ErrnoException).code === 'CONNECT_TIMEOUT')
    return new UserError(
      `${at} does not greet as a Postgres server does`,
      'check host and port in DATABASE_URL, or run the command again if the server is just starting',
      options,
    )
  if (!(error instanceof postgres.PostgresError)) return error
  switch (error.code) {
    case '28P01':
      return new UserError(
        `${at} refused the user or the password`,
        'check both in DATABASE_URL; special characters of a password are written as %XX',
        options,
      )
    case '28000':
      return new UserError(
        `${at} does not admit this user from this machine`,
        'ask for a line in its pg_hba.conf; some servers want sslmode=require in DATABASE_URL',
        options,
      )
    case '3D000':
      return new UserError(
        `${at} has no database ${address.database}`,
        `createdb -h ${address.host} -p ${address.port} ${address.database}`,
        options,
      )
    default:
      return new UserError(`${at} refused the connection: ${error.message}`, 'check DATABASE_URL', options)
  }
}

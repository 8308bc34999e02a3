// DATABASE_URL taken apart, as psql would read it, and the server's name as it may be shown.
// The URL holds a password, so it never appears in a message, whole or in part: only host, port and database do.

import { userInfo } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'

/** How a connection is protected, by libpq's names: https://www.postgresql.org/docs/current/libpq-ssl.html */
const TLS_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof TLS_MODES)[number]

export type Address = Readonly<{
  host: string
  port: number
  /** Path of a unix socket instead of host and port. */
  socket: string | undefined
  user: string
  password: string
  database: string
  tls: TlsMode
  /** File with the certificates to trust, for RDS and others that sign their own. */
  rootCertificate: string | undefined
  connectSeconds: number
  /** After so many seconds without a word the server's machine is asked whether it is still there. */
  keepaliveSeconds: number
  /** Settings for the server itself, such as `options` or `statement_timeout`. */
  parameters: Readonly<Record<string, string>>
  /** Host and port, for messages. */
  shown: string
}>

const EXAMPLE = 'export DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/DATABASE (special characters as %XX)'
// A server answers within a second, across an ocean too; ten times that is a wrong address or a closed firewall.
const CONNECT_SECONDS = '10'
// A machine that vanishes without a goodbye is noticed after this and ten more seconds (ten questions, one a second, are
// Node's own). A lease is as long, so its work is free by then; and no router forgets a line on which something is said
// every minute (AWS's do after 350 s). It does not help a query that never reached the machine: that the kernel sends again
// for a quarter of an hour (Linux, tcp_retries2), and Node has no way to tell it otherwise.
const KEEPALIVE_SECONDS = '60'
// What libpq reads itself and the server would refuse as unknown; all of them at their defaults here.
const OF_LIBPQ = [
  'channel_binding',
  'gssencmode',
  'keepalives',
  'keepalives_count',
  'keepalives_interval',
  'target_session_attrs',
  'tcp_user_timeout',
]

/** Whether the server is on this machine, as far as its name says so. */
export function isHere({ host, socket }: Pick<Address, 'host' | 'socket'>): boolean {
  return socket !== undefined || /^(localhost|127\..*|\[?::1\]?)$/.test(host)
}

export function parseAddress(databaseUrl: string): Address {
  const url = parseUrl(databaseUrl)
  const query = url.searchParams
  const take = (name: string): string | undefined => {
    const value = query.get(name) ?? undefined
    query.delete(name)
    return value
  }
  const host = take('host') ?? (decoded(url.hostname) || 'localhost')
  const port = Number(take('port') ?? (url.port || 5432))
  const database = take('dbname') ?? decoded(url.pathname.slice(1))
  const user = take('user') ?? (decoded(url.username) || userInfo().username)
  const password = take('password') ?? decoded(url.password)
  const root = take('sslrootcert')
  const tls = tlsMode(take('sslmode') ?? (root === 'system' ? 'verify-full' : 'prefer'))
  const connectSeconds = Number(take('connect_timeout') ?? CONNECT_SECONDS) || Number(CONNECT_SECONDS)
  const keepaliveSeconds = Number(take('keepalives_idle') ?? KEEPALIVE_SECONDS) || Number(KEEPALIVE_SECONDS)
  for (const name of OF_LIBPQ) query.delete(name)
  return {
    host,
    port,
    socket: host.startsWith('/') ? join(host, `.s.PGSQL.${port}`) : undefined,
    user,
    password,
    database: database || user,
    tls,
    rootCertificate: root === 'system' ? undefined : root,
    connectSeconds,
    keepaliveSeconds,
    parameters: Object.fromEntries(query),
    shown: `${host}:${port}`,
  }
}

function parseUrl(databaseUrl: string): URL {
  // `user@/database?host=/run/postgresql` is good libpq, but a URL with a user needs a host.
  const text = databaseUrl.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, '$1localhost')
  const url = URL.canParse(text) ? new URL(text) : undefined
  // A bare / or # in the password ends the host too early: then the @ comes after it.
  const whole = url && !url.pathname.includes('@') && !url.hash
  if (!whole || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:'))
    throw new UserError('DATABASE_URL is not the address of a Postgres server', EXAMPLE)
  return url
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new UserError('DATABASE_URL has a % that is not followed by two hexadecimal digits', EXAMPLE)
  }
}

function tlsMode(text: string): TlsMode {
  const mode = TLS_MODES.find(known => known === text)
  if (mode === undefined)
    throw new UserError(
      `sslmode of DATABASE_URL is ${JSON.stringify(text)}; it must be one of ${TLS_MODES.join(', ')}`,
      'sslmode=require, or sslmode=verify-full with sslrootcert=FILE',
    )
  return mode
}

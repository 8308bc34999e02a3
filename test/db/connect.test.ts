// The one door: what it says of addresses and servers that are wrong, and what happens when a connection is lost.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAddress } from '../../lib/db/address.ts'
import {
  connect,
  type Database,
  disconnect,
  installLostConnectionHandler,
  requireServer,
} from '../../lib/db/connect.ts'
import { databaseStatus } from '../../lib/db/embedded/start.ts'
import { DatabaseLost, UserError } from '../../lib/errors.ts'
import {
  embeddedServer,
  hasRealServer,
  hasServerWithoutPgvector,
  type RealServer,
  realServer,
  scratchFolder,
  serverWithoutPgvector,
  type TestServer,
} from './servers.ts'

/** The error of a connection that must not come about, with all that a person could get to see of it. */
async function refusal(databaseUrl: string): Promise<{ error: UserError; shown: string }> {
  try {
    await disconnect(await connect({ home: '/nowhere', databaseUrl }))
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    return { error: error as UserError, shown: `${(error as UserError).message}\n${(error as UserError).hint}` }
  }
  throw new Error('the connection came about')
}

describe('the address', () => {
  it('is read as psql reads it', () => {
    expect(parseAddress('postgresql://me:a%40b%2F@db.example.com:6543/calls?sslmode=require')).toMatchObject({
      host: 'db.example.com',
      port: 6543,
      socket: undefined,
      user: 'me',
      password: 'a@b/',
      database: 'calls',
      tls: 'require',
      shown: 'db.example.com:6543',
    })
    expect(parseAddress('postgres://me@/calls?host=/run/postgresql')).toMatchObject({
      socket: '/run/postgresql/.s.PGSQL.5432',
      database: 'calls',
    })
    expect(parseAddress('postgres://me@%2Frun%2Fpg:5433').socket).toBe('/run/pg/.s.PGSQL.5433')
    expect(parseAddress('postgres://me@h')).toMatchObject({ port: 5432, database: 'me', tls: 'prefer' })
    expect(parseAddress('postgres://h/d?sslrootcert=system').tls).toBe('verify-full')
  })

  it('passes on what is for the server and keeps what is for the client', () => {
    const { parameters } = parseAddress('postgres://h/d?sslmode=require&channel_binding=require&statement_timeout=5s')
    expect(parameters).toEqual({ statement_timeout: '5s' })
  })

  it.each([
    'hello',
    'mysql://me:geheim@h/d',
    'postgres://me:ge/heim@h/d',
    'postgres://me:ge#heim@h/d',
    'postgres://me:geheim%@h/d',
    'postgres://me:geheim@h:12345678/d',
    'postgres://me:geheim@h/d?sslmode=yes',
  ])('that is not one is refused without being shown: %s', databaseUrl => {
    let message = ''
    try {
      parseAddress(databaseUrl)
    } catch (error) {
      message = `${(error as UserError).message} ${(error as UserError).hint}`
    }
    expect(message).toContain('DATABASE_URL')
    expect(message).not.toContain('heim')
  })
})

describe('what a server must be', () => {
  it('is Postgres 14 or later with pgvector 0.8.2 or later, and the way to it is said otherwise', () => {
    const words = (version: number, installed: string | null, available: string | null): string => {
      try {
        requireServer('h:1', { version, installed, available })
      } catch (error) {
        return `${(error as UserError).message}; ${(error as UserError).hint}`
      }
      return 'good'
    }
    expect(words(14, null, '0.8.2')).toBe('good')
    expect(words(18, '0.10.0', '0.10.0')).toBe('good')
    expect(words(13, '0.8.2', '0.8.2')).toMatch(/h:1 is Postgres 13; at least 14/)
    expect(words(16, null, null)).toMatch(/no pgvector; at least 0\.8\.2 .*postgresql-16-pgvector/)
    expect(words(16, '0.8.1', '0.8.5')).toMatch(/pgvector 0\.8\.1; .*; psql .* "alter extension vector update"/)
    expect(words(16, '0.7.4', '0.8.1')).toMatch(/pgvector 0\.7\.4; .* newer pgvector on the server/)
    expect(words(16, null, '0.5.0')).toMatch(/pgvector 0\.5\.0; /)
  })
})

describe('a server that cannot be used', () => {
  it('is named with host and port and without the password when nothing listens there', async () => {
    const { shown } = await refusal('postgres://me:geheim@127.0.0.1:1/calls')
    expect(shown).toContain('cannot reach the database server at 127.0.0.1:1: nothing listens there')
    expect(shown).not.toMatch(/geheim|me@/)
  })

  it('is named when there is no host or no socket of that name', async () => {
    expect((await refusal('postgres://me@nowhere.invalid/calls')).shown).toMatch(/nowhere\.invalid:5432: /)
    expect((await refusal('postgres://me@/calls?host=/nowhere')).shown).toContain('there is no such socket')
  })

  it('is given up when it does not answer', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { shown } = await refusal(`postgres://me:geheim@127.0.0.1:${portOf(silent)}/calls?connect_timeout=1`)
    expect(shown).toContain('no answer within 1 s')
    const plain = await refusal(
      `postgres://me:geheim@127.0.0.1:${portOf(silent)}/calls?connect_timeout=1&sslmode=disable`,
    )
    expect(plain.shown).toContain('does not greet as a Postgres server does')
    silent.close()
  })

  it('is named when something else listens there', async () => {
    const web = createServer(socket => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request'))).listen(0)
    await once(web, 'listening')
    const at = `postgres://me:geheim@127.0.0.1:${portOf(web)}/calls`
    expect((await refusal(at)).shown).toContain('does not speak the Postgres protocol')
    expect((await refusal(`${at}?sslmode=disable`)).shown).toContain('does not greet as a Postgres server does')
    web.close()
  })

  it.skipIf(!hasServerWithoutPgvector)('is refused when it has no pgvector', async () => {
    const server = await serverWithoutPgvector()
    const { shown } = await refusal(server.settings.databaseUrl ?? '')
    expect(shown).toContain('has no pgvector; at least 0.8.2 is needed')
    await server.stop()
  })
})

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

describe.skipIf(!hasRealServer)('on Postgres 18', () => {
  let server: RealServer
  let at: string
  let url: string

  beforeAll(async () => {
    if (!hasRealServer) return
    server = await realServer()
    at = `127.0.0.1:${server.port}`
    url = server.settings.databaseUrl ?? ''
  })
  afterAll(async () => await server?.stop())

  it('connects with a password of special characters and gives int8 as bigint', async () => {
    const sql = await connect(server.settings)
    const [row] =
      await sql`select 9007199254740993::int8 as big, array[1, 2]::int8[] as bigs, ${5n}::int8 as back, 7 as small`
    expect(row).toEqual({ big: 9007199254740993n, bigs: [1n, 2n], back: 5n, small: 7 })
    await disconnect(sql)
  })

  it('says that user or password are wrong, showing neither', async () => {
    const { shown } = await refusal(`postgres://${server.user}:geheim@${at}/postgres`)
    expect(shown).toContain(`the database server at ${at} refused the user or the password`)
    expect(shown).not.toMatch(new RegExp(`geheim|${server.user}[^d]`)) // the name of the program is not the user's
  })

  it('says that there is no such database', async () => {
    const { shown } = await refusal(url.replace(/postgres$/, 'calls'))
    expect(shown).toContain(`the database server at ${at} has no database calls`)
    expect(shown).toContain(`createdb -h 127.0.0.1 -p ${server.port} calls`)
  })

  it('says that it offers no TLS when TLS is asked for', async () => {
    expect((await refusal(`${url}?sslmode=require`)).shown).toContain(
      `${at} offers no TLS, and sslmode=require asks for it`,
    )
  })

  it('passes settings of the URL to the server, and its refusal of unknown ones on', async () => {
    const sql = await connect({ home: '', databaseUrl: `${url}?statement_timeout=4s` })
    expect(await sql`show statement_timeout`).toEqual([{ statement_timeout: '4s' }])
    expect(await sql`show application_name`).toEqual([{ application_name: 'quarterdeck' }])
    await disconnect(sql)
    expect((await refusal(`${url}?nonsense=1`)).shown).toContain('unrecognized configuration parameter "nonsense"')
  })

  const openssl = spawnSync('openssl', ['version']).status === 0
  if (!openssl && process.env.CI) throw new Error('no openssl for the TLS tests')
  describe.skipIf(!openssl)('behind TLS', () => {
    let folder: string
    let front: Server
    let secured: string
    const encrypted: boolean[] = []

    beforeAll(async () => {
      folder = scratchFolder()
      const files = ['-keyout', join(folder, 'key'), '-out', join(folder, 'certificate')]
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
      spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...names])
      front = createServer(socket => void answerWithTls(socket)).listen(0, '127.0.0.1')
      await once(front, 'listening')
      secured = url.replace(at, `localhost:${portOf(front)}`)
    })
    afterAll(() => {
      front?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    /** What a Postgres with TLS does: says S to the request for it, and speaks TLS from there on. */
    async function answerWithTls(socket: Socket): Promise<void> {
      socket.on('error', () => {})
      const [request] = await once(socket, 'data')
      expect(request).toHaveLength(8)
      socket.write('S')
      const key = readFileSync(join(folder, 'key'))
      const cert = readFileSync(join(folder, 'certificate'))
      const inside = new TLSSocket(socket, { isServer: true, key, cert })
      inside.on('error', () => {})
      inside.once('secure', () => encrypted.push(true))
      const back = dial(server.port, '127.0.0.1')
      back.on('error', () => {})
      inside.pipe(back).pipe(inside)
    }

    it.each([
      '',
      '?sslmode=require',
      '?sslmode=verify-full&sslrootcert=FILE',
      '?sslmode=verify-ca&sslrootcert=FILE',
    ])('connects with %s', async query => {
      encrypted.length = 0
      const databaseUrl = secured + query.replace('FILE', join(folder, 'certificate'))
      const sql = await connect({ home: '', databaseUrl })
      expect(await sql`select ${'x'.repeat(100_000)}::text as long`).toEqual([{ long: 'x'.repeat(100_000) }])
      expect(encrypted).toEqual([true])
      await disconnect(sql)
    })

    it('refuses a certificate that nobody vouches for, and one of another host', async () => {
      expect((await refusal(`${secured}?sslmode=verify-full`)).shown).toMatch(/cannot trust .*sslrootcert=FILE/s)
      const other = secured.replace('localhost', '127.0.0.1')
      const trusted = `sslmode=verify-full&sslrootcert=${join(folder, 'certificate')}`
      expect((await refusal(`${other}?${trusted}`)).shown).toMatch(/cannot trust/)
      expect((await refusal(`${secured}?sslmode=require&sslrootcert=/nowhere`)).shown).toMatch(
        /cannot read .*\/nowhere/,
      )
    })

    it('notices the loss of the connection', async () => {
      const sql = await connect({ home: '', databaseUrl: secured })
      const ended = sql`select pg_sleep(60)`.catch(error => error)
      await hangUp(server, "query like '%pg_sleep(60)%'")
      expect(await ended).toBeInstanceOf(DatabaseLost)
      await disconnect(sql)
    })
  })
})

/** Has the server hang up on the connections of ours that a condition on pg_stat_activity finds; waits until it found one. */
async function hangUp(server: TestServer, condition: string): Promise<void> {
  const sql = await connect(server.settings)
  for (let found = 0; found === 0; ) {
    const rows = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and ${sql.unsafe(condition)}`
    found = rows.length
  }
  await disconnect(sql)
}

describe.each([
  { name: 'the embedded database', start: embeddedServer, absent: false },
  { name: 'Postgres 18', start: realServer, absent: !hasRealServer },
])('a connection to $name that is lost', ({ start, absent }) => {
  let server: TestServer

  beforeAll(async () => {
    if (!absent) server = await start()
  })
  afterAll(async () => await server?.stop())

  /** Has the other side hang up while `during` is on; returns what that ended with. */
  async function lose(sql: Database, during: () => Promise<unknown>): Promise<unknown> {
    const [{ pid }] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`
    const ended = during().catch(error => error)
    if (start === realServer) await hangUp(server, `pid = ${pid}`)
    else await killDaemon(server)
    return await ended
  }

  it.skipIf(absent)('rejects what is running, and whatever is asked later, with DatabaseLost', async () => {
    const sql = await connect(server.settings)
    expect(await lose(sql, async () => await sql`select pg_sleep(60)`)).toBeInstanceOf(DatabaseLost)
    await expect(sql`select 1`).rejects.toBeInstanceOf(DatabaseLost)
    await expect(sql.begin(tx => tx`select 1`)).rejects.toBeInstanceOf(DatabaseLost)
    await disconnect(sql)
  })

  it.skipIf(absent)('rejects a transaction that is between two queries, and tells the handler at once', async () => {
    const told: DatabaseLost[] = []
    installLostConnectionHandler(error => told.push(error))
    const sql = await connect(server.settings)
    const ended = await lose(sql, async () => {
      await sql.begin(async tx => {
        await tx`select 1`
        while (told.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
        await tx`select 2`
      })
    })
    installLostConnectionHandler(() => {})
    expect(ended).toBeInstanceOf(DatabaseLost)
    expect(told).toHaveLength(1)
    expect(told[0].message).toMatch(/^the connection to the (embedded database in|database server at) .* was lost$/)
    expect(told[0].hint).toContain('run the same command again')
    await disconnect(sql)
  })

  it.skipIf(absent)('does not tell the handler of a goodbye', async () => {
    let told = 0
    installLostConnectionHandler(() => {
      told++
    })
    const sql = await connect(server.settings)
    await sql`select 1`
    await disconnect(sql)
    await disconnect(await connect(server.settings)) // without a query
    await new Promise(resolve => setTimeout(resolve, 100))
    installLostConnectionHandler(() => {})
    expect(told).toBe(0)
  })
})

async function killDaemon(server: TestServer): Promise<void> {
  const { pid } = await databaseStatus(server.settings.home)
  if (pid === undefined) throw new Error('no daemon')
  await new Promise(resolve => setTimeout(resolve, 100))
  process.kill(pid, 'SIGKILL')
}

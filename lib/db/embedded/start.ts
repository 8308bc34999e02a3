// Starts, stops and finds the daemon of the embedded database: what `db-start`, `db-stop` and every command use.
// A command that finds no daemon starts one; of many that do so at once, one daemon remains (lock.ts).

import { type ChildProcess, spawn } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statfsSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { connect, type Socket } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { messageOf, UserError } from '../../errors.ts'
import { ANOTHER_RUNS, isDaemon, lockHolder } from './lock.ts'
import { type Places, placesOf } from './places.ts'

export type DatabaseStatus = {
  /** Process id of the daemon, or undefined while none runs. */
  pid: number | undefined
  socket: string
  log: string
  /** The line to type for a psql on this database. */
  psql: string
}

/** What PGlite 0.5 is made of. Postgres reads the files of its own major version only. */
export const POSTGRES_MAJOR = '18'

// Ten minutes: a person who reads a result and types the next command finds it warm, a forgotten one leaves no process.
const IDLE_SECONDS = 600
// The first start takes 4 s, 6 s on a busy machine, and replaying a gigabyte of log 6 s: ten times that is a hang.
const START_MILLISECONDS = 60_000
// A clean stop takes 2 s with its checkpoint, but what runs is waited for, and an index build can take minutes.
const STOP_MILLISECONDS = 300_000
const POLL_MILLISECONDS = 25

/** A socket to the embedded database of a data folder; starts the daemon where none runs. */
export async function dialDatabase(home: string, idleSeconds = IDLE_SECONDS): Promise<Socket> {
  return (await reach(home, idleSeconds)).socket
}

/** Starts the daemon of a data folder, or finds it running. */
export async function startDatabase(
  home: string,
  idleSeconds = IDLE_SECONDS,
): Promise<DatabaseStatus & { pid: number; alreadyRunning: boolean }> {
  const { socket, alreadyRunning } = await reach(home, idleSeconds)
  socket.destroy()
  const status = await databaseStatus(home)
  if (status.pid === undefined) throw new UserError(`the embedded database in ${home} ended again`, `see ${status.log}`)
  return { ...status, pid: status.pid, alreadyRunning }
}

/** Ends the daemon cleanly and waits for its end; false when none was running. */
export async function stopDatabase(home: string): Promise<boolean> {
  const { home: folder, run, log } = placesOf(home)
  const pid = await lockHolder(folder, run)
  if (pid === undefined) return false
  // The number may be another machine's or container's, where it means another process.
  if (!isDaemon(pid))
    throw new UserError(
      `the database in ${folder} is open in process ${pid}, which is not a process of this machine`,
      'stop it in the container where it was started',
    )
  signal(pid, folder)
  const deadline = performance.now() + STOP_MILLISECONDS
  while ((await lockHolder(folder, run)) === pid) {
    if (performance.now() > deadline)
      throw new UserError(
        `the database in ${folder} has not ended after ${STOP_MILLISECONDS / 1000} s (process ${pid})`,
        `wait for the command that uses it, or see ${log}`,
      )
    await sleep(POLL_MILLISECONDS)
  }
  return true
}

export async function databaseStatus(home: string): Promise<DatabaseStatus> {
  const places = placesOf(home)
  return {
    pid: await lockHolder(places.home, places.run),
    socket: places.socket,
    log: places.log,
    psql: `psql -h ${shellQuoted(places.socketFolder)} -U postgres`,
  }
}

export function shellQuoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function signal(pid: number, folder: string): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return // it ended by itself just now
    throw new UserError(`cannot stop the database in ${folder}: process ${pid} belongs to another user`, `kill ${pid}`)
  }
}

async function reach(home: string, idleSeconds: number): Promise<{ socket: Socket; alreadyRunning: boolean }> {
  const running = await dial(placesOf(home))
  if (running) return { socket: running, alreadyRunning: true }
  const places = prepare(home)
  const deadline = performance.now() + START_MILLISECONDS
  let daemon: Daemon | undefined
  for (;;) {
    const socket = await dial(places)
    if (socket) return { socket, alreadyRunning: daemon === undefined }
    if (daemon?.state === 'died') throw startFailed(places)
    // Another starter's daemon may have the lock and not be ready yet; or it died, and then the lock is free again.
    // Ours may die while we ask: that is said in the next round, and not tried again.
    const nobody = (await lockHolder(places.home, places.run)) === undefined
    if (nobody && (daemon === undefined || daemon.state === 'found another')) daemon = launch(places, idleSeconds)
    if (performance.now() > deadline)
      throw new UserError(
        `the embedded database in ${places.home} did not answer within ${START_MILLISECONDS / 1000} s`,
        `see ${places.log}`,
      )
    await sleep(POLL_MILLISECONDS)
  }
}

/** Connects, or says undefined where nobody listens. */
function dial(places: Places): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(places.socket)
    const onError = (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return resolve(undefined)
      if (error.code === 'ENOTDIR') return reject(notAFolder(places.home))
      reject(
        new UserError(
          `cannot connect to the embedded database in ${places.home}: ${messageOf(error)}`,
          'it may belong to another user: export QUARTERDECK_HOME=FOLDER with a folder of your own',
          { cause: error },
        ),
      )
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      socket.off('error', onError)
      resolve(socket)
    })
  })
}

type Daemon = { state: 'running' | 'found another' | 'died' }

function launch(places: Places, idleSeconds: number): Daemon {
  const daemon: Daemon = { state: 'running' }
  const log = openLog(places)
  // By absolute path: `--import tsx` alone is looked up from the current folder, which may be any.
  const typescript = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const file = fileURLToPath(new URL('./daemon.ts', import.meta.url))
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', typescript, file, places.home, places.socketFolder, String(idleSeconds)],
    {
      cwd: places.home, // not the command's: that folder could not be removed while the daemon lives
      detached: true, // Ctrl-C in the command's terminal is not meant for it
      env: {}, // nothing of the command's environment, least of all its keys
      stdio: ['ignore', log, log], // a pipe that reads the command's output must see its end
    },
  )
  closeSync(log)
  child.once('error', () => {
    daemon.state = 'died'
  })
  child.once('exit', code => {
    daemon.state = code === ANOTHER_RUNS ? 'found another' : 'died'
  })
  child.unref()
  return daemon
}

function openLog({ home, log }: Places): number {
  try {
    return openSync(log, 'a', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw diskFull(home)
    throw error
  }
}

/** Makes the folders, private to their owner, and checks what would let the daemon fail. */
function prepare(home: string): Places {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 })
    accessSync(home, constants.W_OK)
    const places = placesOf(home)
    for (const folder of new Set([places.run, places.socketFolder])) makePrivate(folder)
    requireSameMajor(places)
    requireRoom(places)
    return places
  } catch (error) {
    if (error instanceof UserError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' || code === 'ENOTDIR') throw notAFolder(home)
    if (code === 'ENOSPC') throw diskFull(home)
    throw new UserError(
      `cannot write to the data folder ${home}: ${messageOf(error)}`,
      'make it writable, or export QUARTERDECK_HOME=FOLDER with a folder of your own',
      { cause: error },
    )
  }
}

function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid } = lstatSync(folder)
  // In the folder for temporary files anybody may have made one of this name.
  if (lstatSync(folder).isSymbolicLink() || uid !== userInfo().uid)
    throw new UserError(`${folder} belongs to another user`, 'export QUARTERDECK_HOME=FOLDER with a shorter path')
  chmodSync(folder, 0o700)
}

function requireSameMajor(places: Places): void {
  const file = join(places.database, 'PG_VERSION')
  if (!existsSync(file)) return
  const major = readFileSync(file, 'utf8').trim()
  if (major === POSTGRES_MAJOR) return
  throw new UserError(
    `the database in ${places.database} was made by Postgres ${major}; this quarterdeck brings Postgres ${POSTGRES_MAJOR}`,
    'export QUARTERDECK_HOME=FOLDER with a new folder and run the pipeline again, or install the quarterdeck that made it',
  )
}

// An empty database takes 39 MB. Postgres itself finds a disk too small after seconds of work, and in words of its own.
const NEW_DATABASE_BYTES = 40 * 2 ** 20

function requireRoom(places: Places): void {
  const free = freeBytes(places.home)
  if (existsSync(places.database) || free >= NEW_DATABASE_BYTES) return
  throw new UserError(
    `the disk that holds the data folder ${places.home} is full: ${Math.floor(free / 2 ** 20)} MB are free, ` +
      `and a new database takes ${NEW_DATABASE_BYTES / 2 ** 20}`,
    diskFull(places.home).hint,
  )
}

const TAIL_LINES = 6 // Postgres' last words fit, and on a terminal they do not push the first line out of sight

function startFailed(places: Places): UserError {
  const log = existsSync(places.log) ? readFileSync(places.log, 'utf8').trimEnd().split('\n') : []
  const tail = log.filter(line => !/^\s+at /.test(line)).slice(-TAIL_LINES) // without the lines of a stack
  // On a full disk the log may be empty as well.
  if (isDiskFull(places.home) || tail.some(line => /ENOSPC|no space left/i.test(line))) return diskFull(places.home)
  return new UserError(
    `the embedded database in ${places.home} did not start:\n${tail.map(line => `  ${line}`).join('\n')}`,
    `see ${places.log}`,
  )
}

function notAFolder(home: string): UserError {
  return new UserError(
    `the data folder ${home} cannot be made: a file is in its way`,
    'move the file, or export QUARTERDECK_HOME=FOLDER',
  )
}

function diskFull(home: string): UserError {
  return new UserError(
    `the disk that holds the data folder ${home} is full`,
    `make room there (df -h ${shellQuoted(home)}) and run the same command again`,
  )
}

// Postgres' own log grows by a file of this size at a time, and where it cannot, Postgres ends.
const LOG_FILE_BYTES = 16 * 2 ** 20

/** Whether a disk has no room left for a database to go on. */
export function isDiskFull(home: string): boolean {
  return existsSync(home) && freeBytes(home) < LOG_FILE_BYTES
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

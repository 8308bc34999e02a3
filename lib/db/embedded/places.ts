// Where the embedded database keeps its things inside the data folder.
// One function, so that the daemon, those who start it and those who connect to it agree.

import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'

export type Places = Readonly<{
  /** The data folder, without symbolic links: two names of one folder must not get two daemons. */
  home: string
  /** Postgres' own files. */
  database: string
  /** Where a database is made before it is renamed, so that a start cut off leaves nothing half-made. */
  making: string
  /** Socket, log and, outside Linux, the lock. */
  run: string
  log: string
  /** What `psql -h` takes. */
  socketFolder: string
  socket: string
}>

// psql looks for this name in the folder it is given: 5432 is its default port.
const SOCKET_NAME = '.s.PGSQL.5432'
// The kernel takes 107 characters for a socket's path (Linux), 103 on macOS.
const LONGEST_SOCKET_PATH = 100

/** `socketFolder` is given to the daemon, whose environment names no other folder for temporary files. */
export function placesOf(folder: string, socketFolder?: string): Places {
  const home = realPath(folder)
  const run = join(home, 'run')
  const fits = join(run, SOCKET_NAME).length <= LONGEST_SOCKET_PATH
  const sockets = socketFolder ?? (fits ? run : join(tmpdir(), `quarterdeck-${userInfo().uid}-${nameOf(home)}`))
  return {
    home,
    database: join(home, 'database'),
    making: join(home, 'database.making'),
    run,
    log: join(run, 'database.log'),
    socketFolder: sockets,
    socket: join(sockets, SOCKET_NAME),
  }
}

function realPath(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    return resolve(folder) // not there yet, or not ours to look into, and then start.ts says so
  }
}

/** A short name for a folder, the same in every process: 16 hexadecimal digits of its SHA-256. */
export function nameOf(folder: string): string {
  return createHash('sha256').update(folder).digest('hex').slice(0, 16)
}

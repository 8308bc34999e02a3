// One daemon a data folder: two processes that open one PGlite folder destroy it without a word (3 trials of 3).
// The lock has to die with its holder, kill -9 included. Linux: a socket in the abstract namespace, which the kernel takes
// back, and which tells who holds it. Elsewhere: a file with the holder's process id, checked against the living.
// Either holds on one machine: containers that share a folder but not a network see no lock of each other.

import { execFileSync } from 'node:child_process'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { nameOf } from './places.ts'

/** Exit code of a daemon that found the lock taken: whoever started it waits for the other one. */
export const ANOTHER_RUNS = 3

export type LockKind = 'kernel' | 'file'

const DAEMON = 'daemon.ts'
const KIND: LockKind = process.platform === 'linux' ? 'kernel' : 'file'

/**
 * Takes the lock of a folder for as long as this process lives; false when another process has it. `program` is a word of the
 * command line of whoever may hold it.
 */
export async function takeLock(home: string, run: string, kind = KIND, program = DAEMON): Promise<boolean> {
  return kind === 'kernel' ? await takeKernelLock(home) : takeFileLock(run, program)
}

/** Process id of the daemon that holds the lock, or undefined when nobody does. */
export async function lockHolder(home: string, run: string, kind = KIND): Promise<number | undefined> {
  return kind === 'kernel' ? await kernelLockHolder(home) : fileLockHolder(lockFile(run), DAEMON)
}

function abstractName(home: string): string {
  return `\0quarterdeck-${nameOf(home)}`
}

function takeKernelLock(home: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.end(String(process.pid))
    })
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(abstractName(home), () => {
      server.unref()
      resolve(true)
    })
  })
}

function kernelLockHolder(home: string): Promise<number | undefined> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect(abstractName(home))
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('error', () => {}) // nobody listens, or the holder just left
    socket.on('close', () => resolve(Number(text) || undefined))
  })
}

function lockFile(run: string): string {
  return join(run, 'lock')
}

function takeFileLock(run: string, program: string): boolean {
  const file = lockFile(run)
  const mine = `${file}.${process.pid}`
  writeFileSync(mine, String(process.pid))
  try {
    // `link` fails where the name exists, and the file appears with its content in it: nobody reads a half-written one.
    if (link(mine, file)) return true
    if (fileLockHolder(file, program) !== undefined) return false
    // Left by a daemon that was killed. Of several who find it, one moves it away; whoever moved a living one's puts it back.
    const stale = `${mine}.stale`
    renameSync(file, stale)
    if (fileLockHolder(stale, program) !== undefined) link(stale, file)
    const taken = fileLockHolder(stale, program) === undefined && link(mine, file)
    rmSync(stale, { force: true })
    return taken
  } catch {
    return false // another starter was faster
  } finally {
    rmSync(mine, { force: true })
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function fileLockHolder(file: string, program: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    return isRunning(pid, program) ? pid : undefined
  } catch {
    return undefined
  }
}

/** Whether a process id means a daemon: ids are given out again, and other containers have their own. */
export function isDaemon(pid: number): boolean {
  return isRunning(pid, DAEMON)
}

function isRunning(pid: number, program: string): boolean {
  try {
    const command =
      process.platform === 'linux'
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
        : execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' })
    return command.includes(program)
  } catch {
    return false // there is no such process
  }
}

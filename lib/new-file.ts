// A file that is either whole or not there: written under another name, and renamed when all of it is on the disk. Takes the
// place of nothing. A process that is killed leaves FILE.part, which the next one deletes.

import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { messageOf, UserError } from './errors.ts'
import { beforeLeaving } from './leaving.ts'

export type NewFile = {
  write(bytes: Uint8Array | string): Promise<void>
  /** Gives the file its name; returns its bytes. */
  finish(): Promise<number>
  /** In the end, whatever happened: what is not finished is deleted. */
  close(): Promise<void>
}

/** Refuses a name that is taken and a place where nothing can be written. `replaces`: takes the place of what is there. */
export async function createFile(file: string, { replaces = false } = {}): Promise<NewFile> {
  if (!replaces) await refuseTaken(file)
  const unfinished = `${file}.part`
  // Deleted and not written over: whoever still writes to it goes on with a file of no name.
  await rm(unfinished, { force: true }).catch(() => {})
  const handle: FileHandle = await open(unfinished, 'wx').catch(error => refuseToWrite(file, error))
  const { ino } = await handle.stat()
  let bytes = 0
  let isFinished = false

  async function isOurs(): Promise<boolean> {
    return (await stat(unfinished).catch(() => undefined))?.ino === ino
  }
  async function remove(): Promise<void> {
    if (!isFinished && (await isOurs())) await rm(unfinished, { force: true })
  }
  const leaving = beforeLeaving(remove)

  return {
    async write(data) {
      const buffer = typeof data === 'string' ? Buffer.from(data) : data
      await handle.appendFile(buffer).catch(error => refuseToWrite(file, error))
      bytes += buffer.length
    },
    async finish() {
      if (!replaces) await refuseTaken(file)
      try {
        await handle.sync()
        if (!(await isOurs())) throw new Error('another process has begun to write it')
        await rename(unfinished, file)
        isFinished = true
      } catch (error) {
        refuseToWrite(file, error)
      }
      return bytes
    },
    async close() {
      await handle.close()
      await remove()
      leaving.forget()
    },
  }
}

/** Nothing takes the place of a file that is there. */
export async function refuseTaken(file: string): Promise<void> {
  if ((await stat(file).catch(() => undefined)) === undefined) return
  throw new UserError(`${file} is there already, and nothing takes its place`, 'give another name, or remove it first')
}

/** What is wrong with the place of a file, in words for the person. */
export function refuseToWrite(file: string, error: unknown, called = file): never {
  if (error instanceof UserError) throw error
  const folder = dirname(resolve(file))
  const options = { cause: error }
  const what = `${called} cannot be written`
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      throw new UserError(
        `${what}: no room is left for it`,
        `make room (df -h ${folder}) or give another place`,
        options,
      )
    case 'ENOENT':
      throw new UserError(`${what}: there is no folder ${folder}`, `make it: mkdir -p ${folder}`, options)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      throw new UserError(`${what}: this user may not write there`, `look who may: ls -ld ${folder}`, options)
    default:
      throw new UserError(`${what}: ${messageOf(error)}`, 'give another place', options)
  }
}

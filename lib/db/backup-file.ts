// The file of a backup: a line of JSON that says what is in it, the rows in compressed pieces, and a SHA-256 over all of it.
// Here so that a file is either whole or seen not to be: it is written under another name, and read through to its last byte
// before anything is believed of it. What the rows mean is the business of backup.ts and backup-restore.ts.

import { createHash } from 'node:crypto'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants } from 'node:zlib'
import { messageOf, UserError } from '../errors.ts'
import { beforeLeaving } from '../leaving.ts'
import { progress, thousands } from '../log.ts'
import { refuseTaken, refuseToWrite } from '../new-file.ts'
import type { Rows } from './copy-out.ts'
import type { BoundModel } from './model-binding.ts'

/** A column's name, and its type as pg_type names it. */
export type BackupColumn = [name: string, type: string]

/** The rows of a table that belong to a quarter, or, without one, those that belong to none. */
export type BackupSection = { table: string; quarter: string | null; rows: number }

export type BackupHeader = {
  /** Version of the schema it was made with. */
  schema: number
  code: string
  quarters: string[]
  /** What the vectors were made with; null where there are none. */
  model: BoundModel | null
  tables: Record<string, BackupColumn[]>
  /** In the order in which their rows follow. */
  sections: BackupSection[]
}

// How a file begins and ends, a number for a change that this version could not read, and the hash before the ending.
const FORMAT = 1
const BEGINNING = '{"quarterdeck backup":'
const HASH_BYTES = 32
const ENDING = Buffer.from('\nend of quarterdeck backup\n')
/** Before each piece: how many rows it holds and how many bytes it takes here. */
const PIECE_HEAD_BYTES = 8
const READ_BYTES = 2 ** 20

// Brotli's quality 1 makes a database of three quarters (91 MB) 23 % smaller (sentences to 28 %, vectors to 88 %), at 90 to
// 250 MB/s of a core, and back at 130 to 220. gzip's level 1 gets to 31 % and 89 %, vectors at 53 MB/s; Node 20 has no zstd.
const COMPRESSION = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }
const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)

export type BackupWriter = {
  /** First, and once. */
  begin(header: BackupHeader): Promise<void>
  piece(rows: Rows): Promise<void>
  /** Gives the file its name; returns its bytes. */
  finish(): Promise<number>
  /** In the end, whatever happened: what is not finished is deleted. */
  close(): Promise<void>
}

/** Refuses a name that is taken and a place where nothing can be written. */
export async function createBackup(file: string): Promise<BackupWriter> {
  await refuseTaken(file)
  const unfinished = `${file}.part`
  // What a killed backup left is deleted and not written over: whoever still writes to it goes on with a file of no name.
  await rm(unfinished, { force: true }).catch(() => {})
  // For its owner alone, as the embedded database is.
  const handle = await open(unfinished, 'wx', 0o600).catch(error => refuse(file, error))
  const { ino } = await handle.stat()
  const hash = createHash('sha256')
  let bytes = 0
  let last = Promise.resolve()
  let isFinished = false

  async function isOurs(): Promise<boolean> {
    return (await stat(unfinished).catch(() => undefined))?.ino === ino
  }
  async function remove(): Promise<void> {
    if (!isFinished && (await isOurs())) await rm(unfinished, { force: true })
  }
  const leaving = beforeLeaving(remove)

  async function append(data: Buffer): Promise<void> {
    hash.update(data)
    await handle.appendFile(data).catch(error => refuse(file, error))
    bytes += data.length
  }

  return {
    begin: header => append(Buffer.from(`${BEGINNING}${FORMAT},${JSON.stringify(header).slice(1)}\n`)),
    /** Returns when the piece before is written: one is compressed while the next comes from the database. */
    async piece({ rows, bytes }) {
      const compressed = compress(bytes, COMPRESSION)
      const before = last
      last = Promise.all([compressed, before]).then(([data]) => append(Buffer.concat([pieceHead(rows, data), data])))
      last.catch(() => {}) // heard of by the next piece, or in the end
      await before
    },
    async finish() {
      await last
      await append(Buffer.concat([hash.copy().digest(), ENDING]))
      await refuseTaken(file)
      try {
        await handle.sync()
        if (!(await isOurs())) throw new Error('another backup has begun to write it')
        await rename(unfinished, file)
        isFinished = true
        await syncFolder(file)
      } catch (error) {
        refuse(file, error)
      }
      return bytes
    },
    async close() {
      await last.catch(() => {})
      await handle.close()
      await remove()
      leaving.forget()
    },
  }
}

function pieceHead(rows: number, data: Buffer): Buffer {
  const head = Buffer.alloc(PIECE_HEAD_BYTES)
  head.writeUInt32BE(rows)
  head.writeUInt32BE(data.length, 4)
  return head
}

/** A file whose name is not on the disk yet is lost with the power. Some file systems cannot do this, and need not. */
async function syncFolder(file: string): Promise<void> {
  const folder = await open(dirname(resolve(file)))
  await folder.sync().catch(() => {})
  await folder.close()
}

function refuse(file: string, error: unknown): never {
  refuseToWrite(file, error, `the backup ${file}`)
}

export type Backup = {
  header: BackupHeader
  bytes: number
  /** The hash over all of it, in hexadecimal: which backup it is. */
  hash: string
  /** Rows of one of the sections of the header. */
  pieces(section: BackupSection): AsyncGenerator<Rows, void, undefined>
  close(): Promise<void>
}

const AGAIN = 'copy it again from where it came from, or use an older one'

/** Refuses a file that is no backup, not a whole one, or of a newer format; reads it through for that. */
export async function openBackup(file: string): Promise<Backup> {
  // Not by opening it: a pipe would be waited for, and nothing could end that but kill -9.
  const found = await stat(file).catch(error => refuseToRead(file, error))
  if (!found.isFile() && !found.isDirectory())
    throw new UserError(`${file} is no regular file`, 'copy what comes out of it into one, and restore that')
  const handle = await open(file).catch(error => refuseToRead(file, error))
  try {
    const { size } = await handle.stat()
    refuseOther(file, await read(handle, 0, BEGINNING_BYTES).catch(error => refuseToRead(file, error)))
    const end = Math.max(0, size - HASH_BYTES - ENDING.length)
    const ending = await read(handle, end, HASH_BYTES + ENDING.length)
    if (!ending.subarray(HASH_BYTES).equals(ENDING))
      throw new UserError(`${file} is not whole: its ${thousands(size)} bytes do not end as a backup does`, AGAIN)
    const hash = await hashOf(handle, end)
    if (!hash.equals(ending.subarray(0, HASH_BYTES)))
      throw new UserError(`${file} is damaged: its bytes do not give the SHA-256 that stands at its end`, AGAIN)
    // From here on it is what was once written.
    const line = await firstLine(handle)
    const header: BackupHeader = JSON.parse(line.toString())
    const starts = new Map<BackupSection, number>()
    let at = line.length
    for (const section of header.sections) {
      starts.set(section, at)
      for (let rows = 0; rows < section.rows; ) {
        const head = await readHead(handle, at)
        rows += head.rows
        at = head.end
      }
    }
    return {
      header,
      bytes: size,
      hash: hash.toString('hex'),
      pieces: section => piecesFrom(handle, starts.get(section) ?? 0, section.rows),
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

const BEGINNING_BYTES = BEGINNING.length + 10

function refuseOther(file: string, beginning: Buffer): void {
  const text = beginning.toString('latin1')
  if (!text.startsWith(BEGINNING))
    throw new UserError(
      `${file} is not a backup of quarterdeck: it does not begin with ${BEGINNING}`,
      `look what it is: head -c 100 ${file}; quarterdeck db-backup FILE makes one`,
    )
  const format = Number.parseInt(text.slice(BEGINNING.length), 10)
  if (format > FORMAT)
    throw new UserError(
      `${file} has format ${format}; this quarterdeck reads formats up to ${FORMAT}`,
      'use the newer quarterdeck that made it',
    )
}

function refuseToRead(file: string, error: unknown): never {
  const options = { cause: error }
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT') throw new UserError(`${file} does not exist`, 'look at what is there: ls', options)
  if (code === 'EACCES')
    throw new UserError(`${file} may not be read by this user`, `look at it: ls -l ${file}`, options)
  if (code === 'EISDIR') throw new UserError(`${file} is a folder`, `name a file in it: ls ${file}`, options)
  throw new UserError(`${file} cannot be read: ${messageOf(error)}`, `look at it: ls -l ${file}`, options)
}

/** As many bytes as there are, up to `length`. */
async function read(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, at + filled)
    if (bytesRead === 0) return bytes.subarray(0, filled)
    filled += bytesRead
  }
  return bytes
}

async function hashOf(handle: FileHandle, end: number): Promise<Buffer> {
  const hash = createHash('sha256')
  const bar = progress('db-restore: checking the file', Math.ceil(end / 2 ** 20), 'MB')
  for (let at = 0; at < end; at += READ_BYTES) {
    hash.update(await read(handle, at, Math.min(READ_BYTES, end - at)))
    bar.step()
  }
  bar.end()
  return hash.digest()
}

/** With the line's end. */
async function firstLine(handle: FileHandle): Promise<Buffer> {
  for (let length = READ_BYTES; ; length *= 2) {
    const bytes = await read(handle, 0, length)
    const end = bytes.indexOf('\n')
    if (end >= 0) return bytes.subarray(0, end + 1)
  }
}

async function readHead(handle: FileHandle, at: number): Promise<{ rows: number; start: number; end: number }> {
  const head = await read(handle, at, PIECE_HEAD_BYTES)
  const start = at + PIECE_HEAD_BYTES
  return { rows: head.readUInt32BE(0), start, end: start + head.readUInt32BE(4) }
}

async function* piecesFrom(handle: FileHandle, at: number, rows: number): AsyncGenerator<Rows, void, undefined> {
  async function load(from: number): Promise<Rows & { end: number }> {
    const head = await readHead(handle, from)
    return { ...head, bytes: await decompress(await read(handle, head.start, head.end - head.start)) }
  }
  let left = rows
  let next = left > 0 ? load(at) : undefined
  while (next !== undefined) {
    const piece = await next
    left -= piece.rows
    // Unpacked while the one before goes into the database.
    next = left > 0 ? load(piece.end) : undefined
    next?.catch(() => {}) // heard of in the next round
    yield piece
  }
}

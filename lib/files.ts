// Text files off the disk: plain or gzipped, in folders or on standard input, decoded and refused with a reason when
// they hold no text. Here so that the transcript formats see text only; a file can be read again from its beginning
// as often as needed. Leaves the meaning of the text to lib/text.

import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TextDecoder } from 'node:util'
import { createGunzip } from 'node:zlib'
import { messageOf, UserError } from './errors.ts'

export type TextFile = {
  /** As the person wrote it, for messages and for the record. */
  name: string
  /** With all its folders, which say whose call it is; empty for standard input. */
  path: string
  /** The first 64 KB of the text, enough to tell formats apart; a file that is no text is refused here. */
  head(): Promise<string>
  /** The whole text from the beginning, in order, in pieces of any size. */
  chunks(): AsyncIterable<string>
}

export type FoundTexts = {
  /** Files to read, in the order of the words given and inside a folder by name; `-` is standard input. */
  files: string[]
  /** Files inside folders that hold no transcript by their name: README, licences, other endings. */
  passedOver: string[]
}

const HEAD = 65_536 // characters: the fields that tell vendors apart stand far earlier
const TEXT_ENDING = /\.(?:txt|csv|json|jsonl)(?:\.gz)?$/i
const ABOUT_THE_DATA = /^(?:readme|licen[cs]e|notice|copying|changelog|citation)\b/i

// How a file begins that is no text, and what turns it into text.
const KINDS = [
  { kind: 'a zip archive', start: [0x50, 0x4b, 0x03, 0x04], hint: 'unpack it first: unzip FILE -d calls' },
  {
    kind: 'a PDF',
    start: [0x25, 0x50, 0x44, 0x46],
    hint: 'take its text out first: pdftotext FILE TICKER_q3_2024.txt',
  },
  { kind: 'a Parquet file', start: [0x50, 0x41, 0x52, 0x31], hint: 'write it as JSONL first, for example with duckdb' },
  { kind: 'an xz archive', start: [0xfd, 0x37, 0x7a, 0x58, 0x5a], hint: 'unpack it first: xz -dk FILE' },
  { kind: 'a bzip2 archive', start: [0x42, 0x5a, 0x68], hint: 'unpack it first: bzip2 -dk FILE' },
  { kind: 'a zstd archive', start: [0x28, 0xb5, 0x2f, 0xfd], hint: 'unpack it first: zstd -dk FILE' },
]
const TAR = { at: 257, word: 'ustar' } // POSIX puts its name there, in the first block

/** The files behind the words of a command line, each once, folders searched through; hidden files are not looked at. */
export async function findTexts(paths: readonly string[]): Promise<FoundTexts> {
  const found: FoundTexts = { files: [], passedOver: [] }
  for (const path of paths) {
    if (path === '-') {
      found.files.push(path)
      continue
    }
    const information = await statOf(path)
    if (!information.isDirectory()) {
      found.files.push(path)
      continue
    }
    const before = { files: found.files.length, passedOver: found.passedOver.length }
    await searchFolder(path, found, [])
    if (found.files.length > before.files) continue
    const others = found.passedOver.length - before.passedOver
    throw new UserError(
      `${path} holds no transcripts: 0 files end in .txt, .csv, .json or .jsonl (or these with .gz), ${others} in others`,
      `look at what is there: ls -R ${path} | head`,
    )
  }
  return { files: [...new Map(found.files.map(file => [resolve(file), file])).values()], passedOver: found.passedOver }
}

async function searchFolder(folder: string, found: FoundTexts, above: readonly string[]): Promise<void> {
  const real = await realpath(folder)
  if (above.includes(real)) return // a link back to a folder above
  const names = await readdir(folder).catch(error => refuse(folder, error))
  for (const name of names.sort()) {
    if (name.startsWith('.')) continue
    const path = join(folder, name)
    const information = await statOf(path)
    if (information.isDirectory()) await searchFolder(path, found, [...above, real])
    else if (TEXT_ENDING.test(name) && !ABOUT_THE_DATA.test(name)) found.files.push(path)
    else found.passedOver.push(path)
  }
}

/**
 * The files behind the words of a command line, one after the other; each is good until the next is asked for. A file
 * that turns out to be no text is refused when it is read, so that the caller can go on with the next.
 */
export async function* openTexts(
  paths: readonly string[],
  standardInput: Readable = process.stdin,
): AsyncGenerator<TextFile> {
  const { files } = await findTexts(paths)
  for (const file of files) {
    const onDisk = file !== '-' && (await statOf(file)).isFile()
    // Standard input and pipes can be read once only, and telling the format apart already takes one reading.
    if (onDisk) yield textFile(file, resolve(file), file)
    else yield* spooled(file === '-' ? 'standard input' : file, file === '-' ? standardInput : createReadStream(file))
  }
}

async function* spooled(name: string, input: Readable): AsyncGenerator<TextFile> {
  const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-'))
  try {
    const copy = join(folder, 'input')
    await pipeline(input, createWriteStream(copy)).catch(error => refuse(name, error))
    yield textFile(name, '', copy)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function textFile(name: string, path: string, place: string): TextFile {
  return { name, path, head: () => headOf(name, place), chunks: () => textOf(name, place) }
}

async function headOf(name: string, place: string): Promise<string> {
  let head = ''
  for await (const chunk of textOf(name, place)) {
    head += chunk
    if (head.length >= HEAD) break
  }
  if (head.trim() !== '') return head.slice(0, HEAD)
  throw new UserError(`${name} is empty: 0 characters of text`, 'fetch it again, or take it off the command line')
}

/** Decodes as it reads: UTF-8, or UTF-16 where the file says so in its first two bytes. */
async function* textOf(name: string, place: string): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined
  let encoding = 'utf-8'
  let tail: Buffer = Buffer.alloc(0) // the up to three bytes of a character that ended the last piece unfinished
  let offset = 0
  for await (const bytes of bytesOf(name, place)) {
    if (decoder === undefined) {
      encoding = encodingOf(bytes)
      decoder = new TextDecoder(encoding, { fatal: true })
      refuseOtherKinds(name, bytes)
    }
    if (encoding === 'utf-8' && bytes.includes(0)) {
      throw new UserError(
        `${name} is no text: a NUL byte at byte ${offset + bytes.indexOf(0)}`,
        'transcripts come as .txt, .csv, .json or .jsonl; UTF-16 without its mark: iconv -f utf-16le -t utf-8 FILE',
      )
    }
    let text: string
    try {
      text = decoder.decode(bytes, { stream: true })
    } catch {
      refuseEncoding(name, encoding, Buffer.concat([tail, bytes]), offset - tail.length)
    }
    yield text
    tail = bytes.length < 3 ? Buffer.concat([tail, bytes]).subarray(-3) : bytes.subarray(-3)
    offset += bytes.length
  }
  try {
    decoder?.decode() // says whether the last character is whole
  } catch {
    refuseEncoding(name, encoding, tail, offset - tail.length)
  }
}

function encodingOf(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  return 'utf-8'
}

function refuseOtherKinds(name: string, bytes: Buffer): void {
  const kind = KINDS.find(({ start }) => start.every((byte, i) => bytes[i] === byte))
  const tar = bytes.toString('latin1', TAR.at, TAR.at + TAR.word.length) === TAR.word
  if (!kind && !tar) return
  throw new UserError(
    `${name} is ${kind?.kind ?? 'a tar archive'}, not text`,
    kind ? kind.hint.replace('FILE', name) : `unpack it first: mkdir calls && tar -xf ${name} -C calls`,
  )
}

function refuseEncoding(name: string, encoding: string, bytes: Buffer, offset: number): never {
  // A piece that begins inside a character: what continues it was decoded with its beginning.
  let start = offset > 0 && encoding !== 'utf-8' ? offset % 2 : 0
  while (offset > 0 && encoding === 'utf-8' && start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
  const at = start + firstBadByte(encoding, bytes.subarray(start))
  const value = (bytes[at] ?? 0).toString(16).padStart(2, '0')
  throw new UserError(
    `${name} is not ${encoding.toUpperCase()}: byte ${offset + at} (0x${value}) belongs to no character`,
    `if it is Latin-1: iconv -f latin1 -t utf-8 ${name} > fixed.txt`,
  )
}

/** Index of the first byte that cannot be decoded: the longest beginning that can, found by halving. */
function firstBadByte(encoding: string, bytes: Buffer): number {
  const decodes = (length: number, stream: boolean) => {
    try {
      new TextDecoder(encoding, { fatal: true }).decode(bytes.subarray(0, length), { stream })
      return true
    } catch {
      return false
    }
  }
  let good = 0
  let bad = bytes.length + 1
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (decodes(middle, true)) good = middle
    else bad = middle
  }
  while (good > 0 && !decodes(good, false)) good-- // back to where the unfinished character began
  return good
}

async function* bytesOf(name: string, place: string): AsyncGenerator<Buffer> {
  const file = createReadStream(place)
  try {
    const pieces = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const first = await pieces.next()
    if (first.done) return
    const all = followedBy(first.value, pieces)
    // By its first bytes, not its name: a .gz that is none is read as it is, a gzip without the ending unpacked.
    if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) yield* all
    else yield* unzipped(all)
  } catch (error) {
    refuse(name, error)
  } finally {
    file.destroy()
  }
}

async function* followedBy(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

async function* unzipped(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip()
  // The failure also reaches the loop below, by way of the destroyed stream.
  const feeding = pipeline(bytes, gunzip).catch(() => undefined)
  try {
    for await (const piece of gunzip) yield piece
  } finally {
    gunzip.destroy()
    await feeding
  }
}

async function statOf(path: string) {
  return stat(path).catch(error => refuse(path, error))
}

function refuse(name: string, error: unknown): never {
  if (error instanceof UserError) throw error
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const options = { cause: error }
  if (code === 'ENOENT') throw new UserError(`${name} does not exist`, `look at what is there: ls`, options)
  if (code === 'EACCES' || code === 'EPERM') {
    throw new UserError(`${name} may not be read by this user`, `allow it: chmod u+r ${name}`, options)
  }
  if (code === 'Z_BUF_ERROR') {
    throw new UserError(`${name} is cut short: its gzip stream has no end`, 'fetch it again', options)
  }
  if (code.startsWith('Z_')) {
    throw new UserError(`${name} is damaged: ${messageOf(error)}`, `check it: gzip -t ${name}`, options)
  }
  throw new UserError(`${name} cannot be read: ${messageOf(error)}`, `check it: head -c 100 ${name}`, options)
}

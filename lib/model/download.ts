// One file of a published model, from its hub onto this disk: goes on after a cut, checks length and SHA-256, and gives
// the file its name only when it is whole. Each process writes a file of its own, so that two cannot spoil each other's.
// Which files a model needs, and what to do without a network, is model-cache.ts's part.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, UserError } from '../errors.ts'
import { duration, progress, say } from '../log.ts'
import type { HubSettings } from '../settings.ts'
import { mayBeAlive, workerName } from '../worker-name.ts'
import { retryAfterSeconds } from './retry-after.ts'

export type RemoteFile = {
  hub: HubSettings
  /** `org/name` */
  repository: string
  /** The commit, 40 hexadecimal digits. */
  revision: string
  /** Path inside the repository. */
  file: string
  /** Where it goes on this disk. */
  target: string
  /** SHA-256, where it is known beforehand. */
  checksum?: string | undefined
}

/** How long to wait for a server; shorter in tests. */
export type Patience = {
  /** Without a single byte for so long, the connection is given up. */
  stallSeconds?: number
  /** Wait before the second attempt; each further one waits twice as long. */
  firstWaitSeconds?: number
}

/** Nobody answers, or not with the file: another day or another network may do. Never holds the token. */
export class NoAnswer extends Error {}

/** This attempt failed and the next may not. `waitSeconds` is the server's wish. */
class Interrupted extends Error {
  readonly waitSeconds: number | undefined
  constructor(message: string, waitSeconds?: number) {
    super(message)
    this.waitSeconds = waitSeconds
  }
}

// Attempts in a row that bring nothing new: waits of 0.5, 1, 2 and 4 s, because a person sits before it; a server that is
// busy for longer says so itself, by Retry-After.
const ATTEMPTS = 5
const FIRST_WAIT_SECONDS = 0.5
const LONGEST_WAIT_SECONDS = 300
// A connection that moves at all moves 64 KB; fewer a time would let a server that trickles keep us for ever.
const WORTH_GOING_ON = 65_536
// Hugging Face's own client gives up after 10 s; a bad line may take three times as long.
const STALL_SECONDS = 30
// The hub itself needs two: to the file's address, and on to the storage.
const MOST_REDIRECTS = 5
// Two chances for a checksum: bytes may be spoilt on the way, but a proxy that changes them does so every time.
const MOST_SPOILT = 2
// Longer than the waits of our own: a person would think that it hangs.
const WORTH_TELLING = 5
// Below this a file is here before a person could read of it.
const WORTH_SHOWING = 4e6

/** Fetches the file and returns its SHA-256; undefined where the hub has no such file in that commit. */
export async function fetchFile(remote: RemoteFile, patience: Patience = {}): Promise<string | undefined> {
  const { stallSeconds = STALL_SECONDS, firstWaitSeconds = FIRST_WAIT_SECONDS } = patience
  const host = hostOf(remote.hub)
  const partial = await writable(remote, async () => {
    await mkdir(dirname(remote.target), { recursive: true })
    return await adoptPartial(remote.target)
  })
  if (partial.bytes > 0) say(`${remote.file}: going on from ${megabytes(partial.bytes)}, which are here already`)
  let furthest = partial.bytes
  let failures = 0
  let spoilt = 0
  try {
    for (;;) {
      try {
        const whole = await receive(remote, partial, stallSeconds)
        if (whole === undefined) return undefined
        const checksum = await checksumOf(partial.path)
        const fault = await faultIn(remote, partial.path, checksum, whole.checksum)
        if (fault === undefined) return await putInPlace(remote, partial, checksum)
        await restart(partial, '')
        if (++spoilt === MOST_SPOILT) throw wrongBytes(remote, fault)
        throw new Interrupted(fault)
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error
        if (partial.bytes >= furthest + WORTH_GOING_ON) failures = 0
        furthest = Math.max(furthest, partial.bytes)
        if (++failures === ATTEMPTS)
          throw new NoAnswer(`${host} failed ${ATTEMPTS} times in a row; the last time: ${error.message}`)
        const seconds = error.waitSeconds ?? firstWaitSeconds * 2 ** (failures - 1)
        if (seconds > WORTH_TELLING)
          say(`${remote.file}: ${host} says: ${error.message}; again in ${duration(seconds)}`)
        await sleep(1000 * seconds)
      }
    }
  } finally {
    await partial.handle?.close()
    writing.delete(partial.path)
    // Without a tag nobody can tell whether it is still a part of the same file.
    if (partial.tag === '') await rm(partial.path, { force: true })
  }
}

/** SHA-256 of a file, in hexadecimal digits. */
export async function checksumOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/**
 * The hub's host, for messages: an address may hold a password. Refuses what `fetch` would refuse in words that hold the
 * password or the token.
 */
export function hostOf({ url, token }: HubSettings): string {
  const address = URL.canParse(url) ? new URL(url) : undefined
  if (address === undefined || !/^https?:$/.test(address.protocol) || address.username + address.password !== '')
    throw new UserError(
      'HF_ENDPOINT is not the address of a hub: it must be like https://huggingface.co, without a name or a password',
      'unset HF_ENDPOINT; what a hub wants to know of you goes into HF_TOKEN',
    )
  if (token !== undefined && !/^[!-~]+$/.test(token))
    throw new UserError('HF_TOKEN has characters that no token has', 'copy the token again: export HF_TOKEN=hf_…')
  return address.host
}

/* ---- The unfinished file ---- */

type Unfinished = {
  path: string
  target: string
  handle: FileHandle | undefined
  bytes: number
  /** The ETag of what it is a part of, quotes included; empty where the server gave none to go on by. */
  tag: string
}

// What this process is writing at the moment; its other unfinished files are those of attempts that failed.
const writing = new Set<string>()
let partials = 0

/** `model.onnx,WORKER,ETAG.partial`: says whose it is, so that nobody else writes it, and what it is a part of. */
function partialPath(target: string, worker: string, tag: string): string {
  return `${target},${encodeURIComponent(worker)},${encodeURIComponent(tag)}.partial`
}

function newPartialPath(target: string, tag: string): string {
  const path = partialPath(target, `${workerName}/${++partials}`, tag)
  writing.add(path)
  return path
}

/** The unfinished file that a process left behind, by taking it over: a rename, which only one can win. */
async function adoptPartial(target: string): Promise<Unfinished> {
  for (const { path, tag } of await abandonedPartials(target)) {
    if (tag === '') continue
    const own = newPartialPath(target, tag)
    try {
      await rename(path, own)
      const handle = await open(own, 'r+')
      return { path: own, target, handle, bytes: (await handle.stat()).size, tag }
    } catch {
      writing.delete(own) // another one was faster
    }
  }
  return { path: newPartialPath(target, ''), target, handle: undefined, bytes: 0, tag: '' }
}

async function abandonedPartials(target: string): Promise<{ path: string; tag: string }[]> {
  const found: { path: string; tag: string }[] = []
  for (const name of await readdir(dirname(target))) {
    const [file, worker, tag] = name.split(',')
    const path = join(dirname(target), name)
    if (file !== basename(target) || tag === undefined || writing.has(path)) continue
    const owner = decodeURIComponent(worker)
    if (owner.startsWith(`${workerName}/`) || !mayBeAlive(owner))
      found.push({ path, tag: decodeURIComponent(tag.replace(/\.partial$/, '')) })
  }
  return found
}

/** An empty file for bytes with this tag, in place of what was there. */
async function restart(partial: Unfinished, tag: string): Promise<void> {
  await partial.handle?.close()
  partial.handle = undefined
  await rm(partial.path, { force: true })
  writing.delete(partial.path)
  Object.assign(partial, { path: newPartialPath(partial.target, tag), bytes: 0, tag })
}

/* ---- Receiving ---- */

type Whole = { checksum: string | undefined }

/** Asks for what is missing and writes it; returns when all is there, undefined when the hub has no such file. */
async function receive(remote: RemoteFile, partial: Unfinished, stallSeconds: number): Promise<Whole | undefined> {
  const stall = new AbortController()
  const timer = setTimeout(() => stall.abort(), stallSeconds * 1000)
  const network = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work
    } catch (error) {
      throw new Interrupted(stall.signal.aborted ? `nothing came for ${stallSeconds} s` : causeOf(error))
    }
  }
  try {
    const { response, linked } = await ask(remote, partial, stall.signal, network)
    const { status, headers } = response
    if (status === 416) return await receivedBefore(response, partial, linked)
    if (status !== 200 && status !== 206) return await refused(remote, response, network)
    if (headers.get('content-type')?.startsWith('text/html'))
      throw new UserError(
        `${hostOf(remote.hub)} answered with a web page where ${remote.file} of ${remote.repository} was asked for`,
        'HF_ENDPOINT must be the address of a hub; a proxy or a login page may be in between',
      )
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '')
    const other = ![null, partial.tag].includes(headers.get('etag'))
    if (status === 206 && (range === null || Number(range[1]) !== partial.bytes || other)) {
      await restart(partial, '')
      throw new Interrupted('another part came than was asked for')
    }
    // Packed on the way: then the length is that of the packed bytes, and the tag is theirs.
    const plain = (headers.get('content-encoding') ?? 'identity') === 'identity'
    if (status === 200) await restart(partial, plain ? strongTag(headers.get('etag')) : '')
    const length = plain && headers.get('content-length') !== null ? Number(headers.get('content-length')) : undefined
    const total = range ? Number(range[2]) : (linked.bytes ?? length)
    await writable(remote, () => write(remote, partial, total, response, timer, network))
    if (total !== undefined && partial.bytes < total)
      throw new Interrupted(`the connection ended at ${partial.bytes} of ${total} bytes`)
    if (total !== undefined && partial.bytes > total) {
      const { bytes } = partial
      await restart(partial, '')
      throw new Interrupted(`${bytes} bytes came where the file has ${total}`)
    }
    return linked
  } finally {
    clearTimeout(timer)
  }
}

type Network = <Result>(work: Promise<Result>) => Promise<Result>
type Linked = Whole & { bytes: number | undefined }

/**
 * The hub answers with the storage's address, and says beside it what lies there: size and SHA-256. Redirects are followed
 * here and not by `fetch`, to read that, and so that the token goes to the hub alone by a rule that can be seen.
 */
async function ask(
  remote: RemoteFile,
  partial: Unfinished,
  signal: AbortSignal,
  network: Network,
): Promise<{ response: Response; linked: Linked }> {
  const { hub, repository, revision, file } = remote
  const linked: Linked = { bytes: undefined, checksum: undefined }
  let url = new URL(`${hub.url}/${repository}/resolve/${revision}/${encodeURI(file)}`)
  const home = url.origin
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'quarterdeck' }
    if (hub.token !== undefined && url.origin === home) headers.authorization = `Bearer ${hub.token}`
    if (partial.bytes > 0 && partial.tag !== '')
      Object.assign(headers, { range: `bytes=${partial.bytes}-`, 'if-range': partial.tag })
    const response = await network(fetch(url, { redirect: 'manual', headers, signal }))
    linked.bytes ??= wholeNumber(response.headers.get('x-linked-size'))
    linked.checksum ??= /^"?([0-9a-f]{64})"?$/.exec(response.headers.get('x-linked-etag') ?? '')?.[1]
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) return { response, linked }
    await network(response.body?.cancel() ?? Promise.resolve())
    const next = new URL(location, url)
    if (url.protocol === 'https:' && next.protocol !== 'https:')
      throw new NoAnswer(`${hostOf(hub)} sends us on to an address without encryption, at ${next.host}`)
    url = next
  }
  throw new NoAnswer(`${hostOf(hub)} sent us on more than ${MOST_REDIRECTS} times`)
}

/** All bytes were asked for and none is left: right when what is here is as long as the file. */
async function receivedBefore(response: Response, partial: Unfinished, linked: Linked): Promise<Whole> {
  const total = /^bytes \*\/(\d+)$/.exec(response.headers.get('content-range') ?? '')
  await response.body?.cancel()
  const { bytes } = partial
  if (bytes === (total ? Number(total[1]) : linked.bytes)) return linked
  await restart(partial, '')
  throw new Interrupted(`${bytes} bytes were here, and the server says that the file has fewer`)
}

async function write(
  { file }: RemoteFile,
  partial: Unfinished,
  total: number | undefined,
  response: Response,
  timer: NodeJS.Timeout,
  network: Network,
): Promise<void> {
  if (total !== undefined) await roomFor(partial.path, total - partial.bytes)
  partial.handle ??= await open(partial.path, 'w')
  if (response.body === null) return
  const missing = (total ?? 0) - partial.bytes
  const bar = missing > WORTH_SHOWING ? progress(`fetch ${basename(file)}`, missing / 1e6, 'MB') : undefined
  const reader = response.body.getReader()
  try {
    for (;;) {
      const { done, value } = await network(reader.read())
      if (done) return
      timer.refresh()
      for (let written = 0; written < value.length; ) {
        const { bytesWritten } = await partial.handle.write(value, written, value.length - written, partial.bytes)
        written += bytesWritten
        partial.bytes += bytesWritten
      }
      bar?.step(value.length / 1e6)
    }
  } finally {
    bar?.end()
    await reader.cancel().catch(() => {})
  }
}

/** A status that is no file. Returns undefined for a file that the commit has not; everything else is thrown. */
async function refused(remote: RemoteFile, response: Response, network: Network): Promise<undefined> {
  const { hub, repository, revision, file } = remote
  const { status, headers } = response
  const code = headers.get('x-error-code')
  await network(response.body?.cancel() ?? Promise.resolve())
  const page = `${hub.url}/${repository}`
  if (status === 404 && (code === null || code === 'EntryNotFound')) return undefined
  if (status === 404 && code === 'RevisionNotFound')
    throw new UserError(`${repository} has no commit ${revision}`, `take one of ${page}/commits/main`)
  if (status === 401 || status === 404)
    throw new UserError(
      `${hostOf(hub)} shows us no model ${repository} (${status}): it is not there, or ` +
        (hub.token === undefined ? 'not public, and HF_TOKEN is not set' : 'HF_TOKEN does not give access to it'),
      `look at ${page}; for a model that is not public: export HF_TOKEN=…`,
    )
  if (status === 403)
    throw new UserError(
      `${hostOf(hub)} does not give us ${file} of ${repository} (403): its terms have to be accepted first, or ` +
        (hub.token === undefined ? 'HF_TOKEN is not set' : 'HF_TOKEN does not allow it'),
      `accept the terms at ${page}, then: export HF_TOKEN=…`,
    )
  if (status === 408 || status === 429 || status >= 500) {
    const wait = retryAfterSeconds(headers)
    if (wait !== undefined && wait > LONGEST_WAIT_SECONDS)
      throw new NoAnswer(`${hostOf(hub)} answers ${status} and asks to wait ${Math.round(wait)} s`)
    throw new Interrupted(`it answers ${status}`, wait)
  }
  throw new NoAnswer(`${hostOf(hub)} answers ${status} when ${file} is asked for`)
}

/** A weak tag says that two files mean the same, not that their bytes are the same, which going on needs. */
function strongTag(tag: string | null): string {
  // A file's name has 255 bytes; the hub's own tags have 42 and 66.
  return tag !== null && /^"[^"]*"$/.test(tag) && encodeURIComponent(tag).length <= 100 ? tag : ''
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined
}

/** The words below `fetch failed`, which tell: ENOTFOUND, ECONNREFUSED, other side closed. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  // Where several addresses were tried there is one error for each, and no message.
  return messageOf(cause instanceof AggregateError ? cause.errors[0] : cause)
}

/* ---- When all bytes are here ---- */

/** What is wrong with a file that has all its bytes; undefined where nothing is. */
async function faultIn(
  { file, checksum: known }: RemoteFile,
  path: string,
  checksum: string,
  published: string | undefined,
): Promise<string | undefined> {
  const wanted = known ?? published
  if (wanted !== undefined && checksum !== wanted)
    return `SHA-256 of ${file} is ${checksum.slice(0, 12)}…, and should be ${wanted.slice(0, 12)}…`
  if (wanted !== undefined || !file.endsWith('.json')) return undefined
  // Without a checksum a text cut short, or a page that says sorry, still shows by not being JSON.
  try {
    JSON.parse(await readFile(path, 'utf8'))
    return undefined
  } catch (error) {
    return `${file} is no JSON: ${messageOf(error)}`
  }
}

function wrongBytes({ hub, repository, file }: RemoteFile, fault: string): UserError {
  return new UserError(
    `${hostOf(hub)} sent ${file} of ${repository} ${MOST_SPOILT} times with wrong bytes: ${fault}`,
    'a proxy may change files on the way; fetch the model on another network, or use another HF_ENDPOINT',
  )
}

/** Onto the disk, then under its name: a name that is there always stands for a whole file, whenever the power goes. */
async function putInPlace({ target }: RemoteFile, partial: Unfinished, checksum: string): Promise<string> {
  await partial.handle?.sync()
  await rename(partial.path, target)
  const folder = await open(dirname(target), 'r')
  await folder.sync().finally(() => folder.close())
  for (const { path } of await abandonedPartials(target)) await rm(path, { force: true })
  return checksum
}

/* ---- The disk ---- */

async function roomFor(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path))
  if (bavail * bsize < bytes)
    throw noRoom(path, `${megabytes(bytes)} are needed, ${megabytes(bavail * bsize)} are free`)
}

function noRoom(path: string, what: string): UserError {
  return new UserError(
    `no room on the disk of ${dirname(path)}: ${what}`,
    'make room there, or keep models elsewhere: export QUARTERDECK_MODEL_CACHE=FOLDER',
  )
}

/** Does what writes; what the disk says against it becomes an error that a person can act on. */
async function writable<Result>({ target, file }: RemoteFile, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'ENOSPC' || code === 'EDQUOT') throw noRoom(target, `it is full, and ${file} is not whole yet`)
    // ENOENT is what making a folder on a read-only disk ends with.
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'EIO', 'ENOENT'].includes(code)) throw error
    throw new UserError(
      `${file} cannot be written to ${dirname(target)}: ${messageOf(error)}`,
      'keep models elsewhere: export QUARTERDECK_MODEL_CACHE=FOLDER',
    )
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`
}

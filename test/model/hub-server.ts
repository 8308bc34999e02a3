// A hub of the tests' own: real HTTP on two ports of this machine, one that answers as Hugging Face does and one that
// stores, with real files in them. What a test wants to go wrong, it does to single answers.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { HubSettings } from '../../lib/settings.ts'

export const REPOSITORY = 'an-org/a-model'
export const REVISION = '0123456789abcdef0123456789abcdef01234567'
export const TOKEN = 'hf_secret0123456789'

export type Asked = {
  /** The hub, or the storage that it sends to. */
  of: 'hub' | 'storage'
  file: string
  headers: IncomingMessage['headers']
  /** How many times this file was asked of this server before. */
  before: number
}

export type Answer = {
  asked: Asked
  response: ServerResponse
  bytes: Buffer
  /** Answers as a sound server does. */
  well(): void
}

export type HubServer = {
  asked: Asked[]
  /** What is asked of the storage, of one file. */
  stored(file: string): Asked[]
  /** Called for every request in place of `well`. */
  answer: (answer: Answer) => void
  url: string
  /** The storage's address, by another name of this machine, so that it is another host and not another port only. */
  storage: string
  settings(cache: string, more?: Partial<HubSettings>): HubSettings
  close(): Promise<void>
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** All files of a folder, by their paths in it. */
export function filesOf(folder: string): Record<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = names.filter(name => statSync(join(folder, name)).isFile())
  return Object.fromEntries(files.map(name => [name, readFileSync(join(folder, name))]))
}

/** Serves files as `REPOSITORY` at `REVISION`, or as others say; graphs lie on the storage, as the hub keeps large files. */
export async function startHub(
  files: Readonly<Record<string, Buffer | string>>,
  { repository = REPOSITORY, revision = REVISION } = {},
): Promise<HubServer> {
  const hub: HubServer = {
    asked: [],
    stored: file => hub.asked.filter(one => one.of === 'storage' && one.file === file),
    answer: ({ well }) => well(),
    url: '',
    storage: '',
    settings: (cache, more = {}) => ({ url: hub.url, token: undefined, offline: false, cache, ...more }),
    async close() {
      for (const server of [front, storage]) {
        server.closeAllConnections()
        await new Promise(resolve => server.close(resolve))
      }
    },
  }
  const start = `/${repository}/resolve/${revision}/`
  const serve = (of: Asked['of']) => (request: IncomingMessage, response: ServerResponse) => {
    const path = decodeURI(request.url ?? '')
    const file = path.startsWith(start) ? path.slice(start.length) : path
    const before = hub.asked.filter(one => one.of === of && one.file === file).length
    const asked: Asked = { of, file, headers: request.headers, before }
    hub.asked.push(asked)
    const content = path.startsWith(start) ? files[file] : undefined
    const bytes = Buffer.from(content ?? '')
    const well = () => {
      if (content === undefined) response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
      else if (of === 'hub' && file.endsWith('.onnx')) response.writeHead(302, linkTo(hub, path, bytes)).end('Found')
      else sendBytes(response, bytes, request.headers)
    }
    hub.answer({ asked, response, bytes, well })
  }
  const front = createServer(serve('hub'))
  const storage = createServer(serve('storage'))
  for (const server of [front, storage]) await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  hub.url = urlOf(front)
  hub.storage = urlOf(storage).replace('127.0.0.1', 'localhost')
  return hub
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function linkTo(hub: HubServer, path: string, bytes: Buffer): Record<string, string> {
  const link = { 'x-linked-size': String(bytes.length), 'x-linked-etag': `"${sha256(bytes)}"` }
  return { location: `${hub.storage}${path}`, ...link }
}

export function tagOf(bytes: Buffer): string {
  return `"${createHash('sha1').update(bytes).digest('hex')}"`
}

/** The whole file, or the part that is asked for, as RFC 9110 has it. */
export function sendBytes(response: ServerResponse, bytes: Buffer, headers: IncomingMessage['headers']): void {
  const etag = tagOf(bytes)
  const range = /^bytes=(\d+)-$/.exec(headers.range ?? '')
  if (range === null || (headers['if-range'] ?? etag) !== etag) {
    response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes)
    return
  }
  const first = Number(range[1])
  if (first >= bytes.length) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    return
  }
  const rest = bytes.subarray(first)
  const part = `bytes ${first}-${bytes.length - 1}/${bytes.length}`
  response.writeHead(206, { etag, 'content-length': rest.length, 'content-range': part }).end(rest)
}

/** Begins like a sound answer to the whole file, sends so many bytes, and goes away; or, with `stay`, says nothing more. */
export function sendBeginning({ response, bytes }: Answer, length: number, stay = false): void {
  response.writeHead(200, { etag: tagOf(bytes), 'content-length': bytes.length })
  response.write(bytes.subarray(0, length), () => {
    if (!stay) response.destroy()
  })
}

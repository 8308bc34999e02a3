// Fetching a file from a real HTTP server that cuts, stalls, lies, refuses, redirects and goes away.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { UserError } from '../../lib/errors.ts'
import { fetchFile, NoAnswer, type Patience } from '../../lib/model/download.ts'
import type { HubSettings } from '../../lib/settings.ts'
import { failureOf } from '../refusal.ts'
import { root } from '../run.ts'
import {
  type Answer,
  type HubServer,
  REPOSITORY,
  REVISION,
  sendBeginning,
  sendBytes,
  sha256,
  startHub,
  TOKEN,
  tagOf,
} from './hub-server.ts'

// A megabyte in which no two places look alike, so that a part in the wrong place shows.
const GRAPH = Buffer.from(Array.from({ length: 1 << 18 }, (_, i) => `${i}`.padStart(4, '.').slice(-4)).join(''))
const HALF = GRAPH.length / 2
const FILES = { 'onnx/model.onnx': GRAPH, 'config.json': '{"hidden_size": 384}' }

const scratch = mkdtempSync(join(tmpdir(), 'download-'))
let folders = 0
let hub: HubServer | undefined
afterEach(async () => await hub?.close())
afterAll(() => rmSync(scratch, { recursive: true }))

type Place = { folder: string; target: string }

function place(file = 'onnx/model.onnx'): Place {
  const folder = join(scratch, String(++folders))
  return { folder, target: join(folder, file) }
}

async function hubThat(
  answer: HubServer['answer'],
  files: Record<string, Buffer | string> = FILES,
): Promise<HubServer> {
  hub = await startHub(files)
  hub.answer = answer
  return hub
}

/** For the storage, the rest is sound. */
function storageThat(answer: (answer: Answer) => void): Promise<HubServer> {
  return hubThat(one => (one.asked.of === 'storage' ? answer(one) : one.well()))
}

// Waits a thousand times shorter than in earnest.
const HASTY: Patience = { firstWaitSeconds: 0.0005, stallSeconds: 20 }

function fetchTo(
  { target }: Place,
  server: HubServer,
  more: { file?: string; checksum?: string; hub?: Partial<HubSettings>; patience?: Patience } = {},
): Promise<string | undefined> {
  const { file = 'onnx/model.onnx', checksum, patience } = more
  const settings = server.settings(scratch, more.hub)
  const remote = { hub: settings, repository: REPOSITORY, revision: REVISION, file, target, checksum }
  return fetchFile(remote, { ...HASTY, ...patience })
}

/** The file is here, whole, and nothing else is. */
function expectWhole({ target }: Place, bytes: Buffer = GRAPH): void {
  expect(sha256(readFileSync(target))).toBe(sha256(bytes))
  expect(readdirSync(join(target, '..')).length).toBe(1)
}

async function failure(work: Promise<unknown>): Promise<Error> {
  const error = await failureOf(work)
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(TOKEN)
  return error
}

describe('a file', () => {
  it('comes whole, from the storage that the hub sends to, and its SHA-256 is told', async () => {
    const server = await hubThat(({ well }) => well())
    const here = place()
    expect(await fetchTo(here, server)).toBe(sha256(GRAPH))
    expectWhole(here)
    expect(server.asked.map(one => one.of)).toEqual(['hub', 'storage'])
    // Packed bytes would have another length and could not be gone on with.
    expect(server.asked.map(one => one.headers['accept-encoding'])).toEqual(['identity', 'identity'])
  })

  it('brings the token to the hub and never to another host, not even by a redirect', async () => {
    const server = await hubThat(({ well }) => well())
    await fetchTo(place(), server, { hub: { token: TOKEN } })
    expect(server.asked.map(one => one.headers.authorization)).toEqual([`Bearer ${TOKEN}`, undefined])
    expect(inspect(server.asked[1].headers)).not.toContain(TOKEN)
  })

  it('keeps the token through a redirect inside the hub', async () => {
    const server = await hubThat(({ asked, response, well }) => {
      if (asked.file === 'config.json' && asked.before === 0)
        response.writeHead(307, { location: `/${REPOSITORY}/resolve/${REVISION}/config.json` }).end()
      else well()
    })
    const here = place('config.json')
    await fetchTo(here, server, { file: 'config.json', hub: { token: TOKEN } })
    expectWhole(here, Buffer.from(FILES['config.json']))
    expect(server.asked.map(one => one.headers.authorization)).toEqual([`Bearer ${TOKEN}`, `Bearer ${TOKEN}`])
  })

  it('may be empty', async () => {
    const server = await hubThat(({ well }) => well(), { 'vocab.txt': '' })
    const here = place('vocab.txt')
    expect(await fetchTo(here, server, { file: 'vocab.txt' })).toBe(sha256(''))
    expectWhole(here, Buffer.alloc(0))
  })

  it('that the commit has not is told as absent, and leaves nothing behind', async () => {
    const server = await hubThat(({ well }) => well())
    const here = place('modules.json')
    expect(await fetchTo(here, server, { file: 'modules.json' })).toBeUndefined()
    expect(readdirSync(here.folder)).toEqual([])
  })
})

describe('a cut connection', () => {
  it('is gone on from where it was, with the tag of what is here', async () => {
    const server = await storageThat(answer =>
      answer.asked.before === 0 ? sendBeginning(answer, HALF) : answer.well(),
    )
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
    const [, second] = server.stored('onnx/model.onnx')
    // What was read of the first answer when it was cut is the system's affair; none of it is asked for again.
    const from = Number(/^bytes=(\d+)-$/.exec(second.headers.range ?? '')?.[1])
    expect(from).toBeGreaterThan(0)
    expect(from).toBeLessThanOrEqual(HALF)
    expect(second.headers['if-range']).toBe(tagOf(GRAPH))
  })

  it('may happen at every hundredth of the way', async () => {
    const piece = Math.ceil(GRAPH.length / 100)
    const server = await storageThat(({ asked, response, bytes }) => {
      const from = Number(/\d+/.exec(asked.headers.range ?? '0')?.[0])
      const rest = bytes.subarray(from)
      const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`
      const headers = { etag: tagOf(bytes), 'content-length': rest.length, 'content-range': range }
      response.writeHead(from === 0 ? 200 : 206, headers)
      // Sent in pieces of over 64 KB now and then, or it would count as no way at all.
      const length = asked.before % 3 === 2 ? 8 * piece : piece
      if (length >= rest.length) response.end(rest)
      else response.write(rest.subarray(0, length), () => setTimeout(() => response.destroy(), 5))
    })
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
    expect(server.stored('onnx/model.onnx').length).toBeGreaterThan(10)
  })

  it('of a server that cannot send a part is begun anew', async () => {
    const server = await storageThat(answer => {
      if (answer.asked.before === 0) sendBeginning(answer, HALF)
      else sendBytes(answer.response, answer.bytes, {})
    })
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
    expect(server.stored('onnx/model.onnx')[1].headers.range).toMatch(/^bytes=\d+-$/)
  })

  it('of a server that gives no tag, or a weak one, is begun anew', async () => {
    for (const etag of [undefined, 'W/"about-the-same"', '"packed"']) {
      const server = await storageThat(({ asked, response, bytes, well }) => {
        if (asked.before > 0) return well()
        const packed = etag === '"packed"' ? { 'content-encoding': 'nonsense' } : {}
        response.writeHead(200, { ...(etag && { etag }), ...packed, 'content-length': bytes.length })
        response.write(bytes.subarray(0, HALF), () => response.destroy())
      })
      const here = place()
      await fetchTo(here, server)
      expectWhole(here)
      expect(server.stored('onnx/model.onnx')[1].headers.range).toBeUndefined()
      await server.close()
    }
  })

  it('is begun anew when another part comes than was asked for, or a part of another file', async () => {
    for (const wrong of [{ 'content-range': `bytes 0-${GRAPH.length - 1}/${GRAPH.length}` }, { etag: '"another"' }]) {
      const server = await storageThat(answer => {
        const { asked, response, bytes } = answer
        if (asked.before === 0) return sendBeginning(answer, HALF)
        if (asked.before > 1) return answer.well()
        const from = Number(/\d+/.exec(asked.headers.range ?? '')?.[0])
        const right = { etag: tagOf(bytes), 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
        response.writeHead(206, { ...right, ...wrong }).end(Buffer.alloc(bytes.length - from, 'x'))
      })
      const here = place()
      await fetchTo(here, server)
      expectWhole(here)
      expect(server.stored('onnx/model.onnx')[2].headers.range).toBeUndefined()
      await server.close()
    }
  })

  it('again and again without a byte ends after five attempts, and what is here is kept for the next time', async () => {
    const server = await storageThat(answer =>
      answer.asked.before === 0 ? sendBeginning(answer, HALF) : answer.response.destroy(),
    )
    const here = place()
    const error = await failure(fetchTo(here, server))
    expect(error).toBeInstanceOf(NoAnswer)
    expect(error.message).toContain('failed 5 times in a row')
    expect(existsSync(here.target)).toBe(false)
    server.answer = ({ well }) => well()
    await fetchTo(here, server)
    expectWhole(here)
    expect(server.stored('onnx/model.onnx').at(-1)?.headers.range).toMatch(/^bytes=[1-9]\d*-$/)
  })

  it('of a server that trickles for ever ends too', async () => {
    const server = await storageThat(({ asked, response, bytes }) => {
      const from = Number(/\d+/.exec(asked.headers.range ?? '0')?.[0])
      const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`
      const headers = { etag: tagOf(bytes), 'content-range': range, 'content-length': bytes.length - from }
      response.writeHead(from === 0 ? 200 : 206, headers)
      response.write(bytes.subarray(from, from + 1), () => setTimeout(() => response.destroy(), 5))
    })
    expect(await failure(fetchTo(place(), server))).toBeInstanceOf(NoAnswer)
    expect(server.stored('onnx/model.onnx')).toHaveLength(5)
  })

  it('may be silence: a server that stalls is left and asked again', async () => {
    const server = await storageThat(answer =>
      answer.asked.before === 0 ? sendBeginning(answer, HALF, true) : answer.well(),
    )
    const here = place()
    await fetchTo(here, server, { patience: { stallSeconds: 0.2 } })
    expectWhole(here)
    expect(server.stored('onnx/model.onnx')[1].headers.range).toBe(`bytes=${HALF}-`)
  })

  it('tells the time limit when nothing ever comes', async () => {
    const server = await hubThat(() => {})
    const error = await failure(fetchTo(place(), server, { patience: { stallSeconds: 0.05 } }))
    expect(error.message).toContain('nothing came for 0.05 s')
  })
})

describe('a length that is a lie', () => {
  it('too long: what is missing is asked for, and found to be nothing', async () => {
    const server = await storageThat(({ asked, response, bytes, well }) => {
      if (asked.before > 0) return well()
      response.writeHead(200, { etag: tagOf(bytes), 'content-length': bytes.length + 100 }).write(bytes, () => {
        setTimeout(() => response.destroy(), 5)
      })
    })
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
  })

  it('too short: the rest is asked for, because the hub said how long the file is', async () => {
    const server = await storageThat(({ asked, response, bytes, well }) => {
      if (asked.before > 0) return well()
      response.writeHead(200, { etag: tagOf(bytes), 'content-length': HALF }).end(bytes.subarray(0, HALF))
    })
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
    expect(server.stored('onnx/model.onnx')[1].headers.range).toBe(`bytes=${HALF}-`)
  })

  it('too short of a text whose length nobody said shows by its not being JSON', async () => {
    const text = Buffer.from(JSON.stringify({ vocabulary: ['a', 'b', 'c'] }))
    const server = await hubThat(
      ({ response, bytes }) => {
        response.writeHead(200, { etag: tagOf(bytes), 'content-length': 20 }).end(bytes.subarray(0, 20))
      },
      { 'tokenizer.json': text },
    )
    const here = place('tokenizer.json')
    const error = await failure(fetchTo(here, server, { file: 'tokenizer.json' }))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain('tokenizer.json is no JSON')
    expect(readdirSync(here.folder)).toEqual([])
  })

  it('by the hub: more bytes than the file has are not taken for the file', async () => {
    // The first answer sends us to a place that has another, longer file.
    const server = await hubThat(({ asked, response, well }) => {
      if (asked.file === '/elsewhere') sendBytes(response, Buffer.alloc(1000, 'x'), {})
      else if (asked.of === 'storage' || asked.before > 0) well()
      else response.writeHead(302, { location: '/elsewhere', 'x-linked-size': '10' }).end()
    })
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
  })
})

describe('wrong bytes', () => {
  const spoilt = Buffer.from(GRAPH)
  spoilt[HALF] ^= 1

  it('are fetched once more, and the second time may be right', async () => {
    const server = await storageThat(({ asked, response, bytes, well }) => {
      if (asked.before > 0) return well()
      response.writeHead(200, { etag: tagOf(bytes), 'content-length': spoilt.length }).end(spoilt)
    })
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
    expect(server.stored('onnx/model.onnx')[1].headers.range).toBeUndefined()
  })

  it('twice are refused, by the SHA-256 that the hub tells, and nothing is kept', async () => {
    const server = await storageThat(({ response, bytes }) => {
      response.writeHead(200, { etag: tagOf(bytes), 'content-length': spoilt.length }).end(spoilt)
    })
    const here = place()
    const error = await failure(fetchTo(here, server))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain(sha256(spoilt).slice(0, 12))
    expect(error.message).toContain(sha256(GRAPH).slice(0, 12))
    expect(readdirSync(join(here.folder, 'onnx'))).toEqual([])
    expect(server.stored('onnx/model.onnx')).toHaveLength(2)
  })

  it('are refused by the SHA-256 known here, whatever the hub tells', async () => {
    const server = await hubThat(({ well }) => well(), { ...FILES, 'onnx/model.onnx': spoilt })
    const error = await failure(fetchTo(place(), server, { checksum: sha256(GRAPH) }))
    expect(error.message).toContain(`should be ${sha256(GRAPH).slice(0, 12)}`)
  })

  it('in what was here before a cut are found, and the file is fetched anew', async () => {
    const here = place()
    const server = await hubThat(one => {
      // Spoilt on this disk, between the cut and the going on.
      if (one.asked.of === 'hub' && one.asked.before === 1) {
        const [partial] = readdirSync(join(here.folder, 'onnx'))
        writeFileSync(join(here.folder, 'onnx', partial), 'XX', { flag: 'r+' })
      }
      if (one.asked.of === 'storage' && one.asked.before === 0) sendBeginning(one, HALF)
      else one.well()
    })
    await fetchTo(here, server)
    expectWhole(here)
    expect(server.stored('onnx/model.onnx')).toHaveLength(3)
  })

  it('may be a login page in between: said so, and not asked again', async () => {
    const server = await hubThat(({ response }) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>'),
    )
    const error = await failure(fetchTo(place(), server))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain('web page')
    expect(server.asked).toHaveLength(1)
  })
})

describe('a server that says no', () => {
  const saying = (status: number, headers: Record<string, string> = {}) =>
    hubThat(({ response }) => response.writeHead(status, headers).end(`no, ${TOKEN}`))

  it.each([500, 502, 503, 408, 429])('by %i is asked again', async status => {
    const server = await hubThat(({ asked, response, well }) =>
      asked.of === 'hub' && asked.before < 2 ? response.writeHead(status).end() : well(),
    )
    const here = place()
    await fetchTo(here, server)
    expectWhole(here)
  })

  it('is obeyed when it says how long to wait, in seconds or by a date of its own clock', async () => {
    const date = 'Tue, 01 Jan 2030 00:00:00 GMT'
    const headers = [{ 'retry-after': '0' }, { date, 'retry-after': date }]
    const server = await hubThat(({ asked, response, well }) =>
      asked.of === 'hub' && asked.before < 2 ? response.writeHead(429, headers[asked.before]).end() : well(),
    )
    // Nobody would wait for the first attempt's own ten hours here.
    await fetchTo(place(), server, { patience: { firstWaitSeconds: 36_000 } })
    expect(server.stored('onnx/model.onnx')).toHaveLength(1)
  })

  it('is not waited for longer than a person would', async () => {
    const error = await failure(fetchTo(place(), await saying(429, { 'retry-after': '7200' })))
    expect(error).toBeInstanceOf(NoAnswer)
    expect(error.message).toContain('asks to wait 7200 s')
  })

  it('five times in a row is given up', async () => {
    const server = await saying(503)
    expect((await failure(fetchTo(place(), server))).message).toMatch(/failed 5 times .* it answers 503/)
    expect(server.asked).toHaveLength(5)
  })

  it.each([
    [401, {}, /no model an-org\/a-model .*HF_TOKEN is not set/, /HF_TOKEN/],
    [404, { 'x-error-code': 'RepoNotFound' }, /no model an-org\/a-model/, /HF_TOKEN/],
    [404, { 'x-error-code': 'RevisionNotFound' }, /no commit 0123456789/, /commits\/main/],
    [403, { 'x-error-code': 'GatedRepo' }, /terms have to be accepted/, /accept the terms at/],
  ])('by %i %o is told in words, at once', async (status, headers, words, hint) => {
    const server = await saying(status, headers as Record<string, string>)
    const error = await failure(fetchTo(place(), server))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toMatch(words)
    expect((error as UserError).hint).toMatch(hint)
    expect(server.asked).toHaveLength(1)
  })

  it('though the token is given is told otherwise, and without the token', async () => {
    const error = await failure(fetchTo(place(), await saying(401), { hub: { token: TOKEN } }))
    expect(error.message).toContain('HF_TOKEN does not give access')
  })

  it('sends us round in circles', async () => {
    const server = await hubThat(({ response }) => response.writeHead(302, { location: '/round' }).end())
    expect((await failure(fetchTo(place(), server))).message).toContain('more than 5 times')
  })

  it('is down', async () => {
    const server = await startHub(FILES)
    await server.close()
    const error = await failure(fetchTo(place(), server))
    expect(error).toBeInstanceOf(NoAnswer)
    expect(error.message).toContain('ECONNREFUSED')
  })

  it.each([
    ['http://user:hunter2@127.0.0.1:1', 'HF_ENDPOINT'],
    ['ftp://127.0.0.1:1', 'HF_ENDPOINT'],
    ['huggingface', 'HF_ENDPOINT'],
  ])('is no hub by its address %s, which is not repeated', async (url, name) => {
    hub = await startHub(FILES)
    const error = await failure(fetchTo(place(), hub, { hub: { url } }))
    expect(error).toBeInstanceOf(UserError)
    expect(`${error.message} ${(error as UserError).hint}`).toContain(name)
    expect(inspect(error)).not.toContain('hunter2')
  })

  it('is not asked with a token that is none, which is not repeated either', async () => {
    hub = await startHub(FILES)
    const error = await failure(fetchTo(place(), hub, { hub: { token: `${TOKEN}\nx` } }))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain('HF_TOKEN')
    expect(hub.asked).toHaveLength(0)
  })
})

describe('processes', () => {
  /** A process of its own that fetches, as `before` prepares it. */
  function fetching(here: Place, server: HubServer, before: string[] = []): ChildProcess {
    const remote = { repository: REPOSITORY, revision: REVISION, file: 'onnx/model.onnx', target: here.target }
    const code = `
      import { readdirSync } from 'node:fs'
      import { dirname } from 'node:path'
      import { fetchFile } from ${JSON.stringify(join(root, 'lib/model/download.ts'))}
      fetchFile(${JSON.stringify({ hub: server.settings(scratch), ...remote })}).then(
        checksum => console.log(checksum),
        error => console.log(error.name, error.message, readdirSync(dirname(${JSON.stringify(here.target)}))))`
    const words = [...before, process.execPath, '--import', 'tsx', '--input-type=module', '-e', code]
    return spawn(words[0], words.slice(1), { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  }

  async function outcome(child: ChildProcess): Promise<string> {
    let text = ''
    child.stdout?.on('data', data => {
      text += data
    })
    await once(child, 'close')
    return text.trim()
  }

  const unfinished = ({ folder }: Place) => {
    const names = existsSync(join(folder, 'onnx')) ? readdirSync(join(folder, 'onnx')) : []
    return names.reduce((sum, name) => sum + statSync(join(folder, 'onnx', name)).size, 0)
  }

  it('killed in the middle leave what they had, and the next one fetches only the rest', async () => {
    const server = await storageThat(answer =>
      answer.asked.before === 0 ? sendBeginning(answer, HALF, true) : answer.well(),
    )
    const here = place()
    const child = fetching(here, server)
    while (unfinished(here) < HALF) await sleep(10)
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(existsSync(here.target)).toBe(false)
    await fetchTo(here, server)
    expectWhole(here)
    const [, second] = server.stored('onnx/model.onnx')
    expect(second.headers.range).toBe(`bytes=${HALF}-`)
    expect(second.headers['if-range']).toBe(tagOf(GRAPH))
  })

  it('two at once both end with the whole file, neither with a part of the other', async () => {
    let release = () => {}
    const bothAsk = new Promise<void>(resolve => {
      release = resolve
    })
    const server = await storageThat(({ asked, response, bytes }) => {
      response.writeHead(200, { etag: tagOf(bytes), 'content-length': bytes.length }).write(bytes.subarray(0, HALF))
      if (asked.before === 1) release()
      bothAsk.then(() => response.end(bytes.subarray(HALF)))
    })
    const here = place()
    const outcomes = await Promise.all([outcome(fetching(here, server)), outcome(fetching(here, server))])
    expect(outcomes).toEqual([sha256(GRAPH), sha256(GRAPH)])
    expectWhole(here)
    // Neither took the other's unfinished file for an abandoned one.
    expect(server.stored('onnx/model.onnx').map(one => one.headers.range)).toEqual([undefined, undefined])
  })

  it('may fetch twice at once themselves', async () => {
    const server = await hubThat(({ well }) => well())
    const here = place()
    await Promise.all([fetchTo(here, server), fetchTo(here, server)])
    expectWhole(here)
  })

  it('are told that the disk has not the room, before a byte is written', async () => {
    const server = await hubThat(({ asked, response }) => {
      if (asked.file === '/elsewhere') sendBytes(response, GRAPH, {})
      else response.writeHead(302, { location: '/elsewhere', 'x-linked-size': String(2 ** 52) }).end()
    })
    const here = place()
    const error = await failure(fetchTo(here, server))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain('4503599627 MB are needed')
    expect(readdirSync(join(here.folder, 'onnx'))).toEqual([])
  })

  // A disk of its own, of 256 KB, that lives as long as the process.
  const small = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=256k none "$0" && exec "$@"']
  const mayMount = spawnSync(small[0], [...small.slice(1), scratch, 'true']).status === 0
  it.skipIf(!mayMount)('are told when the disk is full in the middle (where the tests may mount one)', async () => {
    // Neither says a length, so nobody can know beforehand.
    const server = await hubThat(({ asked, response }) => {
      if (asked.file === '/elsewhere') response.writeHead(200, { etag: tagOf(GRAPH) }).end(GRAPH)
      else response.writeHead(307, { location: '/elsewhere' }).end()
    })
    const here = place()
    mkdirSync(here.folder, { recursive: true })
    const text = await outcome(fetching(here, server, [...small, here.folder]))
    expect(text).toMatch(/^UserError no room on the disk of .*it is full, and onnx\/model.onnx is not whole yet \[/)
    // What came waits under its own name for the next time.
    expect(text).toMatch(/\[\s*'model.onnx,[^']*\.partial'\s*\]$/)
  })

  it('are told that the folder cannot be written', async () => {
    const server = await hubThat(({ well }) => well())
    const here = place()
    writeFileSync(here.folder, 'a file where the folder should be')
    const error = await failure(fetchTo(here, server))
    expect(error).toBeInstanceOf(UserError)
    expect((error as UserError).hint).toContain('QUARTERDECK_MODEL_CACHE')
  })
})

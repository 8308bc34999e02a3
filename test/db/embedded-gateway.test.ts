// Many clients, one PGlite session: the turnstile under transactions, COPY, prepared statements and killed clients.

import { once } from 'node:events'
import { connect as dial, type Socket } from 'node:net'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AnswerReader, int32, MessageReader, message, prefixName } from '../../lib/db/embedded/protocol.ts'
import { gatewayServer } from './servers.ts'

const START = Buffer.concat([int32(8 + 15), int32(196608), Buffer.from('user\0postgres\0\0')])

describe('messages', () => {
  const sent = [message('Q', 'select 1'), message('S'), message('d', Buffer.alloc(300, 7)), message('P', 'a', 'b')]

  it('come out as they went in, however the bytes are cut', () => {
    const bytes = Buffer.concat([START, ...sent])
    for (const size of [1, 2, 3, 5, 7, 64, 4096]) {
      const reader = new MessageReader()
      const got: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) {
        reader.push(bytes.subarray(at, at + size))
        for (;;) {
          const next = got.length === 0 ? reader.startPacket() : reader.message()
          if (next === undefined) break
          got.push(next)
        }
      }
      expect(got).toEqual([START, ...sent])
    }
  })

  it('with a length that cannot be are refused', () => {
    const reader = new MessageReader()
    reader.push(Buffer.from([81, 255, 255, 255, 255]))
    expect(() => reader.message()).toThrow('a message of')
  })

  it('get a prefix for a name and stay whole, and the unnamed stays unnamed', () => {
    const named = prefixName(message('P', 'name', 'select 1'), 5, 'c1_')
    expect(named.bytes).toEqual(message('P', 'c1_name', 'select 1'))
    expect(named.bytes.toString('utf8', named.end)).toBe('select 1\0')
    const unnamed = message('P', '', 'select 1')
    expect(prefixName(unnamed, 5, 'c1_')).toEqual({ bytes: unnamed, name: '', end: 6 })
  })

  it('of an answer pass through whole, however they are cut, without the hidden invitation', () => {
    const invitation = message('G', Buffer.from([1, 0, 0]))
    const parts = [invitation, message('C', 'COPY 3'), message('Z', Buffer.from('T'))]
    for (const size of [1, 2, 4, 9, 1000]) {
      for (const hide of [true, false]) {
        const passed: Buffer[] = []
        const reader = new AnswerReader(hide, bytes => passed.push(Buffer.from(bytes)))
        const bytes = Buffer.concat(parts)
        for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size))
        expect(Buffer.concat(passed)).toEqual(Buffer.concat(hide ? parts.slice(1) : parts))
        expect(reader.standing).toBe('transaction')
      }
    }
  })
})

describe('the gateway', () => {
  let server: Awaited<ReturnType<typeof gatewayServer>>
  const said: string[] = []

  beforeAll(async () => {
    server = await gatewayServer({ patienceMilliseconds: 100, say: line => said.push(line) })
  })
  afterAll(async () => await server.stop())

  function client(): postgres.Sql {
    return postgres({ path: server.socket, host: 'localhost', user: 'postgres', max: 1, onnotice() {} })
  }

  /** What the server says to bytes sent as they are, until it contains `end` or hangs up. */
  async function answerTo(bytes: Buffer, end?: string): Promise<string> {
    const socket: Socket = dial(server.socket)
    socket.write(bytes)
    let text = ''
    for await (const chunk of socket) {
      text += chunk.toString('latin1')
      if (end !== undefined && text.includes(end)) break
    }
    return text
  }

  it('ends a transaction that is silent while others wait, and rolls it back', async () => {
    const idle = client()
    await idle`create table waited (n int)`
    const begun = idle.begin(async tx => {
      await tx`insert into waited values (1)`
      await new Promise(resolve => setTimeout(resolve, 10_000).unref())
    })
    const ended = begun.catch(error => error)
    const patient = client()
    while ((await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 20, 'open'))])) === 'open') {
      void patient`select 1`.execute().catch(() => {})
      server.gateway.tick()
    }
    expect(await patient`select count(*)::int as n from waited`).toEqual([{ n: 0 }])
    expect(said.join()).toContain('idle inside a transaction while others waited')
    await Promise.all([idle.end({ timeout: 0 }), patient.end()])
  })

  it('refuses a COPY in an extended batch, and serves on', async () => {
    const sql = client()
    await sql`create table lonely (n int)`
    const none = Buffer.alloc(2)
    const batch = [
      message('P', '', 'copy lonely from stdin', none),
      message('B', '', '', none, none, none),
      message('E', '', int32(0)),
      message('S'),
    ]
    const answer = await answerTo(Buffer.concat([START, ...batch]), 'sent alone')
    expect(answer).toContain('takes rows only for a COPY that is sent alone, as a simple query')
    expect(await sql`select count(*)::int as n from lonely`).toEqual([{ n: 0 }])
    await sql.end()
  })

  it('refuses a COPY that would not fit into its memory, and serves on', async () => {
    const sql = client()
    await sql`create table heavy (text text)`
    const row = message('d', Buffer.from(`${'x'.repeat(2 ** 20 - 1)}\n`))
    const rows = Array.from({ length: 65 }, () => row)
    const answer = await answerTo(
      Buffer.concat([START, message('Q', 'copy heavy from stdin'), ...rows, message('c')]),
      'in pieces',
    )
    expect(answer).toContain('takes at most 64 MB in one COPY: send it in pieces')
    expect(await sql`select count(*)::int as n from heavy`).toEqual([{ n: 0 }])
    await sql.end()
  })

  it('hangs up on what is not the Postgres protocol, and serves on', async () => {
    expect(await answerTo(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toContain('this is not the Postgres protocol')
    expect(await answerTo(Buffer.concat([START, Buffer.from('!\0\0\0\x04')]))).toContain(
      'this is not the Postgres protocol',
    )
    const sql = client()
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
    await sql.end()
  })

  it('turns away the sixty-fifth client with a word', async () => {
    const sockets = Array.from({ length: 64 }, () => dial(server.socket))
    await Promise.all(sockets.map(socket => once(socket, 'connect')))
    expect(await answerTo(START)).toContain('64 connections at most')
    for (const socket of sockets) socket.destroy()
  })
})

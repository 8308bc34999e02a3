// A server that is there and cannot be used: full, stopping, gone in the middle of its greeting, or gone without a word.
// What comes by chance and in a whole quarter is the chaos test's.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { DatabaseLost } from '../../lib/errors.ts'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { refusalOf } from '../refusal.ts'
import { openProxy } from './proxy.ts'

describe.skipIf(!hasRealServer)('a server', () => {
  let server: RealServer
  let url: string
  beforeAll(async () => {
    server = await realServer()
    url = server.settings.databaseUrl ?? ''
  })
  afterAll(async () => await server.stop())

  it('whose connections are all taken is one to try again', async () => {
    const taken: Database[] = []
    const takeAll = async () => {
      for (;;) taken.push(await connect(server.settings))
    }
    const error = await refusalOf(takeAll())
    expect(taken.length).toBeGreaterThan(10)
    expect(error).toBeInstanceOf(DatabaseLost)
    expect(error.message).toBe(`the database server at 127.0.0.1:${server.port} has no connection left`)
    for (const sql of taken) await disconnect(sql)
  })

  it('that goes away in the middle of its greeting is one to try again', async () => {
    const front = createServer(socket => {
      socket.once('data', () => {
        socket.write('N') // no TLS, as a server says
        socket.once('data', () => socket.destroy())
      })
    }).listen(0, '127.0.0.1')
    await once(front, 'listening')
    const address = front.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const databaseUrl = `postgres://me:geheim@127.0.0.1:${port}/calls`
    const error = await refusalOf(connect({ home: '/nowhere', databaseUrl }))
    expect(error).toBeInstanceOf(DatabaseLost)
    expect(error.message).toBe(`the connection to the database server at 127.0.0.1:${port} was lost`)
    front.close()
  })

  it.skipIf(process.platform !== 'linux')('is asked by the kernel whether its machine is still there', async () => {
    const proxy = await openProxy(server.port)
    const at = url.replace(`:${server.port}/`, `:${proxy.port}/`)
    const sql = await connect({ home: '/nowhere', databaseUrl: `${at}?keepalives_idle=7` })
    // Fields of /proc/net/tcp: our end's address, the other's, state, queues, then which timer runs and for how long, in
    // hundredths of a second: 2 is the keepalive's.
    const port = proxy.port.toString(16).toUpperCase().padStart(4, '0')
    const line = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .find(line => line.trim().split(/\s+/)[2] === `0100007F:${port}`)
    const [timer, when] = (line?.trim().split(/\s+/)[5] ?? '').split(':')
    expect(timer).toBe('02')
    expect(Number.parseInt(when, 16)).toBeLessThanOrEqual(700)
    await disconnect(sql)
    await proxy.close()
  })

  // The last one: afterwards it is gone.
  it('that is stopping is one to try again, and who is in is not thrown out', async () => {
    const inside = await connect(server.settings)
    const [pid] = readFileSync(join(server.settings.home, 'server', 'postmaster.pid'), 'utf8').split('\n')
    process.kill(Number(pid), 'SIGTERM') // the smart shutdown: it waits for those who are in
    const comeAndGo = async () => {
      for (;;) await disconnect(await connect(server.settings)) // until it has heard of it
    }
    const error = await refusalOf(comeAndGo())
    expect(error).toBeInstanceOf(DatabaseLost)
    expect(error.message).toBe(`the database server at 127.0.0.1:${server.port} is starting or stopping`)
    expect(await inside`select 1 as one`).toEqual([{ one: 1 }])
    await disconnect(inside)
  })
})

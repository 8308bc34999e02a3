// A line between the product and a Postgres server that the tests can spoil: cut at once, cut inside a COPY, or dead silent.
// Connections to it are passed on unchanged otherwise; what it may break and when is worlds.ts.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type Proxy = {
  port: number
  /** Connections that are open through it. */
  open(): number
  /** Cuts all connections; half of them as a crashed machine does (RST), half as one that says goodbye (FIN). */
  cut(): number
  /** From now on nothing gets through any more, and nobody is told. */
  stall(): void
  /** Calls `onCopy` when so many bytes of the next COPY have gone through; undefined: no longer. */
  watchCopy(bytes: number, onCopy: (() => void) | undefined): void
  close(): Promise<void>
}

type Pair = { client: Socket; server: Socket; copied: number | undefined }

// The server's invitation to a binary COPY: letter, four bytes of length, and the format.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is looked for in bytes
const COPY_INVITATION = /G\0\0..\x01\0/s

/** A proxy on a free port of this machine, to a port of it. */
export async function openProxy(to: number): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let watch: { bytes: number; onCopy: (() => void) | undefined } = { bytes: 0, onCopy: undefined }

  const listener = createServer(client => {
    const server = connect(to, '127.0.0.1')
    const pair: Pair = { client, server, copied: undefined }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on('error', () => {}) // 'close' follows
      socket.on('close', end)
    }
    server.pipe(client)
    server.on('data', data => {
      if (COPY_INVITATION.test(data.toString('latin1'))) pair.copied = 0
    })
    client.on('data', data => {
      countCopy(pair, data.length)
      if (!server.write(data)) client.pause()
    })
    server.on('drain', () => client.resume())
  })

  function countCopy(pair: Pair, bytes: number): void {
    if (pair.copied === undefined) return
    pair.copied += bytes
    if (pair.copied < watch.bytes) return
    pair.copied = undefined
    watch.onCopy?.()
  }

  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    open: () => pairs.size,
    cut() {
      const found = [...pairs]
      for (const [i, { client, server }] of found.entries()) {
        if (i % 2 === 0) client.resetAndDestroy()
        else client.destroy()
        server.destroy()
      }
      return found.length
    },
    stall() {
      for (const { client, server } of pairs) {
        client.pause()
        server.unpipe(client)
        server.pause()
      }
    },
    watchCopy(bytes, onCopy) {
      watch = { bytes, onCopy }
    },
    async close() {
      for (const { client, server } of pairs) {
        client.destroy()
        server.destroy()
      }
      listener.close()
      await once(listener, 'close')
    },
  }
}

// The network before a machine: a port that passes bytes on, and that refuses, drops or swallows them when a test says so.
// What is behind it goes on running meanwhile, as a machine does that cannot be reached.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type Front = {
  /** Connections that were tried, refused ones too. */
  tried(): number
  /** So many connections from now on are closed at once, as where nobody listens yet. */
  refuse(connections: number): void
  /** Every open connection breaks; new ones are welcome. */
  drop(): void
  /** From now on nothing comes through, and nobody is told. */
  fallSilent(): void
  /** What was held back comes through, and whatever comes after. */
  speakAgain(): void
  close(): Promise<void>
}

type Pair = { outside: Socket; inside: Socket }

export async function openFront(address: string, port: number, to: number): Promise<Front> {
  const pairs = new Set<Pair>()
  let tried = 0
  let toRefuse = 0
  let isSilent = false

  const join = ({ outside, inside }: Pair) => {
    outside.pipe(inside)
    inside.pipe(outside)
  }
  const listener = createServer({ allowHalfOpen: true }, outside => {
    tried++
    if (toRefuse > 0) {
      toRefuse--
      outside.resetAndDestroy()
      return
    }
    const pair: Pair = { outside, inside: connect({ host: address, port: to, allowHalfOpen: true }) }
    pairs.add(pair)
    for (const socket of [pair.outside, pair.inside]) {
      socket.setNoDelay(true)
      socket.on('error', () => {}) // 'close' follows
    }
    pair.inside.on('close', () => pair.outside.destroySoon()) // what it has said, is passed on first
    pair.outside.on('close', () => {
      pairs.delete(pair)
      pair.inside.destroy()
    })
    if (!isSilent) join(pair)
  })
  listener.listen(port, address)
  await once(listener, 'listening')
  return {
    tried: () => tried,
    refuse(connections) {
      toRefuse = connections
    },
    drop() {
      for (const { outside, inside } of pairs) {
        outside.resetAndDestroy()
        inside.destroy()
      }
    },
    fallSilent() {
      isSilent = true
      for (const { outside, inside } of pairs) {
        outside.unpipe(inside).pause()
        inside.unpipe(outside).pause()
      }
    },
    speakAgain() {
      isSilent = false
      for (const pair of pairs) join(pair)
    },
    async close() {
      listener.close()
      for (const { outside, inside } of pairs) {
        outside.resetAndDestroy()
        inside.destroy()
      }
      await once(listener, 'close')
    },
  }
}

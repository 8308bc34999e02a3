// Bulk read: `copy (select …) to stdout (format binary)` → rows in Postgres' binary COPY format, as copy.ts sends them.
// postgres.js 3.4.9 has `.readable()` for it, which hangs: its stream pauses the socket when it is full, and when the last
// row does so, nobody reads on to the end of the exchange. So the calls of its stream are taken over, and rows kept here.

import { Readable } from 'node:stream'
import type { Queries } from './connect.ts'

/** Whole rows, without the head and the tail that a COPY has around all of them. */
export type Rows = { rows: number; bytes: Buffer }

/** What postgres.js keeps on a query besides the promise; its types leave it out. */
type Settlement = { resolve(result: Readable | { count: number }): void; reject(error: unknown): void }

// Twice what a socket brings at once: the server goes on sending while the caller writes, and no more than that waits here.
const WAITING_BYTES = 2 ** 17
// Large enough that what comes with each piece disappears beside it; small enough for copy.ts, which closes a COPY by the
// piece that crosses its limit.
const PIECE_BYTES = 2 ** 20

// Signature, flags and the length of a header extension; at the end stands a row of -1 fields.
// https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
const HEAD = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
const TAIL = Buffer.from([0xff, 0xff])

/**
 * The rows of a select, in pieces of about a megabyte. The embedded database hands over a whole answer at once, so a select
 * should bring 16 MB at most. Where the caller stops early, the rest of the answer is waited for and thrown away.
 */
export async function* copyOut(sql: Queries, select: string): AsyncGenerator<Rows, void, undefined> {
  const messages = openCopy(sql, select)
  let parts: Buffer[] = []
  let bytes = 0
  let all = 0
  let isFirst = true
  let isComplete = false
  try {
    for (let taken = await messages.next(); taken !== undefined; taken = await messages.next())
      for (const message of taken) {
        // Postgres sends a message a row; the head comes before the first row in the same message, the tail alone.
        const row = isFirst ? withoutHead(message) : message
        isFirst = false
        isComplete = row.equals(TAIL)
        if (isComplete || row.length === 0) continue
        parts.push(row)
        bytes += row.length
        all++
        if (bytes < PIECE_BYTES) continue
        const piece = { rows: parts.length, bytes: Buffer.concat(parts) }
        parts = []
        bytes = 0
        yield piece
      }
    if (parts.length > 0) yield { rows: parts.length, bytes: Buffer.concat(parts) }
  } finally {
    await messages.end()
  }
  const count = messages.count()
  if (!isComplete || all !== count) throw new Error(`COPY sent ${all} rows and counted ${count}`)
}

function withoutHead(message: Buffer): Buffer {
  if (!message.subarray(0, HEAD.length).equals(HEAD)) throw new Error('COPY does not begin as its binary format does')
  return message.subarray(HEAD.length)
}

/**
 * One COPY whose messages are taken from postgres.js as they come. It settles the query twice: with a stream when the server
 * begins to send, and with the result when the exchange is over, which only this one hears.
 */
function openCopy(sql: Queries, select: string) {
  const query = sql.unsafe(`copy (${select}) to stdout (format binary)`).simple()
  const settlement = query as unknown as Settlement
  let arrived: Buffer[] = []
  let waiting = 0
  let isWanted = true
  let count: number | undefined
  let failure: { error: unknown } | undefined
  let readOn = () => {}
  let wake = () => {}

  settlement.resolve = result => {
    if (result instanceof Readable) {
      result.on('error', () => {}) // the same error arrives through `reject`
      readOn = () => result._read(0) // takes the socket out of its pause
      result.push = keep
    } else count = result.count
    wake()
  }
  settlement.reject = error => {
    failure = { error }
    wake()
  }
  /** Null at the end of the rows. False: postgres.js pauses the socket. */
  function keep(message: Buffer | null): boolean {
    if (message === null || !isWanted) return true
    arrived.push(message)
    waiting += message.length
    wake()
    return waiting < WAITING_BYTES
  }
  function changed(): Promise<void> {
    return new Promise(resolve => {
      wake = resolve
    })
  }

  query.execute()
  return {
    /** What has arrived since the last call; undefined when the exchange is over. */
    async next(): Promise<Buffer[] | undefined> {
      while (arrived.length === 0) {
        if (failure) throw failure.error
        if (count !== undefined) return undefined
        await changed()
      }
      const taken = arrived
      arrived = []
      waiting = 0
      readOn() // also behind the last row
      return taken
    },
    /** Waits for the end of the exchange; without it, the next query would wait for ever. */
    async end(): Promise<void> {
      isWanted = false
      readOn()
      while (count === undefined && !failure) await changed()
    },
    count: () => count,
  }
}

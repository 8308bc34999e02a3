// The part of Postgres' wire protocol (version 3) that the gateway has to read: where a message begins and ends.
// Whatever is inside SQL or rows passes through unread.
// https://www.postgresql.org/docs/current/protocol-message-formats.html

/** A message is one letter, four bytes of length (its own included), and a body. */
const HEADER_BYTES = 5

/** Builds a message; a string part becomes a C string, with the zero at its end. */
export function message(type: string, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)))
  const header = Buffer.alloc(HEADER_BYTES, type)
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** An error the connection does not survive. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function fatalError(code: string, words: string): Buffer {
  return message('E', 'SFATAL', 'VFATAL', `C${code}`, `M${words}`, Buffer.alloc(1))
}

/** What is known of a statement or portal name inside a message, with the message that carries the new name. */
export type Renamed = { bytes: Buffer; name: string; end: number }

/** Puts `prefix` before the C string at `offset`, unless it is empty: the unnamed statement stays unnamed. */
export function prefixName(bytes: Buffer, offset: number, prefix: string): Renamed {
  const end = bytes.indexOf(0, offset)
  if (end < 0) throw new Error('a name without an end')
  if (end === offset) return { bytes, name: '', end: end + 1 }
  const name = prefix + bytes.toString('utf8', offset, end)
  const longer = Buffer.concat([bytes.subarray(0, offset), Buffer.from(name), bytes.subarray(end)])
  longer.writeInt32BE(longer.length - 1, 1)
  return { bytes: longer, name, end: offset + Buffer.byteLength(name) + 1 }
}

// Postgres' own limits: MAX_STARTUP_PACKET_LENGTH, and the gigabyte that is the most it allocates at once.
const LONGEST_START_PACKET = 10_000
const LONGEST_MESSAGE = 2 ** 30

/** Cuts a stream of bytes into messages; before the first one come the packets of the start-up, which have no letter. */
export class MessageReader {
  #chunks: Buffer[] = []
  #length = 0

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** The next start-up packet, or undefined while it is incomplete. */
  startPacket(): Buffer | undefined {
    return this.#take(0, LONGEST_START_PACKET)
  }

  /** The next message, or undefined while it is incomplete. */
  message(): Buffer | undefined {
    return this.#take(1, LONGEST_MESSAGE)
  }

  #take(lengthAt: number, longest: number): Buffer | undefined {
    if (this.#length < lengthAt + 4) return undefined
    if (this.#chunks[0].length < lengthAt + 4) this.#join()
    const total = this.#chunks[0].readInt32BE(lengthAt) + lengthAt
    if (total < lengthAt + 4 || total > longest) throw new Error(`a message of ${total} bytes`)
    if (this.#length < total) return undefined
    if (this.#chunks[0].length < total) this.#join()
    const [first] = this.#chunks
    const taken = first.subarray(0, total)
    if (first.length === total) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(total)
    this.#length -= total
    return taken
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)]
  }
}

/** How a session stands after a ReadyForQuery: outside a transaction, inside one, or inside a failed one. */
export type Standing = 'idle' | 'transaction' | 'failed'

const STANDINGS: Readonly<Record<string, Standing>> = { I: 'idle', T: 'transaction', E: 'failed' }

/** Passes a server's answer on as it comes, and reads from it how the session stands. */
export class AnswerReader {
  /** Undefined until the answer has said it. */
  standing: Standing | undefined
  readonly #hideCopyInvitation: boolean
  readonly #pass: (bytes: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  /** `hideCopyInvitation`: the gateway itself has invited the client to send its rows already. */
  constructor(hideCopyInvitation: boolean, pass: (bytes: Buffer) => void) {
    this.#hideCopyInvitation = hideCopyInvitation
    this.#pass = pass
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let passed = 0
    let at = 0
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + 1 + bytes.readInt32BE(at + 1)
      if (end > bytes.length) break
      const type = String.fromCharCode(bytes[at])
      if (type === 'Z') this.standing = STANDINGS[String.fromCharCode(bytes[at + HEADER_BYTES])]
      if (type === 'G' && this.#hideCopyInvitation) {
        if (at > passed) this.#pass(bytes.subarray(passed, at))
        passed = end
      }
      at = end
    }
    if (at > passed) this.#pass(bytes.subarray(passed, at))
    this.#rest = bytes.subarray(at)
  }
}

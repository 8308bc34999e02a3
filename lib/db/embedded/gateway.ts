// Many sockets, one Postgres session: the gateway lets one connection at a time through a turnstile.
// PGlite is one session; its own socket server lets messages of different clients interleave and then loses rows and hangs
// (measured under 4 processes: 486 to 809 of 960 rows; through here 960). So:
// - messages are gathered into units: a simple query, an extended batch up to Sync or Flush, or a whole COPY exchange;
// - a connection has the turnstile from its first unit until the session says it is outside a transaction;
// - prepared statements get a prefix for each connection.
// Not kept apart between connections: SET, temporary tables, session advisory locks, LISTEN. Clients use `set local` only.

import { createServer, type Server, type Socket } from 'node:net'
import { AnswerReader, fatalError, int32, MessageReader, message, prefixName, type Standing } from './protocol.ts'

/** The one session behind the gateway. */
export type Session = {
  /** What a server reports at start-up: server_version, client_encoding and others. */
  readonly parameters: Readonly<Record<string, string>>
  /** Runs whole messages; the answer comes in pieces through `onData`. Rejects only when the session is dead. */
  execute(messages: Uint8Array, onData: (bytes: Buffer) => void): Promise<void>
}

export type GatewayOptions = {
  session: Session
  /** Called between two turns, when no transaction is open. */
  betweenTurns(): Promise<void>
  /** The session died; nothing can be served any more. */
  onDeath(error: unknown): void
  say(line: string): void
  patienceMilliseconds?: number
}

// Sixteen workers on a large machine, a status beside them and a psql use about twenty.
const MOST_CONNECTIONS = 64
// One COPY is held in memory whole before it runs. 80 MB took the process to 1.7 GB, and 2 GB is all that WebAssembly has;
// our own COPYs stay under 16 MB.
const LARGEST_COPY_BYTES = 64 * 2 ** 20
// Our transactions last less than a second. One that waits for its client for half a minute while others wait for it has
// lost its client, or is a psql where somebody typed `begin` and left.
const PATIENCE_MILLISECONDS = 30_000

/** Messages that run without a break. */
type Unit = {
  bytes: Buffer
  /** The session will answer with ReadyForQuery: anything but a batch that ends in Flush. */
  complete: boolean
  copy: boolean
}

export class Gateway {
  readonly #options: GatewayOptions
  readonly #connections = new Set<Connection>()
  readonly #waiting: Connection[] = []
  #holder: Connection | undefined
  #running = false
  #closing = false
  #server: Server | undefined
  #next = 1

  constructor(options: GatewayOptions) {
    this.#options = options
  }

  async listen(path: string): Promise<void> {
    const server = createServer(socket => this.#accept(socket))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  }

  get connections(): number {
    return this.#connections.size
  }

  /** To be called about once a second: housekeeping between turns, and an end to transactions that everybody waits for. */
  tick(): void {
    void this.#turn()
    const holder = this.#holder
    if (this.#running || holder === undefined || this.#waiting.length === 0) return
    const { patienceMilliseconds = PATIENCE_MILLISECONDS } = this.#options
    if (performance.now() - holder.lastActive < patienceMilliseconds) return
    this.#options.say(`connection ${holder.id} ended: idle inside a transaction while others waited`)
    holder.end(fatalError('25P03', 'idle inside a transaction for too long while others waited for it'))
  }

  /** Stops listening, hangs up on everybody, and waits for the unit that is running. */
  async close(): Promise<void> {
    this.#closing = true
    this.#server?.close()
    for (const connection of this.#connections) connection.end()
    while (this.#running) await new Promise(resolve => setTimeout(resolve, 5))
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= MOST_CONNECTIONS) {
      socket.on('error', () => {})
      socket.end(fatalError('53300', `the embedded database serves ${MOST_CONNECTIONS} connections at most`))
      return
    }
    const connection = new Connection(this.#next++, socket, this.#options.session.parameters, {
      wantTurn: () => this.#want(connection),
      gone: () => {
        this.#connections.delete(connection)
        this.#want(connection) // for tidying up what it leaves in the session
      },
    })
    this.#connections.add(connection)
  }

  #want(connection: Connection): void {
    if (connection !== this.#holder && !this.#waiting.includes(connection)) this.#waiting.push(connection)
    void this.#turn()
  }

  /** Runs units until there is nothing left to run, or the holder of the turnstile is in a transaction and silent. */
  async #turn(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try {
      while (!this.#closing) {
        if (this.#holder === undefined) {
          await this.#options.betweenTurns()
          this.#holder = this.#waiting.shift()
          if (this.#holder === undefined) return
        }
        const holder = this.#holder
        if (holder.gone) {
          await this.#tidyUp(holder)
          this.#holder = undefined
          continue
        }
        const unit = holder.units.shift()
        if (unit) await this.#run(holder, unit)
        if (holder.standing === 'idle') {
          this.#holder = undefined
          if (holder.units.length > 0 || holder.gone) this.#want(holder) // behind those who wait already
        } else if (!unit && !holder.gone) return
      }
    } catch (error) {
      this.#options.onDeath(error)
    } finally {
      this.#running = false
    }
  }

  async #run(connection: Connection, unit: Unit): Promise<void> {
    const answer = new AnswerReader(unit.copy, bytes => connection.send(bytes))
    await this.#options.session.execute(unit.bytes, bytes => answer.push(bytes))
    connection.lastActive = performance.now()
    connection.standing = answer.standing ?? (unit.complete ? 'idle' : 'batch')
    if (unit.complete && answer.standing === undefined)
      connection.end(fatalError('XX000', 'the embedded database gave no answer'))
  }

  /** Takes back what a connection that went away left in the session: its transaction, its settings, its statements. */
  async #tidyUp(connection: Connection): Promise<void> {
    const messages: Buffer[] = []
    if (connection.standing === 'batch') messages.push(message('S'))
    if (connection.standing !== 'idle') messages.push(message('Q', 'rollback'))
    if (connection.started) messages.push(message('Q', 'reset all'))
    for (const name of connection.statements) messages.push(message('C', Buffer.from('S'), name))
    if (connection.statements.size > 0) messages.push(message('S'))
    connection.statements.clear()
    connection.standing = 'idle'
    connection.started = false
    for (const bytes of messages) await this.#options.session.execute(bytes, () => {})
  }
}

// Comments may stand before a COPY. `copy (select …)` can only go to stdout.
const COPY_FROM_CLIENT = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*copy\s+[^\s(][\s\S]*\sfrom\s+stdin\b/i
const BINARY = /\bbinary\b/i

// A COPY that the gateway did not see coming (inside a batch, or behind another statement) would wait for rows for ever,
// and everybody with it. So a refusal follows each statement; Postgres ignores one that nobody asked for.
const REFUSE_ROWS = message(
  'f',
  'the embedded database takes rows only for a COPY that is sent alone, as a simple query',
)

// Codes of the packets that may come before a start-up message (protocol documentation, "Message Formats").
const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const CANCEL_REQUEST = 80877102

const STATEMENT = 'S'.charCodeAt(0)

type Events = { wantTurn(): void; gone(): void }
type CopyIn = { parts: Buffer[]; bytes: number }

/** One client: reads its messages, gathers them into units, and remembers what it left in the session. */
class Connection {
  readonly id: number
  readonly units: Unit[] = []
  /** Names of its prepared statements, as the session knows them. */
  readonly statements = new Set<string>()
  /** `batch`: an extended batch has begun and its Sync has not come. */
  standing: Standing | 'batch' = 'idle'
  started = false
  gone = false
  lastActive = performance.now()
  readonly #socket: Socket
  readonly #events: Events
  readonly #parameters: Readonly<Record<string, string>>
  readonly #reader = new MessageReader()
  #batch: Buffer[] = []
  #copy: CopyIn | undefined

  constructor(id: number, socket: Socket, parameters: Readonly<Record<string, string>>, events: Events) {
    this.id = id
    this.#socket = socket
    this.#parameters = parameters
    this.#events = events
    socket.on('data', chunk => {
      this.#reader.push(chunk)
      try {
        this.#read()
      } catch {
        this.end(fatalError('08P01', 'this is not the Postgres protocol'))
      }
    })
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => {
      this.gone = true
      this.units.length = 0
      this.#events.gone()
    })
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  end(lastWords?: Buffer): void {
    if (lastWords) this.send(lastWords)
    this.#socket.destroySoon()
  }

  #read(): void {
    while (!this.started) {
      const packet = this.#reader.startPacket()
      if (packet === undefined) return
      this.#start(packet)
    }
    for (let next = this.#reader.message(); next !== undefined; next = this.#reader.message()) this.#take(next)
  }

  #start(packet: Buffer): void {
    if (packet.length < 8) throw new Error('not a start-up packet')
    const code = packet.readInt32BE(4)
    if (code === SSL_REQUEST || code === GSS_REQUEST) {
      this.send(Buffer.from('N')) // the socket is private to its owner: nothing to encrypt
    } else if (code === CANCEL_REQUEST) {
      this.end() // one session for all: what would be cancelled may be another client's query
    } else {
      this.started = true
      this.send(message('R', int32(0))) // the socket's permissions are the authentication
      for (const [name, value] of Object.entries(this.#parameters)) this.send(message('S', name, value))
      this.send(message('K', int32(process.pid), int32(this.id)))
      this.send(message('Z', Buffer.from('I')))
    }
  }

  #take(bytes: Buffer): void {
    const type = String.fromCharCode(bytes[0])
    if (this.#copy) this.#takeCopy(this.#copy, type, bytes)
    else if (type === 'Q') this.#takeQuery(bytes)
    else if (type === 'X') this.end()
    else if ('PBECDHS'.includes(type)) this.#takeBatch(type, bytes)
    // Rows, their end or their failure, from a COPY that has failed already, are ignored, as the protocol says.
    else if (!'dcf'.includes(type)) throw new Error(`unknown message ${type}`)
  }

  #takeQuery(bytes: Buffer): void {
    const text = bytes.toString('utf8', 5, bytes.length - 1)
    if (COPY_FROM_CLIENT.test(text)) {
      // The client is invited to send its rows before the session has seen the statement: the session gets all in one piece.
      this.#copy = { parts: [bytes], bytes: 0 }
      this.send(message('G', Buffer.from([BINARY.test(text) ? 1 : 0, 0, 0])))
    } else this.#add([bytes, REFUSE_ROWS], { complete: true, copy: false })
  }

  /** Extended queries: what Parse, Bind, Describe, Execute and Close ask for runs when Flush or Sync comes. */
  #takeBatch(type: string, bytes: Buffer): void {
    const prefix = `c${this.id}_`
    if (type === 'P') {
      const statement = prefixName(bytes, 5, prefix)
      if (statement.name) this.statements.add(statement.name)
      this.#batch.push(statement.bytes)
    } else if (type === 'B') {
      const portal = prefixName(bytes, 5, prefix)
      const statement = prefixName(portal.bytes, portal.end, prefix)
      this.#batch.push(statement.bytes)
    } else if (type === 'E') {
      this.#batch.push(prefixName(bytes, 5, prefix).bytes, REFUSE_ROWS)
    } else if (type === 'C' || type === 'D') {
      const target = prefixName(bytes, 6, prefix) // behind a letter: S for a statement, P for a portal
      if (type === 'C' && bytes[5] === STATEMENT) this.statements.delete(target.name)
      this.#batch.push(target.bytes)
    } else {
      const batch = [...this.#batch, bytes]
      this.#batch = []
      this.#add(batch, { complete: type === 'S', copy: false })
    }
  }

  #takeCopy(copy: CopyIn, type: string, bytes: Buffer): void {
    if (type === 'd') {
      copy.bytes += bytes.length
      // What is too large is let through to its end and forgotten, so that the client hears the reason.
      if (copy.bytes > LARGEST_COPY_BYTES) copy.parts.length = 1
      else copy.parts.push(bytes)
    }
    if (type !== 'c' && type !== 'f') return // flush and sync mean nothing inside a COPY
    this.#copy = undefined
    const limit = `${LARGEST_COPY_BYTES / 2 ** 20} MB`
    const tooLarge = message('f', `the embedded database takes at most ${limit} in one COPY: send it in pieces`)
    this.#add([...copy.parts, copy.bytes > LARGEST_COPY_BYTES ? tooLarge : bytes], { complete: true, copy: true })
  }

  #add(parts: readonly Buffer[], kind: { complete: boolean; copy: boolean }): void {
    this.units.push({ bytes: Buffer.concat(parts), ...kind })
    this.#events.wantTurn()
  }
}

// The socket that postgres.js talks through, made and watched here.
// Two reasons. TCP_NODELAY, which postgres.js 3.4.9 leaves out: without it each COPY waits 70 ms. And its handling of a lost
// connection: it may throw from a timer, outside of every promise (a rollback written to a socket that is null by then), or
// wait for ever. So it never learns of the loss from the socket's end: whatever is asked now or later fails with DatabaseLost.
// It reconnects by itself otherwise; here a lost database ends the command, and the rerun goes on (docs/why.md).

import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
import { type DatabaseLost, messageOf, UserError } from '../errors.ts'
import type { Address } from './address.ts'

/** As much of a socket as postgres.js uses. */
export class Line extends EventEmitter {
  readonly #socket: Socket
  #ended = false
  #lost: DatabaseLost | undefined
  readonly #describe: () => DatabaseLost

  /** `describe` says which database was lost, when it is. */
  constructor(socket: Socket, describe: (cause: unknown) => DatabaseLost) {
    super()
    this.#socket = socket
    this.on('error', () => {}) // the loss may come while postgres.js does not listen
    let cause: unknown
    this.#describe = () => describe(cause)
    socket.on('data', data => this.emit('data', data))
    socket.on('drain', () => this.emit('drain'))
    socket.on('error', error => {
      cause = error // 'close' follows
    })
    socket.on('close', () => {
      if (this.#ended) this.emit('close', false)
      else this.#lose()
    })
  }

  #lose(): void {
    this.#lost = this.#describe()
    this.emit('error', this.#lost)
  }

  get readyState(): string {
    return this.#lost ? 'closed' : this.#socket.readyState
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    const lost = this.#lost
    if (!lost) return this.#socket.write(bytes, done)
    setImmediate(() => this.emit('error', lost)) // not at once: postgres.js has not noted the query yet
    done?.()
    return true
  }

  end(bytes: Uint8Array): void {
    this.#ended = true
    this.#socket.end(bytes)
  }

  destroy(): void {
    this.#ended = true
    this.#socket.destroy()
  }

  setKeepAlive(on: boolean, milliseconds: number): void {
    this.#socket.setKeepAlive(on, milliseconds)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }
}

/** Connects to a server: TCP or unix socket, then TLS where the address asks for it or the server offers it. */
export async function dialServer(address: Address): Promise<Socket> {
  const plain = address.socket ? connect(address.socket) : connect(address.port, address.host)
  plain.setNoDelay(true)
  const milliseconds = 1000 * address.connectSeconds
  plain.setTimeout(milliseconds, () => plain.destroy(new Error(`no answer within ${address.connectSeconds} s`)))
  try {
    await opened(plain, 'connect')
    const socket = await secure(plain, address)
    plain.setTimeout(0)
    return socket
  } catch (error) {
    plain.destroy()
    throw error instanceof UserError ? error : unreachable(address, error)
  }
}

/** Waits for an event of a socket; rejects when the socket fails or closes instead. Returns what the event carries. */
function opened(socket: Socket, event: 'connect' | 'data' | 'secureConnect'): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the server hung up'))
    socket.once('error', reject)
    socket.once('close', onClose)
    socket.once(event, (data?: Buffer) => {
      socket.off('error', reject)
      socket.off('close', onClose)
      resolve(data)
    })
  })
}

const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]) // length 8, code 80877103

async function secure(plain: Socket, address: Address): Promise<Socket> {
  if (address.tls === 'disable' || address.socket) return plain
  plain.write(TLS_REQUEST)
  // One byte and no more: what follows in the clear could be an attacker's, to be taken for the server's (CVE-2021-23222).
  const answer = (await opened(plain, 'data'))?.toString('latin1')
  if (answer !== 'S' && answer !== 'N')
    throw new UserError(
      `what listens at ${address.shown} does not speak the Postgres protocol`,
      'check host and port in DATABASE_URL',
    )
  const optional = address.tls === 'prefer' || address.tls === 'allow'
  if (answer === 'N' && optional) return plain
  if (answer === 'N')
    throw new UserError(
      `the database server at ${address.shown} offers no TLS, and sslmode=${address.tls} asks for it`,
      'switch TLS on at the server, or use sslmode=prefer',
    )
  // As libpq: a root certificate means that the server's is checked, even with sslmode=require.
  const verify = address.tls.startsWith('verify') || address.rootCertificate !== undefined
  const secured = connectTls({
    socket: plain,
    rejectUnauthorized: verify,
    ...(isIP(address.host) ? {} : { servername: address.host }),
    ...(address.rootCertificate === undefined ? {} : { ca: readCertificate(address.rootCertificate) }),
    // Named here, because Node would check against `localhost` when the host is a number.
    checkServerIdentity: (_, certificate) =>
      address.tls === 'verify-full' ? checkServerIdentity(address.host, certificate) : undefined,
  })
  await opened(secured, 'secureConnect')
  return secured
}

function readCertificate(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new UserError(
      `cannot read the certificates in ${file} (sslrootcert of DATABASE_URL): ${messageOf(error)}`,
      'for RDS: curl -O https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem',
    )
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer',
}

function unreachable(address: Address, error: unknown): UserError {
  const { code } = error as NodeJS.ErrnoException
  const certificate = code?.includes('CERT') || code?.startsWith('UNABLE_TO_')
  return new UserError(
    certificate
      ? `cannot trust the database server at ${address.shown}: ${messageOf(error)}`
      : `cannot reach the database server at ${address.shown}: ${REASONS[code ?? ''] ?? messageOf(error)}`,
    certificate
      ? 'give its certificates with sslrootcert=FILE in DATABASE_URL'
      : 'check DATABASE_URL and that the server runs, or unset DATABASE_URL to use the embedded database',
    { cause: error },
  )
}

// The thread in which PGlite (Postgres 18 compiled to WebAssembly, with pgvector) runs.
// A thread of its own, because a query blocks it: an index build takes a minute, and meanwhile the sockets must stay alive.
// session.ts starts it and talks to it.

import { inspect } from 'node:util'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import { message } from './protocol.ts'

export type Request =
  | { kind: 'execute'; messages: Uint8Array }
  /** Writes a checkpoint when the log holds more than this many bytes that a start after a crash would have to replay. */
  | { kind: 'checkpoint'; overBytes: number }
  | { kind: 'close' }

export type Answer =
  | { kind: 'ready'; parameters: Record<string, string> }
  | { kind: 'data'; bytes: Uint8Array }
  | { kind: 'done' }
  /** The database is dead and the thread with it. */
  | { kind: 'dead'; reason: string }

if (!parentPort)
  throw new Error('this file is the thread of the embedded database; lib/db/embedded/session.ts starts it')
const port = parentPort

const SETTINGS = [
  // Single-user mode never writes a checkpoint by itself (session.ts asks for them); this keeps the log's files recycled.
  'max_wal_size=256MB',
  // No replica will ever listen: `minimal` skips the log for tables filled in the transaction that made them.
  'wal_level=minimal',
  'max_wal_senders=0',
  // WebAssembly has 2 GB in all: an HNSW build of 200,000 vectors needs 390 MB of maintenance memory, and a build that
  // fits takes half the time (47 against 94 s for 50,000).
  'maintenance_work_mem=512MB',
  'shared_buffers=256MB',
  'work_mem=32MB',
]

// Postgres writes its last words here; without them a dead thread says nothing.
const lastWords: string[] = []
const LAST_WORDS = 8

function remember(line: string): boolean {
  lastWords.push(line)
  if (lastWords.length > LAST_WORDS) lastWords.shift()
  return false
}

function reasonOf(error: unknown): string {
  return [...lastWords, error instanceof Error ? (error.stack ?? error.message) : inspect(error)].join('\n')
}

function die(error: unknown): void {
  const said: Answer = { kind: 'dead', reason: reasonOf(error) }
  port.postMessage(said)
}

const database = await PGlite.create({
  dataDir: workerData.folder,
  extensions: { vector },
  startParams: [...PGlite.defaultStartParams, ...SETTINGS.flatMap(setting => ['-c', setting])],
  onStderr: remember,
}).catch(error => {
  // Thrown, not posted: a message and the end of the thread would race, and the last words be lost with the loser.
  const failure = new Error('the database did not open')
  failure.stack = reasonOf(error)
  throw failure
})
await database.exec('create extension if not exists vector')

// PGlite 0.5.14 takes every exception of the compiled code for an error of SQL and goes on reading; after a crash of the
// WebAssembly itself it goes round for ever. Such a crash is told from the others by its name.
const runOnce = database.Module._PostgresMainLoopOnce
database.Module._PostgresMainLoopOnce = () => {
  try {
    runOnce()
  } catch (error) {
    if (error instanceof Error && error.name === 'RuntimeError') die(error)
    throw error
  }
}

// What a server reports when a client connects (documentation of libpq, PQparameterStatus).
const REPORTED = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'application_name',
  'default_transaction_read_only',
  'in_hot_standby',
  'is_superuser',
  'session_authorization',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'integer_datetimes',
  'standard_conforming_strings',
]

async function reportedParameters(): Promise<Record<string, string>> {
  const parameters: Record<string, string> = {}
  for (const name of REPORTED) {
    const { rows } = await database.query<Record<string, string>>(`show ${name}`)
    parameters[name] = Object.values(rows[0])[0]
  }
  return parameters
}

// A large result goes to the client while it is being made: pieces of this size cost little each and bound the memory.
const PIECE_BYTES = 2 ** 18

async function execute(messages: Uint8Array): Promise<void> {
  let pieces: Uint8Array[] = []
  let bytes = 0
  const send = () => {
    if (bytes === 0) return
    const said: Answer = { kind: 'data', bytes: Buffer.concat(pieces) }
    port.postMessage(said)
    pieces = []
    bytes = 0
  }
  await database.execProtocolRawStream(messages, {
    onRawData: data => {
      pieces.push(data.slice()) // PGlite's memory, overwritten by the next row
      bytes += data.length
      if (bytes >= PIECE_BYTES) send()
    },
  })
  send()
}

async function checkpoint(overBytes: number): Promise<void> {
  const { rows } = await database.query<{ due: boolean }>(
    'select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn) > $1::int as due from pg_control_checkpoint()',
    [overBytes],
  )
  if (rows[0].due) await database.execProtocolRaw(message('Q', 'checkpoint'))
}

async function answer(request: Request): Promise<void> {
  if (request.kind === 'execute') await execute(request.messages)
  else if (request.kind === 'checkpoint') await checkpoint(request.overBytes)
  else await database.close() // writes a checkpoint
  const said: Answer = { kind: 'done' }
  port.postMessage(said)
}

port.on('message', (request: Request) => {
  answer(request).catch(die)
})
const said: Answer = { kind: 'ready', parameters: await reportedParameters() }
port.postMessage(said)

// The process that has the embedded database open: `daemon.ts HOME SOCKET_FOLDER IDLE_SECONDS`, started by start.ts, never by a person.
// One a data folder. It ends cleanly on SIGTERM, or by itself after a while without connections.
// The folders are made by start.ts; turns and sockets are the gateway's, Postgres is the session's.

import { chmodSync, copyFileSync, existsSync, fstatSync, ftruncateSync, renameSync, rmSync, writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { duration } from '../../log.ts'
import { Gateway } from './gateway.ts'
import { ANOTHER_RUNS, takeLock } from './lock.ts'
import { type Places, placesOf } from './places.ts'
import { type EmbeddedSession, openSession } from './session.ts'

const TICK_MILLISECONDS = 1000
// A start after a crash replays what was written since the last checkpoint: 128 MB take about a second (1 GB took 6.4 s).
const MOST_LOG_BYTES = 128 * 2 ** 20
// In a quiet while a checkpoint costs nobody anything; less than one file of the log (16 MB) is not worth one.
const QUIET_LOG_BYTES = 16 * 2 ** 20
const QUIET_MILLISECONDS = 5000
// The daemon writes a few lines a day; whatever fills its log otherwise must not fill the disk.
const LARGEST_LOG_BYTES = 2 ** 20
const STDERR = 2

async function main(home: string, socketFolder: string, idleSeconds: number): Promise<void> {
  const places = placesOf(home, socketFolder)
  if (!(await takeLock(places.home, places.run))) {
    tell(`another daemon has ${places.home} open; nothing changed`)
    process.exit(ANOTHER_RUNS)
  }
  process.umask(0o077)
  const start = performance.now()
  tell(`starting on ${places.home}`)
  const session = await openDatabase(places)
  let lastTurn = start
  let lastLook = start
  let lastConnection = performance.now()

  const gateway = new Gateway({
    session: {
      parameters: session.parameters,
      execute(messages, onData) {
        lastTurn = performance.now()
        return session.execute(messages, onData)
      },
    },
    async betweenTurns() {
      const now = performance.now()
      if (now - lastLook < TICK_MILLISECONDS) return
      const quiet = now - lastTurn > QUIET_MILLISECONDS
      // Quiet since the last look: nothing was written, so there is nothing to look for.
      if (quiet && lastLook - lastTurn > QUIET_MILLISECONDS) return
      lastLook = now
      await session.checkpoint(quiet ? QUIET_LOG_BYTES : MOST_LOG_BYTES)
    },
    onDeath,
    say: tell,
  })
  makeWay(places.socket)
  await gateway.listen(places.socket)
  chmodSync(places.socket, 0o600)
  tell(`ready after ${duration((performance.now() - start) / 1000)}`)

  let stopping = false
  async function stop(reason: string): Promise<void> {
    if (stopping) return
    stopping = true
    tell(`stopping: ${reason}`)
    await gateway.close()
    await session.close()
    tell('stopped')
    process.exit(0)
  }
  setInterval(() => {
    if (stopping) return
    try {
      boundLog(places.log)
    } catch {} // no room for the copy: in a second it is tried again
    gateway.tick()
    if (gateway.connections > 0) lastConnection = performance.now()
    else if (performance.now() - lastConnection > idleSeconds * 1000)
      void stop(`no connection for ${duration(idleSeconds)}`).catch(onDeath)
  }, TICK_MILLISECONDS)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal).catch(onDeath))
}

/** Opens the database; the first time it is made beside its place and moved there whole. */
async function openDatabase(places: Places): Promise<EmbeddedSession> {
  if (!existsSync(places.database)) {
    tell('making a new database')
    rmSync(places.making, { recursive: true, force: true })
    const session = await openSession(places.making, onDeath)
    await session.close()
    renameSync(places.making, places.database)
  }
  return await openSession(places.database, onDeath)
}

/** Removes the socket that a killed daemon left behind; the lock says that nobody listens on it. */
function makeWay(socket: string): void {
  rmSync(socket, { force: true })
}

function onDeath(reason: unknown): never {
  tell(`the database died: ${reason instanceof Error ? (reason.stack ?? reason.message) : inspect(reason)}`)
  process.exit(1)
}

/** On a full disk the log cannot be written, and what can go on without it must. */
function tell(line: string): void {
  try {
    // Not through a stream: one that failed once stays silent.
    writeSync(STDERR, `${new Date().toISOString()} [${process.pid}] ${line}\n`)
  } catch {}
}

/** Stderr is the log, opened for appending: past its size it is kept once as `.old` and begun again. */
function boundLog(log: string): void {
  const { size } = fstatSync(STDERR)
  if (size < LARGEST_LOG_BYTES) return
  copyFileSync(log, `${log}.old`)
  ftruncateSync(STDERR)
}

process.on('uncaughtException', onDeath)
process.on('unhandledRejection', onDeath)
const [home, socketFolder, idleSeconds] = process.argv.slice(2)
await main(home, socketFolder, Number(idleSeconds))

// Does a quarter on a rented machine, whatever happens, by the options of USAGE below: starts `make quarter` until it is done, and
// brings a database of the machine's own into a file before it leaves. All that is said stands in run/log and where things stand
// in run/state.json: who started it may be gone. Renting is bin/provision.ts.

import { createHash } from 'node:crypto'
import {
  appendFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import type { Backup, State as StateThere } from '../../lib/cloud/quarter-there.ts'
import { watchForInterruption } from '../../lib/cloud/spot-notice.ts'
import { parseAddress } from '../../lib/db/address.ts'
import { lockHolder, takeLock } from '../../lib/db/embedded/lock.ts'
import { messageOf, UsageError, UserError } from '../../lib/errors.ts'
import { numberFlag, optionalMethodFlag, quarterFlag, textFlag } from '../../lib/flags.ts'
import { isLeaving, leave, pause, stopped } from '../../lib/leaving.ts'
import { duration, say } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { type Ended, endEverybody, type How, run } from './children.ts'

/** What the renter reads (`stopped` by a signal, `interrupted` by the cloud), and what helps a person who looks. */
type State = StateThere & {
  pid: number
  quarter: string
  /** How often this process has begun the quarter. */
  attempt: number
  /** When this was written. */
  since: string
}

const PAUSE_SECONDS = 10
// What fails three times at the same place fails for ever, on a machine that is paid for meanwhile. What says of itself that it
// is to be run again gets the five minutes in which a database server changes over.
const MOST_FAILURES = 3
const MOST_TEMPORARY_FAILURES = 30
const RUN_AGAIN = 75
// A failure is said in two lines, and what came before them explains it.
const LINES_OF_A_FAILURE = 4
const USAGE =
  'node --import tsx bin/instance/supervise.ts --quarter 2024Q3 [--transcripts PATH] [--checkpoint FILE] [--method METHOD] [--postgres]'

const { settings, quarter, transcripts, checkpoint, method, postgres, pauseSeconds } = readOptions()
const folder = folderOfRun()
const backupFile = join(folder, `${quarter}.backup`)
// Where `make quarter` puts it.
const reportFile = join('reports', `${quarter}.html`)
const stateFile = join(folder, 'state.json')
// Backups whose rows are in the database, or were: none is restored over what was done since.
const restoredFile = join(folder, 'restored')
let isRestored = checkpoint === undefined
let databaseUrl = settings.databaseUrl
let toldBy: 'stopped' | 'interrupted' = 'stopped'
let attempt = 0

if (!(await takeLock(folder, folder))) {
  const log = relative('', join(folder, 'log'))
  say(`supervise: process ${await lockHolder(folder, folder)} is at it already, and ${log} has what it says`)
  process.exit(0)
}
process.on('uncaughtException', error => {
  if ('code' in error && error.code === 'EPIPE') return // whoever has started us listens no longer
  crash(error)
})
process.on('SIGHUP', () => {}) // nor is that a reason to stop
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    tell(`told to stop by ${signal}`)
    leave(`told to stop by ${signal}`)
  })
const watch = settings.spotNotice ? watchForInterruption(settings.metadataUrl, onNotice) : undefined
try {
  process.exitCode = await supervise()
  watch?.stop()
} catch (error) {
  crash(error)
}

function readOptions() {
  try {
    const settings = readSettings()
    const text = { type: 'string' } as const
    const { values } = parseArgs({
      options: {
        quarter: text,
        transcripts: text,
        checkpoint: text,
        method: text,
        pause: text,
        postgres: { type: 'boolean' },
      },
    })
    if (values.postgres && settings.databaseUrl !== undefined)
      throw new UsageError(
        '--postgres is a database of this machine, and DATABASE_URL names another',
        'unset DATABASE_URL',
      )
    return {
      settings,
      quarter: quarterFlag(values),
      transcripts: textFlag(values, 'transcripts'),
      checkpoint: textFlag(values, 'checkpoint'),
      method: optionalMethodFlag(values),
      postgres: values.postgres === true,
      /** Between two attempts. */
      pauseSeconds: numberFlag(values, 'pause', PAUSE_SECONDS, 0, 3600),
    }
  } catch (error) {
    say(`supervise: ${messageOf(error)}`)
    say(`  → ${error instanceof UserError ? error.hint : USAGE}`)
    process.exit(2)
  }
}

function crash(error: unknown): void {
  if (!(error instanceof UserError)) tell(error instanceof Error ? String(error.stack) : String(error))
  become('failed', error instanceof UserError ? `${error.message}\n  → ${error.hint}` : messageOf(error))
  process.exit(1)
}

function folderOfRun(): string {
  mkdirSync('run', { recursive: true, mode: 0o700 })
  return realpathSync('run') // two names of one folder must not get two supervisors
}

function onNotice(what: string): void {
  tell(what)
  if (!isLeaving()) toldBy = 'interrupted'
  leave(what)
}

async function supervise(): Promise<number> {
  become('running', 'beginning')
  if ((await endEverybody(folder)) > 0) tell('what an earlier supervisor had left running has ended')
  if (checkpoint !== undefined) isRestored = await wasRestored(checkpoint)
  const failure = await untilDone()
  if (failure === undefined) return await finish()
  const [state, message] = isLeaving() ? ([toldBy, stopped().message] as const) : (['failed', failure] as const)
  become('running', `${message}: backing up`)
  const { backup, why } = await backUp()
  become(state, backup === null && why ? `${message}; no backup: ${why}` : message, backup)
  return state === 'failed' ? 1 : RUN_AGAIN
}

/** Nothing when the quarter is done, else why not. */
async function untilDone(): Promise<string | undefined> {
  let most = -1
  for (let failures = 0; !isLeaving(); ) {
    attempt++
    const ended = await once()
    if (ended.code === 0) return undefined
    if (isLeaving()) break
    const words = wordsOf(ended)
    // More of the quarter is done than ever: the next attempt begins elsewhere.
    const done = await unitsDone()
    failures = done > most ? 1 : failures + 1
    most = Math.max(most, done)
    if (failures >= (isTemporary(ended) ? MOST_TEMPORARY_FAILURES : MOST_FAILURES))
      return `it failed ${failures} times without getting on:\n${words}`
    become('running', `attempt ${attempt} failed, the next in ${duration(pauseSeconds)}:\n${words}`)
    await pause(pauseSeconds * 1000)
  }
  return 'told to leave'
}

async function once(): Promise<Ended> {
  const started = await startPostgres()
  if (started.code !== 0) return started
  if (checkpoint !== undefined && !isRestored) {
    become('running', `restoring ${checkpoint}`)
    const restored = await quarterdeck(['db-restore', checkpoint, '--quarter', quarter, '--replace'])
    if (restored.code !== 0) return restored
    remember(await sha256Of(checkpoint))
    isRestored = true
  }
  become('running', `make quarter, attempt ${attempt}`)
  // A $ is make's own.
  const from = transcripts === undefined ? [] : [`TRANSCRIPTS=${transcripts.replaceAll('$', () => '$$')}`]
  const by = method === undefined ? [] : [`METHOD=${method}`]
  return await start(['make', '--no-print-directory', 'quarter', `Q=${quarter}`, ...from, ...by])
}

/** The machine's own server, where one is wanted: at every attempt, for it may have been killed as well. */
async function startPostgres(isLast = false): Promise<Ended> {
  if (!postgres) return { code: 0, stdout: [], tail: [] }
  const ended = await start(['sh', 'bin/instance/postgres.sh', 'start'], { isLast })
  databaseUrl = ended.stdout.find(line => line.startsWith('DATABASE_URL='))?.replace('DATABASE_URL=', '')
  return ended
}

/** make ends with 2 whatever has failed, and says what it was. */
function isTemporary({ code, tail }: Ended): boolean {
  return code === RUN_AGAIN || tail.some(line => /^make: \*\*\* .*Error 75$/.test(line))
}

function wordsOf({ code, tail }: Ended): string {
  // Steps side by side that were stopped because of one that failed speak after it.
  const cause = tail.findLastIndex(line => / has failed: stopping /.test(line))
  const said = cause < 0 ? tail : tail.slice(0, cause)
  const lines = said.filter(line => !line.startsWith('make: ')).slice(-LINES_OF_A_FAILURE)
  return lines.join('\n') || `it ended with ${code} and said nothing`
}

/** Of all steps together; 0 where the database cannot be asked, or has nothing of the quarter. */
async function unitsDone(): Promise<number> {
  const { code, stdout } = await quarterdeck(['status', '--quarter', quarter, '--json'], { isQuiet: true })
  if (code !== 0) return 0
  const { quarters }: { quarters: { steps: { done: number }[] }[] } = JSON.parse(stdout.join('\n'))
  return quarters.flatMap(({ steps }) => steps).reduce((sum, { done }) => sum + done, 0)
}

async function finish(): Promise<number> {
  become('running', 'done: backing up')
  const { backup, why } = await backUp()
  if (why !== undefined) {
    become('failed', `the quarter is done, and could not be backed up: ${why}`)
    return 1
  }
  if (databaseUrl === undefined) await quarterdeck(['db-stop'], { isLast: true })
  const report = existsSync(reportFile) ? await described(reportFile) : null
  become('done', attempt === 1 ? 'done' : `done in attempt ${attempt}`, backup, report)
  return 0
}

/** A database at the other end of a network outlives the machine; one behind a socket does not. */
function isOwn(): boolean {
  return databaseUrl === undefined || parseAddress(databaseUrl).socket !== undefined
}

/** The quarter in a file, whoever has told us to leave; or why there is none. */
async function backUp(): Promise<{ backup: Backup | null; why?: string }> {
  if (!isRestored) return { backup: null, why: `${checkpoint} was not restored yet, and nothing came after it` }
  const started = await startPostgres(true)
  if (started.code !== 0) return { backup: null, why: wordsOf(started) }
  if (!isOwn()) return { backup: null }
  const ended = await quarterdeck(['db-backup', backupFile, '--quarter', quarter], { isLast: true })
  if (ended.code !== 0) return { backup: null, why: wordsOf(ended) }
  const backup = await described(backupFile)
  remember(backup.sha256)
  return { backup }
}

async function described(file: string): Promise<Backup> {
  return { file: relative('', file), bytes: statSync(file).size, sha256: await sha256Of(file) }
}

async function wasRestored(file: string): Promise<boolean> {
  if (!existsSync(file))
    throw new UserError(`there is no checkpoint ${file}`, 'leave --checkpoint out, or bring the file')
  const sha256 = await sha256Of(file)
  return existsSync(restoredFile) && readFileSync(restoredFile, 'utf8').includes(sha256)
}

function remember(sha256: string): void {
  appendFileSync(restoredFile, `${sha256}\n`)
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(file)) hash.update(piece)
  return hash.digest('hex')
}

async function quarterdeck(words: string[], how: Partial<How> = {}): Promise<Ended> {
  return await start(['node', 'bin/quarterdeck.mjs', ...words], how)
}

async function start(words: string[], how: Partial<How> = {}): Promise<Ended> {
  return await run(words, { folder, hear, ...(databaseUrl && { environment: { DATABASE_URL: databaseUrl } }), ...how })
}

/** Whoever reads it meanwhile finds the state before or this one, whole. */
function become(
  state: State['state'],
  message: string,
  backup: Backup | null = null,
  report: Backup | null = null,
): void {
  tell(`${state}: ${message}`)
  const since = new Date().toISOString()
  const now: State = { state, pid: process.pid, quarter, attempt, since, message, backup, report }
  writeFileSync(`${stateFile}.part`, `${JSON.stringify(now)}\n`, { mode: 0o600 })
  renameSync(`${stateFile}.part`, stateFile)
}

function tell(words: string): void {
  for (const line of words.split('\n')) hear(`supervise: ${line}`)
}

function hear(line: string): void {
  try {
    appendFileSync(join(folder, 'log'), `${new Date().toISOString()} ${line}\n`, { mode: 0o600 })
  } catch {} // a full disk: what can go on without the log does
}

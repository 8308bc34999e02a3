// A quarter on a rented machine, from here: what has to be there is brought, the work begun, its log read as it grows, its
// backup fetched. What is begun there goes on without us; how it goes on stands in bin/instance/.

import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { messageOf, UserError } from '../errors.ts'
import { leaving } from '../leaving.ts'
import { progress, say } from '../log.ts'
import { fetchFile, type Machine, quoted, runThere, sendFiles } from './remote.ts'

/** The folder of it all, in the home of the machine's user. */
const FOLDER = 'quarterdeck'
// What the steps need of a checkout; tests and documents stay here.
const CODE = [
  'bin',
  'commands',
  'lib',
  'data',
  'sql',
  'Makefile',
  'package.json',
  'package-lock.json',
  '.npmrc',
  'tsconfig.json',
]

export type Cargo = {
  /** Folder of the checkout. */
  root: string
  /** As `quarterdeck --version` says it here: 0.1.0+3f2a91c. */
  version: string
  /** Absolute paths, or undefined where there is none. */
  transcripts: string | undefined
  model: string | undefined
  checkpoint: string | undefined
  /** Names and values, with keys and passwords. */
  environment: Record<string, string>
}

export type Work = {
  quarter: string
  transcripts: string | undefined
  checkpoint: string | undefined
  needsCard: boolean
  /** The machine's own, or undefined: the server that DATABASE_URL names. */
  database: 'embedded' | 'postgres' | undefined
  /** Of clustering; undefined: as the quarter was made. */
  method: string | undefined
}

/** A file there that is to be brought here. */
export type Backup = { file: string; bytes: number; sha256: string }

export type State = {
  state: 'running' | 'done' | 'failed' | 'interrupted' | 'stopped'
  message: string
  /** The quarter, out of a database of the machine's own. */
  backup: Backup | null
  /** The page of a quarter that is done. */
  report?: Backup | null
}

export type News = {
  /** Whole lines that the log has grown by. */
  text: string
  bytes: number
  state: State | undefined
  /** Whether a process is at work. */
  alive: boolean
}

/** Brings everything, a second time all of it again. Nothing of it runs yet. */
export async function bring(machine: Machine, cargo: Cargo): Promise<void> {
  await send(machine, 'the program', { from: cargo.root, names: CODE, into: FOLDER })
  for (const [what, path, into] of [
    ['the transcripts', cargo.transcripts, 'transcripts'],
    ['the model', cargo.model, 'model'],
    ['the checkpoint', cargo.checkpoint, 'run'],
  ] as const)
    if (path !== undefined)
      await send(machine, what, { from: dirname(path), names: [basename(path)], into: `${FOLDER}/${into}` })
  // There is no checkout there, and every row says by which commit it was made.
  const [, commit] = cargo.version.split('+')
  if (commit !== undefined) await inFolder(machine, `mkdir -p .git && echo ${quoted(commit)} > .git/HEAD`)
  const model = cargo.model === undefined ? {} : { QUARTERDECK_MODEL: `model/${basename(cargo.model)}` }
  const lines = Object.entries({ ...cargo.environment, ...model }).map(([name, value]) => `${name}=${quoted(value)}\n`)
  // By standard input: a command line is seen by everybody on the machine.
  await inFolder(machine, 'umask 077 && mkdir -p run && cat > run/environment', lines.join(''))
}

async function send(
  machine: Machine,
  what: string,
  files: { from: string; names: string[]; into: string },
): Promise<void> {
  let total = 0
  for (const name of files.names) total += await bytesIn(join(files.from, name))
  say(`provision: bringing ${what}, ${megabytes(total)} MB`)
  const step = inMegabytes(`bringing ${what}`, total)
  await sendFiles(machine, { ...files, signal: leaving }, step.more)
  step.end()
}

/** Begins the work, or leaves it as it is when it is at work. */
export async function begin(
  machine: Machine,
  { quarter, transcripts, checkpoint, needsCard, database, method }: Work,
): Promise<void> {
  const words = [
    quarter,
    transcripts === undefined ? '-' : `transcripts/${basename(transcripts)}`,
    needsCard ? 'card' : '-',
    database ?? '-',
    checkpoint === undefined ? '-' : `run/${basename(checkpoint)}`,
    method ?? '-',
  ]
  await inFolder(machine, `sh bin/instance/start.sh ${words.map(quoted).join(' ')}`)
}

/** What the log has beyond its first `read` bytes, and how the work stands. */
export async function news(machine: Machine, read: number): Promise<News> {
  const command = [
    // First, so that who is not alive has written all that there is to read.
    `kill -0 "$(cat run/pid 2> /dev/null)" 2> /dev/null && alive=alive`,
    `tail -c +${read + 1} run/log 2> /dev/null`,
    `printf '\\0'; cat run/state.json 2> /dev/null`,
    `printf '\\0%s' "$alive"`,
  ]
  const answer = await runThere(machine, `mkdir -p ${FOLDER} && cd ${FOLDER} && { ${command.join('; ')}; }`)
  const [state = '', alive = ''] = answer.split('\0').slice(-2)
  const log = answer.slice(0, answer.length - state.length - alive.length - 2)
  // A line that is being written is taken when it is whole; so no character is cut in two either.
  const text = log.slice(0, log.lastIndexOf('\n') + 1)
  return { text, bytes: Buffer.byteLength(text), state: stateIn(state), alive: alive.trim() === 'alive' }
}

function stateIn(text: string): State | undefined {
  return text.trim() === '' ? undefined : (JSON.parse(text) as State)
}

/** Tells the work to leave in order and to write a backup: it is over when its state says `stopped`. */
export async function tellToStop(machine: Machine): Promise<void> {
  await runThere(machine, `kill -TERM "$(cat ${FOLDER}/run/pid)" 2> /dev/null || true`)
}

/** Brings a file of the machine to a file here, whole or not at all. */
export async function bringBack(machine: Machine, backup: Backup, to: string, signal: AbortSignal): Promise<void> {
  const step = inMegabytes('bringing back', backup.bytes)
  await fetchFile(machine, { file: `${FOLDER}/${backup.file}`, to, sha256: backup.sha256, signal }, step.more)
  step.end()
}

async function inFolder(machine: Machine, command: string, input = ''): Promise<string> {
  return await runThere(machine, `mkdir -p ${FOLDER} && cd ${FOLDER} && ${command}`, { input, signal: leaving })
}

/** Bytes of a file, or of all files in a folder; those of packed ones by the factor more. */
export async function bytesIn(path: string, factorOfPacked = 1): Promise<number> {
  try {
    const information = await stat(path)
    if (!information.isDirectory()) return information.size * (path.endsWith('.gz') ? factorOfPacked : 1)
    let bytes = 0
    for (const name of await readdir(path)) bytes += await bytesIn(join(path, name), factorOfPacked)
    return bytes
  } catch (error) {
    throw error instanceof UserError
      ? error
      : new UserError(`${path} cannot be read (${messageOf(error)})`, 'take it away, or mend it', { cause: error })
  }
}

/** Progress in whole megabytes, of steps in bytes. */
function inMegabytes(verb: string, total: number): { more(bytes: number): void; end(): void } {
  const shown = progress(verb, Math.max(1, megabytes(total)), 'MB')
  let bytes = 0
  return {
    more(some) {
      const before = megabytes(bytes)
      bytes += some
      shown.step(megabytes(bytes) - before)
    },
    end: shown.end,
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6)
}

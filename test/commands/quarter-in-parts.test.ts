// The state of a quarter is a function of its calls: loaded at once or in parts, in any order, on either database, it ends the
// same. And a firm that cannot be done holds up nobody else.

import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { fingerprints, type Options, quarterdeck, sample, succeed } from '../run.ts'

const QUARTER = '2016Q4'
const whole = await readyHome()
afterAll(() => whole.remove())

const settingsOf = ({ home, env = {} }: Options) => readSettings({ QUARTERDECK_HOME: home, ...env })
const rowsOf = (options: Options) => withDatabase(settingsOf(options), sql => fingerprints(sql))
// Thirty firms: from twenty on, what most firms say counts as common.
const calls = readdirSync(sample(QUARTER))
  .filter(name => /^\d/.test(name))
  .slice(0, 30)
const paths = (names: string[]) => names.map(name => join(sample(QUARTER), name))

async function run(options: Options, ...transcripts: string[]): Promise<void> {
  for (const words of [['ingest', ...transcripts], ['embed'], ['cluster-firm'], ['name-topics'], ['aggregate']])
    await here([...words, '--quarter', QUARTER], options)
}

beforeAll(() => run(whole, ...paths(calls)), 200_000)

onBothServers('a quarter in parts', start => {
  let parts: Options
  beforeAll(async () => {
    parts = optionsFor(await start())
  })

  it('ends as if it had been loaded at once', async () => {
    await run(parts, ...paths(calls.slice(20)))
    await run(parts, ...paths(calls.slice(0, 20)))
    const [atOnce, inParts] = [await rowsOf(whole), await rowsOf(parts)]
    // The files were named in another order and folder-less: all else is equal.
    expect(inParts).toEqual(atOnce)
  }, 200_000)

  it('has its talk marked and its topics made again where a version with other rules has marked it', async () => {
    const before = await rowsOf(parts)
    await withDatabase(settingsOf(parts), async sql => {
      await sql`update sentences set talk = null where quarter = ${QUARTER} and talk is not null`
      await sql`update work set recipe = '' where stage = 'ingest'`
    })
    await run(parts)
    expect(await rowsOf(parts)).toEqual(before)
  }, 100_000)

  it('reads standard input, with the firm and quarter given', async () => {
    const stdin = 'We opened twelve stores. Margins rose by two points in the quarter.\n'
    await succeed(['ingest', '-', '--quarter', '2017Q2', '--firm', 'acme'], { ...parts, stdin })
    const rows = JSON.parse(
      await here(
        ['sql', "select firm_id, quarter, text from sentences where quarter = '2017Q2' order by sentence_id", '--json'],
        parts,
      ),
    )
    expect(rows.map((row: { firm_id: string }) => row.firm_id)).toEqual(['ACME', 'ACME'])
  })

  it('reads a folder behind a link and passes over what is no transcript', async () => {
    const folder = join(parts.home, 'linked')
    mkdirSync(folder)
    for (const name of calls.slice(0, 3)) symlinkSync(join(sample(QUARTER), name), join(folder, name))
    symlinkSync(join(sample(QUARTER), 'README.md'), join(folder, 'README.md'))
    const { stderr, code } = await quarterdeck(['ingest', folder, '--quarter', QUARTER], parts)
    expect(stderr).toMatch(/0 calls loaded, 3 unchanged/)
    expect(code).toBe(0)
  })

  it('calls a firm what its latest call says, in whatever order the calls are loaded', async () => {
    const header =
      'companyid,companyname,transcriptid,componenttext,componentorder,mostimportantdateutc,speakertypename\n'
    const early = `${header}77,Old Name Inc,1,We sold more anvils in Ohio.,0,2018-02-01,Executives\n`
    const late = `${header}77,New Name Inc,2,We sold fewer anvils in Ohio.,0,2018-05-01,Executives\n`
    const nameOf = async () =>
      JSON.parse(await here(['sql', "select name from firms where firm_id = 'ciq-77'", '--json'], parts))[0].name
    await succeed(['ingest', '-', '--quarter', '2018Q2'], { ...parts, stdin: late })
    await succeed(['ingest', '-', '--quarter', '2018Q1'], { ...parts, stdin: early })
    expect(await nameOf()).toBe('New Name Inc')
    await succeed(['ingest', '-', '--quarter', '2018Q1', '--firm', 'ciq-77', '--force'], { ...parts, stdin: early })
    expect(await nameOf()).toBe('New Name Inc')
    const latest = late.replace('2018-05-01', '2018-08-01').replace('New Name', 'Newest Name')
    await succeed(['ingest', '-', '--quarter', '2018Q3'], { ...parts, stdin: latest })
    expect(await nameOf()).toBe('Newest Name Inc')
  })

  it('takes the firm whose id it is before another that is called so', async () => {
    const call = (ticker: string, name: string) =>
      JSON.stringify({
        symbol: ticker,
        quarter: 4,
        year: 2017,
        date: '2017-10-30',
        content: `Anna Lee: We are ${name}, and we sell anvils.`,
      })
    const stdin = `[${call('ACE', 'Acme Inc')}, ${call('ACEX', 'Ace')}]`
    await succeed(['ingest', '-', '--quarter', '2017Q4'], { ...parts, stdin })
    await withDatabase(settingsOf(parts), sql => sql`update firms set name = 'ace' where firm_id = 'ACEX'`)
    expect(JSON.parse(await here(['embed', '--quarter', '2017Q4', '--firm', 'ACE', '--json'], parts)).firms).toBe(1)
    expect(
      JSON.parse(
        await here(
          ['sql', "select distinct firm_id from sentence_vectors v where quarter = '2017Q4'", '--json'],
          parts,
        ),
      ),
    ).toEqual([{ firm_id: 'ACE' }])
  })

  it('gives firms of no, one and a few sentences a defined outcome', async () => {
    const lines = ['Revenue rose in the third quarter across all of our regions and products.']
    await succeed(['ingest', '-', '--quarter', '2017Q3', '--firm', 'ONE'], { ...parts, stdin: lines[0] })
    await succeed(['ingest', '-', '--quarter', '2017Q3', '--firm', 'TALK'], {
      ...parts,
      stdin: 'Thank you.\nGood morning.\n',
    })
    for (const verb of ['embed', 'cluster-firm', 'name-topics', 'aggregate', 'index'])
      await here([verb, '--quarter', '2017Q3'], parts)
    const [counts] = JSON.parse(
      await here(
        [
          'sql',
          "select count(*)::int as clustered, count(topic_id)::int as in_topics from topic_sentences where quarter = '2017Q3'",
          '--json',
        ],
        parts,
      ),
    )
    expect(counts).toEqual({ clustered: 1, in_topics: 0 })
    expect(await here(['themes', '--quarter', '2017Q3'], parts)).toMatch(/No theme/)
  })

  it('has a firm that cannot be done: it is reported, kept in status, does not hold up the others, and is done when it can be', async () => {
    const before = await rowsOf(parts)
    const firm = calls[0].split('_')[1]
    const damage = (statement: string) =>
      withDatabase(settingsOf(parts), async sql => {
        await sql.unsafe(statement)
      })
    await damage(`create table hidden as select * from sentence_vectors where firm_id = '${firm}'`)
    await damage(`delete from sentence_vectors where firm_id = '${firm}'`)

    const alone = await quarterdeck(['cluster-firm', '--quarter', QUARTER, '--firm', firm, '--force'], parts)
    expect(alone.code).toBe(1)
    expect(alone.stderr).toMatch(/has no embedding/)
    const all = await quarterdeck(['cluster-firm', '--quarter', QUARTER, '--force'], parts)
    expect(all.code).toBe(0)
    expect(all.stderr).toContain(`could not do ${firm}`)
    expect(all.stderr).toMatch(/29 firms in/)
    for (const verb of ['name-topics', 'aggregate']) await here([verb, '--quarter', QUARTER], parts)
    expect(await here(['status', '--quarter', QUARTER], parts)).toContain(`cluster-firm failed for ${firm}`)

    await damage(`insert into sentence_vectors select * from hidden`)
    await damage('drop table hidden')
    for (const verb of ['cluster-firm', 'name-topics', 'aggregate']) await here([verb, '--quarter', QUARTER], parts)
    expect(await rowsOf(parts)).toEqual(before)
  }, 200_000)
})

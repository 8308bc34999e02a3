// db-check and drop-quarter as a person types them: exit codes, what is said, that what is said to mend it does, and that a
// killed step leaves nothing to mend.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { compute } from '../compute.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { fingerprints, isRunning, quarterdeck, running, STEPS, sample, stepWords, succeed } from '../run.ts'

const QUARTER = '2024Q3'
const { home, remove } = await readyHome()
const settings = { ...readSettings({}), home }

type Report = {
  findings: { quarter: string | null; title: string; rows: number; broken: number; mend: string | null }[]
}
const report = async (code: number): Promise<Report> => {
  const outcome = await quarterdeck(['db-check', '--json'], { home })
  expect(`${outcome.code} ${outcome.stderr}`).toMatch(new RegExp(`^${code} `))
  return JSON.parse(outcome.stdout)
}
const rows = () => withDatabase(settings, sql => fingerprints(sql))

/** Kills a step that has work in hand; `ingest`, which takes calls from a folder, as soon as it has begun. */
async function killed(verb: string): Promise<void> {
  await withDatabase(settings, async sql => {
    const begun =
      verb === 'ingest'
        ? () => sql`select from runs where command = 'ingest' and outcome = 'running'`
        : () => sql`select from work where stage = ${verb} and lease_by is not null`
    // One that was over before it was seen is begun again.
    for (;;) {
      const { child, said, ended } = running(stepWords(verb, QUARTER, '--force'), { home })
      while (isRunning(child) && (await begun()).length === 0);
      child.kill('SIGKILL')
      const code = await ended
      if (child.signalCode === 'SIGKILL') return
      expect(`${code} ${said.stderr}`).toMatch(/^0 /)
    }
  })
}

let whole: Record<string, string>

beforeAll(async () => {
  // Killed in every step, and looked at where it was left.
  for (const [place, verb] of STEPS.entries()) {
    await killed(verb)
    // The database as well, each second step.
    if (place % 2 === 1) process.kill((await startDatabase(home)).pid, 'SIGKILL')
    const { findings }: Report = JSON.parse(await here(['db-check', '--json'], { home }))
    expect(findings.filter(finding => finding.broken > 0)).toEqual([])
    await here(stepWords(verb, QUARTER), { home })
  }
  whole = await rows()
}, 300_000)
afterAll(remove)

describe('db-check', () => {
  it('says in a table what it looked at and ends with 0 where nothing is broken', async () => {
    const { code, stdout, stderr } = await quarterdeck(['db-check'], { home })
    expect(code).toBe(0)
    expect(stdout).toMatch(/what must hold +rows +broken +for example/)
    expect(stdout).toMatch(/an embedded firm has an embedding of each sentence +1,785$/m)
    expect(stderr).toMatch(/db-check: \d+ checks over 1 quarter in .*; nothing is broken/)
  })

  it('changes nothing, not even `runs`', async () => {
    const runs = async () => (await here(['sql', 'select count(*) from runs'], { home })).trim()
    const before = await runs()
    await succeed(['db-check', '--quarter', '2024q3'], { home })
    expect(await runs()).toBe(before)
    expect(await rows()).toEqual(whole)
  })

  it('refuses a quarter that the database has nothing of', async () => {
    const { code, stderr } = await quarterdeck(['db-check', '--quarter', '2031Q1'], { home })
    expect(code).toBe(1)
    expect(stderr).toContain('the database has nothing of 2031Q1; it has 2024Q3')
  })

  it('ends with 1 where something is broken, and whoever types what it says ends with a whole database', async () => {
    await withDatabase(settings, async sql => {
      await sql`update calls set sentences = sentences + 1 where firm_id = 'ALDH'`
      await sql`delete from sentence_vectors where firm_id = 'GPEL' and sentence_id % 2 = 0`
      await sql`delete from topic_names where topic_id like '2024Q3/VSTL/%'`
      await sql`drop index sentence_vectors_2024q3_hnsw`
    })
    const typed: string[] = []
    for (;;) {
      const told = await quarterdeck(['db-check'], { home })
      if (told.code === 0) break
      expect(told.code).toBe(1)
      expect(told.stderr).toMatch(/\d checks? of \d+ broken; first, 2024Q3: /)
      const mend = /→ quarterdeck (.*)/.exec(told.stderr)?.[1] ?? ''
      expect(told.stdout).toContain(`→ quarterdeck ${mend}`)
      typed.push(mend)
      await here(mend.replace('PATH', sample(QUARTER)).split(' '), { home })
      await withDatabase(settings, sql => compute(sql, QUARTER)) // make quarter
    }
    // `index` sees by itself that its index is gone.
    expect(typed).toEqual([
      'ingest PATH --quarter 2024Q3 --firm ALDH --force',
      'embed --quarter 2024Q3 --firm GPEL --force',
      'name-topics --quarter 2024Q3 --firm VSTL --force',
    ])
    expect(await rows()).toEqual(whole)
  }, 120_000)
})

describe('drop-quarter', () => {
  it('says what would go and deletes nothing without --yes', async () => {
    const { code, stdout, stderr } = await quarterdeck(['drop-quarter', '--quarter', QUARTER], { home })
    expect(code).toBe(2)
    expect(stdout).toMatch(
      /2024Q3: 14 calls of 14 firms \(14 of them in no other quarter\), 1,785 sentences, \d+ topics/,
    )
    expect(stderr).toContain('→ quarterdeck drop-quarter --quarter 2024Q3 --yes')
    expect(await rows()).toEqual(whole)
  })

  it('drops it with --yes, leaves a row in `runs`, and says when the database is empty', async () => {
    const { code, stdout, stderr } = await quarterdeck(['drop-quarter', '--quarter', QUARTER, '--yes', '--json'], {
      home,
    })
    expect(`${code} ${stderr}`).toMatch(/^0 /)
    expect(JSON.parse(stdout)).toMatchObject({ quarter: QUARTER, dropped: true, calls: 14, sentences: 1785 })
    expect(stderr).toMatch(
      /no quarter is left; the next embed may bind the database to another model than earnings-static/,
    )
    const run = `select command, outcome, counts ->> 'calls' as calls from runs order by run_id desc limit 1`
    expect(JSON.parse(await here(['sql', run, '--json'], { home }))).toEqual([
      { command: 'drop-quarter', outcome: 'done', calls: '14' },
    ])
    await report(0)
    expect((await quarterdeck(['drop-quarter', '--quarter', QUARTER, '--yes'], { home })).stderr).toContain(
      'the database has nothing of 2024Q3',
    )
  })
})

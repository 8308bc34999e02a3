// Names are data, never SQL: a firm called like an attack goes through every command on both databases and comes out as it went in,
// and whatever is given as a firm or a quarter finds that, or nothing.

import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { UserError } from '../../lib/errors.ts'
import { readSettings, type Settings } from '../../lib/settings.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { here, tried } from '../here.ts'
import { fingerprints, type Options, quarterdeck, STEPS, succeed } from '../run.ts'

const QUARTER = '2017Q3'
const NAMES = [
  `O'BRIEN`,
  `'; DROP TABLE FIRMS; --`,
  `"QUOTED" \\' \\\\`,
  '%_%',
  '$1 $$ :X {Y}',
  '*', // stands for a whole quarter in the table `work`
  'ΩΜΈΓΑ-漢字-😀',
  `X') OR ('1'='1`,
  'L'.repeat(500),
]
// Each is nearly one of the others, or would be if it were a pattern.
const NOBODY = ['**', '%', '_', '%_', '\\', `'`, `''`, 'ΩΜΈΓΑ', '漢字\u0301', 'L'.repeat(10_000)]
const SAYINGS = [
  'Customers in Ohio ordered more anvils because the steel mills reopened',
  'Turbine deliveries slipped into December after the strike at our foundry',
  'Claims from the hurricane stayed below what our reinsurers had expected',
  'Deposits fell while borrowers drew heavily on their revolving credit',
  'Our oncology trial enrolled its last patient two months ahead of plan',
  'Freight rates from Shanghai doubled once carriers avoided the canal',
  'Same-store traffic recovered as families returned to casual dining',
  'The new fab reached its yield target and memory prices firmed up',
  'Subscribers cancelled less often after we introduced the cheaper tier',
]
// Each says something of its own: what several firms say word for word counts as talk.
const CALLS = JSON.stringify(
  NAMES.map((symbol, i) => ({
    ...{ symbol, quarter: 3, year: 2017, date: '2017-08-01' },
    content: `Anna O'Neil: ${SAYINGS[i]}'; drop table sentences; --`,
  })),
)

onBothServers('hostile names', (start, name) => {
  let options: Options
  let settings: Settings
  const firms = () =>
    withDatabase(settings, async sql => (await sql`select firm_id from firms`).map(row => String(row.firm_id)).sort())
  const prints = () => withDatabase(settings, sql => fingerprints(sql))
  // How a command line is read does not depend on the database: what takes dozens of them is typed on one of the two.
  const isByProcesses = name === 'the embedded database'

  beforeAll(async () => {
    const server = await start()
    options = optionsFor(server)
    settings = { ...readSettings({}), ...server.settings }
  })

  it('of firms go through every step and search as they are', async () => {
    await succeed(['ingest', '-', '--quarter', QUARTER], { ...options, stdin: CALLS })
    expect(await firms()).toEqual([...NAMES].sort())
    const [one] = NAMES
    for (const verb of STEPS.slice(1)) await here([verb, '--quarter', QUARTER], options)
    for (const verb of ['embed', 'cluster-firm'])
      await succeed([verb, '--quarter', QUARTER, `--firm=${one}`, '--force'], options)
    expect(await firms()).toEqual([...NAMES].sort())
  }, 200_000)

  it('of firms find each its own sentences, and no other', async () => {
    for (const firm of NAMES) {
      const run = isByProcesses ? succeed : here
      const { sentences } = JSON.parse(await run(['search', 'anvils', `--firm=${firm}`, '--json'], options))
      expect(new Set(sentences.map((one: { firmId: string }) => one.firmId))).toEqual(new Set([firm]))
      const left = JSON.parse(await run(['embed', '--quarter', QUARTER, `--firm=${firm}`, '--json'], options))
      expect(left).toMatchObject({ firms: 0 }) // it is known, and nothing is left to do
    }
  }, 200_000)

  it('of firms go into a backup and come back as they were, with nothing broken', async () => {
    const before = await prints()
    const file = join(settings.home, `it's %_% "of" $1.backup`)
    await here(['db-backup', file], options)
    await here(['drop-quarter', '--quarter', QUARTER, '--yes'], options)
    expect(await firms()).toEqual([])
    await here(['db-restore', file], options)
    expect(await prints()).toEqual(before)
    await here(['db-check'], options)
  }, 100_000)

  it('that are no firm and no quarter of the database find nothing, and change nothing', async () => {
    const before = await prints()
    for (const words of [
      ['embed', '--quarter', QUARTER, `--firm=' or ''='`],
      ['cluster-firm', '--quarter', QUARTER, '--firm=%'],
      ['search', 'anvils', `--firm=x'; delete from firms; --`],
      ...NOBODY.map(name => ['search', 'anvils', `--firm=${name}`]),
      ...NOBODY.map(name => ['embed', '--quarter', QUARTER, `--firm=${name}`]),
      ['embed', `--quarter=2017Q3'; drop table firms; --`],
      ['themes', `--quarter=2017Q3' or '1'='1`],
      ['status', '--quarter=2017Q3\\'],
      ['drop-quarter', '--yes', `--quarter=2017Q3' or '1'='1`],
      ['db-check', `--quarter=2017Q3'; drop table firms; --`],
      ['db-backup', join(settings.home, 'none.backup'), '--quarter=%'],
      ['db-restore', `'; drop table firms; --`],
    ]) {
      if (isByProcesses) {
        const { code, stderr, stdout } = await quarterdeck(words, options)
        expect(code, words.join(' ')).toBeGreaterThan(0)
        expect(stderr).not.toContain('should not have happened')
        expect(stdout).toBe('')
      } else {
        const { printed, error } = await tried(words, options)
        expect(error, words.join(' ')).toBeInstanceOf(UserError)
        expect(printed).toBe('')
      }
    }
    expect(await prints()).toEqual(before)
  }, 100_000)
})

// lineage and trends on both databases: identities that last, whatever is added, made again or dropped afterwards.

import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { followLineage } from '../../commands/lineage.ts'
import { describeTrends, readTrends } from '../../commands/trends.ts'
import type { Database } from '../../lib/db/connect.ts'
import { lineageIdsOf } from '../../lib/db/lineage.ts'
import { dropQuarter, ensureQuarter } from '../../lib/db/quarters.ts'
import { claimWork, finishWork } from '../../lib/db/work.ts'
import { onBothDatabases } from '../db/both-databases.ts'
import { DIMENSIONS, type MadeQuarter, writeQuarter } from '../made-histories.ts'

const one = (topics: number, ...subjects: string[]) => ({ subjects, topics })

// oil splits, loans goes and is back a year later, rent and cloud merge, chips comes.
const HISTORY: Record<string, MadeQuarter> = {
  '2022Q4': {
    oil: one(24, 'oil/crude', 'oil/gas', 'oil/gas'),
    loans: one(10, 'loans'),
    rent: one(9, 'it/rent'),
    cloud: one(15, 'it/cloud'),
  },
  '2023Q1': { crude: one(8, 'oil/crude'), gas: one(16, 'oil/gas'), both: one(24, 'it/rent', 'it/cloud', 'it/cloud') },
  '2023Q2': { gas: one(12, 'oil/gas'), chips: one(10, 'chips'), both: one(20, 'it/cloud', 'it/rent') },
  '2023Q3': { lending: one(11, 'loans'), gas: one(13, 'oil/gas'), chips: one(12, 'chips') },
}
const QUARTERS = Object.keys(HISTORY)

async function write(sql: Database, quarter: string, made = HISTORY[quarter]): Promise<void> {
  await ensureQuarter(sql, quarter)
  await sql.begin(tx => writeQuarter(tx, quarter, made))
}

/** Everything that is said about a quarter, as text. */
async function said(sql: Database, quarter: string): Promise<string> {
  const rows = await sql`
    select 'is' as kind, to_jsonb(i) as row from theme_lineage i where quarter = ${quarter}
    union all select 'link', to_jsonb(l) from theme_links l where quarter = ${quarter}
    order by 1, 2`
  return JSON.stringify(rows)
}

async function identities(sql: Database, quarter: string): Promise<Record<string, string>> {
  return Object.fromEntries(
    [...(await lineageIdsOf(sql, quarter))].map(([theme, id]) => [theme.split('/')[1], id]).sort(),
  )
}

onBothDatabases('lineage', open => {
  let sql: Database
  beforeAll(async () => {
    sql = (await open()).sql
    await sql`
      insert into settings (key, value)
      values ('embedding model', ${sql.json({ name: 'made', revision: 'made', dimension: DIMENSIONS, source: 'made' })})`
  })
  beforeEach(async () => {
    for (const quarter of ['2022Q3', ...QUARTERS, '2024Q1']) await dropQuarter(sql, quarter)
  })

  it('tells the history that the quarters were made from', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    const followed = await followLineage(sql)
    const some = (events: object) => Object.fromEntries(Object.entries(events).filter(([, n]) => n > 0))
    expect(followed.map(({ quarter, earlierQuarter, events }) => [quarter, earlierQuarter, some(events)])).toEqual([
      ['2022Q4', null, { first: 4 }],
      ['2023Q1', '2022Q4', { split: 2, merged: 1, gone: 1 }],
      ['2023Q2', '2023Q1', { continued: 2, new: 1, gone: 1 }],
      ['2023Q3', '2023Q2', { continued: 2, returned: 1, gone: 1 }],
    ])
    expect(await identities(sql, '2023Q1')).toEqual({ gas: '2022Q4/oil', crude: '2023Q1/crude', both: '2022Q4/cloud' })
    expect(await identities(sql, '2023Q3')).toEqual({
      lending: '2022Q4/loans',
      gas: '2022Q4/oil',
      chips: '2023Q2/chips',
    })
    // The evidence of what came back is that of the quarter it was last in.
    const [back] = await sql`select * from theme_links where event = 'returned'`
    expect(back).toMatchObject({ quarter: '2023Q3', earlier_quarter: '2022Q4', earlier_theme_id: '2022Q4/loans' })
  })

  it('changes nothing when it is run again', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    await followLineage(sql)
    const before = await Promise.all(QUARTERS.map(quarter => said(sql, quarter)))
    expect((await followLineage(sql)).map(one => one.isWritten)).toEqual([false, false, false, false])
    expect((await followLineage(sql, { force: true })).map(one => one.isWritten)).toEqual([true, true, true, true])
    expect(await Promise.all(QUARTERS.map(quarter => said(sql, quarter)))).toEqual(before)
  })

  it('says the same about earlier quarters, whatever comes after them and in whatever order it is run', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    await followLineage(sql)
    const atOnce = await Promise.all(QUARTERS.map(quarter => said(sql, quarter)))
    for (const quarter of QUARTERS) await dropQuarter(sql, quarter)
    for (const [place, quarter] of QUARTERS.entries()) {
      await write(sql, quarter)
      const written = (await followLineage(sql)).filter(one => one.isWritten)
      expect(written.map(one => one.quarter)).toEqual([quarter]) // not even written again
      for (let earlier = 0; earlier <= place; earlier++)
        expect(await said(sql, QUARTERS[earlier])).toBe(atOnce[earlier])
    }
  })

  it('follows again from a quarter on that comes late, is made again, or is dropped', async () => {
    for (const quarter of ['2022Q4', '2023Q2', '2023Q3']) await write(sql, quarter)
    await followLineage(sql)
    const first = await said(sql, '2022Q4')
    const withGap = await said(sql, '2023Q3')
    expect(await identities(sql, '2023Q2')).toMatchObject({ gas: '2022Q4/oil' })

    await write(sql, '2023Q1')
    expect((await followLineage(sql)).map(one => one.isWritten)).toEqual([false, true, true, true])
    const whole = await said(sql, '2023Q3')
    expect(await said(sql, '2022Q4')).toBe(first)

    await write(sql, '2023Q1', { ...HISTORY['2023Q1'], loans: one(9, 'loans') }) // now loans was never gone before 2023Q2
    expect((await followLineage(sql)).map(one => one.isWritten)).toEqual([false, true, true, true])
    expect(await identities(sql, '2023Q1')).toMatchObject({ loans: '2022Q4/loans' })
    expect(await identities(sql, '2023Q3')).toMatchObject({ lending: '2022Q4/loans' })

    await write(sql, '2023Q1')
    await followLineage(sql)
    expect(await said(sql, '2023Q3')).toBe(whole)
    await dropQuarter(sql, '2023Q1')
    await followLineage(sql)
    expect(await said(sql, '2023Q3')).toBe(withGap)
  })

  it('notices a quarter that was dropped and loaded again with other calls in between', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    await followLineage(sql)
    await dropQuarter(sql, '2023Q1')
    await write(sql, '2023Q1', { loans: one(10, 'loans') })
    expect((await followLineage(sql)).map(one => one.isWritten)).toEqual([false, true, true, true])
    expect(await identities(sql, '2023Q3')).toMatchObject({ lending: '2022Q4/loans' })
  })

  it('is to be done again, says work, from the quarter after one that was dropped', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    await followLineage(sql)
    await dropQuarter(sql, '2023Q1')
    const rows = await sql`select quarter, state from work where stage = 'lineage' order by quarter`
    expect(rows.map(row => [row.quarter, row.state])).toEqual([
      ['2022Q4', 'done'],
      ['2023Q2', 'stale'],
      ['2023Q3', 'stale'],
    ])
  })

  it('does not look back further than a year for what was gone', async () => {
    const loans = { loans: one(10, 'loans') }
    const other = (n: number) => ({ other: one(10, `other${n}`) })
    await write(sql, '2022Q3', loans)
    for (const [n, quarter] of ['2022Q4', '2023Q1', '2023Q2'].entries()) await write(sql, quarter, other(n))
    await write(sql, '2023Q3', loans)
    await followLineage(sql)
    expect(await identities(sql, '2023Q3')).toEqual({ loans: '2022Q3/loans' })
    await write(sql, '2023Q3', other(9))
    await write(sql, '2024Q1', loans)
    await followLineage(sql)
    expect(await identities(sql, '2024Q1')).toEqual({ loans: '2024Q1/loans' })
  })

  it('passes over a quarter without themes, and leaves out one whose themes are not made', async () => {
    await write(sql, '2022Q4')
    await write(sql, '2023Q1', {})
    await write(sql, '2023Q2')
    await sql`insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences) values (1, 'F00', '2023Q1', '', '', '', 0)`
    const followed = await followLineage(sql)
    expect(followed.map(one => [one.quarter, one.themes, one.earlierQuarter])).toEqual([
      ['2022Q4', 4, null],
      ['2023Q1', 0, '2022Q4'],
      ['2023Q2', 3, '2022Q4'],
    ])
    await sql`update work set state = 'stale' where stage = 'aggregate' and quarter = '2023Q2'`
    expect((await followLineage(sql)).map(one => one.quarter)).toEqual(['2022Q4', '2023Q1'])
  })

  it('gives every theme one identity and every identity one theme a quarter, and evidence for each', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    await followLineage(sql)
    const [counts] = await sql`
      select (select count(*)::int from themes) as themes, (select count(*)::int from theme_lineage) as told,
        (select count(*)::int from (select distinct quarter, lineage_id from theme_lineage) as x) as identities,
        (select count(*)::int from theme_lineage i where event <> 'first' and not exists (
          select from theme_links l where l.theme_id = i.theme_id and l.event = i.event)) as "withoutEvidence"`
    expect(counts).toEqual({ themes: 13, told: 13, identities: 13, withoutEvidence: 0 })
  })

  it('writes nothing of a quarter whose predecessor is made anew while it is compared', async () => {
    for (const quarter of ['2022Q4', '2023Q1']) await write(sql, quarter)
    const claim = await claimWork(sql, 'lineage', { quarter: '2023Q1' })
    await sql`update work set state = 'stale' where stage = 'aggregate' and quarter = '2022Q4'`
    const anew = await claimWork(sql, 'aggregate', { quarter: '2022Q4' })
    if (claim === undefined || anew === undefined) throw new Error('no claim')
    // With the same names as before, so that what would be written could point at them.
    await finishWork(sql, anew, '', async () => {})
    const write2023 = async () => {
      throw new Error('written')
    }
    expect(await finishWork(sql, claim, '', write2023)).toBe(false)
  })

  it('two at once write what one would', async () => {
    for (const quarter of QUARTERS) await write(sql, quarter)
    await followLineage(sql)
    const alone = await Promise.all(QUARTERS.map(quarter => said(sql, quarter)))
    await sql`update work set state = 'stale' where stage = 'lineage'`
    await Promise.all([followLineage(sql), followLineage(sql)])
    expect(await Promise.all(QUARTERS.map(quarter => said(sql, quarter)))).toEqual(alone)
  })

  describe('trends', () => {
    it('gives the shares that firms and sentences make up', async () => {
      for (const quarter of QUARTERS) await write(sql, quarter)
      await followLineage(sql)
      const { quarters, points } = await readTrends(sql)
      expect(quarters).toEqual(QUARTERS)
      expect(points).toHaveLength(13)
      const loans = points.filter(point => point.lineageId === '2022Q4/loans')
      // Ten of twenty firms, eleven of thirteen; no sentence is there, so no share of them.
      expect(loans.map(point => [point.quarter, point.firms, point.shareOfFirms, point.shareOfSentences])).toEqual([
        ['2022Q4', 10, 0.5, null],
        ['2023Q3', 11, 11 / 13, null],
      ])
    })

    it('finds one lineage by its own name or by that of any of its themes', async () => {
      for (const quarter of QUARTERS) await write(sql, quarter)
      await followLineage(sql)
      for (const name of ['2022Q4/loans', '2023Q3/lending'])
        expect((await readTrends(sql, name)).points.map(point => point.themeId)).toEqual([
          '2022Q4/loans',
          '2023Q3/lending',
        ])
      await expect(readTrends(sql, '2023Q3/nothing')).rejects.toThrow('the database has no theme 2023Q3/nothing')
    })

    it('marks where themes merged, and has the newest quarters where a terminal is narrow', async () => {
      for (const quarter of QUARTERS) await write(sql, quarter)
      await followLineage(sql)
      const trends = await readTrends(sql)
      const wide = describeTrends(trends, 'firms', 40, undefined)
      expect(wide).toMatch(/both +2022Q4\/cloud +75\.0 % +\*100\.0 % +100\.0 %/)
      expect(wide).toContain('* here several themes merged')
      const narrow = describeTrends(trends, 'firms', 40, 50)
      expect(narrow.split('\n')[0]).toMatch(/^share of firms +lineage +2023Q2 +2023Q3$/)
      expect(narrow).toContain('quarters before 2023Q2 with --csv')
    })

    it('says what to run where there is nothing to show', async () => {
      await expect(readTrends(sql)).rejects.toThrow('the database is empty')
      await write(sql, '2022Q4')
      await expect(readTrends(sql)).rejects.toThrow('no theme has a lineage yet')
    })
  })
})

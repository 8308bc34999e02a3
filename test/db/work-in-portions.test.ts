// Several firm-quarters at a time, on both databases: what is claimed together, who may write, that one slow firm holds up
// nobody, and that nothing is left behind when something fails.

import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, it } from 'vitest'
import type { Database, Queries } from '../../lib/db/connect.ts'
import { type Claim, claimPortion, finishTogether, firmChanged, openWork, standingOf } from '../../lib/db/work.ts'
import { workInPortions } from '../../lib/db/work-in-portions.ts'
import { onBothDatabases } from './both-databases.ts'

const ALL = { firms: 100, units: 1_000_000 }

onBothDatabases('portions', open => {
  let sql: Database
  let other: Database
  let year = 2000
  /** A quarter of its own for each test, with firms of these many sentences: F0, F1 … */
  async function newQuarter(...units: number[]): Promise<string> {
    const quarter = `${++year}Q2`
    for (const [i, n] of units.entries()) await firmChanged(sql, quarter, `F${i}`, n)
    return quarter
  }
  const note = (key: string) => async (tx: Queries, kept: readonly Claim[]) => {
    await tx`insert into settings (key, value) values (${key}, ${tx.json(kept.map(claim => claim.firmId))})`
  }

  beforeAll(async () => {
    ;({ sql, other } = await open())
  })

  it('are the largest firms that are free, as many as asked for, and none more once they hold enough sentences', async () => {
    const quarter = await newQuarter(5, 100, 20, 60, 0, 20)
    const firms = async (portion: { firms: number; units: number }) =>
      (await claimPortion(sql, 'embed', { quarter }, portion)).map(claim => claim.firmId)
    expect(await firms({ firms: 2, units: 1000 })).toEqual(['F1', 'F3'])
    expect(await firms({ firms: 10, units: 1 })).toEqual(['F2'])
    expect(await firms({ firms: 10, units: 21 })).toEqual(['F5', 'F0'])
    expect(await firms(ALL)).toEqual(['F4'])
    expect(await firms(ALL)).toEqual([])
  })

  it('are given out once, however many ask at the same time', async () => {
    const quarter = await newQuarter(...Array.from({ length: 40 }, (_, i) => i))
    const claims = await Promise.all(
      [sql, other, sql, other].map(each => claimPortion(each, 'embed', { quarter }, { firms: 12, units: 10_000 })),
    )
    const firms = claims.flat().map(claim => claim.firmId)
    expect(new Set(firms).size).toBe(firms.length)
    for (;;) {
      const rest = await claimPortion(sql, 'embed', { quarter }, ALL)
      if (rest.length === 0) break
      firms.push(...rest.map(claim => claim.firmId))
    }
    expect(new Set(firms).size).toBe(40)
    expect(firms.length).toBe(40)
  })

  it('are finished in one transaction, without those that somebody took over or that changed meanwhile', async () => {
    const quarter = await newQuarter(50, 40, 30, 20)
    const claims = await claimPortion(sql, 'embed', { quarter }, ALL)
    await firmChanged(other, quarter, 'F1', 41)
    await other`update work set lease_until = now() - interval '1 second' where quarter = ${quarter} and firm_id = 'F2'`
    const [taken] = await claimPortion(other, 'embed', { quarter, firmId: 'F2' }, ALL)
    const kept = await finishTogether(sql, claims, 'recipe', note(`portion ${quarter}`))
    expect(kept.map(claim => claim.firmId)).toEqual(['F0', 'F3'])
    expect(await sql`select value from settings where key = ${`portion ${quarter}`}`).toMatchObject([
      { value: ['F0', 'F3'] },
    ])
    const standing = async (stage: string) => (await standingOf(sql, quarter)).find(one => one.stage === stage)
    expect(await standing('embed')).toMatchObject({ done: 2, pending: 2 })
    // Nothing at all is written for claims that are all void; the one who took over may still finish.
    expect(await finishTogether(sql, claims, 'recipe', note(`portion ${quarter}`))).toEqual([])
    expect(await finishTogether(other, [taken], 'recipe', async () => {})).toEqual([taken])
    expect(await standing('embed')).toMatchObject({ done: 3, pending: 1 })
  })

  it('make the later steps of their firms stale, and of no other firm', async () => {
    const quarter = await newQuarter(50, 40, 30)
    await sql`update work set state = 'done' where quarter = ${quarter}`
    await sql`update work set state = 'stale' where quarter = ${quarter} and stage = 'cluster-firm' and firm_id <> 'F1'`
    const claims = await claimPortion(sql, 'cluster-firm', { quarter }, ALL)
    await finishTogether(sql, claims, 'recipe', async () => {})
    const rows = await sql<{ name: string }[]>`
        select stage || ' ' || firm_id as name from work where quarter = ${quarter} and state = 'stale' order by 1`
    expect(rows.map(row => row.name)).toEqual([
      'aggregate *',
      'lineage *',
      ...['name-topics', 'novelty'].flatMap(stage => [`${stage} F0`, `${stage} F2`]),
    ])
  })

  it('write all or nothing', async () => {
    const quarter = await newQuarter(50, 40)
    const claims = await claimPortion(sql, 'embed', { quarter }, ALL)
    const failing = finishTogether(sql, claims, 'recipe', async (tx, kept) => {
      await note(`broken ${quarter}`)(tx, kept)
      throw new Error('disk full')
    })
    await expect(failing).rejects.toThrow('disk full')
    expect(await sql`select value from settings where key = ${`broken ${quarter}`}`).toHaveLength(0)
    expect(await finishTogether(sql, claims, 'recipe', async () => {})).toHaveLength(2)
  })

  it('are worked through: each firm read, computed and saved once, at most as many at a time as asked for', async () => {
    const quarter = await newQuarter(...Array.from({ length: 75 }, (_, i) => 10 + i))
    const read: string[] = []
    const saved: string[] = []
    let computing = 0
    let most = 0
    await workInPortions(sql, 'embed', { quarter }, () => ({ firms: 3, units: Infinity }), {
      async read(claims) {
        read.push(...claims.map(claim => claim.firmId))
        return [...claims]
      },
      async compute(claim) {
        most = Math.max(most, ++computing)
        await new Promise(resolve => setImmediate(resolve))
        computing--
        return claim.firmId === 'F7' ? undefined : claim // nothing to save of that one
      },
      async save(claims) {
        saved.push(...(await finishTogether(sql, claims, 'recipe', async () => {})).map(claim => claim.firmId))
      },
    })
    const largestFirst = Array.from({ length: 75 }, (_, i) => `F${74 - i}`)
    expect(read).toEqual(largestFirst)
    expect(saved.sort()).toEqual(largestFirst.filter(firm => firm !== 'F7').sort())
    expect(most).toBe(3)
    // What was not saved is free again.
    expect(await claimPortion(other, 'embed', { quarter }, ALL)).toMatchObject([{ firmId: 'F7' }])
  })

  it('are saved while one slow firm is still computed', async () => {
    const quarter = await newQuarter(...Array.from({ length: 75 }, (_, i) => 10 + i))
    const saved: string[] = []
    let othersAreSaved = () => {}
    const slow = new Promise<void>(resolve => {
      othersAreSaved = resolve
    })
    await workInPortions(sql, 'embed', { quarter }, () => ({ firms: 2, units: Infinity }), {
      read: async claims => [...claims],
      async compute(claim) {
        if (claim.firmId === 'F74') await slow // the first to be begun: ends when all others are saved, or never
        return claim
      },
      async save(claims) {
        saved.push(...claims.map(claim => claim.firmId))
        await finishTogether(sql, claims, 'recipe', async () => {})
        if (saved.length === 74) othersAreSaved()
      },
    })
    expect(saved.at(-1)).toBe('F74')
  })

  it.each([
    'read',
    'compute',
    'save',
  ] as const)('end with the error of a failed %s, and leave no lease behind', async step => {
    const quarter = await newQuarter(...Array.from({ length: 10 }, (_, i) => 10 + i))
    const broken = async (which: typeof step) => {
      if (which === step) throw new Error(`${step} is broken`)
    }
    const working = workInPortions(sql, 'embed', { quarter }, () => ({ firms: 2, units: Infinity }), {
      async read(claims) {
        await broken('read')
        return [...claims]
      },
      async compute(claim) {
        if (claim.firmId === 'F5') await broken('compute')
        return claim
      },
      async save(claims) {
        await broken('save')
        await finishTogether(sql, claims, 'recipe', async () => {})
      },
    })
    await expect(working).rejects.toThrow(`${step} is broken`)
    const { todo } = await openWork(other, 'embed', { quarter }, 'recipe', false)
    expect(todo).toBeGreaterThan(0)
    expect(await claimPortion(other, 'embed', { quarter }, ALL)).toHaveLength(todo)
  })

  it('end only when the portion that was under way has ended too, and leave no lease of it behind', async () => {
    const quarter = await newQuarter(...Array.from({ length: 75 }, (_, i) => 10 + i))
    // A claim of 32 firms takes a third of a second here: the failure comes while the second portion is being claimed.
    await sql.unsafe(`
        create function slow_claim() returns trigger language plpgsql as
          $$ begin if new.lease_by is not null then perform pg_sleep(0.01); end if; return new; end $$;
        create trigger slow_claim before update on work for each row when (new.quarter = '${quarter}')
          execute function slow_claim()`)
    let reads = 0
    let ended = 0
    try {
      const working = workInPortions(sql, 'embed', { quarter }, () => ({ firms: 2, units: Infinity }), {
        async read(claims) {
          reads++
          await sleep(50)
          ended++
          return [...claims]
        },
        async compute() {
          throw new Error('compute is broken')
        },
        async save() {},
      })
      await expect(working).rejects.toThrow('compute is broken')
      expect([reads, ended]).toEqual([2, 2])
    } finally {
      await sql.unsafe('drop trigger slow_claim on work; drop function slow_claim')
    }
    expect(await claimPortion(other, 'embed', { quarter }, ALL)).toHaveLength(75)
  })
})

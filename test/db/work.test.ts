// The contract of leases, on both databases: who has claimed may write, who was overtaken may not, and nobody waits for
// the dead.

import { beforeAll, describe, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { transaction } from '../../lib/db/transaction.ts'
import {
  claimWork,
  failWork,
  finishWork,
  firmChanged,
  keepLeases,
  openWork,
  requireEarlier,
  standingOf,
  workThrough,
} from '../../lib/db/work.ts'
import { onBothDatabases } from './both-databases.ts'
import { hasRealServer, realServer } from './servers.ts'

onBothDatabases('work', open => {
  let sql: Database
  let other: Database
  let year = 2000
  /** A quarter of its own for each test, with three firms of 30, 20 and 10 sentences. */
  async function newQuarter(): Promise<string> {
    const quarter = `${++year}Q1`
    for (const [firm, units] of [
      ['A', 20],
      ['B', 30],
      ['C', 10],
    ] as const)
      await firmChanged(sql, quarter, firm, units)
    return quarter
  }

  beforeAll(async () => {
    ;({ sql, other } = await open())
  })

  it('gives out the largest firm first, and each firm once', async () => {
    const quarter = await newQuarter()
    const claims = [
      await claimWork(sql, 'embed', { quarter }),
      await claimWork(other, 'embed', { quarter }),
      await claimWork(sql, 'embed', { quarter }),
    ]
    expect(claims.map(claim => claim?.firmId)).toEqual(['B', 'A', 'C'])
    expect(await claimWork(sql, 'embed', { quarter })).toBeUndefined()
    expect(await claimWork(sql, 'embed', { quarter, firmId: 'A' })).toBeUndefined()
  })

  it('holds a step back for each firm until the step before it is done', async () => {
    const quarter = await newQuarter()
    expect(await claimWork(sql, 'cluster-firm', { quarter })).toBeUndefined()
    await expect(requireEarlier(sql, 'cluster-firm', { quarter })).rejects.toThrow(/needs embed first: 3 of 3/)
    const claim = await claimWork(sql, 'embed', { quarter, firmId: 'C' })
    if (claim === undefined) throw new Error('no claim')
    expect(await finishWork(sql, claim, 'recipe', async () => {})).toBe(true)
    expect((await claimWork(sql, 'cluster-firm', { quarter }))?.firmId).toBe('C')
  })

  it('lets nobody write who was overtaken, and writes nothing of his', async () => {
    const quarter = await newQuarter()
    const slow = await claimWork(sql, 'embed', { quarter, firmId: 'A' })
    await other`update work set lease_until = now() - interval '1 second' where quarter = ${quarter}` // his lease ran out
    const quick = await claimWork(other, 'embed', { quarter, firmId: 'A' })
    if (slow === undefined || quick === undefined) throw new Error('no claim')
    expect(quick.attempt).toBe(slow.attempt + 1)
    const write = (value: string) => async (tx: Parameters<Parameters<typeof finishWork>[3]>[0]) => {
      await tx`insert into settings (key, value) values (${`written ${quarter}`}, ${tx.json(value)})`
    }
    expect(await finishWork(sql, slow, '', write('slow'))).toBe(false)
    expect(await finishWork(other, quick, '', write('quick'))).toBe(true)
    expect(await finishWork(sql, slow, '', write('slow'))).toBe(false)
    expect(await sql`select value from settings where key = ${`written ${quarter}`}`).toMatchObject([
      { value: 'quick' },
    ])
  })

  it('voids a claim whose input changed meanwhile', async () => {
    const quarter = await newQuarter()
    const claim = await claimWork(sql, 'embed', { quarter, firmId: 'A' })
    await firmChanged(other, quarter, 'A', 25)
    if (claim === undefined) throw new Error('no claim')
    expect(await finishWork(sql, claim, '', async () => {})).toBe(false)
    expect((await claimWork(other, 'embed', { quarter, firmId: 'A' }))?.units).toBe(25)
  })

  it('makes the later steps of that firm stale, and those of the quarter', async () => {
    const quarter = await newQuarter()
    await sql`update work set state = 'done' where quarter = ${quarter}`
    await openWork(sql, 'cluster-firm', { quarter, firmId: 'A' }, 'recipe', true)
    const claim = await claimWork(sql, 'cluster-firm', { quarter })
    if (claim === undefined) throw new Error('no claim')
    await finishWork(sql, claim, 'recipe', async () => {})
    const states = await sql<{ name: string; state: string }[]>`
        select stage || ' ' || firm_id as name, state from work where quarter = ${quarter} and state <> 'done' order by 1`
    expect(states.map(row => `${row.name} ${row.state}`)).toEqual([
      'aggregate * stale',
      'lineage * stale',
      'name-topics A stale',
      'novelty A stale',
    ])
  })

  it('does again what was done with another recipe, and leaves what is as good', async () => {
    const quarter = await newQuarter()
    await sql`update work set state = 'done', recipe = 'old' where quarter = ${quarter} and firm_id = 'A'`
    await sql`update work set state = 'done', recipe = 'new' where quarter = ${quarter} and firm_id in ('B', 'C')`
    expect((await openWork(sql, 'embed', { quarter }, null, false)).todo).toBe(0)
    expect((await openWork(sql, 'embed', { quarter }, 'new', false, 'ol%')).todo).toBe(0)
    expect(await openWork(sql, 'embed', { quarter }, 'new', false)).toMatchObject({ todo: 1, otherRecipe: 1 })
  })

  it('keeps a failure and tries it again with the next run; it holds up nobody', async () => {
    const quarter = await newQuarter()
    await workThrough(sql, 'embed', { quarter }, 2, async claim => {
      if (claim.firmId === 'B') await failWork(sql, claim, 'no memory')
      else await finishWork(sql, claim, '', async () => {})
    })
    expect((await standingOf(sql, quarter)).find(one => one.stage === 'embed')).toMatchObject({ done: 2, failed: 1 })
    await requireEarlier(sql, 'cluster-firm', { quarter })
    expect((await openWork(sql, 'embed', { quarter }, '', false)).todo).toBe(1)
  })

  it('gives back what it has in hand when it ends by an error, after the others have finished', async () => {
    const quarter = await newQuarter()
    let finished = 0
    const failing = workThrough(sql, 'embed', { quarter }, 3, async claim => {
      if (claim.firmId === 'B') throw new Error('broken')
      await finishWork(sql, claim, '', async () => {})
      finished++
    })
    await expect(failing).rejects.toThrow('broken')
    expect(finished).toBe(2)
    expect((await claimWork(other, 'embed', { quarter }))?.firmId).toBe('B')
  })

  it('frees at once what a dead process of this machine holds', async () => {
    const quarter = await newQuarter()
    const claim = await claimWork(sql, 'embed', { quarter, firmId: 'A' })
    const [{ worker }] = await sql<{ worker: string }[]>`
        select lease_by as worker from work where quarter = ${quarter} and firm_id = 'A' and stage = 'embed'`
    const dead = worker.replace(/\d+\/\d+$/, '4194303/1') // beyond the largest number of a process
    await sql`update work set lease_by = ${dead} where lease_by = ${worker}`
    expect(await claimWork(other, 'embed', { quarter, firmId: 'A' })).toBeUndefined()
    await openWork(other, 'embed', { quarter }, null, false)
    expect((await claimWork(other, 'embed', { quarter, firmId: 'A' }))?.attempt).toBe((claim?.attempt ?? 0) + 1)
  })

  it('releases the leases of one step only', async () => {
    const quarter = await newQuarter()
    await sql`update work set state = 'done' where quarter = ${quarter} and stage = 'embed' and firm_id = 'A'`
    await claimWork(sql, 'embed', { quarter, firmId: 'B' })
    await claimWork(sql, 'cluster-firm', { quarter, firmId: 'A' })
    await keepLeases(sql, 'embed').release()
    expect((await claimWork(other, 'embed', { quarter, firmId: 'B' }))?.firmId).toBe('B')
    expect(await claimWork(other, 'cluster-firm', { quarter, firmId: 'A' })).toBeUndefined()
  })
})

describe.skipIf(!hasRealServer)('a deadlock on a real server', () => {
  it('is begun again until both have written', async () => {
    const server = await realServer()
    const [one, two] = [await connect(server.settings), await connect(server.settings)]
    await one`create table numbers (id int primary key, n int)`
    await one`insert into numbers values (1, 0), (2, 0)`
    let tries = 0
    // Each locks one row, waits until the other has locked its own, then wants that one.
    let locked = 0
    const cross = (sql: Database, first: number, second: number) =>
      transaction(sql, async tx => {
        tries++
        await tx`update numbers set n = n + 1 where id = ${first}`
        locked++
        while (locked < 2) await new Promise(resolve => setTimeout(resolve, 5))
        await tx`update numbers set n = n + 1 where id = ${second}`
      })
    await Promise.all([cross(one, 1, 2), cross(two, 2, 1)])
    expect(tries).toBeGreaterThanOrEqual(3)
    expect(await one`select n from numbers order by id`).toMatchObject([{ n: 2 }, { n: 2 }])
    await disconnect(one)
    await disconnect(two)
    await server.stop()
  })
})

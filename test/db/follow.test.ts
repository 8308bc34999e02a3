// A step beside the one before it, on both databases: it takes what becomes ready, ends when nothing more can come, and does
// not wait for what nobody is at.

import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, it } from 'vitest'
import type { Database } from '../../lib/db/connect.ts'
import { openFollower } from '../../lib/db/follow.ts'
import {
  type Claim,
  claimWork,
  failWork,
  finishWork,
  firmChanged,
  quarterChanged,
  requireEarlier,
  standingOf,
  workThrough,
} from '../../lib/db/work.ts'
import { workInPortions } from '../../lib/db/work-in-portions.ts'
import { workerName } from '../../lib/worker-name.ts'
import { onBothDatabases } from './both-databases.ts'

onBothDatabases('a step that follows another', open => {
  let sql: Database
  let other: Database
  let year = 2000
  /** A quarter of its own for each test, with firms A, B and C. */
  async function newQuarter(): Promise<string> {
    const quarter = `${++year}Q3`
    for (const [i, firm] of ['A', 'B', 'C'].entries()) await firmChanged(sql, quarter, firm, 30 - i)
    return quarter
  }
  /** Does the step before for a firm, as another process would. */
  async function embedFirm(quarter: string, firmId: string): Promise<void> {
    const claim = await claimWork(other, 'embed', { quarter, firmId })
    if (claim === undefined) throw new Error(`no claim on ${firmId}`)
    await finishWork(other, claim, '', async () => {})
  }
  const finish = (claim: Claim) => finishWork(sql, claim, '', async () => {})
  const standing = async (quarter: string, stage: string) =>
    (await standingOf(sql, quarter)).find(one => one.stage === stage)
  const startRun = (quarter: string, worker: string, started = 'now()') => sql`
      insert into runs (command, quarter, options, code_version, worker, started_at)
      values ('embed', ${quarter}, '{}', '', ${worker}, ${sql.unsafe(started)})`
  /** A follower of `embed` with a clock of its own, in seconds. */
  function followerAt(quarter: string) {
    const clock = { seconds: 0 }
    return { clock, follower: openFollower(sql, 'cluster-firm', ['embed'], { quarter }, () => clock.seconds * 1000) }
  }

  beforeAll(async () => {
    ;({ sql, other } = await open())
  })

  // How both ways of working through a step are called with: each firm by `handle`, at most two at a time.
  const WAYS = [
    {
      way: 'one by one',
      work: (quarter: string, handle: (claim: Claim) => Promise<void>) =>
        workThrough(sql, 'cluster-firm', { quarter }, 2, handle, true),
    },
    {
      way: 'in portions',
      work: (quarter: string, handle: (claim: Claim) => Promise<void>) =>
        workInPortions(
          sql,
          'cluster-firm',
          { quarter },
          () => ({ firms: 2, units: Infinity }),
          { read: async claims => [...claims], compute: handle, save: async () => {} },
          true,
        ),
    },
  ]

  it.each(WAYS)('takes firms as they become ready, also while a slow one is in hand, $way', async ({ work }) => {
    const quarter = await newQuarter()
    const done: string[] = []
    let bIsDone = () => {}
    const untilB = new Promise<void>(resolve => {
      bIsDone = resolve
    })
    await embedFirm(quarter, 'A')
    await work(quarter, async claim => {
      // A ends when B is done, or never; and B becomes ready only now, C when nothing is in hand.
      if (claim.firmId === 'A') await Promise.all([embedFirm(quarter, 'B'), untilB])
      await finish(claim)
      done.push(claim.firmId)
      if (claim.firmId === 'B') bIsDone()
      if (claim.firmId === 'A') void sleep(50).then(() => embedFirm(quarter, 'C'))
    })
    expect(done).toEqual(['B', 'A', 'C'])
    expect(await standing(quarter, 'cluster-firm')).toMatchObject({ done: 3 })
  })

  it.each(WAYS)('does a firm again whose embeddings came anew while it had it in hand, $way', async ({ work }) => {
    const quarter = await newQuarter()
    for (const firm of ['A', 'B', 'C']) await embedFirm(quarter, firm)
    const kept: [string, boolean][] = []
    let isOld = true
    await work(quarter, async claim => {
      if (claim.firmId === 'B' && isOld) {
        isOld = false
        await sql`update work set state = 'stale' where quarter = ${quarter} and stage = 'embed' and firm_id = 'B'`
        await embedFirm(quarter, 'B')
      }
      kept.push([claim.firmId, await finish(claim)])
    })
    // In whatever order: it may be claimed again before the first try has ended.
    expect(kept.flatMap(([firm, done]) => (firm === 'B' ? [done] : [])).sort()).toEqual([false, true])
    expect(await standing(quarter, 'cluster-firm')).toMatchObject({ done: 3 })
  })

  it('does not wait for a firm that the step before cannot do', async () => {
    const quarter = await newQuarter()
    await embedFirm(quarter, 'B')
    for (const firmId of ['A', 'C']) {
      const claim = await claimWork(other, 'embed', { quarter, firmId })
      if (claim !== undefined) await failWork(other, claim, 'no memory')
    }
    await workThrough(sql, 'cluster-firm', { quarter }, 1, async claim => void (await finish(claim)), true)
    expect(await standing(quarter, 'cluster-firm')).toMatchObject({ done: 1, pending: 2 })
  })

  it('needs ingest to be complete, and nothing else', async () => {
    const quarter = await newQuarter()
    await expect(requireEarlier(sql, 'name-topics', { quarter })).rejects.toThrow(/needs embed first/)
    await requireEarlier(sql, 'name-topics', { quarter }, true)
    await quarterChanged(sql, quarter)
    await expect(requireEarlier(sql, 'name-topics', { quarter }, true)).rejects.toThrow(/needs ingest first: 1 of 1/)
  })

  it('waits a minute for a step that nobody is at, and says then what is left of it', async () => {
    const quarter = await newQuarter()
    await embedFirm(quarter, 'A')
    const { clock, follower } = followerAt(quarter)
    expect(await follower.mayGetMore()).toBe(true)
    clock.seconds = 59
    expect(await follower.mayGetMore()).toBe(true)
    clock.seconds = 60
    await expect(follower.mayGetMore()).rejects.toThrow(
      /cluster-firm of .* waits for embed, where 2 of 3 are left to do and nobody has been at it for 60 seconds/,
    )
    await expect(follower.mayGetMore()).rejects.toMatchObject({ hint: `quarterdeck embed --quarter ${quarter}` })
  })

  it('counts that minute anew when something came, or somebody has begun', async () => {
    const quarter = await newQuarter()
    const { clock, follower } = followerAt(quarter)
    await follower.mayGetMore()
    clock.seconds = 50
    follower.gotSome()
    await follower.mayGetMore()
    clock.seconds = 100
    expect(await follower.mayGetMore()).toBe(true)
    const claim = await claimWork(other, 'embed', { quarter })
    clock.seconds = 1000
    expect(await follower.mayGetMore()).toBe(true)
    if (claim !== undefined) await other`update work set lease_by = null, lease_until = null where quarter = ${quarter}`
    expect(await follower.mayGetMore()).toBe(true)
    clock.seconds = 1060
    await expect(follower.mayGetMore()).rejects.toThrow(/nobody/)
  })

  it.each([
    {
      who: 'a living process of this machine',
      worker: workerName,
      started: "now() - interval '5 hours'",
      waits: true,
    },
    { who: 'a dead one', worker: workerName.replace(/\d+\/\d+$/, '4194303/1'), started: 'now()', waits: false },
    { who: 'one elsewhere that may be opening its model', worker: 'elsewhere/1/1/1', started: 'now()', waits: true },
    {
      who: 'one elsewhere that should have begun long ago',
      worker: 'elsewhere/1/1/1',
      started: "now() - interval '11 minutes'",
      waits: false,
    },
  ])('takes a run without leases for somebody who is at it: $who: $waits', async ({ worker, started, waits }) => {
    const quarter = await newQuarter()
    await startRun(quarter, worker, started)
    const { clock, follower } = followerAt(quarter)
    await follower.mayGetMore()
    clock.seconds = 100
    const patient = follower.mayGetMore()
    if (waits) expect(await patient).toBe(true)
    else await expect(patient).rejects.toThrow(/nobody/)
  })

  it('does not end before a run of the step before has, since that may still take back what is done', async () => {
    const quarter = await newQuarter()
    await sql`update work set state = 'done' where quarter = ${quarter}`
    const { clock, follower } = followerAt(quarter)
    // Both were started together, and this one was quicker.
    expect(await follower.mayGetMore()).toBe(true)
    await startRun(quarter, workerName)
    clock.seconds = 1000
    expect(await follower.mayGetMore()).toBe(true)
    await sql`update runs set outcome = 'done', finished_at = now() where quarter = ${quarter}`
    expect(await follower.mayGetMore()).toBe(false)
    // The other one was quicker, and has ended already.
    expect(await followerAt(quarter).follower.mayGetMore()).toBe(false)
  })

  it('ends after three seconds where all is done and nobody begins', async () => {
    const quarter = await newQuarter()
    await sql`update work set state = 'done' where quarter = ${quarter}`
    const { clock, follower } = followerAt(quarter)
    expect(await follower.mayGetMore()).toBe(true)
    clock.seconds = 3
    expect(await follower.mayGetMore()).toBe(false)
  })

  it('waits, as the second of two, for all steps before it', async () => {
    const quarter = await newQuarter()
    const clock = { seconds: 0 }
    const names = openFollower(
      sql,
      'name-topics',
      ['embed', 'cluster-firm'],
      { quarter, firmId: 'A' },
      () => clock.seconds * 1000,
    )
    await embedFirm(quarter, 'A')
    clock.seconds = 10
    expect(await names.mayGetMore()).toBe(true)
    const claim = await claimWork(sql, 'cluster-firm', { quarter, firmId: 'A' })
    if (claim === undefined) throw new Error('no claim')
    await finish(claim)
    expect(await names.mayGetMore()).toBe(false) // the other firms are none of its business
  })
})

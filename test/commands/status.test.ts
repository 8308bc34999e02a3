// status where several are at work: who has which firms in hand, by the real command, on both databases.
// What it says of steps that nobody is at is in pipeline.test.ts.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { claimWork } from '../../lib/db/work.ts'
import { workerName } from '../../lib/worker-name.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { type Options, succeed } from '../run.ts'

const QUARTER = '2017Q3'
const FIRMS = ['ACME', 'BOLT', 'CRANE', 'DRILL', 'EARTH']
const CALLS = JSON.stringify(
  FIRMS.map(symbol => ({
    ...{ symbol, quarter: 3, year: 2017, date: '2017-08-01' },
    content: `Anna Meier: ${symbol} sold more anvils in Ohio than ever before.`,
  })),
)
const ELSEWHERE = 'spot-7/4026531836/1234/5678'
// Of this machine, with a number that is more than any kernel gives out.
const DEAD = `${workerName.split('/').slice(0, 2).join('/')}/4194305/1`

onBothServers('status', start => {
  let options: Options
  let sql: Database
  beforeAll(async () => {
    const server = await start()
    options = optionsFor(server)
    sql = await connect(server.settings)
    await migrate(sql)
    await succeed(['ingest', '-', '--quarter', QUARTER], { ...options, stdin: CALLS })
  }, 100_000)
  afterAll(() => disconnect(sql))

  /** Takes the embedding of a firm in hand, as if by that process. */
  async function take(firmId: string, worker: string, seconds = 45): Promise<void> {
    const claim = await claimWork(sql, 'embed', { quarter: QUARTER, firmId })
    if (claim === undefined) throw new Error(`no claim on ${firmId}`)
    await sql`
      update work set lease_by = ${worker}, lease_until = now() + make_interval(secs => ${seconds})
      where stage = 'embed' and firm_id = ${firmId}`
  }

  it('says who has which firms in hand, and nothing of processes that are gone and leases that ran out', async () => {
    expect(await succeed(['status'], options)).not.toContain('In hand')
    await take('DRILL', workerName)
    await take('ACME', workerName)
    await take('BOLT', ELSEWHERE)
    await take('CRANE', DEAD)
    await take('EARTH', ELSEWHERE, -1)
    const said = await succeed(['status'], options)
    expect(said.split('\n').filter(line => line.startsWith('In hand'))).toEqual([
      `In hand (embed, ${workerName}): ACME, DRILL`,
      `In hand (embed, ${ELSEWHERE}): BOLT`,
    ])
    expect(said).toMatch(/^embed +in hand /m)
    expect(said).toMatch(/^cluster-firm +pending /m)
    const { quarters } = JSON.parse(await succeed(['status', '--quarter', QUARTER, '--json'], options))
    const hand = { stage: 'embed', secondsLeft: expect.any(Number) }
    expect(quarters[0].inHand).toEqual([
      { ...hand, firmId: 'ACME', worker: workerName },
      { ...hand, firmId: 'BOLT', worker: ELSEWHERE },
      { ...hand, firmId: 'DRILL', worker: workerName },
    ])
    for (const { secondsLeft } of quarters[0].inHand) expect(secondsLeft).toBeLessThanOrEqual(45)
  }, 60_000)
})

// How many firm-quarters one, two, four and eight processes claim and finish in a second when each takes a while to compute:
// they know nothing of one another and ask the database only. Every firm has to be done exactly once.

import type { Database } from '../../lib/db/connect.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { transaction } from '../../lib/db/transaction.ts'
import { firmChanged } from '../../lib/db/work.ts'
import { say } from '../../lib/log.ts'
import type { TestServer } from '../db/servers.ts'
import type { WorkerSettings } from './database-worker.ts'
import { type Peer, startOwn } from './peers.ts'

export type ClaimRow = { processes: number; firms: number; seconds: number }

const QUARTER = '1998Q3'
const PROCESSES = [1, 2, 4, 8]
const FIRMS = 240
// What a firm-quarter takes a large model on a slow processor, or a small one on a quick one: it is only waited for.
export const WORK_MILLISECONDS = 60
export const SENTENCES = 100

/** In a database whose vectors have d numbers. */
export async function measureClaims(
  sql: Database,
  { home, databaseUrl }: TestServer['settings'],
  d: number,
  scratch: string,
): Promise<ClaimRow[]> {
  const settings: WorkerSettings = { home, databaseUrl, quarter: QUARTER, milliseconds: WORK_MILLISECONDS, d }
  await ensureQuarter(sql, QUARTER)
  const rows: ClaimRow[] = []
  for (const processes of PROCESSES) {
    await sql`delete from work where quarter = ${QUARTER}`
    await sql`truncate sentence_vectors_1998q3`
    await transaction(sql, async tx => {
      for (let firm = 0; firm < FIRMS; firm++) await firmChanged(tx, QUARTER, `M${firm}`, SENTENCES)
    })
    await sql`analyze work`
    const peers = await Promise.all(
      Array.from({ length: processes }, () => startOwn('database-worker.ts', scratch, JSON.stringify(settings))),
    )
    try {
      const start = performance.now()
      const answers = await Promise.all(peers.map((peer: Peer) => peer.ask<{ firms: number }>({})))
      const seconds = (performance.now() - start) / 1000
      await requireOnce(
        sql,
        answers.reduce((sum, { firms }) => sum + firms, 0),
      )
      say(`bench: ${processes} processes: ${(FIRMS / seconds).toFixed(1)} firm-quarters a second`)
      rows.push({ processes, firms: FIRMS, seconds })
    } finally {
      for (const peer of peers) peer.stop()
    }
  }
  return rows
}

async function requireOnce(sql: Database, told: number): Promise<void> {
  const [{ done, vectors }] = await sql<{ done: number; vectors: number }[]>`
    select
      (select count(*)::int from work where quarter = ${QUARTER} and stage = 'embed' and state = 'done' and attempt = 1) as done,
      (select count(*)::int from sentence_vectors where quarter = ${QUARTER}) as vectors`
  if (told !== FIRMS || done !== FIRMS || vectors !== FIRMS * SENTENCES)
    throw new Error(`${FIRMS} firms to do: ${told} told, ${done} done at the first attempt, ${vectors} vectors`)
}

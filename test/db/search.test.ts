// Searching with a filter on a server: a firm's sentences are a few among many, and all that are asked for are found, the
// nearest first, though the vector index would give up on the way to them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexQuarter } from '../../commands/build-index.ts'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { nearestSentences } from '../../lib/db/search.ts'
import { DIMENSIONS, makeVectors } from '../made-vectors.ts'
import { hasRealServer, type RealServer, realServer } from './servers.ts'

const QUARTER = '2001Q1'
const SENTENCES = 5000
const FEW = 50
const QUERY = Float32Array.from({ length: DIMENSIONS }, (_, i) => (i === 0 ? 1 : 0))

describe.skipIf(!hasRealServer)('searching among the sentences', () => {
  let server: RealServer
  let sql: Database
  beforeAll(async () => {
    server = await realServer()
    sql = await connect(server.settings)
    await migrate(sql)
    await makeVectors(sql, QUARTER, SENTENCES)
    await sql`insert into firms (firm_id) values ('FEW')`
    await sql`
      update sentence_vectors set firm_id = 'FEW' where sentence_id % ${SENTENCES / FEW} = 0`
    await sql`
      insert into sentences (quarter, sentence_id, call_id, firm_id, position, text)
      select v.quarter, sentence_id, call_id, v.firm_id, 0, 'made' from sentence_vectors v join calls using (quarter)`
    await indexQuarter(sql, { quarter: QUARTER, server: server.settings })
    // As among millions: the vector index looks cheap beside sorting, and has little room to remember what it looked at.
    await sql`set enable_sort = off`
    await sql`set work_mem = '64kB'`
  }, 60_000)
  afterAll(async () => {
    await disconnect(sql)
    await server.stop()
  })

  it('finds all sentences of a firm that has few', async () => {
    const hits = await nearestSentences(sql, QUERY, { quarter: QUARTER, firmId: 'FEW' }, { limit: FEW })
    const exact = await sql<{ id: string }[]>`
      select sentence_id::text as id from sentence_vectors where firm_id = 'FEW'
      order by 0 + (embedding <=> ${`[${QUERY}]`}), sentence_id`
    expect(exact.length).toBe(FEW)
    expect(hits).toEqual(exact.map(row => row.id))
  })
})

// One of several processes that share a quarter's work, as embed does: claims a firm-quarter, pretends to compute, and finishes
// it with its vectors in one transaction, until nothing is left. Answers each line with the firms that it did.
// Which database, and how long it computes, come as JSON; database-claims.ts starts it.

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../../lib/db/connect.ts'
import { replaceSentenceVectors } from '../../lib/db/vectors.ts'
import { claimWork, finishWork } from '../../lib/db/work.ts'

export type WorkerSettings = {
  home: string
  databaseUrl?: string | undefined
  quarter: string
  milliseconds: number
  d: number
}

const settings: WorkerSettings = JSON.parse(process.argv[2])
const { home, databaseUrl, quarter, milliseconds, d } = settings
const sql = await connect({ home, databaseUrl })

process.stdout.write(`${JSON.stringify({ versions: '' })}\n`)
for await (const _ of createInterface({ input: process.stdin })) {
  let firms = 0
  for (;;) {
    const claim = await claimWork(sql, 'embed', { quarter })
    if (claim === undefined) break
    await sleep(milliseconds)
    const first = BigInt(claim.firmId.slice(1)) * BigInt(claim.units)
    const sentenceIds = Array.from({ length: claim.units }, (_, i) => first + BigInt(i))
    const vectors = new Float32Array(claim.units * d).fill(0.5)
    const firm = { firmId: claim.firmId, sentenceIds, vectors }
    if (await finishWork(sql, claim, 'bench', tx => replaceSentenceVectors(tx, quarter, [firm], d))) firms++
  }
  process.stdout.write(`${JSON.stringify({ firms })}\n`)
}
await sql.end()

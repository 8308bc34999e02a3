// The nearest earlier sentence of each sentence of a quarter, beside numpy's `(A @ B.T).argmax(1)` on the same vectors, one thread
// each. Reading the database, and what is made of the answer, are no part of it.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../../lib/db/connect.ts'
import { comparisons } from '../../lib/db/novelty.ts'
import { decodeVectorInto } from '../../lib/db/vector-format.ts'
import { nearestOf } from '../../lib/math/nearest-earlier.ts'
import { root } from '../run.ts'
import { hasPython } from '../tables/python.ts'

export type NearestReport = {
  firms: number
  sentences: number
  ours: number
  /** Undefined where the tests' Python is not set up. */
  numpy: number | undefined
  /** Share of the sentences for which both name the same earlier one; equal sentences may be named by another of them. */
  same: number
}

export async function measureNearest(
  sql: Database,
  quarter: string,
  d: number,
  scratch: string,
): Promise<NearestReport> {
  const calls: { n: number; m: number; vectors: Float32Array }[] = []
  for (const [firmId, earlier] of await comparisons(sql, { quarter })) {
    if (earlier === null) continue
    const rows = await sql<{ isNow: boolean; bytes: Buffer }[]>`
      select quarter = ${quarter} as "isNow", vector_send(embedding) as bytes from sentence_vectors
      where firm_id = ${firmId} and quarter in (${quarter}, ${earlier.quarter}) order by quarter desc, sentence_id`
    const vectors = new Float32Array(rows.length * d)
    for (const [i, row] of rows.entries()) decodeVectorInto(row.bytes, vectors, i * d)
    const n = rows.filter(row => row.isNow).length
    calls.push({ n, m: rows.length - n, vectors })
  }
  const answers: number[] = []
  const start = performance.now()
  for (const { n, m, vectors } of calls)
    answers.push(...nearestOf(vectors.subarray(0, n * d), n, vectors.subarray(n * d), m, d).indices)
  const ours = (performance.now() - start) / 1000
  const report = { firms: calls.length, sentences: answers.length, ours, numpy: undefined, same: 1 }
  if (!hasPython) return report
  const files = ['vectors', 'sizes', 'answers'].map(name => join(scratch, `nearest-${name}`))
  writeFileSync(files[0], Buffer.concat(calls.map(({ vectors }) => Buffer.from(vectors.buffer))))
  writeFileSync(files[1], JSON.stringify(calls.map(({ n, m }) => [n, m])))
  const env = { ...process.env, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1' }
  const words = [join(root, 'test/bench/novelty_peer.py'), ...files, String(d)]
  const { seconds } = JSON.parse(execFileSync(join(root, '.venv/bin/python'), words, { env, encoding: 'utf8' }))
  const bytes = readFileSync(files[2])
  const theirs = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return { ...report, numpy: seconds, same: answers.filter((j, i) => j === theirs[i]).length / answers.length }
}

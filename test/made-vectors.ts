// Quarters of made embeddings, large enough that building an index takes seconds and can be disturbed; no sentence has a text.

import type { Database } from '../lib/db/connect.ts'
import { copyRows } from '../lib/db/copy.ts'
import { ensureQuarter } from '../lib/db/quarters.ts'
import { indexDropped } from '../lib/db/work.ts'
import { createRandom } from '../lib/math/random.ts'

export const DIMENSIONS = 64
// What the embedded database takes in one COPY, with room to spare.
const ROWS_AT_ONCE = 10_000

/** A quarter with one firm and `n` embeddings, of which nothing but `index` is left to do. */
export async function makeVectors(sql: Database, quarter: string, n: number, d = DIMENSIONS): Promise<void> {
  await ensureQuarter(sql, quarter)
  // As the first `embed` does it; without a number of dimensions there is no index.
  await sql.unsafe(`alter table sentence_vectors alter column embedding type vector(${d})`)
  await sql`insert into firms (firm_id) values ('MADE') on conflict do nothing`
  await sql`
    insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences)
    values (hashtext(${quarter})::bigint + 2147483648, 'MADE', ${quarter}, 'made', 'made', ${quarter}, ${n})`
  const random = createRandom(n)
  function* rows(from: number, to: number): Generator<unknown[]> {
    for (let i = from; i < to; i++) {
      const vector = Float32Array.from({ length: d }, () => random.next() - 0.5)
      const length = Math.hypot(...vector)
      yield [quarter, BigInt(i), 'MADE', vector.map(value => value / length)]
    }
  }
  for (let from = 0; from < n; from += ROWS_AT_ONCE)
    await copyRows(
      sql,
      'sentence_vectors',
      [
        { name: 'quarter', type: 'text' },
        { name: 'sentence_id', type: 'int8' },
        { name: 'firm_id', type: 'text' },
        { name: 'embedding', type: 'vector' },
      ],
      rows(from, Math.min(n, from + ROWS_AT_ONCE)),
    )
  await indexDropped(sql, quarter)
}

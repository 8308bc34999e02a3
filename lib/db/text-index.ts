// The full-text index of a quarter's sentences, built beside the vector index: 40 to 60 bytes a sentence, and a second for 43,211
// of them on the embedded database, where the vector index takes half a minute.
// Postgres itself keeps it right; without one every sentence is read for each word.

import type { Queries } from './connect.ts'
import { partitionName } from './quarters.ts'

export function textIndexName(quarter: string): string {
  return `${partitionName('sentences', quarter)}_words`
}

/**
 * No list of what is still to be entered (fastupdate): every search would have to read it, and nobody vacuums the embedded
 * database. No statistics: `search` asks for words the planner does not know beforehand, and `analyze` would read 30,000
 * sentences anew for them.
 */
export async function createTextIndex(tx: Queries, quarter: string): Promise<void> {
  const name = textIndexName(quarter)
  await tx`
    create index ${tx(name)} on ${tx(partitionName('sentences', quarter))}
    using gin (to_tsvector('english', text)) with (fastupdate = off)`
  await tx`alter index ${tx(name)} alter column 1 set statistics 0`
}

/** Quarters, of those given, whose words are searched without an index. */
export async function quartersWithoutTextIndex(sql: Queries, quarters: readonly string[]): Promise<string[]> {
  const rows = await sql<{ quarter: string }[]>`
    select quarter from unnest(${[...quarters]}::text[], ${quarters.map(textIndexName)}::text[]) as part (quarter, name)
    where not exists (select from pg_index where indexrelid = to_regclass(name) and indisvalid)
    order by quarter`
  return rows.map(row => row.quarter)
}

// Partitions: the three large tables have one part a quarter, made when the quarter is first written.

import type { Database, Queries } from './connect.ts'

const PARTITIONED = ['sentences', 'sentence_vectors', 'topic_sentences'] as const
type Partitioned = (typeof PARTITIONED)[number]

/** `partitionName('sentence_vectors', '2016Q4')` → sentence_vectors_2016q4 */
export function partitionName(table: Partitioned, quarter: string): string {
  return `${table}_${quarter.toLowerCase()}`
}

/** Makes the partitions of a quarter where they are missing. */
export async function ensureQuarter(sql: Database, quarter: string): Promise<void> {
  const [{ there }] = await sql<{ there: number }[]>`
    select count(*)::int as there
    from unnest(${PARTITIONED.map(table => partitionName(table, quarter))}::text[]) as name
    where to_regclass(name) is not null`
  if (there === PARTITIONED.length) return
  await sql.begin(async tx => {
    // Two processes that start a quarter at once: `if not exists` alone still collides in the catalog.
    await tx`select pg_advisory_xact_lock(hashtext(${`quarter ${quarter}`}))`
    for (const table of PARTITIONED) {
      await tx`
        create table if not exists ${tx(partitionName(table, quarter))}
        partition of ${tx(table)} for values in (${tx.unsafe(`'${checked(quarter)}'`)})`
    }
  })
}

// A partition bound must be a literal, so the quarter is checked here although its reader has checked it before.
function checked(quarter: string): string {
  if (!/^\d{4}Q[1-4]$/.test(quarter)) throw new Error(`not a quarter: ${quarter}`)
  return quarter
}

/** Tells the planner what has been loaded: autovacuum does so later on a server, and never on the embedded database. */
export async function analyzeQuarter(sql: Database, quarter: string): Promise<void> {
  await sql`analyze work`
  await sql`analyze ${sql(partitionName('sentences', quarter))}`
}

/** Quarters that have calls, oldest first. */
export async function quartersInDatabase(sql: Queries): Promise<string[]> {
  const rows = await sql<{ quarter: string }[]>`select distinct quarter from calls order by quarter`
  return rows.map(row => row.quarter)
}

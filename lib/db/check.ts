// Looks whether a database keeps what sql/ and the steps promise (check-list.ts): one query a promise and quarter, reading
// only, in a snapshot a quarter, so that others may go on working meanwhile. Nothing is mended here: each finding comes with
// the command that mends it.

import { INVARIANTS_OF_A_QUARTER, INVARIANTS_OF_ALL, type Invariant } from './check-list.ts'
import type { Database, Queries } from './connect.ts'
import { PARTITIONED } from './quarters.ts'

export type Finding = {
  /** Null for what holds for the database as a whole. */
  quarter: string | null
  title: string
  /** How many rows were looked at. */
  rows: number
  broken: number
  /** Ids of the first few that break it. */
  examples: string[]
  /** What to type, where any does. */
  mend: string | null
}

/** How many queries `check` will run over so many quarters. */
export function checksOver(quarters: number): number {
  return INVARIANTS_OF_ALL.length + quarters * INVARIANTS_OF_A_QUARTER.length
}

/** Checks these quarters, and what holds for the database as a whole; `onCheck` hears of each check that is done. */
export async function check(
  sql: Database,
  quarters: readonly string[],
  onCheck: (quarter: string | null) => void = () => {},
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const quarter of [null, ...quarters]) {
    // Every query of a quarter sees the same moment: between two of them a firm may be clustered anew. Not one transaction for
    // all quarters, since the embedded database serves nobody else meanwhile, and a server keeps what was deleted since.
    await sql.begin('isolation level repeatable read read only', async tx => {
      // Before the first select, which fixes the moment: a partition that is dropped or truncated is gone from every moment at
      // once, and the calls of its quarter would be seen without their sentences.
      for (const table of PARTITIONED) await tx`lock table ${tx(table)} in access share mode`
      for await (const finding of findingsOf(tx, quarter)) {
        findings.push(finding)
        onCheck(quarter)
      }
    })
  }
  return findings
}

/** What a quarter looks like at this moment; null: what holds for the database as a whole. */
export async function* findingsOf(tx: Queries, quarter: string | null): AsyncGenerator<Finding> {
  for (const invariant of quarter === null ? INVARIANTS_OF_ALL : INVARIANTS_OF_A_QUARTER)
    yield await finding(tx, invariant, quarter)
}

// Three show whether it is one firm or all; the statement for the others can be read in check-list.ts.
const EXAMPLES = 3

async function finding(tx: Queries, { title, look, mend }: Invariant, quarter: string | null): Promise<Finding> {
  const [{ firms, ...found }] = await tx<(Pick<Finding, 'rows' | 'broken' | 'examples'> & { firms: string[] })[]>`
    select count(*)::int as rows, count(*) filter (where broken)::int as broken,
      coalesce((array_agg(id order by id) filter (where broken))[1:${EXAMPLES}], '{}') as examples,
      coalesce((array_agg(distinct coalesce(firm, '*')) filter (where broken))[1:2], '{}') as firms
    from (${look(tx, quarter ?? '')}) as looked_at`
  return { quarter, title, ...found, mend: found.broken === 0 ? null : whatToType(mend, quarter, firms) }
}

function whatToType(mend: Invariant['mend'], quarter: string | null, firms: readonly string[]): string {
  const where = `--quarter ${quarter}`
  if (typeof mend === 'object') return mend.type.replace('QUARTER', quarter ?? '')
  if (mend === 'drop-quarter') return `quarterdeck drop-quarter ${where} --yes, then ingest what belongs there`
  // One firm is sooner done than all; what comes after is stale then, and `make quarter` does it.
  const whose = firms.length === 1 && firms[0] !== '*' ? ` --firm ${quoted(firms[0])}` : ''
  return mend === 'ingest'
    ? `quarterdeck ingest PATH ${where}${whose} --force`
    : `quarterdeck ${mend} ${where}${mend === 'aggregate' || mend === 'index' ? '' : whose} --force`
}

/** A word of a command line: some firms are called `Marks & Spencer` for want of a ticker. */
function quoted(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

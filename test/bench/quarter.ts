// A whole quarter from nothing in a scratch home, by the real commands, and BERTopic on a sample of the same firms.
// How things are measured is in steps.ts and firms.ts, how they are shown in quarter-report.ts.

import { readdirSync, statSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { withDatabase } from '../../lib/db/open.ts'
import { say } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { STEPS, succeed } from '../run.ts'
import { compare, readSample } from './firms.ts'
import type { QuarterReport } from './quarter-report.ts'
import { type MeasuredStep, measureStep } from './steps.ts'

/** A quarter, the transcripts it is made of, and where they came from, in words. */
export type Data = { quarter: string; transcripts: string; source: string }

export async function measureQuarter(
  { quarter, transcripts, source }: Data,
  home: string,
  scratch: string,
  peerFirms: number,
): Promise<QuarterReport> {
  const [loadAtStart] = loadavg()
  const verbs = [...STEPS, 'themes']
  const first = await runSteps(verbs, quarter, transcripts, home, 'from nothing')
  const again = await runSteps(verbs, quarter, transcripts, home, 'again')
  const counts = await countsOf(quarter, home)
  const comparison = await withDatabase(readSettings({ QUARTERDECK_HOME: home }), async sql =>
    compare(sql, quarter, await readSample(sql, quarter, peerFirms), scratch),
  )
  return { source, first, again, counts, comparison, loadAtStart, loadAtEnd: loadavg()[0] }
}

export async function runSteps(
  verbs: readonly string[],
  quarter: string,
  transcripts: string,
  home: string,
  which: string,
): Promise<MeasuredStep[]> {
  const steps: MeasuredStep[] = []
  for (const verb of verbs) {
    const words = [verb, ...(verb === 'ingest' ? [transcripts] : []), '--quarter', quarter]
    const step = await measureStep(home, words)
    say(`bench: ${verb}, ${which}: ${step.seconds.toFixed(2)} s`)
    steps.push(step)
  }
  return steps
}

// umap-learn wants more sentences than 10 dimensions and one eigenvector more, which say nothing.
const FEWEST_SENTENCES_OF_BERTOPIC = 12

/** What came out, and how large the database is. */
async function countsOf(quarter: string, home: string): Promise<QuarterReport['counts']> {
  const statement = `
    select
      (select count(distinct firm_id)::int from calls where quarter = '${quarter}') as firms,
      (select count(*)::int from sentences where quarter = '${quarter}') as sentences,
      (select count(*)::int from sentences where quarter = '${quarter}' and talk is null) as clustered,
      (select count(*)::int from
        (select 1 from sentences where quarter = '${quarter}' and talk is null
         group by firm_id having count(*) >= ${FEWEST_SENTENCES_OF_BERTOPIC}) as large) as "firmsForPeer",
      (select count(*)::int from topics where quarter = '${quarter}') as topics,
      (select count(*)::int from themes where quarter = '${quarter}') as themes,
      pg_database_size(current_database())::float8 as "databaseBytes"`
  const [row] = JSON.parse(await succeed(['sql', statement, '--json'], { home }))
  return { ...row, folderBytes: sizeOfFolder(home) }
}

function sizeOfFolder(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size
  return bytes
}

// npm run bench: a whole quarter from nothing in a scratch home, by the real commands, and BERTopic on a sample of the same firms.
// Prints the part of docs/benchmarks.md between its markers; with --write puts it there. How things are measured is in steps.ts
// and firms.ts, how they are shown in report.ts.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { say } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { root, STEPS, sample as shippedSample, succeed } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { compare, readSample } from './firms.ts'
import { type QuarterReport, report } from './report.ts'
import { type MeasuredStep, measureStep } from './steps.ts'

const PAGE = join(root, 'docs/benchmarks.md')
const BEGIN = '<!-- bench:quarter -->'
const END = '<!-- /bench:quarter -->'

const { values } = parseArgs({
  options: {
    quarter: { type: 'string', default: '2016Q3' },
    transcripts: { type: 'string' },
    // Twenty firms with two seeds are about a quarter of a minute of BERTopic, and their median no longer moves much.
    'peer-firms': { type: 'string', default: '20' },
    write: { type: 'boolean', default: false },
  },
})

const peerFirms = Number(values['peer-firms'])
// The first only warms up.
if (!(Number.isInteger(peerFirms) && peerFirms >= 2))
  throw new Error(`--peer-firms is ${values['peer-firms']}; it must be a whole number of at least 2`)

const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-bench-'))
const home = join(scratch, 'home')
mkdirSync(home)
try {
  const page = values.write ? pageAroundMarkers() : undefined // what is wrong with it is said before minutes of measuring
  const text = report(await measure())
  process.stdout.write(`${text}\n`)
  if (page !== undefined) writeFileSync(PAGE, `${page.before}\n${text}\n${page.after}`)
} finally {
  await stopDatabase(home)
  rmSync(scratch, { recursive: true, force: true })
}

async function measure(): Promise<QuarterReport> {
  const loadAtStart = loadavg()
  const { quarter, transcripts, source } = findData()
  const first = await runAll(quarter, transcripts, 'from nothing')
  const again = await runAll(quarter, transcripts, 'again')
  const counts = await countsOf(quarter)
  const settings = readSettings({ QUARTERDECK_HOME: home })
  const comparison = await withDatabase(settings, async sql =>
    compare(sql, quarter, await readSample(sql, quarter, peerFirms), scratch),
  )
  return { quarter, source, first, again, counts, comparison, loadAtStart, loadAtEnd: loadavg() }
}

/** The quarter to measure on: what was asked for, the archive beside the checkout, or the sample that ships. */
function findData(): { quarter: string; transcripts: string; source: string } {
  const { quarter, transcripts } = values
  if (transcripts !== undefined) return { quarter, transcripts, source: 'transcripts of your own' }
  const archive = sharedFolder('maec', `${quarter}.tar.gz`)
  if (archive !== undefined) {
    const folder = join(scratch, 'transcripts')
    mkdirSync(folder)
    execFileSync('tar', ['-xzf', archive, '-C', folder])
    return { quarter, transcripts: folder, source: `${quarter} of MAEC, ../shared/maec/${quarter}.tar.gz` }
  }
  const shipped = existsSync(shippedSample(quarter)) ? quarter : '2016Q4'
  const reason = shipped === quarter ? '' : `; ${quarter} was not found beside the repository`
  return { quarter: shipped, transcripts: shippedSample(shipped), source: `the sample ${shipped} that ships${reason}` }
}

async function runAll(quarter: string, transcripts: string, which: string): Promise<MeasuredStep[]> {
  const steps: MeasuredStep[] = []
  for (const verb of [...STEPS, 'themes']) {
    const words = [verb, ...(verb === 'ingest' ? [transcripts] : []), '--quarter', quarter]
    const step = await measureStep(home, words)
    say(`bench: ${verb}, ${which}: ${step.seconds.toFixed(2)} s`)
    steps.push(step)
  }
  return steps
}

/** What came out, and how large the database is. */
async function countsOf(quarter: string): Promise<QuarterReport['counts']> {
  const statement = `
    select
      (select count(distinct firm_id)::int from calls where quarter = '${quarter}') as firms,
      (select count(*)::int from sentences where quarter = '${quarter}') as sentences,
      (select count(*)::int from sentences where quarter = '${quarter}' and talk is null) as clustered,
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

function pageAroundMarkers(): { before: string; after: string } {
  const page = readFileSync(PAGE, 'utf8')
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no ${BEGIN} … ${END} to write between`)
  return { before: page.slice(0, begin + BEGIN.length), after: page.slice(end) }
}

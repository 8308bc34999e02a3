// npm run bench: a whole quarter beside BERTopic (quarter.ts) and the engine alone beside others (cluster.ts), or one of
// the two. Prints the parts of docs/benchmarks.md between its markers; with --write puts them there.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { root, sample as shippedSample } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { measureClustering } from './cluster.ts'
import { reportCluster } from './cluster-report.ts'
import { type Data, measureQuarter, runSteps } from './quarter.ts'
import { reportQuarter } from './quarter-report.ts'

const PAGE = join(root, 'docs/benchmarks.md')
const PARTS = ['quarter', 'cluster'] as const
type Part = (typeof PARTS)[number]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quarter: { type: 'string', default: '2016Q3' },
    transcripts: { type: 'string' },
    // With twenty, one firm moves the noise of the sample by two points in a hundred; sixty take BERTopic half a minute more.
    'peer-firms': { type: 'string', default: '60' },
    write: { type: 'boolean', default: false },
  },
})

const unknown = positionals.find(word => !PARTS.some(part => part === word))
if (unknown !== undefined) throw new Error(`${unknown} is no part of the bench; its parts are ${PARTS.join(' and ')}`)
const wanted = PARTS.filter(part => positionals.length === 0 || positionals.includes(part))
const peerFirms = Number(values['peer-firms'])
// The first only warms up.
if (!(Number.isInteger(peerFirms) && peerFirms >= 2))
  throw new Error(`--peer-firms is ${values['peer-firms']}; it must be a whole number of at least 2`)
// What is wrong with the page is said before minutes of measuring.
if (values.write) for (const part of wanted) pageWith(part, '')

const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-bench-'))
const home = join(scratch, 'home')
mkdirSync(home)
try {
  const data = findData()
  for (const part of wanted) {
    const text = await measure(part, data)
    process.stdout.write(`${text}\n\n`)
    if (values.write) writeFileSync(PAGE, pageWith(part, `\n${text}\n`))
  }
} finally {
  await stopDatabase(home)
  rmSync(scratch, { recursive: true, force: true })
}

async function measure(part: Part, data: Data): Promise<string> {
  if (part === 'quarter') return reportQuarter(await measureQuarter(data, home, scratch, peerFirms))
  if (!wanted.includes('quarter')) await runSteps(['ingest', 'embed'], data.quarter, data.transcripts, home, 'to begin')
  return withDatabase(readSettings({ QUARTERDECK_HOME: home }), async sql =>
    reportCluster(await measureClustering(sql, data, scratch)),
  )
}

/** The quarter to measure on: what was asked for, the archive beside the checkout, or the sample that ships. */
function findData(): Data {
  const { quarter, transcripts } = values
  if (transcripts !== undefined) return { quarter, transcripts, source: `${quarter}, transcripts of your own` }
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

/** The page with this text between the marks of a part. */
function pageWith(part: Part, text: string): string {
  const page = readFileSync(PAGE, 'utf8')
  const [begin, end] = [`<!-- bench:${part} -->`, `<!-- /bench:${part} -->`]
  const start = page.indexOf(begin)
  const stop = page.indexOf(end)
  if (start < 0 || stop < start) throw new Error(`${PAGE} has no ${begin} … ${end} to write between`)
  return page.slice(0, start + begin.length) + text + page.slice(stop)
}

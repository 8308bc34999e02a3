// npm run bench: a whole quarter beside BERTopic (quarter.ts), the clustering alone (cluster.ts) and the embedding (embed.ts)
// beside others, a long run of it (embed-memory.ts), names (names.ts), themes (themes.ts), steps side by side (overlap.ts), or
// some of these parts. Prints what stands in docs/benchmarks.md between the marks of each part; with --write puts it there.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { root, sample as shippedSample } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { measureClustering } from './cluster.ts'
import { reportCluster } from './cluster-report.ts'
import { measureEmbedding } from './embed.ts'
import { measureLongRun } from './embed-memory.ts'
import { reportEmbed, reportLongRun } from './embed-report.ts'
import { readCalls } from './embed-texts.ts'
import { measureNames, reportNames } from './names.ts'
import { measureOverlap, reportOverlap } from './overlap.ts'
import { type Data, measureQuarter, runSteps } from './quarter.ts'
import { reportQuarter } from './quarter-report.ts'
import { measureThemes } from './themes.ts'
import { reportThemes } from './themes-report.ts'
import { readTopicTexts } from './themes-texts.ts'

const PAGE = join(root, 'docs/benchmarks.md')
const PARTS = ['quarter', 'cluster', 'names', 'themes', 'overlap', 'embed', 'embed-long'] as const
type Part = (typeof PARTS)[number]
/** The steps of the quarter that a part stands on; `quarter` runs all of them itself. */
const STEPS_BEFORE: Record<Part, readonly string[]> = {
  quarter: [],
  cluster: ['ingest', 'embed'],
  names: ['ingest', 'embed', 'cluster-firm'],
  themes: ['ingest', 'embed', 'cluster-firm'],
  overlap: [],
  embed: ['ingest'],
  'embed-long': ['ingest'],
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quarter: { type: 'string', default: '2016Q3' },
    transcripts: { type: 'string' },
    // With twenty, one firm moves the noise of the sample by two points in a hundred; sixty take BERTopic half a minute more.
    'peer-firms': { type: 'string', default: '60' },
    // Batches of every width are full only where many sentences are in line; with 3,000 the slowest peer takes a minute.
    'embed-sentences': { type: 'string', default: '3072' },
    // More than a real quarter of 5,000 firms would leave in one step of `embed`, and twice what the embedded database likes.
    'made-sentences': { type: 'string', default: '200000' },
    // As many as a quarter of 5,000 firms has.
    'long-sentences': { type: 'string', default: '2000000' },
    // As many as a quarter of 5,000 firms may have.
    'made-topics': { type: 'string', default: '60000' },
    write: { type: 'boolean', default: false },
  },
})

const unknown = positionals.find(word => !PARTS.some(part => part === word))
if (unknown !== undefined) throw new Error(`${unknown} is no part of the bench; its parts are ${PARTS.join(', ')}`)
const wanted = PARTS.filter(part => positionals.length === 0 || positionals.includes(part))
// The first firm only warms up, and so do the first sentences.
const peerFirms = atLeast('peer-firms', 2)
const embedSentences = atLeast('embed-sentences', 256)
const madeSentences = atLeast('made-sentences', 1000)
const longSentences = atLeast('long-sentences', 1000)
// Fewer are no test of many.
const madeTopics = atLeast('made-topics', 5000)
// What is wrong with the page is said before minutes of measuring.
if (values.write) for (const part of wanted) pageWith(part, '')

const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-bench-'))
const home = join(scratch, 'home')
const done = new Set<string>()
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
  const { quarter, source } = data
  const settings = readSettings({ QUARTERDECK_HOME: home })
  if (part === 'quarter') return reportQuarter(await measureQuarter(data, home, scratch, peerFirms))
  // On the sample that ships: large enough to be embedded in half a minute, and small enough to be done three times over.
  if (part === 'overlap') return reportOverlap(await measureOverlap(sampleData('2016Q4', ''), scratch))
  await prepare(STEPS_BEFORE[part], data)
  if (part === 'names') return reportNames(await measureNames(data, home))
  if (part === 'cluster')
    return withDatabase(settings, async sql => reportCluster(await measureClustering(sql, data, scratch)))
  const threads = availableParallelism()
  if (part === 'themes') {
    const topics = await withDatabase(settings, sql => readTopicTexts(sql, quarter))
    return reportThemes(await measureThemes({ quarter, source, topics }, madeTopics, { threads, scratch }))
  }
  const calls = await withDatabase(settings, sql => readCalls(sql, quarter))
  if (part === 'embed') {
    const sizes = { sentences: embedSentences, made: madeSentences }
    return reportEmbed(await measureEmbedding(calls, source, sizes, { threads, home, scratch }))
  }
  return reportLongRun(await measureLongRun(calls.flat(), source, { sentences: longSentences, threads, scratch }))
}

/** Runs the steps that a part needs and no part before it has run. */
async function prepare(verbs: readonly string[], { quarter, transcripts }: Data): Promise<void> {
  const missing = verbs.filter(verb => !done.has(verb) && !wanted.includes('quarter'))
  await runSteps(missing, quarter, transcripts, home, 'to begin')
  for (const verb of missing) done.add(verb)
}

function atLeast(
  name: 'peer-firms' | 'embed-sentences' | 'made-sentences' | 'long-sentences' | 'made-topics',
  least: number,
): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(`--${name} is ${values[name]}; it must be a whole number of at least ${least}`)
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
  return sampleData(shipped, reason)
}

function sampleData(quarter: string, reason: string): Data {
  return { quarter, transcripts: shippedSample(quarter), source: `the sample ${quarter} that ships${reason}` }
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

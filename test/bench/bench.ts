// npm run bench: a quarter beside BERTopic (quarter.ts), two methods beside it (methods.ts), the clustering alone (cluster.ts,
// leiden.ts), the embedding (embed.ts), the databases (database.ts), what search misses (search.ts), long runs, names, themes,
// thousands of firms (scale.ts). Prints what stands in docs/benchmarks.md between the marks of each part; --write puts it there.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { hasRealServer } from '../db/servers.ts'
import { root, sample as shippedSample } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { measureClustering } from './cluster.ts'
import { reportCluster } from './cluster-report.ts'
import { measureDatabase } from './database.ts'
import { reportDatabase } from './database-report.ts'
import { measureEmbedding } from './embed.ts'
import { measureLongRun } from './embed-memory.ts'
import { reportEmbed, reportLongRun } from './embed-report.ts'
import { readCalls } from './embed-texts.ts'
import { measureExport, reportExport } from './export.ts'
import { measureLeiden } from './leiden.ts'
import { reportLeiden } from './leiden-report.ts'
import { measureMethods } from './methods.ts'
import { reportMethods } from './methods-report.ts'
import { measureNames, reportNames } from './names.ts'
import { measureOverlap, reportOverlap } from './overlap.ts'
import { measurePage, reportPage } from './page.ts'
import { type Data, measureQuarter, runSteps } from './quarter.ts'
import { reportQuarter } from './quarter-report.ts'
import { type Kind, measureScale } from './scale.ts'
import { reportScale } from './scale-report.ts'
import { measureFinding, reportFinding } from './search.ts'
import { measureTakeHome, reportTakeHome } from './take-home.ts'
import { measureThemes } from './themes.ts'
import { reportThemes } from './themes-report.ts'
import { readTopicTexts } from './themes-texts.ts'

const PAGE = join(root, 'docs/benchmarks.md')
const PARTS = [
  'quarter',
  'cluster',
  'leiden',
  'names',
  'themes',
  'methods',
  'overlap',
  'embed',
  'embed-long',
  'database',
  'search',
  'export',
  'page',
  'take-home',
  'scale',
] as const
type Part = (typeof PARTS)[number]
/** The steps of the quarter that a part stands on; `quarter` runs all of them itself. */
const STEPS_BEFORE: Record<Part, readonly string[]> = {
  quarter: [],
  cluster: ['ingest', 'embed'],
  leiden: ['ingest', 'embed'],
  names: ['ingest', 'embed', 'cluster-firm'],
  themes: ['ingest', 'embed', 'cluster-firm'],
  methods: [],
  overlap: [],
  embed: ['ingest'],
  'embed-long': ['ingest'],
  database: ['ingest', 'embed', 'cluster-firm'],
  search: ['ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate'],
  export: [],
  page: [],
  'take-home': [],
  scale: [],
}
// An hour and more: only where it is named.
const NOT_UNASKED: readonly Part[] = ['scale']
// The server takes a quarter of 5,000 firms, and the embedded database a tenth of it in comfort.
const SIZES: Record<Kind, readonly number[]> = { server: [500, 1500, 5000], embedded: [500, 1250] }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quarter: { type: 'string', default: '2016Q3' },
    transcripts: { type: 'string' },
    // With twenty, one firm moves the noise of the sample by two points in a hundred; sixty take BERTopic half a minute more.
    'peer-firms': { type: 'string', default: '60' },
    // Three fits by BERTopic of so many, four times over, take three minutes.
    'method-firms': { type: 'string', default: '110' },
    // Batches of every width are full only where many sentences are in line; with 3,000 the slowest peer takes a minute.
    'embed-sentences': { type: 'string', default: '3072' },
    // More than a real quarter of 5,000 firms would leave in one step of `embed`, and twice what the embedded database likes.
    'made-sentences': { type: 'string', default: '200000' },
    // As many as a quarter of 5,000 firms has.
    'long-sentences': { type: 'string', default: '2000000' },
    // As many sentences.
    'export-rows': { type: 'string', default: '2000000' },
    // As many as a quarter of 5,000 firms may have.
    'made-topics': { type: 'string', default: '60000' },
    // A third of a second for psql: long enough to be timed, and a quarter of a minute for all ways in turn.
    vectors: { type: 'string', default: '50000' },
    // Of the scale: other sizes than the usual, such as 150,500; one database only; a file that keeps what is done.
    firms: { type: 'string' },
    database: { type: 'string' },
    results: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

const unknown = positionals.find(word => !PARTS.some(part => part === word))
if (unknown !== undefined) throw new Error(`${unknown} is no part of the bench; its parts are ${PARTS.join(', ')}`)
const wanted = PARTS.filter(part =>
  positionals.length === 0 ? !NOT_UNASKED.includes(part) : positionals.includes(part),
)
// The first firm only warms up, and so do the first sentences.
const peerFirms = atLeast('peer-firms', 2)
const methodFirms = atLeast('method-firms', 2)
const embedSentences = atLeast('embed-sentences', 256)
const madeSentences = atLeast('made-sentences', 1000)
const longSentences = atLeast('long-sentences', 1000)
// Fewer are no test of many.
const madeTopics = atLeast('made-topics', 5000)
const exportRows = atLeast('export-rows', 10_000)
const vectors = atLeast('vectors', 2000)
const sizes = wantedSizes()
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
  if (part === 'methods') return reportMethods(await measureMethods(methodFirms, scratch))
  if (part === 'export') return reportExport(await measureExport(exportRows, scratch))
  if (part === 'page') return reportPage(await measurePage())
  if (part === 'take-home') return reportTakeHome(await measureTakeHome(scratch))
  if (part === 'scale') return reportScale(await measureScale(data, sizes, { results: values.results, scratch }))
  await prepare(STEPS_BEFORE[part], data)
  if (part === 'names') return reportNames(await measureNames(data, home))
  if (part === 'cluster')
    return withDatabase(settings, async sql => reportCluster(await measureClustering(sql, data, scratch)))
  if (part === 'leiden')
    return withDatabase(settings, async sql => reportLeiden(await measureLeiden(sql, { quarter, source }, scratch)))
  const threads = availableParallelism()
  if (part === 'database') return reportDatabase(await measureDatabase(data, home, vectors, { threads, scratch }))
  if (part === 'search') return reportFinding(await measureFinding(data, home, threads))
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
  name:
    | 'peer-firms'
    | 'method-firms'
    | 'embed-sentences'
    | 'made-sentences'
    | 'long-sentences'
    | 'made-topics'
    | 'export-rows'
    | 'vectors',
  least: number,
): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(`--${name} is ${values[name]}; it must be a whole number of at least ${least}`)
}

/** What `scale` runs, the smallest first. */
function wantedSizes(): { kind: Kind; firms: number }[] {
  const known = (['server', 'embedded'] as const).filter(kind => hasRealServer || kind === 'embedded')
  const kinds = known.filter(kind => (values.database ?? kind) === kind)
  if (kinds.length === 0) throw new Error(`--database is ${values.database}; there is ${known.join(' and ')}`)
  const given = values.firms?.split(',').map(Number)
  if (given?.some(firms => !Number.isInteger(firms) || firms < 2))
    throw new Error(`--firms is ${values.firms}; it must be numbers of at least 2, such as 500,1500`)
  return kinds.flatMap(kind => (given ?? SIZES[kind]).toSorted((a, b) => a - b).map(firms => ({ kind, firms })))
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

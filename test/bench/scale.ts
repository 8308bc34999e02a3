// A whole quarter of thousands of firms by the real commands, on a server and on the embedded database, in several sizes, so
// that growth is seen: time, memory of the command and of the database, and the size of the database.
// The text is made in scale-text.ts, how it is shown is in scale-report.ts. An hour's run is not lost to a failure in it.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { messageOf } from '../../lib/errors.ts'
import { count, say, thousands } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { realServer } from '../db/servers.ts'
import { STEPS, succeed } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { watchDatabase } from './database-use.ts'
import type { Data } from './quarter.ts'
import { MADE_QUARTER, writeMadeFirms } from './scale-text.ts'
import { measureStep, type Used } from './steps.ts'

export type Kind = 'server' | 'embedded'
export type ScaleStep = { verb: string; seconds: number; command: Used; database: Used | undefined }

/** One size on one database. */
export type ScalePart = {
  kind: Kind
  firms: number
  sentences: number
  steps: ScaleStep[]
  /** What came out; undefined where a step failed. */
  counts: { clustered: number; topics: number; themes: number; databaseBytes: number } | undefined
  failure: string | undefined
  loadAtStart: number
  loadAtEnd: number
}

export type ScaleReport = { source: string; parts: ScalePart[] }

const COMMANDS: readonly (readonly string[])[] = [
  ...STEPS.map(verb => [verb]),
  ['search', 'memory chip prices'],
  ['status'],
]
const DROP = ['drop-quarter', '--yes']
// As much as the graph of 2,000,000 vectors takes. A server of one's own is told so by its shared buffers, a quarter of its
// memory; those of the tests' server are small, and cannot be set while it runs.
export const INDEX_MEMORY = '4GB'

/**
 * Each size on each database, smallest first. With a file for results, what is done goes there, and what is there already
 * is not done again.
 */
export async function measureScale(
  data: Data,
  wanted: readonly { kind: Kind; firms: number }[],
  { results, scratch }: { results: string | undefined; scratch: string },
): Promise<ScaleReport> {
  const parts: ScalePart[] =
    results !== undefined && existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : []
  const { calls, source } = realCalls(data, scratch)
  for (const { kind, firms } of wanted) {
    if (parts.some(part => part.kind === kind && part.firms === firms)) continue
    const folder = join(scratch, 'made-firms')
    const start = performance.now()
    const sentences = writeMadeFirms(folder, calls, firms)
    const took = ((performance.now() - start) / 1000).toFixed(0)
    say(`bench: ${count(firms, 'firm')} with ${count(sentences, 'sentence')} made in ${took} s`)
    parts.push(await measurePart(kind, firms, sentences, folder, scratch))
    rmSync(folder, { recursive: true })
    if (results !== undefined) writeFileSync(results, JSON.stringify(parts, undefined, 2))
  }
  const isWanted = (part: ScalePart) => wanted.some(one => one.kind === part.kind && one.firms === part.firms)
  return { source, parts: parts.filter(isWanted) }
}

/** The sentences of every real call at hand, as MAEC has them; all its quarters, where they lie beside the repository. */
function realCalls({ transcripts, source }: Data, scratch: string): { calls: string[][]; source: string } {
  const shared = sharedFolder('maec')
  const folder = shared === undefined ? transcripts : join(scratch, 'real')
  if (shared !== undefined) {
    mkdirSync(folder)
    for (const archive of readdirSync(shared).filter(name => name.endsWith('.tar.gz')))
      execFileSync('tar', ['-xzf', join(shared, archive), '-C', folder])
  }
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('text.txt'))
  const calls = files.sort().map(file => readFileSync(join(folder, file), 'utf8').split('\n').filter(Boolean))
  return { calls, source: shared === undefined ? source : 'MAEC, ../shared/maec' }
}

async function measurePart(
  kind: Kind,
  firms: number,
  sentences: number,
  folder: string,
  scratch: string,
): Promise<ScalePart> {
  const [loadAtStart] = loadavg()
  const { home, env, stop } = kind === 'server' ? await onServer() : onEmbedded(scratch)
  const steps: ScaleStep[] = []
  let counts: ScalePart['counts']
  let failure: string | undefined
  try {
    const run = async (words: readonly string[]) => {
      const step = await watched(home, env, [...words, '--quarter', MADE_QUARTER])
      steps.push(step)
      say(`bench: ${kind}, ${thousands(firms)} firms: ${JSON.stringify(step)}`)
    }
    for (const words of COMMANDS) await run(words[0] === 'ingest' ? [...words, folder] : words)
    counts = await countsOf(home, env)
    say(`bench: ${kind}, ${thousands(firms)} firms: ${JSON.stringify(counts)}`)
    await run(DROP)
  } catch (error) {
    // What is known so far is worth showing, and the other parts are worth running.
    failure = messageOf(error)
    say(`bench: ${kind}, ${thousands(firms)} firms: ${failure}`)
  } finally {
    await stop()
  }
  return { kind, firms, sentences, steps, counts, failure, loadAtStart, loadAtEnd: loadavg()[0] }
}

type Place = { home: string; env: Record<string, string>; stop(): Promise<void> }

async function onServer(): Promise<Place> {
  const { settings, stop } = await realServer()
  await withDatabase(
    { ...readSettings({}), ...settings },
    sql => sql`alter role current_user set maintenance_work_mem = ${sql.unsafe(`'${INDEX_MEMORY}'`)}`,
  )
  return { home: settings.home, env: { DATABASE_URL: settings.databaseUrl ?? '' }, stop }
}

function onEmbedded(scratch: string): Place {
  const home = join(scratch, 'scale')
  mkdirSync(home)
  return {
    home,
    env: {},
    async stop() {
      await stopDatabase(home)
      rmSync(home, { recursive: true })
    },
  }
}

/** The embedded database keeps its own peak (steps.ts); a server is looked at from outside. */
async function watched(home: string, env: Record<string, string>, words: readonly string[]): Promise<ScaleStep> {
  const isServer = 'DATABASE_URL' in env
  const server = isServer ? watchDatabase(postmasterOf(home)) : undefined
  try {
    const { verb, seconds, command, database } = await measureStep(home, words, env)
    return { verb, seconds, command, database: server === undefined ? database : server.end() }
  } finally {
    server?.end()
  }
}

/** Its number stands in the first line of this file as long as it runs. */
function postmasterOf(home: string): number {
  return Number(readFileSync(join(home, 'server/postmaster.pid'), 'utf8').split('\n')[0])
}

async function countsOf(home: string, env: Record<string, string>): Promise<NonNullable<ScalePart['counts']>> {
  const statement = `
    select
      (select count(*)::int from sentences where talk is null) as clustered,
      (select count(*)::int from topics) as topics,
      (select count(*)::int from themes) as themes,
      pg_database_size(current_database())::float8 as "databaseBytes"`
  const [row] = JSON.parse(await succeed(['sql', statement, '--json'], { home, env }))
  return row
}

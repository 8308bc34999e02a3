// report: what a quarter talked about, as one page to look at. The last step of `make quarter`; reads only.
// What is read is lib/db/report.ts, where topics lie on the map lib/math/map.ts, the page itself lib/page/.

import { createWriteStream } from 'node:fs'
import { lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { readReport } from '../lib/db/report.ts'
import { messageOf, UserError } from '../lib/errors.ts'
import { JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, textFlag, wholeNumberFlag } from '../lib/flags.ts'
import { beforeLeaving } from '../lib/leaving.ts'
import { count, duration, progress, say } from '../lib/log.ts'
import { MAP_RECIPE, type MapJob, mapNeighborhoods, placesOnMap } from '../lib/math/map.ts'
import { seedFrom } from '../lib/math/random.ts'
import { neighborsWherePays } from '../lib/model/nearest.ts'
import { openFile } from '../lib/open-file.ts'
import type { ReportData } from '../lib/page/report-data.ts'
import { renderPage } from '../lib/page/write-page.ts'
import { openPool } from '../lib/pool.ts'

const SEED = 42
// Three show what a topic is about; with all five the page of 2016Q3 is a fifth larger.
const SENTENCES = 3
// So many does `cluster-firm` keep.
const MOST_SENTENCES = 5
const FOLDER = 'reports'

export const command: Command = {
  verb: 'report',
  summary: 'Write a page to look at: themes, topics, firms, a map, the flow between quarters',
  about:
    'One HTML file with everything in it, which opens from the disk without a network: the themes of the quarter, what is ' +
    'new and what is gone, a map of its topics, each theme and each firm with its sentences, a search, and where every ' +
    'number comes from. An earlier report of that name is overwritten, and no other file is. Needs `aggregate`; what ' +
    '`novelty` and `lineage` have not said yet is left out. Changes nothing in the database.',
  flags: [
    QUARTER,
    { name: 'output', value: 'FILE', summary: 'The file to write', default: `${FOLDER}/QUARTER.html` },
    { name: 'open', summary: 'Open it in the browser' },
    {
      name: 'sentences',
      value: 'N',
      summary: `Sentences shown for each topic, 0 to ${MOST_SENTENCES}`,
      default: String(SENTENCES),
    },
    JSON_OUTPUT,
  ],
  examples: ['report --quarter 2024Q3 --open', 'report --quarter 2024Q3 --output ~/calls-2024Q3.html'],
  async run({ flags, settings, print }) {
    const start = performance.now()
    const quarter = quarterFlag(flags)
    const output = textFlag(flags, 'output')
    const sentences = wholeNumberFlag(flags, 'sentences', SENTENCES, 0, MOST_SENTENCES)
    const file = resolve(output ?? join(FOLDER, `${quarter}.html`))
    if (output !== undefined) await requirePlace(file)
    const data = await withDatabase(settings, sql =>
      gatherReport(sql, { quarter, sentences, threads: settings.threads }),
    )
    if (output === undefined) {
      // Only now, so that a quarter that cannot be reported leaves no empty folder.
      await mkdir(dirname(file), { recursive: true }).catch(() => {}) // what is wrong with it is said next
      await requirePlace(file)
    }
    const bytes = await writeReport({ ...data, beside: await reportsBeside(file, data.flow.quarters) }, file)
    const seconds = (performance.now() - start) / 1000
    const { themes, topics, firms } = data.counts
    say(
      `report ${quarter}: ${count(themes, 'theme')}, ${count(topics, 'topic')} and ${count(firms, 'firm')} on a page of ` +
        `${(bytes / 2 ** 20).toFixed(1)} MB, in ${duration(seconds)}`,
    )
    if (switchFlag(flags, 'open')) {
      const failure = await openFile(file)
      if (failure !== undefined)
        say(`report ${quarter}: no browser was opened (${failure}): open it yourself, here or on your own machine`)
    }
    print(switchFlag(flags, 'json') ? JSON.stringify({ quarter, file, bytes, seconds, ...data.counts }) : file)
  },
}

export type ReportOptions = {
  quarter: string
  /** For each topic. */
  sentences?: number
  /** Threads for the neighbours of many topics; one unless given. */
  threads?: number
  /** When it is made; now unless given. */
  made?: Date
}

/** Everything on the page of a quarter. The same tables give the same, but for the time. */
export async function gatherReport(
  sql: Database,
  { quarter, sentences = SENTENCES, threads = 1, made = new Date() }: ReportOptions,
): Promise<ReportData> {
  let bar = progress('report: reading', 0, 'topics')
  const stored = await readReport(sql, quarter, sentences, (more, all) => {
    if (more === 0) bar = progress('report: reading', all, 'topics')
    else bar.step(more)
  })
  bar.end()
  const { vectors, d, topics, left, provenance, ...rest } = stored
  if (rest.earlierQuarter !== null && (left.novelty > 0 || left.lineage))
    say(
      `report ${quarter}: without what is new since ${rest.earlierQuarter}, which is still to be found: ` +
        `quarterdeck ${left.novelty > 0 ? 'novelty' : 'lineage'} --quarter ${quarter}`,
    )
  const seed = seedFrom(SEED, 'map', quarter)
  const places = await drawMap({ vectors, n: topics.length, d, seed }, threads)
  // A ten-thousandth of the map is less than a dot.
  const place = (p: number) => Math.round(places[p] * 1e4) / 1e4
  return {
    ...rest,
    beside: [], // where it will lie is not known yet
    topics: topics.map((topic, i) => ({ ...topic, x: place(2 * i), y: place(2 * i + 1) })),
    provenance: {
      ...provenance,
      made: made.toISOString(),
      codeVersion: codeVersion(),
      runs: [
        ...provenance.runs,
        {
          command: 'report',
          finished: made.toISOString(),
          codeVersion: codeVersion(),
          model: provenance.embeddingModel,
          seed: SEED,
          options: { map: 'UMAP of what stands for each topic, as in aggregate', metric: 'cosine', ...MAP_RECIPE },
          counts: { topics: topics.length },
        },
      ],
    },
  }
}

// How often the worker's count is looked at; the line itself is told when it is due.
const LOOK_MILLISECONDS = 500

// In a worker: the connection has to be kept alive meanwhile. m, two cores: 2,673 topics .6 s, 10,000 1.3 s, 60,000 16 s.
async function drawMap(job: MapJob, threads: number): Promise<Float32Array> {
  const neighbors = await neighborsWherePays('report', job.n, () => mapNeighborhoods(job), threads)
  const epochsDone = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const bar = progress('report: map', MAP_RECIPE.epochs, 'epochs')
  let told = 0
  const timer = setInterval(() => {
    const done = Atomics.load(epochsDone, 0)
    bar.step(done - told)
    told = done
  }, LOOK_MILLISECONDS)
  const pool = openPool<MapJob, Float32Array>(new URL('../lib/math/map.ts', import.meta.url), placesOnMap.name, 1)
  try {
    return await pool.run({ ...job, neighbors, epochsDone })
  } finally {
    clearInterval(timer)
    bar.end()
    await pool.close()
  }
}

// How each report begins (lib/page/write-page.ts).
const MARK = /^<!doctype html>[\s\S]*<meta name="generator" content="quarterdeck\b/
const MARK_BYTES = 4096

/** Refuses, before minutes of work, a place where nothing can be written, or where something else would be lost. */
async function requirePlace(file: string): Promise<void> {
  const there = await lstat(file).catch(() => undefined)
  if (there?.isDirectory())
    throw new UserError(
      `the report cannot be written to ${file}: it is a folder`,
      `--output ${join(file, 'report.html')}`,
    )
  // A device, a pipe or a link would be replaced and not written to.
  if (there !== undefined && !there.isFile())
    throw new UserError(
      `the report cannot be written to ${file}: it is no ordinary file`,
      'give another name to --output',
    )
  if (there !== undefined && !(await isReport(file)))
    throw new UserError(
      `${file} is there and no report of quarterdeck: it is not overwritten`,
      'give another name to --output, or move it away',
    )
  const trial = unfinishedName(file)
  try {
    await (await open(trial, 'w')).close()
    await rm(trial)
  } catch (error) {
    refuseToWrite(file, error)
  }
}

/** Which of these quarters can be gone to from here: a link that leads nowhere is none. */
async function reportsBeside(file: string, quarters: readonly string[]): Promise<string[]> {
  const beside: string[] = []
  for (const quarter of quarters) {
    const other = join(dirname(file), `${quarter}.html`)
    if (other !== file && (await isReport(other))) beside.push(quarter)
  }
  return beside
}

async function isReport(file: string): Promise<boolean> {
  const handle = await open(file, 'r').catch(() => undefined)
  if (handle === undefined) return false
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MARK_BYTES), 0, MARK_BYTES, 0)
    return MARK.test(buffer.toString('utf8', 0, bytesRead))
  } finally {
    await handle.close()
  }
}

/** Beside its place, and moved there when it is whole, so that nobody opens half of one; returns its bytes. */
async function writeReport(data: ReportData, file: string): Promise<number> {
  const unfinished = unfinishedName(file)
  const remove = () => rm(unfinished, { force: true })
  const leaving = beforeLeaving(remove)
  try {
    await pipeline(Readable.from(renderPage(data)), createWriteStream(unfinished))
    await rename(unfinished, file)
    return (await stat(file)).size
  } catch (error) {
    await remove().catch(() => {})
    // What the disk refuses has a system call; all else is no fault of the place.
    if (error instanceof Error && 'syscall' in error) refuseToWrite(file, error)
    throw error
  } finally {
    leaving.forget()
  }
}

/** Two runs at once write two files, and the last one stays. */
function unfinishedName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}`)
}

function refuseToWrite(file: string, error: unknown): never {
  const folder = dirname(file)
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
  throw new UserError(
    `the report cannot be written to ${file}: ${isMissing ? `there is no folder ${folder}` : messageOf(error)}`,
    isMissing ? `make it: mkdir -p ${folder}` : `look at the folder and the disk: ls -ld ${folder}; df -h ${folder}`,
    { cause: error },
  )
}

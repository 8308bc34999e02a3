// What an export costs: made rows of sentences through each format, beside pandas writing the same rows, and the whole way from
// a database to the file, in seconds and memory. pandas has all rows in memory before it begins, as it must; reading them is
// not counted.

import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { withDatabase } from '../../lib/db/open.ts'
import { messageOf } from '../../lib/errors.ts'
import { say, thousands } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { FORMATS } from '../../lib/tables/formats.ts'
import { embeddedServer, hasRealServer, realServer, type TestServer } from '../db/servers.ts'
import { root } from '../run.ts'
import { hasPython } from '../tables/python.ts'
import { watchDatabase } from './database-use.ts'
import { FIRM_SENTENCES, fillMadeQuarter } from './export-made.ts'
import { describeMachine, table } from './markdown.ts'
import { measureStep } from './steps.ts'

type Took = { seconds: number; cpuSeconds: number; bytes: number; peak: number }
type FormatRow = { format: string; ours: Took & { peakOfFirstQuarter: number }; pandas: Took | undefined }
type FileRow = Took & { database: string; sentences: number; what: string; databaseSeconds: number | undefined }
export type ExportReport = {
  rows: number
  formats: FormatRow[]
  files: FileRow[]
  loadAtStart: number
  loadAtEnd: number
}

// Enough to see that memory stays, and pandas has all of them in memory twice.
const WRITTEN_SHARE = 4
// The embedded database is made for a tenth of a quarter of 5,000 firms.
const EMBEDDED_SHARE = 10
const FILES = [
  ['panel', 'parquet'],
  ['sentences', 'csv'],
  ['sentences', 'parquet'],
  ['sentences', 'dta'],
  ['downstream', 'json'],
] as const

export async function measureExport(rows: number, scratch: string): Promise<ExportReport> {
  const [loadAtStart] = loadavg()
  const written = Math.ceil(rows / WRITTEN_SHARE)
  const source = join(scratch, 'rows.parquet')
  const run = (program: string, words: string[]) =>
    JSON.parse(execFileSync(program, words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))
  const formats = FORMATS.map((format): FormatRow => {
    const file = format === 'parquet' ? source : join(scratch, `rows.${format}`)
    const write = join(root, 'test/bench/export-write.ts')
    const ours: FormatRow['ours'] = run(process.execPath, ['--import', 'tsx', write, format, String(written), file])
    say(`bench: ${thousands(written)} rows as ${format}: ${ours.seconds.toFixed(1)} s, ${ours.peak.toFixed(0)} MB`)
    if (format !== 'parquet') rmSync(file)
    if (!hasPython) return { format, ours, pandas: undefined }
    const theirs = join(scratch, `pandas.${format}`)
    try {
      const pandas: Took = run(join(root, '.venv/bin/python'), [
        join(root, 'test/bench/export_peer.py'),
        source,
        format,
        theirs,
      ])
      say(`bench: pandas as ${format}: ${pandas.seconds.toFixed(1)} s, ${pandas.peak.toFixed(0)} MB`)
      return { format, ours, pandas }
    } catch (error) {
      say(`bench: pandas as ${format}: ${messageOf(error)}`)
      return { format, ours, pandas: undefined }
    } finally {
      rmSync(theirs, { force: true })
    }
  })
  rmSync(source)
  const files: FileRow[] = []
  const firms = Math.ceil(rows / FIRM_SENTENCES)
  if (hasRealServer) files.push(...(await measureFiles('server', await realServer(), firms, scratch)))
  files.push(...(await measureFiles('embedded', await embeddedServer(), Math.ceil(firms / EMBEDDED_SHARE), scratch)))
  return { rows: written, formats, files, loadAtStart, loadAtEnd: loadavg()[0] }
}

/** The commands as a person types them, on a quarter that the database has made itself. */
async function measureFiles(name: string, server: TestServer, firms: number, scratch: string): Promise<FileRow[]> {
  const { home, databaseUrl } = server.settings
  try {
    const start = performance.now()
    await withDatabase({ ...readSettings({}), ...server.settings }, sql => fillMadeQuarter(sql, firms))
    const sentences = firms * FIRM_SENTENCES
    say(
      `bench: ${name}: ${thousands(sentences)} sentences made in ${((performance.now() - start) / 1000).toFixed(0)} s`,
    )
    const rows: FileRow[] = []
    for (const [what, format] of FILES) {
      const file = join(scratch, `${what}.${format}`)
      const words = ['export', '--what', what, '--format', format, '--output', file]
      const env: Record<string, string> = databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }
      // Its number stands in the first line of this file as long as it runs.
      const pid = () => Number(readFileSync(join(home, 'server/postmaster.pid'), 'utf8').split('\n')[0])
      const watched = databaseUrl === undefined ? undefined : watchDatabase(pid())
      const { seconds, command, database } = await measureStep(home, words, env)
      const { cpuSeconds, peakBytes } = command
      const databaseSeconds = (watched?.end() ?? database)?.cpuSeconds
      const bytes = statSync(file).size
      rows.push({
        database: name,
        sentences,
        what: `${what} as ${format}`,
        seconds,
        cpuSeconds,
        bytes,
        peak: peakBytes / 2 ** 20,
        databaseSeconds,
      })
      say(`bench: ${name}: ${JSON.stringify(rows.at(-1))}`)
      rmSync(file)
      rmSync(`${file}.codebook.md`)
    }
    return rows
  } finally {
    await server.stop()
  }
}

export function reportExport({ rows, formats, files, loadAtStart, loadAtEnd }: ExportReport): string {
  const cells = (took: Took | undefined) =>
    took === undefined
      ? ['–', '–', '–', '–', '–']
      : [
          took.seconds.toFixed(1),
          took.cpuSeconds.toFixed(1),
          (took.bytes / 2 ** 20 / took.seconds).toFixed(0),
          (took.bytes / 2 ** 20).toFixed(0),
          took.peak.toFixed(0),
        ]
  const TITLES = ['s', 'CPU s', 'MB/s', 'MB on disk', 'MB of memory, at most']
  return [
    describeMachine(loadAtStart, loadAtEnd),
    `${thousands(rows)} made sentences in the columns of \`export --what sentences\`, each format in a process of its own; the rows ` +
      'are there before the clock runs.',
    table(
      [
        'format',
        ...TITLES,
        'of the first quarter of the rows',
        ...TITLES.map((title, i) => (i === 0 ? `pandas: ${title}` : title)),
      ],
      formats.map(({ format, ours, pandas }) => [
        format,
        ...cells(ours),
        ours.peakOfFirstQuarter.toFixed(0),
        ...cells(pandas),
      ]),
    ),
    `From the database to the file, by the command: a made quarter with ${FIRM_SENTENCES} sentences a firm.`,
    table(
      ['database', 'sentences', 'file', ...TITLES, 'CPU s of the database'],
      files.map(one => [
        one.database,
        thousands(one.sentences),
        one.what,
        ...cells(one),
        one.databaseSeconds?.toFixed(1) ?? '–',
      ]),
    ),
  ].join('\n\n')
}

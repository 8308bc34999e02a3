// What an export costs: made rows of sentences through each format, seconds and memory, beside pandas writing the same rows.
// pandas has all of them in memory before it begins, as it must; reading them is not counted.

import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../lib/errors.ts'
import { say, thousands } from '../../lib/log.ts'
import { FORMATS } from '../../lib/tables/formats.ts'
import { root } from '../run.ts'
import { hasPython } from '../tables/python.ts'
import { describeMachine, table } from './markdown.ts'

type Took = { seconds: number; bytes: number; peak: number }
type FormatRow = { format: string; ours: Took & { peakOfFirstQuarter: number }; pandas: Took | undefined }
export type ExportReport = { rows: number; formats: FormatRow[]; loadAtStart: number; loadAtEnd: number }

export function measureExport(rows: number, scratch: string): ExportReport {
  const [loadAtStart] = loadavg()
  const source = join(scratch, 'rows.parquet')
  const run = (program: string, words: string[]) =>
    JSON.parse(execFileSync(program, words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))
  const formats = FORMATS.map((format): FormatRow => {
    const file = format === 'parquet' ? source : join(scratch, `rows.${format}`)
    const write = join(root, 'test/bench/export-write.ts')
    const ours: FormatRow['ours'] = run(process.execPath, ['--import', 'tsx', write, format, String(rows), file])
    say(`bench: ${thousands(rows)} rows as ${format}: ${ours.seconds.toFixed(1)} s, ${ours.peak.toFixed(0)} MB`)
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
  return { rows, formats, loadAtStart, loadAtEnd: loadavg()[0] }
}

export function reportExport({ rows, formats, loadAtStart, loadAtEnd }: ExportReport): string {
  const cells = (took: Took | undefined) =>
    took === undefined
      ? ['–', '–', '–', '–']
      : [
          took.seconds.toFixed(1),
          (took.bytes / 2 ** 20 / took.seconds).toFixed(0),
          (took.bytes / 2 ** 20).toFixed(0),
          took.peak.toFixed(0),
        ]
  return [
    `- ${thousands(rows)} made sentences in the columns of \`export --what sentences\`, each format in a process of its own.\n` +
      describeMachine(loadAtStart, loadAtEnd),
    table(
      [
        'format',
        's',
        'MB/s',
        'MB on disk',
        'MB of memory, at most',
        'of the first quarter of the rows',
        'pandas: s',
        'MB/s',
        'MB on disk',
        'MB of memory, at most',
      ],
      formats.map(({ format, ours, pandas }) => [
        format,
        ...cells(ours),
        ours.peakOfFirstQuarter.toFixed(0),
        ...cells(pandas),
      ]),
    ),
  ].join('\n\n')
}

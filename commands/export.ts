// export: what the researcher takes home, as files that pandas, R, Stata and DuckDB read: a panel to regress on, the themes,
// topics and sentences behind it, or the JSON of event studies. Reads only.

import { extname } from 'node:path'
import { codeVersion } from '../lib/code-version.ts'
import type { Command, FlagValues } from '../lib/command.ts'
import type { Database, Queries } from '../lib/db/connect.ts'
import {
  atOneMoment,
  identifierKeys,
  type QuarterState,
  quartersToExport,
  rowsToExport,
  sentencesByTheme,
} from '../lib/db/export.ts'
import { boundModel, modelText } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import type { Stage } from '../lib/db/work.ts'
import { UsageError } from '../lib/errors.ts'
import { choiceFlag, JSON_OUTPUT, optionalQuarterFlag, switchFlag, textFlag } from '../lib/flags.ts'
import { count, duration, type Progress, progress, say, thousands, warn } from '../lib/log.ts'
import { createFile, type NewFile } from '../lib/new-file.ts'
import { codebookText } from '../lib/tables/codebook.ts'
import { downstreamWriter } from '../lib/tables/downstream.ts'
import { exportedTable, takenNames } from '../lib/tables/exported.ts'
import { FORMATS, type Format, openWriter } from '../lib/tables/formats.ts'
import { columnName, type Facts, type Sink } from '../lib/tables/table.ts'

const WHAT = ['panel', 'themes', 'topics', 'sentences', 'downstream'] as const
type What = (typeof WHAT)[number]

export const command: Command = {
  verb: 'export',
  summary: 'Write a panel, themes, topics or sentences for pandas, R, Stata, DuckDB',
  about:
    'Writes one table of the database, as it is at one moment, to a file: `panel` has a row a firm, quarter and theme, with ' +
    'the identifiers of the source, shares of the call and novelty; `themes`, `topics` and `sentences` have a row each; ' +
    '`downstream` is the JSON that event-study code reads, themes with their firms and sentences. Beside it lies ' +
    'FILE.codebook.md, which says what each column is and when it is missing; Stata and Parquet files carry that inside. ' +
    'Text formats go to standard output with --stdout. Takes the place of no file. Changes nothing.',
  flags: [
    { name: 'what', value: 'TABLE', summary: WHAT.join(', '), default: WHAT[0] },
    {
      name: 'format',
      value: 'FORMAT',
      summary: `${FORMATS.join(', ')} (Stata is dta); downstream is always json`,
      default: `what --output ends with, else ${FORMATS[0]}`,
    },
    { name: 'quarter', value: 'QUARTERS', summary: 'Only these, such as 2024Q2,2024Q3', default: 'all' },
    { name: 'zeros', summary: 'In the panel, also rows of firms that say nothing of a theme' },
    { name: 'output', value: 'FILE', summary: 'Where to', default: 'TABLE.FORMAT' },
    { name: 'stdout', summary: 'To standard output: csv, jsonl, json' },
    JSON_OUTPUT,
  ],
  examples: [
    'export',
    'export --what panel --format dta --zeros --output panel.dta',
    'export --what sentences --format csv --quarter 2024Q3 --stdout | head',
    'export --what downstream --output themes.json',
  ],
  async run({ flags, settings, print }) {
    const what = choiceFlag(flags, 'what', WHAT)
    const quarters = textFlag(flags, 'quarter')
      ?.split(',')
      .map(one => optionalQuarterFlag({ quarter: one }) ?? '')
    const zeros = switchFlag(flags, 'zeros')
    if (zeros && what !== 'panel') throw new UsageError(`--zeros is for the panel, and this is ${what}`, '--what panel')
    const isPiped = switchFlag(flags, 'stdout')
    const asJson = switchFlag(flags, 'json')
    const file = textFlag(flags, 'output')
    if (isPiped && (asJson || file !== undefined))
      throw new UsageError(`--stdout and ${asJson ? '--json' : '--output'} exclude each other`, 'give one of them')
    const format = formatOf(what, flags, file)
    const output = file ?? `${what}.${format}`
    if (isPiped && (format === 'parquet' || format === 'dta'))
      throw new UsageError(`${format} is no text, and standard output is for text`, `--output ${output}`)
    const wish = { what, format, quarters, zeros, output }
    // A pipe takes a write when its reader has taken the ones before: nothing piles up here.
    const toReader: Sink = async text => print(String(text))
    const done = await withDatabase(settings, sql => exportTo(sql, wish, isPiped ? toReader : undefined))
    if (asJson) print(JSON.stringify(done))
  },
}

/** As it is asked for; else what the name of the file says. A file that is called otherwise than it is misleads its reader. */
function formatOf(what: What, flags: FlagValues, file: string | undefined): Format | 'json' {
  const formats: readonly (Format | 'json')[] = what === 'downstream' ? ['json'] : FORMATS
  const ending = file === undefined ? '' : extname(file).slice(1).toLowerCase()
  const named = formats.find(format => format === ending)
  if (textFlag(flags, 'format') === undefined && named !== undefined) return named
  const format = choiceFlag(flags, 'format', formats)
  const isOther = named === undefined ? ending !== '' && textFlag(flags, 'format') === undefined : named !== format
  if (isOther)
    throw new UsageError(
      `${file} is called .${ending}, and this would be ${format}; ${what} can be written as ${formats.join(', ')}`,
      `--output ${what}.${format}, or say --format`,
    )
  return format
}

export type ExportWish = {
  what: What
  format: Format | 'json'
  /** Absent: all that the database has. */
  quarters?: readonly string[] | undefined
  zeros: boolean
  output: string
}

export type ExportDone = {
  what: What
  file: string
  codebook: string | null
  quarters: string[]
  rows: number
  bytes: number
  seconds: number
}

/** Writes the file and its codebook; with a `reader`, the rows go there, and nothing to a file. */
export async function exportTo(sql: Database, wish: ExportWish, reader?: Sink): Promise<ExportDone> {
  const start = performance.now()
  const made = new Date()
  const codebook = reader === undefined ? `${wish.output}.codebook.md` : null
  const file = reader === undefined ? await createFile(wish.output) : undefined
  let book: NewFile | undefined
  try {
    // A codebook without its data belongs to data that are gone.
    if (codebook !== null) book = await createFile(codebook, { replaces: true })
    const { text, rows, quarters } = await atOneMoment(sql, tx =>
      exportWithin(tx, wish, made, file?.write ?? reader ?? (async () => {})),
    )
    await book?.write(text)
    await book?.finish()
    const bytes = (await file?.finish()) ?? 0
    const done = { what: wish.what, file: wish.output, codebook, quarters, rows, bytes }
    const seconds = (performance.now() - start) / 1000
    say(
      `export: ${count(rows, wish.what === 'downstream' ? 'sentence' : 'row')} of ${quarters.join(', ')}` +
        (file === undefined
          ? `, in ${duration(seconds)}`
          : ` in ${wish.output}, ${(bytes / 2 ** 20).toFixed(1)} MB, in ${duration(seconds)}; what they mean: ${codebook}`),
    )
    return { ...done, seconds }
  } finally {
    await file?.close()
    await book?.close()
  }
}

type Written = { text: string; rows: number; quarters: string[] }

async function exportWithin(tx: Queries, wish: ExportWish, made: Date, write: Sink): Promise<Written> {
  const states = await quartersToExport(tx, wish.quarters)
  const quarters = states.map(state => state.quarter)
  sayWhatIsLeft(states, wish.what)
  const model = await boundModel(tx)
  const facts = {
    quarters: quarters.join(', '),
    made: `${made.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    code: codeVersion(),
    'embedding model': model === undefined ? 'none yet' : modelText(model),
    command: commandOf(wish),
  }
  if (wish.format === 'json') {
    const bar = progress('export', sum(states, 'themeSentences'), 'sentences')
    const rows = await writeDownstream(tx, quarters, write, bar)
    return { text: downstreamBook(wish.output, { rows: thousands(rows), ...facts }), rows, quarters }
  }
  const keys = wish.what === 'themes' ? [] : await identifierKeys(tx, quarters)
  const taken = takenNames()
  const identifiers = keys.map(key => {
    const column = columnName(key, taken)
    taken.push(column)
    return { key, column }
  })
  const name = wish.what === 'downstream' ? 'sentences' : wish.what
  const table = exportedTable(name, quarters, identifiers)
  const columns = table.columns.map(column => column.name)
  const writer = await openWriter(wish.format, table, facts, write, { file: wish.output, made })
  const bar = progress('export', sum(states, 'firms'), 'firms')
  let rows = 0
  try {
    for (const quarter of quarters)
      for await (const batch of rowsToExport(tx, name, quarter, { columns, identifiers, zeros: wish.zeros })) {
        await writer.rows(batch.rows)
        rows += batch.rows.length
        bar.step(batch.firms, () => `${thousands(rows)} rows`)
      }
    await writer.finish()
  } finally {
    bar.end()
    await writer.close()
  }
  const notes = NOTES[wish.format] === undefined ? [] : [NOTES[wish.format] ?? '']
  return { text: codebookText(table, wish.output, { rows: thousands(rows), ...facts }, notes), rows, quarters }
}

function sum(states: readonly QuarterState[], what: 'firms' | 'themeSentences'): number {
  return states.reduce((sum, state) => sum + state[what], 0)
}

/** Empty columns and tables are no error, but nobody should wonder about them. */
/** Steps that a table shows nothing of. */
const NO_PART_OF: Readonly<Record<What, readonly Stage[]>> = {
  panel: ['index'],
  themes: ['index', 'novelty'],
  topics: ['index', 'lineage'],
  sentences: ['index', 'lineage'],
  downstream: ['index', 'novelty', 'lineage'],
}

function sayWhatIsLeft(states: readonly QuarterState[], what: What): void {
  for (const { quarter, left } of states) {
    const open = left.filter(stage => !NO_PART_OF[what].includes(stage))
    if (open.length > 0)
      warn(
        `${quarter}: ${open.join(', ')} ${open.length === 1 ? 'is' : 'are'} not done, or out of date, and so is what is exported ` +
          `of ${open.length === 1 ? 'it' : 'them'}: make quarter Q=${quarter}`,
      )
  }
}

async function writeDownstream(tx: Queries, quarters: readonly string[], write: Sink, bar: Progress): Promise<number> {
  const writer = downstreamWriter(write)
  let rows = 0
  for (const quarter of quarters)
    for await (const sentences of sentencesByTheme(tx, quarter)) {
      await writer.sentences(sentences)
      rows += sentences.length
      bar.step(sentences.length)
    }
  bar.end()
  await writer.finish()
  return rows
}

function commandOf({ what, format, quarters, zeros, output }: ExportWish): string {
  const words = ['quarterdeck export --what', what, '--format', format, '--output', output]
  if (quarters !== undefined) words.push('--quarter', quarters.join(','))
  return [...words, ...(zeros ? ['--zeros'] : [])].join(' ')
}

const NOTES: Partial<Record<Format | 'json', string>> = {
  csv:
    'UTF-8, lines end in CR LF, quotes by RFC 4180. A missing value is an empty field; an empty text is `""`. ' +
    'Read identifiers as text, or their leading zeros are lost: `pd.read_csv(file, dtype={"cik": str})`.',
  jsonl: 'One object a line. A missing value is null.',
  parquet: 'A missing value is null. The same words lie in the file: `pandas.read_parquet(file).attrs["columns"]`.',
  dta:
    'Stata 14 and later. A missing number or day is `.`, a missing text is empty: Stata tells those not apart. True is 1, ' +
    'false 0. The same words lie in the file: `describe` and `notes`.',
}

function downstreamBook(file: string, facts: Facts): string {
  const lines = Object.entries(facts).map(([name, value]) => `- ${name}: ${value}`)
  return `# ${file}

Themes with their firms and sentences, nested: \`themes[].firm_contributions[].sentences[]\`.

${lines.join('\n')}

| field | what it is | null when |
| --- | --- | --- |
| \`theme_id\` | Quarter and number of the theme | never |
| \`theme_name\` | Its name | never |
| \`firm_id\` | The firm. A firm with two calls in the quarter has two contributions, each with its day | never |
| \`firm_name\` | Its name | the source gives none |
| \`permno\` | Its permno, as text, as it was in the source | the source gives none |
| \`earnings_call_date\` | Day of the call the sentences were said in | the source states no day |
| \`text\` | The sentence, as spoken | never |
| \`speaker\` | Who said it | the source does not say |
`
}

// db-check: whether the database keeps what the pipeline promises. Reads only, leaves no row in `runs`, and may run beside any
// other command. What is promised stands in lib/db/check-list.ts; what mends it is said, and left to the person.

import type { Command } from '../lib/command.ts'
import { check, checksOver, type Finding } from '../lib/db/check.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { quartersKnown, requireKnownQuarter } from '../lib/db/quarters.ts'
import { UserError } from '../lib/errors.ts'
import { JSON_OUTPUT, optionalQuarterFlag, QUARTER, switchFlag } from '../lib/flags.ts'
import { count, duration, progress, say, thousands } from '../lib/log.ts'
import { harmless, renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'db-check',
  summary: 'Verify that the database keeps what the steps promise',
  about:
    'Looks whether everything points at what is there, counts agree, vectors have unit length, and what is done is there. ' +
    'Firms that are pending, stale, failed or in hand are asked only for what holds at every moment. Changes nothing, may ' +
    'run beside any other command, and ends with 1 where something is broken, with the command that mends it.',
  flags: [{ ...QUARTER, summary: 'Only this quarter' }, JSON_OUTPUT],
  examples: ['db-check', 'db-check --quarter 2024Q3 --json'],
  async run({ flags, settings, print, columns }) {
    const quarter = optionalQuarterFlag(flags)
    const result = await withDatabase(settings, sql => checkDatabase(sql, quarter))
    print(switchFlag(flags, 'json') ? JSON.stringify(result) : describe(result, columns))
    refuseIfBroken(result)
  },
}

export type DatabaseCheck = { quarters: string[]; findings: Finding[]; seconds: number }

/** Checks one quarter, or all of them, and what holds for the database as a whole. */
export async function checkDatabase(sql: Database, quarter?: string): Promise<DatabaseCheck> {
  const start = performance.now()
  if (quarter !== undefined) await requireKnownQuarter(sql, quarter)
  const quarters = quarter === undefined ? await quartersKnown(sql) : [quarter]
  const bar = progress('db-check', checksOver(quarters.length), 'checks')
  const findings = await check(sql, quarters, of => bar.step(1, of ?? ''))
  bar.end()
  const seconds = (performance.now() - start) / 1000
  const broken = findings.filter(finding => finding.broken > 0)
  say(
    `db-check: ${count(findings.length, 'check')} over ${count(quarters.length, 'quarter')} in ${duration(seconds)}; ` +
      (broken.length === 0 ? 'nothing is broken' : `${thousands(broken.length)} broken`),
  )
  return { quarters, findings, seconds }
}

function describe({ findings }: DatabaseCheck, columns: number | undefined): string {
  const titles = new Set(findings.map(finding => finding.title))
  const rows = [...titles].map(title => {
    const of = findings.filter(finding => finding.title === title)
    const sum = (part: 'rows' | 'broken') => of.reduce((total, finding) => total + finding[part], 0)
    const examples = of.flatMap(finding => finding.examples).slice(0, 3)
    return [title, thousands(sum('rows')), sum('broken') === 0 ? '' : thousands(sum('broken')), examples.join(', ')]
  })
  const table = renderTable(
    [
      { title: 'what must hold', wrap: true },
      { title: 'rows', align: 'right' },
      { title: 'broken', align: 'right' },
      { title: 'for example', wrap: true },
    ],
    rows,
    columns,
  )
  const mends = findings.flatMap(({ quarter, title, mend }) =>
    mend === null ? [] : [`${quarter === null ? '' : `${quarter}: `}${title}\n  → ${harmless(mend)}`],
  )
  if (mends.length > 0) mends.push(AFTERWARDS)
  return [table, ...mends].join('\n\n')
}

const AFTERWARDS =
  'What comes after a mended step is stale then: make quarter does it. What is broken still: drop-quarter, and load the quarter again.'

function refuseIfBroken({ findings }: DatabaseCheck): void {
  const broken = findings.filter(finding => finding.broken > 0)
  if (broken.length === 0) return
  const [{ quarter, title, broken: rows, rows: all, examples, mend }] = broken
  throw new UserError(
    `${count(broken.length, 'check')} of ${thousands(findings.length)} broken; first, ${quarter ?? 'in all'}: ${title}: ` +
      `${thousands(rows)} of ${thousands(all)} do not, such as ${examples[0]}`,
    mend ?? '',
  )
}

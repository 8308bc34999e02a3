// themes: what the quarter talked about, as a table to read. The last step of `make quarter`; reads only.

import type { Command } from '../lib/command.ts'
import { requireQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { type ShownTheme, shownThemes, themeCoverage } from '../lib/db/themes.ts'
import { JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, wholeNumberFlag } from '../lib/flags.ts'
import { thousands } from '../lib/log.ts'
import { renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'themes',
  summary: 'Show the themes of a quarter: name, firms, sentences, an example',
  about: 'The themes that run across firms, those of most firms first, with a sentence of each. Changes nothing.',
  flags: [
    QUARTER,
    { name: 'limit', value: 'N', summary: 'Most themes to show', default: '40' },
    { name: 'parts', summary: 'Show the parts of each theme below it (communities); in JSON they always are' },
    JSON_OUTPUT,
  ],
  examples: ['themes --quarter 2024Q3', 'themes --quarter 2024Q3 --parts'],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const limit = wholeNumberFlag(flags, 'limit', 40, 1, 100_000)
    const result = await withDatabase(settings, sql => readThemes(sql, quarter))
    print(
      switchFlag(flags, 'json') ? JSON.stringify(result) : describe(result, limit, switchFlag(flags, 'parts'), columns),
    )
  },
}

export type ThemesResult = {
  quarter: string
  themes: ShownTheme[]
  /** All topics of the quarter, and those that a theme holds. */
  coverage: { themes: number; topics: number; inThemes: number }
}

export async function readThemes(sql: Database, quarter: string): Promise<ThemesResult> {
  await requireQuarter(sql, quarter)
  return { quarter, themes: await shownThemes(sql, quarter), coverage: await themeCoverage(sql, quarter) }
}

function describe(
  { quarter, themes, coverage }: ThemesResult,
  limit: number,
  withParts: boolean,
  columns: number | undefined,
): string {
  const rows = themes
    .slice(0, limit)
    .flatMap(theme => [
      [
        theme.name + (theme.flags.length > 0 ? ` (${theme.flags.join(', ')})` : ''),
        thousands(theme.firms),
        thousands(theme.sentences),
        theme.example,
      ],
      ...(withParts ? theme.parts : []).map(part => [
        `└ ${part.keywords.slice(0, 3).join(', ')}`,
        thousands(part.firms),
        '',
        '',
      ]),
    ])
  const table =
    rows.length > 0
      ? renderTable(
          [
            { title: `themes of ${quarter}`, wrap: true, max: 44 },
            { title: 'firms', align: 'right' },
            { title: 'sentences', align: 'right' },
            { title: 'for example', wrap: true },
          ],
          rows,
          columns,
        )
      : `No theme runs across the firms of ${quarter}: ${whyNone(coverage.topics)}.`
  const more = themes.length > limit ? `, ${thousands(themes.length - limit)} more with --limit ${themes.length}` : ''
  const words = themes[0]?.name ?? 'supply chain'
  return [
    table,
    `${thousands(themes.length)} themes hold ${thousands(coverage.inThemes)} of ${thousands(coverage.topics)} topics${more}.`,
    [
      'Next:',
      `  node bin/quarterdeck.mjs search ${JSON.stringify(words)} --quarter ${quarter}`,
      `  node bin/quarterdeck.mjs sql "select firm_id, label, size from topics where quarter = '${quarter}' order by size desc limit 20"`,
      `  node bin/quarterdeck.mjs status --quarter ${quarter}`,
    ].join('\n'),
  ].join('\n\n')
}

function whyNone(topics: number): string {
  if (topics < 2) return topics === 0 ? 'it has no topics' : 'it has one topic alone'
  return `its ${thousands(topics)} topics have too little in common`
}

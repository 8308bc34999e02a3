// trends: how much of the firms and of the sentences a theme has from quarter to quarter, by its lineage. Reads only.

import type { Command } from '../lib/command.ts'
import type { Database } from '../lib/db/connect.ts'
import { type TrendPoint, trendPoints } from '../lib/db/lineage.ts'
import { withDatabase } from '../lib/db/open.ts'
import { quartersInDatabase } from '../lib/db/quarters.ts'
import { UsageError, UserError } from '../lib/errors.ts'
import { choiceFlag, JSON_OUTPUT, switchFlag, textFlag, wholeNumberFlag } from '../lib/flags.ts'
import { count, thousands } from '../lib/log.ts'
import { csvOf, renderTable } from '../lib/text/table.ts'

const MEASURES = ['firms', 'sentences'] as const
type Measure = (typeof MEASURES)[number]

export const command: Command = {
  verb: 'trends',
  summary: "Show each theme's share of firms or sentences from quarter to quarter",
  about:
    'One line a theme that lasts, one column a quarter: the share of the firms with a call that have a topic in it, or its ' +
    'share of the sentences that are no talk. Reads what `lineage` has written; changes nothing. --csv and --json have ' +
    'both shares, a row for each theme and quarter.',
  flags: [
    { name: 'of', value: 'WHAT', summary: 'firms or sentences', default: 'firms' },
    { name: 'lineage', value: 'ID', summary: 'Only this one: a lineage_id, or a theme_id of any quarter' },
    { name: 'limit', value: 'N', summary: 'Most lines to show', default: '40' },
    { name: 'csv', summary: 'Print CSV with a header line' },
    JSON_OUTPUT,
  ],
  examples: ['trends', 'trends --of sentences --limit 10', 'trends --csv > trends.csv'],
  async run({ flags, settings, print, columns }) {
    const measure = choiceFlag(flags, 'of', MEASURES)
    const wanted = textFlag(flags, 'lineage')
    const limit = wholeNumberFlag(flags, 'limit', 40, 1, 100_000)
    const [asCsv, asJson] = [switchFlag(flags, 'csv'), switchFlag(flags, 'json')]
    if (asCsv && asJson) throw new UsageError('--json and --csv exclude each other', 'give one of them')
    const trends = await withDatabase(settings, sql => readTrends(sql, wanted))
    if (asJson) print(JSON.stringify(trends.points))
    else print(asCsv ? csv(trends.points) : describeTrends(trends, measure, limit, columns))
  },
}

export type Trends = {
  /** Quarters of the database, oldest first. */
  quarters: string[]
  /** By lineage, then quarter. */
  points: TrendPoint[]
}

/** All lineages, or the one that is called so or has the theme that is. */
export async function readTrends(sql: Database, wanted?: string): Promise<Trends> {
  const quarters = await quartersInDatabase(sql)
  if (quarters.length === 0) throw new UserError('the database is empty', 'make quarter Q=2024Q3')
  const points = await trendPoints(sql, quarters)
  if (points.length === 0)
    throw new UserError('no theme has a lineage yet', `quarterdeck lineage --quarter ${quarters[quarters.length - 1]}`)
  if (wanted === undefined) return { quarters, points }
  const lineageId = points.find(point => point.lineageId === wanted || point.themeId === wanted)?.lineageId
  if (lineageId === undefined)
    throw new UserError(
      `the database has no theme ${wanted}`,
      'quarterdeck trends --csv, columns lineage_id and theme_id',
    )
  return { quarters, points: points.filter(point => point.lineageId === lineageId) }
}

function csv(points: readonly TrendPoint[]): string {
  const columns = [
    'lineage_id',
    'quarter',
    'theme_id',
    'theme',
    'event',
    'topics',
    'firms',
    'share_of_firms',
    'sentences',
    'share_of_sentences',
  ]
  return csvOf(
    columns.map(title => ({ title })),
    points.map(one =>
      [
        one.lineageId,
        one.quarter,
        one.themeId,
        one.theme,
        one.event,
        one.topics,
        one.firms,
        one.shareOfFirms,
        one.sentences,
        one.shareOfSentences ?? '',
      ].map(String),
    ),
  )
}

// A name that is broken at twenty characters is still read with ease; a lineage takes eleven columns, a quarter eight.
function quartersBeside(columns: number): number {
  return Math.max(1, Math.floor((columns - 20 - 11) / 8))
}

/** A table for a person; `columns` is the width of the terminal. */
export function describeTrends(
  { quarters, points }: Trends,
  measure: Measure,
  limit: number,
  columns: number | undefined,
): string {
  const share = (point: TrendPoint) => (measure === 'firms' ? point.shareOfFirms : (point.shareOfSentences ?? 0))
  const pointsOf = new Map<string, TrendPoint[]>()
  for (const point of points) pointsOf.set(point.lineageId, [...(pointsOf.get(point.lineageId) ?? []), point])
  const lineages = [...pointsOf].map(([id, own]) => ({
    name: own[own.length - 1].theme, // as it was called last
    id,
    of: new Map(own.map(point => [point.quarter, point])),
  }))
  const newest = quarters.toReversed()
  // The themes of the newest quarter first, those with most; then what is gone, latest first.
  lineages.sort((a, b) => {
    for (const quarter of newest) {
      const [ours, theirs] = [a, b].map(one => one.of.get(quarter))
      if (ours === undefined && theirs === undefined) continue
      if (ours === undefined) return 1
      if (theirs === undefined) return -1
      return share(theirs) - share(ours) || (a.id < b.id ? -1 : 1)
    }
    return 0
  })
  const shown = columns === undefined ? quarters : quarters.slice(-quartersBeside(columns))
  const rows = lineages.slice(0, limit).map(({ name, id, of }) => [
    name,
    id,
    ...shown.map(quarter => {
      const point = of.get(quarter)
      return point === undefined ? '' : `${point.event === 'merged' ? '*' : ''}${(100 * share(point)).toFixed(1)} %`
    }),
  ])
  const merged = lineages.slice(0, limit).some(({ of }) => [...of.values()].some(point => point.event === 'merged'))
  const more =
    lineages.length > limit ? `, ${thousands(lineages.length - limit)} more with --limit ${lineages.length}` : ''
  return [
    renderTable(
      [
        { title: `share of ${measure}`, wrap: true, max: 48 },
        { title: 'lineage' },
        ...shown.map(title => ({ title, align: 'right' as const })),
      ],
      rows,
      columns,
    ),
    [
      ...(merged ? ['* here several themes merged into it, and what they had counts from here on.'] : []),
      `${count(lineages.length, 'lineage')}, ${thousands(lineages.filter(one => one.of.size > 1).length)} of them in more than ` +
        `one quarter${more}${shown.length < quarters.length ? `; quarters before ${shown[0]} with --csv` : ''}.`,
      'How they follow from one another: quarterdeck lineage --links',
    ].join('\n'),
  ].join('\n\n')
}

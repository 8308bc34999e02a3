// What the bench measured of themes, as Markdown: what stands for a topic, then many made topics through `aggregate`.
// Nothing is measured here.

import { thousands } from '../../lib/log.ts'
import { describeMachine, megabytes, percent, seconds, table } from './markdown.ts'
import type { MadeReport, ThemesReport } from './themes.ts'
import type { Shape, TextRow } from './themes-texts.ts'

export function reportThemes({ source, topics, firms, rows, made, loadAtStart, loadAtEnd }: ThemesReport): string {
  return [
    `- Data: ${source}; ${thousands(topics)} topics of ${thousands(firms)} firms.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    '### What stands for a topic',
    describeTexts(rows),
    ...(new Set(rows.map(row => row.model)).size > 1
      ? []
      : ['MiniLM is not in this run: ../shared/model/all-MiniLM-L6-v2 does not lie beside the repository.']),
    '### Many topics through `aggregate`',
    ...describeMade(made),
  ].join('\n\n')
}

function describeTexts(rows: readonly TextRow[]): string {
  const shape = ({ themes, largestShare, inNone }: Shape) => [String(themes), percent(largestShare), percent(inNone)]
  return table(
    [
      'What is embedded',
      'themes of HDBSCAN alone',
      'largest',
      'in none',
      'themes at the end',
      'largest',
      'in none',
      'ARI, other seed',
      'ARI, tenth away',
    ],
    rows.map(({ model, what, plain, end, seedAgreement, tenthAgreement }) => [
      `${what}, ${model}`,
      ...shape(plain),
      ...shape(end),
      seedAgreement.toFixed(2),
      tenthAgreement.toFixed(2),
    ]),
  )
}

function describeMade(made: MadeReport): string[] {
  const { model, dimension, topics, firms, planted, runs, parts, themes, largestShare } = made
  const names = { embedded: 'the embedded database', server: 'a Postgres server' }
  return [
    `${thousands(topics)} made topics of ${thousands(firms)} firms, keywords embedded by ${model} (${dimension} numbers each), ` +
      `three in five of ${planted} planted themes, the others of chance words:`,
    table(
      ['`aggregate` into', 'seconds', 'CPU seconds', 'peak MB', 'database CPU seconds', 'database peak MB'],
      runs.map(({ database, step }) => [
        names[database],
        seconds(step.seconds),
        seconds(step.command.cpuSeconds),
        megabytes(step.command.peakBytes),
        step.database ? seconds(step.database.cpuSeconds) : '–',
        step.database ? megabytes(step.database.peakBytes) : '–',
      ]),
    ),
    table(
      ['Its parts, alone', 'seconds'],
      [
        ['embedding', seconds(parts.embedding)],
        ['nearest neighbours', seconds(parts.neighbours)],
        ['layout', seconds(parts.layout)],
        ['HDBSCAN', seconds(parts.hdbscan)],
        ['splitting, withdrawing, giving to the nearest', seconds(parts.themes)],
        ['the rest: start, reading, keywords of themes, writing', rest(made)],
      ],
    ),
    `It finds ${thousands(themes)} themes, the largest of ${percent(largestShare)} of the topics. Of the topics of planted themes ` +
      `${percent(made.plantedInNone)} are in none, and the themes of all of them agree with the planted ones to an ARI of ` +
      `${made.agreement.toFixed(2)}; of those of chance words ${percent(made.chanceInNone)} are in none.`,
  ]
}

function rest({ runs, parts }: MadeReport): string {
  const known = Object.values(parts).reduce((sum, value) => sum + value, 0)
  return seconds(Math.max(0, runs[0].step.seconds - known))
}

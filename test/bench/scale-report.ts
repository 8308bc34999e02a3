// What the bench measured of quarters of many firms, as Markdown: each step's seconds and memory size by size, how it grows,
// and the size of the database. Nothing is measured here.

import { thousands } from '../../lib/log.ts'
import { describeMachine, megabytes, percent, seconds, table } from './markdown.ts'
import { INDEX_MEMORY, type Kind, type ScalePart, type ScaleReport, type ScaleStep } from './scale.ts'

const NAMES: Record<Kind, string> = { server: 'On a Postgres server', embedded: 'On the embedded database' }

export function reportScale({ source, parts }: ScaleReport): string {
  const kinds = (['server', 'embedded'] as const).filter(kind => parts.some(part => part.kind === kind))
  return [
    `- Data: made calls of real sentences with some words changed; ${source}. The shipped model.\n` +
      `- The server: that of the tests, with 128 MB of shared buffers, fsync off, and ${INDEX_MEMORY} for building an index.\n` +
      describeMachine(parts[0].loadAtStart, parts[parts.length - 1].loadAtEnd),
    ...kinds.flatMap(kind => [
      `### ${NAMES[kind]}`,
      ...describeKind(parts.filter(part => part.kind === kind).toSorted((a, b) => a.firms - b.firms)),
    ]),
  ].join('\n\n')
}

function describeKind(parts: readonly ScalePart[]): string[] {
  const verbs = [...new Set(parts.flatMap(part => part.steps.map(step => step.verb)))]
  const stepOf = (part: ScalePart, verb: string) => part.steps.find(step => step.verb === verb)
  const sizes = parts.map(part => `${thousands(part.firms)} firms`)
  const times = verbs.map(verb => [
    `\`${verb}\``,
    ...parts.map(part => secondsOf(stepOf(part, verb))),
    growthOf(parts, part => stepOf(part, verb)?.seconds),
    growthOf(parts, part => cpuSecondsOf(stepOf(part, verb))),
  ])
  const whole = (part: ScalePart) =>
    part.failure === undefined ? part.steps.reduce((sum, step) => sum + step.seconds, 0) : undefined
  const memory = verbs.map(verb => [`\`${verb}\``, ...parts.flatMap(part => memoryOf(stepOf(part, verb)))])
  return [
    table(
      ['Seconds', ...sizes, 'grow as n to the', 'CPU seconds as n to the'],
      [...times, ['all', ...parts.map(part => secondsOrNone(whole(part))), growthOf(parts, whole), '']],
    ),
    table(['Peak MB', ...sizes.flatMap(size => [`${size}, command`, 'database'])], memory),
    table(['The quarter', ...sizes], sizeRows(parts)),
    ...parts.flatMap(({ firms, failure }) =>
      failure === undefined ? [] : [`With ${thousands(firms)} firms it ended: ${failure.trim().replaceAll('\n', ' ')}`],
    ),
  ]
}

function sizeRows(parts: readonly ScalePart[]): string[][] {
  type Counts = NonNullable<ScalePart['counts']>
  const row = (name: string, show: (counts: Counts, part: ScalePart) => string) => [
    name,
    ...parts.map(part => (part.counts === undefined ? '–' : show(part.counts, part))),
  ]
  return [
    ['sentences', ...parts.map(part => thousands(part.sentences))],
    row('… of them talk', ({ clustered }, { sentences }) => percent(1 - clustered / sentences)),
    row('topics', ({ topics }) => thousands(topics)),
    row('themes', ({ themes }) => thousands(themes)),
    row('database, MB', ({ databaseBytes }) => megabytes(databaseBytes)),
    row('database, bytes a sentence', ({ databaseBytes }, { sentences }) => thousands(databaseBytes / sentences)),
  ]
}

function secondsOf(step: ScaleStep | undefined): string {
  return secondsOrNone(step?.seconds)
}

function secondsOrNone(value: number | undefined): string {
  return value === undefined ? '–' : seconds(value)
}

/** Of the command and the database. */
function cpuSecondsOf(step: ScaleStep | undefined): number | undefined {
  return step && step.command.cpuSeconds + (step.database?.cpuSeconds ?? 0)
}

function memoryOf(step: ScaleStep | undefined): string[] {
  if (step === undefined) return ['–', '–']
  return [megabytes(step.command.peakBytes), step.database === undefined ? '–' : megabytes(step.database.peakBytes)]
}

/** The exponent between the two largest sizes that have a figure: 1 is in proportion, 2 four times for twice as many. */
function growthOf(parts: readonly ScalePart[], figureOf: (part: ScalePart) => number | undefined): string {
  const known = parts.flatMap(part => {
    const figure = figureOf(part)
    return figure === undefined ? [] : [{ n: part.sentences, figure }]
  })
  const [small, large] = known.slice(-2)
  if (large === undefined) return '–'
  return (Math.log(large.figure / small.figure) / Math.log(large.n / small.n)).toFixed(2)
}

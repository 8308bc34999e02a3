// What the researcher takes home of three real quarters, from nothing, by the commands of the README: seconds and sizes, what became
// of the themes, and how much of that another seed tells the same.

import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { boundModel } from '../../lib/db/model-binding.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { say, thousands } from '../../lib/log.ts'
import { readSettings } from '../../lib/settings.ts'
import { STEPS, sample, succeed } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { measureHistories, type RuleRow } from './lineage.ts'
import { describeMachine, percent, seconds, table } from './markdown.ts'
import { measureNearest, type NearestReport } from './novelty.ts'
import { measureStep } from './steps.ts'

const QUARTERS = ['2016Q3', '2016Q4', '2017Q1']
const EXPORTS = [
  ['panel', 'csv'],
  ['panel', 'parquet'],
  ['panel', 'dta'],
  ['sentences', 'csv'],
  ['sentences', 'parquet'],
  ['sentences', 'dta'],
  ['sentences', 'jsonl'],
  ['downstream', 'json'],
] as const

type Event = 'continued' | 'merged' | 'split' | 'returned' | 'new' | 'gone'
export type TakeHomeReport = {
  source: string
  steps: {
    quarter: string
    firms: number
    sentences: number
    all: number
    novelty: number
    lineage: number
    again: number
  }[]
  files: { what: string; seconds: number; bytes: number; peakBytes: number }[]
  followed: { quarter: string; themes: number; events: Record<Event, number> }[]
  /** Of the topics in a theme both times, those whose theme has the same identity with another seed. */
  sameIdentity: number
  histories: RuleRow[]
  nearest: NearestReport
  loadAtStart: number
  loadAtEnd: number
}

export async function measureTakeHome(scratch: string): Promise<TakeHomeReport> {
  const [loadAtStart] = loadavg()
  const home = join(scratch, 'take-home')
  const settings = readSettings({ QUARTERDECK_HOME: home })
  const quarters = QUARTERS.flatMap(quarter => {
    const archive = sharedFolder('maec', `${quarter}.tar.gz`)
    if (archive === undefined) return quarter === '2016Q4' ? [{ quarter, folder: sample(quarter) }] : []
    const folder = join(scratch, `transcripts-${quarter}`)
    mkdirSync(folder)
    execFileSync('tar', ['-xzf', archive, '-C', folder])
    return [{ quarter, folder }]
  })
  const steps: TakeHomeReport['steps'] = []
  for (const { quarter, folder } of quarters) {
    const took: Record<string, number> = {}
    for (const verb of STEPS) {
      const step = await measureStep(home, [verb, ...(verb === 'ingest' ? [folder] : []), '--quarter', quarter])
      took[verb] = step.seconds
    }
    let again = 0
    for (const verb of ['novelty', 'lineage']) again += (await measureStep(home, [verb, '--quarter', quarter])).seconds
    const [counts] = await withDatabase(
      settings,
      async sql =>
        await sql<{ firms: number; sentences: number }[]>`
        select count(distinct firm_id)::int as firms, sum(sentences)::int as sentences from calls where quarter = ${quarter}`,
    )
    const all = Object.values(took).reduce((sum, value) => sum + value, 0)
    steps.push({ quarter, ...counts, all, novelty: took.novelty, lineage: took.lineage, again })
    say(`bench: ${quarter} in ${all.toFixed(1)} s`)
  }

  const files: TakeHomeReport['files'] = []
  const write = async (what: string, file: string, words: string[]) => {
    const { seconds, command } = await measureStep(home, [...words, '--output', file])
    files.push({ what, seconds, bytes: statSync(file).size, peakBytes: command.peakBytes })
    say(`bench: ${what} in ${seconds.toFixed(2)} s`)
  }
  for (const { quarter } of quarters)
    await write(`report of ${quarter}`, join(scratch, `${quarter}.html`), ['report', '--quarter', quarter])
  for (const [what, format] of EXPORTS)
    await write(`${what} as ${format}`, join(scratch, `${what}.${format}`), [
      'export',
      '--what',
      what,
      '--format',
      format,
    ])

  const nearest = await withDatabase(settings, async sql => {
    const dimension = (await boundModel(sql))?.dimension ?? 0
    return await measureNearest(sql, quarters[quarters.length - 1].quarter, dimension, scratch)
  })
  const options = { home }
  const followed = JSON.parse(await succeed(['lineage', '--json'], options)) as TakeHomeReport['followed']
  return {
    source: quarters.map(one => one.quarter).join(', '),
    steps,
    files,
    followed,
    sameIdentity: await withOtherSeed(home, quarters[quarters.length - 1].quarter),
    histories: measureHistories(),
    nearest,
    loadAtStart,
    loadAtEnd: loadavg()[0],
  }
}

/** Clusters the last quarter's topics with another seed, follows it again, and compares what was said of each topic. */
async function withOtherSeed(home: string, quarter: string): Promise<number> {
  const identities = () =>
    withDatabase(readSettings({ QUARTERDECK_HOME: home }), async sql => {
      const rows = await sql<{ topicId: string; lineageId: string }[]>`
        select topic_id as "topicId", lineage_id as "lineageId"
        from theme_topics join theme_lineage using (theme_id) where quarter = ${quarter}`
      return new Map(rows.map(row => [row.topicId, row.lineageId]))
    })
  const before = await identities()
  await succeed(['aggregate', '--quarter', quarter, '--seed', '7'], { home })
  await succeed(['lineage'], { home })
  const after = await identities()
  // What began in this quarter is called after its number, which another seed deals out anew.
  const shared = [...before].filter(([topic, id]) => after.has(topic) && !id.startsWith(`${quarter}/`))
  return shared.filter(([topic, id]) => after.get(topic) === id).length / shared.length
}

export function reportTakeHome(report: TakeHomeReport): string {
  const { source, steps, files, followed, sameIdentity, histories, nearest, loadAtStart, loadAtEnd } = report
  const EVENTS: Event[] = ['continued', 'merged', 'split', 'returned', 'new', 'gone']
  return [
    `- Data: ${source} of MAEC, one after another into one embedded database.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    table(
      ['quarter', 'firms', 'sentences', 'all eight steps, s', '`novelty`, s', '`lineage`, s', 'both again, s'],
      steps.map(one => [
        one.quarter,
        thousands(one.firms),
        thousands(one.sentences),
        ...[one.all, one.novelty, one.lineage, one.again].map(seconds),
      ]),
    ),
    table(
      ['file', 'seconds', 'MB', 'peak MB of the process'],
      files.map(one => [
        one.what,
        seconds(one.seconds),
        (one.bytes / 2 ** 20).toFixed(2),
        thousands(one.peakBytes / 2 ** 20),
      ]),
    ),
    `The nearest earlier sentence of ${thousands(nearest.sentences)} sentences of ${thousands(nearest.firms)} firms, one thread, the ` +
      `database aside: ours, in doubles and with ties settled, ${seconds(nearest.ours)} s` +
      (nearest.numpy === undefined
        ? '.'
        : `; numpy's \`(A @ B.T).argmax(1)\` in float32 ${seconds(nearest.numpy)} s, the same sentence for ${percent(nearest.same)}.`),
    '### What became of the themes',
    table(
      ['quarter', 'themes', ...EVENTS],
      followed.map(one => [one.quarter, String(one.themes), ...EVENTS.map(event => String(one.events[event]))]),
    ),
    `With another seed for the themes of the last quarter, ${percent(sameIdentity)} of its topics that are in a theme both times, and ` +
      'the first time in one that came from an earlier quarter, are in a theme of the same identity.',
    'Made-up histories of nine themes, two hundred for each nearness of subjects of one kin, whose events are known:',
    table(
      ['cosine of kin', 'rule', 'events told', 'told that are true', ...Object.keys(histories[0].byEvent)],
      histories.map(row => [
        row.kin.toFixed(2),
        row.rule,
        percent(row.recall),
        percent(row.precision),
        ...Object.values(row.byEvent).map(percent),
      ]),
    ),
  ].join('\n\n')
}

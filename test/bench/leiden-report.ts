// What the bench measured of communities beside leidenalg, as Markdown. Nothing is measured here.

import { thousands } from '../../lib/log.ts'
import { STARTS } from '../../lib/math/community-topics.ts'
import { FIRM_RESOLUTION } from '../../lib/math/engine.ts'
import { type LeidenReport, type LeidenRow, OURS } from './leiden.ts'
import { describeMachine, ratio, seconds, table } from './markdown.ts'

export function reportLeiden({ source, rows, versions, absent, loadAtStart, loadAtEnd }: LeidenReport): string {
  return [
    `- Data: fuzzy graphs of the first sentences of ${source}, talk left out, firm after firm; and planted graphs.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    describeRows(rows),
    `One thread each, in turn; the graph is there already. The objective is modularity at the resolution of firms (${FIRM_RESOLUTION}), of planted groups at 1: the mean ` +
      `of three seeds, of one above 6,000 nodes. Ours begins once; for topics the best of ${STARTS} is kept. leidenalg is not asked to go on until nothing changes above 20,000.`,
    absent === undefined ? `The Python side: ${versions}.` : `No Python in this run. ${absent.trim()}`,
  ].join('\n\n')
}

function describeRows(rows: readonly LeidenRow[]): string {
  const ours = (graph: string) => rows.find(row => row.graph === graph && row.whose === OURS)
  return table(
    ['Graph', '', 'nodes', 'edges', 'seconds', 'ratio', 'CPU seconds', 'ratio', 'objective', 'to ours', 'communities'],
    rows.map(row => [
      row.graph,
      row.whose,
      thousands(row.nodes),
      thousands(row.edges),
      seconds(row.seconds),
      ratio(row.seconds, ours(row.graph)?.seconds),
      seconds(row.cpuSeconds),
      ratio(row.cpuSeconds, ours(row.graph)?.cpuSeconds),
      row.objective.toFixed(4),
      difference(row, ours(row.graph)),
      row.communities.toFixed(1),
    ]),
  )
}

/** How much a side's objective is above ours or below, in hundredths. */
function difference(row: LeidenRow, ours: LeidenRow | undefined): string {
  if (ours === undefined || row === ours) return '–'
  const percent = 100 * (row.objective / ours.objective - 1)
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent).toFixed(2)} %`
}

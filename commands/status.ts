// status: how far a quarter is. Reads the table `work`; changes nothing, and may run beside any other command.

import type { Command } from '../lib/command.ts'
import { requireQuarter, sizeOfQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { type BoundModel, boundModel } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { quartersInDatabase } from '../lib/db/quarters.ts'
import { failures, type Hand, recipesOf, type Stage, standingOf, workInHand } from '../lib/db/work.ts'
import { JSON_OUTPUT, type MethodName, optionalQuarterFlag, QUARTER, switchFlag } from '../lib/flags.ts'
import { count, thousands } from '../lib/log.ts'
import { type MethodOfFirms, methodsOf } from '../lib/text/firm-topics.ts'
import { renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'status',
  summary: 'Show what is done, what is stale and who is at work',
  about:
    'One line a quarter and step. `stale` means: done, but something before it has changed since. Changes nothing.',
  flags: [{ ...QUARTER, summary: 'Only this quarter' }, JSON_OUTPUT],
  examples: ['status', 'status --quarter 2024Q3 --json'],
  async run({ flags, settings, print, columns }) {
    const quarter = optionalQuarterFlag(flags)
    const status = await withDatabase(settings, sql => readStatus(sql, quarter))
    print(switchFlag(flags, 'json') ? JSON.stringify(status) : describe(status, columns))
  },
}

export type StepStatus = {
  step: Stage
  state: 'done' | 'stale' | 'pending' | 'failed' | 'in hand'
  done: number
  stale: number
  pending: number
  failed: number
  /** Of those done, how many only for now: by keywords where a language model was to name them. */
  forNow: number
}

export type QuarterStatus = {
  quarter: string
  firms: number
  calls: number
  sentences: number
  /** By which the topics of how many firms, and the themes, were made, that of most first; none where there are none. */
  methods: { topics: MethodOfFirms[]; themes: MethodName | null }
  steps: StepStatus[]
  inHand: Hand[]
  failures: { stage: Stage; firmId: string; error: string }[]
  /** The command that goes on, or null when everything is done. */
  next: string | null
}

export type Status = { model: BoundModel | null; quarters: QuarterStatus[] }

export async function readStatus(sql: Database, quarter?: string): Promise<Status> {
  if (quarter !== undefined) await requireQuarter(sql, quarter)
  const names = quarter === undefined ? await quartersInDatabase(sql) : [quarter]
  const quarters: QuarterStatus[] = []
  for (const name of names) {
    const inHand = await workInHand(sql, name)
    const steps = (await standingOf(sql, name)).map(standing => ({
      step: standing.stage,
      state: stateOf(
        standing,
        inHand.some(hand => hand.stage === standing.stage),
      ),
      done: standing.done,
      stale: standing.stale,
      pending: standing.pending,
      failed: standing.failed,
      forNow: standing.forNow,
    }))
    const open = steps.some(step => step.stale + step.pending + step.failed > 0)
    quarters.push({
      quarter: name,
      ...(await sizeOfQuarter(sql, name)),
      methods: {
        topics: methodsOf(await recipesOf(sql, 'cluster-firm', name)),
        themes: methodsOf(await recipesOf(sql, 'aggregate', name))[0]?.method ?? null,
      },
      steps,
      inHand,
      failures: await failures(sql, name),
      next: open ? `make quarter Q=${name}` : null,
    })
  }
  return { model: (await boundModel(sql)) ?? null, quarters }
}

function stateOf(standing: Omit<StepStatus, 'step' | 'state'>, inHand: boolean): StepStatus['state'] {
  if (inHand) return 'in hand'
  if (standing.stale > 0) return 'stale'
  if (standing.pending > 0) return 'pending'
  return standing.failed > 0 ? 'failed' : 'done'
}

function describe({ model, quarters }: Status, columns: number | undefined): string {
  if (quarters.length === 0) return 'The database is empty. Begin with: make quarter Q=2024Q3\n'
  const parts = [
    model === null
      ? 'No embeddings yet.'
      : `Embedding model: ${model.name} (revision ${model.revision}, ${model.dimension} dimensions)`,
  ]
  for (const one of quarters) {
    const rows = one.steps.map(step => [
      step.step,
      step.state,
      ...[step.done, step.stale, step.pending, step.failed].map(n => (n === 0 ? '' : thousands(n))),
    ])
    const numbers = ['done', 'stale', 'pending', 'failed'].map(title => ({ title, align: 'right' as const }))
    parts.push(
      `${one.quarter}: ${thousands(one.firms)} firms, ${thousands(one.calls)} calls, ${thousands(one.sentences)} sentences`,
      renderTable([{ title: 'step' }, { title: 'state' }, ...numbers], rows, columns),
    )
    if (one.methods.topics.length > 0) parts.push(clusteredBy(one.methods))
    for (const { step, forNow } of one.steps)
      if (forNow > 0) parts.push(`${step}: ${namedForNow(step, forNow)}; the next run with a key asks again`)
    if (one.inHand.length > 0) parts.push(handsOf(one.inHand))
    for (const failure of one.failures) parts.push(`${failure.stage} failed for ${failure.firmId}: ${failure.error}`)
    if (one.next !== null) parts.push(`Go on with: ${one.next}`)
  }
  return parts.join('\n\n')
}

function clusteredBy({ topics: [most, ...others], themes }: QuarterStatus['methods']): string {
  const but = others.map(({ method, firms }) => ` (but ${count(firms, 'firm')} by ${method})`).join('')
  return themes === null || (themes === most.method && but === '')
    ? `Clustered by ${most.method}${but}`
    : `Topics by ${most.method}${but}, themes by ${themes}`
}

function namedForNow(step: Stage, units: number): string {
  return step === 'aggregate'
    ? 'some themes have names of keywords for now'
    : `${count(units, 'firm')} left with names of before, or of keywords, for now`
}

function handsOf(hands: readonly Hand[]): string {
  const firmsOf = new Map<string, string[]>()
  for (const hand of hands) {
    const key = `${hand.stage}, ${hand.worker}`
    firmsOf.set(key, [...(firmsOf.get(key) ?? []), hand.firmId])
  }
  return [...firmsOf].map(([who, firms]) => `In hand (${who}): ${firms.join(', ')}`).join('\n')
}

// The names of a whole quarter, by its keywords and by a language model: how many are unique, what they cost, and which
// themes come of them. The model's names are written down (names-2016Q3.jsonl: answers of a language model to the very
// prompts), and a local server gives them again, so that anybody can measure them without a key.

import { existsSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { Evaluation, NamesAndThemes } from '../../commands/eval.ts'
import type { NameResult, NamingPlan } from '../../commands/name-topics.ts'
import { count, thousands } from '../../lib/log.ts'
import { recordedNames, startChatServer } from '../chat-server.ts'
import { root, succeed } from '../run.ts'
import { describeMachine, percent, table } from './markdown.ts'
import { type Data, runSteps } from './quarter.ts'

type Named = { evaluation: NamesAndThemes; topics: Pick<Evaluation, 'npmi' | 'diversity'> }
export type NamesReport = {
  source: string
  keywords: Named
  /** Undefined for a quarter whose names nobody has written down. */
  model: (Named & { plan: NamingPlan; naming: NameResult; missing: number }) | undefined
  loadAtStart: number
  loadAtEnd: number
}

/** On a home that has the quarter's topics. */
export async function measureNames({ quarter, transcripts, source }: Data, home: string): Promise<NamesReport> {
  const [loadAtStart] = loadavg()
  await runSteps(['name-topics', 'aggregate'], quarter, transcripts, home, 'by keywords')
  const keywords = await evaluated(quarter, home)
  const file = join(root, `test/bench/names-${quarter}.jsonl`)
  const model = existsSync(file) ? await byModel(file, quarter, home) : undefined
  return { source, keywords, model, loadAtStart, loadAtEnd: loadavg()[0] }
}

async function byModel(file: string, quarter: string, home: string): Promise<NamesReport['model']> {
  let missing = 0
  const recorded = recordedNames(file, () => {
    missing++
  })
  const server = await startChatServer(() => recorded)
  try {
    const env = { XAI_API_KEY: 'none', QUARTERDECK_CHAT_URL: server.url }
    const words = ['name-topics', '--quarter', quarter, '--json']
    const plan = JSON.parse(await succeed([...words, '--dry-run'], { home }))
    const naming = JSON.parse(await succeed(words, { home, env }))
    // Themes without a key: their names have not been written down, and no figure below hangs on them.
    await succeed(['aggregate', '--quarter', quarter], { home })
    return { plan, naming, missing, ...(await evaluated(quarter, home)) }
  } finally {
    await server.close()
  }
}

async function evaluated(quarter: string, home: string): Promise<Named> {
  const found: Evaluation = JSON.parse(await succeed(['eval', '--quarter', quarter, '--json'], { home }))
  if (found.namesAndThemes === null) throw new Error(`eval found no names in ${quarter}`)
  return { evaluation: found.namesAndThemes, topics: { npmi: found.npmi, diversity: found.diversity } }
}

export function reportNames({ source, keywords, model, loadAtStart, loadAtEnd }: NamesReport): string {
  const columns = model === undefined ? [keywords] : [keywords, model]
  const row = (title: string, cell: (of: Named) => string) => [title, ...columns.map(cell)]
  const themes = (of: Named) => {
    if (of.evaluation.themes === null) throw new Error('eval found no themes')
    return of.evaluation.themes
  }
  const figure = (value: number | null) => (value === null ? '–' : value.toFixed(3))
  const { names } = keywords.evaluation
  return [
    `- Data: ${source}; ${count(names.topics, 'topic')} of ${count(names.firms, 'firm')}.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    table(
      ['Named by', 'keywords', ...(model === undefined ? [] : ['a language model'])],
      [
        row('firms whose names are unique', of => percent(of.evaluation.names.unique)),
        row('… of which no two would be taken for the same', of => percent(of.evaluation.names.distinct)),
        row('topics named by keywords', of => percent(of.evaluation.names.byKeywords)),
        row('themes', of => String(themes(of).themes)),
        row('largest theme, of all topics', of => percent(themes(of).largest)),
        row('topics in no theme', of => percent(themes(of).inNone)),
        row('topics given to the nearest theme', of => percent(themes(of).givenToNearest)),
        row('flagged themes', of => String(themes(of).flagged)),
        row('NPMI of themes', of => figure(themes(of).npmi)),
        row('diversity of themes', of => figure(themes(of).diversity)),
        row('NPMI of topics', of => figure(of.topics.npmi)),
        row('diversity of topics', of => figure(of.topics.diversity)),
        row('topics that are talk', ({ evaluation: { talk } }) => percent(talk.talkTopics.length / talk.topics)),
        row('themes that are talk', ({ evaluation: { talk } }) => percent(talk.talkThemes.length / talk.themes)),
      ],
    ),
    ...(model === undefined ? [] : [describeNaming(model)]),
  ].join('\n\n')
}

function describeNaming({ plan, naming, missing }: NonNullable<NamesReport['model']>): string {
  const { requests, byModel, byKeywords } = naming
  const dollars = plan.dollars === null ? '' : `, $${plan.dollars.toFixed(2)} with ${plan.model}`
  return (
    `Foreseen by \`--dry-run\`: ${count(plan.requests, 'request')}, ${thousands(plan.promptTokens)} tokens of questions and ` +
    `${thousands(plan.completionTokens)} of answers${dollars}. Made: ${count(requests, 'request')}, those for names that went ` +
    `back included; of ${count(byModel + byKeywords, 'topic')} ${thousands(byKeywords)} ended with a keyword name, and ` +
    `${thousands(missing)} had no name written down.`
  )
}

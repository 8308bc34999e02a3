// name-topics: a name and a summary for every topic. Asks a language model where there is a key, one request a firm, so
// that the names of a firm differ from one another; takes them from the keywords where there is none.
// What is asked and believed is lib/text/naming, the answering is lib/model/chat, keyword names are lib/text/names.

import { readFile } from 'node:fs/promises'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { findFirm, firmNames, requireQuarter } from '../lib/db/calls.ts'
import { answerStore } from '../lib/db/chat-answers.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import { replaceTopicNames, shownTopics, type TopicName, type TopicToName, topicsToName } from '../lib/db/topics.ts'
import {
  type Claim,
  finishWork,
  openWork,
  recipeForNow,
  requireEarlier,
  workLeft,
  workThrough,
} from '../lib/db/work.ts'
import { FIRM, FOLLOW, FORCE, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, textFlag } from '../lib/flags.ts'
import { count, dollars, duration, progress, say, spent, thousands, warn } from '../lib/log.ts'
import { type AnswerStore, type Asker, foresee, openAsker, promptHash } from '../lib/model/ask-once.ts'
import { priceOf } from '../lib/model/chat-prices.ts'
import type { Settings } from '../lib/settings.ts'
import { keywordName, keywordSummary, uniqueNames } from '../lib/text/names.ts'
import { askForNames, firstQuestions, type NamingTask, type TopicShown, topicQuestions } from '../lib/text/naming.ts'
import type { Refused } from '../lib/text/prompt.ts'
import { renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'name-topics',
  summary: 'Name the topics: by a language model where there is a key, by their keywords where there is none',
  about:
    'Names the topics of each firm that have no names yet. With XAI_API_KEY it asks the language model (any ' +
    'OpenAI-compatible API: QUARTERDECK_CHAT_URL, QUARTERDECK_CHAT_MODEL), once a firm, and never twice for the same ' +
    'question; names that cannot be used, or read alike, go back once, and then the keywords name. Keyword names of an ' +
    'earlier run without a key are replaced. QUARTERDECK_CHAT_DOLLARS limits what a quarter may cost: what is left then ' +
    'is named by its keywords for now.',
  flags: [
    QUARTER,
    FIRM,
    FORCE,
    FOLLOW,
    { name: 'dry-run', summary: 'Say how many requests, tokens and dollars it would take; ask and change nothing' },
    JSON_OUTPUT,
  ],
  examples: [
    'name-topics --quarter 2024Q3',
    'name-topics --quarter 2024Q3 --dry-run',
    'name-topics --quarter 2016Q4 --firm MU',
  ],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const store = answerStore(sql, quarter)
      const options = { quarter, firmId, force: switchFlag(flags, 'force'), follow: switchFlag(flags, 'follow') }
      if (switchFlag(flags, 'dry-run')) {
        const plan = await foreseeNaming(sql, { ...options, settings, store })
        print(switchFlag(flags, 'json') ? JSON.stringify(plan) : describePlan(plan))
        return
      }
      const naming = await openAsker(settings, store)
      const { done } = await recorded(
        sql,
        {
          command: 'name-topics',
          quarter,
          options: { firm: firmId ?? null, force: options.force, follow: options.follow, ...placeOf(settings) },
          codeVersion: codeVersion(),
          model: naming?.model,
        },
        async () => {
          const done = await nameTopics(sql, { ...options, naming })
          const { quarter: _, ...counts } = done
          return { done, counts: { ...counts, dollars: counts.dollars ?? 'unknown' } }
        },
      )
      if (switchFlag(flags, 'json')) {
        const names = firmId === undefined ? {} : { itsTopics: await shownTopics(sql, quarter, firmId) }
        print(JSON.stringify({ ...done, ...names }))
      } else if (firmId !== undefined) {
        const topics = await shownTopics(sql, quarter, firmId)
        print(
          renderTable(
            [
              { title: 'topic' },
              { title: 'name', wrap: true },
              { title: 'size', align: 'right' },
              { title: 'keywords', wrap: true },
            ],
            topics.map(topic => [topic.topicId, topic.name, String(topic.size), topic.keywords.slice(0, 5).join(', ')]),
            columns,
          ),
        )
      }
    })
  },
}

export type NameOptions = {
  quarter: string
  firmId?: string | undefined
  force?: boolean
  /** Take what `cluster-firm` makes ready while it runs, until it is complete. */
  follow?: boolean
  /** The language model; without one the keywords name. */
  naming?: Asker | undefined
}

export type NameResult = {
  quarter: string
  firms: number
  byModel: number
  byKeywords: number
  /** Requests that went out; answers kept from earlier runs cost none. */
  requests: number
  promptTokens: number
  completionTokens: number
  /** Null where neither the server nor the settings know a price. */
  dollars: number | null
}

/** Raised whenever a change of the code changes keyword names. */
const METHOD = 2
const KEYWORD_RECIPE = JSON.stringify({ source: 'keywords', method: METHOD })
// Without a key, names that a model gave are better than what we could put in their place: SQL's `like`.
const ANY_MODEL = '%"source":"llm"%'

function recipeOf(model: string | undefined, template: string): string {
  return model === undefined ? KEYWORD_RECIPE : JSON.stringify({ source: 'llm', model, prompt: promptHash(template) })
}

/** Done for now, with names of a model among the others: the next run with a key asks again, and one without leaves them. */
function unfinished(recipe: string): string {
  return recipeForNow({ ...JSON.parse(recipe), source: 'llm' })
}

function readTemplate(): Promise<string> {
  return readFile(new URL('../data/prompts/name-topics.md', import.meta.url), 'utf8')
}

/** Names the topics of the firms of a quarter, or of one of them, that have none. */
export async function nameTopics(sql: Database, options: NameOptions): Promise<NameResult> {
  const start = performance.now()
  const { quarter, firmId, force = false, follow = false, naming } = options
  const target = { quarter, firmId }
  await requireEarlier(sql, 'name-topics', target, follow)
  const template = await readTemplate()
  const recipe = recipeOf(naming?.model, template)
  const { todo } = await openWork(sql, 'name-topics', target, recipe, force, naming ? undefined : ANY_MODEL)
  const result = { quarter, firms: 0, byModel: 0, byKeywords: 0, overLimit: 0 }
  // What is done may be taken back by the steps that are followed.
  if (todo > 0 || follow) {
    if (naming === undefined && todo > 0)
      say('name-topics: no XAI_API_KEY, so the keywords name the topics; a later run with a key renames them')
    const bar = progress(`name-topics ${quarter}`, todo, 'firms')
    const cost = () => (naming ? spent(naming.spending()) : '')
    const name = async (claim: Claim) => {
      await nameFirm(sql, claim, template, recipe, naming, result)
      bar.step(1, cost)
    }
    await workThrough(sql, 'name-topics', target, naming?.concurrency ?? 1, name, follow)
    bar.end()
  }
  const { overLimit, ...named } = result
  const nothingSpent = { requests: 0, promptTokens: 0, completionTokens: 0, dollars: 0 }
  const done = { ...named, ...(naming?.spending() ?? nothingSpent) }
  if (overLimit > 0)
    warn(
      `the spending limit of QUARTERDECK_CHAT_DOLLARS is reached: ${count(overLimit, 'firm')} left with names of before, or of keywords, for now; ` +
        'a run with a higher limit asks for the rest',
    )
  say(
    `name-topics ${quarter}: ${done.firms === 0 ? 'nothing left to do' : summaryOf(done, naming !== undefined, start)}`,
  )
  return done
}

function summaryOf(done: NameResult, asked: boolean, start: number): string {
  const seconds = (performance.now() - start) / 1000
  const named = `${count(done.firms, 'firm')} in ${duration(seconds)}; ${count(done.byModel + done.byKeywords, 'topic')} named`
  if (!asked) return named
  return `${named}, ${thousands(done.byKeywords)} of them by keywords; ${spent(done)}`
}

type Tally = { firms: number; byModel: number; byKeywords: number; overLimit: number }

async function nameFirm(
  sql: Database,
  claim: Claim,
  template: string,
  recipe: string,
  naming: Asker | undefined,
  tally: Tally,
): Promise<void> {
  const { quarter, firmId } = claim
  const topics = await topicsToName(sql, quarter, firmId)
  // A name that a model gave, be it another one or by an older prompt, is better than one of keywords.
  let names = topics.map((topic): Omit<TopicName, 'topicId'> => topic.nameByModel ?? nameByKeywords(topic))
  let itsRecipe = topics.some(topic => topic.nameByModel) ? unfinished(recipe) : recipe
  if (naming && topics.length > 0) {
    const task = await namingTask(sql, claim, topics, template)
    const found = await askForNames(task, question => naming.ask(question))
    names = names.map((before, place) => {
      const name = found.names[place]
      if (name !== undefined) return { ...name, source: 'llm' }
      return found.refused.has(place) ? nameByKeywords(topics[place]) : before
    })
    itsRecipe = found.askAgain ? unfinished(recipe) : recipe
    tellRefused(firmId, [...found.refused.values()])
    if (found.unusable !== undefined)
      warn(`${found.unusable}; ${firmId} has names of before, or of keywords${found.askAgain ? ', for now' : ''}`)
    if (found.overLimit) tally.overLimit++
  }
  const distinct = uniqueNames(names.map((name, i) => ({ name: name.name, keywords: topics[i].keywords })))
  const rows = names.map((name, i): TopicName => ({ ...name, topicId: topics[i].topicId, name: distinct[i] }))
  const done = await finishWork(sql, claim, itsRecipe, tx => replaceTopicNames(tx, quarter, firmId, rows))
  if (!done) return // another process took the firm over; its names stand
  tally.firms++
  for (const row of rows) {
    if (row.source === 'llm') tally.byModel++
    else tally.byKeywords++
  }
}

function tellRefused(firmId: string, refused: readonly Refused[]): void {
  if (refused.length === 0) return
  const [{ name, reason }] = refused
  say(
    `name-topics: ${firmId}: keywords name ${count(refused.length, 'topic')}, ` +
      `${refused.length === 1 ? 'its name' : 'their names'} cannot be used: ${JSON.stringify(name)}, ${reason}`,
  )
}

// As many as BERTopic shows its language models; five cost a quarter more.
const SENTENCES_SHOWN = 4

async function namingTask(
  sql: Database,
  { quarter, firmId }: Pick<Claim, 'quarter' | 'firmId'>,
  topics: readonly TopicToName[],
  template: string,
): Promise<NamingTask<TopicShown>> {
  const firm = (await firmNames(sql, [firmId])).get(firmId) ?? firmId
  return {
    subjects: topics.map(({ keywords, sentences }) => ({
      shown: { keywords, sentences: sentences.slice(0, SENTENCES_SHOWN) },
      evidence: [...keywords, ...sentences],
    })),
    question: topicQuestions(template, firm, quarter),
  }
}

function nameByKeywords(topic: TopicToName): Omit<TopicName, 'topicId'> {
  return {
    name: keywordName(topic.keywords),
    summary: keywordSummary(topic.keywords),
    source: 'keywords',
    model: null,
    promptHash: null,
  }
}

export type NamingPlan = {
  quarter: string
  model: string
  firms: number
  topics: number
  requests: number
  /** Questions whose answers are kept from earlier runs, and cost nothing. */
  kept: number
  promptTokens: number
  completionTokens: number
  dollars: number | null
  /** What the quarter's answers have cost so far, and the most they may; null without a limit. */
  spent: number
  limit: number | null
}

/** What naming would take, as far as it can be known before: the questions of the first round. Asks and changes nothing. */
export async function foreseeNaming(
  sql: Database,
  options: Omit<NameOptions, 'naming' | 'follow'> & { settings: Settings; store: AnswerStore },
): Promise<NamingPlan> {
  const { quarter, firmId, force = false, settings, store } = options
  await requireEarlier(sql, 'name-topics', { quarter, firmId })
  const template = await readTemplate()
  const firmIds = await workLeft(sql, 'name-topics', { quarter, firmId }, recipeOf(settings.chatModel, template), force)
  const plan: Omit<NamingPlan, 'spent' | 'limit'> = {
    quarter,
    model: settings.chatModel,
    firms: firmIds.length,
    topics: 0,
    requests: 0,
    kept: 0,
    promptTokens: 0,
    completionTokens: 0,
    dollars: 0,
  }
  for (const id of firmIds) {
    const topics = await topicsToName(sql, quarter, id)
    plan.topics += topics.length
    for (const question of firstQuestions(await namingTask(sql, { quarter, firmId: id }, topics, template))) {
      const { kept, promptTokens, completionTokens, dollars: cost } = await foresee(question, settings, store)
      if (kept) plan.kept++
      else plan.requests++
      plan.promptTokens += promptTokens
      plan.completionTokens += completionTokens
      plan.dollars = plan.dollars === null || cost === null ? null : plan.dollars + cost
    }
  }
  return { ...plan, spent: await store.spent(priceOf(settings)), limit: settings.chatDollars ?? null }
}

function describePlan(plan: NamingPlan): string {
  const { quarter, model, firms, topics, requests, kept, promptTokens, completionTokens, limit } = plan
  const lines = [
    `name-topics ${quarter} would ask ${model} ${count(requests, 'time')} for ${count(topics, 'topic')} of ${count(firms, 'firm')}:`,
    `some ${thousands(promptTokens)} tokens of questions and ${thousands(completionTokens)} of answers, ${dollars(plan.dollars)}.`,
    'Names that cannot be used, or read alike, are asked for once more, and naming the themes takes a question or two.',
  ]
  if (kept > 0) lines.push(`${count(kept, 'answer')} kept from before cost nothing.`)
  if (plan.spent > 0 || limit !== null)
    lines.push(
      `${dollars(plan.spent)}${limit === null ? '' : ` of at most ${dollars(limit)}`} spent on the quarter so far.`,
    )
  if (limit !== null && plan.dollars !== null && plan.spent + plan.dollars > limit)
    lines.push('That will not do for all: the keywords will name the rest.')
  return [...lines, 'This is a dry run: nothing was asked and nothing changed.'].join('\n')
}

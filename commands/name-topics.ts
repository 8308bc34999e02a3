// name-topics: a name and a summary for every topic. Asks a language model where there is a key, one request a firm, so
// that the names of a firm differ from one another; takes them from the keywords where there is none.
// The request is lib/text/prompt, the answering is lib/model/chat, keyword names are lib/text/names.

import { readFile } from 'node:fs/promises'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { findFirm, firmNames, requireQuarter } from '../lib/db/calls.ts'
import { answerStore } from '../lib/db/chat-answers.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { replaceTopicNames, shownTopics, type TopicName, type TopicToName, topicsToName } from '../lib/db/topics.ts'
import { type Claim, finishWork, openWork, requireEarlier, workThrough } from '../lib/db/work.ts'
import { FIRM, FORCE, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, textFlag } from '../lib/flags.ts'
import { count, duration, progress, say, thousands, warn } from '../lib/log.ts'
import { type Asker, askOnce, openAsker, promptHash } from '../lib/model/ask-once.ts'
import { keywordName, keywordSummary, uniqueNames } from '../lib/text/names.ts'
import { asData, fillPrompt, NAMES_SCHEMA, parseNames, topicsAsData } from '../lib/text/prompt.ts'
import { renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'name-topics',
  summary: 'Name the topics: by a language model where there is a key, by their keywords where there is none',
  about:
    'Names the topics of each firm that have no names yet. With XAI_API_KEY it asks the language model (any ' +
    'OpenAI-compatible API: QUARTERDECK_CHAT_URL, QUARTERDECK_CHAT_MODEL), once a firm, and never twice for the same ' +
    'question; keyword names of an earlier run without a key are replaced.',
  flags: [QUARTER, FIRM, FORCE, JSON_OUTPUT],
  examples: ['name-topics --quarter 2024Q3', 'name-topics --quarter 2016Q4 --firm MU'],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const naming = await openAsker(settings)
      const options = { quarter, firmId, force: switchFlag(flags, 'force'), naming }
      const { done } = await recorded(
        sql,
        {
          command: 'name-topics',
          quarter,
          options: { firm: firmId ?? null, force: options.force },
          codeVersion: codeVersion(),
          model: naming?.model,
        },
        async () => {
          const done = await nameTopics(sql, options)
          const { firms, byModel, byKeywords, requests, promptTokens, completionTokens } = done
          return { done, counts: { firms, byModel, byKeywords, requests, promptTokens, completionTokens } }
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
}

/** Raised whenever a change of the code changes keyword names. */
const METHOD = 1
const KEYWORD_RECIPE = JSON.stringify({ source: 'keywords', method: METHOD })

/** Names the topics of the firms of a quarter, or of one of them, that have none. */
export async function nameTopics(sql: Database, options: NameOptions): Promise<NameResult> {
  const start = performance.now()
  const { quarter, firmId, force = false, naming } = options
  const target = { quarter, firmId }
  await requireEarlier(sql, 'name-topics', target)
  const template = await readFile(new URL('../data/prompts/name-topics.md', import.meta.url), 'utf8')
  const recipe = naming
    ? JSON.stringify({ source: 'llm', model: naming.model, prompt: promptHash(template) })
    : KEYWORD_RECIPE
  // Without a key, names that a model gave are better than what we could put in their place.
  const alsoGood = naming ? undefined : '%"source":"llm"%'
  const { todo } = await openWork(sql, 'name-topics', target, recipe, force, alsoGood)
  const result: NameResult = {
    quarter,
    firms: 0,
    byModel: 0,
    byKeywords: 0,
    requests: 0,
    promptTokens: 0,
    completionTokens: 0,
  }
  if (todo > 0) {
    if (naming === undefined)
      say('name-topics: no XAI_API_KEY, so the keywords name the topics; a later run with a key renames them')
    const bar = progress(`name-topics ${quarter}`, todo, 'firms')
    await workThrough(sql, 'name-topics', target, naming?.concurrency ?? 1, async claim => {
      await nameFirm(sql, claim, template, recipe, naming, result)
      bar.step()
    })
    bar.end()
  }
  const seconds = (performance.now() - start) / 1000
  say(
    `name-topics ${quarter}: ${
      todo === 0
        ? 'nothing left to do'
        : `${count(result.firms, 'firm')} in ${duration(seconds)}; ${count(result.byModel + result.byKeywords, 'topic')} named` +
          (
            naming
              ? `, ${thousands(result.byKeywords)} of them by keywords; ${count(result.requests, 'request')}, ` +
                `${thousands(result.promptTokens + result.completionTokens)} tokens`
              : ''
          )
    }`,
  )
  return result
}

async function nameFirm(
  sql: Database,
  claim: Claim,
  template: string,
  recipe: string,
  naming: Asker | undefined,
  result: NameResult,
): Promise<void> {
  const { quarter, firmId } = claim
  const topics = await topicsToName(sql, quarter, firmId)
  let names = topics.map(nameByKeywords)
  let itsRecipe = recipe
  if (naming && topics.length > 0) {
    const firm = (await firmNames(sql, [firmId])).get(firmId) ?? firmId
    const evidence = topics.map(({ keywords, sentences }, i) => ({ id: i + 1, keywords, sentences }))
    const prompt = fillPrompt(template, { firm: asData(firm), quarter, topics: topicsAsData(evidence) })
    const question = { ...prompt, schema: NAMES_SCHEMA, schemaName: 'topic_names' }
    const answered = await askOnce(naming, question, answerStore(sql))
    if ('unusable' in answered) {
      warn(`${answered.unusable}; keywords name the topics of ${firmId} for now`)
      itsRecipe = KEYWORD_RECIPE // so that the next run asks again
    } else {
      if (answered.asked) result.requests++
      result.promptTokens += answered.promptTokens
      result.completionTokens += answered.completionTokens
      const { good, bad } = parseNames(
        answered.answer,
        evidence.map(one => String(one.id)),
      )
      if (bad.length > 0)
        say(`name-topics: ${firmId}: ${count(bad.length, 'name')} of no use (${bad[0].reason}); keywords name them`)
      names = names.map((name, i) => {
        const named = good.get(String(i + 1))
        return named ? { ...named, source: 'llm', model: answered.model, promptHash: answered.hash } : name
      })
    }
  }
  const distinct = uniqueNames(names.map((name, i) => ({ name: name.name, keywords: topics[i].keywords })))
  const rows = names.map((name, i): TopicName => ({ ...name, topicId: topics[i].topicId, name: distinct[i] }))
  const done = await finishWork(sql, claim, itsRecipe, tx => replaceTopicNames(tx, quarter, firmId, rows))
  if (!done) return // another process took the firm over; its names stand
  result.firms++
  for (const row of rows) {
    if (row.source === 'llm') result.byModel++
    else result.byKeywords++
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

// search: what is nearest to a text, at the levels of themes, topics and sentences, each with the path up.
// Reads only. The query is embedded by the database's own model.

import type { Command } from '../lib/command.ts'
import { findFirm, requireQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel, requireBoundModel, sourceOfBound } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { quartersInDatabase } from '../lib/db/quarters.ts'
import {
  nearestSentences,
  nearestThemes,
  nearestTopics,
  type SentenceHit,
  type ThemeHit,
  type TopicHit,
} from '../lib/db/search.ts'
import { UsageError, UserError } from '../lib/errors.ts'
import {
  choiceFlag,
  FIRM,
  JSON_OUTPUT,
  optionalQuarterFlag,
  QUARTER,
  switchFlag,
  textFlag,
  wholeNumberFlag,
} from '../lib/flags.ts'
import { type Embedder, openEmbedder } from '../lib/model/embedder.ts'
import { renderTable } from '../lib/text/table.ts'

const LEVELS = ['all', 'themes', 'topics', 'sentences'] as const
export type Level = (typeof LEVELS)[number]

export const command: Command = {
  verb: 'search',
  summary: 'Find the themes, topics and sentences nearest to a text',
  about:
    'Embeds the text with the model of the database and shows what is nearest by cosine: themes, topics, and sentences ' +
    'with the topic and theme they belong to. Talk is left out.',
  words: 'TEXT',
  flags: [
    { ...QUARTER, summary: 'Only this quarter' },
    FIRM,
    { name: 'level', value: 'LEVEL', summary: 'all, themes, topics or sentences', default: 'all' },
    { name: 'limit', value: 'N', summary: 'Most results of a level', default: '5' },
    JSON_OUTPUT,
  ],
  examples: ['search "memory chip prices"', 'search "share repurchases" --quarter 2024Q3 --level sentences --limit 20'],
  async run({ words, flags, settings, print, columns }) {
    const text = words.join(' ').trim()
    if (text === '') throw new UsageError('search needs a text', 'quarterdeck search "memory chip prices"')
    const quarter = optionalQuarterFlag(flags)
    const level = choiceFlag(flags, 'level', LEVELS)
    const limit = wholeNumberFlag(flags, 'limit', 5, 1, 1000)
    const wantedFirm = textFlag(flags, 'firm')
    const result = await withDatabase(settings, async sql => {
      if (quarter !== undefined) await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await firmOfAnyQuarter(sql, quarter, wantedFirm)
      const bound = await boundModel(sql)
      if (bound === undefined) throw new UserError('the database has no embeddings to search', 'make quarter Q=2024Q3')
      const embedder = await openEmbedder({
        model: settings.model ?? sourceOfBound(bound),
        threads: settings.threads,
        hub: settings.hub,
      })
      try {
        await requireBoundModel(sql, embedder)
        return await search(sql, embedder, { text, level, quarter, firmId, limit })
      } finally {
        await embedder.close()
      }
    })
    print(switchFlag(flags, 'json') ? JSON.stringify(result, bigintAsText) : describe(result, columns))
  },
}

export type SearchOptions = {
  text: string
  level?: Level
  quarter?: string | undefined
  firmId?: string | undefined
  limit?: number
}

export type SearchResult = { text: string; themes: ThemeHit[]; topics: TopicHit[]; sentences: SentenceHit[] }

/** What is nearest to a text, nearest first at each level; a level that was not asked for is empty. */
export async function search(sql: Database, embedder: Embedder, options: SearchOptions): Promise<SearchResult> {
  const { text, level = 'all', limit = 5, quarter, firmId } = options
  const { vectors } = await embedder.embed([text], { as: 'query' })
  if (vectors.every(value => value === 0))
    throw new UserError(`the model knows no word of ${JSON.stringify(text)}`, 'search for other words')
  const filter = { quarter, firmId, limit }
  const wanted = (one: Level) => level === 'all' || level === one
  return {
    text,
    themes: wanted('themes') ? await nearestThemes(sql, vectors, filter) : [],
    topics: wanted('topics') ? await nearestTopics(sql, vectors, filter) : [],
    sentences: wanted('sentences') ? await nearestSentences(sql, vectors, filter) : [],
  }
}

async function firmOfAnyQuarter(sql: Database, quarter: string | undefined, wanted: string): Promise<string> {
  if (quarter !== undefined) return await findFirm(sql, quarter, wanted)
  const quarters = await quartersInDatabase(sql)
  let failure: unknown = new UserError('the database is empty', 'make quarter Q=2024Q3')
  for (const one of quarters.reverse()) {
    try {
      return await findFirm(sql, one, wanted)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

function describe({ themes, topics, sentences }: SearchResult, columns: number | undefined): string {
  const figure = { title: 'near', align: 'right' as const }
  const near = (similarity: number) => similarity.toFixed(2)
  const parts: string[] = []
  if (themes.length > 0)
    parts.push(
      renderTable(
        [
          figure,
          { title: 'quarter' },
          { title: 'theme', wrap: true },
          { title: 'firms', align: 'right' },
          { title: 'sentences', align: 'right' },
        ],
        themes.map(hit => [near(hit.similarity), hit.quarter, hit.theme, String(hit.firms), String(hit.sentences)]),
        columns,
      ),
    )
  if (topics.length > 0)
    parts.push(
      renderTable(
        [
          figure,
          { title: 'quarter' },
          { title: 'firm' },
          { title: 'topic', wrap: true },
          { title: 'theme', wrap: true },
        ],
        topics.map(hit => [near(hit.similarity), hit.quarter, hit.firmId, hit.topic, hit.theme ?? '']),
        columns,
      ),
    )
  if (sentences.length > 0)
    parts.push(
      renderTable(
        [
          figure,
          { title: 'firm' },
          { title: 'date' },
          { title: 'sentence', wrap: true },
          { title: 'topic', wrap: true },
        ],
        sentences.map(hit => [
          near(hit.similarity),
          hit.firmId,
          hit.callDate ?? hit.quarter,
          hit.text,
          hit.topic ?? '',
        ]),
        columns,
      ),
    )
  return parts.length > 0 ? parts.join('\n\n') : 'Nothing found.\n'
}

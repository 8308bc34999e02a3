// search: what is nearest to a text, at the levels of themes, topics and sentences, each with the path up; or the sentences as a
// block for the prompt of a language model. Reads only. The query is embedded by the database's own model.

import type { Command, FlagValues } from '../lib/command.ts'
import { findFirm, requireQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel, requireBoundModel, sourceOfBound } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { quartersInDatabase } from '../lib/db/quarters.ts'
import {
  type Found,
  findSentences,
  findThemes,
  findTopics,
  neighborsOf,
  type SentenceHit,
  type ThemeHit,
  type TopicHit,
  type Wanted,
  wordsOf,
} from '../lib/db/search.ts'
import { requireSaid, themesCalled } from '../lib/db/search-filter.ts'
import { quartersWithoutTextIndex } from '../lib/db/text-index.ts'
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
import { count, say, thousands } from '../lib/log.ts'
import { CHARACTERS_A_TOKEN, tokensOf } from '../lib/model/chat-prices.ts'
import { type Embedder, openEmbedder } from '../lib/model/embedder.ts'
import type { Settings } from '../lib/settings.ts'
import { contextOf } from '../lib/text/context.ts'
import { readSearchText } from '../lib/text/search-text.ts'
import { type Column, renderTable } from '../lib/text/table.ts'

const LEVELS = ['all', 'themes', 'topics', 'sentences'] as const
export type Level = (typeof LEVELS)[number]
const WAYS = ['hybrid', 'meaning', 'words'] as const
export type Way = (typeof WAYS)[number]
// As the table `sentences` has them.
const SECTIONS = ['prepared', 'question', 'answer'] as const

const MOST_RESULTS = 1000
const RESULTS = 5
const CONTEXT_TOKENS = 2000
// The head of a block takes 60, a short sentence with its theme, topic and citation as many again.
const LEAST_TOKENS = 150
// Beyond it, no model that is asked would read it whole.
const MOST_TOKENS = 1_000_000
// Half of that is a sentence with its share of headings: the rest goes to what was said before and after it.
const TOKENS_A_SENTENCE = 100

export const command: Command = {
  verb: 'search',
  summary: 'Find the themes, topics and sentences nearest to a text',
  about:
    'Embeds the text with the model of the database and shows what is nearest by cosine, joined with what has most of its ' +
    'words: themes, topics, and sentences with the topic and theme they belong to. "A phrase" in quotation marks has to be ' +
    'there word for word, -word must not. A topic or a theme passes a filter where it has a sentence that passes. Talk is ' +
    'left out.',
  words: 'TEXT',
  flags: [
    { ...QUARTER, summary: 'Only this quarter' },
    FIRM,
    { name: 'section', value: 'SECTION', summary: `Only what was said there: ${SECTIONS.join(', ')}` },
    { name: 'role', value: 'ROLE', summary: 'Only what speakers of this role said, as the source calls it' },
    { name: 'theme', value: 'THEME', summary: 'Only this theme: its id, name, or lineage across the quarters' },
    { name: 'by', value: 'WAY', summary: 'hybrid (meaning and words), meaning, or words', default: 'hybrid' },
    { name: 'exact', summary: 'Compare with every sentence, past the vector index' },
    { name: 'level', value: 'LEVEL', summary: 'all, themes, topics or sentences', default: 'all' },
    { name: 'limit', value: 'N', summary: 'Most results of a level', default: String(RESULTS) },
    { name: 'context', summary: 'Print the sentences as a block for a prompt, with citations' },
    { name: 'tokens', value: 'N', summary: 'Most tokens of that block', default: String(CONTEXT_TOKENS) },
    JSON_OUTPUT,
  ],
  examples: [
    'search "memory chip prices"',
    'search "share repurchases" --quarter 2024Q3 --level sentences --limit 20',
    `search '"free cash flow" guidance -dividend' --section answer --role Executives`,
    'search "container freight rates" --quarter 2024Q3 --context --tokens 1500',
  ],
  async run({ words, flags, settings, print, columns }) {
    const text = words.join(' ').trim()
    if (text === '') throw new UsageError('search needs a text', 'quarterdeck search "memory chip prices"')
    const asked = readFlags(flags)
    const { result, context } = await withDatabase(settings, async sql => {
      const options = { ...asked, ...(await namedInDatabase(sql, asked)), text }
      const result = await searchWithModel(sql, settings, options)
      return { result, context: asked.context ? await contextFor(sql, result, asked.tokens) : undefined }
    })
    if (context !== undefined)
      say(
        `search: ${context.sentences.length} of ${count(result.sentences.length, 'sentence')}, about ` +
          `${thousands(context.tokens)} of ${count(asked.tokens, 'token')}`,
      )
    if (switchFlag(flags, 'json')) print(JSON.stringify({ ...result, context }, bigintAsText))
    else print(context === undefined ? describe(result, asked.by, columns) : context.block)
  },
}

type Asked = ReturnType<typeof readFlags>

function readFlags(flags: FlagValues) {
  const context = switchFlag(flags, 'context')
  const level = choiceFlag(flags, 'level', LEVELS)
  if (context && level !== 'sentences' && level !== 'all')
    throw new UsageError(`--context is made of sentences, and --level is ${level}`, 'leave --level out')
  if (!context && flags.tokens !== undefined)
    throw new UsageError('--tokens is the budget of --context', `--context --tokens ${CONTEXT_TOKENS}`)
  const tokens = wholeNumberFlag(flags, 'tokens', CONTEXT_TOKENS, LEAST_TOKENS, MOST_TOKENS)
  const usual = context ? Math.min(MOST_RESULTS, Math.ceil(tokens / TOKENS_A_SENTENCE)) : RESULTS
  return {
    context,
    tokens,
    level: context ? ('sentences' as const) : level,
    limit: wholeNumberFlag(flags, 'limit', usual, 1, MOST_RESULTS),
    quarter: optionalQuarterFlag(flags),
    firm: textFlag(flags, 'firm'),
    section: flags.section === undefined ? undefined : choiceFlag(flags, 'section', SECTIONS),
    role: textFlag(flags, 'role'),
    theme: textFlag(flags, 'theme'),
    by: choiceFlag(flags, 'by', WAYS),
    exact: switchFlag(flags, 'exact'),
  }
}

/** What the flags name, as the database calls it; refuses what it has not. */
async function namedInDatabase(sql: Database, { quarter, firm, section, role, theme }: Asked) {
  if (quarter !== undefined) await requireQuarter(sql, quarter)
  if (section !== undefined) await requireSaid(sql, 'section', section, quarter)
  if (role !== undefined) await requireSaid(sql, 'role', role, quarter)
  return {
    firmId: firm === undefined ? undefined : await firmOfAnyQuarter(sql, quarter, firm),
    themeIds: theme === undefined ? undefined : await themesCalled(sql, theme, quarter),
  }
}

export type SearchOptions = {
  /** May hold "phrases" that have to be there and -words that must not. */
  text: string
  level?: Level
  by?: Way
  quarter?: string | undefined
  firmId?: string | undefined
  section?: string | undefined
  role?: string | undefined
  themeIds?: readonly string[] | undefined
  /** Compares with every sentence, where otherwise the vector index is asked if there are many. */
  exact?: boolean
  limit?: number
}

export type SearchResult = { text: string; themes: ThemeHit[]; topics: TopicHit[]; sentences: SentenceHit[] }

/** `search` with the database's own model, which words alone do not need. */
async function searchWithModel(sql: Database, settings: Settings, options: SearchOptions): Promise<SearchResult> {
  if (options.by === 'words') return await search(sql, undefined, options)
  const bound = await boundModel(sql)
  if (bound === undefined) throw new UserError('the database has no embeddings to search', 'make quarter Q=2024Q3')
  const embedder = await openEmbedder({
    model: settings.model ?? sourceOfBound(bound),
    threads: settings.threads,
    hub: settings.hub,
  })
  try {
    await requireBoundModel(sql, embedder)
    return await search(sql, embedder, options)
  } finally {
    await embedder.close()
  }
}

/** What is nearest to a text, best first at each level; a level that was not asked for is empty. */
export async function search(
  sql: Database,
  embedder: Embedder | undefined,
  options: SearchOptions,
): Promise<SearchResult> {
  const { text, level = 'all', limit = RESULTS, by = 'hybrid', exact = false } = options
  const { text: plain, phrases, without } = readSearchText(text)
  if (plain === '')
    throw new UserError(
      `there is nothing to look for in ${text}${without.length > 0 ? ', only what must not be there' : ''}`,
      `add words: quarterdeck search 'memory prices${without.length > 0 ? ' -flash' : ''}'`,
    )
  for (const words of [...phrases, ...without])
    if ((await wordsOf(sql, words)).length === 0)
      throw new UserError(
        `every text has ${JSON.stringify(words)}, or none: full text keeps no word of it`,
        'search for it without the quotation marks or the minus',
      )
  const wanted: Wanted = {
    vector: by === 'words' ? undefined : await vectorOf(embedder, plain),
    words: by === 'meaning' ? undefined : nonEmpty(await wordsOf(sql, plain)),
  }
  if (wanted.vector === undefined && wanted.words === undefined)
    throw new UserError(
      by === 'words'
        ? `full text keeps no word of ${JSON.stringify(plain)}: too common, or no word`
        : `the model knows no word of ${JSON.stringify(plain)}`,
      'search for other words',
    )
  if (wanted.words !== undefined) await sayWhatIsSlow(sql, options.quarter)
  const filter = { ...options, phrases, without }
  const how = { limit, through: exact ? ('all' as const) : undefined }
  const isWanted = (one: Level) => level === 'all' || level === one
  return {
    text,
    themes: isWanted('themes') ? await findThemes(sql, wanted, filter, how) : [],
    topics: isWanted('topics') ? await findTopics(sql, wanted, filter, how) : [],
    sentences: isWanted('sentences') ? await findSentences(sql, wanted, filter, how) : [],
  }
}

/** Undefined where the model knows no word of the text: its vector has no direction then. */
async function vectorOf(embedder: Embedder | undefined, text: string): Promise<Float32Array | undefined> {
  if (embedder === undefined) return undefined
  const { vectors } = await embedder.embed([text], { as: 'query' })
  return vectors.some(value => value !== 0) ? vectors : undefined
}

function nonEmpty(words: readonly string[]): readonly string[] | undefined {
  return words.length > 0 ? words : undefined
}

async function sayWhatIsSlow(sql: Database, quarter: string | undefined): Promise<void> {
  const without = await quartersWithoutTextIndex(sql, quarter === undefined ? await quartersInDatabase(sql) : [quarter])
  if (without.length === 0) return
  say(
    `search: ${without.join(', ')} ${without.length === 1 ? 'has' : 'have'} no index of words, so every sentence is read; ` +
      `next time quicker: quarterdeck index --quarter ${without[0]}`,
  )
}

export type SearchContext = {
  /** Empty never: where no sentence fits, there is an error. */
  block: string
  tokens: number
  /** What [1], [2] … in the block stand for. */
  sentences: SentenceHit[]
}

/** The sentences of a result as a block for a prompt, of at most so many tokens. */
export async function contextFor(
  sql: Database,
  { text, sentences }: SearchResult,
  tokens: number,
): Promise<SearchContext> {
  if (sentences.length === 0) return { block: 'Nothing found.\n', tokens: tokensOf('Nothing found.\n'), sentences: [] }
  const neighbors = await neighborsOf(sql, sentences)
  const withNeighbors = sentences.map((hit, i) => ({ ...hit, ...neighbors[i], hit }))
  const { block, cited } = contextOf(text, withNeighbors, tokens * CHARACTERS_A_TOKEN)
  if (cited.length === 0)
    throw new UserError(
      `none of ${count(sentences.length, 'sentence')} fits into ${count(tokens, 'token')} with its theme, topic and citation`,
      `--tokens ${Math.max(CONTEXT_TOKENS, 2 * tokens)}`,
    )
  return { block, tokens: tokensOf(block), sentences: cited.map(one => one.hit) }
}

async function firmOfAnyQuarter(sql: Database, quarter: string | undefined, wanted: string): Promise<string> {
  if (quarter !== undefined) return await findFirm(sql, quarter, wanted)
  const failures: UserError[] = []
  for (const one of (await quartersInDatabase(sql)).reverse()) {
    try {
      return await findFirm(sql, one, wanted)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      failures.push(error)
    }
  }
  const [latest] = failures
  if (latest === undefined) throw new UserError('the database is empty', 'make quarter Q=2024Q3')
  throw failures.length === 1
    ? latest
    : new UserError(`${latest.message}; in earlier quarters it names no single one`, latest.hint)
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

// Wide enough for a column of themes beside the sentences: at 80 columns each would have three words a line.
const WIDE = 110

type Shown<Hit> = Column & { cell: (hit: Hit) => string }

function describe({ themes, topics, sentences }: SearchResult, by: Way, columns: number | undefined): string {
  const found: Shown<Found & { similarity: number | null }>[] = [
    { title: 'near', align: 'right', cell: hit => hit.similarity?.toFixed(2) ?? '' },
    { title: 'by', cell: hit => (hit.wordsRank === null ? 'meaning' : hit.meaningRank === null ? 'words' : 'both') },
  ]
  const how = by === 'hybrid' ? found : by === 'meaning' ? found.slice(0, 1) : []
  const themeOf: Shown<{ theme: string | null }> = { title: 'theme', wrap: true, cell: hit => hit.theme ?? '' }
  const parts = [
    tableOf(themes, columns, [
      ...how,
      { title: 'quarter', cell: hit => hit.quarter },
      themeOf,
      { title: 'firms', align: 'right', cell: hit => thousands(hit.firms) },
      { title: 'sentences', align: 'right', cell: hit => thousands(hit.sentences) },
    ]),
    tableOf(topics, columns, [
      ...how,
      { title: 'quarter', cell: hit => hit.quarter },
      { title: 'firm', cell: hit => hit.firmId },
      { title: 'topic', wrap: true, cell: hit => hit.topic },
      themeOf,
    ]),
    tableOf(sentences, columns, [
      ...how,
      { title: 'firm', cell: hit => hit.firmId },
      { title: 'date', cell: hit => hit.callDate ?? hit.quarter },
      { title: 'sentence', wrap: true, cell: hit => hit.text },
      { title: 'topic', wrap: true, cell: hit => hit.topic ?? '' },
      ...(columns === undefined || columns >= WIDE ? [themeOf] : []),
    ]),
  ].filter(part => part !== '')
  return parts.length > 0 ? parts.join('\n\n') : 'Nothing found.\n'
}

function tableOf<Hit>(hits: readonly Hit[], width: number | undefined, shown: readonly Shown<Hit>[]): string {
  if (hits.length === 0) return ''
  return renderTable(
    shown,
    hits.map(hit => shown.map(column => column.cell(hit))),
    width,
  )
}

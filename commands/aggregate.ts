// aggregate: themes that run across firms. Embeds what stands for each topic (its name and summary), clusters the topics
// of the quarter across firms, names the themes, and says of each what makes it doubtful. One transaction at the end.
// How topics become themes is lib/math/themes.ts.

import { readFile } from 'node:fs/promises'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { commonWordsOf, requireQuarter, sizeOfQuarter } from '../lib/db/calls.ts'
import { answerStore } from '../lib/db/chat-answers.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import {
  replaceThemes,
  type Theme,
  type ThemeTopic,
  type TopicOfQuarter,
  textsOf,
  themeIdOf,
  topicsOfQuarter,
} from '../lib/db/themes.ts'
import { replaceTopicVectors } from '../lib/db/vectors.ts'
import { ALL_FIRMS, finishWork, keepLeases, nextClaim, openWork, requireEarlier } from '../lib/db/work.ts'
import { UserError } from '../lib/errors.ts'
import { FORCE, JSON_OUTPUT, numberFlag, QUARTER, quarterFlag, switchFlag, wholeNumberFlag } from '../lib/flags.ts'
import { count, duration, say, thousands, warn } from '../lib/log.ts'
import { dot } from '../lib/math/distance.ts'
import { NOISE } from '../lib/math/hdbscan.ts'
import { centroid, normalizeRows } from '../lib/math/matrix.ts'
import { seedFrom } from '../lib/math/random.ts'
import { THEME_RECIPE, type ThemeJob, type ThemeRecipe, type Themes } from '../lib/math/themes.ts'
import { type Asker, askOnce, promptHash } from '../lib/model/ask-once.ts'
import { openChat } from '../lib/model/chat.ts'
import { type Embedder, openEmbedder } from '../lib/model/embedder.ts'
import { openPool } from '../lib/pool.ts'
import { groupKeywords } from '../lib/text/keywords.ts'
import { keywordName, keywordSummary, uniqueNames } from '../lib/text/names.ts'
import { fillPrompt, parseNames, THEME_NAMES_SCHEMA, themesAsData } from '../lib/text/prompt.ts'

const SEED = 42

export const command: Command = {
  verb: 'aggregate',
  summary: "Cluster the topics of a quarter's firms into themes",
  about:
    'Embeds the name and summary of every topic and clusters them across firms (UMAP, then HDBSCAN, settings scaled to ' +
    'the number of topics). A theme of more than 15 % of the topics is split again; a topic in none is given to the ' +
    'nearest theme when it lies as near as its own do, and marked so. Doubtful themes are flagged, never dropped.',
  flags: [
    QUARTER,
    FORCE,
    {
      name: 'min-cluster-size',
      value: 'N',
      summary: 'Fewest topics of a theme in a quarter of 3,178 topics; smaller quarters scale it down',
      default: String(THEME_RECIPE.minClusterSize),
    },
    {
      name: 'largest-share',
      value: 'SHARE',
      summary: 'Split themes that hold more than this share of all topics',
      default: String(THEME_RECIPE.largestShare),
    },
    { name: 'leave-out', summary: 'Leave topics in none where they are, instead of giving them to the nearest theme' },
    { name: 'seed', value: 'N', summary: 'Seed of all chance', default: String(SEED) },
    JSON_OUTPUT,
  ],
  examples: ['aggregate --quarter 2024Q3'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    const recipe: ThemeRecipe = {
      ...THEME_RECIPE,
      minClusterSize: wholeNumberFlag(flags, 'min-cluster-size', THEME_RECIPE.minClusterSize, 3, 1000),
      largestShare: numberFlag(flags, 'largest-share', THEME_RECIPE.largestShare, 0.01, 1),
      giveToNearest: !switchFlag(flags, 'leave-out'),
    }
    const seed = wholeNumberFlag(flags, 'seed', SEED, 0, 2 ** 31 - 1)
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const bound = await boundModel(sql)
      if (bound === undefined)
        throw new UserError('the database has no embeddings yet', `quarterdeck embed --quarter ${quarter}`)
      const asker: Asker | undefined =
        settings.chatKey === undefined
          ? undefined
          : {
              chat: openChat({
                url: settings.chatUrl,
                key: settings.chatKey,
                model: settings.chatModel,
                concurrency: settings.chatConcurrency,
                requestsPerSecond: settings.chatRequestsPerSecond,
              }),
              model: settings.chatModel,
              concurrency: settings.chatConcurrency,
            }
      const { done } = await recorded(
        sql,
        {
          command: 'aggregate',
          quarter,
          options: { ...recipe },
          codeVersion: codeVersion(),
          model: bound.name,
          seed,
        },
        async () => {
          const done = await aggregate(sql, {
            quarter,
            recipe,
            seed,
            force: switchFlag(flags, 'force'),
            asker,
            openModel: () => openEmbedder({ model: settings.model ?? bound.folder, threads: settings.threads }),
          })
          return { done, counts: { themes: done.themes, topics: done.topics, inThemes: done.inThemes } }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify(done))
    })
  },
}

export type AggregateOptions = {
  quarter: string
  recipe?: ThemeRecipe
  seed?: number
  force?: boolean
  /** The language model that names the themes; without one the keywords do. */
  asker?: Asker | undefined
  openModel: () => Promise<Embedder>
}

export type AggregateResult = { quarter: string; themes: number; topics: number; inThemes: number; seconds: number }

/** Makes the themes of a quarter where its topics have changed since, or were never aggregated. */
export async function aggregate(sql: Database, options: AggregateOptions): Promise<AggregateResult> {
  const start = performance.now()
  const { quarter, recipe = THEME_RECIPE, seed = SEED, force = false, asker } = options
  const target = { quarter, firmId: ALL_FIRMS }
  await requireEarlier(sql, 'aggregate', { quarter })
  const template = await readFile(new URL('../data/prompts/name-themes.md', import.meta.url), 'utf8')
  const naming = asker ? { source: 'llm', model: asker.model, prompt: promptHash(template) } : { source: 'keywords' }
  const recipeText = JSON.stringify({ ...recipe, seed, naming })
  const { todo } = await openWork(sql, 'aggregate', target, recipeText, force)
  const claim =
    todo > 0
      ? await nextClaim(sql, 'aggregate', target, workers => say(`aggregate: waiting for ${workers.join(', ')}`))
      : undefined
  const topics = await topicsOfQuarter(sql, quarter)
  if (claim === undefined) {
    say(`aggregate ${quarter}: nothing left to do`)
    return { quarter, themes: 0, topics: topics.length, inThemes: 0, seconds: (performance.now() - start) / 1000 }
  }
  const leases = keepLeases(sql)
  try {
    say(`aggregate ${quarter}: ${count(topics.length, 'topic')} to cluster`)
    const { vectors, d } = await embedTopics(topics, options.openModel)
    const found = await cluster({ vectors, n: topics.length, d, recipe, seed: seedFrom(seed, 'themes', quarter) })
    const drafts = await draftThemes(sql, quarter, topics, vectors, d, found, recipe)
    const named = await nameThemes(sql, quarter, template, drafts, asker)
    const themes = named.map(({ members, ...theme }): Theme => {
      void members
      return theme
    })
    const memberships = named.flatMap(({ themeId, members }) =>
      members.map(
        (row): ThemeTopic => ({
          themeId,
          topicId: topics[row].topicId,
          probability: found.probabilities[row],
          givenToNearest: found.givenToNearest[row] === 1,
        }),
      ),
    )
    await finishWork(sql, claim, recipeText, async tx => {
      await replaceTopicVectors(
        tx,
        quarter,
        topics.map(topic => topic.topicId),
        vectors,
        d,
      )
      await replaceThemes(tx, quarter, themes, memberships)
    })
    const seconds = (performance.now() - start) / 1000
    const given = memberships.filter(one => one.givenToNearest).length
    say(
      `aggregate ${quarter}: ${count(themes.length, 'theme')} of ${thousands(memberships.length)} topics ` +
        `(${thousands(given)} of them given to the nearest), ${thousands(topics.length - memberships.length)} in none, ` +
        `${thousands(themes.filter(theme => theme.flags.length > 0).length)} flagged, in ${duration(seconds)}`,
    )
    return { quarter, themes: themes.length, topics: topics.length, inThemes: memberships.length, seconds }
  } finally {
    leases.stop()
  }
}

async function embedTopics(
  topics: readonly TopicOfQuarter[],
  openModel: () => Promise<Embedder>,
): Promise<{ vectors: Float32Array; d: number }> {
  const embedder = await openModel()
  try {
    const { vectors } = await embedder.embed(topics.map(textOfTopic))
    return { vectors, d: embedder.dimension }
  } finally {
    await embedder.close()
  }
}

// A model's name says more than its summary repeats; a keyword name is made of the summary's own words.
function textOfTopic({ name, summary }: TopicOfQuarter): string {
  return summary.toLowerCase().startsWith(name.toLowerCase().slice(0, 8)) ? summary : `${name}. ${summary}`
}

// In a worker: it takes seconds, in which the leases have to be renewed.
async function cluster(job: ThemeJob): Promise<Themes> {
  const pool = openPool<ThemeJob, Themes>(new URL('../lib/math/themes.ts', import.meta.url), 'clusterThemes', 1)
  try {
    return await pool.run(job)
  } finally {
    await pool.close()
  }
}

type Draft = Theme & { /** Rows of its topics. */ members: number[] }

// Where one firm holds more than this share of the sentences, the theme is that firm's story (design).
const DOMINANT_SHARE = 0.4
const REPRESENTATIVES = 5
const KEYWORDS = 10

async function draftThemes(
  sql: Database,
  quarter: string,
  topics: readonly TopicOfQuarter[],
  vectors: Float32Array,
  d: number,
  found: Themes,
  recipe: ThemeRecipe,
): Promise<Draft[]> {
  const membersOf: number[][] = Array.from({ length: found.count }, () => [])
  for (let row = 0; row < topics.length; row++) if (found.labels[row] !== NOISE) membersOf[found.labels[row]].push(row)
  const sizes = membersOf.map(members => sizeOf(members, topics))
  // Most firms first, then most sentences; equals by their first topic: a fixed order, and the one people want.
  const order = sizes
    .map((_, theme) => theme)
    .sort(
      (a, b) =>
        sizes[b].firms - sizes[a].firms || sizes[b].sentences - sizes[a].sentences || membersOf[a][0] - membersOf[b][0],
    )
  const keywords = await keywordsOf(
    sql,
    quarter,
    topics,
    order.map(theme => membersOf[theme]),
  )
  return order.map((theme, place): Draft => {
    const members = membersOf[theme]
    const middle = Float32Array.from(normalizeRows(centroid(vectors, d, members), 1, d))
    const { firms, sentences, largestFirmShare } = sizes[theme]
    const flags: string[] = []
    if (firms < 2) flags.push('few firms')
    else if (largestFirmShare > DOMINANT_SHARE) flags.push('one firm dominates')
    if (members.length > recipe.largestShare * topics.length) flags.push('large')
    return {
      themeId: themeIdOf(quarter, place + 1),
      name: keywordName(keywords[place]),
      summary: keywordSummary(keywords[place]),
      source: 'keywords',
      keywords: keywords[place],
      topics: members.length,
      firms,
      sentences,
      largestFirmShare,
      flags,
      representativeSentences: sentencesOfDifferentFirms(members, topics, vectors, middle, d),
      centroid: middle,
      members,
    }
  })
}

function sizeOf(
  members: readonly number[],
  topics: readonly TopicOfQuarter[],
): { firms: number; sentences: number; largestFirmShare: number } {
  const sentencesOfFirm = new Map<string, number>()
  for (const row of members)
    sentencesOfFirm.set(topics[row].firmId, (sentencesOfFirm.get(topics[row].firmId) ?? 0) + topics[row].size)
  const sentences = [...sentencesOfFirm.values()].reduce((sum, n) => sum + n, 0)
  return { firms: sentencesOfFirm.size, sentences, largestFirmShare: Math.max(...sentencesOfFirm.values()) / sentences }
}

/**
 * Keywords of each theme against the others. A text is what one firm says in one theme, so that a word counts by the
 * firms that use it; topics in none are background.
 */
async function keywordsOf(
  sql: Database,
  quarter: string,
  topics: readonly TopicOfQuarter[],
  themes: readonly (readonly number[])[],
): Promise<string[][]> {
  const sentenceText = await textsOf(
    sql,
    quarter,
    topics.flatMap(topic => topic.representativeSentences),
  )
  const textOf = (topic: TopicOfQuarter) =>
    topic.representativeSentences.map(id => sentenceText.get(id.toString()) ?? '').join(' \n')
  const texts: string[] = []
  const groups: number[] = []
  const inTheme = new Set<number>()
  for (const [theme, members] of themes.entries()) {
    const textOfFirm = new Map<string, string>()
    for (const row of members) {
      inTheme.add(row)
      const { firmId } = topics[row]
      textOfFirm.set(firmId, `${textOfFirm.get(firmId) ?? ''}\n${textOf(topics[row])}`)
    }
    for (const text of textOfFirm.values()) {
      texts.push(text)
      groups.push(theme)
    }
  }
  for (const [row, topic] of topics.entries()) {
    if (inTheme.has(row)) continue
    texts.push(textOf(topic))
    groups.push(NOISE)
  }
  const { firms } = await sizeOfQuarter(sql, quarter)
  const keywords = groupKeywords({
    texts,
    groupOfText: Int32Array.from(groups),
    groupCount: themes.length,
    weightOfText: new Float64Array(texts.length).fill(1),
    firmsUsingWord: await commonWordsOf(sql, quarter),
    firmCount: firms,
    howMany: KEYWORDS,
  })
  return keywords.map(ofTheme => ofTheme.map(keyword => keyword.term))
}

/** The first representative sentence of the topics nearest to the centroid, one a firm. */
function sentencesOfDifferentFirms(
  members: readonly number[],
  topics: readonly TopicOfQuarter[],
  vectors: Float32Array,
  middle: Float32Array,
  d: number,
): bigint[] {
  const nearness = new Map(members.map(row => [row, dot(vectors, row, middle, 0, d)]))
  const nearestFirst = [...members].sort((a, b) => (nearness.get(b) ?? 0) - (nearness.get(a) ?? 0) || a - b)
  const firms = new Set<string>()
  const sentences: bigint[] = []
  for (const row of nearestFirst) {
    const [sentence] = topics[row].representativeSentences
    if (sentences.length === REPRESENTATIVES) break
    if (sentence === undefined || firms.has(topics[row].firmId)) continue
    firms.add(topics[row].firmId)
    sentences.push(sentence)
  }
  return sentences
}

// Twenty themes with five topics each are some 4,000 tokens: one answer of a size that models give whole.
const THEMES_A_REQUEST = 20

async function nameThemes(
  sql: Database,
  quarter: string,
  template: string,
  drafts: readonly Draft[],
  asker: Asker | undefined,
): Promise<Draft[]> {
  const named = [...drafts]
  if (asker !== undefined) {
    const topicNames = new Map((await topicsOfQuarter(sql, quarter)).map((topic, row) => [row, topic]))
    for (let first = 0; first < drafts.length; first += THEMES_A_REQUEST) {
      const some = drafts.slice(first, first + THEMES_A_REQUEST)
      const evidence = some.map(({ firms, keywords, members }, i) => ({
        id: i + 1,
        firms,
        keywords,
        topics: members.slice(0, REPRESENTATIVES).map(row => {
          const { name = '', summary = '' } = topicNames.get(row) ?? {}
          return { name, summary }
        }),
      }))
      const prompt = fillPrompt(template, { quarter, themes: themesAsData(evidence) })
      const question = { ...prompt, schema: THEME_NAMES_SCHEMA, schemaName: 'theme_names' }
      const answered = await askOnce(asker, question, answerStore(sql))
      if ('unusable' in answered) {
        warn(`${answered.unusable}; keywords name ${count(some.length, 'theme')}`)
        continue
      }
      const { good } = parseNames(
        answered.answer,
        evidence.map(one => String(one.id)),
      )
      for (const [i, draft] of some.entries()) {
        const naming = good.get(String(i + 1))
        if (naming) named[first + i] = { ...draft, ...naming, source: 'llm' }
      }
    }
  }
  const distinct = uniqueNames(named)
  return named.map((theme, i) => ({ ...theme, name: distinct[i] }))
}

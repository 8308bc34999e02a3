// aggregate: themes that run across firms. Embeds what stands for each topic (its name and keywords), clusters the topics
// of the quarter across firms, names the themes, and says of each what makes it doubtful. One transaction at the end.
// How topics become themes is lib/math/themes.ts; what a theme is made of is lib/text/theme-drafts.ts.

import { readFile } from 'node:fs/promises'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { commonWordsOf, requireQuarter, sizeOfQuarter } from '../lib/db/calls.ts'
import { answerStore } from '../lib/db/chat-answers.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel, modelText, requireBoundModel, sourceOfBound } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import {
  replaceThemes,
  subthemeIdOf,
  type Theme,
  type ThemeTopic,
  type TopicOfQuarter,
  textsOf,
  themeCoverage,
  themeIdOf,
  topicsOfQuarter,
} from '../lib/db/themes.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import { replaceTopicVectors } from '../lib/db/vectors.ts'
import {
  ALL_FIRMS,
  finishWork,
  openWork,
  recipeForNow,
  recipesOf,
  requireEarlier,
  workOnQuarter,
} from '../lib/db/work.ts'
import { UserError } from '../lib/errors.ts'
import {
  FORCE,
  JSON_OUTPUT,
  METHODS,
  type MethodName,
  methodFlag,
  numberFlag,
  QUARTER,
  quarterFlag,
  switchFlag,
  wholeNumberFlag,
} from '../lib/flags.ts'
import { count, duration, progress, say, spent, thousands, warn } from '../lib/log.ts'
import type { Neighbors } from '../lib/math/neighbors.ts'
import { seedFrom } from '../lib/math/random.ts'
import {
  fewestForThemes,
  firstNeighborhoods,
  stepsOfThemes,
  THEME_COMMUNITIES,
  THEME_RECIPE,
  type ThemeJob,
  type ThemeRecipe,
  type Themes,
} from '../lib/math/themes.ts'
import { type Asker, openAsker, promptHash } from '../lib/model/ask-once.ts'
import { type Embedder, openEmbedder } from '../lib/model/embedder.ts'
import { neighborsWherePays } from '../lib/model/nearest.ts'
import { openPool } from '../lib/pool.ts'
import { methodsOf } from '../lib/text/firm-topics.ts'
import { keywordName, keywordSummary, uniqueNames } from '../lib/text/names.ts'
import { askForNames, type NamesFound, themeQuestions } from '../lib/text/naming.ts'
import { describeThemes, type ThemeDraft } from '../lib/text/theme-drafts.ts'

const SEED = 42

/** Raised whenever a change of the code changes themes: what older code made then counts as stale. */
const METHOD = 4

export const command: Command = {
  verb: 'aggregate',
  summary: "Cluster the topics of a quarter's firms into themes",
  about:
    'Embeds the name and keywords of every topic and clusters them across firms, by UMAP and HDBSCAN or, with --method ' +
    'communities, by Leiden communities of the graph that UMAP begins with, which leave fewer in none and have parts; a quarter ' +
    'stays with the method of its themes, or of its topics where it has none. Settings are scaled to the number of topics. A theme of more than 15 % of the topics is split again; a topic ' +
    'that is no nearer to its theme than chance would bring it leaves it; a topic in none is given to the ' +
    'nearest theme when it lies as near as its own do, and marked so. Doubtful themes are flagged, never dropped.',
  flags: [
    QUARTER,
    FORCE,
    {
      name: 'method',
      value: 'METHOD',
      summary: METHODS.join(' or '),
      default: "that of the quarter's themes, else of its topics",
    },
    {
      name: 'resolution',
      value: 'N',
      summary: 'The higher, the more and smaller themes (communities)',
      default: String(THEME_COMMUNITIES.resolution),
    },
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
  examples: ['aggregate --quarter 2024Q3', 'aggregate --quarter 2024Q3 --method communities'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    const ofBoth = {
      minClusterSize: wholeNumberFlag(flags, 'min-cluster-size', THEME_RECIPE.minClusterSize, 3, 1000),
      largestShare: numberFlag(flags, 'largest-share', THEME_RECIPE.largestShare, 0.01, 1),
      giveToNearest: !switchFlag(flags, 'leave-out'),
    }
    const recipes: Record<MethodName, ThemeRecipe> = {
      'umap-hdbscan': { ...THEME_RECIPE, ...ofBoth },
      communities: {
        ...THEME_COMMUNITIES,
        ...ofBoth,
        resolution: numberFlag(flags, 'resolution', THEME_COMMUNITIES.resolution, 0.01, 100),
      },
    }
    const methodGiven = (before?: MethodName) => methodFlag(flags, before, { communities: ['resolution'] })
    if (flags.method !== undefined) methodGiven() // what cannot be is said before the database is opened
    const seed = wholeNumberFlag(flags, 'seed', SEED, 0, 2 ** 31 - 1)
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const recipe = recipes[methodGiven(await methodOfThemes(sql, quarter))]
      const bound = await boundModel(sql)
      if (bound === undefined)
        throw new UserError('the database has no embeddings yet', `quarterdeck embed --quarter ${quarter}`)
      const asker = await openAsker(settings, answerStore(sql, quarter))
      const { done } = await recorded(
        sql,
        {
          command: 'aggregate',
          quarter,
          options: {
            ...recipe,
            force: switchFlag(flags, 'force'),
            languageModel: asker?.model ?? null,
            ...placeOf(settings),
          },
          codeVersion: codeVersion(),
          model: modelText(bound),
          seed,
        },
        async () => {
          const done = await aggregate(sql, {
            quarter,
            recipe,
            seed,
            force: switchFlag(flags, 'force'),
            asker,
            threads: settings.threads,
            openModel: texts =>
              openEmbedder({
                model: settings.model ?? sourceOfBound(bound),
                threads: settings.threads,
                hub: settings.hub,
                device: settings.device,
                expectedTexts: texts,
                batches: settings.batches,
              }),
          })
          const { themes, topics, inThemes, clustered, device } = done
          const { dollars, ...asked } = asker?.spending() ?? { dollars: 0 }
          return {
            done,
            counts: {
              themes,
              topics,
              inThemes,
              clustered,
              device: device ?? 'none',
              ...asked,
              dollars: dollars ?? 'unknown',
            },
          }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify({ ...done, naming: asker?.spending() ?? null }))
    })
  },
}

/** The method by which a quarter's themes were made; where it has none, its topics; undefined where it has neither. */
async function methodOfThemes(sql: Database, quarter: string): Promise<MethodName | undefined> {
  const [themes, topics] = [await recipesOf(sql, 'aggregate', quarter), await recipesOf(sql, 'cluster-firm', quarter)]
  return methodsOf(themes.length > 0 ? themes : topics)[0]?.method
}

export type AggregateOptions = {
  quarter: string
  recipe?: ThemeRecipe
  seed?: number
  force?: boolean
  /** The language model that names the themes; without one the keywords do. */
  asker?: Asker | undefined
  /** Threads for the neighbours of many topics; one unless given. */
  threads?: number
  /** Loads the model for about so many texts. */
  openModel: (texts: number) => Promise<Embedder>
}

export type AggregateResult = {
  quarter: string
  themes: number
  topics: number
  inThemes: number
  /** Topics that this run clustered: all, or none where nothing was left to do. */
  clustered: number
  /** What embedded them. */
  device: string | null
  seconds: number
}

/** Makes the themes of a quarter where its topics have changed since, or were never aggregated. */
export async function aggregate(sql: Database, options: AggregateOptions): Promise<AggregateResult> {
  const start = performance.now()
  const { quarter, recipe = THEME_RECIPE, seed = SEED, force = false, asker, threads = 1 } = options
  await requireEarlier(sql, 'aggregate', { quarter })
  const template = await readFile(new URL('../data/prompts/name-themes.md', import.meta.url), 'utf8')
  const clustering = { ...recipe, seed, method: METHOD }
  const whole = asker ? { ...clustering, source: 'llm', model: asker.model, prompt: promptHash(template) } : clustering
  const recipeText = JSON.stringify(whole)
  // Without a key, names that a model gave are better than what we could put in their place.
  const beginning = `${recipeText.slice(0, -1)},`
  const alsoGood = asker ? undefined : `${beginning}%`
  const { todo } = await openWork(sql, 'aggregate', { quarter, firmId: ALL_FIRMS }, recipeText, force, alsoGood)
  let clustered = 0
  let device: string | null = null
  if (todo > 0) {
    await tellOfMethods(sql, quarter, recipe)
    const isOurs = await workOnQuarter(sql, 'aggregate', quarter, async claim => {
      const topics = await topicsOfQuarter(sql, quarter)
      say(`aggregate ${quarter}: ${count(topics.length, 'topic')} to cluster`)
      const { vectors, d, ...on } = await embedTopics(sql, topics, options.openModel)
      const job = { vectors, n: topics.length, d, recipe, seed: seedFrom(seed, 'themes', quarter) }
      const found = await cluster(job, threads)
      const drafts = await describe(sql, quarter, topics, vectors, d, found, recipe)
      const { names, complete, failure } = await nameThemes(quarter, template, drafts, topics, asker)
      const { themes, memberships } = rowsOf(quarter, topics, found, drafts, names)
      const topicIds = topics.map(topic => topic.topicId)
      // Where the model has not been asked for all names the next run does: by then it may answer, or may cost more.
      const done = await finishWork(sql, claim, complete ? recipeText : recipeForNow(whole), async tx => {
        await replaceTopicVectors(tx, quarter, topicIds, vectors, d)
        await replaceThemes(tx, quarter, themes, memberships)
      })
      if (done) {
        clustered = topics.length
        device = on.device
      }
      if (new Set(topics.map(topic => topic.firmId)).size === 1)
        say(`aggregate ${quarter}: all topics are of one firm; a theme needs several`)
      if (done) tell(quarter, topics.length, recipe, themes, memberships, performance.now() - start)
      if (done && asker !== undefined) say(`aggregate ${quarter}: the themes' names took ${spent(asker.spending())}`)
      if (failure !== undefined) throw failure // the themes are there, named by keywords for now
      return done
    })
    const [made] = isOurs ? [] : await recipesOf(sql, 'aggregate', quarter)
    if (made !== undefined && made.recipe !== recipeText && (asker || !made.recipe.startsWith(beginning)))
      warn(`another command made the themes of ${quarter} with another recipe meanwhile: this one again makes its own`)
  } else say(`aggregate ${quarter}: nothing left to do`)
  return {
    quarter,
    ...(await themeCoverage(sql, quarter)),
    clustered,
    device,
    seconds: (performance.now() - start) / 1000,
  }
}

async function tellOfMethods(sql: Database, quarter: string, recipe: ThemeRecipe): Promise<void> {
  const own = 'resolution' in recipe ? 'communities' : 'umap-hdbscan'
  for (const { method, firms } of methodsOf(await recipesOf(sql, 'cluster-firm', quarter)))
    if (method !== own)
      say(`aggregate ${quarter}: by ${own}, while the topics of ${count(firms, 'firm')} are by ${method}`)
}

function rowsOf(
  quarter: string,
  topics: readonly TopicOfQuarter[],
  found: Themes,
  drafts: readonly ThemeDraft[],
  names: readonly ThemeName[],
): { themes: Theme[]; memberships: ThemeTopic[] } {
  const subthemeOf = new Map<number, string>()
  const themes = drafts.map((draft, place): Theme => {
    const themeId = themeIdOf(quarter, place + 1)
    return {
      ...draft,
      ...names[place],
      themeId,
      topics: draft.members.length,
      representativeSentences: draft.nearest.map(row => topics[row].representativeSentences[0]),
      subthemes: draft.parts.map(({ members, firms, keywords }, part) => {
        const subthemeId = subthemeIdOf(themeId, part + 1)
        for (const row of members) subthemeOf.set(row, subthemeId)
        return { subthemeId, topics: members.length, firms, keywords }
      }),
    }
  })
  const memberships = drafts.flatMap(({ members }, place) =>
    members.map(
      (row): ThemeTopic => ({
        themeId: themes[place].themeId,
        topicId: topics[row].topicId,
        subthemeId: subthemeOf.get(row) ?? null,
        probability: found.probabilities[row],
        givenToNearest: found.givenToNearest[row] === 1,
      }),
    ),
  )
  return { themes, memberships }
}

function tell(
  quarter: string,
  topics: number,
  recipe: ThemeRecipe,
  themes: readonly Theme[],
  memberships: readonly ThemeTopic[],
  milliseconds: number,
): void {
  if (themes.length === 0) {
    const fewest = fewestForThemes(recipe, topics)
    const why =
      topics < fewest ? `with fewer than ${fewest} there is nothing to tell apart` : 'no three are alike enough'
    say(`aggregate ${quarter}: no themes; ${count(topics, 'topic')}, ${thousands(topics)} in none: ${why}`)
    return
  }
  const given = memberships.filter(one => one.givenToNearest).length
  const flagged = themes.filter(theme => theme.flags.length > 0).length
  say(
    `aggregate ${quarter}: ${count(themes.length, 'theme')} of ${thousands(memberships.length)} topics ` +
      `(${thousands(given)} of them given to the nearest), ${thousands(topics - memberships.length)} in none, ` +
      `${thousands(flagged)} flagged, in ${duration(milliseconds / 1000)}`,
  )
}

async function embedTopics(
  sql: Database,
  topics: readonly TopicOfQuarter[],
  openModel: AggregateOptions['openModel'],
): Promise<{ vectors: Float32Array; d: number; device: string }> {
  const embedder = await openModel(topics.length)
  try {
    await requireBoundModel(sql, embedder)
    // Minutes, with a large model and 60,000 topics.
    const bar = progress('aggregate: embedding', topics.length, 'topics')
    const { vectors } = await embedder.embed(topics.map(textOfTopic), { onProgress: bar.step })
    bar.end()
    return { vectors, d: embedder.dimension, device: embedder.device }
  } finally {
    await embedder.close()
  }
}

/**
 * What stands for a topic: its name, and its keywords. A model's summary is for people: it says in common words what is said
 * about the subject (docs/why.md has the figures). A keyword name is made of the keywords, and needs no second mention.
 */
function textOfTopic({ name, keywords, source }: TopicOfQuarter): string {
  return source === 'keywords' ? keywordSummary(keywords) : `${name}. ${keywordSummary(keywords)}`
}

// How often the worker's count is looked at; the line itself is told when it is due.
const LOOK_MILLISECONDS = 500

// In a worker: it takes seconds to minutes, in which the leases have to be renewed.
async function cluster(job: ThemeJob, threads: number): Promise<Themes> {
  const neighbors = await neighborsFor(job, threads)
  const stepsDone = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const { steps, unit } = stepsOfThemes(job.recipe)
  const bar = progress('aggregate: clustering', steps, unit)
  let told = 0
  const timer = setInterval(() => {
    const done = Atomics.load(stepsDone, 0)
    bar.step(done - told)
    told = done
  }, LOOK_MILLISECONDS)
  const pool = openPool<ThemeJob, Themes>(new URL('../lib/math/themes.ts', import.meta.url), 'clusterThemes', 1)
  try {
    return await pool.run({ ...job, neighbors, stepsDone })
  } finally {
    clearInterval(timer)
    bar.end()
    await pool.close()
  }
}

/** Many topics have their neighbours found on the device that embeds. */
export async function neighborsFor(
  job: ThemeJob,
  threads: number,
  onDevice?: Parameters<typeof neighborsWherePays>[4],
): Promise<Neighbors | undefined> {
  return await neighborsWherePays('aggregate', job.n, () => firstNeighborhoods(job), threads, onDevice)
}

async function describe(
  sql: Database,
  quarter: string,
  topics: readonly TopicOfQuarter[],
  vectors: Float32Array,
  d: number,
  found: Themes,
  recipe: ThemeRecipe,
): Promise<ThemeDraft[]> {
  const sentenceText = await textsOf(
    sql,
    quarter,
    topics.flatMap(topic => topic.representativeSentences),
  )
  const { firms } = await sizeOfQuarter(sql, quarter)
  return describeThemes({
    topics: topics.map(({ firmId, size, representativeSentences }) => ({
      firmId,
      size,
      sentences: representativeSentences.map(id => sentenceText.get(id.toString()) ?? ''),
    })),
    vectors,
    d,
    themeOfTopic: found.labels,
    themeCount: found.count,
    partOfTopic: found.parts,
    largestShare: recipe.largestShare,
    firmsUsingWord: await commonWordsOf(sql, quarter),
    firmCount: firms,
  })
}

type ThemeName = Pick<Theme, 'name' | 'summary' | 'source'>
/** `complete` where the model has been asked for all of them; `failure` where it could not be. */
type ThemeNames = { names: ThemeName[]; complete: boolean; failure?: unknown }

/** Names of the themes, by the language model where there is one. A failure of it costs the names, not the clustering. */
async function nameThemes(
  quarter: string,
  template: string,
  drafts: readonly ThemeDraft[],
  topics: readonly TopicOfQuarter[],
  asker: Asker | undefined,
): Promise<ThemeNames> {
  let names = drafts.map(
    ({ keywords }): ThemeName => ({
      name: keywordName(keywords),
      summary: keywordSummary(keywords),
      source: 'keywords',
    }),
  )
  let complete = true
  if (asker !== undefined && drafts.length > 0) {
    const subjects = drafts.map(({ firms, keywords, nearest }) => {
      const shown = nearest.map(row => ({
        firm: topics[row].firmId,
        name: topics[row].name,
        summary: topics[row].summary,
      }))
      return {
        shown: { firms, keywords, topics: shown },
        evidence: [...keywords, ...shown.flatMap(({ name, summary }) => [name, summary])],
      }
    })
    const task = { subjects, question: themeQuestions(template, quarter) }
    let found: NamesFound
    try {
      found = await askForNames(task, question => asker.ask(question))
    } catch (failure) {
      return { names: distinct(names, drafts), complete: false, failure }
    }
    names = names.map((byKeywords, place) => {
      const name = found.names[place]
      return name === undefined ? byKeywords : { name: name.name, summary: name.summary, source: 'llm' }
    })
    const refused = [...found.refused.values()]
    if (refused.length > 0)
      say(
        `aggregate: keywords name ${count(refused.length, 'theme')}, as ${JSON.stringify(refused[0].name)} cannot be used: ` +
          refused[0].reason,
      )
    if (found.unusable !== undefined) warn(`${found.unusable}; keywords name themes${found.askAgain ? ' for now' : ''}`)
    if (found.overLimit) warn('the spending limit of QUARTERDECK_CHAT_DOLLARS is reached: keywords name themes for now')
    complete = !found.askAgain
  }
  return { names: distinct(names, drafts), complete }
}

function distinct(names: readonly ThemeName[], drafts: readonly ThemeDraft[]): ThemeName[] {
  const unique = uniqueNames(names.map(({ name }, i) => ({ name, keywords: drafts[i].keywords })))
  return names.map((name, i) => ({ ...name, name: unique[i] }))
}

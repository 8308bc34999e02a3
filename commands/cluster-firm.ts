// cluster-firm: the topics of each firm. Reads sentences and embeddings, clusters firm by firm in worker threads,
// writes topics and topic_sentences, one transaction a firm. What a topic is, and its keywords, is lib/text/firm-topics.

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { commonWordsOf, findFirm, firmNames, requireQuarter, sentencesOfFirm, sizeOfQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel, modelText } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { type Membership, replaceTopics, shownTopics, type Topic, topicCounts, topicIdOf } from '../lib/db/topics.ts'
import { sentenceVectorsOf } from '../lib/db/vectors.ts'
import { type Claim, failWork, finishWork, openWork, requireEarlier, type Target, workThrough } from '../lib/db/work.ts'
import { DatabaseLost, messageOf, UserError } from '../lib/errors.ts'
import {
  choiceFlag,
  FIRM,
  FORCE,
  JSON_OUTPUT,
  numberFlag,
  QUARTER,
  quarterFlag,
  switchFlag,
  textFlag,
  wholeNumberFlag,
} from '../lib/flags.ts'
import { count, duration, progress, say, warn } from '../lib/log.ts'
import { type ClusterRecipe, FIRM_RECIPE, NOISE } from '../lib/math/engine.ts'
import { seedFrom } from '../lib/math/random.ts'
import { openPool } from '../lib/pool.ts'
import type { EngineName, FirmJob, FirmTopics } from '../lib/text/firm-topics.ts'
import { renderTable } from '../lib/text/table.ts'

/** What decides the outcome, and so is kept with it: another recipe makes the firms stale. */
export type FirmClusterRecipe = ClusterRecipe & { engine: EngineName; withTalk: boolean; seed: number; method: number }

/** Raised whenever a change of the code changes topics or keywords: what older code made then counts as stale. */
const METHOD = 1

export const STANDARD_RECIPE: FirmClusterRecipe = {
  ...FIRM_RECIPE,
  engine: 'exact',
  withTalk: false,
  seed: 42,
  method: METHOD,
}

export const command: Command = {
  verb: 'cluster-firm',
  summary: "Cluster each firm's sentences into topics (UMAP, then HDBSCAN)",
  about:
    'Clusters the sentences of each firm that has no topics yet, or whose sentences changed. Talk is left out. The same ' +
    'sentences give the same topics, whatever the number of threads. Another recipe than last time clusters again. ' +
    'With --firm it prints the topics of that firm.',
  flags: [
    QUARTER,
    FIRM,
    FORCE,
    {
      name: 'engine',
      value: 'ENGINE',
      summary: 'exact: our own UMAP and HDBSCAN; libraries: umap-js and hdbscan-ts, kept for comparison',
      default: 'exact',
    },
    numberSetting('min-cluster-size', 'Fewest sentences of a topic', STANDARD_RECIPE.minClusterSize),
    numberSetting('min-samples', 'Neighbours that make a point dense (HDBSCAN)', STANDARD_RECIPE.minSamples),
    { name: 'selection', value: 'METHOD', summary: 'leaf: many even topics; eom: fewer, uneven ones', default: 'leaf' },
    numberSetting('neighbors', 'Neighbours a sentence is placed by (UMAP)', STANDARD_RECIPE.nNeighbors),
    numberSetting('components', 'Dimensions it is placed in (UMAP)', STANDARD_RECIPE.nComponents),
    numberSetting('min-dist', 'Least distance of two points there (UMAP)', STANDARD_RECIPE.minDist),
    numberSetting('epochs', 'Rounds of placing (UMAP)', STANDARD_RECIPE.epochs),
    numberSetting('seed', 'Seed of all chance', STANDARD_RECIPE.seed),
    { name: 'with-talk', summary: 'Cluster talk (greetings, operator, safe harbour …) as well' },
    JSON_OUTPUT,
  ],
  examples: ['cluster-firm --quarter 2024Q3', 'cluster-firm --quarter 2016Q4 --firm MU --force'],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const recipe = recipeFromFlags(flags)
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const options = { quarter, firmId, force: switchFlag(flags, 'force'), recipe, threads: settings.threads }
      const bound = await boundModel(sql)
      const { done } = await recorded(
        sql,
        {
          command: 'cluster-firm',
          quarter,
          options: { ...recipe, firm: firmId ?? null, force: options.force },
          codeVersion: codeVersion(),
          model: bound && modelText(bound),
          seed: recipe.seed,
        },
        async () => {
          const done = await clusterFirms(sql, options)
          return { done, counts: { firms: done.firms, failed: done.failed.length, topics: done.topics } }
        },
      )
      if (switchFlag(flags, 'json')) {
        const topics = firmId === undefined ? {} : { firm: firmId, itsTopics: await shownTopics(sql, quarter, firmId) }
        print(JSON.stringify({ ...done, ...topics }))
      } else if (firmId !== undefined) {
        const topics = await shownTopics(sql, quarter, firmId)
        const rows = topics.map(topic => [
          topic.topicId,
          String(topic.size),
          topic.keywords.slice(0, 5).join(', '),
          topic.example,
        ])
        print(
          renderTable(
            [
              { title: 'topic' },
              { title: 'size', align: 'right' },
              { title: 'keywords', wrap: true },
              { title: 'example', wrap: true },
            ],
            rows,
            columns,
          ),
        )
      }
      refuseIfNothingWorked(done, firmId)
    })
  },
}

function numberSetting(name: string, summary: string, standard: number) {
  return { name, value: 'N', summary, default: String(standard) }
}

function recipeFromFlags(flags: Parameters<typeof textFlag>[0]): FirmClusterRecipe {
  const standard = STANDARD_RECIPE
  return {
    engine: choiceFlag(flags, 'engine', ['exact', 'libraries']),
    minClusterSize: wholeNumberFlag(flags, 'min-cluster-size', standard.minClusterSize, 2, 1000),
    minSamples: wholeNumberFlag(flags, 'min-samples', standard.minSamples, 1, 1000),
    selection: choiceFlag(flags, 'selection', ['leaf', 'eom']),
    nNeighbors: wholeNumberFlag(flags, 'neighbors', standard.nNeighbors, 2, 1000),
    nComponents: wholeNumberFlag(flags, 'components', standard.nComponents, 2, 256),
    minDist: numberFlag(flags, 'min-dist', standard.minDist, 0, 1),
    epochs: wholeNumberFlag(flags, 'epochs', standard.epochs, 10, 10_000),
    seed: wholeNumberFlag(flags, 'seed', standard.seed, 0, 2 ** 31 - 1),
    withTalk: switchFlag(flags, 'with-talk'),
    method: METHOD,
  }
}

export type ClusterOptions = {
  quarter: string
  firmId?: string | undefined
  force?: boolean
  recipe?: FirmClusterRecipe
  threads: number
}

export type ClusterResult = {
  quarter: string
  /** Firms clustered in this run. */
  firms: number
  failed: { firm: string; reason: string }[]
  /** Of the quarter, or the firm, after this run: */
  topics: number
  sentences: number
  noise: number
  seconds: number
}

/** Clusters the firms of a quarter, or one of them, that have work left. */
export async function clusterFirms(sql: Database, options: ClusterOptions): Promise<ClusterResult> {
  const start = performance.now()
  const { quarter, firmId, force = false, recipe = STANDARD_RECIPE, threads } = options
  const target: Target = { quarter, firmId }
  await requireEarlier(sql, 'cluster-firm', target)
  const recipeText = JSON.stringify(recipe)
  const { todo, otherRecipe } = await openWork(sql, 'cluster-firm', target, recipeText, force)
  const result = { firms: 0, failed: [] as { firm: string; reason: string }[] }
  if (todo > 0) {
    if (recipe.engine === 'libraries') warn(LIBRARIES_WARNING)
    if (otherRecipe > 0) say(`cluster-firm: ${count(otherRecipe, 'firm')} had been clustered with another recipe`)
    await clusterAll(sql, target, recipe, recipeText, Math.min(threads, todo), todo, result)
  }
  const counts = await topicCounts(sql, quarter, firmId ?? null)
  const seconds = (performance.now() - start) / 1000
  say(
    `cluster-firm ${quarter}: ${todo === 0 ? 'nothing left to do' : `${count(result.firms, 'firm')} in ${duration(seconds)}`}; ` +
      `${count(counts.topics, 'topic')}, ${((100 * counts.noise) / Math.max(1, counts.sentences)).toFixed(0)} % of ` +
      `${count(counts.sentences, 'sentence')} noise`,
  )
  return { quarter, ...result, ...counts, seconds }
}

// Measured on 500 points in 15 clean blobs: docs/why.md has the figures.
const LIBRARIES_WARNING =
  'hdbscan-ts marks 225 of 500 points in 15 clean blobs as noise where the reference finds all 15; umap-js is sound but slow'

async function clusterAll(
  sql: Database,
  target: Target,
  recipe: FirmClusterRecipe,
  recipeText: string,
  threads: number,
  todo: number,
  result: { firms: number; failed: { firm: string; reason: string }[] },
): Promise<void> {
  const background = await readBackground(sql, target.quarter)
  const pool = openPool<FirmJob, FirmTopics>(
    new URL('../lib/text/firm-topics.ts', import.meta.url),
    'topicsOfFirm',
    threads,
  )
  const bar = progress(`cluster-firm ${target.quarter}`, todo, 'firms')
  try {
    // One firm more than threads, so that no thread waits for the database.
    await workThrough(sql, 'cluster-firm', target, threads + 1, async claim => {
      const outcome = await clusterOne(sql, pool, claim, recipe, recipeText, background)
      bar.step()
      if (outcome === 'done') result.firms++
      else if (outcome !== 'taken over') result.failed.push({ firm: claim.firmId, reason: outcome.failed })
    })
  } finally {
    bar.end()
    await pool.close()
  }
}

type Background = { d: number; firmsUsingWord: Map<string, number>; firmCount: number }

async function readBackground(sql: Database, quarter: string): Promise<Background> {
  const bound = await boundModel(sql)
  if (bound === undefined)
    throw new UserError('the database has no embeddings yet', `quarterdeck embed --quarter ${quarter}`)
  const { firms } = await sizeOfQuarter(sql, quarter)
  return { d: bound.dimension, firmsUsingWord: await commonWordsOf(sql, quarter), firmCount: firms }
}

async function clusterOne(
  sql: Database,
  pool: ReturnType<typeof openPool<FirmJob, FirmTopics>>,
  claim: Claim,
  recipe: FirmClusterRecipe,
  recipeText: string,
  background: Background,
): Promise<'done' | 'taken over' | { failed: string }> {
  const { quarter, firmId } = claim
  let ids: bigint[]
  let found: FirmTopics
  try {
    const firm = await readJob(sql, claim, recipe, background)
    ids = firm.ids
    found = await pool.run(firm.job).catch(() => pool.run(firm.job)) // a crashed worker costs one more try
  } catch (error) {
    if (error instanceof DatabaseLost) throw error
    await failWork(sql, claim, messageOf(error))
    warn(`cluster-firm could not do ${firmId} ${quarter}: ${messageOf(error)}`)
    return { failed: messageOf(error) }
  }
  const topics = found.topics.map(
    (topic, number): Topic => ({
      topicId: topicIdOf(quarter, firmId, number + 1),
      label:
        topic.keywords
          .slice(0, 3)
          .map(keyword => keyword.term)
          .join(', ') || `topic ${number + 1}`,
      size: topic.members.length,
      keywords: topic.keywords.map(keyword => keyword.term),
      keywordWeights: topic.keywords.map(keyword => keyword.weight),
      representativeSentences: topic.representatives.map(row => ids[row]),
      centroid: topic.centroid,
    }),
  )
  const memberships = ids.map((sentenceId, i): Membership => {
    const topic = found.topicOfSentence[i]
    return { sentenceId, topicId: topic === NOISE ? null : topics[topic].topicId, probability: found.probabilities[i] }
  })
  const done = await finishWork(sql, claim, recipeText, tx => replaceTopics(tx, quarter, firmId, topics, memberships))
  return done ? 'done' : 'taken over'
}

async function readJob(
  sql: Database,
  { quarter, firmId }: Claim,
  recipe: FirmClusterRecipe,
  background: Background,
): Promise<{ job: FirmJob; ids: bigint[] }> {
  const { engine, withTalk, seed, method: _, ...clusterRecipe } = recipe
  const all = await sentencesOfFirm(sql, quarter, firmId)
  const sentences = withTalk ? all : all.filter(sentence => sentence.talk === null)
  const ids = sentences.map(sentence => sentence.sentenceId)
  const name = (await firmNames(sql, [firmId])).get(firmId) ?? ''
  const job: FirmJob = {
    engine,
    recipe: clusterRecipe,
    seed: seedFrom(seed, firmId, quarter),
    texts: sentences.map(sentence => sentence.text),
    vectors: await sentenceVectorsOf(sql, quarter, firmId, ids, background.d),
    d: background.d,
    firmsUsingWord: background.firmsUsingWord,
    firmCount: background.firmCount,
    ownWords: [firmId, ...name.split(/\s+/)],
  }
  return { job, ids }
}

// One firm that fails must not stop five thousand; a run in which nothing worked must not look like a success.
function refuseIfNothingWorked(result: ClusterResult, firmId: string | undefined): void {
  if (result.failed.length === 0 || (result.firms > 0 && firmId === undefined)) return
  throw new UserError(
    `cluster-firm failed for ${count(result.failed.length, 'firm')}: ${result.failed[0].reason}`,
    `quarterdeck status --quarter ${result.quarter}`,
  )
}

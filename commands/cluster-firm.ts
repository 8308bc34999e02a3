// cluster-firm: the topics of each firm. Reads sentences and embeddings, clusters firm by firm in worker threads,
// writes topics and topic_sentences. What a topic is, its keywords and the recipe are lib/text/firm-topics; how firms are
// claimed and saved several at a time is lib/db/work-in-portions.

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { findFirm, requireQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { type FirmInput, type QuarterBackground, readBackground, readFirmInputs } from '../lib/db/firm-input.ts'
import { boundModel, modelText } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import {
  type FirmTopicRows,
  replaceTopics,
  type ShownTopic,
  shownTopics,
  type Topic,
  type TopicCounts,
  topicCounts,
  topicIdOf,
} from '../lib/db/topics.ts'
import { type Claim, failWork, finishTogether, openWork, requireEarlier, type Target } from '../lib/db/work.ts'
import { type PortionSteps, workInPortions } from '../lib/db/work-in-portions.ts'
import { messageOf, UserError } from '../lib/errors.ts'
import {
  choiceFlag,
  FIRM,
  FOLLOW,
  FORCE,
  JSON_OUTPUT,
  numberFlag,
  QUARTER,
  quarterFlag,
  switchFlag,
  textFlag,
  wholeNumberFlag,
} from '../lib/flags.ts'
import { count, duration, progress, say, thousands, warn } from '../lib/log.ts'
import { NOISE } from '../lib/math/engine.ts'
import { openPool, type Pool } from '../lib/pool.ts'
import {
  type FirmClusterRecipe,
  type FirmJob,
  type FirmTopics,
  firmJobOf,
  STANDARD_RECIPE,
} from '../lib/text/firm-topics.ts'
import { renderTable } from '../lib/text/table.ts'

export { STANDARD_RECIPE }

export const command: Command = {
  verb: 'cluster-firm',
  summary: "Cluster each firm's sentences into topics (UMAP, then HDBSCAN)",
  about:
    'Clusters the sentences of each firm that has no topics yet, or whose sentences changed. Talk is left out. The same ' +
    'sentences give the same topics, whatever the number of threads. Another recipe than last time clusters again. ' +
    'A firm with fewer than 12 different sentences (twice the fewest of a topic) has no topics: all is noise. ' +
    'With --reassign-noise a noise sentence also gets a second label, the topic whose centroid is nearest by cosine, where ' +
    "it lies as near as the outer quarter of that topic's own sentences; the first label stays, and size, keywords and " +
    'whatever follows go by the first. With --firm it prints the topics of that firm.',
  flags: [
    QUARTER,
    FIRM,
    FORCE,
    FOLLOW,
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
    numberSetting('epochs', 'Steps of placing up to 125 sentences, more for more (UMAP)', STANDARD_RECIPE.epochs),
    numberSetting(
      'negative-sample-rate',
      'How hard sentences push one another apart: the more, the less noise (UMAP)',
      STANDARD_RECIPE.negativeSampleRate,
    ),
    numberSetting('seed', 'Seed of all chance', STANDARD_RECIPE.seed),
    { name: 'reassign-noise', summary: 'Give noise to the nearest topic as a second label, where it is near enough' },
    {
      name: 'reassign-over',
      value: 'COSINE',
      summary: 'The same, near enough from this cosine on',
      default: "that of each topic's outer quarter",
    },
    { name: 'with-talk', summary: 'Cluster talk (greetings, operator, safe harbour …) as well' },
    JSON_OUTPUT,
  ],
  examples: [
    'cluster-firm --quarter 2024Q3',
    'cluster-firm --quarter 2016Q4 --firm MU --force',
    'cluster-firm --quarter 2024Q3 --reassign-noise',
    'cluster-firm --quarter 2024Q3 --follow',
  ],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const recipe = recipeFromFlags(flags)
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const [force, follow] = [switchFlag(flags, 'force'), switchFlag(flags, 'follow')]
      const options = { quarter, firmId, force, follow, recipe, threads: settings.threads }
      const model = async () => {
        const bound = await boundModel(sql)
        return bound && modelText(bound)
      }
      const { done } = await recorded(
        sql,
        {
          command: 'cluster-firm',
          quarter,
          options: { ...recipe, firm: firmId ?? null, force, follow, ...placeOf(settings) },
          codeVersion: codeVersion(),
          model: await model(),
          seed: recipe.seed,
        },
        async () => {
          const done = await clusterFirms(sql, options)
          const counts = { firms: done.firms, failed: done.failed.length, topics: done.topics }
          return { done, counts, model: await model() } // it may have been bound meanwhile, by the embed that was followed
        },
      )
      if (switchFlag(flags, 'json')) {
        const topics = firmId === undefined ? {} : { firm: firmId, itsTopics: await shownTopics(sql, quarter, firmId) }
        print(JSON.stringify({ ...done, ...topics }))
      } else if (firmId !== undefined) {
        const topics = await shownTopics(sql, quarter, firmId)
        print(topicTable(topics, columns))
      }
      refuseIfNothingWorked(done, firmId)
    })
  },
}

function topicTable(topics: readonly ShownTopic[], columns: number | undefined): string {
  // Without --reassign-noise the column would be zeros.
  const given = topics.some(topic => topic.reassigned > 0)
  return renderTable(
    [
      { title: 'topic' },
      { title: 'size', align: 'right' },
      ...(given ? [{ title: 'given', align: 'right' as const }] : []),
      { title: 'keywords', wrap: true },
      { title: 'example', wrap: true },
    ],
    topics.map(topic => [
      topic.topicId,
      String(topic.size),
      ...(given ? [String(topic.reassigned)] : []),
      topic.keywords.slice(0, 5).join(', '),
      topic.example,
    ]),
    columns,
  )
}

function numberSetting(name: string, summary: string, standard: number) {
  return { name, value: 'N', summary, default: String(standard) }
}

function recipeFromFlags(flags: Parameters<typeof textFlag>[0]): FirmClusterRecipe {
  const standard = STANDARD_RECIPE
  return {
    ...standard,
    engine: choiceFlag(flags, 'engine', ['exact', 'libraries']),
    minClusterSize: wholeNumberFlag(flags, 'min-cluster-size', standard.minClusterSize, 2, 1000),
    minSamples: wholeNumberFlag(flags, 'min-samples', standard.minSamples, 1, 1000),
    selection: choiceFlag(flags, 'selection', ['leaf', 'eom']),
    nNeighbors: wholeNumberFlag(flags, 'neighbors', standard.nNeighbors, 2, 1000),
    nComponents: wholeNumberFlag(flags, 'components', standard.nComponents, 2, 256),
    minDist: numberFlag(flags, 'min-dist', standard.minDist, 0, 1),
    epochs: wholeNumberFlag(flags, 'epochs', standard.epochs, 10, 10_000),
    negativeSampleRate: numberFlag(flags, 'negative-sample-rate', standard.negativeSampleRate, 0, 1000),
    seed: wholeNumberFlag(flags, 'seed', standard.seed, 0, 2 ** 31 - 1),
    reassignNoise:
      textFlag(flags, 'reassign-over') !== undefined
        ? numberFlag(flags, 'reassign-over', 0.5, 0, 1)
        : switchFlag(flags, 'reassign-noise')
          ? 'as near as its own'
          : standard.reassignNoise,
    withTalk: switchFlag(flags, 'with-talk'),
  }
}

export type ClusterOptions = {
  quarter: string
  firmId?: string | undefined
  force?: boolean
  /** Run beside `embed`: take what it has done, until it has nothing left. */
  follow?: boolean
  recipe?: FirmClusterRecipe
  threads: number
}

/** Firms clustered in this run, and those it could not do. */
type Outcome = { firms: number; failed: { firm: string; reason: string }[] }

/** The counts are of the quarter, or the firm, after this run. */
export type ClusterResult = { quarter: string; seconds: number } & Outcome & TopicCounts

/** Clusters the firms of a quarter, or one of them, that have work left. */
export async function clusterFirms(sql: Database, options: ClusterOptions): Promise<ClusterResult> {
  const start = performance.now()
  const { quarter, firmId, force = false, follow = false, recipe = STANDARD_RECIPE, threads } = options
  const target: Target = { quarter, firmId }
  await requireEarlier(sql, 'cluster-firm', target, follow)
  const recipeText = JSON.stringify(recipe)
  const { todo, otherRecipe } = await openWork(sql, 'cluster-firm', target, recipeText, force)
  const outcome: Outcome = { firms: 0, failed: [] }
  if (todo > 0 || follow) {
    if (recipe.engine === 'libraries') warn(LIBRARIES_WARNING)
    if (otherRecipe > 0) say(`cluster-firm: ${count(otherRecipe, 'firm')} had been clustered with another recipe`)
    // What is followed may bring more than is left now.
    const useful = follow ? threads : Math.min(threads, todo)
    await clusterAll(sql, { target, recipe, recipeText, threads: useful, todo, follow }, outcome)
  }
  const counts = await topicCounts(sql, quarter, firmId ?? null)
  const seconds = (performance.now() - start) / 1000
  const did = outcome.firms + outcome.failed.length > 0
  const noise = ((100 * counts.noise) / Math.max(1, counts.sentences)).toFixed(0)
  say(
    `cluster-firm ${quarter}: ${did ? `${count(outcome.firms, 'firm')} in ${duration(seconds)}` : 'nothing left to do'}; ` +
      `${count(counts.topics, 'topic')}, ${noise} % of ${count(counts.sentences, 'sentence')} noise` +
      (counts.reassigned > 0 ? `, ${thousands(counts.reassigned)} of them given to the nearest topic` : ''),
  )
  return { quarter, ...outcome, ...counts, seconds }
}

// Measured on 500 points in 15 clean blobs: docs/why.md has the figures.
const LIBRARIES_WARNING =
  'hdbscan-ts marks 225 of 500 points in 15 clean blobs as noise where the reference finds all 15; umap-js is sound but slow'

type Plan = {
  target: Target
  recipe: FirmClusterRecipe
  recipeText: string
  threads: number
  todo: number
  follow: boolean
}

type Item = { claim: Claim; units: number; input: FirmInput; background: QuarterBackground }

/** Clusters what is left; adds to the outcome what became of each firm. */
async function clusterAll(sql: Database, plan: Plan, outcome: Outcome): Promise<void> {
  const { target, recipe, recipeText, threads, todo, follow } = plan
  const { quarter } = target
  const module = new URL('../lib/text/firm-topics.ts', import.meta.url)
  let opened: Pool<FirmJob, FirmTopics> | undefined
  function pool(): Pool<FirmJob, FirmTopics> {
    opened ??= openPool(module, 'topicsOfFirm', threads)
    return opened
  }
  const bar = progress(`cluster-firm ${quarter}`, todo, 'firms')
  // One firm more than threads, so that a thread that is done finds the next one waiting.
  const atOnce = () => ({ firms: threads + 1, units: Infinity })
  const steps: PortionSteps<Item, Claim & FirmTopicRows> = {
    async read(claims) {
      pool() // its threads start meanwhile; not before there is something to do, since a follower may get nothing
      const firmIds = claims.map(claim => claim.firmId)
      // Read after the claim, each time: the `embed` that is followed may bind the database to its model long after we
      // began, and calls that are loaded meanwhile change the common words and give their firms out again.
      const background = await readBackground(sql, quarter)
      const inputs = await readFirmInputs(sql, quarter, firmIds, background.d, recipe.withTalk)
      return claims.map((claim, i) => ({ claim, units: claim.units, input: inputs[i], background }))
    },
    async compute({ claim, input, background }) {
      try {
        const found = await pool().run(jobOf(quarter, input, recipe, background))
        return { ...claim, ...topicRows(quarter, input, found) }
      } catch (error) {
        const reason = messageOf(error)
        bar.step()
        if (!(await failWork(sql, claim, reason))) return undefined // its sentences changed under our hands: no failure
        warn(`cluster-firm could not do ${claim.firmId} ${quarter}: ${reason}`)
        outcome.failed.push({ firm: claim.firmId, reason })
        return undefined
      }
    },
    async save(results) {
      const kept = await finishTogether(sql, results, recipeText, (tx, ours) => replaceTopics(tx, quarter, ours))
      outcome.firms += kept.length
      bar.step(results.length) // what another process has taken over is done as well
    },
  }
  try {
    await workInPortions(sql, 'cluster-firm', target, atOnce, steps, follow)
  } finally {
    bar.end()
    await opened?.close()
  }
}

function jobOf(quarter: string, input: FirmInput, recipe: FirmClusterRecipe, background: QuarterBackground): FirmJob {
  if (input.problem !== undefined) throw new Error(input.problem)
  return firmJobOf(quarter, input, recipe, background)
}

function topicRows(quarter: string, { firmId, sentences }: FirmInput, found: FirmTopics): FirmTopicRows {
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
      representativeSentences: topic.representatives.map(row => sentences[row].sentenceId),
      centroid: topic.centroid,
    }),
  )
  const idOf = (topic: number) => (topic === NOISE ? null : topics[topic].topicId)
  const memberships = sentences.map(({ sentenceId }, i) => ({
    sentenceId,
    topicId: idOf(found.topicOfSentence[i]),
    reassignedTopicId: idOf(found.reassignedTopicOfSentence[i]),
    probability: found.probabilities[i],
  }))
  return { firmId, topics, memberships }
}

// One firm that fails must not stop five thousand; a run in which nothing worked must not look like a success.
function refuseIfNothingWorked(result: ClusterResult, firmId: string | undefined): void {
  if (result.failed.length === 0 || (result.firms > 0 && firmId === undefined)) return
  throw new UserError(
    `cluster-firm failed for ${count(result.failed.length, 'firm')}: ${result.failed[0].reason}`,
    `quarterdeck status --quarter ${result.quarter}`,
  )
}

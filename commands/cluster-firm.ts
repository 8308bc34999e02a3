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
  subtopicIdOf,
  type Topic,
  type TopicCounts,
  topicCounts,
  topicIdOf,
} from '../lib/db/topics.ts'
import {
  type Claim,
  failWork,
  finishTogether,
  openWork,
  recipesOf,
  requireEarlier,
  type Target,
} from '../lib/db/work.ts'
import { type PortionSteps, workInPortions } from '../lib/db/work-in-portions.ts'
import { messageOf, UserError } from '../lib/errors.ts'
import {
  choiceFlag,
  FIRM,
  FOLLOW,
  FORCE,
  JSON_OUTPUT,
  METHODS,
  type MethodName,
  methodFlag,
  numberFlag,
  QUARTER,
  quarterFlag,
  switchFlag,
  textFlag,
  wholeNumberFlag,
} from '../lib/flags.ts'
import { count, duration, progress, say, thousands, warn } from '../lib/log.ts'
import { FIRM_RESOLUTION, NOISE } from '../lib/math/engine.ts'
import { openPool, type Pool } from '../lib/pool.ts'
import {
  COMMUNITIES_RECIPE,
  type CommunitiesRecipe,
  type FirmClusterRecipe,
  type FirmJob,
  type FirmTopics,
  firmJobOf,
  methodsOf,
  STANDARD_RECIPE,
  type UmapRecipe,
} from '../lib/text/firm-topics.ts'
import { renderTable } from '../lib/text/table.ts'

export { STANDARD_RECIPE }

export const command: Command = {
  verb: 'cluster-firm',
  summary: "Cluster each firm's sentences into topics",
  about:
    'Clusters the sentences of each firm that has no topics yet, or whose sentences changed. Talk is left out. By UMAP and ' +
    'HDBSCAN, or with --method communities by Leiden communities of the graph that UMAP begins with: steadier, less noise, and ' +
    'large topics come with their parts (docs/method.md says when to use which). A quarter stays with the method it ' +
    'was clustered by until another is asked for. The same ' +
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
      name: 'method',
      value: 'METHOD',
      summary: METHODS.join(' or '),
      default: `the quarter's, else ${METHODS[0]}`,
    },
    {
      name: 'engine',
      value: 'ENGINE',
      summary: 'exact: our own UMAP and HDBSCAN; libraries: umap-js and hdbscan-ts, kept for comparison',
      default: 'exact',
    },
    numberSetting('min-cluster-size', 'Fewest sentences of a topic', STANDARD_RECIPE.minClusterSize),
    {
      name: 'neighbors',
      value: 'N',
      summary: 'Neighbours a sentence is placed by, itself counted',
      default: `${STANDARD_RECIPE.nNeighbors}, or ${COMMUNITIES_RECIPE.nNeighbors} with communities`,
    },
    {
      name: 'resolution',
      value: 'N',
      summary:
        'The higher, the more and smaller topics (communities); steadiest: for each firm that of 1 to 2 whose topics change ' +
        'least without a tenth of its sentences',
      default: String(COMMUNITIES_RECIPE.resolution),
    },
    numberSetting(
      'least-membership',
      'Least share of its ties that a sentence has inside its topic (communities)',
      COMMUNITIES_RECIPE.leastMembership,
    ),
    numberSetting('min-samples', 'Neighbours that make a point dense (HDBSCAN)', STANDARD_RECIPE.minSamples),
    { name: 'selection', value: 'METHOD', summary: 'leaf: many even topics; eom: fewer, uneven ones', default: 'leaf' },
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
    'cluster-firm --quarter 2024Q3 --method communities',
    'cluster-firm --quarter 2024Q3 --follow',
  ],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const recipes = recipesFromFlags(flags)
    const methodGiven = (before?: MethodName) => methodFlag(flags, before, SETTINGS_OF)
    if (flags.method !== undefined) methodGiven() // what cannot be is said before the database is opened
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const recipe = recipes[methodGiven(await methodOfTopics(sql, quarter))]
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
    topics.flatMap(({ topicId, size, reassigned, keywords, example, parts }) => [
      [topicId, String(size), ...(given ? [String(reassigned)] : []), keywords.slice(0, 5).join(', '), example],
      // Noise is given to a topic, not to a part of it.
      ...parts.map(part => [
        `└ ${part.subtopicId.slice(topicId.lastIndexOf('/') + 1)}`,
        String(part.size),
        ...(given ? [''] : []),
        part.keywords.slice(0, 5).join(', '),
        part.example,
      ]),
    ]),
    columns,
  )
}

function numberSetting(name: string, summary: string, standard: number) {
  return { name, value: 'N', summary, default: String(standard) }
}

/** Settings of one method that the other has not. */
const SETTINGS_OF = {
  'umap-hdbscan': ['engine', 'min-samples', 'selection', 'components', 'min-dist', 'epochs', 'negative-sample-rate'],
  communities: ['resolution', 'least-membership'],
} as const

/** The method by which most of a quarter's topics were made; undefined where it has none. */
async function methodOfTopics(sql: Database, quarter: string): Promise<MethodName | undefined> {
  return methodsOf(await recipesOf(sql, 'cluster-firm', quarter))[0]?.method
}

/** The recipe of each method, all flags checked. */
function recipesFromFlags(flags: Parameters<typeof textFlag>[0]): {
  'umap-hdbscan': UmapRecipe
  communities: CommunitiesRecipe
} {
  const [umap, communities] = [STANDARD_RECIPE, COMMUNITIES_RECIPE]
  const ofBoth = {
    minClusterSize: wholeNumberFlag(flags, 'min-cluster-size', umap.minClusterSize, 2, 1000),
    seed: wholeNumberFlag(flags, 'seed', umap.seed, 0, 2 ** 31 - 1),
    reassignNoise:
      textFlag(flags, 'reassign-over') !== undefined
        ? numberFlag(flags, 'reassign-over', 0.5, 0, 1)
        : switchFlag(flags, 'reassign-noise')
          ? ('as near as its own' as const)
          : umap.reassignNoise,
    withTalk: switchFlag(flags, 'with-talk'),
  }
  return {
    'umap-hdbscan': {
      ...umap,
      ...ofBoth,
      engine: choiceFlag(flags, 'engine', ['exact', 'libraries']),
      minSamples: wholeNumberFlag(flags, 'min-samples', umap.minSamples, 1, 1000),
      selection: choiceFlag(flags, 'selection', ['leaf', 'eom']),
      nNeighbors: wholeNumberFlag(flags, 'neighbors', umap.nNeighbors, 2, 1000),
      nComponents: wholeNumberFlag(flags, 'components', umap.nComponents, 2, 256),
      minDist: numberFlag(flags, 'min-dist', umap.minDist, 0, 1),
      epochs: wholeNumberFlag(flags, 'epochs', umap.epochs, 10, 10_000),
      negativeSampleRate: numberFlag(flags, 'negative-sample-rate', umap.negativeSampleRate, 0, 1000),
    },
    communities: {
      ...communities,
      ...ofBoth,
      nNeighbors: wholeNumberFlag(flags, 'neighbors', communities.nNeighbors, 2, 1000),
      resolution:
        flags.resolution === 'steadiest' ? 'steadiest' : numberFlag(flags, 'resolution', FIRM_RESOLUTION, 0.01, 100),
      leastMembership: numberFlag(flags, 'least-membership', communities.leastMembership, 0, 1),
    },
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
  if (outcome.firms > 0 && firmId === undefined) await warnOfOthers(sql, quarter, recipeText)
  const counts = await topicCounts(sql, quarter, firmId ?? null)
  const seconds = (performance.now() - start) / 1000
  const did = outcome.firms + outcome.failed.length > 0
  const noise = ((100 * counts.noise) / Math.max(1, counts.sentences)).toFixed(0)
  say(
    `cluster-firm ${quarter}: ${did ? `${count(outcome.firms, 'firm')} in ${duration(seconds)}` : 'nothing left to do'}; ` +
      (recipe.engine === 'communities' ? 'by communities, ' : '') +
      `${count(counts.topics, 'topic')}, ${noise} % of ${count(counts.sentences, 'sentence')} noise` +
      (counts.reassigned > 0 ? `, ${thousands(counts.reassigned)} of them given to the nearest topic` : ''),
  )
  return { quarter, ...outcome, ...counts, seconds }
}

// Two at once with two recipes share the firms, and neither sees what the other does.
async function warnOfOthers(sql: Database, quarter: string, recipeText: string): Promise<void> {
  const others = (await recipesOf(sql, 'cluster-firm', quarter)).filter(({ recipe }) => recipe !== recipeText)
  const firms = others.reduce((sum, one) => sum + one.firms, 0)
  if (firms > 0)
    warn(
      `another command clustered ${count(firms, 'firm')} of ${quarter} with another recipe meanwhile: when it has ended, the same ` +
        'command again makes all alike',
    )
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
  const subtopicOf = new Map<number, string>()
  const topics = found.topics.map((topic, number): Topic => {
    const topicId = topicIdOf(quarter, firmId, number + 1)
    return {
      topicId,
      label:
        topic.keywords
          .slice(0, 3)
          .map(keyword => keyword.term)
          .join(', ') || `topic ${number + 1}`,
      size: topic.members.length,
      ...keywordColumns(topic.keywords),
      representativeSentences: topic.representatives.map(row => sentences[row].sentenceId),
      centroid: topic.centroid,
      subtopics: topic.parts.map(({ members, keywords, representative }, place) => {
        const subtopicId = subtopicIdOf(topicId, place + 1)
        for (const row of members) subtopicOf.set(row, subtopicId)
        return {
          subtopicId,
          size: members.length,
          ...keywordColumns(keywords),
          representativeSentence: sentences[representative].sentenceId,
        }
      }),
    }
  })
  const idOf = (topic: number) => (topic === NOISE ? null : topics[topic].topicId)
  const memberships = sentences.map(({ sentenceId }, i) => ({
    sentenceId,
    topicId: idOf(found.topicOfSentence[i]),
    subtopicId: subtopicOf.get(i) ?? null,
    reassignedTopicId: idOf(found.reassignedTopicOfSentence[i]),
    probability: found.probabilities[i],
  }))
  return { firmId, topics, memberships }
}

function keywordColumns(keywords: readonly { term: string; weight: number }[]) {
  return {
    keywords: keywords.map(keyword => keyword.term),
    keywordWeights: keywords.map(keyword => keyword.weight),
  }
}

// One firm that fails must not stop five thousand; a run in which nothing worked must not look like a success.
function refuseIfNothingWorked(result: ClusterResult, firmId: string | undefined): void {
  if (result.failed.length === 0 || (result.firms > 0 && firmId === undefined)) return
  throw new UserError(
    `cluster-firm failed for ${count(result.failed.length, 'firm')}: ${result.failed[0].reason}`,
    `quarterdeck status --quarter ${result.quarter}`,
  )
}

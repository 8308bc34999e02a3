// eval: how good and how steady the topics of a quarter or a firm are, and whether a quarter's names and themes hold.
// Clusters each firm twice more in worker threads to see what stays; writes nothing but its row in `runs`. What the figures
// are is lib/math/silhouette and agreement, lib/text/coherence and names-and-themes; how to read them docs/method.md.

import pLimit from 'p-limit'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { findFirm, requireQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel, modelText } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { themesOfQuarter, topicsInThemes, topicsOfQuarter } from '../lib/db/themes.ts'
import { clusteredSentences, clusterings, keywordsOfTopics, sentencesWithTopics } from '../lib/db/topics.ts'
import { sentenceVectorsOf } from '../lib/db/vectors.ts'
import { standingOf } from '../lib/db/work.ts'
import { UserError } from '../lib/errors.ts'
import { FIRM, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, textFlag, wholeNumberFlag } from '../lib/flags.ts'
import { count, duration, progress, say, thousands, warn } from '../lib/log.ts'
import { NOISE } from '../lib/math/engine.ts'
import { seedFrom } from '../lib/math/random.ts'
import { openPool } from '../lib/pool.ts'
import { addSentences, coherence, countsFor, diversity, topWords, type WordCounts } from '../lib/text/coherence.ts'
import type { EvaluationJob, FirmEvaluation } from '../lib/text/firm-evaluation.ts'
import { type FirmClusterRecipe, methodOf, STANDARD_RECIPE } from '../lib/text/firm-topics.ts'
import {
  createTalkCounts,
  type NameFigures,
  nameFigures,
  type TalkCounts,
  type TalkFigures,
  type ThemeFigures,
  themeFigures,
} from '../lib/text/names-and-themes.ts'
import { renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'eval',
  summary: 'Measure the topics of a quarter or a firm, and its names and themes',
  about:
    'Measures the topics that cluster-firm made: how many, how much is in none, whether the words of a topic belong ' +
    'together, whether topics stand apart, and whether they come again with another seed or with a tenth of the ' +
    'sentences taken away, for which each firm is clustered twice more by the recipe it was made with. Of a quarter ' +
    'with names also whether they are unique, how its themes hold, and which topics and themes are talk, whole even ' +
    'with --sample. ' +
    'docs/method.md says how to read the figures. Changes nothing.',
  flags: [
    QUARTER,
    FIRM,
    { name: 'sample', value: 'N', summary: 'Only this many firms, evenly by name', default: 'all' },
    { name: 'seed', value: 'N', summary: 'The other seed', default: 'one more than that of the topics' },
    { ...JSON_OUTPUT, summary: 'Print the figures, and those of each firm, as JSON' },
  ],
  examples: ['eval --quarter 2024Q3', 'eval --quarter 2016Q4 --firm MU', 'eval --quarter 2016Q4 --sample 50 --json'],
  async run({ flags, settings, print, columns }) {
    const quarter = quarterFlag(flags)
    const wantedFirm = textFlag(flags, 'firm')
    const sample = optionalNumber(flags, 'sample', 1, 1_000_000)
    const otherSeed = optionalNumber(flags, 'seed', 0, 2 ** 31 - 1)
    const result = await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const bound = await boundModel(sql)
      const { evaluation } = await recorded(
        sql,
        {
          command: 'eval',
          quarter,
          options: { firm: firmId ?? null, sample: sample ?? null },
          codeVersion: codeVersion(),
          model: bound && modelText(bound),
          seed: otherSeed,
        },
        async () => {
          const evaluation = await evaluate(sql, { quarter, firmId, sample, otherSeed, threads: settings.threads })
          const { otherSeed: seed, ...rest } = evaluation
          const figures = Object.entries(rest).flatMap(([k, v]) => (typeof v === 'number' ? [[k, v]] : []))
          return { evaluation, counts: Object.fromEntries(figures) as Record<string, number>, seed: seed ?? undefined }
        },
      )
      return evaluation
    })
    print(switchFlag(flags, 'json') ? JSON.stringify(result) : describe(result, columns))
  },
}

function optionalNumber(flags: Parameters<typeof textFlag>[0], name: string, least: number, most: number) {
  return textFlag(flags, name) === undefined ? undefined : wholeNumberFlag(flags, name, least, least, most)
}

export type FirmMeasures = {
  firm: string
  sentences: number
  topics: number
  /** Shares of its sentences: those in no topic, and those in its largest. */
  noise: number
  largestTopic: number
  /** Null where it is not defined: with no topic, most are not. */
  silhouette: number | null
  npmi: number | null
  diversity: number | null
  seedAri: number | null
  tenthAri: number | null
}

/** Figures of all firms measured together: means over firms, but noise over sentences and NPMI over topics. */
export type Evaluation = {
  quarter: string
  firm: string | null
  /** Null where the firms were clustered with several seeds: then it is one more than each one's own. */
  otherSeed: number | null
  firms: number
  /** Firms with too few different sentences for two topics: left out of every figure. */
  firmsTooSmall: number
  sentences: number
  topics: number
  noise: number | null
  topicsAFirm: number | null
  medianTopics: number | null
  largestTopic: number | null
  silhouette: number | null
  npmi: number | null
  diversity: number | null
  seedAri: number | null
  tenthAri: number | null
  /** Of the whole quarter; null for a firm and where no topic has a name. */
  namesAndThemes: NamesAndThemes | null
  seconds: number
  firmsMeasured: FirmMeasures[]
}

/** `themes` is null where there are none, or none of the topics and names as they are. */
export type NamesAndThemes = { names: NameFigures; themes: ThemeFigures | null; talk: TalkFigures }

export type EvaluateOptions = {
  quarter: string
  firmId?: string | undefined
  /** This many firms, evenly by name; all when absent. */
  sample?: number | undefined
  /** One more than the topics' own when absent. */
  otherSeed?: number | undefined
  threads: number
}

/** Measures the stored topics of a quarter, of some of its firms, or of one. */
export async function evaluate(sql: Database, options: EvaluateOptions): Promise<Evaluation> {
  const start = performance.now()
  const { quarter, firmId, sample, threads } = options
  const bound = await boundModel(sql)
  const clustered = await requireClustered(sql, quarter, firmId)
  const chosen = evenly(clustered, sample ?? clustered.length)
  const wordsOfTopics = await topWordsOfFirms(sql, quarter, firmId)
  const wordsOfAll = [...wordsOfTopics.values()].flat()
  const material = firmId === undefined ? await readNamesAndThemes(sql, quarter) : undefined
  const talkCounts = material && createTalkCounts(new Map(material.members.map(one => [one.topicId, one.themeId])))
  const wordsOfThemes = material?.themes.map(theme => theme.topWords) ?? []
  const wordCounts = await countWordsOfQuarter(sql, quarter, [...wordsOfAll, ...wordsOfThemes], talkCounts)

  const pool = openPool<EvaluationJob, FirmEvaluation | undefined>(
    new URL('../lib/text/firm-evaluation.ts', import.meta.url),
    'evaluateFirm',
    Math.min(threads, chosen.length),
  )
  const bar = progress(`eval ${quarter}`, chosen.length, 'firms')
  // One firm more than threads, so that no thread waits for the database.
  const limit = pLimit(threads + 1)
  let measured: (Measured | undefined)[]
  try {
    measured = await Promise.all(
      chosen.map(firm =>
        limit(async () => {
          const job = await readJob(sql, quarter, firm, bound?.dimension ?? 0, options.otherSeed)
          const found = await pool.run(job)
          bar.step()
          return (
            found &&
            measuresOf(firm.firmId, job.topicOfSentence, found, wordsOfTopics.get(firm.firmId) ?? [], wordCounts)
          )
        }),
      ),
    )
  } finally {
    limit.clearQueue()
    bar.end()
    await pool.close()
  }
  if (JSON.stringify(await requireClustered(sql, quarter, firmId)) !== JSON.stringify(clustered))
    throw new UserError(
      `${quarter} was clustered with another recipe while it was measured`,
      `quarterdeck eval --quarter ${quarter}`,
    )
  const firms = measured.filter(one => one !== undefined)
  const seconds = (performance.now() - start) / 1000
  const otherSeeds = new Set(chosen.map(({ recipe }) => otherSeedOf(recipe, options.otherSeed)))
  const evaluation = {
    quarter,
    firm: firmId ?? null,
    otherSeed: otherSeeds.size === 1 ? [...otherSeeds][0] : null,
    ...summary(firms),
    firmsTooSmall: measured.length - firms.length,
    namesAndThemes:
      material === undefined || talkCounts === undefined
        ? null
        : {
            names: material.names,
            themes:
              material.themes.length === 0
                ? null
                : themeFigures({ topics: wordsOfAll.length, ...material, wordCounts }),
            talk: talkCounts.figures(),
          },
  }
  say(
    `eval ${quarter}: ${count(firms.length, 'firm')} in ${duration(seconds)}` +
      (evaluation.firmsTooSmall > 0
        ? `; ${evaluation.firmsTooSmall} with too few sentences for two topics left out`
        : ''),
  )
  return { ...evaluation, seconds, firmsMeasured: firms.map(one => one.measures) }
}

type ClusteredFirm = { firmId: string; recipe: FirmClusterRecipe }

/**
 * The firms whose topics stand, and their recipes; refuses while any is to be clustered (again), and what another
 * version clustered, for then the versions would be compared as well. One that failed holds up no other.
 */
async function requireClustered(sql: Database, quarter: string, firmId: string | undefined): Promise<ClusteredFirm[]> {
  const firms = await clusterings(sql, quarter, firmId ?? null)
  const open = firms.filter(firm => firm.state === 'pending' || firm.state === 'stale')
  if (open.length > 0)
    throw new UserError(
      `eval of ${quarter} needs cluster-firm first: ${open.length} of ${firms.length} left to do`,
      `quarterdeck cluster-firm --quarter ${quarter}`,
    )
  const done = firms.filter(firm => firm.state === 'done')
  if (done.length === 0)
    throw new UserError(
      `eval of ${quarter} has nothing to measure: cluster-firm failed for ${count(firms.length, 'firm')}`,
      `quarterdeck status --quarter ${quarter}`,
    )
  if (done.length < firms.length)
    warn(`${count(firms.length - done.length, 'firm')} left out, for which cluster-firm failed`)
  const recipes = done.map(({ firmId, recipe }) => ({ firmId, recipe: JSON.parse(recipe) as FirmClusterRecipe }))
  const older = recipes.find(({ recipe }) => recipe.method !== STANDARD_RECIPE.method)
  if (older !== undefined)
    throw new UserError(
      `the topics of ${older.firmId} ${quarter} were made by another version of quarterdeck`,
      `quarterdeck cluster-firm --quarter ${quarter}`,
    )
  return recipes
}

/** `wanted` of a list at even distances, in its order. */
function evenly<Item>(list: readonly Item[], wanted: number): Item[] {
  const taken = Math.min(wanted, list.length)
  return Array.from({ length: taken }, (_, i) => list[Math.floor((i * list.length) / taken)])
}

async function topWordsOfFirms(
  sql: Database,
  quarter: string,
  firmId: string | undefined,
): Promise<Map<string, string[][]>> {
  const keywords = await keywordsOfTopics(sql, quarter, firmId ?? null)
  return new Map([...keywords].map(([firm, topics]) => [firm, topics.map(topWords)]))
}

/** What there is to measure of a quarter's names and themes; undefined where no topic has a name. */
async function readNamesAndThemes(sql: Database, quarter: string) {
  const names = nameFigures(await topicsOfQuarter(sql, quarter))
  if (names === undefined) return undefined
  const standing = (await standingOf(sql, quarter)).find(({ stage }) => stage === 'aggregate')
  if (!standing?.done) {
    if (standing?.stale)
      warn(
        `the themes of ${quarter} are of topics or names that have changed since: not measured before the next aggregate`,
      )
    return { names, themes: [], members: [] }
  }
  const themes = await themesOfQuarter(sql, quarter)
  return {
    names,
    themes: themes.map(({ themeId, keywords, flags }) => ({ themeId, flags, topWords: topWords(keywords) })),
    members: await topicsInThemes(sql, quarter),
  }
}

/**
 * Also for one firm over the whole quarter: what stands together by chance is known only there. Talk is left out. On the
 * way the words of topics and themes are counted for `talkCounts`, of the sentences that were clustered, talk or not.
 */
async function countWordsOfQuarter(
  sql: Database,
  quarter: string,
  groups: readonly (readonly string[])[],
  talkCounts: TalkCounts | undefined,
): Promise<WordCounts> {
  const counts = countsFor(groups)
  for await (const { sentences } of sentencesWithTopics(sql, quarter)) {
    addSentences(
      counts,
      sentences.filter(sentence => sentence.talk === null).map(sentence => sentence.text),
    )
    talkCounts?.addFirm(sentences.filter(sentence => sentence.clustered))
  }
  return counts
}

function otherSeedOf(recipe: FirmClusterRecipe, wanted: number | undefined): number {
  return wanted ?? recipe.seed + 1
}

async function readJob(
  sql: Database,
  quarter: string,
  { firmId, recipe }: ClusteredFirm,
  d: number,
  wantedSeed: number | undefined,
): Promise<EvaluationJob> {
  const otherSeed = otherSeedOf(recipe, wantedSeed)
  if (otherSeed === recipe.seed)
    throw new UserError(
      `--seed ${otherSeed}: the topics of ${firmId} were made with it, and agree with themselves`,
      `--seed ${otherSeed + 1}`,
    )
  const rows = await clusteredSentences(sql, quarter, firmId)
  const ids = rows.map(row => row.sentenceId)
  const numbers = new Map<string | null, number>([[null, NOISE]])
  for (const { topicId } of rows) if (!numbers.has(topicId)) numbers.set(topicId, numbers.size - 1)
  return {
    ...methodOf(recipe),
    // Mixed as cluster-firm does.
    seed: seedFrom(recipe.seed, firmId, quarter),
    otherSeed: seedFrom(otherSeed, firmId, quarter),
    vectors: await sentenceVectorsOf(sql, quarter, firmId, ids, d),
    d,
    topicOfSentence: Int32Array.from(rows, row => numbers.get(row.topicId) ?? NOISE),
  }
}

/** A firm's figures, and what the quarter's are made of that are no mean over firms. */
export type Measured = { measures: FirmMeasures; coherences: number[] }

/** `topics`: the top words of each topic, all of them counted in `wordCounts`. */
export function measuresOf(
  firm: string,
  topicOfSentence: Int32Array,
  found: FirmEvaluation,
  topics: readonly (readonly string[])[],
  wordCounts: WordCounts,
): Measured {
  const sizes: number[] = []
  for (const topic of topicOfSentence) if (topic !== NOISE) sizes[topic] = (sizes[topic] ?? 0) + 1
  const inTopics = sizes.reduce((sum, size) => sum + size, 0)
  const sentences = topicOfSentence.length
  const coherences = topics.map(topic => coherence(topic, wordCounts)).filter(value => value !== undefined)
  const measures = {
    firm,
    sentences,
    topics: sizes.length,
    noise: (sentences - inTopics) / sentences,
    largestTopic: Math.max(0, ...sizes) / sentences,
    silhouette: found.silhouette ?? null,
    npmi: mean(coherences),
    diversity: diversity(topics) ?? null,
    seedAri: found.seedAgreement ?? null,
    tenthAri: found.tenthAgreement ?? null,
  }
  return { measures, coherences }
}

export function summary(measured: readonly Measured[]) {
  const firms = measured.map(one => one.measures)
  const meanOf = (figure: (one: FirmMeasures) => number | null) =>
    mean(firms.map(figure).filter(value => value !== null))
  const sentences = firms.reduce((sum, one) => sum + one.sentences, 0)
  const topics = firms.reduce((sum, one) => sum + one.topics, 0)
  return {
    firms: firms.length,
    sentences,
    topics,
    noise: sentences === 0 ? null : firms.reduce((sum, one) => sum + one.noise * one.sentences, 0) / sentences,
    topicsAFirm: meanOf(one => one.topics),
    medianTopics: median(firms.map(one => one.topics)),
    largestTopic: meanOf(one => one.largestTopic),
    silhouette: meanOf(one => one.silhouette),
    npmi: mean(measured.flatMap(one => one.coherences)),
    diversity: meanOf(one => one.diversity),
    seedAri: meanOf(one => one.seedAri),
    tenthAri: meanOf(one => one.tenthAri),
  }
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  return mean(sorted.slice(sorted.length % 2 === 0 ? half - 1 : half, half + 1))
}

function describe(found: Evaluation, columns: number | undefined): string {
  const { quarter, firm } = found
  if (found.firms === 0)
    return firm === null
      ? `No firm of ${quarter} has sentences enough for two topics: there is nothing to measure.`
      : `${firm} has too few different sentences in ${quarter} for two topics: there is nothing to measure.`
  const small = found.firmsTooSmall > 0 ? `; ${thousands(found.firmsTooSmall)} smaller ones are left out` : ''
  const size =
    firm === null
      ? [
          ['firms', thousands(found.firms), `large enough for two topics${small}`],
          ['topics a firm', found.topicsAFirm?.toFixed(1) ?? '–', `the mean; the median is ${found.medianTopics}`],
        ]
      : [['topics', thousands(found.topics), '']]
  const rows = [
    ...size,
    ['sentences', thousands(found.sentences), 'that were clustered'],
    ['noise', share(found.noise), 'of the sentences are in no topic'],
    ['largest topic', share(found.largestTopic), 'of the sentences of its firm'],
    ['silhouette', figure(found.silhouette), 'topics: 1 far apart, 0 touching, below 0 mixed'],
    ['NPMI coherence', figure(found.npmi), "a topic's words meet: 1 always, 0 by chance, -1 never"],
    ['diversity', figure(found.diversity), 'of the words of a firm: 1 when no two topics share one'],
    ['ARI, other seed', figure(found.seedAri), 'topics found again: 1 the same, 0 by chance'],
    ['ARI, tenth away', figure(found.tenthAri), 'the same, without a tenth of the sentences'],
  ]
  const table = measuresTable(firm === null ? quarter : `${firm} ${quarter}`, rows, columns)
  if (found.namesAndThemes === null) return table
  return `${table}\n\n${measuresTable('names and themes', namesAndThemesRows(found.namesAndThemes), columns)}`
}

function namesAndThemesRows({ names, themes, talk }: NamesAndThemes): string[][] {
  const shareOf = (some: readonly string[], all: number) => share(all === 0 ? null : some.length / all)
  const ofNames = [
    ['names unique', share(names.unique), `of ${count(names.firms, 'firm')}: no two of its names read alike`],
    ['names distinct', share(names.distinct), 'of the firms: no two would be taken for the same'],
    ['by keywords', share(names.byKeywords), `of the names of ${count(names.topics, 'topic')}`],
    ['by a model', share(names.byModel), 'of them'],
    ['talk, topics', shareOf(talk.talkTopics, talk.topics), 'of the topics: set apart by words of discourse'],
  ]
  if (themes === null) return ofNames
  const flags = Object.entries(themes.flags).map(([flag, times]) => `${flag} ${thousands(times)}`)
  return [
    ...ofNames,
    ['talk, themes', shareOf(talk.talkThemes, talk.themes), 'of the themes'],
    ['themes', thousands(themes.themes), 'groups of topics across firms'],
    ['largest theme', share(themes.largest), 'of all topics'],
    ['in no theme', share(themes.inNone), 'of all topics'],
    ['given to nearest', share(themes.givenToNearest), 'of all topics'],
    ['flagged themes', thousands(themes.flagged), flags.join(', ')],
    ['NPMI, themes', figure(themes.npmi), 'as for topics'],
    ['diversity, themes', figure(themes.diversity), 'of the words of all themes'],
  ]
}

function measuresTable(title: string, rows: string[][], columns: number | undefined): string {
  return renderTable([{ title }, { title: 'value', align: 'right' }, { title: 'meaning', wrap: true }], rows, columns)
}

function share(value: number | null): string {
  return value === null ? '–' : `${(100 * value).toFixed(1)} %`
}

function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(3)
}

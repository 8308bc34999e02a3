// Our two methods and BERTopic: topics of two real quarters with both embedding models, on the same firms, by the code of `eval`;
// then the themes that come of them, whichever method makes topics and whichever themes, and the stories planted in the sample.
// How it is shown, and what is asked of communities, is methods-report.ts.

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { basename, join } from 'node:path'
import { type Evaluation, measuresOf, summary } from '../../commands/eval.ts'
import type { Database } from '../../lib/db/connect.ts'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { boundModel } from '../../lib/db/model-binding.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { type TopicCounts, topicCounts } from '../../lib/db/topics.ts'
import { decodeVectorInto } from '../../lib/db/vector-format.ts'
import { messageOf } from '../../lib/errors.ts'
import { METHODS, type MethodName } from '../../lib/flags.ts'
import { say } from '../../lib/log.ts'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import { NOISE } from '../../lib/math/engine.ts'
import { THEME_COMMUNITIES, THEME_RECIPE } from '../../lib/math/themes.ts'
import { readSettings, SHIPPED_MODEL } from '../../lib/settings.ts'
import { topWords, type WordCounts } from '../../lib/text/coherence.ts'
import { COMMUNITIES_RECIPE, type FirmJob, methodOf, STANDARD_RECIPE } from '../../lib/text/firm-topics.ts'
import { sample as shippedSample, stepWords, succeed } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { acrossFirms, findStory, ofOneFirm, STORIES_QUARTER, strangersBeside, topicsOfStories } from '../stories.ts'
import { mean, median } from './figures.ts'
import {
  askPeer,
  countWordsOfQuarter,
  type Fit,
  type Fits,
  fitOurs,
  type Quality,
  qualityOf,
  readSample,
  requireSame,
  type SampleFirm,
  SEEDS,
  withRows,
  writeSample,
} from './firms.ts'
import { type Peer, setUpPython, startPython } from './peers.ts'
import { type MeasuredStep, measureStep } from './steps.ts'
import { themesHeld } from './themes-texts.ts'

const RECIPES = { 'umap-hdbscan': STANDARD_RECIPE, communities: COMMUNITIES_RECIPE }
const THEME_RECIPES = { 'umap-hdbscan': THEME_RECIPE, communities: THEME_COMMUNITIES }

const QUARTERS = ['2016Q3', '2017Q1']
const MINI_LM = sharedFolder('model', 'all-MiniLM-L6-v2')
const MODELS = MINI_LM === undefined ? [SHIPPED_MODEL] : [SHIPPED_MODEL, MINI_LM]

/** One side on the firms that all sides could do. */
export type Side = {
  quality: Quality
  /** Of as many words of a topic on all sides. */
  firstWords: { npmi: number | null; diversity: number | null }
  seconds: number
}

export type SameFirms = {
  sides: Record<MethodName | 'bertopic', Side>
  firms: number
  sentences: number
  /** Firms that BERTopic refused. */
  refused: number
  versions: string
}

export type ThemesOf = {
  /** Method of the topics, and of the themes. */
  topics: MethodName
  themes: MethodName
  figures: NonNullable<Evaluation['namesAndThemes']>
  seedAgreement: number
  tenthAgreement: number
}

export type QuarterByModel = {
  model: string
  quarter: string
  /** The whole command and the whole quarter. */
  whole: Record<MethodName, { step: MeasuredStep; evaluation: Evaluation }>
  /** A text where there is no peer: the reason. */
  same: SameFirms | string
  themes: ThemesOf[]
}

/** Of the planted stories, means over seeds. */
export type StoriesOf = {
  topics: MethodName
  themes: MethodName
  firms: { precision: number; recall: number }
  sentences: { precision: number; recall: number }
  /** Themes among which the stories that run across firms are. */
  ownThemes: number
  strangers: number
}

export type MethodsReport = {
  source: string
  quarters: QuarterByModel[]
  stories: StoriesOf[]
  storySeeds: number
  loadAtStart: number
  loadAtEnd: number
}

export async function measureMethods(peerFirms: number, scratch: string): Promise<MethodsReport> {
  const [loadAtStart] = loadavg()
  const folder = join(scratch, 'methods')
  mkdirSync(folder, { recursive: true })
  const calls = transcriptsIn(folder)
  const quarters: QuarterByModel[] = []
  for (const model of MODELS) {
    const home = join(folder, basename(model))
    const env = { QUARTERDECK_MODEL: model }
    try {
      for (const { quarter, transcripts } of calls) {
        await measureStep(home, ['ingest', transcripts, '--quarter', quarter], env)
        const { seconds } = await measureStep(home, ['embed', '--quarter', quarter], env)
        say(`bench: embed ${quarter} with ${basename(model)}: ${seconds.toFixed(1)} s`)
        quarters.push(await measureOne({ quarter, home, env, folder, peerFirms }))
      }
    } finally {
      await stopDatabase(home)
    }
  }
  return {
    source: calls.map(one => one.quarter).join(', '),
    quarters,
    stories: await measureStories(join(folder, 'stories')),
    storySeeds: STORY_SEEDS.length,
    loadAtStart,
    loadAtEnd: loadavg()[0],
  }
}

/** The two quarters, or the sample that ships where the archive does not lie beside the checkout. */
function transcriptsIn(folder: string): { quarter: string; transcripts: string }[] {
  const found = QUARTERS.flatMap(quarter => {
    const archive = sharedFolder('maec', `${quarter}.tar.gz`)
    if (archive === undefined) return []
    const transcripts = join(folder, quarter)
    mkdirSync(transcripts)
    execFileSync('tar', ['-xzf', archive, '-C', transcripts])
    return [{ quarter, transcripts }]
  })
  return found.length > 0 ? found : [{ quarter: '2016Q4', transcripts: shippedSample('2016Q4') }]
}

type Where = { quarter: string; home: string; env: Record<string, string>; folder: string; peerFirms: number }

async function measureOne(where: Where): Promise<QuarterByModel> {
  const { quarter, home, env, folder, peerFirms } = where
  const settings = readSettings({ QUARTERDECK_HOME: home })
  const { sample, model, d } = await withDatabase(settings, async sql => {
    const bound = await boundModel(sql)
    if (bound === undefined) throw new Error(`${home} has no embeddings`)
    return { sample: await readSample(sql, quarter, peerFirms), model: bound.name, d: bound.dimension }
  })
  const run = (verb: string, ...more: string[]) => measureStep(home, [verb, '--quarter', quarter, ...more], env)
  // Whoever comes second clears away what the first has left: this one is not timed, and both of the timed ones do.
  await run('cluster-firm', '--method', METHODS[1])
  const whole: Partial<QuarterByModel['whole']> = {}
  const stored: Partial<Record<MethodName, TopicCounts[]>> = {}
  const themes: ThemesOf[] = []
  for (const method of METHODS) {
    const step = await run('cluster-firm', '--method', method)
    say(`bench: cluster-firm ${quarter} by ${method}, ${model}: ${step.seconds.toFixed(2)} s`)
    whole[method] = { step, evaluation: JSON.parse((await run('eval', '--json')).stdout) }
    stored[method] = await withDatabase(settings, sql => countsOf(sql, quarter, sample))
    await run('name-topics')
    for (const ofThemes of METHODS) {
      await run('aggregate', '--method', ofThemes)
      // Of names and themes it tells the whole whatever the sample of firms.
      const { namesAndThemes }: Evaluation = JSON.parse((await run('eval', '--json', '--sample', '1')).stdout)
      if (namesAndThemes === null) throw new Error(`eval found no names in ${quarter}`)
      const agreements = await withDatabase(settings, sql => agreementsOf(sql, quarter, d, ofThemes))
      themes.push({ topics: method, themes: ofThemes, figures: namesAndThemes, ...agreements })
      say(`bench: themes of ${quarter} by ${ofThemes}, topics by ${method}, ${model}`)
    }
  }
  const same = await withDatabase(settings, sql =>
    compareThree(
      sql,
      quarter,
      sample,
      stored as Record<MethodName, TopicCounts[]>,
      join(folder, `${model}-${quarter}`),
    ),
  )
  return { model, quarter, whole: whole as QuarterByModel['whole'], same, themes }
}

async function countsOf(sql: Database, quarter: string, sample: readonly SampleFirm[]): Promise<TopicCounts[]> {
  const counts: TopicCounts[] = []
  for (const { firmId } of sample) counts.push(await topicCounts(sql, quarter, firmId))
  return counts
}

/** The firms of the sample, each by both of ours and by BERTopic in turn. */
async function compareThree(
  sql: Database,
  quarter: string,
  sample: readonly SampleFirm[],
  stored: Record<MethodName, TopicCounts[]>,
  folder: string,
): Promise<SameFirms | string> {
  const absent = setUpPython()
  if (absent !== undefined) return absent
  mkdirSync(folder)
  writeSample(sample, folder)
  let peer: Peer | undefined
  try {
    peer = await startPython('bertopic', folder, 1, folder)
    const done: { firm: SampleFirm; fits: Record<MethodName | 'bertopic', Fits> }[] = []
    for (const [i, firm] of sample.entries()) {
      const ours = {
        'umap-hdbscan': await ourFits(firm, 'umap-hdbscan'),
        communities: await ourFits(firm, 'communities'),
      }
      for (const method of METHODS) requireSame(stored[method][i], firm.firmId, ours[method].first)
      const bertopic = await peerFits(peer, firm, i)
      if (bertopic !== undefined) done.push({ firm, fits: { ...ours, bertopic } })
      if ((i + 1) % 10 === 0) say(`bench: ${i + 1} of ${sample.length} firms of ${quarter} fitted by all three`)
    }
    const firms = done.map(one => one.firm)
    const words = await countWordsOfQuarter(
      sql,
      quarter,
      done.flatMap(one => Object.values(one.fits)),
    )
    const side = (name: MethodName | 'bertopic'): Side => {
      const fits = done.map(one => one.fits[name])
      // The first firm warms all up: numba compiles in it, and so does V8.
      const times = fits.slice(1).flatMap(({ first, second }) => [first.seconds, second.seconds])
      return { quality: qualityOf(firms, fits, words), firstWords: ofFirstWords(fits, words), seconds: median(times) }
    }
    return {
      sides: { 'umap-hdbscan': side('umap-hdbscan'), communities: side('communities'), bertopic: side('bertopic') },
      firms: firms.length,
      sentences: firms.reduce((sum, one) => sum + one.job.texts.length, 0),
      refused: sample.length - firms.length,
      versions: peer.versions,
    }
  } catch (error) {
    return `BERTopic broke off: ${messageOf(error)}`
  } finally {
    peer?.stop()
  }
}

// Four topics in five of ours have as many; a fifth of those of communities have two.
export const FIRST_WORDS = 3

/** NPMI and diversity of the first few words of each topic: BERTopic always has ten keywords, and ours as many as say something new. */
function ofFirstWords(fits: readonly Fits[], words: WordCounts): Side['firstWords'] {
  const none = { silhouette: undefined, seedAgreement: undefined, tenthAgreement: undefined }
  const measured = fits.map(({ first }) => {
    const topics = first.keywords.map(keywords => topWords(keywords).slice(0, FIRST_WORDS))
    return measuresOf('', Int32Array.from(first.labels), none, topics, words)
  })
  const { npmi, diversity } = summary(measured)
  return { npmi, diversity }
}

async function ourFits({ job, otherSeed, kept }: SampleFirm, method: MethodName): Promise<Fits> {
  const own: FirmJob = { ...job, ...methodOf(RECIPES[method]) }
  const first = await fitOurs(own)
  const second = await fitOurs({ ...own, seed: otherSeed })
  return { first, second, ofKept: await fitOurs(withRows(own, kept)) }
}

/** Undefined for a firm that BERTopic refuses. */
async function peerFits(peer: Peer, firm: SampleFirm, i: number): Promise<Fits | undefined> {
  const fits: Fit[] = []
  for (const { seed, rows } of [
    { seed: SEEDS[0], rows: null },
    { seed: SEEDS[1], rows: null },
    { seed: SEEDS[0], rows: [...firm.kept] },
  ]) {
    const answer = await askPeer(peer, i, seed, rows)
    if ('error' in answer) return undefined
    fits.push(answer)
  }
  const [first, second, ofKept] = fits
  return { first, second, ofKept }
}

/** How steady the themes in the database are; they must be those that are made here again. */
async function agreementsOf(sql: Database, quarter: string, d: number, method: MethodName) {
  const rows = await sql<{ bytes: Buffer; themeId: string | null }[]>`
    select vector_send(v.embedding) as bytes, m.theme_id as "themeId"
    from topic_vectors v left join theme_topics m using (topic_id)
    where v.quarter = ${quarter} order by topic_id`
  const vectors = new Float32Array(rows.length * d)
  for (const [i, { bytes }] of rows.entries()) decodeVectorInto(bytes, vectors, i * d)
  const { labels, ...agreements } = themesHeld(vectors, rows.length, d, quarter, THEME_RECIPES[method])
  const themes = [...new Set(rows.flatMap(row => row.themeId ?? []))]
  const stored = rows.map(({ themeId }) => (themeId === null ? NOISE : themes.indexOf(themeId)))
  if (adjustedRandIndex(labels, stored) < 1)
    throw new Error(`the themes of ${quarter} by ${method} are others here than those of aggregate`)
  return agreements
}

// Those of the test of the stories: with another seed a firm has other topics, and the quarter other themes.
const STORY_SEEDS = [42, 1, 2]

async function measureStories(home: string): Promise<StoriesOf[]> {
  const run = (verb: string, ...more: string[]) => succeed(stepWords(verb, STORIES_QUARTER, ...more), { home })
  type Run = Omit<StoriesOf, 'topics' | 'themes'>
  const runs = new Map<string, Run[]>()
  try {
    for (const verb of ['ingest', 'embed']) await run(verb)
    for (const seed of STORY_SEEDS) {
      for (const topics of METHODS) {
        await run('cluster-firm', '--method', topics, '--seed', String(seed))
        await run('name-topics')
        for (const themes of METHODS) {
          await run('aggregate', '--method', themes, '--seed', String(seed))
          const found = storiesIn(await topicsOfStories(home))
          runs.set(`${topics} ${themes}`, [...(runs.get(`${topics} ${themes}`) ?? []), found])
        }
      }
      say(`bench: planted stories by both methods, seed ${seed}`)
    }
  } finally {
    await stopDatabase(home)
  }
  return METHODS.flatMap(topics =>
    METHODS.map(themes => {
      const all = runs.get(`${topics} ${themes}`) ?? []
      const of = (figure: (one: Run) => number) => mean(all.map(figure))
      return {
        topics,
        themes,
        firms: { precision: of(one => one.firms.precision), recall: of(one => one.firms.recall) },
        sentences: { precision: of(one => one.sentences.precision), recall: of(one => one.sentences.recall) },
        ownThemes: of(one => one.ownThemes),
        strangers: of(one => one.strangers),
      }
    }),
  )
}

function storiesIn(topics: Awaited<ReturnType<typeof topicsOfStories>>): Omit<StoriesOf, 'topics' | 'themes'> {
  const found = acrossFirms.map(story => findStory(story, topics))
  const shares = (of: 'firms' | 'sentences') => ({
    precision: mean(found.map(one => one[of].precision)),
    recall: mean(found.map(one => one[of].recall)),
  })
  return {
    firms: shares('firms'),
    sentences: shares('sentences'),
    ownThemes: new Set(found.flatMap(({ themeId }) => themeId ?? [])).size,
    strangers: mean(ofOneFirm.map(story => strangersBeside(story, topics))),
  }
}

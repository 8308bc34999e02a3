// Themes: what stands for a topic and whether it collapses into one giant theme (themes-texts.ts), and a quarter of many made
// topics whose themes are known through the command `aggregate` (themes-made.ts), with time and memory.
// How it is shown is in themes-report.ts.

import { mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { bindModel } from '../../lib/db/model-binding.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { say, thousands } from '../../lib/log.ts'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import { hdbscan, NOISE } from '../../lib/math/hdbscan.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { seedFrom } from '../../lib/math/random.ts'
import { clusterThemes, firstNeighborhoods, scaledRecipe, THEME_RECIPE } from '../../lib/math/themes.ts'
import { umapFromNeighbors } from '../../lib/math/umap.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { DEVICE_PAYS, nearestNeighborsOnDevice } from '../../lib/model/nearest.ts'
import { readSettings, SHIPPED_MODEL } from '../../lib/settings.ts'
import { keywordSummary } from '../../lib/text/names.ts'
import { hasRealServer, realServer } from '../db/servers.ts'
import { sharedFolder } from '../shared.ts'
import { clustersIn, largestIn, noiseIn } from './figures.ts'
import { type MeasuredStep, measureStep } from './steps.ts'
import { type MadeTopic, makeTopics, writeMadeTopics } from './themes-made.ts'
import { compareTexts, type TextRow, type TopicTexts } from './themes-texts.ts'

/** Seconds of each part of the work, done once more in this process. */
export type Parts = { embedding: number; neighbours: number; layout: number; hdbscan: number; themes: number }

export type MadeRun = { database: 'embedded' | 'server'; step: MeasuredStep }

export type MadeReport = {
  model: string
  dimension: number
  topics: number
  firms: number
  planted: number
  runs: MadeRun[]
  parts: Parts
  themes: number
  largestShare: number
  /** Of the topics that belong to a planted theme: agreement with it, and the share in none. */
  agreement: number
  plantedInNone: number
  /** Of the topics of chance words. */
  chanceInNone: number
}

export type ThemesReport = {
  source: string
  topics: number
  firms: number
  /** The models whose texts were compared; MiniLM where it lies beside the repository. */
  rows: TextRow[]
  made: MadeReport
  loadAtStart: number
  loadAtEnd: number
}

const MINI_LM = sharedFolder('model', 'all-MiniLM-L6-v2')
const MODELS = MINI_LM === undefined ? [SHIPPED_MODEL] : [SHIPPED_MODEL, MINI_LM]

export async function measureThemes(
  { quarter, source, topics }: { quarter: string; source: string; topics: TopicTexts[] },
  madeTopics: number,
  { threads, scratch }: { threads: number; scratch: string },
): Promise<ThemesReport> {
  const [loadAtStart] = loadavg()
  const rows: TextRow[] = []
  for (const model of MODELS) rows.push(...(await compareTexts(topics, quarter, model, threads)))
  const sentences = topics.flatMap(topic => topic.members)
  const made = await measureMade(sentences, madeTopics, MODELS[MODELS.length - 1], { threads, scratch })
  const firms = new Set(topics.map(topic => topic.firmId)).size
  return { source, topics: topics.length, firms, rows, made, loadAtStart, loadAtEnd: loadavg()[0] }
}

// Of no real call at hand.
const QUARTER = '1999Q3'
// A quarter of 438 firms has 30 themes; ten times the firms bring more of them and larger ones.
const PLANTED = 200
const SEED = 42

async function measureMade(
  sentences: readonly string[],
  n: number,
  model: string,
  { threads, scratch }: { threads: number; scratch: string },
): Promise<MadeReport> {
  const made = makeTopics(sentences, n, PLANTED, QUARTER)
  const { parts, dimension, name } = await measureParts(made, model, threads)
  const home = join(scratch, 'made-themes')
  mkdirSync(home)
  const embedded = await runOn({ home, databaseUrl: undefined }, made, model, threads)
  await stopDatabase(home)
  const runs: MadeRun[] = [{ database: 'embedded', step: embedded.step }]
  if (hasRealServer) {
    const server = await realServer()
    try {
      runs.push({ database: 'server', step: (await runOn(server.settings, made, model, threads)).step })
    } finally {
      await server.stop()
    }
  }
  const { labels } = embedded
  const planted = made.map((_, i) => i).filter(i => made[i].theme !== NOISE)
  const chance = made.map((_, i) => i).filter(i => made[i].theme === NOISE)
  return {
    model: name,
    dimension,
    topics: made.length,
    firms: new Set(made.map(topic => topic.firmId)).size,
    planted: PLANTED,
    runs,
    parts,
    themes: clustersIn(labels),
    largestShare: largestIn(labels),
    agreement: adjustedRandIndex(
      planted.map(i => labels[i]),
      planted.map(i => made[i].theme),
    ),
    plantedInNone: noiseIn(planted.map(i => labels[i])),
    chanceInNone: noiseIn(chance.map(i => labels[i])),
  }
}

/** Writes the made topics into a database and runs the command there; the theme of each topic, as it then says. */
async function runOn(
  { home, databaseUrl }: { home: string; databaseUrl: string | undefined },
  made: readonly MadeTopic[],
  model: string,
  threads: number,
): Promise<{ step: MeasuredStep; labels: number[] }> {
  const where = databaseUrl === undefined ? 'embedded' : 'server'
  const settings = { ...readSettings({}), home, databaseUrl }
  await withDatabase(settings, async sql => {
    const embedder = await openEmbedder({ model, threads })
    await bindModel(sql, embedder)
    await embedder.close()
    await writeMadeTopics(sql, QUARTER, made)
  })
  say(`bench: ${thousands(made.length)} made topics written, ${where}`)
  const env: Record<string, string> = databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }
  const step = await measureStep(home, ['aggregate', '--quarter', QUARTER, '--seed', String(SEED)], env)
  say(`bench: aggregate of ${thousands(made.length)} topics, ${where}: ${step.seconds.toFixed(1)} s`)
  const themeOf = await withDatabase(settings, async sql => {
    const rows = await sql<{ topicId: string; themeId: string }[]>`
      select topic_id as "topicId", theme_id as "themeId" from theme_topics`
    return new Map(rows.map(row => [row.topicId, row.themeId]))
  })
  const themes = [...new Set(themeOf.values())]
  const labels = made.map(({ topicId }) => {
    const theme = themeOf.get(topicId)
    return theme === undefined ? NOISE : themes.indexOf(theme)
  })
  return { step, labels }
}

async function measureParts(
  made: readonly MadeTopic[],
  model: string,
  threads: number,
): Promise<{ parts: Parts; dimension: number; name: string }> {
  const embedder = await openEmbedder({ model, threads })
  const embedded = await clocked(() => embedder.embed(made.map(topic => keywordSummary(topic.keywords))))
  const { dimension, name } = embedder
  await embedder.close()
  const seed = seedFrom(SEED, 'themes', QUARTER)
  const job = { vectors: embedded.result.vectors, n: made.length, d: dimension, recipe: THEME_RECIPE, seed }
  const question = firstNeighborhoods(job)
  const near = await clocked(() =>
    question.n < DEVICE_PAYS
      ? nearestNeighbors(question.data, question.n, question.d, question.k, question.metric)
      : nearestNeighborsOnDevice(question, { threads }),
  )
  const { nComponents, minDist, epochs, negativeSampleRate, minClusterSize, minSamples } = scaledRecipe(
    THEME_RECIPE,
    question.n,
  )
  const layout = await clocked(() =>
    umapFromNeighbors(near.result, question.n, { nComponents, minDist, epochs, negativeSampleRate, seed }),
  )
  const tree = await clocked(() => hdbscan(layout.result, question.n, nComponents, { minClusterSize, minSamples }))
  const themes = await clocked(() => clusterThemes({ ...job, neighbors: near.result }))
  const parts = {
    embedding: embedded.seconds,
    neighbours: near.seconds,
    layout: layout.seconds,
    hdbscan: tree.seconds,
    themes: Math.max(0, themes.seconds - layout.seconds - tree.seconds),
  }
  say(`bench: ${thousands(made.length)} made topics, parts in seconds: ${JSON.stringify(parts)}`)
  return { parts, dimension, name }
}

async function clocked<Result>(work: () => Result | Promise<Result>): Promise<{ result: Result; seconds: number }> {
  const start = performance.now()
  const result = await work()
  return { result, seconds: (performance.now() - start) / 1000 }
}

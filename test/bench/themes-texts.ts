// What stands for a topic when themes are looked for, one against another on the same topics: the middle of its sentences, the
// sentences that represent it, its keywords, its name. Which of them collapses into one giant theme, and which holds.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../../lib/db/connect.ts'
import { say } from '../../lib/log.ts'
import { adjustedRandIndex } from '../../lib/math/agreement.ts'
import { hdbscan } from '../../lib/math/hdbscan.ts'
import { shuffled } from '../../lib/math/layout.ts'
import { centroid, normalizeRows } from '../../lib/math/matrix.ts'
import { createRandom, seedFrom } from '../../lib/math/random.ts'
import { clusterThemes, scaledRecipe, THEME_RECIPE, type ThemeRecipe } from '../../lib/math/themes.ts'
import { umap } from '../../lib/math/umap.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { keywordName, keywordSummary } from '../../lib/text/names.ts'
import { readNames } from '../chat-server.ts'
import { root } from '../run.ts'
import { clustersIn, largestIn, mean, noiseIn } from './figures.ts'

export type TopicTexts = {
  firmId: string
  keywords: string[]
  /** Sentences that represent it, best first, and all of it. */
  representatives: string[]
  members: string[]
}

/** Of the labels of one clustering. */
export type Shape = { themes: number; largestShare: number; inNone: number }

export type TextRow = {
  model: string
  what: string
  /** What HDBSCAN alone makes of it, and what is left after splitting, withdrawing and giving to the nearest. */
  plain: Shape
  end: Shape
  seedAgreement: number
  tenthAgreement: number
}

/** The topics of a quarter as `cluster-firm` left them. */
export async function readTopicTexts(sql: Database, quarter: string): Promise<TopicTexts[]> {
  return await sql<TopicTexts[]>`
    select t.firm_id as "firmId", t.keywords,
      array(
        select s.text from unnest(t.representative_sentences) with ordinality as r (sentence_id, place)
        join sentences s on s.quarter = t.quarter and s.sentence_id = r.sentence_id
        order by r.place
      ) as representatives,
      array(
        select s.text from topic_sentences m join sentences s on s.quarter = m.quarter and s.sentence_id = m.sentence_id
        where m.quarter = t.quarter and m.topic_id = t.topic_id
        order by m.sentence_id
      ) as members
    from topics t
    where t.quarter = ${quarter}
    order by t.topic_id`
}

type Text = { what: string; text: (topic: TopicTexts) => string }

const TEXTS: readonly Text[] = [
  { what: 'representative sentences, one text', text: topic => topic.representatives.join(' ') },
  { what: 'keywords, one text (ours without a model)', text: topic => keywordSummary(topic.keywords) },
  { what: 'name of keywords', text: topic => keywordName(topic.keywords) },
  { what: 'name and keywords', text: topic => `${keywordName(topic.keywords)}. ${keywordSummary(topic.keywords)}` },
]

/** Texts of the names that a language model once gave (names.ts), where somebody has written them down; else none. */
function textsByModel(quarter: string): Text[] {
  const file = join(root, `test/bench/names-${quarter}.jsonl`)
  if (!existsSync(file)) return []
  const written = readNames(file)
  function namingOf({ keywords, representatives }: TopicTexts): { name: string; summary: string } {
    return written(representatives[0]) ?? { name: keywordName(keywords), summary: keywordSummary(keywords) }
  }
  return [
    {
      what: "a model's name, and keywords (ours with a model)",
      text: topic => `${namingOf(topic).name}. ${keywordSummary(topic.keywords)}`,
    },
    {
      what: "a model's name and summary",
      text: topic => `${namingOf(topic).name}. ${namingOf(topic).summary}`,
    },
  ]
}

const MEANS: readonly { what: string; sentences: (topic: TopicTexts) => readonly string[] }[] = [
  { what: 'centroid of its sentences', sentences: topic => topic.members },
  { what: 'mean of the representative sentences', sentences: topic => topic.representatives },
]

export async function compareTexts(
  topics: readonly TopicTexts[],
  quarter: string,
  model: string,
  threads: number,
): Promise<TextRow[]> {
  const embedder = await openEmbedder({ model, threads })
  const { name, dimension: d } = embedder
  const rows: TextRow[] = []
  function judge(what: string, vectors: Float32Array): void {
    rows.push({ model: name, what, ...judgeVectors(vectors, topics.length, d, quarter) })
    say(`bench: themes by ${what}, ${name}: ${rows[rows.length - 1].end.themes}`)
  }
  try {
    // Each sentence once, though it is in two of the means.
    const sentences = [...new Set(topics.flatMap(topic => topic.members))]
    const rowOf = new Map(sentences.map((sentence, row) => [sentence, row]))
    const { vectors: ofSentences } = await embedder.embed(sentences)
    for (const { what, sentences: chosen } of MEANS) {
      const means = new Float32Array(topics.length * d)
      for (const [i, topic] of topics.entries())
        means.set(
          centroid(
            ofSentences,
            d,
            chosen(topic).map(text => rowOf.get(text) ?? 0),
          ),
          i * d,
        )
      judge(what, Float32Array.from(normalizeRows(means, topics.length, d)))
    }
    for (const { what, text } of [...TEXTS, ...textsByModel(quarter)])
      judge(what, (await embedder.embed(topics.map(text))).vectors)
  } finally {
    await embedder.close()
  }
  return rows
}

const SEED = 42
// Which tenth is away moves the agreement by .05.
const TENTHS = 4

function judgeVectors(vectors: Float32Array, n: number, d: number, quarter: string): Omit<TextRow, 'model' | 'what'> {
  const { labels, ...agreements } = themesHeld(vectors, n, d, quarter, THEME_RECIPE)
  const seed = seedFrom(SEED, 'themes', quarter)
  return { plain: shapeOf(plainLabels(vectors, n, d, seed)), end: shapeOf(labels), ...agreements }
}

/** Themes as `aggregate` makes them, and how they agree with those of another seed, and of nine tenths of the topics. */
export function themesHeld(
  vectors: Float32Array,
  n: number,
  d: number,
  quarter: string,
  recipe: ThemeRecipe,
): { labels: Int32Array; seedAgreement: number; tenthAgreement: number } {
  const seed = seedFrom(SEED, 'themes', quarter)
  const { labels } = clusterThemes({ vectors, n, d, recipe, seed })
  const other = clusterThemes({ vectors, n, d, recipe, seed: seedFrom(SEED + 1, 'themes', quarter) })
  const tenths = Array.from({ length: TENTHS }, (_, tenth) => {
    const kept = shuffled(n, createRandom(tenth)).subarray(Math.ceil(n / 10))
    const own = new Float32Array(kept.length * d)
    for (const [i, row] of kept.entries()) own.set(vectors.subarray(row * d, (row + 1) * d), i * d)
    const found = clusterThemes({ vectors: own, n: kept.length, d, recipe, seed })
    return adjustedRandIndex(
      found.labels,
      Array.from(kept, row => labels[row]),
    )
  })
  return { labels, seedAgreement: adjustedRandIndex(other.labels, labels), tenthAgreement: mean(tenths) }
}

/** HDBSCAN over UMAP, with nothing done to the outcome. */
function plainLabels(vectors: Float32Array, n: number, d: number, seed: number): Int32Array {
  const recipe = scaledRecipe(THEME_RECIPE, n)
  const layout = umap(vectors, n, d, { ...recipe, metric: 'cosine', seed })
  return hdbscan(layout, n, recipe.nComponents, recipe).labels
}

function shapeOf(labels: Int32Array): Shape {
  return { themes: clustersIn(labels), largestShare: largestIn(labels), inNone: noiseIn(labels) }
}

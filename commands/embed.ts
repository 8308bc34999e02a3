// embed: an embedding for every sentence of a quarter. Reads sentences, writes sentence_vectors, one transaction a firm.
// The model is loaded once; firms are read ahead and written behind while it computes. How it computes is lib/model.

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { findFirm, requireQuarter, sentencesOfFirm } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { bindModel, boundModel, modelText } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { dropIndex } from '../lib/db/vector-index.ts'
import { replaceSentenceVectors } from '../lib/db/vectors.ts'
import { type Claim, claimWork, finishWork, keepLeases, nextClaim, openWork, type Target } from '../lib/db/work.ts'
import { FIRM, FORCE, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, textFlag } from '../lib/flags.ts'
import { count, duration, progress, say, thousands } from '../lib/log.ts'
import { type Embedder, openEmbedder } from '../lib/model/embedder.ts'
import { SHIPPED_MODEL } from '../lib/settings.ts'

export const command: Command = {
  verb: 'embed',
  summary: 'Compute the embedding of every sentence of a quarter',
  about:
    'Embeds every sentence that has no embedding yet. The first embed binds the database to its model; another model ' +
    'is refused, since vectors of two models cannot be compared. A model is the shipped one or a folder in the layout ' +
    'of sentence-transformers with an ONNX file.',
  flags: [
    QUARTER,
    FIRM,
    FORCE,
    {
      name: 'model',
      value: 'MODEL',
      summary: 'Name of the shipped model, or a folder with tokenizer.json and model.onnx',
      default: `the database's own, or ${SHIPPED_MODEL}`,
    },
    JSON_OUTPUT,
  ],
  examples: ['embed --quarter 2024Q3', 'embed --quarter 2024Q3 --model ./all-MiniLM-L6-v2'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const named = textFlag(flags, 'model') ?? settings.model
      const model = named ?? (await boundModel(sql))?.source ?? SHIPPED_MODEL
      const options = { quarter, firmId, force: switchFlag(flags, 'force'), compareModel: named !== undefined }
      const result = await recorded(
        sql,
        {
          command: 'embed',
          quarter,
          options: { firm: firmId ?? null, force: options.force },
          codeVersion: codeVersion(),
        },
        async () => {
          const done = await embed(sql, {
            ...options,
            openModel: () => openEmbedder({ model, threads: settings.threads }),
          })
          return {
            done,
            model: done.model,
            counts: { firms: done.firms, sentences: done.sentences, tokens: done.tokens },
          }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify(result.done))
    })
  },
}

export type EmbedOptions = {
  quarter: string
  firmId?: string | undefined
  force?: boolean
  /** Called once, to load the model. */
  openModel: () => Promise<Embedder>
  /** The model was named, not taken from the database: compare the two even when there is nothing to do. */
  compareModel?: boolean
}

export type EmbedResult = {
  quarter: string
  /** Name and revision. */
  model: string
  firms: number
  sentences: number
  tokens: number
  /** Sentences longer than the model reads: only their beginning is in the vector. */
  truncated: number
  seconds: number
}

// Enough sentences to sort into batches of like length (padding under 2 %, measured), few enough to lose little when killed.
const WINDOW_SENTENCES = 4096

type Taken = { claim: Claim; sentenceIds: bigint[]; texts: string[] }

/** Embeds what has no embedding yet in a quarter, or in one firm of it. */
export async function embed(
  sql: Database,
  { quarter, firmId, force = false, openModel, compareModel = true }: EmbedOptions,
): Promise<EmbedResult> {
  const start = performance.now()
  const target: Target = { quarter, firmId }
  const bound = await boundModel(sql)
  if (bound !== undefined && !compareModel && (await openWork(sql, 'embed', target, null, force)).todo === 0) {
    // Loading a model to find nothing to do would take most of the second in which this should be said.
    say(`embed ${quarter}: nothing left to do`)
    return { quarter, model: modelText(bound), firms: 0, sentences: 0, tokens: 0, truncated: 0, seconds: 0 }
  }
  const embedder = await openModel()
  const leases = keepLeases(sql, 'embed')
  const result: EmbedResult = {
    quarter,
    model: modelText(embedder),
    firms: 0,
    sentences: 0,
    tokens: 0,
    truncated: 0,
    seconds: 0,
  }
  try {
    await bindModel(sql, embedder)
    const recipe = JSON.stringify({ model: embedder.name, revision: embedder.revision })
    const { todo, units } = await openWork(sql, 'embed', target, recipe, force)
    // Loading into an index costs six times what loading and then building it does (measured).
    if (todo > 0 && firmId === undefined) await dropIndex(sql, quarter)

    const bar = progress(`embed ${quarter}`, units, 'sentences')
    let writing: Promise<void> = Promise.resolve()
    let window = await takeWindow(sql, target, true)
    while (window.length > 0) {
      const texts = window.flatMap(one => one.texts)
      const embedding = embedder.embed(texts)
      // While the model computes: finish writing the window before, and read the one after.
      const [{ vectors, tokens, truncated }, next] = await Promise.all([
        embedding,
        writing.then(() => takeWindow(sql, target, false)),
      ])
      writing = writeWindow(sql, window, vectors, embedder.dimension, recipe).then(written => {
        result.firms += written.firms
        result.sentences += written.sentences
        bar.step(written.sentences)
      })
      writing.catch(() => {}) // seen where it is awaited
      result.tokens += tokens
      result.truncated += truncated
      window = next
      if (window.length > 0) continue
      // Only with nothing in hand may this process wait for others: they may be waiting for what it holds.
      await writing
      window = await takeWindow(sql, target, true)
    }
    bar.end()
  } finally {
    await leases.release()
    await embedder.close()
  }
  result.seconds = (performance.now() - start) / 1000
  say(
    `embed ${quarter}: ${count(result.firms, 'firm')}, ${count(result.sentences, 'sentence')} with ${embedder.name}` +
      (result.sentences > 0
        ? ` in ${duration(result.seconds)} (${thousands(result.sentences / result.seconds)} sentences/s)`
        : ', nothing left to do') +
      (result.truncated > 0 ? `; ${count(result.truncated, 'sentence')} cut at ${embedder.maxTokens} tokens` : ''),
  )
  return result
}

async function takeWindow(sql: Database, target: Target, mayWait: boolean): Promise<Taken[]> {
  const window: Taken[] = []
  let sentences = 0
  while (sentences < WINDOW_SENTENCES) {
    const wait = mayWait && window.length === 0
    const claim = await (wait ? nextClaim : claimWork)(sql, 'embed', target)
    if (claim === undefined) break
    const rows = await sentencesOfFirm(sql, claim.quarter, claim.firmId)
    window.push({ claim, sentenceIds: rows.map(row => row.sentenceId), texts: rows.map(row => row.text) })
    sentences += rows.length
  }
  return window
}

async function writeWindow(
  sql: Database,
  window: readonly Taken[],
  vectors: Float32Array,
  d: number,
  recipe: string,
): Promise<{ firms: number; sentences: number }> {
  const written = { firms: 0, sentences: 0 }
  let row = 0
  for (const { claim, sentenceIds } of window) {
    const ofFirm = vectors.subarray(row * d, (row + sentenceIds.length) * d)
    row += sentenceIds.length
    const done = await finishWork(sql, claim, recipe, tx =>
      replaceSentenceVectors(tx, claim.quarter, claim.firmId, sentenceIds, ofFirm, d),
    )
    if (!done) continue // another process took the firm over; its rows stand
    written.firms++
    written.sentences += sentenceIds.length
  }
  return written
}

// embed: an embedding for every sentence of a quarter. Reads sentences, writes sentence_vectors, each firm in one transaction.
// The model is loaded once; firms are read ahead and written behind while it computes. How it computes is lib/model.

import { basename } from 'node:path'
import { codeVersion } from '../lib/code-version.ts'
import type { Command, FlagValues } from '../lib/command.ts'
import { findFirm, requireQuarter, sentencesOfFirms } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { keepLearnedBatch, learnedBatch } from '../lib/db/learned-batches.ts'
import { type BoundModel, bindModel, boundModel, modelText, sourceOfBound } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded, secondsToday } from '../lib/db/runs.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import { dropIndex } from '../lib/db/vector-index.ts'
import { replaceSentenceVectors } from '../lib/db/vectors.ts'
import { finishTogether, openWork, type Target } from '../lib/db/work.ts'
import { workInPortions } from '../lib/db/work-in-portions.ts'
import {
  choiceFlag,
  FIRM,
  FORCE,
  JSON_OUTPUT,
  QUARTER,
  quarterFlag,
  switchFlag,
  textFlag,
  wholeNumberFlag,
} from '../lib/flags.ts'
import { count, duration, progress, say, thousands } from '../lib/log.ts'
import { type Embedder, type EmbedderSettings, openEmbedder } from '../lib/model/embedder.ts'
import { countsOf, type Figures, type Meter, noteOf, openMeter } from '../lib/model/meter.ts'
import { type Monitor, openMonitor } from '../lib/model/monitor.ts'
import { DEVICES, type DeviceChoice, LONG_TEXTS, type LongText, type Settings, SHIPPED_MODEL } from '../lib/settings.ts'

export const command: Command = {
  verb: 'embed',
  summary: 'Compute the embedding of every sentence of a quarter',
  about:
    'Embeds every sentence that has no embedding yet. The first embed binds the database to its model; another model ' +
    'is refused, since vectors of two models cannot be compared. A model is one of those that `quarterdeck models` lists, ' +
    'any other of Hugging Face by org/name@commit, or a folder in the layout of sentence-transformers with an ONNX ' +
    'file; `:int8` or `:fp16` behind it takes the file of that precision.',
  flags: [
    QUARTER,
    FIRM,
    FORCE,
    {
      name: 'model',
      value: 'MODEL',
      summary: 'Name of a model, or a folder with tokenizer.json and model.onnx',
      default: `the database's own, or ${SHIPPED_MODEL}`,
    },
    {
      name: 'device',
      value: 'DEVICE',
      summary: 'auto, cpu, cuda or webgpu; auto measures and says why',
      default: 'QUARTERDECK_DEVICE, or auto',
    },
    {
      name: 'batch-size',
      value: 'N',
      summary: 'Always N sentences at a time, in the order they come, instead of batches that find their own size',
    },
    {
      name: 'long-text',
      value: 'WAY',
      summary: 'Of a text longer than the model takes: truncate it, or split it and average',
      default: 'QUARTERDECK_LONG_TEXT, or truncate',
    },
    {
      name: 'metrics-file',
      value: 'FILE',
      summary: 'Write figures of the run into this file every few seconds, for Prometheus (docs/monitoring)',
    },
    JSON_OUTPUT,
  ],
  examples: [
    'embed --quarter 2024Q3',
    'embed --quarter 2024Q3 --model all-MiniLM-L6-v2 --device cuda',
    'embed --quarter 2024Q3 --model ./my-model:int8 --long-text split',
  ],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    const wantedFirm = textFlag(flags, 'firm')
    const how = howOf(flags, settings)
    const metricsFile = textFlag(flags, 'metrics-file') ?? settings.metricsFile
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const named = textFlag(flags, 'model') ?? settings.model
      const bound = await boundModel(sql)
      const model = named ?? (bound === undefined ? SHIPPED_MODEL : sourceOfBound(bound))
      const options = {
        quarter,
        firmId,
        force: switchFlag(flags, 'force'),
        compare: named !== undefined || textFlag(flags, 'long-text') !== undefined,
      }
      const monitor = await openMonitor({
        file: metricsFile,
        labels: { quarter, model: basename(model) },
        dollars: {
          perHour: settings.dollarsPerHour,
          perDay: settings.dollarsPerDay,
          soFarToday: settings.dollarsPerHour
            ? (settings.dollarsPerHour * (await secondsToday(sql, 'embed'))) / 3600
            : 0,
        },
      })
      const result = await recorded(
        sql,
        {
          command: 'embed',
          quarter,
          options: {
            firm: firmId ?? null,
            force: options.force,
            device: how.device,
            batchSize: how.batches.dynamic ? null : how.batches.size,
            longText: how.longText,
            ...placeOf(settings),
          },
          codeVersion: codeVersion(),
        },
        async () => {
          const done = await embed(sql, {
            ...options,
            longText: how.longText,
            monitor,
            openModel: hints => openEmbedder({ model, threads: settings.threads, hub: settings.hub, ...how, ...hints }),
          })
          const { figures, ...told } = done
          return {
            done: told,
            model: done.model,
            counts: { firms: done.firms, device: done.device ?? 'none', ...(figures && countsOf(figures)) },
          }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify(result.done))
    })
  },
}

type How = { device: DeviceChoice; batches: Settings['batches']; longText: LongText }

/** Device, batches and long texts: a flag goes before the setting of the environment. */
function howOf(flags: FlagValues, settings: Settings): How {
  const given = (name: string) => textFlag(flags, name) !== undefined
  const fixed = given('batch-size')
  return {
    device: given('device') ? choiceFlag(flags, 'device', DEVICES) : settings.device,
    longText: given('long-text') ? choiceFlag(flags, 'long-text', LONG_TEXTS) : settings.longText,
    batches: fixed
      ? { ...settings.batches, dynamic: false, size: wholeNumberFlag(flags, 'batch-size', 32, 1, 65_536) }
      : settings.batches,
  }
}

/** What the step knows that opening a model can use. */
export type OpeningHints = Pick<EmbedderSettings, 'expectedTexts' | 'recall' | 'meter'>

export type EmbedOptions = {
  quarter: string
  firmId?: string | undefined
  force?: boolean
  /** Called once, to load the model. */
  openModel: (hints: OpeningHints) => Promise<Embedder>
  /** How that model treats long texts; other vectors come of it, so it is part of being done. */
  longText?: LongText
  /** Model or long texts were asked for, not taken for granted: compare with what is done even when nothing is left. */
  compare?: boolean
  /** Where figures go while it runs; nowhere unless given. */
  monitor?: Monitor
}

export type EmbedResult = {
  quarter: string
  /** Name and revision. */
  model: string
  device: string | null
  firms: number
  sentences: number
  tokens: number
  /** Sentences longer than the model reads. */
  tooLong: number
  seconds: number
  /** What was measured meanwhile; undefined where no model was opened. */
  figures: Figures | undefined
}

// Sentences that are computed or written at once. Many fill batches of every width (lib/model/batching.ts); few are lost when
// the run is killed, since a firm is saved when its last sentence is back. So as many as are computed in eight seconds, within
// bounds: under 2,048 batches would be half empty, over 16,384 no batch gets fuller, and that many vectors are 40 MB.
const SECONDS_IN_HAND = 8
const FEWEST_IN_HAND = 2048
const MOST_IN_HAND = 16_384

const NOTHING = { firms: 0, sentences: 0, tokens: 0, tooLong: 0 }

/** Embeds what has no embedding yet in a quarter, or in one firm of it. */
export async function embed(sql: Database, options: EmbedOptions): Promise<EmbedResult> {
  const { quarter, firmId, force = false, openModel, longText = 'truncate', compare = true, monitor } = options
  const start = performance.now()
  const target: Target = { quarter, firmId }
  const meter = openMeter(start)
  const figures = () => meter.figures(performance.now())
  const bound = await boundModel(sql)
  // Nothing is taken back yet: a model that cannot be opened must leave everything as it was.
  const { todo: open, units, allUnits } = await openWork(sql, 'embed', target, null, false)
  if (bound !== undefined && !compare && !force && open === 0) {
    // Loading a model to find nothing to do would take most of the second in which this should be said.
    say(`embed ${quarter}: nothing left to do`)
    // Or the file of a run that was killed would say for ever that it runs.
    monitor?.start({ figures, wanted: 0, device: 'none' })
    await monitor?.end('done')
    return { quarter, model: modelText(bound), device: null, ...NOTHING, seconds: 0, figures: undefined }
  }
  const expectedTexts = force || compare ? allUnits : units
  monitor?.start({ figures, wanted: expectedTexts, device: 'none' })
  let embedder: Embedder | undefined
  try {
    embedder = await openModel({ expectedTexts, meter, recall: key => learnedBatch(sql, key) })
    const result = await embedAll(sql, { target, force, longText, embedder, meter, monitor })
    const told = { ...result, figures: figures(), seconds: (performance.now() - start) / 1000 }
    await monitor?.end('done')
    say(summaryOf(told, embedder, longText))
    return told
  } catch (error) {
    await monitor?.end('failed')
    throw error
  } finally {
    await embedder?.close()
  }
}

type Plan = {
  target: Target
  force: boolean
  longText: LongText
  embedder: Embedder
  meter: Meter
  monitor: Monitor | undefined
}

/** With the model open: what is left to do, portion by portion. */
async function embedAll(sql: Database, plan: Plan): Promise<Omit<EmbedResult, 'figures' | 'seconds'>> {
  const { target, force, longText, embedder, meter, monitor } = plan
  const { quarter } = target
  const figures = () => meter.figures(performance.now())
  const bound = await bindModel(sql, embedder)
  const result = { quarter, model: modelText(bound), device: embedder.device, ...NOTHING }
  const recipe = recipeOf(bound, longText)
  const { todo, units } = await openWork(sql, 'embed', target, recipe, force)
  if (embedder.reasons.length > 0 && todo > 0)
    say(`embed ${quarter}: on ${embedder.device}; ${embedder.reasons.join('; ')}`)
  // Loading into an index costs six times what loading and then building it does (measured).
  if (todo > 0 && target.firmId === undefined) await dropIndex(sql, quarter)
  monitor?.start({ figures, wanted: units, device: embedder.device })
  const bar = progress(`embed ${quarter}`, units, 'sentences')
  const inHand = () => {
    const { lately, modelBusyShare } = figures()
    // What the model does while it runs; loading it, and waiting for the first sentences, say nothing of its speed.
    const perSecond = modelBusyShare > 0 ? lately.sentencesPerSecond / modelBusyShare : 0
    return { firms: Infinity, units: Math.min(MOST_IN_HAND, Math.max(FEWEST_IN_HAND, perSecond * SECONDS_IN_HAND)) }
  }
  await workInPortions(sql, 'embed', target, inHand, {
    async read(claims) {
      const firmIds = claims.map(claim => claim.firmId)
      const sentences = await sentencesOfFirms(sql, quarter, firmIds)
      return claims.map(claim => ({ ...claim, ...(sentences.get(claim.firmId) ?? { sentenceIds: [], texts: [] }) }))
    },
    async compute({ texts, ...firm }) {
      // Sentence by sentence as they are computed: with a large model it is half a minute until the first firm is whole.
      let heard = 0
      const onProgress = (more: number) => {
        heard += more
        bar.step(more, () => noteOf(figures()))
      }
      const { vectors, tokens, tooLong } = await embedder.embed(texts, { onProgress })
      bar.step(texts.length - heard) // those without a known word are not heard of
      return { ...firm, vectors, tokens, tooLong }
    },
    async save(firms) {
      const kept = await finishTogether(sql, firms, recipe, (tx, ours) =>
        replaceSentenceVectors(tx, quarter, ours, embedder.dimension),
      )
      for (const firm of kept) {
        result.firms++
        result.sentences += firm.sentenceIds.length
        result.tokens += firm.tokens
        result.tooLong += firm.tooLong
        meter.sentences(firm.sentenceIds.length)
      }
    },
  })
  bar.end()
  const learned = embedder.learned()
  if (learned !== undefined && result.firms > 0) await keepLearnedBatch(sql, learned.key, learned.learned)
  return result
}

/** What the vectors depend on beside their texts. */
function recipeOf({ name, revision }: BoundModel, longText: LongText): string {
  // Named only where it is not the usual, so that what was embedded before there was a choice counts as done.
  return JSON.stringify({ model: name, revision, ...(longText !== 'truncate' && { longText }) })
}

function summaryOf(result: EmbedResult, { name, maxTokens }: Embedder, longText: LongText): string {
  const { quarter, firms, sentences, seconds, tooLong } = result
  const speed =
    sentences > 0 ? ` in ${duration(seconds)} (${thousands(sentences / seconds)} sentences/s)` : ', nothing left to do'
  const long = longText === 'split' ? 'read in windows of' : 'cut at'
  return (
    `embed ${quarter}: ${count(firms, 'firm')}, ${count(sentences, 'sentence')} with ${name}${speed}` +
    (tooLong > 0 ? `; ${count(tooLong, 'sentence')} ${long} ${maxTokens} tokens` : '')
  )
}

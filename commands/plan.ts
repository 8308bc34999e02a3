// plan: what a quarter takes and costs on a rented machine, before one is rented. Reads the runs of this database, where there
// is one, and the table of prices; changes nothing, asks no cloud, and makes no database where there is none.

import { existsSync } from 'node:fs'
import {
  besideOf,
  CARD_EFFICIENCY,
  CARD_MEMORY,
  CONTAINER_START,
  cheapest,
  type Embedding,
  FIRST_CHOICE,
  factorsOf,
  fastest,
  HOURS_A_MONTH,
  LEAST_BILLED,
  type Measured,
  memoryOf,
  namingOf,
  oneOrMany,
  type Question,
  type Row,
  type Run,
  rowsOf,
  SENTENCES_A_FIRM,
  STEPS,
  type Step,
  TOKENS_A_SENTENCE,
  TOPICS_A_SENTENCE,
  tells,
  WORKLOADS,
  type Work,
} from '../lib/cloud/plan.ts'
import { type Age, ageOfPrices, type Instance, readPrices } from '../lib/cloud/prices.ts'
import type { Command, Flag } from '../lib/command.ts'
import { placesOf } from '../lib/db/embedded/places.ts'
import { boundModel } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { type MeasuredRun, measuredThroughputs, type Throughputs } from '../lib/db/throughputs.ts'
import { graphBytes } from '../lib/db/vector-index.ts'
import { UsageError, UserError } from '../lib/errors.ts'
import { choiceFlag, JSON_OUTPUT, numberFlag, switchFlag, textFlag, wholeNumberFlag } from '../lib/flags.ts'
import { count, duration, thousands, warn } from '../lib/log.ts'
import { dollarsOf, priceOf } from '../lib/model/chat-prices.ts'
import { splitPrecision } from '../lib/model/model-folder.ts'
import {
  cardBytesOf,
  type ModelSize,
  operationsOf,
  SIZED_MODELS,
  sizeOfModel,
  trafficOf,
} from '../lib/model/model-sizes.ts'
import { type Settings, SHIPPED_MODEL } from '../lib/settings.ts'
import { renderTable } from '../lib/text/table.ts'

const MODEL: Flag = {
  name: 'model',
  value: 'MODEL',
  summary: `Embedding model: ${SIZED_MODELS.join(', ')}`,
  default: `QUARTERDECK_MODEL, the database's own, or ${SHIPPED_MODEL}`,
}

export const command: Command = {
  verb: 'plan',
  summary: 'Say what a quarter takes and costs on a rented machine, before one is rented',
  about:
    'Reckons with the speed of the runs in this database where there are any, else with figures of docs/benchmarks.md, and ' +
    'says which; and with the dated prices in data/prices. A run counts where it did all of a quarter by itself, on cores, ' +
    'with this model, and no other step ran beside it: `make quarter` runs embed, cluster-firm and name-topics at once, ' +
    'where nobody can tell work from waiting, so of these three only runs that were typed one by one count. Changes ' +
    'nothing, asks no cloud, and needs no database.',
  flags: [
    { name: 'firms', value: 'N', summary: 'Firms of the quarter' },
    { name: 'sentences', value: 'N', summary: 'Sentences of all firms', default: `${SENTENCES_A_FIRM} a firm` },
    {
      name: 'workload',
      value: 'WORKLOAD',
      summary: `What the machine is for: ${WORKLOADS.join(', ')}`,
      default: 'batch',
    },
    MODEL,
    {
      name: 'hours-per-month',
      value: 'HOURS',
      summary: 'Hours that a machine runs in a month: prices of the month, too',
      default: '176 (8 hours, 22 days) for a workload other than batch',
    },
    { name: 'instances', value: 'N', summary: 'Machines that run these hours', default: '1' },
    { name: 'deadline', value: 'HOURS', summary: 'Only machines that are done in so many hours' },
    JSON_OUTPUT,
  ],
  examples: [
    'plan --firms 5000',
    'plan --firms 5000 --model all-mpnet-base-v2 --deadline 2',
    'plan --firms 5000 --workload realtime --hours-per-month 176 --instances 2 --json',
  ],
  async run({ flags, settings, print, columns }) {
    const asked = wishesOf(flags)
    const named = textFlag(flags, 'model') ?? settings.model
    const found = await readThroughputs(settings, named)
    const plan = makePlan({ asked, ...found, prices: readPrices(), settings, now: new Date() })
    print(switchFlag(flags, 'json') ? JSON.stringify(plan) : describe(plan, columns))
  },
}

export type Wishes = Pick<Question, 'workload' | 'hoursPerMonth' | 'instances' | 'deadline'> & {
  firms: number
  /** Undefined: as many as firms have. */
  sentences: number | undefined
}

function wishesOf(flags: Parameters<Command['run']>[0]['flags']): Wishes {
  const given = (name: string) => textFlag(flags, name) !== undefined
  if (!given('firms')) throw new UsageError('how many firms? --firms is missing', '--firms 5000')
  const firms = wholeNumberFlag(flags, 'firms', 5000, 1, 1_000_000)
  const sentences = given('sentences') ? wholeNumberFlag(flags, 'sentences', 2_000_000, 1, 1e9) : undefined
  if (sentences !== undefined && sentences < firms)
    throw new UsageError(
      `--sentences is ${thousands(sentences)} and --firms ${thousands(firms)}; a firm has at least one sentence`,
      `--sentences ${firms * SENTENCES_A_FIRM}`,
    )
  const workload = choiceFlag(flags, 'workload', WORKLOADS)
  const batch = workload === 'batch'
  const hours = batch && !given('hours-per-month') ? undefined : numberFlag(flags, 'hours-per-month', 176, 0.1, 744)
  if (given('instances') && hours === undefined)
    throw new UsageError(
      '--instances counts machines of a month, and one run takes one machine',
      '--hours-per-month 176 --instances 2',
    )
  if (given('deadline') && !batch)
    throw new UsageError(`--deadline is for a run, and --workload is ${workload}`, '--workload batch')
  return {
    firms,
    sentences,
    workload,
    hoursPerMonth: hours,
    instances: wholeNumberFlag(flags, 'instances', 1, 1, 1000),
    deadline: given('deadline') ? numberFlag(flags, 'deadline', 1, 0.01, 10_000) : undefined,
  }
}

type Found = { model: ModelSize; precision: string; throughputs: Throughputs | undefined }

/** The model that is meant, and what this database knows of its speed: undefined where there is no database to ask. */
async function readThroughputs(settings: Settings, named: string | undefined): Promise<Found> {
  const there = settings.databaseUrl !== undefined || existsSync(placesOf(settings.home).database)
  const without = () => ({ ...sized(named ?? SHIPPED_MODEL), throughputs: undefined })
  if (named !== undefined) sized(named) // refused before a database is woken for it
  if (!there) return without()
  try {
    return await withDatabase(settings, async sql => {
      const found = sized(named ?? (await boundModel(sql))?.name ?? SHIPPED_MODEL)
      return { ...found, throughputs: await measuredThroughputs(sql, found.model.name) }
    })
  } catch (error) {
    // A server that is stopped until the day it is needed is no reason not to say what that day will cost.
    if (!(error instanceof UserError) || error instanceof UnknownSize) throw error
    warn(`plan goes on without this database: ${error.message}`)
    return without()
  }
}

class UnknownSize extends UserError {
  override readonly name = 'UnknownSize'
}

function sized(named: string): { model: ModelSize; precision: string } {
  const { rest, precision } = splitPrecision(named)
  const model = sizeOfModel(rest)
  if (model !== undefined) return { model, precision }
  throw new UnknownSize(
    `plan does not know how large the model ${JSON.stringify(rest)} is; it knows ${SIZED_MODELS.join(', ')}`,
    '--model all-MiniLM-L6-v2, or the one of these that is most like it',
  )
}

export type StepPlan = { step: Step; seconds: number; measured: { runs: number; last: Date; factor: number } | null }

export type Plan = {
  workload: Question['workload']
  firms: number
  sentences: number
  tokensPerSentence: number
  topics: number
  /** Which of these figures are from this database. */
  measured: { tokens: boolean; topics: boolean; naming: boolean; cards: string[]; leftOut: number }
  model: { name: string; parameters: number; bytes: number; cardGigabytes: number; note: string }
  cardMemory: { least: number; most: number }
  memoryGigabytes: number
  /** Of the prices that may be chosen. */
  prices: Age
  hoursPerMonth: number | null
  instances: number
  rows: Row[]
  best: Row
  /** What bin/provision.mjs takes by itself; the cheapest that it can rent, without a card, and with one. */
  firstChoice: Row | null
  provision: Row | null
  withoutCard: Row | null
  withCard: Row | null
  steps: StepPlan[]
  fleet: ReturnType<typeof oneOrMany>
  beside: ReturnType<typeof besideOf>
  naming: ReturnType<typeof namingOf> & { model: string; dollars: number | null; asked: boolean }
}

export function makePlan({
  asked,
  model,
  precision,
  throughputs,
  prices,
  settings,
  now,
}: Found & {
  asked: Wishes
  prices: readonly Instance[]
  settings: Pick<
    Settings,
    'chatKey' | 'chatModel' | 'chatPrice' | 'chatConcurrency' | 'chatRequestsPerSecond' | 'chatTokensPerMinute'
  >
  now: Date
}): Plan {
  const { firms } = asked
  const sentences = asked.sentences ?? firms * SENTENCES_A_FIRM
  const runs = throughputs?.runs ?? []
  const mine = (text: string | null) => text?.split(' ')[0] === model.name
  const tokens = ratio(
    runs.filter(run => run.step === 'embed' && mine(run.model) && run.tokens > 0),
    'tokens',
  )
  const shares = ratio(
    runs.filter(run => run.step === 'cluster-firm' && run.topics > 0),
    'topics',
  )
  const tokensPerSentence = tokens ?? TOKENS_A_SENTENCE
  const embedding = embeddingOf(model, tokensPerSentence)
  const topics = Math.max(1, Math.round(sentences * (shares ?? TOPICS_A_SENTENCE)))

  const timed = runs.flatMap(run => timedRun(run, mine)).filter(tells)
  const measured: Measured = {
    factors: factorsOf(timed, embedding),
    cards: (throughputs?.cards ?? []).map(({ deviceName, tokensPerSecond, learnedAt }) => ({
      name: deviceName,
      sentencesPerSecond: tokensPerSecond / tokensPerSentence,
      last: learnedAt,
    })),
  }

  const naming = namingOf({ firms, topics }, throughputs?.named ?? { topics: 0, promptTokens: 0, completionTokens: 0 })
  const asking =
    settings.chatKey === undefined
      ? undefined
      : {
          requests: naming.requests,
          tokens: naming.promptTokens + naming.completionTokens,
          concurrency: settings.chatConcurrency,
          requestsPerSecond: settings.chatRequestsPerSecond,
          tokensPerMinute: settings.chatTokensPerMinute,
        }
  const indexBytes = graphBytes(sentences, model.dimension)
  const work: Work = { firms, sentences, topics, embedding, asking, indexBytes }
  const rows = rowsOf(prices, { work, ...asked }, measured)
  const best = cheapest(rows)
  if (best === undefined) throw nothingFits(rows, asked)

  return {
    workload: asked.workload,
    firms,
    sentences,
    tokensPerSentence,
    topics,
    measured: {
      tokens: tokens !== undefined,
      topics: shares !== undefined,
      naming: naming.measured,
      cards: measured.cards.map(({ name }) => name),
      leftOut: runs.length - timed.length,
    },
    model: {
      name: model.name,
      parameters: model.parameters,
      bytes: model.bytes,
      cardGigabytes: embedding.cardBytes / 1e9,
      note: precision === 'fp32' ? '' : `reckoned in float32, not in ${precision}`,
    },
    cardMemory: CARD_MEMORY[asked.workload],
    memoryGigabytes: memoryOf(work) / 1e9,
    prices: ageOfPrices(
      rows.filter(row => row.fits),
      now,
    ),
    hoursPerMonth: asked.hoursPerMonth ?? null,
    instances: asked.instances,
    rows,
    best,
    firstChoice: rows.find(isFirstChoice) ?? null,
    provision: cheapest(rows, row => row.provision) ?? null,
    withoutCard: cheapest(rows, row => row.card === '') ?? null,
    withCard: cheapest(rows, row => row.card !== '') ?? null,
    steps: STEPS.map(step => ({
      step,
      seconds: best.timing.steps[step],
      measured: measured.factors[step] ?? null,
    })),
    fleet: oneOrMany({ firms }, best.timing, best.dollarsPerHour),
    beside: besideOf(work, {
      hours: best.monthly === null ? best.hours : HOURS_A_MONTH,
      instances: asked.instances,
    }),
    naming: {
      ...naming,
      model: settings.chatModel,
      dollars: dollarsOf(naming, priceOf(settings)),
      asked: asking !== undefined,
    },
  }
}

/** A run whose seconds are those of its step, of this model and on cores; none where they are anything else. */
function timedRun(run: MeasuredRun, mine: (model: string | null) => boolean): Run[] {
  const { step, whole, alone, threads, server, model, device } = run
  if (!whole || !alone || threads === null || server === null) return []
  if (step !== 'ingest' && step !== 'name-topics' && !mine(model)) return []
  if ((step === 'embed' || step === 'aggregate') && device !== 'cpu') return []
  // Names by a language model are reckoned by themselves; of the cores of another machine's server nothing is known.
  if ((step === 'name-topics' && model !== null) || (step === 'index' && server === 'elsewhere')) return []
  return [{ ...run, cores: threads, storage: server === 'none' ? 'embedded' : 'server' }]
}

/** So many a sentence in all of these runs together; undefined where there are none. */
function ratio(runs: readonly { sentences: number; tokens: number; topics: number }[], what: 'tokens' | 'topics') {
  const sentences = runs.reduce((sum, run) => sum + (run[what] > 0 ? run.sentences : 0), 0)
  return sentences > 0 ? runs.reduce((sum, run) => sum + run[what], 0) / sentences : undefined
}

function embeddingOf(model: ModelSize, tokens: number): Embedding {
  return {
    dimension: model.dimension,
    operations: operationsOf(model, tokens),
    traffic: trafficOf(model, tokens),
    cardBytes: cardBytesOf(model, tokens),
    operationsPerSecond: CORE_SPEED,
  }
}

// MiniLM on the bench's two cores: 487 sentences of 25.9 tokens a second (docs/benchmarks.md).
const MINILM = sizeOfModel('all-MiniLM-L6-v2')
const CORE_SPEED = MINILM === undefined ? 0 : 487 * operationsOf(MINILM, 25.9)

function nothingFits(rows: readonly Row[], { workload, deadline }: Wishes): UserError {
  const best = fastest(rows)
  if (best === undefined)
    return new UserError(
      `no machine in data/prices fits; of the dearest, ${rows.at(-1)?.instance}: ${rows.at(-1)?.why}`,
      `quarterdeck plan --firms 5000 --workload ${workload}`,
    )
  const hours = roundedUp(best.hours)
  return new UserError(
    `no machine is done in ${deadline} hours; the fastest that fits, ${best.provider} ${best.instance}, takes ${hours}`,
    `--deadline ${hours}`,
  )
}

/** Up, so that it can be typed as a deadline. */
function roundedUp(hours: number): string {
  return (Math.ceil(hours * 100) / 100).toFixed(2)
}

// With the cheapest of each card a table that fits a screen of 42 lines with all that is said of it; --json has all.
const FIRST_ROWS = 2

function describe(plan: Plan, columns: number | undefined): string {
  const { best, workload } = plan
  return [
    folded([...theWork(plan), ...theMemory(plan)], columns),
    ...(best.monthly === null ? [stepTable(plan, columns)] : []),
    rowTable(plan, columns),
    folded([...theChoice(plan), ...(workload === 'batch' ? theFleet(plan) : [])], columns),
    ...(best.monthly === null ? [] : [monthTable(plan, columns)]),
    folded([...theNames(plan), ...theRest(plan)], columns),
  ].join('\n\n')
}

function theWork({ firms, sentences, tokensPerSentence, topics, model, measured }: Plan): string[] {
  const from = (here: boolean) => (here ? ' (as here)' : '')
  const note = model.note === '' ? '' : `; ${model.note}`
  return [
    `${count(firms, 'firm')}, ${count(sentences, 'sentence')} of ${tokensPerSentence.toFixed(1)} tokens${from(measured.tokens)}, ` +
      `${count(topics, 'topic')}${from(measured.topics)}`,
    model.name === SHIPPED_MODEL
      ? `${model.name} (${megabytes(model.bytes)}) is a table look-up, which a card makes no faster${note}`
      : `${model.name}: ${(model.parameters / 1e6).toFixed(0)} million parameters, ${megabytes(model.bytes)}${note}`,
  ]
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

function theMemory({ workload, cardMemory, model, memoryGigabytes }: Plan): string[] {
  return [
    `Memory: ${memoryGigabytes.toFixed(1)} GB, ${model.cardGigabytes.toFixed(1)} GB of a card to begin with; ` +
      `${workload} wants ${cardMemory.least} to ${cardMemory.most} GB of one`,
  ]
}

function stepTable({ best, steps }: Plan, columns: number | undefined): string {
  const { setUp, transfer, sideBySide, seconds } = best.timing
  const rows = [
    ['set-up', duration(setUp), `guessed: boot, packages${best.card === '' ? '' : ', driver, CUDA'}`],
    ['transfer', duration(transfer), 'guessed: 10 MB a second, up and back'],
    ...steps.map(step => [step.step, duration(step.seconds), originOf(step, best)]),
    ['in all', duration(seconds), `embed to name-topics at once: ${duration(sideBySide)}`],
  ]
  return renderTable(
    [{ title: `on ${best.instance}` }, { title: 'takes', align: 'right' }, { title: 'known from', wrap: true }],
    rows,
    columns,
  )
}

function originOf({ step, measured }: StepPlan, { timing: { cardSpeed } }: Row): string {
  const guessed = `guessed: ${CARD_EFFICIENCY} of the card's peak`
  if (step === 'embed' && cardSpeed !== 'none') return cardSpeed === 'guessed' ? guessed : 'this card, measured here'
  const onCard = step === 'aggregate' && cardSpeed === 'guessed' ? `; embedding ${guessed}` : ''
  if (measured === null) return `default${onCard || ': docs/benchmarks.md'}`
  const { runs, last, factor } = measured
  return `${count(runs, 'run')} to ${day(last)}: ${factor.toFixed(2)} of default${onCard}`
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function rowTable(plan: Plan, columns: number | undefined): string {
  const right = (title: string) => ({ title, align: 'right' as const })
  const rows = rowsToShow(plan.rows).map(row => [
    row.provider,
    row.instance,
    row.card || 'none',
    row.market,
    row.hours < 100 ? row.hours.toFixed(2) : row.hours.toFixed(0),
    money(row.dollars),
    row.fits ? (row.meetsDeadline ? 'yes' : 'too late') : row.why,
  ])
  return renderTable(
    [
      { title: 'cloud' },
      { title: 'machine' },
      { title: 'card' },
      { title: 'market' },
      right('hours'),
      right(plan.workload === 'batch' ? 'price' : 'a month'),
      { title: 'fits', wrap: true },
    ],
    rows,
    columns,
  )
}

/** The cheapest that fit, the cheapest with each card, and what bin/provision.mjs takes by itself: sorted as they are, by price. */
export function rowsToShow(rows: readonly Row[]): Row[] {
  const first = rows.filter(row => row.fits && row.meetsDeadline).slice(0, FIRST_ROWS)
  const shown = new Set(first)
  for (const chip of new Set(rows.map(chipOf))) {
    const [cheapestOfChip] = rows.filter(row => chipOf(row) === chip).sort((a, b) => Number(b.fits) - Number(a.fits))
    if (!first.some(row => chipOf(row) === chip)) shown.add(cheapestOfChip)
  }
  return rows.filter(row => shown.has(row) || isFirstChoice(row))
}

function isFirstChoice({ provider, instance, market }: Row): boolean {
  return provider === FIRST_CHOICE.provider && instance === FIRST_CHOICE.instance && market === FIRST_CHOICE.market
}

/** T4, A100: without how many of them, and how much memory. */
function chipOf({ card }: Row): string {
  return card.split(' ')[0]
}

function money(dollars: number): string {
  return `$${dollars < 1000 ? dollars.toFixed(dollars < 0.1 ? 3 : 2) : thousands(dollars)}`
}

/** Sentences broken at blanks, where a terminal would break words. */
function folded(lines: readonly string[], columns: number | undefined): string {
  const done: string[] = []
  for (const line of lines) {
    let rest = line
    while (columns !== undefined && rest.length > columns) {
      const end = rest.lastIndexOf(' ', columns)
      if (end <= 0) break
      done.push(rest.slice(0, end))
      rest = rest.slice(end + 1)
    }
    done.push(rest)
  }
  return done.join('\n')
}

function named(row: Row): string {
  return `${row.provider} ${row.instance} ${row.market}`
}

function theChoice({ best, firstChoice, provision, withoutCard, withCard, workload }: Plan): string[] {
  const hasCard = best.card !== ''
  const other = hasCard ? withoutCard : withCard
  const against = other === null ? '' : `; ${hasCard ? 'without one' : 'with one'} ${money(other.dollars)}`
  const lines = [
    `The cheapest is ${named(best)}: ${costOf(best, workload)}, ${hasCard ? 'with' : 'without'} a card${against}.`,
  ]
  if (firstChoice !== null) {
    const but = firstChoice.fits ? '' : ` (but ${firstChoice.why})`
    const cheaper =
      provision === null || provision === firstChoice
        ? ''
        : `; the cheapest it can take is --instance ${provision.instance}: ${costOf(provision, workload)}`
    lines.push(`bin/provision.mjs takes ${named(firstChoice)}: ${costOf(firstChoice, workload)}${but}${cheaper}.`)
  }
  return lines
}

function costOf({ hours, dollars, priceKnown }: Row, workload: Question['workload']): string {
  const atMost = priceKnown ? '' : 'at most '
  return `${atMost}${money(dollars)} ${workload === 'batch' ? `for ${duration(hours * 3600)}` : 'a month'}`
}

function theFleet({ fleet: { one, many, secondsAFirm } }: Plan): string[] {
  const share = (part: number) => `${(100 * part).toFixed(part > 0.99 ? 1 : 0)} %`
  return [
    `One machine: ${one.hours.toFixed(2)} hours, ${money(one.dollars)}, ${share(one.overhead)} overhead; a container for each firm: ` +
      `${many.hours.toFixed(many.hours < 10 ? 2 : 1)} hours, ${money(many.dollars)}, ${share(many.overhead)} ` +
      `(${CONTAINER_START} s of start for ${secondsAFirm.toFixed(2)} s of work, billed ${LEAST_BILLED} s at least).`,
  ]
}

function monthTable({ rows, hoursPerMonth, instances, best }: Plan, columns: number | undefined): string {
  const right = (title: string) => ({ title, align: 'right' as const })
  // Both markets have the same month.
  const shown = [...new Map([best, ...rowsToShow(rows)].map(row => [`${row.provider} ${row.instance}`, row])).values()]
  const body = shown.flatMap(({ provider, instance, monthly, fits }) =>
    monthly === null || !fits
      ? []
      : [
          [
            `${provider} ${instance}`,
            ...[monthly.onDemand, monthly.half, monthly.spot].map(money),
            monthly.reserved.map(money).join(' to '),
          ],
        ],
  )
  const titles = ['on demand', 'half spot', 'spot', 'reserved'].map(right)
  const title = `${instances === 1 ? '' : `${instances} × `}${hoursPerMonth} hours a month`
  return [
    renderTable([{ title }, ...titles], body, columns),
    `Reserved is billed for all ${HOURS_A_MONTH} hours of the month, used or not.`,
  ].join('\n')
}

function theNames({ naming }: Plan): string[] {
  const { model, dollars, promptTokens, completionTokens, requests, asked, measured } = naming
  const price = dollars === null ? 'a price that is not known (QUARTERDECK_CHAT_PRICE)' : money(dollars)
  return [
    `Names by ${model}: ${price} more for ${count(requests, 'request')}, ${((promptTokens + completionTokens) / 1e6).toFixed(1)} ` +
      `million tokens (${measured ? 'as answers here took' : "by the sample's"}); ` +
      (asked ? 'their time is in the plan.' : 'without a key, as now, keywords name for nothing.'),
  ]
}

function theRest({ beside, prices, measured, best, instances }: Plan): string[] {
  const { diskGigabytes, diskDollars, outGigabytes, outDollars } = beside
  const lines = [
    best.monthly === null
      ? `A disk of ${diskGigabytes} GB: ${money(diskDollars)}; ${outGigabytes.toFixed(1)} GB of results out of the cloud: ${money(outDollars)} at most.`
      : `${instances === 1 ? 'A disk' : `${instances} disks`} of ${diskGigabytes} GB: ${money(diskDollars)} a month more, for all of it, stopped or not.`,
  ]
  const here = [
    ...(measured.leftOut > 0 ? [`${count(measured.leftOut, 'run')} here cannot tell (--help says which can)`] : []),
    ...(measured.cards.length > 0 ? [`measured cards: ${measured.cards.join(', ')}`] : []),
  ]
  if (here.length > 0) lines.push(`Of this database: ${here.join('; ')}.`)
  lines.push(
    `Prices (data/prices) of ${prices.oldest} to ${prices.newest}, the cheapest of ${best.date}.` +
      (prices.old ? ` The oldest are ${prices.days} days old: look before you rent.` : ''),
  )
  return lines
}

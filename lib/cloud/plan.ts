// How long a quarter takes on a machine, and what that costs: plain arithmetic over measured or stated throughputs and a
// table of prices. Nothing is read, asked or started here, and the day is the caller's. What a model takes is told by the
// caller, who knows models (commands/plan.ts).

import type { Card, Instance } from './prices.ts'

export const STEPS = ['ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate', 'index'] as const
export type Step = (typeof STEPS)[number]

export const WORKLOADS = ['batch', 'realtime', 'development', 'validation', 'training', 'fine-tuning'] as const
export type Workload = (typeof WORKLOADS)[number]

/** Memory of a card that a workload wants, in GB: the project's planning figures. */
export const CARD_MEMORY: Readonly<Record<Workload, { least: number; most: number }>> = {
  batch: { least: 16, most: 32 },
  realtime: { least: 8, most: 16 },
  development: { least: 4, most: 8 },
  validation: { least: 8, most: 16 },
  training: { least: 32, most: 80 },
  'fine-tuning': { least: 16, most: 40 },
}
// Embedding and searching run on cores too; nobody trains on them.
const NEEDS_A_CARD: readonly Workload[] = ['training', 'fine-tuning']

// CUDA 13, which onnxruntime 1.30 is built with, begins with Turing (docs/operations.md).
const LEAST_CAPABILITY = 7.5

/** The embedding, as arithmetic. */
export type Embedding = {
  dimension: number
  /** Operations of a sentence; 0 for a table look-up, which multiplies nothing. */
  operations: number
  /** Bytes through a card's memory for a sentence. */
  traffic: number
  /** Memory on a card, in bytes. */
  cardBytes: number
  /** Operations that two cores do in a second (docs/benchmarks.md). */
  operationsPerSecond: number
}

/** Names by a language model: what limits them is the API, not the machine. */
export type Asking = {
  requests: number
  tokens: number
  concurrency: number
  requestsPerSecond: number
  tokensPerMinute: number
}

export type Work = {
  firms: number
  sentences: number
  topics: number
  embedding: Embedding
  /** Undefined: keywords name. */
  asking: Asking | undefined
  /** Memory that building the vector index takes, in bytes. */
  indexBytes: number
}

/** Seconds on the bench's two cores of a step that has so much to do, and the share of them that more cores shorten. */
type Bench = Readonly<{
  sentences: number
  topics: number
  seconds: Readonly<Record<Step, number>>
  threaded: Readonly<Record<Step, number>>
}>

export type Storage = 'embedded' | 'server'

/**
 * The quarters of docs/benchmarks.md, "Thousands of firms", on two busy cores: a test compares the figures. The shares are
 * from the same page. ingest, name-topics: one process feeds one process of the database. embed: the command's own thread
 * takes 3.51 of 6.47 s. cluster-firm: of 4.67 s the database takes 1.20. aggregate: neighbours are 19.2 of the 67.1 s that
 * are left without the embedding; all else is one thread. index: a server takes 13.1 s alone and 8.20 with two workers,
 * so 4.9 of those 8.20; the embedded database has one thread.
 */
export const BENCH: Readonly<Record<Storage, Bench>> = {
  server: {
    sentences: 1_993_159,
    topics: 120_258,
    seconds: {
      ingest: 217.5,
      embed: 93.8,
      'cluster-firm': 595.8,
      'name-topics': 51.1,
      aggregate: 598.1,
      index: 715.9,
    },
    threaded: {
      ingest: 0,
      embed: 0.46,
      'cluster-firm': 0.74,
      'name-topics': 0,
      aggregate: 0.29,
      index: 0.6,
    },
  },
  embedded: {
    sentences: 193_769,
    topics: 11_757,
    seconds: { ingest: 50.5, embed: 12.2, 'cluster-firm': 55.5, 'name-topics': 8.34, aggregate: 12.7, index: 200.3 },
    threaded: { ingest: 0, embed: 0.46, 'cluster-firm': 0.74, 'name-topics': 0, aggregate: 0.29, index: 0 },
  },
}
const BENCH_CORES = 2
const BENCH_DIMENSION = 256
// As n to the …, the same page; its exponents of wall time near 1 say how busy that hour was.
const AGGREGATE_GROWS = 1.48
/** Beyond this a quarter wants a server (README.md), which on a rented machine is a Postgres of its own. */
export const EMBEDDED_SENTENCES = 200_000
export const TOPICS_A_SENTENCE = 120_258 / 1_993_159
/** The project's own rule: 2,000,000 sentences of 5,000 firms. */
export const SENTENCES_A_FIRM = 400
/** Of sentences of calls, with MiniLM's tokenizer: 77,311 tokens of 2,990 (docs/benchmarks.md). */
export const TOKENS_A_SENTENCE = 26

// Not measured: no card was at hand. The engine reaches .71 of what two cores can multiply; a card's lanes are harder to fill
// with matrices of 384 columns, and its memory is not all read in order.
export const CARD_EFFICIENCY = 0.4
/** What bin/provision.mjs takes when nobody names another: choices.ts, which a test compares, since it loads the cloud's SDK. */
export const FIRST_CHOICE = { provider: 'AWS', instance: 'g4dn.2xlarge', market: 'spot' } as const

/**
 * Seconds before the first step. Guesses of one who has rented such machines, none of them measured here: a boot until ssh
 * answers; Node, `npm ci` and Postgres from their mirrors; the driver's module, which is compiled; 1.5 GB of CUDA libraries.
 */
export const SET_UP = { boot: 60, packages: 90, driver: 180, cuda: 90 } as const
// A line of 80 Mbit a second. What goes up: a sentence of 120 characters and its share of the file's own words.
const BYTES_PER_SECOND = 10e6
const TRANSCRIPT_BYTES = 150
/** Of a backup file, a sentence: 70,149,136 bytes for 62,791 sentences at 256 dimensions (m), vectors at 88 % of 4 bytes a number. */
export function resultBytes(sentences: number, dimension: number): number {
  return sentences * (0.88 * 4 * dimension + 216)
}
// Of a database with its index, a sentence of 256 dimensions (docs/benchmarks.md).
const DATABASE_BYTES = 3085
// What a number more adds to it, in the row and in the index, with what pages of 8 KB leave empty: 6,000 rows and their index
// take 2,544 bytes a row with 256 dimensions, 3,693 with 384, 8,318 with 768 (m).
const DATABASE_BYTES_A_NUMBER = 11.3
// Of the index alone: 1,367 bytes a row, 2,049, and 4,097 (m).
const INDEX_BYTES_A_NUMBER = 5.4
// A system, Node, Postgres' buffers, and the model's process.
const RESIDENT_BYTES = 3e9
// aggregate: 527 MB with 11,757 topics, 2,737 with 120,258 (docs/benchmarks.md).
const AGGREGATE_BYTES_A_TOPIC = 20_400
// Ubuntu with Node, Postgres, the packages and a model; CUDA's libraries; Postgres' log, which bin/instance/postgres.sh lets
// grow to four.
const DISK_FIXED_GIGABYTES = { system: 6, cuda: 3, log: 4 } as const
// A full disk loses the hour, and ten gigabytes more cost a tenth of a cent in it.
const DISK_SPARE = 1.25

/** What runs of this database took, against what the bench's figures would have given for the same. 1: as on the bench. */
export type Measured = {
  factors: Readonly<Partial<Record<Step, { factor: number; runs: number; last: Date }>>>
  /** Sentences a second of cards that were measured with this model, by the name of the card. */
  cards: readonly { name: string; sentencesPerSecond: number; last: Date }[]
}
export const UNMEASURED: Measured = { factors: {}, cards: [] }

type Machine = { cores: number; card: Card | undefined }
/** Seconds that no core shortens, and seconds of one core that all of them share. */
type Cost = { serial: number; shared: number }

export function storageOf(sentences: number): Storage {
  return sentences < EMBEDDED_SENTENCES ? 'embedded' : 'server'
}

/** What all steps take, by the bench's figures and what was measured. */
function costsOf(work: Work, storage: Storage, card: Card | undefined, measured: Measured): Record<Step, Cost> {
  const bench = BENCH[storage]
  const [sentences, topics] = [work.sentences / bench.sentences, work.topics / bench.topics]
  const grown: Record<Step, number> = {
    ingest: sentences,
    embed: sentences,
    'cluster-firm': sentences,
    'name-topics': topics,
    aggregate: topics ** AGGREGATE_GROWS,
    index: sentences * (work.embedding.dimension / BENCH_DIMENSION),
  }
  const costs = {} as Record<Step, Cost>
  for (const step of STEPS) {
    const seconds = bench.seconds[step] * grown[step] * (measured.factors[step]?.factor ?? 1)
    const shared = seconds * bench.threaded[step] * BENCH_CORES
    costs[step] = { serial: seconds * (1 - bench.threaded[step]), shared }
  }
  const slowness = measured.factors.embed?.factor ?? 1
  costs.embed = withModel(costs.embed, work.sentences, slowness)
  // A topic's name and keywords are as long as a sentence.
  costs.aggregate = withModel(costs.aggregate, work.topics, measured.factors.aggregate?.factor ?? slowness)
  if (work.asking !== undefined) costs['name-topics'].serial += secondsOfAsking(work.asking)
  return costs

  /** What the model adds to reading, tokenizing and writing: on cores, or beside them on the card. */
  function withModel({ serial, shared }: Cost, texts: number, slower: number): Cost {
    const { embedding } = work
    if (embedding.operations === 0) return { serial, shared }
    if (!isUsable(card)) {
      const ofCores = (slower * BENCH_CORES * texts * embedding.operations) / embedding.operationsPerSecond
      return { serial, shared: shared + ofCores }
    }
    const found = measuredOf(card, measured)
    return { serial: Math.max(serial, texts / (found?.sentencesPerSecond ?? cardSpeed(embedding, card))), shared }
  }
}

/** Sentences a second: what multiplies and what reads, whichever is slower. */
export function cardSpeed({ operations, traffic }: Embedding, card: Card): number {
  return CARD_EFFICIENCY / Math.max(operations / (card.teraflops * 1e12), traffic / (card.gigabytesPerSecond * 1e9))
}

/** nvidia-smi says `Tesla T4`, `NVIDIA A100-SXM4-40GB`, `NVIDIA H100 NVL`. */
function isCalled(name: string, card: Card): boolean {
  const words = name.split(/[^A-Za-z0-9]+/)
  const [chip, ...rest] = card.name.split(' ')
  return words.includes(chip) && rest.every(word => words.includes(word) || words.includes(`${word}GB`))
}

// A small model names a firm's topics in 5 to 20 s (lib/settings.ts): their geometric mean.
const SECONDS_AN_ANSWER = 10

function secondsOfAsking({ requests, tokens, concurrency, requestsPerSecond, tokensPerMinute }: Asking): number {
  return Math.max(
    (requests * SECONDS_AN_ANSWER) / concurrency,
    requests / requestsPerSecond,
    (60 * tokens) / tokensPerMinute,
  )
}

function secondsOf({ serial, shared }: Cost, cores: number): number {
  return serial + shared / cores
}

// max_parallel_workers and max_worker_processes are 8 in a Postgres that nobody told otherwise, and the connection's own process.
const INDEXING = 9

function coresOf(step: Step, cores: number): number {
  return step === 'index' ? Math.min(cores, INDEXING) : cores
}

/** Whether the model's time on the card is known: none where it runs on cores. */
export type CardSpeed = 'none' | 'guessed' | 'measured'

export type Timing = {
  setUp: number
  /** Transcripts up, results back. */
  transfer: number
  steps: Record<Step, number>
  /** embed, cluster-firm and name-topics at once: the longest, or all that the cores have to do, whichever is more. */
  sideBySide: number
  seconds: number
  cardSpeed: CardSpeed
}

export function timingOf(work: Work, { cores, card }: Machine, measured: Measured = UNMEASURED): Timing {
  const costs = costsOf(work, storageOf(work.sentences), card, measured)
  const steps = {} as Record<Step, number>
  for (const step of STEPS) steps[step] = secondsOf(costs[step], coresOf(step, cores))
  const atOnce = [costs.embed, costs['cluster-firm'], costs['name-topics']]
  // The longest of those that wait, beside the cores' whole work; never less than any of the three alone.
  const sideBySide =
    Math.max(...atOnce.map(({ serial }) => serial)) + atOnce.reduce((sum, { shared }) => sum + shared, 0) / cores
  const setUp = SET_UP.boot + SET_UP.packages + (isUsable(card) ? SET_UP.driver + SET_UP.cuda : 0)
  const bytes = work.sentences * TRANSCRIPT_BYTES + resultBytes(work.sentences, work.embedding.dimension)
  const transfer = bytes / BYTES_PER_SECOND
  const seconds = setUp + transfer + steps.ingest + sideBySide + steps.aggregate + steps.index
  const found = isUsable(card) ? measuredOf(card, measured) : undefined
  const guessed = isUsable(card) && work.embedding.operations > 0
  const cardSpeed = guessed ? (found === undefined ? 'guessed' : 'measured') : 'none'
  return { setUp, transfer, steps, sideBySide, seconds, cardSpeed }
}

function isUsable(card: Card | undefined): card is Card {
  return card !== undefined && card.capability >= LEAST_CAPABILITY
}

function measuredOf(card: Card, { cards }: Measured): Measured['cards'][number] | undefined {
  return cards.find(({ name }) => isCalled(name, card))
}

/** One run that was measured: what it did, how long it took. */
export type Run = {
  step: Step
  seconds: number
  sentences: number
  topics: number
  cores: number
  storage: Storage
  finishedAt: Date
}

// A smaller quarter says how long a process takes to start: the sample of 1,785 sentences embeds 2,475 a second, 43,211
// sentences 13,300.
export const LEAST_SENTENCES = 10_000
// And the exponent of aggregate was measured above 11,757 topics; below, what does not grow is most of it.
const LEAST_TOPICS = 10_000

/** Whether a run's time says something of a step, and not of its start. */
export function tells({ step, seconds, sentences, topics }: Run): boolean {
  if (step === 'aggregate' && topics < LEAST_TOPICS) return false
  return sentences >= LEAST_SENTENCES && seconds > 0 && (step !== 'name-topics' || topics > 0)
}

/**
 * What runs without a card took against what the bench's figures give for the same sentences and topics on as many cores and
 * such a database. All runs of a step together, the large ones weighing more.
 */
export function factorsOf(runs: readonly Run[], embedding: Embedding): Measured['factors'] {
  const sums = new Map<Step, { seconds: number; expected: number; runs: number; last: Date }>()
  for (const { step, seconds, sentences, topics, cores, storage, finishedAt } of runs.filter(tells)) {
    const work = { firms: 1, sentences, topics, embedding, asking: undefined, indexBytes: 0 }
    const cost = costsOf(work, storage, undefined, UNMEASURED)[step]
    const expected = secondsOf(cost, coresOf(step, cores))
    const sum = sums.get(step) ?? { seconds: 0, expected: 0, runs: 0, last: finishedAt }
    sum.seconds += seconds
    sum.expected += expected
    sum.runs++
    if (finishedAt > sum.last) sum.last = finishedAt
    sums.set(step, sum)
  }
  const factors: Partial<Record<Step, { factor: number; runs: number; last: Date }>> = {}
  for (const [step, { seconds, expected, runs: n, last }] of sums)
    factors[step] = { factor: seconds / expected, runs: n, last }
  return factors
}

export type Market = 'spot' | 'on-demand'

export type Row = {
  provider: Instance['provider']
  instance: string
  card: string
  vcpu: number
  market: Market
  dollarsPerHour: number
  /** A spot price of the table's day, and not the dear end of a range. */
  priceKnown: boolean
  /** The day of the price. */
  date: string
  fits: boolean
  /** Why not; empty where it fits. */
  why: string
  hours: number
  dollars: number
  meetsDeadline: boolean
  /** What bin/provision.mjs can rent. */
  provision: boolean
  timing: Timing
  monthly: Monthly | null
}

export type Question = {
  work: Work
  workload: Workload
  /** Hours a month that the pattern runs; undefined: one run. */
  hoursPerMonth: number | undefined
  instances: number
  deadline: number | undefined
}

export function rowsOf(prices: readonly Instance[], question: Question, measured: Measured = UNMEASURED): Row[] {
  const { work, workload, hoursPerMonth, instances, deadline } = question
  const rows = prices.flatMap(instance => {
    const { provider, name, card, cards, vcpu, onDemand, spot, spotKnown, date } = instance
    const timing = timingOf(work, { cores: vcpu, card }, measured)
    const why = obstacle(instance, work, workload)
    const monthly = hoursPerMonth === undefined ? null : monthlyOf({ onDemand, spot, hours: hoursPerMonth, instances })
    return (['spot', 'on-demand'] as const).map((market): Row => {
      const dollarsPerHour = market === 'spot' ? spot : onDemand
      const [hours, dollars] =
        workload === 'batch' || monthly === null
          ? [timing.seconds / 3600, bill(timing.seconds, dollarsPerHour)]
          : [(hoursPerMonth ?? 0) * instances, market === 'spot' ? monthly.spot : monthly.onDemand]
      return {
        provider,
        instance: name,
        card: card === undefined ? '' : `${card.name}${cards > 1 ? ` ×${cards}` : ''}`,
        vcpu,
        market,
        dollarsPerHour,
        priceKnown: market === 'on-demand' || spotKnown,
        date,
        fits: why === '',
        why,
        hours,
        dollars,
        meetsDeadline: deadline === undefined || hours <= deadline,
        provision: provider === 'AWS' && !name.startsWith('Fargate'),
        timing,
        monthly,
      }
    })
  })
  return rows.sort((a, b) => a.dollars - b.dollars || a.hours - b.hours)
}

function obstacle({ card, gigabytes }: Instance, work: Work, workload: Workload): string {
  const { least } = CARD_MEMORY[workload]
  if (card === undefined && NEEDS_A_CARD.includes(workload)) return `no card; ${workload} wants ${least} GB`
  if (card !== undefined) {
    if (card.capability < LEAST_CAPABILITY) return 'no CUDA 13'
    const wanted = Math.max(least, work.embedding.cardBytes / 1e9)
    if (card.gigabytes < wanted) return `card has ${card.gigabytes} GB of ${wanted.toFixed(0)}`
  }
  const memory = memoryOf(work) / 1e9
  return gigabytes < memory ? `memory is ${gigabytes} GB of ${memory.toFixed(0)}` : ''
}

/** The machine's own memory: what stays, and the larger of the two steps that take much. */
export function memoryOf({ topics, indexBytes }: Pick<Work, 'topics' | 'indexBytes'>): number {
  return RESIDENT_BYTES + Math.max(indexBytes, AGGREGATE_BYTES_A_TOPIC * topics)
}

/** The cheapest that fits and is in time; of what `may` lets through. */
export function cheapest(rows: readonly Row[], may: (row: Row) => boolean = () => true): Row | undefined {
  return rows.find(row => row.fits && row.meetsDeadline && may(row))
}

/** The soonest done of those that fit, in time or not. */
export function fastest(rows: readonly Row[]): Row | undefined {
  return rows
    .filter(row => row.fits)
    .reduce<Row | undefined>((best, row) => (best && best.hours <= row.hours ? best : row), undefined)
}

/** Clouds bill by the second, and no start for less than a minute. */
export const LEAST_BILLED = 60

function bill(seconds: number, dollarsPerHour: number): number {
  return (Math.max(LEAST_BILLED, seconds) / 3600) * dollarsPerHour
}

// A container that starts and loads a model takes 30 to 60 s; the fleet is given the better end.
export const CONTAINER_START = 30

export type Sum = { hours: number; dollars: number; overhead: number }

/** One machine for all firms, against a container for each; both then need one machine for what the quarter does at once. */
export function oneOrMany(
  { firms }: Pick<Work, 'firms'>,
  { setUp, transfer, steps, sideBySide, seconds }: Timing,
  dollarsPerHour: number,
): { one: Sum; many: Sum; secondsAFirm: number } {
  const together = setUp + transfer + steps.aggregate + steps.index
  const secondsAFirm = (steps.ingest + sideBySide) / firms
  const work = seconds - setUp - transfer
  const billed = together + firms * Math.max(LEAST_BILLED, CONTAINER_START + secondsAFirm)
  const sum = (all: number): Sum => ({
    hours: all / 3600,
    dollars: bill(all, dollarsPerHour),
    overhead: 1 - work / all,
  })
  return { one: sum(seconds), many: sum(billed), secondsAFirm }
}

export type Monthly = {
  onDemand: number
  /** Half of the hours on spot. */
  half: number
  spot: number
  /** Least and most. Billed for all hours of a month, whether used or not. */
  reserved: [number, number]
}

/** As the project's planning figures count it: 30 days. */
export const HOURS_A_MONTH = 720
// For one to three years (the same figures).
const RESERVED_DISCOUNT = [0.6, 0.4] as const

export function monthlyOf(pattern: { onDemand: number; spot: number; hours: number; instances: number }): Monthly {
  const { onDemand, spot, hours, instances } = pattern
  const [most, least] = RESERVED_DISCOUNT
  const always = instances * HOURS_A_MONTH * onDemand
  return {
    onDemand: instances * hours * onDemand,
    half: (instances * hours * (onDemand + spot)) / 2,
    spot: instances * hours * spot,
    reserved: [always * (1 - most), always * (1 - least)],
  }
}

// AWS: gp3 in us-east-1, and the internet beyond the hundred gigabytes a month that are free.
const DISK_DOLLARS_A_GIGABYTE_MONTH = 0.08
const OUT_DOLLARS_A_GIGABYTE = 0.09

/**
 * Gigabytes that a rented machine's disk needs: the database with its index, that index once more while it is built, the backup
 * that goes back, the one that an earlier machine left, and the transcripts.
 */
export function diskGigabytesOf({ sentences, dimension }: { sentences: number; dimension: number }): number {
  const { system, cuda, log } = DISK_FIXED_GIGABYTES
  const database = DATABASE_BYTES + DATABASE_BYTES_A_NUMBER * (dimension - BENCH_DIMENSION)
  const perSentence = database + INDEX_BYTES_A_NUMBER * dimension + TRANSCRIPT_BYTES
  const bytes = sentences * perSentence + 2 * resultBytes(sentences, dimension)
  return Math.ceil(system + cuda + log + (DISK_SPARE * bytes) / 1e9)
}

/** Beside the machine: its disk, for the hours of a run or, of a pattern's machines that are only stopped, all the month; results. */
export function besideOf(
  { sentences, embedding: { dimension } }: Pick<Work, 'sentences' | 'embedding'>,
  { hours, instances }: { hours: number; instances: number },
) {
  const diskGigabytes = diskGigabytesOf({ sentences, dimension })
  const outGigabytes = resultBytes(sentences, dimension) / 1e9
  const diskDollars = (instances * diskGigabytes * DISK_DOLLARS_A_GIGABYTE_MONTH * hours) / HOURS_A_MONTH
  return { diskGigabytes, diskDollars, outGigabytes, outDollars: outGigabytes * OUT_DOLLARS_A_GIGABYTE }
}

// A dry run for the sample 2024Q3: 111 topics take 23,899 tokens of questions and 8,880 of answers (README.md).
const CHAT_BENCH = { topics: 111, promptTokens: 23_899, completionTokens: 8_880 } as const
// Larger firms are asked for in parts (MOST_SUBJECTS of lib/text/naming.ts).
const TOPICS_A_REQUEST = 25

/** Tokens that names take: as measured, else as the sample's. */
export function namingOf(
  work: { firms: number; topics: number },
  named: { topics: number; promptTokens: number; completionTokens: number },
) {
  const measured = named.topics > 0 && named.promptTokens > 0
  const by = measured ? named : CHAT_BENCH
  return {
    measured,
    promptTokens: (work.topics * by.promptTokens) / by.topics,
    completionTokens: (work.topics * by.completionTokens) / by.topics,
    requests: work.firms * Math.max(1, Math.ceil(work.topics / work.firms / TOPICS_A_REQUEST)),
  }
}

// The environment, read once and checked: the only file that looks at environment variables.
// Every default stands here with its reason.

import { availableParallelism, homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { UserError } from './errors.ts'

/** The model that ships needs no network and was made for earnings calls (data/model/earnings-static-256/README.md). */
export const SHIPPED_MODEL = 'earnings-static-256'

export const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu'] as const
export type DeviceChoice = (typeof DEVICES)[number]

export const LONG_TEXTS = ['truncate', 'split'] as const
/** A text longer than the model takes: only its beginning is read, or all of it, in windows whose vectors are averaged. */
export type LongText = (typeof LONG_TEXTS)[number]

/** Where models are fetched from, and where they are kept. */
export type HubSettings = Readonly<{
  url: string
  /** For models that are not public; never printed. */
  token: string | undefined
  offline: boolean
  /** Folder of fetched models. */
  cache: string
}>

/** How many texts go through the model together. Sizes are in documents of 32 tokens (a sentence of a call has 26). */
export type BatchSettings = Readonly<{
  /** False: always `size` documents, in the order of arrival. */
  dynamic: boolean
  size: number
  /** Absent: the device's own (lib/model/batch-budget.ts). On a CPU they are for each thread. */
  least: number | undefined
  start: number | undefined
  most: number | undefined
  /** Shares of the memory, 0 to 1: batches grow only below the first; none is run that is expected to pass the second. */
  growBelow: number
  memoryTarget: number
}>

/** Dollars for a million tokens that a language model reads, and that it writes. */
export type ChatPrice = Readonly<{ in: number; out: number }>

export type Settings = Readonly<{
  /** Folder of the embedded database and of caches; made when first needed. */
  home: string
  /** A Postgres server instead of the embedded database; may hold a password, so it is never printed. */
  databaseUrl: string | undefined
  /** Name of the RDS instance that databaseUrl leads to: db-start and db-stop start and stop it. */
  rdsInstance: string | undefined
  /** Name or folder of an embedding model; absent means the database's own, or the shipped one. */
  model: string | undefined
  hub: HubSettings
  device: DeviceChoice
  batches: BatchSettings
  longText: LongText
  /** File for figures of `embed` while it runs, as a Prometheus textfile collector reads them. */
  metricsFile: string | undefined
  /** Ask the cloud's metadata service whether this spot instance is to be taken away, and leave in order when it is. */
  spotNotice: boolean
  metadataUrl: string
  /** What an hour of this machine costs, and what a day may cost before `embed` warns. */
  dollarsPerHour: number | undefined
  dollarsPerDay: number | undefined
  /** Threads for the model and workers for the clustering. */
  threads: number
  /** Key of the language model's API; absent means keyword names. */
  chatKey: string | undefined
  chatUrl: string
  chatModel: string
  /** Requests in flight at once. */
  chatConcurrency: number
  chatRequestsPerSecond: number
  chatTokensPerMinute: number
  /** Seconds that one answer may take, from sending to its last byte. */
  chatTimeout: number
  /** Absent: the list's (lib/model/chat-prices.ts), where the model is in it. */
  chatPrice: ChatPrice | undefined
  /** The most that answers for one quarter may cost, in all runs together. */
  chatDollars: number | undefined
}>

type Environment = Readonly<Record<string, string | undefined>>

export function readSettings(environment: Environment = process.env): Settings {
  return Object.freeze({
    home: resolve(environment.QUARTERDECK_HOME || '.quarterdeck'),
    databaseUrl: environment.DATABASE_URL || undefined,
    rdsInstance: environment.RDS_INSTANCE?.trim() || undefined,
    model: environment.QUARTERDECK_MODEL || undefined,
    hub: readHub(environment),
    device: choice(environment, 'QUARTERDECK_DEVICE', DEVICES),
    batches: readBatches(environment),
    longText: choice(environment, 'QUARTERDECK_LONG_TEXT', LONG_TEXTS),
    metricsFile: environment.QUARTERDECK_METRICS_FILE || undefined,
    // Off unless asked for: outside the cloud nobody answers there, and a program should not ask around by itself.
    spotNotice: onOrOff(environment, 'QUARTERDECK_SPOT_NOTICE', false),
    // AWS's own variable and address, so that what is set for its other programs holds here too.
    metadataUrl: (environment.AWS_EC2_METADATA_SERVICE_ENDPOINT || 'http://169.254.169.254').replace(/\/+$/, ''),
    dollarsPerHour: optionalNumber(environment, 'QUARTERDECK_DOLLARS_PER_HOUR', 0, 1000),
    dollarsPerDay: optionalNumber(environment, 'QUARTERDECK_DOLLARS_PER_DAY', 0, 1e6),
    // One thread a core; in a container Node counts what the container may use.
    threads: wholeNumber(environment, 'QUARTERDECK_THREADS', availableParallelism(), 1, 1024),
    chatKey: environment.XAI_API_KEY?.trim() || undefined, // a line break at the end comes with many a copy
    chatUrl: environment.QUARTERDECK_CHAT_URL || 'https://api.x.ai/v1',
    // Names of five words need no thinking. grok-4-fast-non-reasoning was retired on 2026-05-15, and xAI's guide named this
    // one in its place (docs.x.ai/developers/migration/may-15-retirement); a later text of it names grok-4.3 with a
    // parameter that forbids thinking, but other servers refuse that parameter, and this one thinks with none.
    chatModel: environment.QUARTERDECK_CHAT_MODEL || 'grok-4.20-non-reasoning',
    // Eight answers of 5 to 20 seconds each are some 25 to 100 requests a minute. Google's servers of these models take
    // 100 (its page on Grok 4.20, 2026), xAI's 1,800 and more: there more in flight are sooner done.
    chatConcurrency: wholeNumber(environment, 'QUARTERDECK_CHAT_CONCURRENCY', 8, 1, 256),
    // The lowest of xAI's tiers takes 30 requests a second and 10 million tokens a minute (docs.x.ai/developers/rate-limits,
    // June 2026), and an account may have other programs: a quarter and a fifth of that. At 4,000 tokens a request, which
    // a large firm takes, both limits are the same.
    chatRequestsPerSecond: wholeNumber(environment, 'QUARTERDECK_CHAT_REQUESTS_PER_SECOND', 8, 1, 1000),
    chatTokensPerMinute: wholeNumber(environment, 'QUARTERDECK_CHAT_TOKENS_PER_MINUTE', 2_000_000, 1, 1e9),
    // A small model names a firm's topics in 5 to 20 s; one that thinks, or runs on a person's own machine, takes longer.
    chatTimeout: wholeNumber(environment, 'QUARTERDECK_CHAT_TIMEOUT', 60, 1, 3600),
    chatPrice: readPrice(environment),
    chatDollars: optionalNumber(environment, 'QUARTERDECK_CHAT_DOLLARS', 0, 1e6),
  })
}

// onnxruntime 1.30 keeps a number of the machine and a list of events in the home folder, to send them to its makers. AWS's SDK
// says in seven lines that its versions of 2027 will want a later Node: which version is used is pinned in package.json.
const QUIET = { ORT_DISABLE_TELEMETRY: '1', AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' }

/** Before one of these is loaded into this process: it reads the environment itself, and by then it has to say so. */
export function keepLibrariesQuiet(environment: Record<string, string | undefined> = process.env): void {
  for (const [name, value] of Object.entries(QUIET)) environment[name] ??= value
}

/**
 * What the model's process gets of the environment: paths and the settings of drivers, with the folders of a card's
 * libraries, and no key or password, which a crash might write down.
 */
export function environmentOfModel(
  libraryFolders: readonly string[],
  environment: Environment = process.env,
): Record<string, string | undefined> {
  const secret = /TOKEN|KEY|SECRET|PASSWORD|DATABASE_URL|PROXY|^PG/i // a proxy's address may hold a password
  return {
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID', // cards counted as nvidia-smi counts them, not the fastest first
    NVIDIA_TF32_OVERRIDE: '0', // products in float32, not in ten binary digits: the vectors of the CPU
    ...QUIET,
    ...Object.fromEntries(Object.entries(environment).filter(([name]) => !secret.test(name))),
    ...(libraryFolders.length > 0 && {
      LD_LIBRARY_PATH: [...libraryFolders, environment.LD_LIBRARY_PATH].filter(Boolean).join(':'),
    }),
  }
}

// What is of this machine alone, and what is different on the rented one.
const STAYS_HERE = [
  'HOME',
  'THREADS',
  'METRICS_FILE',
  'SPOT_NOTICE',
  'MODEL_CACHE',
  'DOLLARS_PER_HOUR',
  'DOLLARS_PER_DAY',
].map(name => `QUARTERDECK_${name}`)

/** What goes to a rented instance so that a quarter is done there as it would be here; keys and passwords are in it. */
export function environmentOfInstance(
  dollarsPerHour: number | undefined,
  environment: Environment = process.env,
): Record<string, string> {
  const goes = (name: string) =>
    (name.startsWith('QUARTERDECK_') && !STAYS_HERE.includes(name)) ||
    ['DATABASE_URL', 'XAI_API_KEY', 'HF_TOKEN', 'HF_ENDPOINT'].includes(name)
  const carried = Object.entries(environment).flatMap(([name, value]) => (value && goes(name) ? [[name, value]] : []))
  return {
    ...Object.fromEntries(carried),
    QUARTERDECK_SPOT_NOTICE: 'true',
    ...(dollarsPerHour !== undefined && { QUARTERDECK_DOLLARS_PER_HOUR: String(dollarsPerHour) }),
  }
}

/** For programs that are started: without its own variable the tar of a Mac adds a file of attributes to every file. */
export function environmentOfPrograms(environment: Environment = process.env): Record<string, string | undefined> {
  return { ...environment, COPYFILE_DISABLE: '1' }
}

/** The first three variables are Hugging Face's own, so that what is set for its other programs holds here too. */
function readHub(environment: Environment): HubSettings {
  const caches = environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), '.cache')
  return Object.freeze({
    url: (environment.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, ''),
    token: environment.HF_TOKEN?.trim() || undefined,
    offline: onOrOff(environment, 'HF_HUB_OFFLINE', false),
    // Not in `home`: models are large and the same for every database of this person.
    cache: resolve(environment.QUARTERDECK_MODEL_CACHE || join(caches, 'quarterdeck', 'models')),
  })
}

function readBatches(environment: Environment): BatchSettings {
  const optional = (name: string) =>
    environment[name] ? wholeNumber(environment, name, 32, 1, MOST_DOCUMENTS) : undefined
  const [least, start, most] = [
    optional('QUARTERDECK_BATCH_LEAST'),
    optional('QUARTERDECK_BATCH_START'),
    optional('QUARTERDECK_BATCH_MOST'),
  ]
  if (least !== undefined && most !== undefined && least > most)
    throw new UserError(
      `QUARTERDECK_BATCH_LEAST is ${least}, more than QUARTERDECK_BATCH_MOST, which is ${most}`,
      `export QUARTERDECK_BATCH_MOST=${least}`,
    )
  return Object.freeze({
    dynamic: onOrOff(environment, 'QUARTERDECK_DYNAMIC_BATCH', true),
    // What the Python libraries take by default; only used where dynamic is off.
    size: wholeNumber(environment, 'QUARTERDECK_BATCH_SIZE', 32, 1, MOST_DOCUMENTS),
    least,
    start,
    most,
    // The dynamic-batch design's: room to grow by half, and a reserve for what an estimate leaves out.
    growBelow: wholeNumber(environment, 'QUARTERDECK_BATCH_GROW_BELOW', 70, 1, 100) / 100,
    memoryTarget: wholeNumber(environment, 'QUARTERDECK_BATCH_MEMORY', 85, 1, 100) / 100,
  })
}

// A million tokens and more: no card holds the activations of so many.
const MOST_DOCUMENTS = 65_536

function readPrice(environment: Environment): ChatPrice | undefined {
  const text = environment.QUARTERDECK_CHAT_PRICE
  if (!text) return undefined
  const [, ...prices] = /^\s*(\d*\.?\d+)\s*\/\s*(\d*\.?\d+)\s*$/.exec(text) ?? []
  if (prices.length === 2) return Object.freeze({ in: Number(prices[0]), out: Number(prices[1]) })
  throw new UserError(
    `QUARTERDECK_CHAT_PRICE is ${JSON.stringify(text)}; it must be dollars per million tokens in and out, with a / between them`,
    'unset QUARTERDECK_CHAT_PRICE, or export QUARTERDECK_CHAT_PRICE=1.25/2.50',
  )
}

function onOrOff(environment: Environment, name: string, fallback: boolean): boolean {
  const text = environment[name]?.trim().toLowerCase()
  if (!text) return fallback
  if (['true', '1', 'yes', 'on'].includes(text)) return true
  if (['false', '0', 'no', 'off'].includes(text)) return false
  throw new UserError(
    `${name} is ${JSON.stringify(environment[name])}; it must be true or false`,
    `unset ${name}, or export ${name}=${fallback}`,
  )
}

/** One of the given words, or the first of them where nothing is set. */
function choice<Choice extends string>(environment: Environment, name: string, choices: readonly Choice[]): Choice {
  const text = environment[name]
  if (!text) return choices[0]
  const found = choices.find(one => one === text.trim().toLowerCase())
  if (found !== undefined) return found
  throw new UserError(
    `${name} is ${JSON.stringify(text)}; it must be one of ${choices.join(', ')}`,
    `unset ${name}, or export ${name}=${choices[0]}`,
  )
}

function optionalNumber(environment: Environment, name: string, least: number, most: number): number | undefined {
  const text = environment[name]
  if (!text) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value >= least && value <= most) return value
  throw new UserError(
    `${name} is ${JSON.stringify(text)}; it must be a number from ${least} to ${most}`,
    `unset ${name}, or export ${name}=1`,
  )
}

function wholeNumber(environment: Environment, name: string, fallback: number, least: number, most: number): number {
  const text = environment[name]
  if (!text) return fallback
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new UserError(
    `${name} is ${JSON.stringify(text)}; it must be a whole number from ${least} to ${most}`,
    `unset ${name}, or export ${name}=${fallback}`,
  )
}

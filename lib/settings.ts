// The environment, read once and checked: the only file that looks at environment variables.
// Every default stands here with its reason.

import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { UserError } from './errors.ts'

/** The model that ships needs no network and was made for earnings calls (data/model/earnings-static-256/README.md). */
export const SHIPPED_MODEL = 'earnings-static-256'

export type Settings = Readonly<{
  /** Folder of the embedded database and of caches; made when first needed. */
  home: string
  /** A Postgres server instead of the embedded database; may hold a password, so it is never printed. */
  databaseUrl: string | undefined
  /** Name of a shipped model or folder of an ONNX model; absent means the database's own, or the shipped one. */
  model: string | undefined
  /** Threads for the model and workers for the clustering. */
  threads: number
  /** Key of the language model's API; absent means keyword names. */
  chatKey: string | undefined
  chatUrl: string
  chatModel: string
  /** Requests in flight at once. */
  chatConcurrency: number
  chatRequestsPerSecond: number
}>

type Environment = Readonly<Record<string, string | undefined>>

export function readSettings(environment: Environment = process.env): Settings {
  return Object.freeze({
    home: resolve(environment.QUARTERDECK_HOME || '.quarterdeck'),
    databaseUrl: environment.DATABASE_URL || undefined,
    model: environment.QUARTERDECK_MODEL || undefined,
    // One thread a core; in a container Node counts what the container may use.
    threads: wholeNumber(environment, 'QUARTERDECK_THREADS', availableParallelism(), 1, 1024),
    chatKey: environment.XAI_API_KEY?.trim() || undefined, // a line break at the end comes with many a copy
    chatUrl: environment.QUARTERDECK_CHAT_URL || 'https://api.x.ai/v1',
    // xAI's small fast model: names of five words need no large one.
    chatModel: environment.QUARTERDECK_CHAT_MODEL || 'grok-4-fast-non-reasoning',
    // xAI limits requests per second and tokens per minute; eight in flight stay under the lowest tier's limits.
    chatConcurrency: wholeNumber(environment, 'QUARTERDECK_CHAT_CONCURRENCY', 8, 1, 256),
    chatRequestsPerSecond: wholeNumber(environment, 'QUARTERDECK_CHAT_REQUESTS_PER_SECOND', 8, 1, 1000),
  })
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

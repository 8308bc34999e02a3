// A language model behind an OpenAI-compatible API: asks one question, gives back JSON that fits its schema.
// Keeps to the server's limits, waits and asks again where that can help, and stops all calls where it cannot.
// Knows neither prompts nor topics, and never lets the key into an error.

import { createHash } from 'node:crypto'
import OpenAI, { APIError } from 'openai'
import pLimit from 'p-limit'
import { UserError } from '../errors.ts'
import { faultOf, type JsonSchema } from './json-schema.ts'
import { type Clock, openPace, REAL_CLOCK } from './pace.ts'
import { retryAfterSeconds } from './retry-after.ts'

export type ChatOptions = {
  url: string
  key: string
  model: string
  /** Requests in flight at once. */
  concurrency: number
  /** Requests started a second, repeated ones included. */
  requestsPerSecond: number
  /** From sending to the last byte of one answer. A small model names a firm's topics in 5 to 20 s. */
  timeoutSeconds?: number
  /** Wait before the first repetition; each further one waits twice as long. */
  firstWaitSeconds?: number
  /** By which it waits between requests. The time limit of one request always goes by the real one. */
  clock?: Clock
}

export type Question = {
  system: string
  user: string
  schema: JsonSchema
  /** Letters, digits, - and _, as the API wants it. */
  schemaName: string
  signal?: AbortSignal
}

export type Answer = {
  /** Parsed, and true to the schema. */
  answer: unknown
  raw: string
  /** Of all requests that this answer took and the server answered. */
  promptTokens: number
  completionTokens: number
  /** The model that answered, by the server's word. */
  model: string
}

export type Chat = { ask(question: Question): Promise<Answer> }

/** The server answered twice, and neither answer fits the schema. Others may: go on without this one. */
export class BadAnswer extends Error {
  readonly raw: string
  constructor(message: string, raw: string) {
    super(message)
    this.name = 'BadAnswer'
    this.raw = raw
  }
}

// Waits of 1, 2, 4, 8, 16 and 32 s: a minute in all, because limits on tokens are counted by the minute.
const ATTEMPTS = 7
const FIRST_WAIT_SECONDS = 1
const TIMEOUT_SECONDS = 60
// A server that asks for more is out of quota or down; a person should know, and the run can be taken up again.
const LONGEST_WAIT_SECONDS = 300

/** Status 200 and no choices: the address of something else. */
class NotAChat extends Error {}

type Message = { role: 'system' | 'user'; content: string }
type Reply = { raw: string; cut: boolean; promptTokens: number; completionTokens: number; model: string }

export function openChat(options: ChatOptions): Chat {
  const { url, key, model, timeoutSeconds = TIMEOUT_SECONDS, firstWaitSeconds = FIRST_WAIT_SECONDS } = options
  const { clock = REAL_CLOCK } = options
  const host = hostOf(url)
  const client = new OpenAI({
    baseURL: url,
    apiKey: key,
    // Null, or the package would take them from the environment and send them to whatever server this is.
    organization: null,
    project: null,
    adminAPIKey: null,
    webhookSecret: null,
    // Repeating is done below: the package's own way knows neither our rate nor a body that never ends.
    maxRetries: 0,
    timeout: timeoutSeconds * 1000,
    logLevel: 'off',
  })
  const limit = pLimit(options.concurrency)
  const pace = openPace(1000 / options.requestsPerSecond, clock)
  let stopped: UserError | undefined

  async function ask(question: Question): Promise<Answer> {
    const messages: Message[] = [
      { role: 'system', content: question.system },
      { role: 'user', content: question.user },
    ]
    let promptTokens = 0
    let completionTokens = 0
    for (let round = 1; ; round++) {
      const reply = await requestUntilAnswered(question, messages)
      promptTokens += reply.promptTokens
      completionTokens += reply.completionTokens
      const { fault, answer } = reply.cut
        ? { fault: 'it was too long and cut short' }
        : read(reply.raw, question.schema)
      if (fault === undefined) return { answer, raw: reply.raw, promptTokens, completionTokens, model: reply.model }
      if (round === 2) {
        const message = `${model} at ${host} answered twice in a form that cannot be used: ${fault}`
        throw new BadAnswer(withoutKey(message, key), withoutKey(reply.raw, key))
      }
      const content = `Your last answer could not be used: ${fault}. Answer again, with the JSON alone.`
      messages.push({ role: 'user', content })
    }
  }

  async function requestUntilAnswered(question: Question, messages: Message[]): Promise<Reply> {
    const { signal } = question
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      if (!stopped) await pace.turn(signal)
      if (stopped) throw stopped
      try {
        return await request(question, messages)
      } catch (error) {
        signal?.throwIfAborted()
        stopped ??= reasonToStop(error)
        if (stopped) throw stopped
        if (attempt === ATTEMPTS) {
          throw new UserError(
            `${host} gave no answer in ${ATTEMPTS} attempts; the last time: ${reasonOf(error)}`,
            'run the same command again later; what has been answered is kept',
          )
        }
        // The server's word holds for everybody; our own guess only for this question.
        const asked = waitAsked(error)
        const guess = firstWaitSeconds * 2 ** (attempt - 1) * jitter(question.user, attempt)
        if (asked > 0) pace.holdBack(asked * 1000)
        else await clock.sleep(guess * 1000, signal)
      }
    }
  }

  /** One request, from the first byte to the last within the time limit, which the package keeps only up to the headers. */
  async function request({ schema, schemaName, signal }: Question, messages: Message[]): Promise<Reply> {
    const aborter = new AbortController()
    const abort = (): void => aborter.abort()
    const timer = setTimeout(abort, timeoutSeconds * 1000)
    signal?.addEventListener('abort', abort)
    try {
      // No temperature: some models refuse any but their own. Answers are kept by the caller, so a rerun repeats them.
      const completion = await client.chat.completions.create(
        {
          model,
          messages,
          response_format: {
            type: 'json_schema',
            json_schema: { name: schemaName, strict: true, schema: { ...schema } },
          },
        },
        { signal: aborter.signal },
      )
      const choice = completion?.choices?.[0]
      if (choice === undefined) throw new NotAChat()
      return {
        raw: choice.message?.content ?? '',
        cut: choice.finish_reason === 'length',
        promptTokens: completion.usage?.prompt_tokens ?? 0,
        completionTokens: completion.usage?.completion_tokens ?? 0,
        model: completion.model ?? model,
      }
    } catch (error) {
      if (aborter.signal.aborted) throw new Error(`no whole answer within ${timeoutSeconds} s`)
      throw error
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  }

  /** The error that ends all calls, or undefined where asking again can help. */
  function reasonToStop(error: unknown): UserError | undefined {
    if (error instanceof NotAChat) {
      return new UserError(
        `${host} answered, but not as a chat API does`,
        'check QUARTERDECK_CHAT_URL; it usually ends in /v1',
      )
    }
    if (cannotHeal(error)) return new UserError(`${host} refuses: ${reasonOf(error)}`, hintFor(error))
    // The request could not even be made: a key with a line break in it, say. What the network does has a cause.
    if (error instanceof TypeError && error.cause === undefined)
      return new UserError(
        `no request can be made to ${host}: ${reasonOf(error)}`,
        'check XAI_API_KEY and QUARTERDECK_CHAT_URL',
      )
    const asked = waitAsked(error)
    if (asked <= LONGEST_WAIT_SECONDS) return undefined
    return new UserError(
      `${host} asks to wait ${Math.round(asked)} s: ${reasonOf(error)}`,
      'run the same command again after that time; what has been answered is kept',
    )
  }

  /** Status and the server's own words, or the network's, on one line and without the key. */
  function reasonOf(error: unknown): string {
    const words: string[] = []
    for (let cause = error; cause instanceof Error; cause = cause.cause) words.push(cause.message)
    const line = withoutKey(words.join(': '), key).replace(/\s+/g, ' ').trim()
    return line.length > 300 ? `${line.slice(0, 300)} …` : line
  }

  function hintFor(error: APIError): string {
    if (error.status === 404) return `check QUARTERDECK_CHAT_MODEL (${model}) and QUARTERDECK_CHAT_URL`
    if (error.status === 429 || error.status === 402) return 'check the credit of the account behind XAI_API_KEY'
    return 'check XAI_API_KEY, QUARTERDECK_CHAT_URL and QUARTERDECK_CHAT_MODEL, or unset XAI_API_KEY for keyword names'
  }

  return {
    // Each question holds its place in the semaphore while it waits: a server in trouble is asked less, not more.
    ask: question => limit(ask, question),
  }
}

function hostOf(url: string): string {
  // The address is not repeated in any error: it may hold a password.
  const hint = 'export QUARTERDECK_CHAT_URL=https://api.x.ai/v1'
  if (!URL.canParse(url)) throw new UserError('QUARTERDECK_CHAT_URL is not a URL', hint)
  const { host, username, password } = new URL(url)
  if (username === '' && password === '') return host
  throw new UserError('QUARTERDECK_CHAT_URL holds a user or a password, which no request can carry there', hint)
}

function withoutKey(text: string, key: string): string {
  return key === '' ? text : text.replaceAll(key, '[key]')
}

function read(raw: string, schema: JsonSchema): { fault?: string; answer?: unknown } {
  if (raw === '') return { fault: 'it was empty' }
  try {
    const answer: unknown = JSON.parse(raw)
    return { answer, fault: faultOf(answer, schema) }
  } catch (error) {
    if (error instanceof SyntaxError) return { fault: 'it is not JSON' }
    throw error
  }
}

/** What the request is or whom it comes from is wrong; 408, 409 and 429 pass, and so do failures of server and network. */
function cannotHeal(error: unknown): error is APIError {
  if (!(error instanceof APIError) || error.status === undefined) return false
  if (error.code === 'insufficient_quota') return true // OpenAI's 429 for an account without credit
  return error.status >= 400 && error.status < 500 && ![408, 409, 429].includes(error.status)
}

/** The wait that the server asks for, in seconds; 0 where it asks for none. */
function waitAsked(error: unknown): number {
  return (error instanceof APIError && error.headers && retryAfterSeconds(error.headers)) || 0
}

/**
 * From 0.5 to 1, so that questions refused together do not come back together. Drawn from the question's own hash: chance
 * lives in lib/math alone, and different questions need different waits, not unforeseeable ones.
 */
function jitter(user: string, attempt: number): number {
  return 0.5 + createHash('sha256').update(user).digest()[attempt] / 510
}

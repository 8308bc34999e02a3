// A language model behind an OpenAI-compatible API: makes one request until it is answered, and gives back the raw answer
// with what it took. Keeps to the server's limits, asks again where that can help, gives up a question that is refused, and
// stops all calls where every one would be. Knows neither prompts nor topics, and lets the key into no error or answer.

import { createHash } from 'node:crypto'
import OpenAI, { APIError } from 'openai'
import { UserError } from '../errors.ts'
import { stopIfLeaving } from '../leaving.ts'
import { say } from '../log.ts'
import { expectedTokens, type Tokens, tokensOf } from './chat-prices.ts'
import type { JsonSchema } from './json-schema.ts'
import { type Clock, type Limits, openPace, REAL_CLOCK } from './pace.ts'
import { retryAfterSeconds } from './retry-after.ts'

export type ChatOptions = Limits & {
  url: string
  key: string
  model: string
  /** From sending to the last byte of one answer. */
  timeoutSeconds: number
  /** Wait before the first repetition; each further one waits twice as long. */
  firstWaitSeconds?: number
  /** By which it waits between requests. The time limit of one request always goes by the real one. */
  clock?: Clock
}

export type Message = { role: 'system' | 'user' | 'assistant'; content: string }

export type Question = {
  messages: readonly Message[]
  schema: JsonSchema
  /** Letters, digits, - and _, as the API wants it. */
  schemaName: string
  /** Tokens that the answer may take, for the budget of tokens. */
  answerTokens: number
}

export type Reply = Tokens & {
  /** As the model gave it, and fit to be stored: without the key and without characters that no database takes. */
  raw: string
  /** What the server billed; null where it does not say. */
  dollars: number | null
  /** The model that answered, by the server's word. */
  model: string
}

/** Why this question got no answer, of which nothing can be kept; others may go better. */
export type NoReply = { unusable: string }

export type Chat = { ask(question: Question): Promise<Reply | NoReply> }

// Waits of 1, 2, 4, 8, 16 and 32 s: a minute in all, because limits on tokens are counted by the minute.
const ATTEMPTS = 7
const FIRST_WAIT_SECONDS = 1
// A server that asks for more is out of quota or down; a person should know, and the run can be taken up again.
const LONGEST_WAIT_SECONDS = 300
// Questions that may go without an answer one after the other, once there was one: a third shows that it is not them.
const PATIENCE = 2
const SAY_AGAIN_SECONDS = 10 // as often as progress is told to a file
// The list of models is a courtesy beside a refusal, and the person waits for the refusal.
const LIST_SECONDS = 5
const LISTED = 20
const TICKS_A_DOLLAR = 1e10
// The least that a password has by NIST SP 800-63B. What is shorter stands for no key, at a server that wants none (none,
// EMPTY, ollama), and is a word that an answer may use; xAI's keys have 84 characters.
const SHORTEST_SECRET = 8

/** Status 200 and no choices: the address of something else. */
class NotAChat extends Error {}

export function openChat(options: ChatOptions): Chat {
  const { url, key, model, timeoutSeconds, firstWaitSeconds = FIRST_WAIT_SECONDS } = options
  const { clock = REAL_CLOCK } = options
  const host = hostOf(url)
  if (/[\s\p{C}]/u.test(key))
    throw new UserError('XAI_API_KEY has a blank or a line break inside', 'export XAI_API_KEY again, without it')
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
  const pace = openPace(options, clock)
  // A promise, so that whoever fails while the reason is being put into words ends in the same one.
  let stopped: Promise<UserError> | undefined
  // None before the first answer: until then it may be how we ask that is wrong, a response_format that nobody knows, say.
  let patience = 0
  let saidUntil = 0

  /** A minute of waiting should not look like a hang, and eight questions in trouble are one trouble. */
  function sayOnce(line: string): void {
    if (clock.now() < saidUntil) return
    saidUntil = clock.now() + SAY_AGAIN_SECONDS * 1000
    say(line)
  }

  async function ask(question: Question): Promise<Reply | NoReply> {
    const { messages } = question
    const { promptTokens, completionTokens } = expectedTokens(messages, question)
    const expected = promptTokens + completionTokens
    for (let attempt = 1; ; attempt++) {
      if (!stopped) await pace.turn(expected)
      if (stopped) throw await stopped
      stopIfLeaving() // what would be asked now might be billed and never read
      try {
        const reply = await request(question)
        patience = PATIENCE
        pace.putRight(reply.promptTokens + reply.completionTokens - expected)
        return reply
      } catch (error) {
        stopped ??= reasonToStop(error)
        if (stopped) throw await stopped
        const refused = isRefusal(error)
        if (refused || attempt === ATTEMPTS) {
          const unusable = refused
            ? `${host} refuses: ${reasonOf(error)}`
            : `${host} gave no answer in ${ATTEMPTS} attempts; the last time: ${reasonOf(error)}`
          if (refused && blamesQuestion(error)) return { unusable }
          if (patience-- > 0) return { unusable }
          const later = 'run the same command again later; what has been answered is kept'
          stopped = stop(unusable, refused ? hintFor(error) : later)
          throw await stopped
        }
        sayOnce(`${host} gives no answer (${reasonOf(error)}); asking again, up to ${ATTEMPTS - 1} times`)
        // The server's word holds for everybody; our own guess only for this question.
        const asked = waitAsked(error)
        const guess = firstWaitSeconds * 2 ** (attempt - 1) * jitter(messages, attempt)
        if (asked > 0) pace.holdBack(asked * 1000)
        else await clock.sleep(guess * 1000)
      }
    }
  }

  /** One request, from the first byte to the last within the time limit, which the package keeps only up to the headers. */
  async function request({ messages, schema, schemaName }: Question): Promise<Reply> {
    const aborter = new AbortController()
    const timer = setTimeout(() => aborter.abort(), timeoutSeconds * 1000)
    try {
      // No temperature: some models refuse any but their own. Answers are kept by the caller, so a rerun repeats them.
      const completion = await client.chat.completions.create(
        {
          model,
          messages: [...messages],
          response_format: {
            type: 'json_schema',
            json_schema: { name: schemaName, strict: true, schema: { ...schema } },
          },
        },
        { signal: aborter.signal },
      )
      const choice = completion?.choices?.[0]
      if (!choice) throw new NotAChat()
      const raw = storable(choice.message?.content ?? '')
      return {
        raw,
        ...tokensTaken(completion.usage, messages, raw),
        dollars: dollarsBilled(completion.usage),
        model: storable(completion.model ?? model),
      }
    } catch (error) {
      if (aborter.signal.aborted) throw new Error(`no whole answer within ${timeoutSeconds} s`)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Without the key, and without NUL and halves of characters: no database takes them, and what is judged must be what is kept. */
  function storable(text: unknown): string {
    return Buffer.from(withoutKey(String(text), key).replaceAll('\0', '\ufffd')).toString()
  }

  /** The error that ends all calls, or undefined where asking again can help, or asking something else. */
  function reasonToStop(error: unknown): Promise<UserError> | undefined {
    if (error instanceof NotAChat) {
      return stop(`${host} answered, but not as a chat API does`, 'check QUARTERDECK_CHAT_URL; it usually ends in /v1')
    }
    if (isRefusal(error) && refusesAll(error)) return stop(`${host} refuses: ${reasonOf(error)}`, hintFor(error))
    // The request could not even be made: a key with a line break in it, say. What the network does has a cause.
    if (error instanceof TypeError && error.cause === undefined)
      return stop(`no request can be made to ${host}: ${reasonOf(error)}`, 'check XAI_API_KEY and QUARTERDECK_CHAT_URL')
    const asked = waitAsked(error)
    if (asked <= LONGEST_WAIT_SECONDS) return undefined
    return stop(
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

  async function hintFor(error: APIError): Promise<string> {
    if (outOfCredit(error) || error.status === 402) return 'check the credit of the account behind XAI_API_KEY'
    if (unknownModel(error)) {
      const offered = await modelsOffered()
      // Where the model is among them, it is the address that leads astray.
      if (offered.length > 0 && !offered.includes(model)) {
        const some = offered.slice(0, LISTED).join(', ') + (offered.length > LISTED ? ', …' : '')
        return withoutKey(`choose one of ${some}: export QUARTERDECK_CHAT_MODEL=${offered[0]}`, key)
      }
      return `check QUARTERDECK_CHAT_MODEL (${model}) and QUARTERDECK_CHAT_URL`
    }
    return 'check XAI_API_KEY, QUARTERDECK_CHAT_URL and QUARTERDECK_CHAT_MODEL, or unset XAI_API_KEY for keyword names'
  }

  /** The names that the server lists; none where that fails, as a refusal has to be told with or without them. */
  async function modelsOffered(): Promise<string[]> {
    const seconds = Math.min(LIST_SECONDS, timeoutSeconds)
    try {
      const { data } = await client.models.list({ signal: AbortSignal.timeout(seconds * 1000) })
      // Names, and nothing that a shell would take for more.
      return data.map(one => one?.id).filter(id => typeof id === 'string' && /^[\w./:@-]{1,100}$/.test(id))
    } catch {
      return []
    }
  }

  return { ask }
}

async function stop(message: string, hint: string | Promise<string>): Promise<UserError> {
  return new UserError(message, await hint)
}

function hostOf(url: string): string {
  // The address is not repeated in any error: it may hold a password.
  const hint = 'export QUARTERDECK_CHAT_URL=https://api.x.ai/v1'
  if (!URL.canParse(url)) throw new UserError('QUARTERDECK_CHAT_URL is not a URL', hint)
  const { protocol, host, username, password } = new URL(url)
  if (!/^https?:$/.test(protocol))
    throw new UserError('QUARTERDECK_CHAT_URL begins neither with https:// nor http://', hint)
  if (username === '' && password === '') return host
  throw new UserError('QUARTERDECK_CHAT_URL holds a user or a password, which no request can carry there', hint)
}

function withoutKey(text: string, key: string): string {
  return key.length < SHORTEST_SECRET ? text : text.replaceAll(key, '[key]')
}

type Usage = OpenAI.CompletionUsage | null | undefined

/**
 * As the server counted them, or by the length of the texts where it does not. What a model thought before it answered is
 * paid for like the answer: inside completion_tokens at OpenAI, beside them at xAI, and in the total at both.
 */
function tokensTaken(usage: Usage, messages: readonly Message[], raw: string): Tokens {
  const promptTokens = countOr(usage?.prompt_tokens, tokensOf(messages.map(message => message.content).join('')))
  const completionTokens = countOr(usage?.completion_tokens, tokensOf(raw))
  return { promptTokens, completionTokens: Math.max(completionTokens, countOr(usage?.total_tokens, 0) - promptTokens) }
}

// What can be a count, and fits the column it is kept in.
function countOr(count: unknown, otherwise: number): number {
  return Number.isInteger(count) && Number(count) >= 0 && Number(count) < 2 ** 31 ? Number(count) : otherwise
}

/** xAI says with every answer what it was billed at, in ticks (docs.x.ai/developers/cost-tracking). */
function dollarsBilled(usage: Usage): number | null {
  const ticks = (usage as { cost_in_usd_ticks?: unknown } | null | undefined)?.cost_in_usd_ticks
  return typeof ticks === 'number' && ticks >= 0 ? ticks / TICKS_A_DOLLAR : null
}

/** Asking the same again is of no use; 408, 409 and 429 pass, and so do failures of server and network. */
function isRefusal(error: unknown): error is APIError {
  if (!(error instanceof APIError) || error.status === undefined) return false
  if (outOfCredit(error)) return true
  return error.status >= 400 && error.status < 500 && ![408, 409, 429].includes(error.status)
}

/** Whatever we ask: the account, the key, the address or the model is wrong, and not the question. */
function refusesAll(error: APIError): boolean {
  if (blamesQuestion(error)) return false
  const maybeOne = error.status !== undefined && OF_ONE_QUESTION.includes(error.status)
  return !maybeOne || outOfCredit(error) || unknownModel(error) || wrongKey(error)
}

// Content filters answer with 400 or 403, a text that is too long gets 400, 413 or 422.
const OF_ONE_QUESTION = [400, 403, 413, 422]

/** By its own words, as OpenAI, Azure, xAI, vLLM and llama.cpp put them. */
function blamesQuestion({ status, code, message }: APIError): boolean {
  if (status === undefined || !OF_ONE_QUESTION.includes(status)) return false
  const words =
    /usage guidelines|content[ _](filter|policy|management)|context[ _](length|size|window)|prompt length|longer than|too (long|large)/i
  return status === 413 || words.test(`${code} ${message}`)
}

/** xAI and Google answer a wrong key with 400, xAI a blocked one with 403. */
function wrongKey({ message }: APIError): boolean {
  return /(incorrect|invalid) api key|api key\b[^.]*\b(not valid|invalid|expired|blocked|disabled)/i.test(message)
}

/** An account without credit: a 429 at OpenAI and at xAI, which names no code for it, or a 403. */
function outOfCredit({ code, status, message }: APIError): boolean {
  if (code === 'insufficient_quota') return true
  return (status === 429 || status === 403) && /(used all|run out of)[^.]* credits|spending limit/i.test(message)
}

function unknownModel({ status, code, message }: APIError): boolean {
  if (status === 404) return true
  return (
    status === 400 &&
    (code === 'model_not_found' || /\bmodel\b.*\b(not found|not exist|unknown|invalid)\b/i.test(message))
  )
}

/** The wait that the server asks for, in seconds; 0 where it asks for none. */
function waitAsked(error: unknown): number {
  return (error instanceof APIError && error.headers && retryAfterSeconds(error.headers)) || 0
}

/**
 * From 0.5 to 1, so that questions refused together do not come back together. Drawn from the question's own hash: chance
 * lives in lib/math alone, and different questions need different waits, not unforeseeable ones.
 */
function jitter(messages: readonly Message[], attempt: number): number {
  return 0.5 + createHash('sha256').update(JSON.stringify(messages)).digest()[attempt] / 510
}

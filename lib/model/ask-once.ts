// A question asked once in the life of a database: every answer is kept as it comes, usable or not, by a hash of all that
// could change it; one that cannot be used is asked for once more, and nothing is sent that a limit on spending forbids.
// Where answers are kept is the caller's business (lib/db/chat-answers.ts); how a request is made is chat.ts.

import { createHash } from 'node:crypto'
import pLimit from 'p-limit'
import { UserError } from '../errors.ts'
import { finishedBeforeLeaving } from '../leaving.ts'
import type { ChatPrice, Settings } from '../settings.ts'
import type { Chat, Message } from './chat.ts'
import { CHARACTERS_A_TOKEN, dollarsOf, expectedTokens, priceOf } from './chat-prices.ts'
import { faultOf, type JsonSchema } from './json-schema.ts'
import { openPurse, type Spending } from './spending.ts'

export type KeptAnswer = {
  /** As the model gave it. */
  answer: string
  model: string
  promptTokens: number
  completionTokens: number
  /** Null where no price is known. */
  dollars: number | null
}

export type AnswerStore = {
  find(hash: string): Promise<KeptAnswer | undefined>
  keep(hash: string, answer: KeptAnswer): Promise<void>
  /** Dollars that answers kept for this quarter have cost so far; those of unknown cost by their tokens and this price. */
  spent(price: ChatPrice | undefined): Promise<number>
}

export type ChatQuestion = {
  system: string
  user: string
  schema: JsonSchema
  /** Letters, digits, - and _, as the API wants it. */
  schemaName: string
  /** Tokens that the answer may take, for the budgets. */
  answerTokens: number
}

export type Asked =
  /** `model` is the one that answered, by the server's word; `hash` is what the answer is kept by. */
  | { answer: unknown; model: string; hash: string }
  /**
   * No answer that can be used; other questions may go better. `paid` where the model answered twice, and would be paid for
   * a third time; where it refused, another day costs nothing.
   */
  | { unusable: string; paid: boolean }
  /** The limit on spending forbids the request, and nothing was sent. */
  | { overLimit: true }

export type Asker = {
  /** The one asked for; what answers may say a longer name. */
  model: string
  /** Questions in hand at once. */
  concurrency: number
  ask(question: ChatQuestion): Promise<Asked>
  /** Since it was opened; kept answers cost nothing. */
  spending(): Spending
}

// The client takes .3 s to load, half the start of any command; few commands ask, and none without a key.
const loadChat = () => import('./chat.ts')

/** The language model of the settings; undefined without a key. */
export async function openAsker(settings: Settings, store: AnswerStore): Promise<Asker | undefined> {
  const { chatKey, chatUrl, chatModel: model, chatConcurrency: concurrency, chatDollars: dollars } = settings
  if (chatKey === undefined) return undefined
  const price = priceOf(settings)
  if (dollars !== undefined && price === undefined) {
    throw new UserError(
      `QUARTERDECK_CHAT_DOLLARS is ${dollars}, and what ${model} costs is not known`,
      'export QUARTERDECK_CHAT_PRICE=1.25/2.50 with its dollars per million tokens in and out, or unset QUARTERDECK_CHAT_DOLLARS',
    )
  }
  const { openChat } = await loadChat()
  const chat = openChat({
    url: chatUrl,
    key: chatKey,
    model,
    requestsPerSecond: settings.chatRequestsPerSecond,
    tokensPerMinute: settings.chatTokensPerMinute,
    timeoutSeconds: settings.chatTimeout,
  })
  return askerOf(chat, { model, concurrency, price, dollars }, store)
}

export type AskerOptions = {
  model: string
  concurrency: number
  price: ChatPrice | undefined
  /** The limit on what answers may cost, those of earlier runs included. */
  dollars: number | undefined
}

/** Asks by any chat, and keeps in any store. */
export function askerOf(chat: Chat, options: AskerOptions, store: AnswerStore): Asker {
  const { model, concurrency, price, dollars } = options
  const purse = openPurse(dollars, () => store.spent(price))
  const limit = pLimit(concurrency)
  // Questions in hand, so that the same one twice at a time is one; and those that this run has got no use out of.
  const asked = new Map<string, Promise<Asked>>()

  async function ask(question: ChatQuestion): Promise<Asked> {
    const hash = hashOf(model, question, openingOf(question))
    const known = asked.get(hash)
    if (known !== undefined) return await known
    // A question holds its place while it waits: a server in trouble is asked less, not more.
    const asking = limit(askAnew, question)
    asked.set(hash, asking)
    let useless = false
    try {
      useless = 'unusable' in (await asking)
      return await asking
    } finally {
      if (!useless) asked.delete(hash)
    }
  }

  /** Makes the requests that are missing of one try, which are two at most. */
  async function askAnew(question: ChatQuestion): Promise<Asked> {
    let begun: number | undefined
    for (let requests = 0; ; requests++) {
      const standing = await standingOf(question, model, store)
      if ('answer' in standing) return standing
      begun ??= standing.attempt
      if (standing.attempt > begun || requests === ROUNDS)
        return { unusable: `${model} answered twice in a form that cannot be used: ${standing.fault}`, paid: true }
      const refused = await request(question, standing)
      if (refused !== undefined) return refused
    }
  }

  async function request(
    question: ChatQuestion,
    { messages, hash }: Missing,
  ): Promise<{ unusable: string; paid: boolean } | { overLimit: true } | undefined> {
    const expected = dollarsOf(expectedTokens(messages, question), price)
    async function askAndKeep() {
      const replied = await chat.ask({ ...question, messages })
      if ('unusable' in replied) return { ...replied, paid: false }
      const { raw, ...reply } = replied
      const kept = { ...reply, answer: raw, dollars: reply.dollars ?? dollarsOf(reply, price) }
      await store.keep(hash, kept) // before all else: it is paid for
      purse.add(kept, expected)
      return undefined
    }
    // What is on its way will be billed: it is waited for. A request that has not gone out does not go (chat.ts).
    return await purse.within(expected, () => finishedBeforeLeaving(askAndKeep))
  }

  return { model, concurrency, ask, spending: purse.spending }
}

export type Foreseen = { kept: boolean; promptTokens: number; completionTokens: number; dollars: number | null }

/** What a question would take next, without asking it or needing a key: nothing where its answer is kept. */
export async function foresee(
  question: ChatQuestion,
  settings: Pick<Settings, 'chatModel' | 'chatPrice'>,
  store: Pick<AnswerStore, 'find'>,
): Promise<Foreseen> {
  const standing = await standingOf(question, settings.chatModel, store)
  if ('answer' in standing) return { kept: true, promptTokens: 0, completionTokens: 0, dollars: 0 }
  const tokens = expectedTokens(standing.messages, question)
  return { kept: false, ...tokens, dollars: dollarsOf(tokens, priceOf(settings)) }
}

/** SHA-256 over everything that could change an answer. */
export function promptHash(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

// A question, and once more with what was wrong: a model that fails twice at the same thing fails a third time.
const ROUNDS = 2

/** The request that comes next, as nothing usable is kept: of which try, and what was wrong with the last answer. */
type Missing = { messages: readonly Message[]; hash: string; attempt: number; fault: string | undefined }

/**
 * How far a question has come, from what is kept alone: an answer to use, or the request that comes next. A try of which
 * both answers are kept and neither can be used is over; who asks in another run begins the next one.
 */
async function standingOf(
  question: ChatQuestion,
  model: string,
  store: Pick<AnswerStore, 'find'>,
): Promise<{ answer: unknown; model: string; hash: string } | Missing> {
  let fault: string | undefined
  for (let attempt = 1; ; attempt++) {
    let messages = openingOf(question)
    for (let round = 1; round <= ROUNDS; round++) {
      const hash = hashOf(model, question, messages, attempt)
      const kept = await store.find(hash)
      if (kept === undefined) return { messages, hash, attempt, fault }
      const read = readAnswer(kept.answer, question.schema)
      if (read.fault === undefined) return { answer: read.answer, model: kept.model, hash }
      fault = read.fault
      messages = [...messages, ...repairOf(kept.answer, fault, question)]
    }
  }
}

function openingOf({ system, user }: ChatQuestion): readonly Message[] {
  return [
    { role: 'system', content: system },
    { role: 'user', content: user },
  ]
}

function repairOf(raw: string, fault: string, { answerTokens }: ChatQuestion): Message[] {
  // An answer without end is not paid for a second time; and never half of a character, which is no JSON.
  const said = raw.slice(0, answerTokens * CHARACTERS_A_TOKEN).replace(/[\ud800-\udbff]$/, '')
  return [
    // Some servers refuse two turns of a user in a row, others an empty turn.
    { role: 'assistant', content: said.trim() || '{}' },
    { role: 'user', content: `Your last answer could not be used: ${fault}. Answer again, with the JSON alone.` },
  ]
}

function hashOf(model: string, { schema }: ChatQuestion, messages: readonly Message[], attempt = 1): string {
  // The number of the first try stays out: answers from before there were tries are found by the same hash.
  return promptHash(model, ...messages.map(({ content }) => content), schema, ...(attempt > 1 ? [attempt] : []))
}

/**
 * By its text alone, so that a kept answer is judged as the new one was. Models on servers that do not hold them to the
 * schema like to put their JSON into a fence, or a sentence before it.
 */
function readAnswer(raw: string, schema: JsonSchema): { fault?: string; answer?: unknown } {
  const text = raw.trim()
  if (text === '') return { fault: 'it was empty' }
  for (const part of [text, text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)]) {
    try {
      const answer: unknown = JSON.parse(part)
      return { answer, fault: faultOf(answer, schema) }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
  }
  const count = (bracket: RegExp): number => text.match(bracket)?.length ?? 0
  return { fault: count(/[{[]/g) > count(/[}\]]/g) ? 'it was too long and cut short' : 'it is not JSON' }
}

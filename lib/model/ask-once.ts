// A question asked once in the life of a database: the answer is kept by a hash of all that could change it.
// Where it is kept is the caller's business (lib/db/chat-answers.ts); how it is asked is chat.ts.

import { createHash } from 'node:crypto'
import type { Settings } from '../settings.ts'
import type { Chat, Question } from './chat.ts'

export type KeptAnswer = { answer: string; model: string; promptTokens: number; completionTokens: number }
export type AnswerStore = {
  find(hash: string): Promise<KeptAnswer | undefined>
  keep(hash: string, answer: KeptAnswer): Promise<void>
}

/** What a command needs to ask: `model` is the one asked for, the one that answers may say a longer name. */
export type Asker = { chat: Chat; model: string; concurrency: number }

// The client takes .3 s to load, half the start of any command; few commands ask, and none without a key.
const loadChat = () => import('./chat.ts')

/** The language model of the settings; undefined without a key. */
export async function openAsker(settings: Settings): Promise<Asker | undefined> {
  const { chatKey, chatUrl, chatModel: model, chatConcurrency: concurrency, chatRequestsPerSecond } = settings
  if (chatKey === undefined) return undefined
  const { openChat } = await loadChat()
  const chat = openChat({ url: chatUrl, key: chatKey, model, concurrency, requestsPerSecond: chatRequestsPerSecond })
  return { chat, model, concurrency }
}

export type OnceAnswered =
  | { answer: unknown; model: string; hash: string; asked: boolean; promptTokens: number; completionTokens: number }
  /** The model answered, twice, in a form that cannot be used. */
  | { unusable: string }

/** SHA-256 over everything that could change an answer. */
export function promptHash(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** The kept answer, or a new one that is kept at once: it is paid for, whatever happens next. Tokens are 0 where kept. */
export async function askOnce({ chat, model }: Asker, question: Question, store: AnswerStore): Promise<OnceAnswered> {
  const hash = promptHash(model, question.system, question.user, question.schema)
  const kept = await store.find(hash)
  if (kept !== undefined) {
    const answer: unknown = JSON.parse(kept.answer)
    return { answer, model: kept.model, hash, asked: false, promptTokens: 0, completionTokens: 0 }
  }
  try {
    const { answer, raw, model: answering, promptTokens, completionTokens } = await chat.ask(question)
    await store.keep(hash, { answer: raw, model: answering, promptTokens, completionTokens })
    return { answer, model: answering, hash, asked: true, promptTokens, completionTokens }
  } catch (error) {
    const { BadAnswer } = await loadChat()
    if (error instanceof BadAnswer) return { unusable: error.message }
    throw error
  }
}

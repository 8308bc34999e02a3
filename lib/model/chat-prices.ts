// What a request takes before it is sent, and what tokens cost: for budgets, limits and dry runs. What a server bills
// stands in its answer, where it says so (chat.ts); this is for before, and for servers that do not say.

import type { ChatPrice, Settings } from '../settings.ts'
import type { JsonSchema } from './json-schema.ts'

export type Tokens = { promptTokens: number; completionTokens: number }

// The models' pages under docs.x.ai/developers/models, as of September 2026, for prompts under 200,000 tokens; longer
// ones cost twice as much and are none of ours. Input that the server has cached costs a sixth of this: an upper bound.
const GROK_4_20: ChatPrice = { in: 1.25, out: 2.5 }
const GROK_4_5: ChatPrice = { in: 2, out: 6 }
const PRICES: Readonly<Record<string, ChatPrice>> = {
  'grok-4.20-non-reasoning': GROK_4_20,
  'grok-4.20-0309-non-reasoning': GROK_4_20,
  'grok-4.20-reasoning': GROK_4_20,
  'grok-4.20-0309-reasoning': GROK_4_20,
  'grok-4.3': GROK_4_20,
  'grok-4.5': GROK_4_5,
  'grok-4.6': GROK_4_5,
  'grok-4.7': GROK_4_5,
}

/** What a person says a model costs, else what the list says; undefined for a model that is not in it. */
export function priceOf({ chatModel, chatPrice }: Pick<Settings, 'chatModel' | 'chatPrice'>): ChatPrice | undefined {
  return chatPrice ?? (Object.hasOwn(PRICES, chatModel) ? PRICES[chatModel] : undefined)
}

export function dollarsOf({ promptTokens, completionTokens }: Tokens, price: ChatPrice | undefined): number | null {
  return price === undefined ? null : (promptTokens * price.in + completionTokens * price.out) / 1e6
}

// OpenAI's and xAI's rule of thumb for English text. The right figure comes with each answer, from the model's own
// tokenizer; to bring one along for every model would cost more than the difference, which the budgets put right.
export const CHARACTERS_A_TOKEN = 4

export function tokensOf(text: string): number {
  return Math.ceil(text.length / CHARACTERS_A_TOKEN)
}

/** What a request is expected to take. The schema is read by the model like the messages. */
export function expectedTokens(
  messages: readonly { content: string }[],
  { schema, answerTokens }: { schema: JsonSchema; answerTokens: number },
): Tokens {
  const text = messages.map(message => message.content).join('') + JSON.stringify(schema)
  return { promptTokens: tokensOf(text), completionTokens: answerTokens }
}

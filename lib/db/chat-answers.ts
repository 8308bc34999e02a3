// The table `chat_answers`: what the language model was asked and said, so that nothing is paid for twice.

import type { Queries } from './connect.ts'

type ChatAnswer = { answer: string; model: string; promptTokens: number; completionTokens: number }

/** Where answers are kept, by the hash of the question. Each is saved on its own: it is paid for, whatever follows. */
export function answerStore(sql: Queries) {
  return {
    async find(hash: string): Promise<ChatAnswer | undefined> {
      const [row] = await sql<ChatAnswer[]>`
        select answer, model, prompt_tokens as "promptTokens", completion_tokens as "completionTokens"
        from chat_answers where prompt_hash = ${hash}`
      return row
    },
    async keep(hash: string, { answer, model, promptTokens, completionTokens }: ChatAnswer): Promise<void> {
      await sql`
        insert into chat_answers (prompt_hash, model, answer, prompt_tokens, completion_tokens)
        values (${hash}, ${model}, ${answer}, ${promptTokens}, ${completionTokens})
        on conflict (prompt_hash) do nothing`
    },
  }
}

// The table `chat_answers`: what the language model was asked and said, so that nothing is paid for twice, and what a
// quarter has cost so far.

import type { Queries } from './connect.ts'

type ChatAnswer = {
  answer: string
  model: string
  promptTokens: number
  completionTokens: number
  dollars: number | null
}

/** Where answers for a quarter are kept, by the hash of the request. Each is saved on its own: it is paid for, whatever follows. */
export function answerStore(sql: Queries, quarter: string) {
  return {
    /** An answer for any quarter. */
    async find(hash: string): Promise<ChatAnswer | undefined> {
      const [row] = await sql<ChatAnswer[]>`
        select answer, model, prompt_tokens as "promptTokens", completion_tokens as "completionTokens", dollars
        from chat_answers where prompt_hash = ${hash}`
      return row
    },
    async keep(hash: string, { answer, model, promptTokens, completionTokens, dollars }: ChatAnswer): Promise<void> {
      await sql`
        insert into chat_answers (prompt_hash, model, answer, prompt_tokens, completion_tokens, dollars, quarter)
        values (${hash}, ${model}, ${answer}, ${promptTokens}, ${completionTokens}, ${dollars}, ${quarter})
        on conflict (prompt_hash) do nothing`
    },
    /** Dollars of all answers for this quarter; where none were told, by tokens and a price per million. */
    async spent(price: { in: number; out: number } = { in: 0, out: 0 }): Promise<number> {
      const [{ dollars }] = await sql<{ dollars: number }[]>`
        select coalesce(sum(coalesce(
          dollars, (prompt_tokens * ${price.in}::float8 + completion_tokens * ${price.out}::float8) / 1e6
        )), 0) as dollars
        from chat_answers where quarter = ${quarter}`
      return dollars
    },
  }
}

// The answers of the language model on both databases: kept once, found by their hash, summed for one quarter.

import { beforeAll, expect, it } from 'vitest'
import { answerStore } from '../../lib/db/chat-answers.ts'
import type { Database } from '../../lib/db/connect.ts'
import { onBothDatabases } from './both-databases.ts'

const answer = (dollars: number | null, text = '{"topics":[]}') => ({
  answer: text,
  model: 'grok-test',
  promptTokens: 1000,
  completionTokens: 100,
  dollars,
})

onBothDatabases('answers', open => {
  let sql: Database

  beforeAll(async () => {
    ;({ sql } = await open())
  })

  it('are kept as they were given, the first of a hash for good, and found from any quarter', async () => {
    const store = answerStore(sql, '2024Q3')
    expect(await store.find('a')).toBeUndefined()
    const first = answer(0.0037756, 'names: “none”, \ufffd 😀\n')
    await store.keep('a', first)
    await store.keep('a', answer(5))
    expect(await store.find('a')).toEqual(first)
    expect(await answerStore(sql, '2024Q4').find('a')).toEqual(first)
  })

  it('cost what all of a quarter cost together; one of unknown price counts nothing', async () => {
    const store = answerStore(sql, '2023Q1')
    expect(await store.spent()).toBe(0)
    await store.keep('b', answer(0.25))
    await store.keep('c', answer(null))
    await store.keep('d', answer(0.5))
    await answerStore(sql, '2023Q2').keep('e', answer(8))
    expect(await store.spent()).toBe(0.75)
    expect((await store.find('c'))?.dollars).toBeNull()
  })

  it('from before costs were kept are found as well', async () => {
    await sql`insert into chat_answers (prompt_hash, model, answer, prompt_tokens, completion_tokens)
        values ('old', 'grok-test', '{"topics":[]}', 1000, 100)`
    expect(await answerStore(sql, '2023Q1').find('old')).toEqual(answer(null))
  })
})

// What runs say about speed, on both databases: whole quarters that are done, the newest first, with what they did and whether
// they waited for another step; cards that were learned; and the tokens of names that are still here.

import { beforeAll, expect, it } from 'vitest'
import { answerStore } from '../../lib/db/chat-answers.ts'
import type { Database } from '../../lib/db/connect.ts'
import { keepLearnedBatch } from '../../lib/db/learned-batches.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { recorded } from '../../lib/db/runs.ts'
import { measuredThroughputs } from '../../lib/db/throughputs.ts'
import { onBothDatabases } from './both-databases.ts'

onBothDatabases('throughputs', open => {
  let sql: Database
  const codeVersion = '0'

  beforeAll(async () => {
    ;({ sql } = await open())
  })

  async function run(command: string, counts: Record<string, number | string>, options = {}, model?: string) {
    await recorded(
      sql,
      { command, quarter: '2024Q3', options: { firm: null, ...options }, codeVersion, model },
      async () => ({
        counts,
      }),
    )
  }

  it('of a new database are none', async () => {
    expect(await measuredThroughputs(sql, 'm')).toEqual({
      runs: [],
      cards: [],
      named: { topics: 0, promptTokens: 0, completionTokens: 0, answers: 0 },
    })
  })

  it('are those of whole quarters that are done', async () => {
    await sql`insert into firms (firm_id, name) values ('A', 'A'), ('B', 'B')`
    await ensureQuarter(sql, '2024Q3')
    await sql`
      insert into work (stage, quarter, firm_id, state, recipe, units)
      values ('embed', '2024Q3', 'A', 'done', '{}', 30000), ('embed', '2024Q3', 'B', 'done', '{}', 12000)`
    await run('ingest', { loaded: 2, unchanged: 0, sentences: 42_000 })
    await run('embed', { firms: 2, device: 'cpu', sentences: 42_000, tokens: 900_000 }, {}, 'm 123')
    await run('cluster-firm', { firms: 2, failed: 0, topics: 2_500 }, { follow: true }, 'm 123')
    await run('name-topics', { byModel: 500, byKeywords: 2_000 }, { follow: false })
    await run('index', { bytes: 1 })
    // None of these: one firm alone, one that failed, one that is running, one of another command.
    await run('embed', { sentences: 7 }, { firm: 'A' })
    await run('search', { sentences: 7 })
    await expect(
      recorded(sql, { command: 'embed', quarter: '2024Q3', options: {}, codeVersion }, () =>
        Promise.reject(new Error('x')),
      ),
    ).rejects.toThrow('x')
    await sql`insert into runs (command, options, code_version, worker) values ('embed', '{}', '0', 'w')`

    const { runs } = await measuredThroughputs(sql, 'm')
    const own = { followed: false, model: null, device: null, sentences: 42_000, topics: 0, tokens: 0 }
    expect(runs.map(({ seconds: _, finishedAt: __, ...rest }) => rest)).toEqual([
      { ...own, step: 'index' },
      { ...own, step: 'name-topics', topics: 2_500 },
      { ...own, step: 'cluster-firm', topics: 2_500, followed: true, model: 'm 123' },
      { ...own, step: 'embed', tokens: 900_000, device: 'cpu', model: 'm 123' },
      { ...own, step: 'ingest' },
    ])
    for (const { seconds, finishedAt } of runs) {
      expect(seconds).toBeGreaterThanOrEqual(0)
      expect(Math.abs(finishedAt.getTime() - Date.now())).toBeLessThan(600_000)
    }
  })

  it('have the cards that this model was learned on, and no others', async () => {
    const key = { model: 'm 123', device: 'cuda', deviceName: 'Tesla T4', driver: '580', threads: 4 }
    const learned = { tokens: 8192, ceiling: null, tokensPerSecond: 150_000 }
    await keepLearnedBatch(sql, key, learned)
    await keepLearnedBatch(sql, { ...key, model: 'n 123' }, learned)
    await keepLearnedBatch(sql, { ...key, device: 'cpu' }, learned)
    await keepLearnedBatch(sql, { ...key, driver: '590' }, { ...learned, tokensPerSecond: null })
    const { cards } = await measuredThroughputs(sql, 'm')
    expect(cards).toEqual([{ deviceName: 'Tesla T4', tokensPerSecond: 150_000, learnedAt: expect.any(Date) }])
  })

  it('have the tokens of quarters whose names are still here', async () => {
    await sql`
      insert into topics (topic_id, quarter, firm_id, label, size, keywords, keyword_weights, representative_sentences, centroid)
      values ('2024Q3/A/01', '2024Q3', 'A', 'a', 6, '{a}', '{1}', '{}', '[1]'),
        ('2024Q3/A/02', '2024Q3', 'A', 'b', 6, '{b}', '{1}', '{}', '[1]')`
    await sql`
      insert into topic_names (topic_id, name, summary, source)
      values ('2024Q3/A/01', 'a', 'a', 'llm'), ('2024Q3/A/02', 'b', 'b', 'keywords')`
    const answer = { answer: '{}', model: 'g', promptTokens: 300, completionTokens: 90, dollars: null }
    await answerStore(sql, '2024Q3').keep('a', answer)
    await answerStore(sql, '2024Q3').keep('b', answer)
    await answerStore(sql, '2020Q1').keep('c', answer) // a quarter that was dropped
    const { named } = await measuredThroughputs(sql, 'm')
    expect(named).toEqual({ topics: 1, promptTokens: 600, completionTokens: 180, answers: 2 })
  })
})

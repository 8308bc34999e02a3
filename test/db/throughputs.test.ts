// What runs say about speed, on both databases: whole quarters that are done, the newest first, with what they did and whether
// they waited for another step; cards that were learned; and the tokens of names that are still here.

import { beforeAll, expect, it } from 'vitest'
import { answerStore } from '../../lib/db/chat-answers.ts'
import type { Database } from '../../lib/db/connect.ts'
import { keepLearnedBatch } from '../../lib/db/learned-batches.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { recorded } from '../../lib/db/runs.ts'
import { measuredThroughputs, placeOf } from '../../lib/db/throughputs.ts'
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

  it('are those that are done, with what tells whether their seconds are those of a whole quarter', async () => {
    await sql`insert into firms (firm_id, name) values ('A', 'A'), ('B', 'B')`
    await ensureQuarter(sql, '2024Q3')
    await sql`
      insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences)
      values (1, 'A', '2024Q3', 's', 'f', '\\x00', 30000), (2, 'B', '2024Q3', 's', 'f', '\\x00', 12000)`
    await sql`
      insert into work (stage, quarter, firm_id, state, recipe, units)
      values ('embed', '2024Q3', 'A', 'done', '{}', 30000), ('embed', '2024Q3', 'B', 'done', '{}', 12000)`
    const place = placeOf({ threads: 4, databaseUrl: 'postgres:///q?host=/run/postgresql' })
    await run('ingest', { loaded: 2, unchanged: 0, sentences: 42_000 }, place)
    await run('ingest', { loaded: 0, unchanged: 2, sentences: 42_000 })
    await run('embed', { firms: 2, device: 'cpu', sentences: 42_000, tokens: 900_000 }, place, 'm 123')
    await run('embed', { firms: 1, device: 'cuda', sentences: 12_000, tokens: 300_000 }, {}, 'm 123')
    await run('cluster-firm', { firms: 2, failed: 0, topics: 2_500 }, { follow: true }, 'm 123')
    await run('cluster-firm', { firms: 1, failed: 1, topics: 2_500 }, {}, 'm 123')
    await run('name-topics', { firms: 2, byModel: 500, byKeywords: 2_000 }, { follow: false }, 'g')
    await run('aggregate', { topics: 2_500, clustered: 2_500, device: 'cpu' }, {}, 'm 123')
    await run('aggregate', { topics: 2_500, clustered: 0, device: 'none' }, {}, 'm 123')
    await run('index', { bytes: 1 }, {}, 'm 123')
    await run('index', { bytes: 0 }, {}, 'm 123')
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
    const own = { alone: true, threads: null, server: null, model: 'm 123', device: null, sentences: 42_000, tokens: 0 }
    const [whole, part] = [
      { ...own, whole: true },
      { ...own, whole: false },
    ]
    const here = { threads: 4, server: 'here' }
    expect(runs.map(({ seconds: _, finishedAt: __, ...rest }) => rest)).toEqual([
      { ...part, step: 'index', topics: 0 },
      { ...whole, step: 'index', topics: 0 },
      { ...part, step: 'aggregate', topics: 2_500, device: 'none' },
      { ...whole, step: 'aggregate', topics: 2_500, device: 'cpu' },
      { ...whole, step: 'name-topics', topics: 2_500, model: 'g' },
      { ...part, step: 'cluster-firm', topics: 2_500 },
      { ...whole, step: 'cluster-firm', topics: 2_500, alone: false },
      { ...part, step: 'embed', topics: 0, sentences: 12_000, tokens: 300_000, device: 'cuda' },
      { ...whole, step: 'embed', topics: 0, tokens: 900_000, device: 'cpu', ...here },
      { ...part, step: 'ingest', topics: 0, model: null },
      { ...whole, step: 'ingest', topics: 0, model: null, ...here },
    ])
    for (const { seconds, finishedAt } of runs) {
      expect(seconds).toBeGreaterThanOrEqual(0)
      expect(Math.abs(finishedAt.getTime() - Date.now())).toBeLessThan(600_000)
    }
  })

  it('are not alone where another step of the quarter ran at that time', async () => {
    await ensureQuarter(sql, '2025Q1')
    const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1, 0, minutes)).toISOString()
    for (const [command, quarter, from, to] of [
      ['embed', '2025Q1', 0, 10],
      ['cluster-firm', '2025Q1', 9, 12],
      ['aggregate', '2025Q1', 12, 15],
      ['index', '2024Q3', 0, 15],
      ['status', '2025Q1', 12, 15],
    ] as const)
      await sql`
        insert into runs (command, quarter, options, code_version, worker, outcome, counts, started_at, finished_at)
        values (${command}, ${quarter}, '{}', '0', 'w', 'done', '{}', ${at(from)}, ${at(to)})`
    const { runs } = await measuredThroughputs(sql, 'm')
    const told = runs.filter(run => run.finishedAt < new Date('2026-01-02')).map(({ step, alone }) => [step, alone])
    expect(told).toEqual([
      ['index', true],
      ['aggregate', true],
      ['cluster-firm', false],
      ['embed', false],
    ])
  })

  it('know whose machine the database is on', () => {
    const server = (databaseUrl?: string) => placeOf({ threads: 2, databaseUrl }).server
    expect(server()).toBe('none')
    for (const url of ['postgres://u@localhost/d', 'postgres://127.0.0.1:5433/d', 'postgres://u@[::1]/d'])
      expect(server(url)).toBe('here')
    expect(server('postgres://u:p@quarterdeck.abc.us-east-1.rds.amazonaws.com/d')).toBe('elsewhere')
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

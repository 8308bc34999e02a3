// Naming with a language model: a real HTTP server that speaks the API, once a firm, paid for once, and no key anywhere.

import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Outcome, quarterdeck, sample, scratchHome, succeed } from '../run.ts'

const KEY = 'xai-secret-0123456789'
const QUARTER = '2024Q3'
const { home, remove } = scratchHome()

type Asked = { model: string; messages: { role: string; content: string }[] }
let asked: Asked[] = []
/** What the server answers with: a status and the content of the answer, from the ids that were asked for. */
let behave: (ids: number[], kind: 'topics' | 'themes') => { status: number; content: string }
let server: Server
let url: string

const named = (ids: number[], kind: 'topics' | 'themes') => ({
  status: 200,
  content: JSON.stringify({
    [kind]: ids.map(id => ({ id, name: `Subject ${id} of the ${kind}`, summary: `What is said about subject ${id}.` })),
  }),
})

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', data => {
      body += data
    })
    request.on('end', () => {
      const question: Asked = JSON.parse(body)
      asked.push(question)
      const user = question.messages[question.messages.length - 1].content
      const ids = [...user.matchAll(/"id":(\d+)/g)].map(match => Number(match[1]))
      const { status, content } = behave(ids, user.includes('Name every theme') ? 'themes' : 'topics')
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(
        status === 200
          ? JSON.stringify({
              model: 'grok-test-1',
              choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
              usage: { prompt_tokens: 1000, completion_tokens: 100 },
            })
          : JSON.stringify({ error: { message: `refused ${request.headers.authorization}` } }),
      )
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/v1`
  for (const verb of ['ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate'])
    await succeed([verb, ...(verb === 'ingest' ? [sample(QUARTER)] : []), '--quarter', QUARTER], { home })
}, 200_000)

afterAll(async () => {
  server.close()
  await remove()
})

const withKey = (...words: string[]): Promise<Outcome> =>
  quarterdeck(words, {
    home,
    env: { XAI_API_KEY: KEY, QUARTERDECK_CHAT_URL: url, QUARTERDECK_CHAT_MODEL: 'grok-test' },
  })

const sources = async (table: string): Promise<unknown> =>
  JSON.parse(
    await succeed(['sql', `select source, count(*)::int as n from ${table} group by 1 order by 1`, '--json'], { home }),
  )

describe('name-topics with a key', () => {
  it('stops at once on a key that is refused, keeps the keyword names, and shows the key nowhere', async () => {
    asked = []
    behave = () => ({ status: 401, content: '' })
    const { code, stderr } = await withKey('name-topics', '--quarter', QUARTER)
    expect(code).toBe(1)
    expect(stderr).toMatch(/XAI_API_KEY/)
    expect(stderr).not.toContain(KEY)
    expect(asked.length).toBeLessThanOrEqual(8) // those in flight, and no more
    expect(await sources('topic_names')).toEqual([{ source: 'keywords', n: expect.any(Number) }])
  })

  it('names all topics of a firm with one request, and the firms that got no usable answer by keywords for now', async () => {
    asked = []
    let spoiled = ''
    behave = (ids, kind) => {
      const user = asked[asked.length - 1].messages.find(message => message.role === 'user')?.content ?? ''
      spoiled ||= user
      return user === spoiled ? { status: 200, content: '{"topics": [' } : named(ids, kind)
    }
    const { code, stderr } = await withKey('name-topics', '--quarter', QUARTER)
    expect(code).toBe(0)
    expect(stderr).toMatch(/keywords name the topics of [A-Z]+ for now/)
    expect(asked).toHaveLength(13 + 2) // the spoiled one is asked a second time
    expect(await sources('topic_names')).toEqual([
      { source: 'keywords', n: expect.any(Number) },
      { source: 'llm', n: expect.any(Number) },
    ])
  })

  it('asks again only for the firm that is left, and never pays twice', async () => {
    asked = []
    behave = named
    expect((await withKey('name-topics', '--quarter', QUARTER)).code).toBe(0)
    expect(asked).toHaveLength(1)
    expect(await sources('topic_names')).toEqual([{ source: 'llm', n: expect.any(Number) }])
    asked = []
    expect((await withKey('name-topics', '--quarter', QUARTER, '--force')).stderr).toMatch(/0 requests/)
    expect(asked).toHaveLength(0)
  })

  it('makes the names of one firm distinct, takes nothing empty, and falls back to keywords one by one', async () => {
    behave = ids => ({
      status: 200,
      content: JSON.stringify({
        topics: ids.map(id => ({
          id,
          name: id === 1 ? ' ' : id <= 3 ? 'The same name' : `Subject ${id}`,
          summary: 'A summary.',
        })),
      }),
    })
    const other = await quarterdeck(['name-topics', '--quarter', QUARTER, '--firm', 'HLPW', '--force'], {
      home,
      env: { XAI_API_KEY: KEY, QUARTERDECK_CHAT_URL: url, QUARTERDECK_CHAT_MODEL: 'grok-other' },
    })
    expect(other.code).toBe(0)
    const rows = JSON.parse(
      await succeed(
        [
          'sql',
          "select name, n.source from topic_names n join topics using (topic_id) where firm_id = 'HLPW' order by topic_id",
          '--json',
        ],
        { home },
      ),
    )
    expect(rows.slice(0, 3).map((row: { source: string }) => row.source)).toEqual(['keywords', 'keywords', 'keywords'])
    expect(rows.slice(3).every((row: { source: string }) => row.source === 'llm')).toBe(true)
    expect(new Set(rows.map((row: { name: string }) => row.name.toLowerCase())).size).toBe(rows.length)
  })

  it('names themes in the same way', async () => {
    behave = named
    expect((await withKey('name-topics', '--quarter', QUARTER)).code).toBe(0)
    asked = []
    expect((await withKey('aggregate', '--quarter', QUARTER)).code).toBe(0)
    expect(asked).toHaveLength(1)
    expect(await sources('themes')).toEqual([{ source: 'llm', n: expect.any(Number) }])
  })

  it('keeps the names of the model in a later run without a key', async () => {
    const before = await sources('topic_names')
    const { stderr } = await quarterdeck(['name-topics', '--quarter', QUARTER], { home })
    expect(stderr).toMatch(/nothing left to do/)
    expect(await sources('topic_names')).toEqual(before)
  })

  it('writes the key into no table', async () => {
    for (const table of ['runs', 'work', 'chat_answers', 'settings', 'topic_names']) {
      const [{ n }] = JSON.parse(
        await succeed(
          ['sql', `select count(*)::int as n from ${table} as row where row::text like '%${KEY}%'`, '--json'],
          { home },
        ),
      )
      expect(n, table).toBe(0)
    }
  })
})

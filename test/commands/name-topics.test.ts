// Naming with a language model: a real HTTP server that speaks the API, well or badly. Once a firm, paid for once, within
// the limit, no key anywhere, and whatever goes wrong costs a name and never the run.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import {
  type Asked,
  after,
  breaksOff,
  type ChatServer,
  hangs,
  knowsNoSuchModel,
  namesEmpty,
  namesInPairs,
  namesTooFew,
  type Reaction,
  refuses,
  saysNoJson,
  sendsHalf,
  startChatServer,
  subjects,
  subjectsAs,
  trickles,
} from '../chat-server.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { bringQuarter } from '../ready-quarter.ts'
import { type Outcome, quarterdeck, start, succeed } from '../run.ts'

const KEY = 'xai-secret-0123456789'
const QUARTER = '2024Q3'
const FIRMS = 14
const { home, remove } = await readyHome()
let server: ChatServer
/** What the server does with a request; each test says it anew. */
let behave: (asked: Asked) => Reaction

beforeAll(async () => {
  server = await startChatServer(asked => behave(asked))
  await withDatabase({ ...readSettings({}), home }, bringQuarter)
}, 200_000)
afterAll(async () => {
  await server.close()
  await remove()
})
beforeEach(() => {
  server.asked.length = 0
  behave = () => subjects
})

// Each test has a model of its own, since an answer once given is never asked for again.
const settings = (model: string, more: Record<string, string> = {}) => ({
  XAI_API_KEY: KEY,
  QUARTERDECK_CHAT_URL: server.url,
  QUARTERDECK_CHAT_MODEL: model,
  QUARTERDECK_CHAT_PRICE: '1/10',
  ...more,
})
const nameWith = (model: string, words: string[] = [], more: Record<string, string> = {}): Promise<Outcome> =>
  quarterdeck(['name-topics', '--quarter', QUARTER, ...words], { home, env: settings(model, more) })
/** For a run that has to end well, and of which nothing is asked but what it leaves behind, or prints. */
const nameHere = (model: string, words: string[] = [], more: Record<string, string> = {}): Promise<string> =>
  here(['name-topics', '--quarter', QUARTER, ...words], { home, env: settings(model, more) })

type Row = Record<string, unknown>
const rows = async (statement: string): Promise<Row[]> => JSON.parse(await here(['sql', statement, '--json'], { home }))
const sources = (table = 'topic_names'): Promise<Row[]> =>
  rows(`select source, count(*)::int as n from ${table} group by 1 order by 1`)
const namesOf = (firm: string): Promise<Row[]> =>
  rows(`select name, source from topic_names join topics using (topic_id) where firm_id = '${firm}' order by topic_id`)
const standing = (): Promise<string> => here(['status', '--quarter', QUARTER], { home })
const costs = async (): Promise<Row> =>
  (await rows('select count(*)::int as answers, coalesce(sum(dollars), 0)::float8 as dollars from chat_answers'))[0]

describe('a dry run', () => {
  it('says requests, tokens and dollars before there is a key, and asks and changes nothing', async () => {
    const before = await sources()
    const words = ['name-topics', '--quarter', QUARTER, '--dry-run']
    expect(await succeed(words, { home })).toMatch(
      /would ask grok-\S+ 14 times for 111 topics of 14 firms:\nsome [\d,]+ tokens of questions and [\d,]+ of answers, \$0\.\d+\./,
    )
    const plan = JSON.parse(await here([...words, '--json'], { home }))
    expect(plan).toMatchObject({ quarter: QUARTER, firms: FIRMS, topics: 111, requests: FIRMS, kept: 0 })
    expect(plan.dollars).toBeGreaterThan(0)
    // An unknown model has no known price, and a price can be said.
    expect(await here(words, { home, env: { QUARTERDECK_CHAT_MODEL: 'mine' } })).toContain('unknown price')
    const priced = await here([...words, '--json'], { home, env: settings('mine') })
    const { promptTokens, completionTokens, dollars } = JSON.parse(priced)
    expect(dollars).toBeCloseTo((promptTokens + 10 * completionTokens) / 1e6, 9)
    expect(server.asked).toHaveLength(0)
    expect(await sources()).toEqual(before)
  })

  it('comes close to what the run then asks and says', async () => {
    const plan = JSON.parse(await nameHere('foreseen', ['--dry-run', '--json']))
    await nameHere('foreseen')
    expect(server.asked).toHaveLength(plan.requests)
    const characters = server.asked
      .flatMap(({ body }) => body.messages)
      .reduce((sum, { content }) => sum + content.length, 0)
    expect(plan.promptTokens).toBeGreaterThan(characters / 4)
    expect(plan.promptTokens).toBeLessThan((characters / 4) * 1.2)
    const again = JSON.parse(await nameHere('foreseen', ['--force', '--dry-run', '--json']))
    expect(again).toMatchObject({ requests: 0, kept: FIRMS, promptTokens: 0, dollars: 0 })
  })
})

describe('name-topics with a key', () => {
  it('names all topics of a firm with one request, and keeps what was answered, by whom, and what it cost', async () => {
    expect((await nameWith('grok-test')).stderr).toMatch(
      /111 topics named, 0 of them by keywords; 14 requests, .* \$0\.0280/,
    )
    expect(server.asked).toHaveLength(FIRMS)
    expect(await sources()).toEqual([{ source: 'llm', n: 111 }])
    const [{ answers, dollars }] = await rows(
      "select count(*)::int as answers, sum(dollars)::float8 as dollars from chat_answers where model = 'grok-test-1' and prompt_hash in (select prompt_hash from topic_names)",
    )
    expect(answers).toBe(FIRMS)
    expect(dollars).toBeCloseTo(FIRMS * 0.002, 9) // 1,000 tokens at $1 and 100 at $10 a million
    const [run] = await rows("select counts from runs where command = 'name-topics' order by run_id desc limit 1")
    expect(run.counts).toMatchObject({ requests: FIRMS, byModel: 111, promptTokens: 14_000 })
  })

  it('never pays twice for an answer, whatever is forced', async () => {
    expect((await nameWith('grok-test', ['--force'])).stderr).toMatch(/111 topics named, .* 0 requests, 0 tokens, \$0/)
    expect(server.asked).toHaveLength(0)
  })

  it('names themes in the same way', async () => {
    await here(['aggregate', '--quarter', QUARTER], { home, env: settings('grok-test') })
    expect(server.asked.map(one => one.kind)).toEqual(['themes'])
    const firms = server.asked[0].data.map(({ topics }) => new Set(topics?.map(({ firm }) => firm)).size)
    expect(Math.max(...firms)).toBeGreaterThan(3)
    expect(await sources('themes')).toEqual([{ source: 'llm', n: expect.any(Number) }])
  })

  it('keeps the clustering where the model refuses to name the themes, and names them in the next run', async () => {
    const words = ['aggregate', '--quarter', QUARTER, '--force']
    behave = () => refuses(401)
    const { code, stderr } = await quarterdeck(words, { home, env: settings('not this one') })
    expect(`${code} ${stderr}`).toMatch(/^1 [\s\S]*refuses: 401/)
    expect(await sources('themes')).toEqual([{ source: 'keywords', n: expect.any(Number) }])
    expect(await standing()).toContain('aggregate: some themes have names of keywords for now')
    behave = () => subjects
    await here(words.slice(0, 3), { home, env: settings('but this one') })
    expect(await sources('themes')).toEqual([{ source: 'llm', n: expect.any(Number) }])
    expect(await standing()).not.toContain('for now')
  })

  it('keeps the names of the model in a later run without a key, also after another model has refused', async () => {
    const unkeyed = async () => (await quarterdeck(['name-topics', '--quarter', QUARTER], { home })).stderr
    expect(await unkeyed()).toMatch(/nothing left to do/)
    behave = () => refuses(401)
    expect((await nameWith('another')).code).toBe(1)
    expect(await unkeyed()).toMatch(/111 topics named/)
    expect(await sources()).toEqual([{ source: 'llm', n: 111 }])
    expect(await unkeyed()).toMatch(/nothing left to do/)
    // And the first model's are not asked for again.
    await nameHere('grok-test')
    expect(server.asked.filter(({ body }) => body.model === 'grok-test')).toEqual([])
  })

  it('writes the key into no table', async () => {
    for (const table of ['runs', 'work', 'chat_answers', 'settings', 'topic_names'])
      expect(await rows(`select 1 from ${table} as row where row::text like '%${KEY}%'`), table).toEqual([])
  })
})

describe('a server that will never do', () => {
  it.each<[string, Reaction, RegExp]>([
    ['a wrong key', refuses(401), /refuses: 401[\s\S]*XAI_API_KEY/],
    ['an unknown model', knowsNoSuchModel, /does not exist[\s\S]*grok-other/],
    ['an account without credit', refuses(402), /refuses: 402[\s\S]*credit/],
  ])('such as %s ends the run at once, with what to do, and the names stay', async (what, reaction, said) => {
    const before = await namesOf('MU')
    behave = () => reaction
    const { code, stderr } = await nameWith(`refused: ${what}`)
    expect(code).toBe(1)
    expect(stderr).toMatch(said)
    expect(stderr).not.toContain(KEY)
    expect(server.asked.length).toBeLessThanOrEqual(8) // those in flight, and no more
    expect(await namesOf('MU')).toEqual(before)
  })
})

describe('a server in trouble', () => {
  /** Names the quarter while so many questions of each trouble, one firm's a trouble, come to it so many times. */
  async function nameAmong(model: string, troubles: readonly Reaction[], times: number, more = {}): Promise<void> {
    const asked: string[] = []
    behave = ({ body }) => {
      const [, { content }] = body.messages
      asked.push(content)
      const trouble = troubles[[...new Set(asked)].indexOf(content)]
      return trouble !== undefined && asked.filter(one => one === content).length <= times ? trouble : subjects
    }
    const { code, stderr } = await nameWith(model, [], more)
    expect(`${code} ${stderr}`).toMatch(/^0 [\s\S]*111 topics named, 0 of them by keywords/)
    const questions = [...new Set(asked)]
    expect(questions).toHaveLength(FIRMS)
    expect(questions.map(question => asked.filter(one => one === question).length)).toEqual(
      questions.map((_, place) => (place < troubles.length ? times + 1 : 1)),
    )
  }

  it('is asked again: too many requests, with and without a time to wait, failures, a cut connection, half an answer', async () => {
    const troubles = [refuses(429, { 'retry-after': '0.01' }), refuses(429), refuses(500), breaksOff, sendsHalf]
    await nameAmong('in trouble', troubles, 2)
  })

  it('that hangs or trickles is given up after the time limit, and asked again', async () => {
    await nameAmong('silent', [hangs, trickles], 1, { QUARTERDECK_CHAT_TIMEOUT: '1' })
  })
})

describe('names that cannot be used', () => {
  // The second question holds those alone that were of no use the first time.
  it.each<[string, Reaction, RegExp, (topics: number) => number]>([
    ['empty ones', namesEmpty, /is empty/, topics => topics],
    ['names that are alike', namesInPairs, /reads like the name of another/, topics => topics - (topics % 2)],
    ['one less than asked for', namesTooFew, /not in the answer/, () => 1],
    ['names from elsewhere', subjectsAs(() => 'Purple giraffes'), /too few of its words/, topics => topics],
  ])('go back once, together, and are good the second time: %s', async (what, first, reason, again) => {
    const topics = (await namesOf('HLPW')).length
    behave = ({ data }) => (data.some(({ refused }) => refused) || data.length < topics ? subjects : first)
    await nameHere(`second time: ${what}`, ['--firm', 'HLPW'])
    expect(server.asked.map(({ ids }) => ids.length)).toEqual([topics, again(topics)])
    for (const { refused } of server.asked[1].data) expect(JSON.stringify(refused)).toMatch(reason)
    const names = await namesOf('HLPW')
    expect(names.every(({ source }) => source === 'llm')).toBe(true)
    expect(new Set(names.map(({ name }) => String(name).toLowerCase())).size).toBe(names.length)
  })

  it('are keyword names in the end, one by one, all distinct, and the answers are not asked for again', async () => {
    behave = () =>
      subjectsAs(({ id, keywords }) => (id === 1 ? ' ' : id <= 3 ? 'Purple giraffes' : `More ${keywords[0]}`))
    expect((await nameWith('stubborn', ['--firm', 'HLPW'])).stderr).toMatch(
      /keywords name 3 topics, their names cannot be used: " ", the name is empty/,
    )
    const names = await namesOf('HLPW')
    expect(names.slice(0, 3).map(({ source }) => source)).toEqual(['keywords', 'keywords', 'keywords'])
    expect(names.slice(3).every(({ source }) => source === 'llm')).toBe(true)
    expect(new Set(names.map(({ name }) => String(name).toLowerCase())).size).toBe(names.length)
    server.asked.length = 0
    expect((await nameWith('stubborn', ['--firm', 'HLPW'])).stderr).toMatch(/nothing left to do/)
    await nameHere('stubborn', ['--firm', 'HLPW', '--force'])
    expect(server.asked).toHaveLength(0)
  })

  it('of one firm that gets no JSON at all stay as they are, and are asked for again only when that is forced', async () => {
    let spoiled = ''
    behave = ({ body }) => {
      spoiled ||= body.messages[1].content
      return body.messages[1].content === spoiled ? saysNoJson : subjects
    }
    const { code, stderr } = await nameWith('no JSON')
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /answered twice in a form that cannot be used: .*; [A-Z]+ has names of before, or of keywords/,
    )
    expect(await sources()).toEqual([{ source: 'llm', n: 111 }]) // what another model has named stays better than keywords
    expect(server.asked).toHaveLength(FIRMS + 1) // the spoiled one is asked a second time
    server.asked.length = 0
    behave = () => subjects
    expect((await nameWith('no JSON')).stderr).toMatch(/nothing left to do/)
    expect(server.asked).toHaveLength(0) // both answers are paid for
    await nameHere('no JSON', ['--force'])
    expect(server.asked).toHaveLength(1)
  })

  it('of one firm that the server refuses, which costs nothing, are asked for in the next run', async () => {
    let first = ''
    behave = ({ body, number }) => {
      if (number === 3) first = body.messages[1].content
      return body.messages[1].content === first ? refuses(403, {}, 'Content violates usage guidelines') : subjects
    }
    const { code, stderr } = await nameWith('filter', [], { QUARTERDECK_CHAT_CONCURRENCY: '1' })
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /refuses: 403 .*Content violates usage guidelines; [A-Z]+ has names of before, or of keywords, for now/,
    )
    server.asked.length = 0
    behave = () => subjects
    await nameHere('filter')
    expect(server.asked).toHaveLength(1)
  })
})

describe('a spending limit', () => {
  const limited = (dollars: string) => ({ QUARTERDECK_CHAT_DOLLARS: dollars })

  it('ends asking before it is passed, names the rest by keywords, and a higher one asks for the rest alone', async () => {
    await here(['cluster-firm', '--quarter', QUARTER, '--force'], { home }) // which takes all names away
    const before = Number((await costs()).dollars)
    const limit = before + 0.02
    const { code, stderr } = await nameWith('dear', [], limited(String(limit)))
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /warning: the spending limit of QUARTERDECK_CHAT_DOLLARS is reached: \d+ firms left with names/,
    )
    const left = Number(/reached: (\d+)/.exec(stderr)?.[1])
    expect(await standing()).toContain(`name-topics: ${left} firms left with names of before, or of keywords, for now`)
    expect((await sources()).map(({ source }) => source)).toEqual(['keywords', 'llm'])
    expect(Number((await costs()).dollars)).toBeLessThanOrEqual(limit)
    const asked = server.asked.length
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThan(FIRMS)
    // The limit is the quarter's, not the run's: a crash loop cannot spend without end.
    await nameHere('dear', [], limited(String(limit)))
    expect(Number((await costs()).dollars)).toBeLessThanOrEqual(limit)
    await nameHere('dear', [], limited(String(before + 1)))
    expect(server.asked).toHaveLength(FIRMS)
    expect(await sources()).toEqual([{ source: 'llm', n: 111 }])
  })

  it('needs a price', async () => {
    const { code, stderr } = await nameWith('of no price', [], { ...limited('1'), QUARTERDECK_CHAT_PRICE: '' })
    expect(code).toBe(1)
    expect(stderr).toContain('QUARTERDECK_CHAT_PRICE')
    expect(server.asked).toHaveLength(0)
  })
})

describe('a run that is killed', () => {
  it('has kept every answer that it went on from, so that only what was in flight is asked again', async () => {
    // Four in flight: when the ninth request comes, five have been answered and their firms are done.
    const env = settings('killed', { QUARTERDECK_CHAT_CONCURRENCY: '4' })
    behave = ({ number }) => (number <= 5 ? subjects : hangs)
    const child = start(['name-topics', '--quarter', QUARTER], { home, env })
    await server.request(9)
    child.kill('SIGKILL')
    await new Promise(resolve => child.on('close', resolve))
    const questions = server.asked.map(({ body }) => body.messages[1].content)
    server.asked.length = 0
    behave = () => subjects
    await here(['name-topics', '--quarter', QUARTER], { home, env })
    const asked = server.asked.map(({ body }) => body.messages[1].content)
    expect(asked).toHaveLength(FIRMS - 5)
    expect(asked.filter(question => questions.slice(0, 5).includes(question))).toEqual([])
    expect(questions.slice(5).every(question => asked.includes(question))).toBe(true)
  })

  it('at random moments, again and again, pays at most for what was in flight and ends with the names of a whole run', async () => {
    await nameHere('undisturbed')
    const names = await rows('select topic_id, name, summary from topic_names order by 1')
    server.asked.length = 0
    behave = () => after(20, subjects)
    const env = settings('disturbed', { QUARTERDECK_CHAT_CONCURRENCY: '2' })
    let kills = 0
    // Killed as soon as so many requests more have come: the moment within the answers differs each time.
    for (const more of [1, 3, 2, 5, 1]) {
      const child = start(['name-topics', '--quarter', QUARTER], { home, env })
      const ended = new Promise<boolean>(resolve => child.on('close', () => resolve(true)))
      await Promise.race([server.request(server.asked.length + more), ended])
      child.kill('SIGKILL')
      await ended
      kills++
    }
    await here(['name-topics', '--quarter', QUARTER], { home, env })
    const questions = server.asked.map(({ body }) => body.messages[1].content)
    expect(new Set(questions).size).toBe(FIRMS)
    expect(questions.length - FIRMS).toBeLessThanOrEqual(2 * kills)
    expect(await rows('select topic_id, name, summary from topic_names order by 1')).toEqual(names)
  })
})

// A question asked once, against a real server that speaks the API: what is kept, what a later run still asks and pays for,
// and what a limit on spending forbids. The answers lie in memory here; the table that keeps them has tests of its own.

import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type AnswerStore,
  type Asker,
  type ChatQuestion,
  foresee,
  type KeptAnswer,
  type Asked as Outcome,
  openAsker,
  promptHash,
} from '../../lib/model/ask-once.ts'
import { readSettings } from '../../lib/settings.ts'
import {
  type Asked,
  type ChatServer,
  hangs,
  type Reaction,
  refuses,
  says,
  startChatServer,
  subjects,
} from '../chat-server.ts'
import { failureOf, refusalOf } from '../refusal.ts'

const KEY = 'xai-secret-0123456789'
const SCHEMA = {
  type: 'object',
  required: ['topics'],
  additionalProperties: false,
  properties: { topics: { type: 'array', items: { type: 'object' } } },
} as const

const questionAbout = (...ids: number[]): ChatQuestion => ({
  system: 'You name topics.',
  user: `<data>{"topics": ${JSON.stringify(ids.map(id => ({ id, keywords: [`key${id}`] })))}}</data> Name them.`,
  schema: SCHEMA,
  schemaName: 'topics',
  answerTokens: 100,
})
const QUESTION = questionAbout(1)

type Memory = AnswerStore & { rows: Map<string, KeptAnswer> }

/** Keeps answers as the table does: the first under a hash stays. */
function memory(): Memory {
  const rows = new Map<string, KeptAnswer>()
  return {
    rows,
    find: async hash => rows.get(hash),
    async keep(hash, answer) {
      if (!rows.has(hash)) rows.set(hash, answer)
    },
    spent: async () => [...rows.values()].reduce((sum, { dollars }) => sum + (dollars ?? 0), 0),
  }
}

const servers: ChatServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

type Setting = Record<string, string>

/** A server that does with the n-th request what `behave` says, and askers of it as commands open them. */
async function world(behave: (n: number, asked: Asked) => Reaction) {
  const server = await startChatServer(asked => behave(asked.number, asked))
  servers.push(server)
  const store = memory()
  const settings = (more: Setting = {}) =>
    readSettings({
      XAI_API_KEY: KEY,
      QUARTERDECK_CHAT_URL: server.url,
      QUARTERDECK_CHAT_MODEL: 'grok-test',
      QUARTERDECK_CHAT_REQUESTS_PER_SECOND: '1000',
      ...more,
    })
  /** Another run of a command. */
  async function run(more: Setting = {}, keeping: AnswerStore = store): Promise<Asker> {
    const asker = await openAsker(settings(more), keeping)
    if (asker === undefined) throw new Error('there is a key')
    return asker
  }
  return { server, asked: server.asked, store, settings, run }
}

const nameOf = (outcome: Outcome) => ('answer' in outcome ? outcome.answer : outcome)
/** What the server names the topics of those ids. */
const named = (...ids: number[]) => ({
  topics: ids.map(id => ({
    id,
    name: `More key${id} xa${'abcdefghijklmn'[id]}`,
    summary: `What is said about key${id}.`,
  })),
})
const bad = says('{"topics":"none"}')

describe('a question', () => {
  it('is asked once, kept under a hash of all that could change its answer, and found by every later run', async () => {
    const { asked, store, run } = await world(() => subjects)
    const first = await run()
    const outcome = await first.ask(QUESTION)
    const hash = promptHash('grok-test', QUESTION.system, QUESTION.user, QUESTION.schema)
    expect(outcome).toEqual({ answer: named(1), model: 'grok-test-1', hash })
    expect(first.spending()).toEqual({ requests: 1, promptTokens: 1000, completionTokens: 100, dollars: null })
    const second = await run()
    expect(await second.ask(QUESTION)).toEqual(outcome)
    expect(second.spending()).toEqual({ requests: 0, promptTokens: 0, completionTokens: 0, dollars: 0 })
    expect(asked).toHaveLength(1)
    expect([...store.rows]).toEqual([
      [
        hash,
        {
          answer: JSON.stringify(named(1)),
          model: 'grok-test-1',
          promptTokens: 1000,
          completionTokens: 100,
          dollars: null,
        },
      ],
    ])
    // Another model, or other words, are another question.
    await (await run({ QUARTERDECK_CHAT_MODEL: 'grok-other' })).ask(QUESTION)
    await second.ask({ ...QUESTION, system: 'Name them well.' })
    await second.ask({ ...QUESTION, schema: { ...SCHEMA, description: 'names' } })
    expect(asked).toHaveLength(4)
  })

  it('is asked once when it is asked twice at the same time', async () => {
    const { server, asked, run } = await world(() => subjects)
    server.hold()
    const asker = await run()
    const both = [asker.ask(QUESTION), asker.ask({ ...QUESTION })]
    await server.request(1)
    server.release()
    expect((await Promise.all(both)).map(nameOf)).toEqual([named(1), named(1)])
    expect(asked).toHaveLength(1)
    expect(asker.spending().requests).toBe(1)
  })

  it('is one of at most so many in hand', async () => {
    const open: (() => void)[] = []
    let most = 0
    const { run } = await world(() => (response, entry) => {
      most = Math.max(
        most,
        open.push(() => subjects(response, entry)),
      )
      // Answered three at a time: with fewer in hand this would never end.
      if (open.length === 3) setTimeout(() => open.splice(0).map(answer => answer()), 20)
    })
    const asker = await run({ QUARTERDECK_CHAT_CONCURRENCY: '3' })
    await Promise.all(Array.from({ length: 12 }, (_, i) => asker.ask(questionAbout(i))))
    expect(most).toBe(3)
  })

  it('is refused at once to all that wait where trouble stays, and kept answers are still given', async () => {
    const { asked, run } = await world(n => (n === 1 ? subjects : refuses(401)))
    await (await run()).ask(QUESTION)
    const asker = await run({ QUARTERDECK_CHAT_CONCURRENCY: '1' })
    const errors = await Promise.all([2, 3, 4, 5].map(id => refusalOf(asker.ask(questionAbout(id)))))
    for (const error of errors) {
      expect(error.message).toContain('refuses: 401 no, [key]: this will not do')
      expect(error.hint).toContain('XAI_API_KEY')
    }
    expect(asked).toHaveLength(2)
    expect(nameOf(await asker.ask(QUESTION))).toEqual(named(1))
    await failureOf(asker.ask(questionAbout(2)))
    expect(asked).toHaveLength(2)
  })

  it('needs a key, and no server before it is asked', async () => {
    expect(await openAsker(readSettings({}), memory())).toBeUndefined()
    expect((await openAsker(readSettings({ XAI_API_KEY: KEY }), memory()))?.model).toBe('grok-4.20-non-reasoning')
  })
})

describe('an answer that cannot be used', () => {
  it('is kept, and asked for once more with what was wrong', async () => {
    const { asked, store, run } = await world(n => (n === 1 ? bad : subjects))
    const asker = await run()
    const outcome = await asker.ask(QUESTION)
    expect(nameOf(outcome)).toEqual(named(1))
    expect(asked.map(({ body }) => body.messages.map(({ role }) => role))).toEqual([
      ['system', 'user'],
      ['system', 'user', 'assistant', 'user'],
    ])
    expect(asked[1].body.messages.slice(0, 2)).toEqual(asked[0].body.messages)
    expect(asked[1].body.messages[2].content).toBe('{"topics":"none"}')
    expect(asked[1].body.messages[3].content).toContain('the answer.topics is string, not array')
    expect([...store.rows.values()].map(({ answer }) => answer)).toEqual([
      '{"topics":"none"}',
      JSON.stringify(named(1)),
    ])
    expect(asker.spending()).toMatchObject({ requests: 2, promptTokens: 2000, completionTokens: 200 })
    // What the answer is kept by is the hash of the request that brought it.
    expect('hash' in outcome && store.rows.get(outcome.hash)?.answer).toBe(JSON.stringify(named(1)))
  })

  it.each([
    ['no JSON', says(`names: oh, and your key is ${KEY}`), 'it is not JSON'],
    ['empty', says('  '), 'it was empty'],
    ['a refusal', says('', {}, { message: { content: null, refusal: 'no' } }), 'it was empty'],
    ['too long', says('{"topics":[{"id":1,', {}, { finish_reason: 'length' }), 'too long and cut short'],
    ['half of one in a fence', says('```json\n{"topics":[{"id":1},'), 'too long and cut short'],
    ['half of one that ends after a topic', says('{"topics":[{"id":1}'), 'too long and cut short'],
    ['prose with braces', says('I would say {buybacks}.'), 'it is not JSON'],
    ['of another form', says('{"themes":[]}'), 'the answer has no topics'],
  ])('twice is of no use when it is %s, and others are still asked', async (_, reaction, reason) => {
    const { asked, store, run } = await world(n => (n < 3 ? reaction : subjects))
    const asker = await run()
    const outcome = await asker.ask(QUESTION)
    expect(outcome).toEqual({ unusable: expect.stringContaining(reason), paid: true })
    expect(asked).toHaveLength(2)
    expect(nameOf(await asker.ask(questionAbout(2)))).toEqual(named(2))
    expect(inspect([outcome, [...store.rows], asked[1].body], { depth: 10 })).not.toContain(KEY)
  })

  it.each([
    ['in a fence', (json: string) => `\`\`\`json\n${json}\n\`\`\``],
    ['between sentences', (json: string) => `Here are the names:\n${json}\nTell me if you want others.`],
  ])('is not one whose JSON stands %s', async (_, wrap) => {
    const { asked, run } = await world(() => says(wrap(JSON.stringify(named(1)))))
    for (const asker of [await run(), await run()]) expect(nameOf(await asker.ask(QUESTION))).toEqual(named(1))
    expect(asked).toHaveLength(1)
  })

  it('twice is not paid for again in the same run, and tried anew in the next one', async () => {
    const { asked, run } = await world(n => (n < 5 ? bad : subjects))
    const first = await run()
    for (const _ of [1, 2]) expect(await first.ask(QUESTION)).toHaveProperty('unusable')
    expect(asked).toHaveLength(2)
    expect(await (await run()).ask(QUESTION)).toHaveProperty('unusable')
    expect(asked).toHaveLength(4)
    const third = await run()
    expect(nameOf(await third.ask(QUESTION))).toEqual(named(1))
    expect(third.spending().requests).toBe(1)
    expect(nameOf(await (await run()).ask(QUESTION))).toEqual(named(1))
    expect(asked).toHaveLength(5)
  })

  it('is sent back no longer than it was expected, nor cut within a character', async () => {
    const { asked, run } = await world(n => (n === 1 ? says(`${'x'.repeat(399)}😀${'y'.repeat(50_000)}`) : subjects))
    await (await run()).ask(QUESTION)
    expect(asked[1].body.messages[2].content).toBe('x'.repeat(399))
  })

  it('and an empty one is sent back as something, which some servers insist on', async () => {
    const { asked, run } = await world(n => (n === 1 ? says('') : subjects))
    await (await run()).ask(QUESTION)
    expect(asked[1].body.messages[2].content).toBe('{}')
  })
})

describe('a question that the server refuses', () => {
  const filtered = refuses(403, {}, 'Content violates usage guidelines')
  const refused = {
    unusable: expect.stringMatching(/^127\.0\.0\.1:\d+ refuses: 403 no, \[key\]: Content violates/),
    paid: false,
  }

  it('is of no use, costs the others nothing, is asked once in this run and anew in the next', async () => {
    const { asked, store, run } = await world((_, { ids }) => (ids[0] === 2 ? filtered : subjects))
    const first = await run()
    const outcomes = await Promise.all([1, 2, 3].map(id => first.ask(questionAbout(id))))
    expect(outcomes.map(nameOf)).toEqual([named(1), refused, named(3)])
    expect(await first.ask(questionAbout(2))).toEqual(refused)
    expect(asked).toHaveLength(3)
    expect(store.rows.size).toBe(2)
    expect(first.spending().requests).toBe(2)
    expect(await (await run()).ask(questionAbout(2))).toEqual(refused)
    expect(asked).toHaveLength(4)
  })

  it('at its second request has its first answer kept, and the next run goes on there', async () => {
    const { asked, store, run } = await world(n => (n === 1 ? bad : n === 2 ? filtered : subjects))
    expect(await (await run()).ask(QUESTION)).toEqual(refused)
    expect(store.rows.size).toBe(1)
    expect(nameOf(await (await run()).ask(QUESTION))).toEqual(named(1))
    expect(asked[2].body).toEqual(asked[1].body)
  })
})

describe('a run that is killed', () => {
  it('after an unusable answer leaves it paid for: the next run goes on with what was wrong', async () => {
    const { server, asked, store, run } = await world(n => (n === 1 ? bad : n === 2 ? hangs : subjects))
    const killed = (await run()).ask(QUESTION)
    killed.catch(() => {}) // its request is never answered; nobody waits for it
    await server.request(2)
    expect(store.rows.size).toBe(1)
    const next = await run()
    expect(nameOf(await next.ask(QUESTION))).toEqual(named(1))
    expect(asked).toHaveLength(3)
    expect(asked[2].body).toEqual(asked[1].body)
    expect(next.spending().requests).toBe(1)
  })

  it('between two unusable answers leaves one request of that try, and no more, to the next run', async () => {
    const { server, asked, run } = await world(n => (n === 2 ? hangs : bad))
    const killed = (await run()).ask(QUESTION)
    killed.catch(() => {})
    await server.request(2)
    expect(await (await run()).ask(QUESTION)).toHaveProperty('unusable')
    expect(asked).toHaveLength(3)
  })

  it('at any moment after an answer was kept never pays for it again', async () => {
    // Four questions, two of which are answered badly at first; the process dies after so many answers were kept.
    const questions = [1, 2, 3, 4].map(id => questionAbout(id))
    for (let deaths = 0; deaths <= 6; deaths++) {
      const seen = new Set<string>()
      const { asked, store, run } = await world((_, { body, ids }) => {
        const again = body.messages.length > 2
        const request = JSON.stringify(body.messages)
        expect(seen).not.toContain(request)
        seen.add(request)
        return !again && ids[0] % 2 === 0 ? bad : subjects
      })
      const dying: AnswerStore = {
        ...store,
        async find(hash) {
          if (store.rows.size === deaths) throw new Error('killed')
          return await store.find(hash)
        },
      }
      const first = await run({ QUARTERDECK_CHAT_CONCURRENCY: '1' }, dying)
      for (const question of questions) await first.ask(question).catch(() => {})
      expect(store.rows.size).toBe(deaths)
      const second = await run()
      const outcomes = await Promise.all(questions.map(question => second.ask(question)))
      expect(outcomes.map(nameOf)).toEqual([1, 2, 3, 4].map(id => named(id)))
      expect(asked).toHaveLength(6)
      expect(second.spending().requests).toBe(6 - deaths)
    }
  })

  it('while its answer could not be kept fails, and does not go on as if it had been', async () => {
    const { run, store, asked } = await world(() => subjects)
    const full: AnswerStore = { ...store, keep: () => Promise.reject(new Error('the disk is full')) }
    expect((await failureOf((await run({}, full)).ask(QUESTION))).message).toBe('the disk is full')
    expect(asked).toHaveLength(1)
  })

  it('does not pay without end where a store forgets what it is given', async () => {
    const { run, store, asked } = await world(() => subjects)
    const forgetful: AnswerStore = { ...store, keep: async () => {} }
    expect(await (await run({}, forgetful)).ask(QUESTION)).toHaveProperty('unusable')
    expect(asked).toHaveLength(2)
  })
})

describe('what answers cost', () => {
  const billed = (ticks?: number): Reaction => says('{"topics":[]}', { usage: usage(ticks) })
  const usage = (ticks?: number) => ({
    prompt_tokens: 400,
    completion_tokens: 100,
    ...(ticks !== undefined && { cost_in_usd_ticks: ticks }),
  })
  // 400 in and 100 out are 0.1 + 0.1 dollars.
  const PRICE = { QUARTERDECK_CHAT_PRICE: '250/1000' }

  it('is what the server billed, else what tokens cost by the price, and is kept', async () => {
    const { store, run } = await world(n => billed(n === 1 ? 5e9 : undefined))
    const asker = await run(PRICE)
    await asker.ask(questionAbout(1))
    await asker.ask(questionAbout(2))
    expect([...store.rows.values()].map(({ dollars }) => dollars)).toEqual([0.5, 0.2])
    expect(asker.spending().dollars).toBeCloseTo(0.7, 12)
  })

  it('ends where the limit would be passed: what is kept is still given, and what is under way is kept', async () => {
    const { server, asked, store, settings, run } = await world(n => billed(n === 1 ? 1e9 : 2e9))
    const limited = { ...PRICE, QUARTERDECK_CHAT_DOLLARS: '0.3' }
    const asker = await run(limited)
    expect(nameOf(await asker.ask(questionAbout(1)))).toEqual({ topics: [] })
    // It has cost no more than it was to; the second is under way, and what it is expected to cost is set aside.
    const { dollars } = await foresee(questionAbout(2), settings(limited), store)
    expect(0.1 + Number(dollars)).toBeLessThan(0.3)
    expect(0.1 + 2 * Number(dollars)).toBeGreaterThan(0.3)
    server.hold()
    const second = asker.ask(questionAbout(2))
    await server.request(2)
    expect(await asker.ask(questionAbout(3))).toEqual({ overLimit: true })
    server.release()
    expect(nameOf(await second)).toEqual({ topics: [] })
    expect(store.rows.size).toBe(2)
    // In another run as well: it goes by what the quarter has cost, and not by what the run has.
    const next = await run(limited)
    expect(await next.ask(questionAbout(3))).toEqual({ overLimit: true })
    expect(nameOf(await next.ask(questionAbout(1)))).toEqual({ topics: [] })
    expect(asked).toHaveLength(2)
    const richer = await run({ ...PRICE, QUARTERDECK_CHAT_DOLLARS: '0.65' })
    expect(nameOf(await richer.ask(questionAbout(3)))).toEqual({ topics: [] })
    expect(asked).toHaveLength(3)
  })

  it('forbids a second request like a first, and the next run with more goes on there', async () => {
    const { asked, run } = await world(n => (n === 1 ? says('no', { usage: usage(5e9) }) : subjects))
    expect(await (await run({ ...PRICE, QUARTERDECK_CHAT_DOLLARS: '0.5' })).ask(QUESTION)).toEqual({ overLimit: true })
    expect(asked).toHaveLength(1)
    expect(nameOf(await (await run({ ...PRICE, QUARTERDECK_CHAT_DOLLARS: '5' })).ask(QUESTION))).toEqual(named(1))
    expect(asked).toHaveLength(2)
  })

  it('cannot be limited where nobody knows a price', async () => {
    const { settings, asked } = await world(() => subjects)
    const error = await refusalOf(openAsker(settings({ QUARTERDECK_CHAT_DOLLARS: '5' }), memory()))
    expect(error.message).toContain('what grok-test costs is not known')
    expect(error.hint).toContain('export QUARTERDECK_CHAT_PRICE=')
    expect(asked).toHaveLength(0)
  })

  it('is held where each answer costs ten times what was expected, however many are asked at once', async () => {
    const { asked, store, settings, run } = await world(() => billed(1.2e10))
    const limited = { ...PRICE, QUARTERDECK_CHAT_DOLLARS: '4', QUARTERDECK_CHAT_CONCURRENCY: '16' }
    const { dollars } = await foresee(questionAbout(1), settings(limited), store)
    expect(1.2 / Number(dollars)).toBeGreaterThan(9)
    const asker = await run(limited)
    const outcomes = await Promise.all(Array.from({ length: 14 }, (_, i) => asker.ask(questionAbout(i))))
    expect(outcomes.filter(outcome => 'overLimit' in outcome)).toHaveLength(11)
    expect(asked).toHaveLength(3)
    expect(await store.spent(undefined)).toBeCloseTo(3.6, 12)
  })

  it('is passed by two askers at once by what they have in flight, and by no more', async () => {
    const { server, asked, store, run } = await world(() => billed(2e9))
    const limited = { ...PRICE, QUARTERDECK_CHAT_DOLLARS: '0.3' }
    const askers = [await run(limited), await run(limited)]
    server.hold()
    const asking = [1, 2, 3, 4, 5, 6].map(id => askers[id % 2].ask(questionAbout(id)))
    await server.request(2)
    server.release()
    const outcomes = await Promise.all(asking)
    expect(outcomes.filter(outcome => 'answer' in outcome)).toHaveLength(2)
    expect(asked).toHaveLength(2)
    expect(await store.spent(undefined)).toBeCloseTo(0.4, 12)
    for (const asker of askers) expect(await asker.ask(questionAbout(7))).toEqual({ overLimit: true })
  })
})

describe('what is foreseen', () => {
  const PRICED = { QUARTERDECK_CHAT_PRICE: '4/8' }
  const promptTokens = Math.ceil((QUESTION.system + QUESTION.user + JSON.stringify(SCHEMA)).length / 4)

  it('needs no key and asks nobody', async () => {
    const settings = readSettings({ QUARTERDECK_CHAT_MODEL: 'grok-test', ...PRICED })
    expect(await foresee(QUESTION, settings, memory())).toEqual({
      kept: false,
      promptTokens,
      completionTokens: 100,
      dollars: (promptTokens * 4 + 100 * 8) / 1e6,
    })
    const unknown = readSettings({ QUARTERDECK_CHAT_MODEL: 'grok-test' })
    expect((await foresee(QUESTION, unknown, memory())).dollars).toBeNull()
  })

  it('is nothing for an answer that is kept, and a second request where the first answer is of no use', async () => {
    const { store, settings, run } = await world(n => (n === 1 ? bad : n === 2 ? refuses(401) : subjects))
    await failureOf((await run()).ask(QUESTION))
    const half = await foresee(QUESTION, settings(PRICED), store)
    expect(half.kept).toBe(false)
    expect(half.promptTokens).toBeGreaterThan(promptTokens)
    await (await run()).ask(QUESTION)
    expect(await foresee(QUESTION, settings(PRICED), store)).toEqual({
      kept: true,
      promptTokens: 0,
      completionTokens: 0,
      dollars: 0,
    })
  })
})

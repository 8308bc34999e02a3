// Chat against a real HTTP server on this machine: what it answers, refuses, delays, cuts and never ends.

import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { UserError } from '../../lib/errors.ts'
import { type Chat, type ChatOptions, openChat, type Question, type Reply } from '../../lib/model/chat.ts'
import {
  type Asked,
  breaksOff,
  type ChatServer,
  dropsConnection,
  hangs,
  knowsNoSuchModel,
  type Reaction,
  refuses,
  type ServerOptions,
  says,
  sends,
  sendsHalf,
  startChatServer,
  trickles,
} from '../chat-server.ts'
import { failureOf } from '../refusal.ts'
import { madeUpClock } from './made-up-clock.ts'

const KEY = 'xai-secret-0123456789'
const QUESTION: Question = {
  messages: [
    { role: 'system', content: 'You name topics.' },
    { role: 'user', content: 'Name these.' },
  ],
  schemaName: 'topics',
  schema: {
    type: 'object',
    required: ['topics'],
    additionalProperties: false,
    properties: { topics: { type: 'array', items: { type: 'string' } } },
  },
  answerTokens: 100,
}

const well = says('{"topics":["Buybacks"]}')

const servers: ChatServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

/** Starts a server that does with the n-th request what `behave` says, and a chat with it. */
async function chatWith(
  behave: (n: number) => Reaction,
  options: Partial<ChatOptions> = {},
  serverOptions: ServerOptions = {},
): Promise<{ chat: Chat; asked: Asked[]; server: ChatServer }> {
  const server = await startChatServer(asked => behave(asked.number), serverOptions)
  servers.push(server)
  const { url, asked } = server
  // Waits a thousand times shorter than in earnest.
  const given = {
    timeoutSeconds: 60,
    url,
    key: KEY,
    model: 'a-model',
    requestsPerSecond: 1000,
    tokensPerMinute: 1e9,
    firstWaitSeconds: 0.001,
  }
  return { chat: openChat({ ...given, ...options }), asked, server }
}

async function failure(work: Promise<unknown>): Promise<Error> {
  const error = await failureOf(work)
  // Whatever went wrong: neither message, hint, cause nor any other field may hold the key.
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(KEY)
  return error
}

/** The answer to a question that has one. */
async function replyOf(chat: Chat): Promise<Reply> {
  const reply = await chat.ask(QUESTION)
  if ('unusable' in reply) throw new Error(reply.unusable)
  return reply
}

describe('a question', () => {
  it('is asked with its schema and answered with the raw answer, counts and the model that answered', async () => {
    const { chat, asked } = await chatWith(() => well)
    expect(await chat.ask(QUESTION)).toEqual({
      raw: '{"topics":["Buybacks"]}',
      promptTokens: 1000,
      completionTokens: 100,
      dollars: null,
      model: 'grok-test-1',
    })
    expect(asked[0]).toMatchObject({
      path: '/v1/chat/completions',
      authorization: `Bearer ${KEY}`,
      body: {
        model: 'a-model',
        messages: [
          { role: 'system', content: 'You name topics.' },
          { role: 'user', content: 'Name these.' },
        ],
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'topics', strict: true, schema: QUESTION.schema },
        },
      },
    })
  })

  it('starts no sooner than the rate of requests allows', async () => {
    const clock = madeUpClock()
    const starts: number[] = []
    const { chat } = await chatWith(
      () => {
        starts.push(clock.now())
        return well
      },
      { requestsPerSecond: 20, clock },
    )
    for (const _ of [1, 2, 3, 4, 5]) await chat.ask(QUESTION)
    expect(starts).toEqual([1000, 1050, 1100, 1150, 1200])
  })

  it('starts no sooner than the rate of tokens allows, by what the answers before it really took', async () => {
    const clock = madeUpClock()
    const starts: number[] = []
    const { chat } = await chatWith(
      n => {
        starts.push(clock.now())
        return says('{}', { usage: { prompt_tokens: 10, completion_tokens: n === 1 ? 40 : 490 } })
      },
      { tokensPerMinute: 1000, clock }, // one in 60 ms
    )
    for (const _ of [1, 2, 3]) await chat.ask(QUESTION)
    expect(starts).toEqual([1000, 1000 + 50 * 60, 1000 + 550 * 60])
  })
})

describe('what an answer took', () => {
  const reply = async (more: Record<string, unknown>, content = '{"topics":[]}') =>
    await replyOf((await chatWith(() => says(content, more))).chat)

  it('is what the server billed, where it says so', async () => {
    const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100, cost_in_usd_ticks: 37_756_000 }
    expect((await reply({ usage })).dollars).toBe(0.0037756)
  })

  it.each([
    // As OpenAI counts, and as xAI does (prompt 32, answer 9, thought 94 in its own example).
    ['inside the answer', { prompt_tokens: 32, completion_tokens: 103, total_tokens: 135 }],
    ['beside the answer', { prompt_tokens: 32, completion_tokens: 9, total_tokens: 135 }],
  ])('counts what the model thought before it answered: %s', async (_, counts) => {
    const usage = { ...counts, completion_tokens_details: { reasoning_tokens: 94 } }
    expect(await reply({ usage })).toMatchObject({ promptTokens: 32, completionTokens: 103 })
  })

  it.each([
    ['no usage', undefined],
    ['null', null],
    ['nonsense', { prompt_tokens: -1, completion_tokens: 'many', total_tokens: 0.5, cost_in_usd_ticks: 'cheap' }],
    ['no count that fits a database', { prompt_tokens: 2 ** 40, completion_tokens: 2 ** 40, total_tokens: 2 ** 41 }],
  ])('is guessed from the texts where the server gives %s', async (_, usage) => {
    const { promptTokens, completionTokens, dollars } = await reply({ usage }, 'x'.repeat(40))
    expect({ promptTokens, completionTokens, dollars }).toEqual({
      promptTokens: 7,
      completionTokens: 10,
      dollars: null,
    })
  })

  it('comes with an answer that can be stored, whatever is in it, and without the key', async () => {
    const { raw, model } = await reply({ model: `\0${KEY}` }, `a\0b\ud800c ${KEY}`)
    expect({ raw, model }).toEqual({ raw: 'a\ufffdb\ufffdc [key]', model: '\ufffd[key]' })
    expect((await reply({ model: null }, '')).model).toBe('a-model')
  })

  it.each(['none', 'EMPTY', 'ollama', 'x'])('keeps its words where the key is %s, which is none', async key => {
    const { chat } = await chatWith(() => says(`${key} taken`, { model: `${key}/llama` }), { key })
    expect(await replyOf(chat)).toMatchObject({ raw: `${key} taken`, model: `${key}/llama` })
  })
})

describe('trouble that passes', () => {
  it.each([429, 408, 409, 500, 502, 503])('such as %i is asked again', async status => {
    const { chat, asked } = await chatWith(n => (n < 3 ? refuses(status) : well))
    expect((await replyOf(chat)).raw).toBe('{"topics":["Buybacks"]}')
    expect(asked).toHaveLength(3)
  })

  it('holds everybody back for as long as Retry-After says', async () => {
    const clock = madeUpClock()
    const starts: number[] = []
    const { chat } = await chatWith(
      n => {
        starts.push(clock.now())
        return n === 1 ? refuses(429, { 'retry-after': '90' }) : well
      },
      { clock },
    )
    await chat.ask(QUESTION)
    await chat.ask(QUESTION)
    expect(starts[0]).toBe(1000)
    expect(starts[1]).toBe(91_000)
    expect(starts[2]).toBeCloseTo(91_001, 6)
  })

  it('understands a Retry-After that is a date, by the server’s clock', async () => {
    const clock = madeUpClock()
    const headers = { date: 'Tue, 01 Jan 2030 00:00:00 GMT', 'retry-after': 'Tue, 01 Jan 2030 00:02:00 GMT' }
    const { chat } = await chatWith(n => (n === 1 ? refuses(503, headers) : well), { clock })
    await chat.ask(QUESTION)
    expect(clock.now()).toBe(121_000)
  })

  it('waits twice as long each time where the server names no time, half of it by chance of the question', async () => {
    const clock = madeUpClock()
    const { chat } = await chatWith(n => (n < 7 ? refuses(500) : well), { clock, firstWaitSeconds: 1 })
    await chat.ask(QUESTION)
    const waits = clock.slept.filter(ms => ms > 1)
    expect(waits).toHaveLength(6)
    waits.forEach((ms, i) => {
      expect(ms).toBeGreaterThanOrEqual(500 * 2 ** i)
      expect(ms).toBeLessThanOrEqual(1000 * 2 ** i)
    })
  })

  it('ends after seven attempts, with the last reason', async () => {
    const { chat, asked } = await chatWith(() => refuses(500))
    const error = await failure(chat.ask(QUESTION))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain('7 attempts; the last time: 500 no, [key]: this will not do')
    expect(asked).toHaveLength(7)
  })

  it('may be a connection that is cut, before or within the answer, or half an answer', async () => {
    const { chat, asked } = await chatWith(n => [dropsConnection, breaksOff, sendsHalf, well][n - 1])
    await chat.ask(QUESTION)
    expect(asked).toHaveLength(4)
    expect(await Promise.all(asked.map(one => one.sent))).toEqual([false, false, true, true])
  })

  it('may be a server that never answers, or that trickles without end', async () => {
    // Long enough that a good answer comes within it on a machine that does much else.
    const { chat, asked } = await chatWith(n => [hangs, trickles, well][n - 1], { timeoutSeconds: 2 })
    expect((await replyOf(chat)).raw).toBe('{"topics":["Buybacks"]}')
    // The first two connections are given up, and not left open.
    expect(await Promise.all(asked.map(one => one.sent))).toEqual([false, false, true])
  })

  it('tells the time limit when nothing ever comes', async () => {
    const { chat } = await chatWith(() => hangs, { timeoutSeconds: 0.05 })
    expect((await failure(chat.ask(QUESTION))).message).toContain('no whole answer within 0.05 s')
  })

  it('tells that nobody listens', async () => {
    const { chat, server } = await chatWith(() => well)
    await server.close()
    expect((await failure(chat.ask(QUESTION))).message).toMatch(/127\.0\.0\.1:\d+ gave no answer .*ECONNREFUSED/)
  })
})

describe('trouble that stays', () => {
  it.each([
    [400, 'XAI_API_KEY'],
    [403, 'XAI_API_KEY'],
    [422, 'XAI_API_KEY'],
  ])('such as %i before anything was answered is told at once and ends all that is asked later', async (status, hint) => {
    const { chat, asked } = await chatWith(n => (n === 1 ? refuses(status) : well))
    const error = await failure(chat.ask(QUESTION))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain(`refuses: ${status} no, [key]: this will not do`)
    expect((error as UserError).hint).toContain(hint)
    expect(await failure(chat.ask(QUESTION))).toBe(error)
    expect(asked).toHaveLength(1)
  })

  it.each([
    [401, 'this will not do', 'XAI_API_KEY'],
    [402, 'this will not do', 'credit'],
    [404, 'this will not do', 'QUARTERDECK_CHAT_MODEL'],
    [405, 'this will not do', 'QUARTERDECK_CHAT_URL'],
    [400, 'Incorrect API key provided: xa***ef.', 'XAI_API_KEY'],
    [400, 'API key not valid. Please pass a valid API key.', 'XAI_API_KEY'],
    [403, 'Your API key is currently blocked.', 'XAI_API_KEY'],
  ])('such as %i, %s, ends all also when others were answered before', async (status, words, hint) => {
    const { chat, asked } = await chatWith(n => (n === 1 ? well : refuses(status, {}, words)))
    await replyOf(chat)
    const error = await failure(chat.ask(QUESTION))
    expect(error.message).toContain(`refuses: ${status} no, [key]: ${words}`)
    expect((error as UserError).hint).toContain(hint)
    expect(await failure(chat.ask(QUESTION))).toBe(error)
    expect(asked).toHaveLength(2)
  })

  it.each([
    ['OpenAI', 429, { message: 'You exceeded your quota', code: 'insufficient_quota' }],
    ['xAI', 429, 'Your team 16f2 has either used all available credits or reached its monthly spending limit.'],
    ['xAI', 403, 'You have run out of credits.'],
  ])('includes an account without credit, as %s says it with a %i', async (_, status, error) => {
    const { chat, asked } = await chatWith(() => sends(status, JSON.stringify({ error })))
    const failed = await failure(chat.ask(QUESTION))
    expect(failed).toBeInstanceOf(UserError)
    expect((failed as UserError).hint).toContain('credit')
    expect(asked).toHaveLength(1)
  })

  it('includes a Retry-After longer than a person would wait', async () => {
    const { chat } = await chatWith(() => refuses(429, { 'retry-after': '7200' }))
    expect((await failure(chat.ask(QUESTION))).message).toContain('asks to wait 7200 s')
  })

  it.each([
    ['a page', sends(200, '<html>', { 'content-type': 'text/html' })],
    ['JSON of another kind', sends(200, '{"choices":[null]}')],
  ])('includes a server that is no chat API and answers with %s', async (_, reaction) => {
    const { chat, asked } = await chatWith(() => reaction)
    expect((await failure(chat.ask(QUESTION))).message).toContain('not as a chat API does')
    expect(asked).toHaveLength(1)
  })

  it('includes an address that is none', () => {
    const options = {
      url: 'api.x.ai',
      key: KEY,
      model: 'm',
      requestsPerSecond: 1,
      tokensPerMinute: 1,
      timeoutSeconds: 1,
    }
    expect(() => openChat(options)).toThrow('QUARTERDECK_CHAT_URL')
  })
})

describe('trouble with one question', () => {
  const refusal = (status: number, words = 'this will not do') => ({
    unusable: expect.stringContaining(`refuses: ${status} no, [key]: ${words}`),
  })

  it.each([
    400, 403, 413, 422,
  ])('is a %i once something was answered: it is told, and others are asked', async status => {
    const { chat, asked } = await chatWith(n => (n % 2 === 1 ? well : refuses(status)))
    for (const _ of [1, 2, 3, 4]) {
      await replyOf(chat)
      expect(await chat.ask(QUESTION)).toEqual(refusal(status))
    }
    expect(asked).toHaveLength(8)
  })

  it.each([
    [403, 'Content violates usage guidelines. Team: t, API key ID: k, Failed check: SAFETY_CHECK_TYPE_BIO'],
    [400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."],
    [400, "This model's maximum context length is 4096 tokens; the model was given an invalid 5000."],
    [400, "This model's maximum prompt length is 131072 but the request contains 150000 tokens."],
    [400, 'the request exceeds the available context size, try increasing it'],
    [413, 'this will not do'],
  ])('is known by the words of a %i before anything was answered, and after many: %s', async (status, words) => {
    const { chat } = await chatWith(n => (n < 6 ? refuses(status, {}, words) : well))
    for (const _ of [1, 2, 3, 4, 5]) expect(await chat.ask(QUESTION)).toEqual(refusal(status, words))
    await replyOf(chat)
  })

  it('may be seven attempts in vain, or a refusal; the third question in a row shows that it is not the question', async () => {
    const behaviour = [
      well,
      ...Array<Reaction>(7).fill(refuses(500)),
      refuses(400),
      well,
      refuses(400),
      ...Array<Reaction>(14).fill(refuses(503)),
    ]
    const { chat, asked } = await chatWith(n => behaviour[n - 1] ?? well)
    const inVain = { unusable: expect.stringContaining('7 attempts; the last time: 50') }
    await replyOf(chat)
    expect(await chat.ask(QUESTION)).toEqual(inVain)
    expect(await chat.ask(QUESTION)).toEqual(refusal(400))
    await replyOf(chat)
    expect(await chat.ask(QUESTION)).toEqual(refusal(400))
    expect(await chat.ask(QUESTION)).toEqual(inVain)
    const error = await failure(chat.ask(QUESTION))
    expect(error.message).toContain('gave no answer in 7 attempts; the last time: 503')
    expect((error as UserError).hint).toContain('run the same command again later')
    expect(await failure(chat.ask(QUESTION))).toBe(error)
    expect(asked).toHaveLength(behaviour.length)
  })
})

describe('a model that the server does not know', () => {
  const hintOf = async (reaction: Reaction, models: ServerOptions['models'], options: Partial<ChatOptions> = {}) => {
    const { chat, server } = await chatWith(() => reaction, options, { models })
    const errors = await Promise.all([1, 2, 3].map(() => failure(chat.ask(QUESTION))))
    expect(new Set(errors).size).toBe(1)
    expect(errors[0]).toBeInstanceOf(UserError)
    expect(server.listed()).toBe(1)
    return (errors[0] as UserError).hint
  }

  it.each([
    ['a 404, as xAI says it', knowsNoSuchModel],
    ['a 400 with a code', sends(400, '{"error":{"message":"no","code":"model_not_found"}}')],
    ['a 400 with words', sends(400, '{"code":"invalid argument","error":"Model not found: a-model"}')],
  ])('is told with those that it does, asked for once: %s', async (_, reaction) => {
    expect(await hintOf(reaction, ['grok-a', 'grok-b'])).toBe(
      'choose one of grok-a, grok-b: export QUARTERDECK_CHAT_MODEL=grok-a',
    )
  })

  it('is told with names only: neither the key nor what a shell would run, and no more than can be read', async () => {
    const models = [`grok-${KEY}`, 'grok; rm -rf /', '$(id)', ...Array.from({ length: 40 }, (_, i) => `grok-${i + 1}`)]
    const hint = await hintOf(knowsNoSuchModel, models)
    expect(hint).toMatch(/^choose one of grok-\[key\], grok-1, .*grok-19, …: export QUARTERDECK_CHAT_MODEL=/)
    expect(hint).not.toMatch(/[;$]|grok-20/)
  })

  it.each<[string, ServerOptions['models'], Partial<ChatOptions>]>([
    ['refused', refuses(500), {}],
    ['cut off', dropsConnection, {}],
    ['a page', sends(200, '<html>', { 'content-type': 'text/html' }), {}],
    ['of another form', sends(200, '{"data":[null,{"id":7},{}]}'), {}],
    ['empty', [], {}],
    ['never given', hangs, { timeoutSeconds: 2 }],
    ['one with the model in it', ['a-model', 'grok-b'], {}],
  ])('is told without them where the list is %s', async (_, models, options) => {
    const hint = await hintOf(knowsNoSuchModel, models, options)
    expect(hint).toBe('check QUARTERDECK_CHAT_MODEL (a-model) and QUARTERDECK_CHAT_URL')
  })
})

// Chat against a real HTTP server on this machine: what it answers, refuses, delays, cuts and never ends.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { UserError } from '../../lib/errors.ts'
import { BadAnswer, type Chat, type ChatOptions, openChat, type Question } from '../../lib/model/chat.ts'
import { failureOf } from '../refusal.ts'
import { madeUpClock } from './made-up-clock.ts'

const KEY = 'xai-secret-0123456789'
const QUESTION: Question = {
  system: 'You name topics.',
  user: 'Name these.',
  schemaName: 'topics',
  schema: {
    type: 'object',
    required: ['topics'],
    additionalProperties: false,
    properties: { topics: { type: 'array', items: { type: 'string' } } },
  },
}

type Received = { path: string; authorization: string; body: Record<string, unknown> }
type Handler = (response: ServerResponse, request: number, received: Received) => void

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** Starts a server that answers the n-th request as `handler` says, and a chat with it. */
async function chatWith(
  handler: Handler,
  options: Partial<ChatOptions> = {},
): Promise<{ chat: Chat; received: Received[] }> {
  const received: Received[] = []
  server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const entry = {
      path: request.url ?? '',
      authorization: request.headers.authorization ?? '',
      body: JSON.parse(text),
    }
    received.push(entry)
    handler(response, received.length, entry)
  })
  const listening = server
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}/v1`
  // Waits a thousand times shorter than in earnest.
  const given = { url, key: KEY, model: 'a-model', concurrency: 4, requestsPerSecond: 1000, firstWaitSeconds: 0.001 }
  return { chat: openChat({ ...given, ...options }), received }
}

function completion(content: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    model: 'a-model-0709',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content }, ...more }],
    usage: { prompt_tokens: 100, completion_tokens: 20 },
  })
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

function good(response: ServerResponse): void {
  send(response, 200, completion('{"topics":["Buybacks"]}'))
}

/** An error as servers send it, with the key in it, as careless servers do. */
function bad(response: ServerResponse, status: number, headers: Record<string, string> = {}, code = 'some_code'): void {
  send(response, status, JSON.stringify({ error: { message: `no, ${KEY} will not do`, code, key: KEY } }), headers)
}

async function failure(work: Promise<unknown>): Promise<Error> {
  const error = await failureOf(work)
  // Whatever went wrong: neither message, hint, cause nor any other field may hold the key.
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(KEY)
  return error
}

describe('a question', () => {
  it('is asked with its schema and answered with parsed JSON and counts', async () => {
    const { chat, received } = await chatWith(good)
    expect(await chat.ask(QUESTION)).toEqual({
      answer: { topics: ['Buybacks'] },
      raw: '{"topics":["Buybacks"]}',
      promptTokens: 100,
      completionTokens: 20,
      model: 'a-model-0709',
    })
    expect(received[0]).toMatchObject({
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

  it('is one of at most so many in flight', async () => {
    const open: ServerResponse[] = []
    let most = 0
    const { chat } = await chatWith(
      response => {
        most = Math.max(most, open.push(response))
        // Answered three at a time: with fewer in flight this would never end.
        if (open.length === 3) setTimeout(() => open.splice(0).forEach(good), 20)
      },
      { concurrency: 3 },
    )
    await Promise.all(Array.from({ length: 12 }, () => chat.ask(QUESTION)))
    expect(most).toBe(3)
  })

  it('starts no sooner than the rate allows', async () => {
    const clock = madeUpClock()
    const starts: number[] = []
    const { chat } = await chatWith(
      response => {
        starts.push(clock.now())
        good(response)
      },
      { requestsPerSecond: 20, concurrency: 1, clock },
    )
    await Promise.all(Array.from({ length: 5 }, () => chat.ask(QUESTION)))
    expect(starts).toEqual([1000, 1050, 1100, 1150, 1200])
  })

  it('can be called off while it waits for its answer', async () => {
    const { chat } = await chatWith(() => {})
    const aborter = new AbortController()
    const work = failure(chat.ask({ ...QUESTION, signal: aborter.signal }))
    setTimeout(() => aborter.abort(), 50)
    expect((await work).name).toBe('AbortError')
  })
})

describe('trouble that passes', () => {
  it.each([429, 408, 409, 500, 502, 503])('such as %i is asked again', async status => {
    const { chat, received } = await chatWith((response, n) => (n < 3 ? bad(response, status) : good(response)))
    expect((await chat.ask(QUESTION)).answer).toEqual({ topics: ['Buybacks'] })
    expect(received).toHaveLength(3)
  })

  it('holds everybody back for as long as Retry-After says', async () => {
    const clock = madeUpClock()
    const starts: number[] = []
    const { chat } = await chatWith(
      (response, n) => {
        starts.push(clock.now())
        if (n === 1) bad(response, 429, { 'retry-after': '90' })
        else good(response)
      },
      { concurrency: 1, clock },
    )
    await Promise.all([chat.ask(QUESTION), chat.ask(QUESTION)])
    expect(starts).toEqual([1000, 91_000, 91_001])
  })

  it('understands a Retry-After that is a date, by the server’s clock', async () => {
    const clock = madeUpClock()
    const headers = { date: 'Tue, 01 Jan 2030 00:00:00 GMT', 'retry-after': 'Tue, 01 Jan 2030 00:02:00 GMT' }
    const { chat } = await chatWith((response, n) => (n === 1 ? bad(response, 503, headers) : good(response)), {
      clock,
    })
    await chat.ask(QUESTION)
    expect(clock.now()).toBe(121_000)
  })

  it('waits twice as long each time where the server names no time, half of it by chance of the question', async () => {
    const clock = madeUpClock()
    const { chat } = await chatWith((response, n) => (n < 7 ? bad(response, 500) : good(response)), {
      clock,
      firstWaitSeconds: 1,
    })
    await chat.ask(QUESTION)
    const waits = clock.slept.filter(ms => ms > 1)
    expect(waits).toHaveLength(6)
    waits.forEach((ms, i) => {
      expect(ms).toBeGreaterThanOrEqual(500 * 2 ** i)
      expect(ms).toBeLessThanOrEqual(1000 * 2 ** i)
    })
  })

  it('ends after seven attempts, with the last reason', async () => {
    const { chat, received } = await chatWith(response => bad(response, 500))
    const error = await failure(chat.ask(QUESTION))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain('7 attempts; the last time: 500 no, [key] will not do')
    expect(received).toHaveLength(7)
  })

  it('may be a connection that is cut, before or within the answer', async () => {
    const { chat, received } = await chatWith((response, n) => {
      if (n === 1) response.destroy()
      else if (n === 2) {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' }).write('{"choices":')
        setTimeout(() => response.destroy(), 10)
      } else if (n === 3) send(response, 200, '{"choices":[{"mess')
      else good(response)
    })
    await chat.ask(QUESTION)
    expect(received).toHaveLength(4)
  })

  it('may be a server that never answers, or that trickles without end', async () => {
    const givenUp: number[] = []
    const { chat, received } = await chatWith(
      (response, n) => {
        response.on('close', () => {
          if (!response.writableFinished) givenUp.push(n)
        })
        if (n === 1) return
        if (n > 2) return good(response)
        response.writeHead(200, { 'content-type': 'application/json' })
        const trickle = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(trickle))
      },
      // Long enough that a good answer comes within it on a machine that does much else.
      { timeoutSeconds: 2 },
    )
    expect((await chat.ask(QUESTION)).answer).toEqual({ topics: ['Buybacks'] })
    expect(givenUp).toEqual([1, 2])
    expect(received).toHaveLength(3)
  })

  it('tells the time limit when nothing ever comes', async () => {
    const { chat } = await chatWith(() => {}, { timeoutSeconds: 0.05 })
    expect((await failure(chat.ask(QUESTION))).message).toContain('no whole answer within 0.05 s')
  })

  it('tells that nobody listens', async () => {
    const { chat } = await chatWith(good)
    server?.close()
    expect((await failure(chat.ask(QUESTION))).message).toMatch(/127\.0\.0\.1:\d+ gave no answer .*ECONNREFUSED/)
  })
})

describe('trouble that stays', () => {
  it.each([
    [400, 'XAI_API_KEY'],
    [401, 'XAI_API_KEY'],
    [403, 'XAI_API_KEY'],
    [404, 'QUARTERDECK_CHAT_MODEL (a-model)'],
    [402, 'credit'],
  ])('such as %i is told at once and stops all that wait', async (status, hint) => {
    const { chat, received } = await chatWith(response => bad(response, status), { concurrency: 1 })
    const errors = await Promise.all([1, 2, 3, 4].map(() => failure(chat.ask(QUESTION))))
    for (const error of errors) {
      expect(error).toBeInstanceOf(UserError)
      expect(error.message).toContain(`refuses: ${status} no, [key] will not do`)
      expect((error as UserError).hint).toContain(hint)
    }
    expect(received).toHaveLength(1)
    await failure(chat.ask(QUESTION))
    expect(received).toHaveLength(1)
  })

  it('includes an account without credit, though that is a 429', async () => {
    const { chat, received } = await chatWith(response => bad(response, 429, {}, 'insufficient_quota'))
    expect(await failure(chat.ask(QUESTION))).toBeInstanceOf(UserError)
    expect(received).toHaveLength(1)
  })

  it('includes a Retry-After longer than a person would wait', async () => {
    const { chat } = await chatWith(response => bad(response, 429, { 'retry-after': '7200' }))
    expect((await failure(chat.ask(QUESTION))).message).toContain('asks to wait 7200 s')
  })

  it('includes a server that is no chat API', async () => {
    const { chat, received } = await chatWith(response =>
      send(response, 200, '<html>', { 'content-type': 'text/html' }),
    )
    expect((await failure(chat.ask(QUESTION))).message).toContain('not as a chat API does')
    expect(received).toHaveLength(1)
  })

  it('includes an address that is none', () => {
    const options = { url: 'api.x.ai', key: KEY, model: 'm', concurrency: 1, requestsPerSecond: 1 }
    expect(() => openChat(options)).toThrow('QUARTERDECK_CHAT_URL')
  })
})

describe('an answer that does not fit', () => {
  it('is asked for once more, with what was wrong, and both are counted', async () => {
    const { chat, received } = await chatWith((response, n) =>
      send(response, 200, completion(n === 1 ? '{"topics":[1]}' : '{"topics":[]}')),
    )
    const { answer, promptTokens, completionTokens } = await chat.ask(QUESTION)
    expect({ answer, promptTokens, completionTokens }).toEqual({
      answer: { topics: [] },
      promptTokens: 200,
      completionTokens: 40,
    })
    const messages = received[1].body.messages as { role: string; content: string }[]
    expect(messages).toHaveLength(3)
    expect(messages[2].content).toContain('the answer.topics[0] is number, not string')
  })

  it.each([
    ['no JSON', completion(`{"topics": oh, and your key is ${KEY}`), 'it is not JSON'],
    ['empty', completion(''), 'it was empty'],
    ['a refusal', completion('', { message: { content: null, refusal: 'no' } }), 'it was empty'],
    ['too long', completion('{"topics":[]}', { finish_reason: 'length' }), 'too long'],
    ['of another form', completion('{"themes":[]}'), 'the answer has no topics'],
  ])('twice is a BadAnswer when it is %s, and others are still asked', async (_, body, reason) => {
    const { chat, received } = await chatWith((response, n) => (n < 3 ? send(response, 200, body) : good(response)))
    const error = await failure(chat.ask(QUESTION))
    expect(error).toBeInstanceOf(BadAnswer)
    expect(error.message).toContain(reason)
    expect(received).toHaveLength(2)
    expect((await chat.ask(QUESTION)).answer).toEqual({ topics: ['Buybacks'] })
  })
})

// A chat API of the tests' own: real HTTP on a port of this machine that speaks /v1/chat/completions and /v1/models.
// What it answers, a test says for each request; it keeps what it was asked, and whether each answer went out whole.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A topic or a theme in a question. */
export type Entry = {
  id: number
  keywords: string[]
  sentences?: string[]
  topics?: { firm: string; name: string; summary: string }[]
  /** Of one that goes back, what was wrong with its name. */
  refused?: unknown
}

export type Asked = {
  /** The first is 1; requests for the list of models are not counted. */
  number: number
  path: string
  authorization: string
  body: { model: string; messages: { role: string; content: string }[]; [more: string]: unknown }
  /** What the schema of the answer is a list of. */
  kind: 'topics' | 'themes'
  /** What is to be named, as the last <data> block shows it. */
  data: Entry[]
  ids: number[]
  /** When the answer was handed over whole, in ms of performance.now(); undefined while it is not, or never was. */
  sentAt?: number
  /** True as soon as it was handed over whole; false when the connection ended before. */
  sent: Promise<boolean>
}

/** What the server does with one request: the ready ones follow, and a test may write others. */
export type Reaction = (response: ServerResponse, asked: Asked) => void

export type ChatServer = {
  url: string
  asked: Asked[]
  /** How often the list of models was asked for. */
  listed(): number
  /** The request of that number, as soon as it has come. */
  request(number: number): Promise<Asked>
  /** Answers wait from now on, and requests go on coming in, until `release`. */
  hold(): void
  release(): void
  close(): Promise<void>
}

export type ServerOptions = {
  /** Names that GET /v1/models lists, or what it does instead. */
  models?: readonly string[] | Reaction
}

export async function startChatServer(
  behave: (asked: Asked) => Reaction,
  { models = ['grok-test', 'grok-other'] }: ServerOptions = {},
): Promise<ChatServer> {
  const asked: Asked[] = []
  const expected = new Map<number, (asked: Asked) => void>()
  let listed = 0
  let gate: { opened: Promise<void>; open(): void } | undefined
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const isQuestion = request.method === 'POST'
    const body: Asked['body'] = isQuestion ? JSON.parse(text) : { model: '', messages: [] }
    const entry: Asked = {
      number: isQuestion ? asked.length + 1 : 0,
      path: request.url ?? '',
      authorization: request.headers.authorization ?? '',
      body,
      ...soughtIn(body),
      sent: new Promise(resolve => response.on('close', () => resolve(response.writableFinished))),
    }
    response.on('finish', () => {
      entry.sentAt = performance.now()
    })
    if (!isQuestion) {
      listed++
      return (typeof models === 'function' ? models : lists(models))(response, entry)
    }
    asked.push(entry)
    expected.get(entry.number)?.(entry)
    await gate?.opened
    try {
      behave(entry)(response, entry)
    } catch (error) {
      // What is wrong in a test is to be read in its failure, and not to be waited for.
      sends(400, JSON.stringify({ error: { message: `the server of the tests failed: ${error}` } }))(response)
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    listed: () => listed,
    request: async number =>
      asked.find(one => one.number === number) ?? (await new Promise(resolve => expected.set(number, resolve))),
    hold() {
      let open = (): void => {}
      const opened = new Promise<void>(resolve => {
        open = resolve
      })
      gate ??= { opened, open }
    },
    release() {
      gate?.open()
      gate = undefined
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function soughtIn(body: Asked['body']): Pick<Asked, 'kind' | 'data' | 'ids'> {
  const blocks = body.messages
    .filter(message => message.role === 'user')
    .flatMap(({ content }) => [...content.matchAll(/<data>([\s\S]*?)<\/data>/g)].map(match => match[1]))
  const { topics, themes = [] } = JSON.parse(blocks.at(-1) ?? '{}') as { topics?: Entry[]; themes?: Entry[] }
  const data = topics ?? themes
  return { kind: topics === undefined ? 'themes' : 'topics', data, ids: data.map(({ id }) => id) }
}

// What a sound server does.

/** Answers well: names that say what the keywords say, and each of them another. */
export const subjects: Reaction = (response, asked) =>
  subjectsAs(({ id, keywords }) => `More ${keywords[0]} ${inventedWord(id)}`)(response, asked)

/** Answers with these names, and a summary for each. */
export function subjectsAs(nameOf: (entry: Entry) => string): Reaction {
  return (response, asked) => {
    const named = asked.data.map(entry => {
      const summary = `What is said about ${entry.keywords.slice(0, 3).join(', ')}.`
      return { id: entry.id, name: nameOf(entry), summary }
    })
    says(JSON.stringify({ [asked.kind]: named }))(response, asked)
  }
}

/** What a file of names has for the topic that this sentence stands for first. */
export function readNames(
  file: string,
): (sentence: string | undefined) => { name: string; summary: string } | undefined {
  const written = new Map(
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line): [string, { name: string; summary: string }] => {
        const { sentence, ...naming } = JSON.parse(line)
        return [sentence, naming]
      }),
  )
  return (sentence = '') => written.get(createHash('sha256').update(sentence).digest('hex').slice(0, 16))
}

/**
 * Answers as a language model answered once: names and summaries written down for the topics of a quarter, found by the
 * first sentence that stands for a topic, since numbers of topics may change. A theme is named by `subjects`, and so is a
 * topic that was not there then; `missing` hears of those.
 */
export function recordedNames(file: string, missing: (topic: Entry) => void = () => {}): Reaction {
  const written = readNames(file)
  return (response, asked) => {
    if (asked.kind === 'themes') return subjects(response, asked)
    const topics = asked.data.map(topic => {
      const naming = written(topic.sentences?.[0])
      if (naming === undefined) missing(topic)
      const made = {
        name: `More ${topic.keywords[0]} ${inventedWord(topic.id)}`,
        summary: `About ${topic.keywords[0]}.`,
      }
      return { id: topic.id, ...(naming ?? made) }
    })
    says(JSON.stringify({ topics }))(response, asked)
  }
}

/** A word that shares no stem with that of another id, and means nothing. */
function inventedWord(id: number): string {
  const letter = (place: number) => String.fromCharCode(97 + (place % 26))
  return `x${letter(Math.floor(id / 26))}${letter(id)}`
}

/** Answers with this content; `more` goes into the completion, such as usage or model, `choice` into its choice. */
export function says(
  content: string,
  more: Record<string, unknown> = {},
  choice: Record<string, unknown> = {},
): Reaction {
  return response => sends(200, completion(content, more, choice))(response)
}

export function completion(content: string, more: Record<string, unknown> = {}, choice: Record<string, unknown> = {}) {
  return JSON.stringify({
    id: 'a-completion',
    object: 'chat.completion',
    model: 'grok-test-1',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content }, ...choice }],
    usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 },
    ...more,
  })
}

function lists(models: readonly string[]): Reaction {
  return response =>
    sends(200, JSON.stringify({ object: 'list', data: models.map(id => ({ id, object: 'model' })) }))(response)
}

// What goes wrong in practice.

/** Refuses, with the key in its words, as careless servers do. */
export function refuses(status: number, headers: Record<string, string> = {}, message = 'this will not do'): Reaction {
  return (response, { authorization }) => {
    const key = authorization.replace(/^Bearer /, '')
    sends(
      status,
      JSON.stringify({ error: { message: `no, ${key}: ${message}`, code: 'some_code', key } }),
      headers,
    )(response)
  }
}

/** As xAI says it. */
export const knowsNoSuchModel: Reaction = (response, { body }) => {
  const error = `The model ${body.model} does not exist or your team does not have access to it.`
  sends(404, JSON.stringify({ code: 'Some requested entity was not found', error }))(response)
}

/** Names one thing less than it was asked for. */
export const namesTooFew: Reaction = (response, asked) =>
  subjects(response, { ...asked, data: asked.data.slice(0, -1) })

/** Gives two at a time the same name, which has to do with both; the last of an odd number has one of its own. */
export const namesInPairs: Reaction = (response, asked) =>
  subjectsAs(({ id }) => {
    const first = id - 1 - ((id - 1) % 2)
    const pair = asked.data.slice(first, first + 2)
    return pair.map(({ keywords }) => keywords[0].split(' ')[0]).join(' ')
  })(response, asked)

/** Names nothing: every name is empty. */
export const namesEmpty: Reaction = subjectsAs(() => ' ')

export const saysNoJson: Reaction = says('{"topics": [')

/** Drops the connection before a byte of the answer. */
export const dropsConnection: Reaction = response => {
  response.destroy()
}

/** Promises more than it sends, and drops the connection within the answer. */
export const breaksOff: Reaction = response => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' })
  response.write('{"choices":', () => response.destroy())
}

/** Sends half of an answer as if it were a whole one. */
export const sendsHalf: Reaction = response => {
  const whole = completion('{"topics":[]}')
  sends(200, whole.slice(0, whole.length / 2))(response)
}

/** Says that all is well, and then sends a space from time to time, without end. */
export const trickles: Reaction = response => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const trickle = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(trickle))
}

/** Never says a word. */
export const hangs: Reaction = () => {}

/** Does the same, so many milliseconds later. */
export function after(ms: number, reaction: Reaction): Reaction {
  return (response, asked) => {
    const timer = setTimeout(reaction, ms, response, asked)
    response.on('close', () => clearTimeout(timer))
  }
}

/** Sends anything as JSON, or under the headers given. */
export function sends(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): (response: ServerResponse) => void {
  return response => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  }
}

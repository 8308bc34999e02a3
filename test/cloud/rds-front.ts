// RDS as it is: slow. moto does at once what takes AWS minutes, so this stands in front of it, shows the states in between, refuses
// in them what RDS refuses then, and keeps a deleted instance in sight until its snapshot is made. It writes down what was asked.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startMoto } from './moto.ts'
import { type Answer, type Refusal, type Request, readRequest, refusal } from './requests.ts'

export const REGION = 'us-east-1'

export type RdsFront = {
  env: Record<string, string>
  /** Of moto itself: what is asked there is not written down, and is done at once. */
  direct: { endpoint: string; region: string; credentials: { accessKeyId: string; secretAccessKey: string } }
  asked: Request[]
  /** Actions asked since the last time, without the reading ones. */
  changes(): string[]
  /** States that the next looks at an instance find, before it is as moto has it. */
  show(...states: string[]): void
  /** States that a change leads through; by default none. */
  leadsThrough: Record<string, string[]>
  /** Elements of every instance, instead of what moto says or beside it. */
  elements: Record<string, string>
  /** The same of every snapshot. */
  snapshotElements: Record<string, string>
  refuse(action: string, refusal: Refusal, times: number, when?: (input: Request['input']) => boolean): void
  /** Called when an action is asked, and has been done by moto, but before its answer is given. */
  afterwards(action: string, what: () => unknown): void
  beforehand(action: string, what: () => unknown): void
  reset(): Promise<void>
  close(): Promise<void>
}

const WRONG_STATE: Refusal = {
  code: 'InvalidDBInstanceState',
  status: 400,
  message: 'Instance is not in available state.',
}
const NAME_IS_TAKEN: Refusal = { code: 'DBInstanceAlreadyExists', status: 400, message: 'DB instance already exists' }
const IN_ANY_STATE = /^Describe|Tags/

export async function openRdsFront(): Promise<RdsFront> {
  const moto = await startMoto()
  let states: string[] = []
  let seen: Answer | undefined // the instance as it was last shown: for the time in which it is being deleted
  let refusals: { action: string; refusal: Refusal; left: number; when: (input: Request['input']) => boolean }[] = []
  let hooks: { action: string; when: 'before' | 'after'; what: () => unknown }[] = []
  let changesRead = 0

  const server = createServer(async (incoming, response) => {
    let body = ''
    for await (const chunk of incoming) body += chunk
    const request = readRequest(incoming.headers, body)
    if (request !== undefined) front.asked.push(request)
    const answer =
      request === undefined
        ? { status: 403, headers: {}, body: 'unsigned' }
        : await answerTo(request, body, incoming.headers)
    response.writeHead(answer.status, answer.headers).end(answer.body)
  })

  async function answerTo(request: Request, body: string, headers: object): Promise<Answer> {
    const { action, input } = request
    const refused = refusals.find(one => one.action === action && one.left > 0 && one.when(input))
    if (refused !== undefined) {
      refused.left--
      return refusal(request, refused.refusal)
    }
    if (states.length > 0 && !IN_ANY_STATE.test(action))
      return refusal(request, action.startsWith('Restore') ? NAME_IS_TAKEN : WRONG_STATE)
    await called(action, 'before')
    const answer = await forward(body, headers)
    if (answer.status === 200 && front.leadsThrough[action] !== undefined) states = [...front.leadsThrough[action]]
    await called(action, 'after')
    if (action === 'DescribeDBInstances' && input.DBInstanceIdentifier !== undefined) return instanceShown(answer)
    if (action !== 'DescribeDBSnapshots') return answer
    let shown = answer
    for (const [name, value] of Object.entries(front.snapshotElements))
      shown = rewritten(shown, new RegExp(`<${name}>.*?</${name}>`, 'g'), `<${name}>${value}</${name}>`)
    return states[0] === 'deleting'
      ? rewritten(shown, /<Status>available</g, '<PercentProgress>40</PercentProgress><Status>creating<')
      : shown
  }

  async function called(action: string, when: 'before' | 'after'): Promise<void> {
    const due = hooks.filter(hook => hook.action === action && hook.when === when)
    hooks = hooks.filter(hook => !due.includes(hook))
    for (const hook of due) await hook.what()
  }

  async function forward(body: string, headers: object): Promise<Answer> {
    const { authorization, 'content-type': type } = headers as Record<string, string>
    const answer = await fetch(moto.url, { method: 'POST', body, headers: { authorization, 'content-type': type } })
    return { status: answer.status, headers: { 'content-type': 'text/xml' }, body: await answer.text() }
  }

  function instanceShown(answer: Answer): Answer {
    const state = states.shift()
    if (answer.status === 200) seen = answer
    const shown = state === undefined ? answer : (seen ?? answer)
    let whole =
      state === undefined ? shown : rewritten(shown, /<DBInstanceStatus>[^<]*</, `<DBInstanceStatus>${state}<`)
    for (const [name, value] of Object.entries(front.elements)) {
      const element = `<${name}>${value}</${name}>`
      const there = new RegExp(`<${name}>.*?</${name}>|<${name}/>`, 's')
      whole = there.test(whole.body)
        ? rewritten(whole, there, element)
        : rewritten(whole, /<\/DBInstance>/, `${element}</DBInstance>`)
    }
    return whole
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const credentials = { accessKeyId: 'a-test', secretAccessKey: 'itself' }
  const front: RdsFront = {
    env: {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_REGION: REGION,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    direct: { endpoint: moto.url, region: REGION, credentials },
    asked: [],
    changes() {
      const since = front.asked.slice(changesRead)
      changesRead = front.asked.length
      return since.map(request => request.action).filter(action => !action.startsWith('Describe'))
    },
    show(...more) {
      states = more
    },
    leadsThrough: {},
    elements: {},
    snapshotElements: {},
    refuse(action, refusal, times, when = () => true) {
      refusals.push({ action, refusal, left: times, when })
    },
    afterwards(action, what) {
      hooks.push({ action, when: 'after', what })
    },
    beforehand(action, what) {
      hooks.push({ action, when: 'before', what })
    },
    async reset() {
      await fetch(`${moto.url}/moto-api/reset`, { method: 'POST' })
      states = []
      seen = undefined
      refusals = []
      hooks = []
      front.asked.length = 0
      changesRead = 0
      front.leadsThrough = {}
      front.elements = {}
      front.snapshotElements = {}
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await moto.close()
    },
  }
  return front
}

function rewritten(answer: Answer, found: RegExp, instead: string): Answer {
  return { ...answer, body: answer.body.replace(found, () => instead) }
}

// An instance metadata service of the tests' own: real HTTP on a port of this machine, version 2 as EC2 speaks it, in which
// a request without a valid token gets nothing.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type MetadataServer = {
  url: string
  /** What was asked: method, path, and the status that was answered, or `waits`. */
  asked: string[]
  /** From now on the instance is to be taken away, or whatever this text says. */
  announce(text: string): void
  /** Tokens given so far are valid no longer, as after their time. */
  forgetTokens(): void
  /** From now on everything is answered with this status. */
  fail(status: number): void
  /** From now on it answers again as it should. */
  heal(): void
  /** From now on this request waits for an answer that does not come; the promise is kept when somebody has given it up. */
  hold(request: string): Promise<void>
  close(): Promise<void>
}

export const TERMINATION = '{"action": "terminate", "time": "2024-09-30T08:22:00Z"}'

export async function startMetadataServer(): Promise<MetadataServer> {
  const asked: string[] = []
  let tokens = 0
  let oldestValid = 1
  let notice: string | undefined
  let failing: number | undefined
  let held: { request: string; givenUp: () => void } | undefined

  function answerTo(method: string, path: string, header: (name: string) => string): [status: number, text: string] {
    if (failing !== undefined) return [failing, '']
    if (path === '/latest/api/token') {
      const seconds = Number(header('x-aws-ec2-metadata-token-ttl-seconds'))
      const isGood = method === 'PUT' && seconds >= 1 && seconds <= 21_600
      return isGood ? [200, `token-${++tokens}`] : [400, '']
    }
    const token = Number(/^token-(\d+)$/.exec(header('x-aws-ec2-metadata-token'))?.[1] ?? 0)
    if (token < oldestValid || token > tokens) return [401, '']
    if (path !== '/latest/meta-data/spot/instance-action' || notice === undefined) return [404, 'not found']
    return [200, notice]
  }
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request
    if (held?.request === `${method} ${url}`) {
      asked.push(`${method} ${url} waits`)
      response.on('close', held.givenUp)
      return
    }
    const [status, text] = answerTo(method, url, name => String(request.headers[name] ?? ''))
    asked.push(`${method} ${url} ${status}`)
    response.writeHead(status).end(text)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    announce(text) {
      notice = text
    },
    forgetTokens() {
      oldestValid = tokens + 1
    },
    fail(status) {
      failing = status
    },
    heal() {
      failing = undefined
    },
    hold: request =>
      new Promise(resolve => {
        held = { request, givenUp: resolve }
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

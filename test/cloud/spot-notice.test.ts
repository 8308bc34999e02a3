// The watch for spot interruptions against a metadata service that speaks version 2: a token first, a new one when it has run
// out, patience with errors, and the notice passed on once, whatever it says.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { watchForInterruption } from '../../lib/cloud/spot-notice.ts'
import { type MetadataServer, startMetadataServer, TERMINATION } from '../metadata-server.ts'

const OFTEN_MILLISECONDS = 10
let server: MetadataServer
let heard: string[]
beforeEach(async () => {
  server = await startMetadataServer()
  heard = []
})
afterEach(() => server.close())

const watch = () => watchForInterruption(server.url, what => heard.push(what), OFTEN_MILLISECONDS)
const until = async (isThere: () => boolean) => {
  while (!isThere()) await sleep(5)
}
const count = (what: string) => server.asked.filter(one => one === what).length

const TOKEN = 'PUT /latest/api/token'
const NOTICE = 'GET /latest/meta-data/spot/instance-action'

it('asks for one token and then, again and again, for a notice', async () => {
  watch()
  await until(() => count(`${NOTICE} 404`) > 5)
  expect(count(`${TOKEN} 200`)).toBe(1)
  expect(heard).toEqual([])
})

it('passes the notice on once, with what and when, and asks no more', async () => {
  watch()
  await until(() => count(`${NOTICE} 404`) > 0)
  server.announce(TERMINATION)
  await until(() => heard.length > 0)
  const asked = server.asked.length
  await sleep(10 * OFTEN_MILLISECONDS)
  expect(heard).toEqual(['this spot instance is taken away (terminate at 2024-09-30T08:22:00Z)'])
  expect(server.asked.length).toBe(asked)
})

it('takes for a notice whatever is there, since the instance goes all the same', async () => {
  server.announce('soon')
  watch()
  await until(() => heard.length > 0)
  expect(heard).toEqual(['this spot instance is taken away'])
})

it('fetches a new token when the old one has run out', async () => {
  watch()
  await until(() => count(`${NOTICE} 404`) > 0)
  server.forgetTokens()
  server.announce(TERMINATION)
  await until(() => heard.length > 0)
  expect(count(`${NOTICE} 401`)).toBe(1)
  expect(count(`${TOKEN} 200`)).toBe(2)
})

it('goes on asking a service that fails', async () => {
  server.fail(503)
  watch()
  await until(() => count(`${TOKEN} 503`) > 3)
  expect(heard).toEqual([])
})

it('hears a service that comes back', async () => {
  server.fail(503)
  watch()
  await until(() => count(`${TOKEN} 503`) > 1)
  server.heal()
  server.announce(TERMINATION)
  await until(() => heard.length > 0)
  expect(heard).toEqual(['this spot instance is taken away (terminate at 2024-09-30T08:22:00Z)'])
})

it('asks no more once it is stopped', async () => {
  const { stop } = watch()
  await until(() => count(`${NOTICE} 404`) > 0)
  stop()
  server.announce(TERMINATION)
  const asked = server.asked.length
  await sleep(10 * OFTEN_MILLISECONDS)
  expect(server.asked.length - asked).toBeLessThanOrEqual(1) // one may have been on its way
  expect(heard).toEqual([])
})

it.each([
  TOKEN,
  NOTICE,
])('stopped in the middle of %s, gives it up, asks no more and says nothing of it', async request => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    const givenUp = server.hold(request)
    const { stop } = watch()
    await until(() => count(`${request} waits`) > 0)
    stop()
    await givenUp
    const asked = server.asked.length
    await sleep(10 * OFTEN_MILLISECONDS)
    expect(server.asked.length).toBe(asked)
    expect([heard, said.mock.calls]).toEqual([[], []])
  } finally {
    said.mockRestore()
  }
})

// Steps side by side: each line comes whole, a failure stops what comes after it and nothing before it, the first failure is
// the exit code, and whoever is told to stop leaves no process behind.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startChatServer, subjects } from '../chat-server.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { processesBelow } from '../processes.ts'
import { stepWords } from '../run.ts'
import { sideBySide } from '../side-by-side.ts'

const scratch = await readyHome()
// No embeddings yet, and nobody who makes them: whoever follows waits.
beforeAll(async () => {
  await here(stepWords('ingest', '2024Q3'), scratch)
})
afterAll(() => scratch.remove())

const WAITING = ['cluster-firm', '--quarter', '2024Q3', '--follow']
const REFUSED = ['status', '--nonsense']

const run = (...commandLines: string[][]) => sideBySide(commandLines, scratch)

/** So many lines of that letter, each longer than what a pipe takes in one piece. */
const longLines = (letter: string) => ['sql', `select repeat('${letter}', 100000) from generate_series(1, 20)`, '--csv']

it('passes on what each says line by line, and ends well when all do', async () => {
  const { code, stdout } = await run(longLines('a'), longLines('b'), ['db-start']).ended
  expect(code).toBe(0)
  const lines = stdout.split('\n')
  for (const letter of ['a', 'b'])
    expect(lines.filter(line => line.startsWith(letter))).toEqual(Array(20).fill(letter.repeat(100_000)))
})

it('stops those after one that fails, and says so', async () => {
  const { code, stderr } = await run(REFUSED, WAITING).ended
  expect(code).toBe(2)
  expect(stderr).toMatch(/--nonsense[\s\S]*status has failed: stopping cluster-firm\n/)
})

it('lets those before it go on to their end', async () => {
  // The second fails before the first can have begun; the third is stopped.
  const before = ['embed', '--quarter', '2024Q3', '--json', '--firm', 'VSTL']
  const { code, stdout } = await run(before, REFUSED, ['name-topics', '--quarter', '2024Q3', '--firm', 'VSTL']).ended
  expect(code).toBe(2)
  expect(JSON.parse(stdout).firms).toBe(1)
})

it('ends with the code of the first that failed, in the order of the steps', async () => {
  const missing = ['status', '--quarter', '1999Q1'] // could not be done: 1, and later than a wrong command line: 2
  expect((await run(missing, REFUSED).ended).code).toBe(1)
})

it.each(['SIGTERM', 'SIGINT'] as const)('passes %s on, and leaves no process behind', async signal => {
  const { child, said, ended } = run(WAITING, WAITING)
  while (!said.stderr.includes('waiting for embed')) await sleep(20)
  const children = processesBelow(child.pid ?? 0)
  expect(children.length).toBeGreaterThanOrEqual(2)
  child.kill(signal)
  const { code, stderr } = await ended
  expect(code).toBe(75)
  expect(stderr).not.toContain('failed')
  for (const { pid } of children) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

it('runs a follower again that ended before whom it follows: on a busy machine it may have seen nobody begin', async () => {
  for (const verb of ['embed', 'cluster-firm', 'name-topics']) await here([verb, '--quarter', '2024Q3'], scratch)
  const server = await startChatServer(() => subjects)
  server.hold()
  const env = { XAI_API_KEY: 'none', QUARTERDECK_CHAT_URL: server.url }
  const slow = ['name-topics', '--quarter', '2024Q3', '--firm', 'VSTL']
  const { said, ended } = sideBySide([slow, WAITING], { home: scratch.home, env })
  const followerEnded = () => said.stderr.match(/cluster-firm 2024Q3: nothing left to do/g)?.length ?? 0
  while (followerEnded() === 0) await sleep(20)
  server.release()
  expect((await ended).code).toBe(0)
  expect(followerEnded()).toBe(2)
  await server.close()
}, 60_000)

// Told to leave, by a signal or by the cloud, a step finishes what it has in hand, gives back the rest, says that it was stopped
// and ends with 75; what a run that nobody disturbed would have written is there after the next run.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { type ChatServer, startChatServer, subjects } from '../chat-server.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { here } from '../here.ts'
import { type MetadataServer, startMetadataServer, TERMINATION } from '../metadata-server.ts'
import { bringQuarter } from '../ready-quarter.ts'
import { fingerprints, isRunning, type Options, quarterdeck, running, STEPS, stepWords } from '../run.ts'

const QUARTER = '2024Q3'
const FIRMS = 14
const AT_ONCE = 8 // requests in flight, as the settings have it

onBothServers('told to leave,', (startServer, name) => {
  let options: Options
  let undisturbed: Record<string, string>
  beforeAll(async () => {
    options = optionsFor(await startServer())
    await withDatabase(settings(), bringQuarter)
    undisturbed = await rowsNow()
  }, 100_000)
  let chat: ChatServer | undefined
  let metadata: MetadataServer | undefined
  afterEach(async () => {
    await chat?.close()
    await metadata?.close()
  })

  const step = (verb: string, ...more: string[]) => stepWords(verb, QUARTER, ...more)
  const settings = () => readSettings({ QUARTERDECK_HOME: options.home, ...options.env })
  const rowsNow = () => withDatabase(settings(), sql => fingerprints(sql))
  const ask = <Row>(text: string) => withDatabase(settings(), async sql => (await sql.unsafe(text)) as unknown as Row[])
  const outcomeOfLast = async (verb: string) =>
    (
      await ask<{ outcome: string }>(`select outcome from runs where command = '${verb}' order by run_id desc limit 1`)
    )[0].outcome
  const inHand = () => ask('select from work where lease_by is not null')

  /** name-topics with a language model of its own name, all of whose answers wait. */
  async function namingHeld(model: string, more: Record<string, string> = {}) {
    chat = await startChatServer(() => subjects)
    chat.hold()
    const env = { ...options.env, XAI_API_KEY: 'none', QUARTERDECK_CHAT_URL: chat.url, QUARTERDECK_CHAT_MODEL: model }
    const withModel = { ...options, env: { ...env, ...more } }
    const run = running(step('name-topics'), withModel)
    await chat.request(AT_ONCE)
    return { ...run, chat, withModel }
  }

  // What compares quarters is a moment's work here; it is killed and run again in novelty.test.ts and lineage.test.ts.
  // On the server, where the leases are the same, those that keep a model or the server itself busy.
  const isServer = name !== 'the embedded database'
  const verbs = isServer
    ? (['embed', 'index'] as const)
    : STEPS.filter(verb => verb !== 'novelty' && verb !== 'lineage')
  it.each(verbs)('%s leaves nothing in hand, and the next run ends with the rows of an undisturbed one', async verb => {
    // A step may be over before it hears; then it is begun again.
    for (;;) {
      if (verb !== 'ingest') await ask(`update work set state = 'stale' where stage = '${verb}'`)
      const [{ before }] = await ask<{ before: number }>('select coalesce(max(run_id), 0)::int as before from runs')
      const { child, said, ended } = running(step(verb, '--force'), options)
      const begun = async () => (await ask(`select from runs where run_id > ${before}`)).length > 0
      while (isRunning(child) && !(await begun())) await sleep(5)
      child.kill('SIGTERM')
      const code = await ended
      expect(await inHand()).toEqual([])
      if (code === 0) continue
      expect(`${code} ${said.stderr}`).toMatch(/^75 [\s\S]*told to stop by SIGTERM/)
      expect(await outcomeOfLast(verb)).toBe('stopped')
      break
    }
    for (const one of STEPS.slice(STEPS.indexOf(verb))) await here(step(one), options)
    expect(await rowsNow()).toEqual(undisturbed)
  }, 100_000)

  it('name-topics waits for the answers that are on their way, keeps them, and asks for no other', async () => {
    const { child, said, ended, chat, withModel } = await namingHeld('leaves')
    child.kill('SIGTERM')
    while (!said.stderr.includes('finishing')) await sleep(10)
    chat.release()
    expect(`${await ended} ${said.stderr}`).toMatch(
      /^75 [\s\S]*told to stop by SIGTERM: finishing what is in hand[\s\S]*run the same command again/,
    )
    expect(chat.asked.length).toBe(AT_ONCE)
    expect(await ask(`select from chat_answers where model = 'grok-test-1'`)).toHaveLength(AT_ONCE)
    expect(await outcomeOfLast('name-topics')).toBe('stopped')
    expect(await inHand()).toEqual([])
    // The next run asks for the rest, and for nothing twice.
    await here(step('name-topics'), withModel)
    const questions = chat.asked.map(one => JSON.stringify(one.body.messages))
    expect(new Set(questions).size).toBe(questions.length)
    const [{ firms }] = await ask<{ firms: number }>(
      `select count(distinct firm_id)::int as firms from topic_names join topics using (topic_id) where source = 'llm'`,
    )
    expect(firms).toBe(FIRMS)
  }, 60_000)

  it('gives back what does not end in time, and a second word makes it end at once', async () => {
    const first = await namingHeld('never-answers')
    first.child.kill('SIGTERM')
    expect(`${await first.ended} ${first.said.stderr}`).toMatch(/^75 /)
    expect(await outcomeOfLast('name-topics')).toBe('stopped')
    expect(await inHand()).toEqual([])
    await first.chat.close()
    const second = await namingHeld('never-answers')
    second.child.kill('SIGINT')
    second.child.kill('SIGINT') // as a terminal and a parent do: that is one word
    while (!second.said.stderr.includes('finishing')) await sleep(10)
    await sleep(1100)
    second.child.kill('SIGINT')
    expect(await second.ended).toBe(130)
  }, 60_000)

  it('obeys a spot interruption as it obeys a signal, and begins nothing on an instance that is to go', async () => {
    metadata = await startMetadataServer()
    const spot = { QUARTERDECK_SPOT_NOTICE: 'true', AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url }
    const { said, ended, chat, withModel } = await namingHeld('spot', spot)
    metadata.announce(TERMINATION)
    while (!said.stderr.includes('finishing')) await sleep(10)
    chat.release()
    expect(`${await ended} ${said.stderr}`).toMatch(
      /^75 name-topics: this spot instance is taken away \(terminate at 2024-09-30T08:22:00Z\)/,
    )
    expect(await inHand()).toEqual([])
    const again = await quarterdeck(step('name-topics'), withModel)
    expect(`${again.code} ${again.stderr}`).toMatch(/^75 /)
    expect(chat.asked.length).toBe(AT_ONCE)
    // What only reads goes on, and so does what ends the work.
    expect((await quarterdeck(['status'], withModel)).code).toBe(0)
  }, 60_000)

  // The embedded database would reckon on, and nobody could ask it whether the statement has begun.
  if (name === 'a real server')
    it('what only reads ends as by the signal, and leaves no run behind', async () => {
      const runs = () => ask('select * from runs order by run_id')
      const begun = () =>
        ask(`select from pg_stat_activity where query like '%generate_series%' and pid <> pg_backend_pid()`)
      const before = await runs()
      // Hours, in a few bytes.
      const statement =
        'select count(*) from generate_series(1, 100000) as a, generate_series(1, 100000) as b, generate_series(1, 100000) as c'
      const { child, said, ended } = running(['sql', statement], options)
      while (isRunning(child) && (await begun()).length === 0) await sleep(10)
      child.kill('SIGTERM')
      expect(await ended, said.stderr).toBe(143)
      expect(await runs()).toEqual(before)
    }, 60_000)
})

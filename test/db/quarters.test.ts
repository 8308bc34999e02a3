// Dropping a quarter: what goes, what stays, and that nobody who is at work loses or leaves anything by it.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { callIdOf, type StoredCall, writeCall } from '../../lib/db/calls.ts'
import { answerStore } from '../../lib/db/chat-answers.ts'
import { check } from '../../lib/db/check.ts'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { bindModel, boundModel } from '../../lib/db/model-binding.ts'
import {
  contentsOfQuarter,
  dropQuarter,
  ensureQuarter,
  quartersKnown,
  requireKnownQuarter,
} from '../../lib/db/quarters.ts'
import { replaceThemes, themeIdOf } from '../../lib/db/themes.ts'
import { replaceTopicNames, replaceTopics, topicIdOf } from '../../lib/db/topics.ts'
import { replaceSentenceVectors, replaceTopicVectors } from '../../lib/db/vectors.ts'
import { type Claim, claimWork, failWork, finishWork, firmChanged } from '../../lib/db/work.ts'
import { workerName } from '../../lib/worker-name.ts'
import { refusalOf } from '../refusal.ts'
import { fingerprints } from '../run.ts'
import { onBothDatabases } from './both-databases.ts'
import { hasRealServer, type RealServer, realServer } from './servers.ts'

const [OLD, NEW] = ['2024Q2', '2024Q3']
const MODEL = { name: 'tiny', revision: '1', dimension: 2, source: 'tiny' }

const TEXTS = ['Freight rates rose.', 'Demand held up.']

function callOf(quarter: string, firmId: string, key = `${firmId} ${quarter}`): StoredCall {
  return {
    ...{ callId: callIdOf(key), firmId, quarter, ticker: firmId, name: firmId, identifiers: {} },
    ...{ calendarQuarter: quarter, fiscalQuarter: null, callDate: null, source: 'a test', format: 'text' },
    contentHash: quarter,
    sentences: TEXTS.map(text => ({ speaker: null, role: null, section: null, talk: null, text })),
  }
}

/** A firm's quarter from its call to a theme: something in every table that knows quarters. */
async function write(sql: Database, quarter: string, firmId: string): Promise<void> {
  await ensureQuarter(sql, quarter)
  const call = callOf(quarter, firmId)
  const { callId } = call
  await writeCall(sql, call)
  const sentenceIds = TEXTS.map((_, position) => callId * 65536n + BigInt(position))
  const [topicId, themeId] = [topicIdOf(quarter, firmId, 1), themeIdOf(quarter, 1)]
  const unit = Float32Array.of(1, 0)
  const named = { name: 'Freight', summary: 'Freight.', source: 'keywords' as const }
  await sql.begin(async tx => {
    await replaceSentenceVectors(tx, quarter, [{ firmId, sentenceIds, vectors: Float32Array.of(1, 0, 1, 0) }], 2)
    const memberships = sentenceIds.map(sentenceId => ({
      sentenceId,
      topicId,
      reassignedTopicId: null,
      probability: 1,
    }))
    const topic = { topicId, label: 'freight', size: 2, keywords: ['freight'], keywordWeights: [1], centroid: unit }
    await replaceTopics(tx, quarter, [
      { firmId, topics: [{ ...topic, representativeSentences: sentenceIds }], memberships },
    ])
    await replaceTopicNames(tx, quarter, firmId, [{ topicId, ...named, model: null, promptHash: null }])
    await replaceTopicVectors(tx, quarter, [topicId], unit, 2)
    const sizes = { topics: 1, firms: 1, sentences: 2, largestFirmShare: 1, flags: ['few firms'] }
    const shown = { keywords: ['freight'], representativeSentences: [sentenceIds[0]], centroid: unit }
    await replaceThemes(
      tx,
      quarter,
      [{ themeId, ...named, ...sizes, ...shown }],
      [{ topicId, themeId, probability: 1, givenToNearest: false }],
    )
    await tx`insert into common_words (quarter, word, firms) values (${quarter}, 'quarter', 1) on conflict do nothing`
  })
}

/** Rows of every table that has a column for it. */
async function tracesOf(sql: Database, quarter: string): Promise<Record<string, number>> {
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where a.attname = 'quarter' and c.relkind in ('r', 'p') and not c.relispartition
      and c.relnamespace = (select relnamespace from pg_class where oid = 'calls'::regclass)`
  const traces: Record<string, number> = {}
  for (const { name } of tables) {
    const [{ rows }] = await sql<{ rows: number }[]>`
      select count(*)::int as rows from ${sql(name)} where quarter = ${quarter}`
    if (rows > 0) traces[name] = rows
  }
  return traces
}

/** As a process of this machine is called that is neither this one nor dead. */
function parentName(): string {
  const [host, namespace] = workerName.split('/')
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8')
  return `${host}/${namespace}/${process.ppid}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
}

const ELSEWHERE = 'spot-7/4026531836/1234/5678'

onBothDatabases('a quarter that is dropped', open => {
  let sql: Database
  let other: Database
  let onlyOld: Record<string, string>

  beforeAll(async () => {
    ;({ sql, other } = await open())
  })
  beforeEach(async () => {
    await sql`truncate work, runs, chat_answers, settings`
    for (const quarter of await quartersKnown(sql)) await dropQuarter(sql, quarter)
    await bindModel(sql, MODEL)
    await write(sql, OLD, 'BOTH')
    onlyOld = await fingerprints(sql)
    await write(sql, NEW, 'ONCE')
    await write(sql, NEW, 'BOTH')
  })

  /** A firm's embed in hand, as if by that process. */
  async function take(worker: string, seconds: number): Promise<Claim> {
    await firmChanged(sql, NEW, 'ONCE', 2)
    const claim = await claimWork(sql, 'embed', { quarter: NEW, firmId: 'ONCE' })
    if (claim === undefined) throw new Error('no claim')
    await sql`
      update work set lease_by = ${worker}, lease_until = now() + make_interval(secs => ${seconds})
      where lease_by is not null`
    return claim
  }

  async function run(worker: string): Promise<void> {
    await sql`
      insert into runs (command, quarter, options, code_version, worker)
      values ('ingest', ${NEW}, '{}', '', ${worker})`
  }

  it('is gone from every table, and what is left is as if it had never been there', async () => {
    expect(await fingerprints(sql)).not.toEqual(onlyOld)
    const gone = await dropQuarter(sql, NEW)
    expect(gone).toMatchObject({ calls: 2, firms: 2, firmsOnlyHere: 1, sentences: 4, topics: 2, themes: 1 })
    expect(gone.bytes).toBeGreaterThan(0)
    expect(await tracesOf(sql, NEW)).toEqual({})
    expect(await quartersKnown(sql)).toEqual([OLD])
    expect(await fingerprints(sql)).toEqual(onlyOld)
    expect((await check(sql, [OLD])).filter(finding => finding.broken > 0)).toEqual([])
  })

  it('is gone when only an empty partition of it is left, and is unknown afterwards', async () => {
    await ensureQuarter(sql, '2031Q1')
    expect(await quartersKnown(sql)).toEqual([OLD, NEW, '2031Q1'])
    expect(await dropQuarter(sql, '2031Q1')).toMatchObject({ calls: 0, sentences: 0 })
    const refusal = await refusalOf(requireKnownQuarter(sql, '2031Q1'))
    expect(refusal.message).toBe('the database has nothing of 2031Q1; it has 2024Q2, 2024Q3')
  })

  it('leaves the runs and the paid answers, which still count against its limit', async () => {
    await run(ELSEWHERE)
    const answer = { answer: '[]', model: 'grok', promptTokens: 1, completionTokens: 1, dollars: 0.5 }
    await answerStore(sql, NEW).keep('hash', answer)
    await dropQuarter(sql, NEW)
    expect(await tracesOf(sql, NEW)).toEqual({ runs: 1, chat_answers: 1 })
    expect(await answerStore(sql, NEW).spent()).toBe(0.5)
    expect(await answerStore(sql, NEW).find('hash')).toEqual(answer)
  })

  it('is refused while somebody has work of it in hand, with who and for how long, and stays whole', async () => {
    const before = await fingerprints(sql)
    await take(ELSEWHERE, 45)
    const refusal = await refusalOf(dropQuarter(sql, NEW))
    expect(refusal.message).toBe(`cannot drop 2024Q3: embed (${ELSEWHERE}) is at work on it`)
    expect(refusal.hint).toMatch(/free in 4\d s/)
    expect(await fingerprints(sql)).toEqual(before)
    await dropQuarter(sql, OLD) // which nobody is at
  })

  it('is refused while a run of this machine is at it without anything in hand', async () => {
    await run(parentName())
    expect((await refusalOf(dropQuarter(sql, NEW))).message).toContain('ingest (')
  })

  it('is dropped when a lease has run out, and when the process of this machine that had it is dead', async () => {
    await take(ELSEWHERE, -1)
    const [host, namespace] = workerName.split('/')
    await run(`${host}/${namespace}/4194305/1`) // more than any kernel gives out
    await dropQuarter(sql, NEW)
    await write(sql, NEW, 'ONCE')
    await take(`${host}/${namespace}/4194305/1`, 45)
    await dropQuarter(sql, NEW)
    expect(await tracesOf(sql, NEW)).toMatchObject({ runs: 1 })
  })

  it('takes nothing from a process that comes late: its fence finds no row', async () => {
    const claim = await take(ELSEWHERE, -1)
    await dropQuarter(sql, NEW)
    expect(await finishWork(other, claim, '', () => Promise.reject(new Error('it wrote')))).toBe(false)
    expect(await failWork(other, claim, 'no memory')).toBe(false)
    expect(await claimWork(other, 'embed', { quarter: NEW })).toBeUndefined()
    await expect(write(other, NEW, 'ONCE')).resolves.toBeUndefined() // loaded again, it is as good as new
    expect((await check(sql, [NEW])).filter(finding => finding.broken > 0)).toEqual([])
  })

  it('keeps its themes and common words until its last call has moved to another quarter', async () => {
    const of = async () => {
      const { themes, common_words: words } = await tracesOf(sql, NEW)
      return { themes, words }
    }
    const move = (firmId: string) => writeCall(sql, callOf(OLD, firmId, `${firmId} ${NEW}`))
    await move('BOTH')
    expect(await of()).toEqual({ themes: 1, words: 1 })
    await move('ONCE')
    expect(await of()).toEqual({})
    expect(await tracesOf(sql, OLD)).toMatchObject({ calls: 3, themes: 1, common_words: 1 })
    expect((await check(sql, [OLD, NEW])).filter(finding => finding.broken > 0)).toEqual([])
  })

  it('lets the database take another model when it was the last one', async () => {
    const another = { name: 'other', revision: '2', dimension: 3, source: 'other' }
    await dropQuarter(sql, OLD)
    expect((await refusalOf(bindModel(sql, another))).message).toContain('holds vectors of tiny')
    await dropQuarter(sql, NEW)
    expect(await boundModel(sql)).toEqual(MODEL)
    expect(await bindModel(sql, another)).toEqual(another)
  })

  it('says what it would take before it is taken', async () => {
    const contents = await contentsOfQuarter(sql, NEW)
    expect(await dropQuarter(sql, NEW)).toEqual(contents)
  })
})

describe.skipIf(!hasRealServer)('a quarter that is dropped while others are at the tables of a real server', () => {
  let server: RealServer
  let sql: Database
  let other: Database

  beforeAll(async () => {
    server = await realServer()
    sql = await connect(server.settings)
    other = await connect(server.settings)
    await migrate(sql)
    await bindModel(sql, MODEL)
    await write(sql, OLD, 'BOTH')
  })
  beforeEach(() => write(sql, NEW, 'BOTH'))
  afterAll(async () => {
    await disconnect(sql)
    await disconnect(other)
    await server.stop()
  })

  /** Keeps a transaction of the other connection open around `work`. */
  async function beside(statement: string, work: (end: () => void) => Promise<void>): Promise<void> {
    let end = () => {}
    const ended = new Promise<void>(resolve => {
      end = resolve
    })
    let begun = () => {}
    const isOpen = new Promise<void>(resolve => {
      begun = resolve
    })
    const transaction = other.begin(async tx => {
      await tx.unsafe(statement)
      begun()
      await ended
    })
    await isOpen
    await work(end).finally(end)
    await transaction
  }

  it('is refused with who is at them, and leaves everything as it was', async () => {
    const before = await fingerprints(sql)
    await beside(`select count(*) from topic_sentences where quarter = '2024Q2'`, async () => {
      const { message, hint } = await refusalOf(dropQuarter(sql, NEW, 2))
      expect(message).toMatch(
        /^cannot drop 2024Q3: its tables are in use by quarterdeck \(process \d+, from 127\.0\.0\.1, for /,
      )
      expect(hint).toContain('run the same command again')
    })
    expect(await fingerprints(sql)).toEqual(before)
  })

  it('lets others through between two tries', async () => {
    const third = await connect(server.settings)
    const watch = await connect(server.settings)
    await beside(`select count(*) from topic_sentences where quarter = '2024Q2'`, async end => {
      let isDropped = false
      const dropped = dropQuarter(sql, NEW).finally(() => {
        isDropped = true
      })
      const waiting = () =>
        watch<{ query: string }[]>`select query from pg_stat_activity where wait_event_type = 'Lock'`
      // It asks for the whole table, so who looks at another one of its tables waits behind it: for one try, not for all.
      let hasWaited = false
      while (!hasWaited && !isDropped) {
        let answered: number | undefined
        const asked = third<{ rows: number }[]>`select count(*)::int as rows from sentences`.then(([{ rows }]) => {
          answered = rows
        })
        while (answered === undefined)
          if ((await waiting()).some(({ query }) => query.includes('from sentences'))) hasWaited = true
        await asked
        expect(answered).toBe(4)
      }
      expect([hasWaited, isDropped]).toEqual([true, false])
      end()
      await dropped
    })
    await disconnect(third)
    await disconnect(watch)
  })

  it('waits for a transaction that ends, and then is gone', async () => {
    await beside(`update work set attempt = attempt where quarter = '2024Q3'`, async end => {
      const dropped = dropQuarter(sql, NEW)
      await sleep(700) // longer than one try
      end()
      await dropped
    })
    expect(await quartersKnown(sql)).toEqual([OLD])
  })
})

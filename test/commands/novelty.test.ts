// novelty on histories whose truth is known. The sample quarter is loaded as earlier ones too, with other figures and with a
// planted story taken out at each firm that tells it: then these stories are new, and all else is repeated. Then quarters come
// and go, firms are skipped, processes run at once and are killed, and nothing but what it should changes.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { clusterFirms } from '../../commands/cluster-firm.ts'
import { compareFirms } from '../../commands/novelty.ts'
import { backUp } from '../../lib/db/backup.ts'
import { openBackup } from '../../lib/db/backup-file.ts'
import { restore } from '../../lib/db/backup-restore.ts'
import { check, findingsOf } from '../../lib/db/check.ts'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { dropQuarter } from '../../lib/db/quarters.ts'
import { stepsOf } from '../compute.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { embeddedServer } from '../db/servers.ts'
import { bringQuarter, QUARTER } from '../ready-quarter.ts'
import { type Options, quarterdeck, root, running, sample } from '../run.ts'

type Story = { story: string; kind: string; firms: string[]; sentences: Record<string, string[]> }
const stories: Story[] = JSON.parse(readFileSync(join(root, 'test/fixtures/stories-2024Q3.json'), 'utf8'))
// Told by six firms, and the longest that one firm tells alone.
const taken = stories.filter(one => one.story === 'freight' || one.kind !== 'cross-firm')
const takenOut = new Set(taken.flatMap(one => Object.values(one.sentences).flat()))

const transcripts = readFileSync(join(sample(QUARTER), 'transcripts.csv'), 'utf8')
  .split(/\n(?=\d{6},)/)
  .filter(line => !line.includes(',2024-10-'))
  .join('\n')
const folders = mkdtempSync(join(tmpdir(), 'quarterdeck-novelty-'))
afterAll(() => rmSync(folders, { recursive: true }))

/** A folder with the sample's calls, held in another month, after `edit`. */
function history(name: string, month: string, edit: (text: string) => string = text => text): string {
  const folder = join(folders, name)
  mkdirSync(folder, { recursive: true })
  // Dates stand between commas. The file has a call of October, too, which is not of the quarter.
  const dated = edit(transcripts).replaceAll(/,2024-0[789]-(\d\d)(?=,)/g, `,2024-${month}-$1`)
  writeFileSync(join(folder, 'transcripts.csv'), dated)
  return folder
}

/** Figures of the spoken text become others of as many digits; lines begin with ids and dates, which stay. */
function otherFigures(text: string): string {
  return text.replaceAll(/(?<=[ $])\d[\d,.]*\d(?=[ %]|\.\s)/g, figure =>
    figure.replaceAll(/\d/g, digit => String(1 + (Number(digit) % 9))),
  )
}

function withoutStories(text: string): string {
  let rest = text
  for (const sentence of takenOut) {
    const quoted = sentence.replaceAll('"', '""')
    rest = rest.replaceAll(` ${quoted}`, '').replaceAll(quoted, '')
  }
  return rest
}

function ofTwoFirms(text: string): string {
  const lines = text.split(/\n(?=\d{6},)/)
  return `${lines.filter((line, i) => i === 0 || /,(ALDH|BRMH),/.test(line)).join('\n')}\n`
}

const before = history('before', '04', text => otherFigures(withoutStories(text)))
const long = history('long before', '01', ofTwoFirms)
const after = history('after', '10', ofTwoFirms)

// Computed once, and brought into a database when a test wants it there.
const computed = join(folders, 'computed.backup')
beforeAll(async () => {
  const server = await embeddedServer()
  const sql = await connect(server.settings)
  await migrate(sql)
  for (const [quarter, folder] of Object.entries({ '2024Q1': long, '2024Q2': before, '2024Q4': after })) {
    const steps = stepsOf(quarter, folder)
    for (const step of ['ingest', 'embed', 'cluster-firm']) await steps[step](sql)
  }
  await backUp(sql, computed)
  await disconnect(sql)
  await server.stop()
}, 100_000)

async function load(sql: Database, quarter: string): Promise<void> {
  const backup = await openBackup(computed)
  await restore(sql, backup, { quarter })
  await backup.close()
}

type Rows = { sentences: string; topics: string }

/** All that is said of a quarter. */
async function rowsOf(sql: Database, quarter: string): Promise<Rows> {
  const [row] = await sql<Rows[]>`
    select
      (select md5(string_agg(s::text, ' ' order by sentence_id)) || count(*) from sentence_novelty s where quarter = ${quarter}) as sentences,
      (select md5(string_agg(t::text, ' ' order by topic_id)) || count(*) from topic_novelty t where quarter = ${quarter}) as topics`
  return row
}

/** Firms of a quarter that `work` says are to be compared. */
async function toDo(sql: Database, quarter: string): Promise<string[]> {
  const rows = await sql<{ firmId: string }[]>`
    select firm_id as "firmId" from work
    where stage = 'novelty' and quarter = ${quarter} and state <> 'done' order by firm_id`
  return rows.map(row => row.firmId)
}

const brokenOf = async (sql: Database) => (await check(sql, ['2024Q1', QUARTER])).filter(finding => finding.broken > 0)

onBothServers('novelty', start => {
  let sql: Database
  let options: Options
  let first: Rows
  const compare = (quarter: string) => compareFirms(sql, { quarter, threads: 2 })

  beforeAll(async () => {
    const server = await start()
    options = optionsFor(server)
    sql = await connect(server.settings)
    await migrate(sql)
    await bringQuarter(sql)
    await load(sql, '2024Q2')
  }, 100_000)
  afterAll(async () => await disconnect(sql))

  it('says nothing of firms that have no earlier call', async () => {
    expect(await compare('2024Q2')).toMatchObject({ firms: 14, compared: 0, alone: 14, sentences: 0, topics: 0 })
    // What came later has been compared with nothing, and is to be compared with this.
    expect(await toDo(sql, QUARTER)).toHaveLength(14)
  })

  it('calls the planted stories new and nothing else, and repeated what has only other figures', async () => {
    const done = await compare(QUARTER)
    expect(done).toMatchObject({ firms: 14, compared: 14, alone: 0, earlierQuarters: ['2024Q2'], later: [] })
    first = await rowsOf(sql, QUARTER)
    const topics = await sql<{ topicId: string; isNew: boolean; texts: string[] }[]>`
      select n.topic_id as "topicId", is_new as "isNew", array_agg(text) as texts
      from topic_novelty n
      join topic_sentences m on m.quarter = n.quarter and m.topic_id = n.topic_id
      join sentences s on s.quarter = m.quarter and s.sentence_id = m.sentence_id
      where n.quarter = ${QUARTER} group by 1, 2`
    expect(topics.length).toBe((await sql`select from topics where quarter = ${QUARTER}`).length)
    const shareTaken = (texts: string[]) => texts.filter(text => takenOut.has(text)).length / texts.length
    const shouldBeNew = topics.filter(topic => shareTaken(topic.texts) > 0.7)
    expect(shouldBeNew.length).toBeGreaterThanOrEqual(6)
    expect(shouldBeNew.filter(topic => !topic.isNew)).toEqual([])
    expect(topics.filter(topic => topic.isNew && shareTaken(topic.texts) < 0.3)).toEqual([])
    const sentences = await sql<{ text: string; repeated: boolean; similarity: number }[]>`
      select text, repeated, similarity from sentence_novelty join sentences using (quarter, sentence_id)
      where quarter = ${QUARTER}`
    expect(sentences.length).toBe(done.sentences)
    const kept = sentences.filter(one => !takenOut.has(one.text))
    expect(kept.filter(one => !one.repeated)).toEqual([])
    const gone = sentences.filter(one => takenOut.has(one.text))
    expect(gone.filter(one => one.repeated)).toEqual([])
  })

  it('does nothing when nothing is left, and other rows where another similarity is asked for', async () => {
    expect(await compare(QUARTER)).toMatchObject({ firms: 0 })
    const stricter = await compareFirms(sql, { quarter: QUARTER, threads: 2, repeatedFrom: 1 })
    expect(stricter.firms).toBe(14)
    expect(await compare(QUARTER)).toMatchObject({ firms: 14 })
    expect(await rowsOf(sql, QUARTER)).toEqual(first)
  })

  it('finds all of a quarter in the same calls held before, at exactly 1, and no topic new', async () => {
    await load(sql, '2024Q4')
    const done = await compare('2024Q4')
    expect(done).toMatchObject({ firms: 2, earlierQuarters: [QUARTER], newTopics: 0 })
    expect(done.repeated).toBe(done.sentences)
    const [{ least }] = await sql<{ least: number }[]>`
      select min(similarity) as least from sentence_novelty where quarter = '2024Q4'`
    expect(least).toBe(1)
    // The quarter before is as it was, and has nothing to do.
    expect(await compare(QUARTER)).toMatchObject({ firms: 0, later: [] })
    expect(await rowsOf(sql, QUARTER)).toEqual(first)
  })

  it('looks back at the latest earlier call only: one from before changes nothing', async () => {
    await load(sql, '2024Q1')
    expect(await compare('2024Q1')).toMatchObject({ firms: 2, later: [{ quarter: '2024Q2', firms: 2 }] })
    expect(await compare('2024Q2')).toMatchObject({ firms: 2, compared: 2, alone: 12, later: [] })
    expect(await compare(QUARTER)).toMatchObject({ firms: 0 })
    expect(await brokenOf(sql)).toEqual([])
  })

  it('does exactly those firms again whose earlier call was clustered anew', async () => {
    await clusterFirms(sql, { quarter: '2024Q2', firmId: 'ALDH', force: true, threads: 2 })
    expect(await toDo(sql, QUARTER)).toEqual(['ALDH'])
    expect(await toDo(sql, '2024Q4')).toEqual([]) // it looks back at 2024Q3
    expect(await brokenOf(sql)).toEqual([])
    expect(await compare('2024Q2')).toMatchObject({ firms: 1, later: [{ quarter: QUARTER, firms: 1 }] })
    expect(await compare(QUARTER)).toMatchObject({ firms: 1 })
    expect(await rowsOf(sql, QUARTER)).toEqual(first)
  })

  it('passes over an earlier call that is still to be clustered, and does the firm again when it is', async () => {
    await sql`update work set state = 'stale' where stage = 'cluster-firm' and quarter = '2024Q2' and firm_id = 'ALDH'`
    expect(await compare(QUARTER)).toMatchObject({ firms: 1 })
    expect(await rowsOf(sql, QUARTER)).not.toEqual(first)
    await clusterFirms(sql, { quarter: '2024Q2', threads: 2 })
    expect(await toDo(sql, QUARTER)).toHaveLength(1)
    expect(await compare(QUARTER)).toMatchObject({ firms: 1 })
    expect(await rowsOf(sql, QUARTER)).toEqual(first)
  })

  it('goes on to the call before when a quarter is dropped, and back when it is loaded again', async () => {
    await dropQuarter(sql, '2024Q2')
    expect(await toDo(sql, QUARTER)).toHaveLength(14)
    expect(await toDo(sql, '2024Q4')).toEqual([])
    expect(await brokenOf(sql)).toEqual([])
    const without = await compare(QUARTER)
    expect(without).toMatchObject({ firms: 14, compared: 2, alone: 12, earlierQuarters: ['2024Q1'], newTopics: 0 })
    expect(without.repeated).toBe(without.sentences)
    expect(await brokenOf(sql)).toEqual([])
    await load(sql, '2024Q2')
    expect((await compare('2024Q2')).later).toEqual([{ quarter: QUARTER, firms: 14 }])
    expect(await compare(QUARTER)).toMatchObject({ firms: 14 })
    expect(await rowsOf(sql, QUARTER)).toEqual(first)
  })

  it('has each of its promises looked after', async () => {
    class Undo extends Error {}
    async function brokenBy(damage: string): Promise<string[]> {
      let titles: string[] = []
      await sql
        .begin(async tx => {
          await tx.unsafe(damage)
          for await (const { broken, title } of findingsOf(tx, QUARTER)) if (broken > 0) titles = [...titles, title]
          throw new Undo()
        })
        .catch(error => {
          if (!(error instanceof Undo)) throw error
        })
      return titles
    }
    const one = `sentence_id = (select min(sentence_id) from sentence_novelty where quarter = '${QUARTER}')`
    expect(await brokenBy(`delete from sentence_novelty where ${one}`)).toEqual([
      'a compared firm has a row of each sentence, where it has an earlier call',
    ])
    expect(await brokenBy(`delete from topic_novelty where topic_id = '${QUARTER}/ALDH/01'`)).toEqual([
      'a compared firm has a row of each topic, where it has an earlier call',
    ])
    expect(await brokenBy(`update sentence_novelty set repeated = not repeated where ${one}`)).toEqual([
      'what is said of a compared sentence looks back, and is repeated from where its recipe says',
    ])
    expect(
      await brokenBy(`update topic_novelty set nearest_topic_id = (
        select max(topic_id) from topics where quarter = '${QUARTER}') where topic_id = '${QUARTER}/ALDH/01'`),
    ).toEqual(["what a compared topic is nearest to is its own firm's, of the quarter it was compared with"])
  })

  it('gives the same rows by two processes at once, and after a kill', async () => {
    const words = ['novelty', '--quarter', QUARTER]
    await sql`delete from sentence_novelty where quarter = ${QUARTER}`
    await sql`delete from topic_novelty where quarter = ${QUARTER}`
    const [{ last }] = await sql<{ last: bigint }[]>`select max(run_id) as last from runs`
    const killed = running([...words, '--force'], options)
    while ((await sql`select from runs where run_id > ${(last ?? 0n).toString()} and command = 'novelty'`).length === 0)
      await new Promise(resolve => setTimeout(resolve, 5))
    killed.child.kill('SIGKILL')
    await killed.ended
    await sql`update work set state = 'stale' where stage = 'novelty' and quarter = ${QUARTER} and firm_id < 'H'`
    const both = await Promise.all([quarterdeck(words, options), quarterdeck([...words, '--force'], options)])
    for (const { code, stderr } of both) expect(`${code} ${stderr}`).toMatch(/^0 /)
    expect(both[0].stderr).toMatch(
      /14 firms compared with 2024Q2; \d+ % of [\d,]+ sentences repeated, \d+ of \d+ topics new/,
    )
    expect(await rowsOf(sql, QUARTER)).toEqual(first)
    expect(await sql`select from work where lease_by is not null`).toHaveLength(0)
    expect(await brokenOf(sql)).toEqual([])
  })
})

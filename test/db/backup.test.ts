// A backup and the way back, in every direction between the two databases: the rows that come are those that went, whatever
// is in them; and what does not go into a database is refused before anything is written.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BACKED_UP, backUp, LEFT_OUT } from '../../lib/db/backup.ts'
import { type BackupHeader, type BackupSection, createBackup, openBackup } from '../../lib/db/backup-file.ts'
import { type RestoreOptions, restore } from '../../lib/db/backup-restore.ts'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { copyOut, type Rows } from '../../lib/db/copy-out.ts'
import { describeTables } from '../../lib/db/dictionary.ts'
import { migrate, migrations } from '../../lib/db/migrate.ts'
import { bindModel, boundModel } from '../../lib/db/model-binding.ts'
import { dropQuarter, ensureQuarter } from '../../lib/db/quarters.ts'
import { refusalOf } from '../refusal.ts'
import { fingerprints } from '../run.ts'
import { BOTH } from './both-databases.ts'
import { scratchFolder, type TestServer } from './servers.ts'

const MODEL = { name: 'tiny', revision: 'r1', dimension: 3, source: 'tiny' }
// More than a page of a table: two reads and many pieces.
const MANY = 9000

const folder = scratchFolder()
let fileNumber = 0
const newFile = () => join(folder, `${++fileNumber}.backup`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A quarter with what is hard to carry: no value, empty values, quotes, breaks, other scripts; and one with a call alone. */
async function fill(sql: Database): Promise<void> {
  await bindModel(sql, MODEL)
  for (const quarter of ['2016Q3', '2016Q4']) await ensureQuarter(sql, quarter)
  const odd = 'naïve "quoted" it\'s 😀\n\t\\N {,} NULL'
  await sql`insert into firms values
    ('AB''C', null, ${odd}, ${sql.json({ cik: '0001', odd })}), ('Ünï', 'Ü', null, '{}'), ('ELSE', null, null, '{}')`
  await sql`insert into calls values
    (0, 'AB''C', '2016Q3', null, null, null, ${odd}, 'x', 'h', 2),
    (140737488355327, 'Ünï', '2016Q3', '2016Q3', '2016Q2', '2016-08-01', 's', 'x', 'h', 1),
    (7, 'ELSE', '2016Q4', null, null, '1999-12-31', 's', 'x', 'h', 0)`
  const last = (140737488355327n * 65536n + 65535n).toString()
  await sql`insert into sentences values
    ('2016Q3', 0, 0, 'AB''C', 0, ${odd}, null, 'prepared', null, ${odd}),
    ('2016Q3', 1, 0, 'AB''C', 1, null, '', null, 'short', ''),
    ('2016Q3', ${last}, 140737488355327, 'Ünï', 65535, null, null, 'answer', null, '日本語')`
  await sql`insert into common_words select '2016Q3', 'word ' || i, i from generate_series(1, ${MANY}) i`
  await sql`insert into sentence_vectors values
    ('2016Q3', 0, 'AB''C', '[1,-0,1e-40]'), ('2016Q3', ${last}, 'Ünï', '[0.1,0.2,0.3]')`
  await sql`insert into topics values
    ('2016Q3/AB''C/00', 'AB''C', '2016Q3', ${odd}, 2, ${[odd, 'b']}, '{0.1,1e-7}', '{0}', '[0.1,0.2,0.3]'),
    ('2016Q3/Ünï/00', 'Ünï', '2016Q3', '', 1, '{}', '{}', '{}', '[1,0,0]')`
  await sql`insert into subtopics values
    ('2016Q3/AB''C/00.1', '2016Q3/AB''C/00', '2016Q3', 1, ${[odd]}, '{0.1}', 0), ('2016Q3/AB''C/00.2', '2016Q3/AB''C/00', '2016Q3', 0, '{}', '{}', 0)`
  await sql`insert into topic_sentences (quarter, sentence_id, firm_id, topic_id, probability, subtopic_id) values
    ('2016Q3', 0, 'AB''C', '2016Q3/AB''C/00', 0.3, '2016Q3/AB''C/00.1'), ('2016Q3', ${last}, 'Ünï', null, 0, null)`
  await sql`insert into topic_names values
    ('2016Q3/AB''C/00', ${odd}, '', 'llm', 'm', 'elsewhere'), ('2016Q3/Ünï/00', 'n', 's', 'keywords', null, null)`
  await sql`insert into topic_vectors values ('2016Q3/AB''C/00', '2016Q3', '[0,1,0]')`
  await sql`insert into themes values
    ('2016Q3/00', '2016Q3', ${odd}, '', 'inherited', '{}', 1, 1, 1, 0.1, ${['one firm dominates', '']}, '{0}', '[0,1,0]')`
  await sql`insert into subthemes values ('2016Q3/00.1', '2016Q3/00', '2016Q3', 1, 1, ${[odd, '']})`
  await sql`insert into theme_topics values ('2016Q3/AB''C/00', '2016Q3/00', 0.5, true, '2016Q3/00.1')`
  await sql`insert into chat_answers values
    ('for it', 'm', ${odd}, 1, 2, 0.1, '2016Q3'), ('elsewhere', 'm', '', 1, 2, 0, '2016Q2'),
    ('before', 'm', '{}', 1, 2, null, null), ('other', 'm', '{}', 1, 2, 1e-9, '2016Q4')`
  await sql`insert into work (stage, quarter, firm_id, state, recipe, units, attempt, lease_by, lease_until, error) values
    ('ingest', '2016Q3', '*', 'done', '{"talk":2}', 0, 1, null, null, null),
    ('embed', '2016Q3', 'AB''C', 'pending', '', 2, 5, 'h/1/2/3', now() + interval '1 hour', null),
    ('embed', '2016Q3', 'Ünï', 'failed', '', 1, 2, null, null, ${odd}),
    ('index', '2016Q3', '*', 'done', 'hnsw', 0, 1, null, null, null),
    ('embed', '2016Q4', 'ELSE', 'stale', '', 0, 1, null, null, null)`
  await sql`insert into runs (command, quarter, options, code_version, worker, started_at, finished_at, outcome, counts) values
    ('ingest', '2016Q3', ${sql.json({ odd })}, '1', 'h/1/2/3', '2016-11-01 10:00:00.123456+00', now(), 'done', '{"calls":2}'),
    ('embed', '2016Q4', '{}', '1', 'h/1/2/4', '2016-11-01 10:00:01+00', null, 'running', '{}'),
    ('models', null, '{}', '1', 'h/1/2/4', '2016-11-01 10:00:02+00', now(), 'failed', '{}')`
  await sql`insert into learned_batches (model, device, device_name, driver, threads, tokens) values ('m', 'cpu', 'c', '', 1, 1)`
}

/** Everything that a backup brings, told so that two databases compare. */
async function contents(sql: Database, quarter?: string) {
  const of = quarter ?? null
  return {
    data: quarter === undefined ? await fingerprints(sql) : undefined,
    sentences: await sql`select * from sentences where ${of}::text is null or quarter = ${of} order by sentence_id`,
    answers: await sql`select * from chat_answers order by prompt_hash collate "C"`,
    work: await sql`
      select stage, quarter, firm_id, state, recipe, units, error from work
      where stage <> 'index' and (${of}::text is null or quarter = ${of}) order by stage, quarter, firm_id`,
    runs: await sql`
      select command, quarter, options, code_version, worker, started_at, finished_at, outcome, counts
      from runs where command <> 'db-restore' and (${of}::text is null or quarter = ${of}) order by started_at`,
  }
}

async function restored(sql: Database, file: string, options?: RestoreOptions) {
  const backup = await openBackup(file)
  try {
    return await restore(sql, backup, options)
  } finally {
    await backup.close()
  }
}

async function empty(sql: Database): Promise<void> {
  for (const quarter of ['2016Q3', '2016Q4']) await dropQuarter(sql, quarter)
  await sql`truncate chat_answers, runs, settings`
}

const KINDS = BOTH.filter(kind => kind.isThere)

const servers: TestServer[] = []
const databases: Database[] = []
/** Where backups come into, one of each kind: it takes longer to start a database than to empty it. */
const targets = new Map<string, Database>()
async function opened(start: () => Promise<TestServer>): Promise<Database> {
  const server = await start()
  servers.push(server)
  const sql = await connect(server.settings)
  databases.push(sql)
  await migrate(sql)
  return sql
}
afterAll(async () => {
  for (const sql of databases) await disconnect(sql)
  for (const server of servers) await server.stop()
})

describe.each(KINDS)('a backup of $name', ({ start }) => {
  let from: Database
  let whole: string
  let before: Awaited<ReturnType<typeof contents>>

  beforeAll(async () => {
    from = await opened(start)
    await fill(from)
    whole = newFile()
    await backUp(from, whole)
    before = await contents(from)
  })

  it('has every table of the schema, or there is a reason', async () => {
    const tables = (await describeTables(from)).map(one => one.table)
    expect([...BACKED_UP, ...LEFT_OUT].sort()).toEqual(tables.sort())
  })

  it('is the same file where the rows are the same', async () => {
    const again = newFile()
    await backUp(from, again)
    expect(readFileSync(again).equals(readFileSync(whole))).toBe(true)
  })

  it.each(KINDS)('comes into an empty database as it was: $name', async ({ name, start }) => {
    const into = targets.get(name) ?? (await opened(start))
    targets.set(name, into)
    await empty(into)
    const done = await restored(into, whole)
    expect(done).toMatchObject({ quarters: ['2016Q3', '2016Q4'], before: [] })
    expect(await contents(into)).toEqual(before)
    expect(await boundModel(into)).toEqual(MODEL)
    // The vector type has the dimension, as after the first `embed`.
    await expect(into`insert into sentence_vectors values ('2016Q3', 5, 'x', '[1,2]')`).rejects.toThrow('dimensions')
    expect(
      await into`select lease_by, lease_until from work where lease_by is not null or lease_until is not null`,
    ).toEqual([])
    expect(await into`select quarter, state from work where stage = 'index' order by quarter`).toEqual([
      { quarter: '2016Q3', state: 'stale' },
      { quarter: '2016Q4', state: 'pending' },
    ])
    // And a backup of that one says the same of every table but `work`.
    const again = newFile()
    await backUp(into, again)
    expect(await piecesOf(again)).toEqual(await piecesOf(whole))
  })

  it('of one quarter has that quarter, its firms, its answers and its runs, and leaves the others as they are', async () => {
    const file = newFile()
    expect((await backUp(from, file, '2016Q3')).quarters).toEqual(['2016Q3'])
    const backup = await openBackup(file)
    const rows = Object.fromEntries(backup.header.sections.map(one => [one.table, one.rows]))
    await backup.close()
    expect(rows).toEqual({
      ...{
        firms: 2,
        chat_answers: 3,
        runs: 1,
        calls: 2,
        sentences: 3,
        common_words: MANY,
        sentence_vectors: 2,
        topics: 2,
      },
      ...{ subtopics: 2, topic_sentences: 2, topic_names: 2, topic_vectors: 1 },
      ...{ themes: 1, subthemes: 1, theme_topics: 1, work: 4 },
    })
    await from`delete from topics where quarter = '2016Q3'`
    await from`update sentences set text = 'changed' where quarter = '2016Q3'`
    await restored(from, file, { replace: true })
    expect(await contents(from)).toEqual(before)
  })

  it('of two quarters gives one of them, when it is asked to, with no firm of the other', async () => {
    await empty(from)
    await restored(from, whole, { quarter: '2016Q4' })
    expect(await from`select firm_id from firms`).toEqual([{ firm_id: 'ELSE' }])
    expect(await from`select firm_id from calls`).toEqual([{ firm_id: 'ELSE' }])
    await restored(from, whole)
    expect(await contents(from)).toEqual(before)
  })

  it('twice is as once: what is there from this file stays, with --replace it is put back', async () => {
    const quarters = ['2016Q3', '2016Q4']
    expect(await restored(from, whole, { replace: true })).toMatchObject({ quarters, withoutIndex: ['2016Q3'] })
    expect(await restored(from, whole)).toMatchObject({ quarters: [], before: ['2016Q3', '2016Q4'] })
    expect(await contents(from)).toEqual(before)
    await from`delete from sentences`
    await restored(from, whole, { replace: true, quarter: '2016Q3' })
    expect(await contents(from)).toEqual(before)
  })

  it('takes the work out of the hands of who is at it', async () => {
    const [{ attempt }] = await from<{ attempt: number }[]>`
      update work set attempt = attempt + 1, lease_by = 'h/1/2/3', lease_until = now() + interval '1 hour'
      where stage = 'embed' and firm_id = 'AB''C' returning attempt`
    await restored(from, whole, { replace: true })
    const [now] = await from<{ attempt: number; lease: string | null }[]>`
      select attempt, lease_by as lease from work where stage = 'embed' and firm_id = 'AB''C'`
    expect(now.lease).toBe(null)
    expect(now.attempt).toBeGreaterThan(attempt)
  })

  it('takes firms away that came with the quarter it replaces, and no others', async () => {
    await from`insert into firms (firm_id) values ('NEW'), ('ALONE')`
    await from`insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences) values
      (99, 'NEW', '2016Q3', 's', 'x', 'h', 0)`
    await restored(from, whole, { replace: true })
    expect(await from`select firm_id from firms order by firm_id`).toEqual(
      ["AB'C", 'ALONE', 'ELSE', 'Ünï'].map(firm_id => ({ firm_id })),
    )
    await from`delete from firms where firm_id = 'ALONE'`
  })

  it('of an older quarter leaves firms their names, of a newer one brings them, and what was made under others is stale', async () => {
    const [older, newer] = ['2016Q3', '2016Q4']
    const write = async (quarter: string, name: string | null) => {
      await ensureQuarter(from, quarter)
      await from`insert into firms (firm_id, name) values ('BOTH', ${name}), ('ALIKE', 'Alike')`
      for (const [i, firmId] of ['BOTH', 'ALIKE'].entries()) {
        await from`insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences)
          values (${i + Number(quarter.at(-1)) * 100}, ${firmId}, ${quarter}, 's', 'x', 'h', 0)`
        for (const stage of ['embed', 'cluster-firm', 'name-topics'])
          await from`insert into work (stage, quarter, firm_id, state) values (${stage}, ${quarter}, ${firmId}, 'done')`
      }
      const file = newFile()
      await backUp(from, file)
      await empty(from)
      return file
    }
    const standing = async () => ({
      names: Object.fromEntries((await from`select firm_id, name from firms`).map(row => [row.firm_id, row.name])),
      stale: (
        await from`
          select stage || ' ' || quarter || ' ' || firm_id as work from work
          where state <> 'done' and firm_id <> '*' and stage <> 'novelty' order by 1`
      ).map(row => row.work),
    })
    await empty(from)
    const [first, second, nameless] = [await write(older, 'Old'), await write(newer, 'New'), await write(newer, null)]
    const compared = async () => (await from`select from work where stage = 'novelty' and state <> 'pending'`).length
    const named = (name: string) => ({
      names: { BOTH: name, ALIKE: 'Alike' },
      stale: [`cluster-firm ${older} BOTH`, `name-topics ${older} BOTH`],
    })
    await restored(from, second)
    await restored(from, first)
    expect(await standing()).toEqual(named('New'))
    expect(await compared()).toBe(0) // each database compares its own quarters
    await empty(from)
    await restored(from, first)
    expect(await standing()).toEqual({ ...named('Old'), stale: [] })
    await restored(from, second)
    expect(await standing()).toEqual(named('New'))
    // A quarter that says no name takes none away; its topics were made under none.
    await empty(from)
    await restored(from, first)
    await restored(from, nameless)
    expect(await standing()).toEqual({
      names: { BOTH: 'Old', ALIKE: 'Alike' },
      stale: [`cluster-firm ${newer} BOTH`, `name-topics ${newer} BOTH`],
    })
    await empty(from)
    await restored(from, whole)
    expect(await contents(from)).toEqual(before)
  })

  it('is refused where a quarter is there that is not from it, and nothing is written', async () => {
    const part = newFile()
    await backUp(from, part, '2016Q4')
    await empty(from)
    await restored(from, part)
    const error = await refusalOf(restored(from, whole))
    expect(error.message).toContain('2016Q4 (1 firm) already')
    expect(error.hint).toContain('--replace')
    expect(await from`select distinct quarter from calls`).toEqual([{ quarter: '2016Q4' }])
    await restored(from, whole, { replace: true })
    expect(await contents(from)).toEqual(before)
  })

  it('is refused by a database with vectors of another model, with both names', async () => {
    await from`update settings set value = value || '{"name": "other", "revision": "r2"}'`
    const error = await refusalOf(restored(from, whole, { replace: true }))
    expect(error.message).toContain('tiny (revision r1, 3 dimensions)')
    expect(error.message).toContain('other (revision r2, 3 dimensions)')
    await from`update settings set value = value || '{"name": "tiny", "revision": "r1"}'`
    expect(await contents(from)).toEqual(before)
  })

  it('comes from an older schema, whose columns and tables were fewer', async () => {
    const older = newFile()
    const ours = await rewritten(whole, older, async header => {
      header.schema = 1
      header.tables.chat_answers = header.tables.chat_answers.filter(
        ([name]) => name !== 'dollars' && name !== 'quarter',
      )
      const { subtopics: _, subthemes: __, ...tables } = header.tables
      for (const table of ['topic_sentences', 'theme_topics']) tables[table] = tables[table].slice(0, -1)
      header.tables = tables
      header.sections = header.sections.filter(section => section.table in tables)
      return {
        chat_answers: copyOut(
          from,
          'select prompt_hash, model, answer, prompt_tokens, completion_tokens from chat_answers',
        ),
        topic_sentences: copyOut(
          from,
          'select quarter, sentence_id, firm_id, topic_id, probability, reassigned_topic_id from topic_sentences',
        ),
        theme_topics: copyOut(from, 'select topic_id, theme_id, probability, given_to_nearest from theme_topics'),
      }
    })
    expect(ours.schema).toBe(1)
    await empty(from)
    await restored(from, older)
    const now = await contents(from)
    expect(now.answers).toEqual(before.answers.map(answer => ({ ...answer, dollars: null, quarter: null })))
    const others = ({ data }: typeof now) => {
      const { subtopics: _, subthemes: __, topic_sentences: ___, theme_topics: ____, ...rest } = data ?? {}
      return rest
    }
    expect(others(now)).toEqual(others(before))
    expect(await from`select topic_id, subtopic_id from topic_sentences order by 1`).toEqual([
      { topic_id: "2016Q3/AB'C/00", subtopic_id: null },
      { topic_id: null, subtopic_id: null },
    ])
    expect(await from`select theme_id, subtheme_id from theme_topics`).toEqual([
      { theme_id: '2016Q3/00', subtheme_id: null },
    ])
    expect(await from`select from subtopics union all select from subthemes`).toEqual([])
    await from`truncate chat_answers`
    await restored(from, whole, { replace: true })
    expect(await contents(from)).toEqual(before)
  })

  it('is refused from a newer schema, and with a column that is another one here', async () => {
    const newer = newFile()
    await rewritten(whole, newer, async header => {
      header.schema = 99
      return {}
    })
    const known = migrations().at(-1)?.version
    expect((await refusalOf(restored(from, newer))).message).toBe(
      `the backup has schema version 99; this quarterdeck knows versions up to ${known}`,
    )
    const other = newFile()
    await rewritten(whole, other, async header => {
      header.tables.firms[0][1] = 'int8'
      return {}
    })
    expect((await refusalOf(restored(from, other))).message).toContain('firms.firm_id of type int8; here it is text')
    const strange = newFile()
    await rewritten(whole, strange, async header => {
      header.tables.firms[0][0] = 'firm_id") values (1); drop table firms; --'
      return {}
    })
    expect((await refusalOf(restored(from, strange))).message).toContain('here it is none')
    expect(await contents(from)).toEqual(before)
  })

  it('of a quarter that is not there is refused, and so is one that is not in the file, and an empty database', async () => {
    const file = newFile()
    expect((await refusalOf(backUp(from, file, '2020Q1'))).message).toContain(
      'no calls of 2020Q1; it has 2016Q3, 2016Q4',
    )
    expect((await refusalOf(restored(from, whole, { quarter: '2020Q1' }))).message).toContain('nothing of 2020Q1')
    await empty(from)
    expect((await refusalOf(backUp(from, file))).message).toContain('empty')
    expect(existsSync(file) || existsSync(`${file}.part`)).toBe(false)
    await restored(from, whole)
    expect(await contents(from)).toEqual(before)
  })
})

/** The rows of every table but `work`, which says of its index and its attempts what holds here. */
async function piecesOf(file: string): Promise<Record<string, string>> {
  const backup = await openBackup(file)
  const rows: Record<string, string> = {}
  for (const section of backup.header.sections) {
    if (section.table === 'work') continue
    const pieces: Buffer[] = []
    for await (const piece of backup.pieces(section)) pieces.push(piece.bytes)
    rows[`${section.table} ${section.quarter}`] = Buffer.concat(pieces).toString('base64')
  }
  await backup.close()
  return rows
}

/** Writes a backup again with another header; `change` may give other rows for a table. */
async function rewritten(
  from: string,
  to: string,
  change: (header: BackupHeader) => Promise<Record<string, AsyncIterable<Rows>>>,
): Promise<BackupHeader> {
  const backup = await openBackup(from)
  const writer = await createBackup(to)
  const sections: BackupSection[] = [...backup.header.sections]
  const other = await change(backup.header)
  await writer.begin(backup.header)
  for (const section of sections.filter(one => backup.header.sections.includes(one)))
    for await (const piece of other[section.table] ?? backup.pieces(section)) await writer.piece(piece)
  await writer.finish()
  await writer.close()
  await backup.close()
  return backup.header
}

describe('the file', () => {
  let whole: Buffer
  beforeAll(async () => {
    const file = newFile()
    await backUp(databases[0], file)
    whole = readFileSync(file)
  })

  async function refusalOfBytes(bytes: Buffer): Promise<string> {
    const file = newFile()
    writeFileSync(file, bytes)
    const { message, hint } = await refusalOf(openBackup(file))
    rmSync(file)
    return `${message} → ${hint}`.replaceAll(file, 'FILE')
  }

  it('is refused wherever it is cut off', async () => {
    const line = whole.indexOf('\n')
    const lengths = [30, line - 1, line, line + 1, line + 5, line + 100, whole.length >> 1]
    for (const length of [...lengths, whole.length - 60, whole.length - 27, whole.length - 1])
      expect([length, await refusalOfBytes(whole.subarray(0, length))]).toEqual([
        length,
        expect.stringMatching(/^FILE is not whole: its [\d,]+ bytes do not end as a backup does → copy it again/),
      ])
    expect(await refusalOfBytes(Buffer.concat([whole, Buffer.from('\n')]))).toContain('FILE is not whole')
  })

  it('is refused wherever a bit of it is another one', async () => {
    const line = whole.indexOf('\n')
    const places = [30, line - 1, line, line + 1, line + 8, whole.length >> 1, whole.length - 60, whole.length - 40]
    for (const place of places) {
      const bytes = Buffer.from(whole)
      bytes[place] ^= 1
      expect([place, await refusalOfBytes(bytes)]).toEqual([
        place,
        expect.stringContaining('FILE is damaged: its bytes do not give the SHA-256'),
      ])
    }
    const bytes = Buffer.from(whole)
    bytes[whole.length - 5] ^= 1
    expect(await refusalOfBytes(bytes)).toContain('FILE is not whole')
  })

  it('is refused where it is none, or one of a newer format', async () => {
    for (const other of ['', '{', 'hello', '{"quarter": 1}\n', 'PK\x03\x04'])
      expect(await refusalOfBytes(Buffer.from(other))).toContain('FILE is not a backup of quarterdeck')
    const newer = Buffer.from(whole.toString('latin1').replace('backup":1,', 'backup":2,'), 'latin1')
    expect(await refusalOfBytes(newer)).toBe(
      'FILE has format 2; this quarterdeck reads formats up to 1 → use the newer quarterdeck that made it',
    )
    expect((await refusalOf(openBackup(folder))).message).toBe(`${folder} is a folder`)
    expect((await refusalOf(openBackup(join(folder, 'none')))).message).toBe(`${join(folder, 'none')} does not exist`)
  })

  it('takes the place of nothing, and of two that write it at once one is finished', async () => {
    const file = newFile()
    const header = JSON.parse(whole.subarray(0, whole.indexOf('\n')).toString()) as BackupHeader
    const first = await createBackup(file)
    const second = await createBackup(file)
    for (const writer of [first, second]) await writer.begin({ ...header, sections: [] })
    expect((await refusalOf(first.finish())).message).toContain('another backup has begun to write it')
    await first.close()
    await second.finish()
    await second.close()
    await (await openBackup(file)).close()
    expect((await refusalOf(createBackup(file))).message).toContain('is there already')
    expect(existsSync(`${file}.part`)).toBe(false)
  })
})

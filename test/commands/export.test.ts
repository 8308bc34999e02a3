// What is exported is what the database holds: by SQL of the tests' own, and by sums that pandas makes again. On both databases,
// from rows made up for it: odd texts, two calls of a firm, talk in topics, a firm of talk alone, topics in no theme.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { command, exportTo } from '../../commands/export.ts'
import type { Database } from '../../lib/db/connect.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { createRandom } from '../../lib/math/random.ts'
import { readSettings } from '../../lib/settings.ts'
import { type OpenDatabase, onBothDatabases } from '../db/both-databases.ts'
import { scratchFolder } from '../db/servers.ts'
import { isRunning, quarterdeck, root, running } from '../run.ts'
import { hasPython, runPython } from '../tables/python.ts'

const QUARTERS = ['2016Q3', '2016Q4']
const ODD = [
  'He said "no",\r\nand left.',
  '🚀 עולם \u202eturned\u202c',
  '=SUM(A1)',
  "it's",
  `${'a long sentence '.repeat(200)}.`,
  '\\N',
]

const made = scratchFolder()
afterAll(() => rmSync(made, { recursive: true, force: true }))

/** Inserts rows of one shape. */
async function insert(sql: Database, table: string, rows: readonly Record<string, unknown>[]): Promise<void> {
  if (rows.length > 0) await sql`insert into ${sql(table)} ${sql(rows as Record<string, string>[])}`
}

async function fill(sql: Database): Promise<void> {
  const chance = createRandom(9).next
  for (const quarter of QUARTERS) await ensureQuarter(sql, quarter)
  await sql`
    insert into firms (firm_id, ticker, name, identifiers) values
      ('A', 'A', 'Firm "A", Inc.', '{"cik": "0000320193", "permno": "00012", "S&P id": "7"}'),
      ('B', 'B', null, '{"gvkey": "001690"}'),
      ('ciq-1', null, 'Übung & Co', '{}'),
      ('T', 'T', 'Talk alone', '{}')`
  for (const [q, quarter] of QUARTERS.entries()) {
    const themes = [0, 1, 2].map(t => `${quarter}/0${t + 1}`)
    for (const [t, theme] of themes.entries()) {
      await sql`
        insert into themes (theme_id, quarter, name, summary, source, keywords, topics, firms, sentences, largest_firm_share,
          flags, representative_sentences, centroid)
        values (${theme}, ${quarter}, ${`Theme ${t}; "x"`}, 'What it is.', 'keywords', ${['oil', 'gas']}, 0, 0, 0, 0.5,
          ${[]}, ${[]}, '[1,0]')`
      if (q === 1 || t < 2)
        await sql`insert into theme_lineage values (${theme}, ${quarter}, ${`2016Q3/0${t + 1}`}, ${q === 0 ? 'first' : 'continued'})`
    }
    for (const [f, firm] of ['A', 'B', 'T', 'ciq-1'].entries()) {
      const topics = firm === 'T' ? [] : [0, 1, 2, 3].map(n => `${quarter}/${firm}/0${n + 1}`)
      const sizes = topics.map(() => 0)
      const sentences: Record<string, unknown>[] = []
      const memberships: Record<string, unknown>[] = []
      const novelty: Record<string, unknown>[] = []
      const calls = firm === 'A' && q === 1 ? [2, 1] : [1]
      for (const call of calls) {
        const callId = 1000 * q + 10 * f + call
        await sql`
          insert into calls (call_id, firm_id, quarter, call_date, source, format, content_hash, sentences)
          values (${callId}, ${firm}, ${quarter}, ${firm === 'B' ? null : `2016-${q === 0 ? '08' : '11'}-0${call}`}, 'x', 'x', 'x', 30)`
        for (let position = 0; position < 30; position++) {
          const sentence_id = String(BigInt(callId) * 65536n + BigInt(position))
          const isTalk = firm === 'T' || chance() < 0.2
          const hasSections = firm !== 'B'
          sentences.push({
            ...{ quarter, sentence_id, call_id: callId, firm_id: firm, position },
            speaker: hasSections ? `Speaker, "${position % 3}"` : null,
            role: hasSections ? 'Executives' : null,
            section: hasSections ? ['prepared', 'question', 'answer'][Math.floor(chance() * 3)] : null,
            talk: isTalk ? 'short' : null,
            text: `${ODD[position % ODD.length]} ${position}`,
          })
          // Talk is clustered too, as with --with-talk; a fifth is noise.
          const n = Math.floor(chance() * 5)
          if (firm === 'T') continue
          const topic_id = topics[n] ?? null
          if (n < 4) sizes[n]++
          memberships.push({
            quarter,
            sentence_id,
            firm_id: firm,
            topic_id,
            probability: n < 4 ? Math.fround(chance()) : 0,
          })
          if (q === 1 && firm !== 'B' && chance() < 0.9)
            novelty.push({
              ...{
                quarter,
                sentence_id,
                firm_id: firm,
                earlier_quarter: '2016Q3',
                nearest_sentence_id: '9007199254740993',
              },
              similarity: Math.fround(chance()),
              repeated: chance() < 0.3,
            })
        }
      }
      await insert(sql, 'sentences', sentences)
      for (const [n, topic] of topics.entries()) {
        await sql`
          insert into topics (topic_id, firm_id, quarter, label, size, keywords, keyword_weights, representative_sentences, centroid)
          values (${topic}, ${firm}, ${quarter}, 'oil, gas', ${sizes[n]}, ${['oil', 'gas']}, ${[1, 0.5]},
            ${[String(sentences[n].sentence_id)]}::bigint[], '[1,0]')`
        if (n < 3)
          await sql`insert into topic_names values (${topic}, ${`Topic ${n}`}, 'What it is.', 'keywords', null, null)`
        // Two topics of a firm in one theme, one in none.
        if (n < 3)
          await sql`insert into theme_topics values (${topic}, ${themes[firm === 'A' ? [0, 0, 1][n] : [0, 2, 2][n]]}, 0.5, ${n === 2})`
        if (q === 1 && firm !== 'B')
          await sql`
            insert into topic_novelty values (${topic}, ${quarter}, '2016Q3', ${n === 0 ? null : `2016Q3/${firm}/02`},
              ${n === 0 ? null : 0.25}, 0.5, ${n === 0})`
      }
      await insert(sql, 'topic_sentences', memberships)
      await insert(sql, 'sentence_novelty', novelty)
    }
    await sql`
      update themes set
        topics = (select count(*) from theme_topics tt where tt.theme_id = themes.theme_id),
        sentences = coalesce((select sum(size) from theme_topics tt join topics using (topic_id) where tt.theme_id = themes.theme_id), 0),
        representative_sentences = array(select representative_sentences[1] from theme_topics tt join topics using (topic_id)
          where tt.theme_id = themes.theme_id order by 1)
      where quarter = ${quarter}`
  }
}

type Wish = Parameters<typeof exportTo>[1]
const wish = (folder: string, name: string, more: Partial<Wish>): Wish => ({
  ...{ what: 'panel', format: 'jsonl', zeros: false, output: join(folder, name) },
  ...more,
})
function linesOf(file: string): Record<string, string | number | boolean | null>[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
}

onBothDatabases('an export', open => {
  let database: OpenDatabase
  let sql: Database
  let folder: string
  let options: { home: string; cwd: string; env: Record<string, string> }
  beforeAll(async () => {
    database = await open()
    sql = database.sql
    folder = scratchFolder()
    const { home, databaseUrl } = database.settings
    options = { home, cwd: folder, env: databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl } }
  }, 60_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('of an empty database is refused, and leaves no file', async () => {
    await expect(exportTo(sql, wish(folder, 'none.jsonl', {}))).rejects.toThrow('the database is empty')
    expect(readdirSync(folder)).toEqual([])
    await fill(sql)
  }, 60_000)

  it('has of every sentence what the tables have', async () => {
    const file = join(folder, 'sentences.jsonl')
    const done = await exportTo(sql, wish(folder, 'sentences.jsonl', { what: 'sentences' }))
    expect(done).toMatchObject({ file, codebook: `${file}.codebook.md`, quarters: QUARTERS, rows: 270 })
    const rows = linesOf(file)
    const told = await sql<Record<string, string>[]>`select sentence_id::text as id, * from sentences`
    expect(rows.length).toBe(told.length)
    const told_of = new Map(told.map(row => [row.id, row]))
    for (const row of rows)
      for (const name of ['quarter', 'firm_id', 'position', 'speaker', 'role', 'section', 'talk', 'text'])
        expect(row[name]).toBe(told_of.get(String(row.sentence_id))?.[name])
    const firm = rows.find(row => row.firm_id === 'A' && row.quarter === '2016Q4')
    expect(firm).toMatchObject({
      cik: '0000320193',
      permno: '00012',
      s_p_id: '7',
      gvkey: null,
      calls: 2,
      call_date: '2016-11-02',
    })
    const ofTopics = await sql<Record<string, string>[]>`
      select sentence_id::text as id, topic_id, probability from topic_sentences`
    for (const { id, topic_id, probability } of ofTopics)
      expect(rows.find(row => row.sentence_id === id)).toMatchObject({ topic_id, topic_membership: probability })
    const compared = await sql<Record<string, string>[]>`
      select sentence_id::text as id, nearest_sentence_id::text as nearest, similarity, repeated from sentence_novelty`
    expect(rows.filter(row => row.nearest_similarity !== null).length).toBe(compared.length)
    for (const { id, nearest, similarity, repeated } of compared)
      expect(rows.find(row => row.sentence_id === id)).toMatchObject({
        ...{ nearest_sentence_id: nearest, nearest_similarity: similarity, repeated },
      })
  })

  it('has in the panel the identity of themes, and null where there is nothing to say', async () => {
    await exportTo(sql, wish(folder, 'panel.jsonl', {}))
    const rows = linesOf(join(folder, 'panel.jsonl'))
    const pairs = await sql<{ pair: string }[]>`
      select distinct t.quarter || t.firm_id || theme_id as pair from topics t join theme_topics using (topic_id) order by 1`
    expect(rows.map(row => `${row.quarter}${row.firm_id}${row.theme_id}`).toSorted()).toEqual(
      pairs.map(row => row.pair).toSorted(),
    )
    for (const row of rows) {
      const isPlaced = row.theme_id !== '2016Q3/03'
      expect(row.lineage_id).toBe(isPlaced ? `2016Q3/0${String(row.theme_id).at(-1)}` : null)
      expect(row.event).toBe(isPlaced ? (row.quarter === '2016Q3' ? 'first' : 'continued') : null)
      // B's source tells no sections, and nothing of B was compared.
      const isSilent = row.firm_id === 'B'
      expect([row.share_of_prepared === null, row.share_of_answers === null]).toEqual([isSilent, isSilent])
      expect(row.novelty === null).toBe(isSilent || row.quarter === '2016Q3')
      expect(row.new_topics_share === null).toBe(isSilent || row.quarter === '2016Q3')
    }
  })

  it('has with zeros a row for every firm and theme of a quarter, also of a firm that is all talk', async () => {
    const done = await exportTo(sql, wish(folder, 'zeros.jsonl', { zeros: true, quarters: ['2016Q4'] }))
    expect(done.rows).toBe(4 * 3)
    const rows = linesOf(join(folder, 'zeros.jsonl'))
    expect(new Set(rows.map(row => `${row.firm_id} ${row.theme_id}`)).size).toBe(12)
    expect(rows.filter(row => row.firm_id === 'T')).toEqual(
      Array(3).fill(
        expect.objectContaining({ sentences: 0, topics: 0, share_of_call: null, novelty: null, mean_membership: null }),
      ),
    )
    expect(rows.find(row => row.firm_id === 'B' && row.theme_id === '2016Q4/02')).toMatchObject({
      ...{
        sentences: 0,
        topics: 0,
        share_of_call: 0,
        share_of_answers: null,
        mean_membership: null,
        new_topics_share: null,
      },
    })
  })

  it.skipIf(!hasPython)('adds up: pandas makes the panel again from the exported sentences and topics', async () => {
    const sums = join(folder, 'sums')
    mkdirSync(sums)
    for (const what of ['panel', 'themes', 'topics', 'sentences'] as const)
      await exportTo(sql, wish(sums, `${what}.parquet`, { what, format: 'parquet' }))
    const { rows } = await exportTo(sql, wish(sums, 'zeros.parquet', { format: 'parquet', zeros: true }))
    const panel = linesOf(join(folder, 'panel.jsonl'))
    expect(rows).toBe(24)
    expect(await runPython(join(root, 'test/tables/panel_sums.py'), sums)).toBe(`${panel.length + 24}\n`)
  })

  it('nests for event studies the sentences of each call under firm and theme', async () => {
    const done = await exportTo(sql, wish(folder, 'themes.json', { what: 'downstream', format: 'json' }))
    type Firm = {
      firm_id: string
      permno: string | null
      earnings_call_date: string | null
      sentences: { text: string }[]
    }
    type Theme = { theme_id: string; firm_contributions: Firm[] }
    const { themes }: { themes: Theme[] } = JSON.parse(readFileSync(join(folder, 'themes.json'), 'utf8'))
    const told = await sql<{ line: string }[]>`
      select concat_ws('|', theme_id, s.firm_id, identifiers ->> 'permno', call_date, s.text) as line
      from theme_topics join topic_sentences using (topic_id)
      join sentences s using (quarter, sentence_id) join calls using (call_id) join firms f on f.firm_id = s.firm_id
      order by theme_id, s.firm_id, call_date, sentence_id`
    const lines = themes.flatMap(({ theme_id, firm_contributions }) =>
      firm_contributions.flatMap(one =>
        one.sentences.map(({ text }) =>
          [theme_id, one.firm_id, one.permno, one.earnings_call_date, text].filter(part => part !== null).join('|'),
        ),
      ),
    )
    expect(lines).toEqual(told.map(row => row.line))
    expect(done.rows).toBe(lines.length)
    const calls = themes.flatMap(theme =>
      theme.firm_contributions.map(one => [theme.theme_id, one.firm_id, one.earnings_call_date]),
    )
    expect(new Set(calls.map(String)).size).toBe(calls.length)
  })

  it('is the same on both databases, to the byte', async () => {
    for (const what of ['panel', 'themes', 'topics', 'sentences'] as const) {
      const text = readFileSync(
        (await exportTo(sql, wish(folder, `same-${what}.jsonl`, { what, zeros: what === 'panel' }))).file,
      )
      const first = join(made, what)
      if (existsSync(first)) expect(text.equals(readFileSync(first))).toBe(true)
      else await exportTo(sql, wish(made, what, { what, zeros: what === 'panel' }))
    }
  })

  it('goes to a file of its name with a codebook beside it, and takes the place of none', async () => {
    const { code, stderr, stdout } = await quarterdeck(['export', '--json'], options)
    expect(`${code} ${stderr}`).toMatch(/^0 export: 12 rows of 2016Q3, 2016Q4 in panel.parquet, [\d.]+ MB, in .+ s; /m)
    expect(JSON.parse(stdout)).toMatchObject({ file: 'panel.parquet', codebook: 'panel.parquet.codebook.md', rows: 12 })
    const book = readFileSync(join(folder, 'panel.parquet.codebook.md'), 'utf8')
    for (const words of [
      '| rows | 12 |',
      '2016Q3, 2016Q4',
      'quarterdeck export --what panel --format parquet',
      '`novelty`',
    ])
      expect(book).toContain(words)
    const before = readFileSync(join(folder, 'panel.parquet'))
    const again = await quarterdeck(['export'], options)
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('panel.parquet is there already')
    expect(readFileSync(join(folder, 'panel.parquet')).equals(before)).toBe(true)
    expect(readdirSync(folder).filter(name => name.endsWith('.part'))).toEqual([])
  })

  it('is what the name of the file says, and says what is out of date of the quarters', async () => {
    await sql`
      insert into work (stage, quarter, firm_id, state)
      values ('novelty', '2016Q4', 'X', 'stale'), ('index', '2016Q4', '*', 'stale')`
    const named = await quarterdeck(['export', '--what', 'themes', '--output', 'named.CSV'], options)
    expect(named).toMatchObject({ code: 0, stderr: expect.not.stringContaining('out of date') }) // themes show nothing of it
    expect(readFileSync(join(folder, 'named.CSV'), 'utf8')).toMatch(/^quarter,theme_id,/)
    const { stderr } = await quarterdeck(['export', '--output', 'stale.jsonl', '--quarter', '2016Q4'], options)
    expect(stderr).toMatch(/2016Q4: novelty is not done, or out of date, .*: make quarter Q=2016Q4/)
    await sql`delete from work where firm_id = 'X' or stage = 'index'`
  })

  it('goes as text to standard output where that is asked for', async () => {
    const words = ['export', '--what', 'themes', '--format', 'csv', '--quarter', '2016Q4', '--stdout']
    const { code, stdout } = await quarterdeck(words, options)
    expect(code).toBe(0)
    expect(stdout.split('\r\n')[0]).toMatch(/^quarter,theme_id,theme_name,/)
    expect(stdout.match(/^2016Q4,/gm)?.length).toBe(3)
  })

  it('is refused for a quarter that is not there and in a place that is none, and leaves nothing', async () => {
    const before = readdirSync(folder)
    await expect(exportTo(sql, wish(folder, 'x', { quarters: ['2016Q3', '2020Q1'] }))).rejects.toThrow(
      'no calls of 2020Q1; it has 2016Q3, 2016Q4',
    )
    await expect(exportTo(sql, wish(folder, 'no/such/x', {}))).rejects.toThrow(/cannot be written: there is no folder/)
    expect(readdirSync(folder)).toEqual(before)
  })

  it.skipIf(process.platform !== 'linux')('says that no room is left, and leaves nothing', async () => {
    // The shell's limit on the size of a file, in blocks of a kilobyte: what is over it fails as on a full disk.
    const words = ['export', '--what', 'sentences', '--format', 'jsonl', '--output', 'full.jsonl']
    const door = join(root, 'bin/quarterdeck.mjs')
    const environment = { PATH: process.env.PATH, QUARTERDECK_HOME: options.home, ...options.env }
    const limited = ['-c', 'ulimit -f 64; exec "$@"', '-', process.execPath, door, ...words]
    const { status, stderr } = spawnSync('bash', limited, { cwd: folder, env: environment, encoding: 'utf8' })
    expect(stderr).toContain('full.jsonl cannot be written: no room is left for it')
    expect(status).toBe(1)
    expect(readdirSync(folder).filter(name => name.startsWith('full'))).toEqual([])
  })

  it('is not in the way of the next when it is killed', async () => {
    const file = join(folder, 'killed.dta')
    for (;;) {
      const run = running(['export', '--format', 'dta', '--output', file], options)
      while (!existsSync(`${file}.part`) && !existsSync(file) && isRunning(run.child)) await sleep(1)
      run.child.kill('SIGKILL')
      await run.ended
      if (!existsSync(file)) break
      rmSync(file) // it was faster
    }
    expect((await exportTo(sql, wish(folder, 'killed.dta', { format: 'dta' }))).rows).toBe(12)
    const left = readdirSync(folder).filter(name => name.startsWith('killed'))
    expect(left.toSorted()).toEqual(['killed.dta', 'killed.dta.codebook.md'])
  })
})

describe('a wish that cannot be met', () => {
  it.each([
    { flags: { stdout: true }, says: /parquet is no text/ },
    { flags: { format: 'csv', stdout: true, output: 'x' }, says: /--stdout and --output exclude each other/ },
    { flags: { format: 'csv', stdout: true, json: true }, says: /--stdout and --json exclude each other/ },
    { flags: { output: 'panel.xlsx' }, says: /panel.xlsx is called .xlsx, and this would be parquet/ },
    { flags: { output: 'panel.csv', format: 'dta' }, says: /panel.csv is called .csv, and this would be dta/ },
    { flags: { what: 'downstream', output: 'themes.csv' }, says: /themes.csv is called .csv, and this would be json/ },
    { flags: { format: 'xls' }, says: /one of parquet, csv, dta, jsonl/ },
    { flags: { what: 'downstream', format: 'csv' }, says: /one of json/ },
    { flags: { what: 'firms' }, says: /one of panel, themes, topics, sentences, downstream/ },
    { flags: { what: 'topics', zeros: true }, says: /--zeros is for the panel/ },
    { flags: { quarter: '2016Q3,x' }, says: /"x" is not a quarter/ },
    { flags: { quarter: '2016Q3,' }, says: /--quarter is empty/ },
  ])('is refused before anything is opened: $flags', async ({ flags, says }) => {
    const rest = { words: [], settings: readSettings({}), columns: undefined, print: () => {} }
    await expect(command.run({ ...rest, flags })).rejects.toThrow(says)
  })
})

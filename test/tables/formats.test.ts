// What is written is what pandas, pyarrow and DuckDB read: every cell, on odd texts and numbers, with labels, in every format.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createFile } from '../../lib/new-file.ts'
import { codebookText } from '../../lib/tables/codebook.ts'
import { downstreamWriter } from '../../lib/tables/downstream.ts'
import { exportedTable, takenNames } from '../../lib/tables/exported.ts'
import { FORMATS, type Format, openWriter } from '../../lib/tables/formats.ts'
import { type Column, checkTable, columnName, type Row, type Table } from '../../lib/tables/table.ts'
import { scratchFolder } from '../db/servers.ts'
import { hasPython, readBack } from './python.ts'

const folder = scratchFolder()
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function column(name: string, type: Column['type'], isLong = false): Column {
  const words = { unit: 'things', meaning: 'What it means | all of it.', missing: 'it is not known', source: 'a.table' }
  return { name, type, label: `The label of ${name}, über alles`, ...(isLong ? { isLong } : {}), ...words }
}

const table: Table = {
  title: 'A table for a test: 2016Q3 to 2017Q1, größer',
  row: 'a row',
  key: ['id'],
  columns: [
    column('id', 'text'),
    column('name', 'text'),
    column('said', 'text', true),
    column('whole', 'integer'),
    column('real', 'number'),
    column('day', 'date'),
    column('yes', 'flag'),
  ],
}

const TEXTS = [
  'plain',
  'a "quoted" word, and a comma',
  'two\nlines',
  'two\r\nlines of Windows',
  ' blanks at both ends ',
  'Umlaute: äöüß, 東京, naïve',
  '🚀 and 👩‍👩‍👧 in one text',
  'שלום עולם with \u202eturned\u202c letters',
  '00320193',
  'NA',
  '=1+1',
  "it's; semi; 'quoted'",
  'tab\there',
  '\\N',
  '-',
]
const NUMBERS = [0, -1.5, 0.1, 1 / 3, 1e300, -1e-300, 123456789.123456, 5e-324]
const DAYS = ['2016-12-31', '2024-02-29', '1960-01-01', '1959-12-31', '1970-01-01']

/** Rows with every text in every place, and missing values everywhere but in the key. */
const rows: Row[] = Array.from({ length: 120 }, (_, i) => [
  `2016Q4/A/${i}`,
  i % 7 === 3 ? null : TEXTS[i % TEXTS.length],
  i % 11 === 5 ? null : `${TEXTS[(i * 4) % TEXTS.length]} ${'long '.repeat(i === 60 ? 1000 : i % 3)}end`,
  i % 5 === 2 ? null : [0, 1, -2_147_483_647, 2_147_483_620, i][i % 5],
  i % 6 === 1 ? null : NUMBERS[i % NUMBERS.length],
  i % 4 === 1 ? null : DAYS[i % DAYS.length],
  i % 3 === 2 ? null : i % 2 === 0,
])

async function written(name: string, format: Format, some: readonly Row[], by: number, wanted = table) {
  const file = join(folder, `${name}.${format}`)
  const out = await createFile(file)
  const facts = { quarters: '2016Q3', code: '0.1.0' }
  const made = new Date('2026-11-05T03:04:05Z')
  const writer = await openWriter(format, wanted, facts, out.write, { file, made })
  for (let from = 0; from < some.length; from += by) await writer.rows(some.slice(from, from + by))
  await writer.finish()
  await writer.close()
  await out.finish()
  await out.close()
  return file
}

/** What a reader can know of a value: Stata has no missing text and no true, a CSV of texts is all text. */
function expected(format: Format, reader: string, some: readonly Row[]): unknown[][] {
  return some.map(row =>
    row.map((value, i) => {
      const { type } = table.columns[i]
      if (format === 'csv') {
        if (value === null) return reader === 'duckdb' ? null : ''
        return String(value)
      }
      if (format === 'dta' && type === 'text') return value ?? ''
      if (format === 'dta' && type === 'flag' && value !== null) return Number(value)
      return value
    }),
  )
}

const READERS: Record<Format, string[]> = {
  parquet: ['pyarrow', 'pandas', 'duckdb'],
  csv: ['pandas', 'duckdb'],
  dta: ['pandas'],
  jsonl: ['json', 'duckdb'],
}

describe.skipIf(!hasPython)('a file that is taken home', () => {
  it('holds in every format, cell by cell, what was written, in whatever portions it came', async () => {
    for (const by of [120, 7]) {
      const files: string[] = []
      for (const format of FORMATS) files.push(await written(`odd-${by}`, format, rows, by))
      for (const [i, { columns, cells }] of (await readBack(...files)).entries()) {
        expect(columns).toEqual(table.columns.map(one => one.name))
        expect(Object.keys(cells)).toEqual(READERS[FORMATS[i]])
        for (const [reader, seen] of Object.entries(cells)) expect(seen).toEqual(expected(FORMATS[i], reader, rows))
      }
    }
    for (const format of FORMATS) {
      const [once, again] = [120, 7].map(by => readFileSync(join(folder, `odd-${by}.${format}`)))
      expect(once.equals(again)).toBe(true)
    }
  })

  it('has no rows where there are none, and says what its columns are where the format has a place for it', async () => {
    const files: string[] = []
    for (const format of FORMATS) files.push(await written('none', format, [], 1))
    for (const [i, { columns, cells, labels, title }] of (await readBack(...files)).entries()) {
      const format = FORMATS[i]
      expect(columns).toEqual(format === 'jsonl' ? [] : table.columns.map(one => one.name))
      expect(Object.values(cells).every(seen => seen.length === 0)).toBe(true)
      if (format !== 'parquet' && format !== 'dta') continue
      expect(labels).toEqual(Object.fromEntries(table.columns.map(({ name, label }) => [name, label])))
      expect(title).toBe(table.title)
    }
  })

  it('keeps for Stata long texts aside, no zero that would end a text, and no number that it cannot hold', async () => {
    const lengths = [2045, 2046].map(length => rows.map((row, i) => row.with(1, i === 9 ? 'x'.repeat(length) : row[1])))
    const zeros = [rows[0].with(1, 'be\0fore').with(2, 'a\0fter')]
    const numbers = [Number.POSITIVE_INFINITY, Number.NaN, 8.9e307, 9e307].map(value => rows[0].with(4, value))
    const files: string[] = []
    for (const [i, some] of [...lengths, zeros, numbers].entries())
      files.push(await written(`stata-${i}`, 'dta', some, 50))
    const [within, aside, zero, number] = (await readBack(...files)).map(one => one.cells.pandas)
    expect(within).toEqual(expected('dta', 'pandas', lengths[0]))
    expect(aside).toEqual(expected('dta', 'pandas', lengths[1]))
    // 120 rows of 2,045 bytes each, or of the eight that tell where the one long text is.
    expect(statSync(files[0]).size - statSync(files[1]).size).toBeGreaterThan(100 * 2000)
    expect(zero[0].slice(1, 3)).toEqual(['before', 'after'])
    expect(number.map(row => row[4])).toEqual([null, null, 8.9e307, null])
  })

  it('takes as Parquet more rows than a group holds', async () => {
    const narrow = { ...table, columns: [table.columns[0], table.columns[3]] }
    const many: Row[] = Array.from({ length: 30_001 }, (_, i) => [String(i), i % 7 === 0 ? null : i])
    const [{ cells }] = await readBack(await written('many', 'parquet', many, 9973, narrow))
    for (const seen of Object.values(cells)) expect(seen).toEqual(many)
  })
})

describe('a table', () => {
  it('of each kind has columns that every format takes, and labels of at most 80 characters', () => {
    for (const name of ['panel', 'themes', 'topics', 'sentences'] as const) {
      const identifiers = [{ key: 'cik', column: 'cik' }]
      const exported = exportedTable(name, ['2016Q3', '2016Q4'], identifiers)
      expect(() => checkTable(exported)).not.toThrow()
      for (const { label, source } of exported.columns)
        expect([label, source].every(text => text.length > 0)).toBe(true)
    }
    expect(() => checkTable({ ...table, columns: [column('a b', 'text')], key: [] })).toThrow('a b')
    expect(() => checkTable({ ...table, key: ['said'] })).toThrow('said')
  })

  it('calls an identifier by a name that every format takes, and no two by the same', () => {
    expect(columnName('cik', [])).toBe('cik')
    expect(columnName('GVKEY', [])).toBe('gvkey')
    expect(columnName('S&P company-id', [])).toBe('s_p_company_id')
    expect(columnName('int', [])).toBe('id_int')
    expect(columnName('2nd', [])).toBe('id_2nd')
    expect(columnName('quarter', takenNames())).toBe('id_quarter')
    const taken: string[] = []
    for (let i = 0; i < 12; i++) taken.push(columnName('a very long name of an identifier, which goes on', taken))
    expect(new Set(taken).size).toBe(12)
    expect(taken.every(name => /^[a-z][a-z0-9_]{0,31}$/.test(name))).toBe(true)
  })

  it('has a codebook with a line for each column, in which no bar breaks the table', () => {
    const text = codebookText(table, 'x.csv', { rows: '3' }, ['A note.'])
    const lines = text.split('\n').filter(line => line.startsWith('| `'))
    expect(lines.length).toBe(table.columns.length)
    for (const line of lines) expect(line.replaceAll('\\|', '').split('|').length).toBe(8)
    expect(text).toContain('A note.')
  })
})

describe('a JSON of event studies', () => {
  const base = { firmName: null, permno: '00012', callDate: '2016-10-03', speaker: null, themeName: 'A "theme"' }
  it('nests sentences in calls, calls in themes, and is JSON also when there is none', async () => {
    for (const by of [1, 2, 5]) {
      let text = ''
      const writer = downstreamWriter(async piece => {
        text += piece
      })
      const all = [
        { ...base, themeId: 't1', firmId: 'A', callId: '1', text: 'one' },
        { ...base, themeId: 't1', firmId: 'A', callId: '1', text: 'two\n"' },
        { ...base, themeId: 't1', firmId: 'A', callId: '2', text: 'three' },
        { ...base, themeId: 't1', firmId: 'B', callId: '3', text: 'four' },
        { ...base, themeId: 't2', firmId: 'B', callId: '3', text: 'five' },
      ]
      for (let from = 0; from < all.length; from += by) await writer.sentences(all.slice(from, from + by))
      await writer.finish()
      const { themes } = JSON.parse(text)
      type Firm = { firm_id: string; sentences: { text: string }[] }
      const shape = themes.map((theme: { theme_id: string; firm_contributions: Firm[] }) => [
        theme.theme_id,
        ...theme.firm_contributions.map(firm => [firm.firm_id, ...firm.sentences.map(one => one.text)]),
      ])
      expect(shape).toEqual([
        ['t1', ['A', 'one', 'two\n"'], ['A', 'three'], ['B', 'four']],
        ['t2', ['B', 'five']],
      ])
    }
    let text = ''
    await downstreamWriter(async piece => {
      text += piece
    }).finish()
    expect(JSON.parse(text)).toEqual({ themes: [] })
  })
})

describe('a new file', () => {
  it('takes the place of nothing, not even of what came while it was written', async () => {
    const file = join(folder, 'taken')
    const out = await createFile(file)
    await out.write('mine')
    writeFileSync(file, 'theirs')
    await expect(out.finish()).rejects.toThrow('is there already')
    await out.close()
    expect(readFileSync(file, 'utf8')).toBe('theirs')
    await expect(createFile(file)).rejects.toThrow('is there already')
    expect(readdirSync(folder).filter(name => name.endsWith('.part'))).toEqual([])
  })

  it('is gone when it is not finished, and leaves the file of another process alone', async () => {
    const file = join(folder, 'given-up')
    const first = await createFile(file)
    const second = await createFile(file)
    await second.write('second')
    await expect(first.finish()).rejects.toThrow('another process has begun to write it')
    await first.close()
    await second.finish()
    await second.close()
    expect(readFileSync(file, 'utf8')).toBe('second')
  })

  it('says what is wrong with its place', async () => {
    await expect(createFile(join(folder, 'no/such/x'))).rejects.toThrow(/cannot be written: there is no folder/)
    mkdirSync(join(folder, 'a-folder'))
    await expect(createFile(join(folder, 'a-folder'))).rejects.toThrow('is there already')
  })
})

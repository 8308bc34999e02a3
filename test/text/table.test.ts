// Tables and CSV: width, alignment, and that no cell can command a terminal.

import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { csvOf, displayWidth, harmless, renderTable } from '../../lib/text/table.ts'

const COLUMNS = [{ title: 'topic' }, { title: 'firms', align: 'right' as const }, { title: 'sentence' }]
const ROWS = [
  ['Memory pricing', '7', 'Pricing improved as supply stayed tight and inventories fell across all of our segments.'],
  ['Tax', '1,204', 'The rate was 21 %.'],
]

describe('a table', () => {
  it('stands under its titles, figures to the right', () => {
    expect(renderTable(COLUMNS.slice(0, 2), ROWS, 80)).toBe(
      ['topic           firms', '--------------  -----', 'Memory pricing      7', 'Tax             1,204'].join('\n'),
    )
  })

  it('is never wider than the terminal, and loses no word of a column that wraps', () => {
    for (const width of [44, 60, 79, 200]) {
      const table = renderTable(COLUMNS, ROWS, width)
      for (const line of table.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(width)
      for (const word of ROWS[0][2].split(' ')) expect(table).toContain(word)
    }
  })

  it('wraps the columns that are marked, and shares the width among them', () => {
    const columns = [{ title: 'name', wrap: true }, { title: 'summary', wrap: true }, { title: 'n' }]
    const long = 'word '.repeat(40).trim()
    const lines = renderTable(columns, [[long, long, '12']], 60).split('\n')
    expect(lines.every(line => line.length <= 60)).toBe(true)
    expect(lines[2]).toMatch(/ {2}12$/)
    expect(lines[1].split('  ').map(rule => rule.length)).toEqual([27, 27, 2])
  })

  it('leaves cells whole where the width is unknown', () => {
    const columns = COLUMNS.map(column => ({ ...column, max: 5 }))
    expect(renderTable(columns, ROWS, undefined).split('\n')).toHaveLength(4)
    expect(renderTable(columns, ROWS, undefined)).toContain(ROWS[0][2])
  })

  it('cuts a column at its maximum, with a sign that it did', () => {
    const lines = renderTable([{ title: 'topic', max: 8 }, { title: 'n' }], [['Memory pricing', '7']], 80).split('\n')
    expect(lines[2]).toBe('Memory…   7')
  })

  it('breaks a word that is longer than the column', () => {
    const table = renderTable([{ title: 'x' }], [['a'.repeat(50)]], 20)
    expect(table.split('\n').map(line => line.length)).toEqual([1, 20, 20, 20, 10])
  })

  it('has its titles when it has no rows, and bears rows that are too short', () => {
    expect(renderTable(COLUMNS, [], 80)).toBe('topic  firms  sentence\n-----  -----  --------')
    expect(renderTable(COLUMNS, [['Tax']], 80).split('\n')[2]).toBe('Tax')
  })

  it('stays aligned beside wide characters, accents and emoji', () => {
    const names = ['東京', 'café', 'cafe\u0301', '👩‍👩‍👧 family', 'plain']
    const table = renderTable(
      [{ title: 'name' }, { title: 'n' }],
      names.map(name => [name, '|']),
      40,
    )
    const columns = table
      .split('\n')
      .slice(2)
      .map(line => displayWidth(line.slice(0, line.indexOf('|'))))
    expect(new Set(columns).size).toBe(1)
  })

  it('knows how wide a text stands', () => {
    expect(['', 'abc', '東京', 'e\u0301', '👍🏽', '1️⃣', '…'].map(displayWidth)).toEqual([0, 3, 4, 1, 2, 2, 1])
  })
})

describe('text from a transcript in a terminal', () => {
  const attack = '\u001b]0;title\u0007\u001b[2J\u009b31m\rred\b\u202eevil\u2066 \ud800 \u0000end'

  it('cannot move the cursor, colour, hide or turn anything', () => {
    expect(renderTable([{ title: attack }], [[attack]], 40)).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}]/u)
    expect(harmless(attack)).toContain('red')
    expect(harmless(attack)).toMatch(/end$/)
  })

  it('stays in its row', () => {
    expect(renderTable([{ title: 'x' }], [['one\ntwo\tthree\r\nfour\u2028five']], 80).split('\n')[2]).toBe(
      'one two three four five',
    )
  })

  it('keeps emoji that are joined', () => {
    expect(harmless('👩‍👩‍👧')).toBe('👩‍👩‍👧')
  })
})

describe('CSV', () => {
  it('is read back as it was by a CSV reader', () => {
    const rows = [
      ['a,b', 'say "no"', 'two\nlines'],
      ['', ' spaces ', '=1+1'],
      ['\r', '東京', "it's"],
    ]
    const columns = [{ title: 'one' }, { title: 'two, or 2' }, { title: '"three"' }]
    expect(parse(csvOf(columns, rows))).toEqual([columns.map(({ title }) => title), ...rows])
  })

  it('ends its lines as RFC 4180 has it, and quotes only where it must', () => {
    expect(csvOf([{ title: 'a' }, { title: 'b' }], [['1', 'x y']])).toBe('a,b\r\n1,x y\r\n')
  })
})

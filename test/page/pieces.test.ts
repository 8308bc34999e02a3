// What the page computes before it draws: packing, addresses, colours, search. Without a browser.

import { describe, expect, it } from 'vitest'
import { coloursOf } from '../../lib/page/browser/colours.ts'
import { folded, indexOf, partsOf, search, wordsOf } from '../../lib/page/browser/find.ts'
import { percent, ratio } from '../../lib/page/browser/format.ts'
import { firmsOfTheme, medianOf, reportOf } from '../../lib/page/browser/report.ts'
import { addressOf, routeOf } from '../../lib/page/browser/route.ts'
import { packed, unpacked } from '../../lib/page/pack.ts'
import { renderPage } from '../../lib/page/write-page.ts'
import { madeReport } from './made-report.ts'

const data = madeReport({ firms: 40, themes: 6, quarters: 3, hostile: ['</script><!--<script>'] })

describe('packing', () => {
  it('gives back what went in, but for digits that nobody is shown', () => {
    const back = unpacked([...packed(data)].join(''))
    const rounded = JSON.parse(
      JSON.stringify(data, (_, value) =>
        typeof value === 'number' && !Number.isInteger(value) ? Math.round(value * 1e4) / 1e4 : value,
      ),
    )
    expect(back).toEqual(rounded)
  })

  it('keeps empty lists', () => {
    const empty = madeReport({ firms: 1, themes: 0, topicsPerFirm: 0 })
    expect(unpacked([...packed(empty)].join('')).topics).toEqual([])
  })

  it('passes the border of a piece without a seam', () => {
    const large = madeReport({ firms: 500, themes: 3, topicsPerFirm: 3 })
    expect(large.sentences.length).toBeGreaterThan(4096)
    expect(unpacked([...packed(large)].join('')).sentences.map(({ id }) => id)).toEqual(
      large.sentences.map(({ id }) => id),
    )
  })
})

describe('the file', () => {
  it('is the same for the same data, names no folder of this machine, and closes each script once', async () => {
    const pages = ['', '']
    for (const place of [0, 1]) for await (const piece of renderPage(data)) pages[place] += piece
    expect(pages[0]).toBe(pages[1])
    expect(pages[0]).not.toContain(process.cwd())
    expect(pages[0].match(/<\/script/gi)).toHaveLength(2)
    expect(pages[0]).not.toContain('<!--')
    expect(pages[0]).toContain('Permission to use, copy, modify') // the licence of d3 goes along
  })
})

describe('addresses', () => {
  it('lead back to what they were made of, whatever an id holds', () => {
    for (const id of ['2016Q4/07', 'BRK.B', 'a b?c#d%e&f', '<script>', 'ü/ñ']) {
      const route = routeOf(addressOf('theme', id, { q: `${id} & more` }))
      expect([route.view, route.id, route.query.get('q')]).toEqual(['theme', id, `${id} & more`])
    }
  })

  it('never lead out of the page, and a broken one is no error', () => {
    expect(addressOf('firm', 'javascript:alert(1)')).toMatch(/^#\//)
    expect(routeOf('#/firm/%').id).toBe('%')
    expect(routeOf('').view).toBe('overview')
  })
})

describe('colours', () => {
  it('differ among the first ten, and between near neighbours after that', () => {
    const grid = Array.from({ length: 100 }, (_, i): [number, number] => [i % 10, Math.floor(i / 10)])
    const colours = coloursOf(grid, 10)
    expect(new Set(colours.slice(0, 10)).size).toBe(10)
    for (const [i, [x, y]] of grid.entries())
      for (const [j, [u, v]] of grid.entries())
        if (i < j && Math.abs(x - u) + Math.abs(y - v) === 1) expect(colours[i]).not.toBe(colours[j])
  })
})

describe('search', () => {
  it('knows no case and no accents', () => {
    expect(folded('NÚÑEZ Straße ﬁrm’s')).toBe("nunez straße firm's")
    expect(wordsOf('  Oil   oil  PRICES ')).toEqual(['oil', 'prices'])
  })

  it('finds what has all words, a phrase first, and the same as looking at each', () => {
    const report = reportOf(data)
    const index = indexOf(report)
    for (const query of ['percent', 'oil', 'margins basis', 'nunez', 'zzz']) {
      const expected = report.sentences.flatMap((sentence, place) =>
        wordsOf(query).every(word => folded(`${sentence.text}\n${sentence.speaker}`).includes(word)) ? [place] : [],
      )
      expect([...search(index, query).sentences].sort((a, b) => a - b)).toEqual(expected)
    }
    const found = search(index, 'basis points').sentences.map(place => index.sentences[place].includes('basis points'))
    expect(found).toEqual([...found].sort((a, b) => Number(b) - Number(a)))
    expect(search(index, '   ').themes).toEqual([])
  })

  it('marks hits in the text as it was written, where folding changes its length', () => {
    expect(partsOf('Señor Núñez said so', ['nunez', 'so'])).toEqual(['Señor ', 'Núñez', ' said ', 'so', ''])
    expect(partsOf('e\u0301te\u0301 de\u0301but', ['ete'])).toEqual(['', 'e\u0301te\u0301', ' de\u0301but'])
    expect(partsOf('the ﬁrm 🙂 said', ['firm', 'said'])).toEqual(['the ', 'ﬁrm', ' 🙂 ', 'said', ''])
    expect(partsOf('aaaa', ['aa', 'aaa'])).toEqual(['', 'aa', '', 'aa', ''])
  })

  it('gives back every text whole, whatever is marked in it', () => {
    for (const sentence of data.sentences.slice(0, 50))
      for (const word of ['e', 'margin', '<', 's']) expect(partsOf(sentence.text, [word]).join('')).toBe(sentence.text)
  })
})

describe('the firms of a theme', () => {
  it('have all its topics and sentences between them', () => {
    const report = reportOf(data)
    for (const theme of report.themes) {
      const rows = firmsOfTheme(report, theme)
      expect(rows.flatMap(row => row.topics).sort((a, b) => a - b)).toEqual([...theme.topics].sort((a, b) => a - b))
      expect(rows.length).toBe(theme.firms)
      expect(rows.reduce((sum, row) => sum + row.sentences, 0)).toBe(theme.sentences)
    }
  })
})

describe('the median', () => {
  it('lies in the middle, whatever the order, and changes nothing', () => {
    const values = [3, 10, 1, 2, 30]
    expect([medianOf(values), medianOf([4]), values]).toEqual([3, 4, [3, 10, 1, 2, 30]])
  })
})

describe('numbers', () => {
  it('are printed as statistics print them', () => {
    expect([0, 0.0004, 0.0123, 0.123, 1].map(percent)).toEqual(['0%', '< 0.1%', '1.2%', '12%', '100%'])
    expect([0, 0.934, 1, -0.2, null].map(ratio)).toEqual(['.00', '.93', '1.00', '-.20', '–'])
  })
})

// The report in a real browser: every view in the light, in the dark and on a telephone, for those with a mouse and those
// without, on texts that would rather be markup, and in the states that a quarter may be in.

import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ReportData } from '../../lib/page/report-data.ts'
import { renderPage } from '../../lib/page/write-page.ts'
import { hasChromium, openChromium, openReport, type Watched, watchedPage } from './chromium.ts'
import { madeReport } from './made-report.ts'

const HOSTILE = [
  '</script><img src=x onerror=alert(1)><b>bold</b>',
  '<!-- <script>alert(2)</script>',
  'javascript:alert(3) &lt;i&gt; \u2028 \ud800',
]
// Each view, and a word that only it shows as its title.
const VIEWS = [
  ['', 'What 30 firms talked about in 2016Q4'],
  ['map', 'Map of the topics of 2016Q4'],
  ['map?theme=2016Q4/02', 'Map of the topics of 2016Q4'],
  ['theme/2016Q4/02', 'Currency headwinds'],
  ['firms', '30 firms'],
  ['firm/AC', 'Cobalt Industries (AC)'],
  ['flow', 'How the themes follow from one another'],
  ['search?q=oil', 'Search'],
  ['sources', 'Where the numbers come from'],
  ['nowhere', 'Not in this report'],
] as const
const DESK = { width: 1280, height: 900 }
const TELEPHONE = { width: 360, height: 740 }

describe.skipIf(!hasChromium)('the report in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-page-'))
  let browser: Browser
  let full: string

  async function written(name: string, data: ReportData): Promise<string> {
    const file = join(folder, `${name}.html`)
    await pipeline(Readable.from(renderPage(data)), createWriteStream(file))
    return file
  }

  /** Opens a page, lets `look` at it, and wants that the page has not complained and asked nobody for anything. */
  async function on(
    file: string,
    hash: string,
    look: (watched: Watched) => Promise<void>,
    options = {},
  ): Promise<void> {
    const watched = await watchedPage(browser, { viewport: DESK, ...options })
    try {
      await openReport(watched.page, file, hash)
      await look(watched)
      expect(watched.complaints).toEqual([])
    } finally {
      await watched.page.context().close()
    }
  }

  beforeAll(async () => {
    browser = await openChromium()
    full = await written('full', madeReport({ firms: 30, themes: 8, quarters: 3, hostile: HOSTILE }))
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const looks: [string, BrowserContextOptions][] = [
    ['on a desk, light', { viewport: DESK }],
    ['on a desk, dark', { viewport: DESK, colorScheme: 'dark' }],
    ['on a telephone, light', { viewport: TELEPHONE, isMobile: true, hasTouch: true }],
    ['on a telephone, dark', { viewport: TELEPHONE, isMobile: true, hasTouch: true, colorScheme: 'dark' }],
  ]
  it.each(looks)('shows every view %s, with nothing that axe finds serious', async (_, options) => {
    await on(
      full,
      '',
      async ({ page }) => {
        await page.evaluate(axe.source)
        const titles = new Set<string>()
        for (const [view, title] of VIEWS) {
          await go(page, view)
          expect(await page.locator('h1').innerText()).toContain(title)
          titles.add(await page.title())
          expect(await seriousIn(page), view).toEqual([])
          // The telephone's page stands still sideways; what is wider scrolls within itself.
          expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), view).toBeLessThanOrEqual(0)
        }
        expect(titles.size).toBe(VIEWS.length)
      },
      options,
    )
  })

  it('leads by clicks from the overview to a theme, a firm, a topic and back', async () => {
    await on(full, '', async ({ page }) => {
      for (const name of ['Map', 'Firms', 'Flow', 'Sources', 'Overview']) {
        const link = page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name })
        await link.click()
        expect(await link.getAttribute('aria-current')).toBe('page')
      }
      await page
        .getByRole('row', { name: /Currency headwinds/ })
        .getByRole('link')
        .first()
        .click()
      expect(await page.locator('h1').innerText()).toBe('Currency headwinds')
      const firm = page.getByRole('table').getByRole('rowheader').getByRole('link').first()
      const name = await firm.innerText()
      await firm.click()
      expect(await page.locator('h1').innerText()).toBe(name)
      await page.goBack()
      expect(await page.locator('h1').innerText()).toBe('Currency headwinds')
      await page.locator('article h3 a').first().click()
      const asked = page.locator('[data-asked]')
      await asked.waitFor()
      expect(await page.evaluate('document.activeElement.closest("[data-asked]") !== null')).toBe(true)
      expect(await asked.locator('details').getAttribute('open')).toBe('')
      await page.goBack()
      await page.goBack()
      expect(await page.locator('h1').innerText()).toContain('What 30 firms talked about')
    })
  })

  it('leads from a theme to the same theme in the flow, and in the reports that lie beside', async () => {
    const data = madeReport({ firms: 30, themes: 8, quarters: 3 })
    const theme = data.themes.find(({ id, lineageId }) =>
      data.flow.nodes.some(node => node.quarter === '2016Q3' && node.lineageId === lineageId && id !== node.id),
    )
    const beside = await written('beside', { ...data, beside: ['2016Q3'] })
    await on(beside, `#/theme/${theme?.id}`, async ({ page }) => {
      const elsewhere = await page
        .locator('main a:not([href^="#"])')
        .evaluateAll(links => links.map(link => link.getAttribute('href')))
      expect(elsewhere.length).toBeGreaterThan(0)
      for (const address of elsewhere) expect(address).toMatch(/^2016Q3\.html#\/theme\/2016Q3\//)
      await page.getByRole('link', { name: 'Show it in the flow' }).click()
      await page.locator('.sankey [data-asked]').waitFor()
      expect(await page.evaluate('document.activeElement.dataset.theme')).toBe(theme?.id)
    })
  })

  it('comes back to the height of the page that was left', async () => {
    await on(full, '#/theme/2016Q4/02', async ({ page }) => {
      await page.locator('article h3 a').nth(5).scrollIntoViewIfNeeded()
      await page.waitForFunction('scrollY > 500')
      const height = await page.evaluate('scrollY')
      await page.locator('article h3 a').nth(5).click()
      await page.locator('[data-asked]').waitFor()
      await page.goBack()
      await page.locator('h1', { hasText: 'Currency' }).waitFor()
      expect(await page.evaluate('scrollY')).toBe(height)
    })
  })

  it('shows what calls say as text, whatever it would rather be', async () => {
    await on(full, '', async ({ page }) => {
      let asked = 0
      page.on('dialog', dialog => {
        asked++
        return dialog.dismiss()
      })
      for (const view of ['', 'map', 'theme/2016Q4/01', 'firm/AA', 'flow', 'search?q=alert', 'firms']) {
        await go(page, view)
        expect(await page.locator('img, b, i, iframe, object, script[src]').count(), view).toBe(0)
        expect(await page.locator('a:not([href^="#"])').count(), view).toBe(0)
      }
      await go(page, 'firm/AA')
      await page.evaluate('dispatchEvent(new Event("beforeprint"))') // unfolds all
      for (const words of HOSTILE.slice(0, 2)) await page.getByText(words).first().waitFor()
      expect(asked).toBe(0)
    })
  })

  it('lets nothing be fetched, and no other script run', async () => {
    const watched = await watchedPage(browser)
    await openReport(watched.page, full)
    const tried = await watched.page.evaluate(`Promise.allSettled([
      fetch('https://example.org/'),
      new Promise((done, fail) => Object.assign(new Image(), { onload: done, onerror: fail, src: 'https://example.org/x.png' })),
      new Promise((done, fail) => document.head.append(Object.assign(document.createElement('script'), { onload: done, onerror: fail, src: 'data:text/javascript,1' }))),
    ]).then(all => all.map(one => one.status))`)
    expect(tried).toEqual(['rejected', 'rejected', 'rejected'])
    expect(watched.complaints.join('\n')).toMatch(/Content Security Policy/)
    await watched.page.context().close()
  })

  it('finds by / and words, without case and accents, and marks them', async () => {
    await on(full, '', async ({ page }) => {
      await page.keyboard.press('/')
      await page.keyboard.type('NUNEZ margins')
      const marks = page.locator('main .hits mark')
      await page.locator('h1', { hasText: 'NUNEZ margins' }).waitFor()
      expect(new Set((await marks.allInnerTexts()).map(text => text.toLowerCase()))).toEqual(
        new Set(['margins', 'núñez']),
      )
      const status = page.locator('main [role=status]').first()
      expect(await status.innerText()).toMatch(/^0 themes, 0 firms, 0 topics, \d+ sentences$/)
      expect(await page.evaluate('document.activeElement.id')).toBe('q')
      await page.locator('#q').fill('xyzzy')
      await page.getByText('All words have to be there').waitFor()
      // One search is one step back, however many letters it had.
      await page.goBack()
      expect(await page.locator('h1').innerText()).toContain('What 30 firms talked about')
    })
  })

  it('is walked through by keys: past the navigation, and from topic to topic on the map', async () => {
    await on(full, '', async ({ page }) => {
      await page.keyboard.press('Tab')
      expect(await page.evaluate('document.activeElement.className')).toBe('skip')
      await page.keyboard.press('Enter')
      expect(await page.evaluate('document.activeElement.id')).toBe('main')
      await go(page, 'map')
      await page.locator('h1').focus()
      await page.keyboard.press('Tab')
      expect(await page.evaluate('document.activeElement.tagName')).toBe('CANVAS')
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
      expect(outline).toBe('solid')
      const card = page.locator('.card a').first()
      await page.keyboard.press('ArrowRight')
      const first = await card.getAttribute('href')
      await page.keyboard.press('ArrowRight')
      const second = await card.getAttribute('href')
      expect(second).not.toBe(first)
      await page.keyboard.press('+')
      await page.keyboard.press('Enter')
      await page.locator('[data-asked]').waitFor()
      expect(await page.evaluate('location.hash')).toBe(second)
    })
  })

  it('shows on the map what the pointer is on, and one theme alone', async () => {
    await on(full, '#/map?theme=2016Q4/02', async ({ page }) => {
      const legend = page.getByRole('navigation', { name: 'Themes on the map' })
      expect(await legend.locator('[aria-current]').innerText()).toContain('Currency headwinds')
      await page.locator('canvas').focus()
      await page.keyboard.press('ArrowDown')
      expect(await page.locator('.card').innerText()).toContain('Currency headwinds')
      await page.keyboard.press('Escape')
      await legend.getByRole('link', { name: 'All topics' }).click()
      // A point of the canvas that has a topic's colour is one; the pointer there names it.
      const at = (await page.evaluate(`(() => {
        const canvas = document.querySelector('canvas')
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        for (let i = 0; i < data.length; i += 4)
          if (data[i + 3] > 200 && Math.max(...data.slice(i, i + 3)) - Math.min(...data.slice(i, i + 3)) > 80)
            return [(i / 4) % canvas.width, Math.floor(i / 4 / canvas.width)]
      })()`)) as [number, number]
      await page.locator('canvas').hover({ position: { x: at[0], y: at[1] } })
      await page.locator('.card a').first().waitFor()
    })
  })

  it('sorts a table by its heads, and grows a long one where the reader is', async () => {
    const many = await written('many', madeReport({ firms: 130, themes: 3, topicsPerFirm: 1 }))
    await on(many, '#/firms', async ({ page }) => {
      expect(await page.locator('tbody tr').count()).toBe(100)
      await page.getByRole('button', { name: 'Show 30 more' }).click()
      expect(await page.locator('tbody tr').count()).toBe(130)
      const place = 'Array.from(document.querySelectorAll("tbody tr")).indexOf(document.activeElement.closest("tr"))'
      expect(await page.evaluate(place)).toBe(100)
      await page.getByRole('button', { name: 'Sentences' }).click()
      expect(await page.locator('[aria-sort]').getAttribute('aria-sort')).toBe('descending')
      const column = (await page.locator('tbody td:nth-child(3)').allInnerTexts()).map(Number)
      expect(column).toEqual([...column].sort((a, b) => b - a))
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Sentences')
      await page.getByLabel('Name or ticker').fill('cobalt  media')
      const names = await page.locator('tbody th').allInnerTexts()
      expect(names.length).toBeGreaterThan(0)
      for (const name of names) expect(name).toMatch(/^Cobalt Média/)
    })
  })

  it('prints on white what is shown, unfolded and without what only a screen can do', async () => {
    await on(
      full,
      '#/firm/AC',
      async ({ page }) => {
        await page.emulateMedia({ media: 'print' })
        expect(await page.locator('header nav').isVisible()).toBe(false)
        const colour = await page.evaluate('getComputedStyle(document.body).backgroundColor')
        expect(colour).toBe('rgb(255, 255, 255)')
        await page.evaluate('dispatchEvent(new Event("beforeprint"))')
        expect(await page.locator('details:not([open])').count()).toBe(0)
        await page.evaluate('dispatchEvent(new Event("afterprint"))')
        expect(await page.locator('details[open]').count()).toBe(0)
      },
      { colorScheme: 'dark' },
    )
  })

  it('says why there is no flow and no novelty in a first quarter, and what to run; MAEC has no speakers', async () => {
    const first = await written('first', madeReport({ firms: 12, themes: 3, quarters: 1, bare: true }))
    await on(first, '#/flow', async ({ page }) => {
      await page.getByText('The database has no quarter before 2016Q4').waitFor()
      for (const view of ['', 'map', 'theme/2016Q4/01', 'firms', 'firm/AC', 'sources']) {
        await go(page, view)
        expect(await page.locator('main').innerText()).not.toMatch(/\b(null|undefined|NaN|Infinity)\b/)
      }
      await go(page, '')
      expect(await page.getByRole('columnheader', { name: 'Novelty' }).count()).toBe(0)
      await go(page, 'firm/AC')
      await page.getByText('what is new to the firm cannot be said').waitFor()
    })
  })

  it('says so where no theme runs across firms, where there are no topics, and where a firm has none', async () => {
    const none = await written('none', madeReport({ firms: 5, themes: 0 }))
    await on(none, '', async ({ page }) => {
      await page.getByText('No theme runs across the firms of 2016Q4').waitFor()
      await go(page, 'map')
      await page.locator('canvas').waitFor()
      await go(page, 'firm/AB')
      await page.getByText('No topic: the call has 0 sentences').waitFor()
      for (const view of ['flow', 'firms', 'search?q=oil']) await go(page, view)
    })
    const empty = await written('empty', madeReport({ firms: 2, themes: 0, topicsPerFirm: 0 }))
    await on(empty, '', async ({ page }) => {
      await page.getByText('2016Q4 has no topics').waitFor()
      await go(page, 'map')
      await page.getByText('2016Q4 has no topics to place').waitFor()
    })
  })

  it('says in plain words what it lacks: a decompressor, JavaScript, or half of the file', async () => {
    const old = await watchedPage(browser)
    await old.page.addInitScript('delete globalThis.DecompressionStream')
    await old.page.goto(`file://${full}`)
    await old.page.getByText('This browser cannot unpack the report').waitFor()
    const bare = await watchedPage(browser, { javaScriptEnabled: false })
    await bare.page.goto(`file://${full}`)
    expect(await bare.page.locator('body').innerText()).toContain('drawn by JavaScript, which is switched off here')
    const cut = join(folder, 'cut.html')
    const text = readFileSync(full, 'utf8')
    const at = text.indexOf('id="data">') + 2_000
    writeFileSync(cut, text.slice(0, at) + text.slice(text.indexOf('</script>', at)))
    const half = await watchedPage(browser)
    await half.page.goto(`file://${cut}`)
    await half.page.getByText('The report cannot be read').waitFor()
    for (const { page, complaints } of [old, bare, half]) {
      expect(complaints).toEqual([])
      await page.context().close()
    }
  })
})

async function go(page: Page, view: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${view}`)}`)
  await page.locator('h1').waitFor()
  // Two frames: the change of the address is heard, and what it brings is painted.
  await page.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
}

async function seriousIn(page: Page): Promise<string[]> {
  const { violations } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as axe.AxeResults
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`))
}

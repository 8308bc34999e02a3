// How large the report's page is, and how long a browser takes with it: one of a usual quarter and one of 5,000 firms, made up,
// in Chromium. Reading the database is no part of it.

import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Browser, Page } from 'playwright-core'
import { renderPage } from '../../lib/page/write-page.ts'
import { openChromium, openReport, watchedPage } from '../page/chromium.ts'
import { madeReport, type Wish } from '../page/made-report.ts'
import { megabytes, table } from './markdown.ts'

export type PageRow = {
  firms: number
  topics: number
  sentences: number
  writeSeconds: number
  bytes: number
  /** From opening the file to the overview on the screen. */
  loadSeconds: number
  /** From the address to the painted view. */
  mapSeconds: number
  themeSeconds: number
  /** The first search folds all texts; those after it do not. */
  firstSearchSeconds: number
  searchSeconds: number
  /** One picture of the map while it is zoomed. */
  frameSeconds: number
  /** JavaScript's memory of the page after all that, collected. */
  heapBytes: number
}

// A real quarter of 438 firms has 2,673 topics and 39 themes; one of 5,000 some 60,000 topics and 216 themes.
const SIZES: readonly Wish[] = [
  { firms: 438, themes: 39, topicsPerFirm: 6 },
  { firms: 5000, themes: 216, topicsPerFirm: 12, quarters: 8 },
]

export async function measurePage(): Promise<PageRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-bench-'))
  const browser = await openChromium()
  try {
    const rows: PageRow[] = []
    for (const wish of SIZES) rows.push(await measureOne(browser, join(folder, 'report.html'), wish))
    return rows
  } finally {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureOne(browser: Browser, file: string, wish: Wish): Promise<PageRow> {
  const data = madeReport(wish)
  const writeSeconds = await secondsOf(() => pipeline(Readable.from(renderPage(data)), createWriteStream(file)))
  const { page } = await watchedPage(browser, { viewport: { width: 1280, height: 900 } })
  const loadSeconds = await secondsOf(() => openReport(page, file))
  const mapSeconds = await secondsToShow(page, 'map')
  const frameSeconds = await secondsOfFrame(page)
  const themeSeconds = await secondsToShow(page, 'theme/2016Q4/01')
  const firstSearchSeconds = await secondsToShow(page, 'search?q=oil')
  const searchSeconds = await secondsToShow(page, 'search?q=oil+margins')
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  await page.context().close()
  return {
    firms: wish.firms,
    topics: data.topics.length,
    sentences: data.sentences.length,
    writeSeconds,
    bytes: statSync(file).size,
    loadSeconds,
    mapSeconds,
    themeSeconds,
    firstSearchSeconds,
    searchSeconds,
    frameSeconds,
    heapBytes: usedSize,
  }
}

async function secondsOf(what: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await what()
  return (performance.now() - start) / 1000
}

const PAINTED = 'new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))'

async function secondsToShow(page: Page, view: string): Promise<number> {
  return (await page.evaluate(`(async () => {
    const start = performance.now()
    const heard = new Promise(done => addEventListener('hashchange', done, { once: true }))
    location.hash = '#/${view}'
    await heard
    await ${PAINTED}
    return (performance.now() - start) / 1000
  })()`)) as number
}

const FRAMES = 30

async function secondsOfFrame(page: Page): Promise<number> {
  return (await page.evaluate(`(async () => {
    const canvas = document.querySelector('canvas')
    const start = performance.now()
    for (let i = 0; i < ${FRAMES}; i++) {
      canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: i % 2 ? 40 : -60, clientX: 400, clientY: 500, bubbles: true }))
      await new Promise(requestAnimationFrame)
    }
    return (performance.now() - start) / 1000 / ${FRAMES}
  })()`)) as number
}

export function reportPage(rows: readonly PageRow[]): string {
  const milliseconds = (value: number) => `${Math.round(value * 1000)} ms`
  const line = (title: string, cell: (row: PageRow) => string) => [title, ...rows.map(cell)]
  return table(
    ['', ...rows.map(row => `${row.firms.toLocaleString('en-US')} firms`)],
    [
      line('topics, sentences in the page', row =>
        [row.topics, row.sentences].map(n => n.toLocaleString('en-US')).join(', '),
      ),
      line('size of the file', row => `${(row.bytes / 2 ** 20).toFixed(1)} MB`),
      line('writing it', row => milliseconds(row.writeSeconds)),
      line('opening it, to the overview', row => milliseconds(row.loadSeconds)),
      line('map', row => milliseconds(row.mapSeconds)),
      line('map, a picture while zooming', row => milliseconds(row.frameSeconds)),
      line("a theme's page", row => milliseconds(row.themeSeconds)),
      line('first search', row => milliseconds(row.firstSearchSeconds)),
      line('searches after it', row => milliseconds(row.searchSeconds)),
      line('memory of the page', row => `${megabytes(row.heapBytes)} MB`),
    ],
  )
}

// Takes the pictures of docs/ from a report, in Chromium: npx tsx test/page/pictures.ts reports/2017Q1.html
// Here, beside the tests, because they have the browser. Those in docs/ show 2017Q1 of MAEC, with 2016Q3 and 2016Q4 before it.

import { statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BrowserContextOptions } from 'playwright-core'
import { say } from '../../lib/log.ts'
import { openChromium, openReport } from './chromium.ts'

const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
// A README shows them some 900 px wide; what is larger costs whoever clones the repository.
const DESK: BrowserContextOptions = { viewport: { width: 1040, height: 700 } }
const PHONE: BrowserContextOptions = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }
const PICTURES: [name: string, hash: string, look: BrowserContextOptions, height: number][] = [
  ['report-overview', '', DESK, 925], // to the end of the chart
  ['report-map', '#/map', { viewport: { width: 820, height: 450 } }, 540], // smaller, since its dots do not pack well
  ['report-flow', '#/flow', DESK, 800],
  ['report-firm-phone', '#/firm/AVY', PHONE, 740],
  ['report-firm-phone-dark', '#/firm/AVY', { ...PHONE, colorScheme: 'dark' }, 740],
]

const file = process.argv[2]
if (file === undefined) throw new Error('which report? npx tsx test/page/pictures.ts reports/2017Q1.html')
const browser = await openChromium()
try {
  for (const [name, hash, look, height] of PICTURES) {
    const context = await browser.newContext(look)
    const page = await context.newPage()
    await openReport(page, resolve(file), hash)
    // The map and the flow are drawn in the next frame.
    await page.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
    const picture = `${docs}${name}.png`
    await page.screenshot({
      path: picture,
      fullPage: true,
      clip: { x: 0, y: 0, width: look.viewport?.width ?? 0, height },
    })
    say(`${basename(picture)}: ${Math.round(statSync(picture).size / 1024)} KB`)
    await context.close()
  }
} finally {
  await browser.close()
}

// A real browser for the tests of the page: Debian's Chromium, driven by playwright-core, and a page that remembers every
// complaint and every request. Says whether there is one; a person without it goes on without these tests.

import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'
export const hasChromium = existsSync(CHROMIUM)
if (!hasChromium && process.env.CI)
  throw new Error('no Chromium for the tests of the page: apt-get install --no-install-recommends chromium')

export async function openChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    // Chromium refuses to run as root with its sandbox, and containers have no other user.
    chromiumSandbox: process.getuid?.() !== 0,
  })
}

export type Watched = {
  page: Page
  /** Words on the console, errors nobody caught, requests to anywhere but the file itself. */
  complaints: string[]
}

export async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', message => complaints.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', error => complaints.push(`error: ${error.message}`))
  page.on('request', request => {
    if (!/^(file|data|blob):/.test(request.url())) complaints.push(`request: ${request.url()}`)
  })
  return { page, complaints }
}

/** Opens the report and waits until it is drawn. */
export async function openReport(page: Page, file: string, hash = ''): Promise<void> {
  await page.goto(pathToFileURL(file).href + hash)
  await page.locator('main h1').waitFor()
}

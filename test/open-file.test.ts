// Opening a file as each system does it, with programs that stand in for the systems' own: real processes, found by the path.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { opener, openFile, type System } from '../lib/open-file.ts'

const path = process.env.PATH
const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
const called = join(folder, 'called')
afterEach(() => {
  process.env.PATH = path
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A program that notes what it was called with. */
function install(name: string, then = ''): void {
  writeFileSync(join(folder, name), `#!/bin/sh\nprintf '%s|' "$#" "$@" >${called}\n${then}\n`)
  chmodSync(join(folder, name), 0o755)
  process.env.PATH = folder
}

const ODD = "/tmp/it's; $(touch x) & report.html"

it.each<[System, string, string[]]>([
  ['linux', 'xdg-open', [ODD]],
  ['darwin', 'open', [ODD]],
  ['win32', 'rundll32', ['url.dll,FileProtocolHandler', ODD]],
])('hands the file on %s to %s, whatever it is called', async (system, program, words) => {
  install(program)
  expect(await openFile(ODD, system)).toBeUndefined()
  expect(readFileSync(called, 'utf8')).toBe([words.length, ...words, ''].join('|'))
  expect(opener(system, ODD)).toEqual([program, ...words])
})

it('tells a browser on Windows the name that the file of a Linux inside of it has there', async () => {
  install('wslpath', "printf '%s\\n' 'C:\\report.html'")
  install('explorer.exe', 'exit 1') // as it does when all is well
  expect(await openFile(ODD, 'wsl')).toBeUndefined()
  expect(readFileSync(called, 'utf8')).toBe('1|C:\\report.html|')
})

it('does not wait for a browser that stays', async () => {
  install('xdg-open', `exec ${process.execPath} -e 'setTimeout(() => process.exit(3), 6000)'`)
  expect(await openFile(ODD, 'linux')).toBeUndefined()
})

it('says why nothing was opened: no such program, or one that found no browser', async () => {
  process.env.PATH = join(folder, 'nowhere')
  expect(await openFile(ODD, 'linux')).toBe('there is no xdg-open here')
  expect(await openFile(ODD, 'wsl')).toBe('there is no wslpath here')
  install('xdg-open', 'exit 3')
  expect(await openFile(ODD, 'linux')).toBe('xdg-open ended with 3')
})

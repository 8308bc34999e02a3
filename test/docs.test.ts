// The generated pages say what the program says, and the script in docs/ runs.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { commandsPage, dictionaryPage } from '../bin/make-docs.ts'
import { commands } from '../commands/all.ts'
import { checksOver } from '../lib/db/check.ts'
import { describeTables } from '../lib/db/dictionary.ts'
import { withDatabase } from '../lib/db/open.ts'
import { STARTS } from '../lib/math/community-topics.ts'
import { FIRM_COMMUNITIES } from '../lib/math/engine.ts'
import { THEME_COMMUNITIES } from '../lib/math/themes.ts'
import { readSettings } from '../lib/settings.ts'
import { readyHome } from './db/servers.ts'
import { here } from './here.ts'
import { root, stepWords } from './run.ts'

const { home, remove } = await readyHome()
afterAll(remove)

const page = (name: string) => readFileSync(join(root, 'docs', name), 'utf8')

describe('docs/', () => {
  it('has the commands as they describe themselves (make docs)', () => {
    expect(page('commands.md')).toBe(commandsPage(commands))
  })

  it('has the tables as the database describes them (make docs)', async () => {
    const tables = await withDatabase({ ...readSettings({}), home }, describeTables)
    expect(page('data-dictionary.md')).toBe(dictionaryPage(tables))
    const silent = tables.flatMap(table => [
      ...(table.comment === '' ? [table.table] : []),
      ...table.columns.filter(column => column.comment === '').map(column => `${table.table}.${column.column}`),
    ])
    expect(silent).toEqual([])
  })

  it('has an example script of at most ten lines that runs', async () => {
    const lines = page('example.ts')
      .split('\n')
      .filter(line => line.trim() !== '' && !line.trim().startsWith('//'))
    expect(lines.length).toBeLessThanOrEqual(10)
    for (const verb of ['ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate'])
      await here(stepWords(verb, '2024Q3'), { home })
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, ['--import', 'tsx', join(root, 'docs/example.ts')], {
      cwd: root,
      env: { PATH: process.env.PATH, QUARTERDECK_HOME: home },
    })
    expect(stdout.trim()).not.toBe('')
  }, 120_000)

  it('shows every picture that is drawn', () => {
    const shown = [...page('how-clustering-works.md').matchAll(/\]\(pictures\/([^)]+)\)/g)].map(([, name]) => name)
    expect(shown.toSorted()).toEqual(readdirSync(join(root, 'docs/pictures')).toSorted())
  })

  it('states the settings of the second method as they are', () => {
    const [, section] = page('method.md').split('### The second method: communities')
    const stated = (setting: string) => new RegExp(`\\| ${setting} \\| ([\\d.]+)`).exec(section)?.[1]
    const { nNeighbors, resolution, minClusterSize, leastMembership } = FIRM_COMMUNITIES
    expect(['neighbours', 'resolution', 'least size', 'least membership', 'starts'].map(stated)).toEqual(
      [nNeighbors, resolution, minClusterSize, leastMembership, STARTS].map(String),
    )
    const themes = THEME_COMMUNITIES
    expect(section.replaceAll(/\s+/g, ' ')).toContain(
      `with ${themes.nNeighbors} neighbours and a least size of ${themes.minClusterSize}, both scaled as in section 7, and resolution ${themes.resolution}. `,
    )
    expect(page('how-clustering-works.md')).toContain(`The setting is ${resolution}.`)
  })

  it('counts the checks of db-check as they are', () => {
    expect(page('../README.md')).toContain(`(${checksOver(1)} checks, from`)
  })

  it('mentions no file that is not there', () => {
    const missing: string[] = []
    for (const name of [
      '../README.md',
      '../CONTRIBUTING.md',
      'why.md',
      'method.md',
      'how-clustering-works.md',
      'benchmarks.md',
      'house.md',
      'operations.md',
      'monitoring/README.md',
    ]) {
      for (const [, target] of page(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        try {
          readFileSync(join(root, 'docs', name, '..', target))
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EISDIR') missing.push(`${name}: ${target}`)
        }
      }
    }
    expect(missing).toEqual([])
  })
})

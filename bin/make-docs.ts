// Writes docs/commands.md and docs/data-dictionary.md from what the program itself knows: the commands' own data, and
// the comments of a fresh database. A test checks that what stands there is what this would write. Run: make docs

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commands } from '../commands/all.ts'
import type { Command } from '../lib/command.ts'
import { describeTables, type TableDescription } from '../lib/db/dictionary.ts'
import { stopDatabase } from '../lib/db/embedded/start.ts'
import { withDatabase } from '../lib/db/open.ts'
import { readSettings } from '../lib/settings.ts'

const GENERATED = '<!-- Written by `make docs`; do not edit here. -->'

export function commandsPage(all: readonly Command[]): string {
  const rows = all.map(command => `| [\`${command.verb}\`](#${command.verb}) | ${command.summary} |`)
  return [
    '# Commands',
    GENERATED,
    'Each is `node bin/quarterdeck.mjs COMMAND` from any folder. `--help` prints the same as below, `--debug` shows where an error ' +
      'comes from. Results go to standard output, conversation to standard error. Exit codes: 0 done, 1 could not be ' +
      'done, 2 wrong command line, 75 the database went away or the process was told to leave (run it again: it goes on where it was).',
    ['| command | does |', '| --- | --- |', ...rows].join('\n'),
    ...all.map(section),
    '',
  ].join('\n\n')
}

function section(command: Command): string {
  const usage = `quarterdeck ${command.verb}${command.words ? ` ${command.words}` : ''}${command.flags.length > 0 ? ' [flags]' : ''}`
  const flags = command.flags.map(
    flag =>
      `| \`--${flag.name}${flag.value ? ` ${flag.value}` : ''}\` | ${flag.summary.replaceAll('|', '\\|')} | ${flag.default ?? ''} |`,
  )
  return [
    `## ${command.verb}`,
    `${command.summary}.`,
    command.about,
    ['```', usage, '', ...command.examples.map(example => `$ quarterdeck ${example}`), '```'].join('\n'),
    ['| flag | meaning | default |', '| --- | --- | --- |', ...flags].join('\n'),
  ].join('\n\n')
}

export function dictionaryPage(tables: readonly TableDescription[]): string {
  return [
    '# Data dictionary',
    GENERATED,
    'The tables of a quarterdeck database, as their own comments describe them. Query them with `quarterdeck sql "select …"`.',
    ...tables.map(table =>
      [
        `## ${table.table}`,
        table.comment,
        [
          '| column | type | meaning |',
          '| --- | --- | --- |',
          ...table.columns.map(
            column =>
              `| \`${column.column}\` | ${column.type}${column.required ? '' : ', may be null'} | ${column.comment} |`,
          ),
        ].join('\n'),
      ].join('\n\n'),
    ),
    '',
  ].join('\n\n')
}

async function main(): Promise<void> {
  const docs = fileURLToPath(new URL('../docs/', import.meta.url))
  await writeFile(`${docs}commands.md`, commandsPage(commands))
  const home = await mkdtemp(join(tmpdir(), 'quarterdeck-docs-'))
  try {
    const settings = { ...readSettings({}), home }
    await writeFile(`${docs}data-dictionary.md`, dictionaryPage(await withDatabase(settings, describeTables)))
  } finally {
    await stopDatabase(home)
    await rm(home, { recursive: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()

// The codebook that lies beside an exported file: what each column is, what it means that a value is missing, and where the
// whole comes from. Markdown, so that it can be read as it is.

import type { Facts, Table } from './table.ts'

const TYPES = { text: 'text', integer: 'whole number', number: 'number', date: 'day', flag: 'true or false' }

/** `file` is what it lies beside; `notes` are said before the columns. */
export function codebookText(table: Table, file: string, facts: Facts, notes: readonly string[]): string {
  const { title, row, key, columns } = table
  const names = key.map(name => `\`${name}\``).join(', ')
  return [
    `# ${file}`,
    title,
    rowsOf(['', ''], Object.entries(facts)),
    `One row is ${row}. ${key.length === 1 ? `The key is ${names}` : `The key is ${names} together`}: no two rows share it.`,
    ...notes,
    '## Columns',
    rowsOf(
      ['column', 'type', 'unit', 'what it is', 'missing when', 'from'],
      columns.map(column => [
        `\`${column.name}\``,
        TYPES[column.type],
        column.unit,
        [`${column.label}.`, column.meaning].filter(Boolean).join(' '),
        column.missing || 'never',
        column.source,
      ]),
    ),
    '',
  ].join('\n\n')
}

function rowsOf(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|').replace(/\s+/g, ' ')).join(' | ')} |`
  return [line(titles), `|${' --- |'.repeat(titles.length)}`, ...rows.map(line)].join('\n')
}

// Results as text: a table for a person at a terminal, CSV for a program.
// What stands in the cells came out of transcripts: nothing in it may reach the terminal as a command.
// Writing it out is the command's part.

export type Column = {
  title: string
  align?: 'left' | 'right'
  /** May be broken into several lines; without any such column, the last one may. */
  wrap?: boolean
  /** Characters beyond which it is broken or, if it may not be, cut; only where the width is known. */
  max?: number
}

const GAP = '  '
// Narrower than this a column of text becomes one word a line; the terminal may break the line instead.
const NARROWEST = 16

/** Rows under their titles. `width` is the terminal's; undefined, for a pipe or a file, leaves every cell whole. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const cells = [columns.map(column => column.title), ...rows].map(row => columns.map((_, i) => harmless(row[i] ?? '')))
  const natural = columns.map((_, i) => cells.reduce((widest, row) => Math.max(widest, displayWidth(row[i])), 0))
  const widths = width === undefined ? natural : fitted(columns, natural, width)
  const wraps = columns.map((column, i) => mayWrap(columns, column, i))

  const lines = cells.flatMap((row, r) => {
    const broken = row.map((cell, i) => (wraps[i] ? wrapped(cell, widths[i]) : [cutTo(cell, widths[i])]))
    const height = Math.max(1, ...broken.map(cell => cell.length))
    const body = Array.from({ length: height }, (_, line) =>
      broken
        .map((cell, i) => padded(cell[line] ?? '', widths[i], columns[i].align))
        .join(GAP)
        .trimEnd(),
    )
    return r === 0 ? [...body, widths.map(columnWidth => '-'.repeat(columnWidth)).join(GAP)] : body
  })
  return lines.join('\n')
}

/** RFC 4180: comma, quotes doubled, lines ended by CR LF, titles first. Cells stay exactly what they are. */
export function csvOf(columns: readonly Pick<Column, 'title'>[], rows: readonly (readonly string[])[]): string {
  const quoted = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)
  const lines = [columns.map(column => column.title), ...rows.map(row => columns.map((_, i) => row[i] ?? ''))]
  return lines.map(line => `${line.map(quoted).join(',')}\r\n`).join('')
}

/**
 * Text that a terminal prints and does not obey: white space of any kind becomes one space, control characters,
 * escape among them, and characters that turn the direction of writing become a visible mark.
 */
export function harmless(text: string): string {
  // Joiners (U+200C, U+200D) hold emoji and some scripts together and do no harm.
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu, '\ufffd')
}

function mayWrap(columns: readonly Column[], column: Column, i: number): boolean {
  return columns.some(other => other.wrap) ? column.wrap === true : i === columns.length - 1
}

/** Columns as wide as their cells, those that may wrap sharing what is left, the narrow ones served first. */
function fitted(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = columns.map((column, i) => Math.min(natural[i], column.max ?? natural[i]))
  const wrapping = columns
    .flatMap((column, i) => (mayWrap(columns, column, i) ? [i] : []))
    .sort((a, b) => widths[a] - widths[b])
  const fixed = widths.reduce((sum, wide, i) => (wrapping.includes(i) ? sum : sum + wide), 0)
  let left = width - fixed - GAP.length * (columns.length - 1)
  wrapping.forEach((i, served) => {
    const share = Math.floor(left / (wrapping.length - served))
    widths[i] = Math.min(widths[i], Math.max(share, NARROWEST))
    left -= widths[i]
  })
  return widths
}

/** Lines of at most `width`, broken at spaces; a longer word is broken inside. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (displayWidth(longer) <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    line = ''
    for (const character of charactersOf(word)) {
      if (line !== '' && displayWidth(line + character) > width) {
        lines.push(line)
        line = ''
      }
      line += character
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line]
}

function cutTo(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let kept = ''
  for (const character of charactersOf(text)) {
    if (displayWidth(kept + character) > width - 1) break
    kept += character
  }
  return `${kept.trimEnd()}…`
}

function padded(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'right' ? space + text : text + space
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** What a reader counts as one character, an emoji of several code points among them. */
function charactersOf(text: string): string[] {
  return isPlain(text) ? [...text] : Array.from(segmenter.segment(text), part => part.segment)
}

// East Asian Wide and Fullwidth, the ranges in use, and what is shown as an emoji: two columns each.
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}|\ufe0f/u

/** Columns of a terminal that a text takes. */
export function displayWidth(text: string): number {
  if (isPlain(text)) return text.length
  let width = 0
  for (const character of charactersOf(text)) width += WIDE.test(character) ? 2 : /^\p{M}/u.test(character) ? 0 : 1
  return width
}

/** Nothing but Latin and the like, one column a code unit: nearly every cell, and the segmenter is slow. */
function isPlain(text: string): boolean {
  return /^[\u0020-\u02ff\u2010-\u2027\ufffd]*$/.test(text)
}

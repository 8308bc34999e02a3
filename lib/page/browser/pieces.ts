// What the views are put together from: links, sentences, badges, bars, long lists and tables. Leaves what they say to
// the views.

import type { ReportSentence, ReportTheme, ReportTopic } from '../report-data.ts'
import type { Command } from './commands.ts'
import { append, button, type Child, element } from './dom.ts'
import { partsOf } from './find.ts'
import { counted, day, percent, ratio, thousands } from './format.ts'
import { firmLabel, type Report } from './report.ts'
import { addressOf } from './route.ts'

/** What a view shows, and under which title; `shown` runs once it is on the page and returns what ends it. */
export type View = { title: string; nodes: Child[]; shown?: () => () => void }

export function themeLink(report: Report, place: number, words: readonly string[] = []): HTMLElement {
  const theme = report.themes[place]
  return element(
    'a',
    { href: addressOf('theme', theme.id), class: 'theme' },
    swatch(report, place),
    marked(theme.name, words),
  )
}

export function swatch(report: Report, theme: number | null): HTMLElement {
  const colour = theme === null ? 'none' : report.colourOfTheme[theme]
  return element('span', { class: `swatch c-${colour}`, 'aria-hidden': 'true' })
}

export function firmLink(report: Report, place: number, words: readonly string[] = []): HTMLElement {
  const firm = report.firms[place]
  return element('a', { href: addressOf('firm', firm.id) }, marked(firmLabel(firm), words))
}

export function topicLink(report: Report, place: number, words: readonly string[] = []): HTMLElement {
  return element('a', { href: topicAddress(report, place) }, marked(report.topics[place].name, words))
}

/** A topic is at home on its firm's page. */
export function topicAddress(report: Report, place: number): string {
  const topic = report.topics[place]
  return addressOf('firm', report.firms[topic.firm].id, { topic: topic.id })
}

export function marked(text: string, words: readonly string[]): Child {
  if (words.length === 0) return text
  return partsOf(text, words).map((part, i) => (i % 2 === 1 ? element('mark', {}, part) : part))
}

const EVENTS: Record<string, string> = {
  first: 'in the first quarter of the database: nothing earlier to compare with',
  new: 'no theme of an earlier quarter became this one',
  continued: 'carries on one theme of the quarter before',
  split: 'part of a theme of the quarter before that became several',
  merged: 'several themes of the quarter before became this one',
  returned: 'carries on a theme of an earlier quarter that had been gone',
}

export function eventBadge(theme: ReportTheme): Child {
  if (theme.event === null || theme.event === 'first') return null
  return element('span', { class: `badge ${theme.event}`, title: EVENTS[theme.event] }, theme.event)
}

export function newBadge(topic: ReportTopic): Child {
  return topic.isNew
    ? element(
        'span',
        { class: 'badge new', title: 'the firm had no such topic in its quarter before' },
        'new to the firm',
      )
    : null
}

export function flagBadges(theme: ReportTheme): Child {
  return theme.flags.map(flag =>
    element('span', { class: 'badge flag', title: 'what makes this theme doubtful' }, flag),
  )
}

/** A share as a bar and a number; the number is what counts, and what is read aloud. */
export function shareBar(share: number, whole: number, colour = 'plain', of = ''): HTMLElement {
  const bar = element('span', { class: `bar c-${colour}`, 'aria-hidden': 'true' })
  bar.style.setProperty('width', `${Math.min(100, (100 * share) / Math.max(whole, 1e-9))}%`)
  return element(
    'span',
    { class: 'share' },
    element('span', { class: 'track' }, bar),
    element('span', { class: 'number' }, percent(share), of),
  )
}

/** A sentence and where it stands: speaker, role, section, day, position; `where` says more where the page does not. */
export function quote(
  report: Report,
  sentence: ReportSentence,
  where: Child = null,
  words: readonly string[] = [],
): HTMLElement {
  const facts: Child[] = [
    where,
    sentence.speaker !== null && element('span', { class: 'speaker' }, marked(sentence.speaker, words)),
    sentence.role,
    sentence.section !== null &&
      { prepared: 'prepared remarks', question: 'question', answer: 'answer' }[sentence.section],
    sentence.date !== null && element('time', { datetime: sentence.date }, day(sentence.date)),
    element(
      'span',
      { title: `sentence_id ${sentence.id}` },
      `sentence ${thousands(sentence.position + 1)} of the call`,
    ),
    sentence.similarity !== null &&
      element(
        'span',
        {
          title: 'cosine similarity to the nearest sentence of the firm’s earlier call',
        },
        `${sentence.repeated ? 'repeated from' : 'nearest in'} `,
        report.firms[sentence.firm].earlierQuarter ?? 'the quarter before',
        `: ${ratio(sentence.similarity)}`,
      ),
  ]
  return element(
    'figure',
    { class: 'quote' },
    element('blockquote', {}, marked(sentence.text, words)),
    element('figcaption', {}, joined(facts, ' · ')),
  )
}

export function joined(parts: readonly Child[], between: string): Child[] {
  const there = parts.filter(part => part !== null && part !== undefined && part !== false && part !== '')
  return there.flatMap((part, i) => (i > 0 ? [between, part] : [part]))
}

/** Facts as a list of names and values; those without a value are left away. */
export function facts(pairs: readonly (readonly [string, Child])[], look: 'facts' | 'glossary' = 'facts'): HTMLElement {
  return element(
    'dl',
    { class: look },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== false && value !== '')
      .map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
  )
}

export function section(title: Child, ...children: Child[]): HTMLElement {
  return element('section', {}, element('h2', {}, title), children)
}

export function notice(...children: Child[]): HTMLElement {
  return element('p', { class: 'notice' }, children)
}

/** What the page has not, the database has: commands to copy, folded away. */
export function fromDatabase(commands: readonly Command[]): HTMLElement {
  return element(
    'section',
    { class: 'beyond' },
    element('h2', {}, 'All sentences'),
    element('p', {}, 'The page holds the sentences that stand for each topic; the database holds all of them:'),
    commands.map(({ brings, typed }) =>
      element(
        'details',
        { class: 'command' },
        element('summary', {}, brings),
        element('pre', { tabindex: '0' }, element('code', {}, typed)),
      ),
    ),
  )
}

/** A list that may be long: the first `size` entries, and a button for as many again. */
export function longList<T>(
  items: readonly T[],
  size: number,
  render: (item: T) => HTMLElement,
  into: HTMLElement,
  unit: string,
): HTMLElement[] {
  let shown = 0
  const status = element('span', { class: 'count', role: 'status' })
  const more = button('', () => {
    const first = shown
    grow()
    const next = into.children[first]
    const target = next?.querySelector<HTMLElement>('a, button, summary') ?? more
    target.focus()
  })
  const controls = element('p', { class: 'more' }, more, status)
  function grow(): void {
    const end = Math.min(items.length, shown + size)
    const added = document.createDocumentFragment()
    for (; shown < end; shown++) added.appendChild(render(items[shown]))
    into.appendChild(added)
    const left = items.length - shown
    more.textContent = `Show ${thousands(Math.min(size, left))} more`
    more.hidden = left === 0
    controls.hidden = items.length <= size
    status.textContent = `${thousands(shown)} of ${counted(items.length, unit)}`
  }
  grow()
  return [into, controls]
}

export type Column<T> = {
  title: string
  cell: (row: T) => Child
  /** What it is sorted by: numbers largest first, names from A; without it the column is not sorted. */
  by?: (row: T) => number | string | null
  number?: boolean
  /** Left away where the screen is narrow. */
  wide?: boolean
  /** Names the row to those who listen. */
  head?: boolean
}

/** A table, sorted by a click on a column's name, the first 100 rows at first. */
export function table<T>(
  caption: string,
  columns: readonly Column<T>[],
  rows: readonly T[],
  unit = 'row',
  size = 100,
): HTMLElement {
  const holder = element('div', { class: 'table' })
  let sorted: { column: Column<T>; direction: 1 | -1 } | null = null
  function draw(focus?: string): void {
    const ordered = sorted === null ? rows : [...rows].sort((a, b) => compared(sorted, a, b))
    const heads = columns.map(column => {
      const active = sorted?.column === column
      const label = column.by
        ? button(column.title, () => {
            const first = column.number ? -1 : 1
            sorted = { column, direction: active && sorted?.direction === first ? (-first as 1 | -1) : first }
            draw(column.title)
          })
        : column.title
      const order = active ? (sorted?.direction === 1 ? 'ascending' : 'descending') : null
      return element('th', { scope: 'col', class: classOf(column), 'aria-sort': order }, label)
    })
    const body = element('tbody')
    const row = (value: T) =>
      element(
        'tr',
        {},
        columns.map(column =>
          column.head
            ? element('th', { scope: 'row', class: classOf(column) }, column.cell(value))
            : element('td', { class: classOf(column) }, column.cell(value)),
        ),
      )
    const [, controls] = longList(ordered, size, row, body, unit)
    const whole = element(
      'table',
      {},
      element('caption', {}, caption),
      element('thead', {}, element('tr', {}, heads)),
      body,
    )
    holder.replaceChildren(whole, controls)
    if (focus !== undefined)
      heads
        .find(head => head.textContent === focus)
        ?.querySelector('button')
        ?.focus()
  }
  draw()
  return holder
}

function classOf<T>(column: Column<T>): string | null {
  return [column.number && 'n', column.wide && 'wide'].filter(Boolean).join(' ') || null
}

function compared<T>(sorted: { column: Column<T>; direction: 1 | -1 } | null, a: T, b: T): number {
  const [one, two] = [sorted?.column.by?.(a) ?? null, sorted?.column.by?.(b) ?? null]
  if (one === null || two === null) return one === two ? 0 : one === null ? 1 : -1 // what is not known comes last, always
  const order = typeof one === 'string' ? one.localeCompare(String(two), 'en') : one - Number(two)
  return order * (sorted?.direction ?? 1)
}

/** A topic with its sentences: the first in sight, the others to unfold. `home` is the theme or firm whose page it is on. */
export function topicEntry(
  report: Report,
  place: number,
  home: 'theme' | 'firm',
  whole: number,
  open = false,
): HTMLElement {
  const topic = report.topics[place]
  const firm = report.firms[topic.firm]
  const said = topic.sentences.map(at => quote(report, report.sentences[at]))
  const title = home === 'firm' ? topic.name : topicLink(report, place)
  const line: Child[] = [
    home === 'theme'
      ? firmLink(report, topic.firm)
      : topic.theme === null
        ? 'in no theme'
        : themeLink(report, topic.theme),
    counted(topic.size, 'sentence'),
    topic.isNew === false &&
      topic.earlier !== null && [
        'as ',
        element('q', {}, topic.earlier),
        ` in ${firm.earlierQuarter ?? 'the quarter before'} (${ratio(topic.similarity)})`,
      ],
    topic.isNew === true &&
      topic.earlier !== null && [
        'nearest in ',
        firm.earlierQuarter ?? 'the quarter before',
        ': ',
        element('q', {}, topic.earlier),
        ` (${ratio(topic.similarity)})`,
      ],
    topic.probability !== null &&
      element(
        'span',
        { title: 'strength of its membership in the theme' },
        topic.givenToNearest ? 'given to the nearest theme, ' : 'membership ',
        ratio(topic.probability),
      ),
  ]
  const entry = element(
    'article',
    { class: 'topic', 'data-topic': topic.id },
    element('h3', { tabindex: '-1' }, title, ' ', newBadge(topic)),
    shareBar(
      topic.shareOfCall,
      whole,
      String(topic.theme === null ? 'none' : report.colourOfTheme[topic.theme]),
      ' of the call',
    ),
    element('p', { class: 'facts-line' }, joined(line, ' · ')),
    topic.summary !== '' && topic.summary !== topic.name && element('p', { class: 'summary' }, topic.summary),
  )
  append(entry, said.slice(0, 1))
  if (said.length > 1) {
    append(entry, [
      element(
        'details',
        { open },
        element(
          'summary',
          {},
          `${counted(said.length - 1, 'more sentence')} that stand${said.length === 2 ? 's' : ''} for it`,
        ),
        said.slice(1),
      ),
    ])
  }
  return entry
}

// The index of firms, and a firm's page: its call, its topics with sentences, what is new to it and what it repeats.

import { commandsOfFirm } from './commands.ts'
import { element } from './dom.ts'
import { folded } from './find.ts'
import { counted, day, percent, ratio, thousands } from './format.ts'
import {
  type Column,
  facts,
  firmLink,
  fromDatabase,
  joined,
  notice,
  section,
  table,
  topicEntry,
  topicLink,
  type View,
} from './pieces.ts'
import { firmLabel, medianOf, type Report } from './report.ts'
import { addressOf, type Route } from './route.ts'

export function firmsView(report: Report): View {
  const all = report.firms.map((_, place) => place)
  const labels = report.firms.map(firm => folded(`${firmLabel(firm)} ${firm.id}`))
  const holder = element('div')
  const field = element('input', { type: 'search', id: 'firms-filter', autocomplete: 'off', spellcheck: 'false' })
  function draw(): void {
    const words = folded(field.value).split(/\s+/)
    const some = all.filter(place => words.every(word => labels[place].includes(word)))
    holder.replaceChildren(
      some.length > 0
        ? table(`Firms of ${report.quarter}`, columns(report), some, 'firm')
        : notice(`No firm is called ${field.value.trim()}.`),
    )
  }
  field.addEventListener('input', draw)
  draw()
  return {
    title: 'Firms',
    nodes: [
      element('h1', {}, counted(all.length, 'firm')),
      element('p', { class: 'filter' }, element('label', { for: 'firms-filter' }, 'Name or ticker '), field),
      holder,
    ],
  }
}

function columns(report: Report): Column<number>[] {
  const { firms, topicsOfFirm } = report
  const compared = firms.some(firm => firm.novelty !== null)
  const themesOf = (at: number) => new Set(topicsOfFirm[at].flatMap(place => report.topics[place].theme ?? [])).size
  const all: (Column<number> | false)[] = [
    { title: 'Firm', head: true, cell: at => firmLink(report, at), by: at => firmLabel(firms[at]) },
    {
      title: 'Call',
      wide: true,
      cell: at => joined(firms[at].callDates.map(day), ', '),
      by: at => firms[at].callDates[0] ?? null,
    },
    {
      title: 'Sentences',
      number: true,
      wide: true,
      cell: at => thousands(firms[at].sentences - firms[at].talk),
      by: at => firms[at].sentences - firms[at].talk,
    },
    {
      title: 'Topics',
      number: true,
      cell: at => thousands(topicsOfFirm[at].length),
      by: at => topicsOfFirm[at].length,
    },
    { title: 'Themes', number: true, wide: true, cell: at => thousands(themesOf(at)), by: themesOf },
    compared && { title: 'Novelty', number: true, cell: at => ratio(firms[at].novelty), by: at => firms[at].novelty },
    compared && {
      title: 'Repeated',
      number: true,
      wide: true,
      cell: at => (firms[at].repeated === null ? '–' : percent(firms[at].repeated ?? 0)),
      by: at => firms[at].repeated,
    },
  ]
  return all.filter(column => column !== false)
}

export function firmView(report: Report, route: Route): View | null {
  const place = report.firmOfId.get(route.id)
  if (place === undefined) return null
  const firm = report.firms[place]
  const topics = report.topicsOfFirm[place]
  const fresh = topics.filter(at => report.topics[at].isNew)
  const asked = route.query.get('topic')
  const whole = Math.max(...topics.map(at => report.topics[at].shareOfCall))
  const entries = topics.map(at => topicEntry(report, at, 'firm', whole, report.topics[at].id === asked))
  return {
    title: firmLabel(firm),
    nodes: [
      element('p', { class: 'kicker' }, 'Firm'),
      element('h1', {}, firmLabel(firm)),
      facts([
        [
          firm.callDates.length > 1 ? 'Calls' : 'Call',
          firm.callDates.length === 0
            ? 'no date'
            : joined(
                firm.callDates.map(date => element('time', { datetime: date }, day(date))),
                ', ',
              ),
        ],
        ['Sentences', thousands(firm.sentences)],
        ['Left out as talk', thousands(firm.talk)],
        ['In no topic', percent(firm.shareInNoTopic)],
        ['Compared with', firm.earlierQuarter],
        ['Novelty', noveltyAmong(report, firm.novelty)],
        ['Repeated', firm.repeated === null ? null : percent(firm.repeated)],
        ...Object.entries(firm.identifiers).map(([name, value]) => [name, value] as const),
      ]),
      firm.novelty === null &&
        element(
          'p',
          { class: 'aside' },
          report.earlierQuarter === null
            ? `The database has no quarter before ${report.quarter}: what is new to the firm cannot be said.`
            : firm.earlierQuarter === null
              ? 'The database has no earlier call of this firm: what is new to it cannot be said.'
              : 'All of the call is talk: there is nothing to compare.',
        ),
      fresh.length > 0 &&
        section(
          'New to the firm',
          element(
            'p',
            {},
            `No such topic in ${firm.earlierQuarter ?? 'its quarter before'}: `,
            joined(
              fresh.map(at => topicLink(report, at)),
              ', ',
            ),
            '.',
          ),
        ),
      section(
        'Topics',
        topics.length === 0
          ? notice(
              `No topic: the call has ${counted(firm.sentences - firm.talk, 'sentence')} that are no talk, too few or too unlike one another to form one.`,
            )
          : element('div', { class: 'entries' }, entries),
      ),
      fromDatabase(commandsOfFirm(report.quarter, firm.id)),
      neighbours(report, place),
    ],
    shown() {
      const entry = entries.find(made => made.dataset.topic === asked)
      if (entry !== undefined) {
        entry.dataset.asked = ''
        entry.scrollIntoView({ block: 'start' })
        entry.querySelector('h3')?.focus({ preventScroll: true })
      }
      return () => {}
    },
  }
}

/** A number that says nothing alone, beside that of the firm in the middle. */
function noveltyAmong({ firms }: Report, novelty: number | null): string | null {
  if (novelty === null) return null
  const all = firms.flatMap(firm => firm.novelty ?? [])
  return `${ratio(novelty)} (median of ${counted(all.length, 'firm')}: ${ratio(medianOf(all))})`
}

function neighbours({ firms }: Report, place: number): HTMLElement {
  const link = (at: number, arrow: string) =>
    at in firms &&
    element(
      'a',
      { href: addressOf('firm', firms[at].id), rel: arrow },
      arrow === 'prev' ? `← ${firmLabel(firms[at])}` : `${firmLabel(firms[at])} →`,
    )
  return element(
    'nav',
    { class: 'neighbours', 'aria-label': 'Firms before and after' },
    link(place - 1, 'prev'),
    link(place + 1, 'next'),
  )
}

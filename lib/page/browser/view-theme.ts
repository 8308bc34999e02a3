// A theme: what it is, where it came from, which firms speak of it and what they say.

import type { ReportTheme } from '../report-data.ts'
import { lineageChart } from './chart-themes.ts'
import { commandsOfTheme } from './commands.ts'
import { type Child, element } from './dom.ts'
import { folded } from './find.ts'
import { counted, percent, ratio, thousands } from './format.ts'
import {
  eventBadge,
  facts,
  firmLink,
  flagBadges,
  fromDatabase,
  joined,
  longList,
  quote,
  section,
  shareBar,
  swatch,
  table,
  topicEntry,
  topicLink,
  type View,
} from './pieces.ts'
import { firmLabel, firmsOfTheme, type Report } from './report.ts'
import { addressOf, type Route } from './route.ts'

const FIRMS = 15 // one look; the rest is a click away
const TOPICS = 20

export function themeView(report: Report, route: Route): View | null {
  const place = report.themeOfId.get(route.id)
  if (place === undefined) return null
  const theme = report.themes[place]
  const colour = String(report.colourOfTheme[place])
  const firms = firmsOfTheme(report, theme)
  const whole = Math.max(...firms.map(row => row.shareOfCall))
  const largest = Math.max(...theme.topics.map(at => report.topics[at].shareOfCall))
  const entries = element('div', { class: 'entries' })
  return {
    title: theme.name,
    nodes: [
      element(
        'p',
        { class: 'kicker' },
        swatch(report, place),
        ' Theme ',
        theme.id,
        ' ',
        eventBadge(theme),
        ' ',
        flagBadges(theme),
      ),
      element('h1', {}, theme.name),
      saysMore(theme) && element('p', { class: 'lead' }, theme.summary),
      facts([
        ['Firms', `${thousands(theme.firms)} (${percent(theme.shareOfFirms)})`],
        ['Topics', thousands(theme.topics.length)],
        ['Sentences', `${thousands(theme.sentences)} (${percent(theme.shareOfSentences)})`],
        ['Novelty', theme.novelty === null ? null : ratio(theme.novelty)],
        [
          'Topics new to their firm',
          theme.newTopics === null
            ? null
            : `${thousands(theme.newTopics)} of ${thousands(theme.topics.filter(at => report.topics[at].isNew !== null).length)}`,
        ],
        ['Lineage', theme.lineageId],
      ]),
      element(
        'p',
        { class: 'keywords' },
        element('span', { class: 'unseen' }, 'Keywords: '),
        joined(
          theme.keywords.map(word => element('span', {}, word)),
          ' ',
        ),
      ),
      element('p', {}, element('a', { href: addressOf('map', '', { theme: theme.id }) }, 'Show it on the map')),
      origin(report, place),
      theme.representatives.length > 0 &&
        section(
          'In their words',
          theme.representatives.map(at =>
            quote(report, report.sentences[at], firmLink(report, report.sentences[at].firm)),
          ),
        ),
      section(
        'Firms',
        table(
          'Firms that speak of it, those first that give it most of their call',
          [
            {
              title: 'Firm',
              head: true,
              cell: row => firmLink(report, row.firm),
              by: row => firmLabel(report.firms[row.firm]),
            },
            {
              title: 'Topics',
              wide: true,
              cell: row =>
                joined(
                  row.topics.map(at => topicLink(report, at)),
                  ', ',
                ),
            },
            {
              title: 'Sentences',
              number: true,
              wide: true,
              cell: row => thousands(row.sentences),
              by: row => row.sentences,
            },
            {
              title: 'Share of its call',
              number: true,
              cell: row => shareBar(row.shareOfCall, whole, colour),
              by: row => row.shareOfCall,
            },
          ],
          firms,
          'firm',
          FIRMS,
        ),
      ),
      section(
        'Topics',
        element('p', {}, `The ${counted(theme.topics.length, 'topic')} that form the theme, largest first.`),
        longList(theme.topics, TOPICS, at => topicEntry(report, at, 'theme', largest), entries, 'topic'),
      ),
      fromDatabase(commandsOfTheme(theme)),
    ],
  }
}

/** Without a language model a summary is a list of keywords, which stand below anyway. */
function saysMore({ name, summary, keywords }: ReportTheme): boolean {
  const known = new Set([name, ...keywords].map(folded))
  return !summary
    .replace(/\.$/, '')
    .split(',')
    .every(part => known.has(folded(part).trim()))
}

function origin(report: Report, place: number): HTMLElement | null {
  const theme = report.themes[place]
  if (theme.event === null) return null
  const chart = theme.lineageId === null ? null : lineageChart(report, theme.lineageId)
  if (theme.event === 'first' && chart === null) return null
  const said = {
    first: 'Among the first themes of this database: there is no earlier quarter to compare with.',
    new: `New: no theme of ${report.earlierQuarter ?? 'an earlier quarter'} became this one.`,
    continued: 'It carries on:',
    split: 'A part of a theme that became several:',
    merged: 'Out of several themes:',
    returned: 'It had been gone, and carries on:',
  }[theme.event]
  return section(
    'Where it came from',
    element('p', {}, said),
    theme.cameFrom.length > 0 &&
      element(
        'ul',
        {},
        theme.cameFrom.map(words => element('li', {}, words)),
      ),
    chart,
    chart && inOtherQuarters(report, theme),
  )
}

/** The themes that this one carries on, quarter by quarter, with the way to their own report where it lies beside this one. */
function inOtherQuarters({ flow, beside }: Report, theme: ReportTheme): Child[] {
  const others = flow.nodes.filter(node => node.lineageId === theme.lineageId && node.id !== theme.id)
  const item = ({ id, quarter, name, firms, shareOfFirms }: (typeof others)[number]) =>
    element(
      'li',
      {},
      quarter,
      ' ',
      beside.includes(quarter) ? element('a', { href: `${quarter}.html${addressOf('theme', id)}` }, name) : name,
      `, ${counted(firms, 'firm')} (${percent(shareOfFirms)})`,
    )
  return [
    element('p', {}, 'The same theme in other quarters:'),
    element('ul', {}, others.map(item)),
    element('p', {}, element('a', { href: addressOf('flow', '', { theme: theme.id }) }, 'Show it in the flow')),
  ]
}

// Overview: what the quarter talked about, what is new in it and what is gone.

import { themesChart } from './chart-themes.ts'
import { type Child, element } from './dom.ts'
import { counted, percent, ratio, thousands } from './format.ts'
import {
  type Column,
  eventBadge,
  flagBadges,
  notice,
  section,
  shareBar,
  table,
  themeLink,
  type View,
} from './pieces.ts'
import type { Report } from './report.ts'

export function overviewView(report: Report): View {
  const { counts, quarter } = report
  const chart = themesChart(report)
  return {
    title: 'Overview',
    nodes: [
      element('h1', {}, `What ${counted(counts.firms, 'firm')} talked about in ${quarter}`),
      element('p', { class: 'lead' }, lead(report)),
      figures(report),
      report.themes.length === 0
        ? section('Themes', notice(whyNoThemes(report)))
        : section(
            'Themes',
            element('p', {}, aboutThemes(report)),
            chart,
            table(
              `Themes of ${quarter}, those of most firms first`,
              columns(report),
              report.themes.map((_, place) => place),
              'theme',
              60,
            ),
          ),
      goneSection(report),
    ],
  }
}

function lead({ counts }: Report): string {
  const inThemes = counts.topics === 0 ? 0 : counts.topicsInThemes / counts.topics
  const talk = `Of ${counted(counts.sentences, 'sentence')} in ${counted(counts.calls, 'call')}, ${thousands(counts.talk)} are talk (greetings, operators, procedure) and left out.`
  if (counts.themes === 0) return talk
  return `${talk} The others form topics firm by firm; ${percent(inThemes)} of these topics run across firms and form the themes below.`
}

function figures({ counts, earlierQuarter, themes }: Report): HTMLElement {
  const content = Math.max(1, counts.sentences - counts.talk)
  const fresh = themes.filter(theme => theme.event === 'new').length
  const figure = (value: string, label: Child) => element('div', {}, element('dt', {}, label), element('dd', {}, value))
  return element(
    'dl',
    { class: 'figures' },
    figure(thousands(counts.firms), counts.firms === 1 ? 'firm' : 'firms'),
    figure(thousands(counts.sentences - counts.talk), 'sentences, without talk'),
    figure(thousands(counts.topics), 'topics of single firms'),
    figure(thousands(counts.themes), 'themes across firms'),
    figure(percent(counts.inTopics / content), 'of sentences in a topic'),
    earlierQuarter !== null &&
      themes.some(theme => theme.event !== null) &&
      figure(thousands(fresh), `new since ${earlierQuarter}`),
  )
}

function aboutThemes({ earlierQuarter, quarter, themes, firms }: Report): Child {
  if (earlierQuarter === null) {
    return `The database has no quarter before ${quarter}. What is new, what goes on and what is gone can be said once an earlier one is in it: make quarter with Q= that quarter, then the report again.`
  }
  if (themes.every(theme => theme.event === null)) {
    return `How these themes follow from those of ${earlierQuarter} is not worked out yet: run lineage for ${quarter}, then the report again.`
  }
  const count = (event: string) => themes.filter(theme => theme.event === event).length
  return [
    `Against ${earlierQuarter}: `,
    ['continued', 'new', 'split', 'merged', 'returned']
      .filter(event => count(event) > 0)
      .map(event => `${count(event)} ${event}`)
      .join(', '),
    `. Novelty is 1 minus the similarity of a sentence to the nearest one of the same firm’s earlier call, averaged over the theme; ${thousands(firms.filter(firm => firm.earlierQuarter !== null).length)} of ${counted(firms.length, 'firm')} have one.`,
  ]
}

function whyNoThemes({ counts, quarter }: Report): string {
  if (counts.topics === 0)
    return `${quarter} has no topics: its calls are too short, or cluster-firm has not run. See: quarterdeck status --quarter ${quarter}`
  return `No theme runs across the firms of ${quarter}: ${counted(counts.topics, 'topic')} of ${counted(counts.firms, 'firm')} have too little in common, or aggregate has not run. See: quarterdeck status --quarter ${quarter}`
}

function columns(report: Report): Column<number>[] {
  const { themes } = report
  const whole = Math.max(...themes.map(theme => theme.shareOfFirms))
  const novelties = themes.some(theme => theme.novelty !== null)
  const events = themes.some(theme => theme.event !== null && theme.event !== 'first')
  const all: (Column<number> | false)[] = [
    {
      title: 'Theme',
      head: true,
      cell: at => [themeLink(report, at), ' ', flagBadges(themes[at])],
      by: at => themes[at].name,
    },
    events && { title: 'Lineage', cell: at => eventBadge(themes[at]), by: at => themes[at].event },
    { title: 'Firms', number: true, wide: true, cell: at => thousands(themes[at].firms), by: at => themes[at].firms },
    {
      title: 'Share of firms',
      number: true,
      cell: at => shareBar(themes[at].shareOfFirms, whole, String(report.colourOfTheme[at])),
      by: at => themes[at].shareOfFirms,
    },
    {
      title: 'Sentences',
      number: true,
      wide: true,
      cell: at => thousands(themes[at].sentences),
      by: at => themes[at].sentences,
    },
    {
      title: 'Share of sentences',
      number: true,
      wide: true,
      cell: at => percent(themes[at].shareOfSentences),
      by: at => themes[at].shareOfSentences,
    },
    novelties && {
      title: 'Novelty',
      number: true,
      wide: true,
      cell: at => ratio(themes[at].novelty),
      by: at => themes[at].novelty,
    },
  ]
  return all.filter(column => column !== false)
}

function goneSection(report: Report): Child {
  const { gone, earlierQuarter, themes } = report
  if (earlierQuarter === null || themes.every(theme => theme.event === null)) return null
  if (gone.length === 0)
    return section(
      `Gone since ${earlierQuarter}`,
      element('p', {}, `Every theme of ${earlierQuarter} goes on in some form.`),
    )
  return section(
    `Gone since ${earlierQuarter}`,
    table(
      `Themes of ${earlierQuarter} that nothing here carries on`,
      [
        { title: 'Theme', head: true, cell: theme => theme.name, by: theme => theme.name },
        { title: 'Firms then', number: true, cell: theme => thousands(theme.firms), by: theme => theme.firms },
        {
          title: 'Sentences then',
          number: true,
          wide: true,
          cell: theme => thousands(theme.sentences),
          by: theme => theme.sentences,
        },
        {
          title: 'Nearest now, with its share of topics (over half would link them)',
          wide: true,
          cell: theme =>
            theme.nearest === null ? '–' : [themeLink(report, theme.nearest), ` ${percent(theme.topicsLinked ?? 0)}`],
        },
      ],
      gone,
      'theme',
      20,
    ),
  )
}

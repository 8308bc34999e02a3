// Search within the page: as one types, over themes, firms, topics and sentences, with the hits marked.

import type { ReportTopic } from '../report-data.ts'
import { element } from './dom.ts'
import { type Found, folded, type Index, indexOf, search, wordsOf } from './find.ts'
import { counted } from './format.ts'
import {
  firmLink,
  joined,
  longList,
  marked,
  notice,
  quote,
  section,
  themeLink,
  topicLink,
  type View,
} from './pieces.ts'
import type { Report } from './report.ts'
import type { Route } from './route.ts'

const FEW = 10
const SENTENCES = 20

let prepared: { report: Report; index: Index } | null = null

/** Folds the texts before the first letter is typed; nobody who does not search pays for it. */
export function prepareSearch(report: Report): Index {
  if (prepared?.report !== report) prepared = { report, index: indexOf(report) }
  return prepared.index
}

export function searchView(report: Report, route: Route): View {
  const query = (route.query.get('q') ?? '').trim()
  const words = wordsOf(query)
  const found = search(prepareSearch(report), query)
  const total = found.themes.length + found.firms.length + found.topics.length + found.sentences.length
  const { topics, sentences } = report
  return {
    title: query === '' ? 'Search' : `Search: ${query}`,
    nodes: [
      element('h1', {}, query === '' ? 'Search' : ['Search: ', element('q', {}, query)]),
      element(
        'p',
        { role: 'status', class: 'lead' },
        query === ''
          ? 'Type words: themes, firms, topics and sentences that have all of them are shown.'
          : summary(found),
      ),
      total === 0 &&
        query !== '' &&
        notice(
          'All words have to be there, as they are written or as part of a longer word; case and accents do not matter. The page holds the sentences that stand for each topic; all sentences are searched, by meaning, by: quarterdeck search',
        ),
      group('Themes', found.themes, FEW, 'theme', at =>
        element('li', {}, themeLink(report, at, words), element('p', {}, marked(report.themes[at].summary, words))),
      ),
      group('Firms', found.firms, FEW, 'firm', at => element('li', {}, firmLink(report, at, words))),
      group('Topics', found.topics, FEW, 'topic', at =>
        element(
          'li',
          {},
          topicLink(report, at, words),
          ' ',
          element('span', { class: 'aside' }, firmLink(report, topics[at].firm)),
          otherHits(topics[at], words),
        ),
      ),
      group('Sentences', found.sentences, SENTENCES, 'sentence', at => {
        const sentence = sentences[at]
        const where = [
          firmLink(report, sentence.firm),
          sentence.topic === null ? null : topicLink(report, sentence.topic),
        ]
        return element('li', {}, quote(report, sentence, joined(where, ' · '), words))
      }),
    ],
  }
}

function summary({ themes, firms, topics, sentences }: Found): string {
  return [
    counted(themes.length, 'theme'),
    counted(firms.length, 'firm'),
    counted(topics.length, 'topic'),
    counted(sentences.length, 'sentence'),
  ].join(', ')
}

/** What was hit besides the name: keywords, else the summary. */
function otherHits({ name, keywords, summary }: ReportTopic, words: readonly string[]): HTMLElement | null {
  const unseen = words.filter(word => !folded(name).includes(word))
  if (unseen.length === 0) return null
  const hit = keywords.filter(keyword => unseen.some(word => folded(keyword).includes(word)))
  if (hit.length === 0) return element('p', { class: 'aside' }, marked(summary, words))
  return element('p', { class: 'aside' }, 'keywords: ', marked(hit.join(', '), words))
}

function group(
  title: string,
  places: readonly number[],
  size: number,
  unit: string,
  render: (place: number) => HTMLElement,
): HTMLElement | null {
  if (places.length === 0) return null
  return section(
    [title, ' ', element('span', { class: 'count' }, String(places.length))],
    longList(places, size, render, element('ol', { class: 'hits' }), unit),
  )
}

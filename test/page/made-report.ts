// Made-up reports for the page: of any size, the same for the same wish, with the states that a real quarter may be in.
// Here so that the page is tried at sizes and on texts that no sample has. Says nothing about how data is gathered.

import { createRandom, type Random } from '../../lib/math/random.ts'
import type { ReportData, ReportFirm, ReportSentence, ReportTheme, ReportTopic } from '../../lib/page/report-data.ts'

export type Wish = {
  firms: number
  themes: number
  topicsPerFirm?: number
  /** How many quarters the database has, this one included. */
  quarters?: number
  /** As MAEC is: no names, speakers, roles, sections. */
  bare?: boolean
  /** Said by the first firm instead of its own first sentences, and its name, topic's and theme's with them. */
  hostile?: readonly string[]
}

const SUBJECTS = [
  'Oil prices',
  'Currency headwinds',
  'Share repurchases',
  'Interest rates',
  'Cloud migration',
  'Labour costs',
  'Restructuring savings',
  'Store openings',
  'Clinical trials',
  'Holiday season demand',
  'Loan growth',
  'Tax rate',
  'Hurricane Matthew',
  'Freight volumes',
  'Pension contributions',
  'Drilling activity',
  'Dividend policy',
  'Steel imports',
  'Memory pricing',
  'Advertising budgets',
  'Data centres',
  'Agricultural equipment',
  'Reimbursement changes',
  'Zinc concentrate',
  'Same-store sales',
  'Natural gas liquids',
  'Housing starts',
  'Airline capacity',
  'Cyber security',
  'Brexit',
  'Sugar and sweeteners',
  'Nuclear outages',
  'Rail contracts',
  'Insurance losses',
  'Organic growth',
  'Working capital',
  'Product recalls',
  'Chinese demand',
  'Semiconductor inventories',
  'Wage inflation',
] // prettier-ignore
const STEMS = [
  'Alder',
  'Briar',
  'Cobalt',
  'Dorset',
  'Ember',
  'Falcon',
  'Granite',
  'Harbor',
  'Iris',
  'Juniper',
  'Keystone',
  'Lumen',
]
const KINDS = [
  'Industries',
  'Holdings',
  'Energy',
  'Bancorp',
  'Therapeutics',
  'Semiconductor',
  'Stores',
  'Logistics',
  'Foods',
  'Média',
]
const SAYINGS = [
  'we expect SUBJECT to weigh on margins by about NUMBER basis points in the second half',
  'turning to SUBJECT, the trend improved through the quarter and exited at NUMBER percent',
  'as we said last quarter, SUBJECT remains the largest driver of our outlook, worth some $NUMBER million',
  'I would not read too much into SUBJECT; the comparison was against an unusually strong quarter, which was up NUMBER percent',
  'our customers tell us that SUBJECT is what they worry about, and our pipeline of NUMBER projects reflects it',
]
const EVENTS = ['continued', 'continued', 'continued', 'new', 'split', 'merged', 'returned'] as const

export function quarterBefore(quarter: string, by: number): string {
  const count = Number(quarter.slice(0, 4)) * 4 + Number(quarter[5]) - 1 - by
  return `${Math.floor(count / 4)}Q${(count % 4) + 1}`
}

export function madeReport(wish: Wish): ReportData {
  const random = createRandom(9)
  const { quarters = 3, topicsPerFirm = 6, bare = false, hostile = [] } = wish
  const quarter = '2016Q4'
  const earlier = quarters > 1 ? quarterBefore(quarter, 1) : null
  const firms: ReportFirm[] = []
  const topics: ReportTopic[] = []
  const sentences: ReportSentence[] = []
  const centres = Array.from({ length: wish.themes }, () => [0.08 + 0.84 * random.next(), 0.08 + 0.84 * random.next()])
  const topicsOfTheme: number[][] = centres.map(() => [])
  const nameOfTheme = (theme: number) =>
    theme === 0 && hostile.length > 0
      ? hostile[0]
      : SUBJECTS[theme % SUBJECTS.length] +
        (theme < SUBJECTS.length ? '' : ` ${Math.floor(theme / SUBJECTS.length) + 1}`)

  for (let f = 0; f < wish.firms; f++) {
    const ticker = tickerOf(f)
    const compared = earlier !== null && f % 7 !== 3
    const said = f === 1 ? 0 : 150 + random.int(300)
    firms.push({
      id: ticker,
      ticker,
      name: bare
        ? null
        : f === 0 && hostile.length > 0
          ? hostile[0]
          : `${STEMS[f % 12]} ${KINDS[Math.floor(f / 12) % 10]}`,
      identifiers: bare ? {} : { cik: String(320193 + f), permno: String(10001 + f) },
      callDates: bare && f % 9 === 4 ? [] : [`2016-${10 + (f % 3)}-${String(1 + (f % 28)).padStart(2, '0')}`],
      sentences: said,
      talk: Math.floor(said / 9),
      shareInNoTopic: said === 0 ? 0 : 0.2 + 0.3 * random.next(),
      earlierQuarter: compared ? earlier : null,
      novelty: compared ? 0.3 + 0.3 * random.next() : null,
      repeated: compared ? 0.15 * random.next() : null,
    })
    if (said === 0) continue // a firm whose call has no topics
    let position = 3
    for (let t = 0; t < topicsPerFirm; t++) {
      const none = wish.themes === 0 || random.next() < 0.35
      const theme = none ? null : f === 0 && t === 0 ? 0 : skewed(random, wish.themes)
      const subject = theme === null ? SUBJECTS[random.int(SUBJECTS.length)] : nameOfTheme(theme)
      const centre = theme === null ? [random.next(), random.next()] : centres[theme]
      const size = Math.max(6, Math.round((said * 0.6 * (0.4 + random.next())) / (topicsPerFirm + 2)))
      const isNew = compared ? random.next() < 0.3 : null
      const place = topics.length
      if (theme !== null) topicsOfTheme[theme].push(place)
      topics.push({
        id: `${quarter}/${ticker}/${String(t + 1).padStart(2, '0')}`,
        firm: f,
        theme,
        name:
          f === 0 && t === 0 && hostile.length > 0
            ? hostile[0]
            : `${subject} ${['outlook', 'effects', 'in Europe', 'and margins'][random.int(4)]}`,
        summary: `What is said about ${subject.toLowerCase()} and what it does to margins.`,
        keywords: subject.toLowerCase().split(' ').concat('margins', 'outlook', 'basis points'),
        size,
        shareOfCall: said === 0 ? 0 : size / (said - Math.floor(said / 9)),
        probability: theme === null ? null : 0.4 + 0.6 * random.next(),
        givenToNearest: theme !== null && random.next() < 0.1,
        isNew,
        similarity: isNew === null ? null : isNew ? 0.3 * random.next() : 0.6 + 0.4 * random.next(),
        earlier: isNew === null ? null : `${subject} last quarter`,
        x: between(centre[0] + 0.05 * bell(random)),
        y: between(centre[1] + 0.05 * bell(random)),
        sentences: [],
      })
      for (let s = 0; s < 3; s++) {
        const similarity = compared ? 0.3 + 0.7 * random.next() : null
        topics[place].sentences.push(sentences.length)
        sentences.push({
          id: String(281474976710656n * 3n + BigInt(sentences.length)),
          firm: f,
          topic: place,
          date: firms[f].callDates[0] ?? null,
          position: position++ * 4,
          speaker: bare ? null : ['Ann Ferreira', 'Bo Lindström', 'Carla Núñez'][s],
          role: bare ? null : ['Chief Executive Officer', 'Chief Financial Officer', 'Analyst'][s],
          section: bare ? null : (['prepared', 'answer', 'question'] as const)[s],
          text: f === 0 && t === 0 && s < hostile.length ? hostile[s] : saying(random, subject),
          similarity,
          repeated: similarity === null ? null : similarity > 0.95,
        })
      }
    }
  }

  const order = topicsOfTheme
    .map((places, old) => ({ old, places, firms: new Set(places.map(place => topics[place].firm)).size }))
    .filter(({ places }) => places.length > 0)
    .sort((a, b) => b.firms - a.firms)
  const themes = order.map(({ old, places, firms: holders }, theme): ReportTheme => {
    for (const place of places) topics[place].theme = theme
    const largest = places.sort((a, b) => topics[b].size - topics[a].size)
    const compared = largest.filter(place => topics[place].isNew !== null)
    const event = earlier === null ? (quarters === 1 ? ('first' as const) : null) : EVENTS[random.int(EVENTS.length)]
    const lineage = event === 'new' ? quarter : quarterBefore(quarter, Math.max(1, quarters - 1))
    const total = largest.reduce((sum, place) => sum + topics[place].size, 0)
    return {
      id: `${quarter}/${String(theme + 1).padStart(2, '0')}`,
      lineageId: `${lineage}/${String(theme + 1).padStart(2, '0')}`,
      event,
      cameFrom:
        earlier === null || event === 'new' || event === 'first'
          ? []
          : [`${earlier} ${nameOfTheme(old)} (similarity .93, 21 firms in common)`],
      name: nameOfTheme(old),
      summary: `Firms report on ${nameOfTheme(old).toLowerCase()} and how it changed their costs and prices.`,
      keywords: nameOfTheme(old).toLowerCase().split(' ').concat('costs', 'prices'),
      topics: largest,
      firms: holders,
      shareOfFirms: holders / wish.firms,
      sentences: total,
      shareOfSentences:
        total /
        Math.max(
          1,
          firms.reduce((sum, firm) => sum + firm.sentences - firm.talk, 0),
        ),
      flags: theme === order.length - 1 ? ['few firms'] : [],
      novelty: earlier === null ? null : 0.25 + 0.4 * random.next(),
      newTopics: earlier === null ? null : compared.filter(place => topics[place].isNew).length,
      representatives: largest.slice(0, 5).map(place => topics[place].sentences[0]),
    }
  })

  return {
    quarter,
    earlierQuarter: earlier,
    beside: [],
    provenance: {
      made: '2026-11-26T12:00:00.000Z',
      codeVersion: '0.1.0 (b186a38)',
      embeddingModel: 'earnings-static-256',
      runs: [
        'ingest',
        'embed',
        'cluster-firm',
        'name-topics',
        'aggregate',
        'index',
        ...(earlier ? ['novelty', 'lineage'] : []),
      ].map(command => ({
        command,
        finished: '2026-11-26T11:58:00.000Z',
        codeVersion: '0.1.0 (b186a38)',
        model: command === 'embed' ? 'earnings-static-256' : null,
        seed: command === 'cluster-firm' || command === 'aggregate' ? 42 : null,
        options: command === 'cluster-firm' ? { neighbors: 15, 'min-cluster-size': 6 } : {},
        counts: { firms: wish.firms },
      })),
      sources: [
        {
          format: bare ? 'maec' : 'motley-fool',
          calls: wish.firms,
          example: 'data/samples/2016Q4/20161004_MU/text.txt',
        },
      ],
    },
    counts: {
      firms: wish.firms,
      calls: wish.firms,
      sentences: firms.reduce((sum, firm) => sum + firm.sentences, 0),
      talk: firms.reduce((sum, firm) => sum + firm.talk, 0),
      inTopics: topics.reduce((sum, topic) => sum + topic.size, 0),
      topics: topics.length,
      topicsInThemes: topics.filter(topic => topic.theme !== null).length,
      themes: themes.length,
    },
    themes,
    topics,
    firms,
    sentences,
    gone: earlier
      ? [
          {
            id: `${earlier}/05`,
            name: 'Olympic games',
            firms: 9,
            sentences: 120,
            nearest: themes.length > 2 ? 2 : null,
            topicsLinked: 0.41,
          },
          { id: `${earlier}/17`, name: 'Leap year', firms: 4, sentences: 40, nearest: null, topicsLinked: null },
        ]
      : [],
    flow: flowOf(themes, quarter, quarters, random),
  }
}

function flowOf(themes: ReportTheme[], quarter: string, count: number, random: Random): ReportData['flow'] {
  const quarters = Array.from({ length: count }, (_, i) => quarterBefore(quarter, count - 1 - i))
  const nodes: ReportData['flow']['nodes'] = []
  const links: ReportData['flow']['links'] = []
  let before: number[] = []
  for (const [q, name] of quarters.entries()) {
    const here: number[] = []
    for (const [t, theme] of themes.entries()) {
      here.push(nodes.length)
      const firms = Math.max(1, Math.round(theme.firms * (0.7 + 0.6 * random.next())))
      const last = q === count - 1
      nodes.push({
        id: last ? theme.id : `${name}/${String(t + 1).padStart(2, '0')}`,
        quarter: name,
        lineageId: theme.lineageId ?? theme.id,
        name: theme.name,
        firms: last ? theme.firms : firms,
        shareOfFirms: last ? theme.shareOfFirms : Math.min(1, theme.shareOfFirms * (0.7 + 0.6 * random.next())),
      })
      if (q === 0 || (last && theme.event === 'new') || random.next() < 0.2) continue
      const event = EVENTS[random.int(EVENTS.length)]
      const source = event === 'split' || event === 'merged' ? before[random.int(before.length)] : before[t]
      links.push({
        source,
        target: here[t],
        event: event === 'new' ? 'continued' : event,
        similarity: 0.6 + 0.4 * random.next(),
        firmsInCommon: Math.max(1, Math.round(nodes[source].firms * 0.5)),
        firmsByChance: nodes[source].firms * 0.2,
        topicsForward: event === 'split' ? 0.4 : 0.5 + 0.5 * random.next(),
        topicsBack: event === 'merged' ? 0.4 : 0.5 + 0.5 * random.next(),
      })
    }
    before = here
  }
  return { quarters, nodes, links }
}

function saying(random: Random, subject: string): string {
  const text = SAYINGS[random.int(SAYINGS.length)]
    .replace('SUBJECT', subject.toLowerCase())
    .replace('NUMBER', String(2 + random.int(200)))
  return `${text[0].toUpperCase()}${text.slice(1)}.`
}

function tickerOf(place: number): string {
  let word = ''
  for (let rest = place + 26; rest >= 0; rest = Math.floor(rest / 26) - 1)
    word = String.fromCharCode(65 + (rest % 26)) + word
  return word
}

/** Few themes are said by many, many by few. */
function skewed(random: Random, n: number): number {
  return Math.floor(n * random.next() ** 1.8)
}

function bell(random: Random): number {
  return random.next() + random.next() + random.next() - 1.5
}

function between(value: number): number {
  return Math.min(1, Math.max(0, value))
}

// What the bench measured of two methods beside BERTopic, as Markdown, and by how much communities meet what is asked of them.
// Nothing is measured here.

import { METHODS } from '../../lib/flags.ts'
import { thousands } from '../../lib/log.ts'
import type { Quality } from './firms.ts'
import { describeMachine, percent, seconds, table } from './markdown.ts'
import {
  FIRST_WORDS,
  type MethodsReport,
  type QuarterByModel,
  type Side,
  type StoriesOf,
  type ThemesOf,
} from './methods.ts'

export function reportMethods({
  source,
  quarters,
  stories,
  storySeeds,
  loadAtStart,
  loadAtEnd,
}: MethodsReport): string {
  const [peer] = quarters.flatMap(({ same }) => (typeof same === 'string' ? [] : [same.versions]))
  return [
    `- Data: ${source}.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    ...quarters.flatMap(describeQuarter),
    '### Planted stories',
    describeStories(stories),
    `Means over ${storySeeds} seeds, topics named by keywords, embedded by the model that ships.`,
    ...(peer === undefined ? [] : [`BERTopic: ${peer}.`]),
  ].join('\n\n')
}

function describeQuarter(measured: QuarterByModel): string[] {
  const { model, quarter, same, themes } = measured
  return [
    `### ${quarter}, ${model}`,
    describeTopics(measured),
    ...(typeof same === 'string'
      ? [`No peer in this run. ${same.trim()}`]
      : [
          `The same firms: ${same.firms} (${thousands(same.sentences)} sentences), evenly by name; ${same.refused} more were refused by ` +
            'BERTopic. All firms: the whole quarter, by the command and by `eval`.',
          describeBounds(same.sides.communities.quality, same.sides.bertopic.quality),
        ]),
    describeThemes(themes),
  ]
}

type Column = {
  title: string
  figures: Omit<Quality, 'keywordsATopic'> & { keywordsATopic?: number }
  firstWords?: Side['firstWords']
  seconds?: number
  step?: { seconds: number; cpuSeconds: number }
}

function describeTopics({ same, whole }: QuarterByModel): string {
  const columns: Column[] = []
  if (typeof same !== 'string')
    for (const side of [...METHODS, 'bertopic'] as const)
      columns.push({
        title: side === 'bertopic' ? 'BERTopic' : side,
        figures: same.sides[side].quality,
        firstWords: same.sides[side].firstWords,
        seconds: same.sides[side].seconds,
      })
  for (const method of METHODS) {
    const { step, evaluation } = whole[method]
    const cpuSeconds = step.command.cpuSeconds + (step.database?.cpuSeconds ?? 0)
    columns.push({ title: `${method}, all firms`, figures: evaluation, step: { seconds: step.seconds, cpuSeconds } })
  }
  const share = (value: number | null) => (value === null ? '–' : percent(value))
  const figure = (value: number | null) => value?.toFixed(3) ?? '–'
  const time = (value: number | undefined) => (value === undefined ? '–' : seconds(value))
  const rows: [string, (column: Column) => string][] = [
    ['topics a firm', ({ figures }) => figures.topicsAFirm?.toFixed(1) ?? '–'],
    ['sentences in no topic', ({ figures }) => share(figures.noise)],
    ['largest topic, of its firm', ({ figures }) => share(figures.largestTopic)],
    ['silhouette', ({ figures }) => figure(figures.silhouette)],
    ['NPMI coherence', ({ figures }) => figure(figures.npmi)],
    ['diversity', ({ figures }) => figure(figures.diversity)],
    [`NPMI, first ${FIRST_WORDS} words`, ({ firstWords }) => figure(firstWords?.npmi ?? null)],
    [`diversity, first ${FIRST_WORDS} words`, ({ firstWords }) => figure(firstWords?.diversity ?? null)],
    ['keywords a topic', ({ figures }) => figures.keywordsATopic?.toFixed(1) ?? '–'],
    ['ARI, other seed', ({ figures }) => figure(figures.seedAri)],
    ['ARI, tenth away', ({ figures }) => figure(figures.tenthAri)],
    ['seconds a firm, one thread, warm (median)', column => time(column.seconds)],
    ['`cluster-firm`, seconds', column => time(column.step?.seconds)],
    ['`cluster-firm`, CPU seconds, database included', column => time(column.step?.cpuSeconds)],
  ]
  return table(
    ['Topics', ...columns.map(column => column.title)],
    rows.map(([title, cell]) => [title, ...columns.map(cell)]),
  )
}

/** What is asked of communities: bounds of its own, and not to fall behind BERTopic on the same firms. */
export type Bound = { what: string; found: number; asked: number; more: boolean; share?: boolean }

const FEWEST_SEED_ARI = 0.8
const FEWEST_TENTH_ARI = 0.64
const MOST_NOISE = 0.11
const MOST_APART = 0.2

export function boundsOf(ours: Quality, peer: Quality): Bound[] {
  const known = (value: number | null) => value ?? Number.NaN
  const atLeast = (what: string, found: number | null, asked: number | null): Bound => ({
    what,
    found: known(found),
    asked: known(asked),
    more: true,
  })
  return [
    atLeast('ARI of another seed', ours.seedAri, FEWEST_SEED_ARI),
    atLeast('ARI with a tenth away', ours.tenthAri, FEWEST_TENTH_ARI),
    { what: 'sentences in no topic', found: known(ours.noise), asked: MOST_NOISE, more: false, share: true },
    atLeast('silhouette beside BERTopic', ours.silhouette, peer.silhouette),
    atLeast('NPMI beside BERTopic', ours.npmi, peer.npmi),
    atLeast('diversity beside BERTopic', ours.diversity, peer.diversity),
    {
      what: "topics a firm away from BERTopic's",
      found: Math.abs(known(ours.topicsAFirm) / known(peer.topicsAFirm) - 1),
      asked: MOST_APART,
      more: false,
      share: true,
    },
  ]
}

/** Whether a bound is met, and by how much it is met or missed. */
export function verdict({ found, asked, more, share }: Bound): string {
  const spare = more ? found - asked : asked - found
  const size = Math.abs(spare)
  return `${spare >= 0 ? 'met' : 'missed'} by ${share ? `${(100 * size).toFixed(1)} points` : size.toFixed(3)}`
}

function describeBounds(ours: Quality, peer: Quality): string {
  const said = boundsOf(ours, peer).map(bound => {
    const asked = bound.share ? percent(bound.asked) : bound.asked.toFixed(3)
    return `${bound.what}, at ${bound.more ? 'least' : 'most'} ${asked}: **${verdict(bound)}**`
  })
  return `Asked of communities on the same firms: ${said.join('; ')}.`
}

function titleOf({ topics, themes }: { topics: string; themes: string }): string {
  return topics === themes ? topics : `topics ${topics}, themes ${themes}`
}

function describeThemes(all: readonly ThemesOf[]): string {
  const figure = (value: number | null | undefined) => value?.toFixed(3) ?? '–'
  const share = (value: number | undefined) => (value === undefined ? '–' : percent(value))
  const rows: [string, (of: ThemesOf) => string][] = [
    ['topics', ({ figures: { talk } }) => thousands(talk.topics)],
    ['topics that are talk', ({ figures: { talk } }) => percent(talk.talkTopics.length / talk.topics)],
    ['themes', ({ figures: { talk } }) => String(talk.themes)],
    ['themes that are talk', ({ figures: { talk } }) => share(talk.talkThemes.length / talk.themes)],
    ['largest theme, of all topics', ({ figures: { themes } }) => share(themes?.largest)],
    ['topics in no theme', ({ figures: { themes } }) => share(themes?.inNone)],
    ['NPMI of themes', ({ figures: { themes } }) => figure(themes?.npmi)],
    ['diversity of themes', ({ figures: { themes } }) => figure(themes?.diversity)],
    ['ARI of themes, other seed', of => figure(of.seedAgreement)],
    ['ARI of themes, tenth of the topics away', of => figure(of.tenthAgreement)],
  ]
  return table(
    ['Themes', ...all.map(titleOf)],
    rows.map(([title, cell]) => [title, ...all.map(cell)]),
  )
}

function describeStories(all: readonly StoriesOf[]): string {
  const rows: [string, (of: StoriesOf) => string][] = [
    ['firms that tell it, in the theme', of => percent(of.firms.recall)],
    ['firms in the theme that tell it', of => percent(of.firms.precision)],
    ['planted sentences, in the theme', of => percent(of.sentences.recall)],
    ["planted sentences in the theme that are the story's", of => percent(of.sentences.precision)],
    ['themes that the seven stories are in', of => of.ownThemes.toFixed(1)],
    ['firms beside a story of one firm', of => of.strangers.toFixed(1)],
  ]
  return table(
    ['Of a planted story', ...all.map(titleOf)],
    rows.map(([title, cell]) => [title, ...all.map(cell)]),
  )
}

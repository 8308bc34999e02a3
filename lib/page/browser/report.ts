// The report with what the views look up: by id, and colours. Here so that every view finds things the same way.
// Pure: draws nothing.

import type { ReportData, ReportFirm, ReportTheme } from '../report-data.ts'
import { COLOURS, coloursOf } from './colours.ts'

export type Report = ReportData & {
  themeOfId: Map<string, number>
  firmOfId: Map<string, number>
  topicOfId: Map<string, number>
  /** Places in `topics`, largest first. */
  topicsOfFirm: number[][]
  /** Place in the list of colours of each theme. */
  colourOfTheme: number[]
  /** Where its topics are on the map: the median, since the mean of two groups lies where neither is. */
  centreOfTheme: [number, number][]
}

export function reportOf(data: ReportData): Report {
  const topicsOfFirm: number[][] = data.firms.map(() => [])
  for (const [place, topic] of data.topics.entries()) topicsOfFirm[topic.firm]?.push(place)
  for (const places of topicsOfFirm) places.sort((a, b) => data.topics[b].size - data.topics[a].size)
  const centreOfTheme = data.themes.map((theme): [number, number] => [
    medianOf(theme.topics.map(place => data.topics[place].x)),
    medianOf(theme.topics.map(place => data.topics[place].y)),
  ])
  return {
    ...data,
    themeOfId: placesById(data.themes),
    firmOfId: placesById(data.firms),
    topicOfId: placesById(data.topics),
    topicsOfFirm,
    centreOfTheme,
    colourOfTheme: coloursOf(centreOfTheme, COLOURS),
  }
}

/** The upper one of two in the middle; of nothing, the middle of the map. */
export function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0.5
}

function placesById(list: readonly { id: string }[]): Map<string, number> {
  return new Map(list.map(({ id }, place) => [id, place]))
}

export type FirmOfTheme = {
  firm: number
  /** Places in `topics`, largest first. */
  topics: number[]
  sentences: number
  shareOfCall: number
}

/** The firms of a theme, those first that spend most of their call on it. */
export function firmsOfTheme(report: Report, theme: ReportTheme): FirmOfTheme[] {
  const byFirm = new Map<number, FirmOfTheme>()
  for (const place of theme.topics) {
    const topic = report.topics[place]
    const row = byFirm.get(topic.firm) ?? { firm: topic.firm, topics: [], sentences: 0, shareOfCall: 0 }
    row.topics.push(place)
    row.sentences += topic.size
    row.shareOfCall += topic.shareOfCall
    byFirm.set(topic.firm, row)
  }
  return [...byFirm.values()].sort((a, b) => b.shareOfCall - a.shareOfCall)
}

/** What a firm is called: its name where the source gives one. */
export function firmName(firm: ReportFirm): string {
  return firm.name ?? firm.ticker ?? firm.id
}

/** Its name, and its ticker where that says more. */
export function firmLabel(firm: ReportFirm): string {
  const name = firmName(firm)
  const short = firm.ticker ?? firm.id
  return name === short ? name : `${name} (${short})`
}

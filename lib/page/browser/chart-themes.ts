// The two charts of themes: how widely each is spoken of against how new it is, and one theme over the quarters.
// Observable Plot draws them; colours come from style.css by name, so that dark and print need no second drawing.

import { dot, gridY, line, plot, pointer, ruleY, text, tip } from '@observablehq/plot'
import { scaleLinear, scaleLog, scaleSqrt } from 'd3'
import { element } from './dom.ts'
import { percent, ratio, thousands } from './format.ts'
import type { Report } from './report.ts'

const WIDTH = 960 // of the page's text; on a telephone what there is
const HEIGHT = 400
const MARGINS = { marginLeft: 48, marginRight: 24, marginTop: 32, marginBottom: 44 }
const LETTERING = { fontSize: '12px' }
const LETTER = 6.4 // mean width of a letter at 12 px, to keep labels apart
const LINE = 16
const RADIUS = { least: 3, most: 14 }

type Point = { x: number; y: number; name: string; colour: string; sentences: number }
type Box = [left: number, top: number, right: number, bottom: number]

/** Themes as dots; null where there are too few to compare. */
export function themesChart(report: Report): HTMLElement | null {
  const { themes } = report
  const novel = themes.some(theme => theme.novelty !== null)
  const points = themes.flatMap((theme, place): Point[] => {
    // Of the share of sentences the share of firms already tells nearly all.
    const y = novel ? theme.novelty : theme.sentences / theme.firms
    const colour = `var(--c${report.colourOfTheme[place]})`
    return y === null ? [] : [{ x: theme.shareOfFirms, y, name: theme.name, colour, sentences: theme.sentences }]
  })
  if (points.length < 3) return null
  const width = widthWithin(WIDTH)
  const { marginLeft, marginRight, marginTop, marginBottom } = MARGINS
  const xs = points.map(point => point.x)
  const ys = points.map(point => point.y)
  const room = 0.08 * (Math.max(...ys) - Math.min(...ys) || 1) // so that no dot is cut by the frame
  // Few themes are everywhere and most are said by one firm in twenty: doubling is what an eye should compare.
  const x = scaleLog([Math.min(...xs) / 1.2, Math.max(...xs) * 1.2], [marginLeft, width - marginRight])
  const y = scaleLinear(
    [Math.max(0, Math.min(...ys) - room), Math.max(...ys) + room],
    [HEIGHT - marginBottom, marginTop],
  )
  const largest = Math.max(...points.map(point => point.sentences))
  const r = scaleSqrt([0, largest], [RADIUS.least, RADIUS.most])
  const labels = labelled(points, point => [x(point.x), y(point.y), r(point.sentences)], width)
  const chart = plot({
    className: 'plot',
    width,
    height: HEIGHT,
    ...MARGINS,
    style: LETTERING,
    x: {
      type: 'log',
      domain: x.domain(),
      label: 'Share of firms (logarithmic) →',
      labelArrow: 'none',
      ticks: x.ticks().filter(share => /^[125]/.test(share.toExponential())), // 1, 2, 5, 10 …: all nine of a decade run together
      tickFormat: tick,
    },
    y: {
      domain: y.domain(),
      label: novel ? '↑ Novelty' : '↑ Sentences a firm',
      labelArrow: 'none',
      ticks: 5,
      tickFormat: novel ? ratio : String,
    },
    r: { domain: r.domain(), range: r.range() },
    color: { type: 'identity' },
    marks: [
      gridY({ ticks: 5, strokeOpacity: 0.12 }),
      dot(points, { x: 'x', y: 'y', r: 'sentences', fill: 'colour', fillOpacity: 0.8, stroke: 'var(--paper)' }),
      text(labels, {
        x: label => x.invert(label.x),
        y: label => y.invert(label.y),
        text: 'name',
        stroke: 'var(--paper)',
        fill: 'currentColor',
      }),
      tip(
        points,
        pointer({
          x: 'x',
          y: 'y',
          fill: 'var(--paper)',
          title: (point: Point) =>
            `${point.name}\n${percent(point.x)} of firms, ${novel ? `novelty ${ratio(point.y)}` : `${point.y.toFixed(1)} sentences a firm`}\n${thousands(point.sentences)} sentences`,
        }),
      ),
    ],
  })
  const what = novel ? 'how new what is said about it is' : 'how many sentences each of them gives it'
  return figure(
    chart,
    `How widely each theme is spoken of and ${what}; the table has the same numbers`,
    `Themes by the share of firms that speak of them and ${what}; a dot is as large as the theme has sentences.`,
  )
}

/** Names that fit, by their middle: above, below or beside their dot, none into another or over a dot. Those of most firms come first. */
function labelled(
  points: readonly Point[],
  place: (point: Point) => [number, number, number],
  width: number,
): { name: string; x: number; y: number }[] {
  const dots = points.map((point): Box => {
    const [x, y, r] = place(point)
    return [x - r, y - r, x + r, y + r]
  })
  const taken: Box[] = []
  return points.flatMap((point, own) => {
    const [x, y, r] = place(point)
    const half = (point.name.length * LETTER) / 2
    const [across, beside] = [r + LINE / 2, r + half + 3]
    for (const [dx, dy] of [
      [0, -across],
      [0, across],
      [beside, 0],
      [-beside, 0],
    ]) {
      const box: Box = [x + dx - half, y + dy - LINE / 2, x + dx + half, y + dy + LINE / 2]
      if (box[0] < MARGINS.marginLeft || box[2] > width || box[3] > HEIGHT - MARGINS.marginBottom) continue
      if (taken.some(other => meet(box, other)) || dots.some((other, at) => at !== own && meet(box, other))) continue
      taken.push(box)
      return [{ name: point.name, x: x + dx, y: y + dy }]
    }
    return []
  })
}

function meet(a: Box, b: Box): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

function tick(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`
}

function widthWithin(most: number): number {
  return Math.max(280, Math.min(most, document.documentElement.clientWidth - 32))
}

/** The share of firms of a theme and of those it carries on, quarter by quarter; null where there is one quarter alone. */
export function lineageChart(report: Report, lineageId: string): HTMLElement | null {
  const { quarters, nodes } = report.flow
  const shareIn = (quarter: string) =>
    nodes
      .filter(node => node.quarter === quarter && node.lineageId === lineageId)
      .reduce((sum, node) => sum + node.shareOfFirms, 0)
  const points = quarters.map(quarter => ({ quarter, share: shareIn(quarter) }))
  if (points.filter(point => point.share > 0).length < 2) return null
  const chart = plot({
    className: 'plot',
    width: widthWithin(560),
    height: 210,
    marginLeft: 48,
    marginTop: 32,
    marginBottom: 32,
    style: LETTERING,
    x: { type: 'point', domain: quarters, label: null },
    y: { label: '↑ Share of firms', labelArrow: 'none', tickFormat: tick, zero: true, nice: true, ticks: 4 },
    marks: [
      gridY({ strokeOpacity: 0.12 }),
      ruleY([0], { strokeOpacity: 0.4 }),
      line(points, { x: 'quarter', y: 'share', stroke: 'var(--accent)', strokeWidth: 2 }),
      dot(points, { x: 'quarter', y: 'share', fill: 'var(--accent)', r: 3.5 }),
      text(points, { x: 'quarter', y: 'share', text: point => percent(point.share), dy: -11, fontSize: 12 }),
    ],
  })
  const words = points.map(point => `${point.quarter} ${percent(point.share)}`).join(', ')
  return figure(chart, `Share of firms by quarter: ${words}`)
}

/** One image to those who listen: single dots without names would be noise. */
function figure(chart: Element, words: string, caption?: string): HTMLElement {
  chart.setAttribute('aria-hidden', 'true')
  const image = element('div', { role: 'img', 'aria-label': words })
  image.appendChild(chart)
  return element('figure', { class: 'chart' }, image, caption !== undefined && element('figcaption', {}, caption))
}

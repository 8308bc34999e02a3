// Flow: how the themes of the quarters follow from one another, as a Sankey diagram and as a table.

import { type SankeyLink, type SankeyNode, sankey, sankeyLinkHorizontal } from 'd3-sankey'
import type { Flow } from '../report-data.ts'
import { button, type Child, element } from './dom.ts'
import { counted, percent, ratio, thousands } from './format.ts'
import { notice, section, table, type View } from './pieces.ts'
import type { Report } from './report.ts'
import { addressOf, type Route } from './route.ts'

const COLUMN = { least: 300, most: 420, page: 960 } // px from quarter to quarter: a bar, a name of 30 letters, and room to bend
const ROW = 24 // px a theme, so that names do not touch
const BAR = 10
const INTO = 48 // px
const FEW = 30 // lineages shown at first: what fits a page

type Node = { spine: boolean; place: number; column: number; firms: number }
type Link = { place: number | null }

export function flowView(report: Report, route: Route): View {
  const { flow, quarter, earlierQuarter } = report
  const title = element('h1', {}, 'How the themes follow from one another')
  if (earlierQuarter === null || flow.quarters.length < 2) {
    return {
      title: 'Flow',
      nodes: [
        title,
        notice(
          `The database has no quarter before ${quarter}, so there is nothing to follow from. Load an earlier one (make quarter with Q= that quarter), then make the report again.`,
        ),
      ],
    }
  }
  if (flow.links.length === 0) {
    return {
      title: 'Flow',
      nodes: [
        title,
        notice(
          `No theme of ${flow.quarters.join(', ')} goes on in another quarter, or lineage has not run. See: quarterdeck status --quarter ${quarter}`,
        ),
      ],
    }
  }
  const holder = element('div', {
    class: 'scroll',
    tabindex: '0',
    role: 'region',
    'aria-label': 'Diagram of the flow between quarters',
  })
  const lineages = lineagesBySize(flow)
  const choice = element('p', { class: 'choice' })
  function draw(count: number): void {
    const shown = new Set(lineages.slice(0, count))
    holder.replaceChildren(diagram(report, shown))
    // The newest quarter is what the report is about, with the ends of what leads to it.
    holder.scrollLeft = holder.scrollWidth - holder.clientWidth - INTO
    choice.replaceChildren(
      ...(lineages.length <= FEW
        ? []
        : [
            `${thousands(Math.min(count, lineages.length))} of ${counted(lineages.length, 'lineage')}, those of most firms `,
            count < lineages.length
              ? button('Show all', () => draw(lineages.length))
              : button('Show fewer', () => draw(FEW)),
          ]),
    )
  }
  return {
    title: 'Flow',
    nodes: [
      title,
      element(
        'p',
        { class: 'lead' },
        `Themes of ${flow.quarters.join(', ')}; a bar is as high as the theme has firms, a band is as wide as the part that two themes share, the smaller of both ways to count it (Topics forward, Topics back in the table).`,
      ),
      element(
        'ul',
        { class: 'legend-line' },
        ['continued', 'split', 'merged', 'returned'].map(event =>
          element('li', {}, element('span', { class: `swatch e-${event}`, 'aria-hidden': 'true' }), event),
        ),
      ),
      choice,
      holder,
      section('As a table', links(report)),
    ],
    shown() {
      const asked = route.query.get('theme')
      const lineage = flow.nodes.find(node => node.id === asked)?.lineageId
      draw(lineage === undefined || lineages.indexOf(lineage) < FEW ? FEW : lineages.length)
      const bar = [...holder.querySelectorAll('a')].find(link => link.dataset.theme === asked)
      bar?.setAttribute('data-asked', '')
      bar?.scrollIntoView({ block: 'center' })
      bar?.focus({ preventScroll: true })
      return () => {}
    },
  }
}

function lineagesBySize({ nodes, quarters }: Flow): string[] {
  const size = new Map<string, number>()
  const last = quarters[quarters.length - 1]
  // What is there now comes before what has been.
  for (const node of nodes)
    size.set(node.lineageId, Math.max(size.get(node.lineageId) ?? 0, node.firms + (node.quarter === last ? 0.5 : 0)))
  return [...size].sort((a, b) => b[1] - a[1]).map(([id]) => id)
}

function diagram(report: Report, lineages: ReadonlySet<string>): SVGSVGElement {
  const { quarters, nodes, links: all } = report.flow
  const places = nodes.flatMap((node, place) => (lineages.has(node.lineageId) ? [place] : []))
  const newPlace = new Map(places.map((place, i) => [place, i]))
  // As wide as the part of the two themes that is one: of the earlier theme's topics some would belong to the later one, and
  // the other way round; the smaller part, so that no bar gets more than it has. Firms in common would say how many
  // firms hold two calls in a row.
  const widthOf = (link: Flow['links'][number]) =>
    Math.max(0.2, Math.min(nodes[link.source].firms * link.topicsForward, nodes[link.target].firms * link.topicsBack))
  const widthIn = new Map<number, number>()
  const widthOut = new Map<number, number>()
  const kept = all.flatMap((link, place) =>
    newPlace.has(link.source) && newPlace.has(link.target) ? [{ link, place }] : [],
  )
  for (const { link } of kept) {
    widthIn.set(link.target, (widthIn.get(link.target) ?? 0) + widthOf(link))
    widthOut.set(link.source, (widthOut.get(link.source) ?? 0) + widthOf(link))
  }
  // d3-sankey takes the columns from the links. A spine of one unseen node a quarter keeps each quarter in its own column,
  // also where nothing leads there.
  const graphNodes: (Node & { fixedValue: number })[] = [
    ...places.map(place => {
      const firms = nodes[place].firms
      const column = quarters.indexOf(nodes[place].quarter)
      return {
        spine: false,
        place,
        column,
        firms,
        fixedValue: Math.max(firms, widthIn.get(place) ?? 0, widthOut.get(place) ?? 0),
      }
    }),
    ...quarters.map((_, column) => ({ spine: true, place: -1, column, firms: 0, fixedValue: 0.001 })),
  ]
  const graphLinks = [
    ...kept.map(({ link, place }) => ({
      place,
      source: newPlace.get(link.source) ?? 0,
      target: newPlace.get(link.target) ?? 0,
      value: widthOf(link),
    })),
    ...quarters
      .slice(1)
      .map((_, i) => ({ place: null, source: places.length + i, target: places.length + i + 1, value: 0.001 })),
  ]
  const perColumn = quarters.map((_, column) => graphNodes.filter(node => node.column === column).length)
  const most = Math.max(...perColumn)
  const height = Math.max(240, most * ROW + 160)
  const column = Math.max(COLUMN.least, Math.min(COLUMN.most, COLUMN.page / quarters.length))
  const width = quarters.length * column
  const layout = sankey<Node, Link>()
    .nodeAlign(node => node.column)
    .nodeWidth(BAR)
    .nodePadding(ROW - 9)
    .iterations(12)
    .extent([
      [0, 28],
      [width - column + BAR, height - 8],
    ])
  const graph = layout({ nodes: graphNodes, links: graphLinks })
  const svg = drawing('svg', {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    class: 'sankey',
    role: 'group',
    'aria-label': `Flow of themes over ${quarters.join(', ')}`,
  })
  for (const [i, name] of quarters.entries())
    svg.appendChild(drawing('text', { x: i * column, y: 14, class: 'quarter' }, name))
  const path = sankeyLinkHorizontal<Node, Link>()
  for (const link of graph.links) {
    if (link.place === null) continue
    svg.appendChild(bandOf(report, link, path(link) ?? ''))
  }
  for (const node of graph.nodes) if (!node.spine) svg.appendChild(barOf(report, node))
  return svg
}

function bandOf(report: Report, link: SankeyLink<Node, Link>, d: string): SVGElement {
  const { nodes, links: all } = report.flow
  const { event, source, target, firmsInCommon, similarity } = all[link.place ?? 0]
  const words = `${nodes[source].name} (${nodes[source].quarter}) → ${nodes[target].name} (${nodes[target].quarter}): ${event}, ${counted(firmsInCommon, 'firm')} in common, similarity ${ratio(similarity)}`
  return drawing(
    'path',
    { d, class: `band e-${event}`, 'stroke-width': Math.max(1.5, link.width ?? 0) },
    drawing('title', {}, words),
  )
}

function barOf(report: Report, node: SankeyNode<Node, Link>): SVGElement {
  const { name, firms, shareOfFirms, id } = report.flow.nodes[node.place]
  const [top, bottom, left] = [node.y0 ?? 0, node.y1 ?? 0, node.x0 ?? 0]
  const here = report.themeOfId.get(id)
  const short = name.length > 30 ? `${name.slice(0, 29).trimEnd()}…` : name
  const shapes: Child[] = [
    drawing('rect', {
      x: left,
      y: top,
      width: BAR,
      height: Math.max(1.5, bottom - top),
      class: here === undefined ? 'node' : `node c-${report.colourOfTheme[here]}`,
    }),
    drawing(
      'text',
      { x: left + BAR + 6, y: (top + bottom) / 2, dy: '.35em' },
      short,
      drawing('tspan', { class: 'firms', dx: 6 }, thousands(firms)),
    ),
    drawing('title', {}, `${name}: ${counted(firms, 'firm')}, ${percent(shareOfFirms)}`),
  ]
  return here === undefined
    ? drawing('g', {}, ...shapes)
    : drawing('a', { href: addressOf('theme', id), 'data-theme': id }, ...shapes)
}

function links(report: Report): HTMLElement {
  const { flow } = report
  const themeOf = (place: number): Child => {
    const node = flow.nodes[place]
    const name = report.themeOfId.has(node.id)
      ? element('a', { href: addressOf('theme', node.id) }, node.name)
      : node.name
    return [name, ' ', element('span', { class: 'aside' }, node.quarter)]
  }
  const newestFirst = [...flow.links].sort((a, b) =>
    flow.nodes[b.target].quarter > flow.nodes[a.target].quarter
      ? 1
      : flow.nodes[b.target].quarter < flow.nodes[a.target].quarter
        ? -1
        : b.firmsInCommon - a.firmsInCommon,
  )
  return table(
    'How themes follow from one another, newest first',
    [
      { title: 'From', head: true, cell: link => themeOf(link.source), by: link => flow.nodes[link.source].name },
      { title: 'To', cell: link => themeOf(link.target), by: link => flow.nodes[link.target].name },
      {
        title: 'Event',
        cell: link => element('span', { class: `badge ${link.event}` }, link.event),
        by: link => link.event,
      },
      {
        title: 'Similarity',
        number: true,
        wide: true,
        cell: link => ratio(link.similarity),
        by: link => link.similarity,
      },
      {
        title: 'Firms in common',
        number: true,
        wide: true,
        cell: link => `${thousands(link.firmsInCommon)} (${link.firmsByChance.toFixed(1)} by chance)`,
        by: link => link.firmsInCommon,
      },
      {
        title: 'Topics forward',
        number: true,
        wide: true,
        cell: link => percent(link.topicsForward),
        by: link => link.topicsForward,
      },
      {
        title: 'Topics back',
        number: true,
        wide: true,
        cell: link => percent(link.topicsBack),
        by: link => link.topicsBack,
      },
    ],
    newestFirst,
    'link',
    40,
  )
}

function drawing<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number>,
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  for (const child of children)
    if (child !== null && child !== undefined && child !== false)
      made.append(child instanceof Node ? child : String(child))
  return made
}

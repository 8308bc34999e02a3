// Map: every topic a dot, near where its like are, coloured by theme. Drawn on a canvas, since 60,000 elements of SVG would
// stand still; for those who do not see it or have no mouse there are keys, and the same topics as a list.

import { pointer, quadtree, select, type ZoomTransform, zoom, zoomIdentity } from 'd3'
import { type Child, element } from './dom.ts'
import { counted, thousands } from './format.ts'
import { firmLink, longList, notice, section, swatch, themeLink, topicAddress, topicLink, type View } from './pieces.ts'
import { firmLabel, type Report } from './report.ts'
import { addressOf, type Route } from './route.ts'

const NEAR = 14 // px around the pointer in which a dot is meant: a fingertip, not a pixel
const STEP = 1.5 // zoom by a key
const FAR = 60 // times: at 60,000 topics a single one is reached
const SQUARES = { under: 2, from: 10_000 } // px of radius, topics
const LIST = 40
const MOVES: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
}

// Where the reader had moved the map, kept while themes are chosen and pages visited.
let kept: ZoomTransform = zoomIdentity

export function mapView(report: Report, route: Route): View {
  const { topics, themes, quarter } = report
  const asked = route.query.get('theme')
  const chosen = asked === 'none' ? null : asked === null ? undefined : report.themeOfId.get(asked)
  const title = element('h1', {}, `Map of the topics of ${quarter}`)
  if (topics.length === 0) return { title: 'Map', nodes: [title, notice(`${quarter} has no topics to place.`)] }
  const canvas = element('canvas', {
    tabindex: '0',
    role: 'application',
    'aria-roledescription': 'map of topics',
    'aria-label': `Map of ${counted(topics.length, 'topic')}`,
    'aria-describedby': 'map-keys',
  })
  const card = element('div', { class: 'card', role: 'status' })
  const holder = element('div', { class: 'canvas' }, canvas, card)
  const listed = topics
    .map((_, place) => place)
    .filter(place => chosen === undefined || topics[place].theme === chosen)
    .sort((a, b) => topics[b].size - topics[a].size)
  const about =
    chosen === undefined ? 'All topics' : chosen === null ? 'Topics in no theme' : `Topics of ${themes[chosen].name}`
  return {
    title: chosen === undefined || chosen === null ? 'Map' : `Map: ${themes[chosen].name}`,
    nodes: [
      title,
      element(
        'p',
        {},
        'A dot is a topic of one firm, as large as it has sentences. Topics that are alike lie near one another.',
      ),
      element('div', { class: 'map' }, holder, legend(report, chosen)),
      element(
        'p',
        { id: 'map-keys', class: 'aside' },
        'Drag to move, scroll to zoom, double-click a dot to open it. Keys: arrows go from topic to topic, + and − zoom, 0 shows all, Enter opens, Escape lets go.',
      ),
      section(
        [about, ' ', element('span', { class: 'count' }, thousands(listed.length))],
        chosen !== undefined && chosen !== null && element('p', {}, themeLink(report, chosen)),
        longList(
          listed,
          LIST,
          place =>
            element(
              'li',
              {},
              topicLink(report, place),
              ' ',
              element(
                'span',
                { class: 'aside' },
                firmLabel(report.firms[topics[place].firm]),
                ', ',
                counted(topics[place].size, 'sentence'),
              ),
            ),
          element('ol', { class: 'columns' }),
          'topic',
        ),
      ),
    ],
    shown: () => draw(report, holder, canvas, card, chosen),
  }
}

function legend(report: Report, chosen: number | null | undefined): HTMLElement {
  const { themes, topics } = report
  const inNone = topics.reduce((n, topic) => n + (topic.theme === null ? 1 : 0), 0)
  const entry = (address: string, current: boolean, ...label: Child[]) =>
    element('li', {}, element('a', { href: address, 'aria-current': current ? 'true' : null }, label))
  return element(
    'nav',
    { class: 'legend', 'aria-label': 'Themes on the map' },
    element(
      'ul',
      {},
      entry(
        addressOf('map'),
        chosen === undefined,
        'All topics ',
        element('span', { class: 'count' }, thousands(topics.length)),
      ),
      themes.map((theme, place) =>
        entry(
          addressOf('map', '', { theme: theme.id }),
          chosen === place,
          swatch(report, place),
          theme.name,
          ' ',
          element('span', { class: 'count' }, thousands(theme.topics.length)),
        ),
      ),
      inNone > 0 &&
        entry(
          addressOf('map', '', { theme: 'none' }),
          chosen === null,
          swatch(report, null),
          'In no theme ',
          element('span', { class: 'count' }, thousands(inNone)),
        ),
    ),
  )
}

/** Draws, listens and redraws until the view is left; returns what ends it. */
function draw(
  report: Report,
  holder: HTMLElement,
  canvas: HTMLCanvasElement,
  card: HTMLElement,
  chosen: number | null | undefined,
): () => void {
  const context = canvas.getContext('2d')
  if (context === null) return () => {}
  const { topics } = report
  let transform = kept
  let [width, height] = [0, 0]
  let selected: number | null = null
  let frame = 0
  let tree = quadtree<number>()
  // The largest lie below, so that no small one is hidden; those of the chosen theme on top.
  const order = topics.map((_, place) => place).sort((a, b) => rank(a) - rank(b) || topics[b].size - topics[a].size)
  // Themes one after another would be faster to draw, but the last one would hide all others.
  const byColour = groupsOf(order, place => colourOf(place))

  function rank(place: number): number {
    const { theme } = topics[place]
    if (chosen !== undefined) return theme === chosen ? 1 : 0
    return theme === null ? 0 : 1
  }
  function colourOf(place: number): string {
    const { theme } = topics[place]
    if (chosen !== undefined && theme !== chosen) return 'faint'
    return theme === null ? 'none' : String(report.colourOfTheme[theme])
  }
  // One scale for both axes: distances are what the map says. The larger side of the data is 0 to 1.
  const side = () => Math.min(width, height) - 2 * NEAR
  const baseX = (place: number) => (width - side()) / 2 + topics[place].x * side()
  const baseY = (place: number) => (height - side()) / 2 + topics[place].y * side()
  const mean = topics.reduce((sum, topic) => sum + topic.size, 0) / topics.length
  const shareOfSize = topics.map(topic => Math.sqrt(Math.max(0.3, Math.min(4, topic.size / mean))))
  // All dots together cover about a fifth of the square at any number; those of two pixels can still be seen and met.
  const usualRadius = () =>
    Math.min(7, Math.max(1, Math.sqrt((0.2 * side() * side()) / topics.length / Math.PI))) *
    Math.min(4, transform.k ** 0.5)

  function paint(): void {
    frame = 0
    if (context === null) return
    const scale = window.devicePixelRatio || 1
    context.setTransform(scale, 0, 0, scale, 0, 0)
    context.clearRect(0, 0, width, height)
    const style = getComputedStyle(holder)
    const inkOf = (name: string) => style.getPropertyValue(name).trim()
    const usual = usualRadius()
    // Among so many nobody sees corners, and squares are drawn five times as fast as one path of circles (measured).
    const squares = topics.length >= SQUARES.from
    const stretch = side() * transform.k
    const originX = ((width - side()) / 2) * transform.k + transform.x
    const originY = ((height - side()) / 2) * transform.k + transform.y
    for (const [colour, places] of byColour) {
      context.fillStyle = inkOf(`--c${colour}`)
      context.globalAlpha = colour === 'faint' ? 0.5 : colour === 'none' ? 0.7 : 0.85
      context.beginPath()
      for (const place of places) {
        const x = topics[place].x * stretch + originX
        const y = topics[place].y * stretch + originY
        const r = usual * shareOfSize[place]
        if (x < -r || y < -r || x > width + r || y > height + r) continue
        if (squares && r < SQUARES.under) context.fillRect(x - r, y - r, 2 * r, 2 * r)
        else {
          context.moveTo(x + r, y)
          context.arc(x, y, r, 0, 2 * Math.PI)
        }
      }
      context.fill()
    }
    context.globalAlpha = 1
    names(inkOf('--ink'), inkOf('--paper'))
    if (selected !== null) {
      const [x, y] = transform.apply([baseX(selected), baseY(selected)])
      context.strokeStyle = inkOf('--ink')
      context.lineWidth = 2
      context.beginPath()
      context.arc(x, y, usual * shareOfSize[selected] + 4, 0, 2 * Math.PI)
      context.stroke()
    }
  }

  /** Names of themes at their middle, those of most firms first, where there is room. */
  function names(ink: string, paper: string): void {
    if (context === null) return
    context.font = `600 ${width < 500 ? 11 : 13}px ${getComputedStyle(holder).fontFamily}`
    context.textAlign = 'center'
    context.textBaseline = 'middle'
    context.lineJoin = 'round'
    context.lineWidth = 4
    const boxes: [number, number, number, number][] = []
    for (const [place, theme] of report.themes.entries()) {
      if (chosen !== undefined && chosen !== place) continue
      const [x, y] = transform.apply([
        (width - side()) / 2 + report.centreOfTheme[place][0] * side(),
        (height - side()) / 2 + report.centreOfTheme[place][1] * side(),
      ])
      const half = context.measureText(theme.name).width / 2 + 4
      const middle = width > 2 * half ? Math.min(width - half, Math.max(half, x)) : width / 2
      if (x < -half || x > width + half || y < 0 || y > height) continue
      const box: (typeof boxes)[number] = [middle - half, y - 10, middle + half, y + 10]
      if (boxes.some(other => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]))
        continue
      boxes.push(box)
      context.strokeStyle = paper
      context.strokeText(theme.name, middle, y)
      context.fillStyle = ink
      context.fillText(theme.name, middle, y)
    }
  }

  function later(): void {
    if (frame === 0) frame = requestAnimationFrame(paint)
  }

  function resize(): void {
    width = holder.clientWidth
    height = holder.clientHeight
    const scale = window.devicePixelRatio || 1
    canvas.width = Math.round(width * scale)
    canvas.height = Math.round(height * scale)
    tree = quadtree(
      topics.flatMap((topic, place) => (chosen === undefined || topic.theme === chosen ? [place] : [])),
      baseX,
      baseY,
    )
    paint()
  }

  function choose(place: number | null): void {
    if (place === selected) return
    selected = place
    card.replaceChildren()
    if (place !== null) {
      const topic = topics[place]
      const first = report.sentences[topic.sentences[0] ?? -1]
      card.append(
        element('p', {}, element('a', { href: topicAddress(report, place), tabindex: '-1' }, topic.name)),
        element('p', { class: 'aside' }, firmLink(report, topic.firm), ', ', counted(topic.size, 'sentence')),
        element(
          'p',
          { class: 'aside' },
          swatch(report, topic.theme),
          topic.theme === null ? 'in no theme' : report.themes[topic.theme].name,
        ),
      )
      if (first !== undefined) card.append(element('p', { class: 'said' }, first.text))
    }
    later()
  }

  function near(event: MouseEvent): number | null {
    const [x, y] = transform.invert(pointer(event, canvas))
    return tree.find(x, y, NEAR / transform.k) ?? null
  }

  const zoomed = zoom<HTMLCanvasElement, unknown>()
    .scaleExtent([1, FAR])
    .filter((event: Event) => {
      // A finger scrolls the page unless it moves a map that was enlarged; two fingers always mean the map.
      if ('touches' in event) return (event as TouchEvent).touches.length > 1 || transform.k > 1
      // Where the whole map is seen already, the wheel scrolls on down the page.
      if (event.type === 'wheel') return (event as WheelEvent).deltaY < 0 || transform.k > 1
      return (event as MouseEvent).button === 0
    })
    .on('zoom', event => {
      transform = event.transform
      kept = transform
      canvas.style.setProperty('touch-action', transform.k > 1 ? 'none' : 'pan-y')
      later()
    })
  const surface = select(canvas)
  surface.call(zoomed).call(zoomed.transform, kept)
  // d3 leaves the keys to us, and a double click would open what the first click chose.
  surface.on('dblclick.zoom', null)
  surface.on('pointermove', event => {
    if (event.pointerType === 'mouse') choose(near(event))
  })
  surface.on('click', event => choose(near(event)))
  surface.on('dblclick', event => {
    const place = near(event)
    if (place !== null) location.hash = topicAddress(report, place)
  })
  surface.on('keydown', (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const move = MOVES[event.key]
    if (move !== undefined) step(move)
    else if (event.key === '+' || event.key === '=') surface.call(zoomed.scaleBy, STEP)
    else if (event.key === '-') surface.call(zoomed.scaleBy, 1 / STEP)
    else if (event.key === '0') surface.call(zoomed.transform, zoomIdentity)
    else if (event.key === 'Escape') choose(null)
    else if (event.key === 'Enter' && selected !== null) location.hash = topicAddress(report, selected)
    else return
    event.preventDefault()
  })

  /** To the nearest dot in that direction, and at first to the one nearest the middle of what is seen. */
  function step([dx, dy]: readonly [number, number]): void {
    const places = tree.data()
    if (places.length === 0) return
    const from = selected === null || !places.includes(selected) ? null : selected
    let best: number | null = null
    let least = Infinity
    const [x, y] = from === null ? transform.invert([width / 2, height / 2]) : [baseX(from), baseY(from)]
    for (const place of places) {
      if (place === from) continue
      const [ahead, aside] = [
        (baseX(place) - x) * dx + (baseY(place) - y) * dy,
        Math.abs((baseX(place) - x) * dy) + Math.abs((baseY(place) - y) * dx),
      ]
      // What lies beside the way counts three times: an arrow should feel like a direction.
      const distance =
        from === null ? Math.hypot(baseX(place) - x, baseY(place) - y) : ahead <= 0 ? Infinity : ahead + 3 * aside
      if (distance < least) [least, best] = [distance, place]
    }
    if (best === null) return
    choose(best)
    const [px, py] = transform.apply([baseX(best), baseY(best)])
    if (px < NEAR || py < NEAR || px > width - NEAR || py > height - NEAR)
      surface.call(zoomed.translateTo, baseX(best), baseY(best))
  }

  const watch = new ResizeObserver(resize)
  watch.observe(holder)
  // Colours come from the style sheet, which differs in the dark and on paper.
  const looks = ['(prefers-color-scheme: dark)', 'print'].map(query => matchMedia(query))
  for (const look of looks) look.addEventListener('change', paint)
  return () => {
    cancelAnimationFrame(frame)
    watch.disconnect()
    for (const look of looks) look.removeEventListener('change', paint)
  }
}

function groupsOf(places: readonly number[], keyOf: (place: number) => string): [string, number[]][] {
  const groups = new Map<string, number[]>([
    ['faint', []],
    ['none', []],
  ])
  for (const place of places) {
    const key = keyOf(place)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [place])
    else group.push(place)
  }
  return [...groups]
}

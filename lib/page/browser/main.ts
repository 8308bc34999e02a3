// The page's program: unpacks the data, then shows the view that the address names. Leaves everything else to the views.

import { unpacked } from '../pack.ts'
import { append, button, element, paused } from './dom.ts'
import { notice, type View } from './pieces.ts'
import { type Report, reportOf } from './report.ts'
import { addressOf, type Route, routeOf } from './route.ts'
import { firmsView, firmView } from './view-firms.ts'
import { flowView } from './view-flow.ts'
import { mapView } from './view-map.ts'
import { overviewView } from './view-overview.ts'
import { prepareSearch, searchView } from './view-search.ts'
import { sourcesView } from './view-sources.ts'
import { themeView } from './view-theme.ts'

const VIEWS: Record<string, (report: Report, route: Route) => View | null> = {
  overview: overviewView,
  map: mapView,
  theme: themeView,
  firms: firmsView,
  firm: firmView,
  flow: flowView,
  search: searchView,
  sources: sourcesView,
}
const PLACES = [
  ['overview', 'Overview', ['theme']],
  ['map', 'Map', []],
  ['firms', 'Firms', ['firm']],
  ['flow', 'Flow', []],
  ['sources', 'Sources', []],
] as const

async function unpack(): Promise<string> {
  const letters = document.getElementById('data')
  const binary = atob(letters?.textContent ?? '')
  letters?.remove() // tens of megabytes that nobody needs twice
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text()
}

async function start(): Promise<void> {
  const page = document.getElementById('page')
  if (page === null) return
  if (typeof DecompressionStream === 'undefined') {
    page.replaceChildren(
      notice(
        'This browser cannot unpack the report. Chrome and Edge can from version 111, Firefox from 113, Safari from 16.4.',
      ),
    )
    return
  }
  try {
    show(page, reportOf(unpacked(await unpack())))
  } catch (error) {
    page.replaceChildren(
      notice(
        `The report cannot be read: ${error instanceof Error ? error.message : error}. Was the file copied whole? `,
      ),
    )
  }
}

function show(page: HTMLElement, report: Report): void {
  const main = element('main', { id: 'main', tabindex: '-1' })
  const links = PLACES.map(([view, label]) => element('a', { href: addressOf(view) }, label))
  const field = element('input', {
    type: 'search',
    id: 'q',
    placeholder: 'Search',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-keyshortcuts': '/',
  })
  const form = element(
    'form',
    { role: 'search' },
    element('label', { for: 'q', class: 'unseen' }, 'Search themes, firms, topics and sentences'),
    field,
  )
  const skip = element('a', { href: '#main', class: 'skip' }, 'Skip to the content')
  skip.addEventListener('click', event => {
    event.preventDefault() // the address is taken: it says which view is shown
    main.focus()
  })
  page.replaceChildren(
    skip,
    element(
      'header',
      { class: 'page' },
      element(
        'p',
        { class: 'name' },
        element('a', { href: addressOf('overview') }, 'Earnings calls ', element('span', {}, report.quarter)),
      ),
      element('nav', { 'aria-label': 'Views' }, links),
      form,
    ),
    main,
  )

  let before: Route | null = null
  let end: (() => void) | undefined
  // Back and forward lead to where one was; a link leads to the top. Only the click tells them apart.
  let followed = false
  const heights = new Map<string, number>()
  document.addEventListener('scroll', () => heights.set(location.hash, window.scrollY), { passive: true })
  document.addEventListener('click', event => {
    followed = event.target instanceof Element && event.target.closest('a[href^="#"]') !== null
  })
  history.scrollRestoration = 'manual'
  function draw(): void {
    const route = routeOf(location.hash)
    const height = followed ? 0 : (heights.get(location.hash) ?? 0)
    followed = false
    const view = VIEWS[route.view]?.(report, route) ?? nowhere()
    end?.()
    document.title = `${view.title} – ${report.quarter}`
    main.replaceChildren()
    append(main, view.nodes)
    for (const [i, [place, , within]] of PLACES.entries()) {
      const here = place === route.view
      const inside = (within as readonly string[]).includes(route.view)
      if (here || inside) links[i].setAttribute('aria-current', here ? 'page' : 'true')
      else links[i].removeAttribute('aria-current')
    }
    if (route.view !== 'search') field.value = ''
    else if (document.activeElement !== field) field.value = route.query.get('q') ?? ''
    end = view.shown?.()
    place(main, before, route, height)
    before = route
  }
  window.addEventListener('hashchange', draw)

  const search = paused(120, () => {
    const query = field.value.trim()
    const address = query === '' ? addressOf('overview') : addressOf('search', '', { q: query })
    // One entry of the history a search, not one a letter.
    if (routeOf(location.hash).view === 'search') {
      history.replaceState(null, '', address)
      draw()
    } else if (query !== '') location.hash = address
  })
  field.addEventListener('focus', () => prepareSearch(report))
  field.addEventListener('input', search)
  form.addEventListener('submit', event => {
    event.preventDefault()
    search()
  })
  document.addEventListener('keydown', event => {
    const typing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select')
    if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    field.focus()
    field.select()
  })
  printWhole()
  draw()
}

/** Puts the reader where the link led: a new view is read from its title on; within a view the eye stays where it was. */
function place(main: HTMLElement, before: Route | null, route: Route, height: number): void {
  if (before === null || document.activeElement?.id === 'q') return
  const asked = main.querySelector<HTMLElement>('[data-asked]')
  if (asked !== null) return // the view has put the reader there itself
  if (before.view === route.view && before.id === route.id) {
    main.querySelector<HTMLElement>('[aria-current]')?.focus()
    return
  }
  window.scrollTo(0, height)
  const title = main.querySelector('h1')
  title?.setAttribute('tabindex', '-1')
  title?.focus({ preventScroll: true })
}

/** On paper nothing unfolds: what is folded is opened before, and closed after. */
function printWhole(): void {
  let opened: HTMLDetailsElement[] = []
  window.addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll<HTMLDetailsElement>('details:not([open])')]
    for (const details of opened) details.open = true
  })
  window.addEventListener('afterprint', () => {
    for (const details of opened) details.open = false
  })
}

function nowhere(): View {
  return {
    title: 'Not in this report',
    nodes: [
      element('h1', {}, 'Not in this report'),
      notice(
        'The address names nothing of this quarter. ',
        element('a', { href: addressOf('overview') }, 'To the overview'),
      ),
      button('Back', () => history.back()),
    ],
  }
}

void start()

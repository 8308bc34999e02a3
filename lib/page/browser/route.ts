// Where in the report one is, as the part of the address behind #: so that links go deep, the back button works and a
// place can be sent to somebody. Pure: the address in, a place out, and back.

export type Route = {
  /** overview, map, theme, firms, firm, flow, search, sources; anything else is nowhere. */
  view: string
  /** Of the theme or firm. */
  id: string
  query: URLSearchParams
}

export function routeOf(hash: string): Route {
  const [path, query = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s)
  const [view, ...id] = path.split('/').map(decoded)
  return { view: view || 'overview', id: id.join('/'), query: new URLSearchParams(query) }
}

/** `#/theme/2016Q4/07?…`: an address that can only ever lead into this page. */
export function addressOf(view: string, id = '', query: Record<string, string> = {}): string {
  const path = [view === 'overview' ? '' : view, ...id.split('/').filter(part => part !== '')]
    .map(encodeURIComponent)
    .join('/')
  const words = new URLSearchParams(query).toString()
  return `#/${path}${words && `?${words}`}`
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part // a lone %: nothing that we made, and no reason to fail
  }
}

// The header in which a server says how long to wait before asking again (RFC 9110, 10.2.3): seconds, or a date.

/** Seconds to wait; undefined where the server names none that can be read. A date counts from the server's own clock. */
export function retryAfterSeconds(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (!text) return undefined
  const seconds = Number(text)
  const wait = Number.isNaN(seconds) ? (Date.parse(text) - Date.parse(headers.get('date') ?? '')) / 1000 : seconds
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined
}

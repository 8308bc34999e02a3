// Numbers, shares and days as they are printed. Here so that a share looks the same in a table, a chart and a sentence.

const WHOLE = new Intl.NumberFormat('en-US')
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })

export function thousands(n: number): string {
  return WHOLE.format(n)
}

/** `3 firms`, `1 firm`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${thousands(n)} ${n === 1 ? one : many}`
}

export function percent(share: number): string {
  const value = share * 100
  if (value === 0) return '0%'
  if (value < 0.1) return '< 0.1%'
  return `${value.toFixed(value < 10 ? 1 : 0)}%`
}

/** Similarities and novelties, as statistics print what lies between -1 and 1: `.93`. */
export function ratio(value: number | null): string {
  return value === null ? '–' : value.toFixed(2).replace(/^(-?)0\./, '$1.')
}

export function day(iso: string | null): string {
  if (iso === null) return 'no date'
  const time = Date.parse(iso)
  return Number.isNaN(time) ? iso : DAY.format(time)
}

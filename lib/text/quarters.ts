// Quarters and dates as text: 2024Q3 and 2024-08-12, read from the many ways people and vendors write them.
// Here so that a quarter has one spelling everywhere; text in this spelling sorts as time does.
// Leaves to the transcript formats which date or quarter of a source counts.

import { UserError } from '../errors.ts'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** 2024Q3 from what a person types: 2024Q3, 2024q3, 2024-Q3, 2024 Q3. */
export function parseQuarter(text: string): string {
  const match = /^\s*((?:19|20)\d\d)[-_ ]?[qQ]([1-4])\s*$/.exec(text)
  if (match) return `${match[1]}Q${match[2]}`
  throw new UserError(
    `${JSON.stringify(text)} is not a quarter; a quarter is a year from 1900 to 2099, Q, and a number from 1 to 4`,
    'write it as 2024Q3',
  )
}

/** The calendar quarter that a date (2024-08-12) lies in. */
export function quarterOfDate(date: string): string {
  const checked = readDate(date)
  if (checked === null) {
    throw new UserError(`${JSON.stringify(date)} is not a date`, 'write dates as 2024-08-12')
  }
  return `${checked.slice(0, 4)}Q${Math.ceil(Number(checked.slice(5, 7)) / 3)}`
}

/** Negative, zero or positive, as Array.sort wants it. */
export function compareQuarters(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * 2024-08-12 from 2024-08-12, 2024-08-12T17:00:00Z, 20240812 and SAS's 12AUG2024; null for anything else.
 * 08/12/2024 stays unread on purpose: WRDS offers both month first and day first, and a guess would be wrong silently.
 */
export function readDate(text: string): string | null {
  const trimmed = text.trim()
  const digits = /^(\d{4})-?(\d\d)-?(\d\d)(?:$|[T ])/.exec(trimmed)
  if (digits) return realDate(Number(digits[1]), Number(digits[2]), Number(digits[3]))
  const sas = /^(\d\d)([A-Za-z]{3})(\d{4})(?:$|:)/.exec(trimmed)
  if (sas) return realDate(Number(sas[3]), MONTHS.indexOf((sas[2] ?? '').toLowerCase()) + 1, Number(sas[1]))
  return null
}

/** Null for 30 February and for years no earnings call can have. */
function realDate(year: number, month: number, day: number): string | null {
  if (year < 1900 || year > 2099) return null
  const date = new Date(Date.UTC(year, month - 1, day))
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null
  return date.toISOString().slice(0, 10)
}

// Retry-After as servers write it, and as they should not.

import { describe, expect, it } from 'vitest'
import { retryAfterSeconds } from '../../lib/model/retry-after.ts'

const NOON = 'Tue, 01 Jan 2030 12:00:00 GMT'

describe('Retry-After', () => {
  it.each([
    ['seconds', { 'retry-after': '120' }, 120],
    ['parts of a second, which some send', { 'retry-after': '1.5' }, 1.5],
    ['no time at all', { 'retry-after': '0' }, 0],
    ['a date, by the clock of the server', { date: NOON, 'retry-after': 'Tue, 01 Jan 2030 12:02:00 GMT' }, 120],
    ['a date gone by', { date: NOON, 'retry-after': 'Tue, 01 Jan 2030 11:00:00 GMT' }, 0],
    ['less than nothing', { 'retry-after': '-5' }, 0],
  ])('may be %s', (_, headers, seconds) => {
    expect(retryAfterSeconds(new Headers(headers as Record<string, string>))).toBe(seconds)
  })

  it.each([
    ['absent', {}],
    ['empty', { 'retry-after': '' }],
    ['a date of a server that does not tell its own time', { 'retry-after': NOON }],
    ['a word', { date: NOON, 'retry-after': 'soon' }],
    ['endless', { 'retry-after': 'Infinity' }],
  ])('says nothing when it is %s', (_, headers) => {
    expect(retryAfterSeconds(new Headers(headers as Record<string, string>))).toBeUndefined()
  })
})

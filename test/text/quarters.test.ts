// Quarters and dates: every accepted spelling means the same, nonsense is refused with an example.

import { describe, expect, it } from 'vitest'
import { UserError } from '../../lib/errors.ts'
import { compareQuarters, parseQuarter, quarterOfDate, readDate } from '../../lib/text/quarters.ts'

describe('parseQuarter', () => {
  it.each(['2024Q3', '2024q3', '2024-Q3', '2024 q3', ' 2024_Q3 '])('reads %s', text => {
    expect(parseQuarter(text)).toBe('2024Q3')
  })

  it.each(['', '2024', 'Q3 2024', '2024Q5', '2024Q0', '24Q3', '3024Q1', '2024Q33'])('refuses %j', text => {
    expect(() => parseQuarter(text)).toThrow(UserError)
  })

  it('says how a quarter is written', () => {
    try {
      parseQuarter('third')
      expect.unreachable()
    } catch (error) {
      expect((error as UserError).message).toContain('"third" is not a quarter')
      expect((error as UserError).hint).toContain('2024Q3')
    }
  })
})

describe('dates', () => {
  it.each([
    ['2024-01-01', '2024Q1'],
    ['2024-03-31', '2024Q1'],
    ['2024-04-01', '2024Q2'],
    ['2024-08-12', '2024Q3'],
    ['2024-12-31', '2024Q4'],
  ])('puts %s into %s', (date, quarter) => {
    expect(quarterOfDate(date)).toBe(quarter)
  })

  it.each([
    '2024-08-12',
    '20240812',
    '2024-08-12T17:00:00.000-04:00',
    '2024-08-12 00:00:00',
    '12AUG2024',
    '12aug2024:10',
  ])('reads %s', text => {
    expect(readDate(text)).toBe('2024-08-12')
  })

  it.each([
    '',
    '2024-02-30',
    '20241301',
    '08/12/2024',
    '12/08/2024',
    '1812-01-01',
    '2024-8-12',
    '30FEB2024',
    '01XXX2024',
  ])('does not guess %j', text => {
    expect(readDate(text)).toBeNull()
  })

  it('refuses to name the quarter of a day that does not exist', () => {
    expect(() => quarterOfDate('2023-02-29')).toThrow(/2023-02-29/)
    expect(quarterOfDate('2024-02-29')).toBe('2024Q1')
  })
})

it('sorts quarters as time does', () => {
  expect(['2024Q1', '2016Q4', '2023Q4', '2024Q3', '2016Q3'].sort(compareQuarters)).toEqual([
    '2016Q3',
    '2016Q4',
    '2023Q4',
    '2024Q1',
    '2024Q3',
  ])
  expect(compareQuarters('2024Q1', '2024Q1')).toBe(0)
})

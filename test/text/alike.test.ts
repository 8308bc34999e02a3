// Names that a reader would take for the same, and names that say nothing of what they name.

import { describe, expect, it } from 'vitest'
import { shareIn, tooAlike } from '../../lib/text/alike.ts'

describe('two names', () => {
  it.each([
    ['Loan growth', 'loan Growth.'],
    ['Memory pricing', 'Memory prices'],
    ['Memory pricing', 'Other memory pricing trends'],
    ['Gross margin expansion', 'Gross margin expansion drivers'],
    ['Buy this stock', 'Buy this stock (2)'],
    ['The outlook for freight', 'Freight outlook'],
    ['Overview', 'overview'],
  ])('are one to a reader: %s, %s', (a, b) => {
    expect(tooAlike(a, b)).toBe(true)
    expect(tooAlike(b, a)).toBe(true)
  })

  it.each([
    ['Memory pricing', 'Memory pricing recovery'],
    ['Gross margin', 'Operating margin'],
    ['Freight costs in Europe', 'Freight costs in Asia'],
    ['Share repurchases', 'Dividend increase'],
    ['Overview', 'Update'],
    ['Enrollment in phase 2', 'Enrollment in phase 3'],
    ['Boeing 737', 'Boeing 787'],
    ['Large customers', 'Small customers'],
    ['First half margin', 'Second half margin'],
  ])('are two: %s, %s', (a, b) => {
    expect(tooAlike(a, b)).toBe(false)
    expect(tooAlike(b, a)).toBe(false)
  })
})

describe('of the words of a text, those that stand in the evidence', () => {
  const evidence = ['memory pricing', 'DRAM prices fell by a tenth while inventories at our customers rose.']

  it.each<[string, number]>([
    ['Memory pricing', 1],
    ['Falling DRAM price', 2 / 3],
    ['Customer inventory build', 2 / 3],
    ['Strong memory of Acme', 1 / 3],
    ['Buy Acme now', 0],
    ['Overview', 0],
    ['Other things', 0],
    ['', 0],
  ])('are, of %j, %f, whatever their ending', (name, share) => {
    expect(shareIn(name, evidence)).toBeCloseTo(share, 12)
  })

  it('tell a summary from that of another topic', () => {
    const own =
      'DRAM prices fell as customers held large inventories, and management expects contract negotiations to recover.'
    const foreign =
      'Acme doubled its dividend, opened eleven bakeries in Portugal and asked every reader to buy memory.'
    expect(shareIn(own, evidence)).toBeGreaterThan(2 * shareIn(foreign, evidence))
  })
})

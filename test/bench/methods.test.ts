// What is asked of communities, from figures made up here: met or missed, by how much, and in which direction.

import { describe, expect, it } from 'vitest'
import type { Quality } from './firms.ts'
import { boundsOf, verdict } from './methods-report.ts'

const peer: Quality = {
  firms: 18,
  sentences: 1440,
  topics: 108,
  noise: 0.2,
  topicsAFirm: 6,
  medianTopics: 6,
  largestTopic: 0.2,
  silhouette: 0.09,
  npmi: -0.08,
  diversity: 0.93,
  seedAri: 0.55,
  tenthAri: 0.45,
  keywordsATopic: 10,
}
const good: Quality = {
  ...peer,
  noise: 0.1,
  silhouette: 0.1,
  npmi: 0.02,
  diversity: 0.95,
  seedAri: 0.94,
  tenthAri: 0.66,
}

function verdicts(ours: Quality): string[] {
  return boundsOf(ours, peer).map(verdict)
}

describe('what is asked of communities', () => {
  it('is met by what is better everywhere, and says by how much', () => {
    const said = [
      'met by 0.140',
      'met by 0.020',
      'met by 1.0 points',
      'met by 0.010',
      'met by 0.100',
      'met by 0.020',
      'met by 20.0 points',
    ]
    expect(verdicts(good)).toEqual(said)
  })

  it.each([
    ['seedAri', 0.79, 0],
    ['tenthAri', 0.63, 1],
    ['noise', 0.12, 2],
    ['silhouette', 0.08, 3],
    ['npmi', -0.1, 4],
    ['diversity', 0.92, 5],
    ['topicsAFirm', 4.5, 6],
    ['topicsAFirm', 7.5, 6],
  ] as const)('is missed by one figure alone: %s of %d', (name, value, place) => {
    const said = verdicts({ ...good, [name]: value })
    expect(said.map(one => one.startsWith('missed by'))).toEqual(said.map((_, i) => i === place))
  })

  // Not defined is not met.
  it('is missed by a figure that is not there', () => {
    expect(verdicts({ ...good, silhouette: null })[3]).toBe('missed by NaN')
  })
})

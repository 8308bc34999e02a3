// What follows from what: made-up histories whose truth is known, and the laws that hold for any two quarters.

import { describe, expect, it } from 'vitest'
import { compareThemes, type Evidence, followThemes, isLink, returnedThemes } from '../../lib/math/lineage.ts'
import { type MadeQuarter, madeThemes } from '../made-histories.ts'

function follow(before: MadeQuarter, here: MadeQuarter) {
  const [earlier, later] = [madeThemes('2023Q1', before), madeThemes('2023Q2', here)]
  const evidence = compareThemes(earlier, later)
  const { heirOf, links } = followThemes(evidence, later.themes)
  const name = (id: string) => id.split('/')[1]
  return {
    evidence,
    links: links
      .map(link => `${link.event}: ${name(earlier.themeIds[link.earlier])} > ${name(later.themeIds[link.later])}`)
      .sort(),
    heirs: Object.fromEntries(
      heirOf.map((heir, place) => [
        name(later.themeIds[place]),
        heir === undefined ? null : name(earlier.themeIds[heir]),
      ]),
    ),
  }
}

const one = (topics: number, ...subjects: string[]) => ({ subjects, topics })

describe('a history whose truth is known', () => {
  it('continues a theme, whatever number it has now', () => {
    const { links, heirs } = follow(
      { a: one(20, 'oil'), b: one(12, 'loans') },
      { x: one(15, 'loans'), y: one(9, 'oil') },
    )
    expect(links).toEqual(['continued: a > y', 'continued: b > x'])
    expect(heirs).toEqual({ x: 'b', y: 'a' })
  })

  it('sees a theme split, and its identity go to the part with most of its topics', () => {
    const { links, heirs } = follow(
      { a: one(30, 'oil/crude', 'oil/gas', 'oil/gas'), z: one(10, 'loans') },
      { small: one(10, 'oil/crude'), large: one(20, 'oil/gas'), z: one(10, 'loans') },
    )
    expect(links).toEqual(['continued: z > z', 'split: a > large', 'split: a > small'])
    expect(heirs).toEqual({ large: 'a', small: null, z: 'z' })
  })

  it('sees themes merge, and the identity of the larger one live on', () => {
    const { links, heirs } = follow(
      { few: one(8, 'oil/crude'), many: one(20, 'oil/gas') },
      { all: one(28, 'oil/crude', 'oil/gas', 'oil/gas') },
    )
    expect(links).toEqual(['merged: few > all', 'merged: many > all'])
    expect(heirs).toEqual({ all: 'many' })
  })

  it('sees themes come and go, with the nearest there was', () => {
    const { links, heirs } = follow(
      { stays: one(12, 'loans'), goes: one(12, 'hurricane') },
      { stays: one(12, 'loans'), comes: one(12, 'tariffs') },
    )
    expect(links.filter(link => !/^(new|gone)/.test(link))).toEqual(['continued: stays > stays'])
    expect(
      links.filter(link => /^(new|gone)/.test(link)).map(link => link.replace(/(new: ).* > |(gone: .*) > .*/, '$1$2')),
    ).toEqual(['gone: goes', 'new: comes'])
    expect(heirs).toEqual({ comes: null, stays: 'stays' })
  })

  it('does not take a theme of the same kin for the same: its subject went another way', () => {
    const { links } = follow({ a: one(20, 'oil/crude') }, { b: one(20, 'oil/gas') })
    expect(links).toEqual(['gone: a > b', 'new: a > b'])
  })

  it('lets a few topics wander: what is most of neither theme is no split', () => {
    const { links, heirs } = follow(
      { a: one(30, 'oil/crude', 'oil/gas', 'oil/gas'), b: one(20, 'oil/pipe') },
      { a: one(20, 'oil/gas'), b: one(30, 'oil/pipe', 'oil/pipe', 'oil/crude') },
    )
    expect(links).toEqual(['continued: a > a', 'continued: b > b'])
    expect(heirs).toEqual({ a: 'a', b: 'b' })
  })

  it('tells a part that left and joined another theme: merged there, split off here', () => {
    const { links, heirs } = follow(
      { a: one(24, 'oil/crude', 'oil/gas'), b: one(5, 'oil/pipe') },
      { x: one(12, 'oil/gas'), y: one(18, 'oil/crude', 'oil/crude', 'oil/pipe') },
    )
    expect(links).toEqual(['merged: a > y', 'merged: b > y', 'split: a > x'])
    expect(heirs).toEqual({ x: null, y: 'a' }) // most of what linked a went to y; b lives on in it under that name
  })

  // Forty histories of twelve themes each, with eight kinds of subjects dealt out anew: the truth is what they were made from.
  it('finds the truth of many histories', () => {
    let right = 0
    let all = 0
    for (let seed = 0; seed < 40; seed++) {
      const subject = (i: number) => `s${seed}-${i}`
      const before: Record<string, { subjects: string[]; topics: number }> = {}
      const here: typeof before = {}
      const truth: string[] = []
      for (let i = 0; i < 4; i++) {
        before[`c${i}`] = one(10 + i, subject(i))
        here[`k${i}`] = one(14 - i, subject(i))
        truth.push(`continued: c${i} > k${i}`)
      }
      before.p = one(24, `${subject(9)}/a`, `${subject(9)}/b`)
      here.p1 = one(12, `${subject(9)}/a`)
      here.p2 = one(12, `${subject(9)}/b`)
      before.m1 = one(12, `${subject(8)}/a`)
      before.m2 = one(12, `${subject(8)}/b`)
      here.m = one(24, `${subject(8)}/a`, `${subject(8)}/b`)
      before.gone = one(10, subject(7))
      here.new = one(10, subject(6))
      truth.push('split: p > p1', 'split: p > p2', 'merged: m1 > m', 'merged: m2 > m', 'gone: gone', 'new: new')
      const said = follow(before, here).links.map(link =>
        link.replace(/^new: .* > /, 'new: ').replace(/^(gone: .*) > .*/, '$1'),
      )
      right += truth.filter(event => said.includes(event)).length
      all += Math.max(truth.length, said.length)
    }
    expect(right / all).toBeGreaterThan(0.97)
  })
})

const BEFORE = { a: one(20, 'oil/crude', 'oil/gas'), b: one(12, 'loans'), c: one(9, 'cloud/a'), d: one(14, 'rent') }
const HERE = { p: one(10, 'oil/crude'), q: one(10, 'oil/gas'), r: one(20, 'loans', 'rent'), s: one(9, 'chips') }

describe('laws', () => {
  it('a quarter continues in itself, theme by theme', () => {
    const { links, evidence } = follow(BEFORE, BEFORE)
    expect(links).toEqual(['continued: a > a', 'continued: b > b', 'continued: c > c', 'continued: d > d'])
    for (const [i, row] of evidence.entries()) expect(row[i].similarity).toBeGreaterThan(0.9)
  })

  it('runs backwards as it runs forwards: splits merge, what came goes', () => {
    const turned: Record<string, string> = {
      continued: 'continued',
      split: 'merged',
      merged: 'split',
      new: 'gone',
      gone: 'new',
    }
    const backwards = follow(HERE, BEFORE).links.map(link => {
      const [, event, from, to] = /^(\w+): (\w+) > (\w+)$/.exec(link) ?? []
      return `${turned[event]}: ${to} > ${from}`
    })
    expect(backwards.sort()).toEqual(follow(BEFORE, HERE).links)
  })

  it('does not depend on the order of topics or of themes', () => {
    const [earlier, later] = [madeThemes('2023Q1', BEFORE), madeThemes('2023Q2', HERE)]
    const order = Array.from({ length: later.n }, (_, i) => (i * 10) % later.n)
    expect(new Set(order).size).toBe(later.n)
    const relabelled = [2, 0, 3, 1]
    const shuffled = {
      ...later,
      vectors: Float32Array.from(order.flatMap(row => [...later.vectors.subarray(row * later.d, (row + 1) * later.d)])),
      themeOf: Int32Array.from(order, row => relabelled[later.themeOf[row]]),
      firmOf: order.map(row => later.firmOf[row]),
    }
    const [plain, other] = [compareThemes(earlier, later), compareThemes(earlier, shuffled)]
    for (let i = 0; i < earlier.themes; i++)
      for (let j = 0; j < later.themes; j++) {
        const { similarity, ...rest } = plain[i][j]
        expect(other[i][relabelled[j]]).toMatchObject({ ...rest, later: relabelled[j] })
        expect(other[i][relabelled[j]].similarity).toBeCloseTo(similarity, 12)
      }
  })

  it('gives shares and cosines within their bounds, and no topic to two themes', () => {
    const evidence = follow(BEFORE, HERE).evidence
    for (const row of evidence) {
      for (const pair of row) {
        expect(Math.abs(pair.similarity)).toBeLessThanOrEqual(1)
        expect(Math.min(pair.topicsForward, pair.topicsBack)).toBeGreaterThanOrEqual(0)
        expect(Math.max(pair.topicsForward, pair.topicsBack)).toBeLessThanOrEqual(1)
      }
      expect(row.reduce((sum, pair) => sum + pair.topicsForward, 0)).toBeLessThanOrEqual(1 + 1e-12)
    }
    for (let j = 0; j < 4; j++)
      expect(evidence.reduce((sum, row) => sum + row[j].topicsBack, 0)).toBeLessThanOrEqual(1 + 1e-12)
  })

  it('passes every identity to one theme at most', () => {
    const { heirOf } = followThemes(follow(BEFORE, HERE).evidence, 4)
    const heirs = heirOf.filter(heir => heir !== undefined)
    expect(new Set(heirs).size).toBe(heirs.length)
  })

  it('takes nothing of quarters without themes', () => {
    const none = madeThemes('2023Q1', {})
    const some = madeThemes('2023Q2', HERE)
    expect(compareThemes(none, some)).toEqual([])
    expect(compareThemes(some, none)).toEqual([[], [], [], []])
    expect(followThemes([], 4)).toEqual({ heirOf: [undefined, undefined, undefined, undefined], links: [] })
  })

  it('refuses topics of two models', () => {
    const [earlier, later] = [madeThemes('2023Q1', BEFORE), madeThemes('2023Q2', HERE)]
    expect(() => compareThemes({ ...earlier, d: 24 }, later)).toThrow(
      'topics of 24 and of 48 dimensions cannot be compared',
    )
  })
})

describe('firms in common', () => {
  const firms = (...names: string[]) => ({ firms: names })
  const counted = (before: MadeQuarter, here: MadeQuarter) => {
    const [[pair]] = compareThemes(madeThemes('2023Q1', before), madeThemes('2023Q2', here))
    return [pair.firmsInCommon, pair.firmsByChance]
  }

  it('are counted among the firms that are in both quarters, and so is chance', () => {
    // In both quarters: A to F. Of them a has A, B, C and p has B, C, D: 3 · 3 / 6 by chance. G and H have one call each.
    const before = {
      a: { ...one(4, 'oil'), ...firms('A', 'B', 'C', 'G') },
      rest: { ...one(3, 'loans'), ...firms('D', 'E', 'F') },
    }
    const here = {
      p: { ...one(4, 'oil'), ...firms('B', 'C', 'D', 'H') },
      rest: { ...one(3, 'loans'), ...firms('A', 'E', 'F') },
    }
    expect(counted(before, here)).toEqual([2, 1.5])
  })

  it('are what dealing out brings on average', () => {
    // All ways to deal 3 of 6 firms to the later theme, against a fixed 2: 20 ways, 20 firms met.
    const all = ['A', 'B', 'C', 'D', 'E', 'F']
    let met = 0
    let ways = 0
    let said = 0
    for (const x of all)
      for (const y of all)
        for (const z of all) {
          if (!(x < y && y < z)) continue
          const rest = all.filter(firm => ![x, y, z].includes(firm))
          const [common, chance] = counted(
            { a: { ...one(2, 'oil'), ...firms('A', 'B') }, rest: { ...one(4, 'loans'), ...firms('C', 'D', 'E', 'F') } },
            { p: { ...one(3, 'oil'), ...firms(x, y, z) }, rest: { ...one(3, 'loans'), ...firms(...rest) } },
          )
          met += common
          said = chance
          ways++
        }
    expect(ways).toBe(20)
    expect(said).toBeCloseTo(met / ways, 12)
  })
})

describe('themes that return', () => {
  const pair = (earlier: number, later: number, forward: number, topicsInCommon: number): Evidence => ({
    earlier,
    later,
    similarity: 0.8,
    topicsForward: forward,
    topicsBack: 0,
    topicsInCommon,
    firmsInCommon: 0,
    firmsByChance: 0,
  })

  it('are links like the others, each theme once, those of most topics first', () => {
    const found = returnedThemes([pair(0, 0, 0.6, 5), pair(0, 1, 0.9, 9), pair(1, 1, 0.9, 4), pair(2, 0, 0.5, 50)])
    expect(found.map(one => [one.earlier, one.later])).toEqual([[0, 1]])
    expect(isLink(pair(0, 0, 0.5, 50))).toBe(false) // half is not most
  })
})

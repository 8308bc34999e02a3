// Groups from communities, by their definitions: who is noise and how surely the others belong, parts, cores, the steadiest resolution.

import { describe, expect, it } from 'vitest'
import { adjustedRandIndex, withoutTenth } from '../../lib/math/agreement.ts'
import { leiden, rowsOfEdges } from '../../lib/math/communities.ts'
import { type CommunityRecipe, communityGroups, coreOf, STARTS, STEADIEST_OF } from '../../lib/math/community-topics.ts'
import { FIRM_COMMUNITIES } from '../../lib/math/engine.ts'
import { fuzzyGraph } from '../../lib/math/fuzzy-graph.ts'
import { NOISE } from '../../lib/math/hdbscan.ts'
import { nearestNeighbors } from '../../lib/math/neighbors.ts'
import { seedFrom } from '../../lib/math/random.ts'
import { weightMatrix } from '../../lib/math/straight.ts'
import { renamed } from './reference-cases.ts'
import { directions, reordered, shuffled } from './tables.ts'

const SEED = 5
const D = 16
const RESOLUTION = 1.4
const recipe = { ...FIRM_COMMUNITIES, resolution: RESOLUTION }
/** Groups apart, groups that run into each other, none at all; and few rows. */
const TABLES = [
  { n: 90, rows: directions(90, D, 5, 1, 0.4) },
  { n: 200, rows: directions(200, D, 8, 2, 1) },
  { n: 150, rows: directions(150, D, 1, 3, 50) },
  { n: 30, rows: directions(30, D, 4, 4, 0.8) },
]

function neighborsOf(rows: Float32Array, n: number) {
  return nearestNeighbors(rows, n, D, recipe.nNeighbors - 1, 'cosine')
}

function graphOf(rows: Float32Array, n: number) {
  return rowsOfEdges(fuzzyGraph(neighborsOf(rows, n), n), n)
}

function groupsOf(rows: Float32Array, n: number, own: CommunityRecipe = recipe, seed = SEED) {
  return communityGroups(rows, n, D, own, seed)
}

function rowsOf(labels: Int32Array, label: number): number[] {
  return [...labels.keys()].filter(row => labels[row] === label)
}

function namesIn(labels: Int32Array): number[] {
  return [...new Set(labels)].filter(label => label !== NOISE)
}

/** By the definitions, from the matrix of the weights. */
function straightGroups(rows: Float32Array, n: number, { minClusterSize, leastMembership }: CommunityRecipe) {
  const graph = graphOf(rows, n)
  const matrix = weightMatrix(graph)
  const { labels: community } = leiden(graph, { resolution: RESOLUTION, seed: SEED, starts: STARTS })
  const share = matrix.map((weights, i) => {
    const inside = weights.filter((_, j) => community[j] === community[i])
    return inside.reduce((sum, x) => sum + x, 0) / weights.reduce((sum, x) => sum + x, 0)
  })
  const isIn = share.map((own, i) => {
    const members = rowsOf(community, community[i])
    const stronger = members.filter(j => share[j] > own || (share[j] === own && j < i)).length
    return members.length >= minClusterSize && (own >= leastMembership || stronger < minClusterSize)
  })
  return { labels: community.map((label, i) => (isIn[i] ? label : NOISE)), share }
}

describe('communityGroups', () => {
  it('calls noise who is in a small community, and who hangs on a large one by too little, down to its least size', () => {
    let noise = 0
    let kept = 0
    for (const { n, rows } of TABLES)
      for (const own of [recipe, { ...recipe, minClusterSize: 12, leastMembership: 0.5 }]) {
        const { labels } = groupsOf(rows, n, own)
        const straight = straightGroups(rows, n, own)
        expect([...labels]).toEqual(renamed(straight.labels))
        noise += rowsOf(labels, NOISE).length
        kept += [...labels.keys()].filter(i => labels[i] !== NOISE && straight.share[i] < own.leastMembership).length
      }
    expect(noise).toBeGreaterThan(20)
    expect(kept).toBeGreaterThan(5)
  })

  it('says how surely a row belongs: the share of its edges that lead into its community, and 0 for noise', () => {
    for (const { n, rows } of TABLES) {
      const { labels, probabilities } = groupsOf(rows, n)
      const { share } = straightGroups(rows, n, recipe)
      for (let i = 0; i < n; i++) expect(probabilities[i]).toBeCloseTo(labels[i] === NOISE ? 0 : share[i], 12)
    }
  })

  it('makes no group under the least size, and numbers groups in the order of their first rows', () => {
    for (const { n, rows } of TABLES)
      for (const minClusterSize of [2, 6, 15]) {
        const { labels } = groupsOf(rows, n, { ...recipe, minClusterSize, leastMembership: 0.6 })
        expect([...labels]).toEqual(renamed(labels))
        for (const label of namesIn(labels)) expect(rowsOf(labels, label).length).toBeGreaterThanOrEqual(minClusterSize)
      }
  })

  it('parts a group into two or more, none under the least size, each inside one group; or into none', () => {
    let parted = 0
    for (const { n, rows } of TABLES) {
      const { labels, parts } = groupsOf(rows, n, { ...recipe, resolution: 0.7 })
      const names = namesIn(parts)
      expect(names.toSorted((a, b) => a - b)).toEqual(names.map((_, part) => part))
      for (const part of names) {
        const members = rowsOf(parts, part)
        expect(members.length).toBeGreaterThanOrEqual(recipe.minClusterSize)
        expect(new Set(members.map(row => labels[row])).size).toBe(1)
        expect(labels[members[0]]).not.toBe(NOISE)
      }
      for (const label of namesIn(labels)) {
        const own = new Set(rowsOf(labels, label).map(row => parts[row]))
        own.delete(NOISE)
        expect(own.size).not.toBe(1)
        parted += Number(own.size > 1)
      }
    }
    expect(parted).toBeGreaterThan(3)
  })

  it('finds as parts the groups that a group is made of', () => {
    // Two directions, each of three near ones of fewer rows than a neighbourhood has.
    const n = 60
    const rows = directions(n, D, 1, 9, 30).map((x, p) => {
      const [i, t] = [Math.floor(p / D), p % D]
      return 0.6 * x + Number(t === i % 2) + 0.5 * Number(t === 2 + (i % 6))
    })
    const { labels, parts } = groupsOf(rows, n, { ...recipe, resolution: 0.65 })
    expect([...labels]).toEqual(Array.from({ length: n }, (_, i) => i % 2))
    const truth = Array.from({ length: n }, (_, i) => i % 6)
    expect(adjustedRandIndex(truth, parts)).toBeGreaterThan(0.8)
  })

  it('gives the same for the same seed, and for other rows first the same groups', () => {
    for (const { n, rows } of TABLES) {
      const { labels, probabilities } = groupsOf(rows, n)
      expect(groupsOf(rows, n)).toEqual(groupsOf(rows, n))
      const order = shuffled(n, 6)
      const again = groupsOf(reordered(rows, D, order), n)
      expect([...again.labels]).toEqual(renamed(order.map(row => labels[row])))
      for (const [place, row] of order.entries()) expect(again.probabilities[place]).toBeCloseTo(probabilities[row], 12)
    }
  })

  it('leaves all to noise where there is but one row, or none', () => {
    for (const n of [0, 1]) {
      const { labels, probabilities, parts } = groupsOf(directions(n, D, 1, 1), n)
      expect([[...labels], [...probabilities], [...parts]]).toEqual([
        new Array(n).fill(NOISE),
        new Array(n).fill(0),
        new Array(n).fill(NOISE),
      ])
    }
  })
})

describe('the steadiest resolution', () => {
  /** The groups at each resolution of the grid, with the rule's measure of them; undefined under two groups. */
  function straightChoices(rows: Float32Array, n: number) {
    const draws = [0, 1, 2, 3, 4].map(draw => withoutTenth(n, seedFrom(SEED, 'draw', draw)))
    return STEADIEST_OF.map(resolution => {
      const groups = groupsOf(rows, n, { ...recipe, resolution })
      const agreements = draws.map(kept => {
        const table = Float32Array.from([...kept].flatMap(row => [...rows.subarray(row * D, (row + 1) * D)]))
        const { labels } = groupsOf(table, kept.length, { ...recipe, resolution })
        return adjustedRandIndex(
          [...kept].map(row => groups.labels[row]),
          labels,
        )
      })
      const sum = agreements.reduce((total, own) => total + own, 0)
      return { groups, steadiness: namesIn(groups.labels).length < 2 ? undefined : sum }
    })
  }

  it('is the one of the grid whose groups come again most nearly without a tenth of the rows', () => {
    const chosen = [TABLES[3], { n: 60, rows: directions(60, D, 5, 7, 0.8) }].map(({ n, rows }) => {
      const choices = straightChoices(rows, n)
      const highest = Math.max(...choices.map(({ steadiness }) => steadiness ?? -Infinity))
      const choice = choices.findIndex(({ steadiness }) => steadiness === highest)
      expect(groupsOf(rows, n, { ...recipe, resolution: 'steadiest' })).toEqual(choices[choice].groups)
      return choice
    })
    expect(new Set(chosen).size).toBeGreaterThan(1)
  })

  it('is none that finds fewer than two groups while another finds them, and the lowest where none does', () => {
    // At the two highest none is left, which comes again every time.
    const n = 24
    const rows = directions(n, D, 2, 4, 2)
    const alone = { ...recipe, minClusterSize: 7 }
    const counts = STEADIEST_OF.map(resolution => namesIn(groupsOf(rows, n, { ...alone, resolution }).labels).length)
    expect(Math.min(...counts)).toBeLessThan(2)
    expect(Math.max(...counts)).toBeGreaterThanOrEqual(2)
    const found = groupsOf(rows, n, { ...alone, resolution: 'steadiest' })
    expect(namesIn(found.labels).length).toBeGreaterThanOrEqual(2)
    const large = { ...recipe, minClusterSize: 23 }
    expect(groupsOf(rows, n, { ...large, resolution: 'steadiest' })).toEqual(
      groupsOf(rows, n, { ...large, resolution: STEADIEST_OF[0] }),
    )
  })
})

describe('coreOf', () => {
  it('has the rows with six tenths of their weight inside, and in any case the strongest third, five at least, ascending', () => {
    const strength = [0.9, 0.3, 0.6, 0.59, 0.2, 0.5, 0.5, 0.1]
    // Two have enough; the other three are the strongest that are left, of equals the first.
    expect(coreOf([0, 1, 2, 3, 4, 5, 6, 7], strength)).toEqual([0, 2, 3, 5, 6])
    expect(coreOf([7, 4, 1], strength)).toEqual([1, 4, 7])
    const rising = Array.from({ length: 30 }, (_, i) => i / 100)
    expect(coreOf([...rising.keys()], rising)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29])
    const surely = rising.map(() => 0.6)
    expect(coreOf([...surely.keys()], surely)).toEqual([...surely.keys()])
    expect(coreOf([], [])).toEqual([])
  })

  it('asks the rows of the group alone, and leaves their list as it was', () => {
    const rows = [12, 3, 7]
    expect(coreOf(rows, { 3: 0.2, 7: 0.9, 12: 0.1, length: 13 })).toEqual([3, 7, 12])
    expect(rows).toEqual([12, 3, 7])
  })
})

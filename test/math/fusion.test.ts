// Reciprocal rank fusion: its laws, and the figures of its formula.

import { expect, it } from 'vitest'
import { fuse } from '../../lib/math/fusion.ts'
import { createRandom } from '../../lib/math/random.ts'

const keysOf = (lists: readonly (readonly string[])[]) => fuse(lists).map(one => one.key)

/** Two lists of letters in an order of chance, which share some. */
function twoLists(seed: number): [string[], string[]] {
  const random = createRandom(seed)
  const shuffled = () => [...'abcdefghijklmnop'].map(key => ({ key, at: random.next() })).sort((a, b) => a.at - b.at)
  const list = () =>
    shuffled()
      .slice(0, 1 + random.int(16))
      .map(one => one.key)
  return [list(), list()]
}

it('puts first what all lists put first', () => {
  for (let seed = 0; seed < 50; seed++) {
    const [one, other] = twoLists(seed)
    const agreed = ['first', 'second']
    expect(
      keysOf([
        [...agreed, ...one],
        [...agreed, ...other],
      ]).slice(0, 2),
    ).toEqual(agreed)
  }
})

it('keeps what is in any list once, and a single list in its order', () => {
  for (let seed = 0; seed < 50; seed++) {
    const [one, other] = twoLists(seed)
    const fused = keysOf([one, other])
    expect(new Set(fused).size).toBe(fused.length)
    expect(new Set(fused)).toEqual(new Set([...one, ...other]))
    expect(keysOf([one, []])).toEqual(one)
    expect(keysOf([[], one])).toEqual(one)
  }
})

it('never puts what is lower in both lists before what is higher in both', () => {
  for (let seed = 0; seed < 50; seed++) {
    const lists = twoLists(seed)
    const fused = fuse(lists)
    const place = (key: string, i: number) =>
      lists[i].includes(key) ? lists[i].indexOf(key) : Number.POSITIVE_INFINITY
    for (const [i, lower] of fused.entries())
      for (const higher of fused.slice(0, i)) {
        const worse = [0, 1].every(list => place(higher.key, list) > place(lower.key, list))
        expect(worse).toBe(false)
      }
  }
})

it('gives a place the score 1 / (60 + place), and of equal scores the first list is right', () => {
  const [b, a, c] = fuse([
    ['a', 'b'],
    ['b', 'c'],
  ])
  expect(b).toEqual({ key: 'b', score: 1 / 62 + 1 / 61, ranks: [2, 1] })
  expect(a).toEqual({ key: 'a', score: 1 / 61, ranks: [1, null] })
  expect(c).toEqual({ key: 'c', score: 1 / 62, ranks: [null, 2] })
  expect(keysOf([['x'], ['y']])).toEqual(['x', 'y'])
})

// Representative sentences on a circle of vectors, where it is plain which sentence should come first.

import { describe, expect, it } from 'vitest'
import { representativeSentences } from '../../lib/text/representatives.ts'

const WORDS = 'of the memory pricing that improved again in china'

/** A topic on a half circle: each sentence at an angle in degrees from the centroid. */
function topic(
  angles: readonly number[],
  change: { texts?: string[]; probabilities?: number[]; howMany?: number } = {},
) {
  const turn = (degrees: number) => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
  return {
    vectors: Float32Array.from(angles.flatMap(turn)),
    d: 2,
    members: Int32Array.from(angles.keys()),
    centroid: Float32Array.from([1, 0]),
    texts: change.texts ?? angles.map((_, i) => `Sentence number ${i} ${WORDS}.`),
    probabilities: Float64Array.from(change.probabilities ?? angles.map(() => 1)),
    howMany: change.howMany ?? 3,
  }
}

describe('representative sentences', () => {
  it('begin with the one nearest to the centroid', () => {
    expect(representativeSentences(topic([40, -3, 20, 60], { howMany: 1 }))).toEqual([1])
  })

  it('are not all from the same corner', () => {
    // 0, 1 and 2 stand together; 3 is nearly as central, on the other side.
    expect(representativeSentences(topic([10, 11, 12, -25], { howMany: 2 }))).toEqual([0, 3])
  })

  it('are never the same sentence twice, whatever its case and full stop', () => {
    const texts = [`Once ${WORDS}.`, `once ${WORDS}`, `Twice ${WORDS}.`]
    expect(representativeSentences(topic([0, 0, 50], { texts }))).toEqual([0, 2])
  })

  it('are between 8 and 40 words long where there are enough such', () => {
    const texts = ['Yes, exactly that.', `Well ${WORDS}.`, `${WORDS} `.repeat(6), `Or ${WORDS}.`]
    expect(representativeSentences(topic([0, 50, 1, 60], { texts, howMany: 2 }))).toEqual([1, 3])
  })

  it('are filled up with shorter and longer ones where there are not', () => {
    const texts = ['Yes, exactly that.', `Well ${WORDS}.`, `${WORDS} `.repeat(6)]
    expect(representativeSentences(topic([0, 50, 1], { texts, howMany: 2 }))).toEqual([1, 2])
  })

  it('come from the inside of the cluster rather than from its edge', () => {
    expect(representativeSentences(topic([5, 10], { probabilities: [0.2, 1], howMany: 1 }))).toEqual([1])
  })

  it('say something rather than nothing', () => {
    const texts = ['And I think that again this has really been very good.', `In Ohio ${WORDS} with copper.`]
    expect(representativeSentences(topic([5, 20], { texts, howMany: 1 }))).toEqual([1])
  })

  it('are only members', () => {
    const everything = topic([0, 1, 30, 60])
    expect(representativeSentences({ ...everything, members: Int32Array.from([3, 2]) })).toEqual([2, 3])
  })

  it('do not depend on the order of the members', () => {
    const everything = topic([3, 14, -15, 9, -26, 5])
    const turned = { ...everything, members: Int32Array.from([...everything.members].reverse()) }
    expect(representativeSentences(turned)).toEqual(representativeSentences(everything))
  })

  it('are fewer, or none, where the topic has no more', () => {
    expect(representativeSentences(topic([5]))).toEqual([0])
    expect(representativeSentences(topic([]))).toEqual([])
  })

  it('bear vectors of zeros', () => {
    const zeros = { ...topic([0, 0]), vectors: new Float32Array(4) }
    expect(representativeSentences(zeros)).toEqual([0, 1])
  })
})

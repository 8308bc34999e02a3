// What is judged of one firm: that topics which hold are told from topics which do not.

import { describe, expect, it } from 'vitest'
import {
  type ClusterRecipe,
  clusterByCommunities,
  clusterExactly,
  FIRM_COMMUNITIES,
  FIRM_RECIPE,
  NOISE,
} from '../../lib/math/engine.ts'
import { silhouette } from '../../lib/math/silhouette.ts'
import { type EvaluationJob, evaluateFirm } from '../../lib/text/firm-evaluation.ts'
import { directions, shuffled } from '../math/tables.ts'

describe('evaluateFirm', () => {
  const n = 160
  const d = 24
  const seed = 11
  // Excess of mass, so that a round group is one topic: leaves would split it, and differently each time.
  const recipe: ClusterRecipe = { ...FIRM_RECIPE, selection: 'eom' }
  const firm = (vectors: Float32Array, own = recipe): EvaluationJob => ({
    engine: 'exact',
    recipe: own,
    seed,
    otherSeed: 12,
    vectors,
    d,
    topicOfSentence: clusterExactly(vectors, vectors.length / d, d, own, seed).labels,
  })

  it('finds topics that stand apart stable, and topics of chance not', async () => {
    const clear = await evaluateFirm(firm(directions(n, d, 5, 2, 0.2)))
    const blurred = await evaluateFirm(firm(directions(n, d, 5, 2, 6)))
    expect(clear?.silhouette).toBeGreaterThan(0.5)
    expect(clear?.seedAgreement).toBeGreaterThan(0.9)
    expect(clear?.tenthAgreement).toBeGreaterThan(0.9)
    expect(blurred?.silhouette).toBeLessThan(0.2)
    expect(blurred?.seedAgreement).toBeLessThan(0.9)
    expect(blurred?.tenthAgreement).toBeLessThan(0.9)
  })

  it('gives the same for the same firm', async () => {
    const job = firm(directions(n, d, 5, 2, 2))
    expect(await evaluateFirm(job)).toEqual(await evaluateFirm(job))
  })

  it('judges the topics that are given, not those it finds itself', async () => {
    const job = firm(directions(n, d, 5, 2, 0.2))
    const order = shuffled(n, 4)
    const topicOfSentence = job.topicOfSentence.map((_, i, all) => all[order[i]])
    const wrong = await evaluateFirm({ ...job, topicOfSentence })
    expect(wrong?.silhouette).toBe(silhouette(job.vectors, n, d, topicOfSentence))
    expect(Math.abs(wrong?.seedAgreement ?? 1)).toBeLessThan(0.1)
    expect(Math.abs(wrong?.tenthAgreement ?? 1)).toBeLessThan(0.1)
  })

  it('finds perfect agreement with itself: the same seed', async () => {
    const job = firm(directions(n, d, 5, 2, 2))
    expect((await evaluateFirm({ ...job, otherSeed: seed }))?.seedAgreement).toBe(1)
  })

  it('judges communities by communities', async () => {
    const vectors = directions(n, d, 5, 2, 0.2)
    const recipe = { ...FIRM_COMMUNITIES, resolution: 1 }
    const topicOfSentence = clusterByCommunities(vectors, n, d, recipe, seed).labels
    const job: EvaluationJob = { engine: 'communities', recipe, seed, otherSeed: 12, vectors, d, topicOfSentence }
    expect(await evaluateFirm(job)).toEqual({
      silhouette: silhouette(vectors, n, d, topicOfSentence),
      seedAgreement: 1,
      tenthAgreement: 1,
    })
  })

  it('does not judge a firm that has too few different sentences for two topics', async () => {
    const few = directions(11, d, 2, 3)
    const many = new Float32Array(110 * d)
    for (let copy = 0; copy < 10; copy++) many.set(few, copy * few.length)
    expect(await evaluateFirm(firm(few))).toBeUndefined()
    expect(await evaluateFirm(firm(many))).toBeUndefined()
    expect(await evaluateFirm(firm(new Float32Array(0)))).toBeUndefined()
    expect(await evaluateFirm(firm(directions(12, d, 2, 3)))).toBeDefined()
  })

  it('calls two clusterings without a topic no agreement', async () => {
    const vectors = directions(n, d, 5, 2, 2)
    // Five groups of 32 sentences: none reaches 70.
    const large = { ...recipe, minClusterSize: 70 }
    const found = await evaluateFirm({ ...firm(vectors, large), topicOfSentence: new Int32Array(n).fill(NOISE) })
    expect(found).toEqual({ silhouette: undefined, seedAgreement: undefined, tenthAgreement: undefined })
  })
})

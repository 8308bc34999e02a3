// What comes out of a firm's job, whatever the clustering found: laws, on invented firms.

import { describe, expect, it } from 'vitest'
import { NOISE } from '../../lib/math/engine.ts'
import { createRandom, seedFrom } from '../../lib/math/random.ts'
import {
  COMMUNITIES_RECIPE,
  firmJobOf,
  STANDARD_RECIPE,
  topicsOf,
  topicsOfFirm,
  type UmapRecipe,
} from '../../lib/text/firm-topics.ts'

const SUBJECTS = ['rigs in the basin', 'cloud software renewals', 'drug trials', 'store openings', 'freight rates']
const d = 16

/** Sentences around one direction each subject, then strays; `copies` of the first sentence and of the last one more. */
function firm(perSubject: number, strays: number, copies = 0) {
  const random = createRandom(perSubject * 1000 + strays)
  const rows: { text: string; direction: number[] }[] = []
  const noisy = (axis: number | undefined) =>
    Array.from({ length: d }, (_, t) => (t === axis ? 1 : 0) + 1.6 * (random.next() - 0.5)) // so wide that some is noise
  for (const [axis, subject] of SUBJECTS.entries())
    for (let i = 0; i < perSubject; i++)
      rows.push({ text: `We talked about ${subject} as number ${i} of our plans this year.`, direction: noisy(axis) })
  for (let i = 0; i < strays; i++) rows.push({ text: `Something else entirely, ${i}.`, direction: noisy(undefined) })
  const [first, last] = [rows[0], rows[rows.length - 1]]
  for (let i = 0; i < copies; i++) rows.push(first, last)
  const vectors = new Float32Array(rows.length * d)
  for (const [i, { direction }] of rows.entries())
    for (let t = 0; t < d; t++) vectors[i * d + t] = direction[t] / Math.hypot(...direction)
  const sentences = rows.map(row => ({ text: row.text }))
  return { firmId: 'ACME', name: 'Acme Anvils Inc', sentences, vectors }
}

const BACKGROUND = { d, firmCount: 1, firmsUsingWord: new Map<string, number>() }
const run = (input: ReturnType<typeof firm>, changes: Partial<UmapRecipe> = {}) =>
  topicsOfFirm(firmJobOf('2024Q3', input, { ...STANDARD_RECIPE, epochs: 50, ...changes }, BACKGROUND))

describe('the job of a firm', () => {
  it('mixes the seed with firm and quarter, and knows the words of the firm', () => {
    const input = firm(1, 0)
    const job = firmJobOf('2024Q3', input, STANDARD_RECIPE, BACKGROUND)
    expect(job.seed).toBe(seedFrom(STANDARD_RECIPE.seed, 'ACME', '2024Q3'))
    expect(firmJobOf('2024Q4', input, STANDARD_RECIPE, BACKGROUND).seed).not.toBe(job.seed)
    expect(job.ownWords).toEqual(['ACME', 'Acme', 'Anvils', 'Inc'])
    expect(job.vectors).toBe(input.vectors)
  })
})

describe('the topics of a firm', () => {
  it('partition its sentences: members and labels agree, largest first, none under the least size', async () => {
    const input = firm(12, 20)
    const { topics, topicOfSentence, probabilities } = await run(input)
    expect(topics.length).toBeGreaterThanOrEqual(2)
    expect(topicOfSentence).toContain(NOISE)
    for (const [number, topic] of topics.entries()) {
      expect(topic.members).toEqual([...topicOfSentence.keys()].filter(row => topicOfSentence[row] === number))
      expect(topic.members.length).toBeGreaterThanOrEqual(STANDARD_RECIPE.minClusterSize)
      if (number > 0) expect(topic.members.length).toBeLessThanOrEqual(topics[number - 1].members.length)
      expect(Math.hypot(...topic.centroid)).toBeCloseTo(1, 6)
      expect(topic.representatives.every(row => topic.members.includes(row))).toBe(true)
    }
    for (const [row, topic] of topicOfSentence.entries()) expect(probabilities[row] > 0).toBe(topic !== NOISE)
  })

  it('are the same for copies of a sentence: first label, second label and probability', async () => {
    const input = firm(12, 20, 25)
    for (const reassignNoise of ['no', 'as near as its own', -1] as const) {
      const { topicOfSentence, reassignedTopicOfSentence, probabilities } = await run(input, { reassignNoise })
      const answer = (row: number) => [topicOfSentence[row], reassignedTopicOfSentence[row], probabilities[row]]
      const answerOf = new Map<string, unknown>()
      for (const [row, { text }] of input.sentences.entries()) {
        if (answerOf.has(text)) expect(answer(row)).toEqual(answerOf.get(text))
        answerOf.set(text, answer(row))
      }
      expect(answerOf.size).toBe(input.sentences.length - 50)
    }
  })

  it('are not changed by a second label, which only noise gets', async () => {
    const input = firm(12, 40)
    const { reassignedTopicOfSentence: none, ...without } = await run(input)
    const { reassignedTopicOfSentence: given, ...withSecond } = await run(input, { reassignNoise: -1 })
    expect(withSecond).toEqual(without)
    expect(none.every(topic => topic === NOISE)).toBe(true)
    expect([...given.keys()].filter(row => given[row] !== NOISE)).toEqual(
      [...without.topicOfSentence.keys()].filter(row => without.topicOfSentence[row] === NOISE),
    )
    expect(given.some(topic => topic !== NOISE)).toBe(true)
  })

  it.each([
    'exact',
    'libraries',
  ] as const)('are none for fewer different sentences than two topics need (%s)', async engine => {
    for (let n = 0; n < 12; n++) {
      const whole = firm(3, 0, 40) // 15 different ones and 80 copies
      const input = { ...whole, sentences: whole.sentences.slice(0, n), vectors: whole.vectors.slice(0, n * d) }
      const { topics, topicOfSentence, probabilities } = await run(input, { engine })
      expect(topics).toEqual([])
      expect([...topicOfSentence]).toEqual(new Array(n).fill(NOISE))
      expect([...probabilities]).toEqual(new Array(n).fill(0))
    }
  })
})

describe('the parts of a topic', () => {
  const PARTS = [
    { n: 7, text: (i: number) => `Chip prices for laptops rose in month ${i}, as laptops sold well.` },
    { n: 9, text: (i: number) => `Chip prices for servers fell in month ${i}, as servers sold badly.` },
    { n: 2, text: (i: number) => `Chip prices in general are chip prices, number ${i}.` },
  ]
  const texts = PARTS.flatMap(({ n, text }) => Array.from({ length: n }, (_, i) => text(i)))
  const partOfRow = Int32Array.from(PARTS.flatMap(({ n }, part) => new Array(n).fill(part === 2 ? NOISE : 5 + part)))
  const strays = Array.from({ length: 8 }, (_, i) => `Stores opened in town ${i} of the plan.`)
  const all = [...texts, ...strays]
  const vectors = new Float32Array(all.length * d)
  for (let row = 0; row < all.length; row++) vectors[row * d + (row < texts.length ? 0 : 1)] = 1
  const input = { firmId: 'ACME', name: 'Acme', sentences: all.map(text => ({ text })), vectors }
  const job = firmJobOf('2024Q3', input, COMMUNITIES_RECIPE, BACKGROUND)
  const clustered = {
    labels: Int32Array.from(all, (_, row) => (row < texts.length ? 3 : 1)),
    probabilities: new Float32Array(all.length).fill(1),
  }

  it('are its sentences again, largest first, each with what it says and the other does not', () => {
    const parts = Int32Array.from(all, (_, row) => partOfRow[row] ?? NOISE)
    const [topic, other] = topicsOf(job, { ...clustered, parts }).topics
    expect(other.parts).toEqual([])
    expect(topic.parts.map(part => part.members)).toEqual(
      [6, 5].map(part => [...parts.keys()].filter(row => parts[row] === part)),
    )
    const [servers, laptops] = topic.parts.map(part => part.keywords.map(keyword => keyword.term))
    expect(servers).toContain('servers')
    expect(servers).not.toContain('laptops')
    expect(laptops).toContain('laptops')
    for (const part of topic.parts) {
      expect(part.members).toContain(part.representative)
      expect(part.keywords.every(({ weight }) => weight > 0)).toBe(true)
    }
  })

  it('change nothing of the topics', () => {
    const parts = Int32Array.from(all, (_, row) => partOfRow[row] ?? NOISE)
    const withParts = topicsOf(job, { ...clustered, parts })
    const without = topicsOf(job, clustered)
    expect({ ...withParts, topics: withParts.topics.map(topic => ({ ...topic, parts: [] })) }).toEqual(without)
  })

  it('are found by communities, of six different sentences or more, copies in one part; and never by UMAP and HDBSCAN', async () => {
    // One subject of three sides, near enough to be one topic and far enough to be three parts, and another subject.
    const random = createRandom(7)
    const rows = Array.from({ length: 60 }, (_, i) => {
      const side = i % 4
      const row = Array.from({ length: d }, () => 0.5 * (random.next() - 0.5))
      row[side === 3 ? 1 : 0] += 1
      row[2 + side] += 0.45
      return row
    })
    const twice = [...rows, ...rows]
    const vectors = Float32Array.from(twice.flatMap(row => row.map(value => value / Math.hypot(...row))))
    const sentences = twice.map((_, i) => ({ text: `We spoke of side ${i % 4} in sentence ${i % 60}.` }))
    const made = { firmId: 'ACME', name: 'Acme', sentences, vectors }
    const found = await topicsOfFirm(firmJobOf('2024Q3', made, { ...COMMUNITIES_RECIPE, resolution: 0.8 }, BACKGROUND))
    expect(found.topics.flatMap(topic => topic.parts).length).toBeGreaterThan(1)
    for (const { members, parts } of found.topics) {
      expect(parts.length).not.toBe(1)
      const inParts = parts.flatMap(part => part.members)
      expect(new Set(inParts).size).toBe(inParts.length)
      for (const part of parts) {
        expect(part.members.every(row => members.includes(row))).toBe(true)
        expect(new Set(part.members.map(row => row % 60)).size).toBeGreaterThanOrEqual(
          COMMUNITIES_RECIPE.minClusterSize,
        )
        expect(part.members.every(row => part.members.includes((row + 60) % 120))).toBe(true)
      }
    }
    expect((await run(made)).topics.every(topic => topic.parts.length === 0)).toBe(true)
  })
})

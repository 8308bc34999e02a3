// The arithmetic of `plan`: laws that hold for any prices and speeds, then the figures that others have published, which the
// defaults are held against so that neither drifts alone.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { defaultChoices } from '../../lib/cloud/choices.ts'
import {
  BENCH,
  cardSpeed,
  cheapest,
  diskGigabytesOf,
  type Embedding,
  FIRST_CHOICE,
  factorsOf,
  fastest,
  monthlyOf,
  namingOf,
  oneOrMany,
  type Question,
  rowsOf,
  STEPS,
  timingOf,
  UNMEASURED,
  WORKLOADS,
  type Work,
} from '../../lib/cloud/plan.ts'
import { ageOfPrices, type Instance, readPrices } from '../../lib/cloud/prices.ts'
import { cardBytesOf, operationsOf, SIZED_MODELS, sizeOfModel, trafficOf } from '../../lib/model/model-sizes.ts'
import { root } from '../run.ts'

const prices = readPrices()
const benchmarks = readFileSync(`${root}docs/benchmarks.md`, 'utf8')

function embeddingOf(name: string): Embedding {
  const size = sizeOfModel(name)
  const miniLM = sizeOfModel('all-MiniLM-L6-v2')
  if (size === undefined || miniLM === undefined) throw new Error(name)
  return {
    dimension: size.dimension,
    operations: operationsOf(size, 26),
    traffic: trafficOf(size, 26),
    cardBytes: cardBytesOf(size, 26),
    operationsPerSecond: 487 * operationsOf(miniLM, 25.9),
  }
}

function workOf(sentences: number, model = 'earnings-static-256'): Work {
  const embedding = embeddingOf(model)
  const topics = Math.round(sentences * 0.06)
  return {
    firms: Math.ceil(sentences / 400),
    sentences,
    topics,
    embedding,
    asking: undefined,
    indexBytes: 1744 * sentences,
  }
}

function question(more: Partial<Question> = {}): Question {
  return {
    work: workOf(2_000_000),
    workload: 'batch',
    hoursPerMonth: undefined,
    instances: 1,
    deadline: undefined,
    ...more,
  }
}

function machine(name: string): Instance {
  const found = prices.find(one => one.name === name)
  if (found === undefined) throw new Error(`${name} is not in data/prices`)
  return found
}

describe('laws', () => {
  // Of one kind of database: from 200,000 sentences on it is a server, whose index has more threads than one.
  it('twice the sentences are never cheaper, on any machine, with any model', () => {
    for (const model of SIZED_MODELS) {
      for (const sentences of [1_000, 50_000, 99_999, 200_000, 5_000_000]) {
        const once = rowsOf(prices, question({ work: workOf(sentences, model) }))
        const twice = rowsOf(prices, question({ work: workOf(2 * sentences, model) }))
        for (const row of once) {
          const other = twice.find(one => one.instance === row.instance && one.market === row.market)
          expect(other?.dollars).toBeGreaterThanOrEqual(row.dollars)
        }
      }
    }
  })

  it('more cores are never slower, and no number of them makes nothing of a step that is one thread', () => {
    for (const model of SIZED_MODELS)
      for (const card of [undefined, machine('g4dn.xlarge').card]) {
        const seconds = [1, 2, 4, 8, 64, 1024].map(cores => timingOf(workOf(2_000_000, model), { cores, card }).seconds)
        expect(seconds).toEqual([...seconds].sort((a, b) => b - a))
        expect(seconds.at(-1)).toBeGreaterThan(BENCH.server.seconds.ingest)
      }
  })

  it('steps side by side take as long as the longest, and no longer than one after the other', () => {
    for (const model of SIZED_MODELS) {
      const { steps, sideBySide } = timingOf(workOf(2_000_000, model), { cores: 4, card: undefined })
      const three = [steps.embed, steps['cluster-firm'], steps['name-topics']]
      expect(sideBySide).toBeGreaterThanOrEqual(Math.max(...three))
      expect(sideBySide).toBeLessThanOrEqual(three.reduce((sum, one) => sum + one, 0) + 1e-6)
    }
  })

  it('the cheapest is the least of those that fit and are in time, and rows are sorted by price', () => {
    for (const deadline of [undefined, 2, 0.6])
      for (const workload of WORKLOADS) {
        const hoursPerMonth = workload === 'batch' ? undefined : 100
        const rows = rowsOf(
          prices,
          question({ work: workOf(2_000_000, 'all-mpnet-base-v2'), workload, hoursPerMonth, deadline }),
        )
        expect(rows.map(row => row.dollars)).toEqual(rows.map(row => row.dollars).sort((a, b) => a - b))
        const may = rows.filter(row => row.fits && row.meetsDeadline).map(row => row.dollars)
        expect(cheapest(rows)?.dollars).toBe(may.length > 0 ? Math.min(...may) : undefined)
      }
  })

  it('a start of less than a minute is billed as one', () => {
    const timing = { ...timingOf(workOf(400), { cores: 2, card: undefined }), seconds: 3 }
    expect(oneOrMany({ firms: 1 }, timing, 3600).one.dollars).toBe(60)
  })

  it('measured twice as slow is twice as long, and measured as on the bench changes nothing', () => {
    const embedding = embeddingOf('all-MiniLM-L6-v2')
    const at = new Date('2026-11-01')
    const seconds = timingOf(workOf(2_000_000, 'all-MiniLM-L6-v2'), { cores: 2, card: undefined }).steps
    const run = { sentences: 2_000_000, topics: 120_000, cores: 2, storage: 'server' as const, finishedAt: at }
    for (const step of STEPS) {
      expect(factorsOf([{ ...run, step, seconds: seconds[step] }], embedding)[step]?.factor).toBeCloseTo(1, 9)
      const factors = factorsOf([{ ...run, step, seconds: 2 * seconds[step] }], embedding)
      expect(factors[step]).toMatchObject({ runs: 1, last: at })
      const slow = timingOf(
        workOf(2_000_000, 'all-MiniLM-L6-v2'),
        { cores: 2, card: undefined },
        { factors, cards: [] },
      )
      expect(slow.steps[step] / seconds[step]).toBeCloseTo(2, 9)
    }
    expect(factorsOf([{ ...run, step: 'embed', seconds: 9, sentences: 1785 }], embedding)).toEqual({})
  })

  it('the same factor comes of the same speed, on however many cores it was measured', () => {
    const work = workOf(2_000_000, 'all-MiniLM-L6-v2')
    const finishedAt = new Date('2026-11-01')
    for (const cores of [1, 4, 64]) {
      const { steps } = timingOf(work, { cores, card: undefined })
      const runs = STEPS.map(step => ({
        ...work,
        step,
        seconds: steps[step],
        cores,
        storage: 'server' as const,
        finishedAt,
      }))
      for (const { factor } of Object.values(factorsOf(runs, work.embedding))) expect(factor).toBeCloseTo(1, 9)
    }
  })

  it('a disk grows with the sentences and with their dimensions, and holds all that is on it at once', () => {
    const wider = [256, 384, 768].map(dimension => diskGigabytesOf({ sentences: 2_000_000, dimension }))
    expect(wider).toEqual([...new Set(wider)].sort((a, b) => a - b))
    const bytes = [1e3, 1e6, 2e6, 1e7].map(sentences => diskGigabytesOf({ sentences, dimension: 384 }))
    expect(bytes).toEqual([...new Set(bytes)].sort((a, b) => a - b))
    // The database of the bench is 5.9 GB, and its backup 2.2.
    expect(wider[0]).toBeGreaterThan(9 + 5.9 + 2 * 2.2)
  })
})

describe('what fits', () => {
  it('leaves no card to the V100, whatever its price', () => {
    const cheap = prices.map(one => (one.card?.name === 'V100' ? { ...one, onDemand: 0.001, spot: 0.0001 } : one))
    const rows = rowsOf(cheap, question())
    expect(rows[0]).toMatchObject({ card: 'V100 ×4', fits: false, why: 'no CUDA 13' })
    expect(cheapest(rows)?.card).not.toMatch('V100')
  })

  it('gives training a card of 32 GB and more, and development any', () => {
    const fitting = (workload: Question['workload']) =>
      new Set(rowsOf(prices, question({ workload, hoursPerMonth: 10 })).flatMap(row => (row.fits ? [row.card] : [])))
    expect(fitting('training')).toEqual(new Set(['A100 40', 'A100 40 ×8', 'A100 80', 'H100', 'H100 NVL']))
    expect(fitting('development')).toContain('T4')
    expect(fitting('development')).toContain('')
  })

  it('asks for the memory of the vector index', () => {
    const small = rowsOf(prices, question({ work: workOf(20_000_000) })).filter(row => row.instance === 'c7i.2xlarge')
    expect(small[0].why).toBe('memory is 16 GB of 38')
  })

  it('finds the fastest of those that fit, for a deadline that nothing meets', () => {
    const rows = rowsOf(prices, question({ deadline: 0.01 }))
    expect(cheapest(rows)).toBeUndefined()
    const best = fastest(rows)
    expect(rows.filter(row => row.fits).every(row => row.hours >= (best?.hours ?? Infinity))).toBe(true)
  })
})

describe('what comes out', () => {
  const cheapestWith = (model: string, hasCard: boolean) =>
    cheapest(rowsOf(prices, question({ work: workOf(2_000_000, model) })), row => (row.card !== '') === hasCard)

  it('is that a card is money thrown away for the table that ships, and saves some for a large transformer', () => {
    const [with_, without] = [cheapestWith('earnings-static-256', true), cheapestWith('earnings-static-256', false)]
    expect(without?.dollars).toBeLessThan(with_?.dollars ?? 0)
    expect(with_?.timing.steps.embed).toBeGreaterThan(0)
    expect(cheapestWith('all-mpnet-base-v2', true)?.dollars).toBeLessThan(
      cheapestWith('all-mpnet-base-v2', false)?.dollars ?? 0,
    )
    // The embedding itself is the same on a card's machine and on one without, of as many cores.
    const [t4, cores] = [machine('g4dn.2xlarge'), machine('c7i.2xlarge')]
    expect(timingOf(workOf(2_000_000), { cores: t4.vcpu, card: t4.card }).steps).toEqual(
      timingOf(workOf(2_000_000), { cores: cores.vcpu, card: undefined }).steps,
    )
  })

  it('is that one machine beats a container for each firm by a hundred times the hours', () => {
    const { one, many } = oneOrMany({ firms: 5000 }, timingOf(workOf(2_000_000), { cores: 8, card: undefined }), 0.2)
    expect(many.hours).toBeGreaterThan(5000 / 60)
    expect(many.dollars / one.dollars).toBeGreaterThan(100)
    expect(many.overhead).toBeGreaterThan(0.95)
    expect(one.overhead).toBeLessThan(0.5)
    // For one firm there is no fleet: the two differ by one container's minute and not more.
    const single = oneOrMany({ firms: 1 }, timingOf(workOf(400), { cores: 8, card: undefined }), 0.2)
    expect(single.many.hours - single.one.hours).toBeLessThan(60 / 3600)
  })

  it('is that a card that was measured counts for more than its data sheet', () => {
    const work = workOf(2_000_000, 'all-mpnet-base-v2')
    const t4 = machine('g4dn.2xlarge').card
    const cards = [{ name: 'Tesla T4', sentencesPerSecond: 100, last: new Date() }]
    const slow = timingOf(work, { cores: 8, card: t4 }, { ...UNMEASURED, cards })
    expect(slow.steps.embed).toBeCloseTo(2_000_000 / 100, -2) // and the cores' reading and writing
    const other = timingOf(work, { cores: 4, card: machine('g6.xlarge').card }, { ...UNMEASURED, cards })
    expect(other).toEqual(timingOf(work, { cores: 4, card: machine('g6.xlarge').card }))
    expect([slow.cardSpeed, other.cardSpeed]).toEqual(['measured', 'guessed'])
    for (const [model, card] of [
      ['earnings-static-256', t4],
      ['all-mpnet-base-v2', machine('p3.2xlarge').card],
      ['all-mpnet-base-v2', undefined],
    ] as const)
      expect(timingOf(workOf(2_000_000, model), { cores: 4, card }).cardSpeed).toBe('none')
    const nvl = { name: 'NVIDIA H100 NVL', sentencesPerSecond: 7, last: new Date() }
    expect(
      timingOf(work, { cores: 4, card: machine('NC40ads_H100_v5').card }, { ...UNMEASURED, cards: [nvl] }).steps.embed,
    ).toBeCloseTo(2_000_000 / 7, -2)
  })

  it('waits for a language model where it is asked, and not where it is not', () => {
    const asking = { requests: 5000, tokens: 35e6, concurrency: 8, requestsPerSecond: 8, tokensPerMinute: 2e6 }
    const work = workOf(2_000_000)
    const [without, with_] = [work, { ...work, asking }].map(one => timingOf(one, { cores: 8, card: undefined }))
    expect(with_.steps['name-topics'] - without.steps['name-topics']).toBeCloseTo((5000 * 10) / 8, 6)
    expect(with_.sideBySide).toBeGreaterThan((5000 * 10) / 8)
  })
})

describe('a month', () => {
  const month = (onDemand: number, hours: number, instances = 1, spot = 0) =>
    monthlyOf({ onDemand, spot, hours, instances })

  it('costs what the planning figures say', () => {
    const of = (name: string) => machine(name).onDemand
    expect(month(of('g4dn.xlarge'), 8 * 22, 2).onDemand).toBeCloseTo(185, 0)
    expect(month(of('p3.2xlarge'), 4 * 22).onDemand).toBeCloseTo(269, 0)
    expect(month(of('g4dn.2xlarge'), 720, 3).onDemand).toBeCloseTo(1624, 0)
    expect(month(of('g5.xlarge'), 720).onDemand).toBeCloseTo(724, 0)
    expect(month(of('g4dn.xlarge'), 720).onDemand).toBeCloseTo(379, 0)
    // A day a week at the price before June 2025; today's is a third less.
    expect(month(32.77, 24 * 4).onDemand).toBeCloseTo(3146, 0)
    expect(month(of('p4d.24xlarge'), 24 * 4).onDemand).toBeCloseTo(2108, 0)
    // $542 takes spot at .50 dollars an hour; the least of AWS's discounts, 50 %, makes it .503 and the month $543.
    expect(month(of('g5.xlarge'), 720, 1, 0.5).half).toBeCloseTo(542, 0)
    expect(month(of('g5.xlarge'), 720, 1, machine('g5.xlarge').spot).half).toBeCloseTo(543, 0)
  })

  it('reserved is 40 to 60 % off, of all hours', () => {
    expect(month(1, 720).reserved.map(Math.round)).toEqual([288, 432])
    expect(month(1, 10).reserved).toEqual(month(1, 720).reserved)
  })
})

describe('the defaults', () => {
  const row = (section: string, label: string) => {
    const text = benchmarks.slice(benchmarks.indexOf(section))
    const cells = text.split('\n').find(line => line.startsWith(`| ${label} |`))
    return (cells ?? '')
      .split('|')
      .slice(2, -1)
      .map(cell => Number(cell.replaceAll(',', '').trim()))
  }

  it('are the figures of docs/benchmarks.md', () => {
    for (const step of STEPS) {
      expect(row('### On a Postgres server', `\`${step}\``)[1]).toBe(BENCH.server.seconds[step])
      expect(row('### On the embedded database', `\`${step}\``)[0]).toBe(BENCH.embedded.seconds[step])
    }
    for (const what of ['sentences', 'topics'] as const) {
      expect(row('### On a Postgres server', what)).toEqual([BENCH.embedded[what], BENCH.server[what]])
    }
    expect(row('### On a Postgres server', '`aggregate`')[2]).toBe(1.48)
    for (const figure of ['| fp32 | quarterdeck | 487 |', '77,311 tokens (25.9 a sentence', 'computed 3.51'])
      expect(benchmarks).toContain(figure)
    expect(row('### The vector index', 'a Postgres server, indexed alone')[0]).toBe(13.1)
    expect(row('### The vector index', 'a Postgres server, indexed with 2 workers')[0]).toBe(8.2)
  })

  it('give the bench back its own quarter on its own cores', () => {
    const { sentences, topics, seconds } = BENCH.server
    const { steps } = timingOf({ ...workOf(sentences), topics }, { cores: 2, card: undefined })
    for (const step of STEPS) expect(steps[step]).toBeCloseTo(seconds[step], 6)
  })

  it('reckon with the arithmetic of docs/operations.md', () => {
    const [miniLM, base] = ['all-MiniLM-L6-v2', 'all-mpnet-base-v2'].map(name => embeddingOf(name))
    expect(miniLM.operations / 1e9).toBeCloseTo(0.57, 1)
    expect(base.operations / miniLM.operations).toBeCloseTo(8, 0)
    const t4 = machine('g4dn.xlarge').card
    if (t4 === undefined) throw new Error('the T4 is gone')
    // 2.3 minutes at the least for 2,000,000 sentences, at all that the card can do.
    const minutes = (0.4 * 2_000_000) / cardSpeed(miniLM, t4) / 60
    expect(minutes).toBeCloseTo(2.3, 1)
    // MiniLM on two cores alone.
    const alone = timingOf(workOf(100_000, 'all-MiniLM-L6-v2'), { cores: 2, card: undefined }).steps.embed
    const feeding = timingOf(workOf(100_000), { cores: 2, card: undefined }).steps.embed
    expect(100_000 / (alone - feeding)).toBeCloseTo(487, -1)
  })

  it('take the tokens of the README for names, or those of answers', () => {
    const readme = readFileSync(`${root}README.md`, 'utf8')
    expect(readme).toContain('some 23,899 tokens of questions and 8,880 of answers')
    expect(namingOf({ firms: 14, topics: 111 }, { topics: 0, promptTokens: 0, completionTokens: 0 })).toEqual({
      measured: false,
      promptTokens: 23_899,
      completionTokens: 8_880,
      requests: 14,
    })
    expect(namingOf({ firms: 1, topics: 60 }, { topics: 3, promptTokens: 30, completionTokens: 6 })).toEqual({
      measured: true,
      promptTokens: 600,
      completionTokens: 120,
      requests: 3,
    })
  })
})

describe('the table of prices', () => {
  it('has what bin/provision.mjs takes first', () => {
    const [{ instanceType, market }] = defaultChoices('us-east-1')
    expect({ instance: instanceType, market, provider: 'AWS' }).toEqual(FIRST_CHOICE)
    expect(machine(FIRST_CHOICE.instance).provider).toBe('AWS')
  })

  it('has the cards that were asked for at every cloud that has them, and machines without one', () => {
    const cards = (provider: string) =>
      new Set(prices.flatMap(one => (one.provider === provider ? [one.card?.name] : [])))
    expect(cards('AWS')).toEqual(new Set([undefined, 'T4', 'A10G', 'L4', 'V100', 'A100 40', 'H100']))
    expect(cards('Google')).toEqual(new Set([undefined, 'T4', 'L4', 'V100', 'A100 40']))
    expect(cards('Azure')).toEqual(new Set(['T4', 'V100', 'A100 80', 'H100 NVL']))
  })

  it('is whole: every row has a day, a source, a card that is described, and spot under on demand', () => {
    for (const one of prices) {
      expect(one.date).toMatch(/^20\d\d-\d\d-\d\d$/)
      expect(one.source.length).toBeGreaterThan(20)
      expect(one.cards > 0).toBe(one.card !== undefined)
      if (one.card !== undefined) expect(Object.values(one.card).every(value => value !== undefined)).toBe(true)
      expect(one.spot).toBeGreaterThan(0)
      expect(one.spot).toBeLessThan(one.onDemand)
    }
    expect(new Set(prices.map(one => `${one.provider} ${one.name}`)).size).toBe(prices.length)
  })

  it('says its age, and is old after 180 days', () => {
    const rows = [{ date: '2026-03-01' }, { date: '2026-01-01' }]
    const ages = ['2026-06-30', '2026-07-01'].map(day => ageOfPrices(rows, new Date(day)))
    expect(ages[0]).toEqual({ oldest: '2026-01-01', newest: '2026-03-01', days: 180, old: false })
    expect(ages[1]).toMatchObject({ days: 181, old: true })
  })
})

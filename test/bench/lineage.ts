// How often the rule of `lineage` tells the truth about made-up histories, beside the rule that other tools have: two themes are the
// same where the cosine of their centroids is high enough (BERTopic's merge_models, min_similarity .7).

import { compareThemes, type Evidence, followThemes } from '../../lib/math/lineage.ts'
import { type MadeQuarter, madeThemes } from '../made-histories.ts'

export type RuleRow = {
  /** Cosine of two subjects of one kin: a model whose cosines are all high brings them nearer. */
  kin: number
  rule: string
  /** Of the events that the histories were made from, those that were told. */
  recall: number
  /** Of the events that were told, those that are true. */
  precision: number
  /** Recall by kind of event. */
  byEvent: Record<string, number>
}

const HISTORIES = 200
const EVENTS = ['continued', 'split', 'merged', 'gone', 'new'] as const

/** Twelve themes and twelve events a history; two subjects of one kin lie near each other, but went different ways. */
function madeHistory(seed: number): { before: MadeQuarter; here: MadeQuarter; truth: string[] } {
  const subject = (i: number) => `b${seed}-${i}`
  const one = (topics: number, ...subjects: string[]) => ({ topics, subjects })
  const kin = (letter: string) => `${subject(5)}/${letter}`
  return {
    before: {
      c0: one(9, subject(0)),
      c1: one(12, subject(1)),
      c2: one(20, kin('a')),
      c3: one(14, kin('b')),
      p: one(24, `${subject(2)}/a`, `${subject(2)}/b`),
      m1: one(12, `${subject(3)}/a`),
      m2: one(12, `${subject(3)}/b`),
      g0: one(10, subject(4)),
      g1: one(10, kin('c')),
    },
    here: {
      c0: one(14, subject(0)),
      c1: one(10, subject(1)),
      c2: one(12, kin('a')),
      c3: one(16, kin('b')),
      p1: one(12, `${subject(2)}/a`),
      p2: one(12, `${subject(2)}/b`),
      m: one(24, `${subject(3)}/a`, `${subject(3)}/b`),
      n0: one(10, subject(6)),
      n1: one(10, kin('d')),
    },
    truth: [
      ...[0, 1, 2, 3].map(i => `continued c${i} c${i}`),
      'split p p1',
      'split p p2',
      'merged m1 m',
      'merged m2 m',
      'gone g0',
      'gone g1',
      'new n0',
      'new n1',
    ],
  }
}

function told(evidence: Evidence[][], before: string[], here: string[]): string[] {
  const name = (id: string) => id.split('/')[1]
  return followThemes(evidence, here.length).links.map(({ event, earlier, later }) => {
    const [from, to] = [name(before[earlier]), name(here[later])]
    return event === 'gone' ? `gone ${from}` : event === 'new' ? `new ${to}` : `${event} ${from} ${to}`
  })
}

/** The evidence that a rule of cosines alone has: above the threshold two themes are the same. */
function byCosine(evidence: Evidence[][], least: number): Evidence[][] {
  return evidence.map(row =>
    row.map(pair => ({ ...pair, topicsForward: pair.similarity >= least ? 1 : 0, topicsBack: 0 })),
  )
}

// How much of a subject is its own, beside its kin: cosines of 1 / (1 + .7²) and 1 / (1 + .4²) between two of one kin.
const OWN_WEIGHTS = [0.7, 0.4]

export function measureHistories(): RuleRow[] {
  return OWN_WEIGHTS.flatMap(measureRules)
}

function measureRules(ownWeight: number): RuleRow[] {
  const rules: { rule: string; apply: (evidence: Evidence[][]) => Evidence[][] }[] = [
    { rule: 'where the topics would belong (ours)', apply: evidence => evidence },
    ...[0.6, 0.7, 0.8, 0.9].map(least => ({
      rule: `cosine of centroids ≥ ${least}`,
      apply: (evidence: Evidence[][]) => byCosine(evidence, least),
    })),
  ]
  const histories = Array.from({ length: HISTORIES }, (_, seed) => {
    const { before, here, truth } = madeHistory(seed)
    const [earlier, later] = [madeThemes('2023Q1', before, ownWeight), madeThemes('2023Q2', here, ownWeight)]
    return { truth, earlier: earlier.themeIds, later: later.themeIds, evidence: compareThemes(earlier, later) }
  })
  return rules.map(({ rule, apply }) => {
    let [right, said, all] = [0, 0, 0]
    const found = Object.fromEntries(EVENTS.map(event => [event, [0, 0]]))
    for (const { truth, earlier, later, evidence } of histories) {
      const events = told(apply(evidence), earlier, later)
      said += events.length
      all += truth.length
      for (const one of truth) {
        const count = found[one.split(' ')[0]]
        count[1]++
        if (!events.includes(one)) continue
        count[0]++
        right++
      }
    }
    const byEvent = Object.fromEntries(Object.entries(found).map(([event, [hits, of]]) => [event, hits / of]))
    return { kin: 1 / (1 + ownWeight ** 2), rule, recall: right / all, precision: right / said, byEvent }
  })
}

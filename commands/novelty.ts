// novelty: what each firm says that it did not say in its call before. For each sentence the nearest one of the firm's latest
// earlier call, for each topic whether it is new to the firm. Compares in worker threads, firm by firm.
// How is lib/math/nearest-earlier; which call a firm is compared with, and what makes that outdated, is lib/db/novelty.

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { findFirm, requireQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { type BoundModel, boundModel, modelText } from '../lib/db/model-binding.ts'
import {
  type CallToCompare,
  callsToCompare,
  comparisons,
  type Earlier,
  earlierNotReady,
  type FirmNovelty,
  markOutdated,
  type NoveltyCounts,
  noveltyCounts,
  replaceNovelty,
  staleLater,
} from '../lib/db/novelty.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import { type Claim, failWork, finishTogether, openWork, requireEarlier, type Target } from '../lib/db/work.ts'
import { workInPortions } from '../lib/db/work-in-portions.ts'
import { messageOf, UserError } from '../lib/errors.ts'
import { FIRM, FORCE, JSON_OUTPUT, numberFlag, QUARTER, quarterFlag, switchFlag, textFlag } from '../lib/flags.ts'
import { count, duration, progress, say, thousands, warn } from '../lib/log.ts'
import type { Novelty, NoveltyJob } from '../lib/math/nearest-earlier.ts'
import { openPool, type Pool } from '../lib/pool.ts'
import { SHIPPED_MODEL } from '../lib/settings.ts'

/** Raised whenever a change of the code changes rows: what older code made then counts as stale. */
const METHOD = 1

// The cosine from which nine in ten pairs share six tenths of their words, figures aside, and at which nineteen in twenty of
// those that share eight tenths are found. Models differ: docs/method.md has how it was measured, and for which.
const REPEATED_FROM: Readonly<Record<string, number>> = { [SHIPPED_MODEL]: 0.85, 'all-MiniLM-L6-v2': 0.9 }
const REPEATED_FROM_OTHERS = 0.9

export const command: Command = {
  verb: 'novelty',
  summary: "Compare each firm's sentences and topics with its call before",
  about:
    "Finds for each sentence the nearest one of the same firm's latest earlier quarter in the database, marks it as repeated " +
    'where the two are so near that the firm says the same again, be it with other figures, and says of each topic whether ' +
    'it is new to the firm. A firm without an earlier call gets no rows. Looks back only: other quarters stay as they are, ' +
    'and where an earlier quarter came, went or changed, the firms that look back at it are done again.',
  flags: [
    QUARTER,
    FIRM,
    FORCE,
    {
      name: 'repeated-from',
      value: 'COSINE',
      summary: 'A sentence as near as this to an earlier one is repeated',
      default: `${REPEATED_FROM[SHIPPED_MODEL]} with ${SHIPPED_MODEL}, ${REPEATED_FROM_OTHERS} with others`,
    },
    JSON_OUTPUT,
  ],
  examples: ['novelty --quarter 2016Q4', 'novelty --quarter 2016Q4 --firm MU --force'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    const wantedFirm = textFlag(flags, 'firm')
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const firmId = wantedFirm === undefined ? undefined : await findFirm(sql, quarter, wantedFirm)
      const model = await modelOf(sql, quarter)
      const measured = REPEATED_FROM[model.name]
      const repeatedFrom = numberFlag(flags, 'repeated-from', measured ?? REPEATED_FROM_OTHERS, -1, 1)
      if (measured === undefined && textFlag(flags, 'repeated-from') === undefined)
        say(
          `novelty: sentences count as repeated from ${repeatedFrom} on; not measured for ${model.name} (--repeated-from)`,
        )
      const force = switchFlag(flags, 'force')
      const { done } = await recorded(
        sql,
        {
          command: 'novelty',
          quarter,
          options: { repeatedFrom, method: METHOD, firm: firmId ?? null, force, ...placeOf(settings) },
          codeVersion: codeVersion(),
          model: modelText(model),
        },
        async () => {
          const done = await compareFirms(sql, { quarter, firmId, force, repeatedFrom, threads: settings.threads })
          const { firms, failed, compared, sentences, repeated, topics, newTopics } = done
          return { done, counts: { firms, failed: failed.length, compared, sentences, repeated, topics, newTopics } }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify(done))
      if (done.failed.length > 0 && (done.firms === 0 || firmId !== undefined))
        throw new UserError(
          `novelty failed for ${count(done.failed.length, 'firm')}: ${done.failed[0].reason}`,
          `quarterdeck status --quarter ${quarter}`,
        )
    })
  },
}

async function modelOf(sql: Database, quarter: string): Promise<BoundModel> {
  const bound = await boundModel(sql)
  if (bound !== undefined) return bound
  throw new UserError('the database has no embeddings yet', `quarterdeck embed --quarter ${quarter}`)
}

export type NoveltyOptions = {
  quarter: string
  firmId?: string | undefined
  force?: boolean
  /** Cosine from which a sentence counts as repeated; that of the shipped model unless given. */
  repeatedFrom?: number
  threads: number
}

/** Firms compared in this run, and those it could not do. */
type Outcome = { firms: number; failed: { firm: string; reason: string }[] }

/** The counts are of the quarter, or the firm, after this run; `later` has quarters to be compared anew. */
export type NoveltyResult = {
  quarter: string
  seconds: number
  later: { quarter: string; firms: number }[]
} & Outcome &
  NoveltyCounts

/** Compares the firms of a quarter, or one of them, that have work left. */
export async function compareFirms(sql: Database, options: NoveltyOptions): Promise<NoveltyResult> {
  const start = performance.now()
  const { quarter, firmId, force = false, repeatedFrom = REPEATED_FROM[SHIPPED_MODEL], threads } = options
  const target: Target = { quarter, firmId }
  const recipeOf = (earlier: Earlier | null) => JSON.stringify({ method: METHOD, repeatedFrom, earlier })
  await requireEarlier(sql, 'novelty', target)
  const outcome: Outcome = { firms: 0, failed: [] }
  // Again while that does something: an earlier call that was made anew while it was read leaves its firm outdated. Firms
  // whose topics failed stay open, and are nobody's to wait for.
  for (let round = 1, before = -1; outcome.firms > before && outcome.failed.length === 0; round++) {
    before = outcome.firms
    await markOutdated(sql, target, recipeOf)
    const { todo } = await openWork(sql, 'novelty', target, null, force && round === 1)
    if (todo === 0) break
    await compareAll(sql, { target, recipeOf, repeatedFrom, threads: Math.min(threads, todo), todo }, outcome)
  }
  for (const open of await earlierNotReady(sql, target))
    warn(
      `novelty ${quarter}: ${count(open.firms, 'firm')} would be compared with ${open.quarter}, where their topics are not made ` +
        `yet: make quarter Q=${open.quarter}, then novelty of ${quarter} again`,
    )
  const counts = await noveltyCounts(sql, target)
  const later = await staleLater(sql, quarter)
  const seconds = (performance.now() - start) / 1000
  const did = outcome.firms + outcome.failed.length > 0
  say(
    `novelty ${quarter}: ${did ? `${count(outcome.firms, 'firm')} in ${duration(seconds)}` : 'nothing left to do'}; ${found(counts)}`,
  )
  for (const one of later)
    say(
      `novelty: ${count(one.firms, 'firm')} of ${one.quarter} to compare again: quarterdeck novelty --quarter ${one.quarter}`,
    )
  return { quarter, ...outcome, ...counts, later, seconds }
}

function found(counts: NoveltyCounts): string {
  if (counts.compared === 0) return 'no firm has an earlier call in the database'
  const share = (part: number, all: number) => `${((100 * part) / Math.max(1, all)).toFixed(0)} %`
  const alone = counts.alone > 0 ? `, ${thousands(counts.alone)} without an earlier call` : ''
  return (
    `${count(counts.compared, 'firm')} compared with ${counts.earlierQuarters.join(', ')}${alone}; ` +
    `${share(counts.repeated, counts.sentences)} of ${count(counts.sentences, 'sentence')} repeated, ` +
    `${thousands(counts.newTopics)} of ${count(counts.topics, 'topic')} new`
  )
}

type Plan = {
  target: Target
  recipeOf: (earlier: Earlier | null) => string
  repeatedFrom: number
  threads: number
  todo: number
}

type Item = {
  claim: Claim
  units: number
  earlier: Earlier | null
  call: CallToCompare
  before: CallToCompare | undefined
}

/** Compares what is left; adds to the outcome what became of each firm. */
async function compareAll(sql: Database, plan: Plan, outcome: Outcome): Promise<void> {
  const { target, recipeOf, repeatedFrom, threads, todo } = plan
  const { quarter } = target
  const { dimension: d } = await modelOf(sql, quarter)
  const module = new URL('../lib/math/nearest-earlier.ts', import.meta.url)
  let opened: Pool<NoveltyJob, Novelty> | undefined
  const bar = progress(`novelty ${quarter}`, todo, 'firms')
  try {
    // One firm more than threads, so that a thread that is done finds the next one waiting.
    await workInPortions(sql, 'novelty', target, () => ({ firms: threads + 1, units: Infinity }), {
      read: claims => readItems(sql, quarter, claims, d),
      async compute({ claim, earlier, call, before }: Item) {
        const nothing = { ...claim, earlier, earlierQuarter: null, sentences: [], topics: [] }
        if (before === undefined || earlier === null || before.vectors.n === 0) return nothing
        try {
          opened ??= openPool(module, 'noveltyOfCall', threads) // not for a first quarter, where no firm has a call before
          const found = await opened.run({ d, call: call.vectors, earlier: before.vectors })
          return { ...claim, earlier, ...rowsOf(claim.firmId, earlier.quarter, call, before, found, repeatedFrom) }
        } catch (error) {
          const reason = messageOf(error)
          bar.step()
          if (!(await failWork(sql, claim, reason))) return undefined // its topics changed under our hands: no failure
          warn(`novelty could not do ${claim.firmId} ${quarter}: ${reason}`)
          outcome.failed.push({ firm: claim.firmId, reason })
          return undefined
        }
      },
      async save(results) {
        const kept = await finishTogether(
          sql,
          results,
          one => recipeOf(one.earlier),
          (tx, ours) => replaceNovelty(tx, quarter, ours),
        )
        outcome.firms += kept.length
        bar.step(results.length) // what another process has taken over is done as well
      },
    })
  } finally {
    bar.end()
    await opened?.close()
  }
}

async function readItems(sql: Database, quarter: string, claims: readonly Claim[], d: number): Promise<Item[]> {
  const firmIds = claims.map(claim => claim.firmId)
  // Before what is compared: if that changes while it is read, what is remembered is outdated, and is done again.
  const earlierOf = await comparisons(sql, { quarter }, firmIds)
  const calls = await callsToCompare(sql, quarter, firmIds, d)
  const before = new Map<string, CallToCompare>()
  for (const one of new Set([...earlierOf.values()].map(earlier => earlier?.quarter))) {
    if (one === undefined) continue
    const theirs = firmIds.filter(firmId => earlierOf.get(firmId)?.quarter === one)
    for (const [firmId, call] of await callsToCompare(sql, one, theirs, d)) before.set(firmId, call)
  }
  return claims.flatMap(claim => {
    const call = calls.get(claim.firmId)
    const earlier = earlierOf.get(claim.firmId) ?? null
    return call === undefined ? [] : [{ claim, units: claim.units, earlier, call, before: before.get(claim.firmId) }]
  })
}

function rowsOf(
  firmId: string,
  earlierQuarter: string,
  call: CallToCompare,
  before: CallToCompare,
  { sentences: { indices, similarities }, topics }: Novelty,
  repeatedFrom: number,
): FirmNovelty {
  const least = Math.fround(repeatedFrom) // as the table keeps the similarity
  return {
    firmId,
    earlierQuarter,
    sentences: call.sentenceIds.map((sentenceId, i) => ({
      sentenceId,
      nearestSentenceId: before.sentenceIds[indices[i]],
      similarity: similarities[i],
      repeated: similarities[i] >= least,
    })),
    topics: topics.map(({ nearest, ...topic }, i) => ({
      topicId: call.topicIds[i],
      nearestTopicId: nearest === null ? null : before.topicIds[nearest],
      ...topic,
    })),
  }
}

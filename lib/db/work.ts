// What is done, what is left, and who has it in hand: the table `work`.
//
// A process never holds a lock while it computes. It takes a lease (one statement), computes, and finishes in one
// transaction that is fenced by the attempt number: if somebody else has taken over meanwhile, nothing is written.
// So any number of processes share a quarter, and a killed one costs no more than the firms it had in hand.

import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { beforeLeaving, finishedBeforeLeaving, isLeaving, pause, stopIfLeaving } from '../leaving.ts'
import { say } from '../log.ts'
import { mayBeAlive, workerName } from '../worker-name.ts'
import type { Database, Queries } from './connect.ts'
import { type Follower, LOOK_AGAIN_MILLISECONDS, openFollower } from './follow.ts'
import { transaction } from './transaction.ts'

/** The steps in pipeline order. */
export const STAGES = [
  'ingest',
  'embed',
  'cluster-firm',
  'name-topics',
  'aggregate',
  'index',
  'novelty',
  'lineage',
] as const
export type Stage = (typeof STAGES)[number]

/** Stands for all firms of a quarter, where a step does the whole quarter at once. */
export const ALL_FIRMS = '*'
const WHOLE_QUARTER = [{ firmId: ALL_FIRMS, units: 0 }]

/** What each step builds on, in pipeline order. */
const BEFORE: Record<Stage, readonly Stage[]> = {
  ingest: [],
  embed: ['ingest'],
  'cluster-firm': ['ingest', 'embed'],
  'name-topics': ['ingest', 'embed', 'cluster-firm'],
  aggregate: ['ingest', 'embed', 'cluster-firm', 'name-topics'],
  index: ['ingest', 'embed'], // themes may still be missing: it needs the embeddings only
  novelty: ['ingest', 'embed', 'cluster-firm'],
  lineage: ['ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate'],
}
/** Steps whose unit is the firm-quarter; the others do the whole quarter. */
const FIRM_STAGES: readonly Stage[] = ['embed', 'cluster-firm', 'name-topics', 'novelty']
const QUARTER_STAGES: readonly Stage[] = ['aggregate', 'index', 'lineage']
/** What is to be done again when a step was: steps of the firms, and of the whole quarter. */
const FIRM_STAGES_AFTER: Partial<Record<Stage, readonly Stage[]>> = {
  embed: ['cluster-firm', 'name-topics', 'novelty'],
  'cluster-firm': ['name-topics', 'novelty'],
}
// The vector index covers embeddings only: new names or themes leave it as it is.
const QUARTER_STAGES_AFTER: Partial<Record<Stage, readonly Stage[]>> = {
  embed: ['aggregate', 'index', 'lineage'],
  'cluster-firm': ['aggregate', 'lineage'],
  'name-topics': ['aggregate', 'lineage'],
  aggregate: ['lineage'],
}
/** After these a firm's next call is to be compared with other embeddings or topics. */
const CALLS_CHANGE: readonly Stage[] = ['embed', 'cluster-firm']

// Long enough for a pause of the machine, short enough that a vanished spot instance's firms are soon taken over.
const LEASE_SECONDS = 60
// A worker renews its leases this often: three chances before one runs out.
const RENEW_SECONDS = 20

/** Of the steps before one whose unit is the firm-quarter those that have the same unit; none before the others. */
function firmStagesBefore(stage: Stage): readonly Stage[] {
  return FIRM_STAGES.includes(stage) ? BEFORE[stage].filter(one => FIRM_STAGES.includes(one)) : []
}

export type Claim = { stage: Stage; quarter: string; firmId: string; attempt: number; units: number }
export type Target = { quarter: string; firmId?: string | undefined }

/** Says that a firm of a quarter has new sentences: everything after `ingest` is to be done (again). */
export async function firmChanged(tx: Queries, quarter: string, firmId: string, units: number): Promise<void> {
  for (const stage of FIRM_STAGES) await makeStale(tx, stage, quarter, [{ firmId, units }])
  // With the stages named it is a look-up by key; without, a scan of all work for each call that is loaded.
  await tx`
    update work set units = ${units}
    where stage = any(${[...FIRM_STAGES]}) and quarter = ${quarter} and firm_id = ${firmId}`
  for (const stage of QUARTER_STAGES) await makeStale(tx, stage, quarter, WHOLE_QUARTER)
  await callsChanged(tx, quarter, [firmId])
}

/**
 * Says that calls of firms are others, or gone: what was compared with them, or would be from now on, is to be compared
 * again. Of each firm that is its next call, whose recipe says which quarter it looked back at. It is read as text, since a
 * cast may be tried on recipes of other steps before these are left out.
 */
export async function callsChanged(tx: Queries, quarter: string, firmIds: readonly string[]): Promise<void> {
  // By way of the firm's calls, which have an index: else it is a scan of all later work for each call that is loaded.
  await tx`
    update work set state = 'stale'
    from (select distinct quarter, firm_id from calls where firm_id = any(${[...firmIds]}) and quarter > ${quarter}) as later
    where work.stage = 'novelty' and work.quarter = later.quarter and work.firm_id = later.firm_id and work.state = 'done'
      and coalesce(substring(work.recipe from '"quarter":"([0-9Q]+)"'), '') <= ${quarter}`
}

/**
 * Says that some firms' talk marks, or what is known of the words of the quarter (no firms given), have changed: the
 * clustering, and what follows from it, is to be done again.
 */
export async function talkChanged(tx: Queries, quarter: string, firmIds?: readonly string[]): Promise<void> {
  const firms = firmIds === undefined ? null : [...firmIds]
  await tx`
    update work
    set state = case state when 'done' then 'stale' else state end,
        attempt = attempt + 1, lease_by = null, lease_until = null
    where quarter = ${quarter} and stage in ('cluster-firm', 'name-topics', 'novelty')
      and (${firms}::text[] is null or firm_id = any(${firms}::text[]))`
  for (const stage of ['aggregate', 'lineage'] as const) await makeStale(tx, stage, quarter, WHOLE_QUARTER)
}

/** Says that the quarter has no vector index any more. */
export async function indexDropped(tx: Queries, quarter: string): Promise<void> {
  await makeStale(tx, 'index', quarter, WHOLE_QUARTER)
}

/** Says that the themes of a quarter are others, or gone: what later quarters say of where theirs come from is to be said again. */
export async function themesChanged(tx: Queries, quarter: string): Promise<void> {
  await tx`
    update work
    set state = case state when 'done' then 'stale' else state end,
        attempt = attempt + 1, lease_by = null, lease_until = null
    where stage = 'lineage' and quarter > ${quarter}`
}

/** Says that nothing compares the quarter with earlier ones yet, nor later ones with it. */
export async function comparisonsToDo(tx: Queries, quarter: string): Promise<void> {
  await tx`delete from work where quarter = ${quarter} and stage in ('novelty', 'lineage')`
  await tx`
    insert into work (stage, quarter, firm_id, units)
    select case stage when 'cluster-firm' then 'novelty' else 'lineage' end, quarter, firm_id, units
    from work where quarter = ${quarter} and stage in ('cluster-firm', 'aggregate')`
  const firms = await tx<{ firmId: string }[]>`
    select distinct firm_id as "firmId" from calls where quarter = ${quarter}`
  const firmIds = firms.map(firm => firm.firmId)
  await callsChanged(tx, quarter, firmIds)
}

/** Says that the quarter's sentences changed, so that marking talk has to look at the whole quarter again. */
export async function quarterChanged(tx: Queries, quarter: string): Promise<void> {
  await makeStale(tx, 'ingest', quarter, WHOLE_QUARTER)
}

// A new row is pending; one that was done is stale; a lease on it is void, since its input has changed.
async function makeStale(
  tx: Queries,
  stage: Stage,
  quarter: string,
  firms: readonly { firmId: string; units: number }[],
): Promise<void> {
  await tx`
    insert into work (stage, quarter, firm_id, units)
    select ${stage}, ${quarter}, * from unnest(${firms.map(one => one.firmId)}::text[], ${firms.map(one => one.units)}::int[])
    on conflict (stage, quarter, firm_id) do update
    set state = case work.state when 'done' then 'stale' when 'failed' then 'pending' else work.state end,
        attempt = work.attempt + 1, lease_by = null, lease_until = null, error = null`
}

/**
 * Prepares a run of a step: frees what dead processes of this machine hold, gives failed firms another chance, and
 * takes back what was done with another recipe, or all of it (`force`). Returns how much there is to do, and in all.
 * Recipe null: whatever it was done with is good enough. `alsoGood`: so is a recipe that is like this (SQL's `like`).
 */
export async function openWork(
  sql: Database,
  stage: Stage,
  target: Target,
  recipe: string | null,
  force: boolean,
  alsoGood: string | null = null,
): Promise<{ todo: number; units: number; allUnits: number; otherRecipe: number }> {
  await freeDeadLeases(sql)
  return await transaction(sql, async tx => {
    const ours = tx`stage = ${stage} and quarter = ${target.quarter} and (${target.firmId ?? null}::text is null or firm_id = ${target.firmId ?? null})`
    await tx`update work set state = 'pending', error = null where ${ours} and state = 'failed'`
    const { count: otherRecipe } = await tx`
      update work set state = 'stale' where ${ours} and state = 'done'
        and recipe <> ${recipe}::text and (${alsoGood}::text is null or recipe not like ${alsoGood})`
    if (force) await tx`update work set state = 'stale' where ${ours} and state = 'done'`
    // What it is to be done with now: whoever goes on after a kill finds it here, were nothing done yet (recipesOf).
    await tx`update work set recipe = ${recipe} where ${ours} and state <> 'done' and recipe <> ${recipe}::text`
    const [sums] = await tx<{ todo: number; units: number; allUnits: number }[]>`
      select
        count(*) filter (where state in ('pending', 'stale'))::int as todo,
        coalesce(sum(units) filter (where state in ('pending', 'stale')), 0)::int as units,
        coalesce(sum(units), 0)::int as "allUnits"
      from work where ${ours}`
    return { ...sums, otherRecipe }
  })
}

/**
 * With which recipes a quarter's firms were done, most firms first; where none stands, with which they were, or were to be, done.
 * Empty where nobody has tried.
 */
export async function recipesOf(
  sql: Queries,
  stage: Stage,
  quarter: string,
): Promise<{ recipe: string; firms: number }[]> {
  const rows = await sql<{ recipe: string; firms: number; stand: boolean }[]>`
    select recipe, count(*)::int as firms, state = 'done' as stand from work
    where stage = ${stage} and quarter = ${quarter} and recipe <> ''
    group by recipe, state = 'done'
    order by state = 'done' desc, count(*) desc, recipe`
  return rows.filter(row => row.stand === rows[0].stand).map(({ recipe, firms }) => ({ recipe, firms }))
}

/** The firms that a run of a step would do, as `openWork` counts them, without preparing anything. */
export async function workLeft(
  sql: Queries,
  stage: Stage,
  target: Target,
  recipe: string,
  force: boolean,
): Promise<string[]> {
  const rows = await sql<{ firmId: string }[]>`
    select firm_id as "firmId" from work
    where stage = ${stage} and quarter = ${target.quarter}
      and (${target.firmId ?? null}::text is null or firm_id = ${target.firmId ?? null})
      and (${force} or state <> 'done' or recipe <> ${recipe})
    order by units desc, firm_id`
  return rows.map(row => row.firmId)
}

async function freeDeadLeases(sql: Database): Promise<void> {
  const holders = await sql<{ worker: string }[]>`
    select distinct lease_by as worker from work where lease_by is not null`
  const dead = holders.map(row => row.worker).filter(worker => !mayBeAlive(worker))
  if (dead.length > 0) await sql`update work set lease_by = null, lease_until = null where lease_by = any(${dead})`
}

/** How much is claimed at once: so many firm-quarters at most, and none more once they hold so many units. */
export type Portion = { firms: number; units: number }
const ONE_FIRM: Portion = { firms: 1, units: 1 }

/** Takes the largest firm-quarter that is free and whose step before is done; undefined when there is none. */
export async function claimWork(sql: Database, stage: Stage, target: Target): Promise<Claim | undefined> {
  const [claim] = await claimPortion(sql, stage, target, ONE_FIRM)
  return claim
}

/** The same for a portion of them, largest first; empty when there is none, or when this process is to leave. */
export async function claimPortion(sql: Database, stage: Stage, target: Target, portion: Portion): Promise<Claim[]> {
  if (isLeaving()) return []
  const claims = claimFree(sql, stage, target, portion)
  underWay = Promise.allSettled([underWay, claims])
  return await claims
}

// Claims that the database has not answered yet: whoever gives everything back waits for them.
let underWay: Promise<unknown> = Promise.resolve()

async function claimFree(sql: Database, stage: Stage, target: Target, portion: Portion): Promise<Claim[]> {
  const before = firmStagesBefore(stage).at(-1) ?? null
  // A common table expression that locks is run once; a subquery may be run again for each row, and lock more.
  const claims = await sql<Claim[]>`
    with free as (
      select stage, quarter, firm_id, units
      from work candidate
      where stage = ${stage}
        and quarter = ${target.quarter}
        and (${target.firmId ?? null}::text is null or firm_id = ${target.firmId ?? null})
        and state in ('pending', 'stale')
        and (lease_until is null or lease_until < now())
        -- One look-up by key for each that is looked at; with exists, all work of all quarters was read at every claim.
        and (${before}::text is null or (
          select earlier.state from work earlier
          where earlier.stage = ${before} and earlier.quarter = candidate.quarter
            and earlier.firm_id = candidate.firm_id) = 'done')
      order by units desc, firm_id
      limit ${portion.firms}
      for update skip locked
    ), counted as (
      select *, sum(units) over (order by units desc, firm_id) - units as units_before from free
    )
    update work
    set lease_by = ${workerName},
        lease_until = now() + make_interval(secs => ${LEASE_SECONDS}),
        attempt = attempt + 1
    from counted
    where (work.stage, work.quarter, work.firm_id) = (counted.stage, counted.quarter, counted.firm_id)
      and counted.units_before < ${portion.units}
    returning work.stage, work.quarter, work.firm_id as "firmId", work.attempt, work.units`
  return claims.sort((a, b) => b.units - a.units || (a.firmId < b.firmId ? -1 : 1))
}

/**
 * Finishes a claim: in one transaction checks the fence, lets `write` delete and write the rows, and makes the later
 * steps stale. Returns false, with nothing written, when the work was taken over.
 */
export async function finishWork(
  sql: Database,
  claim: Claim,
  recipe: string,
  write: (tx: Queries) => Promise<void>,
): Promise<boolean> {
  const kept = await finishTogether(sql, [claim], recipe, tx => write(tx))
  return kept.length > 0
}

/**
 * The same for several claims of one step and quarter in one transaction: the fence is checked for each, and `write`
 * gets those that have not been taken over. Returns them. The recipe is one for all, or the claim's own.
 */
export async function finishTogether<Done extends Claim>(
  sql: Database,
  claims: readonly Done[],
  recipe: string | ((claim: Done) => string),
  write: (tx: Queries, kept: readonly Done[]) => Promise<void>,
): Promise<Done[]> {
  const [first] = claims
  if (first === undefined) return []
  const { stage, quarter } = first
  const recipes = claims.map(claim => (typeof recipe === 'string' ? recipe : recipe(claim)))
  return await transaction(sql, async tx => {
    const fenced = await tx<{ firmId: string }[]>`
      update work
      set state = 'done', recipe = claim.recipe, lease_by = null, lease_until = null, error = null
      from unnest(${claims.map(one => one.firmId)}::text[], ${claims.map(one => one.attempt)}::int[], ${recipes}::text[])
        as claim (firm_id, attempt, recipe)
      where stage = ${stage} and quarter = ${quarter} and work.firm_id = claim.firm_id
        and work.attempt = claim.attempt and lease_by = ${workerName} and state in ('pending', 'stale')
      returning work.firm_id as "firmId"`
    const ours = new Set(fenced.map(row => row.firmId))
    const kept = claims.filter(claim => ours.has(claim.firmId))
    if (kept.length === 0) return kept
    if (CALLS_CHANGE.includes(stage)) {
      const firmIds = kept.map(claim => claim.firmId)
      await callsChanged(tx, quarter, firmIds) // before their rows, as `novelty` locks them
    }
    await write(tx, kept)
    for (const later of FIRM_STAGES_AFTER[stage] ?? []) await makeStale(tx, later, quarter, kept)
    for (const later of QUARTER_STAGES_AFTER[stage] ?? []) await makeStale(tx, later, quarter, WHOLE_QUARTER)
    if (stage === 'aggregate') await themesChanged(tx, quarter)
    return kept
  })
}

/**
 * Gives a claim back without a result; the error stands in `work` and the next run tries again. False, with nothing
 * written, when the work was taken over.
 */
export async function failWork(sql: Database, claim: Claim, error: string): Promise<boolean> {
  const { count } = await sql`
    update work set state = 'failed', error = ${error}, lease_by = null, lease_until = null
    where stage = ${claim.stage} and quarter = ${claim.quarter} and firm_id = ${claim.firmId}
      and attempt = ${claim.attempt}`
  return count > 0
}

export type Standing = {
  stage: Stage
  firms: number
  done: number
  pending: number
  stale: number
  failed: number
  /** Of those done, how many only for now: with names by keywords where a model was to give them. */
  forNow: number
}

/** The recipe, as JSON, of what is done only for now: another one than its own, so that the next run does it again. */
export function recipeForNow(recipe: object): string {
  return JSON.stringify({ ...recipe, unfinished: true })
}

/** How a quarter stands, step by step. */
export async function standingOf(sql: Queries, quarter: string): Promise<Standing[]> {
  const rows = await sql<Standing[]>`
    select stage, count(*)::int as firms,
      count(*) filter (where state = 'done')::int as done,
      count(*) filter (where state = 'pending')::int as pending,
      count(*) filter (where state = 'stale')::int as stale,
      count(*) filter (where state = 'failed')::int as failed,
      count(*) filter (where state = 'done' and recipe like '%"unfinished":true}')::int as "forNow"
    from work where quarter = ${quarter} group by stage`
  return STAGES.flatMap(stage => rows.filter(row => row.stage === stage))
}

/** Work of a step that other processes have in hand: wait for it, or take it when its lease runs out. */
async function heldByOthers(sql: Queries, stage: Stage, target: Target): Promise<{ firms: number; workers: string[] }> {
  const [row] = await sql<{ firms: number; workers: string[] }[]>`
    select count(*)::int as firms, coalesce(array_agg(distinct lease_by), '{}') as workers
    from work
    where stage = ${stage} and quarter = ${target.quarter} and state in ('pending', 'stale')
      and (${target.firmId ?? null}::text is null or firm_id = ${target.firmId ?? null})
      and lease_until >= now() and lease_by <> ${workerName}`
  return row
}

export type Hand = { stage: Stage; firmId: string; worker: string; secondsLeft: number }

/** Who has what in hand; a process of this machine that is gone has nothing. */
export async function workInHand(sql: Queries, quarter: string): Promise<Hand[]> {
  const hands = await sql<Hand[]>`
    select stage, firm_id as "firmId", lease_by as worker,
      extract(epoch from lease_until - now())::int as "secondsLeft"
    from work
    where quarter = ${quarter} and lease_until >= now() and state in ('pending', 'stale')
    order by stage, firm_id`
  return hands.filter(hand => mayBeAlive(hand.worker))
}

/** What failed, and why. */
export async function failures(
  sql: Queries,
  quarter: string,
): Promise<{ stage: Stage; firmId: string; error: string }[]> {
  return await sql<{ stage: Stage; firmId: string; error: string }[]>`
    select stage, firm_id as "firmId", error from work
    where quarter = ${quarter} and state = 'failed' order by stage, firm_id`
}

/**
 * Refuses to go on while an earlier step has work left for the quarter (or the firm). A firm that failed does not hold
 * up the others: it was reported, stands in `status`, and is tried again by the next run of its step. With `follow` it is
 * only `ingest` that has to be complete, because what the other steps have left comes while this one runs.
 */
export async function requireEarlier(sql: Queries, stage: Stage, target: Target, follow = false): Promise<void> {
  const earlier = BEFORE[stage].filter(one => !follow || !FIRM_STAGES.includes(one))
  const [open] = await sql<{ stage: Stage; firms: number; all: number }[]>`
    select stage,
      count(*) filter (where state in ('pending', 'stale'))::int as firms,
      count(*)::int as all
    from work
    where quarter = ${target.quarter} and stage = any(${[...earlier]})
      and (${target.firmId ?? null}::text is null or firm_id in (${target.firmId ?? null}, ${ALL_FIRMS}))
      and firm_id <> all (array(select firm_id from work where quarter = ${target.quarter} and state = 'failed'))
    group by stage
    having count(*) filter (where state in ('pending', 'stale')) > 0
    order by array_position(${[...STAGES]}, stage)
    limit 1`
  if (open)
    throw new UserError(
      `${stage} of ${target.quarter} needs ${open.stage} first: ${open.firms} of ${open.all} left to do`,
      `quarterdeck ${open.stage} --quarter ${target.quarter}`,
    )
}

/**
 * Keeps this process's leases of a step alive, until released: then what it has not finished is free for others. Leaving in
 * the middle releases them too.
 */
export function keepLeases(sql: Database, stage: Stage): { release(): Promise<void> } {
  const ours = () => sql`stage = ${stage} and lease_by = ${workerName}`
  const timer = setInterval(() => {
    // A renewal that fails costs nothing yet: the fence decides at the end, and a lost database is noticed by the work.
    sql`
      update work set lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      where ${ours()} and lease_until < now() + make_interval(secs => ${LEASE_SECONDS})`.catch(() => {})
  }, RENEW_SECONDS * 1000)
  async function release(): Promise<void> {
    clearInterval(timer)
    await underWay // on another connection it may come after the release
    // After an error the connection may be gone; then the lease runs out, or the next process sees that we are dead.
    await sql`update work set lease_by = null, lease_until = null where ${ours()}`.catch(() => {})
  }
  const leaving = beforeLeaving(release)
  return {
    async release() {
      leaving.forget()
      await release()
    },
  }
}

/** Follows the steps before one that runs beside them. */
export function followerOf(sql: Queries, stage: Stage, target: Target): Follower {
  return openFollower(sql, stage, firmStagesBefore(stage), target)
}

/**
 * The next claim of a step, waiting while other processes have all that is left in hand: theirs may come free. With a
 * follower it waits for the steps before, too. Undefined when nothing is left.
 */
export async function nextClaim(
  sql: Database,
  stage: Stage,
  target: Target,
  follower?: Follower,
): Promise<Claim | undefined> {
  const [claim] = await nextPortion(sql, stage, target, ONE_FIRM, follower)
  return claim
}

/** The same for a portion; empty when nothing is left. Throws where the process is to leave: then there may be more. */
export async function nextPortion(
  sql: Database,
  stage: Stage,
  target: Target,
  portion: Portion,
  follower?: Follower,
): Promise<Claim[]> {
  let said = false
  let mayGetMore = follower !== undefined
  for (;;) {
    const claims = await claimPortion(sql, stage, target, portion)
    if (claims.length > 0) {
      follower?.gotSome()
      return claims
    }
    stopIfLeaving() // nothing is left of what this process had, and it does not wait for others
    if (mayGetMore) {
      // Asked before the last claim, not after it: what became ready in between would be left behind.
      mayGetMore = (await follower?.mayGetMore()) ?? false
      if (mayGetMore) await pause(LOOK_AGAIN_MILLISECONDS)
      continue
    }
    const held = await heldByOthers(sql, stage, target)
    if (held.firms === 0) return []
    if (!said) say(`${stage}: waiting for ${held.workers.join(', ')}`)
    said = true
    await pause(500) // often enough that nobody notices, rare enough to cost nothing
    mayGetMore = follower !== undefined
  }
}

/** Waits for what is in hand, but not long: more may be ready for a follower. */
export async function orSoon(inHand: Promise<unknown>): Promise<void> {
  await Promise.race([inHand, sleep(LOOK_AGAIN_MILLISECONDS, undefined, { ref: false })])
}

/**
 * Calls `handle` for every claim of a step, at most `atOnce` of them at a time, until nothing is left; with `follow` until
 * the steps before have nothing left either.
 */
export async function workThrough(
  sql: Database,
  stage: Stage,
  target: Target,
  atOnce: number,
  handle: (claim: Claim) => Promise<void>,
  follow = false,
): Promise<void> {
  const leases = keepLeases(sql, stage)
  const follower = follow ? followerOf(sql, stage, target) : undefined
  const inHand = new Set<Promise<void>>()
  async function claimAndHandle(): Promise<void> {
    for (;;) {
      if (inHand.size >= atOnce) await Promise.race(inHand)
      // With something in hand there is no waiting for others: finish that first.
      const isIdle = inHand.size === 0
      const claim = isIdle ? await nextClaim(sql, stage, target, follower) : await claimWork(sql, stage, target)
      if (claim === undefined) {
        if (isIdle) return
        // The last in hand may have ended while we asked: then there is no race to wait for.
        if (inHand.size > 0) await (follow ? orSoon(Promise.race(inHand)) : Promise.race(inHand))
        continue
      }
      const one = handle(claim).then(() => {
        inHand.delete(one)
      })
      one.catch(() => {}) // seen where it is raced
      inHand.add(one)
    }
  }
  await finishedBeforeLeaving(async () => {
    try {
      await claimAndHandle()
    } finally {
      // One that failed must not tear the others out of their work: they finish, then the failure goes on.
      await Promise.allSettled(inHand)
      await leases.release()
    }
  })
}

/**
 * The same for a step whose unit is the whole quarter: claims it until `handle` has finished it, since a claim is void
 * when its input changes meanwhile. False when there was nothing to do, or another process did it. Where `handle` keeps the
 * connection busy for longer than a lease, the lease is kept alive through another one.
 */
export async function workOnQuarter(
  sql: Database,
  stage: Stage,
  quarter: string,
  handle: (claim: Claim) => Promise<boolean>,
  leaseConnection = sql,
): Promise<boolean> {
  const leases = keepLeases(leaseConnection, stage)
  try {
    for (;;) {
      const claim = await nextClaim(sql, stage, { quarter, firmId: ALL_FIRMS })
      if (claim === undefined) return false
      if (await handle(claim)) return true
    }
  } finally {
    await leases.release()
  }
}

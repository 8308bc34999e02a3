// For a step that runs beside the one before it (--follow): whether more may still come from there, and who brings it.
// It looks at `work` (what is left, and on whose lease) and at `runs` (who opens a model has nothing in hand yet).
// Claiming what is ready is work.ts.

import { UserError } from '../errors.ts'
import { say } from '../log.ts'
import { mayBeAlive, ranHere } from '../worker-name.ts'
import type { Queries } from './connect.ts'
import type { Stage, Target } from './work.ts'

/**
 * How often a follower looks again: a firm takes the step before at least as long, and four looks a second are 1 % of the
 * embedded database's time (1.4 ms a claim that finds nothing, and as much to ask what is left).
 */
export const LOOK_AGAIN_MILLISECONDS = 250

// A lease's length: so long somebody may have vanished before his work is free, and a machine takes to start again.
const PATIENCE_SECONDS = 60
// Steps that are started together begin within half a second of one another (two cores, three processes); what was done
// already may be taken back by the one before, with another recipe, when it begins.
const START_SECONDS = 3
// On another machine nobody can see whether a run still lives; while it fetches and opens its model it has no lease either.
const OPENING_SECONDS = 600

export type Follower = {
  /** False: nothing will come any more. Refuses to wait for what nobody is at. */
  mayGetMore(): Promise<boolean>
  /** Something came: patience begins anew. */
  gotSome(): void
}

type Earlier = {
  stage: Stage
  left: number
  all: number
  /** Who is at it, as far as this machine can know. */
  workers: string[]
  /** A process of this machine is, whether or not it has anything in hand: it may still take back what is done. */
  isRunning: boolean
  justRan: boolean
}

/** Follows the steps `earlier`, in pipeline order, for the firm or the firms of the target. */
export function openFollower(
  sql: Queries,
  stage: Stage,
  earlier: readonly Stage[],
  target: Target,
  now: () => number = () => performance.now(),
): Follower {
  const start = now()
  const secondsSince = (time: number) => (now() - time) / 1000
  const aloneSince = new Map<Stage, number>()
  let said = false

  function sayOnce(before: Earlier): void {
    const isAlone = before.workers.length === 0
    if (said || before.left === 0 || (isAlone && secondsSince(start) < START_SECONDS)) return
    said = true
    const who = isAlone ? 'nobody is at it' : before.workers.join(', ')
    say(
      `${stage} ${target.quarter}: waiting for ${before.stage} (${who}), which has ${before.left} of ${before.all} left`,
    )
  }

  function refuseIfAlone({ stage: before, left, all, workers }: Earlier): void {
    if (workers.length > 0 || left === 0) return void aloneSince.delete(before)
    const since = aloneSince.get(before) ?? now()
    aloneSince.set(before, since)
    if (secondsSince(since) < PATIENCE_SECONDS) return
    throw new UserError(
      `${stage} of ${target.quarter} waits for ${before}, where ${left} of ${all} are left to do and nobody has been ` +
        `at it for ${PATIENCE_SECONDS} seconds`,
      `quarterdeck ${before} --quarter ${target.quarter}`,
    )
  }

  return {
    async mayGetMore() {
      const standing = await standingOfEarlier(sql, earlier, target)
      for (const one of standing) refuseIfAlone(one)
      const before = standing.at(-1)
      if (before === undefined) return false
      sayOnce(before)
      return (
        standing.some(one => one.left > 0 || one.isRunning) || (!before.justRan && secondsSince(start) < START_SECONDS)
      )
    },
    gotSome: () => aloneSince.clear(),
  }
}

/** What is left of each step, of firms that failed in none of them, and who is at it. */
async function standingOfEarlier(sql: Queries, earlier: readonly Stage[], target: Target): Promise<Earlier[]> {
  const { quarter, firmId = null } = target
  const rows = await sql<(Omit<Earlier, 'isRunning'> & { running: { worker: string; young: boolean }[] })[]>`
    with failed as (
      select firm_id from work where quarter = ${quarter} and stage = any(${[...earlier]}) and state = 'failed'
    ), standing as (
      select stage, count(*)::int as all,
        count(*) filter (where state in ('pending', 'stale') and firm_id not in (select firm_id from failed))::int as left,
        coalesce(array_agg(distinct lease_by) filter (where lease_until >= now()), '{}') as workers
      from work
      where quarter = ${quarter} and stage = any(${[...earlier]}) and (${firmId}::text is null or firm_id = ${firmId})
      group by stage
    ), ran as (
      select command,
        coalesce(bool_or(finished_at > now() - make_interval(secs => ${START_SECONDS})), false) as just_ran,
        jsonb_agg(jsonb_build_object(
          'worker', worker, 'young', started_at > now() - make_interval(secs => ${OPENING_SECONDS})
        )) filter (where outcome = 'running') as running
      from runs where quarter = ${quarter} and command = any(${[...earlier]}) group by command
    )
    select standing.*, coalesce(just_ran, false) as "justRan", coalesce(running, '[]') as running
    from standing left join ran on command = stage
    order by array_position(${[...earlier]}, stage)`
  return rows.map(({ running, ...row }) => {
    const here = running.filter(one => ranHere(one.worker) && mayBeAlive(one.worker))
    const away = running.filter(one => !ranHere(one.worker) && one.young)
    const workers = [...row.workers.filter(mayBeAlive), ...[...here, ...away].map(one => one.worker)]
    return { ...row, workers: [...new Set(workers)], isRunning: here.length > 0 }
  })
}

// Provenance: one row a run of a command, so that every number in the other tables can be traced.

import { DatabaseLost } from '../errors.ts'
import { beforeLeaving, Stopped } from '../leaving.ts'
import { workerName } from '../worker-name.ts'
import type { Database, Queries } from './connect.ts'

export type Run = {
  command: string
  quarter?: string | undefined
  options: Record<string, string | number | boolean | null>
  codeVersion: string
  model?: string | undefined
  seed?: number | undefined
}

export type Counts = Record<string, number | string>

type Ending = { counts: Counts; model?: string; seed?: number | undefined }

/**
 * Runs `work` between a row that says it began and the same row saying how it ended, with the model and the seed it used
 * where these were not known before.
 */
export async function recorded<Result extends Ending>(
  sql: Database,
  run: Run,
  work: () => Promise<Result>,
): Promise<Result> {
  const [{ runId }] = await sql<{ runId: bigint }[]>`
    insert into runs (command, quarter, options, code_version, model, seed, worker)
    values (${run.command}, ${run.quarter ?? null}, ${sql.json(run.options)}, ${run.codeVersion},
      ${run.model ?? null}, ${run.seed ?? null}, ${workerName})
    returning run_id as "runId"`
  const finish = (outcome: 'done' | 'failed' | 'stopped', { counts, model, seed }: Ending) => sql`
    update runs
    set finished_at = now(), outcome = ${outcome}, counts = ${sql.json(counts)}, model = coalesce(${model ?? null}, model),
      seed = coalesce(${seed ?? null}, seed), peak_memory_mb = ${Math.round(process.resourceUsage().maxRSS / 1024)}
    where run_id = ${runId.toString()} and outcome = 'running'`
  const leaving = beforeLeaving(async () => await finish('stopped', { counts: {} }))
  try {
    const result = await work()
    await finish('done', result)
    return result
  } catch (error) {
    // A lost database cannot be told: the row stays `running`, as it does after a kill.
    // The error itself goes to the person; its text may quote the input, so it stays out of the table.
    const outcome = error instanceof Stopped ? 'stopped' : 'failed'
    if (!(error instanceof DatabaseLost)) await finish(outcome, { counts: {} }).catch(() => {})
    throw error
  } finally {
    leaving.forget()
  }
}

/** Seconds that runs of a command have taken since midnight of the database, on whatever machine; running ones not counted. */
export async function secondsToday(sql: Queries, command: string): Promise<number> {
  const [{ seconds }] = await sql<{ seconds: number }[]>`
    select coalesce(sum(extract(epoch from finished_at - greatest(started_at, current_date))), 0)::float8 as seconds
    from runs where command = ${command} and finished_at >= current_date`
  return seconds
}

// What the runs of this database say about speed: seconds, sentences, topics and tokens of every step that was done, what
// cards were learned to do, and what the language model's answers took. For `plan`, which knows what to make of it.

import type { Settings } from '../settings.ts'
import { isHere, parseAddress } from './address.ts'
import type { Database, Queries } from './connect.ts'

export const MEASURED_STEPS = ['ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate', 'index'] as const
export type MeasuredStep = (typeof MEASURED_STEPS)[number]

export type Server = 'none' | 'here' | 'elsewhere'

/** What a run's seconds depend on beside its work, for its options in `runs`: a backup brings runs of other machines. */
export function placeOf({ threads, databaseUrl }: Pick<Settings, 'threads' | 'databaseUrl'>): {
  threads: number
  server: Server
} {
  if (databaseUrl === undefined) return { threads, server: 'none' }
  return { threads, server: isHere(parseAddress(databaseUrl)) ? 'here' : 'elsewhere' }
}

export type MeasuredRun = {
  step: MeasuredStep
  /** All of the quarter as it is now, and nothing of it by another run. False where the quarter is gone: nobody can tell. */
  whole: boolean
  /** No other step of the quarter shared the machine, nor was waited for. */
  alone: boolean
  /** Null: of a run that did not record it. */
  threads: number | null
  server: Server | null
  /** Name and revision of the embedding model, where the step has one. */
  model: string | null
  /** cpu, cuda or webgpu, where the step opened a model. */
  device: string | null
  seconds: number
  /** What it did; of steps that do not count them, what the quarter has. 0 where that is gone. */
  sentences: number
  topics: number
  tokens: number
  finishedAt: Date
}

export type LearnedCard = { deviceName: string; tokensPerSecond: number; learnedAt: Date }

export type NamedTopics = { topics: number; promptTokens: number; completionTokens: number; answers: number }

export type Throughputs = { runs: MeasuredRun[]; cards: LearnedCard[]; named: NamedTopics }

// The newest are of today's code; a hundred of a step are more than a mean needs.
const MOST_RUNS = 600

/**
 * Runs that are done, of no single firm. A quarter's sentences are counted by its firms' units of work, since counting its rows
 * would read gigabytes.
 */
export async function measuredThroughputs(sql: Database, model: string): Promise<Throughputs> {
  const steps = [...MEASURED_STEPS]
  const runs = await sql<(Omit<MeasuredRun, 'finishedAt'> & { finishedAt: string })[]>`
    with sizes as (
      select quarter, sum(units)::float8 as sentences, count(*) as firms,
        (select count(*) from calls where calls.quarter = work.quarter) as calls
      from work
      where stage = 'embed'
      group by quarter
    )
    select command as step, model, counts->>'device' as device, (options->>'threads')::float8 as threads,
      options->>'server' as server,
      coalesce(case command
        when 'ingest' then (counts->>'loaded')::float8 = calls and (counts->>'sentences')::float8 = sizes.sentences
        when 'embed' then (counts->>'firms')::float8 = firms and (counts->>'sentences')::float8 = sizes.sentences
        when 'aggregate' then (counts->>'clustered')::float8 > 0
        when 'index' then (counts->>'bytes')::float8 > 0
        else (counts->>'firms')::float8 = firms
      end, false) as whole,
      not (coalesce((options->>'follow')::boolean, false) or exists (
        select from runs other
        where other.quarter = runs.quarter and other.run_id <> runs.run_id and other.command = any(${steps})
          and other.started_at < runs.finished_at and other.finished_at > runs.started_at
      )) as alone,
      extract(epoch from finished_at - started_at)::float8 as seconds,
      case when command in ('ingest', 'embed') then coalesce((counts->>'sentences')::float8, 0)
        else coalesce(sizes.sentences, 0) end as sentences,
      coalesce((counts->>'topics')::float8, (counts->>'byModel')::float8 + (counts->>'byKeywords')::float8, 0) as topics,
      coalesce((counts->>'tokens')::float8, 0) as tokens, finished_at as "finishedAt"
    from runs left join sizes using (quarter)
    where outcome = 'done' and command = any(${steps}) and options->>'firm' is null
    order by run_id desc
    limit ${MOST_RUNS}`
  const cards = await sql<(Omit<LearnedCard, 'learnedAt'> & { learnedAt: string })[]>`
    select device_name as "deviceName", tokens_per_second::float8 as "tokensPerSecond", learned_at as "learnedAt"
    from learned_batches
    where device = 'cuda' and tokens_per_second > 0 and split_part(model, ' ', 1) = ${model}
    order by learned_at desc`
  // Times come as text (connect.ts).
  return {
    runs: runs.map(run => ({ ...run, finishedAt: new Date(run.finishedAt) })),
    cards: cards.map(card => ({ ...card, learnedAt: new Date(card.learnedAt) })),
    named: await namedTopics(sql),
  }
}

/** Of quarters whose names are still here: answers outlive a quarter, its topics do not. Naming the themes is in it. */
async function namedTopics(sql: Queries): Promise<NamedTopics> {
  const [row] = await sql<NamedTopics[]>`
    with named as (
      select topics.quarter, count(*) as topics
      from topic_names join topics using (topic_id)
      where source = 'llm'
      group by topics.quarter
    ),
    asked as (
      select quarter, count(*) as answers, sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens
      from chat_answers
      where quarter is not null
      group by quarter
    )
    select coalesce(sum(topics), 0)::float8 as topics, coalesce(sum(prompt_tokens), 0)::float8 as "promptTokens",
      coalesce(sum(completion_tokens), 0)::float8 as "completionTokens", coalesce(sum(answers), 0)::float8 as answers
    from named join asked using (quarter)`
  return row
}

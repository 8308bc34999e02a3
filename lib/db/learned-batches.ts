// The table `learned_batches`: which size of batch was best on which device, from run to run and from machine to machine.

import type { Queries } from './connect.ts'

export type BatchKey = { model: string; device: string; deviceName: string; driver: string; threads: number }
export type LearnedBatch = { tokens: number; ceiling: number | null; tokensPerSecond: number | null }

export async function learnedBatch(sql: Queries, key: BatchKey): Promise<LearnedBatch | undefined> {
  const [row] = await sql<LearnedBatch[]>`
    select tokens, ceiling, tokens_per_second as "tokensPerSecond"
    from learned_batches
    where (model, device, device_name, driver, threads)
      = (${key.model}, ${key.device}, ${key.deviceName}, ${key.driver}, ${key.threads})`
  return row
}

export async function keepLearnedBatch(sql: Queries, key: BatchKey, learned: LearnedBatch): Promise<void> {
  await sql`
    insert into learned_batches (model, device, device_name, driver, threads, tokens, ceiling, tokens_per_second)
    values (${key.model}, ${key.device}, ${key.deviceName}, ${key.driver}, ${key.threads},
      ${learned.tokens}, ${learned.ceiling}, ${learned.tokensPerSecond})
    on conflict (model, device, device_name, driver, threads) do update
    set tokens = excluded.tokens, ceiling = excluded.ceiling, tokens_per_second = excluded.tokens_per_second, learned_at = now()`
}

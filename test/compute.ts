// Computes a sample quarter in this process, by the functions behind the commands: for tests that need its rows on a database
// that they have open already. As processes, as a person does it, they are run by run.ts.

import { aggregate } from '../commands/aggregate.ts'
import { indexQuarter } from '../commands/build-index.ts'
import { clusterFirms } from '../commands/cluster-firm.ts'
import { embed } from '../commands/embed.ts'
import { ingest } from '../commands/ingest.ts'
import { followLineage } from '../commands/lineage.ts'
import { nameTopics } from '../commands/name-topics.ts'
import { compareFirms } from '../commands/novelty.ts'
import type { Database } from '../lib/db/connect.ts'
import { type EmbedderSettings, openEmbedder } from '../lib/model/embedder.ts'
import { readSettings, SHIPPED_MODEL } from '../lib/settings.ts'
import { sample } from './run.ts'

export type Step = (sql: Database) => Promise<unknown>

/** The steps of a quarter in pipeline order, of its sample unless another folder is given. */
export function stepsOf(quarter: string, folder = sample(quarter)): Record<string, Step> {
  return {
    ingest: sql => ingest(sql, { paths: [folder], quarter }),
    embed: sql => embed(sql, { quarter, openModel: openShipped }),
    'cluster-firm': sql => clusterFirms(sql, { quarter, threads: 2 }),
    'name-topics': sql => nameTopics(sql, { quarter }),
    aggregate: sql => aggregate(sql, { quarter, openModel: expectedTexts => openShipped({ expectedTexts }) }),
    index: sql => indexQuarter(sql, { quarter }),
    novelty: sql => compareFirms(sql, { quarter, threads: 2 }),
    lineage: sql => followLineage(sql),
  }
}

export async function compute(sql: Database, quarter: string, folder?: string): Promise<void> {
  for (const step of Object.values(stepsOf(quarter, folder))) await step(sql)
}

function openShipped(hints: Pick<EmbedderSettings, 'expectedTexts'>) {
  const { hub, batches } = readSettings({})
  return openEmbedder({ model: SHIPPED_MODEL, device: 'cpu', threads: 2, hub, batches, ...hints })
}

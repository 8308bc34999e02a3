// index: the vector index of a quarter, built last, since loading into one costs six times what building it does.
// (The file is not called index.ts: that name means "the folder itself" to readers of JavaScript.)

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { requireQuarter, sizeOfQuarter } from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { buildIndex, indexExists } from '../lib/db/vector-index.ts'
import { ALL_FIRMS, finishWork, openWork, requireEarlier, workOnQuarter } from '../lib/db/work.ts'
import { FORCE, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag } from '../lib/flags.ts'
import { count, duration, say } from '../lib/log.ts'

export const command: Command = {
  verb: 'index',
  summary: "Build the vector index of a quarter's sentences",
  about:
    'Builds an HNSW index over the embeddings of the quarter, so that searching millions of sentences takes ' +
    'milliseconds. Other quarters keep theirs. Searching works without it, only slower.',
  flags: [QUARTER, FORCE, JSON_OUTPUT],
  examples: ['index --quarter 2024Q3'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const options = { quarter, force: switchFlag(flags, 'force'), embedded: settings.databaseUrl === undefined }
      const { done } = await recorded(
        sql,
        { command: 'index', quarter, options: { force: options.force }, codeVersion: codeVersion() },
        async () => {
          const done = await indexQuarter(sql, options)
          return { done, counts: { bytes: done.bytes } }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify(done))
    })
  },
}

export type IndexOptions = {
  quarter: string
  force?: boolean
  /** The embedded database has less memory to build in. */
  embedded: boolean
}

/** Builds the vector index of a quarter where there is none or its sentences changed. */
export async function indexQuarter(
  sql: Database,
  { quarter, force = false, embedded }: IndexOptions,
): Promise<{ quarter: string; bytes: number; seconds: number }> {
  const start = performance.now()
  // Themes may still be missing: the index needs the embeddings only.
  await requireEarlier(sql, 'cluster-firm', { quarter })
  const recipe = 'hnsw cosine m 16 ef_construction 64'
  // An index that somebody dropped by hand is work to do, whatever the table says.
  const again = force || !(await indexExists(sql, quarter))
  const { todo } = await openWork(sql, 'index', { quarter, firmId: ALL_FIRMS }, recipe, again)
  let bytes = 0
  if (todo > 0)
    await workOnQuarter(sql, 'index', quarter, async claim => {
      const { sentences } = await sizeOfQuarter(sql, quarter)
      say(`index ${quarter}: building over ${count(sentences, 'embedding')}`)
      bytes = await buildIndex(sql, quarter, embedded)
      return await finishWork(sql, claim, recipe, async () => {})
    })
  const seconds = (performance.now() - start) / 1000
  const done = bytes > 0 ? `${(bytes / 2 ** 20).toFixed(0)} MB in ${duration(seconds)}` : 'nothing left to do'
  say(`index ${quarter}: ${done}`)
  return { quarter, bytes, seconds }
}

// index: the indexes of a quarter, of vectors and of words, built last: loading into the first costs six times what building it
// does.
// (The file is not called index.ts: that name means "the folder itself" to readers of JavaScript.)

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { requireQuarter } from '../lib/db/calls.ts'
import { connect, type Database, disconnect } from '../lib/db/connect.ts'
import { boundModel, modelText } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import { type Built, buildEmbedded, buildOnServer, indexesToBuild, noticeLostIndex } from '../lib/db/vector-index.ts'
import { ALL_FIRMS, finishWork, openWork, requireEarlier, workOnQuarter } from '../lib/db/work.ts'
import { FORCE, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag } from '../lib/flags.ts'
import { duration, say } from '../lib/log.ts'
import type { Settings } from '../lib/settings.ts'

export const command: Command = {
  verb: 'index',
  summary: "Build the indexes of a quarter's sentences",
  about:
    'Builds an HNSW index over the embeddings of the quarter and a full-text index over its words, so that searching ' +
    'millions of sentences takes milliseconds. Other quarters keep theirs, and one that is there is built again only with ' +
    '--force. Searching works without them, only slower.',
  flags: [QUARTER, FORCE, JSON_OUTPUT],
  examples: ['index --quarter 2024Q3'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    await withDatabase(settings, async sql => {
      await requireQuarter(sql, quarter)
      const server = settings.databaseUrl === undefined ? undefined : settings
      const options = { quarter, force: switchFlag(flags, 'force'), server }
      const bound = await boundModel(sql)
      const { done } = await recorded(
        sql,
        {
          command: 'index',
          quarter,
          options: { force: options.force, ...placeOf(settings) },
          codeVersion: codeVersion(),
          model: bound && modelText(bound),
        },
        async () => {
          const done = await indexQuarter(sql, options)
          return { done, counts: { bytes: done.bytes, wordBytes: done.wordBytes } }
        },
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify(done))
    })
  },
}

export type IndexOptions = {
  quarter: string
  force?: boolean
  /** Where to open the second connection that a build on a server is watched through; absent: the embedded database. */
  server?: Pick<Settings, 'home' | 'databaseUrl'> | undefined
}

/** Builds the indexes of a quarter that are not there. */
export async function indexQuarter(
  sql: Database,
  { quarter, force = false, server }: IndexOptions,
): Promise<{ quarter: string; seconds: number } & Built> {
  const start = performance.now()
  await requireEarlier(sql, 'index', { quarter })
  const recipe = 'hnsw cosine m 16 ef_construction 64, words english'
  await noticeLostIndex(sql, quarter)
  const { todo } = await openWork(sql, 'index', { quarter, firmId: ALL_FIRMS }, recipe, force)
  let built: Built = { bytes: 0, wordBytes: 0 }
  if (todo > 0 && server === undefined)
    await workOnQuarter(sql, 'index', quarter, claim =>
      finishWork(sql, claim, recipe, async tx => {
        built = await buildEmbedded(tx, quarter, await indexesToBuild(tx, quarter, force))
      }),
    )
  if (todo > 0 && server !== undefined) {
    const second = await connect(server)
    try {
      await workOnQuarter(
        sql,
        'index',
        quarter,
        async claim => {
          built = await buildOnServer(sql, second, quarter, await indexesToBuild(sql, quarter, force))
          return await finishWork(sql, claim, recipe, async () => {})
        },
        second,
      )
    } finally {
      await disconnect(second)
    }
  }
  const seconds = (performance.now() - start) / 1000
  const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 1 : 0)} MB`
  const parts = [
    ...(built.bytes > 0 ? [`vectors ${megabytes(built.bytes)}`] : []),
    ...(built.wordBytes > 0 ? [`words ${megabytes(built.wordBytes)}`] : []),
  ]
  say(`index ${quarter}: ${parts.length > 0 ? `${parts.join(', ')} in ${duration(seconds)}` : 'nothing left to do'}`)
  return { quarter, seconds, ...built }
}

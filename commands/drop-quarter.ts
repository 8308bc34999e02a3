// drop-quarter: removes one quarter from every table, at once whatever its size. Asks nothing, so that a script can call it:
// without --yes it only says what would go. What is kept, and how others are kept safe meanwhile, is lib/db/quarters.ts.

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import type { Database } from '../lib/db/connect.ts'
import { boundModel } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import {
  contentsOfQuarter,
  dropQuarter,
  type QuarterContents,
  quartersInDatabase,
  requireKnownQuarter,
} from '../lib/db/quarters.ts'
import { recorded } from '../lib/db/runs.ts'
import { UsageError } from '../lib/errors.ts'
import { JSON_OUTPUT, QUARTER, quarterFlag, switchFlag } from '../lib/flags.ts'
import { count, duration, say, thousands } from '../lib/log.ts'

export const command: Command = {
  verb: 'drop-quarter',
  summary: 'Delete a quarter, with all that was made of it',
  about:
    'Deletes the calls, sentences, embeddings, topics and themes of the quarter, and firms that have calls in no other one. ' +
    'The rows of its runs stay, and so do the answers of the language model, which are paid for. Without --yes it says ' +
    'what would go and deletes nothing. Refuses while somebody is at work on the quarter.',
  flags: [QUARTER, { name: 'yes', summary: 'Delete it; there is no way back but a backup' }, JSON_OUTPUT],
  examples: ['drop-quarter --quarter 2024Q3', 'drop-quarter --quarter 2024Q3 --yes'],
  async run({ flags, settings, print }) {
    const quarter = quarterFlag(flags)
    const json = switchFlag(flags, 'json')
    await withDatabase(settings, async sql => {
      await requireKnownQuarter(sql, quarter)
      if (!switchFlag(flags, 'yes')) {
        const contents = await contentsOfQuarter(sql, quarter)
        print(json ? JSON.stringify({ quarter, dropped: false, ...contents }) : `${quarter}: ${describe(contents)}`)
        throw new UsageError(
          `nothing was deleted: drop-quarter ${quarter} deletes this only with --yes`,
          `quarterdeck drop-quarter --quarter ${quarter} --yes`,
        )
      }
      const { contents } = await recorded(
        sql,
        { command: 'drop-quarter', quarter, options: {}, codeVersion: codeVersion() },
        async () => {
          const contents = await dropAndTell(sql, quarter)
          return { contents, counts: contents }
        },
      )
      if (json) print(JSON.stringify({ quarter, dropped: true, ...contents }))
    })
  },
}

async function dropAndTell(sql: Database, quarter: string): Promise<QuarterContents> {
  const start = performance.now()
  const contents = await dropQuarter(sql, quarter)
  say(`drop-quarter ${quarter}: ${describe(contents)}, gone in ${duration((performance.now() - start) / 1000)}`)
  const bound = await boundModel(sql)
  if (bound !== undefined && (await quartersInDatabase(sql)).length === 0)
    say(`drop-quarter: no quarter is left; the next embed may bind the database to another model than ${bound.name}`)
  return contents
}

function describe({ firms, firmsOnlyHere, calls, sentences, topics, themes, bytes }: QuarterContents): string {
  return (
    `${count(calls, 'call')} of ${count(firms, 'firm')} (${thousands(firmsOnlyHere)} of them in no other quarter), ` +
    `${count(sentences, 'sentence')}, ${count(topics, 'topic')}, ${count(themes, 'theme')}, ${thousands(bytes / 2 ** 20)} MB`
  )
}

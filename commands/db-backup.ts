// db-backup: a database, or one quarter of it, in a file. What is in it and how it is read is lib/db/backup.ts.

import type { Command } from '../lib/command.ts'
import { backUp } from '../lib/db/backup.ts'
import { withDatabase } from '../lib/db/open.ts'
import { UsageError } from '../lib/errors.ts'
import { JSON_OUTPUT, optionalQuarterFlag, QUARTER, switchFlag } from '../lib/flags.ts'
import { count, duration, say } from '../lib/log.ts'

export const command: Command = {
  verb: 'db-backup',
  summary: 'Write the database, or one quarter, to a file',
  about:
    'Writes everything that a database holds, or what belongs to one quarter, as it is at one moment: calls, sentences, ' +
    'embeddings, topics, names, themes, the answers of the language model, what is done, and the runs. Others may go on ' +
    'meanwhile; on the embedded database they wait until it has read. `db-restore` brings the file into any database, ' +
    'embedded or on a server. Not in it are indexes, which `index` builds again, what `novelty` and `lineage` say of its ' +
    "quarters, which the other database makes of its own, and what `embed` has learned of this machine's devices. Changes nothing; the file is called FILE.part until it is whole.",
  words: 'FILE',
  flags: [{ ...QUARTER, summary: 'Only this quarter' }, JSON_OUTPUT],
  examples: ['db-backup calls.backup', 'db-backup 2024Q3.backup --quarter 2024Q3'],
  async run({ words, flags, settings, print }) {
    if (words.length !== 1 || words[0] === '')
      throw new UsageError(
        `db-backup takes the name of one file, and got ${words.length === 1 ? 'an empty one' : count(words.length, 'word')}`,
        'quarterdeck db-backup FILE',
      )
    const quarter = optionalQuarterFlag(flags)
    const done = await withDatabase(settings, sql => backUp(sql, words[0], quarter))
    const megabytes = (done.bytes / 2 ** 20).toFixed(1)
    const quarters = done.quarters.join(', ') || 'no quarter'
    say(
      `db-backup: ${count(done.rows, 'row')} of ${quarters} in ${done.file}, ` +
        `${megabytes} MB, in ${duration(done.seconds)}`,
    )
    if (switchFlag(flags, 'json')) print(JSON.stringify(done))
  },
}

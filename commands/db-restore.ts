// db-restore: what db-backup has written, into this database. How, and what is refused, is lib/db/backup-restore.ts.

import type { Command } from '../lib/command.ts'
import { openBackup } from '../lib/db/backup-file.ts'
import { restore } from '../lib/db/backup-restore.ts'
import { withDatabase } from '../lib/db/open.ts'
import { UsageError } from '../lib/errors.ts'
import { JSON_OUTPUT, optionalQuarterFlag, QUARTER, switchFlag } from '../lib/flags.ts'
import { count, duration, say } from '../lib/log.ts'

export const command: Command = {
  verb: 'db-restore',
  summary: 'Bring a file of db-backup into the database',
  about:
    'Reads the file through and checks it before anything is written. Then each quarter is written in one transaction, so ' +
    'that it is there whole or not at all; when it is killed, the same command goes on with the quarters that are left ' +
    '(with --replace it does all of them again). ' +
    'Firms, answers of the language model and runs are added to those that are there. A quarter that is there already is ' +
    'refused, or with --replace replaced, and what others have in hand of it is refused; quarters that are not in the file stay as they are. Vector indexes are not in ' +
    'the file: `index` builds them.',
  words: 'FILE',
  flags: [
    { ...QUARTER, summary: 'Only this quarter of the file' },
    { name: 'replace', summary: 'Put the quarters of the file in the place of those that are there' },
    JSON_OUTPUT,
  ],
  examples: ['db-restore calls.backup', 'db-restore calls.backup --quarter 2024Q3 --replace'],
  async run({ words, flags, settings, print }) {
    if (words.length !== 1 || words[0] === '')
      throw new UsageError(
        `db-restore takes the name of one file, and got ${words.length === 1 ? 'an empty one' : count(words.length, 'word')}`,
        'quarterdeck db-restore FILE',
      )
    const options = { quarter: optionalQuarterFlag(flags), replace: switchFlag(flags, 'replace') }
    const backup = await openBackup(words[0])
    try {
      const done = await withDatabase(settings, sql => restore(sql, backup, options))
      for (const quarter of done.before)
        say(`db-restore ${quarter}: was restored from this file before, and is left as it is; --replace puts it back`)
      for (const quarter of done.quarters)
        say(
          `db-restore ${quarter}: ${done.withoutIndex.includes(quarter) ? 'its indexes, and ' : ''}what compares it with earlier ` +
            `quarters, are to be made: make quarter Q=${quarter}`,
        )
      if (done.quarters.length === 0 && done.rows === 0)
        say(`db-restore: nothing was left to restore out of ${words[0]}`)
      const megabytes = (done.bytes / 2 ** 20).toFixed(1)
      const quarters = done.quarters.join(', ') || 'no quarter'
      say(
        `db-restore: ${count(done.rows, 'row')} of ${quarters} out of ${words[0]}, ` +
          `${megabytes} MB, in ${duration(done.seconds)}`,
      )
      if (switchFlag(flags, 'json')) print(JSON.stringify({ file: words[0], ...done }))
    } finally {
      await backup.close()
    }
  },
}

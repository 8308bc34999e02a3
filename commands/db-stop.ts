// db-stop: end the embedded database cleanly. Nothing is lost without it; it frees the memory and writes a checkpoint.

import type { Command } from '../lib/command.ts'
import { stopDatabase } from '../lib/db/embedded/start.ts'
import { JSON_OUTPUT, switchFlag } from '../lib/flags.ts'
import { say } from '../lib/log.ts'

export const command: Command = {
  verb: 'db-stop',
  summary: 'Stop the embedded database',
  about: 'Ends the database of the current folder cleanly. With DATABASE_URL there is nothing to stop.',
  flags: [JSON_OUTPUT],
  examples: ['db-stop'],
  async run({ flags, settings, print }) {
    const json = switchFlag(flags, 'json')
    if (settings.databaseUrl !== undefined) {
      say('db-stop: DATABASE_URL names a server; quarterdeck does not stop it')
      if (json) print(JSON.stringify({ embedded: false, stopped: false }))
      return
    }
    const stopped = await stopDatabase(settings.home)
    say(
      stopped
        ? `db-stop: the database in ${settings.home} has stopped`
        : `db-stop: no database is running in ${settings.home}`,
    )
    if (json) print(JSON.stringify({ embedded: true, stopped }))
  },
}

// db-start: start the embedded database and say how to connect. Every command starts it by itself; this is for psql.

import type { Command } from '../lib/command.ts'
import { startDatabase } from '../lib/db/embedded/start.ts'
import { withDatabase } from '../lib/db/open.ts'
import { JSON_OUTPUT, switchFlag } from '../lib/flags.ts'
import { say } from '../lib/log.ts'

export const command: Command = {
  verb: 'db-start',
  summary: 'Start the embedded database and print how to connect with psql',
  about:
    'Every command starts the database when it is not running, and it leaves by itself after ten idle minutes. With ' +
    'DATABASE_URL there is nothing to start.',
  flags: [JSON_OUTPUT],
  examples: ['db-start'],
  async run({ flags, settings, print }) {
    const json = switchFlag(flags, 'json')
    if (settings.databaseUrl !== undefined) {
      await withDatabase(settings, async () => {})
      say('db-start: DATABASE_URL names a server, which is reachable; there is nothing to start')
      if (json) print(JSON.stringify({ embedded: false }))
      return
    }
    const { pid, socket, psql, alreadyRunning } = await startDatabase(settings.home)
    await withDatabase(settings, async () => {})
    say(
      `db-start: the database in ${settings.home} ${alreadyRunning ? 'is running already' : 'is running'} (process ${pid})`,
    )
    print(json ? JSON.stringify({ embedded: true, pid, socket, psql, alreadyRunning }) : `Connect with: ${psql}`)
  },
}

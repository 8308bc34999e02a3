// db-start: start the embedded database and say how to connect, or the instance on RDS that RDS_INSTANCE names. Every command
// starts the embedded one by itself: there this is for psql. An instance on RDS is only started by this.

import type { Instance } from '../lib/cloud/rds.ts'
import type { Snapshot } from '../lib/cloud/rds-snapshot.ts'
import type { Command, Invocation } from '../lib/command.ts'
import { parseAddress } from '../lib/db/address.ts'
import { startDatabase } from '../lib/db/embedded/start.ts'
import { withDatabase } from '../lib/db/open.ts'
import { UsageError } from '../lib/errors.ts'
import { JSON_OUTPUT, switchFlag, textFlag } from '../lib/flags.ts'
import { say, warn } from '../lib/log.ts'

export const command: Command = {
  verb: 'db-start',
  summary: 'Start the database, embedded or on RDS, and say how to connect',
  about:
    'Every command starts the embedded database when it is not running, and it leaves by itself after ten idle minutes. ' +
    'With RDS_INSTANCE it starts that instance on RDS and waits until it can be used; where db-stop --snapshot-and-delete ' +
    'has deleted it, it is made again out of its snapshot, with the settings it had. With DATABASE_URL alone there is ' +
    'nothing to start.',
  flags: [
    {
      name: 'from',
      value: 'SNAPSHOT',
      summary: 'Make the RDS instance again out of this snapshot, instead of the last that db-stop made',
    },
    JSON_OUTPUT,
  ],
  examples: ['db-start'],
  async run(invocation) {
    const { flags, settings, print } = invocation
    const json = switchFlag(flags, 'json')
    if (settings.rdsInstance !== undefined) return await startOnRds(settings.rdsInstance, invocation)
    if (textFlag(flags, 'from') !== undefined)
      throw new UsageError(
        'db-start --from is for a database on RDS, and RDS_INSTANCE names none',
        'export RDS_INSTANCE=NAME',
      )
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

async function startOnRds(name: string, { flags, settings, print }: Invocation): Promise<void> {
  const json = switchFlag(flags, 'json')
  // Before an hour of waiting, not after it.
  const address = settings.databaseUrl === undefined ? undefined : parseAddress(settings.databaseUrl)
  const { openRds } = await import('../lib/cloud/rds.ts')
  const { startOrRestore } = await import('../lib/cloud/rds-snapshot.ts')
  const { instance, started, restoredFrom } = await startOrRestore(
    await openRds(name, 'db-start'),
    textFlag(flags, 'from')?.toLowerCase(), // as AWS writes it
  )
  const at = `${instance.host}:${instance.port}`
  say(`db-start: ${instance.name} ${started ? 'is' : 'is already'} ${instance.status} at ${at} (${instance.region})`)
  if (restoredFrom !== undefined) await tellOfSnapshot(restoredFrom)
  if (address !== undefined) {
    if (address.host !== instance.host)
      warn(`DATABASE_URL leads to ${address.shown}, and not to ${instance.name}, which is at ${at}`)
    await withDatabase(settings, async () => {})
    say('db-start: DATABASE_URL is reachable')
  }
  if (json) print(JSON.stringify({ embedded: false, ...instance, alreadyRunning: !started, restoredFrom }))
  else if (address === undefined) print(`export DATABASE_URL='${addressOf(instance)}'`)
}

/** With the password to be filled in: nobody but its owner knows it. */
function addressOf({ user, host, port, database }: Instance): string {
  return `postgres://${user}:PASSWORD@${host}:${port}/${database ?? 'postgres'}?sslmode=require`
}

async function tellOfSnapshot({ name, mostDollarsPerMonth }: Snapshot): Promise<void> {
  const { aMonth, WHOSE_PRICES } = await import('../lib/cloud/rds-costs.ts')
  say(
    `db-start: the snapshot ${name} stays, for ${aMonth(mostDollarsPerMonth)} at the most (${WHOSE_PRICES}); without it: aws rds delete-db-snapshot --db-snapshot-identifier ${name}`,
  )
  say('db-start: what is read for the first time comes out of the snapshot, so the first queries are slow')
}

// db-stop: end the embedded database cleanly, or stop the instance on RDS that RDS_INSTANCE names, and say what it still costs.
// Nothing is lost without it: the embedded one frees the memory and writes a checkpoint, one on RDS goes on being billed by the hour.

import type { Instance as RentedInstance } from '../lib/cloud/ec2.ts'
import type { Instance, Rds } from '../lib/cloud/rds.ts'
import type { Snapshot } from '../lib/cloud/rds-snapshot.ts'
import type { Command, Invocation } from '../lib/command.ts'
import { parseAddress } from '../lib/db/address.ts'
import { stopDatabase } from '../lib/db/embedded/start.ts'
import { withDatabase } from '../lib/db/open.ts'
import { quartersKnown } from '../lib/db/quarters.ts'
import { type Hand, workInHand } from '../lib/db/work.ts'
import { messageOf, UsageError, UserError } from '../lib/errors.ts'
import { JSON_OUTPUT, switchFlag } from '../lib/flags.ts'
import { duration, say, warn } from '../lib/log.ts'

export const command: Command = {
  verb: 'db-stop',
  summary: 'Stop the database, embedded or on RDS',
  about:
    'Ends the embedded database of the current folder cleanly. With RDS_INSTANCE it stops that instance on RDS, waits until ' +
    'it has, and says what is still billed; with --snapshot-and-delete it deletes it, and db-start makes it again out of ' +
    'the snapshot. Refuses while somebody is at work in the database; where it cannot be asked, while an instance of provision ' +
    'runs that may be. With DATABASE_URL alone there is nothing to stop.',
  flags: [
    {
      name: 'snapshot-and-delete',
      summary: 'For a long rest: a last snapshot of the RDS instance, and then delete it; only with --yes',
    },
    { name: 'yes', summary: 'Delete it; without this it only says what would be deleted' },
    { name: 'force', summary: 'Also while somebody is at work in it: what is not saved yet, they do again' },
    JSON_OUTPUT,
  ],
  examples: ['db-stop', 'db-stop --snapshot-and-delete', 'db-stop --snapshot-and-delete --yes'],
  async run(invocation) {
    const { flags, settings, print } = invocation
    const json = switchFlag(flags, 'json')
    if (settings.rdsInstance !== undefined) return await stopOnRds(settings.rdsInstance, invocation)
    if (switchFlag(flags, 'snapshot-and-delete'))
      throw new UsageError(
        'db-stop --snapshot-and-delete is for a database on RDS, and RDS_INSTANCE names none',
        'export RDS_INSTANCE=NAME',
      )
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

async function stopOnRds(name: string, invocation: Invocation): Promise<void> {
  const { openRds, stopInstance } = await import('../lib/cloud/rds.ts')
  const rds = await openRds(name, 'db-stop')
  if (switchFlag(invocation.flags, 'snapshot-and-delete')) return await deleteOnRds(rds, invocation)
  const found = await stopInstance(rds, instance => refuseIfAtWork(rds, instance, invocation))
  const json = switchFlag(invocation.flags, 'json')
  if (found === undefined) {
    const { restingSnapshot } = await import('../lib/cloud/rds-snapshot.ts')
    const snapshot = await restingSnapshot(rds)
    say(
      `db-stop: there is no RDS instance ${rds.name} in ${rds.region}, so nothing to stop${snapshot ? `; it rests in the snapshot ${snapshot.name}` : ''}`,
    )
    if (json) invocation.print(JSON.stringify({ embedded: false, stopped: false, name: rds.name, snapshot }))
    return
  }
  say(`db-stop: ${rds.name} ${found.stopped ? 'has stopped' : 'is stopped already'}`)
  await tellWhatIsBilled(found.instance)
  if (json) invocation.print(JSON.stringify({ embedded: false, ...found }))
}

async function tellWhatIsBilled(instance: Instance): Promise<void> {
  const { aMonth, WHOSE_PRICES } = await import('../lib/cloud/rds-costs.ts')
  const { storage, dollarsPerMonth, mostDollarsAsSnapshot, backupDays, startsItself } = instance
  const { gigabytes, storageType, operations, logVolume, multiAz } = storage
  const speed = storageType.startsWith('io') ? ` with ${operations} IOPS` : ''
  const price = dollarsPerMonth === undefined ? 'at a price that is not in our list' : aMonth(dollarsPerMonth)
  say(
    `db-stop: still billed: ${gigabytes} GB of ${storageType}${speed}${logVolume ? ', a log volume' : ''}${multiAz ? ' in two zones' : ''}, ${price} (${WHOSE_PRICES})${backupDays > 0 ? `, and backups of ${backupDays} days as far as they are larger than that` : ''}; not billed: its hours`,
  )
  say(
    startsItself === undefined
      ? 'db-stop: AWS starts it again by itself after seven days, and then its hours are billed'
      : `db-stop: AWS starts it again by itself on ${startsItself.toISOString().slice(0, 16).replace('T', ' ')} UTC, and then its hours are billed`,
  )
  say(
    `db-stop: for a longer rest: quarterdeck db-stop --snapshot-and-delete, for ${aMonth(mostDollarsAsSnapshot)} at the most`,
  )
}

async function deleteOnRds(rds: Rds, invocation: Invocation): Promise<void> {
  const { deletionPlan, snapshotAndDelete } = await import('../lib/cloud/rds-snapshot.ts')
  const json = switchFlag(invocation.flags, 'json')
  const plan = await deletionPlan(rds)
  if (plan !== undefined && !switchFlag(invocation.flags, 'yes')) {
    invocation.print(
      json ? JSON.stringify({ embedded: false, deleted: false, ...plan }) : await describe(plan.instance, plan.lost),
    )
    throw new UsageError(
      `nothing was deleted: db-stop deletes ${rds.name} only with --yes`,
      'quarterdeck db-stop --snapshot-and-delete --yes',
    )
  }
  for (const what of plan?.lost ?? []) warn(`db-start will not bring back ${what}`)
  const done = await snapshotAndDelete(rds, instance => refuseIfAtWork(rds, instance, invocation))
  if (done === undefined)
    say(
      `db-stop: there is neither an RDS instance ${rds.name} in ${rds.region} nor a snapshot by db-stop that has its settings`,
    )
  else await tellOfRest(rds, done)
  if (json) invocation.print(JSON.stringify({ embedded: false, deleted: false, ...done }))
}

async function describe(instance: Instance, lost: readonly string[]): Promise<string> {
  const { aMonth, WHOSE_PRICES } = await import('../lib/cloud/rds-costs.ts')
  const { name, region, engineVersion, storage, dollarsPerMonth, mostDollarsAsSnapshot, backupDays } = instance
  const stopped = dollarsPerMonth === undefined ? '' : ` instead of ${aMonth(dollarsPerMonth)} while it is stopped`
  return [
    `${name} (${region}, Postgres ${engineVersion}, ${storage.gigabytes} GB of ${storage.storageType}): a last snapshot, then it is deleted.`,
    `The snapshot costs ${aMonth(mostDollarsAsSnapshot)} at the most${stopped} (${WHOSE_PRICES}).`,
    `${backupDays > 0 ? 'Its automated backups are deleted with it. ' : ''}quarterdeck db-start makes it again out of the snapshot, at the same address.`,
    ...lost.map(what => `Not brought back: ${what}.`),
  ].join('\n')
}

async function tellOfRest(
  { name, verb }: Rds,
  { snapshot, older, deleted }: { snapshot: Snapshot; older: Snapshot[]; deleted: boolean },
): Promise<void> {
  const { aMonth, WHOSE_PRICES } = await import('../lib/cloud/rds-costs.ts')
  const most = aMonth(snapshot.mostDollarsPerMonth)
  say(
    `${verb}: ${name} is ${deleted ? '' : 'already '}deleted, with its automated backups; it rests in the snapshot ${snapshot.name}, for ${most} at the most (${WHOSE_PRICES})`,
  )
  say(`${verb}: quarterdeck db-start makes it again`)
  if (older.length > 0)
    say(
      `${verb}: snapshots of earlier rests cost as well: ${older.map(one => one.name).join(', ')}; aws rds delete-db-snapshot --db-snapshot-identifier ${older[0].name}`,
    )
}

/** Losing its database costs a process what it has not saved, and its user the patience to start it again. */
async function refuseIfAtWork(rds: Rds, instance: Instance, { flags, settings }: Invocation): Promise<void> {
  if (switchFlag(flags, 'force')) return
  const { name, host } = instance
  if (settings.databaseUrl === undefined) return await refuseIfRented(rds, 'DATABASE_URL is not set')
  const address = parseAddress(settings.databaseUrl)
  if (address.host !== host) return await refuseIfRented(rds, `DATABASE_URL leads to ${address.shown}, and not to it`)
  let hands: Hand[]
  try {
    hands = await withDatabase(settings, async sql => {
      const all: Hand[] = []
      for (const quarter of await quartersKnown(sql)) all.push(...(await workInHand(sql, quarter)))
      return all
    })
  } catch (error) {
    return await refuseIfRented(rds, messageOf(error))
  }
  if (hands.length === 0) return
  const who = new Set(hands.map(hand => `${hand.stage} (${hand.worker})`))
  throw new UserError(
    `${name} is not stopped: ${[...who].join(', ')} ${who.size === 1 ? 'is' : 'are'} at work in it`,
    `wait until that has ended (what a vanished machine has in hand is free in ${duration(Math.max(...hands.map(hand => hand.secondsLeft)))}), or quarterdeck db-stop --force: they end with exit code 75, and what they saved stays`,
  )
}

/** Where the database cannot be asked, as from outside its network: an instance that provision rents may be at work in it. */
async function refuseIfRented({ cloud, region, name }: Rds, why: string): Promise<void> {
  const { provisionedInstances } = await import('../lib/cloud/ec2.ts')
  const { defaultChoices } = await import('../lib/cloud/choices.ts')
  const { CloudError } = await import('../lib/cloud/aws.ts')
  const regions = [...new Set([region, ...defaultChoices(region).map(choice => choice.region)])]
  const unknown = `whether somebody is at work in ${name} is not known (${why})`
  let rented: RentedInstance[]
  try {
    rented = await provisionedInstances(cloud, regions)
  } catch (error) {
    if (!(error instanceof CloudError) || error.trouble !== 'permission') throw error
    return warn(`${unknown}, nor whether an instance of provision runs: ${error.message}`)
  }
  const [first] = rented
  if (first === undefined) return warn(`${unknown}; no instance of provision runs in ${regions.join(' or ')}`)
  const which = rented.map(one => `${one.id} (${one.quarter}, ${one.region})`).join(', ')
  throw new UserError(
    `${name} is not stopped: ${which} of provision ${rented.length === 1 ? 'runs and may be' : 'run and may be'} at work in it, and it could not be asked: ${why}`,
    `wait until that has ended, or end it: node bin/provision.mjs --quarter ${first.quarter} --end; or quarterdeck db-stop --force`,
  )
}

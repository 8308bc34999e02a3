// A Postgres on RDS that is started and stopped, in whatever state it is found: each function looks, does the one thing that the
// state allows, and looks again until it is as wanted. AWS goes on by itself with what was begun, so a kill at any moment costs
// nothing, and the next call takes up the state that it left. Deleting and restoring is rds-snapshot.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import {
  type DBInstance,
  DescribeDBInstancesCommand,
  RDSClient,
  StartDBInstanceCommand,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds'
import { messageOf, UserError } from '../errors.ts'
import { duration, say } from '../log.ts'
import { type Cloud, change, codeOf, homeRegion, isPassing, openCloud, read } from './aws.ts'
import { dollarsOfStorage, mostDollarsOfSnapshot, type Storage } from './rds-costs.ts'
import { type Standing, standingOf, troubleOf } from './rds-states.ts'

export type Rds = {
  cloud: Cloud
  region: string
  /** As AWS writes it. */
  name: string
  /** What speaks: db-start, db-stop. */
  verb: string
  everyMilliseconds: number
  patienceMilliseconds: number
}

// To start or to stop takes five to fifteen minutes, so a question every ten seconds loses no time and is far below any limit.
const ASK_MILLISECONDS = 10_000
// A restore or a snapshot of some hundred gigabytes may take an hour. Then this command ends; what AWS has begun goes on.
const PATIENCE_MILLISECONDS = 3_600_000
// The first looks after a change come sooner, a fiftieth of that and then twice as long each: what is quick is seen at once.
const SOONER = 50
// Often enough to see that it lives, rare enough for a log.
const TELL_MILLISECONDS = 60_000

/** In the region of the login. Asks AWS nothing yet. */
export async function openRds(name: string, verb: string, times: Partial<Rds> = {}): Promise<Rds> {
  return {
    cloud: openCloud({ dryRun: false }),
    region: await homeRegion(),
    name: name.toLowerCase(),
    verb,
    everyMilliseconds: ASK_MILLISECONDS,
    patienceMilliseconds: PATIENCE_MILLISECONDS,
    ...times,
  }
}

/** An instance as far as people are told of it. */
export type Instance = {
  name: string
  status: string
  region: string
  engineVersion: string
  /** Absent before it was first available. */
  host: string | undefined
  port: number
  user: string
  /** The one that was made with the instance; there may be others. */
  database: string | undefined
  storage: Storage
  dollarsPerMonth: number | undefined
  mostDollarsAsSnapshot: number
  backupDays: number
  /** When AWS starts it by itself; absent unless it is stopped. */
  startsItself: Date | undefined
}

export function told({ region }: Pick<Rds, 'region'>, one: DBInstance): Instance {
  const storage = {
    gigabytes: one.AllocatedStorage ?? 0,
    storageType: one.StorageType ?? '',
    operations: one.Iops ?? 0,
    megabytes: one.StorageThroughput ?? 0,
    logVolume: one.DedicatedLogVolume === true,
    multiAz: one.MultiAZ === true,
  }
  return {
    name: one.DBInstanceIdentifier ?? '',
    status: one.DBInstanceStatus ?? '',
    region,
    engineVersion: one.EngineVersion ?? '',
    host: one.Endpoint?.Address,
    port: one.Endpoint?.Port ?? 5432,
    user: one.MasterUsername ?? 'postgres',
    database: one.DBName,
    storage,
    dollarsPerMonth: dollarsOfStorage(storage),
    mostDollarsAsSnapshot: mostDollarsOfSnapshot(storage.gigabytes),
    backupDays: one.BackupRetentionPeriod ?? 0,
    startsItself: one.AutomaticRestartTime,
  }
}

/** The instance as it stands, or undefined where there is none of this name. */
export async function findInstance({ cloud, region, name }: Rds): Promise<DBInstance | undefined> {
  try {
    const command = new DescribeDBInstancesCommand({ DBInstanceIdentifier: name })
    return (await read(cloud, RDSClient, region, command)).DBInstances?.[0]
  } catch (error) {
    if (codeOf(error) === 'DBInstanceNotFoundFault') return undefined
    throw error
  }
}

/** Names of the account's instances in this region, those most like the wanted one first. */
export async function instanceNames({ cloud, region, name }: Rds): Promise<string[]> {
  const names: string[] = []
  let Marker: string | undefined
  do {
    const page = await read(cloud, RDSClient, region, new DescribeDBInstancesCommand({ Marker }))
    names.push(...(page.DBInstances ?? []).flatMap(one => one.DBInstanceIdentifier ?? []))
    Marker = page.Marker
  } while (Marker)
  return names.sort((a, b) => lettersInCommon(b, name) - lettersInCommon(a, name) || (a < b ? -1 : 1))
}

function lettersInCommon(one: string, other: string): number {
  let n = 0
  while (n < one.length && one[n] === other[n]) n++
  return n
}

/** Starts the instance and waits until it can be used; undefined where there is none. */
export async function startInstance(rds: Rds): Promise<{ instance: DBInstance; started: boolean } | undefined> {
  let started = false
  const instance = await untilItIs(rds, 'available', async instance => {
    if (standingOf(instance.DBInstanceStatus ?? '') !== 'stopped') return
    refuseIfInCluster(rds, instance)
    await change(rds.cloud, RDSClient, rds.region, new StartDBInstanceCommand({ DBInstanceIdentifier: rds.name }), {})
    started = true
  })
  return instance && { instance, started }
}

/**
 * Stops the instance and waits until it has; undefined where there is none, or none any more. `beforeStop` may refuse: it is
 * asked once, while the database can still be asked.
 */
export async function stopInstance(
  rds: Rds,
  beforeStop: (instance: Instance) => Promise<void>,
): Promise<{ instance: Instance; stopped: boolean } | undefined> {
  let stopped = false
  let asked = false
  const instance = await untilItIs(rds, 'stopped', async instance => {
    refuseIfUnstoppable(rds, instance)
    if (standingOf(instance.DBInstanceStatus ?? '') !== 'available') return
    if (!asked) await beforeStop(told(rds, instance))
    asked = true
    await change(rds.cloud, RDSClient, rds.region, new StopDBInstanceCommand({ DBInstanceIdentifier: rds.name }), {})
    stopped = true
  })
  return instance && { instance: told(rds, instance), stopped }
}

/**
 * Looks until the instance is as wanted, which it returns, or gone. Before each wait `act` may do what the state allows; where AWS
 * says that the state was another one by then, the next look shows which.
 */
export async function untilItIs(
  rds: Rds,
  wanted: Standing,
  act: (instance: DBInstance) => Promise<unknown>,
): Promise<DBInstance | undefined> {
  const wait = waiting(rds)
  let refusedIn: string | undefined
  for (;;) {
    const instance = await wait.look(() => findInstance(rds))
    if (instance === undefined) return undefined
    refuseUnlessPostgres(rds, instance)
    const status = instance.DBInstanceStatus ?? ''
    const standing = standingOf(status)
    if (standing === wanted) return instance
    if (standing === 'trouble') throw troubleOf(rds.name, instance)
    try {
      await act(instance)
    } catch (error) {
      // Somebody else was faster, or the look was behind: that shows next time. Refused in the same state again, it is an answer,
      // but while AWS is at work behind the scenes.
      const isAnswer = refusedIn === status && (status === 'available' || status === 'stopped')
      if (!hasMovedOn(error) || isAnswer) throw mendable(rds, error)
      refusedIn = status
    }
    await wait.pause(`${rds.name} is ${status}`)
  }
}

/** The instance is not any more what it was at the last look. */
export function hasMovedOn(error: unknown): boolean {
  return ['InvalidDBInstanceStateFault', 'DBInstanceNotFoundFault'].includes(codeOf(error))
}

export type Waiting = {
  /** Reads; a network that is away or a service that is busy is waited for like anything else. */
  look<Found>(read: () => Promise<Found>): Promise<Found>
  /** Says what is waited for, at once and once a minute, and waits for the time between two questions. */
  pause(what: string): Promise<void>
}

export function waiting({ verb, name, everyMilliseconds, patienceMilliseconds }: Rds): Waiting {
  const start = performance.now()
  let said = ''
  let saidAt = 0
  let pause = everyMilliseconds / SOONER
  const wait: Waiting = {
    async look(read) {
      for (;;) {
        try {
          return await read()
        } catch (error) {
          if (!isPassing(error) || said === '') throw error // at the very first question it is better to say so
          await wait.pause(`${messageOf(error)}: asking again`)
        }
      }
    },
    async pause(what) {
      const now = performance.now()
      const soFar = now - start
      if (soFar > patienceMilliseconds)
        throw new UserError(
          `after ${duration(soFar / 1000)}: ${what}; AWS goes on with it`,
          `run the same command again, which waits on; aws rds describe-events --source-type db-instance --source-identifier ${name} says what AWS does`,
        )
      if (what !== said) pause = everyMilliseconds / SOONER
      if (what !== said || now - saidAt > TELL_MILLISECONDS) {
        say(`${verb}: ${what}${soFar > 1000 ? ` (${duration(soFar / 1000)})` : ''}`)
        said = what
        saidAt = now
      }
      await sleep(pause)
      pause = Math.min(2 * pause, everyMilliseconds)
    },
  }
  return wait
}

// What AWS says where it cannot start or make an instance names what is missing, and not what to do.
const MEND: Record<string, (rds: Rds) => string> = {
  InsufficientDBInstanceCapacityFault: ({ name }) =>
    `wait and run it again; or quarterdeck db-stop --snapshot-and-delete --yes and quarterdeck db-start, which may put ${name} into another zone`,
  KMSKeyNotAccessibleFault: () => 'aws kms enable-key --key-id KEY, and let this login use it',
  SnapshotQuotaExceededFault: () =>
    'aws rds describe-db-snapshots --snapshot-type manual lists them; delete one, or have the quota raised',
  InstanceQuotaExceededFault: () => 'delete another instance, or have the quota raised (Service Quotas, Amazon RDS)',
  StorageQuotaExceededFault: () => 'have the quota raised (Service Quotas, Amazon RDS)',
  InvalidDBInstanceStateFault: ({ name }) =>
    `aws rds describe-db-instances --db-instance-identifier ${name} shows the state; then the same command again`,
}

/** The same error with what to type, where AWS gave none. */
export function mendable(rds: Rds, error: unknown): unknown {
  const mend = MEND[codeOf(error)]
  return mend === undefined ? error : new UserError(messageOf(error), mend(rds), { cause: error })
}

/** A slip in a name must not stop, let alone delete, the database of somebody's shop. */
export function refuseUnlessPostgres({ name }: Rds, { Engine = '' }: DBInstance): void {
  if (Engine === 'postgres' || Engine === 'aurora-postgresql') return
  throw new UserError(
    `${name} is a database of another kind: ${Engine}, and quarterdeck works with postgres`,
    'export RDS_INSTANCE=NAME with the name of your own',
  )
}

function refuseIfInCluster({ name }: Rds, { DBClusterIdentifier: cluster, Engine = '' }: DBInstance): void {
  if (cluster === undefined) return
  throw Engine.startsWith('aurora')
    ? new UserError(
        `${name} belongs to the Aurora cluster ${cluster}, which is started and stopped as a whole`,
        `aws rds start-db-cluster --db-cluster-identifier ${cluster}, or stop-db-cluster; and unset RDS_INSTANCE`,
      )
    : new UserError(
        `${name} belongs to the Multi-AZ cluster ${cluster}, which AWS cannot stop or start`,
        `to end its cost: aws rds create-db-cluster-snapshot --db-cluster-identifier ${cluster} --db-cluster-snapshot-identifier ${cluster}-rest, then delete the cluster`,
      )
}

/** AWS neither stops these, nor would deleting them leave the others as they are. */
export function refuseIfUnstoppable(rds: Rds, instance: DBInstance): void {
  refuseIfInCluster(rds, instance)
  const source = instance.ReadReplicaSourceDBInstanceIdentifier ?? instance.ReadReplicaSourceDBClusterIdentifier
  if (source !== undefined)
    throw new UserError(
      `${rds.name} is a read replica of ${source}, and AWS cannot stop one`,
      `aws rds delete-db-instance --db-instance-identifier ${rds.name} --skip-final-snapshot, since ${source} has its data; or make it independent: aws rds promote-read-replica --db-instance-identifier ${rds.name}`,
    )
  const replicas = [
    ...(instance.ReadReplicaDBInstanceIdentifiers ?? []),
    ...(instance.ReadReplicaDBClusterIdentifiers ?? []),
  ]
  if (replicas.length > 0)
    throw new UserError(
      `${rds.name} has ${replicas.length === 1 ? 'a read replica' : 'read replicas'}, ${replicas.join(', ')}, and AWS cannot stop it then`,
      `aws rds delete-db-instance --db-instance-identifier ${replicas[0]} --skip-final-snapshot, then the same command again`,
    )
}

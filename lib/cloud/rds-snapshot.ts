// A long rest: the instance is deleted with a last snapshot, and made again out of it. One call does both at AWS, so nothing that
// is written before the end is missing from the snapshot, and no kill of ours comes between; AWS deletes only what it has saved.
// A snapshot that we asked for ourselves before would miss what is written while it is made. Settings go by tags (rds-settings.ts):
// they are on the instance before it is deleted, and AWS is told to copy them, so that they too outlive a kill.

import {
  AddTagsToResourceCommand,
  type DBInstance,
  type DBSnapshot,
  DeleteDBInstanceCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBInstanceCommand,
  RDSClient,
  RemoveTagsFromResourceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  StartDBInstanceCommand,
  type Tag,
} from '@aws-sdk/client-rds'
import { messageOf, UserError } from '../errors.ts'
import { count, say, warn } from '../log.ts'
import { CloudError, change, codeOf, read } from './aws.ts'
import {
  findInstance,
  hasMovedOn,
  type Instance,
  instanceNames,
  mendable,
  type Rds,
  refuseIfUnstoppable,
  refuseUnlessPostgres,
  startInstance,
  told,
  waiting,
} from './rds.ts'
import { mostDollarsOfSnapshot } from './rds-costs.ts'
import { INSTANCE_TAG, lostForGood, ownTags, settingsIn, settingsOf, stillToChange, tagsOf } from './rds-settings.ts'
import { standingOf, troubleOf } from './rds-states.ts'

export type Snapshot = {
  name: string
  instance: string
  madeAt: Date | undefined
  gigabytes: number
  mostDollarsPerMonth: number
}

/** Tag of an instance that was made out of a snapshot and has not all of its settings yet. */
const UNFINISHED_TAG = 'quarterdeck:unfinished'

// A step of another's, between a look and a call of ours, makes one refusal each: tags, a change, the deletion.
const LOOKS_BEHIND = 3

/** What deleting would do, for a person who has not said yes yet; undefined where there is nothing to delete. */
export async function deletionPlan(rds: Rds): Promise<{ instance: Instance; lost: string[] } | undefined> {
  const instance = await findInstance(rds)
  if (instance === undefined || standingOf(instance.DBInstanceStatus ?? '') === 'deleting') return undefined
  refuseIfUndeletable(rds, instance)
  return { instance: told(rds, instance), lost: lostForGood(instance) }
}

function refuseIfUndeletable(rds: Rds, instance: DBInstance): void {
  refuseUnlessPostgres(rds, instance)
  refuseIfUnstoppable(rds, instance)
  if (instance.DeletionProtection)
    throw new UserError(
      `${rds.name} is protected from being deleted`,
      `aws rds modify-db-instance --db-instance-identifier ${rds.name} --no-deletion-protection, then the same command again`,
    )
}

/** Deletes the instance with a last snapshot, or finishes that, and returns the snapshot; undefined where there is neither. */
export async function snapshotAndDelete(
  rds: Rds,
  beforeDeletion: (instance: Instance) => Promise<void>,
  now = new Date(),
): Promise<{ snapshot: Snapshot; older: Snapshot[]; deleted: boolean } | undefined> {
  const wait = waiting(rds)
  let last: DBInstance | undefined // as it was when last seen
  let asked = false
  let begun = false
  let refusals = 0
  for (;;) {
    const found = await wait.look(() => findInstance(rds))
    // Another one of the same name is somebody's db-start since: it is not ours to delete.
    const instance = found !== undefined && isAnother(found, last) ? undefined : found
    if (instance === undefined) {
      const { newest, others } = await wait.look(() => ourSnapshots(rds, last?.DbiResourceId))
      if (newest === undefined && last === undefined) return undefined
      requireWhole(rds, newest, last)
      return { snapshot: shown(newest), older: others.map(shown), deleted: last !== undefined }
    }
    last = instance
    const status = instance.DBInstanceStatus ?? ''
    const standing = standingOf(status)
    if (standing === 'deleting') {
      await wait.pause(await wait.look(() => progressOfDeletion(rds, instance)))
      continue
    }
    refuseIfUndeletable(rds, instance)
    // A full disk is no reason to keep it; of what has failed or lost its key there is no last snapshot.
    if (standing === 'trouble' && status !== 'storage-full') throw troubleOf(rds.name, instance)
    if (standing !== 'passing') {
      if (standing === 'available' && !asked) {
        await beforeDeletion(told(rds, instance))
        asked = true
      }
      try {
        if (await isReadyToGo(rds, instance)) {
          await deleteWithSnapshot(rds, `${snapshotPrefix(rds)}${stamp(now)}`)
          begun = true
        }
      } catch (error) {
        // Somebody else was faster, or the look was behind: that shows next time, and is an answer where it never does.
        if (!hasMovedOn(error) || ++refusals > LOOKS_BEHIND) throw mendable(rds, error)
      }
    }
    await wait.pause(begun ? `${rds.name} is about to be deleted` : `${rds.name} is ${status}`)
  }
}

function isAnother(found: DBInstance, before: DBInstance | undefined): boolean {
  if (before === undefined) return false
  const [now, then] = [found, before].map(one => one.InstanceCreateTime?.getTime()) // none while it is being made
  return found.DbiResourceId !== before.DbiResourceId || (now !== undefined && then !== undefined && now !== then)
}

async function deleteWithSnapshot({ cloud, region, name, verb }: Rds, snapshot: string): Promise<void> {
  const command = new DeleteDBInstanceCommand({
    DBInstanceIdentifier: name,
    SkipFinalSnapshot: false,
    FinalDBSnapshotIdentifier: snapshot,
    DeleteAutomatedBackups: true,
  })
  await change(cloud, RDSClient, region, command, {})
  say(`${verb}: AWS makes the snapshot ${snapshot} and then deletes ${name}`)
}

/** Writes the settings onto the instance, and has them copied to its snapshots; false where a look is needed in between. */
async function isReadyToGo({ cloud, region, name, verb }: Rds, instance: DBInstance): Promise<boolean> {
  const before = settingsIn(instance.TagList)
  const isUnfinished = before !== undefined && instance.TagList?.some(tag => tag.Key === UNFINISHED_TAG)
  const settings = isUnfinished ? before : settingsOf(instance)
  // An attempt before this one may have switched it on.
  if (before !== undefined) settings.restore.CopyTagsToSnapshot = before.restore.CopyTagsToSnapshot
  const tags = tagsOf(name, settings).filter(tag => !hasTag(instance.TagList, tag))
  if (tags.length > 0) {
    const command = new AddTagsToResourceCommand({ ResourceName: instance.DBInstanceArn, Tags: tags })
    await change(cloud, RDSClient, region, command, {})
  }
  if (instance.CopyTagsToSnapshot) return true
  if (standingOf(instance.DBInstanceStatus ?? '') === 'stopped') {
    say(`${verb}: ${name} has to be started once more: only then can its settings be made to go with the snapshot`)
    await change(cloud, RDSClient, region, new StartDBInstanceCommand({ DBInstanceIdentifier: name }), {})
    return false
  }
  const command = new ModifyDBInstanceCommand({
    DBInstanceIdentifier: name,
    CopyTagsToSnapshot: true,
    ApplyImmediately: true,
  })
  await change(cloud, RDSClient, region, command, {})
  return false
}

function hasTag(tags: readonly Tag[] = [], { Key, Value }: Tag): boolean {
  return tags.some(tag => tag.Key === Key && tag.Value === Value)
}

/** How far a deletion is. Should AWS not have copied the tags, they are written while they can still be read off the instance. */
async function progressOfDeletion(rds: Rds, instance: DBInstance): Promise<string> {
  const snapshots = await manualSnapshots(rds)
  const snapshot = newestFirst(
    snapshots.filter(
      one => one.DBSnapshotIdentifier?.startsWith(snapshotPrefix(rds)) && one.DbiResourceId === instance.DbiResourceId,
    ),
  )[0]
  if (snapshot === undefined) return `${rds.name} is being deleted`
  const settings = settingsIn(instance.TagList)
  if (settings !== undefined && settingsIn(snapshot.TagList) === undefined) {
    const Tags = [...ownTags(instance.TagList), ...tagsOf(rds.name, settings)]
    const command = new AddTagsToResourceCommand({ ResourceName: snapshot.DBSnapshotArn, Tags })
    await change(rds.cloud, RDSClient, rds.region, command, {})
  }
  const done = snapshot.Status === 'available' ? 'is made' : `is made to ${snapshot.PercentProgress ?? 0} %`
  return `${rds.name} is being deleted; its snapshot ${snapshot.DBSnapshotIdentifier} ${done}`
}

function requireWhole(
  { name, region }: Rds,
  snapshot: DBSnapshot | undefined,
  instance: DBInstance | undefined,
): asserts snapshot is DBSnapshot {
  const look = `aws rds describe-db-snapshots --region ${region} --db-instance-identifier ${name}; what AWS did: aws rds describe-events --source-type db-instance --source-identifier ${name} --duration 1440`
  if (snapshot === undefined)
    throw new UserError(`${name} is gone, and there is no snapshot of it by quarterdeck`, look)
  const { DBSnapshotIdentifier, Status, Engine, AllocatedStorage } = snapshot
  if (Status !== 'available')
    throw new UserError(`the snapshot ${DBSnapshotIdentifier} is ${Status} and not available`, look)
  const isSame =
    instance === undefined || (Engine === instance.Engine && AllocatedStorage === instance.AllocatedStorage)
  if (!isSame)
    throw new UserError(
      `the snapshot ${DBSnapshotIdentifier} is of ${AllocatedStorage} GB of ${Engine}, and ${name} was ${instance.AllocatedStorage} GB of ${instance.Engine}`,
      look,
    )
}

function snapshotPrefix({ name }: Rds): string {
  return `quarterdeck-${name}-`
}

/** 20261126-105421, in UTC: a snapshot's name takes no colon. */
function stamp(now: Date): string {
  return now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')
}

/** All of the account's own: a list of those of one instance is promised only while there is that instance. */
async function manualSnapshots({ cloud, region, name }: Rds): Promise<DBSnapshot[]> {
  const found: DBSnapshot[] = []
  let Marker: string | undefined
  do {
    const command = new DescribeDBSnapshotsCommand({ SnapshotType: 'manual', Marker })
    const page = await read(cloud, RDSClient, region, command)
    found.push(...(page.DBSnapshots ?? []).filter(one => one.DBInstanceIdentifier === name))
    Marker = page.Marker
  } while (Marker)
  return found
}

function newestFirst(snapshots: DBSnapshot[]): DBSnapshot[] {
  return snapshots.sort((a, b) => (b.SnapshotCreateTime?.getTime() ?? 0) - (a.SnapshotCreateTime?.getTime() ?? 0))
}

async function ourSnapshots(
  rds: Rds,
  ofInstance?: string,
): Promise<{ newest: DBSnapshot | undefined; others: DBSnapshot[] }> {
  // By name too: while its tags go along, a snapshot that somebody makes by hand has them as well.
  const ours = (await manualSnapshots(rds)).filter(
    one =>
      one.DBSnapshotIdentifier?.startsWith(snapshotPrefix(rds)) &&
      hasTag(one.TagList, { Key: INSTANCE_TAG, Value: rds.name }) &&
      settingsIn(one.TagList) !== undefined,
  )
  const wanted = ours.filter(one => ofInstance === undefined || one.DbiResourceId === ofInstance)
  const [newest] = newestFirst(wanted)
  return { newest, others: newestFirst(ours).filter(one => one !== newest) }
}

function shown(snapshot: DBSnapshot): Snapshot {
  const gigabytes = snapshot.AllocatedStorage ?? 0
  return {
    name: snapshot.DBSnapshotIdentifier ?? '',
    instance: snapshot.DBInstanceIdentifier ?? '',
    madeAt: snapshot.SnapshotCreateTime,
    gigabytes,
    mostDollarsPerMonth: mostDollarsOfSnapshot(gigabytes),
  }
}

/** The snapshot that `startOrRestore` would take. */
export async function restingSnapshot(rds: Rds): Promise<Snapshot | undefined> {
  const { newest } = await ourSnapshots(rds)
  return newest && shown(newest)
}

/** Starts the instance, or makes it again out of its last snapshot, and waits until it can be used. */
export async function startOrRestore(
  rds: Rds,
): Promise<{ instance: Instance; started: boolean; restoredFrom: Snapshot | undefined }> {
  const wait = waiting(rds)
  let from: DBSnapshot | undefined
  for (;;) {
    const found = await startInstance(rds)
    if (found !== undefined) {
      const instance = told(rds, await finishRestoring(rds, found.instance))
      return { instance, started: found.started || from !== undefined, restoredFrom: from && shown(from) }
    }
    const { newest } = await ourSnapshots(rds)
    if (newest === undefined) throw await notFound(rds)
    if (await restore(rds, newest)) from = newest
    await wait.pause(`${rds.name} does not show yet`)
  }
}

/** False where the name is taken: by another db-start that was faster, by the one before, or by what is not quite deleted yet. */
async function restore(rds: Rds, snapshot: DBSnapshot): Promise<boolean> {
  const { cloud, region, name, verb } = rds
  const from = snapshot.DBSnapshotIdentifier ?? ''
  requireWhole(rds, snapshot, undefined)
  const settings = settingsIn(snapshot.TagList)
  if (settings === undefined) throw new Error(`${from} has lost its tags`) // ourSnapshots has just read them
  const command = new RestoreDBInstanceFromDBSnapshotCommand({
    ...settings.restore,
    DBInstanceIdentifier: name,
    DBSnapshotIdentifier: from,
    Tags: [...ownTags(snapshot.TagList), ...tagsOf(name, settings), { Key: UNFINISHED_TAG, Value: from }],
  })
  try {
    await change(cloud, RDSClient, region, command, {})
    say(`${verb}: ${name} is made again out of the snapshot ${from}`)
    return true
  } catch (error) {
    if (codeOf(error) === 'DBInstanceAlreadyExistsFault') return false
    if (!(error instanceof CloudError) || error.trouble !== 'answer') throw error
    const mended = mendable(rds, error)
    if (mended !== error) throw mended
    throw new UserError(
      `${name} cannot be made again as it was: ${messageOf(error)}`,
      `make what is missing again, or restore it with other settings: aws rds restore-db-instance-from-db-snapshot --db-instance-identifier ${name} --db-snapshot-identifier ${from}`,
      { cause: error },
    )
  }
}

/** What a restore could not be told. Where AWS refuses it the database can be used all the same. */
async function finishRestoring(rds: Rds, instance: DBInstance): Promise<DBInstance> {
  const { cloud, region, name, verb } = rds
  const tags = instance.TagList ?? []
  if (!tags.some(tag => tag.Key === UNFINISHED_TAG)) return instance
  const settings = settingsIn(tags)
  const open = settings && stillToChange(instance, settings)
  if (open !== undefined) {
    const command = new ModifyDBInstanceCommand({ ...open, DBInstanceIdentifier: name, ApplyImmediately: true })
    try {
      await change(cloud, RDSClient, region, command, {})
      say(`${verb}: ${count(Object.keys(open).length, 'setting')} of ${name} that a restore cannot be told: set`)
    } catch (error) {
      if (!(error instanceof CloudError) || error.trouble !== 'answer') throw error
      const isEarly = error.code === 'InvalidDBInstanceStateFault'
      warn(
        `${Object.keys(open).join(', ')} of ${name} could not be set as before (${error.message})${isEarly ? '; the next db-start tries again' : ''}`,
      )
      if (isEarly) return instance
    }
  }
  const keys = tags.flatMap(({ Key = '' }) => (Key.startsWith('quarterdeck:') ? Key : []))
  const command = new RemoveTagsFromResourceCommand({ ResourceName: instance.DBInstanceArn, TagKeys: keys })
  await change(cloud, RDSClient, region, command, {})
  return (await startInstance(rds))?.instance ?? instance
}

async function notFound(rds: Rds): Promise<UserError> {
  const { region, name } = rds
  const names = await instanceNames(rds)
  const snapshots = newestFirst(await manualSnapshots(rds))
  const others = snapshots.map(one => one.DBSnapshotIdentifier ?? '')
  const whatThereIs = names.length === 0 ? 'none at all' : names.slice(0, 5).join(', ')
  return new UserError(
    `there is no RDS instance ${name} in ${region}, and no snapshot that db-stop --snapshot-and-delete made of it; instances there: ${whatThereIs}`,
    others.length > 0
      ? `there are other snapshots of it (${others.slice(0, 5).join(', ')}): aws rds restore-db-instance-from-db-snapshot --db-instance-identifier ${name} --db-snapshot-identifier ${others[0]}`
      : 'export RDS_INSTANCE=NAME, or AWS_REGION=REGION if it is in another one',
  )
}

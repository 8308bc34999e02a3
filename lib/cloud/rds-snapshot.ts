// A long rest: the instance is deleted with a last snapshot, and made again out of it. One call does both at AWS, so nothing that
// is written before the end is missing from the snapshot, and no kill of ours comes between; AWS deletes only what it has saved.
// A snapshot that we asked for ourselves before would miss what is written while it is made. Settings go by tags (rds-settings.ts):
// they are on the instance before it is deleted, and AWS is told to copy them; a stopped one it cannot be told, and is not started
// for that, which may fail: there this writes them onto the snapshot, as soon as that shows, and every run that still finds it so.

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
import {
  INSTANCE_TAG,
  lostForGood,
  matters,
  ownTags,
  type Settings,
  settingsIn,
  settingsOf,
  stillToChange,
  tagsOf,
} from './rds-settings.ts'
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
      const gone = last
      if (gone !== undefined) await wait.look(() => lastSnapshot(rds, gone))
      const { newest, newer, others } = await wait.look(() => ourSnapshots(rds, last?.DbiResourceId))
      if (newest === undefined && last === undefined) return undefined
      if (newest !== undefined && newer !== undefined) throw outdated(rds, newest, newer)
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

/** Writes the settings onto the instance, and has them copied to its snapshots; true once a look has shown both. */
async function isReadyToGo({ cloud, region, name }: Rds, instance: DBInstance): Promise<boolean> {
  const before = settingsIn(instance.TagList)
  const settings = settingsOf(instance)
  if (before !== undefined && isUnfinished(instance)) Object.assign(settings.afterwards, before.afterwards)
  // An attempt before this one may have switched it on.
  if (before !== undefined && 'CopyTagsToSnapshot' in before.restore)
    settings.restore.CopyTagsToSnapshot = before.restore.CopyTagsToSnapshot
  const tags = tagsOf(name, settings).filter(tag => !hasTag(instance.TagList, tag))
  if (tags.length > 0) {
    const command = new AddTagsToResourceCommand({ ResourceName: instance.DBInstanceArn, Tags: tags })
    await change(cloud, RDSClient, region, command, {})
  }
  // RDS changes nothing of one that is stopped, or full.
  if (instance.CopyTagsToSnapshot || standingOf(instance.DBInstanceStatus ?? '') !== 'available')
    return tags.length === 0
  const command = new ModifyDBInstanceCommand({
    DBInstanceIdentifier: name,
    CopyTagsToSnapshot: true,
    ApplyImmediately: true,
  })
  await change(cloud, RDSClient, region, command, {})
  return false
}

function isUnfinished({ TagList = [] }: DBInstance): boolean {
  return TagList.some(tag => tag.Key === UNFINISHED_TAG)
}

function hasTag(tags: readonly Tag[] = [], { Key, Value }: Tag): boolean {
  return tags.some(tag => tag.Key === Key && tag.Value === Value)
}

async function progressOfDeletion(rds: Rds, instance: DBInstance): Promise<string> {
  let snapshot: DBSnapshot | undefined
  try {
    snapshot = await lastSnapshot(rds, instance)
  } catch (error) {
    // Its tags may be refused while it is made: once it is, that is an answer.
    if (!(error instanceof CloudError) || error.trouble !== 'answer') throw error
  }
  if (snapshot === undefined) return `${rds.name} is being deleted`
  const done = snapshot.Status === 'available' ? 'is made' : `is made to ${snapshot.PercentProgress ?? 0} %`
  return `${rds.name} is being deleted; its snapshot ${snapshot.DBSnapshotIdentifier} ${done}`
}

/** The snapshot that an instance is deleted with. What AWS has not copied of the tags is written while they can still be read. */
async function lastSnapshot(rds: Rds, instance: DBInstance): Promise<DBSnapshot | undefined> {
  const ofIt = (await manualSnapshots(rds)).filter(
    one => isNamedByUs(rds, one) && one.DbiResourceId === instance.DbiResourceId,
  )
  const [snapshot] = newestFirst(ofIt)
  if (snapshot === undefined) return undefined
  const settings = settingsIn(instance.TagList)
  if (settings !== undefined && settingsIn(snapshot.TagList) === undefined) {
    const Tags = [...ownTags(instance.TagList), ...tagsOf(rds.name, settings)]
    const command = new AddTagsToResourceCommand({ ResourceName: snapshot.DBSnapshotArn, Tags })
    await change(rds.cloud, RDSClient, rds.region, command, {})
  }
  return snapshot
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

function isNamedByUs(rds: Rds, { DBSnapshotIdentifier }: DBSnapshot): boolean {
  return DBSnapshotIdentifier?.startsWith(snapshotPrefix(rds)) === true
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

/** When its data were as they are in it: a copy keeps the time of what it was made of. None while it is still being made. */
function timeOfData({ OriginalSnapshotCreateTime, SnapshotCreateTime }: DBSnapshot): number {
  return (OriginalSnapshotCreateTime ?? SnapshotCreateTime)?.getTime() ?? Number.MAX_SAFE_INTEGER
}

function newestFirst(snapshots: readonly DBSnapshot[]): DBSnapshot[] {
  return [...snapshots].sort((a, b) => timeOfData(b) - timeOfData(a))
}

/** All manual ones; of ours the newest, of the instance if one is named; and one by others that is newer, whose data ours lacks. */
async function ourSnapshots(
  rds: Rds,
  ofInstance?: string,
): Promise<{ all: DBSnapshot[]; newest?: DBSnapshot; newer?: DBSnapshot; others: DBSnapshot[] }> {
  const all = newestFirst(await manualSnapshots(rds))
  // By name too: while its tags go along, a snapshot that somebody makes by hand has them as well.
  const ours = all.filter(
    one =>
      isNamedByUs(rds, one) &&
      hasTag(one.TagList, { Key: INSTANCE_TAG, Value: rds.name }) &&
      settingsIn(one.TagList) !== undefined,
  )
  const newest = ours.find(one => ofInstance === undefined || one.DbiResourceId === ofInstance)
  const newer = all.find(
    one =>
      newest !== undefined && !ours.includes(one) && one.Status !== 'failed' && timeOfData(one) > timeOfData(newest),
  )
  return { all, newest, newer, others: ours.filter(one => one !== newest) }
}

/** What an older snapshot of ours would bring back silently: the data of before the last life of the instance. */
function outdated({ name }: Rds, newest: DBSnapshot, newer: DBSnapshot): UserError {
  const [ours, theirs] = [newest, newer].map(one => one.DBSnapshotIdentifier)
  return new UserError(
    `${theirs} (${dayOf(newer)}) is a newer snapshot of ${name} than ${ours} (${dayOf(newest)}), and not by db-stop`,
    `quarterdeck db-start --from ${theirs} takes its data, with the settings that stand in ${ours}; quarterdeck db-start --from ${ours} goes back to that one`,
  )
}

function dayOf({ OriginalSnapshotCreateTime, SnapshotCreateTime }: DBSnapshot): string {
  const time = OriginalSnapshotCreateTime ?? SnapshotCreateTime
  return time === undefined ? 'still being made' : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
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
  const { newest, newer } = await ourSnapshots(rds)
  return newest && newer === undefined ? shown(newest) : undefined
}

/**
 * Starts the instance, or makes it again, and waits until it can be used. It is made out of the snapshot that is `named`, or else
 * out of its last one.
 */
export async function startOrRestore(
  rds: Rds,
  named?: string,
): Promise<{ instance: Instance; started: boolean; restoredFrom: Snapshot | undefined }> {
  const wait = waiting(rds)
  let from: DBSnapshot | undefined
  for (;;) {
    const found = await startInstance(rds)
    if (found !== undefined) {
      const isFromNamed = hasTag(found.instance.TagList, { Key: UNFINISHED_TAG, Value: named })
      if (named !== undefined && from === undefined && !isFromNamed)
        warn(`${rds.name} is there, and is not made again out of ${named}`)
      const instance = told(rds, await finishRestoring(rds, found.instance))
      return { instance, started: found.started || from !== undefined, restoredFrom: from && shown(from) }
    }
    const { snapshot, settings } = await whatToRestore(rds, named)
    if (await restore(rds, snapshot, settings)) from = snapshot
    await wait.pause(`${rds.name} does not show yet`)
  }
}

async function whatToRestore(rds: Rds, named?: string): Promise<{ snapshot: DBSnapshot; settings: Settings }> {
  const { all, newest, newer } = await ourSnapshots(rds)
  if (named === undefined && newest !== undefined && newer !== undefined) throw outdated(rds, newest, newer)
  const snapshot = named === undefined ? newest : all.find(one => one.DBSnapshotIdentifier === named)
  // One that was made by hand has its data, and no settings.
  const settings = settingsIn(snapshot?.TagList) ?? settingsIn(newest?.TagList)
  if (snapshot === undefined || settings === undefined) throw await notFound(rds, all, named)
  return { snapshot, settings }
}

/** False where the name is taken: by another db-start that was faster, by the one before, or by what is not quite deleted yet. */
async function restore(rds: Rds, snapshot: DBSnapshot, settings: Settings): Promise<boolean> {
  const { cloud, region, name, verb } = rds
  const from = snapshot.DBSnapshotIdentifier ?? ''
  requireWhole(rds, snapshot, undefined)
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

/** What a restore could not be told. Where AWS refuses it the database can be used all the same, and the next start asks again. */
async function finishRestoring(rds: Rds, instance: DBInstance): Promise<DBInstance> {
  const { cloud, region, name, verb } = rds
  if (!isUnfinished(instance)) return instance
  const { TagList = [], DBInstanceArn: ResourceName } = instance
  const settings = settingsIn(TagList)
  const open = (settings && stillToChange(instance, settings)) ?? {}
  const refused = await refusedOf(rds, open)
  const left = Object.assign({}, ...refused.map(one => one.matter))
  const done = Object.keys(open).length - Object.keys(left).length
  if (done > 0) say(`${verb}: ${count(done, 'setting')} of ${name} that a restore cannot be told: set`)
  for (const { matter, error } of refused)
    warn(`${Object.keys(matter).join(', ')} of ${name} could not be set as before (${error.message})`)
  if (refused.length > 0) {
    say(
      `${verb}: the next db-start tries again; to leave it so: aws rds remove-tags-from-resource --resource-name ${ResourceName} --tag-keys ${UNFINISHED_TAG}`,
    )
    // Only those: the others are whatever a person makes of them from now on.
    const Tags = tagsOf(name, { restore: {}, afterwards: left }).filter(tag => !hasTag(TagList, tag))
    if (Tags.length > 0)
      await change(cloud, RDSClient, region, new AddTagsToResourceCommand({ ResourceName, Tags }), {})
  } else {
    const TagKeys = TagList.flatMap(({ Key = '' }) => (Key.startsWith('quarterdeck:') ? Key : []))
    await change(cloud, RDSClient, region, new RemoveTagsFromResourceCommand({ ResourceName, TagKeys }), {})
  }
  return (await startInstance(rds))?.instance ?? instance
}

type Afterwards = Settings['afterwards']

/** Sets them all, in one change if AWS takes that, and returns those that it refuses. */
async function refusedOf(rds: Rds, open: Afterwards): Promise<{ matter: Afterwards; error: CloudError }[]> {
  const all = matters(open)
  if (all.length === 0) return []
  const error = await refusalOf(rds, open)
  if (error === undefined) return []
  if (all.length === 1) return [{ matter: open, error }]
  const refused: { matter: Afterwards; error: CloudError }[] = []
  for (const matter of all) {
    const error = await refusalOf(rds, matter)
    if (error !== undefined) refused.push({ matter, error })
  }
  return refused
}

async function refusalOf(rds: Rds, matter: Afterwards): Promise<CloudError | undefined> {
  const wait = waiting(rds)
  const command = new ModifyDBInstanceCommand({ ...matter, DBInstanceIdentifier: rds.name, ApplyImmediately: true })
  for (let looks = 0; ; looks++) {
    try {
      await change(rds.cloud, RDSClient, rds.region, command, {})
      return undefined
    } catch (error) {
      if (!(error instanceof CloudError) || !['answer', 'permission'].includes(error.trouble)) throw error
      // At work on the matter before, of which the last look did not know yet.
      if (!hasMovedOn(error) || looks === LOOKS_BEHIND) return error
    }
    await wait.pause(`${rds.name} takes no more settings at the moment`)
    await startInstance(rds)
  }
}

async function notFound(rds: Rds, snapshots: readonly DBSnapshot[], named?: string): Promise<UserError> {
  const { region, name } = rds
  const others = snapshots.map(one => one.DBSnapshotIdentifier ?? '')
  if (named !== undefined && !others.includes(named))
    return new UserError(
      `there is no snapshot ${named} of ${name} in ${region}; of it there are: ${others.join(', ') || 'none'}`,
      `aws rds describe-db-snapshots --region ${region} --snapshot-type manual`,
    )
  const names = await instanceNames(rds)
  const whatThereIs = names.length === 0 ? 'none at all' : names.slice(0, 5).join(', ')
  return new UserError(
    `there is no RDS instance ${name} in ${region}, and no snapshot that db-stop --snapshot-and-delete made of it; instances there: ${whatThereIs}`,
    others.length > 0
      ? `there are snapshots of it without its settings (${others.slice(0, 5).join(', ')}): aws rds restore-db-instance-from-db-snapshot --db-instance-identifier ${name} --db-snapshot-identifier ${named ?? others[0]}, with --vpc-security-group-ids and what else it needs`
      : 'export RDS_INSTANCE=NAME, or AWS_REGION=REGION if it is in another one',
  )
}

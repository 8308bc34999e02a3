// A Postgres on RDS: started, stopped, deleted with its last snapshot and made again, from every state that it can be found in, and
// with AWS refusing, throttling and being late. moto keeps the instances; rds-front.ts adds the states that it does not have.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateSecurityGroupCommand, DescribeSubnetsCommand, EC2Client } from '@aws-sdk/client-ec2'
import {
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  type CreateDBInstanceMessage,
  CreateDBInstanceReadReplicaCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  CreateDBSubnetGroupCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
  RemoveTagsFromResourceCommand,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { provisionedInstances } from '../../lib/cloud/ec2.ts'
import { openRds, type Rds, stopInstance } from '../../lib/cloud/rds.ts'
import { dollarsOfStorage } from '../../lib/cloud/rds-costs.ts'
import { settingsIn, settingsOf, tagsOf } from '../../lib/cloud/rds-settings.ts'
import { deletionPlan, snapshotAndDelete, startOrRestore } from '../../lib/cloud/rds-snapshot.ts'
import { standingOf } from '../../lib/cloud/rds-states.ts'
import { UserError } from '../../lib/errors.ts'
import { root } from '../run.ts'
import { motoIsHere } from './moto.ts'
import { openRdsFront, type RdsFront } from './rds-front.ts'

const NAME = 'calls'
// The states of RDS that pass by themselves, as its guide lists them, and one that it may have one day.
const PASSING = [
  'starting',
  'creating',
  'backing-up',
  'modifying',
  'rebooting',
  'upgrading',
  'maintenance',
  'renaming',
  'configuring-enhanced-monitoring',
  'configuring-iam-database-auth',
  'configuring-log-exports',
  'converting-to-vpc',
  'moving-to-vpc',
  'resetting-master-credentials',
  'stopping',
  'a-state-of-tomorrow',
]
const TROUBLE = [
  'storage-full',
  'failed',
  'restore-error',
  'incompatible-create',
  'incompatible-network',
  'incompatible-option-group',
  'incompatible-parameters',
  'incompatible-restore',
  'inaccessible-encryption-credentials',
  'inaccessible-encryption-credentials-recoverable',
  'insufficient-capacity',
]
const QUICKLY = { everyMilliseconds: 10 }

const POLICY: { Statement: { Sid: string; Action: string | string[]; Resource: string | string[] }[] } = JSON.parse(
  readFileSync(join(root, 'docs/aws-policy-rds.json'), 'utf8').replaceAll('NAME', NAME),
)
// What AWS asks for itself, when it does what it was asked: nobody here can hear it.
const IMPLIED = [
  'rds:CreateDBSnapshot', // by DeleteDBInstance with a last snapshot
  'iam:PassRole', // by ModifyDBInstance with enhanced monitoring
  'kms:CreateGrant', // by RestoreDBInstanceFromDBSnapshot and StartDBInstance with a key of one's own
  'kms:DescribeKey',
  'secretsmanager:CreateSecret', // by RestoreDBInstanceFromDBSnapshot with a password in Secrets Manager
  'secretsmanager:TagResource',
]

function isAllowed(action: string, resource: string): boolean {
  const matches = (pattern: string) =>
    new RegExp(`^${pattern.replace(/[.]/g, '\\.').replaceAll('*', '.*')}$`).test(resource)
  return POLICY.Statement.some(
    ({ Action, Resource }) => [Action].flat().includes(action) && [Resource].flat().some(matches),
  )
}

describe.skipIf(!motoIsHere)('a database on RDS', () => {
  let front: RdsFront
  let moto: RDSClient
  let rds: Rds

  beforeAll(async () => {
    front = await openRdsFront()
    for (const [name, value] of Object.entries(front.env)) vi.stubEnv(name, value)
    moto = new RDSClient(front.direct)
    vi.stubEnv('AWS_MAX_ATTEMPTS', '1') // the SDK waits longer before each
    rds = await openRds(NAME.toUpperCase(), 'db-start', QUICKLY) // AWS does not mind capitals
  })
  beforeEach(async () => {
    await front.reset()
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    moto.destroy()
    await front.close()
  })

  async function make(more: Partial<CreateDBInstanceMessage> = {}, name = NAME): Promise<void> {
    await moto.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: name,
        DBInstanceClass: 'db.t4g.medium',
        Engine: 'postgres',
        EngineVersion: '16.4',
        AllocatedStorage: 100,
        StorageType: 'gp3',
        MasterUsername: 'owner',
        MasterUserPassword: 'not-a-secret',
        DBName: 'deck',
        ...more,
      }),
    )
  }

  async function makeStopped(more: Partial<CreateDBInstanceMessage> = {}): Promise<void> {
    await make(more)
    await moto.send(new StopDBInstanceCommand({ DBInstanceIdentifier: NAME }))
  }

  async function instances(): Promise<string[]> {
    const { DBInstances = [] } = await moto.send(new DescribeDBInstancesCommand({}))
    return DBInstances.map(one => `${one.DBInstanceIdentifier} ${one.DBInstanceStatus}`)
  }

  async function snapshots(): Promise<string[]> {
    const { DBSnapshots = [] } = await moto.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }))
    return DBSnapshots.map(one => one.DBSnapshotIdentifier ?? '')
  }

  const start = () => startOrRestore(rds)
  const stop = () => stopInstance(rds, async () => {})
  // A snapshot's name has the second in it.
  const now = new Date('2026-11-26T10:54:21Z')
  async function rest() {
    now.setSeconds(now.getSeconds() + 1)
    return await snapshotAndDelete(rds, async () => {}, new Date(now))
  }

  async function failureOf(what: Promise<unknown>): Promise<UserError> {
    const failure = await what.then(
      () => undefined,
      error => error,
    )
    expect(failure).toBeInstanceOf(UserError)
    return failure
  }

  describe('is started', () => {
    it('once, and waited for', async () => {
      await makeStopped()
      front.leadsThrough.StartDBInstance = ['starting', 'starting', 'backing-up']
      const { instance, started, restoredFrom } = await start()
      expect({ started, restoredFrom, status: instance.status }).toEqual({ started: true, status: 'available' })
      expect(instance).toMatchObject({ name: NAME, port: 5432, user: 'owner', database: 'deck', region: 'us-east-1' })
      expect(front.asked.filter(one => one.action === 'StartDBInstance').map(one => one.input)).toEqual([
        { DBInstanceIdentifier: NAME },
      ])
    })

    it('not where it is available, also while AWS works behind the scenes', async () => {
      await make()
      expect((await start()).started).toBe(false)
      front.show('storage-optimization')
      expect(await start()).toMatchObject({ started: false, instance: { status: 'storage-optimization' } })
      expect(front.changes()).toEqual([])
    })

    it('after what is under way has ended, in every state that passes', async () => {
      await make()
      for (const state of PASSING) {
        expect(standingOf(state)).toBe('passing')
        front.show(state, state)
        expect((await start()).started).toBe(false)
      }
      await moto.send(new StopDBInstanceCommand({ DBInstanceIdentifier: NAME }))
      front.show('stopping', 'stopping')
      expect((await start()).started).toBe(true)
      expect(front.changes()).toEqual(['StartDBInstance'])
    })

    it('not in a state that needs a person, and says what it means and what to type', async () => {
      await make()
      for (const state of TROUBLE) {
        front.show(state)
        const { message, hint } = await failureOf(start())
        expect(message).toContain(`${NAME} is in the state ${state}: `)
        expect(hint).toMatch(/aws (rds|kms) /)
      }
      front.show('storage-full')
      expect((await failureOf(start())).hint).toContain('--allocated-storage 150')
      expect(front.changes()).toEqual([])
    })

    it('although a look was behind, or another was faster; a refusal that stays is an answer', async () => {
      await makeStopped()
      const refusal = { code: 'InvalidDBInstanceState', status: 400, message: 'not now' }
      front.refuse('StartDBInstance', refusal, 1)
      expect((await start()).started).toBe(true)
      await moto.send(new StopDBInstanceCommand({ DBInstanceIdentifier: NAME }))
      front.refuse('StartDBInstance', refusal, 100)
      const { message, hint } = await failureOf(start())
      expect(message).toContain('rds:StartDBInstance')
      expect(hint).toContain('aws rds describe-db-instances')
    })

    it('although AWS is busy for a while in the middle', async () => {
      await makeStopped()
      front.show('stopping', 'stopping')
      let looks = 0
      front.afterwards('DescribeDBInstances', () => {
        looks++
        front.refuse('DescribeDBInstances', { code: 'Throttling', status: 400, message: 'Rate exceeded' }, 2)
      })
      expect((await start()).started).toBe(true)
      expect(looks).toBe(1)
    })

    it('not for ever: after an hour it says what it waits for, and that AWS goes on', async () => {
      await make()
      front.show(...Array.from({ length: 50 }, () => 'starting'))
      const impatient = { ...rds, patienceMilliseconds: 20 }
      const { message, hint } = await failureOf(startOrRestore(impatient))
      expect(message).toContain('calls is starting; AWS goes on with it')
      expect(hint).toContain('run the same command again')
    })

    it('with words where AWS has no machine for it', async () => {
      await makeStopped()
      front.refuse('StartDBInstance', { code: 'InsufficientDBInstanceCapacity', status: 400, message: 'none left' }, 9)
      expect((await failureOf(start())).hint).toContain('db-stop --snapshot-and-delete')
    })

    it('not where there is none: names like it are listed, and snapshots that others made', async () => {
      await make({}, 'shop')
      await make({}, 'calls-2')
      const missing = await failureOf(start())
      expect(missing.message).toContain('there is no RDS instance calls in us-east-1')
      expect(missing.message).toContain('instances there: calls-2, shop')
      expect(missing.hint).toContain('AWS_REGION')
      await make()
      await moto.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: NAME, DBSnapshotIdentifier: 'by-hand' }))
      front.leadsThrough.DeleteDBInstance = []
      await rest()
      const [ours] = (await snapshots()).filter(name => name !== 'by-hand')
      await moto.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: ours }))
      expect((await failureOf(start())).hint).toContain('--db-snapshot-identifier by-hand')
      expect(front.changes()).not.toContain('RestoreDBInstanceFromDBSnapshot')
    })

    it('not where it is a database of another kind', async () => {
      await makeStopped({ Engine: 'mysql', EngineVersion: '8.0.39' })
      for (const what of [start, stop, rest, () => deletionPlan(rds)])
        expect((await failureOf(what())).message).toContain('calls is a database of another kind: mysql')
      expect(front.changes()).toEqual([])
    })
  })

  describe('is stopped', () => {
    it('once, after asking whether it may be, and waited for', async () => {
      await make()
      front.leadsThrough.StopDBInstance = ['stopping', 'stopping']
      front.elements.AutomaticRestartTime = '2026-12-03T10:54:00Z'
      const asked: string[] = []
      const done = await stopInstance(rds, async one => void asked.push(`${one.name} ${one.status}`))
      expect(done).toMatchObject({ stopped: true, instance: { status: 'stopped' } })
      expect(done?.instance.startsItself).toEqual(new Date('2026-12-03T10:54:00Z'))
      expect(asked).toEqual(['calls available'])
      expect(front.changes()).toEqual(['StopDBInstance'])
      expect(await instances()).toEqual(['calls stopped'])
    })

    it('not where that is refused', async () => {
      await make()
      await failureOf(
        stopInstance(rds, async () => {
          throw new UserError('somebody is at work')
        }),
      )
      expect(front.changes()).toEqual([])
    })

    it('not twice, and not where it is going or gone', async () => {
      await makeStopped()
      expect(await stop()).toMatchObject({ stopped: false })
      front.show('stopping', 'stopping')
      expect(await stop()).toMatchObject({ stopped: false })
      expect(await stopInstance({ ...rds, name: 'nobody' }, async () => {})).toBeUndefined()
      expect(front.changes()).toEqual([])
    })

    it('after what is under way has ended', async () => {
      await make()
      front.show('starting', 'configuring-log-exports', 'backing-up')
      expect(await stop()).toMatchObject({ stopped: true })
      expect(front.changes()).toEqual(['StopDBInstance'])
    })

    it('not in a state that needs a person', async () => {
      await make()
      for (const state of TROUBLE) {
        front.show(state)
        expect((await failureOf(stop())).message).toContain(state)
      }
      expect(front.changes()).toEqual([])
    })

    it('not where AWS cannot: replicas and members of clusters, with what to do instead', async () => {
      await make()
      await moto.send(
        new CreateDBInstanceReadReplicaCommand({ DBInstanceIdentifier: 'copy', SourceDBInstanceIdentifier: NAME }),
      )
      for (const what of [stop, rest]) {
        const source = await failureOf(what())
        expect(source.message).toContain('calls has a read replica, copy')
        expect(source.hint).toContain('delete-db-instance --db-instance-identifier copy')
      }
      front.elements.ReadReplicaSourceDBInstanceIdentifier = 'origin'
      const replica = await failureOf(stop())
      expect(replica.message).toContain('is a read replica of origin')
      expect(replica.hint).toContain('promote-read-replica')
      front.elements.DBClusterIdentifier = 'three'
      expect((await failureOf(stop())).message).toContain('Multi-AZ cluster three, which AWS cannot stop')
      front.elements.Engine = 'aurora-postgresql'
      expect((await failureOf(rest())).hint).toContain('aws rds start-db-cluster --db-cluster-identifier three')
      expect(front.changes()).toEqual([])
    })
  })

  describe('rests in a snapshot', () => {
    /** With a setting of each kind that a restore would lose; answers with what AWS has to be told. */
    async function makeParticular(): Promise<Record<string, unknown>> {
      const ec2 = new EC2Client(front.direct)
      const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}))
      const { GroupId = '' } = await ec2.send(
        new CreateSecurityGroupCommand({ GroupName: 'to the database', Description: '5432', VpcId: Subnets[0].VpcId }),
      )
      ec2.destroy()
      const Description = 'of a test'
      const SubnetIds = Subnets.slice(0, 2).flatMap(one => one.SubnetId ?? [])
      const network = { DBSubnetGroupName: 'inner', DBSubnetGroupDescription: Description, SubnetIds }
      await moto.send(new CreateDBSubnetGroupCommand(network))
      await moto.send(
        new CreateDBParameterGroupCommand({
          DBParameterGroupName: 'vectors',
          DBParameterGroupFamily: 'postgres16',
          Description,
        }),
      )
      const settings = {
        DBInstanceClass: 'db.r6g.xlarge',
        DBSubnetGroupName: 'inner',
        VpcSecurityGroupIds: [GroupId],
        DBParameterGroupName: 'vectors',
        PubliclyAccessible: true,
        Port: 6543,
        MultiAZ: true,
        StorageType: 'gp3',
        AllocatedStorage: 500,
        Iops: 13_000,
        StorageThroughput: 600,
        EnableIAMDatabaseAuthentication: true,
        CACertificateIdentifier: 'rds-ca-rsa4096-g1',
        AutoMinorVersionUpgrade: false,
        EnableCloudwatchLogsExports: ['postgresql', 'upgrade'],
        BackupRetentionPeriod: 9,
        PreferredBackupWindow: '03:10-03:40',
      }
      await make({
        ...settings,
        PreferredMaintenanceWindow: 'sun:05:00-sun:05:30',
        MaxAllocatedStorage: 900,
        Tags: [{ Key: 'owner', Value: 'research' }],
      })
      const { AllocatedStorage, EnableCloudwatchLogsExports, VpcSecurityGroupIds, ...plain } = settings
      return {
        ...Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, String(value)])),
        EnableCloudwatchLogsExports: { member: EnableCloudwatchLogsExports },
        VpcSecurityGroupIds: { VpcSecurityGroupId: VpcSecurityGroupIds },
      }
    }

    async function look() {
      const { DBInstances = [] } = await moto.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: NAME }))
      return DBInstances[0]
    }

    const LIKE_AWS = {
      DeleteDBInstance: ['deleting', 'deleting', 'deleting'],
      ModifyDBInstance: ['modifying'],
      StartDBInstance: ['starting'],
      RestoreDBInstanceFromDBSnapshot: ['creating', 'backing-up'],
    }

    it('and comes back with its data, its settings and its tags', async () => {
      const wanted = await makeParticular()
      const before = await look()
      front.leadsThrough = LIKE_AWS
      const done = await rest()
      expect(done).toMatchObject({ deleted: true, older: [], snapshot: { gigabytes: 500, instance: NAME } })
      expect(done?.snapshot.name).toMatch(/^quarterdeck-calls-\d{8}-\d{6}$/)
      expect(done?.snapshot.mostDollarsPerMonth).toBeCloseTo(47.5)
      expect(front.changes()).toEqual(['AddTagsToResource', 'ModifyDBInstance', 'DeleteDBInstance'])
      expect(front.asked.find(one => one.action === 'DeleteDBInstance')?.input).toEqual({
        DBInstanceIdentifier: NAME,
        SkipFinalSnapshot: 'false',
        FinalDBSnapshotIdentifier: done?.snapshot.name,
        DeleteAutomatedBackups: 'true',
      })
      expect(await instances()).toEqual([])

      const back = await start()
      expect(back).toMatchObject({ started: true, restoredFrom: { name: done?.snapshot.name } })
      const restore = front.asked.find(one => one.action === 'RestoreDBInstanceFromDBSnapshot')?.input
      expect(restore).toMatchObject({
        ...wanted,
        DBSnapshotIdentifier: done?.snapshot.name,
        CopyTagsToSnapshot: 'false',
      })
      const change = front.asked.findLast(one => one.action === 'ModifyDBInstance')?.input
      expect(change).toEqual({ DBInstanceIdentifier: NAME, ApplyImmediately: 'true', MaxAllocatedStorage: '900' })
      const after = await look()
      // A switch that is off is for moto as if nothing had been said.
      expect(settingsOf({ ...after, CopyTagsToSnapshot: false })).toEqual(settingsOf(before))
      expect(after.TagList).toEqual(before.TagList)
      expect(await snapshots()).toEqual([done?.snapshot.name])

      front.changes()
      expect(await start()).toMatchObject({ started: false })
      expect(front.changes()).toEqual([])
    })

    it('from being stopped, without a start: where AWS does not copy its tags, they are written on the snapshot', async () => {
      await makeStopped({ CopyTagsToSnapshot: true })
      front.leadsThrough = LIKE_AWS
      await rest()
      expect(front.changes()).toEqual(['AddTagsToResource', 'DeleteDBInstance'])
      await front.reset()
      await makeStopped({ BackupRetentionPeriod: 9, Tags: [{ Key: 'owner', Value: 'research' }] })
      front.leadsThrough = LIKE_AWS
      // AWS may take them only once the snapshot is made, and that may be when the instance is gone.
      const refusal = { code: 'InvalidParameterValue', status: 400, message: 'not while it is being made' }
      front.refuse('AddTagsToResource', refusal, 3, input => `${input.ResourceName}`.includes(':snapshot:'))
      await rest()
      expect(new Set(front.changes())).toEqual(new Set(['AddTagsToResource', 'DeleteDBInstance']))
      await start()
      const restore = front.asked.find(one => one.action === 'RestoreDBInstanceFromDBSnapshot')
      expect(restore?.input).toMatchObject({ BackupRetentionPeriod: '9', CopyTagsToSnapshot: 'false' })
      expect((await look()).TagList).toEqual([{ Key: 'owner', Value: 'research' }])
    })

    it('and a stopped one also where the deletion was broken off before its snapshot had the tags', async () => {
      await makeStopped()
      front.leadsThrough = LIKE_AWS
      front.refuse('DescribeDBSnapshots', { code: 'ExpiredToken', status: 403, message: 'expired' }, 1)
      expect((await failureOf(rest())).message).toContain('expired')
      expect((await rest())?.deleted).toBe(true)
      expect(front.changes()).toEqual(['AddTagsToResource', 'DeleteDBInstance', 'AddTagsToResource'])
      expect((await start()).restoredFrom?.instance).toBe(NAME)
    })

    it('and is not made again out of an old one silently, where somebody has made a newer one by hand', async () => {
      await make()
      const first = (await rest())?.snapshot.name ?? ''
      await start()
      const last = { DBInstanceIdentifier: NAME, FinalDBSnapshotIdentifier: 'by-hand', SkipFinalSnapshot: false }
      await moto.send(new DeleteDBInstanceCommand(last))
      front.changes()
      for (const what of [start, rest]) {
        const { message, hint } = await failureOf(what())
        expect(message).toMatch(`by-hand (`)
        expect(message).toContain(`is a newer snapshot of calls than ${first}`)
        expect(hint).toContain('quarterdeck db-start --from by-hand takes its data')
        expect(hint).toContain(`--from ${first} goes back`)
      }
      expect((await failureOf(startOrRestore(rds, 'by-nobody'))).message).toContain(
        `of it there are: by-hand, ${first}`,
      )
      expect(front.changes()).toEqual([])
      expect((await startOrRestore(rds, 'by-hand')).restoredFrom?.name).toBe('by-hand')
      expect((await startOrRestore(rds, first)).restoredFrom).toBeUndefined() // it is there
      await moto.send(new DeleteDBInstanceCommand({ ...last, FinalDBSnapshotIdentifier: 'by-hand-2' }))
      expect((await startOrRestore(rds, first)).restoredFrom?.name).toBe(first)
    })

    it('but a copy of the old one is no newer one', async () => {
      await make()
      const { name = '' } = (await rest())?.snapshot ?? {}
      const { DBSnapshots = [] } = await moto.send(new DescribeDBSnapshotsCommand({}))
      const time = DBSnapshots[0].SnapshotCreateTime?.toISOString()
      await moto.send(
        new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: name, TargetDBSnapshotIdentifier: 'a-copy' }),
      )
      front.snapshotElements = { OriginalSnapshotCreateTime: time ?? '' }
      expect((await start()).restoredFrom?.name).toBe(name)
    })

    it('not without asking whether somebody is at work', async () => {
      await make()
      await failureOf(
        snapshotAndDelete(rds, async () => {
          throw new UserError('somebody is at work')
        }),
      )
      expect(front.changes()).toEqual([])
    })

    it('not where it is protected, nor from a state without a last snapshot', async () => {
      await make({ DeletionProtection: true })
      for (const what of [rest, () => deletionPlan(rds)])
        expect((await failureOf(what())).hint).toContain('--db-instance-identifier calls --no-deletion-protection')
      front.elements.DeletionProtection = 'false'
      for (const state of TROUBLE.filter(one => one !== 'storage-full')) {
        front.show(state)
        expect((await failureOf(rest())).message).toContain(state)
      }
      expect(front.changes()).toEqual([])
    })

    it('says what will not come back', async () => {
      await make()
      front.elements.AssociatedRoles =
        '<DBInstanceRole><RoleArn>arn:aws:iam::1:role/load</RoleArn><FeatureName>s3Import</FeatureName></DBInstanceRole>'
      expect((await deletionPlan(rds))?.lost).toEqual(['its role for s3Import (arn:aws:iam::1:role/load)'])
    })

    it('with its settings also where AWS has not copied its tags', async () => {
      await make()
      front.leadsThrough = LIKE_AWS
      front.afterwards('DeleteDBInstance', async () => {
        const { DBSnapshots = [] } = await moto.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }))
        const [{ DBSnapshotArn, TagList = [] }] = DBSnapshots
        const TagKeys = TagList.flatMap(tag => tag.Key ?? [])
        await moto.send(new RemoveTagsFromResourceCommand({ ResourceName: DBSnapshotArn, TagKeys }))
      })
      await rest()
      expect(front.changes()).toEqual([
        'AddTagsToResource',
        'ModifyDBInstance',
        'DeleteDBInstance',
        'AddTagsToResource',
      ])
      expect((await start()).restoredFrom?.instance).toBe(NAME)
    })

    it('and where AWS has lost the snapshot, that is not called done', async () => {
      await make()
      front.leadsThrough = { DeleteDBInstance: ['deleting'] }
      front.afterwards('DeleteDBInstance', async () => {
        for (const DBSnapshotIdentifier of await snapshots())
          await moto.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }))
      })
      expect((await failureOf(rest())).message).toContain('calls is gone, and there is no snapshot of it')
    })

    it('once: a second call finds it done, or waits for the first', async () => {
      await make()
      front.leadsThrough = LIKE_AWS
      const [one, other] = await Promise.all([rest(), rest()])
      expect(one?.snapshot).toEqual(other?.snapshot)
      expect(await rest()).toMatchObject({ deleted: false, snapshot: one?.snapshot })
      expect(await snapshots()).toHaveLength(1)
      expect(await stop()).toBeUndefined()
      expect(await snapshotAndDelete({ ...rds, name: 'nobody' }, async () => {})).toBeUndefined()
    })

    it('and is made again out of the newest, also by two at once, and while it is still being deleted', async () => {
      await make()
      await rest()
      await start()
      front.leadsThrough = LIKE_AWS
      const second = await rest()
      expect(second?.older).toHaveLength(1)
      expect((await start()).restoredFrom).toEqual(second?.snapshot)
      front.changes()
      const going = rest()
      await vi.waitFor(() => expect(front.asked.filter(one => one.action === 'DeleteDBInstance')).toHaveLength(3))
      const [back, also] = await Promise.all([start(), start()])
      const third = await going
      expect(third?.older).toHaveLength(2)
      expect([back.restoredFrom, also.restoredFrom]).toContainEqual(third?.snapshot)
      // The one that was deleting does not take the new one for its own.
      expect(front.changes().filter(action => action === 'DeleteDBInstance')).toHaveLength(1)
      expect(await instances()).toEqual(['calls available'])
    })

    it('also where its name is not free yet when it seems to be gone', async () => {
      await make()
      const done = await rest()
      front.refuse('RestoreDBInstanceFromDBSnapshot', { code: 'DBInstanceAlreadyExists', status: 400 }, 2)
      expect(await start()).toMatchObject({ started: true, restoredFrom: done?.snapshot })
    })

    it('and a restore that was broken off is finished by the next start', async () => {
      await make({ MaxAllocatedStorage: 300 })
      await rest()
      front.refuse('ModifyDBInstance', { code: 'ExpiredToken', status: 403, message: 'expired' }, 1)
      expect((await failureOf(start())).message).toContain('expired')
      front.changes()
      expect(await start()).toMatchObject({ started: false, restoredFrom: undefined })
      expect(front.changes()).toEqual(['ModifyDBInstance', 'RemoveTagsFromResource'])
      expect((await look()).MaxAllocatedStorage).toBe(300)
    })

    it('and a setting that AWS refuses is named, keeps nobody from the database, and is asked for again', async () => {
      await make({ MaxAllocatedStorage: 300, PreferredMaintenanceWindow: 'sun:05:00-sun:05:30' })
      await rest()
      const isStorage = (input: Record<string, unknown>) => input.MaxAllocatedStorage !== undefined
      const mayNot = { code: 'AccessDenied', status: 403, message: 'not authorized to perform: iam:PassRole' }
      front.refuse('ModifyDBInstance', mayNot, 3, isStorage)
      // moto restores the window as it was: here AWS has taken another.
      front.elements.PreferredMaintenanceWindow = 'mon:01:00-mon:01:30'
      front.afterwards('ModifyDBInstance', () => void delete front.elements.PreferredMaintenanceWindow)
      const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
      expect((await start()).started).toBe(true)
      const text = said.mock.calls.join('')
      said.mockRestore()
      expect(text).toMatch(/MaxAllocatedStorage of calls could not be set as before .*iam:PassRole/)
      expect(text).toContain('1 setting of calls that a restore cannot be told: set')
      expect(text).toContain('--tag-keys quarterdeck:unfinished')
      expect(settingsIn((await look()).TagList)).toEqual({ restore: {}, afterwards: { MaxAllocatedStorage: 300 } })
      // Again in vain; then it rests with it, and at last it is allowed.
      front.changes()
      await start()
      expect(front.changes()).toEqual(['ModifyDBInstance'])
      await rest()
      expect((await start()).instance.status).toBe('available')
      expect(await look()).toMatchObject({ MaxAllocatedStorage: 300, TagList: [] })
    })

    it('and where a group of its is gone, that is said with what to type', async () => {
      await make()
      await rest()
      front.refuse(
        'RestoreDBInstanceFromDBSnapshot',
        { code: 'DBParameterGroupNotFound', status: 404, message: 'DBParameterGroup not found: vectors' },
        1,
      )
      const { message, hint } = await failureOf(start())
      expect(message).toContain('DBParameterGroup not found: vectors')
      expect(hint).toContain('aws rds restore-db-instance-from-db-snapshot --db-instance-identifier calls')
    })
  })

  it('needs the permissions of docs/aws-policy-rds.json, on what they stand for, and no others', async () => {
    await make({ MaxAllocatedStorage: 300 })
    await stopInstance(rds, async () => void (await provisionedInstances(rds.cloud, [rds.region])))
    front.leadsThrough = { DeleteDBInstance: ['deleting', 'deleting'] }
    await rest() // stopped: the tags are written on the snapshot
    await start()
    await stop()
    await start()
    const asked = new Set<string>()
    for (const { service, action, input } of front.asked) {
      const arn = (kind: string, name: unknown) =>
        name === undefined ? [] : `arn:aws:rds:us-east-1:123456789012:${kind}:${name}`
      const named = [
        ...[input.ResourceName ?? []].flat().map(String),
        ...[arn('db', input.DBInstanceIdentifier)].flat(),
        ...[input.DBSnapshotIdentifier, input.FinalDBSnapshotIdentifier].flatMap(name => arn('snapshot', name)),
      ]
      asked.add(`${service}:${action}`)
      for (const on of named.length > 0 ? named : ['*'])
        expect({ action, on, isAllowed: isAllowed(`${service}:${action}`, on) }).toMatchObject({ isAllowed: true })
    }
    const inPolicy = POLICY.Statement.flatMap(({ Action }) => Action)
    expect(new Set(inPolicy)).toEqual(new Set([...asked, ...IMPLIED]))
    expect(isAllowed('rds:DeleteDBInstance', 'arn:aws:rds:us-east-1:123456789012:db:shop')).toBe(false)
  })
})

describe('settings in tags', () => {
  const long = `group-${'g'.repeat(249)}`
  const settings = settingsOf({
    DBInstanceClass: 'db.t4g.medium',
    DBSubnetGroup: { DBSubnetGroupName: long },
    VpcSecurityGroups: Array.from({ length: 16 }, (_, i) => ({ VpcSecurityGroupId: `sg-0123456789abcde${i}` })),
    DBParameterGroups: [{ DBParameterGroupName: 'default.postgres16' }],
    OptionGroupMemberships: [{ OptionGroupName: 'default:postgres-16' }],
    Endpoint: { Port: 5432 },
    MultiAZ: false,
    StorageType: 'io1',
    Iops: 3000,
    MonitoringRoleArn: 'arn:aws:iam::123456789012:role/a path/of=ours,and+others@work',
    EnabledCloudwatchLogsExports: [],
  })

  it('come out as they went in, whatever they hold', () => {
    const given = JSON.parse(JSON.stringify(settings)) // without what is undefined
    expect(settingsIn(tagsOf('calls', settings))).toEqual(given)
  })

  it('keep to what a tag of RDS may hold', () => {
    for (const { Key = '', Value = '' } of tagsOf('calls', settings)) {
      expect(Key).toMatch(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u)
      expect(Value).toMatch(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,256}$/u)
    }
  })

  it('are none where a tag is missing, and are not disturbed by one that was left behind', () => {
    const tags = tagsOf('calls', settings)
    for (const missing of tags.slice(1)) expect(settingsIn(tags.filter(tag => tag !== missing))).toBeUndefined()
    const more = [...tags, { Key: `quarterdeck:settings-${tags.length}`, Value: 'Port=1+end' }]
    expect(settingsIn(more)).toEqual(settingsIn(tags))
  })

  it('leave the speed of a small gp3 to RDS, which refuses to be told it', () => {
    const small = { StorageType: 'gp3', AllocatedStorage: 100, Iops: 3000, StorageThroughput: 125 }
    expect(settingsOf(small).restore).toMatchObject({ Iops: undefined, StorageThroughput: undefined })
    expect(settingsOf({ ...small, AllocatedStorage: 400, Iops: 12_000 }).restore.Iops).toBe(12_000)
  })
})

describe('what storage costs', () => {
  const storage = {
    gigabytes: 100,
    storageType: 'gp3',
    operations: 3000,
    megabytes: 125,
    logVolume: false,
    multiAz: false,
  }

  it('is twice as much in two zones, and never less for more', () => {
    for (const storageType of ['gp2', 'gp3', 'io1', 'io2', 'standard']) {
      const one = dollarsOfStorage({ ...storage, storageType }) ?? Number.NaN
      expect(dollarsOfStorage({ ...storage, storageType, multiAz: true })).toBeCloseTo(2 * one)
      expect(dollarsOfStorage({ ...storage, storageType, gigabytes: 101 })).toBeGreaterThan(one)
      expect(dollarsOfStorage({ ...storage, storageType, operations: 4000 })).toBeGreaterThanOrEqual(one)
    }
    expect(dollarsOfStorage({ ...storage, storageType: 'of-tomorrow' })).toBeUndefined()
  })

  it('is what AWS lists: 100 GB of gp3 for $11.50, 500 GB with 13,000 operations for $77.50', () => {
    expect(dollarsOfStorage(storage)).toBeCloseTo(11.5)
    expect(dollarsOfStorage({ ...storage, gigabytes: 500, operations: 13_000, megabytes: 500 })).toBeCloseTo(77.5)
    // 1,000 GB and 3,000 operations for the log volume.
    const io1 = { ...storage, storageType: 'io1', logVolume: true }
    expect(dollarsOfStorage(io1)).toBeCloseTo(12.5 + 300 + 125 + 300)
  })
})

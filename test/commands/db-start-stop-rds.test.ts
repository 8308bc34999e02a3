// db-start and db-stop with RDS_INSTANCE, as a person types them: what is said, what is printed, the exit code; who is at work keeps
// his database; and killed at any of its steps, db-stop --snapshot-and-delete is finished by running it again.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DescribeImagesCommand, EC2Client, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2'
import {
  CreateDBInstanceCommand,
  type CreateDBInstanceMessage,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
} from '@aws-sdk/client-rds'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { openRds } from '../../lib/cloud/rds.ts'
import { settingsIn } from '../../lib/cloud/rds-settings.ts'
import { snapshotAndDelete } from '../../lib/cloud/rds-snapshot.ts'
import { connect, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { motoIsHere } from '../cloud/moto.ts'
import { openRdsFront, type RdsFront } from '../cloud/rds-front.ts'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { type Outcome, quarterdeck, running } from '../run.ts'

const DELETE = ['db-stop', '--snapshot-and-delete', '--yes']

describe.skipIf(!motoIsHere)('with RDS_INSTANCE', () => {
  let front: RdsFront
  let moto: RDSClient
  let home: string

  beforeAll(async () => {
    front = await openRdsFront()
    moto = new RDSClient(front.direct)
    home = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
  })
  beforeEach(async () => {
    await front.reset()
    await make({})
  })
  afterAll(async () => {
    moto.destroy()
    await front.close()
    rmSync(home, { recursive: true })
  })

  async function make(more: Partial<CreateDBInstanceMessage>): Promise<void> {
    await front.reset()
    await moto.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: 'calls',
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

  const env = (more: Record<string, string> = {}) => ({ ...front.env, RDS_INSTANCE: 'calls', ...more })
  const type = (words: string[], more: Record<string, string> = {}): Promise<Outcome> =>
    quarterdeck(words, { home, env: env(more) })

  async function standing(): Promise<{ instances: string[]; snapshots: string[] }> {
    const { DBInstances = [] } = await moto.send(new DescribeDBInstancesCommand({}))
    const { DBSnapshots = [] } = await moto.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }))
    return {
      instances: DBInstances.map(one => `${one.DBInstanceIdentifier} ${one.DBInstanceStatus}`),
      snapshots: DBSnapshots.filter(one => settingsIn(one.TagList)).map(one => one.DBSnapshotIdentifier ?? ''),
    }
  }

  it('stops and says what is still billed and when it starts itself, starts and prints how to connect', async () => {
    front.elements.AutomaticRestartTime = '2026-12-03T10:54:21Z'
    const stop = await type(['db-stop'])
    expect(stop).toMatchObject({ code: 0, stdout: '' })
    expect(stop.stderr).toContain('calls has stopped')
    expect(stop.stderr).toContain('still billed: 100 GB of gp3, $11.50 a month (prices of us-east-1 in June 2026)')
    expect(stop.stderr).toContain('starts it again by itself on 2026-12-03 10:54 UTC')
    expect(stop.stderr).toContain('quarterdeck db-stop --snapshot-and-delete, for $9.50 a month at the most')
    const again = await type(['db-stop', '--json'])
    expect(again.stderr).toContain('calls is stopped already')
    expect(JSON.parse(again.stdout)).toMatchObject({
      stopped: false,
      instance: { name: 'calls', status: 'stopped', dollarsPerMonth: 11.5, startsItself: '2026-12-03T10:54:21.000Z' },
    })
    const host = 'calls.aaaaaaaaaa.us-east-1.rds.amazonaws.com'
    const start = await type(['db-start'])
    expect(start.code).toBe(0)
    expect(start.stdout).toBe(`export DATABASE_URL='postgres://owner:PASSWORD@${host}:5432/deck?sslmode=require'\n`)
    expect(front.changes()).toEqual(['StopDBInstance', 'StartDBInstance'])
  })

  it('deletes nothing without --yes, and says what would be deleted', async () => {
    const asked = await type(DELETE.slice(0, -1))
    expect(asked.code).toBe(2)
    expect(asked.stdout).toContain(
      'calls (us-east-1, Postgres 16.4, 100 GB of gp3): a last snapshot, then it is deleted.',
    )
    expect(asked.stdout).toContain('$9.50 a month at the most instead of $11.50 a month while it is stopped')
    expect(asked.stdout).toContain('Its automated backups are deleted with it.')
    expect(asked.stderr).toContain('nothing was deleted')
    expect(front.changes()).toEqual([])
  })

  it('deletes with --yes, stops nothing then, and db-start brings it back and says what the snapshot costs', async () => {
    const gone = await type([...DELETE, '--json'])
    expect(gone.code).toBe(0)
    const { snapshot } = JSON.parse(gone.stdout)
    expect(await standing()).toEqual({ instances: [], snapshots: [snapshot.name] })
    expect((await type(['db-stop'])).stderr).toContain(`nothing to stop; it rests in the snapshot ${snapshot.name}`)
    const back = await type(['db-start', '--json'])
    expect(JSON.parse(back.stdout)).toMatchObject({
      embedded: false,
      status: 'available',
      alreadyRunning: false,
      restoredFrom: { name: snapshot.name },
    })
    expect(back.stderr).toContain(`the snapshot ${snapshot.name} stays, for $9.50 a month at the most`)
    expect(await standing()).toEqual({ instances: ['calls available'], snapshots: [snapshot.name] })
  })

  it('explains what AWS needs first: a region, a login, a permission', async () => {
    const nowhere = await type(['db-start'], { AWS_REGION: '' })
    expect(nowhere).toMatchObject({ code: 1 })
    expect(nowhere.stderr).toContain('export AWS_REGION=')
    front.refuse('DescribeDBInstances', { code: 'AccessDenied', status: 403, message: 'not you' }, 1)
    expect((await type(['db-stop'])).stderr).toContain('let an administrator add rds:DescribeDBInstances to its policy')
  })

  it('is not stopped while an instance of provision runs and the database cannot be asked', async () => {
    const ec2 = new EC2Client(front.direct)
    const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Owners: ['099720109477'] }))
    const Tags = Object.entries({ quarterdeck: 'provision', 'quarterdeck:quarter': '2024Q4' })
    const { Instances = [] } = await ec2.send(
      new RunInstancesCommand({
        ImageId: Images[0]?.ImageId,
        InstanceType: 'g4dn.2xlarge',
        MinCount: 1,
        MaxCount: 1,
        TagSpecifications: [{ ResourceType: 'instance', Tags: Tags.map(([Key, Value]) => ({ Key, Value })) }],
      }),
    )
    const id = Instances[0]?.InstanceId ?? ''
    // Nobody listens at port 1: a laptop outside the network.
    front.elements.Endpoint = '<Address>127.0.0.1</Address><Port>1</Port>'
    const outside = { DATABASE_URL: 'postgres://owner:secret@127.0.0.1:1/deck' }
    const { code, stderr } = await type(DELETE, outside)
    expect(code).toBe(1)
    expect(stderr).toContain(`calls is not stopped: ${id} (2024Q4, us-east-1) of provision runs and may be at work`)
    expect(stderr).toContain('--quarter 2024Q4 --end; or quarterdeck db-stop --force')
    expect(front.changes()).toEqual([])
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    ec2.destroy()
    const stop = await type(['db-stop'], outside)
    expect(stop.code).toBe(0)
    expect(stop.stderr).toMatch(/is not known \(.*; no instance of provision runs in us-east-1 or us-west-2/)
  })

  it('is stopped where it cannot be asked and nobody may look for instances, and says so', async () => {
    front.refuse('DescribeInstances', { code: 'UnauthorizedOperation', status: 403, message: 'not you' }, 9)
    const { code, stderr } = await type(['db-stop'])
    expect(code).toBe(0)
    expect(stderr).toMatch(/is not known \(DATABASE_URL is not set\), nor .*may not call ec2:DescribeInstances/)
  })

  // Before AWS hears of a step, and after it has done it and before we hear of that.
  it.each([
    ['afterwards', 'AddTagsToResource'],
    ['beforehand', 'DeleteDBInstance'],
    ['afterwards', 'DeleteDBInstance'],
  ] as const)('killed %s (%s), it is finished by the next run: one deletion, one whole snapshot', async (when, action) => {
    front.leadsThrough = { DeleteDBInstance: ['deleting', 'deleting'] }
    const first = running(DELETE, { home, env: env() })
    front[when](action, () => first.child.kill('SIGKILL'))
    expect(await first.ended).toBeNull()
    for (const [name, value] of Object.entries(front.env)) vi.stubEnv(name, value)
    const rds = await openRds('calls', 'db-stop', { everyMilliseconds: 10 })
    const done = await snapshotAndDelete(rds, async () => {})
    vi.unstubAllEnvs()
    expect(await standing()).toEqual({ instances: [], snapshots: [done?.snapshot.name] })
  })

  describe.skipIf(!hasRealServer)('and DATABASE_URL', () => {
    let server: RealServer

    beforeAll(async () => {
      server = await realServer()
    })
    beforeEach(() => {
      front.elements.Endpoint = `<Address>127.0.0.1</Address><Port>${server.port}</Port>`
    })
    afterAll(async () => {
      await server.stop()
    })

    const DATABASE_URL = () => server.settings.databaseUrl ?? ''

    it('connects once it is started, and warns where that leads elsewhere', async () => {
      const start = await type(['db-start'], { DATABASE_URL: DATABASE_URL() })
      expect(start).toMatchObject({ code: 0, stdout: '' })
      expect(start.stderr).toContain('DATABASE_URL is reachable')
      expect(start.stderr).not.toContain('warning: DATABASE_URL')
      front.elements.Endpoint = '<Address>elsewhere.example.org</Address><Port>5432</Port>'
      const warned = await type(['db-start'], { DATABASE_URL: DATABASE_URL() })
      expect(warned.code).toBe(0)
      expect(warned.stderr).toMatch(/warning: DATABASE_URL leads to 127.0.0.1:\d+, and not to calls/)
    })

    it('does not take the database from under somebody who is at work, unless forced to', async () => {
      const sql = await connect(server.settings)
      await migrate(sql)
      await sql`
        insert into work (stage, quarter, firm_id, units, lease_by, lease_until)
        values ('embed', '2024Q3', 'MU', 1, 'elsewhere/1/2/3', now() + interval '1 minute')`
      await disconnect(sql)
      for (const words of [['db-stop'], DELETE]) {
        const { code, stderr } = await type(words, { DATABASE_URL: DATABASE_URL() })
        expect(code).toBe(1)
        expect(stderr).toContain('calls is not stopped: embed (elsewhere/1/2/3) is at work in it')
        expect(stderr).not.toContain(server.password)
      }
      expect(front.changes()).toEqual([])
      expect((await type(['db-stop', '--force'], { DATABASE_URL: DATABASE_URL() })).code).toBe(0)
      expect(front.changes()).toEqual(['StopDBInstance'])
    })
  })
})

describe('without RDS_INSTANCE', () => {
  it('there is nothing to snapshot, and it says what is missing', async () => {
    const { code, stderr } = await quarterdeck(DELETE, { home: tmpdir() })
    expect(code).toBe(2)
    expect(stderr).toContain('export RDS_INSTANCE=NAME')
  })
})

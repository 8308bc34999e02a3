// provision as a person runs it, against a cloud of the tests' own (test/cloud) whose instances are machines of this computer:
// their sshd and home, the set-up and the sample quarter are real. What was asked of the cloud, and what it still has, is asked of
// the cloud itself.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateDBInstanceCommand,
  DescribeDBInstancesCommand,
  RDSClient,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { startCloud, type TestCloud } from '../cloud/faults.ts'
import { sshdIsHere, sshUser } from '../cloud/machine.ts'
import { motoIsHere } from '../cloud/moto.ts'
import { NO_CAPACITY, THROTTLED } from '../cloud/requests.ts'
import { hasRealServer, putDatabase, readyHome, realServer, scratchFolder } from '../db/servers.ts'
import { here } from '../here.ts'
import { bringQuarter, QUARTER } from '../ready-quarter.ts'
import { fingerprints, isRunning, root, stepWords } from '../run.ts'

const HOME_REGION = 'us-east-1'
// Whoever sees the list of processes, the log or the terminal must not see it.
const SECRET = 'hf_a-token-that-opens-nothing'

let cloud: TestCloud
let folder: string
const programs: ChildProcess[] = []

beforeEach(() => {
  folder = scratchFolder()
})
afterEach(async () => {
  for (const child of programs.splice(0)) child.kill('SIGKILL')
  await cloud.close()
  rmSync(folder, { recursive: true, force: true })
})

type Program = {
  child: ChildProcess
  said(): string
  /** Resolves when it has said this; fails when it ends before. */
  hear(what: RegExp): Promise<void>
  ended: Promise<number | null>
}

/** Started in `folder`, where the results are expected; words, and more environment. */
function provision(...words: (string | Record<string, string>)[]): Program {
  const typed = words.filter(word => typeof word === 'string')
  const environment = Object.assign({}, ...words.filter(word => typeof word !== 'string'))
  const child = spawn(process.execPath, [join(root, 'bin/provision.mjs'), '--quarter', QUARTER, ...typed], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      QUARTERDECK_HOME: join(folder, 'home'),
      HF_TOKEN: SECRET,
      ...cloud.env,
      ...environment,
    },
  })
  programs.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', data => {
      said += data
    })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  return {
    child,
    said: () => said,
    async hear(what) {
      while (!what.test(said)) {
        if (!isRunning(child)) throw new Error(`it ended with ${child.exitCode} before it said ${what}:\n${said}`)
        await sleep(50)
      }
    },
    ended,
  }
}

/** With what makes a machine of this computer an instance. */
function rented(...words: (string | Record<string, string>)[]): Program {
  return provision('--yes', '--from', '127.0.0.1/32', '--ssh-port', '2222', '--ssh-user', sshUser, ...words)
}

/** The packages of this checkout and a new database, so that a machine need not make them: that it can is seen once. */
async function linkPackages(count: number): Promise<void> {
  if (spawnSync('make', ['-q', 'node_modules'], { cwd: root }).status !== 0) throw new Error('make node_modules first')
  while (cloud.machines().length < count) await sleep(20)
  const there = join(cloud.machines()[count - 1].home, 'quarterdeck')
  mkdirSync(there, { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(there, 'node_modules'))
  await putDatabase(join(there, '.quarterdeck'))
}

/** Nothing that costs money, and nobody who is let in. */
async function expectNothingLeft(): Promise<void> {
  const instances = await cloud.instances()
  expect(instances.map(one => one.state)).toEqual(instances.map(() => 'terminated'))
  expect(cloud.machines().flatMap(machine => machine.processes())).toEqual([])
  const regions = new Set(cloud.asked.filter(one => one.service === 'ec2').map(one => one.region))
  for (const region of regions)
    expect((await cloud.securityRules(region)).filter(rule => rule.group === 'quarterdeck-provision')).toEqual([])
}

/** Requests in earnest: whether a launch would be allowed is asked as a dry run. */
function askedFor(action: string) {
  return cloud.asked.filter(one => one.action === action && one.input.DryRun !== 'true')
}

/** The calls of docs/aws-policy.json, and the one that needs no permission. */
function allowed(): Set<string> {
  const policy = JSON.parse(readFileSync(join(root, 'docs/aws-policy.json'), 'utf8'))
  const actions = policy.Statement.flatMap(({ Action }: { Action: string | string[] }) => Action)
  // EC2 itself does these for a launch, and asks whether the person may.
  const implied = ['ec2:CreateTags', 'iam:CreateServiceLinkedRole']
  return new Set(['sts:GetCallerIdentity', ...actions.filter((action: string) => !implied.includes(action))])
}

/** What the results hold, by way of a database here. */
async function rowsOf(backup: string): Promise<Record<string, string>> {
  const { home, remove } = await readyHome()
  try {
    await here(['db-restore', backup], { home })
    // What compares quarters is made anew where it lands.
    for (const step of ['novelty', 'lineage'] as const) await here(stepWords(step, QUARTER), { home })
    return await withDatabase(readSettings({ QUARTERDECK_HOME: home }), async sql => await fingerprints(sql))
  } finally {
    await remove()
  }
}

const results = () => join(folder, `${QUARTER}.backup`)
const page = () => join(folder, `${QUARTER}.html`)

let undisturbed: Record<string, string> | undefined
/** The same quarter, done here step by step. */
async function rowsHere(): Promise<Record<string, string>> {
  if (undisturbed !== undefined) return undisturbed
  const { home, remove } = await readyHome()
  try {
    undisturbed = await withDatabase(readSettings({ QUARTERDECK_HOME: home }), async sql => {
      await bringQuarter(sql)
      // By the path that it has there, which is kept with each call.
      const [ours, there] = [join(root, 'data/samples'), 'transcripts']
      await sql`update calls set source = replace(source, ${ours}, ${there})`
      return await fingerprints(sql)
    })
    return undisturbed
  } finally {
    await remove()
  }
}

describe.skipIf(!motoIsHere || !sshdIsHere)('a quarter on a rented instance', () => {
  beforeEach(async () => {
    cloud = await startCloud({ machines: { refuses: 2 } })
  })

  it('is done from nothing: rented, set up, computed, brought back and given back', async () => {
    cloud.fail({ action: 'RunInstances', when: asked => asked.zone === 'us-east-1b' }, NO_CAPACITY)
    cloud.fail({ action: 'RunInstances' }, THROTTLED, 1)
    cloud.fail({ action: 'TerminateInstances' }, { code: 'InternalError', status: 500 }, 2)
    const program = rented()
    expect(await program.ended, program.said()).toBe(0)
    expect(program.said()).toContain('not to be had: InsufficientInstanceCapacity')
    expect(program.said()).not.toContain(SECRET)
    await expectNothingLeft()

    const [launch] = askedFor('RunInstances').filter(one => one.status === 200)
    expect(launch.zone).toBe('us-east-1c') // the second cheapest, after the one that has none
    expect(launch.input).toMatchObject({
      InstanceType: 'g4dn.2xlarge',
      InstanceInitiatedShutdownBehavior: 'terminate',
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: '1' },
      BlockDeviceMapping: [{ Ebs: { Encrypted: 'true', DeleteOnTermination: 'true' } }],
      InstanceMarketOptions: { MarketType: 'spot', SpotOptions: { MaxPrice: '0.752' } },
    })
    expect(new Set(cloud.asked.map(one => `${one.service}:${one.action}`))).toEqual(allowed())
    expect(await rowsOf(results())).toEqual(await rowsHere())
    expect(program.said()).toContain(`its page: ${page()}`)
    expect(readFileSync(page(), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/)
    // Keys, notes and log have served.
    expect(existsSync(join(folder, 'home/provision', QUARTER))).toBe(false)
  }, 240_000)

  it('outlives kill -9 of provision, an interruption and Ctrl-C, and is the same quarter', async () => {
    const killed = rented()
    await linkPackages(1)
    await killed.hear(/ingest 2024Q3: 14 calls loaded/)
    killed.child.kill('SIGKILL')
    await killed.ended

    // The same instance goes on, and is found by its tag.
    const again = rented('--ssh-port', '2223')
    await again.hear(/is still there: going on with it/)
    await again.hear(/embed 2024Q3: 14 firms/)
    // A connection that breaks is nothing to speak of.
    cloud.machines()[0].front.drop()
    expect(askedFor('RunInstances')).toHaveLength(1)
    const [first] = await cloud.instances()
    await cloud.interrupt(first.id, again.hear(/is taken away: going on with the next/))

    // Another instance goes on from what was brought back.
    await linkPackages(2)
    await again.hear(/restoring run\/checkpoint.backup/)
    again.child.kill('SIGINT')
    expect(await again.ended, again.said()).toBe(75)
    await expectNothingLeft()
    expect(existsSync(results())).toBe(false)

    const last = rented()
    await linkPackages(3)
    expect(await last.ended, last.said()).toBe(0)
    // What the first had done is not done again.
    expect(last.said()).toMatch(/ingest 2024Q3: 0 calls loaded, 14 unchanged/)
    expect(last.said()).not.toContain('embed 2024Q3: 14 firms, 1,785')
    await expectNothingLeft()
    expect(await rowsOf(results())).toEqual(await rowsHere())
  }, 240_000)

  it.skipIf(!hasRealServer)(
    'goes into a database on RDS, which runs as long as it is needed',
    async () => {
      const server = await realServer()
      const client = new RDSClient({
        endpoint: cloud.url,
        region: HOME_REGION,
        credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      })
      const state = async () => {
        const { DBInstances = [] } = await client.send(
          new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'calls' }),
        )
        return DBInstances[0]?.DBInstanceStatus
      }
      try {
        await client.send(
          new CreateDBInstanceCommand({
            DBInstanceIdentifier: 'calls',
            DBInstanceClass: 'db.t4g.medium',
            Engine: 'postgres',
            AllocatedStorage: 20,
            MasterUsername: 'quarterdeck',
            MasterUserPassword: 'a-password-of-the-tests',
          }),
        )
        await client.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'calls' }))
        // By an address that leads to this computer from whatever is played in it, and is not called localhost.
        const databaseUrl = String(server.settings.databaseUrl).replace('127.0.0.1', '0.0.0.0')
        const program = rented({ DATABASE_URL: databaseUrl, RDS_INSTANCE: 'calls' })
        await linkPackages(1)
        await program.hear(/make quarter, attempt 1/)
        expect(await state()).toBe('available')
        expect(await program.ended, program.said()).toBe(0)
        expect(await state()).toBe('stopped')
        await expectNothingLeft()
        expect([existsSync(results()), existsSync(page())]).toEqual([false, true])
        const rows = await withDatabase(
          readSettings({ DATABASE_URL: databaseUrl }),
          async sql => await fingerprints(sql),
        )
        expect(rows).toEqual(await rowsHere())
      } finally {
        client.destroy()
        await server.stop()
      }
    },
    240_000,
  )

  it('that cannot be set up is given back, and the log says why', async () => {
    await cloud.close()
    // A registry at which nobody listens: no package can be fetched.
    const env = { npm_config_registry: 'http://127.0.0.1:9', npm_config_fetch_retries: '0' }
    cloud = await startCloud({ machines: { env } })
    const program = rented()
    expect(await program.ended, program.said()).toBe(1)
    expect(program.said()).toContain('the instance could not be set up')
    await expectNothingLeft()
    const log = readFileSync(join(folder, 'home/provision', QUARTER, 'log'), 'utf8')
    expect(log).toContain('the packages cannot be installed')
    expect(existsSync(results())).toBe(false)
  }, 240_000)
})

describe.skipIf(!motoIsHere)('provision', () => {
  beforeEach(async () => {
    cloud = await startCloud()
  })

  it('changes nothing in a dry run, and shows what it would ask', async () => {
    const program = provision('--dry-run', '--method', 'communities')
    expect(await program.ended, program.said()).toBe(0)
    for (const call of ['CreateSecurityGroup', 'RunInstances', 'TerminateInstances', 'RevokeSecurityGroupIngress'])
      expect(program.said()).toContain(`would ask ec2:${call}`)
    expect(cloud.asked.filter(one => !/^(Get|Describe)/.test(one.action) && one.input.DryRun !== 'true')).toEqual([])
    expect(program.said()).toContain(`make quarter Q=${QUARTER} METHOD=communities, again`)
    expect(existsSync(join(folder, 'home'))).toBe(false)
  })

  it('rents nothing where nobody can be asked', async () => {
    const program = provision('--from', '127.0.0.1/32')
    expect(await program.ended).toBe(2)
    expect(program.said()).toContain('→ the same command with --yes')
    expect(askedFor('RunInstances')).toEqual([])
  })

  it('tries every place and leaves no open gate when none has an instance', async () => {
    cloud.fail({ action: 'RunInstances' }, NO_CAPACITY)
    const program = rented()
    expect(await program.ended).toBe(1)
    const tried = askedFor('RunInstances').map(one => one.input.InstanceType)
    expect(new Set(tried)).toEqual(new Set(['g4dn.2xlarge', 'g5.xlarge']))
    expect(new Set(askedFor('RunInstances').map(one => one.region))).toEqual(new Set([HOME_REGION, 'us-west-2']))
    expect(program.said()).toMatch(/none of \d+ places has an instance/)
    await expectNothingLeft()
  })

  it('says what is missing when the login has expired, the quota is none, or the limits are spent', async () => {
    cloud.expireLogin()
    const expired = rented()
    expect(await expired.ended).toBe(1)
    expect(expired.said()).toContain('aws sso login')
    cloud.heal()
    cloud.setQuota('L-3819A6DF', 0)
    cloud.setQuota('L-DB2E81BA', 0)
    const noQuota = rented()
    expect(await noQuota.ended).toBe(1)
    expect(noQuota.said()).toMatch(
      /"All G and VT Spot Instance Requests" in us-east-1 is 0 vCPUs, and g4dn.2xlarge has 8/,
    )
    const cheap = rented('--max-dollars', '0.01', '--instance', 'c7i.4xlarge')
    expect(await cheap.ended).toBe(1)
    expect(cheap.said()).toContain('--max-dollars')
    expect(askedFor('RunInstances')).toEqual([])
  })

  it('gives back what it cannot reach, and --end whatever it left', async () => {
    const program = rented()
    await program.hear(/waiting for ssh/)
    program.child.kill('SIGKILL')
    await program.ended
    expect((await cloud.instances()).map(one => one.state)).toEqual(['running'])
    // Without its keys nobody can go on with it.
    rmSync(join(folder, 'home/provision', QUARTER), { recursive: true })
    const elsewhere = rented()
    expect(await elsewhere.ended).toBe(1)
    expect(elsewhere.said()).toContain('--end')
    const end = provision('--end')
    expect(await end.ended, end.said()).toBe(0)
    await expectNothingLeft()
    const again = provision('--end')
    expect(await again.ended).toBe(0)
    expect(again.said()).toContain('nothing of 2024Q3 is running')
  })
})

// Calls to AWS fail in words that say what to do, and a dry run changes nothing: asked of moto through the proxy that fails.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  CreateVpcCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeVpcsCommand,
  EC2Client,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2'
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds'
import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type Call,
  CloudError,
  change,
  explained,
  homeRegion,
  inRegions,
  isPassing,
  openCloud,
  read,
  readAll,
  whoAmI,
} from '../../lib/cloud/aws.ts'
import { startCloud, type TestCloud } from './faults.ts'
import { motoIsHere } from './moto.ts'
import { NOT_ALLOWED, THROTTLED } from './requests.ts'

const REGION = 'us-east-1'
const before = { ...process.env }
let cloud: TestCloud

async function failure(work: Promise<unknown>): Promise<CloudError> {
  const error = await work.then(
    () => undefined,
    caught => caught,
  )
  expect(error).toBeInstanceOf(CloudError)
  return error
}
const words = ({ message, hint }: CloudError) => `${message} → ${hint}`
const vpcs = (asking = openCloud({ dryRun: false }), region = REGION) =>
  read(asking, EC2Client, region, new DescribeVpcsCommand({}))

describe.skipIf(!motoIsHere)('calls to AWS', () => {
  beforeAll(async () => {
    cloud = await startCloud()
    Object.assign(process.env, cloud.env)
  })
  afterEach(() => cloud.heal())
  afterAll(async () => {
    for (const name of Object.keys(cloud.env)) delete process.env[name]
    Object.assign(process.env, before)
    await cloud.close()
  })

  it('know who asks, and from where', async () => {
    expect(await homeRegion()).toBe(REGION)
    const { account, arn } = await whoAmI(openCloud({ dryRun: false }), REGION)
    expect(account).toMatch(/^\d{12}$/)
    expect(arn).toContain(account)
  })

  it('read in a dry run, and change nothing: a change is told, and answered by its stand-in', async () => {
    const heard: Call[] = []
    const dry = openCloud({ dryRun: true, onCall: call => heard.push(call) })
    const { Vpcs = [] } = await vpcs(dry)
    expect(Vpcs.length).toBeGreaterThan(0)
    const asked = cloud.asked.length
    const command = new CreateVpcCommand({ CidrBlock: '10.9.0.0/16' })
    const answer = await change(dry, EC2Client, REGION, command, { Vpc: { VpcId: 'vpc-none' } })
    expect(answer.Vpc?.VpcId).toBe('vpc-none')
    expect(cloud.asked.length).toBe(asked)
    expect(heard.map(({ service, name, region }) => [service, name, region])).toEqual([
      ['ec2', 'DescribeVpcs', REGION],
      ['ec2', 'CreateVpc', REGION],
    ])
    expect(heard[1].input).toEqual({ CidrBlock: '10.9.0.0/16' })
  })

  it('are told without what is secret in them', async () => {
    const heard: Call[] = []
    const dry = openCloud({ dryRun: true, onCall: call => heard.push(call) })
    const UserData = Buffer.from('a private key').toString('base64')
    await change(dry, EC2Client, REGION, new RunInstancesCommand({ MinCount: 1, MaxCount: 1, UserData }), {})
    expect(JSON.stringify(heard)).not.toContain(UserData)
    expect(heard[0].input).toMatchObject({ UserData: `(${UserData.length} characters)` })
  })

  it('say for every service that a login has run out, and the next call reads it anew', async () => {
    cloud.expireLogin()
    const asking = openCloud({ dryRun: false })
    for (const call of [
      () => vpcs(asking),
      () => read(asking, RDSClient, REGION, new DescribeDBInstancesCommand({})),
      () =>
        read(asking, ServiceQuotasClient, REGION, new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: 'L-1' })),
      () => whoAmI(asking, REGION),
    ]) {
      const error = await failure(call())
      expect(error.trouble).toBe('login')
      expect(words(error)).toMatch(/expired.*aws sso login/)
    }
    cloud.heal()
    await vpcs(asking)
  })

  it('see keys that were written while the program runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aws-'))
    const file = join(folder, 'credentials')
    const write = (id: string) =>
      writeFileSync(file, `[default]\naws_access_key_id=${id}\naws_secret_access_key=${'b'.repeat(8)}\n`)
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) delete process.env[name]
    Object.assign(process.env, { AWS_SHARED_CREDENTIALS_FILE: file, AWS_CONFIG_FILE: join(folder, 'none') })
    try {
      const asking = openCloud({ dryRun: false })
      const idNow = async () => {
        await vpcs(asking).catch(() => {})
        const [client] = asking.clients.values()
        return client === undefined ? undefined : (await (client as EC2Client).config.credentials()).accessKeyId
      }
      write('FIRST')
      expect(await idNow()).toBe('FIRST')
      write('SECOND')
      expect(await idNow()).toBe('FIRST') // kept while it is good
      cloud.expireLogin()
      await failure(vpcs(asking))
      cloud.heal()
      expect(await idNow()).toBe('SECOND')
      rmSync(file)
      const nobody = await failure(vpcs())
      expect(words(nobody)).toMatch(/no login for AWS was found.*aws configure/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
      Object.assign(process.env, { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY })
      if (AWS_SESSION_TOKEN !== undefined) process.env.AWS_SESSION_TOKEN = AWS_SESSION_TOKEN
      delete process.env.AWS_SHARED_CREDENTIALS_FILE
      delete process.env.AWS_CONFIG_FILE
    }
  })

  it('name the permission that is missing, and leave out the encoded copy of the request', async () => {
    const message =
      'You are not authorized to perform this operation. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m'
    cloud.fail({ action: 'DescribeVpcs' }, { ...NOT_ALLOWED, message })
    const error = await failure(vpcs())
    expect(error).toMatchObject({ trouble: 'permission', code: 'UnauthorizedOperation' })
    expect(words(error)).toMatch(/may not call ec2:DescribeVpcs in us-east-1.*add ec2:DescribeVpcs/)
    expect(words(error)).not.toContain('4GIOHl')
    // What is printed of an error never shows the request, which carries the session's token.
    const { AWS_SESSION_TOKEN = 'a token' } = cloud.env
    expect(inspect(error, { depth: 20 })).not.toContain(AWS_SESSION_TOKEN)
  })

  it('are made again while AWS is busy or the line is broken, and say so when that does not help', async () => {
    cloud.fail({ action: 'DescribeVpcs' }, THROTTLED, 1)
    cloud.cut({ action: 'DescribeVpcs' }, 1)
    await vpcs()
    cloud.fail({ action: 'DescribeVpcs' }, THROTTLED)
    const busy = await failure(vpcs())
    expect(busy.trouble).toBe('busy')
    expect(words(busy)).toMatch(/throttling ec2:DescribeVpcs.*wait a minute/)
    cloud.heal()
    cloud.cut({ action: 'DescribeVpcs' })
    const broken = await failure(vpcs())
    expect(broken.trouble).toBe('network')
    expect(words(broken)).toMatch(/cannot be reached.*curl/)
    expect([busy, broken].map(isPassing)).toEqual([true, true])
  })

  it('read every page of a list', async () => {
    const region = 'eu-west-1'
    const { Images = [] } = await cloud.moto(region).send(new DescribeImagesCommand({}))
    const one = () => new RunInstancesCommand({ ImageId: Images[0].ImageId, MinCount: 1, MaxCount: 1 })
    await Promise.all(Array.from({ length: 7 }, () => cloud.moto(region).send(one())))
    const pages = await readAll(openCloud({ dryRun: false }), EC2Client, region, NextToken => {
      return new DescribeInstancesCommand({ MaxResults: 5, ...(NextToken && { NextToken }) })
    })
    const found = pages.flatMap(page => (page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances))
    expect(pages.length).toBeGreaterThan(1)
    expect(new Set(found.map(one => one.InstanceId)).size).toBe(7)
  })

  it('go on without a region that is forbidden, and fail where all are', async () => {
    cloud.fail({ action: 'DescribeVpcs', when: one => one.region === 'us-west-2' }, NOT_ALLOWED)
    const asking = openCloud({ dryRun: false })
    const { results, forbidden } = await inRegions([REGION, 'us-west-2', REGION], region => vpcs(asking, region))
    expect([...results.keys()]).toEqual([REGION])
    expect([...forbidden.keys()]).toEqual(['us-west-2'])
    await failure(inRegions(['us-west-2'], region => vpcs(asking, region)))
    // A region that fails for another reason is not left out.
    cloud.cut({ action: 'DescribeVpcs', when: one => one.region === 'us-west-2' })
    await failure(inRegions([REGION, 'us-west-2'], region => vpcs(asking, region)))
  })
})

describe('errors of the SDK', () => {
  const call = { service: 'ec2', name: 'RunInstances', region: REGION }
  const thrown = (name: string, status?: number, more = {}) =>
    Object.assign(new Error('some words of AWS'), {
      name,
      ...(status && { $metadata: { httpStatusCode: status } }),
      ...more,
    })
  const trouble = (error: Error) => {
    const told = explained(error, call)
    return told instanceof CloudError ? told.trouble : told
  }

  it('are told apart by who can help', () => {
    expect(trouble(thrown('CredentialsProviderError'))).toBe('login')
    expect(trouble(thrown('InvalidClientTokenId', 403))).toBe('login')
    expect(trouble(thrown('AuthFailure', 401))).toBe('login')
    expect(trouble(thrown('AuthFailure.ServiceLinkedRoleCreationNotPermitted', 403))).toBe('permission')
    expect(trouble(thrown('OptInRequired', 401))).toBe('permission')
    expect(trouble(thrown('RequestLimitExceeded', 503))).toBe('busy')
    expect(trouble(thrown('Unavailable', 503))).toBe('busy')
    expect(trouble(thrown('Error', undefined, { code: 'ENOTFOUND' }))).toBe('network')
    expect(trouble(thrown('TimeoutError'))).toBe('network')
    expect(trouble(thrown('InvalidParameterValue', 400))).toBe('answer')
  })

  it('speak of the clock where a signature is out of its time', () => {
    const error = explained(thrown('SignatureDoesNotMatch', 403, { message: 'Signature expired: 20260101' }), call)
    expect(words(error as CloudError)).toMatch(/clock is wrong.*date -u/)
  })

  it('stay what they are where they are a mistake of the program', () => {
    const mistake = new TypeError('undefined is not a function')
    expect(explained(mistake, call)).toBe(mistake)
    expect(explained('a text', call)).toBe('a text')
  })
})

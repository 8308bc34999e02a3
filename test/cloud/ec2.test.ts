// An instance is rented once, found again, waited for and ended, whatever AWS answers in between: with moto behind a proxy.

import {
  CreateSubnetCommand,
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  EC2Client,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Call, type Cloud, openCloud, read } from '../../lib/cloud/aws.ts'
import {
  EndedAtStart,
  findInstances,
  type Instance,
  imageOf,
  type Launch,
  launch,
  mayLaunch,
  type Place,
  stateOf,
  terminate,
  waitUntilRunning,
} from '../../lib/cloud/ec2.ts'
import { UserError } from '../../lib/errors.ts'
import { leave, Stopped } from '../../lib/leaving.ts'
import { startCloud, type TestCloud } from './faults.ts'
import { motoIsHere } from './moto.ts'
import {
  at,
  NO_CAPACITY,
  NO_SPOT_CAPACITY,
  NOT_ALLOWED,
  OVER_SPOT_LIMIT,
  OVER_VCPU_LIMIT,
  PROTECTED,
  THROTTLED,
} from './requests.ts'

const REGION = 'us-east-1'
const ENDS = new Date('2031-01-02T03:04:05.678Z')
const QUICK = { attempts: 3, milliseconds: 1 }
const FAILED = { code: 'InternalError', status: 500, message: 'An internal error has occurred' }
const before = { ...process.env }
let test: TestCloud
let cloud: Cloud
let place: Place
let launches = 0

function wanted(quarter: string, more: Partial<Launch> = {}): Launch {
  return {
    image: '',
    userData: '#cloud-config\n{}\n',
    quarter,
    ends: ENDS,
    key: 'a1b2c3d4',
    diskGigabytes: 40,
    clientToken: `test-${launches++}`,
    ...more,
  }
}

async function rented(quarter: string, more: Partial<Launch> & { place?: Partial<Place> } = {}): Promise<Instance> {
  const { place: elsewhere, ...what } = more
  const there = { ...place, ...elsewhere }
  const answer = await launch(
    cloud,
    there,
    { ...wanted(quarter, what), image: await imageOf(cloud, there.region) },
    QUICK,
  )
  if ('instance' in answer) return answer.instance
  throw new Error(answer.refused)
}

/** As if it were launched some time ago, when nobody waits any more for EC2 to know it. */
const old = (instance: Instance): Instance => ({ ...instance, launchedAt: new Date(Date.now() - 3_600_000) })
const asked = (action: string) => test.asked.filter(one => one.action === action)
const running = async () => (await test.instances(REGION)).filter(one => one.state === 'running').length

async function failure(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => undefined,
    caught => caught,
  )
  expect(error).toBeInstanceOf(UserError)
  return error
}

describe.skipIf(!motoIsHere)('an instance', () => {
  beforeAll(async () => {
    test = await startCloud()
    // The attempts of the SDK itself, and the waits between them, are aws.test.ts's.
    Object.assign(process.env, test.env, { AWS_MAX_ATTEMPTS: '1' })
    cloud = openCloud({ dryRun: false })
    const { Subnets = [] } = await test.moto(REGION).send(new DescribeSubnetsCommand({}))
    const [{ SubnetId = '', VpcId = '', AvailabilityZone = '' }] = Subnets
    place = {
      instanceType: 'g4dn.2xlarge',
      market: 'spot',
      region: REGION,
      zone: AvailabilityZone,
      subnet: SubnetId,
      vpc: VpcId,
      isDefault: true,
      dollarsPerHour: 0.3,
      mostDollarsPerHour: 0.752,
    }
  })
  afterEach(() => test.heal())
  afterAll(async () => {
    for (const name of [...Object.keys(test.env), 'AWS_MAX_ATTEMPTS']) delete process.env[name]
    Object.assign(process.env, before)
    await test.close()
  })

  it('is launched encrypted, closed, ending with its power, at a highest price, and with tags on all that costs', async () => {
    const instance = await rented('2024Q1')
    expect(instance).toMatchObject({ region: REGION, zone: place.zone, market: 'spot', quarter: '2024Q1', ends: ENDS })
    const { input } = asked('RunInstances').at(-1) ?? { input: {} }
    expect(input).toMatchObject({
      InstanceInitiatedShutdownBehavior: 'terminate',
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: '1' },
      InstanceMarketOptions: {
        MarketType: 'spot',
        SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate', MaxPrice: '0.752' },
      },
      BlockDeviceMapping: [{ Ebs: { Encrypted: 'true', DeleteOnTermination: 'true' } }],
      NetworkInterface: [{ AssociatePublicIpAddress: 'true', DeleteOnTermination: 'true' }],
      MinCount: '1',
      MaxCount: '1',
    })
    const specifications = at(input, 'TagSpecification') as { ResourceType: string; Tag: object[] }[]
    expect(specifications.map(one => one.ResourceType)).toEqual([
      'instance',
      'volume',
      'network-interface',
      'spot-instances-request',
    ])
    for (const { Tag } of specifications)
      expect(Tag).toEqual([
        { Key: 'Name', Value: 'quarterdeck-2024Q1' },
        { Key: 'quarterdeck', Value: 'provision' },
        { Key: 'quarterdeck:quarter', Value: '2024Q1' },
        { Key: 'quarterdeck:ends', Value: ENDS.toISOString() },
        { Key: 'quarterdeck:key', Value: 'a1b2c3d4' },
      ])
    // As EC2 understood it.
    const moto = test.moto(REGION)
    const InstanceId = instance.id
    const behaviour = { InstanceId, Attribute: 'instanceInitiatedShutdownBehavior' } as const
    const { InstanceInitiatedShutdownBehavior } = await moto.send(new DescribeInstanceAttributeCommand(behaviour))
    expect(InstanceInitiatedShutdownBehavior?.Value).toBe('terminate')
    const ofIt = { Filters: [{ Name: 'attachment.instance-id', Values: [InstanceId] }] }
    const { Volumes = [] } = await moto.send(new DescribeVolumesCommand(ofIt))
    expect(Volumes).toHaveLength(1)
    expect(Volumes[0]).toMatchObject({ Encrypted: true, VolumeType: 'gp3', Size: 40 })
    expect((await waitUntilRunning(cloud, instance, undefined, QUICK)).address).toMatch(/^\d+\.\d+\.\d+\.\d+$/)
    await terminate(cloud, instance, undefined, QUICK)
    expect((await moto.send(new DescribeVolumesCommand(ofIt))).Volumes).toEqual([])
  })

  it('on demand has no market options, and in a subnet of one’s own the address that the subnet gives', async () => {
    const { Subnet } = await test
      .moto(REGION)
      .send(new CreateSubnetCommand({ VpcId: place.vpc, CidrBlock: '172.31.240.0/24', AvailabilityZone: place.zone }))
    const own = { market: 'on-demand' as const, isDefault: false, subnet: Subnet?.SubnetId ?? '' }
    const instance = await rented('2024Q1', { place: own, moreGroups: [] })
    const { input } = asked('RunInstances').at(-1) ?? { input: {} }
    expect(input).not.toHaveProperty('InstanceMarketOptions')
    expect(at(input, 'NetworkInterface', 0)).not.toHaveProperty('AssociatePublicIpAddress')
    expect(JSON.stringify(at(input, 'TagSpecification'))).not.toContain('spot-instances-request')
    const { address } = await waitUntilRunning(cloud, instance, undefined, QUICK)
    expect(address).toMatch(/^172\.31\.240\./)
    await terminate(cloud, instance, undefined, QUICK)
  })

  it('has a disk that is never smaller than its image’s, under the image’s own name for it', async () => {
    const { Images = [] } = await test.moto(REGION).send(new DescribeImagesCommand({}))
    const image = Images.find(
      one => one.RootDeviceName !== '/dev/sda1' && one.BlockDeviceMappings?.[0]?.Ebs?.VolumeSize,
    )
    const size = image?.BlockDeviceMappings?.[0]?.Ebs?.VolumeSize ?? 0
    await mayLaunch(cloud, place, wanted('2024Q1', { image: image?.ImageId ?? '', diskGigabytes: 1 }))
    expect(at(asked('RunInstances').at(-1)?.input, 'BlockDeviceMapping', 0)).toMatchObject({
      DeviceName: image?.RootDeviceName,
      Ebs: { VolumeSize: String(size) },
    })
    expect(size).toBeGreaterThan(1)
  })

  it('is rented once, though the answer to the launch is lost', async () => {
    const there = await running()
    test.loseAnswer({ action: 'RunInstances' }, 2)
    const instance = await rented('2024Q1')
    expect(await running()).toBe(there + 1)
    expect(
      new Set(
        asked('RunInstances')
          .slice(-3)
          .map(one => one.input.ClientToken),
      ).size,
    ).toBe(1)
    await terminate(cloud, instance, undefined, QUICK)
  })

  it('has a token of its own for each place, so that the same launch may be tried in the next', async () => {
    const image = await imageOf(cloud, REGION)
    const what = wanted('2024Q1', { image })
    const answers = [
      await launch(cloud, place, what, QUICK),
      await launch(cloud, { ...place, market: 'on-demand' }, what, QUICK),
      await launch(cloud, place, what, QUICK),
    ]
    const ids = answers.map(answer => 'instance' in answer && answer.instance.id)
    expect(ids[0]).not.toBe(ids[1])
    expect(ids[2]).toBe(ids[0])
    for (const answer of answers.slice(0, 2))
      if ('instance' in answer) await terminate(cloud, answer.instance, undefined, QUICK)
  })

  it('is refused where another place may do, in AWS’s words', async () => {
    const what = wanted('2024Q1', { image: await imageOf(cloud, REGION) })
    for (const refusal of [NO_CAPACITY, NO_SPOT_CAPACITY, OVER_SPOT_LIMIT, OVER_VCPU_LIMIT]) {
      test.heal()
      test.fail({ action: 'RunInstances' }, refusal)
      const answer = await launch(cloud, place, what, QUICK)
      expect(answer).toEqual({ refused: `${refusal.code}: ${refusal.message}` })
    }
    test.heal()
    const missing = await launch(cloud, place, { ...what, image: 'ami-00000000000000000' }, QUICK)
    expect(missing).toMatchObject({ refused: expect.stringMatching(/^InvalidAMIID.NotFound: .*ami-0/) })
    expect(await findInstances(cloud, [REGION], '2024Q1')).toEqual([])
  })

  it('is an error where no place would do: no permission, a wrong parameter, a group that never comes', async () => {
    const what = wanted('2024Q1', { image: await imageOf(cloud, REGION) })
    test.fail({ action: 'RunInstances' }, NOT_ALLOWED, 1)
    expect((await failure(launch(cloud, place, what, QUICK))).message).toContain('may not call ec2:RunInstances')
    const wrong = { code: 'InvalidParameterValue', status: 400, message: 'Invalid user data' }
    test.fail({ action: 'RunInstances' }, wrong, 1)
    expect((await failure(launch(cloud, place, what, QUICK))).message).toContain('Invalid user data')
    const attempts = asked('RunInstances').length
    const group = { ...what, group: 'sg-0123456789abcdef0' }
    expect((await failure(launch(cloud, place, group, QUICK))).message).toContain('sg-0123456789abcdef0')
    expect(asked('RunInstances').length).toBe(attempts + QUICK.attempts)
  })

  it('can be asked for without renting it', async () => {
    const there = await running()
    const what = wanted('2024Q1', { image: await imageOf(cloud, REGION) })
    await mayLaunch(openCloud({ dryRun: true }), place, what)
    expect(asked('RunInstances').at(-1)?.input.DryRun).toBe('true')
    test.fail({ action: 'RunInstances' }, NOT_ALLOWED)
    await failure(mayLaunch(cloud, place, what))
    expect(await running()).toBe(there)
  })

  it('is neither rented nor ended in a dry run, which tells all of it', async () => {
    const there = await running()
    const heard: Call[] = []
    const dry = openCloud({ dryRun: true, onCall: call => heard.push(call) })
    const from = test.asked.length
    const what = wanted('2024Q1', { image: await imageOf(dry, REGION), instanceProfile: 'for-sessions' })
    const answer = await launch(dry, place, what)
    if (!('instance' in answer)) throw new Error(answer.refused)
    const instance = await waitUntilRunning(dry, answer.instance)
    expect(instance).toMatchObject({
      state: 'running',
      zone: place.zone,
      quarter: '2024Q1',
      ends: ENDS,
      market: 'spot',
    })
    await terminate(dry, instance)
    expect(heard.map(call => call.name)).toEqual([
      'GetParameter',
      'DescribeImages',
      'RunInstances',
      'TerminateInstances',
    ])
    expect(heard[2].input).toMatchObject({ IamInstanceProfile: { Name: 'for-sessions' } })
    expect(test.asked.slice(from).map(one => one.action)).toEqual(['GetParameter', 'DescribeImages'])
    expect(await running()).toBe(there)
  })

  it('is found by its quarter in all regions at once while it costs money, and not when it is of somebody else', async () => {
    const { Subnets = [] } = await test.moto('us-west-2').send(new DescribeSubnetsCommand({}))
    const west = { region: 'us-west-2', subnet: Subnets[0].SubnetId ?? '', zone: Subnets[0].AvailabilityZone ?? '' }
    const first = await rented('2024Q2')
    const second = await rented('2024Q2', { place: west })
    const other = await rented('2024Q3')
    const find = async () =>
      (await findInstances(cloud, [REGION, 'us-west-2'], '2024Q2')).map(({ id, region }) => [id, region])
    expect(new Set(await find())).toEqual(
      new Set([
        [first.id, REGION],
        [second.id, 'us-west-2'],
      ]),
    )
    await terminate(cloud, second, undefined, QUICK)
    expect(await find()).toEqual([[first.id, REGION]])
    // A region that the login may not look at is said and left out.
    test.fail({ action: 'DescribeInstances', when: one => one.region === 'us-west-2' }, NOT_ALLOWED)
    expect(await find()).toEqual([[first.id, REGION]])
    test.heal()
    await Promise.all([first, other].map(one => terminate(cloud, one, undefined, QUICK)))
    expect(await find()).toEqual([])
  })

  it('is waited for through failures that pass, and while EC2 does not know it yet', async () => {
    const instance = await rented('2024Q1')
    const unknown = { code: 'InvalidInstanceID.NotFound', status: 400, message: 'The instance ID does not exist' }
    test.fail({ action: 'DescribeInstances' }, FAILED, 1)
    test.fail({ action: 'DescribeInstances' }, unknown, 1)
    const heard: string[] = []
    const now = await waitUntilRunning(cloud, instance, what => heard.push(what), { attempts: 4, milliseconds: 1 })
    expect(now.state).toBe('running')
    expect(heard).toEqual(['pending', expect.stringContaining('InternalError')])
    await terminate(cloud, instance, undefined, QUICK)
  })

  it('that ends while it starts, or never starts, is told apart, so that the next place is tried', async () => {
    const instance = await rented('2024Q1')
    await test.interrupt(instance.id)
    const taken = await failure(waitUntilRunning(cloud, instance, undefined, QUICK))
    expect(taken).toBeInstanceOf(EndedAtStart)
    expect(taken.message).toMatch(/Server.SpotInstanceTermination/)
    const stuck = await rented('2024Q1')
    test.fail({ action: 'DescribeInstances' }, THROTTLED)
    expect(await failure(waitUntilRunning(cloud, stuck, undefined, QUICK))).toBeInstanceOf(EndedAtStart)
    test.heal()
    await terminate(cloud, stuck, undefined, QUICK)
  })

  it('says whether AWS took it, or somebody ended it, and an id that nobody knows has ended', async () => {
    const [taken, ended, stopped] = [await rented('2024Q1'), await rented('2024Q1'), await rented('2024Q1')]
    expect(await stateOf(cloud, taken)).toMatchObject({ state: 'running', taken: false })
    await test.interrupt(taken.id)
    expect(await stateOf(cloud, taken)).toMatchObject({
      state: 'terminated',
      taken: true,
      why: expect.stringContaining('Spot'),
    })
    await terminate(cloud, ended, undefined, QUICK)
    expect(await stateOf(cloud, ended)).toMatchObject({ state: 'terminated', taken: false })
    await test.moto(REGION).send(new StopInstancesCommand({ InstanceIds: [stopped.id] }))
    expect(await stateOf(cloud, stopped)).toMatchObject({ state: 'stopped', taken: false })
    const nobody = { ...stopped, id: 'i-0123456789abcdef0' }
    expect((await stateOf(cloud, nobody)).state).toBe('pending')
    expect((await stateOf(cloud, old(nobody))).state).toBe('terminated')
    await terminate(cloud, stopped, undefined, QUICK)
  })

  it('is ended though AWS fails at first, and ending it again is fine', async () => {
    const instance = await rented('2024Q1')
    test.fail({ action: 'TerminateInstances' }, FAILED, 1)
    test.fail({ action: 'DescribeInstances' }, THROTTLED, 1)
    const heard: string[] = []
    await terminate(cloud, instance, what => heard.push(what), { attempts: 4, milliseconds: 1 })
    expect(heard).toEqual([expect.stringContaining('InternalError'), expect.stringContaining('throttling')])
    expect((await stateOf(cloud, instance)).state).toBe('terminated')
    await terminate(cloud, instance, undefined, QUICK)
    await terminate(cloud, old({ ...instance, id: 'i-0123456789abcdef0' }), undefined, QUICK)
  })

  it('is ended when the login that had run out is renewed', async () => {
    const instance = await rented('2024Q1')
    test.expireLogin()
    const heard: string[] = []
    await terminate(
      cloud,
      instance,
      what => {
        heard.push(what)
        if (heard.length === 2) test.heal()
      },
      { attempts: 9, milliseconds: 1 },
    )
    expect(heard[0]).toContain('expired')
    expect((await stateOf(cloud, instance)).state).toBe('terminated')
  })

  it('that cannot be ended is named with its region, its timer and what to type', async () => {
    const instance = await rented('2024Q1')
    for (const [refusal, attempts] of [
      [FAILED, QUICK.attempts],
      [NOT_ALLOWED, 1],
      [PROTECTED, 1],
    ] as const) {
      test.heal()
      test.fail({ action: 'TerminateInstances' }, refusal)
      let waits = 0
      const error = await failure(terminate(cloud, instance, () => waits++, QUICK))
      expect(error.message).toMatch(`${instance.id} in ${REGION} could not be ended and still costs money`)
      expect(error.message).toContain(ENDS.toISOString())
      expect(error.hint).toContain(`aws ec2 terminate-instances --region ${REGION} --instance-ids ${instance.id}`)
      expect(error.hint).toContain('https://us-east-1.console.aws.amazon.com')
      expect(waits).toBe(attempts === 1 ? 0 : attempts)
    }
    test.heal()
    expect((await stateOf(cloud, instance)).state).toBe('running')
    await terminate(cloud, instance, undefined, QUICK)
  })

  it('is no longer waited for when the program leaves, but ended all the same', async () => {
    const instance = await rented('2024Q1')
    leave('told to stop by a test')
    expect(await failure(waitUntilRunning(cloud, instance, undefined, QUICK))).toBeInstanceOf(Stopped)
    test.fail({ action: 'TerminateInstances' }, FAILED, 1)
    await terminate(cloud, instance, undefined, QUICK)
    const { Reservations = [] } = await read(
      cloud,
      EC2Client,
      REGION,
      new DescribeInstancesCommand({ InstanceIds: [instance.id] }),
    )
    expect(Reservations[0].Instances?.[0].State?.Name).toBe('terminated')
    expect(await running()).toBe(0)
  })
})

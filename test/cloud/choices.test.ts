// Where to rent and who may come in, as EC2 and Service Quotas answer: zones by price, what cannot be left out with its reason,
// and one rule that comes and goes.

import {
  CreateTagsCommand,
  DeleteSubnetCommand,
  DescribeImagesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Cloud, openCloud } from '../../lib/cloud/aws.ts'
import { defaultChoices, placesOf } from '../../lib/cloud/choices.ts'
import type { Choice, Place } from '../../lib/cloud/ec2.ts'
import { pageOf, quotaOf } from '../../lib/cloud/quotas.ts'
import { closeGate, openGate } from '../../lib/cloud/security-group.ts'
import { UserError } from '../../lib/errors.ts'
import { startCloud, type TestCloud } from './faults.ts'
import { QUOTAS } from './lacking.ts'
import { motoIsHere } from './moto.ts'
import { NOT_ALLOWED } from './requests.ts'

const REGION = 'us-east-1'
const SPOT: Choice = { instanceType: 'g4dn.2xlarge', market: 'spot', region: REGION }
const ON_DEMAND: Choice = { ...SPOT, market: 'on-demand' }
const QUICK = { attempts: 3, milliseconds: 1 }
const CALLER = { cidr: '198.51.100.7/32', port: 22, quarter: '2024Q1' }
const before = { ...process.env }
let test: TestCloud
let cloud: Cloud

async function failure(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => undefined,
    caught => caught,
  )
  expect(error).toBeInstanceOf(UserError)
  return error
}
const zones = (places: Place[]) => places.map(place => place.zone)

describe('the default choices', () => {
  it('are spot at home, spot elsewhere, and at last one that nobody takes away', () => {
    for (const [home, second] of [
      ['eu-central-1', 'us-west-2'],
      ['us-west-2', 'us-east-1'],
    ]) {
      const choices = defaultChoices(home)
      expect(choices.map(one => one.region)).toEqual([home, home, second, second, home])
      expect(choices.map(one => one.market)).toEqual(['spot', 'spot', 'spot', 'spot', 'on-demand'])
      expect(choices.at(-1)?.instanceType).toBe(choices[0].instanceType)
    }
  })
})

describe('quotas', () => {
  it('are those of the family and the market', () => {
    const codes = [
      SPOT,
      ON_DEMAND,
      { ...SPOT, instanceType: 'c7i.4xlarge' },
      { ...ON_DEMAND, instanceType: 'm7i.large' },
    ]
    expect(codes.map(one => quotaOf(one.instanceType, one.market))).toEqual(
      Object.entries(QUOTAS).map(([code, name]) => ({ code, name })),
    )
    expect(quotaOf('p4d.24xlarge', 'spot')?.code).toBe('L-7212CCBC')
    expect(quotaOf('mac2.metal', 'on-demand')).toBeUndefined()
    expect(quotaOf('inf2.xlarge', 'spot')).toBeUndefined()
  })
})

describe.skipIf(!motoIsHere)('in the cloud', () => {
  beforeAll(async () => {
    test = await startCloud()
    // The attempts of the SDK itself, and the waits between them, are aws.test.ts's.
    Object.assign(process.env, test.env, { AWS_MAX_ATTEMPTS: '1' })
    cloud = openCloud({ dryRun: false })
  })
  afterEach(() => {
    test.heal()
    for (const code of Object.keys(QUOTAS)) test.setQuota(code as keyof typeof QUOTAS, 32)
  })
  afterAll(async () => {
    for (const name of [...Object.keys(test.env), 'AWS_MAX_ATTEMPTS']) delete process.env[name]
    Object.assign(process.env, before)
    await test.close()
  })

  describe('places', () => {
    it('are the zones that have the kind, a spot choice’s the cheapest first and those of no price last', async () => {
      const { places: usual } = await placesOf(cloud, [SPOT])
      expect(usual.length).toBeGreaterThan(3)
      const [first, second] = zones(usual)
      test.setSpotPrice(SPOT.instanceType, first, 0.7)
      test.setSpotPrice(SPOT.instanceType, second, undefined)
      const { places } = await placesOf(cloud, [SPOT])
      const prices = places.map(place => place.dollarsPerHour ?? Number.POSITIVE_INFINITY)
      expect(prices).toEqual([...prices].sort((a, b) => a - b))
      expect(new Set(zones(places))).toEqual(new Set(zones(usual)))
      expect(places.at(-1)).toMatchObject({ zone: second, dollarsPerHour: undefined })
      expect(places.at(-2)).toMatchObject({ zone: first, dollarsPerHour: 0.7 })
      // Bounded by what the kind costs on demand.
      for (const place of places)
        expect(place).toMatchObject({
          mostDollarsPerHour: 0.752,
          isDefault: true,
          subnet: expect.stringMatching(/^subnet-/),
        })
    })

    it('keep the order of the choices, and cost on demand what the table says', async () => {
      const west: Choice = { ...SPOT, region: 'us-west-2' }
      const { places } = await placesOf(cloud, [ON_DEMAND, west])
      const choiceOf = ({ market, region }: Place) => `${market} ${region}`
      const order = places.map(choiceOf)
      expect(order).toEqual([...order].sort())
      expect(new Set(order).size).toBe(2)
      expect(places[0].dollarsPerHour).toBe(0.752)
      expect(places.at(-1)?.mostDollarsPerHour).toBe(0.752)
      expect(zones(places.filter(place => place.market === 'on-demand'))).toEqual(
        zones(places.filter(place => place.market === 'on-demand')).sort(),
      )
    })

    it('say so where nothing but hours limits the costs', async () => {
      const { notes } = await placesOf(cloud, [{ ...ON_DEMAND, region: 'eu-west-1' }])
      expect(notes).toEqual([expect.stringMatching(/no g4dn.2xlarge.*only hours/)])
    })

    it('are none where the quota has no room, and the note says how much there is, is needed, and where to ask', async () => {
      test.setQuota('L-3819A6DF', 4)
      const { places, notes } = await placesOf(cloud, [SPOT, { ...SPOT, instanceType: 'g5.xlarge' }, ON_DEMAND])
      expect(new Set(places.map(place => `${place.instanceType} ${place.market}`))).toEqual(
        new Set(['g5.xlarge spot', 'g4dn.2xlarge on-demand']),
      )
      const [note] = notes.filter(one => one.includes('quota'))
      expect(note).toMatch(/"All G and VT Spot Instance Requests" in us-east-1 is 4 vCPUs, and g4dn.2xlarge has 8/)
      expect(note).toContain(pageOf(REGION, { code: 'L-3819A6DF', name: '' }))
    })

    it('are there all the same where the quotas may not be asked for', async () => {
      test.fail({ action: 'GetServiceQuota' }, NOT_ALLOWED)
      const { places, notes } = await placesOf(cloud, [SPOT])
      expect(places.length).toBeGreaterThan(0)
      expect(notes).toContainEqual(expect.stringMatching(/quota.*not known.*servicequotas:GetServiceQuota/))
    })

    it('leave out what does not exist, has another processor, or is forbidden, each with its reason', async () => {
      test.fail({ action: 'DescribeSubnets', when: one => one.region === 'us-west-2' }, NOT_ALLOWED)
      const { places, notes } = await placesOf(cloud, [
        { ...SPOT, instanceType: 'g99.xlarge' },
        { ...SPOT, instanceType: 'c7g.large' },
        { ...SPOT, region: 'us-west-2' },
        SPOT,
      ])
      expect(new Set(places.map(place => place.instanceType))).toEqual(new Set([SPOT.instanceType]))
      expect(notes).toContainEqual('us-east-1 has no g99.xlarge')
      expect(notes).toContainEqual(expect.stringContaining('c7g.large has no amd64 processor'))
      expect(notes).toContainEqual(expect.stringMatching(/^us-west-2 is left out: .*may not call ec2:DescribeSubnets/))
    })

    it('are the one subnet that was asked for, in its region only', async () => {
      const { places: all } = await placesOf(cloud, [ON_DEMAND])
      const { subnet } = all[1]
      const { places, notes } = await placesOf(cloud, [ON_DEMAND, { ...ON_DEMAND, region: 'us-west-2' }], { subnet })
      expect(places).toEqual([all[1]])
      expect(notes).toContainEqual(`${subnet} is not in us-west-2`)
    })

    it('are an error where none is left: without a network it says how to make one', async () => {
      const region = 'sa-east-1'
      const { Subnets = [] } = await test.moto(region).send(new DescribeSubnetsCommand({}))
      for (const { SubnetId } of Subnets) await test.moto(region).send(new DeleteSubnetCommand({ SubnetId }))
      const error = await failure(placesOf(cloud, [{ ...SPOT, region }]))
      expect(error.message).toContain('aws ec2 create-default-vpc --region sa-east-1, or --subnet')
      expect(error.hint).toContain('--region')
    })
  })

  describe('the gate', () => {
    const vpcOf = async (region: string) => {
      const { Subnets = [] } = await test.moto(region).send(new DescribeSubnetsCommand({}))
      return { vpc: Subnets[0].VpcId ?? '', subnet: Subnets[0].SubnetId ?? '' }
    }
    const groups = async (region: string) => {
      const wanted = { Filters: [{ Name: 'group-name', Values: ['quarterdeck-provision'] }] }
      const { SecurityGroups = [] } = await test.moto(region).send(new DescribeSecurityGroupsCommand(wanted))
      return SecurityGroups
    }
    const rules = async (region: string) =>
      (await test.securityRules(region))
        .filter(one => one.cidr !== '0.0.0.0/0')
        .map(({ cidr, from, to }) => [cidr, from, to])

    it('lets one address in to one port, however often it is opened, and nobody when it is closed again', async () => {
      const { vpc } = await vpcOf(REGION)
      const group = await openGate(cloud, REGION, vpc, CALLER, QUICK)
      expect(await openGate(cloud, REGION, vpc, CALLER, QUICK)).toBe(group)
      expect(await openGate(cloud, REGION, vpc, { ...CALLER, cidr: undefined }, QUICK)).toBe(group)
      expect(await rules(REGION)).toEqual([[CALLER.cidr, 22, 22]])
      const [{ Tags, GroupId, ...others }] = await groups(REGION)
      expect([GroupId, others.VpcId]).toEqual([group, vpc])
      expect(Tags).toContainEqual({ Key: 'quarterdeck', Value: 'provision' })
      await closeGate(cloud, REGION, group, CALLER)
      await closeGate(cloud, REGION, group, CALLER)
      expect(await rules(REGION)).toEqual([])
      await closeGate(cloud, REGION, 'sg-0123456789abcdef0', CALLER)
    })

    it('is one, though two make it at once, and though EC2 does not know it yet', async () => {
      const region = 'us-east-2'
      const { vpc } = await vpcOf(region)
      const unknown = { code: 'InvalidGroup.NotFound', status: 400, message: 'The security group does not exist' }
      test.fail({ action: 'AuthorizeSecurityGroupIngress' }, unknown, 2)
      const both = [CALLER.cidr, '203.0.113.9/32'].map(cidr => openGate(cloud, region, vpc, { ...CALLER, cidr }, QUICK))
      expect(new Set(await Promise.all(both)).size).toBe(1)
      expect(await groups(region)).toHaveLength(1)
      expect((await rules(region)).map(([cidr]) => cidr).sort()).toEqual([CALLER.cidr, '203.0.113.9/32'])
    })

    it('stays open while an instance of another quarter runs behind it', async () => {
      const region = 'us-west-2'
      const { vpc, subnet } = await vpcOf(region)
      const group = await openGate(cloud, region, vpc, CALLER, QUICK)
      const moto = test.moto(region)
      const { Images = [] } = await moto.send(new DescribeImagesCommand({}))
      const { Instances = [] } = await moto.send(
        new RunInstancesCommand({
          ImageId: Images[0].ImageId,
          MinCount: 1,
          MaxCount: 1,
          NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet, Groups: [group] }],
        }),
      )
      const InstanceIds = Instances.map(one => one.InstanceId ?? '')
      await moto.send(
        new CreateTagsCommand({ Resources: InstanceIds, Tags: [{ Key: 'quarterdeck', Value: 'provision' }] }),
      )
      expect((await failure(closeGate(cloud, region, group, CALLER))).message).toContain(InstanceIds[0])
      expect(await rules(region)).toHaveLength(1)
      await moto.send(new TerminateInstancesCommand({ InstanceIds }))
      await closeGate(cloud, region, group, CALLER)
      expect(await rules(region)).toEqual([])
    })

    it('makes nothing in a dry run', async () => {
      const region = 'eu-central-1'
      const { vpc } = await vpcOf(region)
      const heard: string[] = []
      const dry = openCloud({ dryRun: true, onCall: ({ name }) => heard.push(name) })
      await openGate(dry, region, vpc, CALLER, QUICK)
      expect(heard).toEqual(['DescribeSecurityGroups', 'CreateSecurityGroup', 'AuthorizeSecurityGroupIngress'])
      expect(await groups(region)).toEqual([])
    })
  })
})

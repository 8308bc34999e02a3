// Where to rent: a list of wishes in order becomes a list of zones with a price, without those that cannot be, and says why.
// Only looks; renting is ec2.ts's part.

import {
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  DescribeSpotPriceHistoryCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type _InstanceType as InstanceTypeName,
  type Subnet,
} from '@aws-sdk/client-ec2'
import { UserError } from '../errors.ts'
import { type Cloud, codeOf, inRegions, readAll } from './aws.ts'
import type { Choice, Place } from './ec2.ts'
import { readPrices } from './prices.ts'
import { limitOf, pageOf, quotaOf } from './quotas.ts'

// A card with 16 GB is more than the models of this product need, and the cheapest there is; the second is faster, and often
// there when the first is not.
const FIRST = 'g4dn.2xlarge'
const SECOND = 'g5.xlarge'
// Large and cheap; where that is home, the other large one.
const ELSEWHERE = ['us-west-2', 'us-east-1']

/** Spot at home, spot in a second region, and last what nobody takes away. */
export function defaultChoices(home: string): Choice[] {
  const second = ELSEWHERE.find(region => region !== home) ?? home
  const spot = [home, second].flatMap(region =>
    [FIRST, SECOND].map((instanceType): Choice => ({ instanceType, market: 'spot', region })),
  )
  return [...spot, { instanceType: FIRST, market: 'on-demand', region: home }]
}

type Kind = { vcpus: number; isAmd64: boolean; hasSpot: boolean; zones: Set<string> }
type Region = { subnets: Subnet[]; kinds: Map<string, Kind>; spotPrices: Map<string, number> }

/** The zones of the choices, in their order; those of a spot choice by price, the cheapest first. */
export async function placesOf(
  cloud: Cloud,
  choices: readonly Choice[],
  { subnet }: { subnet?: string } = {},
): Promise<{ places: Place[]; notes: string[] }> {
  const { results, forbidden } = await inRegions(
    choices.map(one => one.region),
    region => lookAt(cloud, region, typesIn(choices, region), subnet),
  )
  const places: Place[] = []
  const notes = new Set([...forbidden].map(([region, error]) => `${region} is left out: ${error.message}`))
  for (const choice of choices) {
    const there = results.get(choice.region)
    if (there === undefined) continue
    const kind = there.kinds.get(choice.instanceType)
    const reason = hindrance(choice, there, kind, subnet)
    if (kind === undefined || reason !== undefined) {
      notes.add(reason ?? '')
      continue
    }
    const limit = await limitNote(cloud, choice, kind.vcpus)
    if (limit !== undefined) notes.add(limit.note)
    if (limit?.isTooLow) continue
    const lacking = there.subnets.map(zoneOf).filter(zone => !kind.zones.has(zone))
    if (lacking.length > 0) notes.add(`${choice.instanceType} is not in ${lacking.sort().join(', ')}`)
    const found = placesIn(choice, there, kind)
    if (found.length > 0 && found[0].mostDollarsPerHour === undefined)
      notes.add(`the price table has no ${choice.instanceType}: only hours limit what it costs`)
    places.push(...found)
  }
  if (places.length > 0) return { places, notes: [...notes] }
  throw new UserError(
    `there is nowhere to rent an instance:\n${[...notes].map(note => `  ${note}`).join('\n')}`,
    'ask for another kind or another region: --instance c7i.xlarge, --region eu-central-1',
  )
}

function typesIn(choices: readonly Choice[], region: string): string[] {
  return [...new Set(choices.filter(one => one.region === region).map(one => one.instanceType))]
}

/** Everything about a region that decides. */
async function lookAt(
  cloud: Cloud,
  region: string,
  types: readonly string[],
  subnet: string | undefined,
): Promise<Region> {
  const [subnets, kinds, spotPrices] = await Promise.all([
    subnetsOf(cloud, region, subnet),
    kindsOf(cloud, region, types),
    spotPricesOf(cloud, region, types),
  ])
  return { subnets, kinds, spotPrices }
}

/** The one that was asked for, where this is its region, or those that every account has by default, one a zone. */
async function subnetsOf(cloud: Cloud, region: string, subnet: string | undefined): Promise<Subnet[]> {
  const wanted =
    subnet === undefined ? { Filters: [{ Name: 'default-for-az', Values: ['true'] }] } : { SubnetIds: [subnet] }
  try {
    const pages = await readAll(cloud, EC2Client, region, NextToken => {
      return new DescribeSubnetsCommand({ ...wanted, ...(NextToken && { NextToken }) })
    })
    return pages.flatMap(page => page.Subnets ?? [])
  } catch (error) {
    if (codeOf(error) === 'InvalidSubnetID.NotFound') return []
    throw error
  }
}

/** By filters: a list of names is refused as a whole where one of them is unknown. */
async function kindsOf(cloud: Cloud, region: string, types: readonly string[]): Promise<Map<string, Kind>> {
  const Filters = [{ Name: 'instance-type', Values: [...types] }]
  const [described, offered] = await Promise.all([
    readAll(cloud, EC2Client, region, NextToken => {
      return new DescribeInstanceTypesCommand({ Filters, ...(NextToken && { NextToken }) })
    }),
    readAll(cloud, EC2Client, region, NextToken => {
      return new DescribeInstanceTypeOfferingsCommand({
        LocationType: 'availability-zone',
        Filters,
        ...(NextToken && { NextToken }),
      })
    }),
  ])
  const offers = offered.flatMap(page => page.InstanceTypeOfferings ?? [])
  const kinds = described.flatMap(page => page.InstanceTypes ?? [])
  return new Map(
    kinds.map(({ InstanceType = '', VCpuInfo, ProcessorInfo, SupportedUsageClasses = [] }) => [
      InstanceType,
      {
        vcpus: VCpuInfo?.DefaultVCpus ?? 0,
        isAmd64: ProcessorInfo?.SupportedArchitectures?.includes('x86_64') ?? false,
        hasSpot: SupportedUsageClasses.includes('spot'),
        zones: new Set(offers.filter(one => one.InstanceType === InstanceType).map(one => one.Location ?? '')),
      },
    ]),
  )
}

/** Dollars an hour of now, by kind and zone. */
async function spotPricesOf(cloud: Cloud, region: string, types: readonly string[]): Promise<Map<string, number>> {
  const now = new Date()
  const pages = await readAll(cloud, EC2Client, region, NextToken => {
    return new DescribeSpotPriceHistoryCommand({
      InstanceTypes: types as InstanceTypeName[],
      // Old accounts have the second name.
      ProductDescriptions: ['Linux/UNIX', 'Linux/UNIX (Amazon VPC)'],
      StartTime: now,
      ...(NextToken && { NextToken }),
    })
  })
  const prices = pages.flatMap(page => page.SpotPriceHistory ?? [])
  // The newest last, so that it counts.
  prices.sort((a, b) => (a.Timestamp?.getTime() ?? 0) - (b.Timestamp?.getTime() ?? 0))
  return new Map(prices.map(one => [`${one.InstanceType} ${one.AvailabilityZone}`, Number(one.SpotPrice)]))
}

/** Why a choice cannot be, in words that name the next step where there is one. */
function hindrance(
  { instanceType, market, region }: Choice,
  { subnets }: Region,
  kind: Kind | undefined,
  subnet: string | undefined,
): string | undefined {
  if (subnets.length === 0)
    return subnet === undefined
      ? `${region} has no default network: aws ec2 create-default-vpc --region ${region}, or --subnet`
      : `${subnet} is not in ${region}`
  if (kind === undefined) return `${region} has no ${instanceType}`
  if (!kind.isAmd64) return `${instanceType} has no amd64 processor, which the image needs`
  if (market === 'spot' && !kind.hasSpot) return `${instanceType} is not on the spot market of ${region}`
  if (subnets.every(one => !kind.zones.has(zoneOf(one))))
    return `${instanceType} is not in ${subnets.map(zoneOf).sort().join(', ')}`
  return undefined
}

async function limitNote(
  cloud: Cloud,
  { instanceType, market, region }: Choice,
  vcpus: number,
): Promise<{ isTooLow: boolean; note: string } | undefined> {
  const quota = quotaOf(instanceType, market)
  if (quota === undefined) return undefined
  const limit = await limitOf(cloud, region, quota)
  if (typeof limit !== 'number')
    return { isTooLow: false, note: `the quota "${quota.name}" in ${region} is not known: ${limit.unknown}` }
  if (limit >= vcpus) return undefined
  const what = `the quota "${quota.name}" in ${region} is ${limit} vCPUs, and ${instanceType} has ${vcpus}`
  return { isTooLow: true, note: `${what}; ask for more: ${pageOf(region, quota)}` }
}

function placesIn(choice: Choice, { subnets, spotPrices }: Region, { zones }: Kind): Place[] {
  const { instanceType, market, region } = choice
  const onDemand = onDemandPrice(instanceType, region)
  const places = subnets
    .filter(one => zones.has(zoneOf(one)))
    .map((one): Place => {
      const zone = zoneOf(one)
      return {
        ...choice,
        zone,
        subnet: one.SubnetId ?? '',
        vpc: one.VpcId ?? '',
        isDefault: one.DefaultForAz === true,
        dollarsPerHour: market === 'spot' ? spotPrices.get(`${instanceType} ${zone}`) : onDemand.here,
        mostDollarsPerHour: market === 'spot' ? (onDemand.here ?? onDemand.anywhere) : onDemand.here,
      }
    })
  const rank = (place: Place) => place.dollarsPerHour ?? Number.POSITIVE_INFINITY
  return places.sort((a, b) => compare(rank(a), rank(b)) || compare(a.zone, b.zone))
}

/** By the table that ships; of a region that is not in it, what the kind costs in another is bound enough for a spot price. */
function onDemandPrice(instanceType: string, region: string): { here?: number; anywhere?: number } {
  const rows = readPrices().filter(row => row.provider === 'AWS' && row.name === instanceType)
  return { here: rows.find(row => row.region === region)?.onDemand, anywhere: rows[0]?.onDemand }
}

function zoneOf({ AvailabilityZone = '' }: Subnet): string {
  return AvailabilityZone
}

function compare<Value extends number | string>(a: Value, b: Value): number {
  return a < b ? -1 : a > b ? 1 : 0
}

// One rented instance from its launch to its end. Every function may be called again after any failure: a launch by its token, an
// end by its id, and what is there is found by its tags. Where to rent is choices.ts's part, who may come in security-group.ts's.

import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Instance as Described,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  EC2Client,
  type Filter,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  type TagSpecification,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import { messageOf, UserError } from '../errors.ts'
import { isLeaving, pause, stopped } from '../leaving.ts'
import { warn } from '../log.ts'
import { type Cloud, CloudError, change, codeOf, inRegions, isPassing, read, readAll } from './aws.ts'
import { type Patience, tried } from './patience.ts'

export type Market = 'spot' | 'on-demand'
export type Choice = { instanceType: string; market: Market; region: string }

/** One choice in one zone. */
export type Place = Choice & {
  zone: string
  subnet: string
  vpc: string
  /** A subnet of the account's default network: an instance there is given a public address. */
  isDefault: boolean
  /** Of now; a spot price moves. */
  dollarsPerHour: number | undefined
  /** What the price cannot pass while the instance runs: a spot instance is told so, and leaves before. */
  mostDollarsPerHour: number | undefined
}

export type Instance = {
  id: string
  region: string
  zone: string
  instanceType: string
  market: Market
  /** pending, running, shutting-down, terminated, stopping, stopped */
  state: string
  /** The public one, or else the private one. */
  address: string | undefined
  launchedAt: Date
  quarter: string
  /** When it ends itself. */
  ends: Date | undefined
  /** Fingerprint of the key that opens it. */
  key: string
}

export type Launch = {
  image: string
  /** Who may come in; absent only for asking whether a launch is allowed, before the group is made. */
  group?: string
  moreGroups?: readonly string[]
  userData: string
  quarter: string
  ends: Date
  key: string
  diskGigabytes: number
  /** A new one for each launch: EC2 answers a second launch of a token with the instance of the first, even if it is gone. */
  clientToken: string
  /** Name of the role's profile that Session Manager needs on the instance; without it, it has no credentials at all. */
  instanceProfile?: string
}

/** The instance ended before it was running, and somebody else may have more luck. */
export class EndedAtStart extends UserError {
  override readonly name = 'EndedAtStart'
}

// A launch whose answer is lost is asked for again with its token, a group made a moment ago may not be known everywhere yet:
// EC2 says that both take seconds, in rare cases a minute.
const LAUNCH_PATIENCE: Patience = { attempts: 10, milliseconds: 6000 }
// Instances with a card run after 10 to 60 s; one that does not after ten minutes will not.
const START_PATIENCE: Patience = { attempts: 200, milliseconds: 3000 }
// Fifteen minutes: long enough for a person to log in again, who reads that the login has run out.
const END_PATIENCE: Patience = { attempts: 90, milliseconds: 10_000 }
// For so long after a launch, an id that EC2 does not know is one that it does not know yet.
const NEW_MILLISECONDS = 120_000

/** Plain Ubuntu: what else the work needs is installed by scripts that can be read, and the image is there in every region. */
const UBUNTU = '/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id'

/** Tags of everything that is made for a quarter; by the second it is found again, and by it a policy can be limited. */
function tagsOf({ quarter, ends, key }: Launch): { Key: string; Value: string }[] {
  return [
    { Key: 'Name', Value: `quarterdeck-${quarter}` },
    { Key: 'quarterdeck', Value: 'provision' },
    { Key: 'quarterdeck:quarter', Value: quarter },
    { Key: 'quarterdeck:ends', Value: ends.toISOString() },
    { Key: 'quarterdeck:key', Value: key },
  ]
}

/** Id of the image: the one that was asked for, by id or by the name of a public parameter, or the newest Ubuntu 24.04. */
export async function imageOf(cloud: Cloud, region: string, image = UBUNTU): Promise<string> {
  if (!image.startsWith('/')) return image
  const { Parameter } = await read(cloud, SSMClient, region, new GetParameterCommand({ Name: image }))
  if (Parameter?.Value !== undefined) return Parameter.Value
  throw new UserError(`${region} names no image by ${image}`, '--image ami-…, with the id of an image of Ubuntu 24.04')
}

// What another place may not say.
const REFUSALS = [
  'InstanceLimitExceeded',
  'InsufficientAddressCapacity',
  'InsufficientCapacity',
  'InsufficientFreeAddressesInSubnet',
  'InsufficientHostCapacity',
  'InsufficientInstanceCapacity',
  'InvalidAMIID.NotFound', // an image belongs to a region
  'MaxSpotInstanceCountExceeded',
  'PendingVerification', // of a new account, region by region
  'SpotMaxPriceTooLow',
  'UnfulfillableCapacity',
  'Unsupported',
  'UnsupportedOperation',
  'VcpuLimitExceeded',
  'VolumeLimitExceeded',
]

/** Rents one. `refused` says, in AWS's words, why another place is to be tried; every other failure is thrown. */
export async function launch(
  cloud: Cloud,
  place: Place,
  what: Launch,
  patience: Patience = LAUNCH_PATIENCE,
): Promise<{ instance: Instance } | { refused: string }> {
  try {
    const request = await requestOf(cloud, place, what)
    const answer = await tried(patience, isWorthAskingAgain, () =>
      change(cloud, EC2Client, place.region, new RunInstancesCommand(request), {
        Instances: [standIn(place, what)],
      }),
    )
    const [described] = answer.Instances ?? []
    if (described === undefined) throw new UserError(`EC2 answered a launch in ${place.zone} without an instance`)
    const instance = instanceOf(described, place.region)
    return isOver(instance.state) ? { refused: reasonOf(described) } : { instance }
  } catch (error) {
    if (!REFUSALS.includes(codeOf(error))) throw error
    return { refused: `${codeOf(error)}: ${messageOf((error as Error).cause)}` }
  }
}

/** Asks EC2 whether the launch would be allowed, without a launch; in a dry run too. */
export async function mayLaunch(cloud: Cloud, place: Place, what: Launch): Promise<void> {
  try {
    const request = await requestOf(cloud, place, what)
    await read(cloud, EC2Client, place.region, new RunInstancesCommand({ ...request, DryRun: true }))
  } catch (error) {
    // An image that the first region does not have is a mistake; that another has none is a refusal.
    const passes = codeOf(error) !== 'InvalidAMIID.NotFound' && REFUSALS.includes(codeOf(error))
    if (codeOf(error) !== 'DryRunOperation' && !passes) throw error
  }
}

function isWorthAskingAgain(error: unknown): boolean {
  const code = codeOf(error)
  // No capacity is a failure of EC2's own to the SDK, but no capacity in a minute either.
  return code === 'InvalidGroup.NotFound' || (isPassing(error) && !REFUSALS.includes(code))
}

async function requestOf(cloud: Cloud, place: Place, what: Launch): Promise<RunInstancesCommandInput> {
  const { instanceType, market, region, subnet, isDefault, mostDollarsPerHour: most } = place
  const { image, group, moreGroups = [], instanceProfile } = what
  const groups = [...(group === undefined ? [] : [group]), ...moreGroups]
  const disk = await diskOf(cloud, region, image)
  const Tags = tagsOf(what)
  const tagged: TagSpecification['ResourceType'][] = ['instance', 'volume', 'network-interface']
  if (market === 'spot') tagged.push('spot-instances-request')
  return {
    ImageId: image,
    InstanceType: instanceType as RunInstancesCommandInput['InstanceType'],
    MinCount: 1,
    MaxCount: 1,
    ClientToken: tokenOf(place, what.clientToken),
    UserData: Buffer.from(what.userData).toString('base64'),
    ...(market === 'spot' && {
      InstanceMarketOptions: {
        MarketType: 'spot',
        SpotOptions: {
          SpotInstanceType: 'one-time',
          InstanceInterruptionBehavior: 'terminate',
          // What is paid is the spot price of the hour; above this it is taken away. EC2's own bound is the on-demand price.
          ...(most !== undefined && { MaxPrice: String(most) }),
        },
      },
    }),
    // What powers itself off is not to be kept and billed: this makes the timer on the instance an end.
    InstanceInitiatedShutdownBehavior: 'terminate',
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        SubnetId: subnet,
        DeleteOnTermination: true,
        ...(groups.length > 0 && { Groups: groups }),
        // A subnet that somebody made says itself whether its instances are to be seen from outside.
        ...(isDefault && { AssociatePublicIpAddress: true }),
      },
    ],
    // Whoever gets the program to ask for an address of his choice reads nothing there: version 2 wants a token, which does not
    // get further than the instance itself.
    MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    BlockDeviceMappings: [
      {
        DeviceName: disk.name,
        Ebs: {
          VolumeType: 'gp3',
          VolumeSize: Math.max(what.diskGigabytes, disk.gigabytes),
          Encrypted: true,
          DeleteOnTermination: true,
        },
      },
    ],
    ...(instanceProfile !== undefined && { IamInstanceProfile: { Name: instanceProfile } }),
    TagSpecifications: tagged.map(ResourceType => ({ ResourceType, Tags })),
  }
}

/** The disk that an image starts from: its name differs from maker to maker, and a smaller one than its own is refused. */
async function diskOf(cloud: Cloud, region: string, image: string): Promise<{ name: string; gigabytes: number }> {
  const { Images = [] } = await read(cloud, EC2Client, region, new DescribeImagesCommand({ ImageIds: [image] }))
  const { RootDeviceName = '/dev/sda1', BlockDeviceMappings = [] } = Images[0] ?? {}
  const root = BlockDeviceMappings.find(one => one.DeviceName === RootDeviceName)
  return { name: RootDeviceName, gigabytes: root?.Ebs?.VolumeSize ?? 0 }
}

/** A token belongs to one request: the next place needs another. EC2 takes 64 characters. */
function tokenOf({ region, zone, instanceType, market }: Place, clientToken: string): string {
  return createHash('sha256').update([clientToken, region, zone, instanceType, market].join('\n')).digest('hex')
}

/** What a dry run goes on with. */
function standIn({ zone, instanceType, market }: Place, what: Launch): Described {
  return {
    InstanceId: 'i-dryrun',
    InstanceType: instanceType as Described['InstanceType'],
    Placement: { AvailabilityZone: zone },
    State: { Name: 'pending' },
    ...(market === 'spot' && { InstanceLifecycle: 'spot' }),
    Tags: tagsOf(what),
  }
}

/** The instances of a quarter that cost money: pending or running, the oldest first. */
export async function findInstances(cloud: Cloud, regions: readonly string[], quarter: string): Promise<Instance[]> {
  return await findTagged(cloud, regions, [{ Name: 'tag:quarterdeck:quarter', Values: [quarter] }])
}

/** The same, of any quarter. */
export async function provisionedInstances(cloud: Cloud, regions: readonly string[]): Promise<Instance[]> {
  return await findTagged(cloud, regions, [])
}

async function findTagged(cloud: Cloud, regions: readonly string[], more: Filter[]): Promise<Instance[]> {
  const wanted = {
    Filters: [
      { Name: 'tag:quarterdeck', Values: ['provision'] },
      { Name: 'instance-state-name', Values: ['pending', 'running'] },
      ...more,
    ],
  }
  const { results, forbidden } = await inRegions(regions, async region => {
    return (await describe(cloud, region, wanted)).map(one => instanceOf(one, region))
  })
  for (const [region, error] of forbidden) warn(`${region} is not searched for instances: ${error.message}`)
  return [...results.values()].flat().sort((a, b) => a.launchedAt.getTime() - b.launchedAt.getTime())
}

/** Waits until it runs and has an address. `onWait` hears what it is waiting for. */
export async function waitUntilRunning(
  cloud: Cloud,
  instance: Instance,
  onWait?: (what: string) => void,
  patience: Patience = START_PATIENCE,
): Promise<Instance> {
  // Addresses of this range are for documents (RFC 5737).
  if (cloud.dryRun) return { ...instance, state: 'running', address: '192.0.2.1' }
  let last = instance.state
  for (let attempt = 0; attempt < patience.attempts; attempt++) {
    if (isLeaving()) throw stopped()
    try {
      const described = await look(cloud, instance)
      if (described !== undefined) {
        const now = instanceOf(described, instance.region)
        if (now.state === 'running' && now.address !== undefined) return now
        if (now.state !== 'pending' && now.state !== 'running')
          throw new EndedAtStart(
            `${instance.id} in ${instance.zone} was ${now.state} before it ran: ${reasonOf(described)}`,
          )
        last = now.state
      } else if (!isNew(instance)) throw new EndedAtStart(`${instance.id} in ${instance.zone} is gone before it ran`)
    } catch (error) {
      if (!isPassing(error)) throw error
      last = messageOf(error)
    }
    onWait?.(last)
    await pause(patience.milliseconds)
  }
  throw new EndedAtStart(
    `${instance.id} in ${instance.zone} does not start (${last} after ${Math.round((patience.attempts * patience.milliseconds) / 60_000)} min)`,
  )
}

// EC2's two names for an end that nobody asked for (its guide, "Spot Instance interruption notices"): the machine was taken, or
// switched off while being taken.
const TAKEN = ['Server.SpotInstanceTermination', 'Server.SpotInstanceShutdown']

/** What became of it; EC2 forgets an instance an hour after its end. */
export async function stateOf(
  cloud: Cloud,
  instance: Instance,
): Promise<{ state: string; why: string; taken: boolean }> {
  const described = await look(cloud, instance)
  if (described === undefined)
    return isNew(instance)
      ? { state: 'pending', why: '', taken: false }
      : { state: 'terminated', why: 'EC2 does not know it any more', taken: false }
  const { State, StateReason } = described
  return { state: State?.Name ?? '', why: reasonOf(described), taken: TAKEN.includes(StateReason?.Code ?? '') }
}

/**
 * Ends it, whatever it takes: also while this program leaves, again for minutes when AWS fails or the login has run out, and
 * until EC2 itself says that it ends. `onWait` hears why it is not over yet.
 */
export async function terminate(
  cloud: Cloud,
  instance: Instance,
  onWait?: (what: string) => void,
  patience: Patience = END_PATIENCE,
): Promise<void> {
  const { id, region } = instance
  const command = new TerminateInstancesCommand({ InstanceIds: [id] })
  let last: unknown = new Error('EC2 was told, and goes on running it')
  for (let attempt = 0; attempt < patience.attempts; attempt++) {
    try {
      await change(cloud, EC2Client, region, command, {})
      if (cloud.dryRun || (await isEnding(cloud, instance))) return
    } catch (error) {
      if (codeOf(error) === 'InvalidInstanceID.NotFound') {
        if (!isNew(instance)) return
      } else if (!isWorthTryingAgain(error)) throw notEnded(instance, error)
      last = error
    }
    onWait?.(wordsOf(last))
    await sleep(patience.milliseconds)
  }
  throw notEnded(instance, last)
}

async function isEnding(cloud: Cloud, instance: Instance): Promise<boolean> {
  const described = await look(cloud, instance)
  return described === undefined ? !isNew(instance) : isOver(described.State?.Name ?? '')
}

/** A login can be renewed meanwhile; a permission, or protection against this call, needs somebody else. */
function isWorthTryingAgain(error: unknown): boolean {
  return isPassing(error) || (error instanceof CloudError && error.trouble === 'login')
}

function notEnded({ id, region, ends }: Instance, error: unknown): UserError {
  const timer =
    ends === undefined ? '' : `; its own timer switches it off at ${ends.toISOString()}, if nothing stops that too`
  return new UserError(
    `${id} in ${region} could not be ended and still costs money: ${wordsOf(error)}${timer}`,
    `aws ec2 terminate-instances --region ${region} --instance-ids ${id}, or by hand: https://${region}.console.aws.amazon.com/ec2/home?region=${region}#InstanceDetails:instanceId=${id}`,
    { cause: error },
  )
}

/** One instance as EC2 has it, or undefined where EC2 has none of that id. */
async function look(cloud: Cloud, { id, region }: Instance): Promise<Described | undefined> {
  try {
    return (await describe(cloud, region, { InstanceIds: [id] }))[0]
  } catch (error) {
    if (codeOf(error) === 'InvalidInstanceID.NotFound') return undefined
    throw error
  }
}

async function describe(cloud: Cloud, region: string, wanted: DescribeInstancesCommandInput): Promise<Described[]> {
  const pages = await readAll(cloud, EC2Client, region, NextToken => {
    return new DescribeInstancesCommand({ ...wanted, ...(NextToken && { NextToken }) })
  })
  return pages.flatMap(page => (page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances))
}

function instanceOf(described: Described, region: string): Instance {
  const tags = new Map((described.Tags ?? []).map(({ Key, Value = '' }) => [Key, Value]))
  const ends = tags.get('quarterdeck:ends')
  return {
    id: described.InstanceId ?? '',
    region,
    zone: described.Placement?.AvailabilityZone ?? '',
    instanceType: described.InstanceType ?? '',
    market: described.InstanceLifecycle === 'spot' ? 'spot' : 'on-demand',
    state: described.State?.Name ?? '',
    address: described.PublicIpAddress || described.PrivateIpAddress || undefined,
    launchedAt: described.LaunchTime ?? new Date(),
    quarter: tags.get('quarterdeck:quarter') ?? '',
    ends: ends === undefined ? undefined : new Date(ends),
    key: tags.get('quarterdeck:key') ?? '',
  }
}

function reasonOf({ StateReason, StateTransitionReason }: Described): string {
  return StateReason?.Message || StateTransitionReason || 'AWS does not say why'
}

function isOver(state: string): boolean {
  return state === 'shutting-down' || state === 'terminated'
}

function isNew({ launchedAt }: Instance): boolean {
  return Date.now() - launchedAt.getTime() < NEW_MILLISECONDS
}

/** In AWS's own words where it is about what was asked: they say most. */
function wordsOf(error: unknown): string {
  return error instanceof CloudError && error.trouble === 'answer'
    ? `${error.code}: ${messageOf(error.cause)}`
    : messageOf(error)
}

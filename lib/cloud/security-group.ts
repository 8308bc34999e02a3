// Who may come in: one group of rules a network, without a rule when nothing is rented. A rule lets one address in, to one port,
// for as long as an instance runs; the group itself costs nothing and stays.

import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
} from '@aws-sdk/client-ec2'
import { UserError } from '../errors.ts'
import { type Cloud, change, codeOf, read, readAll } from './aws.ts'
import { type Patience, tried } from './patience.ts'

const NAME = 'quarterdeck-provision'
// A group made a moment ago may not be known everywhere yet.
const PATIENCE: Patience = { attempts: 10, milliseconds: 2000 }

/** Lets a range of addresses in, and returns the group for the launch. Without a range it is a group that lets nobody in. */
export async function openGate(
  cloud: Cloud,
  region: string,
  vpc: string,
  { cidr, port, quarter }: { cidr: string | undefined; port: number; quarter: string },
  patience: Patience = PATIENCE,
): Promise<string> {
  const group = (await groupOf(cloud, region, vpc)) ?? (await makeGroup(cloud, region, vpc, patience))
  if (cidr === undefined) return group
  const IpPermissions = [ruleOf(cidr, port, `quarterdeck ${quarter}`)]
  const command = new AuthorizeSecurityGroupIngressCommand({ GroupId: group, IpPermissions })
  await unless('InvalidPermission.Duplicate', () =>
    tried(
      patience,
      error => codeOf(error) === 'InvalidGroup.NotFound',
      () => change(cloud, EC2Client, region, command, {}),
    ),
  )
  return group
}

/** Takes the rule away again, and minds neither a rule nor a group that is gone. Fails while somebody still needs it. */
export async function closeGate(
  cloud: Cloud,
  region: string,
  group: string,
  { cidr, port }: { cidr: string; port: number },
): Promise<void> {
  // A rule is the same for all quarters: that of one that still runs would lock it out.
  const [user] = await instancesIn(cloud, region, group)
  if (user !== undefined)
    throw new UserError(`${user} still uses ${group} in ${region}`, 'the rule goes when its quarter is done')
  const command = new RevokeSecurityGroupIngressCommand({ GroupId: group, IpPermissions: [ruleOf(cidr, port)] })
  await unless('InvalidPermission.NotFound', () =>
    unless('InvalidGroup.NotFound', () => change(cloud, EC2Client, region, command, {})),
  )
}

/** Who is let in by groups of ours that no instance is behind, whoever let them in. */
export async function openGates(
  cloud: Cloud,
  region: string,
): Promise<{ group: string; cidr: string; port: number }[]> {
  const command = new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'tag:quarterdeck', Values: ['provision'] }] })
  const { SecurityGroups = [] } = await read(cloud, EC2Client, region, command)
  const unused: typeof SecurityGroups = []
  for (const one of SecurityGroups)
    if ((await instancesIn(cloud, region, one.GroupId ?? '')).length === 0) unused.push(one)
  return unused.flatMap(({ GroupId: group = '', IpPermissions = [] }) =>
    IpPermissions.flatMap(({ FromPort: port = 0, IpRanges = [] }) =>
      IpRanges.map(({ CidrIp: cidr = '' }) => ({ group, cidr, port })),
    ),
  )
}

async function groupOf(cloud: Cloud, region: string, vpc: string): Promise<string | undefined> {
  const command = new DescribeSecurityGroupsCommand({
    Filters: [
      { Name: 'vpc-id', Values: [vpc] },
      { Name: 'group-name', Values: [NAME] },
    ],
  })
  const { SecurityGroups = [] } = await read(cloud, EC2Client, region, command)
  return SecurityGroups[0]?.GroupId
}

async function makeGroup(cloud: Cloud, region: string, vpc: string, patience: Patience): Promise<string> {
  const command = new CreateSecurityGroupCommand({
    GroupName: NAME,
    Description: 'ssh to instances of quarterdeck, from the address that rented them',
    VpcId: vpc,
    TagSpecifications: [
      {
        ResourceType: 'security-group',
        Tags: [
          { Key: 'Name', Value: NAME },
          { Key: 'quarterdeck', Value: 'provision' },
        ],
      },
    ],
  })
  try {
    const { GroupId = '' } = await change(cloud, EC2Client, region, command, { GroupId: 'sg-dryrun' })
    return GroupId
  } catch (error) {
    if (codeOf(error) !== 'InvalidGroup.Duplicate') throw error
  }
  // Somebody was faster, a moment ago: it may take another until it is listed.
  return await tried(
    patience,
    error => error instanceof UserError,
    async () => {
      const group = await groupOf(cloud, region, vpc)
      if (group !== undefined) return group
      throw new UserError(
        `the group ${NAME} of ${vpc} in ${region} is there and is not listed`,
        'the same command again',
      )
    },
  )
}

function ruleOf(cidr: string, port: number, Description?: string): IpPermission {
  return {
    IpProtocol: 'tcp',
    FromPort: port,
    ToPort: port,
    IpRanges: [{ CidrIp: cidr, ...(Description && { Description }) }],
  }
}

/** Ids of the instances that a group stands before: only ours are ever put there. */
async function instancesIn(cloud: Cloud, region: string, group: string): Promise<string[]> {
  const Filters = [
    { Name: 'tag:quarterdeck', Values: ['provision'] },
    { Name: 'instance-state-name', Values: ['pending', 'running'] },
  ]
  const pages = await readAll(cloud, EC2Client, region, NextToken => {
    return new DescribeInstancesCommand({ Filters, ...(NextToken && { NextToken }) })
  })
  const instances = pages.flatMap(page => (page.Reservations ?? []).flatMap(one => one.Instances ?? []))
  return instances
    .filter(one => one.NetworkInterfaces?.some(card => card.Groups?.some(({ GroupId }) => GroupId === group)))
    .map(one => one.InstanceId ?? '')
}

async function unless(code: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (codeOf(error) !== code) throw error
  }
}

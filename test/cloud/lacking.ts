// What EC2, SSM and Service Quotas do and moto does not: quotas, the image of Ubuntu, prices that differ by zone, a launch that is
// asked for twice and happens once, who took an instance away. Answered instead of moto, or written into its answers.

import {
  CreateTagsCommand,
  DescribeImagesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  EC2Client,
  EC2ServiceException,
} from '@aws-sdk/client-ec2'
import { type Answer, at, json, type Request, refusal, xml } from './requests.ts'

/** Limits of vCPUs, by the codes that AWS has for them. */
export const QUOTAS = {
  'L-3819A6DF': 'All G and VT Spot Instance Requests',
  'L-DB2E81BA': 'Running On-Demand G and VT instances',
  'L-34B43A08': 'All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests',
  'L-1216C47A': 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances',
} as const
export type QuotaCode = keyof typeof QUOTAS

/** Why an instance ended, in EC2's words, where it was not TerminateInstances. */
export type Reason = { code: string; message: string; transition: string }
export const TAKEN: Reason = {
  code: 'Server.SpotInstanceTermination',
  message: 'Server.SpotInstanceTermination: Spot instance termination',
  transition: 'Service initiated',
}
export const POWERED_OFF: Reason = {
  code: 'Client.InstanceInitiatedShutdown',
  message: 'Client.InstanceInitiatedShutdown: Instance initiated shutdown',
  transition: '',
}

export type Lacking = {
  /** Straight to moto: what a test asks this way is not recorded, and fails by no fault. */
  moto(region: string): EC2Client
  /** By region and code; without a region, of all others. */
  quotas: Map<string, number>
  /** By type and zone; undefined: that zone has no price. */
  prices: Map<string, number | undefined>
  /** What came of a launch, by region and client token. */
  launches: Map<string, { asked: string; answer: Answer }>
  reasons: Map<string, Reason>
  /** Public addresses of the instances that are played. */
  addresses: Map<string, string>
  close(): void
}

export function nothingLacking(url: string): Lacking {
  const clients = new Map<string, EC2Client>()
  return {
    moto(region) {
      const credentials = { accessKeyId: 'a-test', secretAccessKey: 'itself' }
      const client = clients.get(region) ?? new EC2Client({ endpoint: url, region, credentials })
      clients.set(region, client)
      return client
    },
    quotas: new Map(),
    prices: new Map(),
    launches: new Map(),
    reasons: new Map(),
    addresses: new Map(),
    close() {
      for (const client of clients.values()) client.destroy()
    },
  }
}

/** Answers what moto cannot; undefined: it can. */
export async function insteadOfMoto(lacking: Lacking, request: Request): Promise<Answer | undefined> {
  const { service, action, input } = request
  if (service === 'servicequotas' && action === 'GetServiceQuota') return quotaAnswer(lacking, request)
  if (service === 'ssm' && action === 'GetParameter' && /^\/aws\/service\/canonical\/.*amd64/.test(`${input.Name}`)) {
    return await imageAnswer(lacking, request)
  }
  if (service !== 'ec2') return undefined
  if (action === 'RunInstances') return await launchRefusal(lacking, request)
  if (input.DryRun !== 'true') return undefined
  const message = 'Request would have succeeded, but DryRun flag is set.'
  return refusal(request, { code: 'DryRunOperation', status: 412, message })
}

/** What moto answered, with what it does not know written into it. */
export async function completed(lacking: Lacking, request: Request, answer: Answer): Promise<Answer> {
  const { service, action, input } = request
  if (service !== 'ec2') return answer
  if (action === 'RunInstances' && answer.status === 200) {
    await tagNetworkInterfaces(lacking, request, answer.body)
    const whole = { ...answer, body: withWhatIsKnown(lacking, answer.body) }
    lacking.launches.set(launchKey(request), { asked: JSON.stringify(input), answer: whole })
    return whole
  }
  // moto looks for the network interface of an instance that it has ended already; EC2 says again that it has ended.
  if (action === 'TerminateInstances' && answer.body.includes('InvalidNetworkInterfaceID.NotFound')) {
    const ended = (state: string) => `<${state}><code>48</code><name>terminated</name></${state}>`
    const items = idsOf(input).map(
      id => `<item><instanceId>${id}</instanceId>${ended('currentState')}${ended('previousState')}</item>`,
    )
    return xml(
      200,
      `<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><instancesSet>${items.join('')}</instancesSet></TerminateInstancesResponse>`,
    )
  }
  if (action === 'DescribeSpotPriceHistory' && answer.status === 200) return pricesIn(lacking, request, answer.body)
  return action === 'DescribeInstances' ? { ...answer, body: withWhatIsKnown(lacking, answer.body) } : answer
}

export function idsOf(input: Request['input']): string[] {
  return ((input.InstanceId as string[] | undefined) ?? []).filter(id => typeof id === 'string')
}

/** Ids of the instances in an answer. */
export function instancesIn(body: string): string[] {
  return parts(body).flatMap(part => /<instanceId>(i-\w+)</.exec(part)?.[1] ?? [])
}

// An instance begins with its architecture, as moto writes it.
function parts(body: string): string[] {
  return body.split(/(?=<item><architecture>)/)
}

function withWhatIsKnown(lacking: Lacking, body: string): string {
  return parts(body)
    .map(part => {
      const id = /<instanceId>(i-\w+)</.exec(part)?.[1]
      if (id === undefined) return part
      const address = lacking.addresses.get(id)
      const reason = lacking.reasons.get(id)
      let whole = part
      // moto knows the groups of the network interface only.
      const groups = /<groupSet><item>.*?<\/groupSet>/.exec(part)?.[0]
      if (groups !== undefined) whole = whole.replace('</rootDeviceType><groupSet/>', `</rootDeviceType>${groups}`)
      if (address !== undefined) {
        whole = whole.replaceAll(/<(ipAddress|publicIp)>[^<]*</g, `<$1>${address}<`)
        whole = whole.replaceAll(/<(dnsName|publicDnsName)>[^<]*</g, `<$1>${address}<`)
      }
      if (reason === undefined) return whole
      return whole
        .replace(
          /<stateReason>.*?<\/stateReason>/,
          `<stateReason><code>${reason.code}</code><message>${reason.message}</message></stateReason>`,
        )
        .replace(/<reason>[^<]*<\/reason>|<reason\/>/, `<reason>${reason.transition}</reason>`)
    })
    .join('')
}

// Launches.

function launchKey({ region, input }: Request): string {
  return `${region} ${input.ClientToken}`
}

/** A launch that was asked for before is answered as it was then; one with a group that is not there is refused. */
async function launchRefusal(lacking: Lacking, request: Request): Promise<Answer | undefined> {
  const { region, input } = request
  const before = input.ClientToken === undefined ? undefined : lacking.launches.get(launchKey(request))
  if (before !== undefined) {
    if (before.asked === JSON.stringify(input)) return before.answer
    const message = 'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).'
    return refusal(request, { code: 'IdempotentParameterMismatch', status: 400, message })
  }
  const groups = (at(input, 'NetworkInterface', 0, 'SecurityGroupId') ?? input.SecurityGroupId) as string[] | undefined
  if (groups === undefined) return undefined
  try {
    await lacking.moto(region).send(new DescribeSecurityGroupsCommand({ GroupIds: groups }))
    return undefined
  } catch (error) {
    if (!(error instanceof EC2ServiceException)) throw error
    return refusal(request, { code: error.name, status: 400, message: error.message })
  }
}

/** Zone in which a launch is to happen, as far as its subnet says. */
export async function zoneOf(lacking: Lacking, { region, input }: Request): Promise<string | undefined> {
  const zone = at(input, 'Placement', 'AvailabilityZone')
  const subnet = at(input, 'NetworkInterface', 0, 'SubnetId') ?? input.SubnetId
  if (typeof subnet !== 'string') return typeof zone === 'string' ? zone : undefined
  const wanted = { Filters: [{ Name: 'subnet-id', Values: [subnet] }] }
  const { Subnets = [] } = await lacking.moto(region).send(new DescribeSubnetsCommand(wanted))
  return Subnets[0]?.AvailabilityZone
}

async function tagNetworkInterfaces(lacking: Lacking, { region, input }: Request, body: string): Promise<void> {
  const specifications = (input.TagSpecification ?? []) as {
    ResourceType: string
    Tag: { Key: string; Value: string }[]
  }[]
  const Tags = specifications.find(one => one.ResourceType === 'network-interface')?.Tag
  const Resources = [...body.matchAll(/<networkInterfaceId>(eni-\w+)</g)].map(([, id]) => id)
  if (Tags === undefined || Resources.length === 0) return
  await lacking.moto(region).send(new CreateTagsCommand({ Resources, Tags }))
}

// Quotas, images, prices.

function quotaAnswer({ quotas }: Lacking, request: Request): Answer {
  const { region, input } = request
  const code = `${input.QuotaCode}`
  const name = QUOTAS[code as QuotaCode]
  if (input.ServiceCode !== 'ec2' || name === undefined) {
    const message = 'The request failed because the specified quota does not exist.'
    return refusal(request, { code: 'NoSuchResourceException', status: 400, message })
  }
  // By default there is room for a few: an account that was raised once.
  const Value = quotas.get(`${region} ${code}`) ?? quotas.get(code) ?? 32
  const what = { ServiceCode: 'ec2', ServiceName: 'Amazon Elastic Compute Cloud (Amazon EC2)', Unit: 'None' }
  return json(200, {
    Quota: { ...what, QuotaCode: code, QuotaName: name, Value, Adjustable: true, GlobalQuota: false },
  })
}

/** moto knows no Ubuntu of this decade: an older one of Canonical's stands in for it. */
async function imageAnswer(lacking: Lacking, { region, input }: Request): Promise<Answer> {
  const { Images = [] } = await lacking.moto(region).send(new DescribeImagesCommand({ Owners: ['099720109477'] }))
  const what = { Name: input.Name, Type: 'String', DataType: 'aws:ec2:image', Version: 1 }
  return json(200, {
    Parameter: { ...what, Value: Images[0]?.ImageId, ARN: `arn:aws:ssm:${region}::parameter${input.Name}` },
  })
}

const HOUR_MILLISECONDS = 3_600_000
// Cheapest is the second zone: who takes the first that is named, is found out.
const CENTS: Record<string, number> = { a: 3, b: 1, c: 2, d: 5, e: 4, f: 6 }

/** Dollars for an hour, where no test has said anything else: about what it was in 2025. */
export function usualSpotPrice(instanceType: string, zone: string): number {
  const base = instanceType.startsWith('g5.') ? 0.45 : 0.3
  return base + (CENTS[zone.slice(-1)] ?? 0) / 100
}

/**
 * For each zone that moto names, the changes of the price since a time and the one before it, as EC2 tells them: the newest
 * first, and an empty token where nothing follows. Before the last change a price was twice as high.
 */
function pricesIn({ prices }: Lacking, { input }: Request, body: string): Answer {
  const now = Date.now()
  const since = Date.parse(`${input.StartTime}`) || 0
  const named = [...body.matchAll(/<availabilityZone>([^<]+)<\/availabilityZone><instanceType>([^<]+)</g)]
  const changes = [
    { when: now - 0.5 * HOUR_MILLISECONDS, times: 1 },
    { when: now - 10 * HOUR_MILLISECONDS, times: 2 },
  ]
  const told = changes.filter((_, i) => i === 0 || changes[i - 1].when > since)
  const items = told.flatMap(({ when, times }) =>
    named.flatMap(([, zone, type]) => {
      const key = `${type} ${zone}`
      const price = prices.has(key) ? prices.get(key) : usualSpotPrice(type, zone)
      if (price === undefined) return []
      const fields = {
        availabilityZone: zone,
        instanceType: type,
        productDescription: 'Linux/UNIX',
        spotPrice: (price * times).toFixed(6),
        timestamp: new Date(when).toISOString(),
      }
      return `<item>${Object.entries(fields)
        .map(([name, value]) => `<${name}>${value}</${name}>`)
        .join('')}</item>`
    }),
  )
  return xml(
    200,
    `<DescribeSpotPriceHistoryResponse><spotPriceHistorySet>${items.join('')}</spotPriceHistorySet><nextToken/></DescribeSpotPriceHistoryResponse>`,
  )
}

// AWS as a test wants it: moto (moto.ts) with what it lacks (lacking.ts), and a proxy in front of it that writes down what was
// asked, refuses it, loses it, or loses its answer; and machines (machine.ts) that play the instances. Tests only set AWS_ENDPOINT_URL.

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  type EC2Client,
  paginateDescribeInstances,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import {
  completed,
  idsOf,
  instancesIn,
  insteadOfMoto,
  nothingLacking,
  POWERED_OFF,
  type QuotaCode,
  type Reason,
  TAKEN,
  zoneOf,
} from './lacking.ts'
import { type Machine, type MachineOptions, startMachine } from './machine.ts'
import { startMoto } from './moto.ts'
import { type Answer, expiredLogin, type Refusal, type Request, readRequest, refusal } from './requests.ts'

export type Asked = Request & {
  /** Of a launch: the zone of its subnet. */
  zone?: string
  /** Of the answer, whether it arrived or not; 0 where nobody was asked, or not yet. */
  status: number
}

/** Requests that something is done to: of this action, and of these only those that `when` is true of. */
export type Which = { action: string; when?: (asked: Asked) => boolean }

export type Listed = {
  id: string
  region: string
  state: string
  instanceType: string
  zone: string
  market: 'spot' | 'on-demand'
  tags: Record<string, string>
}

export type Rule = { group: string; from: number; to: number; cidr: string }

export type TestCloud = {
  url: string
  /** What a program needs to be a client of this AWS, and of no other. */
  env: Record<string, string>
  asked: Asked[]
  /** Refuses so many such requests, or all from now on. What was said last counts first. */
  fail(which: Which, refusal: Refusal, times?: number): void
  /** The connection breaks before moto has heard of it. */
  cut(which: Which, times?: number): void
  /** The connection breaks after moto has done it. */
  loseAnswer(which: Which, times?: number): void
  /** Nothing fails any more. */
  heal(): void
  /** From now on the login has run out, until `heal`. */
  expireLogin(): void
  /** Limit of vCPUs; without a region, in all others. */
  setQuota(code: QuotaCode, vcpus: number, region?: string): void
  /** Dollars for an hour from now on; undefined: no price is known there. */
  setSpotPrice(instanceType: string, zone: string, dollars: number | undefined): void
  /** AWS takes a spot instance: its metadata announce it, and when `notice` is over it is gone. */
  interrupt(instanceId: string, notice?: Promise<unknown>): Promise<void>
  /** The machine that plays an instance, as soon as it was launched. */
  machine(instanceId: string): Machine
  /** All that were launched, the oldest first. */
  machines(): Machine[]
  /** Of one region, or of all that were ever asked. Straight from moto, as the next two are. */
  instances(region?: string): Promise<Listed[]>
  /** Who may come in. */
  securityRules(region: string): Promise<Rule[]>
  /** Asked with it, moto is asked directly: nothing fails, nothing is recorded. */
  moto(region: string): EC2Client
  close(): Promise<void>
}

type Fault = { which: Which; kind: 'refuse' | 'cut' | 'lose'; refusal?: Refusal; left: number }

export type CloudOptions = {
  /** Instances are played by machines; what is said here holds for each of them. */
  machines?: boolean | MachineOptions
}

export async function startCloud({ machines: played = false }: CloudOptions = {}): Promise<TestCloud> {
  const moto = await startMoto()
  const lacking = nothingLacking(moto.url)
  const asked: Asked[] = []
  const machines = new Map<string, Machine>()
  let faults: Fault[] = []
  let isExpired = false

  const server = createServer(async (incoming, response) => {
    let body = ''
    for await (const chunk of incoming) body += chunk
    const request = readRequest(incoming.headers, body)
    if (request === undefined) return send(response, { status: 403, headers: {}, body: 'unsigned' })
    const entry: Asked = { ...request, status: 0 }
    if (request.action === 'RunInstances') entry.zone = await zoneOf(lacking, request)
    asked.push(entry)
    const fault = faultOf(entry)
    if (fault?.kind === 'cut') return response.destroy()
    const answer = await answerTo(request, incoming.headers, body, fault?.refusal)
    entry.status = answer.status
    if (fault?.kind === 'lose') return response.destroy()
    send(response, answer)
  })

  function faultOf(entry: Asked): Fault | undefined {
    const isMeant = ({ which: { action, when }, left }: Fault) =>
      left > 0 && action === entry.action && (when === undefined || when(entry))
    const fault = faults.findLast(isMeant)
    if (fault !== undefined) fault.left--
    return fault
  }

  async function answerTo(
    request: Request,
    headers: IncomingHttpHeaders,
    body: string,
    refused: Refusal | undefined,
  ): Promise<Answer> {
    if (isExpired) return refusal(request, expiredLogin(request))
    if (refused !== undefined) return refusal(request, refused)
    try {
      const instead = await insteadOfMoto(lacking, request)
      if (instead !== undefined) return instead
      const answer = await askMoto(moto.url, headers, body)
      if (answer.status === 200) await play(request, answer.body)
      return await completed(lacking, request, answer)
    } catch (error) {
      // What is wrong in a test is to be read in its failure; a client error, so that the SDK does not ask again.
      return refusal(request, { code: 'TestFailure', status: 400, message: `the AWS of the tests failed: ${error}` })
    }
  }

  /** A machine begins where an instance does, and ends with it. */
  async function play({ service, action, region, input }: Request, body: string): Promise<void> {
    if (service !== 'ec2' || played === false) return
    if (action === 'TerminateInstances') {
      await Promise.all(idsOf(input).map(id => machines.get(id)?.end()))
    }
    if (action !== 'RunInstances') return
    for (const id of instancesIn(body)) {
      const machine = await startMachine(`${input.UserData ?? ''}`, played === true ? {} : played)
      machines.set(id, machine)
      lacking.addresses.set(id, machine.address)
      // It may do so when the tests are over and moto is gone.
      machine.onPowerOff(() => gone(region, id, POWERED_OFF).catch(() => {}))
    }
  }

  /** An instance ends, and it was no TerminateInstances. */
  async function gone(region: string, id: string, reason: Reason): Promise<void> {
    const { Reservations = [] } = await lacking.moto(region).send(new DescribeInstancesCommand({ InstanceIds: [id] }))
    const state = Reservations[0]?.Instances?.[0]?.State?.Name
    if (state !== 'terminated' && state !== 'shutting-down') {
      lacking.reasons.set(id, reason)
      await lacking.moto(region).send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    }
    await machines.get(id)?.end()
  }

  async function instances(region: string): Promise<Listed[]> {
    const found: Listed[] = []
    for await (const page of paginateDescribeInstances({ client: lacking.moto(region) }, {})) {
      for (const one of (page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances)) {
        found.push({
          id: one.InstanceId ?? '',
          region,
          state: one.State?.Name ?? '',
          instanceType: one.InstanceType ?? '',
          zone: one.Placement?.AvailabilityZone ?? '',
          market: one.InstanceLifecycle === 'spot' ? 'spot' : 'on-demand',
          tags: Object.fromEntries((one.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
        })
      }
    }
    return found
  }
  const regionsAsked = () => [...new Set(asked.filter(one => one.service === 'ec2').map(one => one.region))]
  const allInstances = async () => (await Promise.all(regionsAsked().map(instances))).flat()

  const machine = (id: string): Machine => {
    const found = machines.get(id)
    if (found === undefined) throw new Error(`no machine plays ${id}`)
    return found
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    env: environment(url),
    asked,
    fail(which, answer, times = Number.POSITIVE_INFINITY) {
      faults.push({ which, kind: 'refuse', refusal: answer, left: times })
    },
    cut(which, times = Number.POSITIVE_INFINITY) {
      faults.push({ which, kind: 'cut', left: times })
    },
    loseAnswer(which, times = Number.POSITIVE_INFINITY) {
      faults.push({ which, kind: 'lose', left: times })
    },
    heal() {
      faults = []
      isExpired = false
    },
    expireLogin() {
      isExpired = true
    },
    setQuota(code, vcpus, region) {
      lacking.quotas.set(region === undefined ? code : `${region} ${code}`, vcpus)
    },
    setSpotPrice(instanceType, zone, dollars) {
      lacking.prices.set(`${instanceType} ${zone}`, dollars)
    },
    async interrupt(id, notice) {
      machines.get(id)?.announceTermination()
      const instance = (await allInstances()).find(one => one.id === id)
      if (instance === undefined) throw new Error(`there is no instance ${id}`)
      await notice
      await gone(instance.region, id, TAKEN)
    },
    machine,
    machines: () => [...machines.values()],
    instances: region => (region === undefined ? allInstances() : instances(region)),
    async securityRules(region) {
      const { SecurityGroups = [] } = await lacking.moto(region).send(new DescribeSecurityGroupsCommand({}))
      return SecurityGroups.flatMap(({ GroupName: group = '', IpPermissions = [] }) =>
        IpPermissions.flatMap(({ FromPort: from = -1, ToPort: to = -1, IpRanges = [], Ipv6Ranges = [] }) =>
          [...IpRanges.map(one => one.CidrIp ?? ''), ...Ipv6Ranges.map(one => one.CidrIpv6 ?? '')].map(cidr => ({
            group,
            from,
            to,
            cidr,
          })),
        ),
      )
    },
    moto: lacking.moto,
    async close() {
      server.close()
      server.closeAllConnections()
      await Promise.all([...machines.values()].map(one => one.end()))
      lacking.close()
      await moto.close()
    },
  }
}

/** Of a person who has logged in for some hours, and whose own keys, profiles and networks are out of reach. */
function environment(url: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: 'ASIATESTATESTATESTAT',
    AWS_SECRET_ACCESS_KEY: 'a-key-that-opens-nothing',
    AWS_SESSION_TOKEN: 'a-session-of-the-tests',
    AWS_REGION: 'us-east-1',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

const PASSED_ON = ['authorization', 'content-type', 'x-amz-target', 'x-amz-date', 'x-amz-security-token']

async function askMoto(url: string, incoming: IncomingHttpHeaders, body: string): Promise<Answer> {
  const headers = Object.fromEntries(PASSED_ON.flatMap(name => (name in incoming ? [[name, `${incoming[name]}`]] : [])))
  const response = await fetch(url, { method: 'POST', headers, body })
  const type = response.headers.get('content-type') ?? 'text/plain'
  return { status: response.status, headers: { 'content-type': type }, body: await response.text() }
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers).end(body)
}

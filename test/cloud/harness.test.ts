// The AWS and the machines of the tests do what they say, asked by AWS's own clients and by ssh: what other tests rest on.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSpotPriceHistoryCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type Instance,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds'
import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas'
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { watchForInterruption } from '../../lib/cloud/spot-notice.ts'
import { processesBelow } from '../processes.ts'
import { root } from '../run.ts'
import { startCloud, type TestCloud } from './faults.ts'
import { type Machine, readUserData, sshdIsHere, sshUser, startMachine } from './machine.ts'
import { motoIsHere } from './moto.ts'
import { NO_CAPACITY, THROTTLED } from './requests.ts'

const IMAGE_PARAMETER = '/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id'

type Clients = { ec2: EC2Client; rds: RDSClient; ssm: SSMClient; sts: STSClient; quotas: ServiceQuotasClient }

/** As a program has them that was given the environment of this cloud. */
function clientsOf({ url, env }: TestCloud, region = 'us-east-1'): Clients {
  const login = {
    accessKeyId: env.AWS_ACCESS_KEY_ID,
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
    sessionToken: env.AWS_SESSION_TOKEN,
  }
  const settings = { endpoint: url, region, credentials: login }
  return {
    ec2: new EC2Client(settings),
    rds: new RDSClient(settings),
    ssm: new SSMClient(settings),
    sts: new STSClient(settings),
    quotas: new ServiceQuotasClient(settings),
  }
}

/** Name and status of an error of AWS. */
async function refused(call: Promise<unknown>): Promise<unknown> {
  const error = await call.then(
    () => undefined,
    caught => caught,
  )
  return error && [error.name, error.$metadata?.httpStatusCode]
}

async function launchOf(ec2: EC2Client, ssm: SSMClient, userData = ''): Promise<RunInstancesCommandInput> {
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: IMAGE_PARAMETER }))
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}))
  return {
    ImageId: Parameter?.Value,
    InstanceType: 'g4dn.2xlarge',
    MinCount: 1,
    MaxCount: 1,
    ClientToken: crypto.randomUUID(),
    InstanceMarketOptions: { MarketType: 'spot' },
    NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: Subnets[1].SubnetId, DeleteOnTermination: true }],
    TagSpecifications: (['instance', 'network-interface'] as const).map(ResourceType => ({
      ResourceType,
      Tags: [{ Key: 'quarterdeck', Value: 'provision' }],
    })),
    UserData: Buffer.from(userData).toString('base64'),
  }
}

async function describeOne(ec2: EC2Client, id: string): Promise<Instance> {
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))
  const [instance] = Reservations.flatMap(({ Instances = [] }) => Instances)
  return instance
}

const idOf = ({ Instances = [] }: { Instances?: Instance[] }): string => Instances[0]?.InstanceId ?? ''

describe.skipIf(!motoIsHere)('the cloud of the tests', () => {
  let cloud: TestCloud
  let clients: Clients
  beforeAll(async () => {
    cloud = await startCloud()
    clients = clientsOf(cloud)
  })
  afterEach(() => cloud.heal())
  afterAll(() => cloud.close())

  it('writes down who asked for what and where, in all five services', async () => {
    const { ec2, rds, ssm, sts, quotas } = clientsOf(cloud, 'us-west-2')
    const since = cloud.asked.length
    await sts.send(new GetCallerIdentityCommand({}))
    await ssm.send(new GetParameterCommand({ Name: IMAGE_PARAMETER }))
    await quotas.send(new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: 'L-3819A6DF' }))
    await rds.send(new DescribeDBInstancesCommand({ MaxRecords: 20 }))
    await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: 'default-for-az', Values: ['true', 'false'] }] }))
    const common = { region: 'us-west-2', status: 200 }
    expect(cloud.asked.slice(since)).toEqual([
      { ...common, service: 'sts', action: 'GetCallerIdentity', input: {} },
      { ...common, service: 'ssm', action: 'GetParameter', input: { Name: IMAGE_PARAMETER } },
      {
        ...common,
        service: 'servicequotas',
        action: 'GetServiceQuota',
        input: { ServiceCode: 'ec2', QuotaCode: 'L-3819A6DF' },
      },
      { ...common, service: 'rds', action: 'DescribeDBInstances', input: { MaxRecords: '20' } },
      {
        ...common,
        service: 'ec2',
        action: 'DescribeSubnets',
        input: { Filter: [{ Name: 'default-for-az', Value: ['true', 'false'] }] },
      },
    ])
  })

  it('fails an action as often as it is told, in the words of the service, and only where it is meant', async () => {
    const { ec2, ssm } = clients
    const launch = await launchOf(ec2, ssm)
    cloud.fail({ action: 'RunInstances', when: ({ zone }) => zone === 'us-east-1b' }, NO_CAPACITY)
    expect(await refused(ec2.send(new RunInstancesCommand(launch)))).toEqual(['InsufficientInstanceCapacity', 500])
    // The SDK has asked again by itself, as it does in earnest.
    expect(cloud.asked.filter(({ action, status }) => action === 'RunInstances' && status === 500).length).toBe(3)
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}))
    const elsewhere = { ...launch, NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: Subnets[0].SubnetId }] }
    expect(idOf(await ec2.send(new RunInstancesCommand(elsewhere)))).toMatch(/^i-/)
    cloud.fail({ action: 'DescribeInstances' }, THROTTLED, 2)
    expect((await ec2.send(new DescribeInstancesCommand({}))).Reservations).toHaveLength(1)
    expect(cloud.asked.slice(-3).map(({ status }) => status)).toEqual([503, 503, 200])
  })

  it('says of a login that has run out what each service says of it', async () => {
    const { ec2, rds, ssm, sts, quotas } = clients
    cloud.expireLogin()
    expect(await refused(sts.send(new GetCallerIdentityCommand({})))).toEqual(['ExpiredToken', 403])
    expect(await refused(rds.send(new DescribeDBInstancesCommand({})))).toEqual(['ExpiredToken', 403])
    expect(await refused(ssm.send(new GetParameterCommand({ Name: IMAGE_PARAMETER })))).toEqual([
      'ExpiredTokenException',
      400,
    ])
    const wanted = new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: 'L-3819A6DF' })
    expect(await refused(quotas.send(wanted))).toEqual(['ExpiredTokenException', 400])
    expect(await refused(ec2.send(new DescribeInstancesCommand({})))).toEqual(['RequestExpired', 400])
    cloud.heal()
    expect((await sts.send(new GetCallerIdentityCommand({}))).Account).toBe('123456789012')
  })

  it('breaks the connection before moto has heard of a launch, or after it has been done', async () => {
    const { ec2, ssm } = clients
    const launch = await launchOf(ec2, ssm)
    const before = (await cloud.instances()).length
    cloud.cut({ action: 'RunInstances' })
    expect(await refused(ec2.send(new RunInstancesCommand(launch)))).toBeDefined()
    expect((await cloud.instances()).length).toBe(before)
    cloud.heal()
    cloud.loseAnswer({ action: 'RunInstances' })
    expect(await refused(ec2.send(new RunInstancesCommand(launch)))).toBeDefined()
    expect((await cloud.instances()).length).toBe(before + 1)
  })

  it('launches once what is asked for twice with the same token, and refuses another launch with it', async () => {
    const { ec2, ssm } = clients
    const launch = await launchOf(ec2, ssm)
    const before = (await cloud.instances()).length
    cloud.loseAnswer({ action: 'RunInstances' }, 1)
    const first = idOf(await ec2.send(new RunInstancesCommand(launch)))
    expect(idOf(await ec2.send(new RunInstancesCommand(launch)))).toBe(first)
    expect((await cloud.instances()).length).toBe(before + 1)
    const other = { ...launch, InstanceType: 'g5.xlarge' as const }
    expect(await refused(ec2.send(new RunInstancesCommand(other)))).toEqual(['IdempotentParameterMismatch', 400])
  })

  it('tags the network interface, and lists what runs with type, zone and market', async () => {
    const { ec2, ssm } = clients
    const id = idOf(await ec2.send(new RunInstancesCommand(await launchOf(ec2, ssm))))
    const { NetworkInterfaces = [] } = await ec2.send(
      new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [id] }] }),
    )
    expect(NetworkInterfaces.map(one => one.TagSet)).toEqual([[{ Key: 'quarterdeck', Value: 'provision' }]])
    expect((await cloud.instances('us-east-1')).find(one => one.id === id)).toMatchObject({
      ...{ region: 'us-east-1', zone: 'us-east-1b', instanceType: 'g4dn.2xlarge', market: 'spot' },
      tags: { quarterdeck: 'provision' },
    })
  })

  it('refuses a group that is not there and a dry run of anything, and changes nothing', async () => {
    const { ec2, ssm } = clients
    const launch = await launchOf(ec2, ssm)
    const before = [await cloud.instances(), await cloud.securityRules('us-east-1')]
    const [{ SubnetId }] = launch.NetworkInterfaces ?? []
    const NetworkInterfaces = [{ DeviceIndex: 0, SubnetId, Groups: ['sg-0123456789abcdef0'] }]
    const strange = new RunInstancesCommand({ ...launch, NetworkInterfaces })
    expect(await refused(ec2.send(strange))).toEqual(['InvalidGroup.NotFound', 400])
    const dry = { DryRun: true }
    expect(await refused(ec2.send(new RunInstancesCommand({ ...launch, ...dry })))).toEqual(['DryRunOperation', 412])
    const group = { ...dry, GroupName: 'a', Description: 'b' }
    expect(await refused(ec2.send(new CreateSecurityGroupCommand(group)))).toEqual(['DryRunOperation', 412])
    expect([await cloud.instances(), await cloud.securityRules('us-east-1')]).toEqual(before)
  })

  it('tells who may come in', async () => {
    const { ec2 } = clients
    const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'a-gate', Description: 'a gate' }))
    const ssh = { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '192.0.2.1/32' }] }
    await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [ssh] }))
    expect(await cloud.securityRules('us-east-1')).toContainEqual({
      ...{ group: 'a-gate', from: 22, to: 22, cidr: '192.0.2.1/32' },
    })
  })

  it('has quotas and spot prices that a test may set, for a region, a zone, or all of them', async () => {
    const quotaIn = async (region: string, QuotaCode: string) =>
      (await clientsOf(cloud, region).quotas.send(new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode }))).Quota
        ?.Value
    cloud.setQuota('L-DB2E81BA', 4)
    cloud.setQuota('L-DB2E81BA', 0, 'us-west-2')
    expect(await quotaIn('us-east-1', 'L-DB2E81BA')).toBe(4)
    expect(await quotaIn('us-west-2', 'L-DB2E81BA')).toBe(0)
    expect(await refused(quotaIn('us-east-1', 'L-00000000'))).toEqual(['NoSuchResourceException', 400])

    const pricesSince = async (StartTime: Date) =>
      (
        await clients.ec2.send(new DescribeSpotPriceHistoryCommand({ InstanceTypes: ['g5.xlarge'], StartTime }))
      ).SpotPriceHistory?.map(one => [one.AvailabilityZone, Number(one.SpotPrice)])
    cloud.setSpotPrice('g5.xlarge', 'us-east-1c', 0.125)
    cloud.setSpotPrice('g5.xlarge', 'us-east-1d', undefined)
    const current = await pricesSince(new Date())
    expect(current).toContainEqual(['us-east-1c', 0.125])
    expect(current?.map(([zone]) => zone)).not.toContain('us-east-1d')
    const history = await pricesSince(new Date(Date.now() - 86_400_000))
    expect(history?.slice(0, current?.length)).toEqual(current)
    expect(history?.slice(current?.length)).toContainEqual(['us-east-1c', 0.25])
  })

  it('says of an instance that was taken away that it was AWS, and lets it be terminated again', async () => {
    const { ec2, ssm } = clients
    const id = idOf(await ec2.send(new RunInstancesCommand(await launchOf(ec2, ssm))))
    await cloud.interrupt(id)
    expect(await describeOne(ec2, id)).toMatchObject({
      State: { Name: 'terminated' },
      StateReason: { Code: 'Server.SpotInstanceTermination' },
    })
    const { TerminatingInstances } = await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    expect(TerminatingInstances).toMatchObject([{ InstanceId: id, CurrentState: { Name: 'terminated' } }])
    const other = idOf(await ec2.send(new RunInstancesCommand(await launchOf(ec2, ssm))))
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [other] }))
    expect((await describeOne(ec2, other)).StateReason?.Code).toBe('Client.UserInitiatedShutdown')
  })
})

describe('what a machine is told', () => {
  const config = {
    ssh_authorized_keys: ['ssh-ed25519 AAAA me'],
    ssh_keys: { ed25519_private: 'a key', ed25519_public: 'ssh-ed25519 BBBB' },
    write_files: [
      { path: '/etc/ssh/sshd_config.d/port.conf', content: 'Port 2022\n' },
      {
        path: '/etc/systemd/system/end.timer',
        encoding: 'b64',
        content: Buffer.from('[Timer]\nOnCalendar=2024-09-30 08:22:00 UTC\n').toString('base64'),
      },
    ],
  }

  it('is its keys, its port and its end', () => {
    expect(readUserData(`#cloud-config\n${JSON.stringify(config)}`)).toEqual({
      authorizedKeys: ['ssh-ed25519 AAAA me'],
      hostKey: 'a key',
      port: 2022,
      ends: new Date('2024-09-30T08:22:00Z'),
    })
  })

  it.skipIf(!sshdIsHere)('is said when sshd would not take it', async () => {
    const userData = Buffer.from(`#cloud-config\n${JSON.stringify(config)}`).toString('base64')
    await expect(startMachine(userData)).rejects.toThrow(/sshd ended with 1:\n(.*\n)*.*no hostkeys available/)
  })

  it.each([
    ['no cloud-config', JSON.stringify(config), 'begin with #cloud-config'],
    ['nobody let in', `#cloud-config\n${JSON.stringify({ ...config, ssh_authorized_keys: [] })}`, 'let nobody in'],
    ['no host key', `#cloud-config\n${JSON.stringify({ ...config, ssh_keys: {} })}`, 'no host key'],
  ])('is refused with %s', (_, text, words) => {
    expect(() => readUserData(text)).toThrow(words)
  })
})

describe.skipIf(!motoIsHere || !sshdIsHere)('the machines of the tests', () => {
  let cloud: TestCloud
  let clients: Clients
  let keys: string
  let ended: string[]
  beforeAll(async () => {
    keys = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
    for (const name of ['key', 'host-key', 'other'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(keys, name)])
    cloud = await startCloud({ machines: true })
    clients = clientsOf(cloud)
  })
  afterAll(async () => {
    await cloud.close()
    rmSync(keys, { recursive: true, force: true })
  })
  beforeEach(() => {
    ended = []
  })

  const keyOf = (name: string) => readFileSync(join(keys, name), 'utf8')

  function configOf(ends: Date): object {
    const when = `${ends.toISOString().slice(0, 19).replace('T', ' ')} UTC`
    return {
      ssh_authorized_keys: [keyOf('key.pub').trim()],
      ssh_keys: { ed25519_private: keyOf('host-key'), ed25519_public: keyOf('host-key.pub') },
      write_files: [
        { path: '/etc/ssh/sshd_config.d/port.conf', content: 'Port 2022\n' },
        { path: '/etc/systemd/system/end.timer', content: `[Timer]\nOnCalendar=${when}\n` },
      ],
    }
  }

  async function launch(ends = new Date(Date.now() + 3_600_000)): Promise<{ id: string; machine: Machine }> {
    const userData = `#cloud-config\n${JSON.stringify(configOf(ends))}`
    const input = await launchOf(clients.ec2, clients.ssm, userData)
    const id = idOf(await clients.ec2.send(new RunInstancesCommand(input)))
    const machine = cloud.machine(id)
    machine.onPowerOff(() => ended.push(id))
    writeFileSync(join(keys, 'known-hosts'), `[${machine.address}]:2022 ${keyOf('host-key.pub')}`)
    return { id, machine }
  }

  function start({ address, port }: Pick<Machine, 'address' | 'port'>, command: string, key = 'key'): ChildProcess {
    const options = {
      UserKnownHostsFile: join(keys, 'known-hosts'),
      StrictHostKeyChecking: 'yes',
      BatchMode: 'yes',
      IdentitiesOnly: 'yes',
      // To a machine that says nothing; one that is there answers within milliseconds, also on a computer that is busy.
      ConnectTimeout: '2',
    }
    const words = ['-F', '/dev/null', '-i', join(keys, key), '-p', String(port)]
    const given = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    return spawn('ssh', [...words, ...given, `${sshUser}@${address}`, command], { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  async function ssh(
    machine: Pick<Machine, 'address' | 'port'>,
    command: string,
    key = 'key',
  ): Promise<{ code: number; said: string }> {
    const child = start(machine, command, key)
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', data => {
        said += data
      })
    const [code] = await once(child, 'close')
    return { code, said }
  }

  async function until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await sleep(20)
  }

  /** EC2 notices a little later than the machine itself. */
  async function untilEnded(id: string): Promise<void> {
    while ((await describeOne(clients.ec2, id)).State?.Name !== 'terminated') await sleep(20)
  }

  it('are where EC2 says, let in one key, and have a home and an environment of their own', async () => {
    const { id, machine } = await launch()
    expect((await describeOne(clients.ec2, id)).PublicIpAddress).toBe(machine.address)
    expect(await ssh(machine, 'pwd; echo "$HOME"; sudo -n id -u; node -p 6*7; env | grep -c ^AWS')).toEqual({
      code: 0,
      said: `${machine.home}\n${machine.home}\n${process.getuid?.()}\n42\n1\n`,
    })
    expect((await ssh(machine, 'exit 7')).code).toBe(7)
    expect(await ssh(machine, 'true', 'other')).toMatchObject({
      code: 255,
      said: expect.stringContaining('Permission denied'),
    })
    writeFileSync(join(keys, 'known-hosts'), `[${machine.address}]:2022 ${keyOf('other.pub')}`)
    expect(await ssh(machine, 'true')).toMatchObject({
      code: 255,
      said: expect.stringContaining('HOST IDENTIFICATION'),
    })
    await clients.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  })

  it('end with everything in them, detached or not, when they are terminated', async () => {
    const { id, machine } = await launch()
    const session = start(machine, 'sleep 1001')
    const sessionEnd = once(session, 'close')
    await ssh(machine, 'setsid nohup sh -c "sleep 1002; sleep 1003" > log 2>&1 < /dev/null &')
    const commands = () => machine.processes().map(({ command }) => command)
    await until(() => ['sleep 1001 ', 'sleep 1002 '].every(command => commands().includes(command)))
    await clients.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
    expect(await sessionEnd).toEqual([255, null])
    expect(commands()).toEqual([])
    expect(existsSync(machine.home)).toBe(false)
    expect(machine.hasEnded()).toBe(true)
    expect((await ssh(machine, 'true')).code).toBe(255)
    expect(ended).toEqual([])
  })

  it.each(['sudo shutdown -h now', 'sudo -n systemctl poweroff'])('end when they are told to: %s', async command => {
    const { id, machine } = await launch()
    await ssh(machine, command)
    await until(() => ended.length > 0)
    await untilEnded(id)
    expect((await describeOne(clients.ec2, id)).StateReason?.Code).toBe('Client.InstanceInitiatedShutdown')
    await machine.end() // which it does anyway, and is waited for
    expect(existsSync(machine.home)).toBe(false)
  })

  it('end by themselves when their time is over', async () => {
    const { id } = await launch(new Date(Date.now() + 1000))
    await until(() => ended.includes(id))
    await untilEnded(id)
  })

  it('are told by their metadata that they will be taken, go on until then, and are gone', async () => {
    const { id, machine } = await launch()
    let isOver = (): void => {}
    const notice = new Promise<void>(resolve => {
      isOver = resolve
    })
    const { said: metadataUrl } = await ssh(machine, 'echo "$AWS_EC2_METADATA_SERVICE_ENDPOINT"')
    const heard = new Promise(resolve => watchForInterruption(metadataUrl.trim(), resolve, 10))
    const taken = cloud.interrupt(id, notice)
    expect(await heard).toContain('taken away (terminate at')
    expect((await ssh(machine, 'true')).code).toBe(0)
    expect((await describeOne(clients.ec2, id)).State?.Name).toBe('running')
    isOver()
    await taken
    expect(machine.hasEnded()).toBe(true)
    expect((await describeOne(clients.ec2, id)).StateReason?.Code).toBe('Server.SpotInstanceTermination')
  })

  it('cannot be reached where the network says so, and can again', async () => {
    const { id, machine } = await launch()
    machine.front.refuse(1)
    expect((await ssh(machine, 'true')).code).toBe(255)
    expect((await ssh(machine, 'true')).code).toBe(0)
    const session = start(machine, 'echo here; sleep 1004')
    await once(session.stdout ?? session, 'data')
    const dropped = once(session, 'close')
    machine.front.drop()
    expect(await dropped).toEqual([255, null])
    machine.front.fallSilent()
    expect((await ssh(machine, 'true')).code).toBe(255)
    machine.front.speakAgain()
    expect((await ssh(machine, 'true')).code).toBe(0)
    await clients.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  })

  it('leave nothing behind, nor does the cloud, when the tests are killed', async () => {
    const userData = `#cloud-config\n${JSON.stringify(configOf(new Date(Date.now() + 3_600_000)))}`
    const script = `
      import { startMachine } from './test/cloud/machine.ts'
      import { startMoto } from './test/cloud/moto.ts'
      import { spawn } from 'node:child_process'
      Promise.all([startMoto(), startMachine(process.env.USER_DATA)]).then(([{ url }, { home, address, port }]) => {
        console.log(JSON.stringify({ url, home, address, port }))
      })`
    const tests = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: root,
      env: { ...process.env, USER_DATA: Buffer.from(userData).toString('base64') },
    })
    const [line] = await once(tests.stdout, 'data')
    const { url, home, address, port } = JSON.parse(line)
    writeFileSync(join(keys, 'known-hosts'), `[${address}]:2022 ${keyOf('host-key.pub')}`)
    await ssh({ address, port }, 'setsid sleep 1005 > log 2>&1 < /dev/null &')
    const below = processesBelow(tests.pid ?? 0).map(({ pid }) => pid)
    expect(existsSync(home)).toBe(true)
    tests.kill('SIGKILL')
    await until(() => !existsSync(home))
    const commands = processesBelow(0).map(({ command }) => command)
    expect(commands.filter(command => command.startsWith('sleep 1005'))).toEqual([])
    const isThere = (pid: number) => processesBelow(0).some(one => one.pid === pid)
    await until(() => !below.some(isThere))
    await expect(fetch(url)).rejects.toThrow()
  })
})

// The one door to AWS: every call of every service goes through here, is told to whoever listens, is only told where it
// would change something in a dry run, and fails in words that say what to type. What is asked for is the callers' part
// (ec2.ts, security-group.ts, choices.ts, rds.ts); they load the SDK, so commands import them when they are needed.

import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { messageOf, UserError } from '../errors.ts'
import { keepLibrariesQuiet } from '../settings.ts'

/** One call, as it is shown: `service` and `name` are those of a policy, ec2:RunInstances. */
export type Call = { service: string; name: string; region: string; input: object }

export type Cloud = {
  readonly dryRun: boolean
  readonly onCall: ((call: Call) => void) | undefined
  /** By service and region, made when first used; forgotten when the login has run out, so that a new one is read. */
  readonly clients: Map<string, Client>
}

// What all clients and commands of the SDK have in common, as far as it is used here: the types of its own for this live
// in packages that are not ours to depend on.
type Client = {
  readonly config: { readonly serviceId: string; readonly systemClockOffset?: number }
  destroy(): void
}
type ClientOf = new (settings: {
  region?: string
  ignoreCache?: boolean
  requestHandler?: { connectionTimeout: number; requestTimeout: number; throwOnRequestTimeout: boolean }
}) => Client
type Command<Output extends object> = {
  readonly input: object
  resolveMiddleware(stack: never, configuration: never, options: never): (given: never) => Promise<{ output: Output }>
}

/**
 * Why a call failed: `login` and `permission` fail again until a person does something, `busy` and `network` pass by
 * themselves, `answer` is about what was asked.
 */
export type Trouble = 'login' | 'permission' | 'busy' | 'network' | 'answer'

/** A call that failed, in words; `code` is AWS's own name of the error. */
export class CloudError extends UserError {
  readonly code: string
  readonly trouble: Trouble
  constructor(message: string, hint: string, code: string, trouble: Trouble, cause: unknown) {
    super(message, hint, { cause })
    this.name = 'CloudError'
    this.code = code
    this.trouble = trouble
  }
}

// The SDK waits for ever by default. A connection across the world is there within a second; the longest answers (all
// types of a region) take some ten.
const CONNECTION_MILLISECONDS = 10_000
const ANSWER_MILLISECONDS = 60_000

// Before the first client is made.
keepLibrariesQuiet()

export function openCloud({ dryRun, onCall }: { dryRun: boolean; onCall?: (call: Call) => void }): Cloud {
  return { dryRun, onCall, clients: new Map() }
}

/** A call that changes nothing: made in a dry run too. */
export async function read<Output extends object>(
  cloud: Cloud,
  service: ClientOf,
  region: string,
  command: Command<Output>,
): Promise<Output> {
  return await ask(cloud, service, region, command)
}

/** All pages of a list: EC2 may split any, and may begin with an empty one. */
export async function readAll<Page extends { NextToken?: string | undefined }>(
  cloud: Cloud,
  service: ClientOf,
  region: string,
  commandFor: (NextToken: string | undefined) => Command<Page>,
): Promise<Page[]> {
  const pages: Page[] = []
  let next: string | undefined
  do {
    const page = await read(cloud, service, region, commandFor(next))
    pages.push(page)
    next = page.NextToken
  } while (next) // the last page has none, or an empty one
  return pages
}

/**
 * The same in several regions at once. Firms often forbid all regions but their own: such a one is told apart, and is an error
 * only where none is left.
 */
export async function inRegions<Result>(
  regions: readonly string[],
  work: (region: string) => Promise<Result>,
): Promise<{ results: Map<string, Result>; forbidden: Map<string, CloudError> }> {
  const results = new Map<string, Result>()
  const forbidden = new Map<string, CloudError>()
  await Promise.all(
    [...new Set(regions)].map(async region => {
      try {
        results.set(region, await work(region))
      } catch (error) {
        if (!(error instanceof CloudError) || error.trouble !== 'permission') throw error
        forbidden.set(region, error)
      }
    }),
  )
  const [first] = forbidden.values()
  if (first !== undefined && results.size === 0) throw first
  return { results, forbidden }
}

/** A call that changes something: in a dry run it is only told, and `standIn` is the answer. */
export async function change<Output extends object>(
  cloud: Cloud,
  service: ClientOf,
  region: string,
  command: Command<Output>,
  standIn: Omit<Output, '$metadata'>,
): Promise<Omit<Output, '$metadata'>> {
  return await ask(cloud, service, region, command, standIn)
}

async function ask<Output extends object>(
  cloud: Cloud,
  service: ClientOf,
  region: string,
  command: Command<Output>,
  standIn?: Omit<Output, '$metadata'>,
): Promise<Output> {
  const client = clientOf(cloud, service, region)
  const call = callOf(client, command, region)
  cloud.onCall?.(call)
  if (cloud.dryRun && standIn !== undefined) return standIn as Output
  try {
    return await (client as unknown as { send(command: unknown): Promise<Output> }).send(command)
  } catch (error) {
    const failure = explained(error, call)
    // The login is kept by the client: a new one, made in another window, is only seen by a new client.
    if (failure instanceof CloudError && failure.trouble === 'login') cloud.clients.clear()
    throw failure
  }
}

function clientOf(cloud: Cloud, service: ClientOf, region: string): Client {
  const key = `${service.name} ${region}`
  const there = cloud.clients.get(key)
  if (there !== undefined) return there
  const client = new service({
    region,
    // Handed on to the reader of ~/.aws, which otherwise reads it once a process, and never sees new keys.
    ignoreCache: true,
    requestHandler: {
      connectionTimeout: CONNECTION_MILLISECONDS,
      requestTimeout: ANSWER_MILLISECONDS,
      throwOnRequestTimeout: true,
    },
  })
  cloud.clients.set(key, client)
  return client
}

/** Milliseconds of AWS's clock: a wrong one here is found out by the SDK, and must not decide when an instance ends. */
export function timeOf({ clients }: Cloud): number {
  const offsets = [...clients.values()].map(client => client.config.systemClockOffset ?? 0)
  return Date.now() + (offsets.find(offset => offset !== 0) ?? 0)
}

function callOf(client: Client, command: { input: object }, region: string): Call {
  return {
    service: client.config.serviceId.toLowerCase().replaceAll(' ', ''),
    name: command.constructor.name.replace(/Command$/, ''),
    region,
    input: presentable(command.input),
  }
}

/** User data holds a private key, and passwords are passwords: who listens writes down what it hears. */
function presentable(input: object): object {
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) =>
      /^UserData$|Password$/.test(name) && typeof value === 'string'
        ? [name, `(${value.length} characters)`]
        : [name, value],
    ),
  )
}

/** The region of the login: AWS_REGION, or that of the profile. */
export async function homeRegion(): Promise<string> {
  try {
    return await new STSClient({}).config.region()
  } catch (error) {
    throw new UserError(
      `no home region of AWS is set (${messageOf(error)})`,
      'export AWS_REGION=us-east-1, or aws configure set region us-east-1',
      { cause: error },
    )
  }
}

export async function whoAmI(cloud: Cloud, region: string): Promise<{ account: string; arn: string }> {
  const { Account = '', Arn = '' } = await read(cloud, STSClient, region, new GetCallerIdentityCommand({}))
  return { account: Account, arn: Arn }
}

/** True where the same call may succeed a minute later without anybody doing anything. */
export function isPassing(error: unknown): boolean {
  return error instanceof CloudError && (error.trouble === 'busy' || error.trouble === 'network')
}

/** AWS's own name of what went wrong: InvalidInstanceID.NotFound, DBInstanceNotFound; empty where it was not AWS. */
export function codeOf(error: unknown): string {
  return error instanceof CloudError ? error.code : ''
}

// Names that EC2, RDS, SSM, STS and Service Quotas give to the same few troubles: each has its own list of common errors,
// docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html and .../APIReference/CommonErrors.html of the others.
const EXPIRED = ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']
const UNKNOWN_LOGIN = [
  'AuthFailure',
  'IncompleteSignature',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]
const FORBIDDEN = ['AccessDenied', 'AccessDeniedException', 'NotAuthorized', 'UnauthorizedOperation']
// Whoever rents a first spot instance makes a role for EC2's own use by it, once an account.
const NO_SPOT_ROLE = 'AuthFailure.ServiceLinkedRoleCreationNotPermitted'
const NO_ACCOUNT = ['Blocked', 'OptInRequired', 'PendingVerification', 'SubscriptionRequiredException']
const CLOCK = ['RequestExpired', 'RequestInTheFuture', 'RequestTimeTooSkewed']
const THROTTLED = [
  'EC2ThrottledException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
]
const NETWORK = [
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'TimeoutError',
]
const NEW_LOGIN = 'aws sso login, or new keys with aws configure; then the same command again'

/** An error of the SDK in words a person can act on, or the error itself where it is none of AWS's: a bug. */
export function explained(error: unknown, call: Omit<Call, 'input'>): unknown {
  if (!(error instanceof Error)) return error
  const { $metadata, code: systemCode } = error as { $metadata?: { httpStatusCode?: number }; code?: string }
  const status = $metadata?.httpStatusCode ?? 0
  const code = error.name
  const action = `${call.service}:${call.name}`
  const where = `${action} in ${call.region}`
  const as = (trouble: Trouble, message: string, hint: string) => new CloudError(message, hint, code, trouble, error)

  if (code === 'CredentialsProviderError' || code === 'TokenProviderError')
    return /expired|sso login/i.test(error.message)
      ? as('login', `the login at AWS has expired (${error.message})`, NEW_LOGIN)
      : as(
          'login',
          `no login for AWS was found (${error.message})`,
          'aws configure sso, or aws configure for a pair of keys',
        )
  if (EXPIRED.includes(code)) return as('login', `the login at AWS has expired: ${where} was refused`, NEW_LOGIN)
  // EC2 has one name for a session that ran out and for a request that carries a wrong time.
  if (CLOCK.includes(code) || (UNKNOWN_LOGIN.includes(code) && /expired|not yet current/i.test(error.message)))
    return as(
      'login',
      `AWS takes ${where} for expired: the login has run out, or this machine's clock is wrong (it says ${new Date().toISOString()})`,
      `date -u, and set the clock if it is wrong; else ${NEW_LOGIN}`,
    )
  if (UNKNOWN_LOGIN.includes(code))
    return as(
      'login',
      `AWS does not know this login: ${where} was refused (${code}); a region that the account has not switched on says the same`,
      'aws sts get-caller-identity shows whether the keys are right; aws configure sets new ones',
    )
  if (code === NO_SPOT_ROLE)
    return as(
      'permission',
      'this account has never rented a spot instance, and this login may not make the role that EC2 needs for it',
      'aws iam create-service-linked-role --aws-service-name spot.amazonaws.com, once, by an administrator',
    )
  if (FORBIDDEN.includes(code))
    return as(
      'permission',
      `this login may not call ${where}${subjectOf(error.message)}`,
      `let an administrator add ${action} to its policy: docs/operations.md has all of it`,
    )
  if (NO_ACCOUNT.includes(code))
    return as(
      'permission',
      `the account cannot use ${where} yet: ${error.message}`,
      'https://console.aws.amazon.com/billing',
    )
  if (THROTTLED.includes(code) || status === 429)
    return as(
      'busy',
      `AWS is throttling ${where}: too many calls from this account`,
      'wait a minute, then the same command again',
    )
  const reason = NETWORK.find(name => name === systemCode || name === code)
  if (reason !== undefined)
    return as(
      'network',
      `AWS cannot be reached for ${where} (${reason})`,
      `curl -sI https://${call.service}.${call.region}.amazonaws.com shows whether there is a way; then the same command again`,
    )
  if (status >= 500)
    return as(
      'busy',
      `AWS failed at ${where} (${code}: ${error.message})`,
      'https://health.aws.amazon.com, then the same command again',
    )
  if ($metadata !== undefined) return as('answer', `AWS refused ${where} (${code}): ${error.message}`, '')
  return error
}

/** Whom and what a refusal names; the rest is an encoded copy of the request, of a thousand letters. */
function subjectOf(message: string): string {
  const [sentence = ''] = message.split(/\s*Encoded authorization failure message/)
  return sentence === '' ? '' : `: ${sentence}`
}

// The two protocols that the AWS SDK speaks with what is used here: a form whose fields are a path each (EC2, RDS, STS), and
// JSON with the action in a header (SSM, Service Quotas). Both ways: what was asked, and a refusal in the words of the service.

import type { IncomingHttpHeaders } from 'node:http'

export type Request = {
  /** As AWS signs it: ec2, rds, sts, ssm, servicequotas. */
  service: string
  action: string
  region: string
  /** By AWS's names; a list is an array: { InstanceType, NetworkInterface: [{ SubnetId, SecurityGroupId: [] }] }. */
  input: Record<string, unknown>
}

export type Answer = { status: number; headers: Record<string, string>; body: string }

export type Refusal = { code: string; status: number; message?: string }

// What the services answer where an instance or a database is not to be had, in their own codes and statuses. That of no
// capacity is a server's error, so the SDK asks again before it gives up.
export const NO_CAPACITY: Refusal = {
  code: 'InsufficientInstanceCapacity',
  status: 500,
  message: 'We currently do not have sufficient capacity in the Availability Zone you requested.',
}
export const NO_SPOT_CAPACITY: Refusal = {
  code: 'InsufficientInstanceCapacity',
  status: 500,
  message: 'There is no Spot capacity available that matches your request.',
}
export const OVER_VCPU_LIMIT: Refusal = {
  code: 'VcpuLimitExceeded',
  status: 400,
  message: 'You have requested more vCPU capacity than your current vCPU limit of 0 allows.',
}
export const OVER_SPOT_LIMIT: Refusal = {
  code: 'MaxSpotInstanceCountExceeded',
  status: 400,
  message: 'Max spot instance count exceeded',
}
export const THROTTLED: Refusal = { code: 'RequestLimitExceeded', status: 503, message: 'Request limit exceeded.' }
export const NOT_ALLOWED: Refusal = {
  code: 'UnauthorizedOperation',
  status: 403,
  message: 'You are not authorized to perform this operation.',
}
export const PROTECTED: Refusal = {
  code: 'OperationNotPermitted',
  status: 400,
  message: "The instance may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
}

/** undefined: it is signed by nobody, so no client of AWS has sent it. */
export function readRequest(headers: IncomingHttpHeaders, body: string): Request | undefined {
  const scope = /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\/aws4_request/.exec(headers.authorization ?? '')
  if (scope === null) return undefined
  const [, region, service] = scope
  const target = headers['x-amz-target']
  if (typeof target === 'string') {
    return { service, region, action: target.slice(target.indexOf('.') + 1), input: JSON.parse(body || '{}') }
  }
  const { Action: action, Version: _, ...input } = nested(new URLSearchParams(body))
  return { service, region, action: String(action), input }
}

/** The form as a tree: a field is a path, and numbers in it count from 1. */
function nested(form: URLSearchParams): Record<string, unknown> {
  const tree: Record<string, unknown> = {}
  for (const [path, value] of form) {
    const names = path.split('.')
    let place: Record<string, unknown> = tree
    for (const [i, name] of names.entries()) {
      const key = /^\d+$/.test(name) ? String(Number(name) - 1) : name
      if (i === names.length - 1) place[key] = value
      else {
        place[key] ??= /^\d+$/.test(names[i + 1]) ? [] : {}
        place = place[key] as Record<string, unknown>
      }
    }
  }
  return tree
}

/** Field of a tree by its names, where it is there: at(input, 'NetworkInterface', 0, 'SubnetId'). */
export function at(tree: unknown, ...names: (string | number)[]): unknown {
  let place = tree
  for (const name of names) place = (place as Record<string | number, unknown> | undefined)?.[name]
  return place
}

export function refusal({ service }: Pick<Request, 'service'>, { code, status, message = code }: Refusal): Answer {
  const words = asXml(message)
  if (service === 'ec2') {
    return xml(
      status,
      `<Response><Errors><Error><Code>${code}</Code><Message>${words}</Message></Error></Errors><RequestID>a-request</RequestID></Response>`,
    )
  }
  if (service === 'rds' || service === 'sts') {
    return xml(
      status,
      `<ErrorResponse><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${code}</Code><Message>${words}</Message></Error><RequestId>a-request</RequestId></ErrorResponse>`,
    )
  }
  return json(status, { __type: code, message })
}

/** What each service says of a login whose time is over. EC2 has no other word for it than for a clock that is wrong. */
export function expiredLogin({ service }: Pick<Request, 'service'>): Refusal {
  if (service === 'ec2') return { code: 'RequestExpired', status: 400, message: 'Request has expired.' }
  const message = 'The security token included in the request is expired'
  return service === 'rds' || service === 'sts'
    ? { code: 'ExpiredToken', status: 403, message }
    : { code: 'ExpiredTokenException', status: 400, message }
}

export function xml(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body }
}

export function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: JSON.stringify(body) }
}

function asXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

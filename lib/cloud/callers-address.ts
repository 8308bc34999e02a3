// The address under which this machine is seen by the cloud: the only one that the rented instance lets in. A machine behind a
// router does not know it, so AWS's own page is asked, which answers with nothing else.

import { isIPv4 } from 'node:net'
import { messageOf, UserError } from '../errors.ts'

const PAGE = 'https://checkip.amazonaws.com'
const PATIENCE_MILLISECONDS = 10_000

/** As a range of one address: 198.51.100.7/32. */
export async function callersAddress(page: string = PAGE): Promise<string> {
  const hint = 'say it yourself: --from 198.51.100.7/32, with the address that the network administrator knows'
  let answer: string
  try {
    answer = (await (await fetch(page, { signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) })).text()).trim()
  } catch (error) {
    const reason = error instanceof Error && error.cause !== undefined ? error.cause : error
    throw new UserError(`${page} does not say which address this machine has (${messageOf(reason)})`, hint, {
      cause: error,
    })
  }
  if (isIPv4(answer)) return `${answer}/32`
  throw new UserError(`${page} says ${JSON.stringify(answer.slice(0, 60))}, which is no IPv4 address`, hint)
}

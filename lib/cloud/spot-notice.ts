// Asks EC2's instance metadata service (IMDSv2) whether this spot instance is to be taken away: AWS says so two minutes before.
// Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html, which advises to ask every five
// seconds. What happens then is the caller's business.

import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import { warn } from '../log.ts'

const ASK_MILLISECONDS = 5000
// It answers out of the machine itself, within milliseconds.
const PATIENCE_MILLISECONDS = 2000
// Version 2 of the service wants a token; six hours is the longest life it gives one.
const TOKEN_SECONDS = 21_600

export type Watch = { stop(): void }

/**
 * Calls `onNotice` once, with what was announced, when the instance is to be stopped, hibernated or terminated, unless the
 * watch is stopped before. That nobody answers is said once; a service that comes back is heard.
 */
export function watchForInterruption(
  url: string,
  onNotice: (what: string) => void,
  everyMilliseconds = ASK_MILLISECONDS,
): Watch {
  const stopping = new AbortController()
  void watch(url, onNotice, everyMilliseconds, stopping.signal)
  return { stop: () => stopping.abort() }
}

async function watch(
  url: string,
  onNotice: (what: string) => void,
  everyMilliseconds: number,
  over: AbortSignal,
): Promise<void> {
  let token: string | undefined
  let said = false
  const ask = (path: string, options: RequestInit) =>
    fetch(url + path, { ...options, signal: AbortSignal.any([over, AbortSignal.timeout(PATIENCE_MILLISECONDS)]) })
  while (!over.aborted) {
    try {
      token ??= await tokenOf(
        await ask('/latest/api/token', {
          method: 'PUT',
          headers: { 'X-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_SECONDS) },
        }),
      )
      const answer = await ask('/latest/meta-data/spot/instance-action', {
        headers: { 'X-aws-ec2-metadata-token': token },
      })
      if (answer.status === 200) return onNotice(noticeOf(await answer.text()))
      if (answer.status === 401)
        token = undefined // it has run out
      else if (answer.status !== 404) throw new Error(`it answers ${answer.status}`)
    } catch (error) {
      if (!said && !over.aborted)
        warn(
          `the instance metadata service at ${url} cannot be asked (${reasonOf(error)}): a spot interruption would come as a surprise`,
        )
      said = true
      token = undefined
    }
    await sleep(everyMilliseconds, undefined, { ref: false, signal: over }).catch(() => {})
  }
}

async function tokenOf(answer: Response): Promise<string> {
  if (answer.status !== 200) throw new Error(`it gives no token: ${answer.status}`)
  return await answer.text()
}

/** `{"action": "terminate", "time": "2017-09-18T08:22:00Z"}`, and whatever else it may say one day. */
function noticeOf(text: string): string {
  try {
    const { action, time } = JSON.parse(text)
    return `this spot instance is taken away (${action} at ${time})`
  } catch {
    return 'this spot instance is taken away'
  }
}

/** fetch says "fetch failed" and hides why. */
function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error)
}

// Where tests find the material that is too large to ship: ../shared beside the checkout.
// Absent, such a test skips and says so; in CI it fails, so that nothing is skipped there unnoticed.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const shared = fileURLToPath(new URL('../../shared', import.meta.url))

/** Path of a file or folder in ../shared, or undefined when it is not there: `it.skipIf(folder === undefined)`. */
export function sharedFolder(...parts: string[]): string | undefined {
  const path = join(shared, ...parts)
  if (existsSync(path)) return path
  if (process.env.CI) throw new Error(`${path} is absent, and CI must not skip the tests that need it`)
  return undefined
}

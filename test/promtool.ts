// Prometheus' own word on what is written for it, by its promtool (Debian's package `prometheus`).
// Absent, such a test skips and says so; in CI it fails, so that nothing is skipped there unnoticed.

import { spawnSync } from 'node:child_process'

export const hasPromtool = spawnSync('promtool', ['--version']).error === undefined
if (!hasPromtool && process.env.CI) throw new Error('no promtool: apt-get install --no-install-recommends prometheus')

/** All that it says, on both streams, and its exit code: 0 and nothing is good. */
export function promtool(words: readonly string[], input = ''): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', words, { input, encoding: 'utf8' })
  return { code: status, said: `${stdout}${stderr}` }
}

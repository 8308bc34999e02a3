// Runs steps side by side as `make quarter` does: a process with a command line and an environment of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { type Options, type Outcome, root } from './run.ts'

export type SideBySide = { child: ChildProcess; said: { stdout: string; stderr: string }; ended: Promise<Outcome> }

/** Starts command lines of quarterdeck, in pipeline order. */
export function sideBySide(
  commandLines: readonly (readonly string[])[],
  { home, env = {} }: Pick<Options, 'home' | 'env'>,
): SideBySide {
  const words = commandLines.flatMap((words, i) => (i === 0 ? words : ['--', ...words]))
  const child = spawn(process.execPath, ['--import', 'tsx', 'bin/side-by-side.ts', ...words], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: tmpdir(), QUARTERDECK_HOME: home, ...env },
  })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', data => {
      said[name] += data
    })
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, ...said }))
  })
  return { child, said, ended }
}

/** The three steps that `make quarter` runs side by side. */
export function stepsSideBySide(quarter: string): string[][] {
  return [
    ['embed', '--quarter', quarter],
    ['cluster-firm', '--quarter', quarter, '--follow'],
    ['name-topics', '--quarter', quarter, '--follow'],
  ]
}

// The Python programs that read docs/many-machines (npm run test:setup): linters, schemas, and AWS with a stand-in for it.
// Absent, their tests skip and say so; in CI they fail, so that nothing is skipped there unnoticed.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run.ts'

const programs = join(root, '.venv/bin')

export const hasPythonPrograms = ['hadolint', 'shellcheck', 'kubernetes-validate', 'moto_server', 'aws'].every(name =>
  existsSync(join(programs, name)),
)
if (!hasPythonPrograms && process.env.CI) throw new Error('no linters of manifests: npm run test:setup')

export type Ended = { code: number | null; stdout: string; stderr: string }

/** Runs one of them, or `python` with a script of this folder, and the others are on its path. */
export async function program(name: string, words: readonly string[]): Promise<Ended> {
  const PATH = `${programs}:${process.env.PATH}`
  return await ended(spawn(join(programs, name), words, { cwd: root, env: { ...process.env, PATH } }))
}

/** What a process said and how it ended. */
export async function ended(child: ReturnType<typeof spawn>): Promise<Ended> {
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream]?.on('data', data => {
      said[stream] += data
    })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { code, ...said }
}

// The readers that files are taken home to: pandas, pyarrow and DuckDB, in the Python that `npm run test:setup`
// prepares. Absent, their tests skip; in CI they fail.

import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../run.ts'

const python = join(root, '.venv/bin/python')

function isThere(): boolean {
  const libraries = join(root, '.venv/lib')
  const found = (existsSync(libraries) ? readdirSync(libraries) : []).some(version =>
    ['pandas', 'pyarrow', 'duckdb'].every(name => existsSync(join(libraries, version, 'site-packages', name))),
  )
  if (!found && process.env.CI) throw new Error('no pandas for the tests: npm run test:setup')
  return found
}

export const hasPython = isThere()

/** What a script prints; fails with what it says when it fails. Warnings are failures too: a reader that doubts is heard. */
export async function runPython(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python, ['-W', 'error', ...words], { maxBuffer: 2 ** 26 })
  return stdout
}

export type ReadBack = {
  columns: string[]
  labels: Record<string, string>
  title: string
  /** Each reader's cells: row by row, null where it sees a missing value. */
  cells: Record<string, (string | number | boolean | null)[][]>
}

/** Files as every program sees them that reads their format. One Python for all: it starts for longer than it reads. */
export async function readBack(...files: string[]): Promise<ReadBack[]> {
  return JSON.parse(await runPython(join(root, 'test/tables/read_back.py'), ...files))
}

// Runs the program as a person does: a process with a command line, an environment of its own, and an exit code.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Queries } from '../lib/db/connect.ts'
import { stopDatabase } from '../lib/db/embedded/start.ts'
import { STAGES } from '../lib/db/work.ts'

export const root = fileURLToPath(new URL('../', import.meta.url))
const door = join(root, 'bin/quarterdeck.mjs')

export type Outcome = { code: number | null; stdout: string; stderr: string }
export type Options = {
  home: string
  env?: Record<string, string>
  cwd?: string
  stdin?: string | Buffer
  /** Hears of the process as it begins. */
  onStart?: (pid: number) => void
}

/** The environment of a newcomer: a path to find node in, and what the test sets. */
function environment({ home, env = {} }: Options): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: tmpdir(), QUARTERDECK_HOME: home, QUARTERDECK_THREADS: '2', ...env }
}

export function start(words: readonly string[], options: Options): ChildProcess {
  return spawn(process.execPath, [door, ...words], { cwd: options.cwd ?? tmpdir(), env: environment(options) })
}

/** A command that runs: what it has said so far, and its exit code when it is over. */
export type Running = {
  child: ChildProcess
  said: { stdout: string; stderr: string }
  ended: Promise<number | null>
}

export function running(words: readonly string[], options: Options): Running {
  const child = start(words, options)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.on('data', data => {
      said[name] += data
    })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { child, said, ended }
}

export function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

export async function quarterdeck(words: readonly string[], options: Options): Promise<Outcome> {
  const { child, said, ended } = running(words, options)
  if (child.pid !== undefined) options.onStart?.(child.pid)
  child.stdin?.on('error', () => {}) // a command that refuses at once does not read its input
  child.stdin?.end(options.stdin ?? '')
  const code = await ended
  return { code, ...said }
}

/** As `quarterdeck`, for a command that has to succeed: its standard output. */
export async function succeed(words: readonly string[], options: Options): Promise<string> {
  const { code, stdout, stderr } = await quarterdeck(words, options)
  if (code !== 0) throw new Error(`quarterdeck ${words.join(' ')} ended with ${code}:\n${stderr}`)
  return stdout
}

/** A folder for a database that is stopped and deleted by `remove`. */
export function scratchHome(): { home: string; remove(): Promise<void> } {
  const home = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
  return {
    home,
    async remove() {
      await stopDatabase(home)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

export const STEPS = STAGES

export function sample(quarter: string): string {
  return join(root, 'data/samples', quarter)
}

/** The words of a step as a person types them; `ingest` reads the sample of the quarter. */
export function stepWords(verb: string, quarter: string, ...more: string[]): string[] {
  return [verb, ...(verb === 'ingest' ? [sample(quarter)] : []), '--quarter', quarter, ...more]
}

// Everything that a step computes; `work` and `runs` tell when and by whom, and differ from run to run.
const DATA_TABLES = [
  'firms',
  'calls',
  'sentences',
  'common_words',
  'sentence_vectors',
  'topics',
  'subtopics',
  'topic_sentences',
  'topic_names',
  'topic_vectors',
  'themes',
  'subthemes',
  'theme_topics',
  'sentence_novelty',
  'topic_novelty',
  'theme_lineage',
  'theme_links',
]

/** A fingerprint of every data table, row by row: two databases with equal fingerprints hold the same rows. */
export async function fingerprints(sql: Queries, where = 'true'): Promise<Record<string, string>> {
  const prints: Record<string, string> = {}
  for (const table of DATA_TABLES) {
    const [{ print }] = await sql.unsafe<{ print: string }[]>(`
      select count(*) || ' rows, ' || coalesce(md5(string_agg(md5(row_text), '' order by row_text)), '') as print
      from (select ${table}::text as row_text from ${table} where ${where}) as rows`)
    prints[table] = print
  }
  return prints
}

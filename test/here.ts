// Runs a command in the process of the test, by the words that a person types: without the half second that a process takes to
// begin. For what only leads to a test, or looks at what came of it. Exit codes, stderr, standard input and kills are run.ts's.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Command } from '../lib/command.ts'
import { readSettings } from '../lib/settings.ts'
import { type Options, root } from './run.ts'

type Where = Pick<Options, 'home' | 'env'>

/** What a command did: what it printed, and what it threw. */
export type Tried = { printed: string; error: unknown }

/** What the command prints; throws what it throws. */
export async function here(words: readonly string[], where: Where): Promise<string> {
  const { printed, error } = await tried(words, where)
  if (error !== undefined) throw error
  return printed
}

export async function tried([verb, ...rest]: readonly string[], { home, env = {} }: Where): Promise<Tried> {
  const file = join(root, 'commands', `${verb === 'index' ? 'build-index' : verb}.ts`)
  const { command }: { command: Command } = await import(pathToFileURL(file).href)
  let printed = ''
  const print = (text: string) => {
    printed += text.endsWith('\n') ? text : `${text}\n`
  }
  try {
    const settings = readSettings({ QUARTERDECK_HOME: home, QUARTERDECK_THREADS: '2', ...env }) // as run.ts has it
    await command.run({ ...read(command, rest), settings, columns: undefined, print })
    return { printed, error: undefined }
  } catch (error) {
    return { printed, error }
  }
}

/** Words and flags of a command line without a mistake: those are refused by the door, which is not gone through here. */
function read(command: Command, typed: readonly string[]) {
  const words: string[] = []
  const flags: Record<string, string | boolean> = {}
  for (let i = 0; i < typed.length; i++) {
    const [, name, value] = /^--([a-z-]+)(?:=([\s\S]*))?$/.exec(typed[i]) ?? []
    if (name === undefined) {
      words.push(typed[i])
      continue
    }
    const flag = command.flags.find(one => one.name === name)
    if (flag === undefined) throw new Error(`${command.verb} has no --${name}`)
    flags[name] = flag.value === undefined || (value ?? typed[++i])
  }
  return { words, flags }
}

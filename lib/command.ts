// What a command is: data that the help page and docs/commands.md are made from, and one function to run.
// The door (bin/quarterdeck.ts) is the only one who calls `run`; tests and scripts import the function behind it.

import type { Settings } from './settings.ts'

export type Flag = {
  /** Long name without the dashes: `min-cluster-size`. */
  name: string
  /** What stands behind the flag in the help, such as `TICKER`; a flag without one is a switch. */
  value?: string
  summary: string
  /** Shown in the help; the command itself applies it. */
  default?: string
}

/** Flags as typed: text for those with a value, true for switches. Numbers are read by the command, never guessed. */
export type FlagValues = Readonly<Record<string, string | boolean | undefined>>

export type Invocation = {
  words: readonly string[]
  flags: FlagValues
  settings: Settings
  /** The terminal's width in columns, or undefined where stdout is a file or a pipe. */
  columns: number | undefined
  /** Writes results to stdout. */
  print(text: string): void
}

export type Command = {
  verb: string
  summary: string
  /** Two or three sentences: what it reads, what it writes, when it does nothing. */
  about: string
  /** `PATH...` or `TEXT`; empty where the command takes none. */
  words?: string
  flags: readonly Flag[]
  examples: readonly string[]
  run(invocation: Invocation): Promise<void>
}

// From what was typed behind a flag to a checked value; refused with what was found and what was wanted.

import type { Flag, FlagValues } from './command.ts'
import { messageOf, UsageError } from './errors.ts'
import { parseQuarter } from './text/quarters.ts'

export const QUARTER: Flag = { name: 'quarter', value: 'QUARTER', summary: 'The quarter, such as 2024Q3' }
export const FIRM: Flag = { name: 'firm', value: 'FIRM', summary: 'Only this firm: its ticker, id or name' }
export const FORCE: Flag = { name: 'force', summary: 'Do again what is done' }
export const FOLLOW: Flag = {
  name: 'follow',
  summary: 'Run beside the step before: take what it has done, wait for more, and end when it has nothing left',
}
export const JSON_OUTPUT: Flag = { name: 'json', summary: 'Print the result as JSON' }

/** The quarter that --quarter names; every step of the pipeline needs one. */
export function quarterFlag(flags: FlagValues): string {
  const quarter = optionalQuarterFlag(flags)
  if (quarter !== undefined) return quarter
  throw new UsageError('which quarter? --quarter is missing', '--quarter 2024Q3')
}

export function optionalQuarterFlag(flags: FlagValues): string | undefined {
  if (flags.quarter === '')
    throw new UsageError('which quarter? --quarter is empty', 'make quarter Q=2024Q3, or --quarter 2024Q3')
  const text = textFlag(flags, 'quarter')
  if (text === undefined) return undefined
  try {
    return parseQuarter(text)
  } catch (error) {
    throw new UsageError(`--quarter: ${messageOf(error)}`, '--quarter 2024Q3')
  }
}

export function textFlag(flags: FlagValues, name: string): string | undefined {
  const value = flags[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' && value !== '') return value
  throw new UsageError(`--${name} needs a value`, `--${name} VALUE`)
}

export function switchFlag(flags: FlagValues, name: string): boolean {
  return flags[name] === true
}

/** A whole number from `least` to `most`, or `standard` when the flag was not given. */
export function wholeNumberFlag(
  flags: FlagValues,
  name: string,
  standard: number,
  least: number,
  most: number,
): number {
  return numberFlag(flags, name, standard, least, most, true)
}

/** Any number from `least` to `most`, or `standard` when the flag was not given. */
export function numberFlag(
  flags: FlagValues,
  name: string,
  standard: number,
  least: number,
  most: number,
  whole = false,
): number {
  const text = textFlag(flags, name)
  if (text === undefined) return standard
  const value = Number(text)
  if (Number.isFinite(value) && value >= least && value <= most && (!whole || Number.isInteger(value))) return value
  throw new UsageError(
    `--${name} is ${JSON.stringify(text)}; it must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}`,
    `--${name} ${standard}`,
  )
}

/** One of the given words, or the first of them when the flag was not given. */
export function choiceFlag<Choice extends string>(flags: FlagValues, name: string, choices: readonly Choice[]): Choice {
  const text = textFlag(flags, name)
  if (text === undefined) return choices[0]
  const found = choices.find(choice => choice === text)
  if (found !== undefined) return found
  throw new UsageError(
    `--${name} is ${JSON.stringify(text)}; it must be one of ${choices.join(', ')}`,
    `--${name} ${choices[0]}`,
  )
}

/** The two ways to cluster; UMAP and HDBSCAN first, since papers cite it. */
export const METHODS = ['umap-hdbscan', 'communities'] as const
export type MethodName = (typeof METHODS)[number]

/** The method that was asked for. */
export function optionalMethodFlag(flags: FlagValues): MethodName | undefined {
  return textFlag(flags, 'method') === undefined ? undefined : choiceFlag(flags, 'method', METHODS)
}

/**
 * The method that was asked for, else the one by which it was done before, else the first. `settings`: the flags that only one of
 * them has; refused with the other.
 */
export function methodFlag(
  flags: FlagValues,
  before: MethodName | undefined,
  settings: Partial<Record<MethodName, readonly string[]>>,
): MethodName {
  const method = optionalMethodFlag(flags) ?? before ?? METHODS[0]
  for (const other of METHODS) {
    const foreign = other === method ? undefined : settings[other]?.find(name => flags[name] !== undefined)
    if (foreign !== undefined)
      throw new UsageError(
        `--${foreign} is a setting of --method ${other}, and the method is ${method}`,
        `--method ${other} --${foreign} ${String(flags[foreign])}`,
      )
  }
  return method
}

// What has to outlive the program that rents an instance: how long and for how much instances have run, so that the limits hold for
// all instances and reruns of a quarter together, and which gates it opened. One small file beside the keys of the quarter.
// Which instances there are is asked of the cloud, which knows it better; what was rented is noted for when they are gone.

import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'

export type Gate = { region: string; group: string; cidr: string; port: number }

/** A launch that was asked for, and what it costs from then on; its end may never be heard of. */
export type Rented = {
  region: string
  at: string
  ends: string
  dollarsPerHour: number
  /** How it is reached: not every rerun has to say so again. */
  sshPort: number
  sshUser: string
  sessionManager: boolean
}

export type Notes = {
  /** Of the instance that is there, or may be; absent when the last one was given back. */
  rented?: Rented
  /** Hours that instances which are gone have run, and what they have cost by the prices of their launch. */
  hours: number
  dollars: number
  /** Rules that let this machine in. */
  gates: Gate[]
}

export async function readNotes(folder: string): Promise<Notes> {
  const file = fileOf(folder)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    return { hours: 0, dollars: 0, gates: [] }
  }
  try {
    return JSON.parse(text) as Notes
  } catch (error) {
    throw new UserError(`${file} cannot be read: it is no JSON`, `rm ${file}, and the same command again`, {
      cause: error,
    })
  }
}

/** Beside its place first, so that a kill leaves the old or the new, and never half. */
export async function writeNotes(folder: string, notes: Notes): Promise<void> {
  const file = fileOf(folder)
  await writeFile(`${file}.part`, `${JSON.stringify(notes)}\n`, { mode: 0o600 })
  await rename(`${file}.part`, file)
}

function fileOf(folder: string): string {
  return join(folder, 'notes.json')
}

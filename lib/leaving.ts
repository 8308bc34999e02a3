// Leaving in order when a process is told to: SIGTERM, Ctrl-C, a spot interruption. Nothing new is begun, what is in hand is
// finished, and what cannot be finished in time is given back. Who tells the process, and how long it waits, is the door's
// (bin/quarterdeck.ts); what there is to finish or to give back is said by those who have it (lib/db/work.ts, runs.ts).

import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from './errors.ts'

/** The process was told to leave with work left: exit code 75, run the command again. */
export class Stopped extends UserError {
  override readonly name = 'Stopped'
}

const told = new AbortController()
const goodbyes = new Set<() => Promise<unknown>>()
let finishing = 0

/** Tells everybody in this process to leave, and why: "told to stop by SIGTERM". The first reason counts. */
export function leave(why: string): void {
  told.abort(why)
}

/** Aborted when the process is told to leave: for what can be broken off, such as a wait or a program that was started. */
export const leaving: AbortSignal = told.signal

/** From now on: begin nothing new. */
export function isLeaving(): boolean {
  return told.signal.aborted
}

/** Called where work ends early because the process leaves, so that nobody takes it for complete. */
export function stopIfLeaving(): void {
  if (isLeaving()) throw stopped()
}

export function stopped(): Stopped {
  return new Stopped(String(told.signal.reason), 'run the same command again; what was saved stays')
}

/** Waits so many milliseconds, or until the process is told to leave. */
export async function pause(milliseconds: number): Promise<void> {
  await sleep(milliseconds, undefined, { signal: told.signal }).catch(() => {})
}

/** Runs work that begins nothing new once `isLeaving()` and so ends soon by itself: it is worth waiting for. */
export async function finishedBeforeLeaving<Result>(work: () => Promise<Result>): Promise<Result> {
  finishing++
  try {
    return await work()
  } finally {
    finishing--
  }
}

/** False: nothing that was begun ends soon by itself, so that waiting for it would be in vain. */
export function isFinishing(): boolean {
  return finishing > 0
}

/** What is to be done before the process leaves in the middle: leases given back, the run marked as stopped. */
export function beforeLeaving(goodbye: () => Promise<unknown>): { forget(): void } {
  goodbyes.add(goodbye)
  return { forget: () => void goodbyes.delete(goodbye) }
}

/** False: the process may end at once, and leaves nothing behind that others would have to wait for. */
export function hasSomethingInHand(): boolean {
  return goodbyes.size > 0
}

/** Says all goodbyes. One that fails leaves what a kill would have left, and the others are said all the same. */
export async function sayGoodbyes(): Promise<void> {
  await Promise.allSettled([...goodbyes].map(goodbye => goodbye()))
}

// What provision is about to do, where and for how much, shown to a person before anything is rented; and the limits of hours and
// dollars that hold for all instances of a quarter together.

import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { $ } from 'zx'
import type { Place } from '../lib/cloud/ec2.ts'
import type { Notes } from '../lib/cloud/notes.ts'
import { SENTENCES_A_FIRM } from '../lib/cloud/plan.ts'
import { UsageError, UserError } from '../lib/errors.ts'
import { leaving, stopIfLeaving } from '../lib/leaving.ts'
import { duration, say } from '../lib/log.ts'
import type { Settings } from '../lib/settings.ts'
import { renderTable } from '../lib/text/table.ts'
import type { Wish } from './provision-wish.ts'

const DOOR = fileURLToPath(new URL('quarterdeck.mjs', import.meta.url))
// In less than this an instance is set up and does nothing yet.
const LEAST_HOURS = 1 / 6

type Limits = { wish: Pick<Wish, 'maxHours' | 'maxDollars'>; notes: Pick<Notes, 'hours' | 'dollars'> }

/** Hours that an instance of a place may run, at the highest price that it can come to. */
export function hoursLeft({ wish, notes }: Limits, { mostDollarsPerHour: rate }: Place): number {
  const byDollars = rate === undefined ? Infinity : (wish.maxDollars - notes.dollars) / rate
  return Math.min(wish.maxHours - notes.hours, byDollars)
}

/** The places that the limits leave time for; where there are none, why. */
export function affordable(limits: Limits, places: readonly Place[]): Place[] {
  const found = places.filter(place => hoursLeft(limits, place) >= LEAST_HOURS)
  if (found.length > 0 || places.length === 0) return found
  const { wish, notes } = limits
  const most = Math.max(...places.map(place => hoursLeft(limits, place)))
  const spent = `${duration(notes.hours * 3600)} and ${dollarsAndCents(notes.dollars)} are spent`
  throw new UserError(
    `${duration(Math.max(0, most) * 3600)} are left of ${wish.maxHours} h and ${dollarsAndCents(wish.maxDollars)} (${spent}); ${duration(LEAST_HOURS * 3600)} are needed at least`,
    'the same command with more: --max-hours, --max-dollars',
  )
}

/** Facts and places as a person reads them. */
export function sayOffer(facts: Record<string, string>, limits: Limits, places: readonly Place[]): void {
  for (const [what, value] of Object.entries(facts)) say(`  ${what.padEnd(11)}  ${value}`)
  const rows = choicesIn(places).map((zones, i) => {
    const [first] = zones
    const hours = hoursLeft(limits, first)
    const most = first.mostDollarsPerHour
    return [
      String(i + 1),
      first.instanceType,
      first.market,
      zones.map(({ zone, region }, at) => (at === 0 ? zone : zone.replace(region, ''))).join(', '),
      priceOf(first),
      duration(hours * 3600),
      most === undefined ? 'unknown' : dollarsAndCents(most * hours),
    ]
  })
  const right = { align: 'right' } as const
  const columns = ['order', 'instance', 'market', 'where', 'an hour', 'at most', 'for'].map((title, i) => ({
    title,
    ...(i > 3 && right),
  }))
  say(`\n${renderTable(columns, rows, undefined)}\n`)
}

/** Asks a person; without one, --yes has to have said it. */
export async function isWanted(): Promise<boolean> {
  if (process.stdin.isTTY !== true)
    throw new UsageError('nobody is here to be asked whether to rent it', 'the same command with --yes')
  stopIfLeaving()
  say('Rent the first of these that can be had? [y/N]')
  const lines = createInterface({ input: process.stdin })
  leaving.addEventListener('abort', () => lines.close())
  for await (const line of lines) return /^y(es)?$/i.test(line.trim())
  stopIfLeaving()
  return false
}

/** What `quarterdeck plan` expects of a place, and of the names; a reason where it does not know. */
export async function expectations(
  { instanceType, market }: Place,
  sentences: number,
  { chatKey, chatModel }: Settings,
): Promise<{ run: string; names: string }> {
  const by = (cost: string) =>
    chatKey === undefined ? 'by keywords (XAI_API_KEY is not set)' : `by ${chatModel}, ${cost}`
  if (sentences === 0) return { run: 'unknown: the transcripts are not here', names: by('at a cost unknown') }
  const firms = Math.max(1, Math.round(sentences / SENTENCES_A_FIRM))
  const words = ['plan', '--firms', firms, '--sentences', Math.max(firms, Math.round(sentences)), '--json']
  const { exitCode, stdout } = await $({ nothrow: true, quiet: true })`${process.execPath} ${DOOR} ${words}`
  if (exitCode !== 0)
    return { run: 'unknown: quarterdeck plan does not know this model', names: by('at a cost unknown') }
  const { rows, naming } = JSON.parse(stdout) as {
    rows: { instance: string; market: string; hours: number; dollars: number }[]
    naming: { dollars: number | null }
  }
  const row = rows.find(one => one.instance === instanceType && one.market === market)
  return {
    run:
      row === undefined
        ? `unknown: the price table has no ${instanceType}`
        : `${duration(row.hours * 3600)}, ${dollarsAndCents(row.dollars)} on the first of these (quarterdeck plan)`,
    names: by(naming.dollars === null ? 'at a price unknown' : `some ${dollarsAndCents(naming.dollars)} more`),
  }
}

/** Places of one choice stand together: its zones in the order in which they are tried. */
function choicesIn(places: readonly Place[]): Place[][] {
  const choices = new Map<string, Place[]>()
  for (const place of places) {
    const name = `${place.instanceType} ${place.market} ${place.region}`
    choices.set(name, [...(choices.get(name) ?? []), place])
  }
  return [...choices.values()]
}

export function priceOf({ dollarsPerHour }: Place): string {
  return dollarsPerHour === undefined ? 'unknown' : `$${dollarsPerHour.toFixed(3)}`
}

export function dollarsAndCents(amount: number): string {
  return `$${amount.toFixed(2)}`
}

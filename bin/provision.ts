// Rents one instance, runs a quarter on it, brings the results back and gives the instance back: node bin/provision.mjs --help.
// To be read from top to bottom: `story` is all of it, each function after it one chapter. How AWS is asked stands in lib/cloud/,
// what runs on the instance in bin/instance/. Whatever becomes of this program, the instance ends itself in time.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { $ } from 'zx'
import { type Call, type Cloud, homeRegion, isPassing, openCloud, whoAmI } from '../lib/cloud/aws.ts'
import { callersAddress } from '../lib/cloud/callers-address.ts'
import { defaultChoices, placesOf } from '../lib/cloud/choices.ts'
import * as ec2 from '../lib/cloud/ec2.ts'
import { type Gate, type Notes, readNotes, writeNotes } from '../lib/cloud/notes.ts'
import { EMBEDDED_SENTENCES, SENTENCES_A_FIRM } from '../lib/cloud/plan.ts'
import { type Backup, begin, bring, bringBack, bytesIn, news, tellToStop } from '../lib/cloud/quarter-there.ts'
import { type Machine, makeKeys, runThere, Unreachable } from '../lib/cloud/remote.ts'
import { closeGate, openGate } from '../lib/cloud/security-group.ts'
import { userData } from '../lib/cloud/user-data.ts'
import { codeVersion } from '../lib/code-version.ts'
import { takeLock } from '../lib/db/embedded/lock.ts'
import { messageOf, UsageError, UserError } from '../lib/errors.ts'
import { isLeaving, leave, leaving, pause, Stopped, stopIfLeaving, stopped } from '../lib/leaving.ts'
import { duration, say, thousands, warn } from '../lib/log.ts'
import { environmentOfInstance, keepLibrariesQuiet, readSettings, SHIPPED_MODEL } from '../lib/settings.ts'
import { renderTable } from '../lib/text/table.ts'
import { HELP, readWish, type Wish } from './provision-wish.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const DOOR = join(ROOT, 'bin/quarterdeck.mjs')

// The shipped samples have 153 bytes a sentence; .gz packs text to a quarter.
const BYTES_A_SENTENCE = 153
const PACKED = 4
// Ubuntu and packages take 6 GB, the libraries of a card 3, and a quarter of 2,000,000 sentences 6 as tables and 4 as a backup.
const DISK_GIGABYTES = 40
// In less than this an instance is set up and does nothing yet.
const LEAST_HOURS = 1 / 6
// How often an instance is asked what is new; nobody reads faster.
const LOOK_MILLISECONDS = 2000
// A machine takes one to two minutes to start; one that is said to run and is silent for five has lost its network, or hangs.
const PATIENCE_SECONDS = 300
// Told to leave, an instance puts its work down in 12 seconds and then writes a backup, which for a large quarter takes a minute.
const FAREWELL_SECONDS = 120
const LEASE_MILLISECONDS = 65_000
// Of spot instances of this kind one in ten or twenty is taken away a month; six in a quarter are not chance.
const MOST_INSTANCES = 6

const AGAIN = 'the same command goes on where it was'
const OUT_OF_LIMIT = 'the limit of hours or dollars was reached before the quarter was done'

type Trip = {
  wish: Wish
  cloud: Cloud
  /** Keys, notes, log and checkpoint of this quarter. */
  folder: string
  notes: Notes
  places: ec2.Place[]
  database: 'embedded' | 'postgres' | undefined
}

type Ending = { how: 'done' | 'failed' | 'stopped' | 'taken'; message: string }

keepLibrariesQuiet()
const settings = readSettings()

async function story(wish: Wish): Promise<void> {
  const home = wish.regions[0] ?? (await homeRegion())
  const choices = choicesOf(wish, home)
  const cloud = openCloud({ dryRun: wish.dryRun, ...(wish.dryRun && { onCall: sayCall }) })
  const { account, arn } = await whoAmI(cloud, home)
  say(`provision ${wish.quarter}: account ${account}, as ${arn}, at home in ${home}`)
  const folder = join(settings.home, 'provision', wish.quarter)
  const isNew = !existsSync(join(folder, 'key'))
  if (!wish.dryRun) await makeKeys(folder)
  if (!(await takeLock(folder, folder)))
    throw new UserError(
      `another provision of ${wish.quarter} is at work on this machine`,
      'wait for it, or end it first',
    )
  const notes = await readNotes(folder)
  const regions = [...new Set([...choices, ...notes.gates].map(one => one.region))]
  const there = await ec2.findInstances(cloud, regions, wish.quarter)
  const database = await databaseOf(wish)

  if (wish.end) return await endAll({ wish, cloud, folder, notes, places: [], database }, there)
  if (there.length > 0 && isNew)
    throw new UserError(
      `${there.map(nameOf).join(' and ')} works on ${wish.quarter} already, and its key is not in ${folder}`,
      `go on where it was rented, or end it: node bin/provision.mjs --quarter ${wish.quarter} --end`,
    )
  const { places, notes: remarks } = await placesOf(cloud, choices, { ...(wish.subnet && { subnet: wish.subnet }) })
  for (const remark of remarks) say(`  ${remark}`)
  const trip = { wish, cloud, folder, notes, places, database }
  if (there.length > 0) say(`provision: ${there.map(nameOf).join(' and ')} is still there: going on with it`)
  else if (!(await isAgreed(trip))) return say('provision: nothing was rented')

  let ending: Ending
  try {
    await startDatabase(trip)
    ending = await rentUntilDone(trip, there)
  } finally {
    await shutOut(trip)
    await stopDatabase(trip)
  }
  await tellTheEnd(trip, ending)
}

/** Types and regions in the order in which they are tried: on the spot market first, at last one that nobody takes away. */
function choicesOf({ instances, regions }: Wish, home: string): ec2.Choice[] {
  const standard = defaultChoices(home)
  const types = instances.length > 0 ? instances : [...new Set(standard.map(choice => choice.instanceType))]
  const places = regions.length > 0 ? regions : [...new Set(standard.map(choice => choice.region))]
  return [
    ...places.flatMap(region => types.map(instanceType => ({ instanceType, market: 'spot' as const, region }))),
    { instanceType: types[0], market: 'on-demand', region: places[0] },
  ]
}

/** Where the rows of the quarter lie: undefined is the server of DATABASE_URL, the others are the instance's own. */
async function databaseOf({ database, transcripts }: Wish): Promise<Trip['database']> {
  if (settings.databaseUrl !== undefined) return undefined
  if (database !== undefined || transcripts === undefined) return database ?? 'embedded'
  return (await sentencesIn(transcripts)) > EMBEDDED_SENTENCES ? 'postgres' : 'embedded'
}

async function sentencesIn(transcripts: string): Promise<number> {
  return ((await bytesIn(transcripts)) * (transcripts.endsWith('.gz') ? PACKED : 1)) / BYTES_A_SENTENCE
}

/** Shows what will be done, where, and for how much; true when the person wants it. */
async function isAgreed(trip: Trip): Promise<boolean> {
  const { wish, places, database, notes } = trip
  const sentences = wish.transcripts === undefined ? 0 : await sentencesIn(wish.transcripts)
  const spent = notes.dollars > 0 ? `, of which ${dollarsAndCents(notes.dollars)} are spent` : ''
  const { run, names } = await expectations(places[0], sentences)
  const facts = {
    program: `quarterdeck ${codeVersion()}`,
    transcripts: wish.transcripts
      ? `${wish.transcripts}, some ${thousands(sentences)} sentences`
      : 'in the database already',
    model: needsCard()
      ? String(settings.model)
      : `${SHIPPED_MODEL}; a card brings it nothing, --instance c7i.2xlarge is enough`,
    names,
    database:
      database === undefined
        ? 'the server of DATABASE_URL'
        : `${database} on the instance; comes back as ${resultsOf(wish)}`,
    expected: run,
    limit: `${wish.maxHours} h or ${dollarsAndCents(wish.maxDollars)}${spent}: then the instance ends itself, whatever happens here`,
  }
  for (const [what, value] of Object.entries(facts)) say(`  ${what.padEnd(11)}  ${value}`)
  const rows = choicesIn(places).map((zones, i) => {
    const [first] = zones
    const hours = hoursLeft(trip, first)
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
  if (wish.yes || wish.dryRun) return true
  if (process.stdin.isTTY !== true)
    throw new UsageError('nobody is here to be asked whether to rent it', 'the same command with --yes')
  say('Rent the first of these that can be had? [y/N]')
  const lines = createInterface({ input: process.stdin })
  leaving.addEventListener('abort', () => lines.close())
  for await (const line of lines) return /^y(es)?$/i.test(line.trim())
  stopIfLeaving()
  return false
}

/** What `quarterdeck plan` expects of a place and of the names; a reason where it does not know. */
async function expectations(
  { instanceType, market }: ec2.Place,
  sentences: number,
): Promise<{ run: string; names: string }> {
  const byKeywords = 'by keywords (XAI_API_KEY is not set)'
  const by = (cost: string) => (settings.chatKey === undefined ? byKeywords : `by ${settings.chatModel}, ${cost}`)
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

/** Goes on with an instance that is there, or rents one; and another one as long as they are taken away. */
async function rentUntilDone(trip: Trip, there: readonly ec2.Instance[]): Promise<Ending> {
  const [first, ...others] = there
  for (const other of others) await giveBack(trip, other)
  let instance: ec2.Instance | undefined = first
  let places = trip.places
  for (let rented = 1; rented <= MOST_INSTANCES; rented++) {
    if (instance === undefined) ({ instance, places } = await rent(trip, places))
    const ending = await useAndGiveBack(trip, instance)
    if (ending.how !== 'taken') return ending
    say(`provision: ${nameOf(instance)} ${ending.message}: going on with the next`)
    instance = undefined
    // From the next place on; the one that took it away comes last.
    if (places.length === 0) places = trip.places
  }
  throw new UserError(
    `${MOST_INSTANCES} instances were taken away before the quarter was done`,
    'the same command goes on; on demand nobody takes it away, and docs/operations.md says how to do without an instance',
  )
}

/** The first place that has an instance for us, and the places after it. */
async function rent(
  trip: Trip,
  places: readonly ec2.Place[],
): Promise<{ instance: ec2.Instance; places: ec2.Place[] }> {
  const { wish, cloud, folder } = trip
  const cidr = wish.sessionManager
    ? undefined
    : (wish.from ?? (wish.dryRun ? 'YOUR-ADDRESS/32' : await callersAddress()))
  for (const [i, place] of places.entries()) {
    stopIfLeaving()
    const ends = new Date(Date.now() + hoursLeft(trip, place) * 3600_000)
    const group = await letIn(trip, place, cidr)
    say(`provision: asking for ${place.instanceType} (${place.market}) in ${place.zone}, ${priceOf(place)} an hour`)
    const answer = await ec2.launch(cloud, place, {
      image: await ec2.imageOf(cloud, place.region, wish.image),
      group,
      moreGroups: wish.securityGroups,
      userData: userData({ ...(await keysOf(trip)), sshPort: wish.sshPort, ends, user: wish.sshUser }),
      quarter: wish.quarter,
      ends,
      diskGigabytes: DISK_GIGABYTES,
      // The same for all attempts of one call, so that an answer that is lost rents nothing twice.
      clientToken: createHash('sha256').update(`${folder} ${place.zone} ${Date.now()}`).digest('hex').slice(0, 64),
      instanceProfile: wish.instanceProfile,
    })
    if ('instance' in answer) {
      say(
        `provision: ${wish.dryRun ? 'would have' : 'rented'} ${nameOf(answer.instance)}; it ends itself at ${ends.toISOString()} at the latest`,
      )
      return { instance: answer.instance, places: places.slice(i + 1) }
    }
    say(`provision: not to be had: ${answer.refused}`)
  }
  throw new UserError(
    `none of ${places.length} places has an instance for us`,
    'the same command in an hour; another --region or --instance; or no card: --instance c7i.2xlarge (docs/operations.md)',
  )
}

/** Whatever happens on it: when this is over the instance is given back. */
async function useAndGiveBack(trip: Trip, instance: ec2.Instance): Promise<Ending> {
  let ending: Ending
  try {
    ending = await use(trip, instance)
  } catch (error) {
    await giveBack(trip, instance).catch(another => {
      say(`provision: ${messageOf(error)}`)
      throw another
    })
    throw error
  }
  await giveBack(trip, instance)
  return ending
}

async function use(trip: Trip, rented: ec2.Instance): Promise<Ending> {
  const { wish, cloud, folder, database } = trip
  if (wish.dryRun) return dryUse(trip)
  let instance: ec2.Instance
  try {
    instance = await ec2.waitUntilRunning(cloud, rented, sayOnce('waiting for it to run'))
  } catch (error) {
    if (error instanceof ec2.EndedAtStart) return { how: 'taken', message: error.message }
    throw error
  }
  const machine: Machine = {
    id: instance.id,
    region: instance.region,
    address: instance.address ?? instance.id,
    port: wish.sshPort,
    user: wish.sshUser,
    keys: folder,
    bySessionManager: wish.sessionManager,
  }
  const gone = await reach(trip, instance, machine)
  if (gone !== undefined) return gone
  const before = await news(machine, 0)
  if (!before.alive && before.state?.state !== 'done') {
    const checkpoint = database !== undefined && existsSync(checkpointOf(trip)) ? checkpointOf(trip) : undefined
    const model = folderOfModel()
    const { transcripts, quarter } = wish
    const environment = environmentOfInstance(priceAtLaunch(trip, instance))
    await bring(machine, { root: ROOT, version: codeVersion(), transcripts, model, checkpoint, environment })
    await begin(machine, { quarter, transcripts, checkpoint, needsCard: needsCard(), database })
  }
  return await follow(trip, instance, machine)
}

/** Waits until ssh answers; an ending where there is no instance any more. */
async function reach(trip: Trip, instance: ec2.Instance, machine: Machine): Promise<Ending | undefined> {
  say(`provision: waiting for ssh at ${machine.address}`)
  const began = performance.now()
  for (;;) {
    stopIfLeaving()
    try {
      await runThere(machine, 'true', { signal: leaving })
      return undefined
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      stopIfLeaving()
      const ending = await endingOf(trip, instance)
      if (ending !== undefined) return ending
      if (performance.now() - began > PATIENCE_SECONDS * 1000)
        throw new UserError(
          `${nameOf(instance)} runs and does not answer by ssh: ${error.message}`,
          'a firewall may be in between: --ssh-port 443, --from with the address that it shows, or --session-manager',
        )
      await pause(LOOK_MILLISECONDS)
    }
  }
}

/** Reads along until the work is over or the instance is gone; told to leave, tells the work, and waits for its backup. */
async function follow(trip: Trip, instance: ec2.Instance, machine: Machine): Promise<Ending> {
  const log = join(trip.folder, 'log')
  let read = 0
  let silentSince: number | undefined
  let toldAt: number | undefined
  for (;;) {
    try {
      const isTime = instance.ends !== undefined && Date.now() > instance.ends.getTime() - FAREWELL_SECONDS * 1000
      if ((isLeaving() || isTime) && toldAt === undefined) {
        if (isTime) say(`provision: ${nameOf(instance)} is near its limit: bringing back what is done`)
        toldAt = performance.now()
        await tellToStop(machine)
      }
      const { text, bytes, state, alive } = await news(machine, read)
      read += bytes
      silentSince = undefined
      if (text !== '') {
        say(text.trimEnd())
        await appendFile(log, text, { mode: 0o600 })
      }
      if (state !== undefined && state.state !== 'running') {
        if (state.backup !== null) await fetchResults(trip, machine, state.backup, state.state === 'done')
        if (state.state === 'interrupted') return { how: 'taken', message: 'is taken away' }
        if (state.state === 'stopped' && !isLeaving()) return { how: 'stopped', message: OUT_OF_LIMIT }
        return { how: state.state, message: state.message }
      }
      if (!alive && bytes === 0) {
        if (isLeaving()) throw stopped()
        return {
          how: 'failed',
          message: 'the work on the instance ended without a word, as after kill -9 or out of memory',
        }
      }
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      const ending = await endingOf(trip, instance)
      if (ending !== undefined) return ending
      silentSince ??= performance.now()
      if (performance.now() - silentSince > PATIENCE_SECONDS * 1000)
        return { how: 'taken', message: `has not answered for ${duration(PATIENCE_SECONDS)}` }
    }
    if (hurry.signal.aborted || (toldAt !== undefined && performance.now() - toldAt > FAREWELL_SECONDS * 1000))
      throw stopped()
    await (isLeaving()
      ? sleep(LOOK_MILLISECONDS, undefined, { signal: hurry.signal }).catch(() => {})
      : pause(LOOK_MILLISECONDS))
  }
}

/** How it ended with an instance that does not answer; undefined while it is said to run, or nobody can say. */
async function endingOf({ cloud }: Trip, instance: ec2.Instance): Promise<Ending | undefined> {
  try {
    const { state, why, taken } = await ec2.stateOf(cloud, instance)
    if (state === 'running' || state === 'pending') return undefined
    if (instance.ends !== undefined && new Date() >= instance.ends) return { how: 'stopped', message: OUT_OF_LIMIT }
    if (taken) return { how: 'taken', message: `was taken away (${why})` }
    return { how: 'failed', message: `${nameOf(instance)} is ${state}, and not by us (${why || 'no reason is given'})` }
  } catch (error) {
    // The way to the cloud may be cut as well: then this machine is off the net, not the instance.
    if (!isPassing(error)) warn(messageOf(error))
    return undefined
  }
}

/** The rows of the quarter, in a backup file: whole, they are the results; of a quarter half done, the next instance's start. */
async function fetchResults(trip: Trip, machine: Machine, backup: Backup, isDone: boolean): Promise<void> {
  const file = checkpointOf(trip)
  try {
    await bringBack(machine, backup, file, hurry.signal)
  } catch (error) {
    // What was brought back before stays; an instance that is being taken away has two minutes.
    if (isDone || !(error instanceof Unreachable)) throw error
    return warn(`what was done on ${machine.id} could not be brought back: ${error.message}`)
  }
  if (isDone) await rename(file, resultsOf(trip.wish)).catch(() => $`mv ${file} ${resultsOf(trip.wish)}`) // to another disk
}

async function giveBack(trip: Trip, instance: ec2.Instance): Promise<void> {
  const { wish, cloud, folder, notes } = trip
  say(`provision: giving back ${nameOf(instance)}`)
  await ec2.terminate(cloud, instance, sayOnce('not ended yet'))
  const hours = (Date.now() - instance.launchedAt.getTime()) / 3600_000
  // Linux is billed by the second, and for a minute at least.
  const cost = (priceAtLaunch(trip, instance) ?? 0) * Math.max(hours, 1 / 60)
  notes.dollars += cost
  notes.hours += hours
  if (!wish.dryRun) await writeNotes(folder, notes)
  if (!wish.dryRun)
    say(`provision: ${nameOf(instance)} is given back after ${duration(hours * 3600)}; some ${dollarsAndCents(cost)}`)
}

/** Lets this machine in, and notes it, so that it is shut out again whatever happens in between. */
async function letIn(
  { wish, cloud, folder, notes }: Trip,
  place: ec2.Place,
  cidr: string | undefined,
): Promise<string> {
  const gate = { cidr, port: wish.sshPort, quarter: wish.quarter }
  const group = await openGate(cloud, place.region, place.vpc, gate)
  const isNoted = notes.gates.some(one => one.group === group && one.cidr === cidr && one.port === wish.sshPort)
  if (cidr !== undefined && !isNoted) {
    notes.gates.push({ region: place.region, group, cidr, port: wish.sshPort })
    if (!wish.dryRun) await writeNotes(folder, notes)
  }
  return group
}

async function shutOut({ wish, cloud, folder, notes }: Trip): Promise<void> {
  const open: Gate[] = []
  for (const gate of notes.gates)
    await closeGate(cloud, gate.region, gate.group, gate).catch(error => {
      warn(`${gate.group} in ${gate.region} still lets ${gate.cidr} in: ${messageOf(error)}`)
      open.push(gate)
    })
  notes.gates = open
  if (!wish.dryRun) await writeNotes(folder, notes)
}

/** A database on RDS runs while it is needed; without RDS_INSTANCE there is nothing to start and nothing to stop. */
async function startDatabase({ wish }: Trip): Promise<void> {
  if (settings.rdsInstance === undefined) return
  if (wish.dryRun) return say(`would run: quarterdeck db-start, for ${settings.rdsInstance}`)
  // Not by the command, which also connects: the instance has to reach the database, this machine need not.
  const { openRds } = await import('../lib/cloud/rds.ts')
  const { startOrRestore } = await import('../lib/cloud/rds-snapshot.ts')
  await startOrRestore(await openRds(settings.rdsInstance, 'provision'))
}

async function stopDatabase({ wish }: Trip): Promise<void> {
  if (settings.rdsInstance === undefined) return
  if (wish.dryRun) return say(`would run: quarterdeck db-stop, for ${settings.rdsInstance}`)
  const dbStop = () => $({ stdio: 'inherit', nothrow: true })`${process.execPath} ${DOOR} db-stop`
  if ((await dbStop()).exitCode === 0) return
  // It refuses while somebody has firms in hand; what an instance had that was taken away is free after a minute.
  await sleep(LEASE_MILLISECONDS)
  if ((await dbStop()).exitCode !== 0) warn(`${settings.rdsInstance} may still run, and cost: quarterdeck db-stop`)
}

/** --end: nothing of this quarter is left running, wherever and by whomever it was rented. */
async function endAll(trip: Trip, there: readonly ec2.Instance[]): Promise<void> {
  for (const instance of there) await giveBack(trip, instance)
  await shutOut(trip)
  say(there.length === 0 ? `provision: nothing of ${trip.wish.quarter} is running` : 'provision: all is given back')
}

async function tellTheEnd({ wish, folder, notes, database }: Trip, { how, message }: Ending): Promise<void> {
  if (wish.dryRun) return say('provision: nothing was rented (--dry-run)')
  const log = join(folder, 'log')
  if (how === 'stopped')
    throw new Stopped(
      message,
      message === OUT_OF_LIMIT ? 'the same command with more: --max-hours, --max-dollars' : AGAIN,
    )
  if (how !== 'done') throw new UserError(message, `see ${log}; ${AGAIN}`)
  say(`provision: ${wish.quarter} is done, for some ${dollarsAndCents(notes.dollars)}; nothing is left running`)
  if (database !== undefined)
    say(`  → node bin/quarterdeck.mjs db-restore ${resultsOf(wish)}, and index, themes, search as ever`)
  // With it the keys go, and what was spent; a gate that is still open is noted.
  await rm(folder, { recursive: true, force: true })
  if (notes.gates.length > 0) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeNotes(folder, { hours: 0, dollars: 0, gates: notes.gates })
  }
}

function resultsOf({ quarter }: Wish): string {
  return resolve(`${quarter}.backup`)
}

function checkpointOf({ folder }: Trip): string {
  return join(folder, 'checkpoint.backup')
}

/** The shipped model is a table in which words are looked up: a card does that no faster. */
function needsCard(): boolean {
  return settings.model !== undefined && settings.model !== SHIPPED_MODEL
}

/** A model that is a folder of this machine has to be brought. */
function folderOfModel(): string | undefined {
  return settings.model !== undefined && existsSync(settings.model) ? resolve(settings.model) : undefined
}

/** Hours until the limits of a person, at the highest price that a place may come to. */
function hoursLeft({ wish, notes }: Trip, place: ec2.Place): number {
  const rate = place.mostDollarsPerHour
  const hours = Math.min(
    wish.maxHours - notes.hours,
    rate === undefined ? Infinity : (wish.maxDollars - notes.dollars) / rate,
  )
  if (hours >= LEAST_HOURS) return hours
  throw new UserError(
    `${duration(Math.max(0, hours) * 3600)} are left for ${place.instanceType} of ${wish.maxHours} h and ${dollarsAndCents(wish.maxDollars)} (${duration(notes.hours * 3600)} and ${dollarsAndCents(notes.dollars)} are spent); ${duration(LEAST_HOURS * 3600)} are needed at least`,
    'the same command with more: --max-hours, --max-dollars',
  )
}

/** Places of one choice stand together: its zones in the order in which they are tried. */
function choicesIn(places: readonly ec2.Place[]): ec2.Place[][] {
  const choices = new Map<string, ec2.Place[]>()
  for (const place of places) {
    const name = `${place.instanceType} ${place.market} ${place.region}`
    choices.set(name, [...(choices.get(name) ?? []), place])
  }
  return [...choices.values()]
}

/** Says what is waited for when that changes, and not at every look. */
function sayOnce(what: string): (why: string) => void {
  let last = ''
  return why => {
    if (why !== last) say(`provision: ${what}: ${why}`)
    last = why
  }
}

function priceOf({ dollarsPerHour }: ec2.Place): string {
  return dollarsPerHour === undefined ? 'unknown' : `$${dollarsPerHour.toFixed(3)}`
}

function dollarsAndCents(amount: number): string {
  return `$${amount.toFixed(2)}`
}

function priceAtLaunch({ places }: Trip, { instanceType, market, zone }: ec2.Instance): number | undefined {
  return places.find(one => one.instanceType === instanceType && one.market === market && one.zone === zone)
    ?.dollarsPerHour
}

function nameOf({ id, instanceType, zone }: ec2.Instance): string {
  return `${id} (${instanceType} in ${zone})`
}

async function keysOf({
  wish,
  folder,
}: Trip): Promise<{ authorizedKey: string; hostKey: { private: string; public: string } }> {
  const text = (name: string) => (wish.dryRun ? `(${name})` : readFile(join(folder, name), 'utf8'))
  return {
    authorizedKey: await text('key.pub'),
    hostKey: { private: await text('host-key'), public: await text('host-key.pub') },
  }
}

function sayCall({ service, name, region, input }: Call): void {
  const isMade = /^(Describe|Get|List)/.test(name)
  say(`  ${isMade ? 'asked' : 'would ask'} ${service}:${name} in ${region} ${JSON.stringify(input)}`)
}

function dryUse({ wish, database }: Trip): Ending {
  const words = [wish.transcripts, folderOfModel()].filter(Boolean).join(' and ')
  say(`would wait until ssh answers, bring the program${words && ` and ${words}`}, and run there:`)
  say(`  sh bin/instance/setup.sh${needsCard() ? ' --card' : ''}${database === 'postgres' ? ' --postgres' : ''}`)
  say(`  make quarter Q=${wish.quarter}, again whenever it fails, until it is done`)
  if (database !== undefined) say(`would bring back ${resultsOf(wish)}`)
  return { how: 'done', message: '' }
}

// The door: what was typed, what is told by signals, and one catch.

/** Aborted by the second Ctrl-C: nothing more is brought back. Giving the instance back goes on all the same. */
const hurry = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (isLeaving()) return hurry.abort()
    say(
      `provision: ${signal}: bringing back what is done, then giving back the instance (again: without bringing back)`,
    )
    leave(`told to stop by ${signal}`)
  })
try {
  const wish = readWish(process.argv.slice(2), settings.databaseUrl)
  if (wish === undefined) process.stdout.write(`${HELP}\n`)
  else await story(wish)
} catch (error) {
  const debug = process.argv.includes('--debug')
  if (error instanceof UserError) {
    say(`provision: ${error.message}`)
    if (error.hint) say(`  → ${error.hint}`)
    if (debug) say(String(error.cause instanceof Error ? error.cause.stack : error.stack))
  } else
    say(`provision: this should not have happened: ${debug && error instanceof Error ? error.stack : messageOf(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : error instanceof Stopped ? 75 : 1
}

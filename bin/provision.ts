// Rents one instance, runs a quarter on it, brings the results back and gives the instance back: node bin/provision.mjs --help.
// To be read from top to bottom: `story` is all of it, each function after it one chapter. How AWS is asked stands in lib/cloud/,
// what runs on the instance in bin/instance/. Whatever becomes of this program, the instance ends itself in time.

import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { $ } from 'zx'
import { type Call, type Cloud, homeRegion, isPassing, openCloud, timeOf, whoAmI } from '../lib/cloud/aws.ts'
import { callersAddress } from '../lib/cloud/callers-address.ts'
import { defaultChoices, placesOf } from '../lib/cloud/choices.ts'
import * as ec2 from '../lib/cloud/ec2.ts'
import { type Gate, type Notes, readNotes, writeNotes } from '../lib/cloud/notes.ts'
import { diskGigabytesOf, EMBEDDED_SENTENCES } from '../lib/cloud/plan.ts'
import { begin, bring, bringBack, bytesIn, news, type State, tellToStop } from '../lib/cloud/quarter-there.ts'
import { fingerprintOf, type Machine, makeKeys, Unreachable } from '../lib/cloud/remote.ts'
import { closeGate, openGate, openGates } from '../lib/cloud/security-group.ts'
import { userData } from '../lib/cloud/user-data.ts'
import { codeVersion } from '../lib/code-version.ts'
import { takeLock } from '../lib/db/embedded/lock.ts'
import { messageOf, UsageError, UserError } from '../lib/errors.ts'
import { findTexts } from '../lib/files.ts'
import { isLeaving, leave, pause, Stopped, stopIfLeaving, stopped } from '../lib/leaving.ts'
import { duration, goOnUnheard, say, thousands, warn } from '../lib/log.ts'
import { environmentOfInstance, readSettings, SHIPPED_MODEL } from '../lib/settings.ts'
import { affordable, dollarsAndCents, expectations, hoursLeft, isWanted, priceOf, sayOffer } from './provision-offer.ts'
import { HELP, readWish, type Wish } from './provision-wish.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const DOOR = join(ROOT, 'bin/quarterdeck.mjs')

// The shipped samples have 153 bytes a sentence; .gz packs text to a quarter.
const BYTES_A_SENTENCE = 153
const PACKED = 4
// Of the embedding: the shipped model's, and the most that a usual one has. Twenty gigabytes of disk more cost a third of a cent.
const DIMENSIONS = { shipped: 256, others: 768 }
// How often an instance is asked what is new; nobody reads faster.
const LOOK_MILLISECONDS = 2000
// A machine takes one to two minutes to start, and one that nothing can be brought to for five is behind a firewall.
const PATIENCE_SECONDS = 300
// Work that is under way may wait for a line that comes back: longer than a router needs, or a walk home with the laptop.
const SILENCE_SECONDS = 1800
// Told to leave, an instance puts its work down in 12 seconds and writes a backup, a large one in a minute; a line of 10 MB a
// second brings the 1.6 KB of a sentence back.
const FAREWELL_SECONDS = 120
const SENTENCES_BACK_A_SECOND = 6000
// Of spot instances of this kind one in ten or twenty is taken away a month; six in a quarter are not chance.
const MOST_INSTANCES = 6
// A supervisor that ends without a word was killed, by the lack of memory mostly: once is chance.
const MOST_BEGINNINGS = 3
// EC2 may take so long to list an instance that was asked for a moment ago.
const UNLISTED_MILLISECONDS = 60_000
// What a process that was killed had in hand is free after a minute, and db-stop waits for nobody.
const LEASE_MILLISECONDS = 65_000

const AGAIN = 'the same command goes on where it was'
const OUT_OF_LIMIT = 'the limit of hours or dollars was reached before the quarter was done'

type Trip = {
  wish: Wish
  cloud: Cloud
  /** Keys, notes, log and checkpoint of this quarter. */
  folder: string
  /** Fingerprint of the key of this folder. */
  key: string
  notes: Notes
  places: ec2.Place[]
  /** Where the rows lie: undefined is the server of DATABASE_URL, the others are the instance's own. */
  database: 'embedded' | 'postgres' | undefined
  /** Some; 0 where the transcripts are not here. */
  sentences: number
}

type Ending = { how: 'done' | 'failed' | 'stopped' | 'taken'; message: string }

const settings = readSettings()

async function story(wish: Wish): Promise<void> {
  const home = wish.regions[0] ?? (await homeRegion())
  const cloud = openCloud({ dryRun: wish.dryRun, ...(wish.dryRun && { onCall: sayCall }) })
  const { account, arn } = await whoAmI(cloud, home)
  say(`provision ${wish.quarter}: account ${account}, as ${arn}, at home in ${home}`)
  const trip = await prepare(wish, cloud)
  const choices = choicesOf(wish, home)
  const { notes } = trip
  const known = [...choices, ...notes.gates, ...(notes.rented ? [notes.rented] : [])].map(one => one.region)
  const regions = [...new Set([home, ...known])]
  const there = await instancesThere(trip, regions)
  if (wish.end) return await endAll(trip, there, regions)

  trip.places = await placesFor(trip, choices, there)
  if (there.length === 0 && !(await isAgreed(trip))) return say('provision: nothing was rented')
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

/** Keys and notes of the quarter, which no other provision of this machine has in hand. */
async function prepare(wish: Wish, cloud: Cloud): Promise<Trip> {
  for (const results of [resultsOf(wish), reportOf(wish)])
    if (!wish.end && existsSync(results))
      throw new UserError(`${results} is there already, and the results would overwrite it`, `mv ${results} elsewhere`)
  // What would fail there is better refused here.
  if (wish.transcripts !== undefined) await findTexts([wish.transcripts])
  const folder = join(settings.home, 'provision', wish.quarter)
  // Ending needs no key, and nothing of it stays here.
  const isKept = !wish.dryRun && (!wish.end || existsSync(folder))
  if (isKept) {
    await makeKeys(folder)
    if (!(await takeLock(folder, folder, undefined, 'provision')))
      throw new UserError(
        `another provision of ${wish.quarter} is at work on this machine`,
        'wait for it, or end it first: Ctrl-C where it runs',
      )
  }
  const key = isKept ? await fingerprintOf(folder) : ''
  const sentences = wish.transcripts === undefined ? 0 : (await bytesIn(wish.transcripts, PACKED)) / BYTES_A_SENTENCE
  const own = wish.database ?? (sentences > EMBEDDED_SENTENCES ? 'postgres' : 'embedded')
  const database = settings.databaseUrl === undefined ? own : undefined
  return { wish, cloud, folder, key, notes: await readNotes(folder), places: [], database, sentences }
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

/** What an earlier provision of this quarter left running; what it rented and is gone is added up. */
async function instancesThere(trip: Trip, regions: readonly string[]): Promise<ec2.Instance[]> {
  const { wish, cloud, key, notes } = trip
  let there = await ec2.findInstances(cloud, regions, wish.quarter)
  const { rented } = notes
  const since = rented === undefined ? Infinity : timeOf(cloud) - Date.parse(rented.at)
  if (rented !== undefined && there.length === 0 && since < UNLISTED_MILLISECONDS) {
    say('provision: an instance was asked for a moment ago: waiting until it would be listed')
    await pause(UNLISTED_MILLISECONDS - since)
    there = await ec2.findInstances(cloud, regions, wish.quarter)
  }
  if (rented !== undefined && there.length === 0)
    await settle(trip, Math.min(since, Date.parse(rented.ends) - Date.parse(rented.at)))
  if (wish.end) return there
  const foreign = there.filter(instance => instance.key !== key && !wish.dryRun)
  if (foreign.length > 0)
    throw new UserError(
      `${foreign.map(nameOf).join(' and ')} works on ${wish.quarter} already, and was rented elsewhere: its key is not here`,
      `go on where it was rented, or end it: node bin/provision.mjs --quarter ${wish.quarter} --end`,
    )
  if (there.length === 0) return there
  say(`provision: ${there.map(nameOf).join(' and ')} is still there: going on with it`)
  // It is reached as it was rented, whatever was typed this time.
  if (rented !== undefined) {
    const { sshPort, sshUser, sessionManager } = rented
    trip.wish = { ...wish, sshPort, sshUser, sessionManager }
  }
  return there
}

/** Where to rent; where something is rented already, nothing of this may keep us from it. */
async function placesFor(trip: Trip, choices: ec2.Choice[], there: readonly ec2.Instance[]): Promise<ec2.Place[]> {
  const { wish, cloud } = trip
  try {
    const { places, notes } = await placesOf(cloud, choices, { ...(wish.subnet && { subnet: wish.subnet }) })
    for (const note of notes) say(`  ${note}`)
    return there.length > 0 ? places : affordable(trip, places)
  } catch (error) {
    if (there.length === 0 || !(error instanceof UserError)) throw error
    warn(error.message)
    return []
  }
}

/** Shows what will be done, where, and for how much; true when it may be, and the person wants it. */
async function isAgreed(trip: Trip): Promise<boolean> {
  const { wish, cloud, places, database, notes, sentences } = trip
  const { run, names } = await expectations(places[0], sentences, settings)
  const spent = notes.dollars > 0 ? `, of which ${dollarsAndCents(notes.dollars)} are spent` : ''
  const advice = wish.instances.length === 0 ? '; a card brings it nothing: --instance c7i.2xlarge' : ''
  const facts = {
    program: `quarterdeck ${codeVersion()}`,
    transcripts: wish.transcripts
      ? `${wish.transcripts}, some ${thousands(sentences)} sentences`
      : 'in the database already',
    model: needsCard() ? String(settings.model) : SHIPPED_MODEL + advice,
    names,
    database:
      database === undefined
        ? 'the server of DATABASE_URL'
        : `${database} on the instance; comes back as ${resultsOf(wish)}`,
    expected: run,
    limit: `${wish.maxHours} h or ${dollarsAndCents(wish.maxDollars)}${spent}: then the instance ends itself, whatever happens here`,
  }
  sayOffer(facts, trip, places)
  await ec2.mayLaunch(cloud, places[0], await launchIn(trip, places[0]))
  stopIfLeaving()
  return wish.yes || wish.dryRun || (await isWanted())
}

/** Goes on with an instance that is there, or rents one; and another one as long as they are taken away. */
async function rentUntilDone(trip: Trip, there: readonly ec2.Instance[]): Promise<Ending> {
  isRenting = true
  const [first, ...others] = there
  for (const other of others) await giveBack(trip, other)
  let instance: ec2.Instance | undefined = first
  let places = trip.places
  for (let rented = 1; rented <= MOST_INSTANCES; rented++) {
    if (instance === undefined) ({ instance, places } = await rent(trip, affordable(trip, places)))
    const ending = await useAndGiveBack(trip, instance)
    if (ending.how !== 'taken') return ending
    say(`provision: ${nameOf(instance)} ${ending.message}: going on with the next`)
    instance = undefined
    // From the next place on; the one that took it away comes last.
    if (places.length === 0) places = trip.places
  }
  throw new UserError(
    `${MOST_INSTANCES} instances were taken away before the quarter was done`,
    `${AGAIN}; on demand nobody takes it away, and docs/operations.md says how to do without an instance`,
  )
}

/** The first place that has an instance for us, and the places after it. */
async function rent(
  trip: Trip,
  places: readonly ec2.Place[],
): Promise<{ instance: ec2.Instance; places: ec2.Place[] }> {
  const { wish, cloud } = trip
  const cidr = await addressHere(trip)
  for (const [i, place] of places.entries()) {
    stopIfLeaving()
    say(`provision: asking for ${place.instanceType} (${place.market}) in ${place.zone}, ${priceOf(place)} an hour`)
    const group = await letIn(trip, place, cidr)
    const what = { ...(await launchIn(trip, place)), group }
    await noteLaunch(trip, place, what.ends)
    const answer = await ec2.launch(cloud, place, what).catch(async error => {
      // An answer that never came may have rented something all the same.
      const found = await ec2.findInstances(cloud, [place.region], wish.quarter)
      for (const one of found.filter(instance => instance.key === trip.key)) await giveBack(trip, one)
      throw error
    })
    if ('instance' in answer) {
      const until = `it ends itself at ${what.ends.toISOString()} at the latest`
      say(`provision: ${wish.dryRun ? 'would have' : 'rented'} ${nameOf(answer.instance)}; ${until}`)
      return { instance: answer.instance, places: places.slice(i + 1) }
    }
    say(`provision: not to be had: ${answer.refused}`)
  }
  await settle(trip, 0)
  throw new UserError(
    `none of ${places.length} places has an instance for us`,
    'the same command in an hour; another --region or --instance; or no card: --instance c7i.2xlarge (docs/operations.md)',
  )
}

async function launchIn(trip: Trip, place: ec2.Place): Promise<ec2.Launch> {
  const { wish, cloud, folder, key, sentences } = trip
  const ends = new Date(timeOf(cloud) + hoursLeft(trip, place) * 3600_000)
  const text = (name: string) => (wish.dryRun ? `(${name})` : readFile(join(folder, name), 'utf8'))
  const hostKey = { private: await text('host-key'), public: await text('host-key.pub') }
  const authorizedKey = await text('key.pub')
  return {
    image: await ec2.imageOf(cloud, place.region, wish.image),
    moreGroups: wish.securityGroups,
    userData: userData({ authorizedKey, hostKey, sshPort: wish.sshPort, ends, user: wish.sshUser }),
    quarter: wish.quarter,
    ends,
    key,
    diskGigabytes: diskGigabytesOf({ sentences, dimension: needsCard() ? DIMENSIONS.others : DIMENSIONS.shipped }),
    // The same for all attempts of one launch, so that an answer that is lost rents nothing twice.
    clientToken: `${folder} ${Date.now()}`,
    ...(wish.instanceProfile !== undefined && { instanceProfile: wish.instanceProfile }),
  }
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
  const { wish, cloud, folder } = trip
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
  // This machine may have another address than when it was rented.
  await letInAgain(trip, instance)
  say(`provision: waiting for ssh at ${machine.address}`)
  return (await reach(trip, instance, machine)) ?? (await follow(trip, instance, machine))
}

/** Brings what is needed and begins the work, again while ssh fails; an ending where there is no instance any more. */
async function reach(trip: Trip, instance: ec2.Instance, machine: Machine): Promise<Ending | undefined> {
  let heardAt = performance.now()
  for (;;) {
    stopIfLeaving()
    try {
      const { alive, state } = await news(machine, 0)
      heardAt = performance.now()
      if (!alive && state?.state !== 'done') await bringAndBegin(trip, instance, machine)
      return undefined
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      stopIfLeaving()
      const found = await lookAt(trip, instance)
      if (typeof found === 'object') return found
      if (performance.now() - heardAt > PATIENCE_SECONDS * 1000)
        throw new UserError(
          `${nameOf(instance)} runs and does not answer by ssh: ${error.message}`,
          /verification failed|denied/.test(error.message)
            ? `it is not the machine of the keys in ${trip.folder}: move that folder away, and the same command begins anew`
            : 'a firewall may be in between: --ssh-port 443, --from with the address that others see, or --session-manager',
        )
      await pause(LOOK_MILLISECONDS)
    }
  }
}

async function bringAndBegin(trip: Trip, instance: ec2.Instance, machine: Machine): Promise<void> {
  const { wish, database } = trip
  const { transcripts, quarter, method } = wish
  const checkpoint = database !== undefined && existsSync(checkpointOf(trip)) ? checkpointOf(trip) : undefined
  // A model that is a folder of this machine has to be brought.
  const model = settings.model !== undefined && existsSync(settings.model) ? resolve(settings.model) : undefined
  const environment = environmentOfInstance(placeOf(trip, instance)?.dollarsPerHour)
  await bring(machine, { root: ROOT, version: codeVersion(), transcripts, model, checkpoint, environment })
  await begin(machine, { quarter, transcripts, checkpoint, needsCard: needsCard(), database, method })
}

/** Reads along until the work is over or the instance is gone; told to leave, tells the work, and waits for its backup. */
async function follow(trip: Trip, instance: ec2.Instance, machine: Machine): Promise<Ending> {
  const { folder, cloud, sentences, database } = trip
  const farewellSeconds = FAREWELL_SECONDS + (database === undefined ? 0 : sentences / SENTENCES_BACK_A_SECOND)
  const time = instance.ends === undefined ? Infinity : instance.ends.getTime() - farewellSeconds * 1000
  let read = 0
  let beginnings = 1
  let silentSince: number | undefined
  let told: { at: number; why: 'leaving' | 'limit' } | undefined
  for (;;) {
    try {
      const why = isLeaving() ? 'leaving' : timeOf(cloud) > time ? 'limit' : undefined
      if (why !== undefined && told === undefined) {
        if (why === 'limit') say(`provision: ${nameOf(instance)} is near its limit: bringing back what is done`)
        told = { at: performance.now(), why }
        await tellToStop(machine)
      }
      const { text, bytes, state, alive } = await news(machine, read)
      read += bytes
      silentSince = undefined
      if (text !== '') {
        say(text.trimEnd())
        await appendFile(join(folder, 'log'), text, { mode: 0o600 })
      }
      if (state !== undefined && state.state !== 'running') {
        const isHere = await fetchResults(trip, instance, machine, state)
        if (state.state === 'interrupted') return { how: 'taken', message: 'is taken away' }
        if (state.state === 'done' && !isHere)
          return { how: 'failed', message: 'the quarter was done, and its results did not get here' }
        if (state.state === 'stopped' && told?.why === 'limit') return { how: 'stopped', message: OUT_OF_LIMIT }
        // What was said here counts, and not how it was passed on.
        return {
          how: state.state,
          message: isLeaving() && state.state === 'stopped' ? stopped().message : state.message,
        }
      }
      if (!alive && bytes === 0 && told === undefined) {
        const silently = 'the work on the instance ended without a word, as after kill -9 or where memory ran out'
        if (++beginnings > MOST_BEGINNINGS) return { how: 'failed', message: `${silently}, ${MOST_BEGINNINGS} times` }
        warn(`${silently}: beginning again`)
        await bringAndBegin(trip, instance, machine)
      }
      if (!alive && told !== undefined) throw stopped()
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      const found = await lookAt(trip, instance)
      if (typeof found === 'object') return found
      if (found === 'running' && silentSince === undefined) await letInAgain(trip, instance)
      // Where the cloud cannot be asked either, it is this machine that is off the net, and the work goes on without it.
      silentSince = found === 'running' ? (silentSince ?? performance.now()) : undefined
      if (silentSince !== undefined && performance.now() - silentSince > SILENCE_SECONDS * 1000)
        return { how: 'taken', message: `has not answered for ${duration(SILENCE_SECONDS)}` }
    }
    if (hurry.signal.aborted || (told && performance.now() - told.at > farewellSeconds * 1000)) throw stopped()
    await (isLeaving() ? unhurried(LOOK_MILLISECONDS) : pause(LOOK_MILLISECONDS))
  }
}

/** How it ended with an instance that does not answer; `running` where it is said to run, `unknown` where nobody can be asked. */
async function lookAt({ cloud }: Trip, instance: ec2.Instance): Promise<Ending | 'running' | 'unknown'> {
  try {
    const { state, why, taken } = await ec2.stateOf(cloud, instance)
    if (state === 'running' || state === 'pending') return 'running'
    if (taken) return { how: 'taken', message: `was taken away (${why})` }
    if (instance.ends !== undefined && timeOf(cloud) >= instance.ends.getTime())
      return { how: 'stopped', message: OUT_OF_LIMIT }
    return { how: 'failed', message: `${nameOf(instance)} is ${state}, and not by us (${why || 'no reason is given'})` }
  } catch (error) {
    if (!isPassing(error)) warn(messageOf(error))
    return 'unknown'
  }
}

/**
 * The rows of the quarter, in a backup file: whole, they are the results; of a quarter half done, the next instance's start. With
 * those of a quarter that is done comes its page. False when they are not here.
 */
async function fetchResults(
  trip: Trip,
  instance: ec2.Instance,
  machine: Machine,
  { state, backup, report }: State,
): Promise<boolean> {
  const files = [
    { there: backup, here: checkpointOf(trip), place: resultsOf(trip.wish) },
    { there: report ?? null, here: join(trip.folder, 'report.html'), place: reportOf(trip.wish) },
  ]
  for (const { there, here } of files)
    if (
      there !== null &&
      !(await insistOn(trip, instance, there.file, () => bringBack(machine, there, here, hurry.signal)))
    )
      return false
  if (state !== 'done') return true
  // Only when all is here: a rerun asks for a place that is free. mv, because the two may be on different disks.
  return await insistOn(trip, instance, 'what was brought back', async () => {
    for (const { here, place } of files) if (existsSync(here)) await $`mv ${here} ${place}`
  })
}

/** Again and again while the instance is there, whose own limit is the end of it; false when it was in vain. */
async function insistOn(trip: Trip, instance: ec2.Instance, what: string, act: () => Promise<void>): Promise<boolean> {
  for (;;) {
    try {
      await act()
      return true
    } catch (error) {
      // A line that breaks comes back, and on a full disk somebody may make room.
      warn(`${what} of ${instance.id} is not in its place yet: ${messageOf(error)}`)
      if (hurry.signal.aborted || typeof (await lookAt(trip, instance)) === 'object') return false
      await unhurried(LOOK_MILLISECONDS)
    }
  }
}

async function giveBack(trip: Trip, instance: ec2.Instance): Promise<void> {
  const { wish, cloud } = trip
  say(`provision: giving back ${nameOf(instance)}`)
  await ec2.terminate(cloud, instance, sayOnce('not ended yet'))
  if (wish.dryRun) {
    trip.notes.rented = undefined
    return
  }
  const ran = timeOf(cloud) - instance.launchedAt.getTime()
  const cost = await settle(trip, ran, placeOf(trip, instance)?.dollarsPerHour)
  say(`provision: ${nameOf(instance)} is given back after ${duration(ran / 1000)}; some ${dollarsAndCents(cost)}`)
}

/** Notes what is about to be rented, so that it counts even if nobody hears of its end. */
async function noteLaunch({ wish, cloud, folder, notes }: Trip, place: ec2.Place, ends: Date): Promise<void> {
  const { region, dollarsPerHour = 0 } = place
  const { sshPort, sshUser, sessionManager } = wish
  const at = new Date(timeOf(cloud)).toISOString()
  notes.rented = { region, at, ends: ends.toISOString(), dollarsPerHour, sshPort, sshUser, sessionManager }
  if (!wish.dryRun) await writeNotes(folder, notes)
}

/** Adds up an instance that is gone; its dollars. Linux is billed by the second, and for a minute at least. */
async function settle(
  { wish, folder, notes }: Trip,
  milliseconds: number,
  rate = notes.rented?.dollarsPerHour ?? 0,
): Promise<number> {
  const hours = milliseconds === 0 ? 0 : Math.max(milliseconds / 3600_000, 1 / 60)
  notes.hours += hours
  notes.dollars += hours * rate
  notes.rented = undefined
  if (!wish.dryRun && existsSync(folder)) await writeNotes(folder, notes)
  return hours * rate
}

/** Who may use ssh; nobody where Session Manager does it. */
async function addressHere({ wish }: Trip): Promise<string | undefined> {
  if (wish.sessionManager) return undefined
  return wish.from ?? (wish.dryRun ? 'YOUR-ADDRESS/32' : await callersAddress())
}

/** Lets this machine in, and notes it, so that it is shut out again whatever happens in between. */
async function letIn(
  { wish, cloud, folder, notes }: Trip,
  place: ec2.Place,
  cidr: string | undefined,
): Promise<string> {
  const group = await openGate(cloud, place.region, place.vpc, { cidr, port: wish.sshPort, quarter: wish.quarter })
  const isNoted = notes.gates.some(one => one.group === group && one.cidr === cidr && one.port === wish.sshPort)
  if (cidr !== undefined && !isNoted) {
    notes.gates.push({ region: place.region, group, cidr, port: wish.sshPort })
    if (!wish.dryRun) await writeNotes(folder, notes)
  }
  return group
}

/** The same for an instance that is there: this machine may have another address by now. */
async function letInAgain(trip: Trip, instance: ec2.Instance): Promise<void> {
  const place = trip.places.find(one => one.region === instance.region)
  if (place === undefined) return
  try {
    await letIn(trip, place, await addressHere(trip))
  } catch (error) {
    warn(messageOf(error))
  }
}

async function shutOut({ wish, cloud, folder, notes }: Trip): Promise<void> {
  const open: Gate[] = []
  for (const gate of notes.gates)
    await closeGate(cloud, gate.region, gate.group, gate).catch(error => {
      warn(`${gate.group} in ${gate.region} still lets ${gate.cidr} in: ${messageOf(error)}`)
      open.push(gate)
    })
  notes.gates = open
  if (!wish.dryRun && existsSync(folder)) await writeNotes(folder, notes)
}

/** A database on RDS runs while it is needed; without RDS_INSTANCE there is nothing to start and nothing to stop. */
async function startDatabase({ wish }: Trip): Promise<void> {
  if (settings.rdsInstance === undefined) return
  if (wish.dryRun) return say(`would start ${settings.rdsInstance}, as quarterdeck db-start does`)
  // Not by the command, which also connects: the instance has to reach the database, this machine need not.
  const { openRds } = await import('../lib/cloud/rds.ts')
  const { startOrRestore } = await import('../lib/cloud/rds-snapshot.ts')
  await startOrRestore(await openRds(settings.rdsInstance, 'provision'))
}

async function stopDatabase({ wish, notes }: Trip): Promise<void> {
  // An instance that could not be ended may still be at work in it.
  if (settings.rdsInstance === undefined || notes.rented !== undefined) return
  if (wish.dryRun) return say(`would run: quarterdeck db-stop, for ${settings.rdsInstance}`)
  const dbStop = () => $({ stdio: 'inherit', nothrow: true })`${process.execPath} ${DOOR} db-stop`
  if ((await dbStop()).exitCode === 0) return
  // It refuses while somebody has firms in hand, as an instance that was taken away still seems to have.
  await sleep(LEASE_MILLISECONDS)
  if ((await dbStop()).exitCode !== 0) warn(`${settings.rdsInstance} may still run, and cost: quarterdeck db-stop`)
}

/** --end: nothing of this quarter is left running, by whomever it was rented, and nobody is let in. */
async function endAll(trip: Trip, there: readonly ec2.Instance[], regions: readonly string[]): Promise<void> {
  for (const instance of there) await giveBack(trip, instance)
  for (const region of regions)
    for (const gate of await openGates(trip.cloud, region)) trip.notes.gates.push({ region, ...gate })
  await shutOut(trip)
  await stopDatabase(trip)
  const what = there.length === 0 ? `nothing of ${trip.wish.quarter} is running` : 'all is given back'
  say(`provision: ${what} in ${regions.join(', ')}`)
}

async function tellTheEnd({ wish, folder, notes, database }: Trip, { how, message }: Ending): Promise<void> {
  if (wish.dryRun) return say('provision: nothing was rented (--dry-run)')
  const more = message === OUT_OF_LIMIT ? 'the same command with more: --max-hours, --max-dollars' : AGAIN
  if (how === 'stopped') throw new Stopped(message, more)
  if (how !== 'done') throw new UserError(message, `see ${join(folder, 'log')}; ${AGAIN}`)
  say(`provision: ${wish.quarter} is done, for some ${dollarsAndCents(notes.dollars)}; nothing is left running`)
  if (database !== undefined)
    say(
      `  → node bin/quarterdeck.mjs db-restore ${resultsOf(wish)}, and make quarter Q=${wish.quarter}, which makes its indexes and compares it`,
    )
  if (existsSync(reportOf(wish))) say(`  its page: ${reportOf(wish)}`)
  // With it the keys go, and what was spent; a gate that is still open stays noted.
  await rm(folder, { recursive: true, force: true })
  if (notes.gates.length === 0) return
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeNotes(folder, { hours: 0, dollars: 0, gates: notes.gates })
}

function resultsOf({ quarter }: Wish): string {
  return resolve(`${quarter}.backup`)
}

function reportOf({ quarter }: Wish): string {
  return resolve(`${quarter}.html`)
}

function checkpointOf({ folder }: Trip): string {
  return join(folder, 'checkpoint.backup')
}

/** The shipped model is a table in which words are looked up: a card does that no faster. */
function needsCard(): boolean {
  return settings.model !== undefined && settings.model !== SHIPPED_MODEL
}

/** Where an instance was rented, as it is priced today. */
function placeOf({ places }: Trip, { instanceType, market, zone }: ec2.Instance): ec2.Place | undefined {
  return places.find(one => one.instanceType === instanceType && one.market === market && one.zone === zone)
}

function nameOf({ id, instanceType, zone }: ec2.Instance): string {
  return `${id} (${instanceType} in ${zone})`
}

/** Says what is waited for when that changes, and not at every look. */
function sayOnce(what: string): (why: string) => void {
  let last = ''
  return why => {
    if (why !== last) say(`provision: ${what}: ${why}`)
    last = why
  }
}

async function unhurried(milliseconds: number): Promise<void> {
  await sleep(milliseconds, undefined, { signal: hurry.signal }).catch(() => {})
}

function sayCall({ service, name, region, input }: Call): void {
  const isMade = /^(Describe|Get|List)/.test(name) || ('DryRun' in input && input.DryRun === true)
  say(`  ${isMade ? 'asked' : 'would ask'} ${service}:${name} in ${region} ${JSON.stringify(input)}`)
}

function dryUse({ wish, database }: Trip): Ending {
  const what = ['the program', ...(wish.transcripts === undefined ? [] : [wish.transcripts])].join(' and ')
  say(`would wait until ssh answers, bring ${what}, and run there:`)
  say(`  sh bin/instance/setup.sh${needsCard() ? ' --card' : ''}${database === 'postgres' ? ' --postgres' : ''}`)
  say(
    `  make quarter Q=${wish.quarter}${wish.method ? ` METHOD=${wish.method}` : ''}, again whenever it fails, until it is done`,
  )
  say(`would bring back ${database === undefined ? '' : `${resultsOf(wish)} and `}${reportOf(wish)}`)
  return { how: 'done', message: '' }
}

// The door: what was typed, what is told by signals, and one catch.

/** From here on there may be an instance. */
let isRenting = false
/** Aborted by the second Ctrl-C: nothing more is brought back. Giving the instance back goes on all the same. */
const hurry = new AbortController()
// A terminal that is closed must not end the program that gives the instance back.
goOnUnheard()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (!isLeaving())
      say(
        `provision: ${signal}: ${isRenting ? 'bringing back what is done, then giving the instance back' : 'leaving'}`,
      )
    // A shell that ends may say so twice, and means no hurry.
    else if (signal !== 'SIGHUP') hurry.abort()
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

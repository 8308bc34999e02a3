// The door: argv in, exit code out, one catch. The only file that knows cac and exit codes.
// 0 done, 1 could not be done, 2 wrong command line, 75 run it again: the database went away, or the process was told to leave
// (EX_TEMPFAIL of sysexits.h); 128 and the signal's number where a signal ended it with nothing to put away, as shells count.

import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CAC, cac } from 'cac'
import { watchForInterruption } from '../lib/cloud/spot-notice.ts'
import { codeVersion } from '../lib/code-version.ts'
import type { Command, FlagValues } from '../lib/command.ts'
import { installLostConnectionHandler } from '../lib/db/connect.ts'
import { STAGES } from '../lib/db/work.ts'
import { DatabaseLost, UsageError, UserError } from '../lib/errors.ts'
import { hasSomethingInHand, isFinishing, leave, Stopped, sayGoodbyes, stopped } from '../lib/leaving.ts'
import { say } from '../lib/log.ts'
import { readSettings } from '../lib/settings.ts'

const argv = process.argv.slice(2)

// A terminal sends Ctrl-C to every process in it, and a parent may pass it on: those two are one. A person's second one comes
// later, and means at once. A second SIGTERM is a parent's, which has said it before.
const ONE_AND_THE_SAME_MILLISECONDS = 1000
let toldAt: number | undefined

// Docker kills what is still there 10 seconds after SIGTERM, Kubernetes and Slurm after 30: seven to finish what is in hand,
// which takes a firm-quarter a part of a second; one to end by itself; and what is left of nine to give back what was not
// finished, which takes milliseconds unless the database is busy.
const FINISH_MILLISECONDS = 7000
const END_MILLISECONDS = 1000
const GONE_MILLISECONDS = 9000
const LOOK_MILLISECONDS = 50

// `quarterdeck sql … | head` closes our output: that is the reader's right, not an error.
process.stdout.on('error', error => {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
  fail(new UserError(`the result could not be written: ${error.message}`, 'write it somewhere else'))
})

// At once, wherever the command stands: what it has not saved is done again by the rerun.
installLostConnectionHandler(fail)
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void leaveFor(signal))
try {
  await main()
} catch (error) {
  fail(error)
}

async function main(): Promise<void> {
  const commands = await loadCommands()
  const cli = describe(commands)
  const { options } = cli.parse(['node', 'quarterdeck', ...argv], { run: false })
  if (options.help || options.version) return
  const matched = cli.matchedCommand
  const command = commands.find(one => one.verb === matched?.name)
  if (matched === undefined || command === undefined) return refuseVerb(cli, commands)
  try {
    matched.checkUnknownOptions()
    matched.checkOptionValue()
    matched.checkRequiredArgs()
    matched.checkUnusedArgs()
  } catch (error) {
    throw new UsageError(`${command.verb}: ${(error as Error).message}`, `quarterdeck ${command.verb} --help`)
  }
  const words = wordsOf(command)
  // cac takes the word behind a switch for its value: --reassign-noise 0.4 would be the switch alone.
  if (command.words === undefined && words.length > 0)
    throw new UsageError(
      `${command.verb} takes no words, and got ${words.join(' ')}`,
      `quarterdeck ${command.verb} --help`,
    )
  const settings = readSettings()
  // What reads, or takes a second, has nothing to put away.
  const isWatched = settings.spotNotice && STAGES.some(stage => stage === command.verb)
  const watch = isWatched ? watchForInterruption(settings.metadataUrl, why => void leaveInOrder(why)) : undefined
  await command.run({
    words,
    flags: flagsOf(command),
    settings,
    columns: (process.stdout.isTTY && process.stdout.columns) || undefined, // a terminal of unknown width says 0
    print: (text: string) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
  })
  watch?.stop()
  // Pools and sessions are closed by their owners; whatever else keeps the process alive is a bug that must show.
}

/** The one that was typed: loading the others takes longer than all else before it begins (m, 200 of 500 ms). Else all. */
async function loadCommands(): Promise<readonly Command[]> {
  const file = new URL(`../commands/${verb() === 'index' ? 'build-index' : verb()}.ts`, import.meta.url)
  if (/^[a-z-]+$/.test(verb()) && existsSync(file)) {
    const { command }: { command?: Command } = await import(file.href)
    if (command?.verb === verb()) return [command]
  }
  return (await import('../commands/all.ts')).commands
}

function describe(commands: readonly Command[]): CAC {
  const cli = cac('quarterdeck')
  for (const command of commands) {
    const described = cli.command(`${command.verb}${command.words ? ` [...${command.words}]` : ''}`, command.summary)
    for (const flag of command.flags) {
      const standard = flag.default === undefined ? '' : ` (default: ${flag.default})`
      described.option(`--${flag.name}${flag.value ? ` <${flag.value}>` : ''}`, flag.summary + standard)
    }
    for (const example of command.examples) described.example(`  $ quarterdeck ${example}`)
  }
  cli.option('--debug', 'Show where an error comes from')
  cli.help(sections => {
    const command = commands.find(one => one.verb === cli.matchedCommandName)
    if (command) sections.splice(1, 0, { body: wrapped(command.about) })
    // The list of commands, once more and with --help behind each, tells nothing new.
    return sections.filter(section => !section.title?.startsWith('For more info'))
  })
  cli.version(codeVersion())
  return cli
}

/** Lines of at most 80 characters, which fit every terminal. */
function wrapped(text: string): string {
  return text.replace(/(.{1,80})(?: +|$)/g, '$1\n').trimEnd()
}

function refuseVerb(cli: CAC, commands: readonly Command[]): void {
  const [verb] = argv
  if (verb === undefined) {
    cli.outputHelp()
    return
  }
  const near = commands.filter(command => command.verb.startsWith(verb.slice(0, 3))).map(command => command.verb)
  throw new UsageError(
    `there is no command ${JSON.stringify(verb)}${near.length > 0 ? `; near: ${near.join(', ')}` : ''}`,
    'quarterdeck --help',
  )
}

/*
 * cac reads `--firm 0000320193` as the number 320193 and `--firm 1e5` as 100000. What it checks is right, what it
 * returns is not, so the text is taken from argv itself once cac has found the command line sound.
 */
function flagsOf(command: Command): FlagValues {
  const values: Record<string, string | boolean> = {}
  walk(command, (name, value) => {
    if (values[name] !== undefined && values[name] !== value)
      throw new UsageError(
        `--${name} is given twice: ${values[name]} and ${value}`,
        `quarterdeck ${command.verb} --help`,
      )
    values[name] = value
  })
  return values
}

function wordsOf(command: Command): string[] {
  return walk(command, () => {}).slice(1)
}

function walk(command: Command, found: (name: string, value: string | boolean) => void): string[] {
  const words: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const text = argv[i]
    if (text === '--') return [...words, ...argv.slice(i + 1)]
    if (!text.startsWith('--')) {
      words.push(text)
      continue
    }
    const [name, attached] = splitFlag(text.slice(2))
    const flag = command.flags.find(one => one.name === name)
    if (flag?.value === undefined) {
      if (attached !== undefined) throw new UsageError(`--${name} takes no value, and got ${attached}`, `--${name}`)
      found(name, true)
    } else found(name, attached ?? argv[++i] ?? '')
  }
  return words
}

function splitFlag(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

async function leaveFor(signal: NodeJS.Signals): Promise<void> {
  const atOnce = 128 + constants.signals[signal]
  if (!hasSomethingInHand()) process.exit(atOnce)
  const now = performance.now()
  if (toldAt === undefined) await leaveInOrder(`told to stop by ${signal}`)
  else if (signal === 'SIGINT' && now - toldAt > ONE_AND_THE_SAME_MILLISECONDS) process.exit(atOnce)
}

/** Ends the process in nine seconds at most, mostly sooner: the work that notices throws, and `main` ends with that. */
async function leaveInOrder(why: string): Promise<void> {
  toldAt ??= performance.now()
  leave(why)
  if (isFinishing()) {
    say(`${verb()}: ${why}: finishing what is in hand`)
    while (isFinishing() && performance.now() - toldAt < FINISH_MILLISECONDS) await sleep(LOOK_MILLISECONDS)
    if (!isFinishing()) await sleep(END_MILLISECONDS)
  }
  await Promise.race([sayGoodbyes(), sleep(GONE_MILLISECONDS - (performance.now() - toldAt))])
  fail(stopped())
}

function verb(): string {
  return argv[0] ?? ''
}

function fail(error: unknown): never {
  const debug = argv.includes('--debug')
  if (error instanceof UserError) {
    // Steps that run side by side are told together.
    say(`quarterdeck: ${error instanceof Stopped ? `${verb()}: ` : ''}${error.message}`)
    if (error.hint) say(`  → ${error.hint}`)
    if (debug) say(String(error.cause instanceof Error ? error.cause.stack : error.stack))
    const isTemporary = error instanceof DatabaseLost || error instanceof Stopped
    process.exit(error instanceof UsageError ? 2 : isTemporary ? 75 : 1)
  }
  say(`quarterdeck: this should not have happened: ${error instanceof Error ? error.message : String(error)}`)
  say(
    debug && error instanceof Error
      ? String(error.stack)
      : '  → run it again with --debug to see where, and please report it',
  )
  process.exit(1)
}

// The rented machine as it is seen from here: commands over ssh, folders by tar, files back. By the programs ssh, ssh-keygen and
// tar, which every Unix has and which do what the person's own ssh configuration says (a jump host, for one).
// Knows nothing of quarters; what runs on the machine is bin/instance/'s, when it is asked is bin/provision.ts's.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Readable, Transform, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { $ } from 'zx'
import { UserError } from '../errors.ts'
import { environmentOfPrograms } from '../settings.ts'

export type Machine = {
  /** The instance's id. */
  id: string
  region: string
  address: string
  port: number
  user: string
  /** Folder of the keys that `makeKeys` made. */
  keys: string
  /** Over AWS's Session Manager, which needs no open port; its plugin and the AWS command line have to be here then. */
  bySessionManager: boolean
}

/** ssh itself failed, not the command that it was to run: the machine is not up yet, gone, or the network is. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/** A command on the machine ended with something else than 0. */
export class RemoteFailure extends UserError {
  override readonly name = 'RemoteFailure'
}

// ssh's own exit code for its own failures.
const SSH_FAILED = 255
// What is asked this way takes a second or two. ssh's own patience does not begin before it has logged in.
const ANSWER_MILLISECONDS = 90_000
const WITHOUT_INPUT: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
// The machine is known by this name whatever its address is: the key was made here, before there was an address.
const KNOWN_AS = 'quarterdeck'

/** By which key an instance is opened, so that it is known without opening it. */
export async function fingerprintOf(folder: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(folder, 'key.pub')))
    .digest('hex')
    .slice(0, 16)
}

/**
 * Two pairs of keys in a folder of this person's: `key` opens the machine, `host-key` is the machine's own and tells it apart
 * from any other, from the first connection on. Made once; a second call changes nothing.
 */
export async function makeKeys(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const name of ['key', 'host-key']) {
    const file = join(folder, name)
    if (existsSync(file) && existsSync(`${file}.pub`)) continue
    await rm(file, { force: true }) // half of a pair, after a kill
    const { exitCode, stderr } = await $({
      nothrow: true,
      quiet: true,
    })`ssh-keygen -q -t ed25519 -N ${''} -C ${KNOWN_AS} -f ${file}`
    if (exitCode !== 0)
      throw new UserError(
        `no key could be made in ${folder}: ${lastLineOf(stderr)}`,
        'ssh and ssh-keygen are needed: apt-get install openssh-client',
      )
  }
  await writeFile(join(folder, 'known-hosts'), `${KNOWN_AS} ${await readFile(join(folder, 'host-key.pub'), 'utf8')}`)
}

/** Runs a command there; what it prints. `input` is its standard input, the place for what must not stand in a list of processes. */
export async function runThere(
  machine: Machine,
  command: string,
  { input = '', signal }: { input?: string; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const deadline = AbortSignal.timeout(ANSWER_MILLISECONDS)
  const options = {
    nothrow: true,
    quiet: true,
    ...(input === '' ? { stdio: WITHOUT_INPUT } : { input }),
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  }
  const { exitCode, stdout, stderr } = await $(options)`ssh ${wordsOf(machine)} ${command}`
  check(exitCode, stderr)
  return stdout
}

/** Brings files and folders of `from` into the folder `into` there, packed; links are followed. `onBytes` hears of unpacked bytes. */
export async function sendFiles(
  machine: Machine,
  {
    from,
    names,
    into,
    signal,
  }: { from: string; names: readonly string[]; into: string; signal?: AbortSignal | undefined },
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const tar = streaming(['tar', '-ch', '-C', from, '--', ...names], signal)
  const ssh = streaming(['ssh', ...wordsOf(machine), `mkdir -p ${quoted(into)} && tar -xz -C ${quoted(into)}`], signal)
  // A pipe breaks when one of the two ends; which one, and why, is said by their ends.
  await pipeline(tar.stdout, counting(onBytes), createGzip(), ssh.stdin).catch(() => {})
  const [packed, unpacked] = [await tar.ended, await ssh.ended]
  check(unpacked.code, unpacked.stderr)
  if (packed.code !== 0)
    throw new UserError(
      `${from} cannot be packed: ${packed.stderr.split('\n')[0]}`,
      `look at what is there: ls -l ${from}`,
    )
}

/**
 * Fetches a file, whole and of the right SHA-256 or not at all. What an earlier attempt has brought is not fetched again.
 * `onBytes` hears of all bytes that are here.
 */
export async function fetchFile(
  machine: Machine,
  { file, to, sha256, signal }: { file: string; to: string; sha256: string; signal?: AbortSignal | undefined },
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const part = `${to}.${sha256.slice(0, 8)}.part` // of this file and no other
  const hash = createHash('sha256')
  let here = 0
  if (existsSync(part))
    for await (const piece of createReadStream(part)) {
      hash.update(piece)
      here += piece.length
    }
  onBytes(here)
  const ssh = streaming(['ssh', ...wordsOf(machine), `tail -c +${here + 1} ${quoted(file)}`], signal)
  // The results of a quarter are nobody else's business than this person's.
  const written = pipeline(
    ssh.stdout,
    counting(onBytes, bytes => hash.update(bytes)),
    createWriteStream(part, { flags: 'a', mode: 0o600 }),
  )
  const [{ code, stderr }] = await Promise.all([ssh.ended, written])
  check(code, stderr)
  const found = hash.digest('hex')
  if (found === sha256) return await rename(part, to)
  await rm(part)
  throw new Unreachable(`${file} came with the SHA-256 ${found}, not ${sha256}`)
}

/** A word as a Unix shell takes it for one word, whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

function wordsOf({ id, region, address, port, user, keys, bySessionManager }: Machine): string[] {
  const options = [
    `IdentityFile=${pathOf(keys, 'key')}`,
    `UserKnownHostsFile=${pathOf(keys, 'known-hosts')}`,
    `HostKeyAlias=${KNOWN_AS}`,
    'StrictHostKeyChecking=yes',
    'IdentitiesOnly=yes',
    // No question that nobody answers.
    'BatchMode=yes',
    'ConnectTimeout=10',
    // A connection that has died is noticed after a minute.
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
    'ClearAllForwardings=yes',
    'LogLevel=ERROR',
    ...(bySessionManager
      ? [
          `ProxyCommand=aws ssm start-session --region ${region} --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p`,
        ]
      : []),
  ]
  return [
    // Nothing of this person's but his key goes along, whatever his own configuration forwards.
    ...['-a', '-x', '-p', String(port)],
    ...options.flatMap(option => ['-o', option]),
    `${user}@${bySessionManager ? id : address}`,
  ]
}

type Streaming = {
  stdin: Writable
  stdout: Readable
  ended: Promise<{ code: number | null; stderr: string }>
}

/** A program whose bytes flow through: zx keeps all that a program prints in memory, and a quarter is gigabytes. */
function streaming([program, ...words]: readonly string[], signal: AbortSignal | undefined): Streaming {
  const child = spawn(program, words, {
    stdio: 'pipe',
    // In a group of its own: Ctrl-C in the terminal is for this process alone, which says what becomes of its programs.
    detached: true,
    env: environmentOfPrograms(),
    ...(signal && { signal }),
  })
  let stderr = ''
  child.stderr.on('data', data => {
    stderr += data
  })
  const ended = new Promise<{ code: number | null; stderr: string }>(resolve => {
    child.on('error', error => resolve({ code: null, stderr: error.message }))
    child.on('close', code => resolve({ code, stderr }))
  })
  return { stdin: child.stdin, stdout: child.stdout, ended }
}

/** ssh takes a blank for the end of a name, and % for the beginning of a word of its own. */
function pathOf(folder: string, name: string): string {
  return `"${join(folder, name).replaceAll('%', '%%')}"`
}

function check(exitCode: number | null, stderr: string): void {
  if (exitCode === 0) return
  // Null: killed from here, because nobody waits for it any more.
  if (exitCode === SSH_FAILED || exitCode === null) throw new Unreachable(lastLineOf(stderr) || 'no answer')
  throw new RemoteFailure(
    `the machine could not do what it was asked: ${lastLineOf(stderr) || `it ended with ${exitCode}`}`,
    'what it says is the reason; then the same command again',
  )
}

function counting(onBytes: (bytes: number) => void, onEach: (bytes: Buffer) => void = () => {}): Transform {
  return new Transform({
    transform(bytes, _encoding, done) {
      onBytes(bytes.length)
      onEach(bytes)
      done(null, bytes)
    },
  })
}

function lastLineOf(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

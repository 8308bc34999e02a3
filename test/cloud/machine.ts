// Plays a rented instance: reads the user data that the launch was given, and is a machine with its own sshd, keys, home, programs
// and metadata, on an address of its own of this computer. What is done in it is really done; when it ends, nothing of it is left.
// When it begins and who takes it away is said by faults.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { type MetadataServer, startMetadataServer, TERMINATION } from '../metadata-server.ts'
import { type Process, processesBelow } from '../processes.ts'
import { type Front, openFront } from './front.ts'

const SSHD = '/usr/sbin/sshd'

export const sshdIsHere = existsSync(SSHD)
if (!sshdIsHere && process.env.CI) throw new Error('no sshd to play an instance: apt-get install openssh-server')

/** Who logs in: sshd lets in only people that the computer has. */
export const sshUser = userInfo().username

export type MachineOptions = {
  /** So many connections are refused before the first that is not: sshd is not up yet. */
  refuses?: number
  /** More environment of what runs there. */
  env?: Record<string, string>
}

export type Machine = {
  address: string
  port: number
  /** Home of whoever logs in. */
  home: string
  /** When its own timer will end it. */
  ends: Date | undefined
  metadata: MetadataServer
  front: Front
  /** Its metadata say that it will be taken away. */
  announceTermination(): void
  /** Hears when it ends by itself, or has: told to power off from inside, or by its timer. */
  onPowerOff(hear: () => void): void
  hasEnded(): boolean
  /** What runs in it now. */
  processes(): Process[]
  /** What sshd has said. */
  log(): string
  /** As when the power goes: everything that runs in it is gone, whatever it is, and its folder too. */
  end(): Promise<void>
}

type Wanted = { authorizedKeys: string[]; hostKey: string; port: number; ends: Date | undefined }

/** `userData` as RunInstances sends it: Base64. */
export async function startMachine(userData: string, options: MachineOptions = {}): Promise<Machine> {
  const wanted = readUserData(Buffer.from(userData, 'base64').toString('utf8'))
  const address = nextAddress()
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'quarterdeck-machine-')))
  const home = join(folder, 'home')
  const metadata = await startMetadataServer()
  // What is in it is nobody else's, though its address can be reached by everybody here.
  for (const name of ['home', 'bin', 'signals']) mkdirSync(join(folder, name), { mode: 0o700 })
  writePrograms(folder)
  writeEntry(folder, { ...environment(folder), AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, ...options.env })
  // Nobody but this machine has the address, so the next port is free.
  const inner = wanted.port < 65_535 ? wanted.port + 1 : wanted.port - 1
  const said: string[] = []
  const sshd = spawnSshd(folder, wanted, address, inner)
  const reaper = spawnReaper(folder, sshd.pid ?? 0)
  const stopped = once(sshd, 'close')
  await new Promise<void>((resolve, reject) => {
    createInterface(sshd.stderr).on('line', line => {
      said.push(line)
      if (line.startsWith('Server listening')) resolve()
    })
    stopped.then(([code]) => reject(new Error(`sshd ended with ${code}:\n${said.join('\n')}`)), reject)
  }).catch(async error => {
    reaper.stdin.end()
    await metadata.close()
    throw error
  })
  const front = await openFront(address, wanted.port, inner)
  front.refuse(options.refuses ?? 0)

  let hasEnded = false
  let hasPoweredOff = false
  const hearers: (() => void)[] = []
  const powerOff = () => {
    if (hasEnded) return
    hasPoweredOff = true
    for (const hear of hearers) hear()
    void end()
  }
  const watcher = watch(join(folder, 'signals'), powerOff)
  // A timer of Node's cannot wait longer than 24 days; nothing here runs so long.
  const timer = wanted.ends && setTimeout(powerOff, Math.min(wanted.ends.getTime() - Date.now(), 2 ** 31 - 1)).unref()

  let ending: Promise<void> | undefined
  const end = () => {
    ending ??= (async () => {
      hasEnded = true
      clearTimeout(timer)
      watcher.close()
      const gone = once(reaper, 'close')
      reaper.stdin.end()
      await Promise.all([front.close(), metadata.close(), gone])
    })()
    return ending
  }
  return {
    address,
    port: wanted.port,
    home,
    ends: wanted.ends,
    metadata,
    front,
    announceTermination: () => metadata.announce(TERMINATION),
    onPowerOff: hear => {
      if (hasPoweredOff) hear()
      else hearers.push(hear)
    },
    hasEnded: () => hasEnded,
    processes: () => processesOf(folder),
    log: () => said.join('\n'),
    end,
  }
}

type CloudConfig = {
  ssh_authorized_keys?: string[]
  users?: (string | { ssh_authorized_keys?: string[] })[]
  ssh_keys?: Record<string, string>
  write_files?: { path: string; content: string; encoding?: string }[]
}

/** `#cloud-config` and JSON, as cloud-init would take it from there; what the machine cannot be without, is missed. */
export function readUserData(text: string): Wanted {
  if (!text.startsWith('#cloud-config\n')) throw new Error('the user data do not begin with #cloud-config')
  const config: CloudConfig = JSON.parse(text.slice(text.indexOf('\n')))
  const ofUsers = (config.users ?? []).flatMap(one => (typeof one === 'string' ? [] : (one.ssh_authorized_keys ?? [])))
  const authorizedKeys = [...(config.ssh_authorized_keys ?? []), ...ofUsers]
  if (authorizedKeys.length === 0) throw new Error('the user data let nobody in')
  const hostKey = Object.entries(config.ssh_keys ?? {}).find(([name]) => name.endsWith('_private'))?.[1]
  if (hostKey === undefined) throw new Error('the user data have no host key')
  const files = (config.write_files ?? []).map(({ content, encoding = '' }) =>
    /^(b64|base64)$/.test(encoding) ? Buffer.from(content, 'base64').toString('utf8') : content,
  )
  const field = (pattern: RegExp) => files.map(content => pattern.exec(content)?.[1]).find(found => found !== undefined)
  const when = field(/^OnCalendar=.*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$/m)
  return {
    authorizedKeys,
    hostKey,
    port: Number(field(/^Port (\d+)$/m) ?? 22),
    ends: when === undefined ? undefined : new Date(`${when.replace(' ', 'T')}Z`),
  }
}

// One address a machine, of the sixteen million that lead back to this computer, and none that another test file has: ports
// are then free, whichever a program asks for.
let machinesOfThisProcess = 0
function nextAddress(): string {
  machinesOfThisProcess++
  return `127.${(process.pid >> 8) & 255}.${process.pid & 255}.${machinesOfThisProcess}`
}

function spawnSshd(folder: string, { authorizedKeys, hostKey }: Wanted, address: string, port: number) {
  writeFileSync(join(folder, 'host-key'), `${hostKey.trimEnd()}\n`, { mode: 0o600 })
  writeFileSync(join(folder, 'authorized-keys'), `${authorizedKeys.join('\n')}\n`)
  writeFileSync(
    join(folder, 'sshd-config'),
    `ListenAddress ${address}:${port}
HostKey ${folder}/host-key
AuthorizedKeysFile ${folder}/authorized-keys
ForceCommand ${folder}/entry
# The folders above are in /tmp, which everybody may write to.
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
`,
  )
  // Where sshd locks itself up before somebody has logged in; made by the init script of Debian.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  return spawn(SSHD, ['-D', '-e', '-f', join(folder, 'sshd-config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: join(folder, 'home') },
  })
}

// Whoever's environment or working folder names the folder of the machine, runs in it: detached, and adopted by init, too. Again
// and again, since what is being ended may start something else. It waits for the end of its input, and so does its work also
// when the tests are killed.
const REAPER = `cat
kill -9 "$2"
running() {
  grep -lsF "$1" /proc/[0-9]*/environ
  find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1*"
}
while found=$(running "$1" 2> /dev/null); [ -n "$found" ]; do
  for file in $found; do
    process=\${file%/*}
    kill -9 "\${process#/proc/}"
  done
  sleep 0.05
done
rm -rf "$1"`

function spawnReaper(folder: string, sshd: number) {
  return spawn('sh', ['-c', REAPER, 'sh', folder, String(sshd)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    // Ctrl-C in a terminal is not for it, but for the tests, whose end it waits for.
    detached: true,
    env: { PATH: process.env.PATH },
  })
}

// Nothing is installed in the computer that runs the tests, and it is not powered off.
function writePrograms(folder: string): void {
  const powerOff = `: > ${folder}/signals/power-off`
  const programs = {
    // Whoever is the only one there may do everything that he may do.
    sudo: `while :; do case $1 in -n | -E | -H) shift ;; -u) shift 2 ;; *) break ;; esac; done\nexec env "$@"`,
    shutdown: powerOff,
    poweroff: powerOff,
    systemctl: `case $1 in poweroff) ${powerOff} ;; *) echo "systemctl: no $1 in the machine of the tests" >&2; exit 1 ;; esac`,
    'cloud-init': 'echo "status: done"',
    // No card.
    lspci: '',
    'apt-get': 'echo "apt-get: the machine of the tests installs nothing: $*" >&2\nexit 100',
  }
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  }
}

function environment(folder: string): Record<string, string> {
  // How this computer reaches npm's and Python's registries, where that is not by itself.
  const network = Object.entries(process.env).filter(([name]) =>
    /^(https?_proxy|no_proxy|all_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|npm_config_registry|pip_.*)$/i.test(
      name,
    ),
  )
  return {
    HOME: join(folder, 'home'),
    USER: sshUser,
    LOGNAME: sshUser,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    PATH: [
      join(folder, 'bin'),
      dirname(process.execPath),
      '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ].join(':'),
    // `npm ci` is a real one, with the packages that it has fetched here before: six seconds.
    npm_config_cache: process.env.npm_config_cache ?? join(homedir(), '.npm'),
    npm_config_userconfig: process.env.npm_config_userconfig ?? join(homedir(), '.npmrc'),
    npm_config_prefer_offline: 'true',
    ...Object.fromEntries(network.map(([name, value = '']) => [name, value])),
  }
}

/** What everybody who logs in runs: the command that was sent, as a login of Ubuntu runs it, and nothing of this computer's own. */
function writeEntry(folder: string, variables: Record<string, string>): void {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const words = Object.entries(variables).map(([name, value]) => quoted(`${name}=${value}`))
  writeFileSync(
    join(folder, 'entry'),
    `#!/bin/sh\ncd ${quoted(join(folder, 'home'))}\nexec env -i ${words.join(' ')} /bin/bash -c "\${SSH_ORIGINAL_COMMAND:-exec /bin/bash}"\n`,
    { mode: 0o755 },
  )
}

/** Every process that was started in the machine: it has its home, or works in a folder of it. */
function processesOf(folder: string): Process[] {
  return processesBelow(0).filter(({ pid }) => {
    try {
      const isThere = readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
      return isThere || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder)
    } catch {
      return false // it ended meanwhile, or is another person's
    }
  })
}

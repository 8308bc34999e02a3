// What a rented machine gets before it works. Node is installed for real, from a mirror of the tests' own; packages of Ubuntu and
// cards cannot be had here, so apt-get, sudo's work, nvidia-smi and lspci are programs on PATH that note what was asked of them.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { LEAST_DRIVER } from '../../lib/model/cuda.ts'
import { root } from '../run.ts'

const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-setup-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const SYSTEM =
  'sh env id uname dirname cut head grep cat rm mkdir mv cp ln chmod touch tar xz curl sha256sum cmp make awk true timeout'
const setup = readFileSync(join(root, 'bin/instance/setup.sh'), 'utf8')
const [, VERSION] = /^NODE_VERSION=(.+)$/m.exec(setup) ?? []
const [, PIN] = /^NODE_SHA256=(.+)$/m.exec(setup) ?? []
const NODE = `exec '${process.execPath}' "$@"`
const PIP = `[ "$*" = '-m pip --version' ]`

type Machine = {
  folder: string
  /** What its programs were asked, in order. */
  asked(): string[]
  setUp(words?: string[], environment?: Record<string, string>): Promise<{ code: number | null; said: string }>
}

/**
 * A machine with the programs of a system, but for those that are undefined here, and with these scripts, each of which notes that
 * it was asked. Its packages of npm are up to date.
 */
function machine(programs: Record<string, string | undefined>, script = setup): Machine {
  const folder = mkdtempSync(join(scratch, 'machine-'))
  const path = join(folder, 'path')
  const notes = join(folder, 'asked')
  for (const place of [path, join(folder, 'bin/instance'), join(folder, 'node_modules')])
    mkdirSync(place, { recursive: true })
  writeFileSync(join(folder, 'bin/instance/setup.sh'), script)
  cpSync(join(root, 'package-lock.json'), join(folder, 'package-lock.json'))
  utimesSync(join(folder, 'package-lock.json'), 1e9, 1e9)
  writeFileSync(
    join(folder, 'Makefile'),
    `node_modules: package-lock.json\n\tfalse\ncuda:\n\t@echo make cuda >> '${notes}'; [ ! -e broken ]\n`,
  )
  for (const name of SYSTEM.split(' ')) {
    const place = ['/usr/bin', '/bin'].map(bin => join(bin, name)).find(existsSync)
    if (place !== undefined && !(name in programs)) symlinkSync(place, join(path, name))
  }
  const all: Record<string, string | undefined> = {
    node: NODE,
    npm: '',
    python3: PIP,
    sleep: '',
    'apt-get': '',
    sudo: '',
    ...programs,
  }
  for (const [name, text] of Object.entries(all)) {
    if (text === undefined) continue
    const note = name === 'node' || name === 'python3' ? '' : `echo "${name} $*" >> '${notes}'\n`
    writeFileSync(join(path, name), `#!/bin/sh\n${note}${name === 'sudo' ? 'shift; exec "$@"' : text}\n`)
    chmodSync(join(path, name), 0o755)
  }
  return {
    folder,
    asked: () =>
      (existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n') : []).filter(
        line => !line.startsWith('sudo'),
      ),
    async setUp(words = [], environment = {}) {
      const child = spawn('sh', ['bin/instance/setup.sh', ...words], {
        cwd: folder,
        env: { PATH: path, HOME: folder, NOTES: notes, ...environment },
      })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (said += data))
      const code = await new Promise<number | null>(resolve => child.on('close', resolve))
      return { code, said }
    },
  }
}

/** Files of nodejs.org, as far as they are asked for. */
async function mirror(files: Record<string, Buffer>): Promise<{ url: string; close(): void }> {
  const server = createServer(({ url = '' }, response) => {
    const file = files[url]
    response.writeHead(file === undefined ? 404 : 200).end(file)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}

/** What nodejs.org packs, with the Node that runs here in it. */
function packedNode(): Buffer {
  const name = `node-v${VERSION}-linux-x64`
  const bin = join(scratch, name, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const [program, text] of [
    ['node', NODE],
    ['npm', ':'],
  ]) {
    writeFileSync(join(bin, program), `#!/bin/sh\n${text}\n`)
    chmodSync(join(bin, program), 0o755)
  }
  const file = join(scratch, `${name}.tar.xz`)
  expect(spawnSync('tar', ['-cJf', file, '-C', scratch, name]).status).toBe(0)
  return readFileSync(file)
}

const CARD = `echo '00:1e.0 0302: 10de:1eb8 (rev a1)'`
/** A driver that is there once its module was loaded. */
const DRIVER_ONCE_LOADED = `grep -q '^modprobe nvidia$' "$NOTES" && echo 580.178.04`
const APT = 'apt-get -qq -o DPkg::Lock::Timeout=300'
const LIBRARIES = 'nvidia-utils-580-server libnvidia-compute-580-server'
const MODULES = `linux-modules-nvidia-580-server-open-${release()}`
const LOADED = ['modprobe -q -r nvidia_uvm nvidia_drm nvidia_modeset nvidia', 'modprobe nvidia', 'modprobe nvidia_uvm']

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('setting up a rented machine', () => {
  it('does nothing where everything is there, however often', async () => {
    const { asked, setUp } = machine({ lspci: '' })
    for (const words of [[], [], ['--card']]) {
      const { code, said } = await setUp(words)
      expect(code, said).toBe(0)
      expect(said).toContain(`setup: ready: Node ${process.versions.node}`)
      expect(said.includes('no NVIDIA card: the CPU does the work')).toBe(words.length > 0)
    }
    expect(asked()).toEqual(['lspci -n -d 10de:'])
  })

  it('installs Node where there is none or an old one, checked by its hash, and only once', async () => {
    const packed = packedNode()
    const nodejs = await mirror({ [`/v${VERSION}/node-v${VERSION}-linux-x64.tar.xz`]: packed })
    const from = { NODE_MIRROR: nodejs.url }
    const hash = createHash('sha256').update(packed).digest('hex')
    expect(PIN).toMatch(/^[0-9a-f]{64}$/)
    for (const node of [undefined, '[ "$1" != -e ]']) {
      const other = machine({ node })
      const refused = await other.setUp([], from)
      expect(refused.code).toBe(1)
      expect(refused.said).toContain(`has the SHA-256 ${hash}, and not ${PIN}`)
      for (const name of ['node', 'node.part']) expect(existsSync(join(other.folder, name))).toBe(false)

      const { folder, setUp } = machine({ node }, setup.replace(String(PIN), hash))
      const first = await setUp([], from)
      expect(first.code, first.said).toBe(0)
      expect(first.said).toContain(`setup: installing Node ${VERSION} from ${nodejs.url}`)
      expect(existsSync(join(folder, 'node/bin/node'))).toBe(true)
      expect((await setUp([], from)).said).toBe(`setup: ready: Node ${process.versions.node}\n`)
    }
    const { code, said } = await machine({ node: undefined, sleep: '' }).setUp([], {
      NODE_MIRROR: `${nodejs.url}/none`,
    })
    expect(code).toBe(1)
    expect(said).toContain('Node cannot be fetched from')
    nodejs.close()
  }, 60_000)

  it('installs what else is missing in one go, and waits for whoever else installs', async () => {
    // The lists are in use at first.
    const apt = `case "$*" in
      *update) [ "$(grep -c update "$NOTES")" -ge 3 ] || { echo 'E: Could not get lock /var/lib/apt/lists/lock' >&2; exit 100; } ;;
      *install*) ln -s /usr/bin/make path; echo '#!/bin/sh' > path/lspci; chmod +x path/lspci
        printf '#!/bin/sh\\n' > path/python3; chmod +x path/python3 ;;
    esac`
    const { asked, setUp } = machine({ make: undefined, python3: undefined, 'apt-get': apt, 'cloud-init': '' })
    const { code, said } = await setUp(['--card'])
    expect(code, said).toBe(0)
    const update = `${APT} update`
    expect(asked().slice(0, 7)).toEqual([
      'cloud-init status --wait',
      ...[update, 'sleep 10', update, 'sleep 10', update],
      `${APT} install -y --no-install-recommends make python3-pip pciutils`,
    ])
    expect(said).toContain('setup: installing make python3-pip pciutils')
  })

  it('says what cannot be installed', async () => {
    const { setUp } = machine({ make: undefined, 'apt-get': 'exit 100' })
    const { code, said } = await setUp()
    expect(code).toBe(1)
    expect(said).toContain('these cannot be installed: make')
  })

  it('brings packages up to date, and lets alone those that are a link', async () => {
    const { folder, asked, setUp } = machine({})
    utimesSync(join(folder, 'node_modules'), 1e8, 1e8)
    for (const turn of ['first', 'second']) expect((await setUp()).code, turn).toBe(0)
    expect(asked()).toEqual(['npm ci --omit=dev --loglevel=error'])
    const linked = machine({})
    rmSync(join(linked.folder, 'node_modules'), { recursive: true })
    symlinkSync(scratch, join(linked.folder, 'node_modules'))
    utimesSync(join(linked.folder, 'package-lock.json'), 2e9, 2e9)
    expect((await linked.setUp()).said).toContain('node_modules is a link')
    expect(linked.asked()).toEqual([])
  })

  it('gives a card the modules of the kernel that runs, in one go with its libraries, and no restart', async () => {
    expect(setup).toContain(`LEAST_DRIVER=${LEAST_DRIVER}\n`)
    for (const before of ['', 'echo 535.183.01;']) {
      const { asked, setUp } = machine({
        lspci: CARD,
        'nvidia-smi': `${DRIVER_ONCE_LOADED} || { ${before} exit 9; }`,
        modprobe: '',
      })
      const { code, said } = await setUp(['--card'])
      expect(code, said).toBe(0)
      expect(asked().filter(line => !line.startsWith('nvidia-smi'))).toEqual([
        'lspci -n -d 10de:',
        `${APT} update`,
        `${APT} install -s ${MODULES} ${LIBRARIES}`,
        `${APT} install -y --no-install-recommends ${MODULES} ${LIBRARIES}`,
        ...LOADED,
        'make cuda',
      ])
    }
  })

  it('builds the modules where there are none that fit', async () => {
    const apt = 'case "$*" in *linux-modules*) exit 100 ;; esac'
    const { asked, setUp } = machine({ lspci: CARD, 'nvidia-smi': DRIVER_ONCE_LOADED, modprobe: '', 'apt-get': apt })
    const { code, said } = await setUp(['--card'])
    expect(code, said).toBe(0)
    expect(
      asked()
        .filter(line => !line.startsWith('nvidia-smi'))
        .slice(3),
    ).toEqual([
      `${APT} install -y --no-install-recommends nvidia-dkms-580-server-open linux-headers-${release()} ${LIBRARIES}`,
      ...LOADED,
      'make cuda',
    ])
  })

  it('asks for no driver where one is there', async () => {
    const { asked, setUp } = machine({ lspci: CARD, 'nvidia-smi': 'echo 590.44.01' })
    expect((await setUp(['--card'])).code).toBe(0)
    expect(asked().filter(line => line.startsWith('apt-get'))).toEqual([])
    expect(asked().at(-1)).toBe('make cuda')
  })

  it('says so, and ends with 4, where the card stays without a driver or without CUDA: the CPU can do the work', async () => {
    const without = await machine({ lspci: CARD, 'nvidia-smi': 'exit 9', modprobe: 'exit 1' }).setUp(['--card'])
    expect(without.code, without.said).toBe(4)
    expect(without.said).toMatch(
      /the card has no driver 580 or later \(nvidia-smi says: nothing\)[\s\S]*ready but for the card/,
    )
    const broken = machine({ lspci: CARD, 'nvidia-smi': 'echo 590.44.01' })
    writeFileSync(join(broken.folder, 'broken'), '')
    const { code, said } = await broken.setUp(['--card'])
    expect(code, said).toBe(4)
    expect(said).toContain('what CUDA needs cannot be installed')
  })

  it('refuses an option that does not exist', async () => {
    expect(await machine({}).setUp(['--crad'])).toMatchObject({
      code: 2,
      said: expect.stringContaining('no option --crad'),
    })
  })
})

const shellcheck = join(root, '.venv/bin/shellcheck')
it.skipIf(!existsSync(shellcheck) && !process.env.CI)('is what shellcheck has nothing to say about', () => {
  const scripts = ['setup.sh', 'postgres.sh'].map(name => join(root, 'bin/instance', name))
  const { status, stdout } = spawnSync(shellcheck, scripts, { encoding: 'utf8' })
  expect(status, stdout).toBe(0)
})

// What a new instance is told is what cloud-init and systemd understand: asked of the programs themselves, where they are here.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { userData } from '../../lib/cloud/user-data.ts'

const has = (program: string) => spawnSync(program, ['--version']).status === 0
const hasCloudInit = has('cloud-init')
const hasSystemd = has('systemd-analyze')

type Config = {
  user: { name: string }
  ssh_authorized_keys: string[]
  ssh_keys: { ed25519_private: string; ed25519_public: string }
  write_files: { path: string; content: string }[]
  runcmd: string[][]
}

const folder = mkdtempSync(join(tmpdir(), 'user-data-'))
const ENDS = new Date('2031-03-30T01:30:00.700Z') // an hour that is left out in half of Europe
let words: Parameters<typeof userData>[0]

beforeAll(() => {
  for (const name of ['host', 'login'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)])
  const key = (name: string) => readFileSync(join(folder, name), 'utf8')
  words = {
    authorizedKey: key('login.pub'),
    hostKey: { private: key('host'), public: key('host.pub') },
    sshPort: 22,
    ends: ENDS,
    user: 'ubuntu',
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function configOf(text: string): Config {
  return JSON.parse(text.slice(text.indexOf('\n')))
}

/** Writes what cloud-init would write, all into one folder, and returns its files. */
function laidOut(text: string): string[] {
  return configOf(text).write_files.map(({ path, content }) => {
    const file = join(folder, basename(path))
    writeFileSync(file, content)
    return file
  })
}

describe('the first words to an instance', () => {
  it.skipIf(!hasCloudInit)('are a cloud-config by its own schema, and one with a mistake is not', () => {
    const file = join(folder, 'config')
    const judge = (text: string) => {
      writeFileSync(file, text)
      return spawnSync('cloud-init', ['schema', '--config-file', file], { encoding: 'utf8' })
    }
    for (const sshPort of [22, 2222]) {
      const { status, stdout } = judge(userData({ ...words, sshPort }))
      expect([status, stdout]).toEqual([0, expect.stringContaining('Valid cloud-config')])
    }
    expect(judge(userData(words).replace('"runcmd":[[', '"runcmd":[1,[')).status).not.toBe(0)
  })

  it('are far below the 16 KB that EC2 takes', () => {
    expect(userData({ ...words, sshPort: 65535 }).length).toBeLessThan(16_384 / 4)
  })

  it('carry both keys so that ssh takes them', () => {
    const { user, ssh_authorized_keys, ssh_keys } = configOf(
      userData({ ...words, hostKey: { ...words.hostKey, private: words.hostKey.private.trim() }, user: 'admin' }),
    )
    expect(user.name).toBe('admin')
    expect(ssh_authorized_keys).toEqual([words.authorizedKey.trim()])
    const file = join(folder, 'written-host-key')
    writeFileSync(file, ssh_keys.ed25519_private, { mode: 0o600 })
    const derived = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' })
    expect(derived.split(' ').slice(0, 2)).toEqual(ssh_keys.ed25519_public.split(' ').slice(0, 2))
  })

  it.skipIf(!hasSystemd)(
    'make a timer that systemd takes, at the second that was asked for, whatever the time zone',
    () => {
      const files = laidOut(userData(words))
      expect(files.map(file => basename(file))).toEqual(['quarterdeck-end.service', 'quarterdeck-end.timer'])
      const verdict = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' })
      expect([verdict.status, verdict.stderr]).toEqual([0, ''])

      const timer = readFileSync(join(folder, 'quarterdeck-end.timer'), 'utf8')
      const when = /^OnCalendar=(.*)$/m.exec(timer)?.[1] ?? ''
      for (const TZ of ['UTC', 'Europe/Berlin', 'Asia/Kolkata']) {
        const told = execFileSync('systemd-analyze', ['calendar', when], {
          encoding: 'utf8',
          env: { ...process.env, TZ },
        })
        const [next] = /\(in UTC\): .*|Next elapse: .* UTC$/m.exec(told) ?? []
        expect(next).toContain('2031-03-30 01:30:00 UTC')
      }
      expect(timer).toContain('Persistent=true')
    },
  )

  it('power the machine off at once when the time is over before the timer is set, and not before', () => {
    const run = (ends: Date) => {
      const commands = configOf(userData({ ...words, ends })).runcmd
      const [, , line] = commands.find(([program]) => program === 'sh') ?? []
      const script = `systemctl() { echo "systemctl $*"; }\n${line}`
      return execFileSync('sh', ['-c', script], { encoding: 'utf8' })
    }
    expect(run(new Date(Date.now() - 1000))).toBe('systemctl start quarterdeck-end.service\n')
    expect(run(new Date(Date.now() + 60_000))).toBe('')
  })

  it('write nothing about the port where it is the usual one, and else start what listens again', () => {
    const plain = configOf(userData(words))
    expect(JSON.stringify(plain)).not.toContain('sshd_config')
    const moved = configOf(userData({ ...words, sshPort: 2222 }))
    expect(moved.write_files.at(-1)).toMatchObject({
      path: '/etc/ssh/sshd_config.d/10-quarterdeck.conf',
      content: 'Port 2222\n',
    })
    // What systemd listens at is read from the file by daemon-reload: it must come before.
    const programs = moved.runcmd.map(command => command.join(' '))
    expect(programs.indexOf('systemctl daemon-reload')).toBeLessThan(
      programs.indexOf('systemctl try-restart ssh.socket ssh.service'),
    )
    expect(plain.runcmd).toEqual(moved.runcmd.slice(0, -1))
  })
})

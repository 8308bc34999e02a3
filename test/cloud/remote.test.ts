// A rented machine over ssh: a real sshd of this computer (machine.ts), and what goes wrong between two machines.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callersAddress } from '../../lib/cloud/callers-address.ts'
import { readNotes, writeNotes } from '../../lib/cloud/notes.ts'
import { begin, bring, news } from '../../lib/cloud/quarter-there.ts'
import {
  fetchFile,
  type Machine,
  makeKeys,
  quoted,
  RemoteFailure,
  runThere,
  sendFiles,
  Unreachable,
} from '../../lib/cloud/remote.ts'
import { userData } from '../../lib/cloud/user-data.ts'
import { environmentOfInstance } from '../../lib/settings.ts'
import { scratchFolder } from '../db/servers.ts'
import { refusalOf } from '../refusal.ts'
import { sshdIsHere, sshUser, startMachine, type Machine as TestMachine } from './machine.ts'

const AN_HOUR = 3_600_000

describe.skipIf(!sshdIsHere)('a rented machine', () => {
  let folder: string
  let played: TestMachine
  let machine: Machine

  beforeAll(async () => {
    // A home may be called anything.
    folder = join(scratchFolder(), "100 % Ann's calls")
    await makeKeys(folder)
    const text = (name: string) => readFileSync(join(folder, name), 'utf8')
    const words = userData({
      authorizedKey: text('key.pub'),
      hostKey: { private: text('host-key'), public: text('host-key.pub') },
      sshPort: 2222,
      ends: new Date(Date.now() + AN_HOUR),
      user: sshUser,
    })
    played = await startMachine(Buffer.from(words).toString('base64'))
    const { address, port } = played
    machine = { id: 'i-1', region: 'us-east-1', address, port, user: sshUser, keys: folder, bySessionManager: false }
  })
  afterAll(async () => {
    await played?.end()
    rmSync(dirname(folder), { recursive: true, force: true })
  })

  it('runs commands with words of any kind, and says what they print', async () => {
    const awkward = `it's "a" $(word) \\ with\nall`
    expect(await runThere(machine, `printf %s ${quoted(awkward)}`)).toBe(awkward)
    expect(await runThere(machine, 'cat', { input: 'a secret' })).toBe('a secret')
  })

  it('tells a command that failed from a machine that cannot be reached', async () => {
    await expect(runThere(machine, 'echo no such thing >&2; exit 3')).rejects.toThrow(RemoteFailure)
    await expect(runThere(machine, 'echo no such thing >&2; exit 3')).rejects.toThrow('no such thing')
    played.front.refuse(1)
    await expect(runThere(machine, 'true')).rejects.toThrow(Unreachable)
  })

  it('lets no other machine pose as it, and nobody else in', async () => {
    const other = join(folder, 'other')
    await makeKeys(other)
    await expect(runThere({ ...machine, keys: other }, 'true')).rejects.toThrow(/[Hh]ost key/)
    // The right host key, and the wrong key of a person.
    writeFileSync(join(other, 'known-hosts'), readFileSync(join(folder, 'known-hosts')))
    await expect(runThere({ ...machine, keys: other }, 'true')).rejects.toThrow(/denied/)
  })

  it('is reached through Session Manager by its id, with no address at all', async () => {
    // Session Manager cannot be had here: what stands for AWS's program says what it was asked, and goes straight to the machine.
    const programs = join(folder, 'programs')
    mkdirSync(programs)
    writeFileSync(
      join(programs, 'aws'),
      `#!/bin/bash
echo "$*" > "${join(folder, 'asked')}"
exec 3<> /dev/tcp/${played.address}/${played.port}
cat <&3 &
cat >&3
kill $!
`,
      { mode: 0o755 },
    )
    const path = process.env.PATH
    process.env.PATH = `${programs}:${path}`
    try {
      const hidden = { ...machine, address: 'nowhere', bySessionManager: true }
      expect(await runThere(hidden, 'echo here')).toBe('here\n')
    } finally {
      process.env.PATH = path
    }
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe(
      'ssm start-session --region us-east-1 --target i-1 --document-name AWS-StartSSHSession --parameters portNumber=2222\n',
    )
  })

  it('keeps its keys to this person, and the same when they are made again', async () => {
    const before = readFileSync(join(folder, 'key'), 'utf8')
    expect(statSync(join(folder, 'key')).mode & 0o077).toBe(0)
    await makeKeys(folder)
    expect(readFileSync(join(folder, 'key'), 'utf8')).toBe(before)
  })

  it('takes files, also through links, and gives them back whole or not at all', async () => {
    const from = join(folder, 'calls')
    mkdirSync(join(from, 'inner'), { recursive: true })
    writeFileSync(join(from, 'inner', 'a call.txt'), 'good morning'.repeat(10_000))
    symlinkSync(join(from, 'inner', 'a call.txt'), join(from, 'link.txt'))
    let bytes = 0
    await sendFiles(machine, { from: folder, names: ['calls'], into: 'there' }, more => {
      bytes += more
    })
    expect(bytes).toBeGreaterThan(120_000)
    expect(await runThere(machine, 'test ! -L there/calls/link.txt && cat there/calls/link.txt')).toHaveLength(120_000)

    const file = 'there/calls/inner/a call.txt'
    const sha256 = createHash('sha256').update('good morning'.repeat(10_000)).digest('hex')
    const to = join(folder, 'back.txt')
    await fetchFile(machine, { file, to, sha256 })
    expect(readFileSync(to, 'utf8')).toHaveLength(120_000)
    rmSync(to)

    // A connection that broke: what had come is kept, and the rest is fetched.
    const part = `${to}.${sha256.slice(0, 8)}.part`
    writeFileSync(part, 'good morning'.repeat(4000))
    let heard: number[] = []
    await fetchFile(machine, { file, to, sha256 }, more => heard.push(more))
    expect(heard[0]).toBe(48_000)
    expect(heard.reduce((sum, more) => sum + more)).toBe(120_000)
    expect(readFileSync(to, 'utf8')).toBe('good morning'.repeat(10_000))
    rmSync(to)
    // What had come was something else: the next attempt begins anew.
    writeFileSync(part, 'good evening')
    await expect(fetchFile(machine, { file, to, sha256 })).rejects.toThrow(Unreachable)
    heard = []
    await fetchFile(machine, { file, to, sha256 }, more => heard.push(more))
    expect(heard.reduce((sum, more) => sum + more)).toBe(120_000)
    rmSync(to)
    await expect(fetchFile(machine, { file, to, sha256: 'another' })).rejects.toThrow(Unreachable)
    await expect(fetchFile(machine, { file: 'there/nothing', to, sha256 })).rejects.toThrow('No such file')
    expect(() => statSync(to)).toThrow()
    const missing = sendFiles(machine, { from: folder, names: ['nothing'], into: 'there' })
    await expect(missing).rejects.toThrow(/nothing/)
  })

  it('gets secrets by standard input into a file of its own, and everything that the work needs', async () => {
    const environment = environmentOfInstance(0.31, {
      XAI_API_KEY: "it's secret",
      QUARTERDECK_CHAT_MODEL: 'grok',
      QUARTERDECK_HOME: '/here',
      QUARTERDECK_THREADS: '2',
      PATH: '/bin',
      AWS_SECRET_ACCESS_KEY: 'stays here',
    })
    const root = join(import.meta.dirname, '../..')
    const cargo = { root, version: '0.1.0+abcdef1', transcripts: undefined, model: undefined, checkpoint: undefined }
    await bring(machine, { ...cargo, environment })
    const there = await runThere(machine, 'cat quarterdeck/run/environment; stat -c %a quarterdeck/run/environment')
    expect(there.trim().split('\n').sort()).toEqual(
      [
        `XAI_API_KEY='it'\\''s secret'`,
        "QUARTERDECK_CHAT_MODEL='grok'",
        "QUARTERDECK_SPOT_NOTICE='true'",
        "QUARTERDECK_DOLLARS_PER_HOUR='0.31'",
        '600',
      ].sort(),
    )
    expect(await runThere(machine, 'cat quarterdeck/.git/HEAD')).toBe('abcdef1\n')
    expect(await runThere(machine, 'ls quarterdeck/test 2> /dev/null || true')).toBe('')
  })

  it('says what is new in whole lines, and whether anybody is at work', async () => {
    expect(await news(machine, 0)).toEqual({ text: '', bytes: 0, state: undefined, alive: false })
    await runThere(machine, 'cd quarterdeck && printf "first é\\nsecond" > run/log && echo $$ > run/pid')
    expect(await news(machine, 0)).toMatchObject({ text: 'first é\n', bytes: 9, alive: false })
    await runThere(
      machine,
      `cd quarterdeck && echo ' half' >> run/log && echo '{"state":"done","message":"","backup":null}' > run/state.json`,
    )
    expect(await news(machine, 9)).toMatchObject({ text: 'second half\n', state: { state: 'done' } })
  })

  it('begins one work at a time, with every word of it', async () => {
    const work = { quarter: '2024Q3', transcripts: '/calls', checkpoint: undefined, needsCard: false } as const
    const more = { database: 'postgres', method: 'communities' } as const
    // Something that says what it was called with, and takes long, stands in for the supervisor.
    const node = '#!/bin/sh\necho "$@" > run/words\nexec sleep 60\n'
    await runThere(machine, 'mkdir -p node/bin && cat > node/bin/node && chmod +x node/bin/node', { input: node })
    await runThere(machine, 'cd quarterdeck && echo : > bin/instance/setup.sh && rm -f run/state.json')
    await begin(machine, { ...work, ...more })
    expect(
      await runThere(machine, 'cd quarterdeck && until [ -s run/words ]; do sleep 0.05; done && cat run/words'),
    ).toMatch(/supervise.ts --quarter 2024Q3 --transcripts transcripts\/calls --postgres --method communities$/m)
    const pid = await runThere(machine, 'cat quarterdeck/run/pid')
    expect((await news(machine, 0)).alive).toBe(true)
    await begin(machine, { ...work, ...more })
    expect(await runThere(machine, 'cat quarterdeck/run/pid')).toBe(pid)
  })
})

describe('what is noted of a quarter', () => {
  it('is read as it was written, is nothing at first, and is refused when it is rubbish', async () => {
    const folder = scratchFolder()
    expect(await readNotes(folder)).toEqual({ hours: 0, dollars: 0, gates: [] })
    const gate = { region: 'us-east-1', group: 'sg-1', cidr: '198.51.100.7/32', port: 22 }
    await writeNotes(folder, { hours: 1.5, dollars: 0.46, gates: [gate] })
    expect(await readNotes(folder)).toEqual({ hours: 1.5, dollars: 0.46, gates: [gate] })
    writeFileSync(join(folder, 'notes.json'), '{"hours"')
    expect((await refusalOf(readNotes(folder))).hint).toContain(`rm ${folder}/notes.json`)
    rmSync(folder, { recursive: true })
  })
})

describe('the address of this machine', () => {
  it('is what the page says, as a range of one, and is asked of the person where the page says none', async () => {
    const page = (text: string) => `data:text/plain,${encodeURIComponent(text)}`
    expect(await callersAddress(page('198.51.100.7\n'))).toBe('198.51.100.7/32')
    expect((await refusalOf(callersAddress(page('<html>log in</html>')))).hint).toContain('--from')
    expect((await refusalOf(callersAddress('http://127.0.0.1:9'))).hint).toContain('--from')
  })
})

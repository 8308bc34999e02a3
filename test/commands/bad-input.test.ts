// Whatever is wrong, a person gets two lines: what it was, and what to type next; an exit code; and nothing is lost.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDatabase } from '../../lib/db/embedded/start.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { UsageError, UserError } from '../../lib/errors.ts'
import { readSettings } from '../../lib/settings.ts'
import { hasServerWithoutPgvector, readyHome, serverWithoutPgvector } from '../db/servers.ts'
import { here, tried } from '../here.ts'
import { fingerprints, type Options, quarterdeck, root, sample } from '../run.ts'
import { sharedFolder } from '../shared.ts'

const { home, remove } = await readyHome()
const ours: Options = { home }
const folder = join(home, 'input')
let before: Record<string, string>

const rows = () => withDatabase({ ...readSettings({}), home }, sql => fingerprints(sql))

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, content)
  return path
}

beforeAll(async () => {
  mkdirSync(folder, { recursive: true })
  const call = join(sample('2016Q4'), '20161004_MU')
  await here(['ingest', call, '--quarter', '2016Q4'], ours)
  before = await rows()
})
afterAll(remove)

/** Refused with this exit code, in two lines that contain the words, and the database is as it was. */
async function refused(words: string[], code: number, ...says: (string | RegExp)[]): Promise<void> {
  const outcome = await quarterdeck(words, ours)
  expect(outcome.stderr).not.toContain('should not have happened')
  expect(outcome.stderr).not.toMatch(/\n\s+at .*:\d+:\d+/) // no stack
  for (const word of says) expect(outcome.stderr).toMatch(word)
  expect(outcome.stderr).toMatch(/→ \S/)
  expect(outcome.stdout).toBe('')
  expect(outcome.code).toBe(code)
  expect(await rows()).toEqual(before)
}

/** The same of a command line that the door lets in, without the door: what it makes of such a refusal, others here show. */
async function refusedHere(words: string[], ...says: (string | RegExp)[]): Promise<void> {
  const { printed, error } = await tried(words, ours)
  if (!(error instanceof UserError)) throw error ?? new Error(`${words.join(' ')} was not refused`)
  expect(error).not.toBeInstanceOf(UsageError) // whose exit code is 2
  for (const word of says) expect(`${error.message}\n→ ${error.hint}`).toMatch(word)
  expect(error.hint).toMatch(/^\S/)
  expect(printed).toBe('')
  expect(await rows()).toEqual(before)
}

const ingest = (path: string, quarter = '2016Q4') => ['ingest', path, '--quarter', quarter]

describe('what ingest cannot read', () => {
  it('names a folder that is not there', () => refused(ingest(join(folder, 'nowhere')), 1, /nowhere/))

  it('names an empty file', () => refusedHere(ingest(file('20161005_NONE/text.txt', '')), /text\.txt/, /empty/))

  it('names an empty folder', () => {
    mkdirSync(join(folder, 'hollow'), { recursive: true })
    return refusedHere(ingest(join(folder, 'hollow')), /hollow/)
  })

  it('names a binary file', () => {
    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 256))
    return refusedHere(ingest(file('20161005_BIN/text.txt', bytes)), /text\.txt/, /no text: a NUL byte/)
  })

  it('names the byte at which a file stops being UTF-8', () => {
    const bytes = Buffer.concat([
      Buffer.from('Revenue grew 4 %.\nCaf'),
      Buffer.from([0xe9]),
      Buffer.from(' sales fell.\n'),
    ])
    return refused(ingest(file('20161005_LAT/text.txt', bytes)), 1, /UTF-8/, /21/, /iconv/)
  })

  it('names a line of a megabyte that no sentence ends', () =>
    refusedHere(
      ingest(file('20161005_LONG/text.txt', `Good morning.\n${'revenue '.repeat(131_072)}`)),
      /line 2/,
      /1,048,57/,
      /20,000/,
    ))

  it('names the columns that a CSV lacks and those it has', () =>
    refusedHere(
      ingest(
        file(
          'ciq.csv',
          'companyid,companyname,transcriptid,componentorder,mostimportantdateutc,speakertypename\n1,A,2,0,2016-10-05,Operator\n',
        ),
      ),
      /componenttext/,
      /companyname/,
    ))

  it('names the place at which JSON breaks off', () =>
    refusedHere(
      ingest(
        file(
          'call.json',
          '{"ticker": "ABC", "fiscal_period_year": 2016, "call_transcript": [{"section": "pres", "text": "Hel',
        ),
      ),
      /call\.json/,
      /cut short/,
      /line 1/,
    ))

  it('says which quarters there are when the wanted one is not among them', () =>
    refusedHere(ingest(join(sample('2016Q4'), '20161004_MU'), '2017Q1'), /2017Q1/, /2016Q4 \(1 call\)/))

  it('goes on with the other files, and says at the end that one was refused', async () => {
    const { home: other, remove: removeOther } = await readyHome()
    const mixed = join(folder, 'mixed')
    file('mixed/20161005_GOOD/text.txt', 'We opened twelve stores in the quarter.\nMargins rose by two points.\n')
    file('mixed/20161006_BAD/text.txt', Buffer.from([0x66, 0xff, 0x66]))
    const strict = await quarterdeck(ingest(mixed), { home: other })
    expect(strict.code).toBe(1)
    expect(strict.stderr).toMatch(/BAD/)
    expect(strict.stderr).toMatch(/1 file could not be read/)
    expect(JSON.parse(await here(['sql', 'select firm_id from firms', '--json'], { home: other }))).toEqual([
      { firm_id: 'GOOD' },
    ])
    const lenient = await quarterdeck([...ingest(mixed), '--skip-bad'], { home: other })
    expect(lenient.code).toBe(0)
    await removeOther()
  })
})

describe('a wrong command line', () => {
  it('ends with 2 on an unknown command', () => refused(['clustr'], 2, /clustr/, /cluster-firm/))
  it('ends with 2 on an unknown flag', () =>
    refused(['embed', '--quarter', '2016Q4', '--gpu'], 2, /gpu/i, /embed --help/))
  it('ends with 2 without a quarter', () => refused(['embed'], 2, /--quarter/))
  it('ends with 2 on something that is no quarter', () => refused(['embed', '--quarter', '2016'], 2, /2016/, /2024Q3/))
  it('ends with 2 on a number out of range', () =>
    refused(['cluster-firm', '--quarter', '2016Q4', '--min-cluster-size', '1'], 2, /min-cluster-size/, /2 to 1000/))
  it('ends with 2 on a flag without its value', () => refused(['embed', '--quarter'], 2, /quarter/))

  it('ends with 2 on an empty quarter, as make gives it without Q', () =>
    refused(['embed', '--quarter', ''], 2, /quarter/))
  it('ends with 2 on a flag that is given twice', () =>
    refused(['embed', '--quarter', '2016Q4', '--firm', 'MU', '--firm', 'BBY'], 2, /twice: MU and BBY/))
  it('ends with 2 on a switch with a value', () => refused(['status', '--json=false'], 2, /--json takes no value/))

  it('lets nothing out of a file command the terminal', async () => {
    const { stderr } = await quarterdeck(ingest(file('escape.csv', 'com\u001b[31mpanyid,b\n1,2\n')), ours)
    expect(stderr).toContain('panyid')
    expect(stderr).not.toContain('\u001b')
  })

  it('shows no password of a chat URL', async () => {
    const env = { XAI_API_KEY: 'xai-key', QUARTERDECK_CHAT_URL: 'http://anna:pw1234@127.0.0.1:9/v1' }
    const { code, stderr } = await quarterdeck(['name-topics', '--quarter', '2016Q4'], { home, env })
    expect(code).toBe(1)
    expect(stderr).toContain('QUARTERDECK_CHAT_URL')
    expect(stderr).not.toContain('pw1234')
  })

  it('prints the help of every command to stdout with 0', async () => {
    const help = await quarterdeck(['--help'], ours)
    expect(help.code).toBe(0)
    expect(help.stdout).toContain('cluster-firm')
    const one = await quarterdeck(['cluster-firm', '--help'], ours)
    expect(one.code).toBe(0)
    expect(one.stdout).toContain('--min-cluster-size')
  })

  it('keeps the zeros of an identifier', () =>
    refused(['embed', '--quarter', '2016Q4', '--firm', '0000320193'], 1, /0000320193/))
})

describe('steps out of order', () => {
  it('names the step that comes first', () =>
    refused(['cluster-firm', '--quarter', '2016Q4'], 1, /embed/, /quarterdeck embed --quarter 2016Q4/))
  it('names the quarters there are', () => refusedHere(['embed', '--quarter', '1999Q1'], /1999Q1/, /2016Q4/))
  it('names a firm that is not there', () =>
    refusedHere(['embed', '--quarter', '2016Q4', '--firm', 'NOSUCH'], /NOSUCH/))
  it('refuses to search what has no embeddings', () => refusedHere(['search', 'memory prices'], /embeddings/))
})

describe('statements that sql does not run', () => {
  it.each([
    ['delete from firms', /reading statement/],
    ['with gone as (delete from firms returning *) select * from gone', /only read|read-only/i],
    ['select 1; delete from firms', /one statement/],
    ["copy firms to 'firms.txt'", /reading statement/],
    ['select 1; commit; delete from firms', /one statement/],
    ['/* a comment */ drop table firms', /reading statement/],
    ["explain analyze insert into firms (firm_id) values ('X')", /only read|read-only/i],
  ])('%s', (statement, says) => refusedHere(['sql', statement], says))

  it('shows where a statement is wrong', () => refused(['sql', 'select nonsense from firms'], 1, /nonsense/))
})

describe('databases that cannot be used', () => {
  it('names the host of a DATABASE_URL that does not answer, and not its password', async () => {
    const { code, stderr } = await quarterdeck(['status'], {
      home,
      env: { DATABASE_URL: 'postgres://anna:s3cret@127.0.0.1:1/db' },
    })
    expect(code).toBe(1)
    expect(stderr).toContain('127.0.0.1:1')
    expect(stderr).not.toContain('s3cret')
  })

  it('gives up on a server that accepts and says nothing', async () => {
    const server = createServer(() => {})
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const { code, stderr } = await quarterdeck(['status'], {
      home,
      env: { DATABASE_URL: `postgres://anna@127.0.0.1:${port}/db?connect_timeout=2` },
    })
    server.close()
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${port}`)
  })

  const mini = sharedFolder('model', 'all-MiniLM-L6-v2') ?? ''
  it.skipIf(mini === '')('refuses a second model in the same database, and says how to go on', async () => {
    const { home: other, remove: removeOther } = await readyHome()
    await here(['ingest', join(sample('2016Q4'), '20161004_MU'), '--quarter', '2016Q4'], { home: other })
    await here(['embed', '--quarter', '2016Q4'], { home: other })
    const { code, stderr } = await quarterdeck(['embed', '--quarter', '2016Q4', '--model', mini], { home: other })
    expect(code).toBe(1)
    expect(stderr).toMatch(/earnings-static-256/)
    expect(stderr).toMatch(/all-MiniLM-L6-v2/)
    expect(stderr).toMatch(/QUARTERDECK_HOME/)
    for (const verb of ['cluster-firm', 'name-topics']) await here([verb, '--quarter', '2016Q4'], { home: other })
    const env = { QUARTERDECK_MODEL: mini }
    for (const words of [
      ['aggregate', '--quarter', '2016Q4'],
      ['search', 'memory prices'],
    ]) {
      const later = await quarterdeck(words, { home: other, env })
      expect(later.code, words[0]).toBe(1)
      expect(later.stderr).toMatch(/earnings-static-256/)
    }
    await removeOther()
  })

  it.skipIf(!hasServerWithoutPgvector)('refuses a server without pgvector, and says what to install', async () => {
    const server = await serverWithoutPgvector()
    const { code, stderr } = await quarterdeck(['status'], {
      home,
      env: { DATABASE_URL: server.settings.databaseUrl ?? '' },
    })
    await server.stop()
    expect(code).toBe(1)
    expect(stderr).toMatch(/no pgvector/)
    expect(stderr).toMatch(/→ install it on the server \(Debian: apt-get install postgresql-\d+-pgvector\)/)
  })

  it('refuses a second daemon on the same folder, which changes nothing', async () => {
    const { pid } = await startDatabase(home)
    const daemon = fileURLToPath(new URL('../../lib/db/embedded/daemon.ts', import.meta.url))
    const second = spawn(process.execPath, ['--import', 'tsx', daemon, home, join(home, 'run'), '600'], { cwd: root })
    let said = ''
    second.stderr.on('data', data => {
      said += data
    })
    second.stdout.on('data', data => {
      said += data
    })
    const [code] = await once(second, 'close')
    expect(`${code} ${said}`).toMatch(/already|another/i)
    expect((await startDatabase(home)).pid).toBe(pid)
    expect(await rows()).toEqual(before)
  })

  it('names a data folder that it may not write to', async () => {
    // Root may write anywhere, so a file where the folder should be stands in for a forbidden one there.
    const readOnly = join(folder, 'read-only')
    if (process.getuid?.() === 0) writeFileSync(readOnly, '')
    else {
      mkdirSync(readOnly)
      chmodSync(readOnly, 0o500)
    }
    const { code, stderr } = await quarterdeck(['status'], { home: join(readOnly, 'data') })
    expect(code).toBe(1)
    expect(stderr).toContain('read-only')
    expect(stderr).toContain('QUARTERDECK_HOME')
    expect(existsSync(join(readOnly, 'data'))).toBe(false)
    rmSync(readOnly, { recursive: true })
  })
})

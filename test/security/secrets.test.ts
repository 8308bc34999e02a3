// No password and no key anywhere but where the person put them: a whole quarter on a real server with both, and everything that
// goes wrong on the way; then all that was said, every command line, every row and every file are looked through.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, disconnect } from '../../lib/db/connect.ts'
import { databaseStatus } from '../../lib/db/embedded/start.ts'
import { type ChatServer, refuses, startChatServer, subjects } from '../chat-server.ts'
import { hasRealServer, type RealServer, readyHome, realServer } from '../db/servers.ts'
import { type Process, processesBelow } from '../processes.ts'
import { quarterdeck, STEPS, stepWords } from '../run.ts'

const QUARTER = '2024Q3'
const KEY = 'xai-secret-0123456789'
const TOKEN = 'hf_secret0123456789'
const WRONG = 'wr0ng-s3cret'

const { home, remove } = await readyHome()
/** All that commands have said, by what was typed. */
const said: string[] = []

/** What of the secrets stands in a text. */
function secretsIn(text: string, password = ''): string[] {
  const all = [KEY, TOKEN, WRONG, ...(password === '' ? [] : [password, encodeURIComponent(password)])]
  return all.filter(secret => text.includes(secret))
}

async function run(words: readonly string[], env: Record<string, string>): Promise<number | null> {
  const { code, stdout, stderr } = await quarterdeck(words, {
    home,
    env: { XAI_API_KEY: KEY, HF_TOKEN: TOKEN, ...env },
  })
  said.push(`${words.join(' ')}\n${stdout}${stderr}`)
  return code
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}

afterAll(remove)

describe.skipIf(!hasRealServer || process.platform !== 'linux')('secrets of a quarter on a server', () => {
  let server: RealServer
  let chat: ChatServer
  let env: Record<string, string>
  let refuse = false
  const processes = new Map<number, Process & { environment: string }>()
  let watching: NodeJS.Timeout

  /** Every process below this one. */
  function look(): void {
    for (const one of processesBelow(process.pid)) {
      if (processes.get(one.pid)?.command === one.command) continue
      let environment = ''
      try {
        environment = readFileSync(`/proc/${one.pid}/environ`, 'utf8')
      } catch {
        // it ended meanwhile
      }
      processes.set(one.pid, { ...one, environment })
    }
  }

  beforeAll(async () => {
    server = await realServer()
    chat = await startChatServer(() => (refuse ? refuses(401) : subjects))
    env = {
      DATABASE_URL: server.settings.databaseUrl ?? '',
      QUARTERDECK_CHAT_URL: chat.url,
      QUARTERDECK_CHAT_PRICE: '1/10',
      QUARTERDECK_METRICS_FILE: join(home, 'embed.prom'),
    }
    watching = setInterval(look, 100) // a command takes half a second and more
  })
  afterAll(async () => {
    clearInterval(watching)
    await chat?.close()
    await server?.stop()
  })

  it('are in nothing that the steps say, also where the chat API throws the key back', async () => {
    for (const verb of STEPS) {
      const words = stepWords(verb, QUARTER)
      if (verb === 'name-topics') {
        refuse = true
        expect(await run([...words, '--debug'], env)).toBe(1)
        refuse = false
      }
      expect(await run(words, env), said.at(-1)).toBe(0)
    }
    expect(chat.asked[0].authorization).toBe(`Bearer ${KEY}`) // it was really used
    for (const words of [['status'], ['themes', '--quarter', QUARTER], ['models'], ['search', 'containers']])
      expect(await run(words, env), said.at(-1)).toBe(0)
    expect(said.filter(text => secretsIn(text, server.password).length > 0)).toEqual([])
  }, 200_000)

  it('are in nothing that is said of an address, a server or a model that is wrong, with --debug too', async () => {
    const at = `127.0.0.1:${server.port}`
    const url = server.settings.databaseUrl ?? ''
    const before = said.length
    for (const databaseUrl of [
      `postgres://${server.user}:${WRONG}@${at}/postgres`,
      `postgres://me:${WRONG}@127.0.0.1:1/calls`,
      `postgres://me:${WRONG}#@${at}/calls`,
      `postgres://me:${WRONG}%@${at}/calls`,
      `postgres://me@${at}/calls?password=${WRONG}`,
      url.replace(/postgres$/, 'calls'),
      `${url}?sslmode=require`,
      `${url}?nonsense=1`,
    ])
      expect(await run(['status', '--debug'], { ...env, DATABASE_URL: databaseUrl }), databaseUrl).toBe(1)
    const hub = { HF_ENDPOINT: 'http://127.0.0.1:1', QUARTERDECK_MODEL_CACHE: join(home, 'models') }
    const embed = ['embed', '--quarter', QUARTER, '--force', '--model', `some/model@${'0'.repeat(40)}`, '--debug']
    expect(await run(embed, { ...env, ...hub })).toBe(1)
    expect(await run(['sql', 'select nonsense', '--debug'], env)).toBe(1)
    expect(said.slice(before).filter(text => secretsIn(text, server.password).length > 0)).toEqual([])
  }, 200_000)

  it('are in no command line of any process, and not in the environment of the model', () => {
    const all = [...processes.values()]
    expect(all.filter(one => secretsIn(one.command, server.password).length > 0)).toEqual([])
    const models = all.filter(one => one.command.includes('onnx-child.ts') && one.environment !== '')
    expect(models.length).toBeGreaterThan(0)
    expect(models.filter(one => secretsIn(one.environment, server.password).length > 0)).toEqual([])
    // The look was deep enough: the commands themselves have what they were given.
    expect(all.some(one => secretsIn(one.environment, server.password).length === 3)).toBe(true)
  })

  it('are in no row of any table', async () => {
    const sql = await connect(server.settings)
    const tables = await sql<{ name: string }[]>`
      select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`
    expect(tables.length).toBeGreaterThan(15)
    let rows = 0
    for (const { name } of tables) {
      const [{ text, n }] = await sql<{ text: string; n: number }[]>`
        select coalesce(string_agg(one::text, chr(10)), '') as text, count(*)::int as n from ${sql(name)} one`
      rows += n
      expect(secretsIn(text, server.password), name).toEqual([])
    }
    expect(rows).toBeGreaterThan(5000)
    await disconnect(sql)
  })

  it('are in no file of the data folder, the figures of embed among them', () => {
    const files = filesBelow(home)
    expect(files).toContain(join(home, 'embed.prom'))
    expect(files.filter(file => secretsIn(readFileSync(file, 'utf8'), server.password).length > 0)).toEqual([])
  })
})

describe('the embedded database', () => {
  it('knows no key: its daemon lives on after the command that started it', async () => {
    expect(await run(['status'], { DATABASE_URL: '' })).toBe(0)
    const { pid } = await databaseStatus(home)
    if (process.platform === 'linux') {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('daemon.ts')
      for (const file of ['cmdline', 'environ'])
        expect(secretsIn(readFileSync(`/proc/${pid}/${file}`, 'utf8'))).toEqual([])
    }
    for (const file of filesBelow(home)) expect(secretsIn(readFileSync(file, 'utf8')), file).toEqual([])
  })
})

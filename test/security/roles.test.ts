// sql/roles.sql on a real server: a whole quarter with each step as the role it is for, every role logged in by its URL, and what
// each role may not do.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { type Options, quarterdeck, root, sample, stepWords, succeed } from '../run.ts'

const QUARTER = '2024Q3'
const ROLES = ['owner', 'worker', 'reader'] as const
type Role = (typeof ROLES)[number]

const psqlIsHere = spawnSync('psql', ['--version']).status === 0
if (!psqlIsHere && process.env.CI) throw new Error('no psql for the tests')

describe.skipIf(!hasRealServer || !psqlIsHere)('the roles of sql/roles.sql', () => {
  let server: RealServer
  const as = {} as Record<Role, Database>
  const open: Database[] = []
  const urlOf = (user: string) => `postgres://${user}:pw-of-${user}@127.0.0.1:${server.port}/calls`
  const optionsOf = (role: Role): Options => ({
    home: server.settings.home,
    env: { DATABASE_URL: urlOf(`quarterdeck_${role}`) },
  })
  const step = (role: Role, verb: string, ...more: string[]) =>
    succeed(stepWords(verb, QUARTER, ...more), optionsOf(role))

  async function connected(databaseUrl: string): Promise<Database> {
    const sql = await connect({ home: '', databaseUrl })
    open.push(sql)
    return sql
  }
  function runFile(): string {
    const file = join(root, 'sql/roles.sql')
    const { stdout, stderr, status } = spawnSync('psql', ['-X', '-q', urlOf('administrator'), '-f', file], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, PGOPTIONS: '-c client_min_messages=warning' },
    })
    return `${status} ${stdout}${stderr}`
  }

  beforeAll(async () => {
    server = await realServer()
    // The administrator of a hosted server: no superuser, owner of the database, may make roles. The extension is there.
    const superuser = await connected(server.settings.databaseUrl ?? '')
    await superuser`create role administrator login createrole password 'pw-of-administrator'`
    await superuser`create database calls owner administrator`
    const calls = await connected((server.settings.databaseUrl ?? '').replace(/postgres$/, 'calls'))
    await calls`create extension vector`
    await succeed(['status'], { home: server.settings.home, env: { DATABASE_URL: urlOf('administrator') } })
    expect(runFile()).toBe('0 ')
    const administrator = await connected(urlOf('administrator'))
    for (const role of ROLES) {
      await administrator.unsafe(`alter role quarterdeck_${role} password 'pw-of-quarterdeck_${role}'`)
      as[role] = await connected(urlOf(`quarterdeck_${role}`))
    }
  }, 100_000)
  afterAll(async () => {
    for (const sql of open) await disconnect(sql)
    await server?.stop()
  })

  it('do a quarter together: the owner what makes or drops tables, the workers the rest, the reader looks', async () => {
    await step('owner', 'ingest')
    await step('owner', 'embed', '--firm', 'HLPW') // the first embed fixes the dimension
    await step('worker', 'embed')
    await step('worker', 'cluster-firm', '--method', 'communities') // which fills more tables, and makes the themes as well
    for (const verb of ['name-topics', 'aggregate']) await step('worker', verb)
    await step('owner', 'index')
    for (const verb of ['novelty', 'lineage']) await step('worker', verb)
    expect(JSON.parse(await step('reader', 'status', '--json')).quarters[0].next).toBe(null)
    expect(await step('reader', 'themes')).toContain('themes of 2024Q3')
    expect(await step('reader', 'search', 'containers rerouted around the Red Sea')).toContain('TRKB')
    const statement = 'select count(distinct firm_id)::int as n from sentence_vectors_2024q3' // a part that came later
    expect(JSON.parse(await succeed(['sql', statement, '--json'], optionsOf('reader')))).toEqual([{ n: 14 }])
    expect(await succeed(['models'], optionsOf('reader'))).toContain('earnings-static-256')
    // With an index there a worker does again what does not drop it, and looks how firm the topics are.
    await step('worker', 'cluster-firm', '--firm', 'HLPW', '--force')
    for (const verb of ['name-topics', 'aggregate']) await step('worker', verb)
    await step('worker', 'eval', '--firm', 'HLPW')
    // A quarter that is compared with this one: the sample has a call of October, too.
    await succeed(['ingest', sample(QUARTER), '--quarter', '2024Q4'], optionsOf('owner'))
    for (const verb of ['embed', 'cluster-firm', 'novelty'])
      await succeed([verb, '--quarter', '2024Q4'], optionsOf('worker'))
    const compared = await as.reader`select distinct firm_id, earlier_quarter from sentence_novelty`
    expect(compared).toEqual([{ firm_id: 'HLPW', earlier_quarter: QUARTER }])
  }, 100_000)

  it('are none of them above the others or above the server', async () => {
    for (const role of ROLES) {
      const rows = await as[role]`
        select current_user as name, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
          (select count(*)::int from pg_auth_members m where m.member = r.oid) as groups
        from pg_roles r where rolname = current_user`
      expect(rows).toEqual([
        {
          name: `quarterdeck_${role}`,
          ...{ rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolreplication: false, rolbypassrls: false },
          groups: 0,
        },
      ])
    }
  })

  const OF_THE_SERVER = [
    'select rolpassword from pg_authid',
    'create role more',
    'alter role quarterdeck_owner superuser',
    "alter role quarterdeck_owner valid until 'infinity'",
    'grant quarterdeck_owner to quarterdeck_reader',
    'set role administrator',
    'create database more',
    "copy firms to program 'cat'",
    "copy firms from '/etc/passwd'",
    "select pg_read_file('PG_VERSION')",
    'create temporary table mine (x int)',
  ]
  const OF_THE_OWNER = [
    'create table mine (x int)',
    'create function mine() returns int language sql as $$select 1$$',
    'create schema mine',
    `create table mine partition of sentences for values in ('2031Q1')`,
    'drop table sentence_vectors_2024q3',
    'drop table firms cascade',
    'drop index sentence_vectors_2024q3_hnsw',
    'alter table firms add column x int',
    'truncate sentence_vectors',
    'truncate themes cascade',
    'delete from calls',
    'delete from firms',
    'delete from runs',
    'delete from work',
    'delete from chat_answers',
    "update chat_answers set answer = ''",
    "update sentences set text = ''",
    "update sentences_2024q3 set text = ''",
    "update topics set label = ''",
    'delete from sentence_vectors_2024q3', // only through the whole table
    "insert into schema_versions values (99, 'x')",
    "insert into common_words values ('2024Q3', 'x', 1)",
    "comment on table firms is 'mine'",
    'create index on work (units)',
  ]
  const OF_THE_WORKER = [
    'delete from themes',
    'delete from topics',
    "update work set state = 'stale'",
    'insert into runs (command, options, code_version, worker) values ($$x$$, $${}$$, $$x$$, $$x$$)',
  ]

  it.each([
    ...OF_THE_SERVER.flatMap(statement => ROLES.map(role => [role, statement] as const)),
    ...OF_THE_OWNER.flatMap(statement => (['worker', 'reader'] as const).map(role => [role, statement] as const)),
    ...OF_THE_WORKER.map(statement => ['reader', statement] as const),
  ])('refuse the %s: %s', async (role, statement) => {
    await expect(as[role].unsafe(statement)).rejects.toMatchObject({ code: '42501' })
  })

  it('give the worker every table it writes and no more, and the reader none', async () => {
    const rights = await as.owner<{ name: string; worker: string; reader: string }[]>`
      select c.relname as name,
        concat_ws(' ', ${as.owner.unsafe(
          ['quarterdeck_worker', 'quarterdeck_reader']
            .map(
              role =>
                `concat_ws(' ', ${['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']
                  .map(right => `case when has_table_privilege('${role}', c.oid, '${right}') then '${right}' end`)
                  .join(', ')})`,
            )
            .join(`) as worker, concat_ws(' ', `),
        )}) as reader
      from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname collate "C"`
    expect(rights.filter(one => one.reader !== 'select')).toEqual([])
    expect(Object.fromEntries(rights.map(one => [one.name, one.worker.replace('select', '').trim()]))).toEqual({
      calls: '',
      chat_answers: 'insert',
      common_words: '',
      firms: '',
      learned_batches: 'insert update',
      runs: 'insert update',
      schema_versions: '',
      sentence_novelty: 'insert delete',
      sentence_novelty_2024q3: '',
      sentence_novelty_2024q4: '',
      sentence_vectors: 'insert delete',
      sentence_vectors_2024q3: '',
      sentence_vectors_2024q4: '',
      sentences: '',
      sentences_2024q3: '',
      sentences_2024q4: '',
      settings: 'insert update',
      subthemes: 'insert',
      subtopics: 'insert',
      theme_lineage: 'insert delete',
      theme_links: 'insert delete',
      theme_topics: 'insert',
      themes: 'insert delete',
      topic_names: 'insert delete',
      topic_novelty: 'insert delete',
      topic_sentences: 'insert delete',
      topic_sentences_2024q3: '',
      topic_sentences_2024q4: '',
      topic_vectors: 'insert delete',
      topics: 'insert delete',
      work: 'insert update',
    })
  })

  it('end a step of another role with what Postgres says, and nothing changed', async () => {
    // `index --force` says that it is to be done before it drops and builds, which fails.
    const standing = async () => [
      ...(await as.owner`select * from work where stage <> 'index' order by stage, quarter, firm_id`),
      ...(await as.owner`select indisvalid from pg_index where indexrelid = 'sentence_vectors_2024q3_hnsw'::regclass`),
    ]
    const before = await standing()
    for (const [role, ...words] of [
      ['worker', ...stepWords('ingest', QUARTER, '--force')],
      ['worker', 'index', '--quarter', QUARTER, '--force'],
      ['reader', 'embed', '--quarter', QUARTER, '--force'],
      ['reader', 'cluster-firm', '--quarter', QUARTER],
      ['reader', 'eval', '--quarter', QUARTER],
    ] as const) {
      const { code, stdout, stderr } = await quarterdeck(words, optionsOf(role))
      expect(stderr, words.join(' ')).toMatch(
        /(permission denied|must be owner).* may not do that\n {2}→ use the DATABASE_URL of a role|the table belongs to quarterdeck_owner\n {2}→ connect as/,
      )
      expect([code, stdout]).toEqual([1, ''])
      expect(await standing()).toEqual(before)
    }
  }, 100_000)

  it('are the same after the file is run again, with the passwords and the tables they have', async () => {
    const owners = () =>
      as.owner`select relname, pg_get_userbyid(relowner) from pg_class where relkind in ('r', 'p', 'i', 'S') order by oid`
    const before = [...(await owners())]
    expect(runFile()).toBe('0 ')
    expect([...(await owners())]).toEqual(before)
    expect((await quarterdeck(['status'], optionsOf('reader'))).code).toBe(0)
  })
})

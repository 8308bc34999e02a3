// `sql` on both databases, as the superuser that a researcher often is: what reads gets through, what can do more does not,
// and nothing runs on for somebody who has left.

import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, it } from 'vitest'
import { connect, type Database, disconnect } from '../../lib/db/connect.ts'
import { readOnlyQuery } from '../../lib/db/query.ts'
import { UserError } from '../../lib/errors.ts'
import { start } from '../run.ts'
import { onBothDatabases } from './both-databases.ts'
import { hasRealServer, realServer } from './servers.ts'

const READING = [
  "select 'a' as a",
  ' \n-- a comment\r-- select\n/* another: -- */ /**/select 1',
  "SELECT '--' || '/*' || ';' as text -- the end",
  'with t as (select 1 as x) select * from t',
  'values (1), (2)',
  'table firms',
  'explain (costs off) select * from firms',
  'explain analyze select * from firms',
  'show work_mem',
  "select random() < 2, clock_timestamp() > '2000-01-01', pg_total_relation_size('firms') > 0;",
  "select '[1,2]'::vector <=> '[2,1]'::vector as distance, count(*) over () from firms tablesample system (50)",
  "select 'drop table firms; delete from firms' as text",
]

// Each is refused on both databases; what it would have done is looked for afterwards where that can be seen.
const OTHER_WORDS = [
  "copy firms to '/tmp/firms'",
  "copy (select 1) to program 'touch FILE'",
  "/* /* */ select */ copy (select 1) to program 'touch FILE'", // comments nest in Postgres
  "/* a */ copy (select 1) to program 'touch FILE' /* */ select", // a comment ends at its first end
  "--\rcopy (\nselect 1) to program 'touch FILE'", // a carriage return ends a comment
  "-- select\ncopy (select 1) to program 'touch FILE'",
  '/*/ select 1 */ drop table firms',
  '/* /* select 1',
  'do $$ begin delete from firms; end $$',
  'call nothing()',
  'set transaction read write',
  'reset all',
  'commit',
  'prepare p as delete from firms',
  'execute p',
  'declare c cursor for select 1',
  'listen x',
  'vacuum',
  'lock table firms',
  '(select 1)',
  'merge into firms using firms f on true when matched then delete',
]
const WRITING = [
  'with gone as (delete from firms returning *) select * from gone',
  "with one as (insert into firms (firm_id) values ('X') returning *) table one",
  'select 1 into made',
  "explain analyze insert into firms (firm_id) values ('X')",
  'explain analyze with gone as (delete from firms returning *) select * from gone',
  'select * from firms for update',
  'select 1; delete from firms',
  'select 1; commit; delete from firms',
  "select $$;$$; copy (select 1) to program 'touch FILE'",
]
const ACTING = [
  "select set_config('transaction_read_only', 'off', true)",
  "select set_config('role', 'none', true)",
  "select pg_catalog . SET_CONFIG /* ( */ ('work_mem', '1MB', false)",
  "select \"set_config\"('work_mem', '1MB', false)",
  "select U&\"\\0073et_config\"('work_mem', '1MB', false)",
  "select u&\"!0073et_config\" uescape '!' ('work_mem', '1MB', false)",
  "select nextval('runs_run_id_seq')",
  "select setval('runs_run_id_seq', 1000)",
  "select pg_read_file('postgresql.conf')",
  "select pg_read_binary_file('PG_VERSION')",
  "select pg_ls_dir('.')",
  'select * from pg_ls_waldir()',
  "select pg_stat_file('PG_VERSION')",
  "select lo_import('/etc/hostname')",
  'select lo_create(4711)',
  "select lo_from_bytea(4711, 'x'), lo_export(4711, 'FILE')",
  'select pg_terminate_backend(pid) from pg_stat_activity',
  'select pg_cancel_backend(pid) from pg_stat_activity',
  'select pg_reload_conf()',
  'select pg_rotate_logfile()',
  'select pg_switch_wal()',
  "select pg_create_restore_point('x')",
  'select pg_promote()',
  'select pg_advisory_lock(1)',
  'select pg_advisory_xact_lock(1)',
  'select pg_stat_reset()',
  "select pg_notify('x', 'y')",
  "select pg_logical_emit_message(false, 'x', 'y')",
  'select pg_export_snapshot()',
  'select pg_sleep(100000)',
  'explain analyze select pg_sleep(100000)',
  "values (pg_sleep_for('1 day'))",
  'with x as materialized (select pg_sleep(100000)) select 1',
  'select 1 limit (pg_sleep(100000) is not null)::int',
  "select query_to_xml('select set_config(''work_mem'', ''1MB'', false)', true, true, '')",
  "select * from ts_stat('select to_tsvector(pg_read_file(''PG_VERSION''))')",
  'select home_made()',
  'select (f).home_made from firms f',
  "select * from crosstab('select 1, 2, pg_sleep(100000)')",
]

onBothDatabases('sql', open => {
  let sql: Database
  let other: Database
  const standing = async () =>
    await other`
      select (select count(*)::int from firms) as firms, to_regclass('made') as made,
        current_setting('work_mem') as work_mem, (select count(*)::int from pg_largeobject_metadata) as objects,
        (select count(*)::int from pg_locks where locktype = 'advisory') as locks,
        (select last_value from runs_run_id_seq) as number`

  beforeAll(async () => {
    ;({ sql, other } = await open())
    await sql`insert into firms (firm_id) values ('A')`
    await sql`create function home_made() returns int language sql as 'select 1'`
    await sql`create function home_made(f firms) returns int language sql as 'select 1'`
    // Stands in for the one of tablefunc, which runs its text although it is called stable.
    await sql`create function crosstab(text) returns table (a int) stable language plpgsql as 'begin return query execute $1; end'`
  })

  it.each(READING)('reads: %s', async statement => {
    expect((await readOnlyQuery(sql, statement)).columns.length).toBeGreaterThan(0)
  })

  it.each([
    ...OTHER_WORDS.map(statement => [statement, /^sql runs one reading statement/] as const),
    ...WRITING.map(statement => [statement, /only read|read-only|one statement|trailing|^the plan/] as const),
    ...ACTING.map(statement => [statement, /^sql may only read, and \S+ in the statement can do more$/] as const),
  ])('refuses: %s', async (statement, says) => {
    const before = await standing()
    const ended = readOnlyQuery(sql, statement)
    await expect(ended).rejects.toBeInstanceOf(UserError)
    await expect(ended).rejects.toThrow(says)
    expect(await standing()).toEqual(before)
    expect(await sql`show transaction_read_only`).toEqual([{ transaction_read_only: 'off' }]) // the session is as it was
  })

  it('takes back what Postgres itself lets through a read-only transaction', async () => {
    await readOnlyQuery(sql, 'explain analyze create table made as select 1')
    expect(await standing()).toMatchObject([{ made: null }])
  })

  it('names the function, and lets one of your own through that is said to read', async () => {
    await sql`create function reads_only() returns int language sql as 'select count(*)::int from firms'`
    await expect(readOnlyQuery(sql, 'select Reads_Only()')).rejects.toThrow('and reads_only in the statement')
    await sql`alter function reads_only stable`
    expect(await readOnlyQuery(sql, 'select Reads_Only() as n')).toEqual({ columns: ['n'], rows: [[1]] })
  })
})

it.skipIf(!hasRealServer)('is ended by a server when the person leaves, however', async () => {
  const server = await realServer()
  const sql = await connect(server.settings)
  const running = async () =>
    (
      await sql`select from pg_stat_activity where state = 'active' and query like ${'%generate_series(1, 1e15)%'} and pid <> pg_backend_pid()`
    ).length
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    const env = { DATABASE_URL: server.settings.databaseUrl ?? '' }
    const child = start(['sql', 'select count(*) from generate_series(1, 1e15)'], { home: server.settings.home, env })
    while ((await running()) === 0) await sleep(20)
    child.kill(signal)
    while ((await running()) > 0) await sleep(20)
  }
  await disconnect(sql)
  await server.stop()
})

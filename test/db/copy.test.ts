// Binary COPY on the embedded database and on a real server: what arrives is what was given, and a refusal is heard.

import { beforeAll, beforeEach, expect, it } from 'vitest'
import type { Database } from '../../lib/db/connect.ts'
import { type Column, type ColumnType, copyIn, copyRows } from '../../lib/db/copy.ts'
import { vectorText } from '../../lib/db/vector-format.ts'
import { onBothDatabases } from './both-databases.ts'

/** Type, value here, and how the server says it. */
const SORTS: [ColumnType, unknown, string][] = [
  ['int2', -32768, '-32768'],
  ['int4', 2147483647, '2147483647'],
  ['int8', 2n ** 63n - 1n, '9223372036854775807'],
  ['int8', -5, '-5'],
  ['float4', 0.1, '0.1'],
  ['float8', 1e-300, '1e-300'],
  ['float8', -0, '-0'],
  ['text', 'naïve "quoted" 😀\n\t\\N', 'naïve "quoted" 😀\n\t\\N'],
  ['text', '', ''],
  ['bool', true, 'true'],
  ['bool', false, 'false'],
  ['date', '2024-02-29', '2024-02-29'],
  ['date', '1999-12-31', '1999-12-31'],
  ['vector', Float32Array.of(0.1, -0, 1e-40), '[0.1,-0,1e-40]'],
  ['bytea', Buffer.from([0, 255]), '\\x00ff'],
  ['bytea', new Uint8Array(0), '\\x'],
  ['text[]', ['a', null, '{"}'], '{a,NULL,"{\\"}"}'],
  ['text[]', [], '{}'],
  ['int8[]', [1n, -5], '{1,-5}'],
  ['float4[]', Float32Array.of(0.1, 2), '{0.1,2}'],
  ['jsonb', { b: [1, null, 'é'] }, '{"b": [1, null, "é"]}'],
]

onBothDatabases('binary COPY', open => {
  let sql: Database

  beforeAll(async () => {
    ;({ sql } = await open())
  })
  beforeEach(async () => {
    await sql`drop table if exists points`
    await sql`create table points (id int primary key, name text, place vector(3))`
  })

  const POINTS: Column[] = [
    { name: 'id', type: 'int4' },
    { name: 'name', type: 'text' },
    { name: 'place', type: 'vector' },
  ]
  const point = (id: number) => [id, `point ${id}`, Float32Array.of(id, id / 3, -id)]
  const points = (n: number) => Array.from({ length: n }, (_, i) => point(i))
  async function rowsThere(): Promise<number> {
    const [{ n }] = await sql<{ n: number }[]>`select count(*)::int as n from points`
    return n
  }

  it('brings values of every type to the server as they are, and null as NULL', async () => {
    for (const [type, value, shown] of SORTS) {
      await sql`create temporary table sorts (value ${sql.unsafe(type)})`
      await copyRows(sql, 'sorts', [{ name: 'value', type }], [[value], [null]])
      const rows = await sql<
        { shown: string | null }[]
      >`select value::text as shown from sorts order by value nulls last`
      expect([type, ...rows.map(row => row.shown)]).toEqual([type, shown, null])
      await sql`drop table sorts`
    }
  })

  it('reads arrays back as they were given as parameters', async () => {
    const words = ['a', null, 'NULL', '', ' ', '{"}', 'a,b', '\\', 'naïve\n😀']
    const [row] = await sql`
      select ${words}::text[] as words, ${[]}::text[] as none, ${[1, null, -2]}::int[] as numbers,
        ${['9007199254740993', '-1']}::bigint[] as bigs, ${[0.1, 1e-7]}::float4[] as floats, array[true, null] as truths,
        ${words}::varchar[] as more, array['a', 'b']::name[] as names, null::text[] as nothing, 'b' = any(${['a', 'b']}) as found`
    expect(row).toEqual({
      words,
      none: [],
      numbers: [1, null, -2],
      bigs: [9007199254740993n, -1n],
      floats: [0.1, 1e-7],
      truths: [true, null],
      more: words,
      names: ['a', 'b'],
      nothing: null,
      found: true,
    })
    await expect(sql`select ${[undefined] as unknown as string[]}::text[]`).rejects.toThrow('undefined inside an array')
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })

  it('writes a vector in binary and in text to the same bytes', async () => {
    const vector = Float32Array.of(0.1, 1e-40, -1 / 3)
    await copyRows(sql, 'points', POINTS, [[1, null, vector]])
    const [{ same }] = await sql<{ same: boolean }[]>`
      select vector_send(place) = vector_send(${vectorText(vector)}::text::vector) as same from points`
    expect(same).toBe(true)
  })

  it('takes no rows, one row, and rows that come one after the other', async () => {
    expect(await copyRows(sql, 'points', POINTS, [])).toBe(0)
    expect(await copyRows(sql, 'points', POINTS, [point(-1)])).toBe(1)
    async function* oneByOne() {
      for (let id = 0; id < 3; id++) yield point(id)
    }
    expect(await copyRows(sql, 'points', POINTS, oneByOne())).toBe(3)
    expect(await rowsThere()).toBe(4)
  })

  it('splits what is over 16 MB, and it is still one change', async () => {
    const long = 'x'.repeat(1024)
    const many = Array.from({ length: 20_000 }, (_, id) => [id, long, null])
    expect(await copyRows(sql, 'points', POINTS, many)).toBe(20_000)
    await sql`truncate points`
    many[19_999][0] = 0 // refused in the second piece
    await expect(copyRows(sql, 'points', POINTS, many)).rejects.toThrow('duplicate key')
    expect(await rowsThere()).toBe(0)
  })

  it('rejects with the words of the server, and the connection works on', async () => {
    await copyRows(sql, 'points', POINTS, points(10))
    await expect(copyRows(sql, 'points', POINTS, points(10))).rejects.toThrow('duplicate key value violates unique')
    const flat = [[20, 'flat', Float32Array.of(1, 2)]]
    await expect(copyRows(sql, 'points', POINTS, flat)).rejects.toThrow('expected 3 dimensions, not 2')
    await expect(copyIn(sql, 'points', ['id'], [Buffer.from('garbage')])).rejects.toThrow(
      'row field count is 26465, expected 1',
    )
    await expect(copyRows(sql, 'nowhere', POINTS, points(1))).rejects.toThrow('"nowhere" does not exist')
    const wrong = [{ name: 'nothing', type: 'int4' }] as const
    await expect(copyRows(sql, 'points', wrong, [[1]])).rejects.toThrow('column "nothing"')
    expect(await rowsThere()).toBe(10)
    expect(await copyRows(sql, 'points', POINTS, [point(10)])).toBe(1)
  })

  it('rejects inside a transaction, which then takes back everything', async () => {
    const attempt = sql.begin(async tx => {
      await tx`insert into points (id) values (77)`
      expect(await copyRows(tx, 'points', POINTS, points(5))).toBe(5)
      await copyRows(tx, 'points', POINTS, points(5))
    })
    await expect(attempt).rejects.toThrow('duplicate key')
    expect(await rowsThere()).toBe(0)
  })

  it('keeps a transaction alive around a refused COPY inside a savepoint', async () => {
    await sql.begin(async tx => {
      await copyRows(tx, 'points', POINTS, points(5))
      const inner = tx.savepoint(async save => await copyRows(save, 'points', POINTS, points(5)))
      await expect(inner).rejects.toThrow('duplicate key')
      await copyRows(tx, 'points', POINTS, [point(5)])
    })
    expect(await rowsThere()).toBe(6)
  })

  it('forgets all rows when their source fails, and passes its error on', async () => {
    function* failing() {
      yield* points(20_000)
      throw new Error('no more paper')
    }
    await expect(copyRows(sql, 'points', POINTS, failing())).rejects.toThrow('no more paper')
    expect(await rowsThere()).toBe(0)
    expect(await copyRows(sql, 'points', POINTS, points(3))).toBe(3)
  })

  it('names table, column and row of a value that does not fit', async () => {
    const bad: [unknown[], string][] = [
      [[1, 'a'], 'points, row 2: 2 values for 3 columns'],
      [['1', 'a', null], 'points.id, row 2: found "1", wanted a whole number'],
      [[2 ** 31, 'a', null], 'points.id, row 2: The value of "value" is out of range'],
      [[1, undefined, null], 'points.name, row 2: found undefined, wanted a string'],
      [[1, 'a\0b', null], 'points.name, row 2: found "a\\u0000b", wanted text without the zero character'],
      [[1, 'a', [1, 2, 3]], 'points.place, row 2: found object 1,2,3, wanted a Float32Array'],
      [[1, 'a', Float32Array.of(1, Number.NaN, 3)], 'points.place, row 2: value 2 of 3 in a vector is NaN'],
    ]
    for (const [row, words] of bad)
      await expect(copyRows(sql, 'points', POINTS, [point(0), row])).rejects.toThrow(words)
    const day: Column[] = [{ name: 'id', type: 'date' }]
    await expect(copyRows(sql, 'points', day, [['2023-02-29']])).rejects.toThrow('wanted a day')
    expect(await rowsThere()).toBe(0)
  })
})

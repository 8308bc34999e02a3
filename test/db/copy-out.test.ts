// Reading in bulk on both databases: what comes is what copy.ts sends, and the connection lives on, whatever happens.

import { beforeAll, expect, it } from 'vitest'
import type { Database, Queries } from '../../lib/db/connect.ts'
import { copyIn } from '../../lib/db/copy.ts'
import { copyOut, type Rows } from '../../lib/db/copy-out.ts'
import { onBothDatabases } from './both-databases.ts'

async function all(sql: Queries, select: string): Promise<Rows[]> {
  const pieces: Rows[] = []
  for await (const piece of copyOut(sql, select)) pieces.push(piece)
  return pieces
}

const sum = (pieces: Rows[]) => pieces.reduce((rows, piece) => rows + piece.rows, 0)
const numbers = (n: number) => `select i, repeat('x', 100) from generate_series(1, ${n}) i`

onBothDatabases('reading in bulk', open => {
  let sql: Database
  beforeAll(async () => {
    ;({ sql } = await open())
  })

  it('brings rows of every type as they are, and NULL as NULL', async () => {
    await sql`
      create table sorts (
        a int2, b int4, c int8, d float4, e float8, f text, g bool, h date, i vector, j bytea, k text[], l int8[], m float4[],
        n jsonb, o timestamptz
      )`
    await sql`
      insert into sorts values
        (-1, 2147483647, 9007199254740993, 0.1, 1e-300, ${'naïve "quoted" 😀\n\t\\N'}, true, '2024-02-29', '[0.1,-0,1e-40]',
          '\\x00ff', ${['a', null, '{"}']}, '{1,-5}', '{0.1,2}', '{"b": [1, null, "é"]}', '2024-10-25 10:00:00.123456+02'),
        (0, 0, 0, 0, '-0', '', false, 'infinity', '[1]', '\\x', '{}', '{}', '{}', 'null', '-infinity')`
    await sql`insert into sorts (a) values (null)`
    await sql`create table copies (like sorts)`
    const pieces = await all(sql, 'select * from sorts')
    expect(sum(pieces)).toBe(3)
    const names = [...'abcdefghijklmno']
    expect(
      await copyIn(
        sql,
        'copies',
        names,
        pieces.map(piece => piece.bytes),
      ),
    ).toBe(3)
    const text = (table: string) => sql.unsafe(`select t::text as row from ${table} t order by a nulls last`)
    expect(await text('copies')).toEqual(await text('sorts'))
  })

  it('cuts what is large into pieces of whole rows', async () => {
    const pieces = await all(sql, numbers(50_000))
    expect(pieces.length).toBeGreaterThan(4)
    expect(sum(pieces)).toBe(50_000)
    await sql`create table lines (i int, line text)`
    for (const piece of pieces) expect(await copyIn(sql, 'lines', ['i', 'line'], [piece.bytes])).toBe(piece.rows)
    const [{ total }] = await sql<{ total: bigint }[]>`select sum(i)::int8 as total from lines`
    expect(total).toBe((50_000n * 50_001n) / 2n)
  })

  it('may be done a hundred times on one connection, in a transaction and out of one, and stopped early', async () => {
    // Sizes from nothing over the full buffer of a socket to several pieces.
    for (let i = 0; i < 100; i++) {
      const n = (i * i * 37) % 20_000
      const read = async (tx: Queries) => {
        if (i % 5 > 0) return expect(sum(await all(tx, numbers(n)))).toBe(n)
        for await (const piece of copyOut(tx, numbers(n))) if (piece.rows > 0) break
      }
      if (i % 3 > 0) await read(sql)
      else await sql.begin(read)
      if (i % 2 > 0) expect(await sql`select ${i}::int as i`).toEqual([{ i }])
    }
  })

  it('waits for a reader who takes his time, wherever the rows end meanwhile', async () => {
    // A piece, and behind it from nothing to more than is kept while the reader is away: the last row may fill the buffer.
    for (let n = 9200; n < 11_500; n += 50) {
      let rows = 0
      for await (const piece of copyOut(sql, numbers(n))) {
        await new Promise(resolve => setTimeout(resolve, 5))
        rows += piece.rows
      }
      expect(rows).toBe(n)
    }
  })

  it('rejects with the words of the server, at the beginning and in the middle, and the connection works on', async () => {
    const late = 'select 1 / (20000 - i) from generate_series(1, 30000) i'
    for (let i = 0; i < 3; i++) {
      await expect(all(sql, 'select * from nowhere')).rejects.toThrow('relation "nowhere" does not exist')
      await expect(all(sql, late)).rejects.toThrow('division by zero')
      await expect(sql.begin(tx => all(tx, late))).rejects.toThrow('division by zero')
      expect(sum(await all(sql, numbers(10)))).toBe(10)
    }
  })

  it("passes on the caller's own error", async () => {
    const failing = async () => {
      for await (const piece of copyOut(sql, numbers(20_000))) if (piece.rows > 0) throw new Error('no more paper')
    }
    await expect(failing()).rejects.toThrow('no more paper')
    expect(sum(await all(sql, numbers(1)))).toBe(1)
  })
})

// Vectors into a database and out of it: the product's own binary COPY and its binary reading beside psql's \copy, COPY in
// text and multi-row inserts, on the same rows and in turn. What arrives is compared with what was sent.
// Which databases there are is database.ts's; how it is shown is in database-report.ts.

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { Database } from '../../lib/db/connect.ts'
import { copyRows } from '../../lib/db/copy.ts'
import { bindModel } from '../../lib/db/model-binding.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { transaction } from '../../lib/db/transaction.ts'
import { type FirmVectors, replaceSentenceVectors, sentenceVectorsOf } from '../../lib/db/vectors.ts'
import { say, thousands } from '../../lib/log.ts'
import { createRandom } from '../../lib/math/random.ts'
import type { RealServer } from '../db/servers.ts'
import { median } from './figures.ts'

/** Medians; `rows` are those of one round; `limit`: the name of what does the same with nothing to compute. */
export type Rate = { name: string; rows: number; rowsPerSecond: number; rounds: number; limit: string }

// Sentences of a firm-quarter in the design: what `embed` writes in a transaction or less.
const FIRM_ROWS = 400
// More than a second in the embedded database, which parses 1,500 rows of text a second.
const SLOW_ROWS = 2_000
const ROUNDS = 5
const QUARTER = '1999Q3'
const COLUMNS = 'quarter, sentence_id, firm_id, embedding'

/** How psql reaches the same server: its program and the environment that names the server. */
export type Psql = { program: string; env: NodeJS.ProcessEnv; folder: string }

export async function psqlOf(sql: Database, { port, user, password }: RealServer, folder: string): Promise<Psql> {
  const [{ bin, database }] = await sql<{ bin: string; database: string }[]>`
    select setting as bin, current_database() as database from pg_config() where name = 'BINDIR'`
  const where = { PGHOST: '127.0.0.1', PGPORT: String(port), PGDATABASE: database }
  return {
    program: join(bin, 'psql'),
    env: { ...process.env, ...where, PGUSER: user, PGPASSWORD: password },
    folder,
  }
}

/** Seconds of the commands, \copy among them, by psql's own clock, so that the start of the program is not in it. */
async function runPsql({ program, env, folder }: Psql, commands: readonly string[]): Promise<number> {
  const script = join(folder, 'script.sql')
  writeFileSync(script, ['\\timing on', ...commands, ''].join('\n'))
  const words = ['-X', '-v', 'ON_ERROR_STOP=1', '-f', script]
  const { stdout } = await promisify(execFile)(program, words, { env })
  const milliseconds = [...stdout.matchAll(/^Time: ([\d.]+) ms/gm)].map(([, time]) => Number(time))
  if (milliseconds.length !== commands.length) throw new Error(`psql says no time: ${stdout}`)
  return milliseconds.reduce((sum, time) => sum + time, 0) / 1000
}

/** n unit vectors of d normal numbers, in firms of 400. */
export function madeVectors(n: number, d: number): FirmVectors[] {
  const random = createRandom(d)
  const firms: FirmVectors[] = []
  for (let first = 0; first < n; first += FIRM_ROWS) {
    const rows = Math.min(FIRM_ROWS, n - first)
    const vectors = new Float32Array(rows * d)
    for (let row = 0; row < rows; row++) {
      const vector = vectors.subarray(row * d, (row + 1) * d)
      for (let i = 0; i < d; i++) vector[i] = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(7 * random.next())
      const length = Math.hypot(...vector)
      for (let i = 0; i < d; i++) vector[i] /= length
    }
    const sentenceIds = Array.from({ length: rows }, (_, row) => BigInt(first + row + 1))
    firms.push({ firmId: `M${String(firms.length).padStart(5, '0')}`, sentenceIds, vectors })
  }
  return firms
}

type Way = Pick<Rate, 'name' | 'rows' | 'limit'> & { run(): Promise<number> }

const PSQL_AT_ONCE = 'psql `\\copy`, binary, one transaction'
const PSQL_BY_FIRM = 'psql `\\copy`, binary, a transaction a firm-quarter with the same deletes'
const PSQL_READING = 'psql `\\copy` of all into a file, binary'

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Into a database that holds nothing else: one is bound to one dimension. `psql`: on a server. */
export async function measureLoading(sql: Database, n: number, d: number, psql: Psql | undefined): Promise<Rate[]> {
  await ensureQuarter(sql, QUARTER)
  await clear(sql)
  await bindModel(sql, { name: 'made', revision: String(d), dimension: d, source: 'made' })
  const firms = madeVectors(n, d)
  const few = rowsOf(firms, d).slice(0, SLOW_ROWS)
  const ways: Way[] = [
    {
      name: 'quarterdeck: binary COPY, a transaction a firm-quarter of 400',
      rows: n,
      limit: PSQL_BY_FIRM,
      run: () =>
        secondsOf(async () => {
          for (const firm of firms) await transaction(sql, tx => replaceSentenceVectors(tx, QUARTER, [firm], d))
        }),
    },
    {
      name: 'quarterdeck: binary COPY, one transaction',
      rows: n,
      limit: PSQL_AT_ONCE,
      run: () => secondsOf(() => transaction(sql, tx => copyRows(tx, 'sentence_vectors', COPIED, rowsOf(firms, d)))),
    },
    {
      name: 'COPY in text through the same client',
      rows: few.length,
      limit: PSQL_AT_ONCE,
      run: () => secondsOf(() => copyText(sql, few)),
    },
    {
      name: 'inserts of 400 rows, a transaction each',
      rows: few.length,
      limit: PSQL_AT_ONCE,
      run: () => secondsOf(() => insert(sql, few)),
    },
  ]
  if (psql !== undefined) {
    const rows = (which: string) => `(select ${COLUMNS} from sentence_vectors where ${which} order by sentence_id)`
    const into = `\\copy sentence_vectors (${COLUMNS}) from`
    const file = (name: string) => `'${join(psql.folder, name)}'`
    await transaction(sql, tx => copyRows(tx, 'sentence_vectors', COPIED, rowsOf(firms, d)))
    await runPsql(psql, [
      `\\copy ${rows('true')} to ${file('all.bin')} (format binary)`,
      `\\copy ${rows('true')} to ${file('all.txt')}`,
      ...firms.map(
        ({ firmId }) => `\\copy ${rows(`firm_id = '${firmId}'`)} to ${file(`${firmId}.bin`)} (format binary)`,
      ),
    ])
    ways.push({
      name: PSQL_AT_ONCE,
      rows: n,
      limit: PSQL_AT_ONCE,
      run: () => runPsql(psql, [`${into} ${file('all.bin')} (format binary)`]),
    })
    ways.push({
      name: PSQL_BY_FIRM,
      rows: n,
      limit: PSQL_BY_FIRM,
      run: () =>
        runPsql(
          psql,
          firms.flatMap(({ firmId }) => [
            'begin;',
            ...['sentence_vectors', 'topic_sentences', 'topics'].map(
              table => `delete from ${table} where quarter = '${QUARTER}' and firm_id = '${firmId}';`,
            ),
            `${into} ${file(`${firmId}.bin`)} (format binary)`,
            'commit;',
          ]),
        ),
    })
    ways.push({
      name: 'psql `\\copy`, text, one transaction',
      rows: n,
      limit: PSQL_AT_ONCE,
      run: () => runPsql(psql, [`${into} ${file('all.txt')}`]),
    })
  }
  return await inTurn(ways, {
    before: () => clear(sql),
    after: way => requireEqual(sql, firms, d, way),
  })
}

/** After measureLoading, in the same database. */
export async function measureReading(sql: Database, n: number, d: number, psql: Psql | undefined): Promise<Rate[]> {
  const firms = madeVectors(n, d)
  await clear(sql)
  await transaction(sql, tx => copyRows(tx, 'sentence_vectors', COPIED, rowsOf(firms, d)))
  await sql`analyze sentence_vectors_1999q3`
  const ways: Way[] = [
    {
      name: 'quarterdeck: `vector_send`, a firm-quarter of 400 at a time',
      rows: n,
      limit: PSQL_READING,
      run: () =>
        secondsOf(async () => {
          for (const { firmId, sentenceIds } of firms) await sentenceVectorsOf(sql, QUARTER, firmId, sentenceIds, d)
        }),
    },
    {
      name: 'text, read by JSON.parse, the same rows at a time',
      rows: n,
      limit: PSQL_READING,
      run: () =>
        secondsOf(async () => {
          for (const { firmId } of firms) await readText(sql, firmId, d)
        }),
    },
  ]
  if (psql !== undefined) {
    const file = join(psql.folder, 'out.bin')
    const all = `(select sentence_id, embedding from sentence_vectors where quarter = '${QUARTER}')`
    const run = () => runPsql(psql, [`\\copy ${all} to '${file}' (format binary)`])
    ways.push({ name: PSQL_READING, rows: n, limit: PSQL_READING, run })
  }
  return await inTurn(ways, { before: async () => {}, after: async () => {} })
}

/** Every way once a round, forwards and backwards by turns; the median of the rounds after a first one that warms up. */
async function inTurn(
  ways: readonly Way[],
  { before, after }: { before: () => Promise<void>; after: (way: Way) => Promise<void> },
): Promise<Rate[]> {
  const seconds = new Map(ways.map(way => [way, [] as number[]]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      await before()
      const took = await way.run()
      if (round === 0) await after(way)
      else seconds.get(way)?.push(took)
    }
  }
  return ways.map(way => {
    const rowsPerSecond = way.rows / median(seconds.get(way) ?? [])
    say(`bench: ${way.name}: ${thousands(rowsPerSecond)} rows/s`)
    return { name: way.name, rows: way.rows, rowsPerSecond, rounds: ROUNDS, limit: way.limit }
  })
}

async function clear(sql: Database): Promise<void> {
  await sql`truncate sentence_vectors_1999q3`
}

const COPIED = [
  { name: 'quarter', type: 'text' },
  { name: 'sentence_id', type: 'int8' },
  { name: 'firm_id', type: 'text' },
  { name: 'embedding', type: 'vector' },
] as const

type Row = [quarter: string, id: bigint, firmId: string, vector: Float32Array]

function rowsOf(firms: readonly FirmVectors[], d: number): Row[] {
  return firms.flatMap(({ firmId, sentenceIds, vectors }) =>
    sentenceIds.map((id, i): Row => [QUARTER, id, firmId, vectors.subarray(i * d, (i + 1) * d)]),
  )
}

/** As one writes it without a binary format; all digits of a double, as JavaScript prints a float. */
function asText(vector: Float32Array): string {
  return `[${vector.join(',')}]`
}

async function copyText(sql: Database, rows: readonly Row[]): Promise<void> {
  const stream = await sql`copy sentence_vectors (quarter, sentence_id, firm_id, embedding) from stdin`.writable()
  // postgres.js answers the end of a finished stream with CopyFail, see lib/db/copy.ts.
  const fail = stream._destroy
  stream._destroy = (error, done) => (error ? fail.call(stream, error, done) : done(null))
  await pipeline(function* lines() {
    for (const [quarter, id, firmId, vector] of rows) yield `${quarter}\t${id}\t${firmId}\t${asText(vector)}\n`
  }, stream)
  await sql`select 1` // answered when the COPY has been
}

async function insert(sql: Database, rows: readonly Row[]): Promise<void> {
  for (let first = 0; first < rows.length; first += FIRM_ROWS) {
    const some = rows.slice(first, first + FIRM_ROWS).map(([quarter, id, firm_id, vector]) => ({
      ...{ quarter, sentence_id: String(id), firm_id, embedding: asText(vector) },
    }))
    await sql`insert into sentence_vectors ${sql(some, 'quarter', 'sentence_id', 'firm_id', 'embedding')}`
  }
}

async function readText(sql: Database, firmId: string, d: number): Promise<Float32Array> {
  const rows = await sql<{ sentenceId: bigint; text: string }[]>`
    select sentence_id as "sentenceId", embedding::text as text from sentence_vectors
    where quarter = ${QUARTER} and firm_id = ${firmId}`
  const vectors = new Float32Array(rows.length * d)
  for (const [i, { text }] of rows.entries()) vectors.set(JSON.parse(text), i * d)
  return vectors
}

/** A way that loses a row or a bit is not compared. */
async function requireEqual(sql: Database, firms: readonly FirmVectors[], d: number, way: Way): Promise<void> {
  const [{ rows }] = await sql<{ rows: number }[]>`select count(*)::int as rows from sentence_vectors_1999q3`
  if (rows !== way.rows) throw new Error(`${way.name}: ${rows} rows arrived, wanted ${way.rows}`)
  for (const { firmId, sentenceIds, vectors } of firms.slice(0, Math.ceil(way.rows / FIRM_ROWS))) {
    const arrived = await sentenceVectorsOf(sql, QUARTER, firmId, sentenceIds, d)
    if (Buffer.compare(bytesOf(arrived), bytesOf(vectors)) !== 0)
      throw new Error(`${way.name}: the vectors of ${firmId} are not those that were sent`)
  }
}

function bytesOf(vectors: Float32Array): Uint8Array {
  return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength)
}

// A backup: the rows of a database, or of one quarter, as they were at one moment, in a file that any other database takes.
// Here is which rows belong to it and how they are read; the file is backup-file.ts, the way back backup-restore.ts.
// Vector indexes are not in it: they are as large as their vectors, and `index` builds them again.

import { codeVersion } from '../code-version.ts'
import { UserError } from '../errors.ts'
import { progress } from '../log.ts'
import { type BackupColumn, type BackupHeader, type BackupSection, createBackup } from './backup-file.ts'
import type { Database, Queries } from './connect.ts'
import { copyOut, type Rows } from './copy-out.ts'
import { migrations } from './migrate.ts'
import { boundModel } from './model-binding.ts'
import { quartersInDatabase } from './quarters.ts'

type BackupTable = {
  name: string
  /** Its rows are read in this order; unique among the rows of a quarter. */
  key: string
  /** SQL for its rows of a quarter, which is given as a literal. */
  ofQuarter(quarter: string): string
  /** Only these rows, of whatever quarter. */
  only?: string
  /** Columns that stay behind. */
  without?: readonly string[]
}

const byQuarter = (quarter: string) => `quarter = ${quarter}`
const byTopic = (quarter: string) => `topic_id in (select topic_id from topics where quarter = ${quarter})`

/** What quarters share. To one quarter belong the firms it names, the answers it was given or uses, and its runs. */
const SHARED_TABLES: readonly BackupTable[] = [
  {
    name: 'firms',
    key: 'firm_id',
    ofQuarter: quarter => `firm_id in (
      select firm_id from calls where ${byQuarter(quarter)}
      union select firm_id from topics where ${byQuarter(quarter)})`,
  },
  {
    name: 'chat_answers',
    key: 'prompt_hash',
    // Answers from before their quarter was kept are paid for, too.
    ofQuarter: quarter => `(
      quarter is null or ${byQuarter(quarter)}
      or prompt_hash in (select prompt_hash from topic_names where ${byTopic(quarter)}))`,
  },
  // Numbers of runs are the database's own, and so is what was restored into it, by which a restore knows what it has done.
  { name: 'runs', key: 'run_id', ofQuarter: byQuarter, only: `command <> 'db-restore'`, without: ['run_id'] },
]

/** In an order in which their foreign keys hold. */
const QUARTER_TABLES: readonly BackupTable[] = [
  { name: 'calls', key: 'call_id', ofQuarter: byQuarter },
  { name: 'sentences', key: 'sentence_id', ofQuarter: byQuarter },
  { name: 'common_words', key: 'word', ofQuarter: byQuarter },
  { name: 'sentence_vectors', key: 'sentence_id', ofQuarter: byQuarter },
  { name: 'topics', key: 'topic_id', ofQuarter: byQuarter },
  { name: 'subtopics', key: 'subtopic_id', ofQuarter: byQuarter },
  { name: 'topic_sentences', key: 'sentence_id', ofQuarter: byQuarter },
  { name: 'topic_names', key: 'topic_id', ofQuarter: byTopic },
  { name: 'topic_vectors', key: 'topic_id', ofQuarter: byQuarter },
  { name: 'themes', key: 'theme_id', ofQuarter: byQuarter },
  { name: 'subthemes', key: 'subtheme_id', ofQuarter: byQuarter },
  { name: 'theme_topics', key: 'topic_id', ofQuarter: byTopic },
  // In the database that it comes into nobody has any of it in hand.
  { name: 'work', key: `(stage || ' ' || firm_id)`, ofQuarter: byQuarter, without: ['lease_by', 'lease_until'] },
]

const TABLES = [...SHARED_TABLES, ...QUARTER_TABLES]

/**
 * Tables that stay behind. The one setting, the model, stands in the header; `learned_batches` are facts of the devices of
 * these machines, which `embed` finds out by itself on others. What compares a quarter with earlier ones is made again in
 * seconds, and has to be: the other database has other quarters.
 */
export const LEFT_OUT = [
  'learned_batches',
  'schema_versions',
  'settings',
  'sentence_novelty',
  'topic_novelty',
  'theme_lineage',
  'theme_links',
]
export const BACKED_UP = TABLES.map(table => table.name)

export type BackupDone = { file: string; quarters: string[]; rows: number; bytes: number; seconds: number }

/** Writes a file with all quarters, or with one. */
export async function backUp(sql: Database, file: string, quarter?: string): Promise<BackupDone> {
  const start = performance.now()
  const writer = await createBackup(file)
  try {
    // One transaction, and so one moment, whatever others write meanwhile. On a server nobody waits for it. The embedded
    // database serves one transaction at a time: there the others do wait, for less than half a minute at the 200,000
    // sentences it is made for, which their leases outlive.
    const header = await sql.begin('isolation level repeatable read read only', async tx => {
      // Before the first select chooses the moment: a table emptied between the two would read as empty.
      await tx.unsafe(`lock table ${BACKED_UP.join(', ')} in access share mode`)
      const header = await headerOf(tx, quarter)
      await writer.begin(header)
      const bar = progress('db-backup', rowsOf(header), 'rows')
      for (const section of header.sections)
        for await (const piece of rowsOfSection(tx, section, header, quarter)) {
          await writer.piece(piece)
          bar.step(piece.rows)
        }
      bar.end()
      return header
    })
    const bytes = await writer.finish()
    const seconds = (performance.now() - start) / 1000
    return { file, quarters: header.quarters, rows: rowsOf(header), bytes, seconds }
  } finally {
    await writer.close()
  }
}

export function rowsOf({ sections }: Pick<BackupHeader, 'sections'>): number {
  return sections.reduce((sum, section) => sum + section.rows, 0)
}

async function headerOf(tx: Queries, quarter: string | undefined): Promise<BackupHeader> {
  const all = await quartersInDatabase(tx)
  const quarters = quarter === undefined ? all : all.filter(one => one === quarter)
  if (quarter !== undefined && quarters.length === 0)
    throw new UserError(
      `the database has no calls of ${quarter}${all.length > 0 ? `; it has ${all.join(', ')}` : ''}`,
      all.length > 0 ? `--quarter ${all[0]}` : `quarterdeck ingest PATH --quarter ${quarter}`,
    )
  const sections: BackupSection[] = [
    ...SHARED_TABLES.map(({ name }) => ({ table: name, quarter: null, rows: 0 })),
    ...quarters.flatMap(one => QUARTER_TABLES.map(({ name }) => ({ table: name, quarter: one, rows: 0 }))),
  ]
  for (const section of sections) {
    const [{ rows }] = await tx.unsafe<{ rows: number }[]>(
      `select count(*)::float8 as rows from ${section.table} where ${conditionOf(section, quarter)}`,
    )
    section.rows = rows
  }
  if (rowsOf({ sections }) === 0)
    throw new UserError('the database is empty: there is nothing to back up', 'make quarter Q=2024Q3')
  return {
    schema: migrations().at(-1)?.version ?? 0,
    code: codeVersion(),
    quarters,
    model: (await boundModel(tx)) ?? null,
    tables: await columnsOf(tx),
    sections,
  }
}

async function columnsOf(tx: Queries): Promise<Record<string, BackupColumn[]>> {
  const tables: Record<string, BackupColumn[]> = {}
  for (const { name, without = [] } of TABLES) {
    const columns = await columnTypes(tx, name)
    tables[name] = columns.filter(([column]) => !without.includes(column))
  }
  return tables
}

/** The columns of a table in their order. */
export async function columnTypes(sql: Queries, table: string): Promise<BackupColumn[]> {
  const rows = await sql<{ name: string; type: string }[]>`
    select attname as name, typname as type
    from pg_attribute join pg_type on pg_type.oid = atttypid
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
    order by attnum`
  return rows.map(({ name, type }) => [name, type])
}

/** Which rows of its table a section is, in SQL. Of one quarter are also the shared ones, where only one is backed up. */
function conditionOf(section: BackupSection, onlyQuarter: string | undefined): string {
  const table = tableOf(section)
  const quarter = section.quarter ?? onlyQuarter
  return [table.only, quarter && table.ofQuarter(literal(quarter))].filter(Boolean).join(' and ') || 'true'
}

function tableOf(section: BackupSection): BackupTable {
  const table = TABLES.find(one => one.name === section.table)
  if (table === undefined) throw new Error(`no table of a backup: ${section.table}`)
  return table
}

// COPY takes no parameters.
export function literal(quarter: string): string {
  if (!/^\d{4}Q[1-4]$/.test(quarter)) throw new Error(`not a quarter: ${quarter}`)
  return `'${quarter}'`
}

// The embedded database has the answer to a COPY in memory whole before it goes out: it is to stay under 16 MB, also where
// texts are twice as long as they are made out here. A row is a vector at most, and a text: a sentence has 110 characters.
const PAGE_BYTES = 8 * 2 ** 20
const TEXT_BYTES = 1024

/** The rows of a section page by page along its key. */
async function* rowsOfSection(
  tx: Queries,
  section: BackupSection,
  { tables, model }: BackupHeader,
  onlyQuarter: string | undefined,
): AsyncGenerator<Rows, void, undefined> {
  const { name, key } = tableOf(section)
  const columns = tables[name].map(([column]) => `"${column}"`).join(', ')
  const page = Math.floor(PAGE_BYTES / (4 * (model?.dimension ?? 0) + TEXT_BYTES))
  let where = conditionOf(section, onlyQuarter)
  for (let left = section.rows; left > 0; ) {
    const [{ last }] = await tx.unsafe<{ last: string | null }[]>(`
      select quote_literal(max(key)) as last
      from (select ${key} as key from ${name} where ${where} order by 1 limit ${page}) as page`)
    if (last === null) throw new Error(`${left} of ${section.rows} rows of ${name} are gone`)
    const rows = `select ${columns} from ${name} where ${where} and ${key} <= ${last} order by ${key}`
    for await (const piece of copyOut(tx, rows)) {
      left -= piece.rows
      yield piece
    }
    where = `${conditionOf(section, onlyQuarter)} and ${key} > ${last}`
  }
}

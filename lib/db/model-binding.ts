// Which embedding model a database holds: vectors of two models cannot be compared, so there is one a database.

import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'
import { transaction } from './transaction.ts'

/** `source` is what to open it by: the name of a shipped model, or the folder where its files were at that time. */
export type BoundModel = { name: string; revision: string; dimension: number; source: string }

export async function boundModel(sql: Queries): Promise<BoundModel | undefined> {
  const [row] = await sql<{ value: BoundModel }[]>`select value from settings where key = 'embedding model'`
  return row?.value
}

/** Name and revision, as `runs` keeps them. */
export function modelText({ name, revision }: Pick<BoundModel, 'name' | 'revision'>): string {
  return `${name} ${revision}`
}

/** What to open a database's model by, when none was named; refuses where that was a folder that is gone. */
export function sourceOfBound({ name, revision, source }: BoundModel): string {
  const folder = source.replace(/:(fp32|fp16|int8)$/, '')
  if (!isAbsolute(folder) || existsSync(folder)) return source
  throw new UserError(
    `this database is bound to ${name} (revision ${revision}), whose folder ${folder} is gone`,
    'say where it is now: export QUARTERDECK_MODEL=FOLDER; the next embed remembers it',
  )
}

/**
 * Binds the database to the model at its first use; refuses another one afterwards. The revision decides: under another
 * name or in another place it is the same model, and the place is remembered. A database without a single vector is bound
 * anew: nothing in it would not compare. Returns the model as the database knows it.
 */
export async function bindModel(sql: Database, model: BoundModel): Promise<BoundModel> {
  const { name, revision, dimension, source } = model
  return await transaction(sql, async tx => {
    const bound = await boundModel(tx)
    if (bound !== undefined && isSame(bound, model)) {
      const found = { name: bound.name, revision, dimension, source }
      if (source !== bound.source) await tx`update settings set value = ${tx.json(found)} where key = 'embedding model'`
      return found
    }
    const [{ empty }] = await tx<{ empty: boolean }[]>`select not exists (select from sentence_vectors) as empty`
    if (bound !== undefined && !empty) throw refusal(bound, model)
    await tx`
      insert into settings (key, value) values ('embedding model', ${tx.json({ name, revision, dimension, source })})
      on conflict (key) do update set value = excluded.value`
    // The type now names the dimension, which the vector index needs and which refuses anything else.
    await tx.unsafe(`alter table sentence_vectors alter column embedding type vector(${Number(dimension)})`)
    // Changing the type takes back what sql/001_tables.sql says about storage, and why.
    await tx`alter table sentence_vectors alter column embedding set storage plain`
    const partitions = await tx<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'sentence_vectors'::regclass`
    for (const partition of partitions)
      await tx`alter table ${tx(partition.name)} alter column embedding set storage plain`
    return { name, revision, dimension, source }
  })
}

/** For steps that embed something to compare with what is there: only by the database's own model. */
export async function requireBoundModel(sql: Queries, model: BoundModel): Promise<void> {
  const bound = await boundModel(sql)
  if (bound === undefined) throw new UserError('the database has no embeddings yet', 'make quarter Q=2024Q3')
  if (!isSame(bound, model)) throw refusal(bound, model)
}

function isSame(bound: BoundModel, model: BoundModel): boolean {
  return bound.revision === model.revision && bound.dimension === model.dimension
}

function refusal(bound: BoundModel, model: BoundModel): UserError {
  return new UserError(
    `this database holds vectors of ${bound.name} (revision ${bound.revision}, ${bound.dimension} dimensions); ` +
      `${model.name} (revision ${model.revision}, ${model.dimension} dimensions) would not compare with them`,
    `go on with QUARTERDECK_MODEL=${bound.source}, or start another database: QUARTERDECK_HOME=another-folder`,
  )
}

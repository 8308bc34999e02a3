// Which embedding model a database holds: vectors of two models cannot be compared, so there is one a database.

import { UserError } from '../errors.ts'
import type { Database, Queries } from './connect.ts'

/** `folder` is where the files were when the database was bound; it may move, the revision may not. */
export type BoundModel = { name: string; revision: string; dimension: number; folder: string }

export async function boundModel(sql: Queries): Promise<BoundModel | undefined> {
  const [row] = await sql<{ value: BoundModel }[]>`select value from settings where key = 'embedding model'`
  return row?.value
}

/** Name and revision, as `runs` keeps them. */
export function modelText({ name, revision }: Pick<BoundModel, 'name' | 'revision'>): string {
  return `${name} ${revision}`
}

/** Binds the database to the model at its first use; refuses another one afterwards. */
export async function bindModel(sql: Database, model: BoundModel): Promise<void> {
  const bound = await boundModel(sql)
  if (bound === undefined) {
    await sql.begin(async tx => {
      const { count } = await tx`
        insert into settings (key, value) values ('embedding model', ${tx.json(model)}) on conflict do nothing`
      // The type now names the dimension, which the vector index needs and which refuses anything else.
      if (count === 1)
        await tx.unsafe(`alter table sentence_vectors alter column embedding type vector(${Number(model.dimension)})`)
    })
    return await bindModel(sql, model)
  }
  if (bound.name === model.name && bound.revision === model.revision && bound.dimension === model.dimension) return
  throw new UserError(
    `this database holds vectors of ${bound.name} (revision ${bound.revision}, ${bound.dimension} dimensions); ` +
      `${model.name} (revision ${model.revision}, ${model.dimension} dimensions) would not compare with them`,
    `go on with QUARTERDECK_MODEL=${bound.name}, or start another database: QUARTERDECK_HOME=another-folder`,
  )
}

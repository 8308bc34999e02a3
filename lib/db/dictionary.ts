// The tables and columns of the database with their comments: what docs/data-dictionary.md is made from.

import type { Queries } from './connect.ts'

export type TableDescription = {
  table: string
  comment: string
  columns: { column: string; type: string; required: boolean; comment: string }[]
}

export async function describeTables(sql: Queries): Promise<TableDescription[]> {
  const rows = await sql<
    { table: string; comment: string; column: string; type: string; required: boolean; about: string }[]
  >`
    select c.relname as table, coalesce(obj_description(c.oid), '') as comment, a.attname as column,
      format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
      coalesce(col_description(c.oid, a.attnum), '') as about
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by c.oid, a.attnum`
  const tables = new Map<string, TableDescription>()
  for (const row of rows) {
    const table = tables.get(row.table) ?? { table: row.table, comment: row.comment, columns: [] }
    table.columns.push({ column: row.column, type: row.type, required: row.required, comment: row.about })
    tables.set(row.table, table)
  }
  return [...tables.values()]
}

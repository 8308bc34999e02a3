// Two commands in a program of your own: what is nearest to a text, and a question in SQL.
// Run after `make quarter Q=2024Q3`: npx tsx docs/example.ts

import { withDatabase } from 'quarterdeck/database'
import { openEmbedder } from 'quarterdeck/embedder'
import { search } from 'quarterdeck/search'
import { readSettings, SHIPPED_MODEL } from 'quarterdeck/settings'
import { query } from 'quarterdeck/sql'

const embedder = await openEmbedder({ model: SHIPPED_MODEL, threads: 1 })
await withDatabase(readSettings(), async sql => {
  const { topics } = await search(sql, embedder, { text: 'wage inflation', quarter: '2024Q3', level: 'topics' })
  process.stdout.write(`${JSON.stringify([topics, await query(sql, 'select name, firms from themes')], null, 2)}\n`)
}).finally(embedder.close)

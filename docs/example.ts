// Two commands from a program of your own: what is nearest to a text, and a question in SQL. A package that has installed
// quarterdeck imports it the same way. Run after `make quarter Q=2024Q3`: npx tsx docs/example.ts

import { withDatabase } from 'quarterdeck/database'
import { openEmbedder } from 'quarterdeck/embedder'
import { search } from 'quarterdeck/search'
import { readSettings, SHIPPED_MODEL } from 'quarterdeck/settings'
import { query } from 'quarterdeck/sql'

const { threads, ...settings } = readSettings()
const embedder = await openEmbedder({ model: settings.model ?? SHIPPED_MODEL, threads })

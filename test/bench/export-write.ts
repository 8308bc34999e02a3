// Writes made rows of sentences in one format, in a process of its own, so that its memory is its own; prints what it took.
// Called by export.ts: format, number of rows, file. The rows are there before the clock runs, and come round again.

import { createFile } from '../../lib/new-file.ts'
import { exportedTable } from '../../lib/tables/exported.ts'
import { type Format, openWriter } from '../../lib/tables/formats.ts'
import type { Row } from '../../lib/tables/table.ts'

const [format, count, file] = process.argv.slice(2)
const table = exportedTable('sentences', ['2016Q4'], [])
// So many come at once from the database.
const PORTION = 5000
// More than a group of Parquet, in which a text that came before would cost nothing.
const PORTIONS = 4
const WORDS = 'revenue margin quarter demand pricing freight supply growth guidance customers backlog capacity'.split(
  ' ',
)

function madeRow(i: number): Row {
  const firm = Math.floor(i / 400)
  const text = Array.from({ length: 18 }, (_, w) => WORDS[(i * 7 + w * w + (i >> (w % 9))) % WORDS.length]).join(' ')
  const values: Record<string, Row[number]> = {
    ...{
      quarter: '2016Q4',
      firm_id: `F${firm}`,
      ticker: `F${firm}`,
      firm_name: `Firm ${firm}, Inc.`,
      call_date: '2016-11-03',
    },
    ...{
      calls: 1,
      sentence_id: String(9_007_199_254_740_993n + BigInt(i)),
      sentence_date: '2016-11-03',
      position: i % 400,
    },
    ...{ speaker: `Speaker ${i % 5}`, role: 'Executives', section: i % 2 ? 'answer' : 'prepared' },
    ...{ topic_id: `2016Q4/F${firm}/0${i % 9}`, topic_name: WORDS[i % 9], topic_membership: (i % 1000) / 1000 },
    ...{ theme_id: `2016Q4/${i % 40}`, theme_name: `${WORDS[i % 12]} and ${WORDS[i % 7]}`, earlier_quarter: '2016Q3' },
    ...{ nearest_sentence_id: String(9_007_199_254_740_993n - BigInt(i)), nearest_similarity: (i % 997) / 997 },
    ...{ repeated: i % 17 === 0, text: `${text} ${i}.` },
  }
  return table.columns.map(({ name }) => values[name] ?? null)
}

/** As they come from a database: no text shared with another row, and none still to be put together. */
function asRead(row: Row): Row {
  return row.map(value => (typeof value === 'string' ? Buffer.from(value).toString() : value))
}

const portions = Array.from({ length: PORTIONS }, (_, p) =>
  Array.from({ length: PORTION }, (_, i) => asRead(madeRow(p * PORTION + i))),
)
const begin = process.cpuUsage()
const start = performance.now()
const out = await createFile(file)
const writer = await openWriter(format as Format, table, {}, out.write, { file, made: new Date() })
let mostHalfway = 0
for (let i = 0; i < Number(count); i += PORTION) {
  await writer.rows(portions[(i / PORTION) % PORTIONS].slice(0, Number(count) - i))
  if (i < Number(count) / 4) mostHalfway = process.resourceUsage().maxRSS
}
await writer.finish()
await writer.close()
const bytes = await out.finish()
await out.close()
const seconds = (performance.now() - start) / 1000
const used = process.cpuUsage(begin)
process.stdout.write(
  JSON.stringify({
    seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    bytes,
    peakOfFirstQuarter: mostHalfway / 1024,
    peak: process.resourceUsage().maxRSS / 1024,
  }),
)

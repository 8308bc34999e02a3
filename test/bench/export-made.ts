// A quarter of thousands of firms with everything an export reads and nothing else, made by the server itself: no text is
// embedded and nothing clustered, so 2,000,000 sentences are there in half a minute. Who reads them is export.ts.

import type { Database } from '../../lib/db/connect.ts'
import { ensureQuarter, partitionName } from '../../lib/db/quarters.ts'

export const MADE_QUARTER = '2016Q4'
// As in the real quarters: sentences of a call, topics of a firm, and the themes of 5,000 firms.
export const FIRM_SENTENCES = 400
const FIRM_TOPICS = 12
const THEMES = 200
// Six of them are a sentence of 110 characters.
const PHRASES = [
  ...[
    'revenue grew',
    'margins were flat',
    'demand in Asia',
    'the backlog',
    'freight costs',
    'our guidance',
    'new customers',
  ],
  ...[
    'capacity at both plants',
    'working capital',
    'pricing held, "for now"',
    'the Zürich site',
    'supply of memory chips',
  ],
]

export async function fillMadeQuarter(sql: Database, firms: number): Promise<void> {
  await ensureQuarter(sql, MADE_QUARTER)
  const values = { quarter: MADE_QUARTER, n: FIRM_SENTENCES, topics: FIRM_TOPICS, themes: THEMES }
  const literals = Object.entries(values).map(
    ([name, value]) => `${typeof value === 'number' ? value : `'${value}'`} as ${name}`,
  )
  const given = `(select ${literals.join(', ')}) as given`
  const firm = `(select f, 'F' || lpad(f::text, 5, '0') as firm_id from generate_series(1, ${firms}) as f) as firm`
  // A sentence in ten belongs to no topic, and one in eight is talk.
  const sentence = `${given} cross join ${firm} cross join generate_series(0, n - 1) as i`
  const id = 'f::bigint * 65536 + i'
  const hasTopic = 'i % 10 <> 7'
  const topic = `quarter || '/' || firm_id || '/' || lpad((1 + (i + f) % topics)::text, 2, '0')`
  const phrases = `'{${PHRASES.map(one => JSON.stringify(one)).join(',')}}'::text[]`
  const words = [1, 3, 5, 7, 11, 13].map(step => `p[1 + (i * ${step} + f / ${step}) % ${PHRASES.length}]`)
  await sql.unsafe(`
    insert into firms (firm_id, ticker, name, identifiers)
      select firm_id, firm_id, 'Firm ' || f || ', Inc.',
        jsonb_build_object('cik', lpad(f::text, 10, '0'), 'permno', (10000 + f)::text) from ${firm};
    insert into calls (call_id, firm_id, quarter, call_date, source, format, content_hash, sentences)
      select f, firm_id, quarter, '2016-10-03'::date + f % 60, 'made', 'made', f::text, n from ${given} cross join ${firm};
    insert into sentences (quarter, sentence_id, call_id, firm_id, position, speaker, role, section, talk, text)
      select quarter, ${id}, f, firm_id, i, 'Speaker ' || i % 5, 'Executives', case when i < n / 2 then 'prepared' else 'answer' end,
        case when i % 8 = 7 then 'short' end, concat_ws(' ', ${words.join(', ')}, i) || '.'
      from ${sentence} cross join (select ${phrases} as p) as phrases;
    insert into themes (theme_id, quarter, name, summary, source, keywords, topics, firms, sentences, largest_firm_share, flags,
        representative_sentences, centroid)
      select quarter || '/' || lpad(t::text, 3, '0'), quarter, 'Theme number ' || t, 'What it is.', 'keywords', '{oil,gas}',
        0, 0, 0, 0, '{}', '{}', '[1]'
      from ${given} cross join generate_series(1, themes) as t;
    insert into theme_lineage select theme_id, quarter, theme_id, 'first' from themes;
    insert into topics (topic_id, firm_id, quarter, label, size, keywords, keyword_weights, representative_sentences, centroid)
      select ${topic}, firm_id, quarter, 'oil, gas', count(*) filter (where ${hasTopic}), '{oil,gas}', '{1,1}', '{}', '[1]'
      from ${sentence} group by 1, 2, 3;
    insert into topic_names select topic_id, 'Topic ' || topic_id, 'What it is.', 'keywords' from topics;
    insert into theme_topics
      select topic_id, quarter || '/' || lpad((1 + row_number() over (order by topic_id) % themes)::text, 3, '0'), 0.5, false
      from topics cross join (select themes from ${given}) as g;
    insert into topic_sentences (quarter, sentence_id, firm_id, topic_id, probability)
      select quarter, ${id}, firm_id, case when ${hasTopic} then ${topic} end,
        case when ${hasTopic} then 0.5 + (i * 37 % 500) / 1000.0 else 0 end
      from ${sentence};
    insert into sentence_novelty
      select quarter, ${id}, firm_id, '2016Q3', ${id} + 7, (i * 31 % 997) / 997.0, i % 17 = 0 from ${sentence};
    insert into topic_novelty select topic_id, quarter, '2016Q3', null, null, 0.5, true from topics;
    update themes set sentences = sums.sentences from (
      select theme_id, sum(size) as sentences from theme_topics join topics using (topic_id) group by theme_id) as sums
      where sums.theme_id = themes.theme_id`)
  for (const table of ['sentences', 'topic_sentences', 'sentence_novelty'] as const)
    await sql.unsafe(`analyze ${partitionName(table, MADE_QUARTER)}`)
  await sql`analyze`
}

// What to type for the sentences behind a page: only those that stand for a topic are in the report, all are in the database.
// Pure: the tests run what is written here.

import type { ReportTheme } from '../report-data.ts'

export type Command = { brings: string; typed: string }

const DOOR = 'node bin/quarterdeck.mjs'
const COLUMNS = `select s.firm_id, c.call_date, s.position + 1 as sentence, s.speaker, s.text, n.similarity, e.text as nearest_earlier`
const JOINS = `join calls c on c.call_id = s.call_id
left join sentence_novelty n on n.quarter = s.quarter and n.sentence_id = s.sentence_id
left join sentences e on e.quarter = n.earlier_quarter and e.sentence_id = n.nearest_sentence_id`

/** All sentences of a theme, each beside the nearest of its firm's earlier call. */
export function sentencesOfTheme(id: string): string {
  const quarter = id.split('/')[0]
  return `${COLUMNS}
from theme_topics m join topic_sentences t on t.topic_id = m.topic_id
join sentences s on s.quarter = t.quarter and s.sentence_id = t.sentence_id
${JOINS}
where m.theme_id = ${literal(id)} and t.quarter = ${literal(quarter)}
order by s.firm_id, s.sentence_id`
}

/** All sentences of a firm but talk, the newest to it first. */
export function sentencesOfFirm(quarter: string, firm: string): string {
  return `${COLUMNS}, t.topic_id
from sentences s join topic_sentences t on t.quarter = s.quarter and t.sentence_id = s.sentence_id
${JOINS}
where s.quarter = ${literal(quarter)} and s.firm_id = ${literal(firm)}
order by n.similarity, s.sentence_id`
}

export function commandsOfTheme({ id, keywords }: ReportTheme): Command[] {
  const search = `search ${word(keywords.slice(0, 2).join(' '))} --theme ${word(id)} --level sentences --limit 50`
  return [
    {
      brings: 'All of the theme, each beside the nearest of its firm’s earlier call',
      typed: sql(sentencesOfTheme(id)),
    },
    { brings: 'Those of the theme that speak of something, by meaning and words', typed: `${DOOR} ${search}` },
  ]
}

export function commandsOfFirm(quarter: string, firm: string): Command[] {
  const typed = sql(sentencesOfFirm(quarter, firm))
  return [{ brings: 'All of the firm, the newest to it first, each beside the nearest of its earlier call', typed }]
}

function sql(statement: string): string {
  return `${DOOR} sql --csv ${word(statement)}`
}

/** As Postgres takes it for one text, whatever is in it. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** As a Unix shell takes it for one word, whatever is in it. */
function word(text: string): string {
  return `"${text.replace(/["\\$`]/g, '\\$&')}"`
}

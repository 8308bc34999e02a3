// What `eval` reads of a quarter to measure its names and themes: names, memberships, and sentences with their topic.

import type { Queries } from './connect.ts'
import { ALL_FIRMS } from './work.ts'

export type NamedTopic = { topicId: string; firmId: string; name: string; source: 'llm' | 'keywords' | 'inherited' }

/** The topics of a quarter that have a name. */
export async function namedTopics(sql: Queries, quarter: string): Promise<NamedTopic[]> {
  return await sql<NamedTopic[]>`
    select t.topic_id as "topicId", t.firm_id as "firmId", n.name, n.source
    from topics t join topic_names n using (topic_id)
    where t.quarter = ${quarter}
    order by t.topic_id`
}

export type ThemeOfQuarter = { themeId: string; keywords: string[]; flags: string[] }

export async function themesOfQuarter(sql: Queries, quarter: string): Promise<ThemeOfQuarter[]> {
  return await sql<ThemeOfQuarter[]>`
    select theme_id as "themeId", keywords, flags from themes where quarter = ${quarter} order by theme_id`
}

export type TopicInTheme = { topicId: string; themeId: string; givenToNearest: boolean }

export async function topicsInThemes(sql: Queries, quarter: string): Promise<TopicInTheme[]> {
  return await sql<TopicInTheme[]>`
    select m.topic_id as "topicId", m.theme_id as "themeId", m.given_to_nearest as "givenToNearest"
    from theme_topics m join topics t using (topic_id)
    where t.quarter = ${quarter}
    order by m.topic_id`
}

/** How the quarter stands with `aggregate`: stale where topics or names have changed since; undefined before the first. */
export async function aggregateState(sql: Queries, quarter: string): Promise<string | undefined> {
  const [row] = await sql<{ state: string }[]>`
    select state from work where stage = 'aggregate' and quarter = ${quarter} and firm_id = ${ALL_FIRMS}`
  return row?.state
}

/** `clustered`: with its topic, or null for noise; without, the sentence was left out of the clustering. */
export type SentenceWithTopic = { text: string; talk: string | null; clustered: boolean; topicId: string | null }

/** Every sentence of a quarter with its topic, firm by firm; one firm in memory at a time. */
export async function* sentencesWithTopics(
  sql: Queries,
  quarter: string,
): AsyncGenerator<{ firmId: string; sentences: SentenceWithTopic[] }> {
  const firms = await sql<{ firmId: string }[]>`
    select distinct firm_id as "firmId" from calls where quarter = ${quarter} order by firm_id`
  for (const { firmId } of firms) {
    // Joined by the firm too: without it the database reads the topics of the whole quarter for each firm.
    const sentences = await sql<SentenceWithTopic[]>`
      select s.text, s.talk, t.sentence_id is not null as clustered, t.topic_id as "topicId"
      from sentences s
      left join topic_sentences t
        on t.quarter = s.quarter and t.firm_id = s.firm_id and t.sentence_id = s.sentence_id
      where s.quarter = ${quarter} and s.firm_id = ${firmId}
      order by s.sentence_id`
    yield { firmId, sentences }
  }
}

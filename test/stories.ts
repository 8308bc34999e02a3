// The stories that are planted in the sample quarter, and how a theme tells one: which of its firms do, and which of its sentences are
// of the story. What holds of them is test/commands/stories.test.ts; two methods beside each other is test/bench/methods.ts.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { withDatabase } from '../lib/db/open.ts'
import { readSettings } from '../lib/settings.ts'
import { root } from './run.ts'

export const STORIES_QUARTER = '2024Q3'

export type Story = { story: string; kind: string; firms: string[]; sentences: Record<string, string[]> }
const stories: Story[] = JSON.parse(readFileSync(join(root, 'test/fixtures/stories-2024Q3.json'), 'utf8'))
export const acrossFirms = stories.filter(story => story.kind === 'cross-firm')
export const ofOneFirm = stories.filter(story => story.kind !== 'cross-firm')

export type Topic = { firmId: string; themeId: string | null; sentences: string[] }

/** The topics of the quarter as they stand in the database, with the theme of each. */
export async function topicsOfStories(home: string): Promise<Topic[]> {
  return await withDatabase(
    { ...readSettings({}), home },
    sql => sql<Topic[]>`
      select t.firm_id as "firmId", m.theme_id as "themeId",
        array(
          select s.text from topic_sentences ts join sentences s using (quarter, sentence_id)
          where ts.topic_id = t.topic_id order by sentence_id
        ) as sentences
      from topics t left join theme_topics m using (topic_id)
      where t.quarter = ${STORIES_QUARTER} order by t.topic_id`,
  )
}

// Two sentences of a story may be neighbours in a topic of something else; with three the topic tells it.
const TELLING = 3

/** Planted sentences of a story in a topic. */
function plantedIn(topic: Topic, { sentences }: Story): number {
  const planted = new Set(sentences[topic.firmId])
  return topic.sentences.filter(sentence => planted.has(sentence)).length
}

export type Share = { precision: number; recall: number }
export type Found = {
  themeId: string | undefined
  /** Of the firms in its theme those that tell it there; of the firms that tell it those that do so in the theme. */
  firms: Share
  /** Of the planted sentences in its theme those of the story; of those of the story those in the theme. */
  sentences: Share
}

/** The theme in which most firms tell a story, or of the most sentences where there are two. */
export function findStory(story: Story, topics: readonly Topic[]): Found {
  const themes = [...new Set(topics.flatMap(topic => topic.themeId ?? []))].map(themeId => {
    const members = topics.filter(topic => topic.themeId === themeId)
    const plantedOf = new Map<string, number>()
    for (const topic of members)
      plantedOf.set(topic.firmId, (plantedOf.get(topic.firmId) ?? 0) + plantedIn(topic, story))
    const tellers = [...plantedOf.values()].filter(planted => planted >= TELLING).length
    const planted = [...plantedOf.values()].reduce((sum, n) => sum + n, 0)
    return { themeId, members, firms: plantedOf.size, tellers, planted }
  })
  const [best] = themes.sort((a, b) => b.tellers - a.tellers || b.planted - a.planted)
  if (best === undefined || best.tellers === 0) {
    const nothing = { precision: 0, recall: 0 }
    return { themeId: undefined, firms: nothing, sentences: nothing }
  }
  const all = stories.reduce((sum, one) => sum + best.members.reduce((n, topic) => n + plantedIn(topic, one), 0), 0)
  return {
    themeId: best.themeId,
    firms: { precision: best.tellers / best.firms, recall: best.tellers / story.firms.length },
    sentences: { precision: best.planted / all, recall: best.planted / Object.values(story.sentences).flat().length },
  }
}

/** Firms other than the teller's own whose topics share a theme with a topic that tells a story of one firm. */
export function strangersBeside(story: Story, topics: readonly Topic[]): number {
  const own = topics.filter(topic => plantedIn(topic, story) >= TELLING)
  const themes = new Set(own.flatMap(topic => topic.themeId ?? []))
  const beside = topics.filter(topic => topic.themeId !== null && themes.has(topic.themeId))
  return new Set(beside.map(topic => topic.firmId)).size - (beside.length > 0 ? 1 : 0)
}

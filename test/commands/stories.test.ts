// The stories that are planted in the sample quarter, by the commands a person types, under several seeds: each that runs across
// firms is one theme with those firms, and one that a single firm tells is no theme of many.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { type ChatServer, recordedNames, startChatServer } from '../chat-server.ts'
import { type Options, root, scratchHome, stepWords, succeed } from '../run.ts'

const QUARTER = '2024Q3'
// The one that everybody has, and others: with another seed a firm has other topics, and the quarter other themes.
const SEEDS = [42, 1, 2]

type Story = { story: string; kind: string; firms: string[]; sentences: Record<string, string[]> }
const stories: Story[] = JSON.parse(readFileSync(join(root, 'test/fixtures/stories-2024Q3.json'), 'utf8'))
const acrossFirms = stories.filter(story => story.kind === 'cross-firm')
const ofOneFirm = stories.filter(story => story.kind !== 'cross-firm')

type Topic = { firmId: string; themeId: string | null; sentences: string[] }

/** The topics of the quarter, clustered, named and aggregated under a seed. */
async function topicsUnder(seed: number, options: Options): Promise<Topic[]> {
  const words = ['--quarter', QUARTER, '--force', '--seed', String(seed)]
  await succeed(['cluster-firm', ...words], options)
  await succeed(['name-topics', '--quarter', QUARTER], options)
  await succeed(['aggregate', ...words], options)
  return await withDatabase(
    { ...readSettings({}), home: options.home },
    sql => sql<Topic[]>`
      select t.firm_id as "firmId", m.theme_id as "themeId",
        array(
          select s.text from topic_sentences ts join sentences s using (quarter, sentence_id)
          where ts.topic_id = t.topic_id order by sentence_id
        ) as sentences
      from topics t left join theme_topics m using (topic_id)
      where t.quarter = ${QUARTER} order by t.topic_id`,
  )
}

// Two sentences of a story may be neighbours in a topic of something else; with three the topic tells it.
const TELLING = 3

/** Planted sentences of a story in a topic. */
function plantedIn(topic: Topic, { sentences }: Story): number {
  const planted = new Set(sentences[topic.firmId])
  return topic.sentences.filter(sentence => planted.has(sentence)).length
}

type Share = { precision: number; recall: number }
type Found = {
  themeId: string | undefined
  /** Of the firms in its theme those that tell it there; of the firms that tell it those that do so in the theme. */
  firms: Share
  /** Of the planted sentences in its theme those of the story; of those of the story those in the theme. */
  sentences: Share
}

/** The theme in which most firms tell a story, or of the most sentences where there are two. */
function find(story: Story, topics: readonly Topic[]): Found {
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
function strangersBeside(story: Story, topics: readonly Topic[]): number {
  const own = topics.filter(topic => plantedIn(topic, story) >= TELLING)
  const themes = new Set(own.flatMap(topic => topic.themeId ?? []))
  const beside = topics.filter(topic => topic.themeId !== null && themes.has(topic.themeId))
  return new Set(beside.map(topic => topic.firmId)).size - (beside.length > 0 ? 1 : 0)
}

// What holds under each of eight seeds, by keywords and by a model's names, and so may be asked of any: the least precision and
// recall of firms, then of sentences. What is missing has three causes. A topic that tells the story and something else goes with
// the other: freight of two firms with their margins and their destocking (0.67). Sentences fell into no topic: all that is over
// 0.9 is whole. And a topic stands beside the theme: a farm lender's debt beside higher rates.
const HOLDS: Record<string, { firms: [number, number]; sentences: [number, number] }> = {
  freight: { firms: [0.66, 0.66], sentences: [0.6, 0.5] },
  destock: { firms: [0.5, 1], sentences: [0.7, 0.7] },
  fx: { firms: [0.85, 0.85], sentences: [0.95, 0.7] },
  buyback: { firms: [1, 1], sentences: [0.9, 0.95] },
  labor: { firms: [0.77, 1], sentences: [0.6, 0.65] },
  rates: { firms: [0.75, 1], sentences: [0.9, 0.9] },
  // Three of its five firms have a topic of it, and these share two keywords; the theme is at times that of wages (assistants help
  // staff), or of two of the three.
  genai: { firms: [0.25, 0.4], sentences: [0.15, 0.2] },
}
for (const naming of ['keywords', 'a model'] as const) {
  describe(`planted stories, topics named by ${naming}`, () => {
    const { home, remove } = scratchHome()
    let server: ChatServer | undefined
    const runs: Topic[][] = []
    beforeAll(async () => {
      const options: Options = { home }
      if (naming === 'a model') {
        const recorded = recordedNames(join(root, 'test/fixtures/names-2024Q3.jsonl'))
        server = await startChatServer(() => recorded)
        options.env = { XAI_API_KEY: 'key-of-the-test', QUARTERDECK_CHAT_URL: server.url }
      }
      for (const verb of ['ingest', 'embed']) await succeed(stepWords(verb, QUARTER), options)
      for (const seed of SEEDS) runs.push(await topicsUnder(seed, options))
    }, 300_000)
    afterAll(async () => {
      await server?.close()
      await remove()
    })

    it('finds each story that runs across firms, with the firms and sentences that tell it and few others', () => {
      for (const [i, topics] of runs.entries()) {
        for (const story of acrossFirms) {
          const least = HOLDS[story.story]
          const found = find(story, topics)
          for (const of of ['firms', 'sentences'] as const) {
            const what = `${of} of ${story.story}, seed ${SEEDS[i]}`
            expect(found[of].precision, `precision: ${what}`).toBeGreaterThanOrEqual(least[of][0])
            expect(found[of].recall, `recall: ${what}`).toBeGreaterThanOrEqual(least[of][1])
          }
        }
      }
    })

    it('finds all seven under the seed that everybody has, on the mean with five sixths of their firms', () => {
      const found = acrossFirms.map(story => find(story, runs[0]))
      expect(found).toHaveLength(7)
      // By a model's names the story of assistants may stand in the theme of the staff that they help.
      if (naming === 'keywords') expect(new Set(found.map(({ themeId }) => themeId)).size).toBe(7)
      const mean = (of: keyof Share) => found.reduce((sum, { firms }) => sum + firms[of], 0) / found.length
      expect(mean('recall')).toBeGreaterThanOrEqual(0.83)
      expect(mean('precision')).toBeGreaterThanOrEqual(0.75)
    })

    it('gives each of the six larger ones a theme of its own, and none of them swallows the rest', () => {
      for (const topics of runs) {
        const themes = acrossFirms.filter(({ story }) => story !== 'genai').map(story => find(story, topics).themeId)
        expect(new Set(themes).size).toBe(6)
        for (const themeId of themes)
          expect(topics.filter(topic => topic.themeId === themeId).length).toBeLessThanOrEqual(0.15 * topics.length)
      }
    })

    // m, eight seeds: one to five. Without asking whether a topic is nearer than chance, seven.
    it('leaves a story of one firm alone: on the mean fewer than six firms stand beside it in a theme', () => {
      for (const topics of runs) {
        const strangers = ofOneFirm.map(story => strangersBeside(story, topics))
        expect(strangers).toHaveLength(7)
        expect(strangers.reduce((sum, n) => sum + n, 0) / 7).toBeLessThan(6)
      }
    })
  })
}

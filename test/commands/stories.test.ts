// The stories that are planted in the sample quarter, by the commands of a person, under several seeds: each that runs across
// firms is one theme with those firms, and one that a single firm tells is no theme of many.

import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { recordedNames, startChatServer } from '../chat-server.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { type Options, root, stepWords } from '../run.ts'
import {
  acrossFirms,
  findStory,
  ofOneFirm,
  STORIES_QUARTER as QUARTER,
  type Share,
  strangersBeside,
  type Topic,
  topicsOfStories,
} from '../stories.ts'

// The one that everybody has, and others: with another seed a firm has other topics, and the quarter other themes.
const SEEDS = [42, 1, 2]

const underSeed = (seed: number) => ['--quarter', QUARTER, '--force', '--seed', String(seed)]

/** The topics of the quarter as they are clustered, named and aggregated under a seed. */
async function topicsUnder(seed: number, options: Options, source: string): Promise<Topic[]> {
  await here(['name-topics', '--quarter', QUARTER], options)
  // A name of the model that cannot be used is one of keywords in the end.
  const sources = JSON.parse(await here(['sql', 'select distinct source from topic_names', '--json'], options))
  expect(sources).toContainEqual({ source })
  await here(['aggregate', ...underSeed(seed)], options)
  return await topicsOfStories(options.home)
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
const found = { keywords: [] as Topic[][], 'a model': [] as Topic[][] }
// The topics are the same whoever names them: they are clustered once a seed.
beforeAll(async () => {
  const { home, remove } = await readyHome()
  const recorded = recordedNames(join(root, 'test/fixtures/names-2024Q3.jsonl'))
  const server = await startChatServer(() => recorded)
  const withModel = { home, env: { XAI_API_KEY: 'key-of-the-test', QUARTERDECK_CHAT_URL: server.url } }
  for (const verb of ['ingest', 'embed']) await here(stepWords(verb, QUARTER), { home })
  for (const seed of SEEDS) {
    await here(['cluster-firm', ...underSeed(seed)], { home })
    found.keywords.push(await topicsUnder(seed, { home }, 'keywords'))
    found['a model'].push(await topicsUnder(seed, withModel, 'llm'))
  }
  await server.close()
  await remove()
}, 300_000)

for (const [naming, runs] of Object.entries(found)) {
  describe(`planted stories, topics named by ${naming}`, () => {
    it('finds each story that runs across firms, with the firms and sentences that tell it and few others', () => {
      for (const [i, topics] of runs.entries()) {
        for (const story of acrossFirms) {
          const least = HOLDS[story.story]
          const found = findStory(story, topics)
          for (const of of ['firms', 'sentences'] as const) {
            const what = `${of} of ${story.story}, seed ${SEEDS[i]}`
            expect(found[of].precision, `precision: ${what}`).toBeGreaterThanOrEqual(least[of][0])
            expect(found[of].recall, `recall: ${what}`).toBeGreaterThanOrEqual(least[of][1])
          }
        }
      }
    })

    it('finds all seven under the seed that everybody has, on the mean with five sixths of their firms', () => {
      const found = acrossFirms.map(story => findStory(story, runs[0]))
      expect(found).toHaveLength(7)
      // By a model's names the story of assistants may stand in the theme of the staff that they help.
      if (naming === 'keywords') expect(new Set(found.map(({ themeId }) => themeId)).size).toBe(7)
      const mean = (of: keyof Share) => found.reduce((sum, { firms }) => sum + firms[of], 0) / found.length
      expect(mean('recall')).toBeGreaterThanOrEqual(0.83)
      expect(mean('precision')).toBeGreaterThanOrEqual(0.75)
    })

    it('gives each of the six larger ones a theme of its own, and none of them swallows the rest', () => {
      for (const topics of runs) {
        const themes = acrossFirms
          .filter(({ story }) => story !== 'genai')
          .map(story => findStory(story, topics).themeId)
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

// The finer level by the command line: real calls clustered into communities, whose topics are shown with their parts below
// them; the other method has none, and takes away those that were there.

import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import type { ShownTopic } from '../../lib/db/topics.ts'
import { readSettings } from '../../lib/settings.ts'
import { sample, scratchHome, succeed } from '../run.ts'

const QUARTER = '2016Q4'
// Five of the 214 sample firms, of those with the longest calls: a topic of ten sentences has no parts.
const CALLS = ['20161020_SEIC', '20161026_CLI', '20161026_FSP', '20161027_AHL', '20161103_GEO']
const { home, remove } = scratchHome()
afterAll(remove)

const run = (...words: string[]) => succeed([...words, '--quarter', QUARTER], { home })
const clustered = (method: string, ...words: string[]) => run('cluster-firm', '--method', method, ...words)
const rows = (statement: string) =>
  withDatabase({ ...readSettings({}), home }, async sql => [...(await sql.unsafe(statement))])

/** The firm's topics as a program gets them. */
async function topicsOf(firm: string, method: string): Promise<ShownTopic[]> {
  return JSON.parse(await clustered(method, '--firm', firm, '--json')).itsTopics
}

let firm: string
beforeAll(async () => {
  await run('ingest', ...CALLS.map(call => join(sample(QUARTER), call)))
  await run('embed')
  await clustered('communities')
  const [most] = await rows(
    'select firm_id from subtopics join topics using (topic_id) group by 1 order by count(*) desc, 1 limit 1',
  )
  firm = String(most.firm_id)
}, 60_000)

it('a topic has two parts or more, or none, each of its own sentences, and in JSON they stand below it', async () => {
  const topics = await topicsOf(firm, 'communities')
  const parts = topics.flatMap(topic => topic.parts)
  expect(parts.length).toBeGreaterThan(1)
  for (const topic of topics) {
    expect(topic.parts.length).not.toBe(1)
    expect(topic.parts.map(part => part.subtopicId)).toEqual(topic.parts.map((_, i) => `${topic.topicId}.${i + 1}`))
    const sizes = topic.parts.map(part => part.size)
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(topic.size)
  }
  const said = await rows(`
    select topic_id, subtopic_id, text from topic_sentences join sentences using (quarter, sentence_id)
    where topic_sentences.firm_id = '${firm}' and subtopic_id is not null`)
  expect(new Set(said.map(row => row.subtopic_id))).toEqual(new Set(parts.map(part => part.subtopicId)))
  for (const { subtopicId, size, keywords, example } of parts) {
    const own = said.filter(row => row.subtopic_id === subtopicId)
    expect(own.map(row => row.text)).toContain(example)
    expect(own).toHaveLength(size)
    expect(keywords.length).toBeGreaterThan(0)
  }
})

it('a person reads the parts of a topic in the lines under it', async () => {
  const lines = (await clustered('communities', '--firm', firm)).trimEnd().split('\n').slice(2)
  const expected = (await topicsOf(firm, 'communities')).flatMap(({ topicId, size, parts }) => [
    [topicId, size],
    ...parts.map(part => [`└ ${part.subtopicId.split('/')[2]}`, part.size]),
  ])
  expect(lines.map(line => /^(└ \S+|\S+) +(\d+)/.exec(line)?.slice(1, 3))).toEqual(
    expected.map(([id, size]) => [id, String(size)]),
  )
})

it('a quarter with parts passes db-check, and UMAP and HDBSCAN leave none of them', async () => {
  expect(await succeed(['db-check'], { home })).toMatch(/a sentence in a part of a topic is in that topic +[1-9]\d*\n/)
  expect((await topicsOf(firm, 'umap-hdbscan')).map(topic => topic.parts)).toContainEqual([])
  expect(await rows(`select from subtopics where topic_id like '${QUARTER}/${firm}/%'`)).toEqual([])
  expect(await rows(`select from topic_sentences where firm_id = '${firm}' and subtopic_id is not null`)).toEqual([])
  await succeed(['db-check'], { home })
})

// The rows of topics, on both databases: replaced firm by firm, counted, shown; and the column that came with 002.

import { beforeAll, expect, it } from 'vitest'
import type { Database } from '../../lib/db/connect.ts'
import { migrate, migrations } from '../../lib/db/migrate.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { type FirmTopicRows, replaceTopics, shownTopics, topicCounts, topicIdOf } from '../../lib/db/topics.ts'
import { onBothDatabases } from './both-databases.ts'

const QUARTER = '2024Q3'

/** Two topics of two sentences, and two sentences of noise, one of them given to the second topic. */
function rowsOf(firmId: string, firstSentence: number): FirmTopicRows {
  const [first, second] = [topicIdOf(QUARTER, firmId, 1), topicIdOf(QUARTER, firmId, 2)]
  const topic = (topicId: string, label: string) => ({
    topicId,
    label,
    size: 2,
    keywords: [label],
    keywordWeights: [1],
    representativeSentences: [],
    centroid: Float32Array.of(1, 0),
  })
  const labels: [string | null, string | null][] = [
    [first, null],
    [first, null],
    [second, null],
    [second, null],
    [null, second],
    [null, null],
  ]
  return {
    firmId,
    topics: [topic(first, 'anvils'), topic(second, 'freight')],
    memberships: labels.map(([topicId, reassignedTopicId], i) => ({
      sentenceId: BigInt(firstSentence + i),
      topicId,
      reassignedTopicId,
      probability: topicId === null ? 0 : 1,
    })),
  }
}

onBothDatabases('topics', open => {
  let sql: Database
  const labels = async () =>
    (
      await sql<{ row: string }[]>`
          select concat_ws(' ', sentence_id, coalesce(topic_id, '-'), coalesce(reassigned_topic_id, '-'), probability) as row
          from topic_sentences order by sentence_id`
    ).map(one => one.row)

  beforeAll(async () => {
    ;({ sql } = await open())
    await ensureQuarter(sql, QUARTER)
    for (const firm of ['A', 'B', 'C']) await sql`insert into firms (firm_id) values (${firm})`
  })

  it('replaces the topics of the firms it is given, and leaves those of the others', async () => {
    await sql.begin(tx => replaceTopics(tx, QUARTER, [rowsOf('A', 100), rowsOf('B', 200), rowsOf('C', 300)]))
    expect(await topicCounts(sql, QUARTER, null)).toEqual({ topics: 6, sentences: 18, noise: 6, reassigned: 3 })
    const before = await labels()
    await sql.begin(tx =>
      replaceTopics(tx, QUARTER, [
        { firmId: 'A', topics: [], memberships: [] },
        { ...rowsOf('C', 300), memberships: rowsOf('C', 300).memberships.slice(0, 5) },
      ]),
    )
    expect(await labels()).toEqual(before.filter(row => !row.startsWith('1') && !row.startsWith('305')))
    expect(await topicCounts(sql, QUARTER, 'A')).toEqual({ topics: 0, sentences: 0, noise: 0, reassigned: 0 })
    expect(await topicCounts(sql, QUARTER, 'B')).toEqual({ topics: 2, sentences: 6, noise: 2, reassigned: 1 })
  })

  it('shows beside the size of a topic how much noise was given to it', async () => {
    const shown = await shownTopics(sql, QUARTER, 'B')
    expect(shown.map(topic => [topic.name, topic.size, topic.reassigned])).toEqual([
      ['anvils', 2, 0],
      ['freight', 2, 1],
    ])
  })

  it('brings a database of the first version to this one with its rows as they were', async () => {
    const before = await labels()
    await sql`alter table topic_sentences drop column reassigned_topic_id`
    await sql`drop table learned_batches`
    await sql`alter table chat_answers drop column dollars, drop column quarter`
    await sql`drop index calls_of_one_firm, topics_of_one_firm`
    await sql`drop table sentence_novelty, topic_novelty, theme_lineage, theme_links`
    await sql`alter table topic_sentences drop column subtopic_id`
    await sql`alter table theme_topics drop column subtheme_id`
    await sql`drop table subtopics, subthemes`
    await sql`delete from work where stage in ('novelty', 'lineage')`
    await sql`delete from schema_versions where version > 1`
    expect(await migrate(sql)).toEqual(
      migrations()
        .slice(1)
        .map(({ file }) => file),
    )
    expect(await labels()).toEqual(before.map(row => row.replace(/ 2024Q3\/[BC]\/02 0$/, ' - 0')))
    expect(await migrate(sql)).toEqual([])
  })
})

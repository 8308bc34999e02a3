// The finer level, on both databases: parts of topics and of themes come and go with what they are parts of, are shown in the
// order of their numbers, and came to databases that had rows without a row being written anew.

import { beforeAll, beforeEach, expect, it } from 'vitest'
import { check } from '../../lib/db/check.ts'
import type { Database } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { ensureQuarter, partitionName } from '../../lib/db/quarters.ts'
import {
  replaceThemes,
  shownThemes,
  subthemeIdOf,
  type Theme,
  type ThemeTopic,
  themeIdOf,
} from '../../lib/db/themes.ts'
import { type FirmTopicRows, replaceTopics, shownTopics, subtopicIdOf, topicIdOf } from '../../lib/db/topics.ts'
import { onBothDatabases } from './both-databases.ts'

const QUARTER = '2024Q3'
const unit = Float32Array.of(1, 0)
const idOf = (firmId: string) => topicIdOf(QUARTER, firmId, 1)

/** A topic of a firm with so many parts, each a sentence smaller than the one before and the last of one; one more is in none. */
function rowsOf(firmId: string, parts: number): FirmTopicRows {
  const topicId = idOf(firmId)
  const sizes = Array.from({ length: parts }, (_, i) => parts - i)
  const partOf = [...sizes.flatMap((size, i) => new Array<number>(size).fill(i)), undefined]
  const first = BigInt(firmId.charCodeAt(0)) * 1000n
  const sentenceIds = partOf.map((_, i) => first + BigInt(i))
  const words = { keywords: [firmId], keywordWeights: [1] }
  return {
    firmId,
    topics: [
      {
        ...{ topicId, label: firmId, size: partOf.length, representativeSentences: [], centroid: unit, ...words },
        subtopics: sizes.map((size, i) => ({
          ...{ subtopicId: subtopicIdOf(topicId, i + 1), size, ...words },
          representativeSentence: sentenceIds[partOf.indexOf(i)],
        })),
      },
    ],
    memberships: partOf.map((part, i) => ({
      ...{ sentenceId: sentenceIds[i], topicId, reassignedTopicId: null, probability: 1 },
      subtopicId: part === undefined ? null : subtopicIdOf(topicId, part + 1),
    })),
  }
}

/** A theme of these firms' topics, the first of them in one part, the others in another. */
function themeOf(firmIds: readonly string[], parts: number): [Theme, ThemeTopic[]] {
  const themeId = themeIdOf(QUARTER, 1)
  const named = { themeId, name: 'Freight', summary: 'Freight.', source: 'keywords' as const, keywords: ['freight'] }
  const sizes = { topics: firmIds.length, firms: firmIds.length, sentences: 9, largestFirmShare: 0.3, flags: [] }
  const subthemes = [firmIds.length - 1, 1].slice(0, parts).map((n, i) => ({
    ...{ subthemeId: subthemeIdOf(themeId, i + 1), topics: n, firms: n, keywords: ['ports'] },
  }))
  const memberships = firmIds.map((firmId, i) => ({
    ...{ topicId: idOf(firmId), themeId, probability: 1, givenToNearest: false },
    subthemeId: parts === 0 ? null : subthemeIdOf(themeId, i === 0 ? 2 : 1),
  }))
  return [{ ...named, ...sizes, representativeSentences: [], centroid: unit, subthemes }, memberships]
}

onBothDatabases('the parts of topics and themes', open => {
  let sql: Database
  const write = (...firms: FirmTopicRows[]) => sql.begin(tx => replaceTopics(tx, QUARTER, firms))
  const writeTheme = ([theme, memberships]: [Theme, ThemeTopic[]]) =>
    sql.begin(tx => replaceThemes(tx, QUARTER, [theme], memberships))
  const subtopics = async () => (await sql`select subtopic_id as id from subtopics order by 1`).map(row => row.id)
  const subthemes = async () =>
    (
      await sql<{ row: string }[]>`
        select concat_ws(' ', m.topic_id, m.theme_id, p.subtheme_id, p.topics, p.firms, p.keywords) as row
        from theme_topics m left join subthemes p using (subtheme_id) order by 1`
    ).map(one => one.row)

  beforeAll(async () => {
    ;({ sql } = await open())
    await ensureQuarter(sql, QUARTER)
    for (const firm of ['A', 'B', 'C']) await sql`insert into firms (firm_id) values (${firm})`
  })
  beforeEach(() => write(rowsOf('A', 2), rowsOf('B', 3), rowsOf('C', 0)))

  it('are replaced with the topics of their firm, and leave the others alone', async () => {
    expect(await subtopics()).toEqual(
      ['A', 'A', 'B', 'B', 'B'].map((firm, i) => subtopicIdOf(idOf(firm), [1, 2, 1, 2, 3][i])),
    )
    await write({ firmId: 'A', topics: [], memberships: [] }, rowsOf('C', 2))
    expect(await subtopics()).toEqual(
      ['B', 'B', 'B', 'C', 'C'].map((firm, i) => subtopicIdOf(idOf(firm), [1, 2, 3, 1, 2][i])),
    )
    const counted = await sql`
      select p.subtopic_id from subtopics p
      where size <> (select count(*) from topic_sentences m where m.subtopic_id = p.subtopic_id and m.topic_id = p.topic_id)`
    expect(counted).toEqual([])
  })

  it('are shown below their topic by number, the tenth after the ninth, and none where there are none', async () => {
    await write(rowsOf('A', 11))
    const [a] = await shownTopics(sql, QUARTER, 'A')
    expect(a.parts.map(part => part.subtopicId)).toEqual(Array.from({ length: 11 }, (_, i) => `${idOf('A')}.${i + 1}`))
    expect(a.parts[10]).toEqual({ subtopicId: `${idOf('A')}.11`, size: 1, keywords: ['A'], example: '' })
    expect((await shownTopics(sql, QUARTER, 'C'))[0].parts).toEqual([])
  })

  it('of a theme are replaced with it, go with it, and leave its topics in it where they alone are deleted', async () => {
    await writeTheme(themeOf(['A', 'B', 'C'], 2))
    const theme = themeIdOf(QUARTER, 1)
    expect(await subthemes()).toEqual([
      `${idOf('A')} ${theme} ${theme}.2 1 1 {ports}`,
      `${idOf('B')} ${theme} ${theme}.1 2 2 {ports}`,
      `${idOf('C')} ${theme} ${theme}.1 2 2 {ports}`,
    ])
    const [{ parts }] = await shownThemes(sql, QUARTER)
    const shown = { keywords: ['ports'], subthemeId: `${theme}.1` }
    expect(parts).toEqual([
      { ...shown, firms: 2, topics: 2 },
      { ...shown, firms: 1, topics: 1, subthemeId: `${theme}.2` },
    ])
    await sql`delete from subthemes where subtheme_id = ${`${theme}.2`}`
    expect((await subthemes())[0]).toBe(`${idOf('A')} ${theme}`)
    await writeTheme(themeOf(['A', 'B', 'C'], 0))
    expect((await shownThemes(sql, QUARTER))[0].parts).toEqual([])
    expect(await subthemes()).toEqual(['A', 'B', 'C'].map(firm => `${idOf(firm)} ${theme}`))
    await writeTheme(themeOf(['A', 'B', 'C'], 2))
    await sql`delete from themes`
    expect(await sql`select from subthemes`).toEqual([])
  })

  it('hold what db-check asks of them', async () => {
    await writeTheme(themeOf(['A', 'B', 'C'], 2))
    await sql`insert into work (stage, quarter, firm_id, state) values ('aggregate', ${QUARTER}, '*', 'done')`
    const ofParts = (await check(sql, [QUARTER])).filter(({ title }) => /a part of|^sub/.test(title))
    expect(ofParts.filter(finding => finding.rows > 0 && finding.broken === 0)).toHaveLength(6)
    await sql`delete from work`
    await sql`delete from themes`
  })

  it('come to a database of the version before with its rows where they were on the disk', async () => {
    const tables = ['topics', partitionName('topic_sentences', QUARTER), 'themes', 'theme_topics']
    const places = async () =>
      await Promise.all(tables.map(async one => (await sql`select pg_relation_filenode(${one}::regclass) as at`)[0].at))
    const rows = async () => [
      ...(await sql`select quarter, sentence_id, firm_id, topic_id, probability, reassigned_topic_id from topic_sentences order by 2`),
      ...(await sql`select topic_id, theme_id, probability, given_to_nearest from theme_topics order by 1`),
    ]
    await writeTheme(themeOf(['A', 'B', 'C'], 2))
    await sql`alter table topic_sentences drop column subtopic_id`
    await sql`alter table theme_topics drop column subtheme_id`
    await sql`drop table subtopics, subthemes`
    await sql`delete from schema_versions where version > 7`
    const [before, where] = [await rows(), await places()]
    expect(await migrate(sql)).toContain('008_subtopics.sql')
    expect(await rows()).toEqual(before)
    expect(await places()).toEqual(where)
    expect(await sql`select from topic_sentences where subtopic_id is not null`).toEqual([])
    expect(await sql`select from theme_topics where subtheme_id is not null`).toEqual([])
    await write(rowsOf('A', 2)) // and take new ones
    expect(await subtopics()).toHaveLength(2)
  })
})

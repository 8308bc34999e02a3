// Quarters whose themes have a known history: a theme is a list of subjects, a topic lies near the direction of one subject, and
// subjects of one kin (`oil/crude`, `oil/gas`) lie near each other. What a theme of the next quarter is made of says what became
// of this one.

import type { Queries } from '../lib/db/connect.ts'
import { copyRows } from '../lib/db/copy.ts'
import type { ThemesOfQuarter } from '../lib/math/lineage.ts'
import { createRandom, seedFrom } from '../lib/math/random.ts'

export const DIMENSIONS = 48
// Of topics of one subject the cosine is .8, of one kin .6, of two kins about 0: as in 2016Q3, where a topic lies at .7 to its
// own theme's centroid.
const OWN = 0.7
const NOISE = 0.5

export type MadeTheme = { subjects: readonly string[]; topics: number; firms?: readonly string[] }
export type MadeQuarter = Readonly<Record<string, MadeTheme>>

function direction(...parts: (string | number)[]): Float64Array {
  const random = createRandom(seedFrom(7, ...parts))
  // The sum of twelve even numbers is near enough to a normal one, and so no direction is preferred.
  const raw = Float64Array.from({ length: DIMENSIONS }, () => {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += random.next()
    return sum
  })
  const length = Math.hypot(...raw)
  return raw.map(value => value / length)
}

function topicVector(ownWeight: number, subject: string, ...which: (string | number)[]): Float32Array {
  const [kin] = subject.split('/')
  const [base, own, noise] = [
    direction('kin', kin),
    direction('subject', subject),
    direction('topic', subject, ...which),
  ]
  const mixed = base.map((value, t) => value + ownWeight * own[t] + NOISE * noise[t])
  const length = Math.hypot(...mixed)
  return Float32Array.from(mixed, value => value / length)
}

export type MadeTopic = { topicId: string; firmId: string; themeId: string; vector: Float32Array }

/** The topics of a quarter, with firms F00, F01 … unless the theme names its own. */
export function madeTopics(quarter: string, made: MadeQuarter, ownWeight = OWN): MadeTopic[] {
  return Object.entries(made).flatMap(([name, { subjects, topics, firms }]) =>
    Array.from({ length: topics }, (_, i) => ({
      topicId: `${quarter}/${name}/${String(i).padStart(3, '0')}`,
      firmId: firms === undefined ? `F${String(i % 20).padStart(2, '0')}` : firms[i % firms.length],
      themeId: `${quarter}/${name}`,
      vector: topicVector(ownWeight, subjects[i % subjects.length], quarter, name, i),
    })),
  )
}

/** The same as `compareThemes` takes it; themes in the order of their names. */
export function madeThemes(
  quarter: string,
  made: MadeQuarter,
  ownWeight = OWN,
): ThemesOfQuarter & { themeIds: string[] } {
  const topics = madeTopics(quarter, made, ownWeight)
  const themeIds = Object.keys(made)
    .map(name => `${quarter}/${name}`)
    .sort()
  const vectors = new Float32Array(topics.length * DIMENSIONS)
  for (const [i, { vector }] of topics.entries()) vectors.set(vector, i * DIMENSIONS)
  return {
    themeIds,
    vectors,
    n: topics.length,
    d: DIMENSIONS,
    themeOf: Int32Array.from(topics, topic => themeIds.indexOf(topic.themeId)),
    themes: themeIds.length,
    firmOf: topics.map(topic => topic.firmId),
    firms: new Set(topics.map(topic => topic.firmId)),
  }
}

/** Writes a quarter as `aggregate` leaves it: calls, topics, their embeddings, themes, and the work that is done. */
export async function writeQuarter(sql: Queries, quarter: string, made: MadeQuarter): Promise<void> {
  const topics = madeTopics(quarter, made)
  const firmIds = [...new Set(topics.map(topic => topic.firmId))].sort()
  await sql`insert into firms (firm_id) select * from unnest(${firmIds}::text[]) on conflict do nothing`
  await sql`
    insert into calls (call_id, firm_id, quarter, source, format, content_hash, sentences)
    select hashtextextended(firm_id || ${quarter}, 0) & 140737488355327, firm_id, ${quarter}, 'made', 'made', '', 0
    from unnest(${firmIds}::text[]) as firm_id on conflict do nothing`
  await sql`delete from themes where quarter = ${quarter}`
  await sql`delete from topics where quarter = ${quarter}`
  await sql`
    insert into topics select topic_id, firm_id, ${quarter}, topic_id, 1, '{}', '{}', '{}', '[1]'
    from unnest(${topics.map(one => one.topicId)}::text[], ${topics.map(one => one.firmId)}::text[]) as t (topic_id, firm_id)`
  await copyRows(
    sql,
    'topic_vectors',
    [
      { name: 'topic_id', type: 'text' },
      { name: 'quarter', type: 'text' },
      { name: 'embedding', type: 'vector' },
    ],
    topics.map(topic => [topic.topicId, quarter, topic.vector]),
  )
  for (const name of Object.keys(made)) {
    const own = topics.filter(topic => topic.themeId === `${quarter}/${name}`)
    await sql`
      insert into themes values (${`${quarter}/${name}`}, ${quarter}, ${name}, '', 'keywords', '{}', ${own.length},
        ${new Set(own.map(topic => topic.firmId)).size}, ${own.length}, 0, '{}', '{}', '[1]')`
    await sql`
      insert into theme_topics select topic_id, ${`${quarter}/${name}`}, 1, false
      from unnest(${own.map(topic => topic.topicId)}::text[]) as topic_id`
  }
  await sql`
    insert into work (stage, quarter, firm_id, state)
    select stage, ${quarter}, '*', case stage when 'lineage' then 'pending' else 'done' end
    from unnest('{ingest,aggregate,index,lineage}'::text[]) as stage
    on conflict (stage, quarter, firm_id) do update set attempt = work.attempt + 1, state = excluded.state`
}

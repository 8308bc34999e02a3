// aggregate with hardly anything to cluster: what it says, stores and leaves for `themes` to show.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings } from '../../lib/settings.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { bringQuarter, QUARTER } from '../ready-quarter.ts'
import { quarterdeck } from '../run.ts'

const { home, remove } = await readyHome()
const settings = { ...readSettings({}), home }

beforeAll(() => withDatabase(settings, bringQuarter), 100_000)
afterAll(remove)

type Outcome = {
  themes: { firms: number; topics: number; flags: string[] }[]
  memberships: { probability: number }[]
  vectors: number
  stderr: string
  shown: string
}

/** Leaves the topics that the condition holds for, and aggregates them. */
async function aggregated(condition: string): Promise<Outcome & { topics: number }> {
  const topics = await withDatabase(settings, async sql => {
    await sql.unsafe(`delete from topics where not (${condition})`)
    return (await sql`select from topics`).length
  })
  const { code, stdout, stderr } = await quarterdeck(['aggregate', '--quarter', QUARTER, '--force', '--json'], { home })
  expect(`${code} ${stderr}`).toMatch(/^0 /)
  const outcome = await withDatabase(settings, async sql => ({
    themes: await sql<Outcome['themes']>`select firms, topics, flags from themes order by theme_id`,
    memberships: await sql<Outcome['memberships']>`select probability from theme_topics`,
    vectors: (await sql`select from topic_vectors`).length,
  }))
  const { themes, memberships } = outcome
  expect(JSON.parse(stdout)).toMatchObject({ topics, themes: themes.length, inThemes: memberships.length })
  return { topics, stderr, shown: await here(['themes', '--quarter', QUARTER], { home }), ...outcome }
}

it('makes of two firms themes of both at most, each flagged where one of them dominates', async () => {
  const { topics, themes, memberships, vectors } = await aggregated("firm_id in ('ALDH', 'BRMH')")
  expect(topics).toBeGreaterThanOrEqual(12)
  expect(vectors).toBe(topics)
  expect(themes.length).toBeGreaterThan(0)
  for (const { firms, topics: size, flags } of themes) {
    expect(size).toBeGreaterThanOrEqual(3)
    expect(firms).toBeLessThanOrEqual(2)
    // One of two firms holds half and more.
    expect(flags).toContain(firms === 2 ? 'one firm dominates' : 'few firms')
  }
  for (const { probability } of memberships) {
    expect(probability).toBeGreaterThan(0)
    expect(probability).toBeLessThanOrEqual(1)
  }
})

it('flags whatever it finds in one firm alone: that is no theme across firms', async () => {
  const { themes, memberships, topics } = await aggregated("firm_id = 'ALDH'")
  expect(topics).toBeGreaterThanOrEqual(6)
  for (const { firms, flags } of themes) {
    expect(firms).toBe(1)
    expect(flags).toContain('few firms')
  }
  expect(memberships.length).toBe(themes.reduce((sum, theme) => sum + theme.topics, 0))
})

it('makes none of five topics, of one, or of nothing, ends well, and leaves nothing of the themes before', async () => {
  const outcomes = [
    [5, 'its 5 topics have too little in common'],
    [1, 'it has one topic alone'],
    [0, 'it has no topics'],
  ] as const
  for (const [n, why] of outcomes) {
    const { topics, themes, memberships, vectors, stderr, shown } = await aggregated(
      `topic_id in (select topic_id from topics order by topic_id limit ${n})`,
    )
    expect([topics, themes.length, memberships.length, vectors]).toEqual([n, 0, 0, n])
    expect(stderr).toContain(`${n} in none: with fewer than 6 there is nothing to tell apart`)
    expect(shown).toContain(`No theme runs across the firms of 2024Q3: ${why}`)
  }
})

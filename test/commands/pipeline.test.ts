// The whole of the sample quarter, by the commands a person types, on both databases: what comes out, and what a second run
// leaves alone.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { readSettings, type Settings } from '../../lib/settings.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { readyHome } from '../db/servers.ts'
import { here } from '../here.ts'
import { fingerprints, type Options, quarterdeck, root, STEPS, sample, stepWords, succeed } from '../run.ts'

const QUARTER = '2024Q3'
type Row = Record<string, string | number | string[] | null>

/** The rows of a run on the embedded database with one thread, made once. */
const elsewhere = once(async () => {
  const { home, remove } = await readyHome()
  for (const verb of STEPS) await here(stepWords(verb, QUARTER), { home, env: { QUARTERDECK_THREADS: '1' } })
  const found = await withDatabase({ ...readSettings({}), home }, sql => fingerprints(sql))
  await remove()
  return found
})

function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | undefined
  return () => {
    made ??= make()
    return made
  }
}

onBothServers('the sample quarter', start => {
  let options: Options & { env: Record<string, string> }
  let settings: Settings

  const rows = async (statement: string): Promise<Row[]> =>
    JSON.parse(await here(['sql', statement, '--json'], options))
  const prints = (where = 'true') => withDatabase(settings, sql => fingerprints(sql, where))

  async function step(verb: string, ...more: string[]): Promise<string> {
    const { code, stderr } = await quarterdeck(stepWords(verb, QUARTER, ...more), options)
    expect(`${verb} ended with ${code}\n${stderr}`).toContain(`${verb} ended with 0`)
    return stderr
  }

  const statusOf = async (): Promise<Record<string, string>> => {
    const status = JSON.parse(await here(['status', '--quarter', QUARTER, '--json'], options))
    return Object.fromEntries(
      status.quarters[0].steps.map((one: { step: string; state: string }) => [one.step, one.state]),
    )
  }

  beforeAll(async () => {
    const server = await start()
    options = optionsFor(server)
    settings = { ...readSettings({}), ...server.settings }
    for (const verb of STEPS) await step(verb)
  }, 300_000)

  describe('a quarter from nothing', () => {
    it('takes the calls of the quarter, the latest transcript of each, and passes over the others', async () => {
      const calls = await rows('select firm_id, call_date::text, source from calls order by 1')
      expect(calls).toHaveLength(14)
      expect(new Set(calls.map(call => call.firm_id)).size).toBe(14)
      expect(calls.every(call => String(call.call_date) < '2024-10-01')).toBe(true)
      const [{ unedited }] = await rows(
        "select count(*)::int as unedited from sentences where firm_id = 'ORVX' and text ~ 'Clover'",
      )
      expect(unedited).toBe(0)
    })

    it('keeps speakers, roles and sections', async () => {
      const sections = await rows('select section, count(*)::int as n from sentences group by 1 order by 1')
      expect(sections.map(row => row.section)).toEqual(expect.arrayContaining(['answer', 'prepared', 'question']))
      const [{ nameless }] = await rows(
        "select count(*)::int as nameless from sentences where speaker is null and role <> 'Operator'",
      )
      expect(nameless).toBe(0)
    })

    it('marks talk with its reason and leaves it out of the clustering', async () => {
      const [{ operators }] = await rows(
        "select count(*)::int as operators from sentences where role = 'Operator' and talk is null",
      )
      expect(operators).toBe(0)
      const [{ clustered }] = await rows(
        'select count(*)::int as clustered from topic_sentences join sentences using (quarter, sentence_id) where talk is not null',
      )
      expect(clustered).toBe(0)
      const [{ left }] = await rows(`
      select count(*)::int as left from sentences
      left join topic_sentences using (quarter, sentence_id)
      where talk is null and topic_sentences.sentence_id is null`)
      expect(left).toBe(0)
    })

    it('gives every sentence an embedding of unit length', async () => {
      const [{ sentences, vectors }] = await rows(`
      select (select count(*)::int from sentences) as sentences,
        (select count(*)::int from sentence_vectors where abs(vector_norm(embedding) - 1) < 1e-5) as vectors`)
      expect(vectors).toBe(sentences)
      expect(sentences).toBeGreaterThan(1500)
    })

    it('gives every firm topics whose sizes agree with their sentences', async () => {
      const wrong = await rows(`
      select t.topic_id from topics t left join topic_sentences m using (topic_id)
      group by t.topic_id, t.size, t.firm_id having count(m.sentence_id) <> t.size or bool_or(m.firm_id <> t.firm_id)`)
      expect(wrong).toEqual([])
      const firms = await rows('select firm_id, count(*)::int as topics from topics group by 1 having count(*) >= 3')
      expect(firms).toHaveLength(14)
    })

    it('names every topic, and no two topics of a firm alike', async () => {
      expect(
        await rows('select topic_id from topics left join topic_names using (topic_id) where name is null'),
      ).toEqual([])
      expect(
        await rows(
          'select firm_id, lower(name) from topics join topic_names using (topic_id) group by 1, 2 having count(*) > 1',
        ),
      ).toEqual([])
      expect(
        await rows(
          "select name from topic_names where name ~ '_' or name !~ '^[[:upper:][:digit:]]' or length(name) > 80",
        ),
      ).toEqual([])
    })

    it('makes themes that run across firms, none of them a giant', async () => {
      const themes = await rows('select name, firms, topics from themes')
      expect(themes.length).toBeGreaterThanOrEqual(5)
      const [{ topics }] = await rows('select count(*)::int as topics from topics')
      for (const theme of themes) expect(Number(theme.topics)).toBeLessThanOrEqual(0.2 * Number(topics))
      expect(themes.filter(theme => Number(theme.firms) >= 4).length).toBeGreaterThanOrEqual(5)
    })

    // Six planted sentences of a story and more in one firm: 48 such pairs. m, three seeds: 47 with our layout, 48 with UMAP's draws.
    it('puts the planted sentences of a story in a firm together: three and more in one topic, in 45 of 48 cases', async () => {
      const stories: { sentences: Record<string, string[]> }[] = JSON.parse(
        readFileSync(join(root, 'test/fixtures/stories-2024Q3.json'), 'utf8'),
      )
      const members = await rows(`
      select s.firm_id, s.text, ts.topic_id from sentences s join topic_sentences ts using (quarter, sentence_id)`)
      const topicOf = new Map(members.map(row => [`${row.firm_id}: ${row.text}`, row.topic_id]))
      let pairs = 0
      let together = 0
      for (const { sentences } of stories) {
        for (const [firm, texts] of Object.entries(sentences)) {
          const topics = texts.map(text => topicOf.get(`${firm}: ${text}`)).filter(topic => topic !== undefined)
          if (topics.length < 6) continue
          pairs++
          const most = Math.max(...topics.map(topic => (topic === null ? 0 : topics.filter(t => t === topic).length)))
          if (most >= 3) together++
        }
      }
      expect(pairs).toBe(48)
      expect(together).toBeGreaterThanOrEqual(45)
    })

    it('answers a search at the levels of themes, topics and sentences', async () => {
      const hits = JSON.parse(await succeed(['search', 'containers rerouted around the Red Sea', '--json'], options))
      expect(hits.themes.length).toBeGreaterThan(0)
      expect(hits.topics.length).toBeGreaterThan(0)
      expect(hits.sentences[0].text).toMatch(/Red Sea|container|freight/i)
      expect(hits.sentences[0]).toHaveProperty('topic')
      const shown = await succeed(['search', 'share repurchases', '--level', 'sentences', '--limit', '3'], options)
      expect(shown).toMatch(/repurchase|buyback/i)
    })

    it('has an HNSW index of its embeddings', async () => {
      const index = "where relname = 'sentence_vectors_2024q3_hnsw'"
      expect(await rows(`select amname from pg_class join pg_am on pg_am.oid = relam ${index}`)).toEqual([
        { amname: 'hnsw' },
      ])
    })

    it('prints a table of themes with what to type next', async () => {
      const table = await succeed(['themes', '--quarter', QUARTER], options)
      expect(table).toMatch(/themes of 2024Q3 +firms +sentences +for example/)
      expect(table).toContain('quarterdeck.mjs search')
    })

    it('prints the result of a statement as a table, JSON or CSV', async () => {
      expect(await succeed(['sql', 'select 1 as one, null as none, array[1,2] as many'], options)).toMatch(
        /one +none +many/,
      )
      expect(await rows("select 12345678901234567::bigint as id, 'a' as text, true as yes")).toEqual([
        { id: '12345678901234567', text: 'a', yes: true },
      ])
      expect(await rows("select 1 as x, 2 as x, array[[1,2],[3,4]] as grid, date '2024-08-12' as day")).toEqual([
        {
          x: 1,
          x_2: 2,
          grid: [
            [1, 2],
            [3, 4],
          ],
          day: '2024-08-12',
        },
      ])
      expect(await here(['sql', "select 'a,\"b' as x, 2 as y", '--csv'], options)).toBe('x,y\r\n"a,""b",2\r\n')
    })
  })

  describe('running it again', () => {
    it('does nothing and changes nothing when everything is done', async () => {
      const before = await prints()
      for (const verb of STEPS) expect(await step(verb)).toMatch(/nothing left to do|0 calls loaded, 14 unchanged/)
      expect(await prints()).toEqual(before)
      expect(Object.values(await statusOf())).toEqual(STEPS.map(() => 'done'))
    })

    it('gives the same rows from nothing in another folder, with another number of threads', async () => {
      expect(await elsewhere()).toEqual(await prints())
    }, 300_000)

    it('does one firm again and nothing else, and then just the steps that depend on it', async () => {
      const whole = await prints()
      const others = "firm_id <> 'HLPW'"
      const untouched = async () =>
        rows(`select md5(string_agg(t::text, '' order by topic_id)) as topics from topics t where ${others}`)
      const before = await untouched()
      await here(stepWords('cluster-firm', QUARTER, '--firm', 'hlpw', '--force', '--min-cluster-size', '8'), options)
      expect(await untouched()).toEqual(before)
      expect(await statusOf()).toEqual({
        ingest: 'done',
        embed: 'done',
        'cluster-firm': 'done',
        'name-topics': 'stale',
        aggregate: 'stale',
        index: 'done',
        novelty: 'stale',
        lineage: 'stale',
      })
      // With the usual recipe again the firm is what it was, and the later steps do just what is stale.
      expect(await step('cluster-firm')).toMatch(/1 firm in/)
      expect(await step('name-topics')).toMatch(/1 firm in/)
      for (const verb of ['aggregate', 'novelty', 'lineage']) await here(stepWords(verb, QUARTER), options)
      expect(await prints()).toEqual(whole)
    })

    it('loads a call again when it has changed, and takes back what came of it', async () => {
      const whole = await prints()
      const folder = join(settings.home, 'changed')
      mkdirSync(folder)
      cpSync(join(sample(QUARTER), 'transcripts.csv'), join(folder, 'transcripts.csv'))
      const text = readFileSync(join(folder, 'transcripts.csv'), 'utf8')
      const first = await quarterdeck(['ingest', folder, '--quarter', QUARTER], options)
      expect(first.stderr).toMatch(/0 calls loaded, 14 unchanged/)
      const changed = text.replace('Gulf Plains', 'Gulf  Plains').replaceAll('crews restored', 'crews quickly restored')
      expect(changed).not.toBe(text)
      writeFileSync(join(folder, 'transcripts.csv'), changed.replaceAll('restoration', 'repair work'))
      const second = await quarterdeck(['ingest', folder, '--quarter', QUARTER], options)
      expect(second.stderr).toMatch(/[1-9]\d* calls? loaded/)
      expect((await statusOf()).embed).toBe('stale')
      // What stood on the old sentences is gone, so that nothing points at the wrong one.
      const [{ vectors, members }] = await rows(`
      select (select count(*)::int from sentence_vectors where firm_id = 'GPEL') as vectors,
        (select count(*)::int from topic_sentences where firm_id = 'GPEL') as members`)
      expect([vectors, members]).toEqual([0, 0])
      const hits = JSON.parse(
        await here(['search', 'storm crews', '--firm', 'GPEL', '--by', 'meaning', '--json'], options),
      )
      expect(hits.sentences).toEqual([])
      // And back: everything is as it was.
      for (const verb of STEPS) await here(stepWords(verb, QUARTER), options)
      expect(await prints()).toEqual(whole)
    }, 200_000)
  })

  describe('six at once', () => {
    it('lets six processes share a quarter, with a status beside them: nothing done twice, nothing lost', async () => {
      const whole = await prints()
      const shared = ['embed', 'cluster-firm', 'name-topics']
      await withDatabase(settings, sql => sql`update work set state = 'stale' where stage = any(${shared}::text[])`)
      const [{ last }] = await rows('select max(run_id)::int as last from runs')
      const all = await Promise.all([
        ...[...shared, ...shared].map(verb =>
          quarterdeck([verb, '--quarter', QUARTER, ...(verb === 'embed' ? [] : ['--follow'])], options),
        ),
        quarterdeck(['status'], options),
      ])
      expect(all.map(one => `${one.code} ${one.code && one.stderr}`)).toEqual(Array(7).fill('0 0'))
      expect(all[6].stdout).toContain('cluster-firm')
      expect(
        await rows(`
        select command, count(*)::int as processes, sum((counts->>'firms')::int)::int as firms from runs
        where run_id > ${last} group by 1 order by command collate "C"`),
      ).toEqual([...shared].sort().map(command => ({ command, processes: 2, firms: 14 })))
      for (const verb of ['aggregate', 'index', 'novelty', 'lineage']) await here(stepWords(verb, QUARTER), options)
      expect(await prints()).toEqual(whole)
    }, 200_000)
  })
})

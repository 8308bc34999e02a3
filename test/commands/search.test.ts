// Searching a real quarter with the real model, on both databases: every filter is obeyed and only takes away, words and meaning
// are joined, and a block for a prompt keeps within its tokens. A second quarter has neither speakers nor embeddings.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { indexQuarter } from '../../commands/build-index.ts'
import { ingest } from '../../commands/ingest.ts'
import { command, contextFor, type SearchOptions, search } from '../../commands/search.ts'
import type { FlagValues } from '../../lib/command.ts'
import type { Database } from '../../lib/db/connect.ts'
import { findSentences, sentencesWithWords, wordsOf } from '../../lib/db/search.ts'
import { textIndexName } from '../../lib/db/text-index.ts'
import { tokensOf } from '../../lib/model/chat-prices.ts'
import { type Embedder, openEmbedder } from '../../lib/model/embedder.ts'
import { readSettings, type Settings, SHIPPED_MODEL } from '../../lib/settings.ts'
import { displayWidth } from '../../lib/text/table.ts'
import { onBothDatabases } from '../db/both-databases.ts'
import { bringQuarter, QUARTER } from '../ready-quarter.ts'
import { sample } from '../run.ts'

const SILENT = '2016Q4'
const TEXTS = ['container freight rates', 'gross margin', 'share repurchases and debt', 'storm repair crews']
// More than the quarter has sentences: a list is then the whole order of them.
const ALL = 2000

onBothDatabases('search', open => {
  let settings: Settings
  let sql: Database
  let embedder: Embedder
  beforeAll(async () => {
    const opened = await open()
    sql = opened.sql
    const { home, databaseUrl } = opened.settings
    settings = readSettings({ QUARTERDECK_HOME: home, ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }) })
    await bringQuarter(sql)
    await ingest(sql, { paths: [sample(SILENT)], quarter: SILENT })
    embedder = await openEmbedder({ model: SHIPPED_MODEL, threads: 1 })
  }, 200_000)
  afterAll(() => embedder.close())

  const find = (more: Partial<SearchOptions>) => search(sql, embedder, { text: TEXTS[0], exact: true, ...more })
  /** What the command prints. */
  async function run(words: string[], flags: FlagValues = {}, columns?: number): Promise<string> {
    let printed = ''
    const print = (text: string) => {
      printed += text
    }
    await command.run({ words, flags, settings, columns, print })
    return printed
  }
  const refusal = (text: string, flags: FlagValues) =>
    run([text], flags).then(
      () => 'nothing refused',
      error => `${error.message} → ${error.hint}`,
    )

  it('obeys every filter at every level: a topic or theme shown has a sentence that passes', async () => {
    const inOne = await find({ firmId: 'HLPW', section: 'prepared', by: 'words' })
    const themeId = inOne.sentences.find(hit => hit.themeId !== null)?.themeId ?? ''
    const filters: Partial<SearchOptions>[] = [
      { firmId: 'HLPW' },
      { section: 'answer' },
      { role: 'ANALYSTS' },
      { themeIds: [themeId] },
      { text: '"freight" rates' },
      { text: 'freight rates -ocean' },
      { firmId: 'HLPW', section: 'prepared', themeIds: [themeId] },
    ]
    for (const filter of filters) {
      // Only the order of the levels may differ, so each is held against all sentences that pass.
      const all = await find({ ...filter, by: 'meaning', quarter: QUARTER, limit: ALL, level: 'sentences' })
      const topicIds = new Set(all.sentences.map(hit => hit.topicId))
      const themeIds = new Set(all.sentences.map(hit => hit.themeId))
      for (const by of ['hybrid', 'meaning', 'words'] as const) {
        const { themes, topics, sentences } = await find({ ...filter, by, quarter: QUARTER, limit: 30 })
        expect(sentences.length).toBeGreaterThan(0)
        const passing = sentences.map(hit => hit.sentenceId.toString())
        for (const hit of sentences) {
          if (filter.firmId) expect(hit.firmId).toBe(filter.firmId)
          if (filter.section) expect(hit.section).toBe(filter.section)
          if (filter.role) expect(hit.role?.toUpperCase()).toBe(filter.role)
          if (filter.themeIds) expect(hit.themeId).toBe(themeId)
          if (filter.text?.startsWith('"')) expect(hit.text).toMatch(/\bfreight\b/i)
          if (filter.text?.includes('-')) expect(hit.text).not.toMatch(/\bocean\b/i)
        }
        expect(new Set(passing).size).toBe(passing.length)
        if (filter.text?.includes('-')) continue
        expect(topics.filter(hit => !topicIds.has(hit.topicId))).toEqual([])
        expect(themes.filter(hit => !themeIds.has(hit.themeId))).toEqual([])
      }
    }
  })

  it('only takes away with a filter: what is left stands in the order it had', async () => {
    for (const text of TEXTS)
      for (const by of ['meaning', 'words'] as const) {
        const ids = async (more: Partial<SearchOptions>) => {
          const asked = { text, by, quarter: QUARTER, limit: ALL, level: 'sentences' as const }
          return (await find({ ...asked, ...more })).sentences
        }
        const all = await ids({})
        expect((await ids({ section: 'answer' })).map(hit => hit.sentenceId)).toEqual(
          all.filter(hit => hit.section === 'answer').map(hit => hit.sentenceId),
        )
        expect((await ids({ firmId: 'BRMH' })).map(hit => hit.sentenceId)).toEqual(
          all.filter(hit => hit.firmId === 'BRMH').map(hit => hit.sentenceId),
        )
      }
  })

  it('finds by meaning what plain SQL finds, in its order', async () => {
    for (const text of TEXTS) {
      const { vectors } = await embedder.embed([text], { as: 'query' })
      const exact = await sql<{ sentenceId: bigint }[]>`
        select v.sentence_id as "sentenceId"
        from sentence_vectors v join sentences s using (quarter, sentence_id)
        where quarter = ${QUARTER} and s.talk is null
        order by 0 + (embedding <=> ${`[${vectors}]`}), v.sentence_id limit 50`
      const { sentences } = await find({ text, by: 'meaning', quarter: QUARTER, limit: 50, exact: false })
      expect(sentences.map(hit => hit.sentenceId)).toEqual(exact.map(row => row.sentenceId))
    }
  })

  it('finds through the vector index nearly all that comparing with all finds', async () => {
    const labels = await sql<{ label: string }[]>`select label from topics where quarter = ${QUARTER} order by topic_id`
    const texts = labels.filter((_, i) => i % 3 === 0).map(row => row.label)
    const { vectors } = await embedder.embed(texts, { as: 'query' })
    const d = embedder.dimension
    let right = 0
    for (const i of texts.keys()) {
      const wanted = { vector: vectors.subarray(i * d, (i + 1) * d) }
      const [truth, found] = await Promise.all(
        (['all', 'index'] as const).map(through =>
          findSentences(sql, wanted, { quarter: QUARTER }, { limit: 10, through }),
        ),
      )
      const least = truth[9].similarity ?? 0
      right += found.filter(hit => (hit.similarity ?? 0) >= least).length
    }
    // As many candidates as pgvector takes, among fewer sentences: a graph built by chance misses one of hundreds at most.
    expect(right / (10 * texts.length)).toBeGreaterThanOrEqual(0.95)
  })

  it('finds by words each sentence that has one and no other; the rarer and the more words, the higher', async () => {
    const words = await wordsOf(sql, 'freight rates')
    const found = await sentencesWithWords(sql, words, { quarter: QUARTER }, ALL)
    const rows = await sql<{ id: string; text: string }[]>`
      select sentence_id::text as id, text from sentences where quarter = ${QUARTER} and talk is null`
    const hasOne = rows.filter(row => /\bfreight|\brat(?:e|es|ed|ing|ings)\b/i.test(row.text))
    expect(new Set(found)).toEqual(new Set(hasOne.map(row => row.id)))
    const textOf = new Map(rows.map(row => [row.id, row.text]))
    const both = found.map(id => /freight/i.test(textOf.get(id) ?? '') && /\brat(?:e|ing)/i.test(textOf.get(id) ?? ''))
    expect(both).toContain(true)
    expect(both.indexOf(false)).toBe(both.filter(Boolean).length)
  })

  it('joins both: what both put first is first, and each hit says its places', async () => {
    for (const text of TEXTS) {
      const asked = { text, quarter: QUARTER, limit: 100 }
      const [hybrid, meaning, words] = await Promise.all(
        (['hybrid', 'meaning', 'words'] as const).map(by => find({ ...asked, by })),
      )
      for (const level of ['themes', 'topics', 'sentences'] as const) {
        const key = (hit: object) =>
          JSON.stringify(['themeId', 'topicId', 'sentenceId'].map(id => String(Reflect.get(hit, id))))
        const [keys, byMeaning, byWords] = [hybrid, meaning, words].map(result => result[level].map(key))
        for (const [i, hit] of hybrid[level].entries()) {
          expect(byMeaning.indexOf(keys[i]) + 1).toBe(hit.meaningRank ?? 0)
          // Among those with the same words its place is another, since the nearest in meaning stand first there.
          if (hit.wordsRank !== null && byWords.length < 100) expect(byWords).toContain(keys[i])
        }
        if (byMeaning[0] === byWords[0]) expect(keys[0]).toBe(byMeaning[0])
      }
    }
  })

  it('puts first, among those with the same words, what is nearest in meaning and not what is short', async () => {
    const asked = { text: 'freight', quarter: QUARTER, level: 'sentences' as const, limit: 100 }
    const [hybrid, meaning] = [await find(asked), await find({ ...asked, by: 'meaning' })]
    const nearWithWord = meaning.sentences.filter(hit => /freight/i.test(hit.text)).map(hit => hit.sentenceId)
    expect(nearWithWord.length).toBeGreaterThan(3)
    expect(hybrid.sentences.slice(0, nearWithWord.length).map(hit => hit.sentenceId)).toEqual(nearWithWord)
  })

  it('finds the same without the index of words', async () => {
    const asked = { text: 'share repurchases', by: 'words' as const, quarter: QUARTER, limit: ALL }
    const before = await find(asked)
    await sql`drop index ${sql(textIndexName(QUARTER))}`
    expect(await find(asked)).toEqual(before)
    await indexQuarter(sql, { quarter: QUARTER })
    expect(await find(asked)).toEqual(before)
  })

  it('finds words where nothing is embedded, with no model, and meaning in words that full text drops', async () => {
    const { sentences } = await search(sql, undefined, { text: 'dividend', by: 'words', quarter: SILENT })
    expect(sentences).toHaveLength(5)
    for (const hit of sentences) {
      expect(hit.text).toMatch(/dividend/i)
      expect(hit).toMatchObject({ similarity: null, section: null, speaker: null })
    }
    // A sentence of which the model knows no word has a vector without a direction.
    const { sentenceId, firmId } = sentences[0]
    await sql`
      insert into sentence_vectors
      select ${SILENT}, ${sentenceId}, ${firmId}, array_fill(0::real, array[${embedder.dimension}::int])::vector`
    const { sentences: both } = await find({ text: 'dividend', quarter: SILENT })
    expect(both.map(hit => hit.similarity)).toEqual([null, null, null, null, null])
    // Every word of it is a stop word.
    const { sentences: meant } = await find({ text: 'what you can do now', quarter: QUARTER })
    expect(meant.every(hit => hit.meaningRank !== null && hit.wordsRank === null)).toBe(true)
  })

  it('takes a theme by id, name or lineage', async () => {
    const [{ themeId, name }] = await sql<{ themeId: string; name: string }[]>`
      select theme_id as "themeId", name from themes where quarter = ${QUARTER} order by theme_id desc limit 1`
    await sql`
      insert into theme_lineage values (${themeId}, ${QUARTER}, 'a lineage', 'first')
      on conflict (theme_id) do update set lineage_id = excluded.lineage_id`
    for (const theme of [themeId, name.toUpperCase(), 'a lineage']) {
      const { themes, sentences } = JSON.parse(await run(['costs'], { theme, quarter: QUARTER, json: true }))
      expect(themes.map((hit: { themeId: string }) => hit.themeId)).toEqual([themeId])
      expect(sentences.every((hit: { themeId: string }) => hit.themeId === themeId)).toBe(true)
    }
  })

  it('refuses what no sentence could answer, with what there is', async () => {
    expect(await refusal('x', { role: 'Janitor' })).toMatch(/there are .*Analysts.*→ --role "/)
    for (const flags of [{ role: 'Analysts' }, { section: 'answer' }])
      expect(await refusal('x', { ...flags, quarter: SILENT })).toMatch(/cannot apply to 2016Q4.*→ .*: 2024Q3$/)
    expect(await refusal('x', { section: 'coda' })).toMatch(/prepared, question, answer/)
    expect(await refusal('x', { theme: 'nothing of that kind' })).toMatch(/no theme.*→ .*from themes/)
    expect(await refusal('the of', { by: 'words' })).toMatch(/no word of "the of"/)
    expect(await refusal('"at the" prices', {})).toMatch(/"at the"/)
    expect(await refusal('-prices', {})).toMatch(/nothing to look for.*must not be there/)
    expect(await refusal('""', {})).toMatch(/nothing to look for in "" +→/)
    expect(await refusal('x', { firm: 'Nobody' })).toMatch(/no firm Nobody in 2024Q3.*; in earlier quarters/)
    expect(await refusal('x', { tokens: '500' })).toMatch(/--context/)
    expect(await refusal('x', { context: true, level: 'themes' })).toMatch(/made of sentences/)
  })

  it('prints a block for a prompt within its tokens, and what its numbers stand for', async () => {
    const result = await find({ quarter: QUARTER, level: 'sentences', limit: 40 })
    for (const tokens of [150, 300, 1000, 4000]) {
      const { block, tokens: taken, sentences } = await contextFor(sql, result, tokens)
      expect(taken).toBe(tokensOf(block))
      expect(taken).toBeLessThanOrEqual(tokens)
      for (const [i, hit] of sentences.entries())
        expect(block).toContain(`> [${i + 1}] ${hit.firm} (${hit.firmId}), ${hit.callDate}`)
    }
    const flags = { context: true, tokens: '1200', quarter: QUARTER }
    const { context, sentences } = JSON.parse(await run([TEXTS[0]], { ...flags, json: true }))
    expect(sentences).toHaveLength(12)
    expect(await run([TEXTS[0]], flags)).toBe(context.block)
  })

  it('prints tables that fit a terminal of 80 and of 120 columns, and whole cells into a pipe', async () => {
    for (const columns of [80, 120]) {
      const lines = (await run([TEXTS[0]], { quarter: QUARTER }, columns)).split('\n')
      expect(lines.some(line => /^near +by +firm +date/.test(line))).toBe(true)
      expect(lines.filter(line => displayWidth(line) > columns)).toEqual([])
    }
    const { sentences } = await find({ quarter: QUARTER })
    const piped = await run([TEXTS[0]], { quarter: QUARTER })
    for (const { text } of sentences) expect(piped).toContain(text)
  })
})

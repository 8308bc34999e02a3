// Everything that the report of a quarter shows, read from the tables as they are at one moment. What was never made is null.
// Leaves to others the places of topics on the map, and the page.

import { UserError } from '../errors.ts'
import { requireQuarter } from './calls.ts'
import type { Database, Queries } from './connect.ts'
import { boundModel, modelText } from './model-binding.ts'
import { decodeVectorInto } from './vector-format.ts'
import { ALL_FIRMS, STAGES, standingOf } from './work.ts'

// A topic takes 3 KB of an answer with its names, its sentences and an embedding of 384 numbers, and 8 with one of 1,536: the
// embedded database hands over an answer as a whole, 16 MB at most.
const TOPICS_AT_ONCE = 2000
// Two years: the flow of more has bands that no screen shows.
const QUARTERS_OF_FLOW = 8

export type StoredReport = Awaited<ReturnType<typeof readReport>>

/** `onTopics` hears how many topics there are, and with each portion how many more have been read. */
export async function readReport(
  sql: Database,
  quarter: string,
  sentencesPerTopic: number,
  onTopics: (more: number, all: number) => void = () => {},
) {
  // One moment, whatever others write meanwhile. A quarter that is dropped or restored meanwhile would leave a half of it to be
  // read: the lock, which keeps nobody from reading or writing rows, holds that off. The embedded database serves one
  // transaction at a time, so there others wait for it, for seconds.
  return await sql.begin('isolation level repeatable read read only', async tx => {
    await tx`
      lock table calls, sentences, topics, topic_sentences, topic_names, topic_vectors, themes, theme_topics, sentence_novelty,
        topic_novelty, theme_lineage, theme_links in access share mode`
    await requireQuarter(tx, quarter)
    await requireThemes(tx, quarter)
    const comparison = await comparisonOf(tx, quarter)
    const firms = await firmsIn(tx, quarter, comparison.firms)
    const themes = await themesIn(tx, quarter, comparison.hasLineage)
    const { topics, vectors, d, sentences, placeOfSentence } = await topicsIn(
      tx,
      quarter,
      { firms, themes, compared: comparison.firms },
      sentencesPerTopic,
      onTopics,
    )
    const topicsOfTheme: number[][] = themes.map(() => [])
    for (const [at, topic] of topics.entries()) if (topic.theme !== null) topicsOfTheme[topic.theme].push(at)
    const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0)
    const content = sum(firms.map(firm => firm.sentences - firm.talk))
    return {
      quarter,
      earlierQuarter: comparison.earlierQuarter,
      /** Firms that `novelty` has left, and whether `lineage` is to be run. */
      left: comparison.left,
      counts: {
        firms: firms.length,
        calls: sum(firms.map(firm => firm.calls)),
        sentences: sum(firms.map(firm => firm.sentences)),
        talk: sum(firms.map(firm => firm.talk)),
        inTopics: sum(topics.map(topic => topic.size)),
        topics: topics.length,
        topicsInThemes: topics.filter(topic => topic.theme !== null).length,
        themes: themes.length,
      },
      themes: themes.map(({ representativeIds, ...theme }, place) => {
        const own = topicsOfTheme[place]
        const compared = own.map(at => topics[at]).filter(topic => topic.isNew !== null)
        return {
          ...theme,
          topics: own.toSorted((a, b) => topics[b].size - topics[a].size || a - b),
          shareOfFirms: shareOf(theme.firms, firms.length),
          shareOfSentences: shareOf(theme.sentences, content),
          novelty: noveltyOf(compared),
          newTopics: compared.length === 0 ? null : compared.filter(topic => topic.isNew).length,
          representatives: representativeIds.flatMap(id => placeOfSentence.get(id) ?? []),
        }
      }),
      // What only the sums above needed stays behind.
      topics: topics.map(({ sentenceNovelty: _, ...topic }) => topic),
      vectors,
      d,
      firms: firms.map(({ inNoTopic, calls: _, ...firm }) => ({
        ...firm,
        shareInNoTopic: shareOf(inNoTopic, firm.sentences - firm.talk),
      })),
      sentences,
      gone: comparison.hasLineage ? await goneBefore(tx, quarter, themes) : [],
      flow: await flowUpTo(tx, quarter),
      provenance: await provenanceOf(tx, quarter),
    }
  })
}

/** A share or a cosine in the digits that a page can show; half of them would be noise of float32. */
function rounded(value: number): number
function rounded(value: number | null | undefined): number | null
function rounded(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : Math.round(value * 1e4) / 1e4
}

function shareOf(part: number, whole: number): number {
  return whole === 0 ? 0 : rounded(part / whole)
}

async function requireThemes(tx: Queries, quarter: string): Promise<void> {
  // Whatever changes before it makes `aggregate` stale, so it speaks for all.
  const standing = await standingOf(tx, quarter)
  const open = ({ pending, stale }: { pending: number; stale: number }) => pending + stale
  if (standing.every(one => one.stage !== 'aggregate' || open(one) === 0)) return
  const first = standing.find(one => open(one) > 0)
  throw new UserError(
    `the report of ${quarter} needs ${first?.stage} first: ${first && open(first)} of ${first?.firms} left to do`,
    `quarterdeck ${first?.stage} --quarter ${quarter}; or all that is left: make quarter Q=${quarter}`,
  )
}

/** What is known of a quarter beside the one before. Only what is up to date: what is stale may tell of sentences that are gone. */
async function comparisonOf(tx: Queries, quarter: string) {
  const [{ earlierQuarter }] = await tx<{ earlierQuarter: string | null }[]>`
    select max(quarter) as "earlierQuarter" from calls where quarter < ${quarter}`
  const done = await tx<
    { firmId: string; earlierQuarter: string | null; novelty: number | null; repeated: number | null }[]
  >`
    -- Without talk, as everything else on the page: greetings are said again word for word, and would be most of what repeats.
    select w.firm_id as "firmId", min(n.earlier_quarter) as "earlierQuarter",
      avg(1 - n.similarity) filter (where m.sentence_id is not null) as novelty,
      avg(n.repeated::int) filter (where m.sentence_id is not null)::float8 as repeated
    from work w left join sentence_novelty n on n.quarter = ${quarter} and n.firm_id = w.firm_id
    left join topic_sentences m on m.quarter = ${quarter} and m.sentence_id = n.sentence_id
    where w.quarter = ${quarter} and w.stage = 'novelty' and w.state = 'done'
    group by w.firm_id`
  const standing = await standingOf(tx, quarter)
  const leftOf = (stage: string) =>
    standing.filter(one => one.stage === stage).reduce((left, one) => left + one.pending + one.stale, 0)
  const left = { novelty: leftOf('novelty'), lineage: leftOf('lineage') > 0 }
  return { earlierQuarter, firms: new Map(done.map(row => [row.firmId, row])), hasLineage: !left.lineage, left }
}

type Compared = Awaited<ReturnType<typeof comparisonOf>>['firms']

async function firmsIn(tx: Queries, quarter: string, compared: Compared) {
  const rows = await tx<
    {
      id: string
      ticker: string | null
      name: string | null
      identifiers: Record<string, string>
      callDates: string[]
      calls: number
      sentences: number
      talk: number
      inNoTopic: number
    }[]
  >`
    with said as (
      -- Talk is what the clustering left out: with --with-talk, none.
      select s.firm_id, count(*) as sentences, count(*) filter (where s.talk is not null and m.sentence_id is null) as talk,
        count(*) filter (where m.topic_id is null and (s.talk is null or m.sentence_id is not null)) as in_no_topic
      from sentences s left join topic_sentences m on m.quarter = s.quarter and m.sentence_id = s.sentence_id
      where s.quarter = ${quarter} group by s.firm_id
    )
    select f.firm_id as id, f.ticker, f.name, f.identifiers,
      coalesce(array_agg(distinct c.call_date::text order by c.call_date::text) filter (where c.call_date is not null), '{}')
        as "callDates",
      count(*)::int as calls, coalesce(said.sentences, 0)::int as sentences, coalesce(said.talk, 0)::int as talk,
      coalesce(said.in_no_topic, 0)::int as "inNoTopic"
    from calls c join firms f using (firm_id) left join said using (firm_id)
    where c.quarter = ${quarter}
    group by f.firm_id, said.sentences, said.talk, said.in_no_topic
    order by f.firm_id`
  return rows.map(row => {
    const known = compared.get(row.id)
    return {
      ...row,
      earlierQuarter: known?.earlierQuarter ?? null,
      novelty: rounded(known?.novelty),
      repeated: rounded(known?.repeated),
    }
  })
}

type Event = 'first' | 'new' | 'continued' | 'split' | 'merged' | 'returned'

async function themesIn(tx: Queries, quarter: string, hasLineage: boolean) {
  const rows = await tx<
    {
      id: string
      lineageId: string | null
      event: Event | null
      name: string
      summary: string
      keywords: string[]
      firms: number
      sentences: number
      flags: string[]
      representativeIds: string[]
    }[]
  >`
    select th.theme_id as id, i.lineage_id as "lineageId", i.event, th.name, th.summary, th.keywords, th.firms, th.sentences,
      th.flags, th.representative_sentences::text[] as "representativeIds"
    from themes th left join theme_lineage i on i.theme_id = th.theme_id and ${hasLineage}
    where th.quarter = ${quarter}
    order by th.firms desc, length(th.theme_id), th.theme_id` // 100 after 99
  const links = await tx<{ themeId: string; from: string; similarity: number; firmsInCommon: number }[]>`
    select l.theme_id as "themeId", earlier.quarter || ' ' || earlier.name as from, l.similarity,
      l.firms_in_common as "firmsInCommon"
    from theme_links l join themes earlier on earlier.theme_id = l.earlier_theme_id
    where l.quarter = ${quarter} and l.event not in ('new', 'gone') and ${hasLineage}
    order by l.topics_forward + l.topics_back desc, l.earlier_theme_id`
  return rows.map(row => ({
    ...row,
    cameFrom: links.filter(link => link.themeId === row.id).map(inWords),
  }))
}

function inWords({
  from,
  similarity,
  firmsInCommon,
}: {
  from: string
  similarity: number
  firmsInCommon: number
}): string {
  const cosine = similarity.toFixed(2).replace(/^(-?)0\./, '$1.')
  return `${from} (similarity ${cosine}, ${firmsInCommon} ${firmsInCommon === 1 ? 'firm' : 'firms'} in common)`
}

type Row<List extends (...given: never[]) => Promise<unknown[]>> = Awaited<ReturnType<List>>[number]

type TopicRow = {
  id: string
  firmId: string
  themeId: string | null
  name: string
  summary: string
  keywords: string[]
  size: number
  probability: number | null
  givenToNearest: boolean
  isNew: boolean | null
  similarity: number | null
  sentenceSimilarity: number | null
  earlier: string | null
  sentenceIds: string[]
  embedding: Buffer | null
}

/** Topics firm by firm, the largest of a firm first, with the sentences that stand for them and for the themes. */
async function topicsIn(
  tx: Queries,
  quarter: string,
  known: { firms: Row<typeof firmsIn>[]; themes: Row<typeof themesIn>[]; compared: Compared },
  sentencesPerTopic: number,
  onTopics: (more: number, all: number) => void,
) {
  const { firms, themes, compared } = known
  const topicsOfFirm = await tx<{ firmId: string; n: number }[]>`
    select firm_id as "firmId", count(*)::int as n from topics where quarter = ${quarter} group by firm_id order by firm_id`
  const all = topicsOfFirm.reduce((sum, { n }) => sum + n, 0)
  const d = (await boundModel(tx))?.dimension ?? 0
  // The thread that makes the map reads them where they are.
  const vectors = new Float32Array(new SharedArrayBuffer(4 * all * d))
  const placeOfFirm = placesOf(firms.map(firm => firm.id))
  const placeOfTheme = placesOf(themes.map(theme => theme.id))
  const placeOfTopic = new Map<string, number>()
  const placeOfSentence = new Map<string, number>()
  const sentenceRows: SentenceRow[] = []
  const topics: Omit<TopicRow & { firm: number; theme: number | null }, 'firmId' | 'themeId' | 'embedding'>[] = []
  async function takeSentences(ids: readonly string[]): Promise<void> {
    for (const row of await sentencesBy(
      tx,
      quarter,
      ids.filter(id => !placeOfSentence.has(id)),
    )) {
      placeOfSentence.set(row.id, sentenceRows.length)
      sentenceRows.push(row)
    }
  }
  onTopics(0, all)
  for (const { first, last } of portionsOf(topicsOfFirm)) {
    const rows = await topicsBetween(tx, quarter, first, last, sentencesPerTopic)
    for (const { firmId, themeId, embedding, ...row } of rows) {
      const isUpToDate = compared.has(firmId)
      placeOfTopic.set(row.id, topics.length)
      if (embedding !== null) decodeVectorInto(embedding, vectors, d * topics.length)
      topics.push({
        ...row,
        firm: wanted(placeOfFirm, firmId),
        theme: themeId === null ? null : wanted(placeOfTheme, themeId),
        ...(isUpToDate ? {} : { isNew: null, similarity: null, sentenceSimilarity: null, earlier: null }),
      })
    }
    await takeSentences(rows.flatMap(row => row.sentenceIds))
    onTopics(rows.length, all)
  }
  // Mostly they stand for a topic too; with --sentences 0 for none.
  await takeSentences(themes.flatMap(theme => theme.representativeIds))
  const content = firms.map(firm => firm.sentences - firm.talk)
  return {
    topics: topics.map(({ sentenceIds, sentenceSimilarity, ...topic }) => ({
      ...topic,
      shareOfCall: shareOf(topic.size, content[topic.firm]),
      probability: rounded(topic.probability),
      similarity: rounded(topic.similarity),
      sentenceNovelty: sentenceSimilarity === null ? null : 1 - sentenceSimilarity,
      sentences: sentenceIds.flatMap(id => placeOfSentence.get(id) ?? []),
    })),
    sentences: sentenceRows.map(({ firmId, topicId, ...sentence }) => {
      const isUpToDate = compared.has(firmId)
      return {
        ...sentence,
        firm: wanted(placeOfFirm, firmId),
        topic: topicId === null ? null : wanted(placeOfTopic, topicId),
        similarity: isUpToDate ? rounded(sentence.similarity) : null,
        repeated: isUpToDate ? sentence.repeated : null,
      }
    }),
    vectors,
    d,
    placeOfSentence,
  }
}

function placesOf(ids: readonly string[]): Map<string, number> {
  return new Map(ids.map((id, place) => [id, place]))
}

function wanted(places: ReadonlyMap<string, number>, id: string): number {
  const place = places.get(id)
  if (place === undefined) throw new Error(`the tables name ${id}, which is not in them`)
  return place
}

/** Firms from and to, such that each portion has so many topics or is one firm. */
function portionsOf(topicsOfFirm: readonly { firmId: string; n: number }[]): { first: string; last: string }[] {
  const portions: { first: string; last: string; n: number }[] = []
  for (const { firmId, n } of topicsOfFirm) {
    const portion = portions.at(-1)
    if (portion !== undefined && portion.n + n <= TOPICS_AT_ONCE) {
      portion.last = firmId
      portion.n += n
    } else portions.push({ first: firmId, last: firmId, n })
  }
  return portions
}

async function topicsBetween(tx: Queries, quarter: string, first: string, last: string, sentences: number) {
  return await tx<TopicRow[]>`
    select t.topic_id as id, t.firm_id as "firmId", m.theme_id as "themeId", coalesce(n.name, t.label) as name,
      coalesce(n.summary, '') as summary, t.keywords, t.size, m.probability,
      coalesce(m.given_to_nearest, false) as "givenToNearest", c.is_new as "isNew", c.similarity,
      c.sentence_similarity as "sentenceSimilarity", coalesce(en.name, et.label) as earlier,
      t.representative_sentences[1:${sentences}::int]::text[] as "sentenceIds", vector_send(v.embedding) as embedding
    from topics t
    left join topic_names n on n.topic_id = t.topic_id
    left join topic_vectors v on v.topic_id = t.topic_id
    left join theme_topics m on m.topic_id = t.topic_id
    left join topic_novelty c on c.topic_id = t.topic_id
    left join topics et on et.topic_id = c.nearest_topic_id
    left join topic_names en on en.topic_id = c.nearest_topic_id
    where t.quarter = ${quarter} and t.firm_id between ${first} and ${last}
    order by t.firm_id, t.size desc, length(t.topic_id), t.topic_id`
}

type SentenceRow = {
  id: string
  firmId: string
  topicId: string | null
  date: string | null
  position: number
  speaker: string | null
  role: string | null
  section: 'prepared' | 'question' | 'answer' | null
  text: string
  similarity: number | null
  repeated: boolean | null
}

async function sentencesBy(tx: Queries, quarter: string, ids: readonly string[]): Promise<SentenceRow[]> {
  return await tx<SentenceRow[]>`
    select s.sentence_id::text as id, s.firm_id as "firmId", m.topic_id as "topicId", c.call_date::text as date, s.position,
      s.speaker, s.role, s.section, s.text, n.similarity, n.repeated
    from sentences s
    join calls c on c.call_id = s.call_id
    left join topic_sentences m on m.quarter = ${quarter} and m.sentence_id = s.sentence_id
    left join sentence_novelty n on n.quarter = ${quarter} and n.sentence_id = s.sentence_id
    where s.quarter = ${quarter} and s.sentence_id = any(${[...new Set(ids)]}::bigint[])
    order by s.sentence_id`
}

/** Of topics that were compared: mean novelty of their sentences; a topic's own is the mean of its sentences. */
function noveltyOf(topics: readonly { size: number; sentenceNovelty: number | null }[]): number | null {
  const sentences = topics.reduce((sum, topic) => sum + topic.size, 0)
  if (sentences === 0) return null
  return rounded(topics.reduce((sum, topic) => sum + topic.size * (topic.sentenceNovelty ?? 0), 0) / sentences)
}

async function goneBefore(tx: Queries, quarter: string, themes: readonly { id: string }[]) {
  const placeOfTheme = placesOf(themes.map(theme => theme.id))
  const rows = await tx<
    { id: string; name: string; firms: number; sentences: number; nearestId: string; topicsLinked: number }[]
  >`
    select th.theme_id as id, th.name, th.firms, th.sentences, l.theme_id as "nearestId",
      greatest(l.topics_forward, l.topics_back) as "topicsLinked"
    from theme_links l join themes th on th.theme_id = l.earlier_theme_id
    where l.quarter = ${quarter} and l.event = 'gone'
    order by th.firms desc, th.sentences desc, th.theme_id`
  return rows.map(({ nearestId, topicsLinked, ...theme }) => ({
    ...theme,
    nearest: wanted(placeOfTheme, nearestId),
    topicsLinked: rounded(topicsLinked),
  }))
}

/** The last quarters whose lineage is known, and this one. */
async function flowUpTo(tx: Queries, quarter: string) {
  const rows = await tx<{ quarter: string }[]>`
    select quarter from work
    where stage = 'lineage' and firm_id = ${ALL_FIRMS} and quarter <= ${quarter} and (state = 'done' or quarter = ${quarter})
    order by quarter desc limit ${QUARTERS_OF_FLOW}`
  const quarters = rows.map(row => row.quarter).reverse()
  const nodes = await tx<
    { id: string; quarter: string; lineageId: string; name: string; firms: number; shareOfFirms: number }[]
  >`
    select th.theme_id as id, th.quarter, coalesce(i.lineage_id, th.theme_id) as "lineageId", th.name, th.firms,
      th.firms / (select count(distinct firm_id)::float8 from calls c where c.quarter = th.quarter) as "shareOfFirms"
    from themes th left join theme_lineage i using (theme_id)
    where th.quarter = any(${quarters})
    order by th.quarter, th.firms desc, length(th.theme_id), th.theme_id`
  const placeOfNode = placesOf(nodes.map(node => node.id))
  const links = await tx<
    {
      earlierThemeId: string
      themeId: string
      event: 'continued' | 'split' | 'merged' | 'returned'
      similarity: number
      firmsInCommon: number
      firmsByChance: number
      topicsForward: number
      topicsBack: number
    }[]
  >`
    select earlier_theme_id as "earlierThemeId", theme_id as "themeId", event, similarity, firms_in_common as "firmsInCommon",
      firms_by_chance as "firmsByChance", topics_forward as "topicsForward", topics_back as "topicsBack"
    from theme_links
    where quarter in (select quarter from work where stage = 'lineage' and state = 'done')
      and quarter = any(${quarters}) and earlier_quarter = any(${quarters}) and event not in ('new', 'gone')
    order by theme_id, earlier_theme_id`
  return {
    quarters,
    nodes: nodes.map(node => ({ ...node, shareOfFirms: rounded(node.shareOfFirms) })),
    links: links.map(({ earlierThemeId, themeId, ...link }) => ({
      ...link,
      source: wanted(placeOfNode, earlierThemeId),
      target: wanted(placeOfNode, themeId),
      similarity: rounded(link.similarity),
      firmsByChance: rounded(link.firmsByChance),
      topicsForward: rounded(link.topicsForward),
      topicsBack: rounded(link.topicsBack),
    })),
  }
}

// Folders and computers of whoever made it: nobody's business who is sent the report, and no number depends on them.
const OF_THE_MACHINE = ['paths', 'server', 'threads']
// How fast a run was says nothing about what it found.
const OF_ITS_SPEED = /^(batch|padding|modelBusy|tokensPer|sentencesPer|outOfMemory)/

async function provenanceOf(tx: Queries, quarter: string) {
  // A run that found nothing to do says nothing of where the numbers come from, unless there is no other.
  const runs = await tx<
    {
      command: string
      finished: string
      codeVersion: string
      model: string | null
      seed: number | null
      options: Record<string, unknown>
      counts: Record<string, unknown>
    }[]
  >`
    select distinct on (command) command,
      to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as finished, code_version as "codeVersion", model,
      seed, options - ${OF_THE_MACHINE}::text[] as options, counts
    from runs
    where (quarter = ${quarter} or command = 'lineage' and quarter is null) and outcome = 'done'
      and command = any(${[...STAGES]})
    order by command,
      coalesce((coalesce(counts->>'clustered', counts->>'loaded', counts->>'quarters', counts->>'firms'))::float8 > 0, true) desc, run_id desc`
  const sources = await tx<{ format: string; calls: number; first: string; last: string }[]>`
    select format, count(*)::int as calls, min(source collate "C") as first, max(source collate "C") as last
    from calls where quarter = ${quarter} group by format order by calls desc, format`
  const model = await boundModel(tx)
  return {
    embeddingModel: model === undefined ? '' : modelText(model),
    runs: STAGES.flatMap(stage => runs.filter(run => run.command === stage)).map(run => ({
      ...run,
      counts: Object.fromEntries(Object.entries(run.counts).filter(([name]) => !OF_ITS_SPEED.test(name))),
    })),
    sources: sources.map(({ format, calls, first, last }) => ({ format, calls, example: inCommon(first, last) })),
  }
}

/** What the names of all sources begin with, of whole folders the last two; `first` and `last` are those by their bytes. */
function inCommon(first: string, last: string): string {
  let length = 0
  while (length < first.length && first[length] === last[length]) length++
  const isWhole = length === first.length && length === last.length
  const shared = isWhole ? first : first.slice(0, first.lastIndexOf('/', length - 1) + 1)
  const folders = shared.split('/').filter(Boolean)
  const shown = folders.slice(-2).join('/')
  return `${folders.length > 2 ? '…/' : ''}${shown}${isWhole ? '' : shown === '' ? '…' : '/…'}`
}

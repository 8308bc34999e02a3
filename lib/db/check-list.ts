// What must hold in every database, as data: for each promise of sql/ and of the steps the rows it is about, which of them
// break it, and the command that mends it. Only what holds at every moment between two transactions stands here bare; what a
// step makes true is asked of the firms and quarters where that step is done. Running them is check.ts.

import type { PendingQuery, Row } from 'postgres'
import type { Queries } from './connect.ts'
import { PARTITIONED, partitionName } from './quarters.ts'
import { textIndexName } from './text-index.ts'
import type { Stage } from './work.ts'

/** A select of one row for everything that was looked at: `id`, `firm` (or null) and whether it is `broken`, never null. */
type LookedAt = PendingQuery<Row[]>

export type Invariant = {
  title: string
  look(sql: Queries, quarter: string): LookedAt
  /** The step that makes these rows anew, or words to type where no step does. */
  mend: Stage | 'drop-quarter' | { type: string }
}

// Lengths and means are computed in double and kept in float32, whose last digit is 6e-8 of the whole; float16 models are
// scaled after they are widened. What is not scaled, or stands on other vectors, is off by a hundredth and more.
const TOLERANCE = 1e-4

/** Firms of a quarter whose step is done: the others may be half way, or have failed, and promise nothing. */
function firmsDone(sql: Queries, stage: Stage, quarter: string): LookedAt {
  return sql`select firm_id from work where stage = ${stage} and quarter = ${quarter} and state = 'done'`
}

/** True where a step that does the whole quarter at once is done. */
function isDone(sql: Queries, stage: Stage, quarter: string): LookedAt {
  return sql`exists (select from work where stage = ${stage} and quarter = ${quarter} and state = 'done')`
}

/** What holds for the rows of one quarter. */
export const INVARIANTS_OF_A_QUARTER: readonly Invariant[] = [
  {
    title: 'a quarter with calls has its part of each large table',
    look: (sql, quarter) => sql`
      select wanted.name as id, null as firm,
        exists (select from calls where quarter = ${quarter}) and not exists (
          select from pg_inherits
          where inhrelid = to_regclass(wanted.name) and inhparent = to_regclass(wanted.parent)) as broken
      from unnest(${[...PARTITIONED]}::text[], ${PARTITIONED.map(table => partitionName(table, quarter))}::text[])
        as wanted (parent, name)`,
    mend: 'drop-quarter',
  },
  {
    title: 'what a quarter has is there because of its calls',
    look: (sql, quarter) => sql`
      select things.id, null as firm, not exists (select from calls where quarter = ${quarter}) as broken
      from (
        select 'theme ' || theme_id as id from themes where quarter = ${quarter}
        union all select 'topic ' || topic_id from topics where quarter = ${quarter}
        union all select 'common word ' || word from common_words where quarter = ${quarter}
      ) as things`,
    mend: 'drop-quarter',
  },
  {
    title: 'a call has as many sentences as it says',
    look: (sql, quarter) => sql`
      select call_id::text as id, firm_id as firm, sentences <> coalesce(found, 0) as broken
      from calls
      left join (
        select call_id, count(*) as found from sentences where quarter = ${quarter} group by call_id
      ) as counted using (call_id)
      where quarter = ${quarter}`,
    mend: 'ingest',
  },
  {
    title: 'a sentence is of a call of its firm and quarter',
    look: (sql, quarter) => sql`
      select s.sentence_id::text as id, s.firm_id as firm, c.call_id is null as broken
      from sentences s
      left join calls c on c.call_id = s.call_id and c.quarter = s.quarter and c.firm_id = s.firm_id
      where s.quarter = ${quarter}`,
    mend: 'drop-quarter',
  },
  {
    title: 'sentence_id is call_id * 65536 + position, and positions go from 0',
    look: (sql, quarter) => sql`
      select s.sentence_id::text as id, s.firm_id as firm,
        s.sentence_id <> s.call_id * 65536 + s.position
          or s.position not between 0 and coalesce(c.sentences, 65536) - 1 as broken
      from sentences s
      left join calls c using (call_id)
      where s.quarter = ${quarter}`,
    mend: 'drop-quarter',
  },
  {
    title: 'common words are those of more than half of the firms',
    look: (sql, quarter) => sql`
      select word as id, null as firm, firms * 2 <= all_firms or firms > all_firms as broken
      from common_words, (select count(distinct firm_id) as all_firms from calls where quarter = ${quarter}) as counted
      where quarter = ${quarter} and ${isDone(sql, 'ingest', quarter)}`,
    mend: 'ingest',
  },
  {
    title: 'work has a row for each step of each firm, with its sentences',
    look: (sql, quarter) => sql`
      with wanted as (
        select stage, firm_id, sum(sentences)::int as units
        from calls, unnest('{embed,cluster-firm,name-topics,novelty}'::text[]) as stage
        where quarter = ${quarter}
        group by stage, firm_id
        union all
        select stage, '*', 0
        from unnest('{ingest,aggregate,index,lineage}'::text[]) as stage
        where exists (select from calls where quarter = ${quarter})
      ), found as (
        select stage, firm_id, units from work where quarter = ${quarter}
      )
      select stage || ' ' || firm_id as id, nullif(firm_id, '*') as firm,
        -- A firm whose only call went to another quarter keeps its rows, and has nothing to do.
        coalesce(found.units <> coalesce(wanted.units, 0), true)
          or (firm_id <> '*' and stage in ('ingest', 'aggregate', 'index', 'lineage')) as broken
      from wanted full join found using (stage, firm_id)`,
    mend: 'ingest',
  },
  {
    title: 'a row of work agrees with its state',
    look: (sql, quarter) => sql`
      select stage || ' ' || firm_id as id, nullif(firm_id, '*') as firm,
        (lease_by is null) <> (lease_until is null)
          or (state in ('done', 'failed') and lease_by is not null)
          or (state = 'failed') <> (error is not null) as broken
      from work where quarter = ${quarter}`,
    mend: { type: 'make quarter Q=QUARTER' },
  },
  {
    title: 'an embedding is of a sentence of its firm and quarter',
    look: (sql, quarter) => sql`
      select v.sentence_id::text as id, v.firm_id as firm, s.sentence_id is null as broken
      from sentence_vectors v
      left join sentences s on s.quarter = ${quarter} and s.sentence_id = v.sentence_id and s.firm_id = v.firm_id
      where v.quarter = ${quarter}`,
    mend: 'embed',
  },
  {
    title: 'an embedded firm has an embedding of each sentence',
    look: (sql, quarter) => sql`
      select s.sentence_id::text as id, s.firm_id as firm, v.sentence_id is null as broken
      from sentences s
      left join sentence_vectors v on v.quarter = ${quarter} and v.sentence_id = s.sentence_id
      where s.quarter = ${quarter} and s.firm_id in (${firmsDone(sql, 'embed', quarter)})`,
    mend: 'embed',
  },
  {
    // A text that the model knows no word of has the zero vector.
    title: 'an embedding has length 1, or is zero',
    look: (sql, quarter) => sql`
      select sentence_id::text as id, firm_id as firm, length <> 0 and abs(length - 1) > ${TOLERANCE} as broken
      from (
        select sentence_id, firm_id, vector_norm(embedding) as length from sentence_vectors where quarter = ${quarter}
      ) as measured`,
    mend: 'embed',
  },
  {
    title: 'an embedded firm is embedded with the model that the database is bound to',
    look: (sql, quarter) => sql`
      select firm_id as id, firm_id as firm,
        coalesce(position('"revision":"' || bound.revision || '"' in recipe) = 0, true) as broken
      from work
      left join (
        select value ->> 'revision' as revision from settings where key = 'embedding model'
      ) as bound on true
      where stage = 'embed' and quarter = ${quarter} and state = 'done' and units > 0`,
    mend: 'embed',
  },
  {
    title: 'a clustered sentence is one of its firm and quarter',
    look: (sql, quarter) => sql`
      select m.sentence_id::text as id, m.firm_id as firm, s.sentence_id is null as broken
      from topic_sentences m
      left join sentences s on s.quarter = ${quarter} and s.sentence_id = m.sentence_id and s.firm_id = m.firm_id
      where m.quarter = ${quarter}`,
    mend: 'cluster-firm',
  },
  {
    title: 'a clustered firm has a row of each sentence that is no talk',
    look: (sql, quarter) => sql`
      select s.sentence_id::text as id, s.firm_id as firm,
        (s.talk is null or done.recipe like '%"withTalk":true%') <> (m.sentence_id is not null) as broken
      from sentences s
      join work done on done.stage = 'cluster-firm' and done.quarter = ${quarter} and done.firm_id = s.firm_id
        and done.state = 'done'
      left join topic_sentences m on m.quarter = ${quarter} and m.sentence_id = s.sentence_id
      where s.quarter = ${quarter}`,
    mend: 'cluster-firm',
  },
  {
    title: 'a member of a topic is of its firm and quarter',
    look: (sql, quarter) => sql`
      select m.sentence_id::text as id, m.firm_id as firm,
        t.topic_id is null or (t.quarter, t.firm_id) is distinct from (m.quarter, m.firm_id) as broken
      from topic_sentences m
      left join topics t on t.topic_id = coalesce(m.topic_id, m.reassigned_topic_id)
      where m.quarter = ${quarter} and (m.topic_id is not null or m.reassigned_topic_id is not null)`,
    mend: 'cluster-firm',
  },
  {
    title: 'a membership is 0 to 1, and 0 in noise, which alone has a second label',
    look: (sql, quarter) => sql`
      select sentence_id::text as id, firm_id as firm,
        probability not between 0 and 1
          or (topic_id is null and probability <> 0)
          or (topic_id is not null and reassigned_topic_id is not null) as broken
      from topic_sentences where quarter = ${quarter}`,
    mend: 'cluster-firm',
  },
  {
    title: 'a sentence whose embedding is zero is in no topic',
    look: (sql, quarter) => sql`
      with zeros as materialized (
        select sentence_id from sentence_vectors where quarter = ${quarter} and vector_norm(embedding) = 0
      )
      select m.sentence_id::text as id, m.firm_id as firm,
        m.topic_id is not null or m.reassigned_topic_id is not null as broken
      from zeros join topic_sentences m on m.quarter = ${quarter} and m.sentence_id = zeros.sentence_id`,
    mend: 'cluster-firm',
  },
  {
    title: 'topic_id is quarter/firm/number, numbered from the largest',
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm,
        topic_id <> quarter || '/' || firm_id || '/' || lpad(place, greatest(2, length(place)), '0') as broken
      from (
        select *, row_number() over (
          partition by firm_id order by size desc, length(topic_id), topic_id)::text as place
        from topics where quarter = ${quarter}
      ) as numbered`,
    mend: 'cluster-firm',
  },
  {
    title: 'a topic is as large as it has sentences',
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm, size <> coalesce(members, 0) as broken
      from topics
      left join (
        select topic_id, count(*) as members from topic_sentences where quarter = ${quarter} group by topic_id
      ) as counted using (topic_id)
      where quarter = ${quarter}`,
    mend: 'cluster-firm',
  },
  {
    title: 'a topic has a weight for each of its keywords',
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm, cardinality(keywords) <> cardinality(keyword_weights) as broken
      from topics where quarter = ${quarter}`,
    mend: 'cluster-firm',
  },
  {
    title: 'the sentences that stand for a topic are its own',
    look: (sql, quarter) => sql`
      select t.topic_id as id, t.firm_id as firm, bool_or(m.sentence_id is null) as broken
      from topics t
      left join unnest(t.representative_sentences) as shown on true
      left join topic_sentences m on m.quarter = ${quarter} and m.sentence_id = shown and m.topic_id = t.topic_id
      where t.quarter = ${quarter}
      group by t.topic_id`,
    mend: 'cluster-firm',
  },
  {
    title: "a topic's centroid is the mean of its sentences, of length 1",
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm, ${isNotMean(sql)} as broken
      from topics
      left join (
        select m.topic_id, avg(v.embedding) as mean
        from topic_sentences m
        join sentence_vectors v on v.quarter = ${quarter} and v.sentence_id = m.sentence_id
        where m.quarter = ${quarter} and m.topic_id is not null
        group by m.topic_id
      ) as means using (topic_id)
      where quarter = ${quarter}`,
    mend: 'cluster-firm',
  },
  {
    title: 'subtopic_id is topic_id.number, numbered from the largest, with a weight for each keyword',
    look: (sql, quarter) => sql`
      select subtopic_id as id, t.firm_id as firm,
        subtopic_id <> topic_id || '.' || place or p.quarter <> t.quarter
          or cardinality(p.keywords) <> cardinality(p.keyword_weights) as broken
      from (
        select *, row_number() over (
          partition by topic_id order by size desc, length(subtopic_id), subtopic_id) as place
        from subtopics where quarter = ${quarter}
      ) as p
      join topics t using (topic_id)`,
    mend: 'cluster-firm',
  },
  {
    title: 'a part of a topic is as large as it has sentences, and one of them stands for it',
    look: (sql, quarter) => sql`
      select p.subtopic_id as id, t.firm_id as firm,
        count(m.sentence_id) <> p.size or not coalesce(bool_or(m.sentence_id = p.representative_sentence), false) as broken
      from subtopics p
      join topics t using (topic_id)
      left join topic_sentences m on m.quarter = ${quarter} and m.subtopic_id = p.subtopic_id
      where p.quarter = ${quarter}
      group by p.subtopic_id, t.firm_id`,
    mend: 'cluster-firm',
  },
  {
    title: 'a sentence in a part of a topic is in that topic',
    look: (sql, quarter) => sql`
      select m.sentence_id::text as id, m.firm_id as firm,
        p.topic_id is null or m.topic_id is distinct from p.topic_id as broken
      from topic_sentences m
      left join subtopics p using (subtopic_id)
      where m.quarter = ${quarter} and m.subtopic_id is not null`,
    mend: 'cluster-firm',
  },
  {
    title: 'a firm whose topics are named has a name for each, no two the same',
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm,
        coalesce(name, '') = '' or count(*) over (partition by firm_id, lower(name)) > 1 as broken
      from topics left join topic_names using (topic_id)
      where quarter = ${quarter} and firm_id in (${firmsDone(sql, 'name-topics', quarter)})`,
    mend: 'name-topics',
  },
  {
    title: 'a name by a language model has its answer kept',
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm,
        case source when 'llm' then n.model is null or a.prompt_hash is null
          else source = 'keywords' and (n.model is not null or n.prompt_hash is not null) end as broken
      from topics
      join topic_names n using (topic_id)
      left join chat_answers a using (prompt_hash)
      where topics.quarter = ${quarter}`,
    mend: 'name-topics',
  },
  {
    title: 'in an aggregated quarter each named topic has its embedding',
    look: (sql, quarter) => sql`
      select topic_id as id, firm_id as firm, v.topic_id is null as broken
      from topics
      join topic_names using (topic_id)
      left join topic_vectors v using (topic_id)
      where topics.quarter = ${quarter} and ${isDone(sql, 'aggregate', quarter)}`,
    mend: 'aggregate',
  },
  {
    title: "a topic's embedding has length 1, or is zero, and the model's dimension",
    look: (sql, quarter) => sql`
      select topic_id as id, t.firm_id as firm,
        t.quarter <> v.quarter
          or vector_dims(v.embedding) is distinct from
            (select (value ->> 'dimension')::int from settings where key = 'embedding model')
          or (vector_norm(v.embedding) <> 0 and abs(vector_norm(v.embedding) - 1) > ${TOLERANCE}) as broken
      from topic_vectors v join topics t using (topic_id)
      where v.quarter = ${quarter}`,
    mend: 'aggregate',
  },
  {
    title: 'theme_id is quarter/number, numbered from the one of most firms',
    look: (sql, quarter) => sql`
      select theme_id as id, null as firm,
        theme_id <> quarter || '/' || lpad(place, greatest(2, length(place)), '0') as broken
      from (
        select *, row_number() over (order by firms desc, sentences desc, length(theme_id), theme_id)::text as place
        from themes where quarter = ${quarter}
      ) as numbered`,
    mend: 'aggregate',
  },
  {
    title: 'a theme has a name of its own',
    look: (sql, quarter) => sql`
      select theme_id as id, null as firm, name = '' or count(*) over (partition by lower(name)) > 1 as broken
      from themes where quarter = ${quarter}`,
    mend: 'aggregate',
  },
  {
    // The shares as they are kept, in float32: .4 itself is not over .4.
    title: 'a theme of one firm, or that one firm dominates, is flagged so',
    look: (sql, quarter) => sql`
      select theme_id as id, null as firm,
        ('few firms' = any(flags)) <> (firms < 2)
          or ('one firm dominates' = any(flags)) <> (firms >= 2 and largest_firm_share > 0.4::real) as broken
      from themes where quarter = ${quarter}`,
    mend: 'aggregate',
  },
  {
    title: 'a topic and its theme are of one quarter, and the membership is 0 to 1',
    look: (sql, quarter) => sql`
      select topic_id as id, t.firm_id as firm,
        th.quarter <> t.quarter or m.probability not between 0 and 1 as broken
      from topics t
      join theme_topics m using (topic_id)
      join themes th using (theme_id)
      where t.quarter = ${quarter}`,
    mend: 'aggregate',
  },
  {
    title: 'an aggregated theme counts its topics, firms and sentences',
    look: (sql, quarter) => sql`
      with of_firm as (
        select theme_id, firm_id, count(*) as topics, sum(size) as sentences
        from theme_topics join topics using (topic_id)
        where quarter = ${quarter}
        group by theme_id, firm_id
      ), counted as (
        select theme_id, sum(topics) as topics, count(*) as firms, sum(sentences) as sentences,
          max(sentences) / sum(sentences) as share
        from of_firm group by theme_id
      )
      select theme_id as id, null as firm,
        (th.topics, th.firms, th.sentences) is distinct from (c.topics, c.firms, c.sentences)
          or abs(th.largest_firm_share - c.share) > ${TOLERANCE} as broken
      from themes th left join counted c using (theme_id)
      where quarter = ${quarter} and ${isDone(sql, 'aggregate', quarter)}`,
    mend: 'aggregate',
  },
  {
    title: 'subtheme_id is theme_id.number, numbered from the one of most firms',
    look: (sql, quarter) => sql`
      select subtheme_id as id, null as firm,
        subtheme_id <> theme_id || '.' || place or p.quarter <> th.quarter as broken
      from (
        select *, row_number() over (
          partition by theme_id order by firms desc, topics desc, length(subtheme_id), subtheme_id) as place
        from subthemes where quarter = ${quarter}
      ) as p
      join themes th using (theme_id)`,
    mend: 'aggregate',
  },
  {
    title: 'a part of an aggregated theme counts its topics and firms',
    look: (sql, quarter) => sql`
      select subtheme_id as id, null as firm,
        (p.topics, p.firms) is distinct from (count(t.topic_id), count(distinct t.firm_id)) as broken
      from subthemes p
      left join theme_topics m using (subtheme_id)
      left join topics t on t.topic_id = m.topic_id
      where p.quarter = ${quarter} and ${isDone(sql, 'aggregate', quarter)}
      group by p.subtheme_id`,
    mend: 'aggregate',
  },
  {
    title: 'a topic in a part of a theme is in that theme',
    look: (sql, quarter) => sql`
      select m.topic_id as id, t.firm_id as firm, m.theme_id <> p.theme_id as broken
      from subthemes p
      join theme_topics m using (subtheme_id)
      join topics t using (topic_id)
      where p.quarter = ${quarter}`,
    mend: 'aggregate',
  },
  {
    title: 'the sentences that stand for an aggregated theme are of its topics, each of another firm',
    look: (sql, quarter) => sql`
      select th.theme_id as id, null as firm,
        bool_or(tt.topic_id is null) or count(distinct m.firm_id) < count(shown) as broken
      from themes th
      left join unnest(th.representative_sentences) as shown on true
      left join topic_sentences m on m.quarter = ${quarter} and m.sentence_id = shown
      left join theme_topics tt on tt.topic_id = m.topic_id and tt.theme_id = th.theme_id
      where th.quarter = ${quarter} and ${isDone(sql, 'aggregate', quarter)}
      group by th.theme_id`,
    mend: 'aggregate',
  },
  {
    title: "an aggregated theme's centroid is the mean of its topics, of length 1",
    look: (sql, quarter) => sql`
      select theme_id as id, null as firm, ${isNotMean(sql)} as broken
      from themes
      left join (
        select theme_id, avg(embedding) as mean
        from theme_topics join topic_vectors using (topic_id)
        where quarter = ${quarter}
        group by theme_id
      ) as means using (theme_id)
      where quarter = ${quarter} and ${isDone(sql, 'aggregate', quarter)}`,
    mend: 'aggregate',
  },
  {
    title: 'a compared firm has a row of each sentence, where it has an earlier call',
    look: (sql, quarter) => sql`
      select s.sentence_id::text as id, s.firm_id as firm,
        (done.recipe like '%"earlier":{%') <> (n.sentence_id is not null) as broken
      from sentences s
      join work done on done.stage = 'novelty' and done.quarter = ${quarter} and done.firm_id = s.firm_id
        and done.state = 'done'
      left join sentence_novelty n
        on n.quarter = ${quarter} and n.sentence_id = s.sentence_id and n.firm_id = s.firm_id
      where s.quarter = ${quarter}`,
    mend: 'novelty',
  },
  {
    title: 'a compared firm has a row of each topic, where it has an earlier call',
    look: (sql, quarter) => sql`
      select t.topic_id as id, t.firm_id as firm,
        (done.recipe like '%"earlier":{%') <> (n.topic_id is not null) as broken
      from topics t
      join work done on done.stage = 'novelty' and done.quarter = ${quarter} and done.firm_id = t.firm_id
        and done.state = 'done'
      left join topic_novelty n on n.topic_id = t.topic_id
      where t.quarter = ${quarter}`,
    mend: 'novelty',
  },
  {
    title: 'what is said of a compared sentence looks back, and is repeated from where its recipe says',
    look: (sql, quarter) => sql`
      select n.sentence_id::text as id, n.firm_id as firm,
        n.earlier_quarter >= ${quarter} or abs(n.similarity) > 1
          or n.repeated <> (n.similarity >= (done.recipe::jsonb ->> 'repeatedFrom')::real)
          or n.earlier_quarter is distinct from done.recipe::jsonb -> 'earlier' ->> 'quarter' as broken
      from sentence_novelty n
      join work done on done.stage = 'novelty' and done.quarter = ${quarter} and done.firm_id = n.firm_id
        and done.state = 'done'
      where n.quarter = ${quarter}`,
    mend: 'novelty',
  },
  {
    title: "what a compared topic is nearest to is its own firm's, of the quarter it was compared with",
    look: (sql, quarter) => sql`
      select n.topic_id as id, t.firm_id as firm,
        n.quarter <> t.quarter or n.earlier_quarter >= n.quarter
          or (n.similarity is null) <> (n.nearest_topic_id is null)
          or coalesce((before.firm_id, before.quarter) <> (t.firm_id, n.earlier_quarter), false) as broken
      from topic_novelty n
      join topics t using (topic_id)
      left join topics before on before.topic_id = n.nearest_topic_id
      where n.quarter = ${quarter} and t.firm_id in (${firmsDone(sql, 'novelty', quarter)})`,
    mend: 'novelty',
  },
  {
    title: 'a followed theme has an identity, and no two of a quarter the same',
    look: (sql, quarter) => sql`
      select th.theme_id as id, null as firm,
        i.lineage_id is null or i.quarter <> th.quarter or count(*) over (partition by i.lineage_id) > 1 as broken
      from themes th left join theme_lineage i using (theme_id)
      where th.quarter = ${quarter} and ${isDone(sql, 'lineage', quarter)}`,
    mend: 'lineage',
  },
  {
    title: 'what a followed theme came from has its evidence',
    look: (sql, quarter) => sql`
      select i.theme_id as id, null as firm, not exists (
        select from theme_links l where l.theme_id = i.theme_id and l.quarter = i.quarter and l.event = i.event) as broken
      from theme_lineage i
      where i.quarter = ${quarter} and i.event <> 'first' and ${isDone(sql, 'lineage', quarter)}`,
    mend: 'lineage',
  },
  {
    title: 'a link is between a theme and one of an earlier quarter, and its shares are shares',
    look: (sql, quarter) => sql`
      select l.earlier_theme_id || ' ' || l.theme_id as id, null as firm,
        here.quarter <> l.quarter or earlier.quarter <> l.earlier_quarter or l.earlier_quarter >= l.quarter
          or abs(l.similarity) > 1 or l.topics_forward not between 0 and 1 or l.topics_back not between 0 and 1
          or l.firms_in_common > least(here.firms, earlier.firms) or l.firms_by_chance < 0 as broken
      from theme_links l
      join themes here on here.theme_id = l.theme_id
      join themes earlier on earlier.theme_id = l.earlier_theme_id
      where l.quarter = ${quarter}`,
    mend: 'lineage',
  },
  {
    title: 'an indexed quarter has a valid vector index',
    look: (sql, quarter) => sql`
      select ${partitionName('sentence_vectors', quarter)} as id, null as firm, not exists (
          select from pg_index
          join pg_class on pg_class.oid = indexrelid
          join pg_am on pg_am.oid = relam
          where indrelid = to_regclass(${partitionName('sentence_vectors', quarter)})
            and amname = 'hnsw' and indisvalid and indisready
        ) as broken
      where ${isDone(sql, 'index', quarter)}`,
    mend: 'index',
  },
  {
    title: 'an indexed quarter has a valid index over its words',
    look: (sql, quarter) => sql`
      select ${partitionName('sentences', quarter)} as id, null as firm, not exists (
          select from pg_index where indexrelid = to_regclass(${textIndexName(quarter)}) and indisvalid and indisready
        ) as broken
      where ${isDone(sql, 'index', quarter)}`,
    mend: 'index',
  },
]

/** Of a centroid and the mean of what it is the centre of: other dimensions cannot be compared, and would be an error. */
function isNotMean(sql: Queries): LookedAt {
  return sql`
    case when mean is null or vector_dims(mean) <> vector_dims(centroid) then true
      else (centroid <-> l2_normalize(mean)) > ${TOLERANCE} end`
}

/** What holds for the database as a whole. */
export const INVARIANTS_OF_ALL: readonly Invariant[] = [
  {
    title: 'embeddings have the dimension of the model that the database is bound to',
    look: sql => sql`
      select coalesce(bound.name, 'no model') as id, null as firm,
        case when bound.name is null then exists (select from sentence_vectors)
          else atttypmod is distinct from bound.dimension end as broken
      from pg_attribute
      left join (
        select value ->> 'name' as name, (value ->> 'dimension')::int as dimension
        from settings where key = 'embedding model'
      ) as bound on true
      where attrelid = 'sentence_vectors'::regclass and attname = 'embedding'`,
    mend: { type: 'quarterdeck db-restore FILE, into an empty database' },
  },
  {
    title: 'a firm has a call',
    look: sql => sql`
      select firm_id as id, null as firm, not exists (select from calls c where c.firm_id = f.firm_id) as broken
      from firms f`,
    mend: { type: 'psql: delete from firms where not exists (select from calls c where c.firm_id = firms.firm_id)' },
  },
  {
    title: 'a run that has ended says when',
    look: sql => sql`
      select run_id::text as id, null as firm, (outcome = 'running') <> (finished_at is null) as broken from runs`,
    mend: { type: "psql: update runs set finished_at = now() where finished_at is null and outcome <> 'running'" },
  },
]

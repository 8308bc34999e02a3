// Every promise that db-check looks after, broken by hand in a computed quarter: it is seen, and nothing else is.
// Then the other way round: whatever the steps do, wherever they stand, nothing is reported.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { check, type Finding, findingsOf } from '../../lib/db/check.ts'
import { INVARIANTS_OF_A_QUARTER, INVARIANTS_OF_ALL } from '../../lib/db/check-list.ts'
import type { Database } from '../../lib/db/connect.ts'
import { dropQuarter, quartersKnown } from '../../lib/db/quarters.ts'
import { claimWork, failWork, openWork } from '../../lib/db/work.ts'
import { compute, stepsOf } from '../compute.ts'
import { bringQuarter } from '../ready-quarter.ts'
import { fingerprints, sample } from '../run.ts'
import { onBothDatabases } from './both-databases.ts'

const QUARTER = '2024Q3'

/** `seen`: the titles of all checks that report it; one, unless the damage cannot be done without another. */
type Damage = { what: string; by: string; seen: readonly string[]; quarter?: string }

const TALK = `sentence_id = (select min(sentence_id) from sentences where talk is not null)`
const NOISE = `sentence_id = (select min(sentence_id) from topic_sentences where topic_id is null)`
const MEMBER = `sentence_id = (select min(sentence_id) from topic_sentences where topic_id is not null)`
const TOPIC = `topic_id = (select min(topic_id) from topics)`
const IN_NO_THEME = `topic_id = (select min(topic_id) from topics where topic_id not in (select topic_id from theme_topics))`
const THEME = `theme_id = '2024Q3/01'`

const IS_MEAN = "a topic's centroid is the mean of its sentences, of length 1"
const HAS_EMBEDDING = 'an embedded firm has an embedding of each sentence'
const OWN_SENTENCES = 'the sentences that stand for a topic are its own'
const TOPIC_EMBEDDING = "a topic's embedding has length 1, or is zero, and the model's dimension"
const WORK_ROWS = 'work has a row for each step of each firm, with its sentences'
const CLUSTERED = 'a clustered firm has a row of each sentence that is no talk'
const NAMED = 'a firm whose topics are named has a name for each, no two the same'
const MEMBERSHIP = 'a membership is 0 to 1, and 0 in noise, which alone has a second label'
const MEMBER_OF = 'a member of a topic is of its firm and quarter'
const IDS = 'sentence_id is call_id * 65536 + position, and positions go from 0'
const EMBEDDING_OF = 'an embedding is of a sentence of its firm and quarter'
const COMPARED = 'a compared firm has a row of each sentence, where it has an earlier call'
const COMPARED_TOPICS = 'a compared firm has a row of each topic, where it has an earlier call'
const PART_IDS = 'subtopic_id is topic_id.number, numbered from the largest, with a weight for each keyword'
const PART_SIZE = 'a part of a topic is as large as it has sentences, and one of them stands for it'
const PART_OF_TOPIC = 'a sentence in a part of a topic is in that topic'
const THEME_PART_IDS = 'subtheme_id is theme_id.number, numbered from the one of most firms'
const THEME_PART_SIZE = 'a part of an aggregated theme counts its topics and firms'
const PART_OF_THEME = 'a topic in a part of a theme is in that theme'
const LINKED = 'a link is between a theme and one of an earlier quarter, and its shares are shares'

const ITS_FIRST_FIRM = `(select min(firm_id) from topics join theme_topics using (topic_id) where theme_id = '2024Q3/01')`
// The quarter is made by a method without parts: a topic and a theme get two, as another would have made them.
const PARTS = `
  update topic_sentences set subtopic_id = '2024Q3/GPEL/01.' || (case when sentence_id % 5 < 2 then 2 else 1 end)
    where topic_id = '2024Q3/GPEL/01';
  insert into subtopics
    select subtopic_id, topic_id, quarter, count(*), '{word}', '{1}', min(sentence_id)
    from topic_sentences where subtopic_id is not null group by subtopic_id, topic_id, quarter;
  insert into subthemes
    select '2024Q3/01.' || place, '2024Q3/01', '2024Q3', count(*), count(distinct firm_id), '{word}'
    from topics join theme_topics using (topic_id),
      lateral (select case when firm_id = ${ITS_FIRST_FIRM} then 2 else 1 end as place) as p
    where theme_id = '2024Q3/01' group by place;
  update theme_topics set subtheme_id = '2024Q3/01.' || (
      select case when firm_id = ${ITS_FIRST_FIRM} then 2 else 1 end from topics where topics.topic_id = theme_topics.topic_id)
    where theme_id = '2024Q3/01';`

const DAMAGES: readonly Damage[] = [
  { what: 'nothing in parts that are as they should be', by: PARTS, seen: [] },
  {
    what: 'a part of a topic with a number that is not its turn, and without a sentence',
    by: `${PARTS} insert into subtopics values ('2024Q3/GPEL/01.9', '2024Q3/GPEL/01', '2024Q3', 0, '{}', '{}', 1)`,
    seen: [PART_IDS, PART_SIZE],
  },
  {
    what: 'a part of a topic with a keyword that has no weight',
    by: `${PARTS} update subtopics set keyword_weights = '{}' where subtopic_id = '2024Q3/GPEL/01.2'`,
    seen: [PART_IDS],
  },
  {
    what: 'a part of a topic in another quarter than its topic',
    by: `insert into subtopics select topic_id || '.1', topic_id, '2031Q1', 0, '{}', '{}', 1 from topics where ${TOPIC}`,
    seen: [PART_IDS, PART_SIZE],
    quarter: '2031Q1',
  },
  {
    what: 'a part of a topic of one sentence fewer than it has',
    by: `${PARTS} update subtopics set size = size - 1 where subtopic_id = '2024Q3/GPEL/01.2'`,
    seen: [PART_SIZE],
  },
  {
    what: 'a part that a sentence of the other part stands for',
    by: `${PARTS} update subtopics set representative_sentence = (
      select min(representative_sentence) from subtopics) where representative_sentence > (select min(representative_sentence) from subtopics)`,
    seen: [PART_SIZE],
  },
  {
    what: 'noise in a part of a topic that is not there',
    by: `update topic_sentences set subtopic_id = '2024Q3/GPEL/01.3' where ${NOISE}`,
    seen: [PART_OF_TOPIC],
  },
  {
    what: "a sentence in another topic's part",
    by: `${PARTS}
      update topic_sentences set subtopic_id = '2024Q3/GPEL/01.2' where sentence_id = (
        select min(sentence_id) from topic_sentences where topic_id <> '2024Q3/GPEL/01');
      update subtopics set size = size + 1 where subtopic_id = '2024Q3/GPEL/01.2'`,
    seen: [PART_OF_TOPIC],
  },
  {
    what: 'a part of a theme with a number that is not its turn, and without a topic',
    by: `${PARTS} insert into subthemes values ('2024Q3/01.9', '2024Q3/01', '2024Q3', 0, 0, '{}')`,
    seen: [THEME_PART_IDS],
  },
  {
    what: 'a part of a theme that counts a firm too few',
    by: `${PARTS} update subthemes set firms = firms - 1 where subtheme_id = '2024Q3/01.2'`,
    seen: [THEME_PART_SIZE],
  },
  {
    what: "a topic in another theme's part",
    by: `${PARTS} update subthemes set topics = topics + 1, firms = firms + 1 where subtheme_id = '2024Q3/01.2';
      update theme_topics set subtheme_id = '2024Q3/01.2' where topic_id = (
        select min(topic_id) from theme_topics join topics using (topic_id)
        where theme_id <> '2024Q3/01' and firm_id <> ${ITS_FIRST_FIRM})`,
    seen: [PART_OF_THEME],
  },
  {
    what: 'a partition that is there and not attached',
    by: 'alter table sentence_vectors detach partition sentence_vectors_2024q3',
    seen: ['a quarter with calls has its part of each large table', HAS_EMBEDDING, IS_MEAN],
  },
  {
    what: 'a word of a quarter without calls',
    by: `insert into common_words values ('2031Q1', 'margin', 14)`,
    seen: ['what a quarter has is there because of its calls'],
    quarter: '2031Q1',
  },
  {
    what: 'a call that counts one sentence more than there are',
    by: `update calls set sentences = sentences + 1 where firm_id = 'GPEL';
      update work set units = units + 1 where firm_id = 'GPEL'`,
    seen: ['a call has as many sentences as it says'],
  },
  {
    what: 'a sentence of no call',
    by: `insert into sentences (quarter, sentence_id, call_id, firm_id, position, text)
      values ('2024Q3', 5 * 65536, 5, 'GONE', 0, 'Thank you.')`,
    seen: ['a sentence is of a call of its firm and quarter'],
  },
  {
    what: 'a sentence at another position than its id says',
    by: `update sentences set position = 7 where position = 3 and firm_id = 'GPEL'`,
    seen: [IDS],
  },
  {
    what: 'a word called common that three firms use',
    by: `insert into common_words values ('2024Q3', 'margin', 3)`,
    seen: ['common words are those of more than half of the firms'],
  },
  {
    what: 'a firm that a step does not know of',
    by: `delete from work where stage = 'embed' and firm_id = 'GPEL'`,
    seen: [WORK_ROWS],
  },
  {
    what: 'a firm whose work is counted wrongly',
    by: `update work set units = units - 1 where stage = 'embed' and firm_id = 'GPEL'`,
    seen: [WORK_ROWS],
  },
  {
    what: 'a step of the whole quarter that is asked of one firm',
    by: `insert into work (stage, quarter, firm_id) values ('index', '2024Q3', 'GPEL')`,
    seen: [WORK_ROWS],
  },
  {
    what: 'work that is done and in hand',
    by: `update work set lease_by = 'somebody', lease_until = now() where stage = 'embed' and firm_id = 'GPEL'`,
    seen: ['a row of work agrees with its state'],
  },
  {
    what: 'an embedding of no sentence',
    by: `insert into sentence_vectors select quarter, 5, firm_id, embedding from sentence_vectors where ${TALK}`,
    seen: [EMBEDDING_OF],
  },
  {
    what: 'an embedding of the sentence of another firm',
    by: `update sentence_vectors set firm_id = 'HLPW' where firm_id = 'GPEL' and sentence_id =
      (select min(sentence_id) from sentence_vectors where firm_id = 'GPEL')`,
    seen: [EMBEDDING_OF],
  },
  {
    what: 'a sentence without an embedding',
    by: `delete from sentence_vectors where ${TALK}`,
    seen: [HAS_EMBEDDING],
  },
  {
    what: 'an embedding of length 2',
    by: `update sentence_vectors set embedding = embedding + embedding where ${TALK}`,
    seen: ['an embedding has length 1, or is zero'],
  },
  {
    what: 'a firm embedded with another model',
    by: `update work set recipe = '{"model":"other","revision":"1"}' where stage = 'embed' and firm_id = 'GPEL'`,
    seen: ['an embedded firm is embedded with the model that the database is bound to'],
  },
  {
    what: 'a clustered sentence that is not there',
    by: `insert into topic_sentences values ('2024Q3', 5, 'GPEL', null, 0)`,
    seen: ['a clustered sentence is one of its firm and quarter'],
  },
  {
    what: 'a sentence that was left out of the clustering',
    by: `delete from topic_sentences where ${NOISE}`,
    seen: [CLUSTERED],
  },
  {
    what: 'talk that was clustered',
    by: `insert into topic_sentences select quarter, sentence_id, firm_id, null, 0 from sentences where ${TALK}`,
    seen: [CLUSTERED],
  },
  {
    what: 'noise given to a topic of another firm',
    by: `update topic_sentences m set reassigned_topic_id =
        (select min(topic_id) from topics where topics.firm_id <> m.firm_id) where ${NOISE}`,
    seen: [MEMBER_OF],
  },
  {
    what: 'noise given to a topic that is not there',
    by: `update topic_sentences set reassigned_topic_id = '2024Q3/GPEL/99' where ${NOISE}`,
    seen: [MEMBER_OF],
  },
  {
    what: 'a member with a second label',
    by: `update topic_sentences set reassigned_topic_id = topic_id where ${MEMBER}`,
    seen: [MEMBERSHIP],
  },
  {
    what: 'noise that is a member by half',
    by: `update topic_sentences set probability = .5 where ${NOISE}`,
    seen: [MEMBERSHIP],
  },
  {
    what: 'a membership of more than 1',
    by: `update topic_sentences set probability = 1.01 where ${MEMBER}`,
    seen: [MEMBERSHIP],
  },
  {
    what: 'a sentence of unknown words given to a topic',
    by: `update sentence_vectors set embedding = embedding - embedding where ${NOISE};
      update topic_sentences m set reassigned_topic_id =
        (select min(topic_id) from topics where topics.firm_id = m.firm_id) where ${NOISE}`,
    seen: ['a sentence whose embedding is zero is in no topic'],
  },
  {
    what: 'a topic with a number that is not its turn, and with nothing in it',
    by: `insert into topics select '2024Q3/GPEL/99', 'GPEL', quarter, '', 0, keywords, keyword_weights, '{}', centroid
      from topics where ${TOPIC}`,
    seen: ['topic_id is quarter/firm/number, numbered from the largest', OWN_SENTENCES, IS_MEAN, NAMED],
  },
  {
    what: 'a topic of one sentence more than it has',
    by: `update topics set size = size + 1 where topic_id = (
      select min(topic_id) from topics where topic_id like '%/01' and topic_id not in (select topic_id from theme_topics))`,
    seen: ['a topic is as large as it has sentences'],
  },
  {
    what: 'a topic with a keyword that has no weight',
    by: `update topics set keyword_weights = keyword_weights[2:] where ${TOPIC}`,
    seen: ['a topic has a weight for each of its keywords'],
  },
  {
    what: 'a topic that the sentence of another one stands for',
    by: `update topics set representative_sentences = (
      select representative_sentences from topics order by topic_id desc limit 1) where ${TOPIC}`,
    seen: [OWN_SENTENCES],
  },
  {
    what: 'a topic with the centroid of another one',
    by: `update topics set centroid = (select centroid from topics order by topic_id desc limit 1) where ${TOPIC}`,
    seen: [IS_MEAN],
  },
  {
    what: 'a centroid of length 2',
    by: `update topics set centroid = centroid + centroid where ${TOPIC}`,
    seen: [IS_MEAN],
  },
  {
    what: 'a centroid of another dimension',
    by: `update topics set centroid = '[1]' where ${TOPIC}`,
    seen: [IS_MEAN],
  },
  { what: 'a topic without a name', by: `delete from topic_names where ${IN_NO_THEME}`, seen: [NAMED] },
  {
    what: 'two topics of one name, in other letters',
    by: `update topic_names set name = (select upper(name) from topic_names where ${TOPIC})
      where topic_id = (select max(topic_id) from topics where firm_id = (select firm_id from topics where ${TOPIC}))`,
    seen: [NAMED],
  },
  {
    what: 'a name whose answer is gone',
    by: `update topic_names set source = 'llm', model = 'grok', prompt_hash = 'gone' where ${TOPIC}`,
    seen: ['a name by a language model has its answer kept'],
  },
  {
    what: 'a name by keywords that claims an answer',
    by: `update topic_names set prompt_hash = 'gone' where ${TOPIC}`,
    seen: ['a name by a language model has its answer kept'],
  },
  {
    what: 'a topic that was not aggregated',
    by: `delete from topic_vectors where ${IN_NO_THEME}`,
    seen: ['in an aggregated quarter each named topic has its embedding'],
  },
  {
    what: "a topic's embedding of length 2",
    by: `update topic_vectors set embedding = embedding + embedding where ${IN_NO_THEME}`,
    seen: [TOPIC_EMBEDDING],
  },
  {
    what: "a topic's embedding of another dimension",
    by: `update topic_vectors set embedding = '[1]' where ${IN_NO_THEME}`,
    seen: [TOPIC_EMBEDDING],
  },
  {
    what: 'a theme that is missing among the numbers',
    by: `delete from themes where ${THEME}`,
    seen: ['theme_id is quarter/number, numbered from the one of most firms'],
  },
  {
    what: 'a theme called as another one',
    by: `update themes set name = (select upper(name) from themes where theme_id = '2024Q3/02') where ${THEME}`,
    seen: ['a theme has a name of its own'],
  },
  {
    what: 'a theme of many firms that is flagged as of one',
    by: `update themes set flags = '{few firms}' where ${THEME}`,
    seen: ['a theme of one firm, or that one firm dominates, is flagged so'],
  },
  {
    what: 'a topic that belongs to its theme twice over',
    by: `update theme_topics set probability = 2 where topic_id = (select min(topic_id) from theme_topics)`,
    seen: ['a topic and its theme are of one quarter, and the membership is 0 to 1'],
  },
  {
    what: 'a theme that counts a topic too many',
    by: `update themes set topics = topics + 1 where ${THEME}`,
    seen: ['an aggregated theme counts its topics, firms and sentences'],
  },
  {
    what: 'a share that is not that of the largest firm',
    by: `update themes set largest_firm_share = largest_firm_share - .01 where ${THEME}`,
    seen: ['an aggregated theme counts its topics, firms and sentences'],
  },
  {
    what: 'a theme that a sentence of no topic of it stands for',
    by: `update themes set representative_sentences =
      representative_sentences || (select min(sentence_id) from topic_sentences where topic_id is null) where ${THEME}`,
    seen: ['the sentences that stand for an aggregated theme are of its topics, each of another firm'],
  },
  {
    what: 'a theme with the centroid of another one',
    by: `update themes set centroid = (select centroid from themes where theme_id = '2024Q3/02') where ${THEME}`,
    seen: ["an aggregated theme's centroid is the mean of its topics, of length 1"],
  },
  {
    what: 'an index that somebody dropped',
    by: 'drop index sentence_vectors_2024q3_hnsw',
    seen: ['an indexed quarter has a valid vector index'],
  },
  {
    what: 'an index over the words that somebody dropped',
    by: 'drop index sentences_2024q3_words',
    seen: ['an indexed quarter has a valid index over its words'],
  },
  {
    what: 'a database that is bound to a model of another dimension',
    by: `update settings set value = jsonb_set(value, '{dimension}', '384') where key = 'embedding model'`,
    seen: ['embeddings have the dimension of the model that the database is bound to', TOPIC_EMBEDDING],
  },
  {
    what: 'a firm that was compared, it says, and has no row of it',
    by: `update work set recipe = '{"repeatedFrom":0.85,"earlier":{"quarter":"2024Q2"}}' where stage = 'novelty' and firm_id = 'HLPW'`,
    seen: [COMPARED, COMPARED_TOPICS],
  },
  {
    what: 'a sentence that is called repeated at a cosine below the threshold',
    by: `
      update work set recipe = '{"repeatedFrom":0.85,"earlier":{"quarter":"2024Q2"}}' where stage = 'novelty' and firm_id = 'HLPW';
      insert into sentence_novelty
        select quarter, sentence_id, firm_id, '2024Q2', 1, 0.5, sentence_id = (select min(sentence_id) from sentences where firm_id = 'HLPW')
        from sentences where firm_id = 'HLPW';
      insert into topic_novelty select topic_id, quarter, '2024Q2', null, null, 0.5, true from topics where firm_id = 'HLPW'`,
    seen: ['what is said of a compared sentence looks back, and is repeated from where its recipe says'],
  },
  {
    what: "a topic whose predecessor is another firm's",
    by: `
      insert into topics select '2024Q2/XX/00', firm_id, '2024Q2', label, size, keywords, keyword_weights, '{}', centroid
        from topics where firm_id <> 'HLPW' limit 1;
      insert into topic_novelty values ('2024Q3/HLPW/01', '2024Q3', '2024Q2', '2024Q2/XX/00', 0.5, 0.5, false)`,
    seen: [
      COMPARED_TOPICS,
      "what a compared topic is nearest to is its own firm's, of the quarter it was compared with",
    ],
  },
  {
    what: 'a theme without an identity',
    by: `delete from theme_lineage where ${THEME}`,
    seen: ['a followed theme has an identity, and no two of a quarter the same'],
  },
  {
    what: 'two themes with one identity',
    by: `update theme_lineage set lineage_id = '2024Q3/01' where theme_id = '2024Q3/02'`,
    seen: ['a followed theme has an identity, and no two of a quarter the same'],
  },
  {
    what: 'a theme that continued, it says, and no link that shows from where',
    by: `update theme_lineage set event = 'continued' where ${THEME}`,
    seen: ['what a followed theme came from has its evidence'],
  },
  {
    what: 'a link of a theme to one of its own quarter',
    by: `insert into theme_links values ('2024Q3', '2024Q3', '2024Q3/02', '2024Q3/01', 'continued', 1, 1, 1, 0, 0)`,
    seen: [LINKED],
  },
  { what: 'a firm without a call', by: `insert into firms (firm_id) values ('LONE')`, seen: ['a firm has a call'] },
  {
    what: 'a run that has ended and not said when',
    by: `insert into runs (command, options, code_version, worker, outcome) values ('embed', '{}', '', '', 'done')`,
    seen: ['a run that has ended says when'],
  },
]

describe('the list of checks', () => {
  it('has no check that no damage here shows to work', () => {
    const titles = [...INVARIANTS_OF_ALL, ...INVARIANTS_OF_A_QUARTER].map(invariant => invariant.title)
    expect(titles.filter(title => !DAMAGES.some(damage => damage.seen.includes(title)))).toEqual([])
    expect(new Set(titles).size).toBe(titles.length)
  })
})

class Undo extends Error {}

onBothDatabases('db-check', open => {
  let sql: Database
  let other: Database
  let whole: Record<string, string>

  /** What is found after the damage, which is undone again. */
  async function after({ by, quarter = QUARTER }: Pick<Damage, 'by' | 'quarter'>): Promise<Finding[]> {
    const found: Finding[] = []
    await sql
      .begin(async tx => {
        await tx.unsafe(by)
        for (const part of [null, quarter]) for await (const finding of findingsOf(tx, part)) found.push(finding)
        throw new Undo()
      })
      .catch(error => {
        if (!(error instanceof Undo)) throw error
      })
    return found.filter(finding => finding.broken > 0)
  }

  const broken = async () =>
    (await check(sql, await quartersKnown(sql)))
      .filter(finding => finding.broken > 0)
      .map(({ quarter, title, examples }) => `${quarter}: ${title}: ${examples.join(', ')}`)

  beforeAll(async () => {
    ;({ sql, other } = await open())
    await bringQuarter(sql)
    whole = await fingerprints(sql)
  }, 120_000)

  it('finds nothing in a quarter that nobody has disturbed, and looks at rows in every check but twelve', async () => {
    const findings = await check(sql, [QUARTER])
    expect(findings.filter(finding => finding.broken > 0)).toEqual([])
    // Of 14 firms no word is common, every sentence has a known word, no method with parts made it, and no quarter is earlier.
    expect(findings.filter(finding => finding.rows === 0).map(finding => finding.title)).toEqual([
      'common words are those of more than half of the firms',
      'a sentence whose embedding is zero is in no topic',
      PART_IDS,
      PART_SIZE,
      PART_OF_TOPIC,
      THEME_PART_IDS,
      THEME_PART_SIZE,
      PART_OF_THEME,
      'what is said of a compared sentence looks back, and is repeated from where its recipe says',
      "what a compared topic is nearest to is its own firm's, of the quarter it was compared with",
      'what a followed theme came from has its evidence',
      LINKED,
    ])
  })

  it.each(DAMAGES)('sees $what, and nothing else', async damage => {
    const findings = await after(damage)
    expect(findings.map(finding => finding.title).sort()).toEqual([...damage.seen].sort())
    for (const finding of findings) {
      expect(finding.broken).toBeLessThanOrEqual(finding.rows)
      expect(finding.examples.length).toBe(Math.min(3, finding.broken))
      expect(finding.mend).not.toBeNull()
    }
  })

  it('names the command that mends it, for the firm alone where it is one', async () => {
    const mend = async (by: string) => (await after({ by })).map(finding => finding.mend)
    expect(await mend(`update topics set keyword_weights = '{}' where firm_id = 'GPEL'`)).toEqual([
      'quarterdeck cluster-firm --quarter 2024Q3 --firm GPEL --force',
    ])
    expect(await mend(`update topics set keyword_weights = '{}' where firm_id in ('GPEL', 'HLPW')`)).toEqual([
      'quarterdeck cluster-firm --quarter 2024Q3 --force',
    ])
    expect(await mend('drop index sentence_vectors_2024q3_hnsw')).toEqual([
      'quarterdeck index --quarter 2024Q3 --force',
    ])
    expect(await mend(`update work set units = 0 where firm_id = 'GPEL'`)).toEqual([
      'quarterdeck ingest PATH --quarter 2024Q3 --firm GPEL --force',
    ])
  })

  it('counts what it looked at and what is broken, and gives a few examples', async () => {
    const [{ topics }] = await sql<{ topics: number }[]>`select count(*)::int as topics from topics`
    const [finding] = await after({ by: `update topics set keyword_weights = '{}'` })
    expect(finding).toMatchObject({ quarter: QUARTER, rows: topics, broken: topics })
    expect(finding.examples).toEqual(['2024Q3/ALDH/01', '2024Q3/ALDH/02', '2024Q3/ALDH/03'])
  })

  it('asks nothing of firms that are pending, stale, failed or in hand', async () => {
    const left = `delete from sentence_vectors where ${TALK}; delete from topic_names; delete from theme_topics;
      drop index sentence_vectors_2024q3_hnsw;`
    const set = (state: string) => `update work set ${state} where stage <> 'ingest'`
    expect(await after({ by: left })).not.toEqual([])
    for (const state of [
      `state = 'pending'`,
      `state = 'stale'`,
      `state = 'failed', error = 'no memory'`,
      `state = 'stale', lease_by = 'somebody', lease_until = now() + interval '1 minute'`,
    ])
      expect(await after({ by: left + set(state) })).toEqual([])
  })

  it('finds nothing after a firm that failed, and nothing after it was done again', async () => {
    await openWork(sql, 'cluster-firm', { quarter: QUARTER, firmId: 'GPEL' }, null, true)
    const claim = await claimWork(sql, 'cluster-firm', { quarter: QUARTER, firmId: 'GPEL' })
    expect(await broken()).toEqual([])
    if (claim === undefined) throw new Error('no claim')
    await failWork(sql, claim, 'no memory')
    expect(await broken()).toEqual([])
    await compute(sql, QUARTER)
    expect(await broken()).toEqual([])
    expect(await fingerprints(sql)).toEqual(whole)
  }, 60_000)

  it('finds nothing at any moment of a quarter that is computed beside it', async () => {
    const isHalfDone = async () => {
      const [{ both }] = await sql<{ both: boolean | null }[]>`
        select bool_or(state = 'done') and bool_or(state <> 'done') as both from work where quarter = ${QUARTER}`
      return both === true
    }
    // Until one of the checks has seen the work of the quarter in its middle: a computation that was faster is done again.
    for (let seen = false; !seen; ) {
      await dropQuarter(sql, QUARTER)
      expect(await broken()).toEqual([])
      let isDone = false
      const computed = compute(other, QUARTER).finally(() => {
        isDone = true
      })
      while (!isDone) {
        const isMiddle = await isHalfDone()
        expect(await broken()).toEqual([])
        if (isMiddle && (await isHalfDone())) seen = true
      }
      await computed
    }
    expect(await broken()).toEqual([])
    expect(await fingerprints(sql)).toEqual(whole)
  }, 120_000)

  it('finds nothing after any step, when calls were changed and the steps are run again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
    cpSync(sample(QUARTER), folder, { recursive: true })
    const file = join(folder, 'transcripts.csv')
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('restoration', 'repair work, and more of it.'))
    for (const step of Object.values(stepsOf(QUARTER, folder))) {
      await step(sql)
      expect(await broken()).toEqual([])
    }
    rmSync(folder, { recursive: true })
    expect(await fingerprints(sql)).not.toEqual(whole)
  }, 120_000)
})

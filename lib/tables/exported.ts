// The tables that are taken home, column by column: the one place where each is defined in words. Rows come by these names
// from lib/db/export.ts, and the codebook, the labels in Stata and the metadata in Parquet are made of what stands here.

import type { Column, Table } from './table.ts'

export type ExportedIdentifier = { key: string; column: string }
export type TableName = 'panel' | 'themes' | 'topics' | 'sentences'

type Wording = Pick<Column, 'label'> & Partial<Omit<Column, 'name' | 'type' | 'label'>>

function column(type: Column['type'], name: string, wording: Wording): Column {
  return { name, type, unit: '', meaning: '', missing: '', source: '', ...wording }
}
const text = (name: string, wording: Wording) => column('text', name, wording)
const longText = (name: string, wording: Wording) => column('text', name, { isLong: true, ...wording })
const whole = (name: string, wording: Wording) => column('integer', name, wording)
const flag = (name: string, wording: Wording) => column('flag', name, wording)
const day = (name: string, wording: Wording) => column('date', name, { unit: 'day', ...wording })
/** A number from 0 to 1. */
const share = (name: string, wording: Wording) => column('number', name, { unit: '0 to 1', ...wording })

const NO_THEME = 'the topic belongs to no theme'
const NO_LINEAGE = '`lineage` has not run for the quarter'
const NOT_COMPARED = 'nothing was compared: the database has no earlier quarter of the firm, or `novelty` has not run'
const NO_SECTIONS =
  'that part of the call has no sentence that counts; so too where the source does not tell prepared remarks from answers'

const quarter = text('quarter', {
  label: 'Quarter',
  meaning: 'Such as 2016Q4: the fiscal quarter where the source states one, else the calendar quarter of the call.',
  source: 'calls.quarter',
})

function firmColumns(identifiers: readonly ExportedIdentifier[]): Column[] {
  return [
    text('firm_id', {
      label: 'Firm, as the database knows it',
      meaning: 'The ticker in capitals where the source has one, else vendor and number.',
      source: 'firms.firm_id',
    }),
    text('ticker', { label: 'Ticker', missing: 'the source gives none', source: 'firms.ticker' }),
    text('firm_name', { label: 'Firm, its name', missing: 'the source gives none', source: 'firms.name' }),
    ...identifiers.map(({ key, column }) =>
      text(column, {
        label: `Identifier of the source: ${key}`.slice(0, 80),
        meaning: 'Text, passed through as it was: leading zeros are kept.',
        missing: 'the source gives none for this firm',
        source: `firms.identifiers ->> '${key}'`,
      }),
    ),
    day('call_date', {
      label: 'Day of the last call of the firm in the quarter',
      missing: 'the source states no day',
      source: 'calls.call_date',
    }),
    whole('calls', { label: 'Calls of the firm in the quarter', unit: 'calls', source: 'calls' }),
  ]
}

const themeId = text('theme_id', {
  label: 'Theme',
  meaning: 'Quarter and number. The same theme in another quarter has another one: see lineage_id.',
  source: 'themes.theme_id',
})
const themeName = text('theme_name', { label: 'Theme, its name', source: 'themes.name' })
const lineageId = text('lineage_id', {
  label: 'Theme across quarters: the theme_id it began with',
  meaning: 'The same in all quarters that carry the theme on.',
  missing: NO_LINEAGE,
  source: 'theme_lineage.lineage_id',
})
const event = text('event', {
  label: 'How the theme came: first, new, continued, split, merged, returned',
  missing: NO_LINEAGE,
  source: 'theme_lineage.event',
})
const ofTopic = (one: Column): Column => ({ ...one, missing: [NO_THEME, one.missing].filter(Boolean).join('; or ') })

/** Of the sentences of something: what they are of their call, and how new they are. */
function sharesOf(thing: string): Column[] {
  const counted = 'Sentences of talk (greetings, operator, procedure) count neither above nor below the line.'
  return [
    share('share_of_call', {
      label: `Share of the firm's sentences that belong to the ${thing}`,
      meaning: counted,
      missing: 'the firm has no sentence that is not talk',
      source: 'topic_sentences, sentences.talk',
    }),
    share('share_of_prepared', {
      label: `Share of its prepared remarks that belongs to the ${thing}`,
      meaning: `Of the sentences of that section alone. ${counted}`,
      missing: NO_SECTIONS,
      source: 'topic_sentences, sentences.section',
    }),
    share('share_of_answers', {
      label: `Share of its answers to questions that belongs to the ${thing}`,
      meaning: `Of the sentences of that section alone. ${counted}`,
      missing: NO_SECTIONS,
      source: 'topic_sentences, sentences.section',
    }),
  ]
}

function noveltyOf(thing: string, unsaid: string): Column[] {
  const missing = [unsaid, NOT_COMPARED].filter(Boolean).join('; or ')
  return [
    whole('compared', {
      label: "Sentences that were compared with the firm's quarter before",
      unit: 'sentences',
      meaning: 'What novelty and repeated_share are taken of.',
      source: 'sentence_novelty',
    }),
    column('number', 'novelty', {
      unit: '0 to 2',
      label: `Mean of 1 - similarity over the sentences of the ${thing}`,
      meaning:
        "Similarity is the cosine to the nearest sentence of the same firm's latest earlier quarter in the database; 0 is word for word.",
      missing,
      source: 'sentence_novelty.similarity',
    }),
    share('repeated_share', {
      label: 'Share of its compared sentences that repeat an earlier one',
      meaning: 'Near-boilerplate: the same again, be it with other figures.',
      missing,
      source: 'sentence_novelty.repeated',
    }),
  ]
}

function panelColumns(identifiers: readonly ExportedIdentifier[]): Column[] {
  const unsaid = 'the firm says nothing of the theme (a row of zeros)'
  return [
    quarter,
    ...firmColumns(identifiers),
    themeId,
    themeName,
    lineageId,
    event,
    whole('sentences', {
      label: 'Sentences of the firm in the theme',
      unit: 'sentences',
      meaning: 'Of its topics that belong to the theme.',
      source: 'topic_sentences, theme_topics',
    }),
    ...sharesOf('theme'),
    share('mean_membership', {
      label: 'Mean strength with which its sentences belong to their topics',
      missing: unsaid,
      source: 'topic_sentences.probability',
    }),
    whole('topics', { label: 'Topics of the firm in the theme', unit: 'topics', source: 'theme_topics' }),
    ...noveltyOf('theme', unsaid),
    share('new_topics_share', {
      label: 'Share of its compared topics in the theme that are new to the firm',
      missing: `${unsaid}; or ${NOT_COMPARED}`,
      source: 'topic_novelty.is_new',
    }),
    ...[
      ['call', 'in the quarter'],
      ['prepared', 'in prepared remarks'],
      ['answer', 'in answers to questions'],
    ].map(([name, where]) =>
      whole(`${name}_sentences`, {
        label: `Sentences of the firm ${where}, without talk`,
        unit: 'sentences',
        meaning: 'What stands below the line of the share.',
        source: 'sentences',
      }),
    ),
  ]
}

function themeColumns(): Column[] {
  return [
    quarter,
    themeId,
    themeName,
    longText('theme_summary', { label: 'Theme in one sentence', source: 'themes.summary' }),
    text('name_source', { label: 'Who named it: llm, keywords or inherited', source: 'themes.source' }),
    lineageId,
    event,
    longText('keywords', {
      label: 'Keywords, best first',
      meaning: 'Separated by semicolons.',
      source: 'themes.keywords',
    }),
    whole('topics', { label: 'Topics', unit: 'topics', source: 'themes.topics' }),
    whole('firms', { label: 'Firms that have a topic in it', unit: 'firms', source: 'themes.firms' }),
    whole('sentences', { label: 'Sentences of its topics', unit: 'sentences', source: 'themes.sentences' }),
    share('share_of_firms', { label: 'Share of the firms of the quarter', source: 'themes.firms, calls' }),
    share('share_of_sentences', {
      label: 'Share of the sentences of the quarter, talk left out',
      missing: 'the quarter has no sentence that is not talk',
      source: 'topic_sentences, sentences.talk',
    }),
    share('largest_firm_share', {
      label: 'Share of its sentences that one firm holds',
      source: 'themes.largest_firm_share',
    }),
    text('flags', {
      label: 'What makes it doubtful',
      meaning: 'Separated by semicolons; an empty text where nothing does.',
      source: 'themes.flags',
    }),
    share('mean_membership', {
      label: 'Mean strength with which its sentences belong to their topics',
      source: 'topic_sentences.probability',
    }),
    ...noveltyOf('theme', ''),
    share('new_topics_share', {
      label: 'Share of its compared topics that are new to their firm',
      missing: NOT_COMPARED,
      source: 'topic_novelty.is_new',
    }),
    whole('quarter_firms', { label: 'Firms of the quarter', unit: 'firms', source: 'calls' }),
    whole('quarter_sentences', {
      label: 'Sentences of the quarter, without talk',
      unit: 'sentences',
      source: 'sentences.talk',
    }),
    longText('example', { label: 'The sentence that stands for it best', source: 'themes.representative_sentences' }),
  ]
}

function topicColumns(identifiers: readonly ExportedIdentifier[]): Column[] {
  const unnamed = '`name-topics` has not named it yet'
  return [
    quarter,
    ...firmColumns(identifiers),
    text('topic_id', { label: 'Topic', meaning: 'Quarter, firm and number.', source: 'topics.topic_id' }),
    text('topic_name', {
      label: 'Topic, its name',
      meaning: 'Its first keywords until it has one.',
      source: 'topic_names.name',
    }),
    longText('topic_summary', { label: 'Topic in one sentence', missing: unnamed, source: 'topic_names.summary' }),
    text('name_source', {
      label: 'Who named it: llm, keywords or inherited',
      missing: unnamed,
      source: 'topic_names.source',
    }),
    longText('keywords', {
      label: 'Keywords, best first',
      meaning: 'Separated by semicolons.',
      source: 'topics.keywords',
    }),
    whole('sentences', { label: 'Sentences of the topic', unit: 'sentences', source: 'topics.size' }),
    ...sharesOf('topic'),
    share('mean_membership', {
      label: 'Mean strength with which its sentences belong to it',
      source: 'topic_sentences.probability',
    }),
    ofTopic(themeId),
    ofTopic(themeName),
    ofTopic(lineageId),
    text('subtheme_id', {
      label: 'Part of its theme',
      meaning: 'Its keywords are in the table `subthemes`, and in `themes --parts`.',
      missing: `${NO_THEME}, the theme has no parts, or it is in none of them`,
      source: 'theme_topics.subtheme_id',
    }),
    share('theme_membership', {
      label: 'Strength with which it belongs to its theme',
      meaning: 'Where given_to_nearest, the cosine to the middle of the theme.',
      missing: NO_THEME,
      source: 'theme_topics.probability',
    }),
    flag('given_to_nearest', {
      label: 'True where the clustering left it out and it went to the nearest theme',
      missing: NO_THEME,
      source: 'theme_topics.given_to_nearest',
    }),
    ...noveltyOf('topic', ''),
    text('earlier_quarter', {
      label: "The firm's quarter that it was compared with",
      missing: NOT_COMPARED,
      source: 'topic_novelty.earlier_quarter',
    }),
    text('nearest_topic_id', {
      label: "The firm's nearest topic of that quarter",
      missing: `the firm had no topic then; or ${NOT_COMPARED}`,
      source: 'topic_novelty.nearest_topic_id',
    }),
    column('number', 'nearest_similarity', {
      unit: '-1 to 1',
      label: 'Cosine of the middles of both topics',
      missing: `the firm had no topic then; or ${NOT_COMPARED}`,
      source: 'topic_novelty.similarity',
    }),
    flag('is_new', {
      label: 'True where the firm had no such topic in that quarter',
      missing: NOT_COMPARED,
      source: 'topic_novelty.is_new',
    }),
    longText('example', { label: 'The sentence that stands for it best', source: 'topics.representative_sentences' }),
  ]
}

function sentenceColumns(identifiers: readonly ExportedIdentifier[]): Column[] {
  const noTopic = 'the sentence belongs to no topic'
  const untold = 'the source does not say'
  return [
    quarter,
    ...firmColumns(identifiers),
    text('sentence_id', {
      label: 'Sentence',
      meaning: 'Text, because the number is larger than the 2^53 that Stata, R, Excel and JavaScript keep exactly.',
      source: 'sentences.sentence_id',
    }),
    day('sentence_date', {
      label: 'Day of the call it was said in',
      missing: 'the source states no day',
      source: 'calls.call_date',
    }),
    whole('position', { label: 'Place in the call, from 0', source: 'sentences.position' }),
    text('speaker', { label: 'Who said it', missing: untold, source: 'sentences.speaker' }),
    text('role', { label: 'Role of the speaker, as the source has it', missing: untold, source: 'sentences.role' }),
    text('section', { label: 'prepared, question or answer', missing: untold, source: 'sentences.section' }),
    text('talk', {
      label: 'Why it is talk, and counts in no share',
      missing: 'it is content, and counts',
      source: 'sentences.talk',
    }),
    text('topic_id', { label: 'Topic', missing: noTopic, source: 'topic_sentences.topic_id' }),
    text('topic_name', { label: 'Topic, its name', missing: noTopic, source: 'topic_names.name' }),
    text('subtopic_id', {
      label: 'Part of its topic',
      meaning: 'Its keywords are in the table `subtopics`.',
      missing: `${noTopic}, the topic has no parts, or it is in none of them`,
      source: 'topic_sentences.subtopic_id',
    }),
    share('topic_membership', {
      label: 'Strength with which it belongs to its topic',
      meaning: '0 for a sentence that was clustered and belongs to none.',
      missing: 'it was not clustered: talk, or `cluster-firm` has not run',
      source: 'topic_sentences.probability',
    }),
    text('reassigned_topic_id', {
      label: 'Topic it was given to afterwards, though it belongs to none',
      meaning: 'By `cluster-firm --reassign-noise`; counts in no share.',
      missing: 'it was given to none',
      source: 'topic_sentences.reassigned_topic_id',
    }),
    text('theme_id', {
      label: 'Theme of its topic',
      missing: `${noTopic}, or ${NO_THEME}`,
      source: 'theme_topics.theme_id',
    }),
    text('theme_name', { label: 'Theme, its name', missing: `${noTopic}, or ${NO_THEME}`, source: 'themes.name' }),
    text('earlier_quarter', {
      label: "The firm's quarter that it was compared with",
      missing: NOT_COMPARED,
      source: 'sentence_novelty.earlier_quarter',
    }),
    text('nearest_sentence_id', {
      label: 'The nearest sentence of that quarter',
      missing: NOT_COMPARED,
      source: 'sentence_novelty.nearest_sentence_id',
    }),
    column('number', 'nearest_similarity', {
      unit: '-1 to 1',
      label: 'Cosine to that sentence; 1 is word for word',
      missing: NOT_COMPARED,
      source: 'sentence_novelty.similarity',
    }),
    flag('repeated', {
      label: 'True for near-boilerplate: the same again, be it with other figures',
      missing: NOT_COMPARED,
      source: 'sentence_novelty.repeated',
    }),
    longText('text', { label: 'The sentence, as spoken', source: 'sentences.text' }),
  ]
}

export function exportedTable(
  name: TableName,
  quarters: readonly string[],
  identifiers: readonly ExportedIdentifier[],
): Table {
  const span = quarters.length > 1 ? `${quarters[0]} to ${quarters[quarters.length - 1]}` : quarters[0]
  const titled = (what: string) => `quarterdeck: ${what}, ${span}`
  switch (name) {
    case 'panel':
      return {
        title: titled('firms, quarters and themes'),
        row: 'a firm, a quarter and a theme of that quarter',
        key: ['quarter', 'firm_id', 'theme_id'],
        columns: panelColumns(identifiers),
      }
    case 'themes':
      return { title: titled('themes'), row: 'a theme of a quarter', key: ['theme_id'], columns: themeColumns() }
    case 'topics':
      return {
        title: titled('topics of firms'),
        row: 'a topic of a firm in a quarter',
        key: ['topic_id'],
        columns: topicColumns(identifiers),
      }
    case 'sentences':
      return {
        title: titled('sentences'),
        row: 'a sentence of a call',
        key: ['sentence_id'],
        columns: sentenceColumns(identifiers),
      }
  }
}

/** Names of columns that no identifier may take. */
export function takenNames(): string[] {
  const names = (['panel', 'topics', 'sentences'] as const).flatMap(name => exportedTable(name, ['2000Q1'], []).columns)
  return [...new Set(names.map(column => column.name))]
}

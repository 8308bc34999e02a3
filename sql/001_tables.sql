-- The tables of quarterdeck: what each command owns, and the two tables that remember the work.
--
-- Why it looks like this
-- * Keys are computed by the client from the data (a firm's ticker, a hash of firm and call date), so that a rerun,
--   another machine or another database arrive at the same rows, and a binary COPY needs no ids back.
-- * The three large tables are partitioned by quarter: a new quarter is loaded into a heap without a vector index
--   while older quarters stay searchable, an index build touches one partition, and dropping a quarter is instant.
-- * Embeddings stand in a side table: a scan of the sentences then reads a twelfth of the bytes, and a row that carries
--   an indexed vector is never updated (measured: 220 times slower than updating a row without one).
-- * Large tables have no foreign keys: the check costs one lookup a row during the load. The commands write a whole
--   firm-quarter in one transaction instead. Small tables cascade, so that no topic leaves orphans behind.
-- * Keys compare by their bytes (collate "C"): the order of topics reaches the clustering, and must not depend on the
--   language of the server.
-- * No data table has a time stamp or a serial number: the same input gives the same rows, on any day. Times are in `runs`.

create extension if not exists vector;

create table firms (
  firm_id text collate "C" primary key,
  ticker text,
  name text,
  identifiers jsonb not null default '{}'
);
comment on table firms is 'One row a company. Written by `ingest`.';
comment on column firms.firm_id is 'The ticker in capitals where the source has one, else vendor and number, such as `ciq-18711`.';
comment on column firms.ticker is 'Stock exchange symbol as the source gives it; null where it gives none.';
comment on column firms.name is 'Company name as the source gives it; null where it gives none.';
comment on column firms.identifiers is 'Other identifiers of the source, passed through as text: cik, gvkey, permno, companyid ….';

create table calls (
  call_id bigint primary key check (call_id between 0 and 140737488355327),
  firm_id text collate "C" not null references firms,
  quarter text collate "C" not null check (quarter ~ '^[0-9]{4}Q[1-4]$'),
  calendar_quarter text,
  fiscal_quarter text,
  call_date date,
  source text not null,
  format text not null,
  content_hash text not null,
  sentences integer not null
);
create index calls_of_quarter on calls (quarter, firm_id);
comment on table calls is 'One row an earnings call. Written by `ingest`.';
comment on column calls.call_id is 'First 47 bits of the SHA-256 of firm and call date, so that a sentence_id still fits a bigint.';
comment on column calls.firm_id is 'The company that holds the call.';
comment on column calls.quarter is 'The quarter everything is grouped by: the fiscal one where the source states it, else the calendar one.';
comment on column calls.calendar_quarter is 'Calendar quarter of the call date; null without a date.';
comment on column calls.fiscal_quarter is 'Fiscal quarter the source states; null where it states none.';
comment on column calls.call_date is 'Day of the call; null where the source does not say.';
comment on column calls.source is 'File, and the record in it, that the call was read from.';
comment on column calls.format is 'Name of the reader that understood the file.';
comment on column calls.content_hash is 'SHA-256 over the turns of the call: the same call is not loaded twice, a changed one is replaced.';
comment on column calls.sentences is 'Number of sentences of the call, talk included.';

create table sentences (
  quarter text collate "C" not null,
  sentence_id bigint not null,
  call_id bigint not null,
  firm_id text collate "C" not null,
  position integer not null,
  speaker text,
  role text,
  section text check (section in ('prepared', 'question', 'answer')),
  talk text,
  text text not null,
  primary key (quarter, sentence_id)
) partition by list (quarter);
create index sentences_of_firm on sentences (quarter, firm_id);
comment on table sentences is 'One row a sentence, as spoken. Written by `ingest`; partitioned by quarter.';
comment on column sentences.quarter is 'Quarter of the call.';
comment on column sentences.sentence_id is 'call_id * 65536 + position.';
comment on column sentences.call_id is 'The call it was said in.';
comment on column sentences.firm_id is 'The firm of the call, repeated here so that a firm is read without a join.';
comment on column sentences.position is 'Place in the call, from 0.';
comment on column sentences.speaker is 'Who said it; null where the source does not say.';
comment on column sentences.role is 'Role of the speaker as the source gives it, such as Executives, Analysts, Operator.';
comment on column sentences.section is 'prepared, question or answer; null where the source does not say.';
comment on column sentences.talk is 'Why the sentence is talk and stays out of the clustering: short, operator, procedure, shared, common words, no content word; null for content.';
comment on column sentences.text is 'The sentence.';

create table common_words (
  quarter text collate "C" not null,
  word text collate "C" not null,
  firms integer not null,
  primary key (quarter, word)
);
comment on table common_words is 'Words that more than half of the firms of a quarter use: they name no topic. Written by `ingest`.';
comment on column common_words.quarter is 'Quarter of the calls.';
comment on column common_words.word is 'The word, in lower case.';
comment on column common_words.firms is 'Number of firms that use it in that quarter.';

create table sentence_vectors (
  quarter text collate "C" not null,
  sentence_id bigint not null,
  firm_id text collate "C" not null,
  embedding vector not null,
  primary key (quarter, sentence_id)
) partition by list (quarter);
-- Plain: a vector is read whole or not at all; compressing or moving it aside costs six times the scan (measured).
alter table sentence_vectors alter column embedding set storage plain;
create index sentence_vectors_of_firm on sentence_vectors (quarter, firm_id);
comment on table sentence_vectors is 'The embedding of each sentence. Written by `embed`; partitioned by quarter, indexed by `index`.';
comment on column sentence_vectors.quarter is 'Quarter of the call.';
comment on column sentence_vectors.sentence_id is 'The sentence.';
comment on column sentence_vectors.firm_id is 'The firm of the call.';
comment on column sentence_vectors.embedding is 'Unit length; its dimension is fixed by the first `embed` into the database (see `settings`).';

create table topics (
  topic_id text collate "C" primary key,
  firm_id text collate "C" not null references firms,
  quarter text collate "C" not null,
  label text not null,
  size integer not null,
  keywords text[] not null,
  keyword_weights real[] not null,
  representative_sentences bigint[] not null,
  centroid vector not null
);
create index topics_of_firm on topics (quarter, firm_id);
comment on table topics is 'A cluster of one firm''s sentences in one quarter. Written by `cluster-firm`.';
comment on column topics.topic_id is 'quarter/firm/number, such as `2016Q4/MU/03`; numbers go from the largest topic to the smallest.';
comment on column topics.firm_id is 'The firm.';
comment on column topics.quarter is 'The quarter.';
comment on column topics.label is 'The first keywords, for reading before the topic has a name.';
comment on column topics.size is 'Number of its sentences.';
comment on column topics.keywords is 'c-TF-IDF keywords against the other topics of the firm and the quarter, best first.';
comment on column topics.keyword_weights is 'Weight of each keyword.';
comment on column topics.representative_sentences is 'sentence_id of the sentences that stand for the topic, best first.';
comment on column topics.centroid is 'Mean of the embeddings of its sentences, scaled to unit length.';

create table topic_sentences (
  quarter text collate "C" not null,
  sentence_id bigint not null,
  firm_id text collate "C" not null,
  topic_id text collate "C",
  probability real not null,
  primary key (quarter, sentence_id)
) partition by list (quarter);
create index topic_sentences_of_topic on topic_sentences (topic_id);
create index topic_sentences_of_firm on topic_sentences (quarter, firm_id);
comment on table topic_sentences is 'Which topic a sentence belongs to; one row for every sentence that was clustered (talk was not). Written by `cluster-firm`; partitioned by quarter.';
comment on column topic_sentences.quarter is 'Quarter of the call.';
comment on column topic_sentences.sentence_id is 'The sentence.';
comment on column topic_sentences.firm_id is 'The firm of the call.';
comment on column topic_sentences.topic_id is 'The topic; null for noise.';
comment on column topic_sentences.probability is 'Strength of membership, 0 to 1; 0 for noise.';

create table topic_names (
  topic_id text collate "C" primary key references topics on delete cascade,
  name text not null,
  summary text not null,
  source text not null check (source in ('llm', 'keywords', 'inherited')),
  model text,
  prompt_hash text
);
comment on table topic_names is 'Name and summary of each topic. Written by `name-topics`.';
comment on column topic_names.topic_id is 'The topic.';
comment on column topic_names.name is 'Two to six words.';
comment on column topic_names.summary is 'One sentence; what `aggregate` embeds.';
comment on column topic_names.source is 'llm, keywords, or inherited from the same topic of an earlier quarter.';
comment on column topic_names.model is 'Language model; null for keyword names.';
comment on column topic_names.prompt_hash is 'Key of the request in `chat_answers`; null for keyword names.';

create table chat_answers (
  prompt_hash text primary key,
  model text not null,
  answer text not null,
  prompt_tokens integer not null,
  completion_tokens integer not null
);
comment on table chat_answers is 'Every answer of the language model, by what was asked: a rerun never pays twice. Written by `name-topics` and `aggregate`.';
comment on column chat_answers.prompt_hash is 'SHA-256 of model, prompt and schema.';
comment on column chat_answers.model is 'Language model that answered.';
comment on column chat_answers.answer is 'The raw answer.';
comment on column chat_answers.prompt_tokens is 'Tokens of the request, as the API counted them.';
comment on column chat_answers.completion_tokens is 'Tokens of the answer, as the API counted them.';

create table topic_vectors (
  topic_id text collate "C" primary key references topics on delete cascade,
  quarter text collate "C" not null,
  embedding vector not null
);
create index topic_vectors_of_quarter on topic_vectors (quarter);
comment on table topic_vectors is 'Embedding of each topic''s name and summary. Written by `aggregate`.';
comment on column topic_vectors.topic_id is 'The topic.';
comment on column topic_vectors.quarter is 'The quarter.';
comment on column topic_vectors.embedding is 'Unit length, by the same model as the sentences.';

create table themes (
  theme_id text collate "C" primary key,
  quarter text collate "C" not null,
  name text not null,
  summary text not null,
  source text not null check (source in ('llm', 'keywords', 'inherited')),
  keywords text[] not null,
  topics integer not null,
  firms integer not null,
  sentences integer not null,
  largest_firm_share real not null,
  flags text[] not null,
  representative_sentences bigint[] not null,
  centroid vector not null
);
create index themes_of_quarter on themes (quarter);
comment on table themes is 'A cluster of topics across firms in one quarter. Written by `aggregate`.';
comment on column themes.theme_id is 'quarter/number, such as `2016Q4/07`; numbers go from the theme with most firms to the one with fewest.';
comment on column themes.quarter is 'The quarter.';
comment on column themes.name is 'Two to six words.';
comment on column themes.summary is 'One sentence.';
comment on column themes.source is 'Who named it: llm, keywords, or inherited.';
comment on column themes.keywords is 'c-TF-IDF keywords of its topics'' representative sentences against the other themes of the quarter, best first.';
comment on column themes.topics is 'Number of its topics.';
comment on column themes.firms is 'Number of firms that have a topic in it.';
comment on column themes.sentences is 'Number of sentences of its topics.';
comment on column themes.largest_firm_share is 'Share of its sentences that one firm holds, 0 to 1.';
comment on column themes.flags is 'What makes it doubtful: `few firms` (under 2), `one firm dominates` (over 40 %), `large` (over 15 % of the topics after splitting); empty when nothing does.';
comment on column themes.representative_sentences is 'sentence_id of the sentences that stand for the theme, of different firms, best first.';
comment on column themes.centroid is 'Mean of its topics'' embeddings, scaled to unit length.';

create table theme_topics (
  topic_id text collate "C" primary key references topics on delete cascade,
  theme_id text collate "C" not null references themes on delete cascade,
  probability real not null,
  given_to_nearest boolean not null
);
create index theme_topics_of_theme on theme_topics (theme_id);
comment on table theme_topics is 'Which theme a topic belongs to; a topic in none has no row. Written by `aggregate`.';
comment on column theme_topics.topic_id is 'The topic.';
comment on column theme_topics.theme_id is 'The theme.';
comment on column theme_topics.probability is 'Strength of membership, 0 to 1; the cosine to the centroid where given_to_nearest.';
comment on column theme_topics.given_to_nearest is 'True where the clustering left the topic in none and it was given to the nearest theme over the threshold.';

create table work (
  stage text collate "C" not null check (stage in ('ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate', 'index')),
  quarter text collate "C" not null,
  firm_id text collate "C" not null,
  state text not null default 'pending' check (state in ('pending', 'stale', 'done', 'failed')),
  recipe text not null default '',
  units integer not null default 0,
  attempt integer not null default 0,
  lease_by text,
  lease_until timestamptz,
  error text,
  primary key (stage, quarter, firm_id)
);
create index work_open on work (stage, quarter, units desc, firm_id) where state in ('pending', 'stale');
comment on table work is 'What each step has done and has left, and who has it in hand. One row a firm-quarter and step; firm `*` where a step does the whole quarter at once.';
comment on column work.stage is 'The command.';
comment on column work.quarter is 'The quarter.';
comment on column work.firm_id is 'The firm, or `*` for the whole quarter.';
comment on column work.state is 'pending: never done; stale: done, but something before it changed; done; failed: see error, retried by the next run.';
comment on column work.recipe is 'The settings it was done with, as JSON; done with another recipe counts as stale.';
comment on column work.units is 'Sentences of the firm-quarter: large ones are taken first, so that none is left alone at the end.';
comment on column work.attempt is 'Counts claims; the fence: a worker whose attempt is no longer current may not write.';
comment on column work.lease_by is 'host/pid namespace/pid/start of the process that has it in hand.';
comment on column work.lease_until is 'When the lease runs out unless renewed.';
comment on column work.error is 'What went wrong, for a failed one.';

create table runs (
  run_id bigint generated always as identity primary key,
  command text not null,
  quarter text collate "C",
  options jsonb not null,
  code_version text not null,
  model text,
  seed integer,
  worker text not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome text not null default 'running' check (outcome in ('running', 'done', 'failed')),
  counts jsonb not null default '{}',
  peak_memory_mb integer
);
comment on table runs is 'One row a command run: where every number in the other tables comes from. A run that stays `running` was killed, or lost its database.';
comment on column runs.run_id is 'Number of the run.';
comment on column runs.command is 'The command.';
comment on column runs.quarter is 'The quarter it was for.';
comment on column runs.options is 'Its options; secrets are not options.';
comment on column runs.code_version is 'Version of quarterdeck, and the commit where it runs from a checkout.';
comment on column runs.model is 'Model that was used: embedding model and revision, or the language model of name-topics.';
comment on column runs.seed is 'Seed of all chance, where there was chance.';
comment on column runs.worker is 'host/pid namespace/pid/start of the process.';
comment on column runs.started_at is 'When it began.';
comment on column runs.finished_at is 'When it ended; null while it runs, and for ever when it was killed.';
comment on column runs.outcome is 'running, done or failed.';
comment on column runs.counts is 'What it did, as it said in its last line.';
comment on column runs.peak_memory_mb is 'Largest resident memory of the process, in MB.';

create table settings (
  key text primary key,
  value jsonb not null
);
comment on table settings is 'What holds for the whole database: the embedding model (name, revision, dimension).';
comment on column settings.key is 'Name of the setting.';
comment on column settings.value is 'Its value.';

-- What one quarter says against the ones before it: how new each sentence and topic is to its firm (`novelty`), and which
-- themes go on from quarter to quarter (`lineage`). Both look back only: what stands for a quarter depends on it and on
-- earlier ones, so that adding a quarter never changes what earlier ones say.

alter table work drop constraint work_stage_check;
alter table work add constraint work_stage_check check (
  stage in ('ingest', 'embed', 'cluster-firm', 'name-topics', 'aggregate', 'index', 'novelty', 'lineage'));

create table sentence_novelty (
  quarter text collate "C" not null,
  sentence_id bigint not null,
  firm_id text collate "C" not null,
  earlier_quarter text collate "C" not null,
  nearest_sentence_id bigint not null,
  similarity real not null,
  repeated boolean not null,
  primary key (quarter, sentence_id)
) partition by list (quarter);
create index sentence_novelty_of_firm on sentence_novelty (quarter, firm_id);
comment on table sentence_novelty is 'The nearest sentence of the same firm''s quarter before; no row where the database has no earlier call of the firm. Written by `novelty`; partitioned by quarter.';
comment on column sentence_novelty.quarter is 'Quarter of the call.';
comment on column sentence_novelty.sentence_id is 'The sentence.';
comment on column sentence_novelty.firm_id is 'The firm of the call.';
comment on column sentence_novelty.earlier_quarter is 'The firm''s latest earlier quarter in the database, which it was compared with.';
comment on column sentence_novelty.nearest_sentence_id is 'The sentence of that quarter that is nearest by cosine; the first of equals.';
comment on column sentence_novelty.similarity is 'Cosine of the two embeddings, -1 to 1.';
comment on column sentence_novelty.repeated is 'Near-boilerplate: so near that the firm says the same again, be it with other figures.';

create table topic_novelty (
  topic_id text collate "C" primary key references topics on delete cascade,
  quarter text collate "C" not null,
  earlier_quarter text collate "C" not null,
  nearest_topic_id text collate "C" references topics on delete cascade,
  similarity real,
  sentence_similarity real not null,
  is_new boolean not null
);
create index topic_novelty_of_quarter on topic_novelty (quarter);
-- An earlier topic that is made again takes with it what was said about its successors.
create index topic_novelty_of_nearest on topic_novelty (nearest_topic_id);
comment on table topic_novelty is 'Whether a topic is new to its firm; no row where the database has no earlier call of the firm. Written by `novelty`.';
comment on column topic_novelty.topic_id is 'The topic.';
comment on column topic_novelty.quarter is 'Its quarter.';
comment on column topic_novelty.earlier_quarter is 'The firm''s latest earlier quarter in the database, which it was compared with.';
comment on column topic_novelty.nearest_topic_id is 'The firm''s topic of that quarter whose centroid is nearest; null where the firm had none.';
comment on column topic_novelty.similarity is 'Cosine of the two centroids; null where there was none.';
comment on column topic_novelty.sentence_similarity is 'Mean of what sentence_novelty says of its sentences.';
comment on column topic_novelty.is_new is 'The firm had no such topic in that quarter.';

create table theme_lineage (
  theme_id text collate "C" primary key references themes on delete cascade,
  quarter text collate "C" not null,
  lineage_id text collate "C" not null,
  event text not null check (event in ('first', 'new', 'continued', 'split', 'merged', 'returned'))
);
create index theme_lineage_of_quarter on theme_lineage (quarter);
create index theme_lineage_of_lineage on theme_lineage (lineage_id);
comment on table theme_lineage is 'The identity of a theme across quarters. Written by `lineage`.';
comment on column theme_lineage.theme_id is 'The theme of one quarter.';
comment on column theme_lineage.quarter is 'Its quarter.';
comment on column theme_lineage.lineage_id is 'The same for all themes that carry one on: the theme_id of the one it began with.';
comment on column theme_lineage.event is 'first: of the first quarter with themes; new: none before it; continued: from one theme, which went nowhere else; split: a part of one theme; merged: out of several; returned: from a theme of an earlier quarter that had been gone.';

create table theme_links (
  quarter text collate "C" not null,
  earlier_quarter text collate "C" not null,
  earlier_theme_id text collate "C" not null references themes on delete cascade,
  theme_id text collate "C" not null references themes on delete cascade,
  event text not null check (event in ('continued', 'split', 'merged', 'returned', 'new', 'gone')),
  similarity real not null,
  topics_forward real not null,
  topics_back real not null,
  firms_in_common integer not null,
  firms_by_chance real not null,
  primary key (theme_id, earlier_theme_id, event)
);
create index theme_links_of_quarter on theme_links (quarter);
create index theme_links_of_earlier on theme_links (earlier_theme_id);
comment on table theme_links is 'How the themes of a quarter follow from those before, with the evidence. Of a theme that is new or gone it shows the nearest there was, which was not enough. Written by `lineage`.';
comment on column theme_links.quarter is 'The later quarter.';
comment on column theme_links.earlier_quarter is 'The earlier one: the one before in the database, and for returned the one in which the theme was last.';
comment on column theme_links.earlier_theme_id is 'The theme there.';
comment on column theme_links.theme_id is 'The theme here.';
comment on column theme_links.event is 'continued: one became one; split: one became several; merged: several became one; returned: gone, and here again; new: nothing became this; gone: this became of nothing, and the other is the nearest there is.';
comment on column theme_links.similarity is 'Cosine of the two centroids, -1 to 1.';
comment on column theme_links.topics_forward is 'Share of the earlier theme''s topics that would belong to the later one, 0 to 1.';
comment on column theme_links.topics_back is 'Share of the later theme''s topics that would have belonged to the earlier one, 0 to 1.';
comment on column theme_links.firms_in_common is 'Firms that have a topic in both.';
comment on column theme_links.firms_by_chance is 'So many would have, if the firms with topics in both quarters were dealt out by chance.';

-- What older databases have still to do, and the parts of their quarters.
insert into work (stage, quarter, firm_id, units)
  select 'novelty', quarter, firm_id, units from work where stage = 'cluster-firm';
insert into work (stage, quarter, firm_id) select 'lineage', quarter, '*' from work where stage = 'aggregate';
do $$
declare
  part text;
begin
  for part in select right(relname, 6) from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'sentences'::regclass loop
    execute format('create table sentence_novelty_%s partition of sentence_novelty for values in (%L)', part, upper(part));
  end loop;
end $$;

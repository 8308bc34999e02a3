-- The finer level of a method that finds one: the parts of a topic, and those of a theme. Rows of their own beside the tables
-- that everything else reads, and one column that says where a sentence or a topic is: who asks for topics and themes gets what
-- he got before. A method without parts writes none, and a null takes no place.
-- No index over the column of topic_sentences: the id of a part begins with that of its topic, which is indexed.

create table subtopics (
  subtopic_id text collate "C" primary key,
  topic_id text collate "C" not null references topics on delete cascade,
  quarter text collate "C" not null,
  size integer not null,
  keywords text[] not null,
  keyword_weights real[] not null,
  representative_sentence bigint not null
);
create index subtopics_of_topic on subtopics (topic_id);
create index subtopics_of_quarter on subtopics (quarter);
comment on table subtopics is 'The parts of a topic, where it comes apart into two or more. Written by `cluster-firm`, with the method that has them: communities.';
comment on column subtopics.subtopic_id is 'topic_id and number, such as `2016Q4/MU/03.2`; numbers go from the largest part of the topic to the smallest.';
comment on column subtopics.topic_id is 'The topic.';
comment on column subtopics.quarter is 'The quarter.';
comment on column subtopics.size is 'Number of its sentences.';
comment on column subtopics.keywords is 'c-TF-IDF keywords against the other parts of the topic, best first.';
comment on column subtopics.keyword_weights is 'Weight of each keyword.';
comment on column subtopics.representative_sentence is 'sentence_id of the sentence that stands for the part.';

alter table topic_sentences add column subtopic_id text collate "C";
comment on column topic_sentences.subtopic_id is 'The part of the topic; null where the topic has none, or the sentence is in none of them.';

create table subthemes (
  subtheme_id text collate "C" primary key,
  theme_id text collate "C" not null references themes on delete cascade,
  quarter text collate "C" not null,
  topics integer not null,
  firms integer not null,
  keywords text[] not null
);
create index subthemes_of_theme on subthemes (theme_id);
create index subthemes_of_quarter on subthemes (quarter);
comment on table subthemes is 'The parts of a theme, where it comes apart into two or more. Written by `aggregate`, with the method that has them: communities.';
comment on column subthemes.subtheme_id is 'theme_id and number, such as `2016Q4/07.1`; numbers go from the part of most firms to the one of fewest.';
comment on column subthemes.theme_id is 'The theme.';
comment on column subthemes.quarter is 'The quarter.';
comment on column subthemes.topics is 'Number of its topics.';
comment on column subthemes.firms is 'Number of firms that have a topic in it.';
comment on column subthemes.keywords is 'c-TF-IDF keywords of its topics'' representative sentences against the other parts of the theme, best first.';

alter table theme_topics add column subtheme_id text collate "C" references subthemes on delete set null;
create index theme_topics_of_subtheme on theme_topics (subtheme_id) where subtheme_id is not null;
comment on column theme_topics.subtheme_id is 'The part of the theme; null where the theme has none, or the topic is in none of them.';

-- A quarter stays with its method: where nothing stands, with the one that was asked for last.
comment on column work.recipe is 'The settings it was done with, or is to be done with where it is not done, as JSON; done with another recipe counts as stale.';

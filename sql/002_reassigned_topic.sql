-- A second label for noise sentences (`cluster-firm --reassign-noise`), beside the first and not in its place: how much of
-- a call is in no topic is a result of its own, and both readings must stay possible.
-- Null until asked for, so that adding it rewrites no row.

alter table topic_sentences add column reassigned_topic_id text collate "C";
comment on column topic_sentences.reassigned_topic_id is 'The topic that a noise sentence was given to, where `--reassign-noise` was asked for and it lies near enough; null otherwise. coalesce(topic_id, reassigned_topic_id) is the topic with the given ones in it; size, keywords and centroid of a topic are without them.';

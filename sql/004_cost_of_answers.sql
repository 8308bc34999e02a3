-- What each answer of the language model cost and for which quarter, so that a limit on spending holds over all runs of a
-- quarter and not for each anew: a loop of crashes must not spend without end.
-- Nullable: answers that are here already told no cost, and still answer.

alter table chat_answers add column dollars double precision;
alter table chat_answers add column quarter text collate "C";
-- Summed before every request where there is a limit; with the cost in the index no answer is read for it.
create index chat_answers_of_quarter on chat_answers (quarter) include (dollars);
comment on table chat_answers is 'Every answer of the language model, usable or not, by what was asked: a rerun never pays twice. Written by `name-topics` and `aggregate`.';
comment on column chat_answers.prompt_hash is 'SHA-256 of model, messages and schema, and of the number of the try from the second one on.';
comment on column chat_answers.prompt_tokens is 'Tokens of the request, as the API counted them; estimated where it does not count.';
comment on column chat_answers.completion_tokens is 'Tokens of the answer and of the thinking before it, as the API counted them; estimated where it does not count.';
comment on column chat_answers.dollars is 'What it cost: as billed where the API says so (xAI does), else by tokens and price; null where no price was known.';
comment on column chat_answers.quarter is 'The quarter it was asked for; null for answers from before costs were kept.';
comment on column topic_names.summary is 'One sentence, or the list of keywords.';
comment on table topic_vectors is 'Embedding of each topic''s name and keywords. Written by `aggregate`.';

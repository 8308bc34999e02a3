-- Three roles, so that nobody holds more of the database than the work needs: a worker on a spot instance cannot drop a
-- quarter, and a colleague who looks cannot change a row. No migration: the commands never read this file.
--
-- Run it once, as the administrator of a database that is quarterdeck's own, and again after an update that brought tables:
--   createdb quarterdeck
--   DATABASE_URL=postgres://ADMINISTRATOR@HOST/quarterdeck quarterdeck status     makes the tables
--   psql postgres://ADMINISTRATOR@HOST/quarterdeck -f sql/roles.sql               hands them over
--   then, in psql: \password quarterdeck_owner, and the same for the others you use. None is here: a file is read by many.
--
-- Who runs what (DATABASE_URL=postgres://quarterdeck_worker:PASSWORD@HOST/quarterdeck …)
--   quarterdeck_owner    ingest, index, drop-quarter, db-restore, updates, and the first embed into an empty database
--   quarterdeck_worker   embed, cluster-firm, name-topics, aggregate, novelty, lineage, eval
--   quarterdeck_reader   status, themes, trends, search, export, report, sql, models, db-check, db-backup

\set ON_ERROR_STOP on
begin;

-- Never more than this, whatever a later default may be: no role here can make roles or databases, or pass over row security.
do $$
declare
  role text;
begin
  foreach role in array array['quarterdeck_owner', 'quarterdeck_worker', 'quarterdeck_reader'] loop
    if not exists (select from pg_roles where rolname = role) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls', role);
    end if;
  end loop;
end $$;

-- An administrator who is no superuser may hand over only to a role it belongs to. Taken back below.
grant quarterdeck_owner to current_user;

-- Tables for the time of a session fill the server's disk too, and no command makes one.
do $$
begin
  execute format('revoke temporary on database %I from public', current_database());
  execute format(
    'grant connect on database %I to quarterdeck_owner, quarterdeck_worker, quarterdeck_reader', current_database());
end $$;

-- Postgres 14 lets everybody make tables here; a function of a stranger's in the same schema could pass for ours.
revoke create on schema public from public;
grant usage on schema public to quarterdeck_owner, quarterdeck_worker, quarterdeck_reader;

-- The owner. It makes what the commands make: tables in an update, the parts of a new quarter in `ingest`, vector indexes in
-- `index`; only an owner may analyze, drop or alter them. What is here already was made by the administrator.
grant create on schema public to quarterdeck_owner;
do $$
declare
  name regclass;
begin
  for name in
    select c.oid from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and pg_get_userbyid(c.relowner) <> 'quarterdeck_owner'
      and not exists (select from pg_depend where objid = c.oid and deptype = 'e') -- an extension's
  loop
    execute format('alter table %s owner to quarterdeck_owner', name);
  end loop;
end $$;

-- Everybody here reads everything: all of it comes from the calls, and no table holds a secret. By default too, for the parts
-- of quarters to come: the commands go through the whole table, whose rights count then, but `sql` may name a part.
grant select on all tables in schema public to quarterdeck_worker, quarterdeck_reader;
alter default privileges for role quarterdeck_owner in schema public
  grant select on tables to quarterdeck_worker, quarterdeck_reader;

-- The worker. Replacing a firm's rows is delete and insert, so nothing but what has a state is updated. It may not write
-- firms, calls, sentences and common_words, which only `ingest` does, nor schema_versions.
grant insert, delete on
  sentence_vectors, -- embed
  topics, topic_sentences, -- cluster-firm; embed takes back what stood on old vectors
  topic_names, -- name-topics
  topic_vectors, themes, -- aggregate; names and memberships go with their topic or theme
  sentence_novelty, topic_novelty, -- novelty
  theme_lineage, theme_links -- lineage
to quarterdeck_worker;
grant insert on
  subtopics, -- cluster-firm; they go with their topic
  theme_topics, subthemes, -- aggregate; they go with their theme
  chat_answers -- name-topics, aggregate: what was paid for is never changed or taken away
to quarterdeck_worker;
grant insert, update on
  work, -- each step: claims, leases, what is stale
  runs, -- each step: its row when it begins, and how it ended
  settings, -- embed: where the model stands now
  learned_batches -- embed: the batch that was fastest
to quarterdeck_worker;

-- The reader writes nothing, not even a row in `runs`: `eval`, which leaves one, is the worker's.

revoke quarterdeck_owner from current_user;
commit;

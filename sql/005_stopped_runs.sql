-- A run that was told to leave (SIGTERM, Ctrl-C, a spot interruption) and left in order is neither done nor failed.

alter table runs drop constraint runs_outcome_check;
alter table runs add constraint runs_outcome_check check (outcome in ('running', 'done', 'failed', 'stopped'));
comment on column runs.outcome is 'running, done, failed, or stopped: told to leave, it finished what it had in hand and left.';
comment on table runs is 'One row a command run: where every number in the other tables comes from. A run that stays `running` was killed, lost its database, or left while that was too busy to be told.';

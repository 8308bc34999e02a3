-- What `embed` has learned about the size of its batches, so that the next run, perhaps on the next spot instance of the same
-- kind, begins where this one ended. Facts of a device and not of a quarter: nothing else hangs on them, and a row may be
-- deleted at any time.
create table learned_batches (
  model text not null,
  device text not null,
  device_name text not null,
  driver text not null,
  threads integer not null,
  tokens integer not null,
  ceiling integer,
  tokens_per_second real,
  learned_at timestamptz not null default now(),
  primary key (model, device, device_name, driver, threads)
);
comment on table learned_batches is 'The size of batch that was fastest on a device with a model, and the one that ran out of memory. Written and read by `embed`.';
comment on column learned_batches.model is 'Name and revision of the embedding model.';
comment on column learned_batches.device is 'cpu, cuda or webgpu.';
comment on column learned_batches.device_name is 'The processor or the card.';
comment on column learned_batches.driver is 'Version of the card''s driver; empty for a processor.';
comment on column learned_batches.threads is 'Threads of the model.';
comment on column learned_batches.tokens is 'Tokens of a batch, padding included, to begin with.';
comment on column learned_batches.ceiling is 'Tokens of a batch that did not fit into memory; null where none was met.';
comment on column learned_batches.tokens_per_second is 'Speed at that size, inside the model; null where sizes were not compared.';
comment on column learned_batches.learned_at is 'When it was written.';

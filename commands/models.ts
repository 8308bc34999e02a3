// models: which models there are, what is on this disk, and which one the database is bound to. Changes nothing, fetches
// nothing, and makes no database where there is none.

import { existsSync } from 'node:fs'
import type { Command } from '../lib/command.ts'
import { placesOf } from '../lib/db/embedded/places.ts'
import { type BoundModel, boundModel } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { JSON_OUTPUT, switchFlag } from '../lib/flags.ts'
import { thousands } from '../lib/log.ts'
import { cachedModels, folderBytes } from '../lib/model/model-cache.ts'
import { readModelConfig } from '../lib/model/model-config.ts'
import { hubModel, shippedFolder, shippedModels, sourceOf, splitPrecision } from '../lib/model/model-folder.ts'
import { PRECISIONS, type Precision, REGISTERED } from '../lib/model/registry.ts'
import type { Settings } from '../lib/settings.ts'
import { renderTable } from '../lib/text/table.ts'

export const command: Command = {
  verb: 'models',
  summary: 'List the embedding models: what ships, what is fetched, what is in use',
  about:
    'A model is fetched when --model or QUARTERDECK_MODEL first names it, and kept. Any other model of Hugging Face can ' +
    'be named as org/name@COMMIT, and a folder by its path; :int8 or :fp16 behind it takes a graph of that precision.',
  flags: [JSON_OUTPUT],
  examples: ['models', 'models --json'],
  async run({ flags, settings, print, columns }) {
    const found = await listModels(settings, await modelInUse(settings))
    print(switchFlag(flags, 'json') ? JSON.stringify(found) : describe(found, columns))
  },
}

export type ListedModel = {
  /** What --model takes. */
  name: string
  dimension: number | null
  maxTokens: number | null
  /** On this disk; of a model that is not, what fetching it in fp32 takes. */
  bytes: number | null
  state: 'ships' | 'cached' | 'partly fetched' | 'not fetched' | 'folder' | 'folder is gone'
  /** What it is here in, or published in. */
  precisions: Precision[]
  inUse: boolean
}

export type Models = { cache: string; bound: BoundModel | null; models: ListedModel[] }

/** The model that the database is bound to; null without a database, or before its first embedding. */
async function modelInUse(settings: Settings): Promise<BoundModel | null> {
  if (settings.databaseUrl === undefined && !existsSync(placesOf(settings.home).database)) return null
  return (await withDatabase(settings, boundModel)) ?? null
}

export async function listModels({ hub: { cache } }: Pick<Settings, 'hub'>, bound: BoundModel | null): Promise<Models> {
  const models: ListedModel[] = []
  const inUse = (source: string) => bound !== null && splitPrecision(bound.source).rest === source
  for (const name of await shippedModels()) {
    const folder = shippedFolder(name)
    const { maxTokens, shape } = await readModelConfig(folder)
    const bytes = await folderBytes(folder)
    const dimension = shape?.hidden ?? null
    models.push({ name, dimension, maxTokens, bytes, state: 'ships', precisions: ['fp32'], inUse: inUse(name) })
  }
  const cached = await cachedModels(cache)
  for (const { name, repository, revision, dimension, maxTokens, graphs } of REGISTERED) {
    const here = cached.find(one => one.repository === repository && one.revision === revision)
    models.push({
      name,
      dimension,
      maxTokens,
      bytes: here?.bytes ?? graphs.fp32?.bytes ?? null,
      state: here === undefined ? 'not fetched' : stateOf(here.precisions),
      precisions: here?.precisions ?? PRECISIONS.filter(precision => graphs[precision] !== undefined),
      inUse: inUse(sourceOf(hubModel(repository, revision))),
    })
  }
  for (const { repository, revision, folder, precisions, bytes } of cached) {
    const model = hubModel(repository, revision)
    if (model.registered !== undefined || bytes === 0) continue // of which nothing came is no more than a folder
    const name = sourceOf(model)
    // What is half fetched may be without its configs, and may be anything.
    const config = precisions.length > 0 ? await readModelConfig(folder).catch(() => undefined) : undefined
    const dimension = config?.shape?.hidden ?? null
    const state = stateOf(precisions)
    models.push({ name, dimension, maxTokens: config?.maxTokens ?? null, bytes, state, precisions, inUse: inUse(name) })
  }
  if (bound !== null && !models.some(one => one.inUse)) models.push(await boundFolder(bound))
  return { cache, bound, models }
}

function stateOf(precisions: readonly Precision[]): ListedModel['state'] {
  return precisions.length > 0 ? 'cached' : 'partly fetched'
}

/** The model of the database that is none of the others: a folder, or one that this disk has no longer. */
async function boundFolder({ source, dimension }: BoundModel): Promise<ListedModel> {
  const { rest: folder, precision } = splitPrecision(source)
  const here = existsSync(folder)
  return {
    name: source,
    dimension,
    maxTokens: here ? (await readModelConfig(folder)).maxTokens : null,
    bytes: here ? await folderBytes(folder) : null,
    state: here ? 'folder' : folder.includes('@') ? 'not fetched' : 'folder is gone',
    precisions: [precision],
    inUse: true,
  }
}

function describe({ cache, bound, models }: Models, columns: number | undefined): string {
  const right = (title: string) => ({ title, align: 'right' as const })
  const rows = models.map(one => [
    one.name,
    one.dimension === null ? '' : String(one.dimension),
    one.maxTokens === null ? '' : thousands(one.maxTokens),
    one.bytes === null ? '' : `${(one.bytes / 1e6).toFixed(0)} MB`,
    `${one.state}${one.precisions.length > 0 ? ` (${one.precisions.join(', ')})` : ''}`,
    one.inUse ? 'in use' : '',
  ])
  const titles = [{ title: 'model', wrap: true }, right('dimension'), right('tokens'), right('size')]
  return [
    renderTable([...titles, { title: 'state' }, { title: 'this database' }], rows, columns),
    bound === null
      ? 'This database has no embeddings yet; the first embed binds it to a model.'
      : `This database is bound to ${bound.name} (revision ${bound.revision}, ${bound.dimension} dimensions).`,
    `Fetched models are kept in ${cache}`,
  ].join('\n\n')
}

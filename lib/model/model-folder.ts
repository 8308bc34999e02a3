// From what a person writes to a model on this disk: a name that ships or is registered, a folder, or a model of a hub;
// and a revision over everything that decides its vectors. Loads nothing: the graph belongs to onnx.ts, the vocabulary to
// tokenizer.ts; the config files are read by model-config.ts, and what is not here is fetched by model-cache.ts.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { UserError } from '../errors.ts'
import type { HubSettings } from '../settings.ts'
import { hostOf } from './download.ts'
import { compareFiles, fetchModel, type HubModel } from './model-cache.ts'
import { type ModelConfig, readModelConfig } from './model-config.ts'
import { GRAPHS, PRECISIONS, type Precision, REGISTERED, TOKENIZER } from './registry.ts'

export type ModelFolder = ModelConfig &
  Readonly<{
    /** As people and the database see it: the folder's or the repository's own name, and the precision unless it is fp32. */
    name: string
    folder: string
    /** What opens the same model again, also elsewhere; for a folder that is its path. */
    source: string
    /** Twelve hex digits over everything that decides a vector: other digits, other vectors. */
    revision: string
    modelFile: string
    tokenizerFile: string
  }>

const SHIPPED = fileURLToPath(new URL('../../data/model/', import.meta.url))

/**
 * Opens NAME[@REVISION][:PRECISION]. NAME is, in this order: a model that ships, a registered one, a folder that exists or
 * is written as a path, `org/name` at the hub. A name goes before a folder so that it means the same wherever it is typed;
 * `./all-MiniLM-L6-v2` is the folder. Without `hub` only what ships and folders can be opened.
 */
export async function readModelFolder(specification: string, hub?: HubSettings): Promise<ModelFolder> {
  const { rest, precision } = splitPrecision(specification)
  const suffix = precision === 'fp32' ? '' : `:${precision}`
  const found = await findModel(rest, hub)
  if (typeof found !== 'string') {
    const { folder, graph } = await fetchModel(found.hub, found.model, precision)
    const place = { name: `${found.model.name}${suffix}`, source: `${sourceOf(found.model)}${suffix}`, folder }
    const { model, checksums } = await readFolder(place, [graph])
    await compareFiles(found.hub, found.model, checksums)
    return model
  }
  const shipped = found.startsWith(SHIPPED)
  // A folder whose own name ends like a precision is told from it by saying the usual one.
  const end = suffix === '' && splitPrecision(found).rest !== found ? ':fp32' : suffix
  const source = `${shipped ? basename(found) : found}${end}`
  return (await readFolder({ name: `${basename(found)}${suffix}`, source, folder: found }, GRAPHS[precision])).model
}

/** What opens it again: with the commit even where the name alone would do today. */
export function sourceOf({ name, repository, revision, registered }: HubModel): string {
  return `${registered ? name : repository}@${revision}`
}

/** Names of the models that come with the program. */
export async function shippedModels(): Promise<string[]> {
  return (await readdir(SHIPPED)).sort()
}

export function shippedFolder(name: string): string {
  return join(SHIPPED, name)
}

/** The model of a repository at a commit, under its registered name where it has one. */
export function hubModel(repository: string, revision: string): HubModel {
  const registered = REGISTERED.find(one => one.repository === repository && one.revision === revision)
  return { name: repository.split('/')[1], repository, revision, registered }
}

/** A path may hold any sign, so only the known words count. */
export function splitPrecision(text: string): { rest: string; precision: Precision } {
  const precision = PRECISIONS.find(one => text.endsWith(`:${one}`))
  return precision === undefined
    ? { rest: text, precision: 'fp32' }
    : { rest: text.slice(0, -precision.length - 1), precision }
}

type AtHub = { hub: HubSettings; model: HubModel }

/** A folder's path, or a model of the hub. */
async function findModel(text: string, hub: HubSettings | undefined): Promise<string | AtHub> {
  const shipped = await shippedModels()
  if (shipped.includes(text)) return shippedFolder(text)
  const [, before, revision] = /^([^@]+)@([^@/]*)$/.exec(text) ?? [undefined, text, undefined]
  const named = REGISTERED.find(one => one.name === before)
  if (named !== undefined) return atHub(named.repository, revision ?? named.revision, hub)

  const folder = resolve(text)
  const there = await stat(folder).catch(() => undefined)
  if (there?.isDirectory()) return folder
  const hint =
    `export QUARTERDECK_MODEL=${shipped[0]} (ships), or ${REGISTERED.map(one => one.name).join(', ')}, or the path of a ` +
    'folder with tokenizer.json and model.onnx; quarterdeck models lists what is there'
  if (there) throw new UserError(`the model ${folder} is a file; a model is a folder`, hint)
  if (isRepository(before)) {
    const registered = REGISTERED.find(one => one.repository === before)
    return atHub(before, revision ?? registered?.revision, hub)
  }
  if (/[/\\]/.test(text)) throw new UserError(`the model folder ${folder} does not exist`, hint)
  throw new UserError(`no model is named ${JSON.stringify(text)}, and no folder here is called so`, hint)
}

/** `org/name`, which cannot lead out of the cache's folder. */
function isRepository(text: string): boolean {
  return /^[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/.test(text)
}

function atHub(repository: string, revision: string | undefined, hub: HubSettings | undefined): AtHub {
  if (hub === undefined)
    throw new UserError(`${repository} is a model of a hub, and none is at hand here`, 'give the path of its folder')
  hostOf(hub) // refuses an address with a password in it, before a message quotes it
  if (revision !== undefined && /^[0-9a-f]{40}$/i.test(revision))
    return { hub, model: hubModel(repository, revision.toLowerCase()) }
  const reason = 'is another model whenever its owner changes it, and vectors of two models cannot be compared'
  throw new UserError(
    revision === undefined
      ? `there is no folder ${repository} here, and as a model of ${hub.url} it needs its commit: without one it ${reason}`
      : `${repository}@${revision} ${reason}; a commit has 40 hexadecimal digits and stays`,
    `write ${repository}@COMMIT; the commits are listed at ${hub.url}/${repository}/commits/main`,
  )
}

async function readFolder(
  { name, source, folder }: Pick<ModelFolder, 'name' | 'source' | 'folder'>,
  graphs: readonly string[],
): Promise<{ model: ModelFolder; checksums: ReadonlyMap<string, string> }> {
  const modelFile = await firstFile(folder, graphs, 'the model as an ONNX graph')
  const tokenizerFile = await firstFile(folder, [TOKENIZER], 'the vocabulary')
  const config = await readModelConfig(folder)
  const { maxTokens, pooling, prompts } = config
  // Prompts came later, and most models have none: what was bound before is the same model still.
  const facts =
    prompts.document === '' && prompts.query === '' ? { maxTokens, pooling } : { maxTokens, pooling, prompts }
  const files = [modelFile, `${modelFile}_data`, tokenizerFile]
  const { revision, checksums } = await hashOf(folder, files, JSON.stringify(facts))
  return { model: Object.freeze({ ...config, name, folder, source, revision, modelFile, tokenizerFile }), checksums }
}

async function firstFile(folder: string, names: readonly string[], what: string): Promise<string> {
  for (const name of names) {
    const path = join(folder, name)
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw new UserError(`cannot read ${path}: ${error.message}`, `look at who may read there: ls -ld ${folder}`)
    })
    if (found?.isFile()) return path
  }
  throw new UserError(
    `the model folder ${folder} has no ${names.join(' or ')}, which holds ${what}`,
    'give a folder as sentence-transformers writes it with backend="onnx"',
  )
}

/** Streamed, because a model may be larger than memory should hold twice; `_data` is where large graphs keep weights. */
async function hashOf(
  folder: string,
  files: readonly string[],
  facts: string,
): Promise<{ revision: string; checksums: ReadonlyMap<string, string> }> {
  const all = createHash('sha256')
  const checksums = new Map<string, string>()
  for (const file of files) {
    if (!(await stat(file).catch(() => undefined))) continue
    const own = createHash('sha256')
    await pipeline(createReadStream(file), async chunks => {
      for await (const chunk of chunks) {
        all.update(chunk)
        own.update(chunk)
      }
    })
    checksums.set(relative(folder, file), own.digest('hex'))
  }
  return { revision: all.update(facts).digest('hex').slice(0, 12), checksums }
}

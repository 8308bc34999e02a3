// Models from a hub, kept on this disk: CACHE/org/name/COMMIT, laid out as the repository is, so that its files can also
// be put there by hand. checksums.json beside them remembers the SHA-256 of each file when it was first seen, and which
// files the repository has not. How a file is fetched is download.ts, what the files say is model-config.ts.

import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '../errors.ts'
import { say, warn } from '../log.ts'
import { type HubSettings, SHIPPED_MODEL } from '../settings.ts'
import { checksumOf, fetchFile, hostOf, NoAnswer, type Patience } from './download.ts'
import { poolingFiles } from './model-config.ts'
import { CONFIGS, GRAPHS, PRECISIONS, type Precision, type RegisteredModel, TOKENIZER } from './registry.ts'

export type HubModel = Readonly<{
  /** Short, as people and the database see it. */
  name: string
  /** `org/name` */
  repository: string
  /** The commit, 40 hexadecimal digits. */
  revision: string
  /** What is known of just this commit. */
  registered: RegisteredModel | undefined
}>

/** File → SHA-256, or null for a file that the repository has not. */
type Checksums = Record<string, string | null>

const RECORD = 'checksums.json'
/** Where sentence-transformers writes it; modules.json may say otherwise. */
const USUAL_POOLING = '1_Pooling/config.json'

export function cacheFolder(hub: HubSettings, { repository, revision }: HubModel): string {
  return join(hub.cache, repository, revision)
}

/**
 * Fetches what is not here yet of a model and compares its config files with what was recorded of them. Returns its
 * folder and the graph of that precision. Asks nobody when all is here.
 */
export async function fetchModel(
  hub: HubSettings,
  model: HubModel,
  precision: Precision,
  patience: Patience = {},
): Promise<{ folder: string; graph: string }> {
  const folder = cacheFolder(hub, model)
  const graphs = graphsOf(model, precision)
  const checksums = await readChecksums(folder)
  const before = JSON.stringify(checksums)
  const missing: string[] = []
  let away = hub.offline ? 'HF_HUB_OFFLINE is set' : undefined
  let announced = false

  /** Whether the file is here, fetched now if need be. */
  async function have(file: string): Promise<boolean> {
    if (await isFile(join(folder, file))) return true
    if (checksums[file] === null || away !== undefined) return false
    if (!announced) say(`fetch ${model.repository}: from ${hostOf(hub)} at ${model.revision} into ${folder}`)
    announced = true
    const { repository, revision, registered } = model
    const checksum = registered?.checksums[file] ?? checksums[file]
    try {
      checksums[file] =
        (await fetchFile({ hub, repository, revision, file, target: join(folder, file), checksum }, patience)) ?? null
      return checksums[file] !== null
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      away = error.message
      return false
    }
  }

  try {
    if (!(await have(TOKENIZER))) missing.push(TOKENIZER)
    for (const file of CONFIGS) if (!(await have(file)) && model.registered) missing.push(file)
    // Without modules.json nothing says where that of a registered model lies, and it is told in one go what to bring.
    const lost = model.registered !== undefined && missing.includes('modules.json')
    const poolings = lost ? [USUAL_POOLING] : (await poolingFiles(folder)).map(inside)
    for (const file of poolings) if (!(await have(file))) missing.push(file)
    let graph: string | undefined
    for (const file of graphs) if (graph === undefined && (await have(file))) graph = file
    if (graph === undefined) missing.push(graphs.join(' or '))
    // Where a graph over 2 GB keeps its weights; what is registered is smaller.
    else if (model.registered === undefined) await have(`${graph}_data`)
    if (graph === undefined || missing.length > 0)
      throw away === undefined ? notPublished(hub, model, precision, missing) : notHere(hub, model, away, missing)
    if (away !== undefined && !hub.offline)
      warn(`${away}; going on with the files in ${folder} (HF_HUB_OFFLINE=1 asks nobody)`)
    if (!(await isFile(join(folder, 'modules.json'))) && (announced || checksums['modules.json'] === undefined))
      warn(
        `${model.repository} has no modules.json: its vectors are means over all tokens, as sentence-transformers does`,
      )
    for (const file of [...CONFIGS, ...poolings]) {
      if (await isFile(join(folder, file)))
        compare(folder, model, checksums, file, await checksumOf(join(folder, file)))
    }
    return { folder, graph }
  } catch (error) {
    // What a hub lacks of a model that cannot be opened, it may have tomorrow.
    for (const file of Object.keys(checksums)) if (checksums[file] === null) delete checksums[file]
    throw error
  } finally {
    if (JSON.stringify(checksums) !== before) await writeChecksums(folder, checksums)
  }
}

/** Compares large files, whose SHA-256 is known from reading them anyway, with what was recorded; records what is new. */
export async function compareFiles(
  hub: HubSettings,
  model: HubModel,
  checksumsNow: ReadonlyMap<string, string>,
): Promise<void> {
  const folder = cacheFolder(hub, model)
  const checksums = await readChecksums(folder)
  const before = JSON.stringify(checksums)
  for (const [file, checksum] of checksumsNow) compare(folder, model, checksums, file, checksum)
  if (JSON.stringify(checksums) !== before) await writeChecksums(folder, checksums)
}

function compare(folder: string, model: HubModel, checksums: Checksums, file: string, checksum: string): void {
  const wanted = model.registered?.checksums[file] ?? checksums[file] ?? checksum
  checksums[file] = wanted
  if (wanted === checksum) return
  throw new UserError(
    `${join(folder, file)} is not the file that was published: its SHA-256 is ${checksum}, and should be ${wanted}`,
    `delete it, and it is fetched again: rm '${join(folder, file)}'`,
  )
}

function graphsOf(model: HubModel, precision: Precision): readonly string[] {
  if (model.registered === undefined) return GRAPHS[precision]
  const graph = model.registered.graphs[precision]
  if (graph !== undefined) return [graph.file]
  throw new UserError(
    `${model.name} is not published in ${precision}; it is in ${Object.keys(model.registered.graphs).join(' and ')}`,
    `take --model ${model.name}, or a folder of your own that has onnx/model_quantized.onnx or onnx/model_fp16.onnx`,
  )
}

/** modules.json comes from outside and must not lead outside. */
function inside(file: string): string {
  if (/^[\w.-]+(\/[\w.-]+)*$/.test(file) && !file.split('/').includes('..')) return file
  throw new UserError(
    `modules.json of the model names the file ${JSON.stringify(file)}, which may lie anywhere`,
    'take another model',
  )
}

function notPublished(hub: HubSettings, model: HubModel, precision: Precision, missing: readonly string[]): UserError {
  const { repository, revision } = model
  return new UserError(
    `${repository} at ${revision} has no ${missing.join(' and no ')}` +
      (missing.includes(TOKENIZER) ? '' : `, which ${precision} needs`),
    `see what it has: ${hub.url}/${repository}/tree/${revision}; a model without them can be made into a folder by ` +
      'sentence-transformers with backend="onnx"',
  )
}

/** Neither here nor to be had: both ways out. */
function notHere(hub: HubSettings, model: HubModel, reason: string, missing: readonly string[]): UserError {
  const { name, repository, revision, registered } = model
  const others = registered ? '' : `, with ${CONFIGS.join(', ')} and ${USUAL_POOLING} where it has them`
  return new UserError(
    `the model ${registered ? name : repository} is not whole in the cache, and cannot be fetched: ${reason}`,
    `put ${missing.join(', ')} of ${hub.url}/${repository}/tree/${revision}${others} into ` +
      `${cacheFolder(hub, model)}; or use the model that ships, which needs no network: --model ${SHIPPED_MODEL}`,
  )
}

async function readChecksums(folder: string): Promise<Checksums> {
  let text: string
  try {
    text = await readFile(join(folder, RECORD), 'utf8')
  } catch {
    return {}
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Checksums
    throw new Error('not an object')
  } catch (error) {
    throw new UserError(`cannot read ${join(folder, RECORD)}: ${messageOf(error)}`, `delete the folder ${folder}`)
  }
}

let drafts = 0

async function writeChecksums(folder: string, checksums: Checksums): Promise<void> {
  const sorted = Object.fromEntries(Object.entries(checksums).sort(([a], [b]) => (a < b ? -1 : 1)))
  const draft = join(folder, `${RECORD}.${process.pid}-${++drafts}`)
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(draft, `${JSON.stringify(sorted, null, 2)}\n`)
    await rename(draft, join(folder, RECORD))
  } catch (error) {
    // A cache that may only be read serves as well; then there is nothing to compare with the next time.
    warn(`what was seen of the model's files is not remembered: ${messageOf(error)}`)
  }
}

export type CachedModel = {
  repository: string
  revision: string
  folder: string
  /** Whole enough to be opened in these. */
  precisions: Precision[]
  bytes: number
}

/** All models in the cache, by name. */
export async function cachedModels(cache: string): Promise<CachedModel[]> {
  const found: CachedModel[] = []
  for (const organisation of await namesIn(cache)) {
    for (const name of await namesIn(join(cache, organisation))) {
      for (const revision of await namesIn(join(cache, organisation, name))) {
        if (!/^[0-9a-f]{40}$/.test(revision)) continue
        const repository = `${organisation}/${name}`
        found.push({ repository, revision, ...(await contentsOf(join(cache, repository, revision))) })
      }
    }
  }
  return found
}

async function contentsOf(folder: string): Promise<Pick<CachedModel, 'folder' | 'precisions' | 'bytes'>> {
  const files = await readdir(folder, { recursive: true })
  const precisions = files.includes(TOKENIZER)
    ? PRECISIONS.filter(precision => GRAPHS[precision].some(file => files.includes(file)))
    : []
  return { folder, precisions, bytes: await folderBytes(folder) }
}

/** Bytes of all files in a folder, and in those below it. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder, { recursive: true })) {
    const found = await stat(join(folder, name)).catch(() => undefined) // renamed just now by one who fetches
    if (found?.isFile()) bytes += found.size
  }
  return bytes
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

// quarterdeck models, as a person runs it: without a database, with fetched models, and with a database that is bound.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ListedModel, Models } from '../../commands/models.ts'
import { bindModel } from '../../lib/db/model-binding.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { readModelFolder } from '../../lib/model/model-folder.ts'
import { REGISTERED } from '../../lib/model/registry.ts'
import { readSettings } from '../../lib/settings.ts'
import { readyHome } from '../db/servers.ts'
import { filesOf, type HubServer, REPOSITORY, REVISION, startHub } from '../model/hub-server.ts'
import { root, succeed } from '../run.ts'

const { home, remove } = await readyHome()
const cache = join(home, 'cache')
const env = { QUARTERDECK_MODEL_CACHE: cache }
const settings = { ...readSettings({ QUARTERDECK_MODEL_CACHE: cache }), home }
let hub: HubServer

beforeAll(async () => {
  const config = JSON.stringify({ num_attention_heads: 4, hidden_size: 256, intermediate_size: 1024 })
  hub = await startHub({ ...filesOf(join(root, 'data/model/earnings-static-256')), 'config.json': config })
})
afterAll(async () => {
  await hub.close()
  await remove()
})

async function listed(where = home): Promise<Models> {
  return JSON.parse(await succeed(['models', '--json'], { home: where, env }))
}

let bound = 0

/** The models in use once the database is bound to this one. */
async function bind(source: string): Promise<ListedModel[]> {
  const model = { name: 'bound', revision: String(++bound).padStart(12, '0'), dimension: 256, source }
  await withDatabase(settings, sql => bindModel(sql, model))
  const found = await listed()
  expect(found.bound).toEqual(model)
  return found.models.filter(one => one.inUse)
}

describe('without a database', () => {
  it('lists what ships and what is registered, and makes no database', async () => {
    const { models, bound } = await listed(join(home, 'none'))
    expect(bound).toBeNull()
    expect(models.map(({ name, state }) => [name, state])).toEqual([
      ['earnings-static-256', 'ships'],
      ...REGISTERED.map(({ name }) => [name, 'not fetched']),
    ])
    expect(models[1]).toMatchObject({ dimension: 384, maxTokens: 256, bytes: 90_405_214, precisions: ['fp32', 'int8'] })
    expect(existsSync(join(home, 'none'))).toBe(false)
  })

  it('says of the model that ships what that model says of itself', async () => {
    const [ships] = (await listed(join(home, 'none'))).models
    const embedder = await openEmbedder({ ...settings, model: ships.name })
    expect(ships).toMatchObject({ dimension: embedder.dimension, maxTokens: embedder.maxTokens })
    await embedder.close()
  })

  it('is a table for a person, with the cache and what to do next', async () => {
    const text = await succeed(['models'], { home: join(home, 'none'), env })
    expect(text).toMatch(/all-mpnet-base-v2 +768 +384 +436 MB +not fetched \(fp32, int8\)/)
    expect(text).toContain(`Fetched models are kept in ${cache}`)
    expect(text).toContain('has no embeddings yet')
  })
})

describe('fetched models', () => {
  it('are listed by what --model takes, with size and precisions', async () => {
    const name = `${REPOSITORY}@${REVISION}`
    const { folder } = await readModelFolder(name, hub.settings(cache))
    writeFileSync(join(folder, 'model_int8.onnx'), 'eight bits')
    const mine = (await listed()).models.find(one => one.name === name)
    expect(mine).toMatchObject({ dimension: 256, maxTokens: 1024, state: 'cached', precisions: ['fp32', 'int8'] })
    expect(mine?.bytes).toBeGreaterThan(5e6)
  })

  it('that are half here are said to be so', async () => {
    const [{ repository, revision, name }] = REGISTERED
    mkdirSync(join(cache, repository, revision), { recursive: true })
    writeFileSync(join(cache, repository, revision, 'tokenizer.json'), '{}')
    const half = (await listed()).models.find(one => one.name === name)
    expect(half).toMatchObject({ state: 'partly fetched', bytes: 2, precisions: [] })
  })
})

describe('the model in use', () => {
  it('is the one that the database is bound to, whatever its kind', async () => {
    const name = `${REPOSITORY}@${REVISION}`
    expect(await bind('earnings-static-256')).toMatchObject([{ name: 'earnings-static-256' }])
    expect(await bind(`${name}:int8`)).toMatchObject([{ name, state: 'cached' }])
    const [{ name: registered, revision }] = REGISTERED
    expect(await bind(`${registered}@${revision}`)).toMatchObject([{ name: registered }])
    // An older version of this program may have had another commit under the name.
    const older = `${registered}@${REVISION}`
    expect(await bind(older)).toMatchObject([{ name: older, state: 'not fetched', dimension: 256 }])

    const folder = join(home, 'a-folder')
    mkdirSync(folder)
    writeFileSync(join(folder, 'sentence_bert_config.json'), '{"max_seq_length": 99}')
    expect(await bind(folder)).toMatchObject([{ name: folder, state: 'folder', dimension: 256, maxTokens: 99 }])
    rmSync(folder, { recursive: true })
    expect(await bind(`${folder}:int8`)).toMatchObject([{ state: 'folder is gone', precisions: ['int8'], bytes: null }])
    expect(await succeed(['models'], { home, env })).toContain('This database is bound to bound (revision')
  })
})

// Models of a hub, from a real HTTP server into a real folder: fetched once, put there by hand, changed, or not to be had.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { cachedModels, fetchModel } from '../../lib/model/model-cache.ts'
import { hubModel, readModelFolder } from '../../lib/model/model-folder.ts'
import { REGISTERED } from '../../lib/model/registry.ts'
import type { HubSettings } from '../../lib/settings.ts'
import { refusalOf } from '../refusal.ts'
import { sharedFolder } from '../shared.ts'
import { filesOf, type HubServer, REPOSITORY, REVISION, sha256, startHub } from './hub-server.ts'

const SHIPPED = fileURLToPath(new URL('../../data/model/earnings-static-256', import.meta.url))
const MODEL = `${REPOSITORY}@${REVISION}`
const MODULES = JSON.stringify([
  { path: '', type: 'sentence_transformers.models.Transformer' },
  { path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
])
// Port 0 cannot be listened on.
const NOBODY = 'http://127.0.0.1:0'
const minilm = sharedFolder('model', 'all-MiniLM-L6-v2')

const scratch = mkdtempSync(join(tmpdir(), 'model-cache-'))
let caches = 0
let hub: HubServer | undefined
afterEach(async () => await hub?.close())
afterAll(() => rmSync(scratch, { recursive: true }))

type Files = Record<string, Buffer | string>

/** What ships, as somebody might have published it. */
function published(more: Files = {}): Files {
  return { ...filesOf(SHIPPED), 'modules.json': MODULES, '1_Pooling/config.json': '{"pooling_mode": "mean"}', ...more }
}

async function serve(files: Files, as?: { repository: string; revision: string }): Promise<HubSettings> {
  hub = await startHub(files, as)
  return hub.settings(join(scratch, String(++caches)))
}

/** A cache into which somebody has put files. */
function filled(files: Files, repository = REPOSITORY, revision = REVISION): HubSettings {
  const cache = join(scratch, String(++caches))
  for (const [file, bytes] of Object.entries(files)) {
    const path = join(cache, repository, revision, file)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, bytes)
  }
  return { url: NOBODY, token: undefined, offline: true, cache }
}

function folderIn(settings: HubSettings): string {
  return join(settings.cache, REPOSITORY, REVISION)
}

describe('a model of a hub', () => {
  it('is fetched when it is first opened, and is then here without anybody being asked', async () => {
    const settings = await serve(published())
    const model = await readModelFolder(MODEL, settings)
    expect(model).toMatchObject({ name: 'a-model', source: MODEL, folder: folderIn(settings), maxTokens: 1024 })
    expect(sha256(readFileSync(model.modelFile))).toBe(sha256(readFileSync(join(SHIPPED, 'model.onnx'))))
    // The same files are the same model, wherever they came from.
    expect(model.revision).toBe((await readModelFolder(SHIPPED)).revision)

    const requests = hub?.asked.length
    expect(await readModelFolder(model.source, { ...settings, offline: true })).toEqual(model)
    expect(await readModelFolder(model.source, settings)).toEqual(model)
    expect(hub?.asked.length).toBe(requests)
  })

  it('without some files is asked for them once, and never again', async () => {
    const settings = await serve(published())
    await readModelFolder(MODEL, settings)
    expect(hub?.asked.filter(one => one.file === 'tokenizer_config.json')).toHaveLength(1)
    const checksums = JSON.parse(readFileSync(join(folderIn(settings), 'checksums.json'), 'utf8'))
    expect(checksums).toMatchObject({ 'tokenizer_config.json': null, 'modules.json': sha256(MODULES) })
    // The README and the script that made the model are none of what it needs.
    const here = readdirSync(folderIn(settings))
    expect(here).toEqual(expect.arrayContaining(['model.onnx', 'tokenizer.json', '1_Pooling', 'modules.json']))
    expect(here).not.toEqual(expect.arrayContaining([expect.stringMatching(/README|\.py$/)]))
  })

  it('has another graph for each precision, another name and another revision', async () => {
    const settings = await serve(published({ 'onnx/model_int8.onnx': 'eight bits', 'onnx/model_fp16.onnx': 'sixteen' }))
    const models = await Promise.all(['', ':int8', ':fp16'].map(end => readModelFolder(MODEL + end, settings)))
    expect(models.map(one => one.name)).toEqual(['a-model', 'a-model:int8', 'a-model:fp16'])
    expect(models.map(one => one.source)).toEqual([MODEL, `${MODEL}:int8`, `${MODEL}:fp16`])
    expect(new Set(models.map(one => one.revision)).size).toBe(3)
    expect(models[1].modelFile).toBe(join(folderIn(settings), 'onnx/model_int8.onnx'))
    expect(await readModelFolder(models[1].source, settings)).toEqual(models[1])
    expect(await cachedModels(settings.cache)).toMatchObject([
      { repository: REPOSITORY, revision: REVISION, precisions: ['fp32', 'int8', 'fp16'] },
    ])
  })

  it('brings the file in which a large graph keeps its weights', async () => {
    const { 'model.onnx': graph, ...rest } = published({ 'onnx/model.onnx_data': 'weights' })
    const settings = await serve({ ...rest, 'onnx/model.onnx': graph })
    await readModelFolder(MODEL, settings)
    expect(readFileSync(join(folderIn(settings), 'onnx/model.onnx_data'), 'utf8')).toBe('weights')
  })

  it('is refused without a commit, and at a branch, with the reason and what to write', async () => {
    const settings = await serve(published())
    for (const name of [REPOSITORY, `${REPOSITORY}@main`, `${REPOSITORY}@0123456`, 'all-MiniLM-L6-v2@main']) {
      const { message, hint } = await refusalOf(readModelFolder(name, settings))
      expect(message).toContain('another model whenever its owner changes it')
      expect(hint).toContain('/commits/main')
      expect(hint).toContain('@COMMIT')
    }
    expect(hub?.asked).toEqual([])
  })

  it('that is not what it seems to need is told so', async () => {
    const { 'tokenizer.json': _, ...noTokenizer } = published()
    expect((await refusalOf(readModelFolder(MODEL, await serve(noTokenizer)))).message).toContain(
      'has no tokenizer.json',
    )
    await hub?.close()
    const noInt8 = await refusalOf(readModelFolder(`${MODEL}:int8`, await serve(published())))
    expect(noInt8.message).toMatch(/has no onnx\/model_quantized.onnx or .*, which int8 needs/)
    await hub?.close()
    const { '1_Pooling/config.json': __, ...noPooling } = published()
    const settings = await serve(noPooling)
    expect((await refusalOf(readModelFolder(MODEL, settings))).message).toContain('1_Pooling/config.json')
    // Nor is that remembered against it.
    await hub?.close()
    hub = await startHub(published())
    expect((await readModelFolder(MODEL, { ...settings, url: hub.url })).pooling).toBe('mean')
  })

  it('cannot write outside its folder', async () => {
    for (const path of ['../../../evil', '/evil', '1_Pooling/../..']) {
      const modules = JSON.stringify([{ path, type: 'sentence_transformers.models.Pooling' }])
      const files = published({ 'modules.json': modules, '../../../evil/config.json': '{}' })
      const settings = await serve(files)
      expect((await refusalOf(readModelFolder(MODEL, settings))).message).toContain('names the file')
      expect(readdirSync(settings.cache)).toEqual(['an-org'])
      await hub?.close()
    }
  })
})

describe('a registered model', () => {
  it('has a commit and a checksum for every file that decides most', () => {
    for (const { revision, graphs, checksums } of REGISTERED) {
      expect(revision).toMatch(/^[0-9a-f]{40}$/)
      for (const file of ['tokenizer.json', ...Object.values(graphs).map(graph => graph.file)])
        expect(checksums[file]).toMatch(/^[0-9a-f]{64}$/)
    }
  })

  // The folder beside the checkout has the published files, but a graph that was exported anew.
  it.skipIf(minilm === undefined)('takes the published files and no others', async () => {
    const [{ repository, revision, name }] = REGISTERED
    const files = filesOf(minilm ?? '')
    const settings = await serve(files, { repository, revision })
    const error = await refusalOf(readModelFolder(name, settings))
    expect(error.message).toContain('sent onnx/model.onnx')
    expect(error.message).toContain('should be 6fd5d72fe458')
    const folder = join(settings.cache, repository, revision)
    const here = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.json'))
    expect(here.sort()).toEqual([...Object.keys(REGISTERED[0].checksums), 'checksums.json'].filter(isJson).sort())
  })

  it.skipIf(minilm === undefined)('may also be named by its repository, and put there by hand', async () => {
    const [{ repository, revision, checksums }] = REGISTERED
    const settings = filled(filesOf(minilm ?? ''), repository, revision)
    for (const name of ['all-MiniLM-L6-v2', repository, `${repository}@${revision}`]) {
      const { message } = await refusalOf(readModelFolder(name, settings))
      expect(message).toContain('onnx/model.onnx is not the file that was published')
      expect(message).toContain(checksums['onnx/model.onnx'])
    }
  })

  it('tells in which precisions it is published', async () => {
    const { message, hint } = await refusalOf(readModelFolder('bge-small-en-v1.5:int8', filled({})))
    expect(message).toContain('not published in int8; it is in fp32')
    expect(hint).toContain('--model bge-small-en-v1.5')
  })
})

const isJson = (file: string) => file.endsWith('.json')

describe('files put there by hand', () => {
  it('serve without a network, and are remembered', async () => {
    const settings = filled(published())
    const model = await readModelFolder(MODEL, settings)
    expect(model.revision).toBe((await readModelFolder(SHIPPED)).revision)
    const checksums = JSON.parse(readFileSync(join(folderIn(settings), 'checksums.json'), 'utf8'))
    // What is not there may only have been forgotten, so it is not written down as absent.
    expect(Object.values(checksums)).not.toContain(null)
    expect(checksums['model.onnx']).toBe(sha256(readFileSync(join(SHIPPED, 'model.onnx'))))
  })

  it('are refused once they change, by name, with the way out', async () => {
    for (const file of ['tokenizer.json', 'model.onnx', '1_Pooling/config.json']) {
      const settings = filled(published())
      await readModelFolder(MODEL, settings)
      const path = join(folderIn(settings), file)
      writeFileSync(path, file === '1_Pooling/config.json' ? '{"pooling_mode": "cls"}' : 'another one')
      const { message, hint } = await refusalOf(readModelFolder(MODEL, settings))
      expect(message).toContain(`${path} is not the file that was published`)
      expect(hint).toContain(`rm '${path}'`)
    }
  })

  it('are completed by what a hub has', async () => {
    const { 'model.onnx': _, ...some } = published()
    const settings = { ...filled(some), ...(await serve(published())), cache: join(scratch, String(caches - 1)) }
    await readModelFolder(MODEL, settings)
    expect(hub?.asked.filter(one => one.file === 'tokenizer.json')).toEqual([])
    expect(existsSync(join(folderIn(settings), 'model.onnx'))).toBe(true)
  })

  it('serve also when the hub cannot be reached, which is said', async () => {
    const settings = { ...filled(published()), offline: false }
    const { folder, graph } = await fetchModel(settings, hubModel(REPOSITORY, REVISION), 'fp32', {
      firstWaitSeconds: 0.0005,
    })
    expect({ folder, graph }).toEqual({ folder: folderIn(settings), graph: 'model.onnx' })
  })
})

describe('without a network', () => {
  it('both ways out are told: which files go where, and which model ships', async () => {
    const settings = { ...filled({}), url: 'https://huggingface.co' }
    const { message, hint } = await refusalOf(readModelFolder('all-MiniLM-L6-v2', settings))
    expect(message).toContain('HF_HUB_OFFLINE is set')
    const [{ repository, revision }] = REGISTERED
    expect(hint).toContain(join(settings.cache, repository, revision))
    expect(hint).toContain(`https://huggingface.co/${repository}/tree/${revision}`)
    for (const file of ['tokenizer.json', 'onnx/model.onnx', '1_Pooling/config.json', 'sentence_bert_config.json'])
      expect(hint).toContain(file)
    expect(hint).toContain('--model earnings-static-256')
  })

  it('only what is missing is asked for', async () => {
    const { 'model.onnx': _, ...some } = published()
    const { hint } = await refusalOf(readModelFolder(MODEL, filled(some)))
    expect(hint).toMatch(/^put model.onnx or onnx\/model.onnx of /)
  })

  it('the same is told when the hub does not answer, with the reason', async () => {
    const settings = { ...filled({}), offline: false }
    const work = fetchModel(settings, hubModel(REPOSITORY, REVISION), 'fp32', { firstWaitSeconds: 0.0005 })
    const { message, hint } = await refusalOf(work)
    expect(message).toMatch(/127.0.0.1:0 failed 5 times in a row.*E[A-Z]+/)
    expect(hint).toContain(folderIn(settings))
    expect(hint).toContain('--model earnings-static-256')
  })
})

describe('the record of a folder', () => {
  it('that cannot be read is told, and not written over', async () => {
    const settings = filled(published({ 'checksums.json': '{"model.onnx": ' }))
    const { message, hint } = await refusalOf(readModelFolder(MODEL, settings))
    expect(message).toContain('checksums.json')
    expect(hint).toContain(`delete the folder ${folderIn(settings)}`)
    expect(readFileSync(join(folderIn(settings), 'checksums.json'), 'utf8')).toBe('{"model.onnx": ')
  })

  it('survives two that open the model at once', async () => {
    const settings = await serve(published())
    const models = await Promise.all([1, 2, 3].map(() => readModelFolder(MODEL, settings)))
    expect(models[1]).toEqual(models[0])
    cpSync(folderIn(settings), join(scratch, 'copy'), { recursive: true })
    const names = readdirSync(join(scratch, 'copy'))
    expect(names.filter(name => name.includes('partial') || /checksums.json./.test(name))).toEqual([])
  })
})

// Model folders: the facts sentence-transformers obeys, and a sentence a person can act on for every way a folder is wrong.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { readModelFolder } from '../../lib/model/model-folder.ts'
import { readSettings } from '../../lib/settings.ts'
import { refusalOf } from '../refusal.ts'
import { sharedFolder } from '../shared.ts'

const SHIPPED = fileURLToPath(new URL('../../data/model/earnings-static-256', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'model-folder-'))
const minilm = sharedFolder('model', 'all-MiniLM-L6-v2')
afterAll(() => rmSync(scratch, { recursive: true }))

function folderWith(name: string, files: Record<string, string>): string {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(scratch, name, file)), { recursive: true })
    writeFileSync(join(scratch, name, file), text)
  }
  return join(scratch, name)
}

/** A folder that is whole as far as reading goes; what is in the graph is not looked at yet. */
function sound(name: string, more: Record<string, string> = {}): string {
  return folderWith(name, { 'model.onnx': 'graph', 'tokenizer.json': '{}', ...more })
}

const MODULES = JSON.stringify([
  { path: '', type: 'sentence_transformers.models.Transformer' },
  { path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
])

describe('a sound folder', () => {
  it('is found by name when it ships', async () => {
    const folder = await readModelFolder('earnings-static-256')
    expect(folder.name).toBe('earnings-static-256')
    expect(folder.maxTokens).toBe(1024)
    expect(folder.revision).toMatch(/^[0-9a-f]{12}$/)
    expect((await readModelFolder(SHIPPED)).revision).toBe(folder.revision)
  })

  it.skipIf(minilm === undefined)('of MiniLM reads 256 tokens, though its tokenizer says 128', async () => {
    const folder = await readModelFolder(minilm ?? '')
    expect(folder).toMatchObject({ name: 'all-MiniLM-L6-v2', maxTokens: 256, pooling: 'mean' })
    expect(folder.modelFile).toBe(join(minilm ?? '', 'onnx', 'model.onnx'))
  })

  it('may pool by its first token, in either way of writing it down', async () => {
    const old = { 'modules.json': MODULES, '1_Pooling/config.json': '{"pooling_mode_cls_token": true}' }
    const recent = { 'modules.json': MODULES, '1_Pooling/config.json': '{"pooling_mode": "cls"}' }
    expect((await readModelFolder(sound('cls-old', old))).pooling).toBe('cls')
    expect((await readModelFolder(sound('cls-recent', recent))).pooling).toBe('cls')
  })

  it('takes the smaller of the lengths of tokenizer and model where no length is said for sentences', async () => {
    const files = {
      'tokenizer_config.json': '{"model_max_length": 512}',
      'config.json': '{"max_position_embeddings": 514}',
    }
    expect((await readModelFolder(sound('lengths', files))).maxTokens).toBe(512)
    const endless = sound('endless', { 'tokenizer_config.json': '{"model_max_length": 1e30}' })
    expect((await readModelFolder(endless)).maxTokens).toBe(512)
  })

  it('has another revision when graph, tokenizer, length or pooling is another', async () => {
    const folders = [
      sound('r0'),
      sound('r1', { 'model.onnx': 'graph 2' }),
      sound('r2', { 'tokenizer.json': '{ }' }),
      sound('r3', { 'sentence_bert_config.json': '{"max_seq_length": 128}' }),
      sound('r4', { 'modules.json': MODULES, '1_Pooling/config.json': '{"pooling_mode": "cls"}' }),
      sound('r5', { 'model.onnx_data': 'weights' }),
    ]
    const revisions = await Promise.all(folders.map(async folder => (await readModelFolder(folder)).revision))
    expect(new Set(revisions).size).toBe(folders.length)
    expect((await readModelFolder(sound('r0-copy'))).revision).toBe(revisions[0])
  })
})

describe('a specification', () => {
  const int8 = { 'onnx/model_quantized.onnx': 'eight bits' }

  it('chooses the graph by its precision, which then is part of name and source', async () => {
    const folder = sound('precise', int8)
    const [full, quantized] = [await readModelFolder(folder), await readModelFolder(`${folder}:int8`)]
    expect(full).toMatchObject({ name: 'precise', source: folder, modelFile: join(folder, 'model.onnx') })
    expect(quantized).toMatchObject({
      name: 'precise:int8',
      source: `${folder}:int8`,
      modelFile: join(folder, 'onnx/model_quantized.onnx'),
    })
    expect(quantized.revision).not.toBe(full.revision)
    expect(await readModelFolder(quantized.source)).toEqual(quantized)
    expect(await readModelFolder(`${folder}:fp32`)).toEqual(full)
  })

  it('may have any sign in a path, and its source still opens the same folder', async () => {
    for (const name of ['a:b', 'x@y', 'odd:int8', `m@${'0'.repeat(40)}`]) {
      const folder = sound(name, int8)
      const model = await readModelFolder(name === 'odd:int8' ? `${folder}:fp32` : folder)
      expect(model).toMatchObject({ name, folder, modelFile: join(folder, 'model.onnx') })
      expect(await readModelFolder(model.source)).toEqual(model)
    }
  })

  it('of a registered name is not the folder of that name beside us, which is ./NAME', async () => {
    const before = process.cwd()
    process.chdir(join(sound('all-MiniLM-L6-v2'), '..'))
    try {
      await expect(readModelFolder('all-MiniLM-L6-v2')).rejects.toThrow('sentence-transformers/all-MiniLM-L6-v2')
      expect((await readModelFolder('./all-MiniLM-L6-v2')).folder).toBe(join(process.cwd(), 'all-MiniLM-L6-v2'))
      // Of `org/name` the folder goes first: nobody has one by chance.
      sound('an-org/a-model')
      expect((await readModelFolder('an-org/a-model')).name).toBe('a-model')
    } finally {
      process.chdir(before)
    }
  })
})

describe('prompts', () => {
  const prompted = (name: string, config: unknown, more: Record<string, string> = {}) =>
    sound(name, { 'config_sentence_transformers.json': JSON.stringify(config), ...more })

  it('are empty where nothing is said, and then no part of the revision', async () => {
    const plain = await readModelFolder(sound('prompts-none'))
    expect(plain.prompts).toEqual({ document: '', query: '' })
    const empty = prompted('prompts-empty', { prompts: { query: '', document: null }, default_prompt_name: null })
    expect((await readModelFolder(empty)).revision).toBe(plain.revision)
    // As it was when databases were bound that are still in use.
    expect(plain.revision).toBe('5603cb7594bf')
    expect((await readModelFolder('earnings-static-256')).revision).toBe('8235805bf63e')
  })

  it('are chosen by name for documents and queries, else the default one', async () => {
    const [query, passage, corpus, document] = ['Q: ', 'P: ', 'C: ', 'D: ']
    const of = async (name: string, prompts: Record<string, string>, standard?: string) =>
      (await readModelFolder(prompted(name, { prompts, default_prompt_name: standard }))).prompts
    expect(await of('p1', { query, corpus, passage, document })).toEqual({ query, document })
    expect(await of('p2', { query, corpus, passage })).toEqual({ query, document: passage })
    expect(await of('p3', { query, corpus })).toEqual({ query, document: corpus })
    expect(await of('p4', { query })).toEqual({ query, document: '' })
    expect(await of('p5', { query, corpus }, 'query')).toEqual({ query, document: corpus })
    expect(await of('p6', { sts: 'S: ' }, 'sts')).toEqual({ query: 'S: ', document: 'S: ' })
    expect(await of('p7', { sts: 'S: ', document: '' }, 'sts')).toEqual({ query: 'S: ', document: '' })
  })

  it('make another revision', async () => {
    const folders = [
      sound('q0'),
      prompted('q1', { prompts: { query: 'q: ' } }),
      prompted('q2', { prompts: { document: 'q: ' } }),
    ]
    const revisions = await Promise.all(folders.map(async folder => (await readModelFolder(folder)).revision))
    expect(new Set(revisions).size).toBe(3)
  })

  it('that are left out of the pooling are refused, and without prompts that setting means nothing', async () => {
    const pooling = {
      'modules.json': MODULES,
      '1_Pooling/config.json': '{"pooling_mode": "mean", "include_prompt": false}',
    }
    const folder = prompted('left-out', { prompts: { query: 'q: ' } }, pooling)
    await expect(readModelFolder(folder)).rejects.toThrow('include_prompt')
    expect((await readModelFolder(sound('left-out-none', pooling))).pooling).toBe('mean')
  })

  it('that are broken are told', async () => {
    await expect(readModelFolder(prompted('no-text', { prompts: { query: 3 } }))).rejects.toThrow('query is no text')
    const nameless = prompted('nameless', { prompts: {}, default_prompt_name: 'sts' })
    await expect(readModelFolder(nameless)).rejects.toThrow('no prompt has that name')
  })
})

describe('the shape of the graph', () => {
  const shapeOf = async (name: string, config?: unknown) =>
    (await readModelFolder(sound(name, config ? { 'config.json': JSON.stringify(config) } : {}))).shape

  it('is read as BERT and as DistilBERT write it, or is not known', async () => {
    const shape = { heads: 12, hidden: 384, intermediate: 1536 }
    const bert = { num_attention_heads: 12, hidden_size: 384, intermediate_size: 1536 }
    expect(await shapeOf('shape-bert', bert)).toEqual(shape)
    expect(await shapeOf('shape-distil', { n_heads: 12, dim: 384, hidden_dim: 1536 })).toEqual(shape)
    expect(await shapeOf('shape-none')).toBeUndefined()
    expect(await shapeOf('shape-half', { hidden_size: 384 })).toBeUndefined()
    expect(await shapeOf('shape-nonsense', { ...bert, num_attention_heads: 'twelve' })).toBeUndefined()
  })
})

describe('a person is told', () => {
  it('which models ship, when a name is unknown', async () => {
    const error = await refusalOf(readModelFolder('earnings-statik'))
    expect(error.message).toContain('"earnings-statik"')
    expect(error.hint).toContain('earnings-static-256')
  })

  it('that the folder does not exist', async () => {
    expect((await refusalOf(readModelFolder(join(scratch, 'nowhere')))).message).toContain('nowhere does not exist')
  })

  it('that a file is no folder', async () => {
    const file = join(sound('file'), 'model.onnx')
    expect((await refusalOf(readModelFolder(file))).message).toContain('is a file')
  })

  it('which file is missing, and where it was looked for', async () => {
    const noGraph = folderWith('no-graph', { 'tokenizer.json': '{}' })
    expect((await refusalOf(readModelFolder(noGraph))).message).toContain('no model.onnx or onnx/model.onnx')
    const noTokenizer = folderWith('no-tokenizer', { 'model.onnx': 'graph' })
    expect((await refusalOf(readModelFolder(noTokenizer))).message).toContain('no tokenizer.json')
  })

  it('that the pooling or a module is one this program has not', async () => {
    const lastToken = { 'modules.json': MODULES, '1_Pooling/config.json': '{"pooling_mode_lasttoken": true}' }
    expect((await refusalOf(readModelFolder(sound('last', lastToken)))).message).toContain(
      'pools by pooling_mode_lasttoken',
    )
    const both = {
      ...lastToken,
      '1_Pooling/config.json': '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}',
    }
    expect((await refusalOf(readModelFolder(sound('both', both)))).message).toContain('and')
    const dense = { 'modules.json': '[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]' }
    expect((await refusalOf(readModelFolder(sound('dense', dense)))).message).toContain('Dense module')
  })

  it('that the address of the hub holds a password, without showing it', async () => {
    const hub = { ...readSettings({ HF_ENDPOINT: 'https://user:hunter2@hub.example' }).hub, cache: scratch }
    for (const model of ['an-org/a-model', 'an-org/a-model@main', 'all-MiniLM-L6-v2']) {
      const error = await refusalOf(readModelFolder(model, hub))
      expect(error.message).toContain('HF_ENDPOINT')
      expect(`${error.message} ${error.hint}`).not.toContain('hunter2')
    }
  })

  it('that a config is broken, and which', async () => {
    expect((await refusalOf(readModelFolder(sound('half', { 'modules.json': '[{' })))).message).toContain(
      'modules.json',
    )
    const nonsense = sound('nonsense', { 'sentence_bert_config.json': '{"max_seq_length": "long"}' })
    expect((await refusalOf(readModelFolder(nonsense))).message).toContain('"long"')
  })

  it('that the tokenizer is broken', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1'
    const folder = folderWith('bad-tokenizer', { 'model.onnx': 'graph', 'tokenizer.json': pointer })
    const error = await refusalOf(openEmbedder({ model: folder, threads: 1 }))
    expect(error.message).toContain(join(folder, 'tokenizer.json'))
    const empty = await refusalOf(openEmbedder({ model: sound('empty-tokenizer'), threads: 1 }))
    expect(empty.message).toContain('cannot use the tokenizer')
  })

  it('that the graph is no ONNX model', async () => {
    const folder = folderWith('bad-graph', { 'model.onnx': 'this is no graph' })
    cpSync(join(SHIPPED, 'tokenizer.json'), join(folder, 'tokenizer.json'))
    const error = await refusalOf(openEmbedder({ model: folder, threads: 1 }))
    expect(error.message).toContain('onnxruntime cannot load')
    expect(error.message).toContain('model.onnx')
  })
})

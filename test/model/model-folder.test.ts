// Model folders: the facts sentence-transformers obeys, and a sentence a person can act on for every way a folder is wrong.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { UserError } from '../../lib/errors.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { readModelFolder } from '../../lib/model/model-folder.ts'
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

describe('a person is told', () => {
  async function refusal(work: Promise<unknown>): Promise<UserError> {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(UserError)
    return error as UserError
  }

  it('which models ship, when a name is unknown', async () => {
    const error = await refusal(readModelFolder('earnings-statik'))
    expect(error.message).toContain('"earnings-statik"')
    expect(error.hint).toContain('earnings-static-256')
  })

  it('that the folder does not exist', async () => {
    expect((await refusal(readModelFolder(join(scratch, 'nowhere')))).message).toContain('nowhere does not exist')
  })

  it('that a file is no folder', async () => {
    const file = join(sound('file'), 'model.onnx')
    expect((await refusal(readModelFolder(file))).message).toContain('is a file')
  })

  it('which file is missing, and where it was looked for', async () => {
    const noGraph = folderWith('no-graph', { 'tokenizer.json': '{}' })
    expect((await refusal(readModelFolder(noGraph))).message).toContain('no model.onnx or onnx/model.onnx')
    const noTokenizer = folderWith('no-tokenizer', { 'model.onnx': 'graph' })
    expect((await refusal(readModelFolder(noTokenizer))).message).toContain('no tokenizer.json')
  })

  it('that the pooling or a module is one this program has not', async () => {
    const lastToken = { 'modules.json': MODULES, '1_Pooling/config.json': '{"pooling_mode_lasttoken": true}' }
    expect((await refusal(readModelFolder(sound('last', lastToken)))).message).toContain(
      'pools by pooling_mode_lasttoken',
    )
    const both = {
      ...lastToken,
      '1_Pooling/config.json': '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}',
    }
    expect((await refusal(readModelFolder(sound('both', both)))).message).toContain('and')
    const dense = { 'modules.json': '[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]' }
    expect((await refusal(readModelFolder(sound('dense', dense)))).message).toContain('Dense module')
  })

  it('that a config is broken, and which', async () => {
    expect((await refusal(readModelFolder(sound('half', { 'modules.json': '[{' })))).message).toContain('modules.json')
    const nonsense = sound('nonsense', { 'sentence_bert_config.json': '{"max_seq_length": "long"}' })
    expect((await refusal(readModelFolder(nonsense))).message).toContain('"long"')
  })

  it('that the tokenizer is broken', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1'
    const folder = folderWith('bad-tokenizer', { 'model.onnx': 'graph', 'tokenizer.json': pointer })
    const error = await refusal(openEmbedder({ model: folder, threads: 1 }))
    expect(error.message).toContain(join(folder, 'tokenizer.json'))
    const empty = await refusal(openEmbedder({ model: sound('empty-tokenizer'), threads: 1 }))
    expect(empty.message).toContain('cannot use the tokenizer')
  })

  it('that the graph is no ONNX model', async () => {
    const folder = folderWith('bad-graph', { 'model.onnx': 'this is no graph' })
    cpSync(join(SHIPPED, 'tokenizer.json'), join(folder, 'tokenizer.json'))
    const error = await refusal(openEmbedder({ model: folder, threads: 1 }))
    expect(error.message).toContain('onnxruntime cannot load')
    expect(error.message).toContain('model.onnx')
  })
})

// What happens when the model runs out of memory or dies: for real, in processes of their own. Everything is embedded, once,
// and with the same bits as if nothing had happened.

import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { openBudget } from '../../lib/model/batch-budget.ts'
import { openLine } from '../../lib/model/batching.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { openMeter } from '../../lib/model/meter.ts'
import { ModelDied, OutOfMemory, openModelProcess } from '../../lib/model/onnx-process.ts'
import { saysOutOfMemory } from '../../lib/model/out-of-memory.ts'
import { openRunner } from '../../lib/model/runner.ts'
import { readSettings } from '../../lib/settings.ts'
import { processesBelow } from '../processes.ts'

const scratch = mkdtempSync(join(tmpdir(), 'runner-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const BATCH = { ids: new Int32Array(4), lengths: Int32Array.of(4), columns: 4 }
const OPTIONS = { modelFile: '', pooling: 'mean', threads: 1, device: 'cpu', maxTokens: 8, largestId: 9 } as const

/** A program that takes a model's part: opens at once, and does with each batch what the code says. */
function program(name: string, onBatch: string): string {
  const file = join(scratch, `${name}.mjs`)
  writeFileSync(
    file,
    `process.on('message', message => {
      if ('open' in message) process.send({ dimension: 2, residentBytes: 1 })
      else { ${onBatch} }
    })`,
  )
  return file
}

describe("a model's process that ends", () => {
  it('by itself fails the calls that wait, with code and last words', async () => {
    const dying = program('dying', `process.stderr.write('CUDA error 700', () => process.exit(3))`)
    const model = await openModelProcess(OPTIONS, dying)
    const calls = [model.run(BATCH), model.run({ ...BATCH })]
    for (const call of calls) {
      await expect(call).rejects.toThrow("the model's process ended with code 3")
      await expect(call).rejects.toThrow('CUDA error 700')
      await expect(call).rejects.toBeInstanceOf(ModelDied)
    }
    await expect(model.run({ ...BATCH })).rejects.toThrow('ended with code 3')
    await model.close()
  })

  it('by SIGKILL has run out of memory, as far as anybody can know: a container says no more', async () => {
    const model = await openModelProcess(OPTIONS, program('killed', `process.kill(process.pid, 'SIGKILL')`))
    await expect(model.run(BATCH)).rejects.toBeInstanceOf(OutOfMemory)
    await model.close()
  })

  it('with words of memory has run out of it as well', async () => {
    const words = `process.stderr.write("terminate called after throwing 'std::bad_alloc'", () => process.abort())`
    const model = await openModelProcess(OPTIONS, program('aborted', words))
    await expect(model.run(BATCH)).rejects.toBeInstanceOf(OutOfMemory)
    await model.close()
  })

  it('before it has opened fails the opening', async () => {
    const file = join(scratch, 'stillborn.mjs')
    writeFileSync(file, 'process.exit(4)')
    await expect(openModelProcess(OPTIONS, file)).rejects.toThrow('ended with code 4')
  })
})

describe('a batch that runs out of memory while the next one is answered', () => {
  it('is run again with it, and no row is handed on twice', async () => {
    // Says of the first batch that memory ran out, and in the same breath answers the second: both lie in the pipe together.
    const failing = program(
      'failing',
      `const { call, batch } = message
      if (call !== 1) return
      process.send({ call: 0, error: 'out of memory', outOfMemory: true })
      process.send({ call, vectors: new Float32Array(2 * batch.lengths.length), seconds: 1, residentBytes: 1 })`,
    )
    const sound = program(
      'sound',
      `process.send({ call: message.call, vectors: new Float32Array(2 * message.batch.lengths.length), seconds: 1, residentBytes: 1 })`,
    )
    const line = openLine<string>(true, 64)
    for (let row = 0; row < 64; row++) line.add('job', row, 10)
    const settings = { ...readSettings({}).batches, start: 8, most: 8, least: 1 } // 8 documents of 32 tokens: 25 rows
    const shape = { heads: 1, hidden: 1, intermediate: 1 }
    const handedOn: number[] = []
    let ranOut = 0
    await new Promise<void>((resolve, reject) => {
      openModelProcess(OPTIONS, failing).then(model => {
        const runner = openRunner<string>({
          model,
          reopen: () => openModelProcess(OPTIONS, sound),
          line,
          budget: openBudget({ settings, kind: 'cpu', threads: 1, shape, loaded: 1 }),
          idsOf: ({ length }) => new Int32Array(length),
          onBatch: () => {},
          onOutOfMemory: () => ranOut++,
          onFailure: error => handedOn.length < 64 && reject(error),
          onVectors(rows) {
            handedOn.push(...rows.map(({ row }) => row))
            if (handedOn.length >= 64) setTimeout(() => runner.close().then(resolve, reject), 200) // time for a second answer
          },
        })
        runner.go()
        // This thread looks away until both have arrived, and finds them together.
        setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500))
      }, reject)
    })
    expect(ranOut).toBe(1)
    expect(handedOn.sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i))
  })
})

describe('words of memory', () => {
  it('are known from onnxruntime, CUDA and V8, and nothing else is taken for them', () => {
    for (const text of [
      'bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 5033164800',
      'Load model from X failed:std::bad_alloc',
      'CUDA error cudaErrorMemoryAllocation:out of memory',
      'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
      'Array buffer allocation failed',
    ])
      expect(saysOutOfMemory(text)).toBe(true)
    for (const text of ['indices element out of data bounds', 'Failed to load shared library', 'Invalid rank'])
      expect(saysOutOfMemory(text)).toBe(false)
  })
})

describe.skipIf(process.platform !== 'linux')('a run whose memory is limited', () => {
  type Told = {
    hash: string
    tokens: number
    heard: number
    texts: number
    outOfMemory: number
    batchTokensMost: number
    mostVirtualKilobytes: number
  }
  const script = fileURLToPath(new URL('embed-alone.ts', import.meta.url))
  // Without the reserve of 10 GB of addresses that V8 makes for WebAssembly, which no limit could be told from.
  const env = { ...process.env, NODE_OPTIONS: '--disable-wasm-trap-handler' }
  async function embedAlone(documents: number, limitKilobytes?: number): Promise<Told> {
    const limit = limitKilobytes === undefined ? '' : `ulimit -v ${limitKilobytes}; `
    const words = [process.execPath, '--import', import.meta.resolve('tsx'), script, String(documents)]
    const { stdout } = await promisify(execFile)('sh', ['-c', `${limit}exec "$@"`, 'sh', ...words], { env })
    return JSON.parse(stdout)
  }

  it('runs out of it, halves its batches, and ends with every vector, each once, bit for bit', async () => {
    const free = await embedAlone(32)
    expect(free).toMatchObject({ outOfMemory: 0, heard: free.texts })
    // What the larger of the two processes took with small batches, and a little more: all 600 texts in one batch want a
    // gigabyte.
    const limited = await embedAlone(60_000, free.mostVirtualKilobytes + 150_000)
    expect(limited.outOfMemory).toBeGreaterThan(0)
    expect(limited).toMatchObject({ hash: free.hash, tokens: free.tokens, heard: free.heard, texts: free.texts })
  })
})

describe('a run whose model is killed', () => {
  const texts = Array.from(
    { length: 30_000 },
    (_, i) => `Revenue of segment ${i} rose by ${i % 97} percent, ${i * 7919}.`,
  )

  it('goes on with a new one: every vector once, bit for bit', async () => {
    const plain = await openEmbedder({ model: 'earnings-static-256', threads: 1 })
    const { vectors: expected } = await plain.embed(texts)
    await plain.close()

    const meter = openMeter(0)
    const embedder = await openEmbedder({ model: 'earnings-static-256', threads: 1, meter })
    let heard = 0
    const kills: Promise<void>[] = []
    const { vectors } = await embedder.embed(texts, {
      onProgress(more) {
        const before = heard
        heard += more
        // Twice in the middle of the work.
        for (const mark of [5000, 15_000]) if (before < mark && heard >= mark) kills.push(killModels())
      },
    })
    await Promise.all(kills)
    expect(kills).toHaveLength(2)
    expect(meter.figures(1).outOfMemory).toBeGreaterThan(0)
    expect(heard).toBe(texts.length)
    expect(Buffer.compare(Buffer.from(vectors.buffer), Buffer.from(expected.buffer))).toBe(0)
    await embedder.close()
  })

  async function killModels(): Promise<void> {
    const models = processesBelow(process.pid).filter(one => one.command.includes('onnx-child.ts'))
    for (const { pid } of models) process.kill(pid, 'SIGKILL')
    expect(models.length).toBeGreaterThan(0)
  }
})

describe('the process of the model', () => {
  it('ends when the process that it works for is killed', async () => {
    const child = spawn(process.execPath, [
      '--import',
      import.meta.resolve('tsx'),
      fileURLToPath(new URL('open-and-wait.ts', import.meta.url)),
    ])
    const said = new Promise<void>(resolve => child.stdout.once('data', () => resolve()))
    await said
    const [model] = processesBelow(child.pid ?? 0).filter(one => one.command.includes('onnx-child.ts'))
    expect(model).toBeDefined()
    child.kill('SIGKILL')
    await expect.poll(() => isAlive(model.pid), { timeout: 20_000 }).toBe(false)
  })

  function isAlive(pid: number): boolean {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }
})

// Where the model runs. Without a card: the refusals, and what is right and what is fast on a graphics card made of software.
// Cards that compute wrongly, die, or are fast are played by programs in the model's place, in processes of their own.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Chosen, fastest, openOnDevice } from '../../lib/model/devices.ts'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { openMeter } from '../../lib/model/meter.ts'
import type { Device } from '../../lib/model/onnx.ts'
import { openModelProcess } from '../../lib/model/onnx-process.ts'
import { processesBelow } from '../processes.ts'
import { refusalOf } from '../refusal.ts'
import { hasVulkan, VULKAN } from '../vulkan.ts'
import { MOST_TOKENS, PLAIN, VOCABULARY, writeSmallTransformer } from './small-transformer.ts'

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-devices-'))
const small = join(scratch, 'small')
writeSmallTransformer(small, PLAIN)
afterAll(() => rmSync(scratch, { recursive: true }))

const OPENING = {
  modelFile: join(small, 'onnx/model.onnx'),
  pooling: 'mean',
  threads: 1,
  maxTokens: MOST_TOKENS,
  largestId: VOCABULARY.length - 1,
} as const
const BATCH = { ids: Int32Array.of(2, 40, 41, 3), lengths: Int32Array.of(4), columns: 4 }
// More than any processor gets through in the seconds that a card needs to open.
const MANY = 1e9

// No test may see the machine's own cards: the same has to come out on a machine that has some.
const before = { ...process.env }
beforeEach(() => {
  Object.assign(process.env, { PATH: '/nonexistent', CUDA_VISIBLE_DEVICES: '', VK_ICD_FILENAMES: '/nonexistent' })
})
afterEach(() => {
  process.env = { ...before }
})

function withCards(folder: string, cards = 't4'): void {
  Object.assign(process.env, { PATH: `${folder}:${before.PATH}`, CARDS: cards })
}

/** A card of 2,000 MB of which `used` are in use, and `more` from the second reading on. */
function cardWith(name: string, used: number, more = used): string {
  const folder = mkdtempSync(join(scratch, `${name}-`))
  const line = (megabytes: number) => `echo '0, Tesla T4, 580.65.06, 0, ${megabytes}, 2000, 40, 30.00'`
  writeFileSync(
    join(folder, 'nvidia-smi'),
    `#!/bin/sh\nmark=${folder}/read\nif [ -e $mark ]; then ${line(more)}; else ${line(used)}; fi\ntouch $mark\n` +
      `case "$*" in *--loop*) exec sleep 1000 ;; esac\n`,
    { mode: 0o755 },
  )
  return folder
}

const refusalOn = (device: Device) => refusalOf(openOnDevice(device, OPENING, MANY))

async function use<T>(chosen: Promise<Chosen>, what: (chosen: Chosen) => T | Promise<T>): Promise<T> {
  const opened = await chosen
  try {
    return await what(opened)
  } finally {
    await opened.model.close()
  }
}

describe('a device that was asked for and is not there', () => {
  for (const [device, reason] of [
    ['cuda', 'no NVIDIA card (nvidia-smi finds none)'],
    ['webgpu', 'Failed to get a WebGPU adapter'],
  ] as const) {
    it(`is refused with the reason and the way on, and the CPU works afterwards: ${device}`, async () => {
      const { message, hint } = await refusalOn(device)
      expect(message).toContain(`the device ${device} cannot be used`)
      expect(message).toContain(reason)
      // A person is told what is the matter, not where it stands in sources that he does not have.
      expect(message).not.toContain('onnxruntime_src')
      expect(message).not.toContain('\n')
      expect(hint).toContain('--device cpu')
      await use(openOnDevice('cpu', OPENING, MANY), async ({ model }) => {
        expect((await model.run(BATCH)).vectors).toHaveLength(32)
      })
      expect(processesBelow(process.pid).filter(one => one.command.includes('onnx-child'))).toEqual([])
    })
  }

  it('is refused for its driver, with the version found and the one wanted', async () => {
    withCards(fixtures)
    const { message } = await refusalOn('cuda')
    expect(message).toContain('the driver 535.183.01 is too old for CUDA 13, which needs 580 or later')
  })
})

describe('auto', () => {
  it('stays on the CPU where there is no card, and says what is missing', async () => {
    await use(openOnDevice('auto', OPENING, MANY), ({ device, reasons }) => {
      expect(device).toBe('cpu')
      expect(reasons[0]).toBe('not cuda: no NVIDIA card (nvidia-smi finds none)')
    })
  })

  it('tries no card for little work, and says how little', async () => {
    withCards(fixtures)
    await use(openOnDevice('auto', OPENING, 100), ({ device, reasons }) => {
      expect(device).toBe('cpu')
      expect(reasons[1]).toMatch(/^not webgpu: the CPU needs \d\.\d s, and a card takes as long to open$/)
    })
  })

  it('stays on the CPU where a card does not open, with the words of the library', async () => {
    withCards(fixtures)
    await use(openOnDevice('auto', OPENING, MANY), async ({ device, reasons, model }) => {
      expect(device).toBe('cpu')
      expect(reasons[1]).toMatch(/^not webgpu: .*Failed to get a WebGPU adapter/)
      expect((await model.run(BATCH)).vectors).toHaveLength(32)
    })
  })
})

describe.skipIf(!hasVulkan)('webgpu on a card made of software', () => {
  const texts = [
    'Revenue.',
    'We expect higher revenue growth in the quarter.',
    'Freight, steel and labor cost us 3.5%.',
    'a',
  ]

  async function embedOn(model: string, device: Device): Promise<Float32Array> {
    const embedder = await openEmbedder({ model, threads: 1, device })
    try {
      expect(embedder.device).toBe(device)
      return (await embedder.embed(texts)).vectors
    } finally {
      await embedder.close()
    }
  }

  for (const model of [small, 'earnings-static-256']) {
    it(`gives the vectors of the CPU: ${model === small ? 'a small transformer' : model}`, async () => {
      Object.assign(process.env, VULKAN)
      const expected = await embedOn(model, 'cpu')
      const found = await embedOn(model, 'webgpu')
      expect(found).toHaveLength(expected.length)
      const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i])), 0)
      expect(error).toBeLessThan(1e-5)
    })
  }

  it('is measured by auto, found right and slow, and left, with the ratio', async () => {
    Object.assign(process.env, VULKAN)
    withCards(fixtures)
    await use(openOnDevice('auto', OPENING, MANY), ({ device, reasons }) => {
      expect(device).toBe('cpu')
      expect(reasons[1]).toMatch(/^not webgpu: 0\.0\d+ times the speed of cpu$/)
    })
    expect(processesBelow(process.pid).filter(one => one.command.includes('onnx-child'))).toEqual([])
  })

  it('carries the name, the driver and the memory of the card, and what the model took of it', async () => {
    Object.assign(process.env, VULKAN)
    withCards(cardWith('loads', 100, 350))
    await use(openOnDevice('webgpu', OPENING, MANY), ({ deviceName, driver, card, model }) => {
      expect({ deviceName, driver }).toEqual({ deviceName: 'Tesla T4', driver: '580.65.06' })
      expect(card).toMatchObject({ memoryUsed: 100 * 2 ** 20, memoryTotal: 2000 * 2 ** 20 })
      expect(model.loadedBytes).toBe(250 * 2 ** 20)
    })
  })

  it('runs large batches on a card with room, and the least there are on a full one', async () => {
    Object.assign(process.env, VULKAN)
    const words = 'sale product debt tax loan deposit rig drill margin price mix cost share buy back'.split(' ')
    // 200 different texts of four tokens.
    const texts = words.flatMap(one => words.map(other => `${one} ${other}`)).slice(0, 200)
    const rowsOn = async (folder: string): Promise<number[]> => {
      withCards(folder)
      const plain = openMeter(0)
      const rows: number[] = []
      const meter = { ...plain, batch: (batch: { rows: number }) => void rows.push(batch.rows) }
      const embedder = await openEmbedder({ model: small, threads: 1, device: 'webgpu', meter })
      await embedder.embed(['margins'])
      await expect.poll(() => plain.figures(1000).card, { timeout: 20_000 }).toBeDefined()
      rows.length = 0
      await embedder.embed(texts)
      await embedder.close()
      return rows
    }
    expect(await rowsOn(cardWith('roomy', 100))).toEqual([200])
    // 8 documents of 32 tokens are 64 such texts.
    expect(await rowsOn(cardWith('full', 1990))).toEqual([64, 64, 64, 8])
  })
})

describe('of devices that open, auto', () => {
  /** A program in the model's place: vectors of two numbers, and the seconds that it claims for a batch. */
  function played(name: string, row: string, seconds: number, onBatch = ''): string {
    const file = join(scratch, `${name}.mjs`)
    writeFileSync(
      file,
      `process.on('message', message => {
        if ('open' in message) return process.send({ dimension: 2, residentBytes: 1 })
        const { call, batch: { lengths: { length } } } = message
        ${onBatch}
        const vectors = Float32Array.from({ length: 2 * length }, (_, i) => (${row})[i % 2])
        process.send({ call, vectors, seconds: ${seconds} * length, residentBytes: 1 })
      })`,
    )
    return file
  }

  async function open(device: Device, program: string, reasons: string[] = []): Promise<Chosen> {
    const model = await openModelProcess({ ...OPENING, device }, program)
    return { model, device, deviceName: device, driver: '', card: undefined, reasons }
  }

  const right = '[0.6, 0.8]'
  const others = (file: string) => processesBelow(process.pid).filter(one => one.command.includes(file))

  async function choose(candidates: Partial<Record<Device, string>>): Promise<Chosen> {
    return await fastest(
      await open('cpu', played('cpu', right, 0.001)),
      MANY,
      ['cuda', 'webgpu'].filter(device => device in candidates) as Device[],
      device => open(device, candidates[device] ?? ''),
    )
  }

  it('takes the fastest that is right, says how much faster, and closes the others', async () => {
    const candidates = { cuda: played('fast', right, 0.0001), webgpu: played('middling', right, 0.0005) }
    await use(choose(candidates), ({ device, model }) => {
      expect(device).toBe('cuda')
      expect(model.dimension).toBe(2)
      expect([...others('cpu.mjs'), ...others('middling.mjs')]).toEqual([])
      expect(others('fast.mjs')).toHaveLength(1)
    })
    const reasonsOf = await use(open('cpu', played('cpu', right, 0.001)), async cpu =>
      use(
        fastest(cpu, MANY, ['cuda', 'webgpu'], device => open(device, candidates[device as 'cuda'], [])),
        () => cpu.reasons,
      ),
    )
    expect(reasonsOf).toEqual(['not webgpu: 0.2 times the speed of cuda', 'cuda: 10.0 times the speed of the CPU'])
  })

  for (const [what, row, reason] of [
    ['turned vectors', '[0.8, 0.6]', 'its vectors are not those of the CPU (0.28 apart)'],
    ['vectors of nothing', '[0, 0]', 'its vectors are not those of the CPU (1.0 apart)'],
    ['what is not a number', '[NaN, 0.8]', 'its vectors are not those of the CPU (NaN apart)'],
  ]) {
    it(`refuses one that gives ${what}, however fast it is`, async () => {
      await use(choose({ cuda: played('wrong', row, 1e-9) }), ({ device, reasons }) => {
        expect(device).toBe('cpu')
        expect(reasons).toEqual([`not cuda: ${reason}`])
        expect(others('wrong.mjs')).toEqual([])
      })
    })
  }

  it('allows what ten binary digits are off, which is how some cards multiply', async () => {
    await use(choose({ cuda: played('coarse', '[0.601, 0.7992]', 0.0001) }), ({ device }) => {
      expect(device).toBe('cuda')
    })
  })

  it('repeats what CUDA says, without the places in the sources of the library', async () => {
    const file = join(scratch, 'refusing.mjs')
    // As the real library said it with a driver that knew no card.
    const words =
      'onnxruntime cannot load m.onnx on cuda: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 ' +
      'std::conditional_t<THRW, void, common::Status> onnxruntime::CudaCall(ERRTYPE) [with ERRTYPE = cudaError; bool THRW = true] ' +
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm ; ' +
      'file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(id); \n\n'
    const refusal = JSON.stringify({ error: words, hint: '', outOfMemory: false })
    writeFileSync(file, `process.on('message', () => process.send(${refusal}))`)
    await use(choose({ cuda: file }), ({ reasons }) => {
      expect(reasons).toEqual([
        'not cuda: onnxruntime cannot load m.onnx on cuda: CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
      ])
    })
  })

  it('stays on the CPU where the driver takes the process down, and tries the next one', async () => {
    const dying = played('dying', right, 1e-9, `process.stderr.write('Xid 79', () => process.exit(3)); return`)
    await use(choose({ cuda: dying, webgpu: played('good', right, 0.0005) }), ({ device }) => {
      expect(device).toBe('webgpu')
    })
    await use(choose({ cuda: dying }), ({ device, reasons }) => {
      expect(device).toBe('cpu')
      expect(reasons[0]).toMatch(/^not cuda: .*ended with code 3.*Xid 79$/)
    })
  })
})

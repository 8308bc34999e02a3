// Where the model runs: the device that was asked for, or, with `auto`, the one that is fastest for this model and this much
// work, with the reasons. A device counts only after it gave the vectors of the CPU and was timed: that a session opens
// proves nothing (m: Vulkan in software opens, is right, and takes 330 times as long as the CPU).

import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf, UserError } from '../errors.ts'
import { duration } from '../log.ts'
import type { DeviceChoice } from '../settings.ts'
import type { Batch } from './batching.ts'
import { type CardReading, readCards } from './card.ts'
import type { Device, SessionOptions } from './onnx.ts'
import { type ModelProcess, OutOfMemory, openModelProcess } from './onnx-process.ts'

export type Chosen = {
  model: ModelProcess
  device: Device
  /** The processor or the card, and its driver: what is learned of batches holds for these. */
  deviceName: string
  driver: string
  /** The card before the model was loaded, where there is one to read. */
  card: CardReading | undefined
  /** Why this one, and why not the others; for the person. */
  reasons: string[]
}

type Opening = Omit<SessionOptions, 'device'>
type Speed = { tokensPerSecond: number; vectors: Float32Array }

// A card takes some seconds to open, compile its kernels and be compared. Below this much work it would not earn them back.
const WORTH_SECONDS = 20
// What a sentence of a call has, as MiniLM counts (facts of 394,276 sentences).
const TOKENS_A_SENTENCE = 26
// float32 on another device: sums in another order are off by 1e-6, ten-bit products (TF32) by 1e-3. A wrong kernel is off
// by far more.
const LEAST_COSINE = 0.999

/** Opens the model on the device that is wanted. `texts`: about how many there are to embed. */
export async function openOnDevice(wanted: DeviceChoice, opening: Opening, texts: number): Promise<Chosen> {
  if (wanted === 'cpu') return await openCpu(opening, [])
  if (wanted === 'auto') return await chooseDevice(opening, texts)
  const [card] = await readCards()
  try {
    const model = await openModelProcess({ ...opening, device: wanted })
    return { model, device: wanted, ...nameOf(wanted, card), reasons: [] }
  } catch (error) {
    const missing = whyNot(wanted, card)
    throw new UserError(
      `the device ${wanted} cannot be used${missing ? ` (${missing})` : ''}: ${messageOf(error)}`,
      '--device cpu works everywhere; docs/operations.md says what a card needs',
      { cause: error },
    )
  }
}

async function openCpu(opening: Opening, reasons: string[]): Promise<Chosen> {
  try {
    const model = await openModelProcess({ ...opening, device: 'cpu' })
    return { model, device: 'cpu', ...nameOf('cpu', undefined), reasons }
  } catch (error) {
    if (!(error instanceof OutOfMemory)) throw error
    throw new UserError(
      `there is not enough memory to load ${opening.modelFile}: ${error.message}`,
      'free memory, or take a smaller model: quarterdeck models',
      { cause: error },
    )
  }
}

async function chooseDevice(opening: Opening, texts: number): Promise<Chosen> {
  const [card] = await readCards()
  const reasons: string[] = []
  const candidates: Device[] = []
  for (const device of ['cuda', 'webgpu'] as const) {
    const missing = whyNot(device, card)
    if (missing === undefined) candidates.push(device)
    else reasons.push(`not ${device}: ${missing}`)
  }
  const cpu = await openCpu(opening, reasons)
  if (candidates.length === 0) return cpu
  const plain = await speedOf(cpu.model, 32)
  const expected = (texts * TOKENS_A_SENTENCE) / plain.tokensPerSecond
  if (expected < WORTH_SECONDS) {
    reasons.push(
      `not ${candidates.join(' or ')}: the CPU needs ${duration(expected)}, and a card takes as long to open`,
    )
    return cpu
  }
  let best = { chosen: cpu, tokensPerSecond: plain.tokensPerSecond }
  for (const device of candidates) {
    try {
      const model = await openModelProcess({ ...opening, device })
      const told = await compare(model, plain)
      if (told.tokensPerSecond > best.tokensPerSecond) {
        await best.chosen.model.close()
        best = { chosen: { model, device, ...nameOf(device, card), reasons }, tokensPerSecond: told.tokensPerSecond }
      } else {
        await model.close()
        reasons.push(
          `not ${device}: ${timesOf(told.tokensPerSecond, best.tokensPerSecond)} the speed of ${best.chosen.device}`,
        )
      }
    } catch (error) {
      reasons.push(`not ${device}: ${messageOf(error)}`)
    }
  }
  const { device } = best.chosen
  if (device !== 'cpu')
    reasons.push(`${device}: ${timesOf(best.tokensPerSecond, plain.tokensPerSecond)} the speed of the CPU`)
  return best.chosen
}

/** Throws where the device's vectors are not those of the CPU. */
async function compare(model: ModelProcess, cpu: Speed): Promise<Speed> {
  try {
    const { vectors } = await model.run(trialBatch(32))
    const d = model.dimension
    for (let start = 0; start < vectors.length; start += d) {
      let cosine = 0
      for (let j = start; j < start + d; j++) cosine += vectors[j] * cpu.vectors[j]
      if (!(cosine >= LEAST_COSINE))
        throw new Error(`its vectors are not those of the CPU (cosine ${cosine.toFixed(4)})`)
    }
    return await speedOf(model, 256)
  } catch (error) {
    await model.close()
    throw error
  }
}

/** After one batch to warm up, the best of three: what is slower was something else on the machine. */
async function speedOf(model: ModelProcess, rows: number): Promise<Speed> {
  const { vectors } = await model.run(trialBatch(rows))
  let least = Infinity
  for (let turn = 0; turn < 3; turn++) least = Math.min(least, (await model.run(trialBatch(rows))).seconds)
  return { tokensPerSecond: (rows * TRIAL_COLUMNS) / least, vectors }
}

const TRIAL_COLUMNS = 32

/** Made-up texts: ids under 100 are in every vocabulary. */
function trialBatch(rows: number): Batch {
  const ids = Int32Array.from({ length: rows * TRIAL_COLUMNS }, (_, i) => 1 + ((i * 37) % 97))
  return { ids, lengths: new Int32Array(rows).fill(TRIAL_COLUMNS), columns: TRIAL_COLUMNS }
}

/** What a device lacks, as far as can be seen without trying; undefined where nothing is known to be missing. */
function whyNot(device: Device, card: CardReading | undefined): string | undefined {
  if (device === 'cuda') {
    if (process.platform !== 'linux' || process.arch !== 'x64') return 'onnxruntime-node has CUDA for Linux on x64 only'
    if (card === undefined) return 'no NVIDIA card (nvidia-smi finds none)'
    if (!existsSync(cudaLibrary())) return "onnxruntime's CUDA library is not installed (make cuda)"
  }
  // Linux shows every card that can draw under this folder; the other systems always have something.
  const folder = '/dev/dri'
  const draws = () => existsSync(folder) && readdirSync(folder).some(name => name.startsWith('render'))
  if (device === 'webgpu' && process.platform === 'linux' && card === undefined && !draws()) return 'no graphics card'
  return undefined
}

/** Beside the package's own library, where its install step puts it. */
function cudaLibrary(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json')
  return join(dirname(manifest), 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so')
}

function nameOf(device: Device, card: CardReading | undefined): Pick<Chosen, 'deviceName' | 'driver' | 'card'> {
  if (device === 'cpu' || card === undefined)
    return { deviceName: device === 'cpu' ? (cpus()[0]?.model ?? 'cpu') : device, driver: '', card: undefined }
  return { deviceName: card.name, driver: card.driver, card }
}

function timesOf(speed: number, other: number): string {
  return `${(speed / other).toFixed(speed < other ? 2 : 1)} times`
}

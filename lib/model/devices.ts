// Where the model runs: the device that was asked for, or, with `auto`, the one that is fastest for this model and this much
// work, with the reasons. A device counts only after it gave the vectors of the CPU and was timed: that a session opens
// proves nothing (m: Vulkan in software opens, is right, and takes 330 times as long as the CPU).

import { existsSync, readdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, UserError } from '../errors.ts'
import { duration, thousands } from '../log.ts'
import type { DeviceChoice } from '../settings.ts'
import type { Batch } from './batching.ts'
import { type CardReading, readCards } from './card.ts'
import { driverTooOld, hasProvider } from './cuda.ts'
import type { Device, SessionOptions } from './onnx.ts'
import { ModelDied, type ModelProcess, OutOfMemory, openModelProcess } from './onnx-process.ts'

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
// The widest that two unit vectors may be apart, squared, which is a cosine of 0.999. float32 on another device: sums in
// another order are off by 1e-7 (m: Vulkan), ten-bit products (TF32) by 1e-3. A wrong kernel is off by far more.
const MOST_SQUARED_DISTANCE = 0.002
// So many times the CPU's time for the same small batch is hopeless with a large one too; Vulkan in software takes 500 (m),
// and its large batches would take minutes.
const HOPELESS = 10
// A card is compiled and compared in a tenth of this. A driver that hangs shows itself before: nvidia-smi finds no card then.
const TRIAL_SECONDS = 120

/** Opens the model on the device that is wanted. `texts`: about how many there are to embed. */
export async function openOnDevice(wanted: DeviceChoice, opening: Opening, texts: number): Promise<Chosen> {
  if (wanted === 'cpu') return await openCpu(opening, [])
  const [card] = await readCards()
  if (wanted === 'auto') return await chooseDevice(opening, texts, card)
  try {
    return await openOnCard(wanted, opening, card, [])
  } catch (error) {
    if (error instanceof OutOfMemory && card !== undefined) {
      const free = thousands((card.memoryTotal - card.memoryUsed) / 2 ** 20)
      throw new UserError(
        `there is not enough memory on ${card.name} to load ${opening.modelFile}: ${free} MB were free`,
        'end what else runs on the card (nvidia-smi lists it), or take --device cpu',
        { cause: error },
      )
    }
    const missing = whyNot(wanted, card)
    throw new UserError(
      `the device ${wanted} cannot be used${missing ? ` (${missing})` : ''}: ${plainly(error)}`,
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
    if (error instanceof OutOfMemory)
      throw new UserError(
        `there is not enough memory to load ${opening.modelFile}: ${error.message}`,
        'free memory, or take a smaller model: quarterdeck models',
        { cause: error },
      )
    if (error instanceof ModelDied)
      throw new UserError(
        `${opening.modelFile} cannot be loaded: ${error.message}`,
        'install the packages again: npm ci; then take the shipped model to see whether it is the model or the machine',
        { cause: error },
      )
    throw error
  }
}

async function chooseDevice(opening: Opening, texts: number, card: CardReading | undefined): Promise<Chosen> {
  const reasons: string[] = []
  const candidates: Device[] = []
  for (const device of ['cuda', 'webgpu'] as const) {
    const missing = whyNot(device, card)
    if (missing === undefined) candidates.push(device)
    else reasons.push(`not ${device}: ${missing}`)
  }
  const cpu = await openCpu(opening, reasons)
  if (candidates.length === 0) return cpu
  return await fastest(cpu, texts, candidates, device => openOnCard(device, opening, card, reasons))
}

async function openOnCard(
  device: Device,
  opening: Opening,
  card: CardReading | undefined,
  reasons: string[],
): Promise<Chosen> {
  const model = await openModelProcess({ ...opening, device })
  // What counts on a card is what the model took of its memory, not what its process holds beside it.
  const after = card && (await readCards()).find(({ index }) => index === card.index)
  const loadedBytes = card && after ? Math.max(0, after.memoryUsed - card.memoryUsed) : model.loadedBytes
  return { model: { ...model, loadedBytes }, device, ...nameOf(device, card), reasons }
}

/**
 * The CPU, or the fastest of the candidates that gives its vectors and is faster. Closes all others, and adds to the CPU's
 * reasons why. Where the texts are few nothing is tried.
 */
export async function fastest(
  cpu: Chosen,
  texts: number,
  candidates: readonly Device[],
  open: (device: Device) => Promise<Chosen>,
): Promise<Chosen> {
  const { reasons } = cpu
  let best = cpu
  try {
    const plain = await speedOf(cpu.model, 32)
    const expected = (texts * TOKENS_A_SENTENCE) / plain.tokensPerSecond
    if (expected < WORTH_SECONDS) {
      reasons.push(
        `not ${candidates.join(' or ')}: the CPU needs ${duration(expected)}, and a card takes as long to open`,
      )
      return cpu
    }
    let most = plain.tokensPerSecond
    for (const device of candidates) {
      try {
        const chosen = await open(device)
        const speed = await tried(chosen, plain)
        if (speed > most) {
          await best.model.close()
          best = chosen
          most = speed
        } else {
          await chosen.model.close()
          reasons.push(`not ${device}: ${timesOf(speed, most)} the speed of ${best.device}`)
        }
      } catch (error) {
        reasons.push(`not ${device}: ${plainly(error)}`)
      }
    }
    if (best !== cpu) reasons.push(`${best.device}: ${timesOf(most, plain.tokensPerSecond)} the speed of the CPU`)
    return best
  } catch (error) {
    await best.model.close()
    throw error
  }
}

/** A device's tokens a second; throws, and closes it, where it is wrong, or takes too long to show that it is right. */
async function tried({ model }: Chosen, cpu: Speed): Promise<number> {
  const late = new AbortController()
  try {
    return await Promise.race([
      compare(model, cpu),
      sleep(TRIAL_SECONDS * 1000, undefined, late).then(() => {
        throw new Error(`two small batches take more than ${TRIAL_SECONDS} s`)
      }),
    ])
  } catch (error) {
    await model.close()
    throw error
  } finally {
    late.abort()
  }
}

/** Throws where the device's vectors are not those of the CPU; its tokens a second where they are. */
async function compare(model: ModelProcess, cpu: Speed): Promise<number> {
  const { vectors } = await model.run(trialBatch(32)) // and compiles what it needs
  if (vectors.length !== cpu.vectors.length) throw new Error('its vectors are not as long as those of the CPU')
  const d = model.dimension
  for (let start = 0; start < vectors.length; start += d) {
    let squaredDistance = 0
    for (let j = start; j < start + d; j++) squaredDistance += (vectors[j] - cpu.vectors[j]) ** 2
    // Not turned around: what is not a number is wrong as well.
    if (!(squaredDistance <= MOST_SQUARED_DISTANCE))
      throw new Error(`its vectors are not those of the CPU (${Math.sqrt(squaredDistance).toPrecision(2)} apart)`)
  }
  const { seconds } = await model.run(trialBatch(32))
  const small = (32 * TRIAL_COLUMNS) / seconds
  if (small * HOPELESS < cpu.tokensPerSecond) return small
  return (await speedOf(model, 256)).tokensPerSecond
}

/** After one batch to warm up, the best of three: what is slower was something else on the machine. */
async function speedOf(model: ModelProcess, rows: number): Promise<Speed> {
  const { vectors } = await model.run(trialBatch(rows))
  let least = Infinity
  for (let turn = 0; turn < 3; turn++) least = Math.min(least, (await model.run(trialBatch(rows))).seconds)
  return { tokensPerSecond: (rows * TRIAL_COLUMNS) / least, vectors }
}

// Half of the sentences of calls have no more, and no model of sentences reads less.
const TRIAL_COLUMNS = 24

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
    return (
      driverTooOld(card.driver) ??
      (hasProvider() ? undefined : "onnxruntime's CUDA library is not installed (make cuda)")
    )
  }
  // Linux shows every card that can draw under this folder; the other systems always have something.
  const folder = '/dev/dri'
  const draws = () => existsSync(folder) && readdirSync(folder).some(name => name.startsWith('render'))
  if (device === 'webgpu' && process.platform === 'linux' && card === undefined && !draws()) return 'no graphics card'
  return undefined
}

function nameOf(device: Device, card: CardReading | undefined): Pick<Chosen, 'deviceName' | 'driver' | 'card'> {
  if (device === 'cpu' || card === undefined)
    return { deviceName: device === 'cpu' ? (cpus()[0]?.model ?? 'cpu') : device, driver: '', card: undefined }
  return { deviceName: card.name, driver: card.driver, card }
}

function timesOf(speed: number, other: number): string {
  const times = speed / other
  return `${times < 1 ? Number(times.toPrecision(2)) : times.toFixed(1)} times`
}

/** onnxruntime's words without the places in its sources, which go before what a person can use and, with CUDA, behind it. */
function plainly(error: unknown): string {
  return messageOf(error)
    .replace(/\/onnxruntime_src\/.*?(\w+ failure -?\d+: [^;]*?) *;.*/s, '$1')
    .replace(/\/onnxruntime_src\/.* was false\.\s*/s, '')
    .trim()
}

// What the graphics card says of itself while it works: how busy, how full, how warm, by NVIDIA's nvidia-smi.
// The only place that knows that program; a machine without it has no readings, and nothing else changes.
// What the readings mean over a run is meter.ts.

import { execFile, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { warn } from '../log.ts'
import { environmentOfModel } from '../settings.ts'

export type CardReading = {
  /** As nvidia-smi counts, which is by place on the bus. */
  index: number
  name: string
  driver: string
  /** Share of the last second in which something ran on the card, 0 to 1; null where the card does not tell. */
  utilization: number | null
  /** Bytes, of all programs on the card. */
  memoryUsed: number
  memoryTotal: number
  /** Degrees Celsius. */
  temperature: number | null
  /** Watts, of the whole board. */
  power: number | null
}

const FIELDS = 'index,name,driver_version,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw'
const QUERY = [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits']
const MEBIBYTE = 2 ** 20 // nvidia-smi's unit, whatever it is called elsewhere

// The first call after boot wakes the driver, one to three seconds a card where it does not stay loaded.
const TIMEOUT_SECONDS = 10

/** One reading of each card; none where there is no nvidia-smi, or it fails, or it does not answer in time. */
export function readCards(timeoutSeconds = TIMEOUT_SECONDS): Promise<CardReading[]> {
  return new Promise(resolve => {
    const child = execFile('nvidia-smi', QUERY, { env: environmentOfModel([]) }, (error, stdout) => {
      clearTimeout(timer)
      resolve(error ? [] : stdout.split('\n').flatMap(line => readLine(line) ?? []))
    })
    // Not execFile's own time-out, which waits for the end of the program: one that hangs in the driver cannot even be
    // killed.
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.unref()
      child.stdout?.destroy()
      child.stderr?.destroy()
      resolve([])
    }, timeoutSeconds * 1000)
  })
}

/**
 * Reads one card every `seconds` until `close`. One nvidia-smi for the whole time, because starting it costs more than
 * the reading, most of a second on some drivers. It does not keep this process alive, and ends with it.
 */
export function watchCard(
  onReading: (reading: CardReading) => void,
  { index = 0, seconds = 1 }: { index?: number; seconds?: number } = {},
): { close(): void } {
  const child = spawn('nvidia-smi', [...QUERY, `--id=${index}`, `--loop=${seconds}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: environmentOfModel([]), // no key or password: it has no use for them
  })
  let watching = true
  let lastWords = ''

  function close(): void {
    watching = false
    process.removeListener('exit', close)
    child.kill('SIGKILL')
  }

  child.unref()
  ;(child.stdout as Socket).unref()
  // A process that is killed cannot do this; then nvidia-smi ends at its next line, which nobody reads.
  process.once('exit', close)
  child.on('error', close) // there is no nvidia-smi
  child.on('close', code => {
    if (!watching) return
    close()
    const reason = lastWords === '' ? '' : ` (${lastWords})`
    warn(`nvidia-smi ended with code ${code}${reason}: no figures of the card from here on; all else goes on`)
  })
  createInterface({ input: child.stdout }).on('line', line => {
    if (!watching) return
    const reading = readLine(line)
    if (reading !== undefined) onReading(reading)
    else if (line.trim() !== '') lastWords = line.trim().slice(0, 200) // why it fails, which it says on standard output
  })
  return { close }
}

/**
 * A line of nvidia-smi's CSV. What a card does not tell is `[N/A]`, `[Not Supported]` or `[Unknown Error]`. Undefined
 * for anything else it says, and for a card that does not tell its memory (a slice without the right to ask, a board
 * that shares the machine's): batches are measured by it.
 */
function readLine(line: string): CardReading | undefined {
  const [index, name, driver, ...figures] = line.split(', ')
  const [utilization, memoryUsed, memoryTotal, temperature, power] = figures.map(numberIn)
  if (memoryUsed == null || memoryTotal == null || power === undefined) return undefined
  return {
    index: Number(index),
    name,
    driver,
    utilization: utilization === null ? null : utilization / 100,
    memoryUsed: memoryUsed * MEBIBYTE,
    memoryTotal: memoryTotal * MEBIBYTE,
    temperature,
    power,
  }
}

function numberIn(field: string): number | null {
  return /^\d+(\.\d+)?$/.test(field.trim()) ? Number(field) : null
}

// The exact k nearest neighbours of many rows, found on the device that embeds: lib/math/neighbors.ts, only sooner.
// Starts the thread (onnxruntime blocks the one it runs on) and waits; knows nothing of onnxruntime.

import { Worker } from 'node:worker_threads'
import { messageOf } from '../errors.ts'
import { progress, warn } from '../log.ts'
import type { Neighbors } from '../math/neighbors.ts'
import { keepLibrariesQuiet } from '../settings.ts'
import type { Question } from './nearest-exactly.ts'
import type { Task, Told } from './nearest-worker.ts'

/**
 * From this many rows on the device is sooner than the plain kernel, though its thread takes .35 s to start. m, CPU seconds
 * of the plain kernel against the device, two threads: 384 columns, 2,000 rows .24 : .40, 3,000 .48 : .46, 4,000 .86 : .63,
 * 5,000 1.3 : .8, 20,000 18 : 3.8; 256 columns, 3,000 rows .29 : .44, 4,000 .45 : .51.
 */
export const DEVICE_PAYS = 4000

/**
 * data: n × d. The same as `nearestNeighbors`, to the bit. Takes n × d × 16 bytes beside the data.
 * `onRows` hears how many more rows are done.
 */
export async function nearestNeighborsOnDevice(
  { data, n, d, k, metric }: Question,
  { threads, onRows }: { threads: number; onRows?: (more: number) => void },
): Promise<Neighbors> {
  keepLibrariesQuiet()
  // A copy of its own to send, because a view would take its whole buffer along.
  const own = data.slice(0, n * d)
  const task: Task = { data: own, n, d, k, metric, threads }
  const worker = new Worker(new URL('../thread.mjs', import.meta.url), {
    workerData: { ...task, file: new URL('./nearest-worker.ts', import.meta.url).href },
    transferList: [own.buffer],
  })
  try {
    return await new Promise<Neighbors>((resolve, reject) => {
      worker.on('message', (told: Told) => {
        if ('rows' in told) onRows?.(told.rows)
        else resolve(told.neighbors)
      })
      worker.on('error', reject)
      worker.on('exit', code => reject(new Error(`the thread that looks for neighbours ended with code ${code}`)))
    })
  } finally {
    await worker.terminate()
  }
}

/**
 * The same where there are so many rows that it pays; undefined leaves them to the plain kernel. The answer is the same, only
 * sooner, so a device that fails costs time and no result. `verb`: whose progress is shown.
 */
export async function neighborsWherePays(
  verb: string,
  rows: number,
  question: () => Question,
  threads: number,
  onDevice: typeof nearestNeighborsOnDevice = nearestNeighborsOnDevice,
): Promise<Neighbors | undefined> {
  if (rows < DEVICE_PAYS) return undefined
  const asked = question()
  const bar = progress(`${verb}: neighbours`, asked.n, 'topics')
  try {
    return await onDevice(asked, { threads, onRows: bar.step })
  } catch (error) {
    warn(`the device failed to find neighbours, the slower plain kernel finds them: ${messageOf(error)}`)
    return undefined
  } finally {
    bar.end()
  }
}

// A long run: millions of different sentences stream through the shipped model in a process of its own (embed-long.ts),
// while its memory, and that of all it started, is looked at every second. Flat memory is what is to be seen.

import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { say, thousands } from '../../lib/log.ts'
import { SHIPPED_MODEL } from '../../lib/settings.ts'
import { median } from './figures.ts'
import { startOwn } from './peers.ts'
import { sampleMemory } from './processes.ts'

const TENTHS = 10
const SAMPLE_MILLISECONDS = 1000

/** Bytes of memory in one tenth of the run: the median and the most of its samples. */
export type Tenth = { sentences: number; seconds: number; medianBytes: number; mostBytes: number }

export type LongReport = {
  source: string
  threads: number
  sentences: number
  samples: number
  tenths: Tenth[]
  /** Of a line through all samples after the first tenth, in bytes a million sentences; undefined without /proc. */
  slope: number | undefined
  peakBytes: number
  loadAtStart: number
  loadAtEnd: number
}

export async function measureLongRun(
  real: readonly string[],
  source: string,
  { sentences, threads, scratch }: { sentences: number; threads: number; scratch: string },
): Promise<LongReport> {
  const [loadAtStart] = loadavg()
  const texts = join(scratch, 'real.json')
  writeFileSync(texts, JSON.stringify(real))
  const settings = { embedder: { model: SHIPPED_MODEL, threads }, texts }
  const peer = await startOwn('embed-long.ts', scratch, JSON.stringify(settings))
  const memory = sampleMemory(peer.pid, SAMPLE_MILLISECONDS)
  const tenths: Tenth[] = []
  const points: { sentences: number; bytes: number }[] = []
  try {
    const share = Math.ceil(sentences / TENTHS)
    for (let tenth = 0; tenth < TENTHS; tenth++) {
      const first = memory.samples.length
      const { seconds } = await peer.ask<{ seconds: number }>({ sentences: share })
      const samples = memory.samples.slice(Math.min(first, memory.samples.length - 1))
      tenths.push({
        sentences: share * (tenth + 1),
        seconds,
        medianBytes: samples.length === 0 ? 0 : median(samples),
        mostBytes: Math.max(0, ...samples),
      })
      for (const [i, bytes] of samples.entries())
        if (tenth > 0) points.push({ sentences: share * (tenth + (i + 0.5) / samples.length), bytes })
      say(`bench: ${thousands(share * (tenth + 1))} sentences, ${thousands(tenths[tenth].medianBytes / 2 ** 20)} MB`)
    }
  } finally {
    memory.end()
    peer.stop()
  }
  return {
    source,
    threads,
    sentences: tenths[TENTHS - 1].sentences,
    samples: memory.samples.length,
    tenths,
    slope: slopeOf(points),
    peakBytes: memory.peak(),
    loadAtStart,
    loadAtEnd: loadavg()[0],
  }
}

/** By least squares. */
function slopeOf(points: readonly { sentences: number; bytes: number }[]): number | undefined {
  if (points.length < 2) return undefined
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(points.map(point => point.sentences))
  const y = mean(points.map(point => point.bytes))
  const both = points.reduce((sum, point) => sum + (point.sentences - x) * (point.bytes - y), 0)
  const squares = points.reduce((sum, point) => sum + (point.sentences - x) ** 2, 0)
  return (both / squares) * 1e6
}

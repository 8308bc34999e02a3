// The embedding engine beside others, in one run: MiniLM on real sentences (embed-minilm.ts), fixed batches against dynamic
// ones (embed-batches.ts), the model that ships, alone and end to end (embed-shipped.ts). The long run is a part of its own
// (embed-memory.ts). How it is shown is in embed-report.ts.

import { loadavg } from 'node:os'
import { sharedFolder } from '../shared.ts'
import { type BatchRow, compareBatches } from './embed-batches.ts'
import { type MiniLmReport, measureMiniLm } from './embed-minilm.ts'
import { measureShipped, type ShippedReport } from './embed-shipped.ts'
import { sampleOf } from './embed-texts.ts'

export type EmbedReport = {
  /** Where the sentences came from, in words. */
  source: string
  /** Undefined where its folder does not lie beside the repository. */
  miniLm: { engines: MiniLmReport; batches: BatchRow[] } | undefined
  shipped: ShippedReport
  /** Load averages of the last minute. */
  loadAtStart: number
  loadAtEnd: number
}

export type EmbedSizes = {
  /** For the engines with MiniLM; half as many for the batches. */
  sentences: number
  /** Of the quarter that is made for the shipped model. */
  made: number
}

/** calls: the sentences of each call of a real quarter. */
export async function measureEmbedding(
  calls: readonly string[][],
  source: string,
  sizes: EmbedSizes,
  { threads, home, scratch }: { threads: number; home: string; scratch: string },
): Promise<EmbedReport> {
  const [loadAtStart] = loadavg()
  const model = sharedFolder('model', 'all-MiniLM-L6-v2')
  const sentences = calls.flat()
  const miniLm =
    model === undefined
      ? undefined
      : {
          engines: await measureMiniLm(model, sampleOf(calls, sizes.sentences), threads, scratch),
          batches: await compareBatches(model, sentences, Math.ceil(sizes.sentences / 2), threads, scratch),
        }
  const shipped = await measureShipped(sentences, sizes.made, threads, home, scratch)
  return { source, miniLm, shipped, loadAtStart, loadAtEnd: loadavg()[0] }
}

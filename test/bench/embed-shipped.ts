// The model that ships: the engine alone on sentences in memory, its tokenizer alone, and end to end: a made quarter of
// many sentences ingested and embedded by the real commands into the embedded database.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { say, thousands } from '../../lib/log.ts'
import { readModelFolder } from '../../lib/model/model-folder.ts'
import { openTokenizer } from '../../lib/model/tokenizer.ts'
import { SHIPPED_MODEL } from '../../lib/settings.ts'
import { timed } from './clocks.ts'
import { madeSentences, writeMadeQuarter } from './embed-texts.ts'
import { median } from './figures.ts'
import { startOwn } from './peers.ts'
import { treeUse } from './processes.ts'
import { type MeasuredStep, measureStep } from './steps.ts'

const ROUNDS = 3
const ALONE_SENTENCES = 100_000
// Of no real call at hand, so that it meets none in the bench's database; writeMadeQuarter dates its calls so.
const MADE_QUARTER = '1999Q3'

export type ShippedReport = {
  threads: number
  /** Medians for all sentences at once, in memory. */
  alone: {
    sentences: number
    different: number
    seconds: number
    cpuSeconds: number | undefined
    peakBytes: number | undefined
  }
  tokenizer: { seconds: number; cpuSeconds: number }
  endToEnd: {
    firms: number
    sentences: number
    ingest: MeasuredStep
    embed: MeasuredStep
    /** Of the command, its own count: without its start and the loading of the model. */
    loopSeconds: number
  }
}

export async function measureShipped(
  sentences: readonly string[],
  wanted: number,
  threads: number,
  home: string,
  scratch: string,
): Promise<ShippedReport> {
  const made = madeSentences(sentences, 3)
  const texts = Array.from({ length: Math.min(ALONE_SENTENCES, wanted) }, () => made.next().value)
  const alone = await measureAlone(texts, threads, scratch)
  const tokenizer = await measureTokenizer(texts)
  say(`bench: the shipped model alone: ${thousands(texts.length / alone.seconds)} sentences/s`)
  return { threads, alone, tokenizer, endToEnd: await measureEndToEnd(sentences, wanted, home, scratch) }
}

async function measureAlone(
  texts: readonly string[],
  threads: number,
  scratch: string,
): Promise<ShippedReport['alone']> {
  const file = join(scratch, 'made.json')
  writeFileSync(file, JSON.stringify(texts))
  const peer = await startOwn('embed-ours.ts', scratch, JSON.stringify({ model: SHIPPED_MODEL, threads }))
  try {
    await peer.ask({ texts: file })
    await peer.ask({ out: null })
    const seconds: number[] = []
    const before = treeUse(peer.pid)
    for (let round = 0; round < ROUNDS; round++)
      seconds.push((await peer.ask<{ seconds: number }>({ out: null })).seconds)
    const after = treeUse(peer.pid)
    return {
      sentences: texts.length,
      different: new Set(texts).size,
      seconds: median(seconds),
      cpuSeconds: before && after && (after.cpuSeconds - before.cpuSeconds) / ROUNDS,
      peakBytes: after?.peakBytes,
    }
  } finally {
    peer.stop()
  }
}

async function measureTokenizer(texts: readonly string[]): Promise<ShippedReport['tokenizer']> {
  const { tokenizerFile, maxTokens } = await readModelFolder(SHIPPED_MODEL)
  const tokenizer = await openTokenizer(tokenizerFile, maxTokens)
  const runs = Array.from({ length: ROUNDS + 1 }, () => timed(() => tokenizer.tokenize(texts))).slice(1)
  return { seconds: median(runs.map(run => run.seconds)), cpuSeconds: median(runs.map(run => run.cpuSeconds)) }
}

async function measureEndToEnd(
  sentences: readonly string[],
  wanted: number,
  home: string,
  scratch: string,
): Promise<ShippedReport['endToEnd']> {
  const folder = join(scratch, 'made-quarter')
  mkdirSync(folder)
  writeMadeQuarter(folder, sentences, wanted)
  const ingest = await measureStep(home, ['ingest', folder, '--quarter', MADE_QUARTER])
  say(`bench: ingest of the made quarter: ${ingest.seconds.toFixed(1)} s`)
  const embed = await measureStep(home, ['embed', '--quarter', MADE_QUARTER, '--json'])
  const done: { firms: number; sentences: number; seconds: number } = JSON.parse(embed.stdout)
  say(`bench: embed of the made quarter: ${thousands(done.sentences / embed.seconds)} sentences/s end to end`)
  return { firms: done.firms, sentences: done.sentences, ingest, embed, loopSeconds: done.seconds }
}

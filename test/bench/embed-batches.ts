// Batches of 32 in order of arrival against dynamic ones: the same engine, the same texts, in turn. Real calls joined to
// texts of several lengths, and their sentences as they are; long texts cut off or cut up. Time, padding, memory.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { say } from '../../lib/log.ts'
import type { BatchSettings, LongText } from '../../lib/settings.ts'
import { lengthsOf, sum } from './embed-lengths.ts'
import { readFacts } from './embed-minilm.ts'
import { joinedTexts } from './embed-texts.ts'
import { median } from './figures.ts'
import { type Peer, startOwn } from './peers.ts'
import { treeUse } from './processes.ts'

const ROUNDS = 3
// The texts of every kind have about as many tokens as half of the sentences that the engines are compared on.
const TOKENS_A_SENTENCE = 26
// claimed: what was said of dynamic batches on a card before this was built, to be held against what is found: 52 and 16 %
// faster, 30 % less time in all, and long texts that run where 32 at a time ran out of memory.
const KINDS = [
  { kind: 'under 500 tokens', claimed: '1.52 ×', least: 20, most: 500 },
  { kind: '500 to 2,000 tokens', claimed: '1.16 ×', least: 500, most: 2_000 },
  { kind: 'over 5,000 tokens', claimed: 'out of memory', least: 5_000, most: 8_000 },
]
const CLAIMED_IN_ALL = '1.43 ×'

const USUAL = { size: 32, least: undefined, start: undefined, most: undefined, growBelow: 0.7, memoryTarget: 0.85 }
const WAYS: { way: 'fixed' | 'dynamic'; batches: BatchSettings }[] = [
  { way: 'fixed', batches: { ...USUAL, dynamic: false } },
  { way: 'dynamic', batches: { ...USUAL, dynamic: true } },
]

/** Medians over the rounds; memory is that of a process which did nothing else. */
export type Batched = {
  seconds: number
  paddingShare: number
  peakBytes: number | undefined
}

export type BatchRow = {
  kind: string
  /** Of fixed batches, against dynamic ones. */
  claimed: string
  longText: LongText
  texts: number
  /** Of the texts; the model reads fewer where they are cut off. */
  tokens: number
  tooLong: number
  fixed: Batched
  dynamic: Batched
}

type Answer = { seconds: number; tooLong: number; paddingShare: number }
type Case = { kind: string; claimed: string; longText: LongText; texts: string[]; tokens: number }

/** On about so many of the sentences as are wanted. */
export async function compareBatches(
  model: string,
  sentences: readonly string[],
  wanted: number,
  threads: number,
  scratch: string,
): Promise<BatchRow[]> {
  const rows: BatchRow[] = []
  for (const one of await casesOf(model, sentences, wanted)) {
    const row = await runInTurn(one, model, threads, scratch)
    rows.push(row)
    const words = `${row.fixed.seconds.toFixed(2)} s fixed, ${row.dynamic.seconds.toFixed(2)} s dynamic`
    say(`bench: ${row.kind}, ${row.longText}: ${words}`)
  }
  return rows
}

async function casesOf(model: string, sentences: readonly string[], wanted: number): Promise<Case[]> {
  const { tokenizerFile } = readFacts(model)
  // Longer than any sentence, so that none is cut; less the two special tokens around each.
  const lengths = (await lengthsOf(sentences, tokenizerFile, 1e6)).map(length => length - 2)
  const few = sentences.slice(0, wanted)
  const plain = {
    kind: 'sentences as they are',
    claimed: CLAIMED_IN_ALL,
    texts: few,
    tokens: sum(lengths.slice(0, few.length)),
  }
  const joined = KINDS.map(({ kind, claimed, ...range }) => ({
    kind,
    claimed,
    ...joinedTexts(sentences, lengths, { ...range, wanted: wanted * TOKENS_A_SENTENCE }),
  }))
  return [
    { ...plain, longText: 'truncate' },
    ...joined.flatMap(one => (['truncate', 'split'] as const).map(longText => ({ ...one, longText }))),
  ]
}

async function runInTurn(one: Case, model: string, threads: number, scratch: string): Promise<BatchRow> {
  const { longText, texts } = one
  const file = join(scratch, 'batches.json')
  writeFileSync(file, JSON.stringify(texts))
  const peers: Peer[] = []
  try {
    for (const { batches } of WAYS)
      peers.push(await startOwn('embed-ours.ts', scratch, JSON.stringify({ model, threads, batches, longText })))
    for (const peer of peers) {
      await peer.ask({ texts: file })
      await peer.ask({ out: null })
    }
    const answers = peers.map((): Answer[] => [])
    for (let round = 0; round < ROUNDS; round++)
      for (const [i, peer] of peers.entries()) answers[i].push(await peer.ask<Answer>({ out: null }))
    const [fixed, dynamic] = peers.map((peer, i) => ({
      seconds: median(answers[i].map(answer => answer.seconds)),
      paddingShare: answers[i][0].paddingShare,
      peakBytes: treeUse(peer.pid)?.peakBytes,
    }))
    const { kind, claimed, tokens } = one
    return { kind, claimed, longText, texts: texts.length, tokens, tooLong: answers[0][0].tooLong, fixed, dynamic }
  } finally {
    for (const peer of peers) peer.stop()
  }
}

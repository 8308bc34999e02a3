// What the bench measured of the embedding, as Markdown: MiniLM beside others, batches, the model that ships, the long run.
// Nothing is measured here.

import { count, thousands } from '../../lib/log.ts'
import type { EmbedReport } from './embed.ts'
import type { BatchRow } from './embed-batches.ts'
import type { LongReport } from './embed-memory.ts'
import {
  BARE,
  BARE_POOLED,
  type Limit,
  type MiniLmReport,
  type MiniLmRow,
  OURS,
  SENTENCE_TRANSFORMERS,
  TRANSFORMERS_JS,
} from './embed-minilm.ts'
import type { ShippedReport } from './embed-shipped.ts'
import { describeMachine, megabytes, percent, seconds, table } from './markdown.ts'

export function reportEmbed({ source, miniLm, shipped, loadAtStart, loadAtEnd }: EmbedReport): string {
  return [
    `- Data: ${source}.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    '### all-MiniLM-L6-v2 beside others',
    ...(miniLm === undefined
      ? ['Not in this run: ../shared/model/all-MiniLM-L6-v2 does not lie beside the repository.']
      : [
          ...describeMiniLm(miniLm.engines),
          '### Batches of 32 against dynamic ones',
          ...describeBatches(miniLm.batches),
        ]),
    '### The model that ships',
    ...describeShipped(shipped),
  ].join('\n\n')
}

function describeMiniLm(measured: MiniLmReport): string[] {
  const { sentences, tokens, longest, threads, operations, limits, rows, tokenizerSeconds, versions, absent } = measured
  const peak = peakOf(limits, threads)
  const ofLimit = (row: MiniLmRow) => operations / (row.seconds * sentences) / peak
  const ours = (['fp32', 'int8'] as const).flatMap(precision =>
    rows.filter(row => row.whose === OURS && row.precision === precision),
  )
  const shares = ours.map(
    row => `${percent(tokenizerSeconds / (row.seconds * sentences))} of the time of ours in ${row.precision}`,
  )
  return [
    table(
      ['', '', 'sentences/s', 'time, ours = 1', 'CPU ms a sentence', 'peak MB', 'of the limit', 'largest difference'],
      rows.map(row => [
        row.precision,
        row.whose,
        (1 / row.seconds).toFixed(0),
        times(row.ratio),
        row.cpuSeconds === undefined ? '–' : (row.cpuSeconds * 1000).toFixed(2),
        row.peakBytes === undefined ? '–' : megabytes(row.peakBytes),
        row.precision === 'fp32' ? percent(ofLimit(row)) : '–',
        row.difference === undefined ? '–' : exponential(row.difference),
      ]),
    ),
    `${thousands(sentences)} different sentences in the order they were spoken, ${thousands(tokens)} tokens (${(tokens / sentences).toFixed(1)} a ` +
      `sentence, the longest ${longest}), ${threads} threads; medians of rounds in which all take their turn. Two numbers of a vector differ at most ` +
      `by so much from ${SENTENCE_TRANSFORMERS}' vectors. The memory is that of the process and all that it started. ${BARE} is ` +
      'onnxruntime-node on batches that were tokenized, sorted by length and laid out before: the file as it is, whose vectors of tokens ' +
      `nobody pools; ${BARE_POOLED}: the same with one vector a text. ${TRANSFORMERS_JS} takes 32 texts at a time in their order, one batch in three of ` +
      `them; ${SENTENCE_TRANSFORMERS} takes all, as \`encode\` does by itself.`,
    `Tokenizing the same sentences takes ${(tokenizerSeconds * 1000).toFixed(0)} ms on one thread, while the model runs: ${shares.join(', ')}.`,
    '#### The limit of the machine',
    table(
      ['Matrix products by onnxruntime, fp32', 'the layers of the model, GFLOP/s', '2,048 × 2,048, GFLOP/s'],
      limits.map(({ threads, model, square }) => [
        threads === 1 ? '1 thread' : `${threads} threads`,
        (model / 1e9).toFixed(0),
        (square / 1e9).toFixed(0),
      ]),
    ),
    `The sentences need ${(operations / 1e9).toFixed(0)} GFLOP without any padding, ${(operations / sentences / 1e9).toFixed(3)} a sentence, so the ` +
      `limit is ${(peak / (operations / sentences)).toFixed(0)} sentences/s in fp32: nothing but matrix products, at the better of the two figures.`,
    [`Versions: ${versions.filter(version => version !== '').join('; ')}.`, ...absent].join(' '),
  ]
}

function peakOf(limits: readonly Limit[], threads: number): number {
  const found = limits.find(limit => limit.threads === threads)
  return Math.max(found?.model ?? Number.NaN, found?.square ?? Number.NaN)
}

function describeBatches(rows: readonly BatchRow[]): string[] {
  return [
    table(
      [
        'Texts',
        'long ones',
        'fixed, s',
        'dynamic, s',
        'fixed takes',
        'claimed',
        'padding fixed',
        'padding dynamic',
        'peak MB fixed',
        'peak MB dynamic',
      ],
      rows.map(({ kind, claimed, longText, tooLong, fixed, dynamic }) => [
        kind,
        tooLong === 0 ? '–' : longText === 'split' ? 'cut up' : 'cut off',
        seconds(fixed.seconds),
        seconds(dynamic.seconds),
        times(fixed.seconds / dynamic.seconds),
        claimed,
        percent(fixed.paddingShare),
        percent(dynamic.paddingShare),
        fixed.peakBytes === undefined ? '–' : megabytes(fixed.peakBytes),
        dynamic.peakBytes === undefined ? '–' : megabytes(dynamic.peakBytes),
      ]),
    ),
    'MiniLM, fp32, which reads 256 tokens: of longer texts the beginning alone (cut off), or all in windows whose vectors are averaged (cut ' +
      `up). Fixed: 32 texts in order of arrival. ${describeTexts(rows)}`,
  ]
}

function describeTexts(rows: readonly BatchRow[]): string {
  const kinds = [...new Map(rows.map(row => [row.kind, row])).values()]
  const words = kinds.map(
    ({ kind, texts, tokens }) => `${kind}: ${count(texts, 'text')} of ${thousands(tokens)} tokens`,
  )
  return `${words.join('; ')}.`
}

function describeShipped({ threads, alone, tokenizer, endToEnd }: ShippedReport): string[] {
  const { ingest, embed, firms, sentences, loopSeconds } = endToEnd
  const micro = (cpuSeconds: number | undefined, n: number) =>
    cpuSeconds === undefined ? '–' : ((cpuSeconds / n) * 1e6).toFixed(1)
  const database = embed.database?.cpuSeconds
  const own = embed.command.cpuSeconds - embed.childSeconds
  const row = (name: string, n: number, time: number, cpu: number | undefined, peak: number | undefined) => [
    name,
    thousands(n / time),
    seconds(time),
    micro(cpu, n),
    peak === undefined ? '–' : megabytes(peak),
  ]
  return [
    table(
      ['', 'sentences/s', 'seconds', 'CPU µs a sentence', 'peak MB'],
      [
        row('the engine alone', alone.sentences, alone.seconds, alone.cpuSeconds, alone.peakBytes),
        row('its tokenizer alone', alone.sentences, tokenizer.seconds, tokenizer.cpuSeconds, undefined),
        row(
          '`embed` into the embedded database, whole',
          sentences,
          embed.seconds,
          embed.command.cpuSeconds + (database ?? 0),
          embed.command.peakBytes,
        ),
        row('… without its start', sentences, loopSeconds, undefined, undefined),
      ],
    ),
    `${threads} threads. Alone: ${thousands(alone.sentences)} made sentences in memory, ${thousands(alone.different)} of them different; the tokenizer would be ` +
      `${percent(tokenizer.seconds / alone.seconds)} of that time, were it not beside the model. Whole: ${thousands(sentences)} made sentences of ${thousands(firms)} firms, ` +
      `ingested in ${seconds(ingest.seconds)} s; of the ${seconds(embed.seconds)} s of \`embed\` the command computed ${seconds(own)}, the model's process ` +
      `${seconds(embed.childSeconds)}, the database ${database === undefined ? 'an unknown time' : seconds(database)} (CPU seconds)` +
      (embed.database === undefined ? '.' : `; the database held ${megabytes(embed.database.peakBytes)} MB at most.`),
  ]
}

export function reportLongRun(measured: LongReport): string {
  const { source, threads, sentences, samples, tenths, slope, peakBytes, loadAtStart, loadAtEnd } = measured
  const total = tenths.reduce((sum, tenth) => sum + tenth.seconds, 0)
  return [
    `- Data: ${thousands(sentences)} different sentences made of those of ${source}.\n${describeMachine(loadAtStart, loadAtEnd)}`,
    table(
      ['Sentences', 'sentences/s', 'MB in memory, median', 'MB in memory, most'],
      tenths.map(({ sentences: soFar, seconds: time, medianBytes, mostBytes }, i) => [
        thousands(soFar),
        thousands((soFar - (tenths[i - 1]?.sentences ?? 0)) / time),
        megabytes(medianBytes),
        megabytes(mostBytes),
      ]),
    ),
    `The model that ships, ${threads} threads, ${seconds(total)} s in all. Memory is that of the process and all that it started, looked at every second ` +
      `(${thousands(samples)} times); the most that its processes have held, added up, is ${megabytes(peakBytes)} MB. ` +
      (slope === undefined
        ? ''
        : `After the first tenth a line through all of them changes by ${signedMegabytes(slope)} MB a million sentences.`),
  ].join('\n\n')
}

function times(value: number): string {
  return `${value.toFixed(2)} ×`
}

/** 3.2e-7 */
function exponential(value: number): string {
  return value === 0 ? '0' : value.toExponential(1)
}

function signedMegabytes(bytes: number): string {
  const value = bytes / 2 ** 20
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`
}

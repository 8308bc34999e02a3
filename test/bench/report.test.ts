// The bench's pages from figures made up here: the ratios are those of the rows, and a missing peer is said.

import { describe, expect, it } from 'vitest'
import { type EngineRow, LIBRARIES, OURS, PYTHON } from './cluster.ts'
import { reportCluster } from './cluster-report.ts'
import type { DatabaseReport, DatabaseRun } from './database.ts'
import { reportDatabase } from './database-report.ts'
import type { EmbedReport } from './embed.ts'
import { BARE, type MiniLmRow, OURS as OUR_ENGINE, SENTENCE_TRANSFORMERS } from './embed-minilm.ts'
import { reportEmbed, reportLongRun } from './embed-report.ts'
import { type Comparison, type Quality, WAYS } from './firms.ts'
import { type QuarterReport, reportQuarter } from './quarter-report.ts'
import type { ScalePart } from './scale.ts'
import { reportScale } from './scale-report.ts'
import type { ThemesReport } from './themes.ts'
import { reportThemes } from './themes-report.ts'

const used = { cpuSeconds: 8, peakBytes: 2 ** 28 }
const step = {
  verb: 'cluster-firm',
  seconds: 10,
  command: used,
  childSeconds: 3,
  database: { ...used, cpuSeconds: 2 },
  stdout: '',
}

function quarterWith(comparison: QuarterReport['comparison']): QuarterReport {
  const counts = {
    firms: 400,
    firmsForPeer: 360,
    sentences: 40_000,
    clustered: 32_000,
    topics: 2_000,
    themes: 30,
    databaseBytes: 2 ** 27,
    folderBytes: 2 ** 28,
  }
  return { source: 'a quarter', first: [step], again: [step], counts, comparison, loadAtStart: 0.5, loadAtEnd: 1.5 }
}

/** The cells of the first row of a table that begins so. */
function cells(page: string, begin: string): string[] {
  const line = page.split('\n').find(text => text.startsWith(`| ${begin}`))
  if (line === undefined) throw new Error(`no row begins with ${begin}`)
  return line
    .split('|')
    .slice(1, -1)
    .map(cell => cell.trim())
}

const quality: Quality = {
  firms: 18,
  sentences: 1440,
  topics: 100,
  noise: 0.18,
  topicsAFirm: 6.5,
  medianTopics: 6,
  largestTopic: 0.2,
  silhouette: null,
  npmi: -0.2,
  diversity: 0.8,
  seedAri: 0.6,
  tenthAri: 0.5,
  keywordsATopic: 9,
}

const comparison: Comparison = {
  firms: 18,
  sentences: 1440,
  refused: ['CIR (1 sentence: too few)', 'MTX (0 sentences: none)'],
  versions: 'bertopic 0',
  importSeconds: 3,
  firstFitSeconds: 8,
  ours: { seconds: [0.01, 0.02, 0.03], cpuSeconds: [0.01, 0.02, 0.03] },
  ways: WAYS.map((_, i) => ({ seconds: [0.1 + i, 0.2 + i, 0.3 + i], cpuSeconds: [0.2, 0.4, 0.6] })),
  quality: { ours: quality, peer: { ...quality, noise: 0.2 } },
}

describe('the page of a quarter', () => {
  it("takes BERTopic's mean fit times the firms that it can do, and compares CPU with CPU", () => {
    const page = reportQuarter(quarterWith(comparison))
    // 360 × .2 s = 72 s against 10 s; 360 × .4 s = 144 s of CPU against 8 + 2.
    expect(cells(page, `BERTopic, ${WAYS[0].name}`)).toEqual([
      `BERTopic, ${WAYS[0].name}`,
      '72.0',
      '7.2 ×',
      '144.0',
      '14.4 ×',
      '0.180',
    ])
    for (const { name } of WAYS) expect(page).toContain(`BERTopic, ${name}`)
    expect(page).toContain('CIR (1 sentence: too few)')
    expect(cells(page, 'silhouette')).toEqual(['silhouette', '–', '–'])
    expect(cells(page, 'sentences in no topic')).toEqual(['sentences in no topic', '18.0 %', '20.0 %'])
  })

  it('says why there is no peer, and shows the steps all the same', () => {
    const page = reportQuarter(quarterWith('No network.'))
    expect(page).toContain('No peer in this run. No network.')
    expect(cells(page, '`cluster-firm`')[1]).toBe('10.0')
    expect(page).not.toContain('NaN')
  })
})

describe('the page of the engine', () => {
  const row = {
    n: 100,
    samples: 5,
    cpuSeconds: 0.02,
    layoutSeconds: undefined,
    topics: 8,
    noise: 0.18,
    silhouette: 0.1,
    seedAgreement: 0.5,
  }
  const engines: EngineRow[] = [
    { ...row, whose: OURS, seconds: 0.02, layoutSeconds: 0.019 },
    { ...row, whose: LIBRARIES, seconds: 0.3, cpuSeconds: 0.4, silhouette: undefined },
    { ...row, whose: PYTHON, seconds: 0.1 },
    { ...row, n: 20_000, seedAgreement: undefined, samples: 1, whose: OURS, seconds: 30 },
  ]
  const points = { points: '100,000 × 5', cpuSeconds: 1, clusters: 64, noise: 0.3, agreement: undefined }
  const hdbscans = [
    { ...points, whose: OURS, seconds: 1, peakBytes: 2 ** 27 },
    { ...points, whose: 'hdbscan (PyPI)', seconds: 6, peakBytes: undefined, agreement: 1 },
  ]
  const measured = { source: 'a quarter', engines, hdbscans, versions: 'Python 3', loadAtStart: 1, loadAtEnd: 1 }

  it('gives every row its ratio to ours at the same size', () => {
    const page = reportCluster({ ...measured, absent: undefined })
    expect(cells(page, `100 | ${OURS}`).slice(2, 7)).toEqual(['0.0200', '1.0 ×', '0.0200', '1.0 ×', '0.0190'])
    expect(cells(page, `100 | ${LIBRARIES}`).slice(2, 7)).toEqual(['0.300', '15.0 ×', '0.400', '20.0 ×', '–'])
    expect(cells(page, '100,000 × 5 | hdbscan').slice(2, 7)).toEqual(['6.00', '6.0 ×', '1.00', '1.0 ×', '–'])
    expect(cells(page, '20,000').slice(2, 4)).toEqual(['30.0', '1.0 ×'])
  })

  it('says why there is no Python', () => {
    expect(reportCluster({ ...measured, absent: 'No network.' })).toContain('No Python in this run. No network.')
  })
})

describe('the page of the embedding', () => {
  const miniLm = (whose: string, precision: 'fp32' | 'int8', seconds: number, ratio: number): MiniLmRow => ({
    whose,
    precision,
    seconds,
    ratio,
    cpuSeconds: 2 * seconds,
    peakBytes: 2 ** 28,
    difference: 3.2e-7,
  })
  const batched = { seconds: 2, paddingShare: 0.02, peakBytes: 2 ** 28 }
  const measured: EmbedReport = {
    source: 'a quarter',
    miniLm: {
      engines: {
        sentences: 1_000,
        tokens: 26_000,
        longest: 256,
        threads: 2,
        operations: 565e9,
        limits: [
          { threads: 1, model: 100e9, square: 90e9 },
          { threads: 2, model: 200e9, square: 190e9 },
        ],
        rows: [
          miniLm(OUR_ENGINE, 'fp32', 1 / 320, 1),
          miniLm(BARE, 'fp32', 1 / 330, 0.97),
          { ...miniLm(SENTENCE_TRANSFORMERS, 'fp32', 1 / 200, 1.6), cpuSeconds: undefined, peakBytes: undefined },
          miniLm(OUR_ENGINE, 'int8', 1 / 800, 1),
        ],
        tokenizerSeconds: 0.03125,
        versions: ['Node 20', '', 'torch 2'],
        absent: ['transformers.js could not be set up.'],
      },
      batches: [
        {
          kind: 'sentences as they are',
          claimed: '1.43 ×',
          longText: 'truncate',
          texts: 900,
          tokens: 23_000,
          tooLong: 0,
          fixed: { ...batched, seconds: 5, paddingShare: 0.6 },
          dynamic: batched,
        },
        {
          kind: 'over 5,000 tokens',
          claimed: 'out of memory',
          longText: 'split',
          texts: 6,
          tokens: 36_000,
          tooLong: 6,
          fixed: { ...batched, peakBytes: undefined },
          dynamic: batched,
        },
      ],
    },
    shipped: {
      threads: 2,
      alone: { sentences: 100_000, different: 99_000, seconds: 2, cpuSeconds: 4, peakBytes: 2 ** 28 },
      tokenizer: { seconds: 0.5, cpuSeconds: 0.5 },
      endToEnd: { firms: 2_000, sentences: 200_000, ingest: step, embed: step, loopSeconds: 8 },
    },
    loadAtStart: 0.5,
    loadAtEnd: 1.5,
  }

  it('gives every engine its speed, its ratio and its share of what matrix products alone would allow', () => {
    const page = reportEmbed(measured)
    // 320 sentences/s of .565 GFLOP are 180.8 of 200 GFLOP/s.
    expect(cells(page, `fp32 | ${OUR_ENGINE}`).slice(2)).toEqual(['320', '1.00 ×', '6.25', '256', '90.4 %', '3.2e-7'])
    expect(cells(page, `fp32 | ${BARE}`).slice(2, 4)).toEqual(['330', '0.97 ×'])
    expect(cells(page, `fp32 | ${SENTENCE_TRANSFORMERS}`).slice(4, 6)).toEqual(['–', '–'])
    // 31 ms of tokenizing in 3,125 ms, and in 1,250.
    expect(page).toContain('1.0 % of the time of ours in fp32, 2.5 % of the time of ours in int8')
    expect(page).toContain('the limit is 354 sentences/s')
    expect(page).toContain('Node 20; torch 2. transformers.js could not be set up.')
  })

  it('says how many times as long fixed batches take', () => {
    const page = reportEmbed(measured)
    expect(cells(page, 'sentences as they are').slice(1, 7)).toEqual([
      '–',
      '5.00',
      '2.00',
      '2.50 ×',
      '1.43 ×',
      '60.0 %',
    ])
    expect(cells(page, 'over 5,000 tokens').slice(1)).toEqual([
      'cut up',
      '2.00',
      '2.00',
      '1.00 ×',
      'out of memory',
      '2.0 %',
      '2.0 %',
      '–',
      '256',
    ])
  })

  it("takes the database's share of the shipped model's run from the command's", () => {
    const page = reportEmbed(measured)
    expect(cells(page, 'the engine alone')).toEqual(['the engine alone', '50,000', '2.00', '40.0', '256'])
    // 8 + 2 CPU seconds for 200,000; 3 of the 8 were the model's process.
    expect(cells(page, '`embed` into')).toEqual([
      '`embed` into the embedded database, whole',
      '20,000',
      '10.0',
      '50.0',
      '256',
    ])
    expect(page).toContain("the command computed 5.00, the model's process 3.00, the database 2.00 (CPU seconds)")
  })

  it('does without MiniLM where it is not there', () => {
    const page = reportEmbed({ ...measured, miniLm: undefined })
    expect(page).toContain('Not in this run')
    expect(page).toContain('the engine alone')
    expect(page).not.toContain('NaN')
  })

  it('shows the memory of a long run tenth by tenth, and its slope with a sign', () => {
    const tenths = [1, 2].map(tenth => ({
      sentences: tenth * 200_000,
      seconds: 10,
      medianBytes: tenth * 2 ** 28,
      mostBytes: 2 ** 29,
    }))
    const run = { source: 'a quarter', threads: 2, sentences: 400_000, samples: 20, tenths, peakBytes: 2 ** 29 }
    const page = reportLongRun({ ...run, slope: -(2 ** 20), loadAtStart: 0.5, loadAtEnd: 1.5 })
    expect(cells(page, '400,000')).toEqual(['400,000', '20,000', '512', '512'])
    expect(page).toContain('−1.0 MB a million sentences')
    expect(reportLongRun({ ...run, slope: undefined, loadAtStart: 0, loadAtEnd: 0 })).not.toContain(
      'a million sentences',
    )
  })
})

describe('the page of themes', () => {
  const shape = { themes: 30, largestShare: 0.08, inNone: 0.42 }
  const row = {
    plain: { themes: 2, largestShare: 0.97, inNone: 0 },
    end: shape,
    seedAgreement: 0.9,
    tenthAgreement: 0.6,
  }
  const measured: ThemesReport = {
    source: 'a quarter',
    topics: 2_000,
    firms: 400,
    rows: ['small', 'large'].map(model => ({ ...row, model, what: 'keywords' })),
    made: {
      model: 'large',
      dimension: 384,
      topics: 60_000,
      firms: 4_616,
      planted: 200,
      runs: [
        { database: 'embedded', step: { ...step, verb: 'aggregate', seconds: 100 } },
        { database: 'server', step: { ...step, verb: 'aggregate', seconds: 90, database: undefined } },
      ],
      parts: { embedding: 40, neighbours: 20, layout: 15, hdbscan: 5, themes: 4 },
      themes: 210,
      largestShare: 0.02,
      agreement: 0.75,
      plantedInNone: 0.03,
      chanceInNone: 0.7,
    },
    loadAtStart: 0.5,
    loadAtEnd: 1.5,
  }

  it('shows every text with what it makes before and after, and both databases', () => {
    const page = reportThemes(measured)
    expect(cells(page, 'keywords, small').slice(1)).toEqual(
      '2 97.0_% 0.0_% 30 8.0_% 42.0_% 0.90 0.60'.split(' ').map(cell => cell.replace('_', ' ')),
    )
    expect(cells(page, 'the embedded database').slice(1)).toEqual(['100.0', '8.00', '256', '2.00', '256'])
    expect(cells(page, 'a Postgres server').slice(1)).toEqual(['90.0', '8.00', '256', '–', '–'])
    // 100 s less 40 + 20 + 15 + 5 + 4.
    expect(cells(page, 'the rest')[1]).toBe('16.0')
    expect(page).not.toContain('MiniLM')
  })

  it('says that a model was not there', () => {
    expect(reportThemes({ ...measured, rows: measured.rows.slice(0, 1) })).toContain('MiniLM is not in this run')
  })
})

describe('the page of the databases', () => {
  const rate = (name: string, rowsPerSecond: number, limit = 'psql') => ({
    ...{ name, rowsPerSecond, limit },
    rows: name.includes('insert') ? 2_000 : 50_000,
    rounds: 5,
  })
  const run = (times: number, workers: (number | null)[], psql: boolean): DatabaseRun => ({
    vectors: [
      {
        dimension: 256,
        loading: [
          rate('ours', 40_000 * times),
          rate('firm by firm', 30_000 * times, 'psql by firm'),
          rate('inserts', 2_000),
          ...(psql ? [rate('psql', 100_000), rate('psql by firm', 80_000, 'psql by firm')] : []),
        ],
        reading: [rate('ours', 30_000 * times), ...(psql ? [rate('psql', 200_000)] : [])],
      },
    ],
    search: {
      model: 'small',
      sentences: 43_000,
      queries: 200,
      exact: { p50: 40, p95: 60 },
      rows: workers.map(one => ({
        ...{ workers: one, buildSeconds: 10, bytes: 2 ** 27, recall: 0.9876, search: { p50: 1.234, p95: 2.5 } },
      })),
    },
    claims: [1, 2].map(processes => ({ processes, firms: 240, seconds: 16 / processes })),
  })
  const measured: DatabaseReport = {
    source: 'a quarter',
    rows: 50_000,
    versions: 'Postgres 18',
    embedded: run(1, [null], false),
    server: run(2, [0, 2], true),
    loadAtStart: 0.5,
    loadAtEnd: 1.5,
  }

  it("sets each way of loading and reading beside psql's binary copy of the same kind", () => {
    const page = reportDatabase(measured)
    expect(cells(page, 'ours')).toEqual(['ours', '80,000', '80.0 %', '40,000'])
    expect(cells(page, 'firm by firm')).toEqual(['firm by firm', '60,000', '75.0 %', '30,000'])
    expect(cells(page, 'psql')).toEqual(['psql', '100,000', '100.0 %', '–'])
    const reading = page.slice(page.indexOf('| Reading'))
    expect(cells(reading, 'ours')).toEqual(['ours', '60,000', '30.0 %', '30,000'])
    expect(page).toContain('load 2,000 rows a round')
  })

  it('shows what search finds and how long it takes, with and without the index', () => {
    const page = reportDatabase(measured)
    expect(cells(page, 'a Postgres server, exact')).toEqual(['a Postgres server, exact', '–', '–', '1', '40.0', '60.0'])
    expect(cells(page, 'a Postgres server, indexed alone')[3]).toBe('0.988')
    expect(cells(page, 'a Postgres server, indexed with 2')[4]).toBe('1.23')
  })

  it('compares several processes with one', () => {
    expect(cells(reportDatabase(measured), '2 |').slice(1)).toEqual(['30.0', '2.0 ×', '30.0', '2.0 ×'])
  })

  it('does without a server', () => {
    const page = reportDatabase({ ...measured, server: undefined, versions: undefined })
    expect(page).toContain('none in this run')
    expect(cells(page, 'ours')).toEqual(['ours', '–', '–', '40,000'])
    expect(page).not.toContain('NaN')
  })
})

describe('the page of many firms', () => {
  const part = (kind: ScalePart['kind'], firms: number, factor: number): ScalePart => ({
    ...{ kind, firms, sentences: 400 * firms, loadAtStart: 1, loadAtEnd: 2 },
    steps: [
      { verb: 'ingest', seconds: factor, command: used, database: used },
      { verb: 'aggregate', seconds: factor ** 2, command: { ...used, cpuSeconds: 16 }, database: undefined },
    ],
    counts: { clustered: 300 * firms, topics: 20 * firms, themes: 30, databaseBytes: 2 ** 20 * firms },
    failure: undefined,
  })

  it('shows each step size by size, and how it grows between the two largest', () => {
    const page = reportScale({ source: 'a quarter', parts: [part('server', 1000, 20), part('server', 500, 10)] })
    expect(cells(page, '`ingest`')).toEqual(['`ingest`', '10.0', '20.0', '1.00', '0.00'])
    expect(cells(page, '`aggregate`')).toEqual(['`aggregate`', '100.0', '400.0', '2.00', '0.00'])
    expect(cells(page, 'all')).toEqual(['all', '110.0', '420.0', '1.93', ''])
    expect(cells(page.slice(page.indexOf('Peak MB')), '`aggregate`')).toEqual(['`aggregate`', '256', '–', '256', '–'])
    expect(cells(page, 'sentences')).toEqual(['sentences', '200,000', '400,000'])
    expect(cells(page, '… of them talk')).toEqual(['… of them talk', '25.0 %', '25.0 %'])
    expect(page).not.toContain('embedded')
  })

  it('keeps what was measured before a step failed, and says which', () => {
    const cut = { ...part('embedded', 1000, 20), counts: undefined, failure: 'index ended with 1:\nout of memory' }
    const page = reportScale({ source: 'a quarter', parts: [part('embedded', 500, 10), cut] })
    expect(cells(page, '`ingest`')).toEqual(['`ingest`', '10.0', '20.0', '1.00', '0.00'])
    expect(cells(page, 'all')).toEqual(['all', '110.0', '–', '–', ''])
    expect(cells(page, 'topics')).toEqual(['topics', '10,000', '–'])
    expect(page).toContain('With 1,000 firms it ended: index ended with 1: out of memory')
  })
})

// The bench's pages from figures made up here: the ratios are those of the rows, and a missing peer is said.

import { describe, expect, it } from 'vitest'
import { type EngineRow, LIBRARIES, OURS, PYTHON } from './cluster.ts'
import { reportCluster } from './cluster-report.ts'
import { type Comparison, type Quality, WAYS } from './firms.ts'
import { type QuarterReport, reportQuarter } from './quarter-report.ts'

const used = { cpuSeconds: 8, peakBytes: 2 ** 28 }
const step = { verb: 'cluster-firm', seconds: 10, command: used, database: { ...used, cpuSeconds: 2 }, stdout: '' }

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

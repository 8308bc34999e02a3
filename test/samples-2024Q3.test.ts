// Holds the sample quarter to what its README promises: fourteen calls, and every planted sentence where it is said.
// Here because other tests measure against the planted truth; a truth that is not in the text would blame the programme.
// Leaves to those tests whether the programme finds the stories.

import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'

type Row = Record<
  | 'companyid'
  | 'companyname'
  | 'ticker'
  | 'transcriptid'
  | 'keydevid'
  | 'mostimportantdateutc'
  | 'transcriptcreationdate_utc'
  | 'componentorder'
  | 'transcriptcomponenttypename'
  | 'transcriptpersonname'
  | 'speakertypename'
  | 'componenttext',
  string
>
type Story = {
  story: string
  kind: 'cross-firm' | 'single-firm'
  title: string
  firms: string[]
  sentences: Record<string, string[]>
}

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'sentence' })
const SPEAKERS_OF_TYPES: Record<string, string> = {
  'Presentation Operator Message': 'Operator',
  'Presenter Speech': 'Executives',
  'Question and Answer Operator Message': 'Operator',
  Question: 'Analysts',
  Answer: 'Executives',
}

const csv = sample('transcripts.csv')
const rows = parse<Row>(csv, { columns: true })
const stories = JSON.parse(readFileSync(new URL('./fixtures/stories-2024Q3.json', import.meta.url), 'utf8')) as Story[]
const calls = grouped(rows, row => row.transcriptid)
const thirdQuarter = rows.filter(row => row.mostimportantdateutc < '2024-10-01')
const latest = [...grouped(thirdQuarter, row => row.ticker)].map(([ticker, versions]) => {
  const created = versions.map(row => row.transcriptcreationdate_utc).sort()
  return { ticker, rows: versions.filter(row => row.transcriptcreationdate_utc === created.at(-1)) }
})

describe('the transcripts', () => {
  it('end every record with CRLF, as RFC 4180 asks', () => {
    expect(
      csv
        .split('\n')
        .slice(0, -1)
        .every(line => line.endsWith('\r')),
    ).toBe(true)
    expect(csv.endsWith('\r\n')).toBe(true)
  })

  it('hold at least twelve firms with eighty sentences each', () => {
    expect(latest.length).toBeGreaterThanOrEqual(12)
    const short = latest.filter(firm => firm.rows.flatMap(row => sentencesOf(row.componenttext)).length < 80)
    expect(short.map(firm => firm.ticker)).toEqual([])
  })

  it('leave no field empty and no mark-up in what is said', () => {
    expect(rows.filter(row => Object.values(row).some(field => field.trim() === ''))).toEqual([])
    expect(rows.filter(row => /[{}<>[\]#*|]/.test(row.componenttext))).toEqual([])
  })

  it('give each component a known type and the speaker that goes with it', () => {
    const wrong = rows.filter(row => SPEAKERS_OF_TYPES[row.transcriptcomponenttypename] !== row.speakertypename)
    expect(wrong).toEqual([])
  })

  it('number the components of each transcript from 0 without a gap', () => {
    for (const components of calls.values()) {
      expect(components.map(row => Number(row.componentorder))).toEqual(components.map((_, i) => i))
    }
  })

  it('belong to one company and one event each', () => {
    for (const components of calls.values()) {
      const heads = components.map(row => [row.companyid, row.companyname, row.ticker, row.keydevid].join(' '))
      expect(new Set(heads).size).toBe(1)
    }
    const companies = new Set(rows.map(row => `${row.companyid} ${row.ticker}`))
    expect(companies.size).toBe(latest.length)
  })

  it('are all of the third quarter of 2024 but for the one call that is to be passed over', () => {
    const dates = rows.map(row => row.mostimportantdateutc)
    expect(dates.filter(date => !/^2024-(0[789]|10)-\d\d$/.test(date))).toEqual([])
    const later = rows.filter(row => row.mostimportantdateutc >= '2024-10-01')
    expect(new Set(later.map(row => `${row.transcriptid} ${row.mostimportantdateutc}`)).size).toBe(1)
    expect(later[0]?.mostimportantdateutc).toBe('2024-10-29')
  })

  it('hold one event with two transcripts, the earlier one shorter', () => {
    const events = [...grouped(rows, row => row.keydevid).values()]
    const doubled = events.map(event => [...grouped(event, row => row.transcriptid).values()]).filter(isDoubled)
    expect(doubled.length).toBe(1)
    const [first, second] = (doubled[0] ?? []).toSorted((a, b) => (created(a) < created(b) ? -1 : 1))
    expect(first?.length).toBe(15)
    expect(second?.length).toBeGreaterThan(15)
    expect(created(first) < created(second)).toBe(true)
  })
})

describe('the planted stories', () => {
  it('are told word for word, as whole sentences, on the call of the firm that the truth names, not by the operator', () => {
    const missing: string[] = []
    for (const { story, sentences } of stories) {
      for (const [ticker, planted] of Object.entries(sentences)) {
        const said = latest.find(firm => firm.ticker === ticker)?.rows ?? []
        const spoken = new Set(
          said.filter(row => row.speakertypename !== 'Operator').flatMap(row => sentencesOf(row.componenttext)),
        )
        for (const sentence of planted) if (!spoken.has(sentence)) missing.push(`${ticker} ${story}: ${sentence}`)
      }
    }
    expect(missing).toEqual([])
  })

  it('claim each sentence once', () => {
    const all = stories.flatMap(story => Object.entries(story.sentences).flatMap(([t, s]) => s.map(x => `${t} ${x}`)))
    expect(new Set(all).size).toBe(all.length)
  })

  it('list under firms exactly those that have sentences', () => {
    for (const story of stories) expect(Object.keys(story.sentences).sort()).toEqual([...story.firms].sort())
  })

  it('are told by four firms or more with seven sentences each, where several firms tell them', () => {
    const shared = stories.filter(story => story.kind === 'cross-firm')
    expect(shared.length).toBe(7)
    for (const story of shared) expect(story.firms.length, story.story).toBeGreaterThanOrEqual(4)
    const thin = shared.filter(story => Object.values(story.sentences).some(planted => planted.length < 7))
    expect(thin.map(story => story.story)).toEqual([])
  })

  it('are told by exactly one firm where they are its own', () => {
    const own = stories.filter(story => story.kind === 'single-firm')
    expect(own.length).toBe(7)
    for (const story of own) expect(story.firms.length, story.story).toBe(1)
  })
})

function sample(name: string): string {
  return readFileSync(new URL(`../data/samples/2024Q3/${name}`, import.meta.url), 'utf8')
}

function sentencesOf(text: string): string[] {
  return [...SEGMENTER.segment(text.replace(/\s+/g, ' '))].map(part => part.segment.trim())
}

function isDoubled(transcripts: Row[][]): boolean {
  return transcripts.length > 1
}

function created(transcript: Row[] | undefined): string {
  return transcript?.[0]?.transcriptcreationdate_utc ?? ''
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return groups
}

// Each vendor's format on a small hand-written file: identity, order, parts of the call; and every way a file is broken.

import { describe, expect, it } from 'vitest'
import { UsageError } from '../../lib/errors.ts'
import { openTexts, type TextFile } from '../../lib/files.ts'
import { FORMATS, formatNames, formatOf } from '../../lib/text/formats/all.ts'
import { contentHash, type Given, quarterOf, sentencesOf, type Transcript } from '../../lib/text/transcript.ts'
import { refusalOf } from '../refusal.ts'

const FIXTURES = new URL('../fixtures/transcripts/', import.meta.url).pathname

/** A file that never was on a disk; `size` cuts it into chunks, so that no reader depends on where they end. */
function textFile(path: string, text: string, size = 7): TextFile {
  return {
    name: path || 'standard input',
    path,
    head: async () => text.slice(0, 65_536),
    async *chunks() {
      for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size)
    },
  }
}

async function transcriptsOf(file: TextFile, given: Given = {}, forced?: string): Promise<Transcript[]> {
  const transcripts: Transcript[] = []
  for await (const transcript of (await formatOf(file, forced)).read(file, given)) transcripts.push(transcript)
  return transcripts
}

async function read(name: string, given: Given = {}): Promise<Transcript[]> {
  const transcripts: Transcript[] = []
  for await (const file of openTexts([FIXTURES + name])) transcripts.push(...(await transcriptsOf(file, given)))
  return transcripts
}

async function only(name: string, given: Given = {}): Promise<Transcript> {
  const [transcript, ...others] = await read(name, given)
  expect(others).toEqual([])
  if (transcript === undefined) throw new Error(`${name} gave no transcript`)
  return transcript
}

const texts = (transcript: Transcript) => [...sentencesOf(transcript)].map(({ text }) => text)
const parts = (transcript: Transcript) =>
  transcript.turns.map(turn => (turn.operator ? 'operator' : turn.section)).join(' ')

describe('maec', () => {
  it('takes date and firm from the folder, tickers with stops and underscores too', async () => {
    const transcripts = await read('maec')
    expect(transcripts.map(({ firmKey, key, callDate }) => [firmKey, key, callDate])).toEqual([
      ['BRK.B', 'BRK.B/2024-08-12', '2024-08-12'],
      ['UA_C', 'UA_C/2024-08-15', '2024-08-15'],
    ])
    expect(transcripts.map(quarterOf)).toEqual(['2024Q3', '2024Q3'])
  })

  it('keeps a line one sentence, Windows line ends or not', async () => {
    const [berkshire] = await read('maec')
    expect(berkshire && texts(berkshire)).toEqual([
      'Good morning, everyone.',
      'Insurance float rose to $169 billion. It was $164 billion a year ago.',
      'iPads are not our business.',
    ])
    expect(berkshire?.turns.map(({ place }) => place)).toEqual(['line 1', 'line 2', 'line 4'])
  })

  it('refuses a folder whose date does not exist', async () => {
    const error = await refusalOf(transcriptsOf(textFile('/x/20240230_ACME/text.txt', 'Orders grew.')))
    expect(error.message).toContain('20240230_ACME')
  })
})

describe('plain text', () => {
  it('reads one sentence a line', async () => {
    const transcript = await only('ACME_q3_2024.txt')
    expect(transcript).toMatchObject({ firmKey: 'ACME', fiscalQuarter: '2024Q3', callDate: null, key: 'ACME/2024Q3' })
    expect(transcript.turns.every(turn => turn.isSentence)).toBe(true)
    expect(texts(transcript)).toHaveLength(4)
  })

  it('joins wrapped prose and splits it', async () => {
    expect(texts(await only('ACME_q2_2024.txt'))).toEqual([
      'Orders grew in every region.',
      'Gross margin was 43 %, up from 41 %.',
      'Freight costs fell because diesel was cheaper, and the two new warehouses helped.',
      'We expect the same for the fourth quarter.',
    ])
  })

  it('takes speakers from the lines, and no colon for one', async () => {
    const transcript = await only('ACME_q1_2024.txt')
    expect(transcript.turns.map(({ speaker }) => speaker)).toEqual([
      'Operator',
      'Jane Doe',
      'Operator',
      'Max van der Berg',
      'Jane Doe',
    ])
    expect(parts(transcript)).toBe('operator prepared operator question answer')
    expect(texts(transcript)).toContain('What about margin: is 43 % the top?')
    expect(texts(transcript)).toContain('Freight costs fell.')
  })

  it('takes no speaker from colons where neither an operator nor two names come back', async () => {
    const text = 'New Product: We like it. It sells.\nGross Margin: It rose. It was 43 %.\n'
    const [transcript] = await transcriptsOf(textFile('/x/ACME_q3_2024.txt', text))
    expect(transcript?.turns.map(({ speaker }) => speaker)).toEqual([null, null])
    expect(transcript && texts(transcript)).toHaveLength(4)
  })

  it('takes firm and quarter from the command line where the name does not say', async () => {
    const [transcript] = await transcriptsOf(textFile('', 'Orders grew.'), { firm: 'acme', quarter: '2024q3' })
    expect(transcript).toMatchObject({ firmKey: 'ACME', key: 'ACME/2024Q3' })
    const [named] = await transcriptsOf(textFile('/x/BRK.B_2023-Q1.txt', 'A.'), { firm: 'acme', quarter: '2024q3' })
    expect(named).toMatchObject({ firmKey: 'BRK.B', fiscalQuarter: '2023Q1' })
  })

  it.each([
    [{}, 'firm and quarter'],
    [{ firm: 'ACME' }, 'quarter'],
    [{ quarter: '2024Q3' }, 'firm'],
  ])('says what is missing with %j', async (given, lacking) => {
    const error = await refusalOf(transcriptsOf(textFile('/x/call.txt', 'Orders grew.'), given))
    expect(error.message).toMatch(new RegExp(`does not say its ${lacking}$`))
  })

  it('refuses a text far too long for one call', async () => {
    const error = await refusalOf(
      transcriptsOf(textFile('/x/ACME_q3_2024.txt', 'Orders grew. '.repeat(1_600_000), 1e6)),
    )
    expect(error.message).toContain('20,000,000 characters')
  })
})

describe('capital-iq', () => {
  it('gives the latest transcript of each event, rows in any order, a firm twice where it called twice', async () => {
    const transcripts = await read('capital-iq.csv')
    const calls = transcripts.map(({ firmKey, key, sourceName }) => [firmKey, key, sourceName.replace(/.*, /, '')])
    expect(calls.sort()).toEqual([
      ['ACM', 'ACM/2024-08-12/5001', 'transcript 222'],
      ['ACM', 'ACM/2024-09-20/5002', 'transcript 240'],
      ['ciq-900', 'ciq-900/2024-08-13/6001', 'transcript 300'],
    ])
  })

  it('puts the components into order, each once, with their parts', async () => {
    const call = (await read('capital-iq.csv')).find(({ key }) => key.endsWith('/5001'))
    expect(call && parts(call)).toBe('operator prepared question answer')
    expect(call && texts(call)).toEqual([
      'Welcome to the call.',
      'Orders grew.',
      'Costs fell.',
      'You said "growth", and it came.',
      'Where from?',
      'From Asia.',
    ])
    expect(call?.turns[2]).toMatchObject({ speaker: 'Max Berg', role: 'Analysts' })
  })

  it('keeps identifiers as text and reads the fiscal quarter of the headline', async () => {
    const transcripts = await read('capital-iq.csv')
    const call = transcripts.find(({ key }) => key.endsWith('/5001'))
    expect(call?.identifiers).toEqual({ companyid: '18711', cik: '0000320193', gvkey: '001690', permno: '14593' })
    expect(call?.name).toBe('Acme, Inc.')
    expect(call && [call.fiscalQuarter, call.callDate, quarterOf(call)]).toEqual(['2024Q2', '2024-08-12', '2024Q2'])
    const other = transcripts.find(({ key }) => key.endsWith('/6001'))
    expect(other && [other.fiscalQuarter, quarterOf(other), other.ticker]).toEqual([null, '2024Q3', null])
  })

  it('tells the parts by the speakers where components have no type', async () => {
    const transcript = await only('capital-iq-required-only.csv')
    expect(transcript).toMatchObject({ key: 'ciq-18711/2024-08-12' })
    expect(parts(transcript)).toBe('operator prepared question answer')
  })

  it('says which columns are missing, which are there, and how many', async () => {
    const error = await refusalOf(read('capital-iq-missing-columns.csv'))
    expect(error.message).toMatch(
      /lacks 2 of the 7 columns .*: componentorder, speakertypename; it has 14: companyid, /,
    )
  })

  const header =
    'companyid,companyname,transcriptid,componenttext,componentorder,mostimportantdateutc,speakertypename\n'
  it.each([
    ['a row of another length', `${header}1,A,2,Hello.,0\n`, /not a sound CSV/],
    ['a quotation mark never closed', `${header}1,A,2,"Hello.,0,2024-08-12,Executives\n`, /not a sound CSV/],
    [
      'a date month first',
      `${header}1,A,2,Hello.,0,08/12/2024,Executives\n`,
      /line 2: mostimportantdateutc is "08\/12\/2024"/,
    ],
    [
      'an order that is no number',
      `${header}1,A,2,Hello.,first,2024-08-12,Executives\n`,
      /line 2: componentorder is "first"/,
    ],
    ['no transcriptid', `${header}1,A,,Hello.,0,2024-08-12,Executives\n`, /line 2: the transcriptid is empty/],
    ['no rows', header, /a header and 0 rows/],
  ])('refuses %s', async (_what, text, message) => {
    expect((await refusalOf(transcriptsOf(textFile('/x/calls.csv', text)))).message).toMatch(message)
  })
})

describe('motley-fool', () => {
  it('takes parts, roles and the operator as stated', async () => {
    const transcript = await only('motley-fool.json')
    expect(transcript).toMatchObject({
      firmKey: 'ACME',
      name: 'Acme, Inc.',
      callDate: '2024-08-12',
      fiscalQuarter: '2024Q3',
      key: 'ACME/2024-08-12',
    })
    expect(parts(transcript)).toBe('operator prepared question answer')
    expect(transcript.turns[2]).toMatchObject({ speaker: 'Max Berg', role: 'Big Bank -- Analyst' })
  })

  it('says where a truncated file ends', async () => {
    const error = await refusalOf(read('motley-fool-truncated.json'))
    expect(error.message).toMatch(/motley-fool-truncated\.json is cut short: it ends at line \d+, inside record 1/)
  })
})

describe('earningscall', () => {
  it('takes the firm from the file name and the parts from the hand-over', async () => {
    const transcript = await only('ACME_2024Q3.json')
    expect(transcript).toMatchObject({ firmKey: 'ACME', callDate: '2024-08-12', fiscalQuarter: '2024Q3' })
    expect(parts(transcript)).toBe('operator prepared operator question answer')
    expect(transcript.turns[1]).toMatchObject({ speaker: 'Jane Doe', role: 'CEO' })
  })

  it('takes prepared remarks and claims nothing about questions and answers in one text', async () => {
    const transcript = await only('earningscall-remarks.json')
    expect(transcript.turns.map(({ section }) => section)).toEqual(['prepared', null])
  })

  it('asks for the firm where nothing names it', async () => {
    const file = textFile('/x/call.json', '{"prepared_remarks": "Orders grew."}')
    expect((await refusalOf(transcriptsOf(file))).message).toBe('/x/call.json, line 1: the record names no firm')
    const [transcript] = await transcriptsOf(file, { firm: 'acme', quarter: '2024Q3' })
    expect(transcript?.key).toBe('ACME/2024Q3')
  })
})

describe('fmp and huggingface', () => {
  it('reads an array of records with a text each, the empty one without turns', async () => {
    const [acme, empty] = await read('fmp.json')
    expect(acme && parts(acme)).toBe('operator prepared operator question answer')
    expect(acme && texts(acme)).toContain('Costs fell.')
    expect(acme).toMatchObject({ key: 'ACME/2024-08-12', fiscalQuarter: '2024Q3' })
    expect(empty).toMatchObject({ firmKey: 'EMPTY', turns: [] })
  })

  it('reads JSONL with lists of speakers', async () => {
    const transcripts = await read('kurry.jsonl')
    expect(transcripts.map(({ firmKey, fiscalQuarter }) => [firmKey, fiscalQuarter])).toEqual([
      ['ACME', '2024Q3'],
      ['BRK.B', '2024Q2'],
    ])
    expect(transcripts[0] && texts(transcripts[0])).toContain('Orders grew {by [ten]} "percent".')
    expect(transcripts[1]?.sourceName).toMatch(/kurry\.jsonl, line 2$/)
  })

  it('claims no part of the call where nobody hands over', async () => {
    const text = '{"symbol": "A", "year": 2024, "quarter": 3, "content": "Jane Doe: Orders grew.\\nAnn Roe: Yes."}'
    const [transcript] = await transcriptsOf(textFile('/x/a.json', text))
    expect(transcript?.turns.map(({ section }) => section)).toEqual([null, null])
  })
})

describe('json', () => {
  const record = (symbol: string) =>
    `{"symbol": "${symbol}", "year": 2024, "quarter": 3, "content": "It \\\\ \\"grew\\" {."}`

  it.each([
    ['one object', `\n ${record('A')}\n`, ['A']],
    ['an array', `[${record('A')},\r\n${record('B')}]`, ['A', 'B']],
    ['JSONL', `${record('A')}\n${record('B')}\n`, ['A', 'B']],
    ['an empty array', '[]', []],
  ])('comes as %s, in chunks of any size', async (_what, text, symbols) => {
    for (const size of [1, 2, 3, 1000]) {
      const transcripts = await transcriptsOf(textFile('/x/a.json', text, size), {}, 'fmp')
      expect(transcripts.map(({ firmKey }) => firmKey)).toEqual(symbols)
      for (const transcript of transcripts) expect(texts(transcript)).toEqual(['It \\ "grew" {.'])
    }
  })

  it.each([
    [
      'ends inside a record',
      `${record('A')}\n${record('B').slice(0, -9)}`,
      /ends at line 2, inside record 2, which begins at line 2/,
    ],
    ['ends inside the array', `[${record('A')},\n`, /array is not closed after record 1, at line 2/],
    ['is no JSON inside', `${record('A')}\n{"symbol":\n "B", "content" 3}`, /not JSON at line 3, in record 2/],
    ['has something between records', `${record('A')}\nnull\n`, /line 2: "n.* stands where/],
  ])('says where a file %s', async (_what, text, message) => {
    for (const size of [1, 1000])
      expect(
        (await refusalOf(transcriptsOf(textFile('/x/a.json', text, Math.max(size, 5)), {}, 'fmp'))).message,
      ).toMatch(message)
  })
})

describe('the choice of a format', () => {
  it('finds each by what is in the file', async () => {
    const found: Record<string, string> = {}
    for await (const file of openTexts([FIXTURES])) {
      found[file.path.slice(FIXTURES.length)] = (await formatOf(file)).name
    }
    expect(found).toEqual({
      'ACME_2024Q3.json': 'earningscall',
      'ACME_q1_2024.txt': 'plain-text',
      'ACME_q2_2024.txt': 'plain-text',
      'ACME_q3_2024.txt': 'plain-text',
      'capital-iq-missing-columns.csv': 'capital-iq',
      'capital-iq-required-only.csv': 'capital-iq',
      'capital-iq.csv': 'capital-iq',
      'earningscall-remarks.json': 'earningscall',
      'fmp.json': 'fmp',
      'kurry.jsonl': 'huggingface',
      'maec/20240812_BRK.B/text.txt': 'maec',
      'maec/20240815_UA_C/text.txt': 'maec',
      'motley-fool-truncated.json': 'motley-fool',
      'motley-fool.json': 'motley-fool',
    })
  })

  it('obeys the one asked for', async () => {
    expect((await formatOf(textFile('/x/a.csv', 'x'), 'plain-text')).name).toBe('plain-text')
  })

  it('lists the formats when none fits', async () => {
    const { message } = await refusalOf(formatOf(textFile('/x/a.json', '{"title": "no call"}')))
    for (const name of formatNames) expect(message).toContain(name)
    expect(message).toContain('none of the 7 formats')
  })

  it('calls an unknown name a mistake of the command line', async () => {
    const error = await refusalOf(formatOf(textFile('/x/a.json', '{}'), 'bloomberg'))
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toContain('"bloomberg"')
  })

  it('gives every format a name of its own', () => {
    expect(new Set(formatNames).size).toBe(FORMATS.length)
  })
})

describe('the content hash', () => {
  it('is the same wherever the file lies, and another where a word changes', async () => {
    const text = 'Orders grew.\nCosts fell.\n'
    const hashes: string[] = []
    for (const [path, content] of [
      ['/x/ACME_q3_2024.txt', text],
      ['/y/ACME_q3_2024.txt', text.replaceAll('\n', '\r\n')],
      ['/x/ACME_q3_2024.txt', text.replace('grew', 'fell')],
    ] as const) {
      const [transcript] = await transcriptsOf(textFile(path, content))
      if (transcript) hashes.push(contentHash(transcript))
    }
    expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(hashes[1]).toBe(hashes[0])
    expect(hashes[2]).not.toBe(hashes[0])
  })
})

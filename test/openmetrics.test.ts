// Figures as text: right for Prometheus, right for OpenMetrics, and in a file that is never half written.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openMetricsFile } from '../lib/metrics-file.ts'
import { embedMetrics } from '../lib/model/embed-metrics.ts'
import { openMeter } from '../lib/model/meter.ts'
import { openMetricsText } from '../lib/openmetrics.ts'
import { fullRun, namesIn, STATE } from './model/full-run.ts'
import { hasPromtool, promtool } from './promtool.ts'
import { root } from './run.ts'

const LABELS = { quarter: '2024Q3', model: 'all-MiniLM-L6-v2', device: 'cuda' }
const full = embedMetrics(fullRun().figures(60_000), STATE, LABELS)

describe('the text', () => {
  it('has name, help, type and unit before the values, and an end', () => {
    const text = openMetricsText(
      [{ name: 'house_age_seconds', help: 'Since it was built', type: 'gauge', samples: [{ value: 12.5 }] }],
      { street: 'Elm' },
    )
    expect(text.split('\n')).toEqual([
      '# HELP house_age_seconds Since it was built',
      '# TYPE house_age_seconds gauge',
      '# UNIT house_age_seconds seconds',
      'house_age_seconds{street="Elm"} 12.5',
      '# EOF',
      '',
    ])
  })

  it('leaves out what nobody knows, with all that would have announced it', () => {
    const samples = [null, undefined, Number.NaN, Number.POSITIVE_INFINITY].map(value => ({ value }))
    expect(openMetricsText([{ name: 'unknown', help: '', type: 'gauge', samples }], {})).toBe('# EOF\n')
  })

  it('keeps labels whole, whatever is in them', () => {
    const model = 'C:\\models\\"mine"\nñ {x="1"} # EOF'
    const samples = [{ value: 1 }]
    const text = openMetricsText([{ name: 'one', help: 'A number', type: 'gauge', samples }], { model })
    const line = text.split('\n').find(words => words.startsWith('one{')) ?? ''
    expect(JSON.parse(line.slice('one{model='.length, -'} 1'.length))).toBe(model) // JSON has the same escapes
    if (hasPromtool) expect(promtool(['check', 'metrics'], text)).toEqual({ code: 0, said: '' })
  })

  it('has in its help texts no character that the two formats escape differently', () => {
    for (const line of full.split('\n').filter(words => words.startsWith('# HELP'))) expect(line).not.toMatch(/["\\]/)
  })

  it('puts the labels of the run on every value', () => {
    const values = full.split('\n').filter(line => line !== '' && !line.startsWith('#'))
    expect(values.length).toBeGreaterThan(30)
    for (const line of values) expect(line).toContain('{quarter="2024Q3",model="all-MiniLM-L6-v2",device="cuda"')
  })
})

describe('the figures of a run', () => {
  it('are the values of the meter', () => {
    const told = (name: string) => Number(full.match(new RegExp(`^quarterdeck_embed_${name}\\{.*\\} (.*)$`, 'm'))?.[1])
    const figures = fullRun().figures(60_000)
    expect(told('sentences')).toBe(figures.sentences)
    expect(told('batch_seconds_count')).toBe(figures.batches)
    expect(told('batch_seconds_sum')).toBe(figures.batchSecondsSum)
    expect(told('card_energy_joules')).toBeCloseTo((figures.card?.energyWattHours ?? 0) * 3600)
    expect(told('last_update_timestamp_seconds')).toBe(STATE.updatedAt / 1000)
  })

  it('tell a run that goes on from one that is done and from one that failed', () => {
    const outcomes = (['running', 'done', 'failed'] as const).map(outcome => {
      const text = embedMetrics(openMeter(0).figures(1), { ...STATE, outcome }, {})
      return [/_running (\d)$/m.exec(text)?.[1], /_failed (\d)$/m.exec(text)?.[1]].join('')
    })
    expect(outcomes).toEqual(['10', '00', '01'])
  })

  it('leave out card, cost and batches where there are none', () => {
    const names = namesIn(embedMetrics(openMeter(0).figures(1), { ...STATE, cost: undefined }, {}))
    expect(names.filter(name => /_(card|cost|batch)_/.test(name))).toEqual([])
    expect(names).toContain('quarterdeck_embed_sentences')
  })
})

// Prometheus' format by its own tool, which knows the naming practice too; OpenMetrics by its reference parser.
const python = join(root, '.venv/bin/python')
const hasParser = spawnSync(python, ['-c', 'import prometheus_client.openmetrics.parser']).status === 0
if (!hasParser && process.env.CI) throw new Error('no prometheus_client for Python: npm run test:setup')

const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(json.dumps([[family.name, family.type, family.unit] for family in families]))`

describe.each([
  ['with everything', full],
  ['with nothing yet', embedMetrics(openMeter(0).figures(0), { ...STATE, wanted: 0, cost: undefined }, LABELS)],
])('a file %s', (_, text) => {
  it.skipIf(!hasPromtool)('is not criticised by promtool', () => {
    expect(promtool(['check', 'metrics'], text)).toEqual({ code: 0, said: '' })
  })

  it.skipIf(!hasParser)('is OpenMetrics, each unit the last word of its name', () => {
    const { stdout, stderr } = spawnSync(python, ['-c', PARSE], { input: text, encoding: 'utf8' })
    expect(stderr).toBe('')
    const families: [string, string, string][] = JSON.parse(stdout)
    expect(families.map(([name]) => name)).toEqual(namesIn(text))
    for (const [name, , unit] of families.filter(family => family[2] !== ''))
      expect(name.endsWith(`_${unit}`)).toBe(true)
  })
})

describe('the file', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('holds the last text, may be read by others, and has nothing beside it', async () => {
    const path = join(folder, 'embed.prom')
    const file = await openMetricsFile(path)
    expect(readdirSync(folder)).toEqual([])
    await Promise.all(['one\n', 'two, which is longer\n', 'three\n'].map(file.write))
    expect(readFileSync(path, 'utf8')).toBe('three\n')
    expect(readdirSync(folder)).toEqual(['embed.prom'])
    expect(statSync(path).mode & 0o777).toBe(0o644)
  })

  it('is whole at every moment of being replaced', async () => {
    const path = join(folder, 'embed.prom')
    const file = await openMetricsFile(path)
    const texts = ['a', 'b'].map(letter => letter.repeat(1_000_000))
    await file.write(texts[0])
    let writing = true
    const written = (async () => {
      for (let round = 0; round < 50; round++) await file.write(texts[round % 2])
      writing = false
    })()
    let readings = 0
    for (; writing; readings++) {
      const text = readFileSync(path, 'utf8')
      expect(text === texts[0] || text === texts[1]).toBe(true)
      await new Promise(setImmediate)
    }
    await written
    expect(readings).toBeGreaterThan(1)
  })

  it('is refused at once where there is no folder for it, with what to type', async () => {
    const path = join(folder, 'metrics', 'embed.prom')
    await expect(openMetricsFile(path)).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringContaining(`there is no folder ${join(folder, 'metrics')}`),
      hint: `make it: mkdir -p ${join(folder, 'metrics')}`,
    })
  })

  it('is refused at once where it is a folder, or its folder is a file', async () => {
    mkdirSync(join(folder, 'metrics'))
    writeFileSync(join(folder, 'plain'), '')
    await expect(openMetricsFile(join(folder, 'metrics'))).rejects.toThrow(/is a folder/)
    await expect(openMetricsFile(join(folder, 'plain', 'embed.prom'))).rejects.toThrow(/cannot be written: .*ENOTDIR/)
  })

  it.skipIf(process.getuid?.() === 0)('is refused at once where this user may not write', async () => {
    chmodSync(folder, 0o555)
    await expect(openMetricsFile(join(folder, 'embed.prom'))).rejects.toMatchObject({
      message: expect.stringContaining('EACCES'),
      hint: `look at who may write there: ls -ld ${folder}`,
    })
  })

  it('that can no longer be written is said once and ends nothing, and goes on when it can', () => {
    const away = JSON.stringify(join(folder, 'away'))
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [
        ...['--import', 'tsx', '--input-type=module', '--eval'],
        `import { mkdirSync, readFileSync, rmSync } from 'node:fs'
        import { openMetricsFile } from './lib/metrics-file.ts'
        mkdirSync(${away})
        const file = await openMetricsFile(${away} + '/embed.prom')
        await file.write('one')
        rmSync(${away}, { recursive: true })
        await file.write('two')
        await file.write('three')
        mkdirSync(${away})
        await file.write('four')
        console.log(readFileSync(${away} + '/embed.prom', 'utf8'))`,
      ],
      { cwd: root, encoding: 'utf8' },
    )
    expect(stderr).toMatch(/^warning: .*away\/embed.prom cannot be written \(ENOENT.*\): the figures in it are old/)
    expect(stderr.match(/warning/g)).toHaveLength(1)
    expect([status, stdout]).toEqual([0, 'four\n'])
  })
})

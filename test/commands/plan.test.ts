// quarterdeck plan, as a person runs it: without a database, with a server that is not there, with a database whose runs change
// the figures, and with what cannot be planned.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { command, makePlan, type Plan, rowsToShow } from '../../commands/plan.ts'
import { readPrices } from '../../lib/cloud/prices.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { recorded } from '../../lib/db/runs.ts'
import { sizeOfModel } from '../../lib/model/model-sizes.ts'
import { readSettings } from '../../lib/settings.ts'
import { refusalOf } from '../refusal.ts'
import { quarterdeck, scratchHome, stepWords, succeed } from '../run.ts'

const { home, remove } = scratchHome()
afterAll(remove)
const nowhere = join(home, 'nowhere')

/** The command without its door, which the last tests of each part go through: a process takes a second. */
async function text(words: readonly string[], where = nowhere, env: Record<string, string> = {}): Promise<string> {
  const flags: Record<string, string | true> = {}
  words.forEach((word, i) => {
    const value = words[i + 1]
    if (word.startsWith('--')) flags[word.slice(2)] = value === undefined || value.startsWith('--') ? true : value
  })
  const settings = readSettings({ QUARTERDECK_HOME: where, QUARTERDECK_THREADS: '2', ...env })
  let printed = ''
  const print = (line: string) => {
    printed += line
  }
  await command.run({ words: [], flags, settings, columns: undefined, print })
  return printed
}

async function planned(words: readonly string[], where = nowhere, env = {}): Promise<Plan> {
  return JSON.parse(await text([...words, '--json'], where, env))
}

describe('without a database', () => {
  it('plans by the defaults, and makes none', async () => {
    const plan = await planned(['--firms', '5000'])
    expect(plan).toMatchObject({ firms: 5000, sentences: 2_000_000, tokensPerSentence: 26, topics: 120_671 })
    expect(plan.steps.map(step => step.measured)).toEqual([null, null, null, null, null, null])
    expect(plan.best.card).toBe('')
    expect(existsSync(nowhere)).toBe(false)
  })

  it('shows in the table what --json has, in forty lines or a few more', async () => {
    const words = ['--firms', '5000', '--model', 'all-mpnet-base-v2', '--deadline', '2.5']
    const plan = await planned(words)
    const shown = await text(words)
    const lines = shown.split('\n')
    expect(lines.length).toBeLessThan(48)
    const table = lines.filter(line => /^(AWS|Google|Azure) /.test(line)).map(line => line.split(/ {2,}/))
    expect(table).toEqual(
      rowsToShow(plan.rows).map(row => [
        row.provider,
        row.instance,
        row.card || 'none',
        row.market,
        row.hours.toFixed(2),
        `$${row.dollars.toFixed(row.dollars < 0.1 ? 3 : 2)}`,
        row.fits ? (row.meetsDeadline ? 'yes' : 'too late') : row.why,
      ]),
    )
    expect(shown).toContain(`The cheapest is ${plan.best.provider} ${plan.best.instance} ${plan.best.market}: `)
    expect(shown).toContain(`--instance ${plan.provision?.instance}`)
    expect(plan.best.hours).toBeLessThanOrEqual(2.5)
    // A card pays here, and the table shows every kind of it.
    expect(plan.best.card).not.toBe('')
    for (const chip of ['T4', 'A10G', 'L4', 'V100', 'A100', 'H100', 'none'])
      expect(table.some(row => row[2].split(' ')[0] === chip)).toBe(true)
  })

  it('prices a month of a pattern', async () => {
    const words = ['--firms', '10', '--workload', 'realtime', '--hours-per-month', '176', '--instances', '2']
    const plan = await planned(words)
    const row = plan.rows.find(one => one.instance === 'g4dn.xlarge' && one.market === 'on-demand')
    expect(row).toMatchObject({ hours: 352, fits: true })
    expect(row?.dollars).toBeCloseTo(185.15, 2)
    expect(row?.monthly?.onDemand).toBe(row?.dollars)
    expect(await text(words)).toMatch(/g4dn\.xlarge +\$185\.15 +\$138\.86 +\$92\.58/)
    const run = await planned(['--firms', '10', '--hours-per-month', '720'])
    expect(run.rows.find(one => one.instance === 'g5.xlarge')?.monthly?.onDemand).toBeCloseTo(724.32, 2)
    expect(run.best.hours).toBeLessThan(1)
  })

  it('has the names of a language model as a price without a key, and as time with one', async () => {
    const [without, with_] = [
      await planned(['--firms', '111']),
      await planned(['--firms', '111'], nowhere, { XAI_API_KEY: 'k' }),
    ]
    expect(without.naming).toMatchObject({ asked: false, measured: false, requests: 111 })
    expect(without.naming.dollars).toBeCloseTo(
      (1.25 * without.naming.promptTokens + 2.5 * without.naming.completionTokens) / 1e6,
      9,
    )
    expect(with_.naming).toEqual({ ...without.naming, asked: true })
    expect(with_.best.hours).toBeGreaterThan(without.best.hours)
    const unknown = await planned(['--firms', '111'], nowhere, { QUARTERDECK_CHAT_MODEL: 'another' })
    expect(unknown.naming.dollars).toBeNull()
  })

  it('says the age of its prices when they are old, and not before', () => {
    const model = sizeOfModel('earnings-static-256')
    if (model === undefined) throw new Error('the model that ships has no size')
    const at = (day: string) =>
      makePlan({
        asked: {
          firms: 10,
          sentences: undefined,
          workload: 'batch',
          hoursPerMonth: undefined,
          instances: 1,
          deadline: undefined,
        },
        model,
        precision: 'fp32',
        throughputs: undefined,
        prices: readPrices(),
        settings: readSettings({}),
        now: new Date(day),
      }).prices
    expect(at('2026-02-01').old).toBe(false)
    expect(at('2027-01-01')).toMatchObject({ old: true, days: 365, oldest: '2026-01-01' })
  })

  it('says what cannot be planned, and how it could', async () => {
    const refused = async (...words: string[]) => (await refusalOf(text(words))).message
    expect(await refused()).toMatch(/--firms is missing/)
    expect(await refused('--firms', '0')).toMatch(/--firms is "0"; it must be a whole number from 1/)
    expect(await refused('--firms', '10', '--sentences', '9')).toMatch(/--sentences is 9 and --firms 10/)
    expect(await refused('--firms', '10', '--workload', 'mining')).toMatch(/one of batch, realtime/)
    expect(await refused('--firms', '10', '--model', 'gpt')).toMatch(
      /how large the model "gpt" is; it knows earnings-stat/,
    )
    expect(await refused('--firms', '10', '--instances', '2')).toMatch(/--instances counts machines of a month/)
    expect(await refused('--firms', '10', '--workload', 'training', '--deadline', '2')).toMatch(
      /--deadline is for a run/,
    )
    expect(await refused('--firms', '5', '--sentences', '1000000000')).toMatch(
      /no machine in data\/prices fits; of the dearest, .*: memory is \d+ GB of 1747/,
    )
  })

  it('names the fastest where nothing meets the deadline, and that one can be typed', async () => {
    const { code, stderr } = await quarterdeck(['plan', '--firms', '5000', '--deadline', '0.1'], { home: nowhere })
    expect(code).toBe(1)
    const [, hours] =
      /no machine is done in 0\.1 hours; the fastest that fits, .* takes [\d.]+\n.*--deadline ([\d.]+)/.exec(stderr) ??
      []
    const plan = await planned(['--firms', '5000', '--deadline', String(hours)])
    expect(plan.best.hours).toBeLessThanOrEqual(Number(hours))
  })

  it('goes on without a server that is not there, and says so', async () => {
    const { code, stdout, stderr } = await quarterdeck(['plan', '--firms', '10', '--json'], {
      home: nowhere,
      env: { DATABASE_URL: 'postgres://nobody:secret@127.0.0.1:9/none' },
    })
    expect(code).toBe(0)
    expect(stderr).toContain('plan goes on without this database')
    expect(stderr).not.toContain('secret')
    expect(JSON.parse(stdout).steps).toHaveLength(6)
  })
})

describe('with a database', () => {
  it('plans by what its runs took, leaves out those that were too small, and writes nothing', async () => {
    const before = await planned(['--firms', '1000'])
    for (const verb of ['ingest', 'embed']) await succeed(stepWords(verb, '2024Q3'), { home })
    // A large quarter of the same model, done in no time.
    await withDatabase({ ...readSettings({}), home }, async sql => {
      const run = { command: 'embed', quarter: '2020Q1', options: { firm: null }, codeVersion: '0' }
      await recorded(sql, { ...run, model: 'earnings-static-256 0' }, async () => ({
        counts: { sentences: 1_000_000, tokens: 30_000_000, device: 'cpu' },
      }))
    })
    const { stdout } = await quarterdeck(['plan', '--firms', '1000', '--json'], { home })
    const plan: Plan = JSON.parse(stdout)
    const runs = JSON.parse(
      await succeed(['sql', 'select command, counts from runs order by run_id', '--json'], { home }),
    )
    expect(runs.map((run: { command: string }) => run.command)).toEqual(['ingest', 'embed', 'embed'])

    const small = runs[1].counts
    expect(plan.measured).toMatchObject({ tokens: true, topics: false, naming: false, tooSmall: 2 })
    expect(plan.tokensPerSentence).toBeCloseTo((small.tokens + 30_000_000) / (small.sentences + 1_000_000), 9)
    for (const { step, measured } of plan.steps) {
      const seconds = (of: Plan) => of.rows.find(row => row.instance === 'c7i.2xlarge')?.timing.steps[step] ?? 0
      if (step === 'embed') expect(measured?.runs).toBe(1)
      else expect(measured).toBeNull()
      expect(seconds(plan) / seconds(before)).toBeCloseTo(measured?.factor ?? 1, 9)
    }
    expect(plan.best.dollars).toBeLessThan(before.best.dollars)
    expect(await text(['--firms', '1000'], home)).toMatch(/embed .* 1 run to 20\d\d-\d\d-\d\d: 0\.00 of default/)
    // Another model has other runs to go by: none.
    const other = await planned(['--firms', '1000', '--model', 'all-MiniLM-L6-v2'], home)
    expect(other.steps.find(({ step }) => step === 'embed')?.measured).toBeNull()
    expect(other.tokensPerSentence).toBe(26)
  }, 60_000)
})

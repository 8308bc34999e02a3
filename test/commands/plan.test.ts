// quarterdeck plan, as a person runs it: without a database, with a server that is not there, with a database whose runs change
// the figures, and with what cannot be planned.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { command, makePlan, type Plan, rowsToShow } from '../../commands/plan.ts'
import { STEPS } from '../../lib/cloud/plan.ts'
import { readPrices } from '../../lib/cloud/prices.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { ensureQuarter } from '../../lib/db/quarters.ts'
import { type MeasuredRun, placeOf } from '../../lib/db/throughputs.ts'
import { sizeOfModel } from '../../lib/model/model-sizes.ts'
import { readSettings } from '../../lib/settings.ts'
import { BOTH, optionsFor } from '../db/both-databases.ts'
import { refusalOf } from '../refusal.ts'
import { quarterdeck, scratchHome } from '../run.ts'

const { home, remove } = scratchHome()
afterAll(remove)
const nowhere = join(home, 'nowhere')

/** The command without its door, which the last tests of each part go through: a process takes a second. */
async function text(
  words: readonly string[],
  where = nowhere,
  env: Record<string, string> = {},
  columns?: number,
): Promise<string> {
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
  await command.run({ words: [], flags, settings, columns, print })
  return printed
}

async function planned(words: readonly string[], where = nowhere, env = {}): Promise<Plan> {
  return JSON.parse(await text([...words, '--json'], where, env))
}

function planOf(runs: readonly MeasuredRun[], name = 'earnings-static-256', day = '2026-10-01'): Plan {
  const model = sizeOfModel(name)
  if (model === undefined) throw new Error(`${name} has no size`)
  return makePlan({
    asked: {
      firms: 1000,
      sentences: undefined,
      workload: 'batch',
      hoursPerMonth: undefined,
      instances: 1,
      deadline: undefined,
    },
    model,
    precision: 'fp32',
    throughputs: { runs: [...runs], cards: [], named: { topics: 0, promptTokens: 0, completionTokens: 0, answers: 0 } },
    prices: readPrices(),
    settings: readSettings({}),
    now: new Date(day),
  })
}

describe('without a database', () => {
  it('plans by the defaults, and makes none', async () => {
    const plan = await planned(['--firms', '5000'])
    expect(plan).toMatchObject({ firms: 5000, sentences: 2_000_000, tokensPerSentence: 26, topics: 120_671 })
    expect(plan.steps.map(step => step.measured)).toEqual([null, null, null, null, null, null])
    expect(plan.best.card).toBe('')
    expect(existsSync(nowhere)).toBe(false)
  })

  it('shows in the table what --json has', async () => {
    const words = ['--firms', '5000', '--model', 'all-mpnet-base-v2', '--deadline', '2.5']
    const plan = await planned(words)
    const shown = await text(words)
    const lines = shown.split('\n')
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
    expect(shown).toContain(`--instance ${plan.provision?.instance}: at most $`)
    expect(plan.best.hours).toBeLessThanOrEqual(2.5)
    // A card pays here, and the table shows every kind of it.
    expect(plan.best.card).not.toBe('')
    for (const chip of ['T4', 'A10G', 'L4', 'V100', 'A100', 'H100', 'none'])
      expect(table.some(row => row[2].split(' ')[0] === chip)).toBe(true)
  })

  it('fits a screen of 42 lines and 80 columns', async () => {
    for (const model of ['earnings-static-256', 'all-MiniLM-L6-v2', 'all-mpnet-base-v2'])
      for (const more of [[], ['--hours-per-month', '176'], ['--workload', 'realtime'], ['--workload', 'training']]) {
        const shown = await text(['--firms', '5000', '--model', model, ...more], nowhere, {}, 80)
        const lines = shown.split('\n')
        expect(lines.length).toBeLessThanOrEqual(42)
        expect(lines.filter(line => line.length > 80)).toEqual([])
      }
  })

  it('always shows and names what bin/provision.mjs takes by itself, with its price and hours', async () => {
    for (const more of [[], ['--model', 'all-mpnet-base-v2'], ['--workload', 'training'], ['--firms', '50000']]) {
      const plan = await planned(['--firms', '5000', ...more])
      const { firstChoice } = plan
      expect(firstChoice).toMatchObject({
        instance: 'g4dn.2xlarge',
        market: 'spot',
        fits: !more.includes('training') && !more.includes('50000'),
      })
      expect(rowsToShow(plan.rows)).toContainEqual(firstChoice)
      expect(await text(['--firms', '5000', ...more])).toContain(
        `bin/provision.mjs takes AWS g4dn.2xlarge spot: at most $${firstChoice?.dollars.toFixed(2)} `,
      )
    }
  })

  it("calls a card's time guessed where no run on such a card was measured, and only there", async () => {
    const guessed = (shown: string) => shown.split('\n').filter(line => line.includes("0.4 of the card's peak"))
    const [embed, aggregate, ...rest] = guessed(await text(['--firms', '5000', '--model', 'all-mpnet-base-v2']))
    expect([embed, aggregate, rest]).toEqual([
      expect.stringMatching(/^embed .* guessed: /),
      expect.stringMatching(/^aggregate .* default; embedding guessed: /),
      [],
    ])
    expect(guessed(await text(['--firms', '5000']))).toEqual([])
  })

  it('prices a month of a pattern', async () => {
    const words = ['--firms', '10', '--workload', 'realtime', '--hours-per-month', '176', '--instances', '2']
    const plan = await planned(words)
    const row = plan.rows.find(one => one.instance === 'g4dn.xlarge' && one.market === 'on-demand')
    expect(row).toMatchObject({ hours: 352, fits: true })
    expect(row?.dollars).toBeCloseTo(185.15, 2)
    expect(row?.monthly?.onDemand).toBe(row?.dollars)
    expect(await text(words)).toMatch(/g4dn\.2xlarge +\$264\.70 +\$198\.53 +\$132\.35/)
    // A disk is there all the month, whatever the hours.
    expect(plan.beside.diskDollars).toBeCloseTo(2 * plan.beside.diskGigabytes * 0.08, 9)
    expect((await planned(['--firms', '10'])).beside.diskDollars).toBeLessThan(0.01)
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
    const at = (day: string) => planOf([], 'earnings-static-256', day).prices
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

describe('runs', () => {
  const whole: Omit<MeasuredRun, 'step'> = {
    whole: true,
    alone: true,
    threads: 2,
    server: 'here',
    model: 'earnings-static-256 0',
    device: 'cpu',
    seconds: 1000,
    sentences: 2_000_000,
    topics: 120_000,
    tokens: 60_000_000,
    finishedAt: new Date('2026-10-01'),
  }
  const all = (more: Partial<MeasuredRun> = {}): MeasuredRun[] =>
    STEPS.map(step => ({ ...whole, step, ...(step === 'name-topics' && { model: null }), ...more }))
  const factors = (runs: readonly MeasuredRun[], model?: string) =>
    planOf(runs, model).steps.map(({ measured }) => measured?.factor ?? null)
  const usual = factors(all())

  it('tell of every step, and twice the seconds are twice the factor', () => {
    expect(usual.every(factor => factor !== null)).toBe(true)
    expect(planOf(all()).measured).toMatchObject({ tokens: true, topics: true, leftOut: 0 })
    for (const [i, factor] of factors(all({ seconds: 2000 })).entries())
      expect(factor).toBeCloseTo(2 * (usual[i] ?? 0), 9)
  })

  it('that did a part, ran beside others, or do not say on how many threads and what database change no factor', () => {
    for (const more of [{ whole: false }, { alone: false }, { threads: null }, { server: null }]) {
      expect(factors(all(more))).toEqual(usual.map(() => null))
      const mixed = [...all(), ...all({ ...more, seconds: 1 })]
      expect(factors(mixed)).toEqual(usual)
      expect(planOf(mixed).measured.leftOut).toBe(6)
    }
  })

  const toldBy = (more: Partial<MeasuredRun>, model?: string) =>
    STEPS.filter((_, i) => factors(all(more), model)[i] !== null)

  it('of another model tell of the steps that take no vectors', () => {
    expect(toldBy({ model: 'another 0' })).toEqual(['ingest'])
    expect(toldBy({}, 'all-MiniLM-L6-v2')).toEqual(['ingest', 'name-topics'])
    expect(planOf(all(), 'all-MiniLM-L6-v2').tokensPerSentence).toBe(26)
  })

  it('on a card are not taken for cores, nor is the wait for a language model taken for work', () => {
    expect(toldBy({ device: 'cuda' })).toEqual(STEPS.filter(step => step !== 'embed' && step !== 'aggregate'))
    expect(toldBy({ model: 'earnings-static-256 0' })).toEqual(STEPS.filter(step => step !== 'name-topics'))
    expect(toldBy({ server: 'elsewhere' })).toEqual(STEPS.filter(step => step !== 'index'))
  })

  it('are held against the cores and the database that they had', () => {
    // The same seconds on more cores are slower work, in what more cores shorten.
    for (const [i, factor] of factors(all({ threads: 8 })).entries())
      if (['ingest', 'name-topics'].includes(STEPS[i])) expect(factor).toBeCloseTo(usual[i] ?? 0, 9)
      else expect(factor).toBeGreaterThan(1.1 * (usual[i] ?? 0))
    // The embedded database takes longer to load by nature.
    expect(factors(all({ server: 'none' }))[0]).toBeLessThan(0.5 * (usual[0] ?? 0))
  })
})

// A server where there is one, because making an embedded database takes seconds.
const kind = BOTH.findLast(({ isThere }) => isThere) ?? BOTH[0]

describe('with a database', () => {
  it('plans by what its runs took, and writes nothing', async () => {
    const before = await planned(['--firms', '1000'])
    const server = await kind.start()
    onTestFinished(() => server.stop())
    const { home, env } = optionsFor(server)
    await withDatabase({ ...readSettings({}), ...server.settings }, async sql => {
      await ensureQuarter(sql, '2024Q3')
      await sql`insert into firms (firm_id, name) select 'F' || i, 'F' from generate_series(1, 50) i`
      await sql`
        insert into work (stage, quarter, firm_id, state, recipe, units)
        select 'embed', '2024Q3', 'F' || i, 'done', '{}', 1000 from generate_series(1, 50) i`
      const place = placeOf({ threads: 2, databaseUrl: undefined })
      const counts = { firms: 50, sentences: 50_000, tokens: 1_500_000, device: 'cpu' }
      // The second found nothing to do.
      for (const done of [counts, { firms: 0, device: 'none' }])
        await sql`
          insert into runs (command, quarter, options, code_version, worker, model, outcome, counts, started_at, finished_at)
          values ('embed', '2024Q3', ${sql.json(place)}, '0', 'w', 'earnings-static-256 0', 'done', ${sql.json(done)},
            ${done.firms > 0 ? '2026-10-01 10:00Z' : '2026-10-01 11:00Z'}, ${done.firms > 0 ? '2026-10-01 10:01Z' : '2026-10-01 11:00:01Z'})`
    })
    const plan = await planned(['--firms', '1000'], home, env)
    expect(plan.measured).toMatchObject({ tokens: true, topics: false, naming: false, leftOut: 1 })
    expect(plan.tokensPerSentence).toBe(30)
    for (const { step, measured } of plan.steps) {
      const seconds = (of: Plan) => of.rows.find(row => row.instance === 'c7i.2xlarge')?.timing.steps[step] ?? 0
      if (step === 'embed') expect(measured).toMatchObject({ runs: 1 })
      else expect(measured).toBeNull()
      expect(seconds(plan) / seconds(before)).toBeCloseTo(measured?.factor ?? 1, 9)
    }
    const shown = await text(['--firms', '1000'], home, env)
    expect(shown).toMatch(/embed .* 1 run to 2026-10-01: 19\.06 of default/)
    expect(shown).toContain('Of this database: 1 run here cannot tell')
    await withDatabase({ ...readSettings({}), ...server.settings }, async sql => {
      expect(await sql`select from runs`).toHaveLength(2)
    })
  }, 60_000)
})

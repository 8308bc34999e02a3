// The step `embed` as a person runs it: a model that is killed, batches and long texts as asked for, figures kept and shown.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../../lib/db/open.ts'
import { UserError } from '../../lib/errors.ts'
import { readSettings } from '../../lib/settings.ts'
import { readyHome } from '../db/servers.ts'
import { here, tried } from '../here.ts'
import { PLAIN, writeSmallTransformer } from '../model/small-transformer.ts'
import { processesBelow } from '../processes.ts'
import { fingerprints, isRunning, type Options, quarterdeck, running, sample, stepWords } from '../run.ts'

const QUARTER = '2016Q4'
const { home, remove } = await readyHome()
const settings = { ...readSettings({}), home }
afterAll(remove)
beforeAll(async () => {
  for (const verb of ['ingest', 'embed']) await here(stepWords(verb, QUARTER), { home })
}, 120_000)

const vectorsPrint = () => withDatabase(settings, async sql => (await fingerprints(sql)).sentence_vectors)

type Run = { outcome: string; options: Record<string, unknown>; counts: Record<string, number | string> }

/** The last run of `embed` as it stands in the table `runs`. */
async function lastRun(): Promise<Run> {
  const statement = `select outcome, options, counts from runs where command = 'embed' order by run_id desc limit 1`
  const [run] = JSON.parse(await here(['sql', statement, '--json'], { home }))
  return run
}

async function embedAgain(words: string[], more: Partial<Options> = {}) {
  const outcome = await quarterdeck(['embed', '--quarter', QUARTER, '--force', ...words], { home, ...more })
  expect(outcome.code, outcome.stderr).toBe(0)
  return outcome
}

describe('embed', () => {
  it('leaves the figures of the run in `runs`, and what it learned of batches for the next', async () => {
    const { outcome, counts } = await lastRun()
    expect(outcome).toBe('done')
    expect(counts).toMatchObject({ device: 'cpu', outOfMemory: 0, tooLong: 0 })
    for (const name of ['sentences', 'sentencesPerSecond', 'tokens', 'tokensPerSecond', 'batches', 'batchTokensMost'])
      expect(counts[name]).toBeGreaterThan(0)
    expect(counts.paddingShare).toBeLessThan(0.04)
    const statement = 'select model, device, threads, tokens from learned_batches'
    const learned = JSON.parse(await here(['sql', statement, '--json'], { home }))
    expect(learned).toMatchObject([{ device: 'cpu', threads: 2 }])
    expect(learned[0].model).toMatch(/^earnings-static-256 [0-9a-f]{12}$/)
    expect(learned[0].tokens).toBeGreaterThanOrEqual(512)
  })

  it('says where it runs and why not elsewhere', async () => {
    expect((await embedAgain(['--firm', 'MU'])).stderr).toMatch(/on cpu; not cuda: .+; not webgpu: /)
    expect((await embedAgain(['--firm', 'MU', '--device', 'cpu'])).stderr).not.toContain('not cuda')
  })

  it.skipIf(process.platform !== 'linux')(
    'survives kill -9 of its model: every sentence embedded, once, with the same bits',
    async () => {
      const expected = await vectorsPrint()
      const { child, said, ended } = running(['embed', '--quarter', QUARTER, '--force'], { home })
      const killed = new Set<number>()
      while (isRunning(child) && killed.size < 3) {
        // Not before it works, of which this line tells: a model that cannot be loaded is another matter.
        if (said.stderr.includes('on cpu; '))
          for (const { pid, command } of processesBelow(child.pid ?? 0)) {
            if (killed.has(pid) || !command.includes('onnx-child.ts')) continue
            try {
              process.kill(pid, 'SIGKILL')
            } catch {
              continue // over already
            }
            killed.add(pid)
          }
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      expect(await ended, said.stderr).toBe(0)
      expect(killed.size).toBeGreaterThan(0)
      expect(await vectorsPrint()).toBe(expected)
      expect((await lastRun()).counts.sentences).toBe(JSON.parse(await sentencesOfQuarter())[0].n)
    },
  )

  it('takes a fixed number of sentences at a time where that is asked for, by flag or by environment', async () => {
    const learned = () => here(['sql', 'select tokens, learned_at from learned_batches'], { home })
    const before = await learned()
    await embedAgain(['--firm', 'MU', '--batch-size', '7'])
    expect(await lastRun()).toMatchObject({ options: { batchSize: 7 }, counts: { batchSentencesMost: 7 } })
    const env = { QUARTERDECK_DYNAMIC_BATCH: 'false', QUARTERDECK_BATCH_SIZE: '9' }
    await embedAgain(['--firm', 'MU'], { env })
    expect(await lastRun()).toMatchObject({ options: { batchSize: 9 }, counts: { batchSentencesMost: 9 } })
    // What was learned of dynamic batches is still there.
    expect(await learned()).toBe(before)
    await embedAgain(['--firm', 'MU'])
    expect(await lastRun()).toMatchObject({ options: { batchSize: null } })
  })

  it('counts long sentences and cuts or splits them, and knows which of the two was done', async () => {
    const text = `${'Rigs fell in the basin. '.repeat(300)}Foreign exchange took two percent from sales.`
    const file = join(home, 'LONG_q4_2016.txt')
    writeFileSync(file, `${text.replaceAll('. ', ' and ')}\nRevenue was up in the quarter because of pricing.\n`)
    await here(['ingest', file, '--quarter', QUARTER], { home })
    const embed = (...words: string[]) =>
      quarterdeck(['embed', '--quarter', QUARTER, '--firm', 'LONG', ...words], { home })
    const cut = await embed()
    expect(cut.stderr).toContain('1 sentence cut at 1024 tokens')
    expect((await lastRun()).counts.tooLong).toBe(1)
    const beginning = await vectorsPrint()
    const split = await embed('--long-text', 'split')
    expect(split.stderr).toContain('1 sentence read in windows of 1024 tokens')
    expect(await vectorsPrint()).not.toBe(beginning)
    expect((await embed('--long-text', 'split')).stderr).toContain('nothing left to do')
    await here(['embed', '--quarter', QUARTER, '--firm', 'LONG', '--long-text', 'truncate'], { home })
    expect(await vectorsPrint()).toBe(beginning)
  })

  it('writes figures for Prometheus, which end with the run, also where nothing was to be done', async () => {
    const file = join(home, 'embed.prom')
    await embedAgain(['--firm', 'MU', '--metrics-file', file])
    const metrics = readFileSync(file, 'utf8')
    expect(metrics).toMatch(/^quarterdeck_embed_running\{.*quarter="2016Q4".*device="cpu".*\} 0$/m)
    expect(metrics).toMatch(/^quarterdeck_embed_sentences\{.*\} \d+$/m)
    expect(metrics.endsWith('# EOF\n')).toBe(true)
    writeFileSync(file, metrics.replace(/^(quarterdeck_embed_running\{.*\}) 0$/m, '$1 1'))
    await here(['embed', '--quarter', QUARTER], { home, env: { QUARTERDECK_METRICS_FILE: file } })
    expect(readFileSync(file, 'utf8')).toMatch(/^quarterdeck_embed_running\{.*\} 0$/m)
  })

  it('warns of what a day has cost, once, where a price and a limit are set', async () => {
    const env = { QUARTERDECK_DOLLARS_PER_HOUR: '900', QUARTERDECK_DOLLARS_PER_DAY: '0.01' }
    const { stderr } = await embedAgain(['--firm', 'MU'], { env })
    expect(stderr.match(/warning: embedding has cost \$/g)).toHaveLength(1)
  })

  it('leaves everything as it was when the model cannot be opened, and says so in the figures', async () => {
    const states = () => here(['sql', 'select stage, state, count(*) from work group by 1, 2 order by 1, 2'], { home })
    const file = join(home, 'failed.prom')
    const before = await states()
    const words = ['embed', '--quarter', QUARTER, '--force', '--model', join(home, 'no-model'), '--metrics-file', file]
    const { code, stderr } = await quarterdeck(words, { home })
    expect(code).toBe(1)
    expect(stderr).toContain('no-model does not exist')
    expect(await states()).toBe(before)
    expect(readFileSync(file, 'utf8')).toMatch(/^quarterdeck_embed_failed\{.*\} 1$/m)
  })

  it('knows its model by revision, wherever the folder stands now, and says so when it is gone', async () => {
    const other = await readyHome()
    const folders = ['one', 'two', 'three'].map(name => join(other.home, name))
    const where = { home: other.home, env: { QUARTERDECK_THREADS: '64' } }
    const run = (...words: string[]) => quarterdeck(words, where)
    writeSmallTransformer(folders[0], PLAIN)
    await here(['ingest', join(sample(QUARTER), '20161004_MU'), '--quarter', QUARTER], where)
    await here(['embed', '--quarter', QUARTER, '--model', folders[0]], where)
    renameSync(folders[0], folders[1])
    const moved = await run('embed', '--quarter', QUARTER, '--model', folders[1])
    expect(moved.stderr).toContain('nothing left to do')
    expect(moved.code).toBe(0)
    // Remembered: no model has to be named any more.
    expect((await run('embed', '--quarter', QUARTER, '--force')).stderr).toContain('72 sentences with two in')
    renameSync(folders[1], folders[2])
    for (const words of [
      ['embed', '--quarter', QUARTER],
      ['search', 'memory prices'],
    ]) {
      const { code, stderr } = await run(...words)
      expect(code).toBe(1)
      expect(stderr).toMatch(/bound to one \(revision [0-9a-f]{12}\), whose folder .*two is gone/)
      expect(stderr).toContain('export QUARTERDECK_MODEL=')
    }
    // More threads than cores would make it forty times slower.
    const threads = JSON.parse(await here(['sql', 'select max(threads) as most from learned_batches', '--json'], where))
    expect(threads[0].most).toBeLessThanOrEqual(availableParallelism())
    await other.remove()
  })

  it('refuses what it cannot do, and says what can be done', async () => {
    for (const [words, message, hint] of [
      [['--device', 'gpu'], '--device is "gpu"; it must be one of auto, cpu, cuda, webgpu', '--device auto'],
      [['--batch-size', '0'], '--batch-size is "0"; it must be a whole number from 1', '--batch-size 32'],
      [['--long-text', 'drop'], '--long-text is "drop"; it must be one of truncate, split', 'truncate'],
      [['--device', 'cuda', '--force'], 'the device cuda cannot be used', '--device cpu'],
      [['--metrics-file', join(home, 'no', 'where.prom')], 'there is no folder', 'mkdir -p'],
    ] as const) {
      const { error } = await tried(['embed', '--quarter', QUARTER, ...words], { home })
      if (!(error instanceof UserError)) throw error ?? new Error(`${words.join(' ')} was not refused`)
      expect(error.message).toContain(message)
      expect(error.hint).toContain(hint)
    }
    const all = { home, env: { QUARTERDECK_BATCH_MOST: 'all' } }
    await expect(here(['embed', '--quarter', QUARTER], all)).rejects.toThrow(
      'QUARTERDECK_BATCH_MOST is "all"; it must be a whole number',
    )
  })
})

function sentencesOfQuarter(): Promise<string> {
  return here(['sql', `select count(*)::int as n from sentences where quarter = '${QUARTER}'`, '--json'], { home })
}

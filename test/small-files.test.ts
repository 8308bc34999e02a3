// The files at the root of lib: flags, settings, log, and who a process is.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { UsageError, UserError } from '../lib/errors.ts'
import { choiceFlag, numberFlag, optionalQuarterFlag, quarterFlag, wholeNumberFlag } from '../lib/flags.ts'
import { count, duration, fitting, progress, thousands } from '../lib/log.ts'
import { openPool } from '../lib/pool.ts'
import { environmentOfModel, readSettings } from '../lib/settings.ts'
import { mayBeAlive, workerName } from '../lib/worker-name.ts'

describe('flags', () => {
  it('takes numbers in range and refuses others with the range', () => {
    expect(wholeNumberFlag({}, 'n', 6, 2, 10)).toBe(6)
    expect(wholeNumberFlag({ n: '7' }, 'n', 6, 2, 10)).toBe(7)
    expect(numberFlag({ n: '0.5' }, 'n', 1, 0, 1)).toBe(0.5)
    for (const n of ['1', '11', '2.5', 'six', 'NaN', '0x7f', ''])
      expect(() => wholeNumberFlag({ n }, 'n', 6, 2, 10), n).toThrow(UsageError)
  })

  it('takes one of the choices, the first of them by default', () => {
    expect(choiceFlag({}, 'method', ['leaf', 'eom'])).toBe('leaf')
    expect(choiceFlag({ method: 'eom' }, 'method', ['leaf', 'eom'])).toBe('eom')
    expect(() => choiceFlag({ method: 'best' }, 'method', ['leaf', 'eom'])).toThrow(/leaf, eom/)
  })

  it('reads quarters as people write them and refuses what is none as a wrong command line', () => {
    expect(quarterFlag({ quarter: '2024-q3' })).toBe('2024Q3')
    expect(optionalQuarterFlag({})).toBeUndefined()
    expect(() => quarterFlag({})).toThrow(UsageError)
    expect(() => quarterFlag({ quarter: 'Q3' })).toThrow(UsageError)
  })
})

describe('settings', () => {
  it('has a default for everything and takes empty variables for unset', () => {
    const settings = readSettings({ DATABASE_URL: '', XAI_API_KEY: '' })
    expect(settings.databaseUrl).toBeUndefined()
    expect(settings.chatKey).toBeUndefined()
    expect(settings.home).toMatch(/\.quarterdeck$/)
    expect(Object.isFrozen(settings)).toBe(true)
  })

  it('reads how batches are made: dynamic unless told otherwise, within bounds that fit together', () => {
    expect(readSettings({}).batches).toEqual({
      dynamic: true,
      size: 32,
      least: undefined,
      start: undefined,
      most: undefined,
      growBelow: 0.7,
      memoryTarget: 0.85,
    })
    for (const no of ['false', '0', 'No', 'off'])
      expect(readSettings({ QUARTERDECK_DYNAMIC_BATCH: no }).batches.dynamic).toBe(false)
    expect(() => readSettings({ QUARTERDECK_DYNAMIC_BATCH: 'maybe' })).toThrow('it must be true or false')
    const bounds = { QUARTERDECK_BATCH_LEAST: '16', QUARTERDECK_BATCH_START: '64', QUARTERDECK_BATCH_MOST: '256' }
    expect(readSettings(bounds).batches).toMatchObject({ least: 16, start: 64, most: 256 })
    expect(() => readSettings({ ...bounds, QUARTERDECK_BATCH_MOST: '8' })).toThrow(
      /LEAST is 16, more than .*MOST, .* 8/,
    )
    expect(() => readSettings({ QUARTERDECK_BATCH_MEMORY: '120' })).toThrow('from 1 to 100')
  })

  it('reads device, long texts, hub and prices, and refuses other words', () => {
    expect(readSettings({})).toMatchObject({ device: 'auto', longText: 'truncate', dollarsPerHour: undefined })
    expect(readSettings({ QUARTERDECK_DEVICE: 'CPU', QUARTERDECK_LONG_TEXT: 'split' })).toMatchObject({
      device: 'cpu',
      longText: 'split',
    })
    expect(() => readSettings({ QUARTERDECK_DEVICE: 'gpu' })).toThrow('it must be one of auto, cpu, cuda, webgpu')
    expect(() => readSettings({ QUARTERDECK_DOLLARS_PER_HOUR: 'cheap' })).toThrow('it must be a number from 0')
    const hub = readSettings({ HF_ENDPOINT: 'http://mirror.example/', HF_HUB_OFFLINE: '1', HOME: '/somewhere' }).hub
    expect(hub).toMatchObject({ url: 'http://mirror.example', offline: true, token: undefined })
    expect(hub.cache).toBe('/somewhere/.cache/quarterdeck/models')
  })

  it('reads what the language model may cost, and refuses what is no price or no limit', () => {
    expect(readSettings({})).toMatchObject({
      chatPrice: undefined,
      chatDollars: undefined,
      chatTokensPerMinute: 2_000_000,
      chatTimeout: 60,
    })
    expect(
      readSettings({
        QUARTERDECK_CHAT_PRICE: ' 1.25 / .5 ',
        QUARTERDECK_CHAT_DOLLARS: '2.5',
        QUARTERDECK_CHAT_TOKENS_PER_MINUTE: '500000',
      }),
    ).toMatchObject({ chatPrice: { in: 1.25, out: 0.5 }, chatDollars: 2.5, chatTokensPerMinute: 500_000 })
    for (const price of ['1.25', '1,25/2,50', '-1/2', '1/', '1/2/3', '$1/$2'])
      expect(() => readSettings({ QUARTERDECK_CHAT_PRICE: price }), price).toThrow(
        'dollars per million tokens in and out',
      )
    expect(() => readSettings({ QUARTERDECK_CHAT_DOLLARS: '-1' })).toThrow('QUARTERDECK_CHAT_DOLLARS is "-1"')
    expect(() => readSettings({ QUARTERDECK_CHAT_TOKENS_PER_MINUTE: '0' })).toThrow('it must be a whole number from 1')
  })

  it("gives the model's process paths and drivers' settings, and no secret", () => {
    const environment = environmentOfModel(['/cuda/lib'], {
      PATH: '/bin',
      CUDA_VISIBLE_DEVICES: '1',
      LD_LIBRARY_PATH: '/lib',
      HF_TOKEN: 'hf_x',
      XAI_API_KEY: 'xai-x',
      DATABASE_URL: 'postgres://user:secret@host/db',
      PGPASSWORD: 'secret',
      https_proxy: 'http://user:secret@proxy:3128',
    })
    expect(environment).toEqual({
      PATH: '/bin',
      CUDA_VISIBLE_DEVICES: '1',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      NVIDIA_TF32_OVERRIDE: '0',
      ORT_DISABLE_TELEMETRY: '1',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      LD_LIBRARY_PATH: '/cuda/lib:/lib',
    })
  })

  it('names the variable, what it is and what it must be', () => {
    expect(() => readSettings({ QUARTERDECK_THREADS: 'many' })).toThrow(UserError)
    expect(() => readSettings({ QUARTERDECK_THREADS: '0' })).toThrow(/QUARTERDECK_THREADS is "0".*from 1 to/)
  })
})

describe('log', () => {
  it('says durations and counts as a person does', () => {
    expect([0.04, 9.96, 59, 61, 3600, 7265].map(duration)).toEqual([
      '0.0 s',
      '10.0 s',
      '59 s',
      '1 min 1 s',
      '1 h 0 min',
      '2 h 1 min',
    ])
    expect(thousands(43211)).toBe('43,211')
    expect([count(1, 'firm'), count(2, 'firm'), count(0, 'firm')]).toEqual(['1 firm', '2 firms', '0 firms'])
  })
})

describe('a line of progress', () => {
  it('is cut where a part ends, so that no number loses its digits', () => {
    const line = 'embed: 8,121 of 17,795 sentences, 23 s left, 375 sentences/s, 11k tokens/s'
    expect(fitting(line, 200)).toBe(line)
    expect(fitting(line, 79)).toBe(line)
    expect(fitting(line, 70)).toBe('embed: 8,121 of 17,795 sentences, 23 s left, 375 sentences/s')
    expect(fitting(line, 40)).toBe('embed: 8,121 of 17,795 sentences')
    expect(fitting('onelongword', 4)).toBe('onel')
  })

  it('never counts more than all, though what is followed brings more than there was', () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    let time = 0
    const bar = progress('name-topics', 0, 'firms', () => time)
    time = 60_000
    bar.step(3)
    const said = stderr.mock.calls.map(([text]) => String(text)).join('')
    stderr.mockRestore()
    expect(said).toContain('name-topics: 3 of 3 firms, 0.0 s left')
  })
})

describe('a process by its name', () => {
  it('is alive while it runs, and not when it has gone or its number was given to another', async () => {
    expect(mayBeAlive(workerName)).toBe(true)
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    await once(child, 'spawn')
    const parts = workerName.split('/')
    const named = (pid: number | undefined, begin: string) => [parts[0], parts[1], pid, begin].join('/')
    expect(mayBeAlive(named(child.pid, 'another start'))).toBe(false)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(mayBeAlive(named(child.pid, parts[3]))).toBe(false)
  })

  it.skipIf(process.platform !== 'linux')('is not alive when it has ended and nobody has asked how', async () => {
    // The shell becomes a program that never asks after the child it got with it; one that ended before, it asks after.
    const parent = spawn('sh', ['-c', 'sleep 1 & echo $!; exec sleep 60'])
    const [pid] = String(await once(parent.stdout, 'data'))
      .trim()
      .split(/\s+/)
    const fields = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    await expect.poll(() => fields()[0], { timeout: 10_000 }).toBe('Z')
    const [host, namespace] = workerName.split('/')
    expect(mayBeAlive(`${host}/${namespace}/${pid}/${fields()[19]}`)).toBe(false)
    parent.kill('SIGKILL')
  })

  it('may be alive when it is of another machine or container, where nobody can look', () => {
    expect(mayBeAlive('another-host/1/1/1')).toBe(true)
    expect(mayBeAlive(`${workerName.split('/')[0]}/another-namespace/1/1`)).toBe(true)
  })
})

describe('the pool', () => {
  it('runs an exported function in threads, and hands its error back', async () => {
    const pool = openPool<{ n: number }, unknown>(
      new URL('../lib/math/neighbors.ts', import.meta.url),
      'nothingOfThatName',
      1,
    )
    await expect(pool.run({ n: 1 })).rejects.toThrow()
    await pool.close()
    const random = openPool<string, number>(new URL('../lib/math/random.ts', import.meta.url), 'seedFrom', 2)
    const [a, b] = await Promise.all([random.run('MU'), random.run('MU')])
    expect(a).toBe(b)
    await random.close()
  })
})

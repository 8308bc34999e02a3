// What the pool promises: a slow job holds up nobody, a thread that dies costs one more try and then that job alone, an
// error of the job itself is thrown once, and large arrays are not copied.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openPool } from '../lib/pool.ts'
import type { Job } from './pool-jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-pool-'))
afterAll(() => rmSync(folder, { recursive: true }))
let logs = 0

/** A pool of the named job, for as long as `use` takes; `tries` counts how often a job was begun. */
async function withPool<Result>(
  name: string,
  threads: number,
  use: (run: (name: string, more?: Partial<Job>) => Promise<Result>, tries: (name: string) => number) => Promise<void>,
  heapMegabytes?: number,
): Promise<void> {
  const log = join(folder, `log-${++logs}`)
  const pool = openPool<Job, Result>(new URL('./pool-jobs.ts', import.meta.url), name, threads, heapMegabytes)
  const tries = (job: string) =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter(line => line === job).length
  try {
    await use((job, more) => pool.run({ log, name: job, ...more }), tries)
  } finally {
    await pool.close()
  }
}

const numbered = (name: string, n: number) => Array.from({ length: n }, (_, i) => `${name} ${i}`)

describe('the pool', () => {
  it('goes on with all other jobs while a slow one holds its thread', async () => {
    await withPool<string>('waits', 2, async run => {
      const gate = new Int32Array(new SharedArrayBuffer(4))
      let slowIsDone = false
      const slow = run('slow', { gate }).then(() => {
        slowIsDone = true
      })
      // These end only if somebody else does them: the slow one waits for them to be done.
      const others = numbered('quick', 30)
      expect(await Promise.all(others.map(name => run(name)))).toEqual(others)
      expect(slowIsDone).toBe(false)
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
      await slow
      expect(slowIsDone).toBe(true)
    })
  })

  it('tries a job whose thread died once more, and then gives up that job alone', async () => {
    await withPool<string>('dies', 2, async (run, tries) => {
      // More of them than threads: each one that dies has to be replaced.
      const names = numbered('sound', 12).flatMap((name, i) => (i % 3 === 0 ? [name, `bad ${i}`] : [name]))
      const outcomes = await Promise.allSettled(names.map(name => run(name)))
      for (const [i, name] of names.entries()) {
        const outcome = outcomes[i]
        if (name.startsWith('sound')) expect(outcome).toEqual({ status: 'fulfilled', value: name })
        else {
          expect(outcome).toMatchObject({
            reason: { message: expect.stringMatching(/^its worker thread died 2 times: .*9/) },
          })
          expect(tries(name)).toBe(2)
        }
      }
    })
  })

  it('takes the second answer of a job whose thread died by accident', async () => {
    await withPool<string>('dies', 1, async (run, tries) => {
      expect(await run('unlucky', { once: true })).toBe('unlucky')
      expect(tries('unlucky')).toBe(2)
    })
  })

  it('ends a thread at its limit of memory, and not the process', async () => {
    await withPool<number>(
      'eats',
      1,
      async (run, tries) => {
        await expect(run('giant')).rejects.toThrow(/died 2 times: .*memory/)
        expect(tries('giant')).toBe(2)
        expect(await run('sound')).toBe(0)
      },
      64,
    )
  })

  it('throws what a job throws, as it is, after one try', async () => {
    await withPool<never>('throws', 1, async (run, tries) => {
      const error = await run('seven').catch((error: unknown) => error)
      expect(error).toBeInstanceOf(RangeError)
      expect(error).toMatchObject({ message: 'seven is no number' })
      expect(tries('seven')).toBe(1)
    })
  })

  it('says what is wrong with a job that cannot be sent to a thread, and does not say that the thread died', async () => {
    await withPool<string>('waits', 1, async (run, tries) => {
      const unsendable = { gate: (() => {}) as unknown as Int32Array }
      await expect(run('unsendable', unsendable)).rejects.toMatchObject({ name: 'DataCloneError' })
      expect(await run('sound')).toBe('sound')
      expect(tries('unsendable')).toBe(0)
    })
  })

  it('lets a thread read shared memory where it is', async () => {
    await withPool<Float32Array>('doubles', 1, async run => {
      const values = new Float32Array(new SharedArrayBuffer(12))
      values.set([1, 2, 3])
      expect(await run('values', { values })).toEqual(Float32Array.of(2, 4, 6))
      expect([...values]).toEqual([2, 4, 6]) // the thread wrote into this very memory
    })
  })

  it('moves the arrays of a result, however deep they stand, and copies none', async () => {
    await withPool<{ kept: number; list: { numbers: Float64Array }[] }>('keepsWhatItGave', 1, async run => {
      const first = await run('first')
      expect(first.list).toEqual([{ numbers: Float64Array.of(1, 2, 3) }])
      expect((await run('second')).kept).toBe(0)
    })
  })
})

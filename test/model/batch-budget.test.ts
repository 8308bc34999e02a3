// The size of batches: grows only where that pays and memory allows, halves when memory runs out, remembers the ceiling.
// The device is played by a speed and a memory as functions of the size.

import { describe, expect, it } from 'vitest'
import { type Budget, bytesOfBatch, type Learned, openBudget } from '../../lib/model/batch-budget.ts'
import { readSettings } from '../../lib/settings.ts'

const MINILM = { heads: 12, hidden: 384, intermediate: 1536 }
const GIGABYTE = 2 ** 30

type More = { environment?: Record<string, string>; kind?: 'cpu' | 'card'; threads?: number; learned?: Learned }

function budgetOf({ environment = {}, kind = 'cpu', threads = 2, learned }: More = {}): Budget {
  const settings = readSettings(environment).batches
  return openBudget({ settings, kind, threads, shape: MINILM, loaded: 200 * 2 ** 20, learned })
}

/** Runs full batches at a speed that depends on their size: padded tokens a second. */
function runBatches(budget: Budget, batches: number, speed: (tokens: number) => number): number[] {
  return Array.from({ length: batches }, () => {
    const { places } = budget.limits()
    budget.done(places, places / speed(places))
    return places
  })
}

describe('a budget', () => {
  it('begins with 32 documents of 32 tokens for each thread of a processor', () => {
    expect(budgetOf({ threads: 1 }).limits().places).toBe(1024)
    expect(budgetOf({ threads: 8 }).limits().places).toBe(8192)
    expect(budgetOf({ kind: 'card' }).limits().places).toBe(8192)
  })

  it('grows by half while larger batches are faster, up to its bound', () => {
    const budget = budgetOf()
    const sizes = runBatches(budget, 400, tokens => tokens)
    expect(sizes).toContain(3072)
    expect(budget.learned().tokens).toBe(128 * 32 * 2)
    expect(Math.max(...sizes)).toBe(128 * 32 * 2)
  })

  it('stays where larger batches are not at least 3 % faster', () => {
    const budget = budgetOf()
    runBatches(budget, 400, tokens => 1000 + tokens / 1e4)
    expect(budget.learned().tokens).toBe(2048)
    const sizes = runBatches(budget, 50, () => 1000)
    expect(new Set(sizes)).toEqual(new Set([2048]))
  })

  it('compares two sizes in turn, so that a machine that slows down meanwhile fools nobody', () => {
    let slow = 1
    const budget = budgetOf()
    runBatches(budget, 400, tokens => {
      slow *= 1.01
      return tokens / slow
    })
    expect(budget.learned().tokens).toBe(128 * 32 * 2)
  })

  it('learns nothing from batches that the line could not fill', () => {
    const budget = budgetOf()
    for (let i = 0; i < 400; i++) {
      const { places } = budget.limits()
      budget.done(places / 4, 1 / places)
    }
    expect(budget.learned().tokens).toBe(2048)
  })

  it('does not grow while memory is over 70 % full, and does below', () => {
    const budget = budgetOf()
    budget.memory({ total: 10 * GIGABYTE, used: 7.1 * GIGABYTE, ours: GIGABYTE })
    runBatches(budget, 100, tokens => tokens)
    expect(budget.learned().tokens).toBe(2048)
    budget.memory({ total: 10 * GIGABYTE, used: 6 * GIGABYTE, ours: GIGABYTE })
    runBatches(budget, 100, tokens => tokens)
    expect(budget.learned().tokens).toBeGreaterThan(2048)
  })

  it('runs nothing that is expected to bring memory over 85 %', () => {
    const budget = budgetOf()
    budget.memory({ total: 4 * GIGABYTE, used: 2 * GIGABYTE, ours: GIGABYTE })
    const { fits } = budget.limits()
    // Others have 1 GB, the model .2: batches may take up to 3.4 - 1.2 = 2.2 GB.
    expect(fits(128, 26)).toBe(true)
    expect(fits(32, 512)).toBe(true)
    expect(fits(128, 512)).toBe(false)
    expect(bytesOfBatch(MINILM, 32, 512)).toBeLessThan(2.2 * GIGABYTE)
    expect(bytesOfBatch(MINILM, 128, 512)).toBeGreaterThan(4 * 1e9)
  })

  it('halves when memory runs out, and never comes near that size again in this run', () => {
    const budget = budgetOf()
    runBatches(budget, 400, tokens => tokens)
    budget.outOfMemory(100, 4000)
    expect(budget.limits().places).toBe(2000)
    const sizes = runBatches(budget, 400, tokens => tokens)
    expect(Math.max(...sizes)).toBe(3200)
    expect(budget.learned()).toMatchObject({ ceiling: 4000 })
  })

  it('goes as low as memory wants, under its own least, but not under one that was set', () => {
    const many = budgetOf({ threads: 64 })
    expect(many.limits().places).toBe(64 * 1024)
    many.outOfMemory(80, 2048)
    expect(many.limits().places).toBe(1024)
    const set = budgetOf({ threads: 1, environment: { QUARTERDECK_BATCH_LEAST: '8' } })
    for (let i = 0; i < 20; i++) set.outOfMemory(1, set.limits().places)
    expect(set.limits().places).toBe(8 * 32)
  })

  it('runs its least however full the memory is: batches of one row help nobody', () => {
    const budget = budgetOf()
    budget.memory({ total: GIGABYTE, used: GIGABYTE, ours: 0 })
    expect(budget.limits().fits(20, 24)).toBe(true)
    expect(budget.limits().fits(40, 24)).toBe(false)
  })

  it('begins where the run before ended, and forgives its ceiling a little', () => {
    const budget = budgetOf({ threads: 1, learned: { tokens: 3000, ceiling: 4000, tokensPerSecond: 10 } })
    expect(budget.limits().places).toBe(3000)
    expect(Math.max(...runBatches(budget, 400, tokens => tokens))).toBe(4000)
    const told = { threads: 1, learned: { tokens: 3000, ceiling: null, tokensPerSecond: 10 } }
    expect(budgetOf({ ...told, environment: { QUARTERDECK_BATCH_START: '16' } }).limits().places).toBe(512)
    const low = budgetOf({ threads: 1, learned: { tokens: 3000, ceiling: 1000, tokensPerSecond: null } })
    expect(low.limits().places).toBe(1000)
  })

  it('keeps a ceiling as it was met, from run to run, until as much has fitted', () => {
    let learned: Learned = { tokens: 3000, ceiling: 4000, tokensPerSecond: null }
    for (let run = 0; run < 50; run++) learned = budgetOf({ threads: 1, learned }).learned()
    expect(learned.ceiling).toBe(4000)
    const budget = budgetOf({ threads: 1, learned })
    runBatches(budget, 400, tokens => tokens)
    expect(budget.learned()).toMatchObject({ tokens: 4000, ceiling: null })
  })

  it('keeps to the bounds that are set', () => {
    const environment = { QUARTERDECK_BATCH_LEAST: '4', QUARTERDECK_BATCH_START: '10', QUARTERDECK_BATCH_MOST: '20' }
    const budget = budgetOf({ environment, threads: 1 })
    const sizes = runBatches(budget, 400, tokens => tokens)
    expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([320, 640])
    for (let i = 0; i < 20; i++) budget.outOfMemory(1, budget.limits().places)
    expect(budget.limits().places).toBe(128)
  })

  it('is a fixed number of documents where that is asked for, and halves even that rather than fail', () => {
    const budget = budgetOf({ environment: { QUARTERDECK_DYNAMIC_BATCH: 'false', QUARTERDECK_BATCH_SIZE: '48' } })
    expect(budget.limits()).toMatchObject({ rows: 48, places: Infinity })
    budget.memory({ total: GIGABYTE, used: GIGABYTE, ours: 0 })
    expect(budget.limits().fits(48, 512)).toBe(true)
    budget.outOfMemory(48, 48 * 512)
    expect(budget.limits().rows).toBe(24)
  })
})

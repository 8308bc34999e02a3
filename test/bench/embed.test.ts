// What the embedding bench counts with, by laws: which texts it makes, how it lays them out, how it counts operations and
// what processes use. That nothing is timed here is the point: a bench that counts wrongly is wrong at any speed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { readModelFolder } from '../../lib/model/model-folder.ts'
import { SHIPPED_MODEL } from '../../lib/settings.ts'
import { bestBatches, lengthsOf, operationsOf } from './embed-lengths.ts'
import { joinedTexts, madeSentences, sampleOf } from './embed-texts.ts'
import { treeUse } from './processes.ts'

const SENTENCES = Array.from({ length: 300 }, (_, i) => `sentence ${'word '.repeat(i % 40)}number ${i}`)

describe('the texts of the embedding bench', () => {
  it('joins consecutive sentences, none twice, to texts of the wanted lengths', () => {
    const lengths = SENTENCES.map(sentence => sentence.split(' ').length)
    const { texts, tokens } = joinedTexts(SENTENCES, lengths, { least: 60, most: 200, wanted: 2_000 })
    const words = texts.map(text => text.split(' ').length)
    expect(Math.min(...words)).toBeGreaterThanOrEqual(60)
    expect(Math.max(...words)).toBeLessThan(200)
    expect(words.reduce((sum, n) => sum + n, 0)).toBe(tokens)
    expect(tokens).toBeGreaterThanOrEqual(2_000)
    expect(SENTENCES.join(' ').startsWith(texts.join(' '))).toBe(true)
  })

  it('takes whole calls from all over the quarter, each text once', () => {
    const calls = Array.from({ length: 30 }, (_, call) => ['Good morning.', `${call} first`, `${call} second`])
    const sample = sampleOf(calls, 18)
    expect(sample).toHaveLength(new Set(sample).size)
    expect(sample).toHaveLength(13)
    expect(sample.at(-1)).toBe('25 second')
  })

  it('makes the same sentences of the same seed, and hardly one twice', () => {
    const take = (seed: number) => {
      const made = madeSentences(SENTENCES, seed)
      return Array.from({ length: 1_000 }, () => made.next().value)
    }
    expect(take(1)).toEqual(take(1))
    expect(take(1)).not.toEqual(take(2))
    expect(new Set(take(1)).size).toBeGreaterThan(900)
  })
})

describe('the batches of the bare session', () => {
  it('hold every text once, with its mask, and no more places than a thread is fastest with', async () => {
    const { tokenizerFile, maxTokens } = await readModelFolder(SHIPPED_MODEL)
    const batches = await bestBatches(SENTENCES, tokenizerFile, maxTokens, 1)
    const lengths = await lengthsOf(SENTENCES, tokenizerFile, maxTokens)
    expect(batches.flatMap(batch => batch.places).sort((a, b) => a - b)).toEqual(SENTENCES.map((_, i) => i))
    for (const { ids, mask, rows, columns, places } of batches) {
      expect(ids).toHaveLength(rows * columns)
      expect(ids.length).toBeLessThanOrEqual(1_024)
      for (const [row, place] of places.entries())
        expect(mask.subarray(row * columns, (row + 1) * columns).filter(value => value === 1n)).toHaveLength(
          lengths[place],
        )
    }
  })
})

describe('the count of operations', () => {
  const shape = { layers: 3, hidden: 8, intermediate: 32 }

  it('is that of the matrix products of one token: six matrices, and attention to itself', () => {
    const products = [8 * 8, 8 * 8, 8 * 8, 8 * 8, 8 * 32, 32 * 8, 8, 8]
    expect(operationsOf([1], shape)).toBe(3 * products.reduce((sum, n) => sum + 2 * n, 0))
  })

  it('adds up over texts and over layers', () => {
    expect(operationsOf([5, 9], shape)).toBe(operationsOf([5], shape) + operationsOf([9], shape))
    expect(operationsOf([7], { ...shape, layers: 6 })).toBe(2 * operationsOf([7], shape))
  })
})

describe.skipIf(process.platform !== 'linux')('what a process and those it started use', () => {
  it('counts a child and what it holds, and leaves out one with a session of its own', async () => {
    const held = 64 * 2 ** 20
    const holder = `const held = Buffer.alloc(${held}, 1); console.log('held'); setInterval(() => held, 1000)`
    const program = `
      const { spawn } = require('node:child_process')
      for (const detached of [false, true]) {
        const child = spawn(process.execPath, ['-e', ${JSON.stringify(holder)}], { detached, stdio: ['ignore', 'pipe', 'ignore'] })
        child.stdout.on('data', data => process.stdout.write(data))
        process.on('exit', () => child.kill())
      }
      process.stdin.resume().on('end', () => process.exit())`
    const parent = spawn(process.execPath, ['-e', program])
    try {
      let words = ''
      while (words.split('held').length < 3) words += (await once(parent.stdout, 'data'))[0]
      const use = treeUse(parent.pid ?? 0)
      expect(use?.processes).toBe(2)
      expect(use?.bytes).toBeGreaterThan(held)
      expect(use?.peakBytes).toBeGreaterThanOrEqual(use?.bytes ?? Infinity)
      expect(use?.cpuSeconds).toBeGreaterThan(0)
    } finally {
      parent.stdin.end()
      await once(parent, 'close')
    }
    expect(treeUse(parent.pid ?? 0)).toBeUndefined()
  })
})

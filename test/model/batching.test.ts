// Batches: every row once, rows of one width together, within the limits, and none is forgotten.

import { describe, expect, it } from 'vitest'
import {
  type Limits,
  type Line,
  layOut,
  openLine,
  openPlainLine,
  type Taken,
  widthOf,
} from '../../lib/model/batching.ts'

// 2,000 lengths from 1 to 60 in no order, by a linear congruence, and a few giants among them.
const lengths = Array.from({ length: 2000 }, (_, i) => (i % 500 === 499 ? 900 : 1 + ((i * 7919 + 13) % 60)))

function limitsOf(places: number, rows = 10_000, fits: Limits['fits'] = () => true): Limits {
  return { places, rows, fits }
}

function lineOf(all: readonly number[], line: Line<string> = openLine(true, 1024)): Line<string> {
  for (const [row, length] of all.entries()) line.add('job', row, length)
  return line
}

function takeAll(line: Line<string>, limits: Limits): Taken<string>[] {
  const batches: Taken<string>[] = []
  for (let taken = line.take(limits); taken !== undefined; taken = line.take(limits)) batches.push(taken)
  return batches
}

describe('the width of a row', () => {
  it('is its length or a little more, and never less', () => {
    for (let length = 1; length <= 1024; length++) {
      expect(widthOf(length)).toBeGreaterThanOrEqual(length)
      expect(widthOf(length)).toBeLessThan(length * 1.0625)
    }
  })

  it('grows with the length, and is its own width', () => {
    for (let length = 1; length <= 1024; length++) {
      expect(widthOf(length + 1)).toBeGreaterThanOrEqual(widthOf(length))
      expect(widthOf(widthOf(length))).toBe(widthOf(length))
    }
  })

  it('takes few values, so that rows of one width meet', () => {
    expect(new Set(Array.from({ length: 256 }, (_, i) => widthOf(i + 1))).size).toBeLessThan(100)
  })
})

describe('the line', () => {
  const batches = takeAll(lineOf(lengths), limitsOf(1024))

  it('gives every row exactly once', () => {
    const rows = batches.flatMap(batch => batch.rows.map(row => row.row))
    expect(rows.sort((a, b) => a - b)).toEqual([...lengths.keys()])
    expect(lineOf([]).take(limitsOf(1024))).toBeUndefined()
  })

  it('puts rows of one width together, so that a row is always computed in the same width', () => {
    for (const { rows, columns } of batches) for (const row of rows) expect(widthOf(row.length)).toBe(columns)
  })

  it('wastes little on padding', () => {
    const real = lengths.reduce((sum, length) => sum + length, 0)
    const padded = batches.reduce((sum, batch) => sum + batch.rows.length * batch.columns, 0)
    expect(padded / real).toBeLessThan(1.02)
  })

  it('keeps within places and rows, but for a row that is over them alone', () => {
    for (const { rows, columns } of batches) expect(rows.length === 1 || rows.length * columns <= 1024).toBe(true)
    for (const { rows } of takeAll(lineOf(lengths), limitsOf(1024, 5))) expect(rows.length).toBeLessThanOrEqual(5)
    expect(takeAll(lineOf([900, 900]), limitsOf(512)).map(batch => batch.rows.length)).toEqual([1, 1])
  })

  it('makes no batch wider than the model takes', () => {
    const line = lineOf([510, 511, 514], openLine(true, 514))
    expect(takeAll(line, limitsOf(1024)).map(batch => batch.columns)).toEqual([512, 514])
  })

  it('asks what fits into memory, and always lets a single row through', () => {
    const fits = (rows: number, columns: number) => rows * columns ** 2 <= 10_000
    for (const { rows, columns } of takeAll(lineOf(lengths), limitsOf(1e9, 10_000, fits)))
      expect(rows.length === 1 || fits(rows.length, columns)).toBe(true)
  })

  it('fills batches before it takes rare widths', () => {
    const line = lineOf([70, ...Array.from({ length: 100 }, () => 10)])
    expect(line.take(limitsOf(320))).toMatchObject({ columns: 10 })
  })

  it('does not let a rare width wait for ever', () => {
    const line = lineOf([70])
    let taken: Taken<string> | undefined
    let added = 0
    for (; taken?.columns !== widthOf(70) && added < 100_000; added += 32) {
      for (let row = 0; row < 32; row++) line.add('job', row, 10)
      taken = line.take(limitsOf(320))
    }
    expect(taken?.columns).toBe(widthOf(70))
    expect(added).toBeLessThan(10_000)
  })

  it('takes rows of one width in the order they came', () => {
    const line = lineOf(Array.from({ length: 5000 }, () => 10))
    const rows = takeAll(line, limitsOf(320)).flatMap(batch => batch.rows.map(row => row.row))
    expect(rows).toEqual(Array.from({ length: 5000 }, (_, i) => i))
    expect(line.size()).toBe(0)
  })

  it('fills large batches with shorter rows where bits do not matter', () => {
    const mixed = takeAll(lineOf(lengths, openLine(false, 1024)), limitsOf(8192))
    expect(mixed.flatMap(batch => batch.rows)).toHaveLength(lengths.length)
    expect(mixed.length).toBeLessThan(takeAll(lineOf(lengths), limitsOf(8192)).length)
    for (const { rows, columns } of mixed) {
      expect(rows.length === 1 || rows.length * columns <= 8192).toBe(true)
      for (const row of rows) expect(row.length).toBeLessThanOrEqual(columns)
    }
  })

  it('is empty after it was cleared', () => {
    const line = lineOf(lengths)
    expect(line.size()).toBe(lengths.length)
    line.clear()
    expect(line.size()).toBe(0)
    expect(line.take(limitsOf(1024))).toBeUndefined()
  })
})

describe('the plain line', () => {
  it('takes a fixed number in the order they came, as wide as the longest', () => {
    const batches = takeAll(lineOf([5, 70, 3, 8, 1], openPlainLine()), limitsOf(8, 2))
    expect(batches.map(batch => [batch.rows.map(row => row.row), batch.columns])).toEqual([
      [[0, 1], 70],
      [[2, 3], 8],
      [[4], 1],
    ])
  })
})

describe('laying out', () => {
  it('pads rows with 0 and keeps their lengths', () => {
    const ids = [Int32Array.of(1, 2, 3), Int32Array.of(4, 5)]
    const rows = ids.map((of, row) => ({ job: 'job', row, length: of.length }))
    const batch = layOut({ rows, columns: 4 }, ({ row }) => ids[row])
    expect(batch.columns).toBe(4)
    expect([...batch.lengths]).toEqual([3, 2])
    expect([...batch.ids]).toEqual([1, 2, 3, 0, 4, 5, 0, 0])
  })
})

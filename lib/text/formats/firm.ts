// The ticker of a JSON record: its own, else the file's name, else the command line.
// Here because no vendor's file is any use without it, and the error should say all three ways.
// Leaves capital-iq.ts, whose firms have a number, to itself.

import { UserError } from '../../errors.ts'
import type { TextFile } from '../../files.ts'
import { type Given, tickerFrom } from '../transcript.ts'
import { firmAndQuarterOf } from './file-name.ts'

export function tickerOf(stated: string, file: TextFile, given: Given, place: string): string {
  const ticker = tickerFrom(stated || firmAndQuarterOf(file.path)?.ticker || given.firm || '')
  if (ticker !== '') return ticker
  throw new UserError(
    `${file.name}, ${place}: the record names no firm`,
    'add --firm TICKER, or name the file TICKER_q3_2024.json',
  )
}

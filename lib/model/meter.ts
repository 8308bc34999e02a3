// What the engine tells while it runs, and the figures that come of it: speed, padding, batches, memory, the card.
// Memory stays the same over any number of batches. Time is an argument, in milliseconds of any clock.
// Where the figures go (progress line, `runs`, the metrics file) is the caller's business.

import { count, thousands } from '../log.ts'
import type { CardReading } from './card.ts'

export type BatchRecord = {
  rows: number
  columns: number
  /** Real ones; the other places of rows × columns are padding. */
  tokens: number
  /** Inside the model. */
  seconds: number
}

export type Meter = {
  batch(record: BatchRecord, now: number): void
  outOfMemory(): void
  /** So many more texts were longer than the model reads. */
  tooLong(texts: number): void
  /** So many more sentences have their embedding. */
  sentences(done: number): void
  card(reading: CardReading, now: number): void
  figures(now: number): Figures
}

/** Shares are 0 to 1, memory is bytes. What nobody has told, or not lately, is null. */
export type Figures = {
  /** Since the start. */
  seconds: number
  sentences: number
  sentencesPerSecond: number
  tokens: number
  tokensPerSecond: number
  /** Over the last ten seconds, by rows of batches: a repeated sentence counts once, one cut in windows for each. */
  lately: { sentencesPerSecond: number; tokensPerSecond: number }
  /** Share of the places in batches that hold no token. */
  paddingShare: number
  batches: number
  batchSentencesMedian: number
  batchSentencesMost: number
  /** Padded ones, rows × columns, which is what time and memory go by. */
  batchTokensMedian: number
  batchTokensMost: number
  batchSecondsP50: number
  batchSecondsP95: number
  batchSecondsSum: number
  outOfMemory: number
  tooLong: number
  /** Share of the time in which the model ran. */
  modelBusyShare: number
  card: CardFigures | undefined
}

export type CardFigures = {
  name: string
  driver: string
  utilizationMean: number | null
  /** The seconds that the mean is of. */
  utilizationSeconds: number
  utilizationNow: number | null
  memoryMost: number
  memoryNow: number | null
  memoryTotal: number
  temperatureMost: number | null
  temperatureNow: number | null
  powerMean: number | null
  powerNow: number | null
  energyWattHours: number | null
}

// Long enough to even out batches, short enough that a person sees what a change does.
const LATELY = 10_000
// A reading older than this tells nothing of now: readings come every second, and a driver at work may hold one up.
const STALE = 30_000

export function openMeter(start: number): Meter {
  let sentences = 0
  let tokens = 0
  let places = 0
  let outOfMemory = 0
  let tooLong = 0
  const rows = openSpread(1, 1e8)
  const padded = openSpread(1, 1e8)
  const seconds = openSpread(1e-5, 1e4) // from the shipped model's one short text to hours
  const card = openCardMeter()

  // Where things stood, at most once a second of the last ten, the oldest just outside: the window is ten to eleven
  // seconds. Rows and not sentences, because these are done in bursts, when the last batch with one of a firm is back.
  const marks = [{ at: start, rows: 0, tokens: 0 }]
  function mark(now: number): void {
    if (now - marks[marks.length - 1].at >= 1000) marks.push({ at: now, rows: rows.sum(), tokens })
    while (marks.length > 1 && now - marks[1].at >= LATELY) marks.shift()
  }

  return {
    batch(record, now) {
      tokens += record.tokens
      places += record.rows * record.columns
      rows.add(record.rows)
      padded.add(record.rows * record.columns)
      seconds.add(record.seconds)
      mark(now)
    },
    outOfMemory() {
      outOfMemory++
    },
    tooLong(texts) {
      tooLong += texts
    },
    sentences(done) {
      sentences += done
    },
    card: card.see,
    figures(now) {
      mark(now)
      const elapsed = (now - start) / 1000
      const since = (now - marks[0].at) / 1000
      return {
        seconds: elapsed,
        sentences,
        sentencesPerSecond: ratio(sentences, elapsed),
        tokens,
        tokensPerSecond: ratio(tokens, elapsed),
        lately: {
          sentencesPerSecond: ratio(rows.sum() - marks[0].rows, since),
          tokensPerSecond: ratio(tokens - marks[0].tokens, since),
        },
        paddingShare: ratio(places - tokens, places),
        batches: seconds.count(),
        batchSentencesMedian: Math.round(rows.quantile(0.5)),
        batchSentencesMost: rows.most(),
        batchTokensMedian: Math.round(padded.quantile(0.5)),
        batchTokensMost: padded.most(),
        batchSecondsP50: seconds.quantile(0.5),
        batchSecondsP95: seconds.quantile(0.95),
        batchSecondsSum: seconds.sum(),
        outOfMemory,
        tooLong,
        modelBusyShare: ratio(seconds.sum(), elapsed),
        card: card.figures(now),
      }
    },
  }
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0
}

/** `least` and `most`: where values may lie; those outside count as the nearest of the two. */
function openSpread(least: number, most: number) {
  // Buckets whose bounds grow by 2 % and answer with their middle: a quantile is within 1 % of a value that was there,
  // whatever the values are, and whole numbers below 50 have a bucket each. A sample of the values would need chance,
  // and its error grows towards the ends. 930 buckets for eight powers of ten.
  const growth = 1.02
  const buckets = new Float64Array(1 + Math.ceil(Math.log(most / least) / Math.log(growth)))
  let count = 0
  let sum = 0
  let largest = 0
  return {
    add(value: number): void {
      const place = Math.ceil(Math.log(value / least) / Math.log(growth))
      buckets[Math.min(Math.max(place, 0), buckets.length - 1)]++
      count++
      sum += value
      largest = Math.max(largest, value)
    },
    /** The value that a share `q` of all values do not pass; 0 when there are none. */
    quantile(q: number): number {
      if (count === 0) return 0
      const rank = Math.max(1, Math.ceil(q * count))
      let place = 0
      for (let below = buckets[0]; below < rank; below += buckets[place]) place++
      return Math.min((least * 2 * growth ** place) / (growth + 1), largest)
    },
    count: () => count,
    sum: () => sum,
    most: () => largest,
  }
}

function openCardMeter() {
  let latest: { reading: CardReading; at: number } | undefined
  let memoryMost = 0
  let temperatureMost: number | null = null
  const utilization = openMean()
  const power = openMean()
  return {
    see(reading: CardReading, now: number): void {
      memoryMost = Math.max(memoryMost, reading.memoryUsed)
      if (reading.temperature !== null) temperatureMost = Math.max(temperatureMost ?? 0, reading.temperature)
      utilization.add(reading.utilization, now)
      power.add(reading.power, now)
      latest = { reading, at: now }
    },
    figures(now: number): CardFigures | undefined {
      if (latest === undefined) return undefined
      const { reading, at } = latest
      const fresh = now - at <= STALE
      return {
        name: reading.name,
        driver: reading.driver,
        utilizationMean: utilization.mean(),
        utilizationSeconds: utilization.seconds(),
        utilizationNow: fresh ? reading.utilization : null,
        memoryMost,
        memoryNow: fresh ? reading.memoryUsed : null,
        memoryTotal: reading.memoryTotal,
        temperatureMost,
        temperatureNow: fresh ? reading.temperature : null,
        powerMean: power.mean(),
        powerNow: fresh ? reading.power : null,
        energyWattHours: power.seconds() > 0 ? power.integral() / 3600 : null,
      }
    },
  }
}

/** A mean over time: a value stands for the time since the one before it, unless that is too long ago to know. */
function openMean() {
  let last: { value: number; at: number } | undefined
  let integral = 0
  let seconds = 0
  return {
    add(value: number | null, now: number): void {
      if (value === null) {
        last = undefined
        return
      }
      if (last !== undefined && now - last.at <= STALE) {
        integral += (value * (now - last.at)) / 1000
        seconds += (now - last.at) / 1000
      }
      last = { value, at: now }
    },
    mean: () => (seconds > 0 ? integral / seconds : (last?.value ?? null)),
    integral: () => integral,
    seconds: () => seconds,
  }
}

/** For the progress line: `1,240 sentences/s, 33k tokens/s, padding 2 %, card 91 %, 6.6 of 16.1 GB, 64 °C`. */
export function noteOf({ lately, paddingShare, batches, outOfMemory, card }: Figures): string {
  const parts = [`${thousands(lately.sentencesPerSecond)} sentences/s`, `${shortly(lately.tokensPerSecond)} tokens/s`]
  if (batches > 0) parts.push(`padding ${percent(paddingShare)}`)
  if (outOfMemory > 0) parts.push(`out of memory ${count(outOfMemory, 'time')}`)
  if (card !== undefined && card.utilizationNow !== null) parts.push(`card ${percent(card.utilizationNow)}`)
  if (card !== undefined && card.memoryNow !== null)
    parts.push(`${gigabytes(card.memoryNow)} of ${gigabytes(card.memoryTotal)} GB`)
  if (card !== undefined && card.temperatureNow !== null) parts.push(`${card.temperatureNow} °C`)
  return parts.join(', ')
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

/** Thousand millions, as cards are sold: the 15,360 MiB of a T4 are its "16 GB". */
export function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1)
}

function shortly(n: number): string {
  return n < 10_000 ? thousands(n) : `${thousands(n / 1000)}k`
}

/** For `runs.counts`: what a comparison of runs goes by, with as many digits as are worth keeping. */
export function countsOf(figures: Figures): Record<string, number | string> {
  const { card } = figures
  const counts: Record<string, number | string | null | undefined> = {
    sentences: figures.sentences,
    sentencesPerSecond: rounded(figures.sentencesPerSecond, 1),
    tokens: figures.tokens,
    tokensPerSecond: rounded(figures.tokensPerSecond, 0),
    paddingShare: rounded(figures.paddingShare, 4),
    batches: figures.batches,
    batchSentencesMedian: figures.batchSentencesMedian,
    batchSentencesMost: figures.batchSentencesMost,
    batchTokensMedian: figures.batchTokensMedian,
    batchTokensMost: figures.batchTokensMost,
    batchSecondsP50: rounded(figures.batchSecondsP50, 5),
    batchSecondsP95: rounded(figures.batchSecondsP95, 5),
    modelBusyShare: rounded(figures.modelBusyShare, 3),
    outOfMemory: figures.outOfMemory,
    tooLong: figures.tooLong,
    card: card?.name,
    cardDriver: card?.driver,
    cardUtilization: rounded(card?.utilizationMean, 3),
    cardMemoryMost: card?.memoryMost,
    cardMemoryTotal: card?.memoryTotal,
    cardTemperatureMost: card?.temperatureMost,
    cardPower: rounded(card?.powerMean, 1),
    cardWattHours: rounded(card?.energyWattHours, 3),
  }
  return Object.fromEntries(
    Object.entries(counts).filter((entry): entry is [string, number | string] => entry[1] != null),
  )
}

function rounded(value: number | null | undefined, digits: number): number | null {
  return value == null ? null : Number(value.toFixed(digits))
}

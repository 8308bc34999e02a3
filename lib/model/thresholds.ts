// What is worth a word while a run goes on: a card that starves or fills up, slow batches, a day's money, no memory.
// Each is said once a run, with what to do. docs/monitoring has the same limits as rules for Prometheus.
// Pure: figures and times in, words out; who prints them is the caller's business.

import { count } from '../log.ts'
import { DOCUMENT_TOKENS } from './batch-budget.ts'
import { type CardFigures, type Figures, gigabytes, percent } from './meter.ts'

export const LIMITS = {
  /** Busier than this is the aim, so it is a remark and no warning. */
  cardFull: { utilization: 0.9, seconds: 600 },
  cardStarved: { utilization: 0.4, seconds: 300 },
  cardMemory: { share: 0.85, seconds: 300 },
  /** Of one batch in twenty. Not before there have been a hundred: the first of each size also compile and reserve. */
  slowBatches: { seconds: 1, batches: 100 },
} as const

export type Dollars = {
  /** What this machine costs; absent: nothing is known of money. */
  perHour: number | undefined
  perDay: number | undefined
  /** By earlier runs of today. */
  soFarToday: number
}

/** `today` counts at most a day of this run: what it cost before that was another day's money. */
export type Cost = { run: number; today: number; limit: number | undefined }

export function costOf(dollars: Dollars, seconds: number): Cost | undefined {
  if (dollars.perHour === undefined) return undefined
  const hours = seconds / 3600
  return {
    run: hours * dollars.perHour,
    today: dollars.soFarToday + Math.min(hours, 24) * dollars.perHour,
    limit: dollars.perDay,
  }
}

export type Warning = {
  about: 'card full' | 'card starved' | 'card memory' | 'slow batches' | 'cost' | 'out of memory'
  /** Good to know, nothing to do. */
  good: boolean
  text: string
}

/** `see` wants figures every few seconds, and gives back what has just become worth saying. */
export type Thresholds = { see(figures: Figures, now: number): Warning[] }

export function openThresholds(dollars: Dollars): Thresholds {
  const said = new Set<Warning['about']>()
  const full = openRecentMean(LIMITS.cardFull.seconds)
  const starved = openRecentMean(LIMITS.cardStarved.seconds)
  let memoryHighSince: number | undefined

  function* crossed(figures: Figures, now: number): Generator<Warning> {
    const { card, outOfMemory } = figures
    if (card !== undefined) {
      const mostly = full(card)
      if (mostly !== undefined && mostly > LIMITS.cardFull.utilization)
        yield {
          about: 'card full',
          good: true,
          text:
            `the card was ${percent(mostly)} busy over the last ${minutes(LIMITS.cardFull.seconds)}: ` +
            'it sets the speed, as it should',
        }
      const hardly = starved(card)
      if (hardly !== undefined && hardly < LIMITS.cardStarved.utilization)
        yield { about: 'card starved', good: false, text: starvedText(hardly, figures) }

      const high = card.memoryNow !== null && card.memoryNow > LIMITS.cardMemory.share * card.memoryTotal
      memoryHighSince = high ? (memoryHighSince ?? now) : undefined
      if (memoryHighSince !== undefined && now - memoryHighSince >= LIMITS.cardMemory.seconds * 1000)
        yield {
          about: 'card memory',
          good: false,
          text:
            `the card's memory was over ${percent(LIMITS.cardMemory.share)} full for ` +
            `${minutes(LIMITS.cardMemory.seconds)} (${gigabytes(card.memoryNow ?? 0)} of ` +
            `${gigabytes(card.memoryTotal)} GB)` +
            '; see what else is on it: nvidia-smi; or let batches take less: export QUARTERDECK_BATCH_MEMORY=70',
        }
    }
    if (figures.batches >= LIMITS.slowBatches.batches && figures.batchSecondsP95 > LIMITS.slowBatches.seconds)
      yield {
        about: 'slow batches',
        good: false,
        text:
          `one batch in twenty takes ${figures.batchSecondsP95.toFixed(1)} s or more (wanted: at most ` +
          `${LIMITS.slowBatches.seconds} s); smaller ones: export QUARTERDECK_BATCH_MOST=${smallerMost(figures)}`,
      }
    const cost = costOf(dollars, figures.seconds)
    if (cost?.limit !== undefined && cost.today > cost.limit)
      yield {
        about: 'cost',
        good: false,
        text:
          `embedding has cost $${cost.today.toFixed(2)} today, over the limit of $${cost.limit.toFixed(2)}; it goes ` +
          'on. To end it: Ctrl-C; what is done is kept, and the same command goes on from there',
      }
    if (outOfMemory > 0)
      yield {
        about: 'out of memory',
        good: false,
        text:
          `memory ran out ${count(outOfMemory, 'time')}; the batch is cut in two and run again, and nothing is lost. ` +
          'If it happens often: export QUARTERDECK_BATCH_MEMORY=70',
      }
  }

  return {
    see(figures, now) {
      const fresh = [...crossed(figures, now)].filter(warning => !said.has(warning.about))
      for (const { about } of fresh) said.add(about)
      return fresh
    },
  }
}

function starvedText(utilization: number, { modelBusyShare, batchTokensMost }: Figures): string {
  const { seconds, utilization: wanted } = LIMITS.cardStarved
  const fact =
    `the card was ${percent(utilization)} busy over the last ${minutes(seconds)} (wanted: ${percent(wanted)} or more)` +
    `, and the model ran ${percent(modelBusyShare)} of the time: `
  // The model waits less than half of the time, so it is not what comes before or after it that keeps the card waiting.
  if (modelBusyShare > 0.5)
    return (
      `${fact}its batches are too small for this card; start with larger ones: ` +
      `export QUARTERDECK_BATCH_START=${2 * documents(batchTokensMost)}`
    )
  return (
    `${fact}it waits for the database or the tokenizer; see which has no core left: top; ` +
    'then move the database nearer, or take a machine with more cores'
  )
}

/** Half the largest batch. On a CPU the setting is for each thread: half of what it starts with there. */
function smallerMost({ card, batchTokensMost }: Figures): number {
  return card === undefined ? 16 : Math.ceil(documents(batchTokensMost) / 2)
}

/** In the unit of the settings. */
function documents(tokens: number): number {
  return Math.ceil(tokens / DOCUMENT_TOKENS)
}

function minutes(seconds: number): string {
  return `${seconds / 60} min`
}

/**
 * The card's utilisation over the last `seconds`, from the mean over the whole run, so that it does not matter when
 * this is asked: a card that is looked at only between two batches would always seem idle. Undefined until watched so long.
 */
function openRecentMean(seconds: number): (card: CardFigures) => number | undefined {
  // At most one mark a second, and the oldest of them just outside.
  const marks = [{ seconds: 0, integral: 0 }]
  return card => {
    const now = { seconds: card.utilizationSeconds, integral: (card.utilizationMean ?? 0) * card.utilizationSeconds }
    if (now.seconds - marks[marks.length - 1].seconds >= 1) marks.push(now)
    while (marks.length > 1 && now.seconds - marks[1].seconds >= seconds) marks.shift()
    const since = now.seconds - marks[0].seconds
    return since >= seconds ? (now.integral - marks[0].integral) / since : undefined
  }
}

// What machines with and without a card cost by the hour: the dated table in data/prices, read and put together. For `plan`,
// whose arithmetic is plan.ts; what a spot instance costs at this minute the cloud itself says (ec2.ts).

import { readFileSync } from 'node:fs'

export type Provider = 'AWS' | 'Google' | 'Azure'

export type Card = {
  name: string
  /** Memory of one card, in GB. */
  gigabytes: number
  gigabytesPerSecond: number
  /** Float32 without TF32, as the makers print it. */
  teraflops: number
  /** CUDA's compute capability. */
  capability: number
}

export type Instance = {
  provider: Provider
  region: string
  name: string
  card: Card | undefined
  cards: number
  vcpu: number
  /** Of the machine's own memory. */
  gigabytes: number
  /** Dollars an hour. */
  onDemand: number
  /** Dollars an hour: of the day of `date` where it is known, else the dear end of what its provider's discounts give. */
  spot: number
  spotKnown: boolean
  /** The day of which the prices are. */
  date: string
  source: string
}

type Table = {
  sources: Record<string, string>
  cards: Record<string, Omit<Card, 'name'>>
  /** Least and most, as shares of the price on demand. */
  spotDiscount: Record<Provider, [number, number]>
  instances: (Omit<Instance, 'card' | 'spot' | 'spotKnown'> & { card: string | null; spot: number | null })[]
}

const FILE = new URL('../../data/prices/prices.json', import.meta.url)

export function readPrices(): Instance[] {
  const table = JSON.parse(readFileSync(FILE, 'utf8')) as Table
  return table.instances.map(row => ({
    ...row,
    card: row.card === null ? undefined : { name: row.card, ...table.cards[row.card] },
    spot: row.spot ?? row.onDemand * (1 - table.spotDiscount[row.provider][0]),
    spotKnown: row.spot !== null,
    source: table.sources[row.source],
  }))
}

// Half a year: AWS lowered the A100 by a third and the H100 by 44 % within one (June 2025).
const OLD_DAYS = 180

export type Age = { oldest: string; newest: string; days: number; old: boolean }

/** The days of these prices, and whether the oldest are so old that one should look before one rents. */
export function ageOfPrices(prices: readonly { date: string }[], now: Date): Age {
  const dates = prices.map(({ date }) => date).sort()
  const [oldest = '', newest = ''] = [dates[0], dates.at(-1)]
  const days = Math.floor((now.getTime() - Date.parse(oldest)) / 86_400_000)
  return { oldest, newest, days, old: days > OLD_DAYS }
}

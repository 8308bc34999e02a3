// What a database on RDS costs while it rests, so that nobody takes "stopped" for "free". Storage only: its hours are not billed
// then. Prices change and differ by region; each text that shows one says whose it is.

import { GP3_CHOOSES_SPEED_BELOW_GIGABYTES } from './rds-settings.ts'

// RDS for PostgreSQL, one zone (aws.amazon.com/rds/postgresql/pricing): a gigabyte and a month, and what is provisioned.
export const WHOSE_PRICES = 'prices of us-east-1 in June 2026'
const GIGABYTE: Record<string, number> = { gp2: 0.115, gp3: 0.115, io1: 0.125, io2: 0.125, standard: 0.1 }
const PROVISIONED_OPERATION = 0.1 // io1, io2: one a second, for a month
const GP3_OPERATION = 0.02 // the same above what gp3 includes
const GP3_MEGABYTE = 0.08 // one a second, for a month
const BACKUP_GIGABYTE = 0.095
// A dedicated log volume: RDS chooses its size, and bills it like the rest of the storage (its guide, "Dedicated log volume").
const LOG_VOLUME = { gigabytes: 1000, operations: 3000 }

// What gp3 includes for Postgres; from the size on at which RDS stripes it over four volumes, four times that.
const GP3_INCLUDES = { operations: 3000, megabytes: 125 }
const GP3_STRIPES = 4

export type Storage = {
  gigabytes: number
  storageType: string
  operations: number
  megabytes: number
  /** A second volume, for the log of the database alone. */
  logVolume: boolean
  /** Stored twice, and billed twice. */
  multiAz: boolean
}

/** Dollars a month for the storage of an instance, running or stopped; undefined for a kind that is not in the list. */
export function dollarsOfStorage(storage: Storage): number | undefined {
  const { gigabytes, storageType, operations, megabytes, logVolume, multiAz } = storage
  const price = GIGABYTE[storageType]
  if (price === undefined) return undefined
  const zones = multiAz ? 2 : 1
  const log = logVolume ? LOG_VOLUME.gigabytes * price + LOG_VOLUME.operations * PROVISIONED_OPERATION : 0
  return zones * (gigabytes * price + dollarsOfSpeed() + log)

  function dollarsOfSpeed(): number {
    if (storageType.startsWith('io')) return operations * PROVISIONED_OPERATION
    if (storageType !== 'gp3') return 0
    const times = gigabytes < GP3_CHOOSES_SPEED_BELOW_GIGABYTES ? 1 : GP3_STRIPES
    return (
      Math.max(0, operations - times * GP3_INCLUDES.operations) * GP3_OPERATION +
      Math.max(0, megabytes - times * GP3_INCLUDES.megabytes) * GP3_MEGABYTE
    )
  }
}

/** Dollars a month for a snapshot at the most: only what is written on is billed, and no one says how much that is. */
export function mostDollarsOfSnapshot(gigabytes: number): number {
  return gigabytes * BACKUP_GIGABYTE
}

export function aMonth(dollars: number): string {
  return `$${dollars.toFixed(2)} a month`
}

// A transaction that is begun again when it met another one: on a busy server two processes may lock the same rows in two
// orders, Postgres ends one of them, and that one only has to try again.

import type { Database, Queries } from './connect.ts'

// deadlock_detected, serialization_failure, and foreign_key_violation: what a row was to point at went while it was written.
// Nothing was written, and trying again is the cure.
const TRY_AGAIN = ['40P01', '40001', '23503']
// The loser of one deadlock may lose a second one; a fifth time something else is wrong.
const ATTEMPTS = 5

/** Runs `work` in a transaction; it must begin from nothing each time it is called. */
export async function transaction<Result>(sql: Database, work: (tx: Queries) => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await sql.begin(work)) as Result
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (!TRY_AGAIN.includes(code) || attempt === ATTEMPTS) throw error
    }
  }
}

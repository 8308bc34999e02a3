// A transaction that is begun again when the server chose it as the victim of a deadlock: on a busy server two processes
// may lock the same rows in two orders, Postgres ends one of them, and that one only has to try again.

import type { Database, Queries } from './connect.ts'

// deadlock_detected and serialization_failure, by Postgres' own names: nothing was written, and trying again is the cure.
const TRY_AGAIN = ['40P01', '40001']
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

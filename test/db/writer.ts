// A client for the kill tests of embedded.test.ts, a process of its own: `writer.ts HOME FIRST`.
// Writes one number after the other, each in a transaction of two rows, and sends each to its parent once it is committed.

import { connect } from '../../lib/db/connect.ts'
import { DatabaseLost } from '../../lib/errors.ts'

const [home, first] = process.argv.slice(2)
try {
  const sql = await connect({ home, databaseUrl: undefined })
  for (let number = Number(first); ; number++) {
    await sql.begin(async tx => {
      await tx`insert into numbers values (${number}, 'a')`
      await tx`insert into numbers values (${number}, 'b')`
    })
    process.send?.(number)
  }
} catch (error) {
  process.exit(error instanceof DatabaseLost ? 75 : 1)
}

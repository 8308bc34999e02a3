// A client for the stress test of embedded.test.ts, a process of its own: `stress.ts HOME NAME ROUNDS`.
// Each round asks a question whose answer it knows, and moves money between accounts in a transaction; every fifth round
// rolls back. It sends what went wrong, and how many transactions it committed, to its parent.

import { setTimeout as sleep } from 'node:timers/promises'
import { connect, disconnect } from '../../lib/db/connect.ts'

const [home, name, rounds] = process.argv.slice(2)
const sql = await connect({ home, databaseUrl: undefined })
const wrong: string[] = []
let committed = 0
for (let round = 0; round < Number(rounds); round++) {
  const [answer] = await sql<{ name: string; round: number }[]>`select ${name}::text as name, ${round}::int as round`
  if (answer.name !== name || answer.round !== round) wrong.push(`round ${round}: ${JSON.stringify(answer)}`)
  const from = 1 + (round % 10)
  const to = 1 + (from % 10)
  try {
    await sql.begin(async tx => {
      await tx`select money from accounts where id = ${from} for update`
      if (round % 7 === 0) await sleep(3) // others come while this transaction is open and silent
      await tx`update accounts set money = money - 1 where id = ${from}`
      await tx`update accounts set money = money + 1 where id = ${to}`
      await tx`insert into ledger values (${name}, ${round})`
      if (round % 5 === 0) throw new Error('changed my mind')
    })
    committed++
  } catch (error) {
    if ((error as Error).message !== 'changed my mind') wrong.push(`round ${round}: ${error}`)
  }
}
await disconnect(sql)
process.send?.({ committed, wrong })
process.disconnect?.()

// Keeps the model busy: takes batches from the line, has the next ones waiting at the model, hands vectors on. When memory
// runs out (then in halves), or the model's process dies, it puts a new process in its place and runs again what was in hand:
// no row is lost and none is handed on twice. What rows are and where vectors go is the embedder's.

import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, UserError } from '../errors.ts'
import { count, warn } from '../log.ts'
import type { Budget } from './batch-budget.ts'
import { type Batch, type Line, layOut, type Taken, type Waiting } from './batching.ts'
import { type Answer, ModelDied, type ModelProcess, OutOfMemory } from './onnx-process.ts'

export type RunnerOptions<Job> = {
  model: ModelProcess
  /** Another process with the same model, in place of one that is of no more use. */
  reopen(): Promise<ModelProcess>
  line: Line<Job>
  budget: Budget
  idsOf(row: Waiting<Job>): Int32Array
  onVectors(rows: readonly Waiting<Job>[], vectors: Float32Array): void
  onBatch(batch: Batch, answer: Answer): void
  onOutOfMemory(): void
  /** There is no way on: nothing more will come. */
  onFailure(error: unknown): void
}

export type Runner = {
  /** Call it when rows were added to the line. */
  go(): void
  close(): Promise<void>
}

// Batches at the model at once: one that runs and three that wait in its pipe. The shipped model takes milliseconds a batch,
// while this thread may be held for 30 by tokenizing or by rows for the database.
const AHEAD = 4
// A process that dies without a word of memory may have met a fault of the driver, once. Twice the same is no accident.
const DEATHS_IN_A_ROW = 2
// Under a container's limit a process may be killed while it loads, as long as its predecessor's memory is not yet free.
const OPENINGS_IN_A_ROW = 5
const PAUSE_MILLISECONDS = 500

export function openRunner<Job>(options: RunnerOptions<Job>): Runner {
  const { line, budget } = options
  let model = options.model
  /** At the model, in the order in which it answers. */
  let flights: Taken<Job>[] = []
  let again: Taken<Job>[] = []
  let recovering: Promise<void> | undefined
  let ended = false
  let deaths = 0
  let alone = 0

  function go(): void {
    while (recovering === undefined && !ended && flights.length < AHEAD) {
      const taken = again.shift() ?? line.take(budget.limits())
      if (taken === undefined) return
      fly(taken)
    }
  }

  async function fly(taken: Taken<Job>): Promise<void> {
    flights.push(taken)
    const batch = layOut(taken, options.idsOf)
    // Not among the flights any more: another one failed, and this one's rows are in line to be run again.
    const isOver = () => ended || !flights.includes(taken)
    try {
      const answer = await model.run(batch)
      if (isOver()) return
      flights = flights.filter(one => one !== taken)
      deaths = 0
      alone = 0
      budget.done(batch.ids.length, answer.seconds)
      options.onBatch(batch, answer)
      options.onVectors(taken.rows, answer.vectors)
      go()
    } catch (error) {
      if (isOver()) return
      recovering = recover(error).catch(end)
      await recovering
      recovering = undefined
      go()
    }
  }

  /** The first in flight is the one that failed: the model answers in order. */
  async function recover(error: unknown): Promise<void> {
    const [failed, ...others] = flights
    const memory = error instanceof OutOfMemory
    // An error that the model answered with would come again.
    if (!memory && !(error instanceof ModelDied)) throw error
    if (!memory && ++deaths >= DEATHS_IN_A_ROW) throw diedAgain(error)
    if (memory) {
      const { rows, columns } = failed
      if (rows.length === 1 && ++alone >= DEATHS_IN_A_ROW) throw tooLargeAlone(columns, error)
      budget.outOfMemory(rows.length, rows.length * columns)
      options.onOutOfMemory()
      warn(`the model ran out of memory over ${count(rows.length, 'text')} of ${columns} tokens; going on with half`)
    }
    flights = []
    // What flew behind it was cut to the same measure, and would fail as well.
    const places = memory ? Math.ceil(failed.rows.length / 2) * failed.columns : Infinity
    again = [failed, ...others, ...again].flatMap(taken => piecesOf(taken, places))
    await model.close()
    if (ended) return
    const next = await reopen()
    if (ended) await next.close()
    else model = next
  }

  /** What took the memory may be about to give it back: a pause, and another try. */
  async function reopen(): Promise<ModelProcess> {
    for (let tries = 1; ; tries++) {
      try {
        return await options.reopen()
      } catch (error) {
        if (error instanceof UserError || ended) throw error
        if (tries === OPENINGS_IN_A_ROW)
          throw new UserError(
            `the model cannot be loaded again (${tries} tries): ${messageOf(error)}`,
            'free memory and run the same command again; what was embedded so far is kept',
            { cause: error },
          )
        await sleep(PAUSE_MILLISECONDS * tries)
      }
    }
  }

  function end(error: unknown): void {
    ended = true
    flights = []
    again = []
    line.clear()
    options.onFailure(error)
  }

  return {
    go,
    async close() {
      if (!ended) end(new Error('the model was closed'))
      await recovering // or the process that it is about to open would be left behind
      await model.close()
    },
  }
}

/** Batches of the same width, so that no vector changes by it, of at most so many places; a row is never cut. */
function piecesOf<Job>({ rows, columns }: Taken<Job>, places: number): Taken<Job>[] {
  const most = Math.max(1, Math.floor(places / columns))
  const pieces: Taken<Job>[] = []
  for (let first = 0; first < rows.length; first += most)
    pieces.push({ rows: rows.slice(first, first + most), columns })
  return pieces
}

function diedAgain(error: Error): UserError {
  return new UserError(
    `${error.message} (${DEATHS_IN_A_ROW} times in a row)`,
    'run the same command again; if it ends like this again, --device cpu; what was embedded so far is kept',
    { cause: error },
  )
}

function tooLargeAlone(columns: number, error: Error): UserError {
  return new UserError(
    `the model runs out of memory over a single text of ${columns} tokens: ${error.message}`,
    'free memory, take a smaller model, or QUARTERDECK_THREADS=1; what was embedded so far is kept',
    { cause: error },
  )
}

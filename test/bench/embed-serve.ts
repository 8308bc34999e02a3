// What the peers of the embedding bench have in common: a process that gets texts, embeds them as often as it is asked,
// and says how long it took. Here so that all are timed alike: from texts in memory to vectors in memory.

import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** A line asks for one of the two: take the texts of a file (JSON), or embed them, the vectors into a file or nowhere. */
export type Request = { texts: string } | { out: string | null }
export type Ran = { vectors?: Float32Array | undefined; more?: object }

/** `load` does what need not be timed; what it gives back is run with each request. */
export async function serve(versions: string, load: (texts: string[]) => Promise<() => Promise<Ran>>): Promise<void> {
  answer({ versions })
  let run: (() => Promise<Ran>) | undefined
  for await (const line of createInterface({ input: process.stdin })) {
    const request: Request = JSON.parse(line)
    if ('texts' in request) {
      run = await load(JSON.parse(readFileSync(request.texts, 'utf8')))
      answer({})
      continue
    }
    if (run === undefined) throw new Error('embed before there are texts')
    const start = performance.now()
    const { vectors, more } = await run()
    const seconds = (performance.now() - start) / 1000
    if (request.out !== null && vectors !== undefined) writeFileSync(request.out, vectors)
    answer({ seconds, ...more })
  }
}

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

// The process in which the model runs: opens the session it is told to, then answers one message after the other.
// Its other half is onnx-process.ts. It ends when that one's process is gone, and by nothing else: Ctrl-C in the terminal
// and a SIGTERM by systemd or Slurm reach both, and what that means is for the other to decide.

import { messageOf, UserError } from '../errors.ts'
import { openSession, type Session } from './onnx.ts'
import type { Refused, Reply, Request } from './onnx-process.ts'
import { saysOutOfMemory } from './out-of-memory.ts'

let session: Session | undefined
let before: Promise<void> = Promise.resolve()

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})
// At once, whatever is still in line: nobody waits for it, and a rerun wants the memory.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// One after the other, so that the seconds of a batch are its own.
process.on('message', (request: Request) => {
  before = before.then(() => handle(request))
})

async function handle(request: Request): Promise<void> {
  try {
    if ('open' in request) {
      session = await openSession(request.open)
      globalThis.gc?.() // the file's bytes: m, MiniLM, 430 MB with them, 250 without
      answer({ dimension: session.dimension, residentBytes: process.memoryUsage.rss() })
    } else if (session !== undefined) {
      const start = performance.now()
      const vectors = await session.run(request.batch)
      const seconds = (performance.now() - start) / 1000
      answer({ call: request.call, vectors, seconds, residentBytes: process.memoryUsage.rss() })
    }
  } catch (error) {
    answer('call' in request ? { call: request.call, ...refusal(error) } : refusal(error))
  }
}

function answer(reply: Reply): void {
  process.send?.(reply, () => {}) // who does not listen any more is gone, and this process with it
}

function refusal(error: unknown): Refused {
  const text = messageOf(error)
  return {
    error: text,
    hint: error instanceof UserError ? error.hint : undefined,
    outOfMemory: saysOutOfMemory(text),
  }
}

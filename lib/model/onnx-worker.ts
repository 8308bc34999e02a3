// The thread in which the model runs: opens the session, then answers one message after the other.
// Exists because onnxruntime-node blocks its thread; the main thread goes on tokenizing, writing and showing progress.
// Its other half is onnx-thread.ts.

import { parentPort, workerData } from 'node:worker_threads'
import { messageOf, UserError } from '../errors.ts'
import { openSession, type SessionOptions } from './onnx.ts'
import type { Opened, Refused, Reply, Request } from './onnx-thread.ts'

async function serve(options: SessionOptions): Promise<void> {
  if (parentPort === null) throw new Error('onnx-worker.ts runs as a worker thread only')
  const port = parentPort
  const session = await openSession(options)
  port.on('message', async ({ call, batch }: Request) => {
    try {
      const vectors = await session.run(batch)
      port.postMessage({ call, vectors } satisfies Reply, [vectors.buffer as ArrayBuffer])
    } catch (error) {
      port.postMessage({ call, ...refusal(error) } satisfies Reply)
    }
  })
  port.postMessage({ dimension: session.dimension } satisfies Opened)
}

function refusal(error: unknown): Refused {
  return { error: messageOf(error), hint: error instanceof UserError ? error.hint : undefined }
}

serve(workerData as SessionOptions).catch(error => parentPort?.postMessage(refusal(error)))

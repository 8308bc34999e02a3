// The way into a TypeScript file for a worker thread: Node 20 runs no TypeScript, and a loader given to the parent, or
// with `--import`, does not reach threads. A thread started with this file goes on in `workerData.file`; the pool
// (pool.ts) loads it in its own threads and calls `call`.
import { workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
if (workerData?.file) await import(workerData.file)

/** Calls an exported function of a module with a job. */
export async function call({ module, name, job }) {
  return await (await import(module))[name](job)
}

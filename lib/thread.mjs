// The way into a TypeScript file for a worker thread: Node 20 runs no TypeScript, and a loader given to the parent, or
// with `--import`, does not reach threads. A thread started with this file goes on in `workerData.file`; the threads of
// the pool begin with pool-thread.mjs, which imports this one.
import { workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
if (workerData?.file) await import(workerData.file)

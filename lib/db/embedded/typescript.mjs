// The way into a TypeScript file for a thread: Node 20 runs no TypeScript, and a loader given with `--import` does not
// reach threads. `workerData.file` is the URL of the file.
import { workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
await import(workerData.file)

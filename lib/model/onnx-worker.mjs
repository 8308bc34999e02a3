// The first two lines of the model's thread: switch TypeScript on, then go on in onnx-worker.ts.
// As bin/quarterdeck.mjs; on Node 20 neither the parent's loader nor `--import tsx` reaches a worker thread.
import { register } from 'tsx/esm/api'

register()
await import('./onnx-worker.ts')

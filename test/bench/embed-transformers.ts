// transformers.js as a peer of the embedding bench, in default use: an array of texts goes into the pipeline for feature
// extraction, 32 at a time in their order, padded by itself. One batch in `every` is run, for time's sake: it is the
// slowest, and its batches are alike. In a process of its own; settings come as JSON. Started by peers.ts.

import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../run.ts'
import { serve } from './embed-serve.ts'

// The package is not among the product's (setup-transformers-js.sh), so its types are not there: what is used of them.
type Pipe = (texts: string[], options: { pooling: 'mean'; normalize: true }) => Promise<{ data: Float32Array }>
type Library = {
  env: { version: string; allowRemoteModels: boolean; localModelPath: string }
  pipeline(task: 'feature-extraction', model: string, options: { dtype: 'fp32' | 'q8' }): Promise<Pipe>
}

const { model, dtype, every }: { model: string; dtype: 'fp32' | 'q8'; every: number } = JSON.parse(process.argv[2])
// What users of it most often give, and its own examples' order of size.
const BATCH = 32

const require = createRequire(join(root, '.venv-bench-node/'))
const { env, pipeline }: Library = await import(pathToFileURL(require.resolve('@huggingface/transformers')).href)
env.allowRemoteModels = false
env.localModelPath = dirname(model)
const pipe = await pipeline('feature-extraction', basename(model), { dtype })

await serve(`@huggingface/transformers ${env.version}`, async texts => async () => {
  const starts = texts.map((_, i) => i).filter(i => i % (BATCH * every) === 0)
  const vectors: Float32Array[] = []
  let embedded = 0
  for (const start of starts) {
    const batch = texts.slice(start, start + BATCH)
    vectors.push((await pipe(batch, { pooling: 'mean', normalize: true })).data)
    embedded += batch.length
  }
  const places = starts.flatMap(start => texts.slice(start, start + BATCH).map((_, i) => start + i))
  return { vectors: concatenated(vectors), more: { embedded, places } }
})

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

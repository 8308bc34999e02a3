// The bare session, the limit of what a program around onnxruntime can reach: the texts tokenized, sorted by length and
// laid out in the best batches before the clock starts; what is timed is session.run and nothing else. Once as the file is
// (every token's vector leaves the session) and once with the pooling in the graph (one vector a text does).

import { readFileSync } from 'node:fs'
import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import { appendPooling, POOLED_OUTPUT } from '../../lib/model/graph-pooling.ts'
import { bestBatches } from './embed-lengths.ts'
import { serve } from './embed-serve.ts'

export type BareSettings = {
  modelFile: string
  tokenizerFile: string
  maxTokens: number
  threads: number
  pooled: boolean
}

const { modelFile, tokenizerFile, maxTokens, threads, pooled }: BareSettings = JSON.parse(process.argv[2])
const bytes = readFileSync(modelFile)
const model = pooled ? appendPooling(bytes, 'mean') : bytes
if (model === undefined) throw new Error(`no pooling can be appended to ${modelFile}`)
// All else as the library comes: threads that wait spin, which is the fastest where nothing else wants the core.
const session = await InferenceSession.create(model, { intraOpNumThreads: threads })
const output = pooled ? POOLED_OUTPUT : 'last_hidden_state'

await serve(`onnxruntime-node ${env.versions.node}`, async texts => {
  const batches = await bestBatches(texts, tokenizerFile, maxTokens, threads)
  const feeds = batches.map(({ ids, mask, rows, columns }) => ({
    input_ids: new Tensor('int64', ids, [rows, columns]),
    attention_mask: new Tensor('int64', mask, [rows, columns]),
    token_type_ids: new Tensor('int64', new BigInt64Array(ids.length), [rows, columns]),
  }))
  return async () => {
    const answers: Float32Array[] = []
    for (const feed of feeds) {
      const { data } = (await session.run(feed, [output]))[output]
      if (pooled) answers.push(data as Float32Array)
    }
    return {
      vectors: pooled
        ? inOrder(
            answers,
            batches.map(batch => batch.places),
            texts.length,
          )
        : undefined,
    }
  }
})
await session.release()

/** The rows of all batches where their texts stood: some microseconds, so it need not be kept from the clock. */
function inOrder(answers: readonly Float32Array[], places: readonly number[][], n: number): Float32Array {
  const d = answers[0].length / places[0].length
  const all = new Float32Array(n * d)
  for (const [i, answer] of answers.entries())
    for (const [row, place] of places[i].entries()) all.set(answer.subarray(row * d, (row + 1) * d), place * d)
  return all
}

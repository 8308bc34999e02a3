// A process that embeds the same texts with the shipped model and says what came of it, as one line of JSON: for tests that
// limit its memory or kill its model. The first word is how many documents batches begin with.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { openMeter } from '../../lib/model/meter.ts'
import { readSettings } from '../../lib/settings.ts'
import { processesBelow } from '../processes.ts'

const [documents] = process.argv.slice(2).map(Number)
const meter = openMeter(performance.now())
const embedder = await openEmbedder({
  model: 'earnings-static-256',
  threads: 2,
  meter,
  batches: { ...readSettings({}).batches, start: documents, most: documents },
})
// 600 different texts of over a thousand tokens each, all cut to the same width: batches as large as they may be.
const texts = Array.from(
  { length: 600 },
  (_, i) => `${i} ${'freight rates rose and margins fell in the quarter '.repeat(140)}`,
)
let heard = 0
const { vectors, tokens } = await embedder.embed(texts, {
  onProgress: more => {
    heard += more
  },
})
const models = processesBelow(process.pid).filter(one => one.command.includes('onnx-child.ts'))
const pids = [process.pid, ...models.map(one => one.pid)]
const peaks = pids.map(pid => Number(/VmPeak:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]))
await embedder.close()
process.stdout.write(
  `${JSON.stringify({
    hash: createHash('sha256').update(vectors).digest('hex'),
    tokens,
    heard,
    texts: texts.length,
    outOfMemory: meter.figures(performance.now()).outOfMemory,
    batchTokensMost: meter.figures(performance.now()).batchTokensMost,
    mostVirtualKilobytes: Math.max(...peaks),
  })}\n`,
)

// The long run as a process of its own: made sentences, all different, stream through the shipped model, some thousand at
// a time and never more than two such windows on their way. Answers each request for so many more when they are done.
// What memory it takes is looked at from outside (embed-memory.ts). Settings come as JSON.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openEmbedder } from '../../lib/model/embedder.ts'
import { madeSentences } from './embed-texts.ts'

// What `embed` has in hand, and one window more on its way meanwhile.
const WINDOW = 4096
const OUTSTANDING = 2

const { embedder: settings, texts } = JSON.parse(process.argv[2])
const embedder = await openEmbedder(settings)
const made = madeSentences(JSON.parse(readFileSync(texts, 'utf8')), 2)
let number = 0

process.stdout.write(`${JSON.stringify({ versions: embedder.name })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { sentences }: { sentences: number } = JSON.parse(line)
  const start = performance.now()
  const onTheirWay = new Set<Promise<void>>()
  let empty = 0
  for (let left = sentences; left > 0; left -= WINDOW) {
    const window = Array.from({ length: Math.min(WINDOW, left) }, nextSentence)
    const work = embedder.embed(window).then(embedded => {
      empty += embedded.empty.length
      onTheirWay.delete(work)
    })
    onTheirWay.add(work)
    if (onTheirWay.size === OUTSTANDING) await Promise.race(onTheirWay)
  }
  await Promise.all(onTheirWay)
  process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - start) / 1000, empty })}\n`)
}
await embedder.close()

/** Its number makes it another than all before. */
function nextSentence(): string {
  return `${made.next().value} ${number++}`
}

// A process that opens the shipped model, says so, and waits to be killed.

import { openEmbedder } from '../../lib/model/embedder.ts'

const embedder = await openEmbedder({ model: 'earnings-static-256', threads: 1 })
process.stdout.write(`${embedder.name}\n`)
setInterval(() => {}, 60_000)

// Our engine as one of the peers of the embedding bench, in a process of its own, through the door that commands use.
// Settings come as JSON. Started by peers.ts.

import { openEmbedder } from '../../lib/model/embedder.ts'
import { openMeter } from '../../lib/model/meter.ts'
import { serve } from './embed-serve.ts'

const meter = openMeter(performance.now())
const embedder = await openEmbedder({ ...JSON.parse(process.argv[2]), meter })
await serve(`Node ${process.versions.node}`, async texts => async () => {
  const { vectors, tokens, tooLong } = await embedder.embed(texts)
  const { paddingShare } = meter.figures(performance.now())
  return { vectors, more: { tokens, tooLong, paddingShare } }
})
await embedder.close()

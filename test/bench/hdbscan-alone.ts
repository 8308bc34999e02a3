// Our HDBSCAN in a process of its own, so that its peak of memory is its own; peer.py does the same for the reference.
// For every line of JSON it clusters the points of a file and answers with a line. Started by peers.ts.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { hdbscan } from '../../lib/math/hdbscan.ts'
import { peakBytes, timed } from './clocks.ts'

process.stdout.write(`${JSON.stringify({ versions: `Node ${process.versions.node}` })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { file, d, settings } = JSON.parse(line)
  const bytes = readFileSync(file)
  const points = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const { result, seconds, cpuSeconds } = timed(() =>
    hdbscan(points, points.length / d, d, { ...settings, clusterSelectionMethod: settings.selection }),
  )
  const answer = { seconds, cpuSeconds, peakBytes: peakBytes('self'), labels: [...result.labels] }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
